use serde::Deserialize;

/// What acquirers write differently in the bodies of downloads: the `[download]` table of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Forms {
    /// How a key's expiry (DF05) is written. Both are read.
    pub capk_expiry: ExpiryForm,
    /// How far apart the entries of a blacklist stand.
    pub blacklist: BlacklistForm,
    /// How the TMS parameters (DE62 用法八) are laid out.
    pub tms_parameters: crate::tms_parameters::Layout,
    /// Most bytes of a body that the host sends. The standard's DE62 holds 512, the field 999.
    pub body_bytes: u16,
}

impl Default for Forms {
    fn default() -> Self {
        Self {
            capk_expiry: ExpiryForm::default(),
            blacklist: BlacklistForm::default(),
            tms_parameters: crate::tms_parameters::Layout::default(),
            body_bytes: 512,
        }
    }
}

impl Forms {
    /// What the longest key and the longest TMS parameters need.
    pub const MIN_BODY_BYTES: u16 = 440;
    /// What the field holds.
    pub const MAX_BODY_BYTES: u16 = 999;

    /// The room for a body in bytes, within what the field can hold.
    pub(super) fn room(&self) -> usize {
        usize::from(self.body_bytes.clamp(Self::MIN_BODY_BYTES, Self::MAX_BODY_BYTES))
    }
}

/// How a key's expiry (DF05) is written (unionpay.md §4.7: both are seen).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExpiryForm {
    /// Eight ASCII digits, as the recorded messages have it.
    #[default]
    Ascii,
    /// Four bytes of packed digits.
    Packed,
}

/// How far apart the entries of a blacklist stand (unionpay.md §4.9: terminals disagree).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlacklistForm {
    /// As far as the entry's length says.
    #[default]
    Length,
    /// Always 14 characters after the length, filled with spaces.
    #[serde(rename = "fixed14")]
    Fixed14,
}

//! What holds for a field in some messages only.

use crate::mti::Mti;

/// Something about a field that holds in messages of certain types, or with a certain text at
/// another place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rule<T> {
    pub(crate) field: u8,
    /// Message types the rule is for; empty means all.
    pub(crate) mtis: Vec<Mti>,
    pub(crate) when: Option<When>,
    pub(crate) then: T,
}

/// A further condition: the text at a path is one of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct When {
    pub(crate) field: u8,
    /// The positional subfield, from 1; `None` for the whole field.
    pub(crate) part: Option<u8>,
    pub(crate) values: Vec<String>,
    /// Whether all values are ASCII without escapes, so that their characters are those of a field.
    pub(crate) is_plain: bool,
}

impl When {
    pub(crate) fn new(field: u8, part: Option<u8>, values: Vec<String>) -> Self {
        let is_plain = values.iter().all(|value| value.is_ascii() && !value.contains('\\'));
        Self { field, part, values, is_plain }
    }

    /// Whether the other condition looks at the same place in the same way.
    #[inline]
    pub(crate) fn asks_as(&self, other: &Self) -> bool {
        (self.field, self.part, self.is_plain) == (other.field, other.part, other.is_plain)
    }

    /// The path as it is written in dialect files, such as `60.3`.
    pub(crate) fn path(&self) -> String {
        match self.part {
            Some(part) => format!("{}.{part}", self.field),
            None => self.field.to_string(),
        }
    }
}

impl<T> Rule<T> {
    /// Whether the rule holds in a message of type `mti`. `text` gives what stands at the path of a
    /// condition, `is` tells whether that is a certain text, and `missing` decides where the message
    /// has no such path.
    #[inline]
    pub(crate) fn applies<'r, U>(
        &'r self,
        mti: Mti,
        missing: bool,
        text: impl FnOnce(&'r When) -> Option<U>,
        is: impl Fn(&U, &str) -> bool,
    ) -> bool {
        if !self.mtis.is_empty() && self.mtis.iter().all(|one| !one.is(mti)) {
            return false;
        }
        let Some(when) = &self.when else { return true };
        text(when).map_or(missing, |text| when.values.iter().any(|value| is(&text, value)))
    }
}

//! The length in front of a frame.

use super::FrameError;

/// How a length stands in front of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    /// Width and encoding.
    pub form: PrefixForm,
    /// Whether the length counts its own bytes too (`-incl` in names). A constant byte or STX in
    /// front of it is never counted.
    pub inclusive: bool,
}

/// Width and encoding of a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrefixForm {
    /// (`len2`) Two bytes, most significant first; what UnionPay and most hosts use.
    Len2,
    /// (`len2le`) Two bytes, least significant first.
    Len2Le,
    /// (`len4`) Four bytes, most significant first.
    Len4,
    /// (`len4le`) Four bytes, least significant first.
    Len4Le,
    /// (`ascii4`) Four ASCII digits.
    Ascii4,
    /// (`bcd2`) Two bytes of two decimal digits each.
    Bcd2,
    /// (`cmf3`) Three bytes, most significant first, as jPOS-CMF peers have it.
    Cmf3,
}

impl PrefixForm {
    /// Every form, in the order of this list.
    pub const ALL: [Self; 7] =
        [Self::Len2, Self::Len2Le, Self::Len4, Self::Len4Le, Self::Ascii4, Self::Bcd2, Self::Cmf3];

    /// The name of the form in the names of framings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Len2 => "len2",
            Self::Len2Le => "len2le",
            Self::Len4 => "len4",
            Self::Len4Le => "len4le",
            Self::Ascii4 => "ascii4",
            Self::Bcd2 => "bcd2",
            Self::Cmf3 => "cmf3",
        }
    }

    /// Bytes of the length itself, 2 to 4.
    #[must_use]
    pub const fn width(self) -> usize {
        match self {
            Self::Len2 | Self::Len2Le | Self::Bcd2 => 2,
            Self::Cmf3 => 3,
            Self::Len4 | Self::Len4Le | Self::Ascii4 => 4,
        }
    }

    /// The largest number that the form can say.
    const fn largest(self) -> u32 {
        match self {
            Self::Len2 | Self::Len2Le => 0xFFFF,
            Self::Len4 | Self::Len4Le => u32::MAX,
            Self::Ascii4 | Self::Bcd2 => 9999,
            Self::Cmf3 => 0x00FF_FFFF,
        }
    }
}

impl Prefix {
    /// A length that counts what follows it.
    #[must_use]
    pub const fn new(form: PrefixForm) -> Self {
        Self { form, inclusive: false }
    }

    /// A length that counts itself and what follows it.
    #[must_use]
    pub const fn inclusive(form: PrefixForm) -> Self {
        Self { form, inclusive: true }
    }

    /// How many of its own bytes the length counts.
    pub(super) const fn counted_bytes(self) -> usize {
        if self.inclusive { self.form.width() } else { 0 }
    }

    /// The most bytes that can follow the length.
    pub(super) const fn longest_bytes(self) -> usize {
        self.form.largest() as usize - self.counted_bytes()
    }

    /// The length as `buf` begins with it; `None` when `buf` ends inside it.
    ///
    /// A byte that is no digit is reported before the others are there, so that binary noise on a
    /// connection is not waited upon.
    pub(super) fn read(self, buf: &[u8]) -> Result<Option<usize>, FrameError> {
        let mut number: usize = 0;
        let mut seen = 0;
        for &byte in buf.iter().take(self.form.width()) {
            number = match self.form {
                PrefixForm::Ascii4 if byte.is_ascii_digit() => number * 10 + usize::from(byte - b'0'),
                PrefixForm::Bcd2 if byte >> 4 < 10 && byte & 0x0F < 10 => {
                    number * 100 + usize::from(byte >> 4) * 10 + usize::from(byte & 0x0F)
                }
                PrefixForm::Ascii4 | PrefixForm::Bcd2 => return Err(FrameError::NotADigit(byte)),
                PrefixForm::Len2Le | PrefixForm::Len4Le => number | usize::from(byte) << (8 * seen),
                PrefixForm::Len2 | PrefixForm::Len4 | PrefixForm::Cmf3 => number << 8 | usize::from(byte),
            };
            seen += 1;
        }
        Ok((seen == self.form.width()).then_some(number))
    }

    /// The length of a frame of which `content_bytes` follow: the bytes, of which the first
    /// [`PrefixForm::width`] count. The caller has checked [`Prefix::longest_bytes`].
    pub(super) fn write(self, content_bytes: usize) -> [u8; 4] {
        let number = u32::try_from(content_bytes + self.counted_bytes()).unwrap_or(u32::MAX);
        let [a, b, c, d] = number.to_be_bytes();
        let digit = |unit: u32| u8::try_from(number / unit % 10).unwrap_or(0);
        match self.form {
            PrefixForm::Len2 => [c, d, 0, 0],
            PrefixForm::Len2Le => [d, c, 0, 0],
            PrefixForm::Len4 => [a, b, c, d],
            PrefixForm::Len4Le => [d, c, b, a],
            PrefixForm::Ascii4 => [1000, 100, 10, 1].map(|unit| b'0' + digit(unit)),
            PrefixForm::Bcd2 => [digit(1000) << 4 | digit(100), digit(10) << 4 | digit(1), 0, 0],
            PrefixForm::Cmf3 => [b, c, d, 0],
        }
    }
}

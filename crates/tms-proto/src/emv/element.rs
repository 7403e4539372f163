//! Data objects read once, with a bound on their number.

use iso8583::tlv::{self, Tlv};

use super::EmvError;

/// Most data objects of one key or one application; the longest known has 16.
const MAX_ELEMENTS: usize = 64;

pub(super) mod tag {
    /// AID, or the RID of a key.
    pub(crate) const AID: u32 = 0x9F06;
    pub(crate) const KEY_INDEX: u32 = 0x9F22;
    pub(crate) const KEY_EXPIRY: u32 = 0xDF05;
    pub(crate) const KEY_HASH_ALGORITHM: u32 = 0xDF06;
    pub(crate) const KEY_ALGORITHM: u32 = 0xDF07;
    pub(crate) const KEY_MODULUS: u32 = 0xDF02;
    pub(crate) const KEY_EXPONENT: u32 = 0xDF04;
    pub(crate) const KEY_CHECK_VALUE: u32 = 0xDF03;
    pub(crate) const SELECTION: u32 = 0xDF01;
    pub(crate) const CARD_VERSION: u32 = 0x9F08;
    pub(crate) const TERMINAL_VERSION: u32 = 0x9F09;
    pub(crate) const TAC_DEFAULT: u32 = 0xDF11;
    pub(crate) const TAC_ONLINE: u32 = 0xDF12;
    pub(crate) const TAC_DENIAL: u32 = 0xDF13;
    pub(crate) const FLOOR_LIMIT: u32 = 0x9F1B;
    pub(crate) const RANDOM_THRESHOLD: u32 = 0xDF15;
    pub(crate) const RANDOM_MAX_PERCENT: u32 = 0xDF16;
    pub(crate) const RANDOM_PERCENT: u32 = 0xDF17;
    pub(crate) const DEFAULT_DDOL: u32 = 0xDF14;
    pub(crate) const ONLINE_PIN: u32 = 0xDF18;
    pub(crate) const E_CASH_LIMIT: u32 = 0x9F7B;
    pub(crate) const CONTACTLESS_FLOOR_LIMIT: u32 = 0xDF19;
    pub(crate) const CONTACTLESS_LIMIT: u32 = 0xDF20;
    pub(crate) const CVM_LIMIT: u32 = 0xDF21;
}

/// The data objects of one key or application, no tag twice.
pub(super) struct Elements<'a>(Vec<(u32, &'a [u8])>);

impl<'a> Elements<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, EmvError> {
        let mut elements = Self(Vec::new());
        for object in tlv::read(bytes) {
            elements.push(object?)?;
        }
        Ok(elements)
    }

    /// Reads entries one after the other, each of which begins with `first`.
    pub(super) fn read_entries(bytes: &'a [u8], first: u32, limit: usize) -> Result<Vec<Self>, EmvError> {
        let mut entries: Vec<Self> = Vec::new();
        for object in tlv::read(bytes) {
            let object = object?;
            if object.tag == first {
                if entries.len() >= limit {
                    return Err(EmvError::TooMany { what: "entries of a list", limit });
                }
                entries.push(Self(Vec::new()));
            }
            entries.last_mut().ok_or(EmvError::OutsideEntry { tag: object.tag })?.push(object)?;
        }
        Ok(entries)
    }

    fn push(&mut self, object: Tlv<'a>) -> Result<(), EmvError> {
        if self.0.len() >= MAX_ELEMENTS {
            return Err(EmvError::TooMany { what: "data objects", limit: MAX_ELEMENTS });
        }
        if self.0.iter().any(|(tag, _)| *tag == object.tag) {
            return Err(EmvError::Twice { tag: object.tag });
        }
        self.0.push((object.tag, object.value));
        Ok(())
    }

    /// Takes one out.
    pub(super) fn take(&mut self, tag: u32) -> Option<&'a [u8]> {
        let index = self.0.iter().position(|(t, _)| *t == tag)?;
        Some(self.0.remove(index).1)
    }

    pub(super) fn must(&mut self, tag: u32) -> Result<&'a [u8], EmvError> {
        self.take(tag).ok_or(EmvError::Missing { tag })
    }

    pub(super) fn array<const N: usize>(
        &mut self,
        tag: u32,
        wanted: &'static str,
    ) -> Result<Option<[u8; N]>, EmvError> {
        self.take(tag).map(|value| array(tag, value, wanted)).transpose()
    }

    /// What was not taken, in the order it came.
    pub(super) fn rest(self) -> impl Iterator<Item = (u32, &'a [u8])> {
        self.0.into_iter()
    }
}

pub(super) fn array<const N: usize>(
    tag: u32,
    value: &[u8],
    wanted: &'static str,
) -> Result<[u8; N], EmvError> {
    value.try_into().map_err(|_| EmvError::Length { tag, found: value.len(), wanted })
}

/// A number in packed digits.
pub(super) fn packed(tag: u32, value: &[u8]) -> Result<u64, EmvError> {
    value.iter().try_fold(0u64, |number, byte| {
        let (tens, ones) = (u64::from(byte >> 4), u64::from(byte & 0x0F));
        if tens > 9 || ones > 9 {
            return Err(EmvError::Value { tag, wanted: "packed digits" });
        }
        let number = number.checked_mul(100).and_then(|n| n.checked_add(tens.saturating_mul(10)));
        number
            .and_then(|n| n.checked_add(ones))
            .ok_or(EmvError::Value { tag, wanted: "a number of that size" })
    })
}

/// The last digits of a number in `N` packed bytes.
pub(super) fn pack<const N: usize>(number: u64) -> [u8; N] {
    let mut out = [0; N];
    let mut rest = number;
    for byte in out.iter_mut().rev() {
        let two = u8::try_from(rest % 100).unwrap_or(0);
        *byte = (two / 10) << 4 | (two % 10);
        rest /= 100;
    }
    out
}

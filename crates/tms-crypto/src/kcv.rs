//! Key check values: the first four bytes of eight zero bytes encrypted under the key
//! (unionpay.md §4.1), by which a terminal knows that a key arrived whole.

use std::fmt;

use crate::tdes;

/// A key check value. It identifies a key and reveals 32 bits of one ciphertext, so it may be logged.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kcv(pub [u8; 4]);

impl Kcv {
    /// The check value of a single-length DES key.
    #[must_use]
    pub fn of_single(key: &[u8; 8]) -> Self {
        let mut block = [0; 8];
        tdes::encrypt1(key, &mut block);
        Self::first(block)
    }

    /// The check value of a double-length triple DES key.
    #[must_use]
    pub fn of_double(key: &[u8; 16]) -> Self {
        let mut block = [[0; 8]];
        tdes::encrypt2(key, &mut block);
        let [block] = block;
        Self::first(block)
    }

    fn first([a, b, c, d, ..]: [u8; 8]) -> Self {
        Self([a, b, c, d])
    }
}

impl fmt::Display for Kcv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl fmt::Debug for Kcv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_values_agree_with_the_ones_computed_from_real_sign_on_replies() {
        assert_eq!(Kcv::of_double(&[0x22; 16]).to_string(), "00962B60");
        assert_eq!(Kcv::of_single(&[0x33; 8]).to_string(), "ADC67D84");
        assert_eq!(Kcv::of_double(&[0x44; 16]).to_string(), "E2F24340");
    }

    #[test]
    fn a_key_repeated_has_the_check_value_of_the_single_key() {
        assert_eq!(Kcv::of_double(&[0x5B; 16]), Kcv::of_single(&[0x5B; 8]));
    }
}

//! Key check values: the first four bytes of a block of zeros encrypted under the key
//! (unionpay.md §4.1), by which a terminal knows that a key arrived whole. For AES the block goes
//! through CMAC instead, so that the value is no ciphertext of the key's own mode (ANSI X9.24-1).

use std::fmt;

use sm4::{
    Sm4,
    cipher::{Array, BlockCipherEncrypt, KeyInit},
};

use crate::{
    mac::aes_cmac,
    tdes::{self, AnyDes},
};

/// A key check value. It identifies a key and reveals 32 bits of one ciphertext, so it may be logged.
/// Other systems show the first three of these bytes, or for AES the first five.
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

    /// The check value of a single-, double- or triple-length DES key: 8, 16 or 24 bytes. `None` for
    /// another length.
    #[must_use]
    pub fn of_des(key: &[u8]) -> Option<Self> {
        let mut block = [0; 8];
        AnyDes::new(key)?.encrypt(&mut block);
        Some(Self::first(block))
    }

    /// The check value of an AES key of 16, 24 or 32 bytes: AES-CMAC of sixteen zero bytes. `None` for
    /// another length.
    #[must_use]
    pub fn of_aes(key: &[u8]) -> Option<Self> {
        if !matches!(key.len(), 16 | 24 | 32) {
            return None;
        }
        aes_cmac(key, &[0; 16]).ok()?.first_chunk().copied().map(Self)
    }

    /// The check value of an SM4 key: sixteen zero bytes encrypted.
    #[must_use]
    pub fn of_sm4(key: &[u8; 16]) -> Self {
        let mut block = Array([0; 16]);
        Sm4::new(key.into()).encrypt_block(&mut block);
        let Array([a, b, c, d, ..]) = block;
        Self([a, b, c, d])
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

    // Computed with OpenSSL 3.0: `mac … CMAC` over sixteen zero bytes, `enc -sm4-ecb`.
    #[test]
    fn aes_and_sm4_check_values_agree_with_another_implementation() {
        let aes = |key: &str| Kcv::of_aes(&hex::decode(key).unwrap()).map(|kcv| kcv.to_string());
        assert_eq!(aes("2b7e151628aed2a6abf7158809cf4f3c").as_deref(), Some("7AD386C3"));
        let long = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4";
        assert_eq!(aes(long).as_deref(), Some("1A0B2DF2"));
        assert_eq!(aes("2b7e151628aed2a6"), None);
        let sm4 = *hex::decode("0123456789ABCDEFFEDCBA9876543210").unwrap().first_chunk().unwrap();
        assert_eq!(Kcv::of_sm4(&sm4).to_string(), "2677F46B");
    }

    #[test]
    fn a_des_key_of_any_length_has_the_value_of_its_cipher() {
        assert_eq!(Kcv::of_des(&[0x33; 8]), Some(Kcv::of_single(&[0x33; 8])));
        assert_eq!(Kcv::of_des(&[0x22; 16]), Some(Kcv::of_double(&[0x22; 16])));
        assert_eq!(Kcv::of_des(&[0x22; 24]), Some(Kcv::of_double(&[0x22; 16])));
        assert_eq!(Kcv::of_des(&[0x22; 15]), None);
    }

    #[test]
    fn a_key_repeated_has_the_check_value_of_the_single_key() {
        assert_eq!(Kcv::of_double(&[0x5B; 16]), Kcv::of_single(&[0x5B; 8]));
    }
}

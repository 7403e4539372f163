//! DES and triple DES in ECB mode, as POS key blocks and MACs use them. Nothing outside this crate
//! can reach them: they have no place in a new design. Parity bits are not looked at.

use des::{
    Des, TdesEde2, TdesEde3,
    cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit},
};

/// DES, or triple DES with two or three keys, as the key's length says.
pub(crate) enum AnyDes {
    Single(Des),
    Double(TdesEde2),
    Triple(TdesEde3),
}

impl AnyDes {
    /// `None` for a key that has not 8, 16 or 24 bytes.
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        match key.len() {
            8 => Des::new_from_slice(key).ok().map(Self::Single),
            16 => TdesEde2::new_from_slice(key).ok().map(Self::Double),
            24 => TdesEde3::new_from_slice(key).ok().map(Self::Triple),
            _ => None,
        }
    }

    /// Encrypts one block in place.
    pub(crate) fn encrypt(&self, block: &mut [u8; 8]) {
        match self {
            Self::Single(cipher) => cipher.encrypt_block(block.into()),
            Self::Double(cipher) => cipher.encrypt_block(block.into()),
            Self::Triple(cipher) => cipher.encrypt_block(block.into()),
        }
    }
}

/// Encrypts each block with two-key triple DES.
pub(crate) fn encrypt2(key: &[u8; 16], blocks: &mut [[u8; 8]]) {
    let cipher = TdesEde2::new(key.into());
    for block in blocks {
        cipher.encrypt_block(block.into());
    }
}

/// Decrypts each block with two-key triple DES.
pub(crate) fn decrypt2(key: &[u8; 16], blocks: &mut [[u8; 8]]) {
    let cipher = TdesEde2::new(key.into());
    for block in blocks {
        cipher.decrypt_block(block.into());
    }
}

/// Encrypts one block with single DES.
pub(crate) fn encrypt1(key: &[u8; 8], block: &mut [u8; 8]) {
    Des::new(key.into()).encrypt_block(block.into());
}

//! DES and two-key triple DES in ECB mode, as POS key blocks use them. Nothing outside this crate
//! can reach them: they have no place in a new design.

use des::{
    Des, TdesEde2,
    cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit},
};

/// Encrypts each block with two-key triple DES.
pub(crate) fn encrypt2(key: &[u8; 16], blocks: &mut [[u8; 8]]) {
    let cipher = TdesEde2::new(&Array(*key));
    for block in blocks {
        cipher.encrypt_block(block.into());
    }
}

/// Decrypts each block with two-key triple DES.
pub(crate) fn decrypt2(key: &[u8; 16], blocks: &mut [[u8; 8]]) {
    let cipher = TdesEde2::new(&Array(*key));
    for block in blocks {
        cipher.decrypt_block(block.into());
    }
}

/// Encrypts one block with single DES.
pub(crate) fn encrypt1(key: &[u8; 8], block: &mut [u8; 8]) {
    Des::new(&Array(*key)).encrypt_block(block.into());
}

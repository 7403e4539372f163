//! SHA-256 in one call and in pieces, and SHA-1 where a card standard still asks for it.

use std::fmt;

use aws_lc_rs::{digest, hmac};

/// SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(bytes);
    hash.finish()
}

/// HMAC-SHA256 (RFC 2104) of `bytes`.
#[must_use]
pub fn hmac_sha256(key: &[u8], bytes: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), bytes);
    let mut out = [0; 32];
    for (slot, byte) in out.iter_mut().zip(tag.as_ref()) {
        *slot = *byte;
    }
    out
}

/// SHA-1 of `bytes`, for the check values of card organisations' keys (EMV book 2 §11.2.2) and nothing else: it
/// tells an accident, not an attacker.
#[must_use]
pub fn sha1_for_check_values(bytes: &[u8]) -> [u8; 20] {
    let mut out = [0; 20];
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes);
    for (to, from) in out.iter_mut().zip(hash.as_ref()) {
        *to = *from;
    }
    out
}

/// SHA-256 over data that arrives in pieces: firmware blocks, log bundles.
#[derive(Clone)]
pub struct Sha256(digest::Context);

impl Sha256 {
    /// A hash over nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    /// Takes the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The 32-byte hash of everything taken.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        let mut out = [0; 32];
        // SHA-256 always gives 32 bytes; the zip keeps the copy free of a panic path.
        for (to, from) in out.iter_mut().zip(self.0.finish().as_ref()) {
            *to = *from;
        }
        out
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sha256(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn sha1_of_the_standards_example() {
        assert_eq!(hex::encode(sha1_for_check_values(b"abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
    }

    #[test]
    fn the_fips_180_example_comes_out_whole_and_in_pieces() {
        assert_eq!(hex::encode(sha256(b"abc")), ABC);
        let mut pieces = Sha256::new();
        pieces.update(b"a");
        pieces.update(b"");
        pieces.update(b"bc");
        assert_eq!(hex::encode(pieces.finish()), ABC);
    }
}

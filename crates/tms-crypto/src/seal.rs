//! Secrets sealed to one terminal: HPKE (RFC 9180) base mode, DHKEM(X25519, HKDF-SHA256),
//! HKDF-SHA256, AES-256-GCM, through rustls' aws-lc-rs provider.
//!
//! `info` names the purpose and `aad` the occasion (terminal, role, generation); both must be the
//! same when opening, so that a sealed secret cannot be moved to another occasion.

use std::{fmt, path::Path};

use rustls::crypto::{
    aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256,
    hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey, HpkePublicKey},
};
use zeroize::Zeroizing;

use crate::keyfile::{self, KeyFileError};

/// Length of a public and of a private key, and of the encapsulated part of a sealed secret.
pub const KEY_BYTES: usize = 32;

const FILE_LABEL: &str = "sealing-key";

/// Why a secret could not be sealed or opened. Deliberately without detail when opening fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Key generation failed inside the cryptographic library.
    #[error("no sealing key pair could be made")]
    Generate,
    /// A key of the wrong length or without the needed order.
    #[error("this is not an X25519 key of {KEY_BYTES} bytes")]
    Key,
    /// Fewer bytes than an encapsulated secret and a tag.
    #[error("a sealed secret has at least {KEY_BYTES} bytes before its ciphertext")]
    Short,
    /// Another key, another occasion, or changed bytes.
    #[error("the sealed secret does not open with this key for this occasion")]
    Open,
}

/// A terminal's own key pair. The host knows the public half from enrolment.
pub struct SealingKeyPair {
    public: Vec<u8>,
    private: Zeroizing<Vec<u8>>,
}

impl SealingKeyPair {
    /// The 32-byte public key.
    #[must_use]
    pub fn public_bytes(&self) -> &[u8] {
        &self.public
    }

    /// The 32-byte private key.
    #[must_use]
    pub fn private_bytes(&self) -> &[u8] {
        &self.private
    }

    /// Writes the private half to a new file that only its owner can read.
    ///
    /// # Errors
    /// [`KeyFileError`] when the file exists or cannot be written.
    pub fn save_private(&self, path: &Path) -> Result<(), KeyFileError> {
        keyfile::create(path, FILE_LABEL, &self.private)
    }
}

impl fmt::Debug for SealingKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKeyPair(public {})", hex::encode(&self.public))
    }
}

/// Reads the private key that [`SealingKeyPair::save_private`] wrote.
///
/// # Errors
/// [`KeyFileError`] when the file is missing, readable by others, or no sealing key.
pub fn load_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let key = keyfile::open(path, FILE_LABEL)?;
    if key.len() == KEY_BYTES {
        Ok(key)
    } else {
        Err(KeyFileError::content(path, "it does not hold 32 bytes"))
    }
}

/// A fresh key pair.
///
/// # Errors
/// [`SealError::Generate`] when the cryptographic library fails.
pub fn generate() -> Result<SealingKeyPair, SealError> {
    let (public, private) = suite().generate_key_pair().map_err(|_| SealError::Generate)?;
    Ok(SealingKeyPair { public: public.0, private: Zeroizing::new(private.secret_bytes().to_vec()) })
}

/// Seals `plain` to the holder of `public`: encapsulated secret 32 ‖ ciphertext ‖ tag 16.
///
/// # Errors
/// [`SealError::Key`] when `public` is no X25519 key.
pub fn seal_to(public: &[u8], info: &[u8], aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
    if public.len() != KEY_BYTES {
        return Err(SealError::Key);
    }
    let (EncapsulatedSecret(mut sealed), ciphertext) =
        suite().seal(info, aad, plain, &HpkePublicKey(public.to_vec())).map_err(|_| SealError::Key)?;
    sealed.extend_from_slice(&ciphertext);
    Ok(sealed)
}

/// Opens what [`seal_to`] made.
///
/// # Errors
/// [`SealError`] when the key, the occasion or any byte differs.
pub fn open(private: &[u8], info: &[u8], aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    if private.len() != KEY_BYTES {
        return Err(SealError::Key);
    }
    let (enc, ciphertext) = sealed.split_at_checked(KEY_BYTES).ok_or(SealError::Short)?;
    suite()
        .open(
            &EncapsulatedSecret(enc.to_vec()),
            info,
            aad,
            ciphertext,
            &HpkePrivateKey::from(private.to_vec()),
        )
        .map(Zeroizing::new)
        .map_err(|_| SealError::Open)
}

fn suite() -> &'static dyn Hpke {
    DH_KEM_X25519_HKDF_SHA256_AES_256
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_same_key_info_and_aad_open_a_sealed_secret() {
        let pair = generate().unwrap();
        let sealed = seal_to(pair.public_bytes(), b"info", b"aad", b"73920418").unwrap();
        assert_eq!(sealed.len(), 32 + 8 + 16);
        assert_eq!(&**open(pair.private_bytes(), b"info", b"aad", &sealed).unwrap(), b"73920418");
        assert_eq!(open(pair.private_bytes(), b"other", b"aad", &sealed), Err(SealError::Open));
        assert_eq!(open(pair.private_bytes(), b"info", b"other", &sealed), Err(SealError::Open));
        let stranger = generate().unwrap();
        assert_eq!(open(stranger.private_bytes(), b"info", b"aad", &sealed), Err(SealError::Open));
    }

    #[test]
    fn the_same_secret_never_seals_to_the_same_bytes() {
        let pair = generate().unwrap();
        let seal = || seal_to(pair.public_bytes(), b"", b"", b"x").unwrap();
        assert_ne!(seal(), seal());
    }

    #[test]
    fn any_changed_byte_and_any_truncation_is_refused() {
        let pair = generate().unwrap();
        let sealed = seal_to(pair.public_bytes(), b"i", b"a", b"73920418").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(pair.private_bytes(), b"i", b"a", &changed).is_err(), "byte {at}");
            assert!(open(pair.private_bytes(), b"i", b"a", &sealed[..at]).is_err(), "length {at}");
        }
    }

    #[test]
    fn keys_of_a_wrong_length_are_named_as_such() {
        assert_eq!(seal_to(&[1; 31], b"", b"", b""), Err(SealError::Key));
        assert_eq!(open(&[1; 33], b"", b"", &[0; 64]), Err(SealError::Key));
    }

    #[test]
    fn a_private_key_survives_its_file_and_the_public_half_is_all_debug_shows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealing.key");
        let pair = generate().unwrap();
        pair.save_private(&path).unwrap();
        assert_eq!(&**load_private(&path).unwrap(), pair.private_bytes());
        assert!(!format!("{pair:?}").contains(&hex::encode(pair.private_bytes())));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn whatever_is_sealed_opens(info: Vec<u8>, aad: Vec<u8>, plain: Vec<u8>) {
            let pair = generate().unwrap();
            let sealed = seal_to(pair.public_bytes(), &info, &aad, &plain).unwrap();
            prop_assert_eq!(&**open(pair.private_bytes(), &info, &aad, &sealed).unwrap(), &plain);
        }
    }
}

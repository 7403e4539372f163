//! The private keys of the update authority. They belong off-line, never on a server.

use std::{fmt, path::Path};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::STANDARD};
use tms_crypto::keyfile::{self, KeyFileError};
use zeroize::Zeroizing;

use crate::{error::FirmwareError, trust::TrustedKey};

const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";

/// An Ed25519 private key, kept as PKCS #8 PEM (RFC 8410, RFC 7468) with mode 0600.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: TrustedKey,
}

impl SigningKey {
    /// A fresh key.
    ///
    /// # Errors
    /// [`FirmwareError::Signing`] when the cryptographic library fails.
    pub fn generate() -> Result<Self, FirmwareError> {
        Ed25519KeyPair::generate().map_err(|_| FirmwareError::Signing).and_then(Self::from_pair)
    }

    /// Writes the key to a new file.
    ///
    /// # Errors
    /// [`FirmwareError::Key`] when the file exists or cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), FirmwareError> {
        // Version 1 of PKCS #8 is the one that every tool reads.
        let der = self.pair.to_pkcs8v1().map_err(|_| FirmwareError::Signing)?;
        let body = Zeroizing::new(STANDARD.encode(der.as_ref()));
        Ok(keyfile::create_text(path, &Zeroizing::new(format!("{PEM_BEGIN}\n{}\n{PEM_END}\n", *body)))?)
    }

    /// Reads a key file, made here or by `openssl genpkey -algorithm ed25519`.
    ///
    /// # Errors
    /// [`FirmwareError::Key`] when the file is missing, readable by others, or no such key.
    pub fn load(path: &Path) -> Result<Self, FirmwareError> {
        let text = keyfile::open_text(path)?;
        let wrong = || KeyFileError::content(path, "it is no Ed25519 private key in PKCS #8 PEM form");
        let body = text
            .trim()
            .strip_prefix(PEM_BEGIN)
            .and_then(|rest| rest.strip_suffix(PEM_END))
            .ok_or_else(wrong)?;
        let body = Zeroizing::new(body.split_whitespace().collect::<String>());
        let der = Zeroizing::new(STANDARD.decode(body.as_bytes()).map_err(|_| wrong())?);
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map_err(|_| wrong())?;
        Self::from_pair(pair)
    }

    /// The public half, for a [`TrustRoot`](crate::TrustRoot).
    #[must_use]
    pub fn public(&self) -> TrustedKey {
        self.public.clone()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }

    fn from_pair(pair: Ed25519KeyPair) -> Result<Self, FirmwareError> {
        let public = <[u8; 32]>::try_from(pair.public_key().as_ref()).map_err(|_| FirmwareError::Signing)?;
        Ok(Self { pair, public: TrustedKey::new(public) })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public.keyid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_key_loads_and_signs_as_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("firmware.key");
        let key = SigningKey::generate().unwrap();
        key.save(&path).unwrap();
        let loaded = SigningKey::load(&path).unwrap();
        assert_eq!(loaded.public(), key.public());
        assert!(key.public().verifies(b"message", &loaded.sign(b"message")));
    }

    #[test]
    fn a_key_made_by_openssl_loads() {
        // openssl genpkey -algorithm ed25519; the RFC 8410 §10.3 example.
        const PEM: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("firmware.key");
        keyfile::create_text(&path, PEM).unwrap();
        let public = SigningKey::load(&path).unwrap().public().public;
        assert_eq!(hex::encode(public), "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1");
    }

    #[test]
    fn anything_else_is_named_as_no_key() {
        let folder = tempfile::tempdir().unwrap();
        for (place, text) in [
            "",
            "-----BEGIN PRIVATE KEY-----\n!!\n-----END PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        ]
        .iter()
        .enumerate()
        {
            let path = folder.path().join(format!("{place}.key"));
            keyfile::create_text(&path, text).unwrap();
            assert!(SigningKey::load(&path).unwrap_err().to_string().contains("no Ed25519 private key"));
        }
    }
}

//! The public keys that a terminal or a server trusts, and how many of them must agree.

use std::{fs, path::Path};

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use tms_crypto::sha256;

use crate::error::FirmwareError;

const MAX_KEYS: usize = 16;

/// One public key. Its id follows from it, so a file cannot give one key another's id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedKey {
    /// First 16 bytes of the SHA-256 of the public key, hexadecimal.
    pub keyid: String,
    /// Ed25519 public key, 32 bytes, hexadecimal in JSON.
    #[serde(with = "hex::serde")]
    pub public: [u8; 32],
}

impl TrustedKey {
    /// The key with the id that belongs to it.
    #[must_use]
    pub fn new(public: [u8; 32]) -> Self {
        let hash = sha256(&public);
        let (id, _) = hash.as_chunks::<16>();
        Self { keyid: id.first().map(hex::encode).unwrap_or_default(), public }
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.public).verify(message, signature).is_ok()
    }
}

/// The keys and the number of distinct ones that must have signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct TrustRoot {
    keys: Vec<TrustedKey>,
    threshold: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    keys: Vec<TrustedKey>,
    threshold: usize,
}

impl TryFrom<Unchecked> for TrustRoot {
    type Error = FirmwareError;

    fn try_from(root: Unchecked) -> Result<Self, FirmwareError> {
        Self::new(root.keys, root.threshold)
    }
}

impl TrustRoot {
    /// A root of `keys`, of which `threshold` must sign.
    ///
    /// # Errors
    /// [`FirmwareError::TrustRoot`] for no or too many keys, a key twice, an id that is not the
    /// key's, or a threshold that cannot be met.
    pub fn new(keys: Vec<TrustedKey>, threshold: usize) -> Result<Self, FirmwareError> {
        let wrong = |reason: String| Err(FirmwareError::TrustRoot(reason));
        if keys.len() > MAX_KEYS {
            return wrong(format!("it has {} keys, at most {MAX_KEYS} are allowed", keys.len()));
        }
        if threshold == 0 || threshold > keys.len() {
            return wrong(format!(
                "threshold {threshold} cannot be met by {} keys; it must be at least 1",
                keys.len()
            ));
        }
        for (place, key) in keys.iter().enumerate() {
            if *key != TrustedKey::new(key.public) {
                return wrong(format!("keyid {} is not the id of its public key", key.keyid));
            }
            if keys.iter().take(place).any(|other| other.keyid == key.keyid) {
                return wrong(format!("key {} stands there twice", key.keyid));
            }
        }
        Ok(Self { keys, threshold })
    }

    /// Reads the JSON of a trust root.
    ///
    /// # Errors
    /// [`FirmwareError::TrustRoot`] with what is wrong.
    pub fn from_json(json: &[u8]) -> Result<Self, FirmwareError> {
        serde_json::from_slice(json).map_err(|error| FirmwareError::TrustRoot(error.to_string()))
    }

    /// The JSON of this root, for its file.
    ///
    /// # Errors
    /// [`FirmwareError::TrustRoot`] should never happen: the value is plain data.
    pub fn to_json(&self) -> Result<String, FirmwareError> {
        serde_json::to_string_pretty(self).map_err(|error| FirmwareError::TrustRoot(error.to_string()))
    }

    /// Reads a trust root file.
    ///
    /// # Errors
    /// [`FirmwareError::TrustRoot`] naming the file.
    pub fn load(path: &Path) -> Result<Self, FirmwareError> {
        let named = |reason: String| FirmwareError::TrustRoot(format!("{}: {reason}", path.display()));
        let json = fs::read(path).map_err(|error| named(error.to_string()))?;
        serde_json::from_slice(&json).map_err(|error| named(error.to_string()))
    }

    /// How many distinct keys must sign.
    #[must_use]
    pub fn threshold(&self) -> usize {
        self.threshold
    }

    /// The trusted keys.
    #[must_use]
    pub fn keys(&self) -> &[TrustedKey] {
        &self.keys
    }

    pub(crate) fn key(&self, keyid: &str) -> Option<&TrustedKey> {
        self.keys.iter().find(|key| key.keyid == keyid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_reads_back_from_its_json() {
        let root = TrustRoot::new(vec![TrustedKey::new([1; 32]), TrustedKey::new([2; 32])], 2).unwrap();
        assert_eq!(TrustRoot::from_json(root.to_json().unwrap().as_bytes()).unwrap(), root);
    }

    #[test]
    fn a_threshold_that_cannot_be_met_or_demands_nothing_is_refused() {
        for threshold in [0, 2] {
            assert!(TrustRoot::new(vec![TrustedKey::new([1; 32])], threshold).is_err());
        }
    }

    #[test]
    fn a_repeated_key_cannot_fill_a_threshold() {
        let key = TrustedKey::new([1; 32]);
        assert!(TrustRoot::new(vec![key.clone(), key], 2).unwrap_err().to_string().contains("twice"));
    }

    #[test]
    fn a_key_cannot_carry_the_id_of_another() {
        let false_id = TrustedKey { keyid: TrustedKey::new([1; 32]).keyid, public: [2; 32] };
        assert!(TrustRoot::new(vec![false_id], 1).unwrap_err().to_string().contains("is not the id"));
    }

    #[test]
    fn a_broken_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("firmware-trust.json");
        assert!(TrustRoot::load(&path).unwrap_err().to_string().contains("firmware-trust.json"));
        fs::write(&path, r#"{"keys":[],"threshold":1,"extra":0}"#).unwrap();
        let message = TrustRoot::load(&path).unwrap_err().to_string();
        assert!(message.contains("firmware-trust.json") && message.contains("extra"), "{message}");
    }
}

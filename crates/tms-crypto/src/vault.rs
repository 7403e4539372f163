//! The host's secrets at rest: AES-256-GCM under keys from one file, which is kept apart from the
//! store so that a stolen database alone opens nothing.
//!
//! A sealed value is key id 1 ‖ nonce 12 ‖ ciphertext ‖ tag 16. The context (which terminal, which
//! secret) is authenticated but not stored, so a value moved to another row does not open there.
//! The file holds one key a line, `ID HEX`; the last line seals, every line opens, so a key is
//! replaced by appending a line and sealing again.

use std::{collections::BTreeMap, fmt, path::Path};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::{
    keyfile::{self, KeyFileError},
    random::random_bytes,
};

const FILE_LABEL: &str = "vault";

/// Why a sealed value did not open, or could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The key file itself.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// Too short to be a sealed value.
    #[error("a sealed value is damaged: it is only {0} bytes long")]
    Short(usize),
    /// Sealed under a key that this vault does not hold.
    #[error(
        "a value was sealed under vault key {0}, which this vault file does not hold; add that key's line"
    )]
    UnknownKey(u8),
    /// Another context, or changed bytes.
    #[error("a sealed value does not open here: it was changed, or belongs to another record")]
    Refused,
    /// The cryptographic library failed while sealing.
    #[error("a value could not be sealed")]
    Seal,
}

/// The open vault. Cheap to share behind an `Arc`.
pub struct Vault {
    keys: BTreeMap<u8, LessSafeKey>,
    current: u8,
}

impl Vault {
    /// Makes a vault with a fresh key in a new file of mode 0600.
    ///
    /// # Errors
    /// [`VaultError::File`] when the file exists or cannot be written.
    pub fn create(path: &Path) -> Result<Self, VaultError> {
        let key = Zeroizing::new(random_bytes::<32>());
        let text =
            Zeroizing::new(format!("tms8583 {FILE_LABEL} 1\n1 {}\n", *Zeroizing::new(hex::encode(*key))));
        keyfile::create_text(path, &text)?;
        Self::open(path)
    }

    /// Opens an existing vault file.
    ///
    /// # Errors
    /// [`VaultError::File`] naming the file, what is wrong with it and what to do.
    pub fn open(path: &Path) -> Result<Self, VaultError> {
        let text = keyfile::open_text(path)?;
        let mut lines = text.lines();
        keyfile::check_first_line(path, lines.next().unwrap_or_default(), FILE_LABEL)?;
        let mut keys = BTreeMap::new();
        let mut current = None;
        for (index, line) in lines.enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let wrong = || KeyFileError::content(path, format!("line {} is not `ID KEY`", index + 2));
            let (id, key) = parse_line(line).ok_or_else(wrong)?;
            if keys.insert(id, key).is_some() {
                return Err(KeyFileError::content(path, format!("key {id} stands there twice")).into());
            }
            current = Some(id);
        }
        let current = current.ok_or_else(|| KeyFileError::content(path, "it holds no key"))?;
        Ok(Self { keys, current })
    }

    /// A vault with one key that the caller keeps, for example in a key management system of its own.
    #[must_use]
    pub fn with_key(key: &[u8; 32]) -> Self {
        // No key of this length is refused; if one were, sealing would say that the key is missing.
        let key = UnboundKey::new(&AES_256_GCM, key).ok();
        Self { keys: key.map(|key| (1, LessSafeKey::new(key))).into_iter().collect(), current: 1 }
    }

    /// Seals `plain` for the record that `context` names.
    ///
    /// # Errors
    /// [`VaultError::Seal`] when the cryptographic library fails.
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        let key = self.keys.get(&self.current).ok_or(VaultError::UnknownKey(self.current))?;
        let nonce = random_bytes::<NONCE_LEN>();
        let mut body = Zeroizing::new(plain.to_vec());
        let tag = key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut body)
            .map_err(|_| VaultError::Seal)?;
        let mut sealed = Vec::with_capacity(1 + NONCE_LEN + body.len() + tag.as_ref().len());
        sealed.push(self.current);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&body);
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Opens a sealed value of the record that `context` names.
    ///
    /// # Errors
    /// [`VaultError`] when it is damaged, from another record, or under an unknown key.
    pub fn unseal(&self, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let short = || VaultError::Short(sealed.len());
        let (id, rest) = sealed.split_first().ok_or_else(short)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(short)?;
        let key = self.keys.get(id).ok_or(VaultError::UnknownKey(*id))?;
        let mut plain = Zeroizing::new(body.to_vec());
        let length = key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(context), &mut plain)
            .map_err(|_| VaultError::Refused)?
            .len();
        plain.truncate(length);
        Ok(plain)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({} keys, key {} seals)", self.keys.len(), self.current)
    }
}

fn parse_line(line: &str) -> Option<(u8, LessSafeKey)> {
    let (id, key) = line.split_once(' ')?;
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(key.trim(), bytes.as_mut()).ok()?;
    let key = UnboundKey::new(&AES_256_GCM, bytes.as_ref()).ok()?;
    Some((id.parse().ok()?, LessSafeKey::new(key)))
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use super::*;

    fn vault() -> (tempfile::TempDir, std::path::PathBuf, Vault) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault.key");
        let vault = Vault::create(&path).unwrap();
        (folder, path, vault)
    }

    #[test]
    fn a_sealed_value_opens_only_in_its_own_context() {
        let (_folder, _, vault) = vault();
        let sealed = vault.seal(b"10000001/99/1", b"87654321").unwrap();
        assert_eq!(&**vault.unseal(b"10000001/99/1", &sealed).unwrap(), b"87654321");
        assert!(matches!(vault.unseal(b"10000002/99/1", &sealed), Err(VaultError::Refused)));
    }

    #[test]
    fn a_vault_with_a_given_key_opens_what_another_one_with_the_same_key_sealed() {
        let sealed = Vault::with_key(&[7; 32]).seal(b"a", b"secret").unwrap();
        assert_eq!(&**Vault::with_key(&[7; 32]).unseal(b"a", &sealed).unwrap(), b"secret");
        assert!(matches!(Vault::with_key(&[8; 32]).unseal(b"a", &sealed), Err(VaultError::Refused)));
    }

    #[test]
    fn a_reopened_vault_opens_what_was_sealed_before() {
        let (_folder, path, vault) = vault();
        let sealed = vault.seal(b"c", b"value").unwrap();
        assert_eq!(&**Vault::open(&path).unwrap().unseal(b"c", &sealed).unwrap(), b"value");
    }

    #[test]
    fn an_appended_key_seals_from_then_on_and_the_old_one_still_opens() {
        let (_folder, path, vault) = vault();
        let old = vault.seal(b"c", b"old").unwrap();
        let line = format!("2 {}\n", hex::encode([9; 32]));
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(line.as_bytes()).unwrap();
        let both = Vault::open(&path).unwrap();
        let new = both.seal(b"c", b"new").unwrap();
        assert_eq!((old[0], new[0]), (1, 2));
        assert_eq!(&**both.unseal(b"c", &old).unwrap(), b"old");
        assert!(matches!(vault.unseal(b"c", &new), Err(VaultError::UnknownKey(2))));
    }

    #[test]
    fn every_truncation_and_every_changed_byte_is_refused() {
        let (_folder, _, vault) = vault();
        let sealed = vault.seal(b"c", b"value").unwrap();
        for at in 0..sealed.len() {
            assert!(vault.unseal(b"c", &sealed[..at]).is_err());
            let mut changed = sealed.clone();
            changed[at] ^= 0x10;
            assert!(vault.unseal(b"c", &changed).is_err());
        }
    }

    #[test]
    fn a_damaged_vault_file_names_the_line() {
        for (text, reason) in [
            ("tms8583 vault 1\n", "it holds no key"),
            ("tms8583 vault 1\n1 abcd\n", "line 2 is not"),
            ("tms8583 vault 1\nx\n", "line 2 is not"),
            ("tms8583 sealing-key 1\n1 00\n", "a vault file is needed"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("vault.key");
            keyfile::create_text(&path, text).unwrap();
            let message = Vault::open(&path).unwrap_err().to_string();
            assert!(message.contains(reason) && message.contains("vault.key"), "{message}");
        }
    }

    #[test]
    fn debug_output_counts_keys_and_shows_none() {
        let (_folder, _, vault) = vault();
        assert_eq!(format!("{vault:?}"), "Vault(1 keys, key 1 seals)");
    }
}

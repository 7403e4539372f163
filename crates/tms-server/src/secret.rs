//! An administrator credential as the host keeps it: the secret and what its verifier is derived
//! with, sealed by the vault and bound to its terminal and role.

use serde::{Deserialize, Serialize};
use tms_core::{Role, TerminalId};
use tms_crypto::{
    keyblock::Tmk,
    random_bytes,
    vault::{Vault, VaultError},
    verifier::Verifier,
};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A secret with its salt. Prints nothing of itself and is wiped when dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct CredentialSecret {
    /// What a person types.
    pub secret: String,
    /// Salt of the verifier.
    pub salt: [u8; 16],
    /// Rounds of the verifier.
    pub iterations: u32,
}

impl std::fmt::Debug for CredentialSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CredentialSecret")
    }
}

impl CredentialSecret {
    /// A secret with a fresh salt, whose verifier takes so many rounds.
    #[must_use]
    pub fn new(secret: &str, iterations: u32) -> Self {
        Self { secret: secret.to_owned(), salt: random_bytes(), iterations }
    }

    /// What the terminal keeps of it.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        Verifier::derive(self.secret.as_bytes(), self.salt, self.iterations)
    }

    /// Seals it for the store.
    ///
    /// # Errors
    /// When the vault cannot seal.
    pub fn seal(&self, vault: &Vault, terminal: &TerminalId, role: &Role) -> Result<Vec<u8>, VaultError> {
        let mut plain = serde_json::to_vec(self).unwrap_or_default();
        let sealed = vault.seal(&context(terminal, role), &plain);
        plain.zeroize();
        sealed
    }

    /// Opens what [`CredentialSecret::seal`] made for the same terminal and role.
    ///
    /// # Errors
    /// When the vault's key is another one, or the bytes were made for another place.
    pub fn unseal(
        vault: &Vault,
        terminal: &TerminalId,
        role: &Role,
        sealed: &[u8],
    ) -> Result<Self, VaultError> {
        let plain = vault.unseal(&context(terminal, role), sealed)?;
        serde_json::from_slice(&plain).map_err(|_| VaultError::Refused)
    }
}

/// Seals a terminal master key for the store.
///
/// # Errors
/// When the vault cannot seal.
pub fn seal_tmk(vault: &Vault, terminal: &TerminalId, tmk: &Tmk) -> Result<Vec<u8>, VaultError> {
    vault.seal(&tmk_context(terminal), tmk.secret_bytes())
}

/// Opens what [`seal_tmk`] made for the same terminal.
///
/// # Errors
/// When the vault's key is another one, or the bytes were made for another place.
pub fn unseal_tmk(vault: &Vault, terminal: &TerminalId, sealed: &[u8]) -> Result<Tmk, VaultError> {
    let key = vault.unseal(&tmk_context(terminal), sealed)?;
    let key: [u8; 16] = key.as_slice().try_into().map_err(|_| VaultError::Refused)?;
    Ok(Tmk::new(key))
}

fn tmk_context(terminal: &TerminalId) -> Vec<u8> {
    format!("tmk\0{terminal}").into_bytes()
}

fn context(terminal: &TerminalId, role: &Role) -> Vec<u8> {
    format!("credential\0{terminal}\0{role}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_only_in_its_own_place() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::create(&folder.path().join("vault.key")).unwrap();
        let (one, other): (TerminalId, TerminalId) =
            ("10000001".parse().unwrap(), "10000002".parse().unwrap());
        let secret = CredentialSecret::new("24681357", 10);
        let sealed = secret.seal(&vault, &one, &Role::administrator()).unwrap();
        assert!(CredentialSecret::unseal(&vault, &one, &Role::administrator(), &sealed).unwrap() == secret);
        assert!(CredentialSecret::unseal(&vault, &other, &Role::administrator(), &sealed).is_err());
        assert!(CredentialSecret::unseal(&vault, &one, &Role::supervisor(), &sealed).is_err());
    }
}

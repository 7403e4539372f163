//! A terminal enters the estate.

use tms_core::{Desired, MerchantId, Profile, Reported, Role, Terminal, TerminalId};
use tms_crypto::keyblock::Tmk;
use tms_crypto::seal;
use tms_store::InitialCredential;
use zeroize::Zeroizing;

use super::ServiceError;
use crate::app::App;
use crate::secret::{self, CredentialSecret};

/// Longest model, hardware revision or serial number.
const MAX_NAME_BYTES: usize = 32;

/// Most credentials that a terminal is delivered with.
const MAX_CREDENTIALS: usize = 100;

/// What is known of a terminal when it enters the estate.
#[derive(Debug)]
pub struct NewTerminal {
    /// Its number (DE41).
    pub id: TerminalId,
    /// Its merchant (DE42).
    pub merchant: MerchantId,
    /// The protocol profile that it speaks.
    pub profile: Profile,
    /// Hardware model, as firmware manifests name it.
    pub model: String,
    /// Hardware revision, as firmware manifests name it.
    pub hardware_revision: String,
    /// The maker's serial number.
    pub serial: String,
    /// SHA-256 of its client certificate (DER), 64 hexadecimal digits.
    pub certificate_sha256: String,
    /// The public key that secrets for it are sealed to, 32 bytes.
    pub sealing_public_key: Vec<u8>,
    /// Administrator credentials that it was delivered with.
    pub credentials: Vec<GivenCredential>,
}

/// A credential that a terminal was delivered with.
pub struct GivenCredential {
    /// Whose.
    pub role: Role,
    /// Its generation; 0 is the maker's.
    pub generation: u32,
    /// What to type.
    pub secret: Zeroizing<String>,
}

impl std::fmt::Debug for GivenCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GivenCredential(role {}, generation {})", self.role, self.generation)
    }
}

/// Adds a terminal with its master key, which rests sealed from then on. One that was imported keeps where it
/// stands, and is in use from now on.
///
/// # Errors
/// `Invalid` for a value that cannot be; `Store` with a conflict if the terminal or its certificate
/// is known already.
pub async fn enrol(app: &App, new: NewTerminal, tmk: &Tmk) -> Result<Terminal, ServiceError> {
    check(&new)?;
    let mut credentials = Vec::with_capacity(new.credentials.len());
    for given in &new.credentials {
        let secret = CredentialSecret::new(&given.secret, app.limits.verifier_iterations);
        credentials.push(InitialCredential {
            role: given.role.clone(),
            generation: given.generation,
            sealed: secret.seal(&app.vault, &new.id, &given.role)?,
        });
    }
    let generations = credentials.iter().map(|given| (given.role.clone(), given.generation));
    let terminal = Terminal {
        tmk_sealed: secret::seal_tmk(&app.vault, &new.id, tmk)?,
        id: new.id,
        merchant: new.merchant,
        profile: new.profile,
        model: new.model,
        hardware_revision: new.hardware_revision,
        serial: new.serial,
        enrolled_at: app.now(),
        sealing_public_key: new.sealing_public_key,
        certificate_sha256: Some(new.certificate_sha256.to_ascii_lowercase()),
        desired: Desired { credentials: generations.collect(), ..Desired::default() },
        reported: Reported::default(),
        last_contact: None,
        place: tms_core::Place::default(),
    };
    let id = terminal.id.clone();
    app.store.enrol(terminal, credentials).await?;
    // One that was imported before keeps its place.
    super::existing(app, &id).await
}

fn check(new: &NewTerminal) -> Result<(), ServiceError> {
    let invalid = |reason: String| Err(ServiceError::Invalid(reason));
    for (what, name) in
        [("model", &new.model), ("hardware_revision", &new.hardware_revision), ("serial", &new.serial)]
    {
        let printable = name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !printable {
            return invalid(format!("{what} must have 1 to {MAX_NAME_BYTES} printable ASCII characters"));
        }
    }
    if new.certificate_sha256.len() != 64 || hex::decode(&new.certificate_sha256).is_err() {
        return invalid(
            "certificate_sha256 must have 64 hexadecimal digits: the SHA-256 of the DER form".to_owned(),
        );
    }
    if new.sealing_public_key.len() != seal::KEY_BYTES {
        return invalid(format!("sealing_public_key must have {} bytes", seal::KEY_BYTES));
    }
    if new.credentials.len() > MAX_CREDENTIALS {
        return invalid(format!("a terminal can be delivered with at most {MAX_CREDENTIALS} credentials"));
    }
    for given in &new.credentials {
        if !(4..=32).contains(&given.secret.len()) {
            return invalid(format!("the secret of role {} must have 4 to 32 characters", given.role));
        }
    }
    Ok(())
}

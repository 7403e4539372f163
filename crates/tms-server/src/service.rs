//! What people and systems can have done, whoever asks: the REST interface, the demo, a test.
//!
//! Each function checks what it is given, makes the change durable, and only then wakes the
//! terminal's session. Every error is a sentence for the person who asked.

pub mod batch;
mod commands;
pub mod configuration;
mod enrolment;
pub mod estate;
mod firmware;
mod people;
pub mod rollouts;
mod sets;

use std::collections::{BTreeMap, BTreeSet};

use tms_core::parameters::{self, ParameterError};
use tms_core::selector::SelectorError;
use tms_core::{
    FirmwareId, FirmwareRecord, NewOperation, Operation, OperationKind, Role, RotationPhase, Terminal,
    TerminalId,
};
use tms_crypto::vault::VaultError;
use tms_crypto::{password, seal::SealError};
use tms_firmware::FirmwareError;
use tms_store::{ParameterChange, StoreError};

use crate::app::App;
use crate::secret::CredentialSecret;

pub use commands::{cancel, command, plan_id, withdraw_plan};
pub use enrolment::{GivenCredential, NewTerminal, enrol};
pub(crate) use firmware::remove_stale_uploads;
pub use firmware::{Upload, publish, publish_bytes};
pub use people::{Login, authenticate, issue_one_time_password, login};
pub use sets::{put_set, replace_set};

/// Most parameters in one change; there are fewer than that.
const MAX_CHANGES: usize = 100;

/// Digits of a new credential: what the keypads of Chinese POS terminals take for each role.
fn secret_digits(role: &Role) -> usize {
    match role.as_str() {
        "00" => 6,
        _ => 8,
    }
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// A parameter's name or value.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// What was asked makes no sense as it is.
    #[error("{0}")]
    Invalid(String),
    /// A selector was not understood.
    #[error(transparent)]
    Selector(#[from] SelectorError),
    /// No selector is saved under this name.
    #[error("no selector is saved as {0:?}; see the saved ones, or write the selector itself")]
    NoSelector(String),
    /// The package is for other hardware.
    #[error("firmware {firmware} is for {}, and terminal {terminal} is a {model}", models.join(", "))]
    Model {
        /// The package.
        firmware: FirmwareId,
        /// The models that it is for.
        models: Vec<String>,
        /// The terminal.
        terminal: TerminalId,
        /// Its model.
        model: String,
    },
    /// There is nothing to check firmware against.
    #[error(
        "this server has no firmware trust root and publishes nothing; make one with `tmsctl firmware keygen`, name \
         it as firmware.trust_root in the configuration and restart the server"
    )]
    NoTrustRoot,
    /// The package is not trustworthy, or no package.
    #[error(transparent)]
    Firmware(#[from] FirmwareError),
    /// The upload is larger than the server takes.
    #[error("the upload has more than {max_bytes} bytes, which is the limit (limits.firmware_bytes)")]
    TooLarge {
        /// The limit.
        max_bytes: u64,
    },
    /// Name or password is wrong, or a one-time password was used before. Which, is not said.
    #[error("user or password is wrong; a one-time password works only once")]
    Credentials,
    /// The token is unknown or no longer valid.
    #[error("the token is not valid, or not any more; log in again")]
    Token,
    /// The database says no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A secret could not be sealed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A secret could not be sealed to the terminal.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The object folder.
    #[error("the object folder cannot be written: {0}")]
    Objects(#[from] std::io::Error),
    /// Something inside the server broke.
    #[error("the server could not finish this: {0}")]
    Internal(String),
}

/// Changes desired parameters. Values are brought into their canonical spelling; a name cannot both
/// be set and unset. Answers the new revision and the operation that carries it.
///
/// # Errors
/// `Parameter` or `Invalid` for the change, `Store` if there is no such terminal.
pub async fn set_parameters(
    app: &App,
    terminal: &TerminalId,
    set: &BTreeMap<String, String>,
    unset: &[String],
) -> Result<(u64, Operation), ServiceError> {
    set_parameters_of(app, terminal, set, unset, None).await
}

/// The same, if the desired parameters have the revision `expected`; that of none is 0.
///
/// # Errors
/// As [`set_parameters`]; `Store` if the revision is another one.
pub async fn set_parameters_of(
    app: &App,
    terminal: &TerminalId,
    set: &BTreeMap<String, String>,
    unset: &[String],
    expected: Option<u64>,
) -> Result<(u64, Operation), ServiceError> {
    if set.is_empty() && unset.is_empty() {
        return Err(ServiceError::Invalid(
            "nothing to change: give at least one parameter to set or unset".to_owned(),
        ));
    }
    if set.len().saturating_add(unset.len()) > MAX_CHANGES {
        return Err(ServiceError::Invalid(format!("one change can touch at most {MAX_CHANGES} parameters")));
    }
    let mut change = ParameterChange { expected_revision: expected, ..ParameterChange::default() };
    for (name, value) in set {
        change.set.insert(name.clone(), parameters::canonical(name, value)?);
    }
    for name in unset {
        parameters::known(name)?;
        if change.set.contains_key(name) {
            return Err(ServiceError::Invalid(format!("parameter {name} cannot be set and unset at once")));
        }
    }
    change.unset = unset.iter().cloned().collect::<BTreeSet<_>>();
    let now = app.now();
    let changed = app.store.set_desired_parameters(terminal, change, app.ticket(now), now).await?;
    app.events.operation(&changed.1);
    app.wake.terminal(terminal);
    Ok(changed)
}

/// Makes a published package the desired firmware of a terminal.
///
/// # Errors
/// `Model` if the package is not for the terminal's model; `Store` if either does not exist.
pub async fn assign_firmware(
    app: &App,
    terminal: &TerminalId,
    firmware: &FirmwareId,
) -> Result<Operation, ServiceError> {
    package_for(app, terminal, firmware).await?;
    let now = app.now();
    let operation = app.store.assign_firmware(terminal, firmware, app.ticket(now), now).await?;
    app.events.operation(&operation);
    app.wake.terminal(terminal);
    Ok(operation)
}

/// Has a terminal start again.
///
/// # Errors
/// `Store` if there is no such terminal.
pub async fn reset(app: &App, terminal: &TerminalId) -> Result<Operation, ServiceError> {
    enqueue(app, terminal, OperationKind::Reboot).await
}

/// Has a terminal send the newest part of its log, as much as the server's limit allows.
///
/// # Errors
/// `Store` if there is no such terminal.
pub async fn collect_logs(app: &App, terminal: &TerminalId) -> Result<Operation, ServiceError> {
    let max_bytes = app.limits.log_bundle_bytes;
    enqueue(app, terminal, OperationKind::CollectLogs { max_bytes }).await
}

/// Starts the rotation of a credential to a fresh secret that is no documented default and no simple
/// sequence. A pending generation whose operation ended on the way is settled first: before the
/// terminal proved it the old one is in force and it is dropped; after that it is the one in force.
///
/// # Errors
/// `Store` if there is no such terminal, or a rotation is under way.
pub async fn rotate_credential(
    app: &App,
    terminal: &TerminalId,
    role: &Role,
) -> Result<Operation, ServiceError> {
    let now = app.now();
    if let Some(credential) = app.store.credential(terminal, role).await?
        && let Some(pending) = credential.pending
        && let Some(operation) = app.store.operation(pending.operation).await?
        && operation.state.is_final()
    {
        let generation = pending.generation;
        match pending.phase {
            RotationPhase::Verified => app.store.confirm_rotation(terminal, role, generation, now).await?,
            _ => app.store.abandon_rotation(terminal, role, generation, now).await?,
        };
    }
    let secret = password::numeric_secret(secret_digits(role));
    let secret = CredentialSecret::new(&secret, app.limits.verifier_iterations);
    let sealed = secret.seal(&app.vault, terminal, role)?;
    let operation = app.store.begin_rotation(terminal, role, sealed, app.ticket(now), now).await?;
    app.events.operation(&operation);
    app.wake.terminal(terminal);
    Ok(operation)
}

async fn enqueue(app: &App, terminal: &TerminalId, kind: OperationKind) -> Result<Operation, ServiceError> {
    let now = app.now();
    let ticket = app.ticket(now);
    let operation = NewOperation {
        id: ticket.id,
        terminal: terminal.clone(),
        kind,
        expires_at: ticket.expires_at,
        terms: tms_core::Terms::default(),
    };
    let operation = app.store.enqueue(operation, now).await?;
    app.events.operation(&operation);
    app.wake.terminal(terminal);
    Ok(operation)
}

/// A published package, if it is for the terminal's model.
async fn package_for(
    app: &App,
    terminal: &TerminalId,
    firmware: &FirmwareId,
) -> Result<FirmwareRecord, ServiceError> {
    let known = existing(app, terminal).await?;
    let record = package(app, firmware).await?;
    fits(&record, &known)?;
    Ok(record)
}

/// A published package.
async fn package(app: &App, firmware: &FirmwareId) -> Result<FirmwareRecord, ServiceError> {
    app.store.firmware(firmware).await?.ok_or_else(|| not_found("firmware", firmware))
}

/// Whether a package is for a terminal's model.
fn fits(package: &FirmwareRecord, terminal: &Terminal) -> Result<(), ServiceError> {
    if package.models.contains(&terminal.model) {
        return Ok(());
    }
    Err(ServiceError::Model {
        firmware: package.id.clone(),
        models: package.models.clone(),
        terminal: terminal.id.clone(),
        model: terminal.model.clone(),
    })
}

async fn existing(app: &App, terminal: &TerminalId) -> Result<Terminal, ServiceError> {
    let found = app.store.terminal(terminal).await?;
    found.ok_or_else(|| not_found("terminal", terminal))
}

fn not_found(what: &'static str, name: impl ToString) -> ServiceError {
    ServiceError::Store(StoreError::NotFound { what, name: name.to_string() })
}

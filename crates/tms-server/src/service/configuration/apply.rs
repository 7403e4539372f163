//! The effective configuration becomes the desired parameters of many terminals.

use jiff::Timestamp;
use tms_core::{BatchId, OperationId, Selector, TerminalId, Terms};
use tms_store::estate::{MAX_REFUSALS, MAX_TERMINALS_AT_ONCE};
use tms_store::{DesiredParameters, ParametersApplied, Ticket};

use super::wanted;
use crate::app::App;
use crate::service::{ServiceError, batch};

/// Terminals whose configuration is put together at once.
const PAGE: usize = 500;

/// To whom the configuration is applied, and on which terms.
#[derive(Debug, Clone)]
pub struct NewApply {
    /// To whom; a group with everything under it is [`super::group`].
    pub selector: Selector,
    /// The terms of the operations. `rollout` and `batch` are not looked at.
    pub terms: Terms,
    /// When what has not arrived by then expires; the server's usual time unless it is given.
    pub expires_at: Option<Timestamp>,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What was done, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The operations that it made; `None` when it made none.
    pub batch: Option<BatchId>,
    /// How many terminals were selected.
    pub selected: u64,
    /// Of these, how many have other desired parameters now, and an operation that carries them.
    pub changed: u64,
    /// How many had them already.
    pub same: u64,
    /// How many are out of use and were left as they are.
    pub out_of_use: u64,
    /// For how many they cannot be put together; these were left as they are.
    pub refused: u64,
    /// The first of these, with the reasons; at most [`MAX_REFUSALS`].
    pub refusals: Vec<(TerminalId, String)>,
}

/// Makes the effective configuration the desired parameters of all terminals that a selector means, in one
/// transaction. Terminals that have them already get nothing, so doing it again does nothing.
///
/// # Errors
/// `Invalid` for terms that cannot be, and for more than [`MAX_TERMINALS_AT_ONCE`] terminals.
pub async fn apply(app: &App, new: NewApply) -> Result<Applied, ServiceError> {
    let NewApply { selector, terms, expires_at, dry_run } = new;
    let now = app.now();
    let expires_at = batch::deadline(app, &terms, expires_at, now)?;
    let id = batch::new_id(app)?;
    let terms = Terms { batch: Some(id.clone()), rollout: None, ..terms };
    let ids = app.store.ids(&selector, now).await?;
    if ids.len() > MAX_TERMINALS_AT_ONCE {
        return Err(ServiceError::Invalid(format!(
            "the selector means {} terminals; at most {MAX_TERMINALS_AT_ONCE} are changed at once",
            ids.len()
        )));
    }
    let mut done = Applied {
        batch: None,
        selected: u64::try_from(ids.len()).unwrap_or(u64::MAX),
        changed: 0,
        same: 0,
        out_of_use: 0,
        refused: 0,
        refusals: Vec::new(),
    };
    let count = |count: &mut u64| *count = count.saturating_add(1);
    let mut changes = Vec::new();
    for ids in ids.chunks(PAGE) {
        let inputs = app.store.configuration(ids).await?;
        for terminal in &inputs.terminals {
            if !terminal.place.life_cycle.takes_work() {
                count(&mut done.out_of_use);
                continue;
            }
            match wanted(terminal, &inputs).map(|effective| effective.values()) {
                Ok(parameters) if parameters == terminal.desired.parameters => count(&mut done.same),
                Ok(parameters) => changes.push(DesiredParameters {
                    terminal: terminal.id.clone(),
                    parameters,
                    ticket: Ticket { id: OperationId::new(now, app.random.bytes()), expires_at },
                    terms: terms.clone(),
                }),
                Err(error) => {
                    count(&mut done.refused);
                    if done.refusals.len() < MAX_REFUSALS {
                        done.refusals.push((terminal.id.clone(), error.to_string()));
                    }
                }
            }
        }
    }
    if dry_run {
        done.changed = u64::try_from(changes.len()).unwrap_or(u64::MAX);
        return Ok(done);
    }
    let terminals: Vec<TerminalId> = changes.iter().map(|change| change.terminal.clone()).collect();
    for (terminal, applied) in terminals.iter().zip(app.store.apply_parameters(changes, now).await?) {
        match applied {
            ParametersApplied::Queued { .. } => {
                count(&mut done.changed);
                app.wake.terminal(terminal);
            }
            // Somebody else was faster.
            ParametersApplied::Same | ParametersApplied::Missing => count(&mut done.same),
        }
    }
    done.batch = (done.changed > 0).then_some(id);
    tracing::info!(changed = done.changed, same = done.same, refused = done.refused, "configuration applied");
    Ok(done)
}

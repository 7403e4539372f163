//! Configuration: what is set where, what a terminal gets of it, and bringing it to many terminals.
//!
//! Setting values changes no terminal yet. [`apply()`], or a rollout, makes what is effective the desired parameters of
//! terminals; the operations that carry them push what has changed since, and everything to a terminal that has
//! something else than the server believes.

mod apply;
mod drift;

#[cfg(test)]
mod tests;

use tms_core::configuration::{
    Change, ConfigurationError, Drift, Effective, NewRevision, Revision, Scope, Values, diff, effective,
};
use tms_core::{GroupId, Selector, Terminal, TerminalId};
use tms_proto::parameters::content_hash;
use tms_store::{ConfigurationInputs, StoreError};

use super::{ServiceError, not_found};
use crate::app::App;

pub use apply::{Applied, NewApply, apply};
pub(crate) use drift::HASH;
pub use drift::{DriftPage, Drifted, drift};

/// How often values are set on a scope that somebody else changes at the same time.
const MAX_TRIES: u32 = 20;

/// What a terminal gets, and how far it is from that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// What it should have, each value with where it comes from.
    pub effective: Effective,
    /// SHA-256 of these values, as terminals compute it over theirs; lower-case hexadecimal digits.
    pub sha256: String,
    /// How far it is from that.
    pub drift: Drift,
}

/// Sets the values of a scope: all of them, in a new revision. With `seen` only if that is the number of the current
/// one so far, 0 for a scope that has none. Setting what is there already makes no revision.
///
/// # Errors
/// `Invalid` with everything that is wrong with the values; `Store` if there is no such group or terminal, or the
/// scope has another revision than `seen`.
pub async fn set(app: &App, new: NewRevision, seen: Option<u64>) -> Result<Revision, ServiceError> {
    for _ in 0..MAX_TRIES {
        let current = app.store.revision(&new.scope, None).await?;
        let latest = current.as_ref().map_or(0, |current| current.number);
        tms_store::estate::seen("configuration", &new.scope, seen, latest)?;
        let revision = new.clone().revision(latest, app.now()).map_err(invalid)?;
        if let Some(current) = current.filter(|current| current.values == revision.values) {
            return Ok(current);
        }
        if let Some(added) = add(app, revision).await? {
            return Ok(added);
        }
    }
    Err(busy(&new.scope))
}

/// Brings back the values of an earlier revision of a scope, in a new one; `seen` is as in [`set`].
///
/// # Errors
/// `Invalid` if it is no earlier one, or its values are no longer taken; `Store` if there is no such revision, or the
/// scope has another one than `seen`.
pub async fn roll_back(
    app: &App,
    scope: &Scope,
    to: u64,
    author: &str,
    reason: &str,
    seen: Option<u64>,
) -> Result<Revision, ServiceError> {
    let earlier = revision(app, scope, to).await?;
    for _ in 0..MAX_TRIES {
        let current = app.store.revision(scope, None).await?;
        let current = current.ok_or_else(|| not_found("configuration", scope))?;
        tms_store::estate::seen("configuration", scope, seen, current.number)?;
        if current.rolled_back_from == Some(to) && current.values == earlier.values {
            // Asked again.
            return Ok(current);
        }
        let back = current.rolled_back(&earlier, author.to_owned(), reason.to_owned(), app.now());
        if let Some(added) = add(app, back.map_err(invalid)?).await? {
            return Ok(added);
        }
    }
    Err(busy(scope))
}

/// Adds a revision; `None` if somebody else was faster.
async fn add(app: &App, revision: Revision) -> Result<Option<Revision>, ServiceError> {
    match app.store.add_revision(revision).await {
        Ok(added) => {
            tracing::info!(scope = %added.scope, revision = added.number, author = added.author, "configuration set");
            Ok(Some(added))
        }
        Err(StoreError::Stale { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// How the values of a scope differ between two of its revisions; number 0 is before the first.
///
/// # Errors
/// `Store` if there is no such revision.
pub async fn differences(app: &App, scope: &Scope, from: u64, to: u64) -> Result<Vec<Change>, ServiceError> {
    let values = async |number| match number {
        0 => Ok(Values::new()),
        number => revision(app, scope, number).await.map(|revision| revision.values),
    };
    Ok(diff(&values(from).await?, &values(to).await?))
}

/// Says what a terminal should have, and how far it is from that. With `proposed` as if that were set already.
///
/// # Errors
/// `Store` if there is no such terminal; `Invalid` with every value that cannot be put together for it, or that is
/// wrong with the proposal.
pub async fn preview(
    app: &App,
    terminal: &TerminalId,
    proposed: Option<NewRevision>,
) -> Result<Preview, ServiceError> {
    let mut inputs = app.store.configuration(std::slice::from_ref(terminal)).await?;
    if let Some(new) = proposed {
        let latest = inputs.current.get(&new.scope).map_or(0, |current| current.number);
        let revision = new.revision(latest, app.now()).map_err(invalid)?;
        inputs.current.insert(revision.scope.clone(), revision);
    }
    let known = inputs.terminals.first().ok_or_else(|| not_found("terminal", terminal))?;
    let effective = wanted(known, &inputs).map_err(invalid)?;
    let values = effective.values();
    let drift = Drift::of(&values, &known.desired.parameters, &known.reported.parameters);
    Ok(Preview { effective, sha256: hex::encode(content_hash(&values)), drift })
}

/// A group with everything under it.
///
/// # Errors
/// Never, for an id that exists; `Internal` otherwise.
pub fn group(group: &GroupId) -> Result<Selector, ServiceError> {
    let selector = format!("group under {:?}", group.as_str()).parse();
    selector.map_err(|error: tms_core::selector::SelectorError| ServiceError::Internal(error.to_string()))
}

fn wanted(terminal: &Terminal, inputs: &ConfigurationInputs) -> Result<Effective, ConfigurationError> {
    effective(terminal, &inputs.groups, &inputs.current)
}

async fn revision(app: &App, scope: &Scope, number: u64) -> Result<Revision, ServiceError> {
    let found = app.store.revision(scope, Some(number)).await?;
    found.ok_or_else(|| not_found("revision", format!("{number} of {scope}")))
}

fn invalid(error: ConfigurationError) -> ServiceError {
    ServiceError::Invalid(error.to_string())
}

fn busy(scope: &Scope) -> ServiceError {
    StoreError::Conflict { reason: format!("the configuration of {scope} changes all the time; try again") }
        .into()
}

//! One command for many terminals: a batch of operations that are made, counted and withdrawn together.
//!
//! A batch is frozen when it is made: its operations are for the terminals that its selector means then. What
//! changes the desired state of many (firmware, configuration) has functions of its own, and rollouts.

#[cfg(test)]
mod tests;

use jiff::{SignedDuration, Timestamp};
use tms_core::terms::Readiness;
use tms_core::{
    BatchId, FirmwareRecord, NewOperation, OperationId, OperationKind, OperationState, Selector, Terminal,
    TerminalId, Terms,
};
use tms_store::estate::MAX_TERMINALS_AT_ONCE;

use super::commands::{Given, given};
use super::{ServiceError, fits, not_found};
use crate::app::App;

/// Most terminals that are shown of those that a selector means.
pub const SAMPLE: usize = 20;
/// Longest time from now to an operation's end, in seconds: 366 days.
pub const MAX_LIFETIME_S: i64 = 366 * 86_400;

/// Terminals that are read at once.
const PAGE: u32 = 1_000;
/// Operations of a batch that are withdrawn in one transaction.
const CANCELLED_AT_ONCE: u32 = 500;

/// What is asked of many terminals.
#[derive(Debug, Clone)]
pub struct NewBatch {
    /// Of which.
    pub selector: Selector,
    /// What they are to do. A plan is given as for one terminal ([`super::command`]).
    pub command: OperationKind,
    /// On which terms. `rollout` and `batch` are not looked at.
    pub terms: Terms,
    /// When what is not done by then expires; the server's usual time after it may begin unless it is given.
    pub expires_at: Option<Timestamp>,
}

/// The terminals that a batch is for, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matched {
    /// How many its selector means.
    pub selected: u64,
    /// Of these, how many are out of use and are left out.
    pub out_of_use: u64,
    /// Of these, how many are of a model that its package is not for, and are left out.
    pub other_model: u64,
    /// How many get an operation.
    pub matched: u64,
    /// Of these, how many have no time before it expires at which they may begin.
    pub without_opening: u64,
    /// The first that get one; at most [`SAMPLE`].
    pub sample: Vec<TerminalId>,
}

/// A batch that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its identity.
    pub id: BatchId,
    /// For which terminals.
    pub matched: Matched,
}

/// What became of the operations of a batch that was withdrawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Withdrawn {
    /// Operations that are cancelled now.
    pub cancelled: u64,
    /// Of these, those that their terminal may have begun and is told to give up.
    pub told: u64,
}

/// Says which terminals a batch would be for, and checks all of it, without making anything.
///
/// # Errors
/// As [`create`].
pub async fn preview(app: &App, new: NewBatch) -> Result<Matched, ServiceError> {
    Ok(Draft::of(app, new).await?.matched)
}

/// Makes a batch: an operation for each terminal that its selector means and that is in use, all of them or
/// none. Connected terminals are told at once.
///
/// # Errors
/// `Invalid` for a command or terms that cannot be, for more than
/// [`MAX_TERMINALS_AT_ONCE`] terminals, and when no terminal is left; `Store` if a plan's package does not exist.
pub async fn create(app: &App, new: NewBatch) -> Result<Batch, ServiceError> {
    let Draft { id, kind, terms, now, expires_at, terminals, matched } = Draft::of(app, new).await?;
    if terminals.is_empty() {
        return Err(ServiceError::Invalid(match matched.selected {
            0 => "the selector means no terminal".to_owned(),
            selected => format!("none of the {selected} terminals that the selector means can be given this"),
        }));
    }
    let operations = terminals.iter().map(|terminal| NewOperation {
        id: OperationId::new(now, app.random.bytes()),
        terminal: terminal.clone(),
        kind: kind.clone(),
        expires_at,
        terms: terms.clone(),
    });
    app.store.enqueue_many(operations.collect(), now).await?;
    terminals.iter().for_each(|terminal| app.wake.terminal(terminal));
    tracing::info!(batch = id.as_str(), kind = kind.name(), operations = terminals.len(), "batch queued");
    Ok(Batch { id, matched })
}

/// How many operations of a batch are in each state; states without any are left out.
///
/// # Errors
/// `Store` if there is no such batch.
pub async fn counts(app: &App, batch: &BatchId) -> Result<Vec<(OperationState, u64)>, ServiceError> {
    let counts = app.store.batch_counts(batch).await?;
    if counts.is_empty() { Err(not_found("batch", batch)) } else { Ok(counts) }
}

/// Withdraws what is still open of a batch. A terminal that may have begun its operation is told to give it up.
/// Doing it again withdraws what was not reached before, and nothing twice.
///
/// # Errors
/// `Store` if there is no such batch.
pub async fn cancel(app: &App, batch: &BatchId) -> Result<Withdrawn, ServiceError> {
    counts(app, batch).await?;
    let mut withdrawn = Withdrawn::default();
    let mut after = None;
    loop {
        let page = app.store.batch(batch, after, CANCELLED_AT_ONCE).await?;
        let Some(last) = page.last() else { return Ok(withdrawn) };
        after = Some(last.id);
        let now = app.now();
        let open = page.iter().filter(|operation| operation.is_open());
        let open: Vec<_> = open.map(|operation| (operation.id, app.ticket(now))).collect();
        if open.is_empty() {
            continue;
        }
        let detail = format!("withdrawn with batch {batch}");
        for (cancelled, told) in app.store.cancel_many(open, detail, now).await? {
            withdrawn.cancelled = withdrawn.cancelled.saturating_add(1);
            withdrawn.told = withdrawn.told.saturating_add(u64::from(told.is_some()));
            app.wake.terminal(&cancelled.terminal);
        }
    }
}

/// Everything about a batch but its operations.
struct Draft {
    id: BatchId,
    kind: OperationKind,
    terms: Terms,
    now: Timestamp,
    expires_at: Timestamp,
    terminals: Vec<TerminalId>,
    matched: Matched,
}

impl Draft {
    async fn of(app: &App, new: NewBatch) -> Result<Self, ServiceError> {
        let NewBatch { selector, command, terms, expires_at } = new;
        let Given { kind, packages } = given(app, command).await?;
        let now = app.now();
        let id = new_id(app)?;
        let terms = Terms { batch: Some(id.clone()), rollout: None, ..terms };
        let expires_at = deadline(app, &terms, expires_at, now)?;
        let mut draft =
            Self { id, kind, terms, now, expires_at, terminals: Vec::new(), matched: Matched::default() };
        draft.find(app, &selector, &packages).await?;
        Ok(draft)
    }

    async fn find(
        &mut self,
        app: &App,
        selector: &Selector,
        packages: &[FirmwareRecord],
    ) -> Result<(), ServiceError> {
        let mut after: Option<TerminalId> = None;
        loop {
            let page = app.store.find(selector, after.as_ref(), PAGE, self.now).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id.clone());
            page.iter().for_each(|terminal| self.take(terminal, packages));
            if self.terminals.len() > MAX_TERMINALS_AT_ONCE {
                return Err(ServiceError::Invalid(format!(
                    "the selector means more than {MAX_TERMINALS_AT_ONCE} terminals, which is the most for one batch"
                )));
            }
        }
    }

    fn take(&mut self, terminal: &Terminal, packages: &[FirmwareRecord]) {
        let Matched { selected, out_of_use, other_model, matched, without_opening, sample } =
            &mut self.matched;
        let count = |count: &mut u64| *count = count.saturating_add(1);
        count(selected);
        if !terminal.place.life_cycle.takes_work() {
            return count(out_of_use);
        }
        if packages.iter().any(|package| fits(package, terminal).is_err()) {
            return count(other_model);
        }
        count(matched);
        let zone = &terminal.place.time_zone;
        let opens = match self.terms.readiness(self.now, self.now, None, zone) {
            Readiness::At(at) => at < self.expires_at,
            Readiness::Ready | Readiness::AfterSettlement => true,
            Readiness::Never => false,
        };
        if !opens {
            count(without_opening);
        }
        if sample.len() < SAMPLE {
            sample.push(terminal.id.clone());
        }
        self.terminals.push(terminal.id.clone());
    }
}

/// The identity of a new batch.
pub(super) fn new_id(app: &App) -> Result<BatchId, ServiceError> {
    let id = hex::encode(app.random.bytes::<16>());
    id.parse().map_err(|error: tms_core::IdError| ServiceError::Internal(error.to_string()))
}

/// When operations on these terms expire: as given, or the server's usual time after they may begin.
pub(super) fn deadline(
    app: &App,
    terms: &Terms,
    given: Option<Timestamp>,
    now: Timestamp,
) -> Result<Timestamp, ServiceError> {
    let begins = terms.not_before.map_or(now, |not_before| not_before.max(now));
    let lifetime_s = i64::try_from(app.limits.operation_lifetime_s).unwrap_or(i64::MAX);
    let usual = begins.saturating_add(SignedDuration::from_secs(lifetime_s)).unwrap_or(Timestamp::MAX);
    let expires_at = given.unwrap_or(usual);
    let invalid = |reason: String| Err(ServiceError::Invalid(reason));
    if let Err(error) = terms.retry.check() {
        return invalid(error.to_string());
    }
    if expires_at <= now {
        return invalid(format!("expires_at is {expires_at}, which is over; it is now {now}"));
    }
    if expires_at.duration_since(now) > SignedDuration::from_secs(MAX_LIFETIME_S) {
        return invalid(format!("expires_at is {expires_at}; it is at most 366 days from now ({now})"));
    }
    match terms.not_before {
        Some(not_before) if not_before >= expires_at => {
            invalid(format!("not_before is {not_before}, and everything expires at {expires_at}, not later"))
        }
        _ => Ok(expires_at),
    }
}

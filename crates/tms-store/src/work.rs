//! Work for many terminals at once, and what is remembered of each time that an operation was tried.

use std::collections::BTreeSet;

use jiff::Timestamp;
use tms_core::configuration::Values;
use tms_core::retry::MAX_ATTEMPTS;
use tms_core::rollout::TargetState;
use tms_core::{
    Attempt, FirmwareId, NewOperation, Operation, OperationId, OperationKind, OperationState, Outcome,
    RolloutId, RolloutTarget, Tag, Terminal, TerminalId, Terms,
};

use crate::error::StoreError;
use crate::estate::MAX_TERMINALS_AT_ONCE;
use crate::store::{Result, Ticket};

/// The parameters that a terminal shall have from now on, all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredParameters {
    /// The terminal.
    pub terminal: TerminalId,
    /// What becomes its desired parameters.
    pub parameters: Values,
    /// The operation that carries them.
    pub ticket: Ticket,
    /// The terms of that operation.
    pub terms: Terms,
}

impl DesiredParameters {
    /// The operation that makes the terminal have them, as this revision.
    #[must_use]
    pub fn operation(&self, revision: u64) -> NewOperation {
        new_operation(&self.terminal, OperationKind::SetParameters { revision }, self.ticket, &self.terms)
    }
}

/// An operation with this ticket.
#[must_use]
pub fn new_operation(
    terminal: &TerminalId,
    kind: OperationKind,
    ticket: Ticket,
    terms: &Terms,
) -> NewOperation {
    let (terminal, terms) = (terminal.clone(), terms.clone());
    NewOperation { id: ticket.id, terminal, kind, expires_at: ticket.expires_at, terms }
}

/// A target of a rollout that is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedTarget {
    /// The target as it is from then on; the one that is stored waits.
    pub target: RolloutTarget,
    /// What its terminal gets; `None` for one that is skipped.
    pub work: Option<StartedWork>,
}

/// What a terminal gets by a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedWork {
    /// What is done.
    pub work: Work,
    /// The operation that does it.
    pub ticket: Ticket,
    /// The terms of that operation.
    pub terms: Terms,
}

/// What is done to a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// These become its desired parameters. Where they are already, the operation is queued all the same.
    Parameters(Values),
    /// This becomes its desired firmware.
    Firmware(FirmwareId),
    /// It carries out a command.
    Command(OperationKind),
}

/// A target that may have become something else, with what that is judged by.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    /// The target.
    pub target: RolloutTarget,
    /// The state of its operation, if there is one, and what that says about its end.
    pub operation: Option<(OperationState, Option<String>)>,
    /// Its terminal.
    pub terminal: Terminal,
}

/// Which targets of a rollout are asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TargetFilter {
    /// Those of one wave.
    pub wave: Option<u32>,
    /// Those in one state.
    pub state: Option<TargetState>,
}

/// Brings terminals into an order that has nothing to do with where they stand or when they were made, so that
/// the first wave is a sample of all: by a digest (FNV-1a) of rollout and terminal.
pub fn mix(rollout: &RolloutId, targets: &mut [(TerminalId, BTreeSet<Tag>)]) {
    let digest = |tid: &TerminalId| {
        let bytes = rollout.as_str().bytes().chain([0]).chain(tid.as_str().bytes());
        let hash = bytes.fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        });
        // The last bytes have not reached the upper bits, by which is sorted.
        (hash ^ (hash >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    };
    targets.sort_by_cached_key(|(tid, _)| (digest(tid), tid.clone()));
}

/// The latest moment until which somebody can have a duty, when whoever asks for it wants it until `until`: one
/// that lasts longer was taken by a clock that was wrong, and would keep everybody from it for as long.
#[must_use]
pub fn latest_end(until: Timestamp, now: Timestamp) -> Timestamp {
    until.saturating_add(until.duration_since(now)).unwrap_or(Timestamp::MAX)
}

/// What became of the parameters of one terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParametersApplied {
    /// They are desired now, and the operation is queued.
    Queued {
        /// Their revision.
        revision: u64,
        /// The operation.
        operation: OperationId,
    },
    /// They were desired already.
    Same,
    /// There is no such terminal.
    Missing,
}

/// Refuses a call for too many terminals, or for one of them twice.
///
/// # Errors
/// `Invalid`.
pub fn check_terminals<'t>(terminals: impl ExactSizeIterator<Item = &'t TerminalId>) -> Result<()> {
    if terminals.len() > MAX_TERMINALS_AT_ONCE {
        return Err(StoreError::invalid(format!(
            "these are {} terminals; at most {MAX_TERMINALS_AT_ONCE} are changed at once",
            terminals.len()
        )));
    }
    let mut seen = BTreeSet::new();
    for terminal in terminals {
        if !seen.insert(terminal) {
            return Err(StoreError::invalid(format!("terminal {terminal} is given twice")));
        }
    }
    Ok(())
}

/// The state in which an operation is after an attempt that ended so; with `again` it waits for another one.
#[must_use]
pub fn state_after(outcome: Outcome, again: bool) -> OperationState {
    match outcome {
        Outcome::Done => OperationState::Done,
        Outcome::Cancelled => OperationState::Cancelled,
        Outcome::Expired => OperationState::Expired,
        _ if again => OperationState::Queued,
        _ => OperationState::Failed,
    }
}

/// How an attempt ended whose operation is in this state now.
fn outcome_of(state: OperationState) -> Outcome {
    match state {
        OperationState::Done => Outcome::Done,
        OperationState::Failed => Outcome::Failed,
        OperationState::Expired => Outcome::Expired,
        OperationState::Cancelled => Outcome::Cancelled,
        OperationState::Queued | OperationState::Sent | OperationState::Accepted => Outcome::Broken,
    }
}

/// What is remembered of the attempts of one operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tried {
    /// When the last attempt began, if nobody has said how it ended.
    pub began_at: Option<Timestamp>,
    /// The node that made the last attempt.
    pub node: Option<String>,
    /// Those whose end is known, the last [`MAX_ATTEMPTS`].
    pub ended: Vec<Attempt>,
}

impl Tried {
    /// An attempt begins. One that nobody has ended, as number `earlier`, was broken off.
    pub fn begin(&mut self, earlier: u32, holder: &str, now: Timestamp) {
        self.end(earlier, Outcome::Broken, None, now);
        self.began_at = Some(now);
        // A holder is a session of a node: `node/session`.
        self.node = Some(holder.split_once('/').map_or(holder, |(node, _)| node).to_owned());
    }

    /// The attempt with this number ends, if one has begun.
    pub fn end(&mut self, number: u32, outcome: Outcome, detail: Option<String>, now: Timestamp) {
        let Some(began_at) = self.began_at.take() else { return };
        let node = self.node.clone().unwrap_or_default();
        let outcome = Some(outcome);
        if self.ended.len() >= usize::try_from(MAX_ATTEMPTS).unwrap_or(usize::MAX) {
            // Connections that broke tell least, and who counts the attempts leaves them out.
            let broken = self.ended.iter().position(|attempt| attempt.outcome == Some(Outcome::Broken));
            self.ended.remove(broken.unwrap_or(0));
        }
        self.ended.push(Attempt { number, began_at, ended_at: Some(now), node, outcome, detail });
    }

    /// The attempt ends because its operation goes to this state, if that ends attempts.
    pub fn end_with(&mut self, number: u32, to: OperationState, detail: Option<String>, now: Timestamp) {
        if to.is_final() || to == OperationState::Queued {
            self.end(number, outcome_of(to), detail, now);
        }
    }

    /// All attempts, the first one first. The last one may go on, or have ended with the operation.
    #[must_use]
    pub fn attempts(mut self, operation: &Operation) -> Vec<Attempt> {
        let Operation { attempts, state, updated_at, detail, .. } = operation;
        if state.is_final() {
            self.end(*attempts, outcome_of(*state), detail.clone(), *updated_at);
        } else if let Some(began_at) = self.began_at {
            let node = self.node.unwrap_or_default();
            let goes_on =
                Attempt { number: *attempts, began_at, ended_at: None, node, outcome: None, detail: None };
            self.ended.push(goes_on);
        }
        self.ended
    }
}

//! The one trait through which the server knows its durable state.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
#[cfg(doc)]
use tms_core::alarm::MAX_ALARMS_KEPT;
use tms_core::{
    Alarm, Attempt, BatchId, Credential, EstateSet, FirmwareId, FirmwareRecord, Group, GroupId, LogBundle,
    NewOperation, Operation, OperationId, OperationKind, OperationState, Outcome, Progress, Reported, Role,
    Rollout, RolloutId, RolloutTarget, RotationPhase, Selector, SetName, TemplateName, Terminal, TerminalId,
    UserRole,
    configuration::{Revision, Scope},
    rollout::{Tally, TargetState},
    selector::SavedSelector,
};

use crate::error::StoreError;
use crate::estate::{BulkChange, ConfigurationInputs, ImportRow, Imported, TerminalChange};
use crate::work::{DesiredParameters, ParametersApplied, StartedTarget, TargetFilter, Watched};

/// What every method answers.
pub type Result<T> = std::result::Result<T, StoreError>;

/// The identity and the deadline of an operation that a change is about to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// The operation's identity; a second use is a conflict.
    pub id: OperationId,
    /// When it expires if it is still open.
    pub expires_at: Timestamp,
}

/// A change of desired parameters. Names and values are stored as they are; whoever calls has
/// checked them (`tms_core::parameters`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParameterChange {
    /// Values to set, by name.
    pub set: BTreeMap<String, String>,
    /// Names to take away, so that the terminal's own value holds. Applied before `set`.
    pub unset: BTreeSet<String>,
    /// The revision of the desired parameters that the change was made for; any when `None`.
    pub expected_revision: Option<u64>,
}

/// A credential that a terminal has from the start.
#[derive(Clone, PartialEq, Eq)]
pub struct InitialCredential {
    /// Whose.
    pub role: Role,
    /// Its generation; 0 is what the maker delivered.
    pub generation: u32,
    /// The secret, sealed by the host's vault.
    pub sealed: Vec<u8>,
}

impl fmt::Debug for InitialCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InitialCredential")
            .field("role", &self.role)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// Somebody who may use the REST interface.
#[derive(Clone, PartialEq, Eq)]
pub struct Admin {
    /// The name to log in with.
    pub user: String,
    /// How much this user may do.
    pub role: UserRole,
    /// Hash of the password (`tms_crypto::password`).
    pub password_hash: String,
    /// Whether the password works only once.
    pub one_time: bool,
    /// Whether a one-time password has been used.
    pub consumed: bool,
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin")
            .field("user", &self.user)
            .field("role", &self.role)
            .field("one_time", &self.one_time)
            .field("consumed", &self.consumed)
            .finish_non_exhaustive()
    }
}

/// A valid bearer token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Whose it is.
    pub user: String,
    /// How much this user may do now.
    pub role: UserRole,
    /// Until when it is valid.
    pub expires_at: Timestamp,
}

/// What is known of a request when it begins under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Nothing: it is noted now.
    New,
    /// The same request has begun and not ended: it runs, or what ran it stopped in the middle.
    Unfinished,
    /// The same request has been answered so.
    Answered(Vec<u8>),
    /// The key stands for another request.
    Other,
}

/// The durable state of the estate.
///
/// - A change is durable when its call returns `Ok`; each call is one transaction, all or nothing.
/// - A call that is dropped before it returns may or may not have taken effect.
/// - Reads see every change that returned before they began.
/// - Times are kept to the microsecond. `now` is an argument everywhere.
///
/// Every method fails with [`StoreError::Unavailable`], [`StoreError::Busy`] or
/// [`StoreError::Corrupt`] when the database does; the other errors are named where they occur.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// Adds a terminal with the credentials that it was delivered with. Its `last_contact` is not kept.
    /// One that was only imported is completed ([`crate::estate::enrolled`]).
    ///
    /// # Errors
    /// `Conflict` if the terminal is enrolled, or another one has its certificate; `NotFound` if there is no
    /// group as its own; `Invalid` if its place cannot be.
    async fn enrol(&self, terminal: Terminal, credentials: Vec<InitialCredential>) -> Result<()>;

    /// Adds a terminal without credentials; as [`Store::enrol`].
    ///
    /// # Errors
    /// `Conflict` if the terminal, or another one with its certificate, exists.
    async fn add_terminal(&self, terminal: Terminal) -> Result<()> {
        self.enrol(terminal, Vec::new()).await
    }

    /// One terminal.
    async fn terminal(&self, tid: &TerminalId) -> Result<Option<Terminal>>;

    /// At most `limit` terminals in the order of their ids, those after `after` if it is given.
    async fn terminals(&self, after: Option<&TerminalId>, limit: u32) -> Result<Vec<Terminal>>;

    /// At most `limit` terminals that a selector means, in the order of their ids, those after `after` if it is
    /// given. `now` is what ages are measured from.
    async fn find(
        &self,
        selector: &Selector,
        after: Option<&TerminalId>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Terminal>>;

    /// How many terminals a selector means.
    async fn count(&self, selector: &Selector, now: Timestamp) -> Result<u64>;

    /// The ids of all terminals that a selector means, in their order.
    async fn ids(&self, selector: &Selector, now: Timestamp) -> Result<Vec<TerminalId>>;

    /// Changes a terminal as people want it; its version rises by one unless it is so already. With `version`
    /// only if that is the terminal's version.
    ///
    /// # Errors
    /// `NotFound` if there is no such terminal or group; `Stale` if it has another version; `Invalid` if the
    /// terminal cannot be so ([`TerminalChange::of`]).
    async fn change_terminal(
        &self,
        tid: &TerminalId,
        change: TerminalChange,
        version: Option<u64>,
    ) -> Result<Terminal>;

    /// Changes every terminal that a selector means, in one transaction. Those that cannot be so are passed
    /// over and named.
    ///
    /// # Errors
    /// `NotFound` if there is no such group; `Invalid` if more than
    /// [`MAX_TERMINALS_AT_ONCE`](crate::estate::MAX_TERMINALS_AT_ONCE) are selected.
    async fn change_terminals(
        &self,
        selector: &Selector,
        change: TerminalChange,
        now: Timestamp,
    ) -> Result<BulkChange>;

    /// Adds and changes terminals in one transaction: all rows, or none of them when one is refused or it is
    /// only a trial (`dry_run`). Each row has a verdict in either case.
    ///
    /// # Errors
    /// `Invalid` if there are more rows than
    /// [`MAX_TERMINALS_AT_ONCE`](crate::estate::MAX_TERMINALS_AT_ONCE).
    async fn import_terminals(&self, rows: Vec<ImportRow>, dry_run: bool, now: Timestamp)
    -> Result<Imported>;

    /// Puts a terminal into the place of another one ([`crate::estate::replaced`]), and cancels what is open for
    /// that. Answers both as they are now, the old one first.
    ///
    /// # Errors
    /// `NotFound` if one of them does not exist; `Conflict` if it cannot take the place.
    async fn replace_terminal(
        &self,
        old: &TerminalId,
        new: &TerminalId,
        now: Timestamp,
    ) -> Result<(Terminal, Terminal)>;

    /// Every group, in the order of the ids.
    async fn groups(&self) -> Result<Vec<Group>>;

    /// One group.
    async fn group(&self, id: &GroupId) -> Result<Option<Group>>;

    /// Adds a group, or puts it in place of the one with its id, with everything that stands under that. Its
    /// own `version` is not looked at: the answer has the one that it gets. With `version` only if that is the
    /// group's version so far, 0 for one that does not exist.
    ///
    /// # Errors
    /// `Stale` if it has another version; `Invalid` if it, or the tree with it, cannot be
    /// ([`tms_core::group::GroupError`]).
    async fn put_group(&self, group: Group, version: Option<u64>) -> Result<Group>;

    /// Takes a group away. With `version` only if that is the group's version. Its configuration stays, for
    /// whoever wants to see what it was, and counts again for a group of the same id.
    ///
    /// # Errors
    /// `NotFound` if there is no such group; `Stale` if it has another version; `Conflict` if groups or
    /// terminals belong to it.
    async fn delete_group(&self, id: &GroupId, version: Option<u64>) -> Result<()>;

    /// Every saved selector, in the order of the names.
    async fn selectors(&self) -> Result<Vec<SavedSelector>>;

    /// One saved selector.
    async fn selector(&self, name: &TemplateName) -> Result<Option<SavedSelector>>;

    /// Saves a selector, or puts it in place of the one of its name; versions are as in [`Store::put_group`].
    ///
    /// # Errors
    /// `Stale` if it has another version.
    async fn put_selector(&self, selector: SavedSelector, version: Option<u64>) -> Result<SavedSelector>;

    /// Forgets a saved selector. With `version` only if that is its version.
    ///
    /// # Errors
    /// `NotFound` if there is none of this name; `Stale` if it has another version.
    async fn delete_selector(&self, name: &TemplateName, version: Option<u64>) -> Result<()>;

    /// Adds a revision to a scope; it is the current one from then on.
    ///
    /// # Errors
    /// `Stale` if its number does not follow the scope's last one; `NotFound` if there is no such group or
    /// terminal.
    async fn add_revision(&self, revision: Revision) -> Result<Revision>;

    /// One revision of a scope; without a number the current one.
    async fn revision(&self, scope: &Scope, number: Option<u64>) -> Result<Option<Revision>>;

    /// At most `limit` revisions of a scope, newest first, those before number `before` if it is given.
    async fn revisions(&self, scope: &Scope, before: Option<u64>, limit: u32) -> Result<Vec<Revision>>;

    /// The current revision of every template, in the order of their names.
    async fn templates(&self) -> Result<Vec<Revision>>;

    /// Everything that the effective configuration of these terminals is put together from.
    async fn configuration(&self, tids: &[TerminalId]) -> Result<ConfigurationInputs>;

    /// Makes parameters the desired ones of many terminals in one transaction, each as
    /// [`Store::set_desired_parameters`] does; those that have them already are left alone. Answers in the order
    /// of `wanted`.
    ///
    /// # Errors
    /// `Invalid` if a terminal is given twice, or there are more than
    /// [`MAX_TERMINALS_AT_ONCE`](crate::estate::MAX_TERMINALS_AT_ONCE); `Conflict` if a ticket was used before.
    async fn apply_parameters(
        &self,
        wanted: Vec<DesiredParameters>,
        now: Timestamp,
    ) -> Result<Vec<ParametersApplied>>;

    /// How many terminals there are.
    async fn count_terminals(&self) -> Result<u64>;

    /// The terminal with this client certificate (SHA-256 of its DER form, lower-case hexadecimal).
    async fn terminal_by_certificate(&self, sha256: &str) -> Result<Option<Terminal>>;

    /// Merges a terminal's report into what is known of it; counts as a contact. A report without a
    /// time of its own gets `now`.
    ///
    /// # Errors
    /// `NotFound` if there is no such terminal.
    async fn record_report(&self, tid: &TerminalId, report: Reported, now: Timestamp) -> Result<()>;

    /// Notes when terminals were last heard of, many at once. Older times than the known ones and
    /// unknown terminals are passed over.
    async fn record_contacts(&self, contacts: &[(TerminalId, Timestamp)]) -> Result<()>;

    /// Changes desired parameters: the revision rises by one, operations of the same kind that are
    /// still queued are cancelled, and one for the new revision is queued.
    ///
    /// # Errors
    /// `NotFound` if there is no such terminal; `Stale` if the revision is not the expected one; `Conflict`
    /// if the ticket was used before.
    async fn set_desired_parameters(
        &self,
        tid: &TerminalId,
        change: ParameterChange,
        ticket: Ticket,
        now: Timestamp,
    ) -> Result<(u64, Operation)>;

    /// Gives the desired parameters a revision above one that the terminal has from elsewhere, such as from before
    /// an older backup was restored; one that is above it already stays. Answers the revision.
    ///
    /// # Errors
    /// `NotFound` if there is no such terminal; `Conflict` if there is no revision above it.
    async fn raise_parameters(&self, tid: &TerminalId, above: u64) -> Result<u64>;

    /// Makes a package the desired firmware, cancels open installations and queues the new one.
    ///
    /// # Errors
    /// `NotFound` if there is no such terminal or package; `Conflict` if the ticket was used before.
    async fn assign_firmware(
        &self,
        tid: &TerminalId,
        firmware: &FirmwareId,
        ticket: Ticket,
        now: Timestamp,
    ) -> Result<Operation>;

    /// Starts a rotation: the sealed secret becomes the pending generation (phase `prepared`), with
    /// the next number that was never given out before nor reported ([`Credential::learn`]), and the operation that
    /// carries it is queued.
    ///
    /// # Errors
    /// `NotFound` if there is no such terminal; `Conflict` if a rotation is pending or the ticket
    /// was used before.
    async fn begin_rotation(
        &self,
        tid: &TerminalId,
        role: &Role,
        sealed: Vec<u8>,
        ticket: Ticket,
        now: Timestamp,
    ) -> Result<Operation>;

    /// Queues an operation.
    ///
    /// # Errors
    /// `NotFound` if there is no such terminal; `Conflict` if the id was used before.
    async fn enqueue(&self, operation: NewOperation, now: Timestamp) -> Result<Operation>;

    /// Queues operations of any terminals in one transaction, those of one terminal in their order.
    ///
    /// # Errors
    /// `NotFound` if one of the terminals does not exist; `Conflict` if an id was used before.
    async fn enqueue_many(&self, operations: Vec<NewOperation>, now: Timestamp) -> Result<()>;

    /// Leases the next operation of a terminal and begins an attempt: of the open ones that are not expired, that
    /// nobody holds (or whose lease ended), and whose terms allow it now, one that cancels another, else one of
    /// the highest priority, else the oldest. `None` if there is none, or the terminal takes no work
    /// ([`tms_core::LifeCycle::takes_work`]).
    ///
    /// An operation whose window is closed is put off to its next opening, unless the terminal has begun it.
    async fn lease_next(
        &self,
        tid: &TerminalId,
        holder: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Operation>>;

    /// Extends a lease that `holder` has.
    ///
    /// # Errors
    /// `NotFound` if there is no such operation; `Conflict` if the lease is not (or no more) the
    /// holder's: it has to stop working on the operation.
    async fn extend_lease(&self, id: OperationId, holder: &str, until: Timestamp) -> Result<()>;

    /// Gives a lease back; nothing happens if it is not the holder's.
    async fn release_lease(&self, id: OperationId, holder: &str) -> Result<()>;

    /// Gives back every lease of a holder, for the end of its session. Answers how many there were.
    async fn release_leases(&self, holder: &str) -> Result<u64>;

    /// Gives back every lease there is, for the start of a server that is the only one on its store:
    /// whoever held them died with the process before. Answers how many there were.
    async fn release_all_leases(&self) -> Result<u64>;

    /// Moves an operation on. Repeating the state it has changes nothing but, while it is open, a
    /// given `detail`. A final state, and `Queued`, end its lease.
    ///
    /// # Errors
    /// `NotFound`; `IllegalTransition` if [`OperationState::can_become`] says no.
    async fn transition(
        &self,
        id: OperationId,
        to: OperationState,
        detail: Option<String>,
        now: Timestamp,
    ) -> Result<Operation>;

    /// Ends an attempt: the operation is done, cancelled or expired as `outcome` says, waits for another attempt
    /// not before `again_at`, or has failed when that is `None`. Ends its lease. An operation that stands where it
    /// would go is left alone if it is final.
    ///
    /// # Errors
    /// `NotFound`; `IllegalTransition` if the operation has ended otherwise.
    async fn end_attempt(
        &self,
        id: OperationId,
        outcome: Outcome,
        detail: Option<String>,
        again_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Operation>;

    /// Every attempt at an operation, the first one first. One that nobody has ended was broken off, at the
    /// latest when the next one began.
    ///
    /// # Errors
    /// `NotFound` if there is no such operation.
    async fn attempts(&self, id: OperationId) -> Result<Vec<Attempt>>;

    /// Notes that a terminal has completed a settlement; what was made and due before waits for it no longer.
    /// Answers how many operations that are.
    ///
    /// # Errors
    /// `NotFound` if there is no such terminal.
    async fn record_settlement(&self, tid: &TerminalId, at: Timestamp) -> Result<u64>;

    /// At most `limit` terminals, in the order of their ids, for which an open operation becomes due after
    /// `after` and not after `until`: those that are to be woken.
    async fn due(&self, after: Timestamp, until: Timestamp, limit: u32) -> Result<Vec<TerminalId>>;

    /// Notes how far an operation has come; a final one keeps what it has.
    ///
    /// # Errors
    /// `NotFound` if there is no such operation.
    async fn set_progress(&self, id: OperationId, progress: Progress) -> Result<()>;

    /// Adds to what a terminal found in answer to an operation; a name that is there gets the new value.
    /// Also after the operation's end: the actions of a plan end later than its installation.
    ///
    /// # Errors
    /// `NotFound` if there is no such operation.
    async fn add_result(&self, id: OperationId, result: BTreeMap<String, String>) -> Result<()>;

    /// Cancels an open operation. One that a terminal may have begun
    /// ([`OperationKind::is_cancelled_at_the_terminal`], and taken up for delivery before) also queues an
    /// operation that tells the terminal to give it up; the answer has both. Cancelling again changes
    /// nothing and queues nothing.
    ///
    /// # Errors
    /// `NotFound`; `IllegalTransition` if the operation has ended otherwise; `Conflict` if the ticket was
    /// used before.
    async fn cancel(
        &self,
        id: OperationId,
        detail: String,
        ticket: Ticket,
        now: Timestamp,
    ) -> Result<(Operation, Option<Operation>)>;

    /// Cancels many operations in one transaction, each as [`Store::cancel`] does. Those that have ended
    /// otherwise, or do not exist, are passed over.
    ///
    /// # Errors
    /// `Conflict` if a ticket was used before.
    async fn cancel_many(
        &self,
        which: Vec<(OperationId, Ticket)>,
        detail: String,
        now: Timestamp,
    ) -> Result<Vec<(Operation, Option<Operation>)>>;

    /// At most `limit` operations that one call made, in the order of their ids, those after `after` if it is
    /// given.
    async fn batch(&self, batch: &BatchId, after: Option<OperationId>, limit: u32) -> Result<Vec<Operation>>;

    /// How many operations of one call are in each state; states without any are left out.
    async fn batch_counts(&self, batch: &BatchId) -> Result<Vec<(OperationState, u64)>>;

    /// One operation.
    async fn operation(&self, id: OperationId) -> Result<Option<Operation>>;

    /// At most `limit` operations of a terminal, newest first, those made before `after` if it is given.
    async fn operations(
        &self,
        tid: &TerminalId,
        after: Option<OperationId>,
        limit: u32,
    ) -> Result<Vec<Operation>>;

    /// The open operations of a terminal, oldest first.
    async fn open_operations(&self, tid: &TerminalId) -> Result<Vec<Operation>>;

    /// How many operations are open in the whole estate.
    async fn open_operations_count(&self) -> Result<u64>;

    /// Expires every open operation whose time is over; answers how many.
    async fn expire_operations(&self, now: Timestamp) -> Result<u64>;

    /// Adds a rollout, with version 1.
    ///
    /// # Errors
    /// `Conflict` if there is one of its id.
    async fn add_rollout(&self, rollout: Rollout) -> Result<Rollout>;

    /// One rollout.
    async fn rollout(&self, id: &RolloutId) -> Result<Option<Rollout>>;

    /// At most `limit` rollouts in the order of their ids, those after `after` if it is given; all, or only those
    /// that are neither drafts nor over.
    async fn rollouts(
        &self,
        only_under_way: bool,
        after: Option<&RolloutId>,
        limit: u32,
    ) -> Result<Vec<Rollout>>;

    /// Puts a rollout in place of the version before its own: what a person or the engine has made of it.
    ///
    /// # Errors
    /// `NotFound` if there is no such rollout; `Stale` if its version does not follow the one that is stored.
    async fn put_rollout(&self, rollout: Rollout) -> Result<()>;

    /// As [`Store::put_rollout`], and freezes the targets of the rollout: every terminal that its selector means
    /// now, in a mixed order ([`crate::work::mix`]), each with its wave. Answers how many they are.
    ///
    /// # Errors
    /// As [`Store::put_rollout`].
    async fn start_rollout(&self, rollout: Rollout, now: Timestamp) -> Result<u64>;

    /// As [`Store::put_rollout`], and starts targets that wait, each with what its terminal gets: all or none.
    /// What the work replaces is as in [`Store::set_desired_parameters`] and [`Store::assign_firmware`].
    ///
    /// # Errors
    /// As [`Store::put_rollout`]; `Conflict` if one of them does not wait or a ticket was used before; `NotFound`
    /// if there is no such package.
    async fn start_targets(
        &self,
        rollout: Rollout,
        started: Vec<StartedTarget>,
        now: Timestamp,
    ) -> Result<()>;

    /// As [`Store::put_rollout`], and skips every target that waits. Answers how many.
    ///
    /// # Errors
    /// As [`Store::put_rollout`].
    async fn skip_waiting(&self, rollout: Rollout, reason: String) -> Result<u64>;

    /// Writes what has become of targets, each only if it still is in the state that it comes from. Answers how
    /// many were. The rollout's version does not rise.
    ///
    /// # Errors
    /// `Invalid` if a terminal is given twice.
    async fn move_targets(&self, id: &RolloutId, moves: Vec<(TargetState, RolloutTarget)>) -> Result<u64>;

    /// A rollout with the counts of its targets, at one moment; `now` is what "lately" is measured from.
    async fn rollout_tally(&self, id: &RolloutId, now: Timestamp) -> Result<Option<(Rollout, Tally)>>;

    /// At most `limit` targets of a rollout in the order in which they are started, those behind the terminal
    /// `after` if it is given.
    async fn targets(
        &self,
        id: &RolloutId,
        filter: TargetFilter,
        after: Option<&TerminalId>,
        limit: u32,
    ) -> Result<Vec<RolloutTarget>>;

    /// The target that an operation belongs to.
    async fn target_of(&self, operation: OperationId) -> Result<Option<(RolloutId, RolloutTarget)>>;

    /// At most `limit` targets that may have become something else ([`tms_core::rollout::observe`]), in the order
    /// of [`Store::targets`]: those with an operation that has ended, and those whose soak is over, or all that
    /// soak.
    async fn watched(
        &self,
        id: &RolloutId,
        all_soaking: bool,
        after: Option<&TerminalId>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Watched>>;

    /// Takes a duty, which one node has at a time, until `until`, or keeps it; answers whether `holder` has it. One
    /// that somebody else has is free when its time is over, and when it lies further ahead than any holder asks
    /// for ([`crate::work::latest_end`]).
    async fn take_duty(&self, duty: &str, holder: &str, until: Timestamp, now: Timestamp) -> Result<bool>;

    /// Gives a duty back; nothing happens if it is not the holder's.
    async fn leave_duty(&self, duty: &str, holder: &str) -> Result<()>;

    /// The credential of a role.
    async fn credential(&self, tid: &TerminalId, role: &Role) -> Result<Option<Credential>>;

    /// Every credential of a terminal, in the order of the roles.
    async fn credentials(&self, tid: &TerminalId) -> Result<Vec<Credential>>;

    /// Moves a rotation on; repeating the phase it has changes nothing.
    ///
    /// # Errors
    /// `NotFound` if there is no such credential; `Conflict` if this generation is not pending or
    /// the phase would go back.
    async fn set_pending_phase(
        &self,
        tid: &TerminalId,
        role: &Role,
        generation: u32,
        phase: RotationPhase,
        now: Timestamp,
    ) -> Result<Credential>;

    /// Puts a verified generation into force and drops the previous one. Repeating it changes nothing.
    ///
    /// # Errors
    /// `NotFound` if there is no such credential; `Conflict` if this generation is not pending, or
    /// not verified: dropping the old one before the terminal proved the new one locks people out.
    async fn confirm_rotation(
        &self,
        tid: &TerminalId,
        role: &Role,
        generation: u32,
        now: Timestamp,
    ) -> Result<Credential>;

    /// Drops a generation that is pending and not verified, and cancels its operation if that is
    /// still open. Nothing happens if this generation is not pending.
    ///
    /// # Errors
    /// `NotFound` if there is no such credential; `Conflict` if the generation is verified.
    async fn abandon_rotation(
        &self,
        tid: &TerminalId,
        role: &Role,
        generation: u32,
        now: Timestamp,
    ) -> Result<Credential>;

    /// Adds a published package. Adding the same id again changes nothing.
    async fn add_firmware(&self, firmware: FirmwareRecord) -> Result<()>;

    /// One package.
    async fn firmware(&self, id: &FirmwareId) -> Result<Option<FirmwareRecord>>;

    /// Every package, newest first.
    async fn firmwares(&self) -> Result<Vec<FirmwareRecord>>;

    /// Adds a log that a terminal sent, or replaces the one of the same operation.
    ///
    /// # Errors
    /// `NotFound` if there is no such operation of this terminal.
    async fn add_log_bundle(&self, bundle: LogBundle) -> Result<()>;

    /// The logs of a terminal, newest first.
    async fn log_bundles(&self, tid: &TerminalId) -> Result<Vec<LogBundle>>;

    /// The log that an operation brought.
    async fn log_bundle(&self, operation: OperationId) -> Result<Option<LogBundle>>;

    /// Adds an alarm, unless one of the same terminal and sequence is there; answers whether it is new.
    /// Its `number` is given by the store. Of each terminal [`MAX_ALARMS_KEPT`] are kept, those with the
    /// highest sequences.
    ///
    /// # Errors
    /// `NotFound` if there is no such terminal.
    async fn add_alarm(&self, alarm: Alarm) -> Result<bool>;

    /// At most `limit` alarms, of one terminal or of all, newest first; those with numbers below `after`
    /// if it is given.
    async fn alarms(&self, tid: Option<&TerminalId>, after: Option<u64>, limit: u32) -> Result<Vec<Alarm>>;

    /// Puts a set that all terminals download, in place of the one before. Answers its revision, which
    /// rises by one unless the content is the same.
    ///
    /// # Errors
    /// `Stale` if the revision before is not the `expected` one, whatever the content; that of a set that
    /// does not exist is 0, and `None` expects nothing.
    async fn put_set(
        &self,
        name: SetName,
        content: String,
        expected: Option<u64>,
        now: Timestamp,
    ) -> Result<u64>;

    /// One set.
    async fn set(&self, name: SetName) -> Result<Option<EstateSet>>;

    /// Every set there is, in the order of their names.
    async fn sets(&self) -> Result<Vec<EstateSet>>;

    /// Keeps a small document about a terminal, in place of the one of the same name.
    ///
    /// # Errors
    /// `NotFound` if there is no such terminal.
    async fn put_document(&self, tid: &TerminalId, name: &str, content: String) -> Result<()>;

    /// A document about a terminal.
    async fn document(&self, tid: &TerminalId, name: &str) -> Result<Option<String>>;

    /// Sets somebody's password and role; a one-time password works once. The role holds for the tokens that
    /// this user has, too.
    async fn set_admin_password(
        &self,
        user: &str,
        role: UserRole,
        password_hash: &str,
        one_time: bool,
    ) -> Result<()>;

    /// Somebody's record.
    async fn admin(&self, user: &str) -> Result<Option<Admin>>;

    /// Uses up a one-time password: `true` for exactly one caller, `false` ever after, and `false`
    /// for a password that is not a one-time one.
    ///
    /// # Errors
    /// `NotFound` if there is no such user.
    async fn consume_one_time(&self, user: &str) -> Result<bool>;

    /// Adds a bearer token by the SHA-256 of its text (lower-case hexadecimal) and drops every token
    /// that is no longer valid.
    ///
    /// # Errors
    /// `NotFound` if there is no such user.
    async fn add_token(&self, sha256: &str, user: &str, expires_at: Timestamp, now: Timestamp) -> Result<()>;

    /// The token with this digest, if it is valid.
    async fn token(&self, sha256: &str, now: Timestamp) -> Result<Option<Token>>;

    /// Notes that `caller` has begun a request under a key of its own, which stands for one request only.
    /// What began before `since` is forgotten, as is everything else of that age.
    async fn begin_request(
        &self,
        caller: &str,
        key: &str,
        fingerprint: &str,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<Begun>;

    /// Keeps the answer of a request that [`Store::begin_request`] has noted.
    ///
    /// # Errors
    /// `NotFound` if it is not noted.
    async fn finish_request(&self, caller: &str, key: &str, answer: Vec<u8>) -> Result<()>;

    /// Forgets a request that came to nothing, so that its key can be used again. One that has an answer is
    /// kept; nothing happens if it is not noted.
    async fn forget_request(&self, caller: &str, key: &str) -> Result<()>;

    /// Whether the database can be read and written right now.
    async fn check(&self) -> Result<()>;

    /// Ends every queued write and closes the database. Calls made later fail with `Unavailable`.
    async fn close(&self);
}

/// The detail of an operation that one of this kind replaces when a change of desired state queues it.
#[must_use]
pub fn replacement_detail(kind: &OperationKind) -> String {
    match kind {
        OperationKind::SetParameters { revision } => {
            format!("replaced by parameter revision {revision}")
        }
        OperationKind::InstallFirmware { firmware } => format!("replaced by firmware {firmware}"),
        other => format!("replaced by a newer {}", other.name()),
    }
}

//! The one trait through which the server knows its durable state.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use tms_core::{
    Alarm, Credential, Delivery, DeliveryId, DeliveryState, EstateSet, FirmwareId, FirmwareRecord, LogBundle,
    NewOperation, Operation, OperationId, OperationKind, OperationState, Progress, Reported, Role,
    RotationPhase, SetName, Terminal, TerminalId, UserRole, Webhook, WebhookId,
};
#[cfg(doc)]
use tms_core::{alarm::MAX_ALARMS_KEPT, webhook::MAX_WEBHOOKS};

use crate::error::StoreError;

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
    ///
    /// # Errors
    /// `Conflict` if the terminal, or another one with its certificate, exists.
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
    /// `NotFound` if there is no such terminal; `Outdated` if the revision is not the expected one; `Conflict`
    /// if the ticket was used before.
    async fn set_desired_parameters(
        &self,
        tid: &TerminalId,
        change: ParameterChange,
        ticket: Ticket,
        now: Timestamp,
    ) -> Result<(u64, Operation)>;

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
    /// the next number never given out before, and the operation that carries it is queued.
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

    /// Leases the oldest open operation of a terminal that is not expired and that nobody holds (or
    /// whose lease ended), and counts an attempt; those that cancel others come first. `None` if there
    /// is none.
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
    /// `Outdated` if the revision before is not the `expected` one, whatever the content; that of a set that
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

    /// Adds a webhook.
    ///
    /// # Errors
    /// `Conflict` if its id was used before or there are [`MAX_WEBHOOKS`].
    async fn add_webhook(&self, webhook: Webhook) -> Result<()>;

    /// Puts address, kinds and whether it is enabled of a webhook in place of those before.
    ///
    /// # Errors
    /// `NotFound` if there is no such webhook.
    async fn change_webhook(
        &self,
        id: WebhookId,
        url: String,
        kinds: Vec<String>,
        enabled: bool,
    ) -> Result<Webhook>;

    /// Takes a webhook away with all its deliveries.
    ///
    /// # Errors
    /// `NotFound` if there is no such webhook.
    async fn remove_webhook(&self, id: WebhookId) -> Result<()>;

    /// One webhook.
    async fn webhook(&self, id: WebhookId) -> Result<Option<Webhook>>;

    /// Every webhook, in the order of their ids.
    async fn webhooks(&self) -> Result<Vec<Webhook>>;

    /// Adds deliveries. Those of webhooks that are gone are passed over.
    async fn add_deliveries(&self, deliveries: Vec<Delivery>) -> Result<()>;

    /// At most `limit` pending deliveries whose time has come, of webhooks that are enabled, the earliest
    /// first.
    async fn due_deliveries(&self, now: Timestamp, limit: u32) -> Result<Vec<Delivery>>;

    /// Notes what came of an attempt: the state from now on, and when it was or is to be tried.
    ///
    /// # Errors
    /// `NotFound` if there is no such delivery.
    async fn record_attempt(
        &self,
        id: DeliveryId,
        state: DeliveryState,
        due_at: Timestamp,
        detail: Option<String>,
    ) -> Result<()>;

    /// Has a delivery tried again from the start, whatever became of it.
    ///
    /// # Errors
    /// `NotFound` if this webhook has no such delivery.
    async fn replay_delivery(&self, webhook: WebhookId, id: DeliveryId, now: Timestamp) -> Result<Delivery>;

    /// At most `limit` deliveries of a webhook, newest first, those before `after` if it is given.
    async fn deliveries(
        &self,
        webhook: WebhookId,
        after: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Vec<Delivery>>;

    /// Forgets deliveries that were made before `before` and are not pending. Answers how many.
    async fn forget_deliveries(&self, before: Timestamp) -> Result<u64>;

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

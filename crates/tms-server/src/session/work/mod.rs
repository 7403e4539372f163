//! The one operation that a session carries out at a time: leased from the store, offered to the
//! terminal (pushed, or announced for the terminal to ask), and moved on by its results.

mod command;
mod ending;
mod keys;
mod parameters;
mod plan;
mod results;
mod rotation;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use tms_core::{FirmwareId, Operation, OperationKind, OperationState, Outcome, TerminalId};
use tms_proto::{PendingWork, task::Task};
use tracing::info;

use super::{Ended, Session};
use crate::session::images::image_file;

use command::Told;
use ending::Tried;
use rotation::Rotation;

/// How long a session without work waits before it asks the store again. A wake-up is faster, but
/// may come while the store fails, or while another session still holds the operation.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(60);
/// How much longer than an answer a lease lasts.
const LEASE_MARGIN: SignedDuration = SignedDuration::from_secs(30);

/// Reports that may have been on their way when a terminal was given its parameters: one of each kind.
/// What they tell is from before.
const REPORTS_UNDER_WAY: u32 = 2;

/// The operation in hand.
#[derive(Debug)]
pub(crate) struct Work {
    pub(super) operation: Operation,
    stage: Stage,
    /// Whether the terminal has said, to this session, that it works on it.
    pub(super) is_taken: bool,
    /// When the terminal's silence counts as a failed attempt; `None` until the terminal has the task.
    deadline: Option<Timestamp>,
    lease_end: Timestamp,
}

#[derive(Debug)]
enum Stage {
    /// The terminal fetches its parameters, or is pushed them.
    Parameters {
        /// What the terminal has been given, so that a report tells the outcome.
        delivered: Option<Delivered>,
        /// Whether only the whole set will do: the terminal does not have what the host last gave it.
        whole: bool,
        /// Whether the revision was raised above the terminal's, which is done once.
        raised: bool,
    },
    /// One task.
    Task(Box<Told>),
    /// A rotation, step by step.
    Rotation(Box<Rotation>),
    /// New working keys.
    Keys(Exchanged),
}

/// How far an exchange of keys has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::session) enum Exchanged {
    /// No keys have been sent for it.
    Wanted,
    /// Keys that were sent before it was ordered are still open: they have to be settled first.
    Earlier,
    /// Keys that were made for it are on their way.
    Sent,
    /// The terminal has them: only that is not durable yet.
    Given,
}

/// Parameters that the terminal fetched.
#[derive(Debug, Clone, Copy)]
struct Delivered {
    revision: u64,
    /// Reports of other values since then.
    disagreeing: u32,
}

/// Why an operation cannot even begin.
#[derive(Debug, thiserror::Error)]
enum Impossible {
    #[error(transparent)]
    Store(#[from] tms_store::StoreError),
    #[error("{0}")]
    Reason(String),
    /// Its effect is there already: only its last state was not written.
    #[error("already done")]
    Done,
}

impl Work {
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }

    pub(super) fn task(&self, now: Timestamp) -> Option<Task> {
        match &self.stage {
            Stage::Parameters { .. } | Stage::Keys(_) => None,
            Stage::Task(told) => Some(command::brought_up_to(told.task.clone(), now)),
            Stage::Rotation(r) => r.machine.task(&r.sealed, r.challenge),
        }
    }

    /// Whether the terminal may read a package because of this operation.
    fn installs(&self, package: &FirmwareId) -> bool {
        self.operation.kind.installs(package)
    }

    /// The firmware package whose installation this operation is.
    pub(super) fn firmware(&self) -> Option<&FirmwareId> {
        match &self.operation.kind {
            OperationKind::InstallFirmware { firmware } => Some(firmware),
            _ => None,
        }
    }

    /// A file that is made for this operation alone.
    pub(super) fn file(&self, name: &str) -> Option<&Bytes> {
        match &self.stage {
            Stage::Task(told) => told.file.as_ref().filter(|(file, _)| file == name).map(|(_, bytes)| bytes),
            Stage::Parameters { .. } | Stage::Rotation(_) | Stage::Keys(_) => None,
        }
    }

    fn pending(&self) -> Option<PendingWork> {
        // What the terminal has taken and works on is not announced again.
        if self.is_taken {
            return None;
        }
        match &self.stage {
            Stage::Parameters { delivered: Some(_), .. } => None,
            Stage::Parameters { delivered: None, .. } => Some(PendingWork::Parameters),
            Stage::Task(_) | Stage::Rotation(_) => Some(PendingWork::Task),
            // A terminal that signs on again is given new ones.
            Stage::Keys(exchanged) => (*exchanged != Exchanged::Given).then_some(PendingWork::SignOn),
        }
    }
}

impl Session {
    /// Takes up the next operation if none is in hand, and offers it.
    pub(super) async fn look_for_work(&mut self) -> Result<(), Ended> {
        let Some(terminal) = self.terminal.clone() else { return Ok(()) };
        self.look_due = self.app.now().saturating_add(LOOK_AGAIN).unwrap_or(Timestamp::MAX);
        self.give_leases_back().await;
        self.app.release_what_was_kept().await;
        while self.work.is_none() && (self.protocol.is_signed_on() || !self.protocol.profile().pushes()) {
            let now = self.app.now();
            let lease_end = self.lease_end(now);
            let leased = self.app.store.lease_next(&terminal, &self.holder, lease_end, now).await;
            let Some(operation) = self.or_log(leased).flatten() else { break };
            match self.stage(&terminal, &operation).await {
                Ok(stage) => {
                    // What an earlier session was told to be under way this one tells again: else it would
                    // wait for a result that may have been taken already.
                    self.work = Some(Work { operation, stage, is_taken: false, deadline: None, lease_end });
                    self.offer().await?;
                }
                Err(Impossible::Store(error)) => {
                    self.store_failed(&error);
                    self.release(operation.id).await;
                    break;
                }
                Err(Impossible::Reason(reason)) => {
                    let outcome = Outcome::HostFailed;
                    let failed = match self.again_at(&operation, outcome).await {
                        Ok((_, again_at)) => self.fail(&operation, outcome, reason, again_at).await,
                        Err(error) => Err(error),
                    };
                    if self.or_log(failed).is_none() {
                        self.release(operation.id).await;
                        break;
                    }
                }
                Err(Impossible::Done) => {
                    let done = self.app.transition(operation.id, OperationState::Done, None, now).await;
                    if self.or_log(done).is_none() {
                        self.release(operation.id).await;
                        break;
                    }
                    self.count_end(OperationState::Done);
                }
            }
        }
        self.look_for_sets(&terminal).await;
        self.announce();
        Ok(())
    }

    /// Something changed for the terminal: work in hand that ended meanwhile, for example cancelled
    /// in favour of a newer operation, makes room for what is next.
    pub(super) async fn take_wake_up(&mut self) -> Result<(), Ended> {
        if let Some(id) = self.work.as_ref().map(|w| w.operation.id) {
            let stored = self.app.store.operation(id).await;
            if self.or_log(stored).flatten().is_some_and(|operation| !operation.is_open()) {
                info!(operation = %id, "operation ended meanwhile");
                if let Some(Work { stage: Stage::Rotation(rotation), operation, .. }) = self.work.take() {
                    self.tell_of_abandonment(&operation.terminal, *rotation).await;
                }
            }
        }
        self.look_for_work().await
    }

    /// Says in every reply what waits.
    pub(super) fn announce(&mut self) {
        // What is pushed is not announced too: a terminal that may ask would do it twice.
        let asked_for = !self.protocol.profile().pushes();
        let work = self.work.as_ref().filter(|_| asked_for).and_then(Work::pending);
        let pending = work.or_else(|| self.pending_set());
        self.protocol.set_pending(pending);
    }

    /// Notes that the terminal fetched its parameters.
    pub(super) async fn parameters_fetched(&mut self, revision: u64) {
        if let Some(Work { stage: Stage::Parameters { delivered, .. }, .. }) = &mut self.work {
            *delivered = Some(Delivered { revision, disagreeing: 0 });
            self.work_fetched().await;
        }
    }

    /// Notes that the terminal fetched its task.
    pub(super) async fn work_fetched(&mut self) {
        let deadline = self.answer_deadline();
        let Some(work) = &mut self.work else { return };
        work.deadline = Some(deadline);
        if work.operation.state == OperationState::Queued {
            // If this write fails the deadline offers it again.
            let _ = self.move_to(OperationState::Sent, None).await;
        }
        self.announce();
    }

    /// Whether the operation in hand is a change of parameters.
    pub(super) fn is_setting_parameters(&self) -> bool {
        matches!(&self.work, Some(Work { stage: Stage::Parameters { .. }, .. }))
    }

    /// Extends the time that a long operation has, because it visibly goes on.
    pub(super) fn work_goes_on(&mut self) {
        let is_taken = self.work.as_ref().is_some_and(|work| work.is_taken);
        let deadline = if is_taken { self.result_deadline() } else { self.answer_deadline() };
        if let Some(work) = &mut self.work {
            work.deadline = Some(deadline);
        }
    }

    /// Notes that the terminal has the task in its journal, durably: its result may take a while.
    pub(super) async fn work_taken(&mut self) -> Result<(), tms_proto::Refusal> {
        self.move_to(OperationState::Accepted, None).await?;
        if let Some(work) = &mut self.work {
            work.is_taken = true;
        }
        self.work_goes_on();
        Ok(())
    }

    /// Renews the lease of the work in hand before it ends; work whose lease was lost is dropped.
    pub(super) async fn keep_lease(&mut self) {
        let now = self.app.now();
        let renewed = self.lease_end(now);
        let Some(work) = &self.work else { return };
        let length = renewed.duration_since(now);
        if work.lease_end.duration_since(now) > length.checked_div(2).unwrap_or(length) {
            return;
        }
        match self.app.store.extend_lease(work.operation.id, &self.holder, renewed).await {
            Ok(()) => {
                if let Some(work) = &mut self.work {
                    work.lease_end = renewed;
                }
            }
            Err(tms_store::StoreError::Conflict { .. } | tms_store::StoreError::NotFound { .. }) => {
                info!(terminal = self.name(), "lease lost; another session has the operation");
                self.work = None;
            }
            Err(error) => self.store_failed(&error),
        }
    }

    /// Offers the work again, or gives it up, when the terminal stayed silent.
    pub(super) async fn work_timeout(&mut self, now: Timestamp) -> Result<(), Ended> {
        if self.work.as_ref().and_then(Work::deadline).is_some_and(|at| at <= now) {
            if matches!(&self.work, Some(Work { stage: Stage::Keys(Exchanged::Given), .. })) {
                self.keys_in_force().await;
            } else {
                let reason = "the terminal did not answer in time".to_owned();
                // A store that fails is asked again when the work is due next.
                let _ = self.attempt_failed(Outcome::Silent, reason).await;
            }
            self.look_for_work().await?;
        }
        Ok(())
    }

    /// At the end of a session: what was told may be told again by the next one.
    pub(super) async fn put_work_back(&mut self) -> tms_store::Result<()> {
        // What the terminal has begun stays so: it goes on even when its window has closed meanwhile.
        if let Some(work) = self.work.take().filter(|w| w.operation.state == OperationState::Sent) {
            let (id, now) = (work.operation.id, self.app.now());
            let policy = self.retry_policy(&work.operation.terms);
            let put_back = match work.stage {
                Stage::Task(_) if !policy.retryable.contains(&Outcome::Broken) => {
                    let reason = Some("the connection ended before the terminal answered".to_owned());
                    self.app.end_attempt(id, Outcome::Broken, reason, None, now).await
                }
                _ => self.app.transition(id, OperationState::Queued, None, now).await,
            };
            match put_back {
                // Ended meanwhile, for example cancelled: nothing to put back.
                Ok(_) | Err(tms_store::StoreError::IllegalTransition { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.app.store.release_leases(&self.holder).await?;
        Ok(())
    }

    async fn stage(&self, terminal: &TerminalId, operation: &Operation) -> Result<Stage, Impossible> {
        Ok(match &operation.kind {
            OperationKind::SetParameters { .. } => {
                Stage::Parameters { delivered: None, whole: false, raised: false }
            }
            OperationKind::RotateCredential { role, generation } => {
                Stage::Rotation(Box::new(self.rotation(terminal, operation, role, *generation).await?))
            }
            OperationKind::ExchangeKeys => Stage::Keys(Exchanged::Wanted),
            _ => {
                let step = match operation.attempts {
                    0 | 1 => 1,
                    _ => Tried::of(&self.app.store.attempts(operation.id).await?).step,
                };
                Stage::Task(Box::new(command::told(&self.app, operation, step).await?))
            }
        })
    }

    /// Sends the work where the host may speak first.
    pub(in crate::session) async fn offer(&mut self) -> Result<(), Ended> {
        if !self.protocol.profile().pushes() {
            return Ok(());
        }
        let now = self.app.now();
        let deadline = self.answer_deadline();
        let Some(work) = &mut self.work else { return Ok(()) };
        work.deadline = Some(deadline);
        if !self.protocol.can_push() {
            // Too much is unanswered, or there is no MAC key yet: the deadline offers it again.
            return Ok(());
        }
        match work.task(now) {
            Some(task) => self.protocol.push_command(task, now)?,
            None if matches!(work.stage, Stage::Keys(_)) => self.push_keys(now).await?,
            None => {
                let whole = matches!(work.stage, Stage::Parameters { whole: true, .. });
                let (id, terminal) = (*work.operation.id.as_uuid(), work.operation.terminal.clone());
                let Some(push) = self.parameter_push(id, &terminal, whole).await else { return Ok(()) };
                self.protocol.push_parameters(push, now)?;
            }
        }
        if self.work.as_ref().is_some_and(|w| w.operation.state == OperationState::Queued) {
            // If this write fails the deadline offers it again.
            let _ = self.move_to(OperationState::Sent, None).await;
        }
        Ok(())
    }

    /// Until when the terminal has to say something to what it was offered.
    fn answer_deadline(&self) -> Timestamp {
        self.seconds_from_now(self.app.limits.operation_timeout_s)
    }

    /// Until when the terminal has to say what has become of a task that it has taken.
    fn result_deadline(&self) -> Timestamp {
        self.seconds_from_now(self.app.limits.operation_result_timeout_s)
    }

    fn seconds_from_now(&self, seconds: u64) -> Timestamp {
        let wait = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
        self.app.now().saturating_add(wait).unwrap_or(Timestamp::MAX)
    }

    /// A lease outlives every deadline of the session that holds it: it ends with the session, or
    /// by itself when the node died.
    fn lease_end(&self, now: Timestamp) -> Timestamp {
        let idle = i64::try_from(self.app.limits.idle_timeout_s).unwrap_or(i64::MAX);
        now.saturating_add(SignedDuration::from_secs(idle).saturating_add(LEASE_MARGIN))
            .unwrap_or(Timestamp::MAX)
    }
}

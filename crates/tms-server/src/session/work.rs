//! The one operation that a session carries out at a time: leased from the store, offered to the
//! terminal (pushed, or announced for the terminal to ask), and moved on by its results.

use jiff::{SignedDuration, Timestamp};
use tms_core::{Operation, OperationKind, OperationState, Reported, Role, RotationPhase, TerminalId};
use tms_crypto::{random_bytes, seal, verifier::Verifier};
use tms_proto::{
    PendingWork, Refusal,
    parameters::Push,
    rotation::{self, HostPhase, HostRotation, RotationError},
    task::{Command, Outcome, Task, TaskResult},
};
use tracing::{info, warn};

use super::{Ended, Session};
use crate::{secret::CredentialSecret, session::images::image_file};

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
    },
    /// One task.
    Task(Task),
    /// A rotation, step by step.
    Rotation(Box<Rotation>),
}

/// Parameters that the terminal fetched.
#[derive(Debug, Clone, Copy)]
struct Delivered {
    revision: u64,
    /// Reports of other values since then.
    disagreeing: u32,
}

#[derive(Debug)]
struct Rotation {
    machine: HostRotation,
    role: Role,
    generation: u32,
    verifier: Verifier,
    sealed: Vec<u8>,
    challenge: [u8; 16],
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

    pub(super) fn task(&self) -> Option<Task> {
        match &self.stage {
            Stage::Parameters { .. } => None,
            Stage::Task(task) => Some(task.clone()),
            Stage::Rotation(r) => r.machine.task(&r.sealed, r.challenge),
        }
    }

    /// The firmware package that the terminal may read because of this operation.
    pub(super) fn firmware(&self) -> Option<&tms_core::FirmwareId> {
        match &self.operation.kind {
            OperationKind::InstallFirmware { firmware } => Some(firmware),
            _ => None,
        }
    }

    fn pending(&self) -> Option<PendingWork> {
        // What the terminal has taken and works on is not announced again.
        if self.operation.state == OperationState::Accepted {
            return None;
        }
        match &self.stage {
            Stage::Parameters { delivered: Some(_) } => None,
            Stage::Parameters { delivered: None } => Some(PendingWork::Parameters),
            Stage::Task(_) | Stage::Rotation(_) => Some(PendingWork::Task),
        }
    }
}

impl Session {
    /// Takes up the next operation if none is in hand, and offers it.
    pub(super) async fn look_for_work(&mut self) -> Result<(), Ended> {
        let Some(terminal) = self.terminal.clone() else { return Ok(()) };
        self.look_due = self.app.now().saturating_add(LOOK_AGAIN).unwrap_or(Timestamp::MAX);
        while self.work.is_none() && (self.protocol.is_signed_on() || !self.protocol.profile().pushes()) {
            let now = self.app.now();
            let lease_end = self.lease_end(now);
            let leased = self.app.store.lease_next(&terminal, &self.holder, lease_end, now).await;
            let Some(operation) = self.or_log(leased).flatten() else { break };
            match self.stage(&terminal, &operation).await {
                Ok(stage) => {
                    self.work = Some(Work { operation, stage, deadline: None, lease_end });
                    self.offer().await?;
                }
                Err(Impossible::Store(error)) => {
                    self.store_failed(&error);
                    let released = self.app.store.release_lease(operation.id, &self.holder).await;
                    self.or_log(released);
                    break;
                }
                Err(Impossible::Reason(reason)) => self.fail(&operation, reason).await,
                Err(Impossible::Done) => {
                    let done = self.app.store.transition(operation.id, OperationState::Done, None, now).await;
                    if self.or_log(done).is_none() {
                        break;
                    }
                    self.count_end(OperationState::Done);
                }
            }
        }
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
                self.work = None;
            }
        }
        self.look_for_work().await
    }

    /// Says in every reply what waits.
    pub(super) fn announce(&mut self) {
        let pending = self.work.as_ref().and_then(Work::pending);
        self.protocol.set_pending(pending);
    }

    /// Notes that the terminal fetched its parameters.
    pub(super) async fn parameters_fetched(&mut self, revision: u64) {
        if let Some(Work { stage: Stage::Parameters { delivered }, .. }) = &mut self.work {
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
        let deadline = self.answer_deadline();
        if let Some(work) = &mut self.work {
            work.deadline = Some(deadline);
        }
    }

    /// After a report: a delivered change of parameters ends when the terminal reports the values.
    /// `desired` is the revision that is wanted now.
    pub(super) async fn parameters_reported(&mut self, agree: bool, desired: u64) -> Result<(), Ended> {
        if let Some(Work { stage: Stage::Parameters { delivered: Some(delivered) }, .. }) = &mut self.work {
            let Delivered { revision, disagreeing } = *delivered;
            if agree {
                self.parameters_in_force(revision).await;
            } else if revision == desired && disagreeing < REPORTS_UNDER_WAY {
                delivered.disagreeing = disagreeing.saturating_add(1);
            } else {
                self.try_again("the terminal reports other values").await;
            }
        }
        self.look_for_work().await
    }

    /// Ends a change of parameters. What a terminal cannot report is known by the revision.
    async fn parameters_in_force(&mut self, revision: u64) {
        let Some(terminal) = self.terminal.clone() else { return };
        let known = Reported { parameters_revision: Some(revision), ..Reported::default() };
        let recorded = self.app.store.record_report(&terminal, known, self.app.now()).await;
        if self.or_log(recorded).is_some() {
            let _ = self.finish(OperationState::Done, None).await;
        }
    }

    /// The terminal answered a pushed command.
    pub(super) async fn command_answered(
        &mut self,
        task: &Task,
        refusal: Option<Refusal>,
    ) -> Result<(), Ended> {
        let current = self.work.as_ref().and_then(Work::task);
        let same = current.is_some_and(|c| c.operation == task.operation && c.step == task.step);
        match refusal {
            None if same => drop(self.move_to(OperationState::Accepted, None).await),
            Some(refusal) if same && !refusal.may_retry() => {
                let _ = self.give_up(format!("the terminal refused the command: {refusal}")).await;
            }
            // Busy: the deadline offers it again. Another task's answer: its result tells.
            _ => {}
        }
        self.look_for_work().await
    }

    /// The terminal answered pushed parameters: they are in force, or refused.
    pub(super) async fn push_answered(&mut self, push: &Push, refusal: Option<Refusal>) -> Result<(), Ended> {
        let current = self.work.as_ref().map(|w| *w.operation.id.as_uuid());
        if current == Some(push.operation) {
            match refusal {
                None => self.parameters_in_force(push.revision).await,
                Some(refusal) if refusal.may_retry() => {}
                Some(refusal) => {
                    let _ = self.give_up(format!("the terminal refused the parameters: {refusal}")).await;
                }
            }
        }
        self.look_for_work().await
    }

    /// Takes a result. `Ok` is what to answer once everything is durable.
    pub(super) async fn take_result(
        &mut self,
        terminal: &TerminalId,
        result: &TaskResult,
    ) -> Result<(), Refusal> {
        let id = tms_core::OperationId::from_uuid(result.operation);
        let in_hand = self.work.as_ref().is_some_and(|w| w.operation.id == id);
        if !in_hand {
            return self.take_late_result(terminal, id, result).await;
        }
        if result.outcome == Outcome::ACCEPTED {
            self.move_to(OperationState::Accepted, None).await?;
            self.work_goes_on();
            return Ok(());
        }
        if matches!(&self.work, Some(Work { stage: Stage::Rotation(_), .. })) {
            return self.take_rotation_result(terminal, result).await;
        }
        if result.outcome.is_done() {
            self.finish(OperationState::Done, some_text(&result.reason)).await
        } else {
            self.give_up(sentence(result)).await
        }
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
            self.try_again("the terminal did not answer in time").await;
            self.look_for_work().await?;
        }
        Ok(())
    }

    /// At the end of a session: what was told may be told again by the next one.
    pub(super) async fn put_work_back(&mut self) -> tms_store::Result<()> {
        if let Some(work) = self.work.take().filter(|w| w.operation.state != OperationState::Queued) {
            let queued = OperationState::Queued;
            match self.app.store.transition(work.operation.id, queued, None, self.app.now()).await {
                // Ended meanwhile, for example cancelled: nothing to put back.
                Ok(_) | Err(tms_store::StoreError::IllegalTransition { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.app.store.release_leases(&self.holder).await?;
        Ok(())
    }

    async fn stage(&self, terminal: &TerminalId, operation: &Operation) -> Result<Stage, Impossible> {
        let task = |command| Stage::Task(Task { operation: *operation.id.as_uuid(), step: 1, command });
        Ok(match &operation.kind {
            OperationKind::SetParameters { .. } => Stage::Parameters { delivered: None },
            OperationKind::Reboot => task(Command::Reboot),
            OperationKind::CollectLogs { max_bytes } => {
                task(Command::CollectLogs { max_bytes: (*max_bytes).min(self.app.limits.log_bundle_bytes) })
            }
            OperationKind::InstallFirmware { firmware } => {
                let record = self.app.store.firmware(firmware).await?;
                let record =
                    record.ok_or_else(|| Impossible::Reason(format!("package {firmware} is gone")))?;
                let mut sha256 = [0; 32];
                hex::decode_to_slice(&record.sha256, &mut sha256)
                    .map_err(|_| Impossible::Reason(format!("package {firmware} has a damaged hash")))?;
                task(Command::InstallFirmware {
                    file: image_file(firmware),
                    size_bytes: record.size_bytes,
                    sha256,
                })
            }
            OperationKind::RotateCredential { role, generation } => {
                Stage::Rotation(Box::new(self.rotation(terminal, operation, role, *generation).await?))
            }
        })
    }

    async fn rotation(
        &self,
        terminal: &TerminalId,
        operation: &Operation,
        role: &Role,
        generation: u32,
    ) -> Result<Rotation, Impossible> {
        let impossible = |reason: String| Impossible::Reason(reason);
        let credential = self.app.store.credential(terminal, role).await?;
        let base = credential.as_ref().and_then(|c| c.current.as_ref()).map_or(0, |c| c.generation);
        if base == generation {
            return Err(Impossible::Done);
        }
        let pending =
            credential.and_then(|c| c.pending).filter(|p| p.generation == generation).ok_or_else(|| {
                impossible(format!("generation {generation} of role {role} is not pending any more"))
            })?;
        let secret = CredentialSecret::unseal(&self.app.vault, terminal, role, &pending.sealed)
            .map_err(|e| impossible(format!("the new credential cannot be opened: {e}")))?;
        let record = self.stored_terminal(terminal).await?;
        let key = record.map(|t| t.sealing_public_key).unwrap_or_default();
        let id = *operation.id.as_uuid();
        let context = rotation::context(id, terminal.as_str(), role.as_str(), generation);
        let verifier = secret.verifier();
        let sealed = seal::seal_to(&key, rotation::SEAL_INFO, &context, &verifier.to_bytes())
            .map_err(|e| impossible(format!("the credential cannot be sealed to the terminal's key: {e}")))?;
        let phase = match pending.phase {
            RotationPhase::Prepared => HostPhase::Preparing,
            RotationPhase::Committed => HostPhase::Committed,
            RotationPhase::Verified => HostPhase::Verified,
        };
        Ok(Rotation {
            machine: HostRotation::new(id, terminal.as_str(), role.as_str(), base, generation, phase),
            role: role.clone(),
            generation,
            verifier,
            sealed,
            challenge: random_bytes(),
        })
    }

    /// Sends the work where the host may speak first.
    async fn offer(&mut self) -> Result<(), Ended> {
        if !self.protocol.profile().pushes() {
            return Ok(());
        }
        let now = self.app.now();
        let deadline = self.answer_deadline();
        let Some(work) = &mut self.work else { return Ok(()) };
        work.deadline = Some(deadline);
        if !self.protocol.can_push() {
            // Too much is unanswered: the deadline offers it again.
            return Ok(());
        }
        match work.task() {
            Some(task) => self.protocol.push_command(task, now)?,
            None => {
                let (id, terminal) = (*work.operation.id.as_uuid(), work.operation.terminal.clone());
                let stored = self.app.store.terminal(&terminal).await;
                let Some(desired) = self.or_log(stored).flatten().map(|t| t.desired) else { return Ok(()) };
                let (revision, values) = (desired.parameters_revision, desired.parameters);
                let push = Push { operation: id, revision, values };
                self.protocol.push_parameters(push, now)?;
            }
        }
        if self.work.as_ref().is_some_and(|w| w.operation.state == OperationState::Queued) {
            // If this write fails the deadline offers it again.
            let _ = self.move_to(OperationState::Sent, None).await;
        }
        Ok(())
    }

    /// A result of an operation that this session does not hold: from before a break, or repeated.
    async fn take_late_result(
        &mut self,
        terminal: &TerminalId,
        id: tms_core::OperationId,
        result: &TaskResult,
    ) -> Result<(), Refusal> {
        let stored = self.app.store.operation(id).await.map_err(|e| self.store_refusal(&e))?;
        let operation = stored.filter(|o| o.terminal == *terminal).ok_or(Refusal::NotFound)?;
        if !operation.is_open() || result.outcome == Outcome::ACCEPTED {
            return Ok(());
        }
        if matches!(operation.kind, OperationKind::RotateCredential { .. }) {
            // Its turn comes in this session; the step is then asked again and answered again.
            return Ok(());
        }
        let (to, detail) = match result.outcome.is_done() {
            true => (OperationState::Done, some_text(&result.reason)),
            false => (OperationState::Failed, Some(sentence(result))),
        };
        self.app
            .store
            .transition(id, to, detail, self.app.now())
            .await
            .map_err(|e| self.store_refusal(&e))?;
        self.count_end(to);
        Ok(())
    }

    async fn take_rotation_result(
        &mut self,
        terminal: &TerminalId,
        result: &TaskResult,
    ) -> Result<(), Refusal> {
        let Some(Work { stage: Stage::Rotation(rotation), .. }) = &mut self.work else { return Ok(()) };
        let (role, generation) = (rotation.role.clone(), rotation.generation);
        // The step counts when it is durable: until then the machine in hand stays where it is.
        let mut machine = rotation.machine.clone();
        let phase = match machine.on_result(result, &rotation.verifier, &rotation.challenge) {
            Ok(phase) => phase,
            Err(RotationError::OutOfStep { .. }) => return Ok(()),
            Err(error) => {
                let abandoned = machine.abandon();
                self.give_up(error.to_string()).await?;
                if let Some(task) = abandoned.filter(|_| self.protocol.can_push()) {
                    // Best effort: a terminal that keeps an abandoned generation replaces it next time.
                    let _ = self.protocol.push_command(task, self.app.now());
                }
                return Ok(());
            }
        };
        let (store, now) = (&self.app.store, self.app.now());
        let durable = match phase {
            HostPhase::Committed => store
                .set_pending_phase(terminal, &role, generation, RotationPhase::Committed, now)
                .await
                .map(drop),
            HostPhase::Verified => store
                .set_pending_phase(terminal, &role, generation, RotationPhase::Verified, now)
                .await
                .map(drop),
            HostPhase::Confirmed => store.confirm_rotation(terminal, &role, generation, now).await.map(drop),
            HostPhase::Preparing | HostPhase::Prepared | HostPhase::Abandoned => Ok(()),
        };
        durable.map_err(|e| self.store_refusal(&e))?;
        if let Some(Work { stage: Stage::Rotation(rotation), .. }) = &mut self.work {
            rotation.machine = machine;
            rotation.challenge = random_bytes();
        }
        if phase == HostPhase::Confirmed {
            // Proved, so known: no need to wait for the next report.
            let credentials = [(role.clone(), generation)].into();
            let known = Reported { credentials, ..Reported::default() };
            let recorded = self.app.store.record_report(terminal, known, now).await;
            self.or_log(recorded);
            self.app.counters.credentials_rotated.increment();
            info!(
                terminal = terminal.as_str(),
                role = role.as_str(),
                generation,
                "credential rotated and verified"
            );
            return self.finish(OperationState::Done, None).await;
        }
        // The next step is a new thing to fetch.
        self.move_to(OperationState::Queued, None).await?;
        if let Some(work) = &mut self.work {
            work.deadline = None;
        }
        self.offer().await.map_err(|_| Refusal::SystemError)
    }

    async fn abandon_rotation(
        &mut self,
        terminal: &TerminalId,
        role: &Role,
        generation: u32,
        reason: String,
    ) -> Result<(), Refusal> {
        let now = self.app.now();
        if let Some(work) = self.work.take() {
            self.fail(&work.operation, reason).await;
        }
        self.app
            .store
            .abandon_rotation(terminal, role, generation, now)
            .await
            .map_err(|e| self.store_refusal(&e))?;
        Ok(())
    }

    /// Ends the work in hand as failed; a pending credential is given up with it.
    async fn give_up(&mut self, reason: String) -> Result<(), Refusal> {
        let rotation = match &self.work {
            Some(Work { stage: Stage::Rotation(r), operation, .. }) => {
                Some((operation.terminal.clone(), r.role.clone(), r.generation, r.machine.phase()))
            }
            _ => None,
        };
        match rotation {
            // Proved is in force: only the terminal's forgetting of the old one is missing, and
            // the next rotation makes up for that.
            Some((terminal, role, generation, HostPhase::Verified)) => {
                let confirmed = self.app.store.confirm_rotation(&terminal, &role, generation, self.app.now());
                confirmed.await.map_err(|e| self.store_refusal(&e))?;
                self.finish(OperationState::Failed, Some(reason)).await
            }
            Some((terminal, role, generation, _)) => {
                self.abandon_rotation(&terminal, &role, generation, reason).await
            }
            None => self.finish(OperationState::Failed, Some(reason)).await,
        }
    }

    /// Lets the next attempt begin. Breaks of the connection do not count here: they say nothing
    /// about the operation, and its expiry bounds them.
    async fn try_again(&mut self, reason: &str) {
        let Some(work) = &self.work else { return };
        let id = work.operation.id;
        let tries = match self.silences {
            Some((silent, tries)) if silent == id => tries.saturating_add(1),
            _ => 1,
        };
        self.silences = Some((id, tries));
        if tries >= self.app.limits.operation_attempts {
            let deadline = self.answer_deadline();
            if self.give_up(format!("{reason}, {tries} times")).await.is_err()
                && let Some(work) = &mut self.work
            {
                // The store failed. What is past due would be tried again at once, and again.
                work.deadline = Some(deadline);
            }
            return;
        }
        self.work = None;
        let now = self.app.now();
        let moved = self.app.store.transition(id, OperationState::Queued, Some(reason.to_owned()), now).await;
        self.or_log(moved);
        let released = self.app.store.release_lease(id, &self.holder).await;
        self.or_log(released);
    }

    async fn finish(&mut self, to: OperationState, detail: Option<String>) -> Result<(), Refusal> {
        self.move_to(to, detail).await?;
        if self.work.take_if(|w| w.operation.state == to).is_some() {
            self.count_end(to);
        }
        Ok(())
    }

    async fn fail(&mut self, operation: &Operation, reason: String) {
        warn!(terminal = operation.terminal.as_str(), operation = %operation.id, reason, "operation failed");
        let failed = OperationState::Failed;
        let moved = self.app.store.transition(operation.id, failed, Some(reason), self.app.now()).await;
        if self.or_log(moved).is_some() {
            self.count_end(failed);
        }
    }

    /// Moves the work in hand on, durably. If the store says that it ended otherwise, it is dropped.
    async fn move_to(&mut self, to: OperationState, detail: Option<String>) -> Result<(), Refusal> {
        let Some(work) = &self.work else { return Ok(()) };
        let id = work.operation.id;
        match self.app.store.transition(id, to, detail, self.app.now()).await {
            Ok(operation) => {
                if let Some(work) = &mut self.work {
                    work.operation = operation;
                }
            }
            Err(tms_store::StoreError::IllegalTransition { .. }) => {
                info!(operation = %id, "operation ended meanwhile");
                self.work = None;
            }
            Err(error) => return Err(self.store_refusal(&error)),
        }
        Ok(())
    }

    fn count_end(&self, state: OperationState) {
        match state {
            OperationState::Done => self.app.counters.operations_done.increment(),
            OperationState::Failed => self.app.counters.operations_failed.increment(),
            _ => {}
        }
    }

    pub(super) fn or_log<T>(&self, result: tms_store::Result<T>) -> Option<T> {
        result.inspect_err(|error| self.store_failed(error)).ok()
    }

    pub(super) fn store_refusal(&self, error: &tms_store::StoreError) -> Refusal {
        self.store_failed(error);
        Refusal::SystemError
    }

    fn store_failed(&self, error: &tms_store::StoreError) {
        self.app.counters.store_errors.increment();
        warn!(terminal = self.name(), %error, "store");
    }

    fn answer_deadline(&self) -> Timestamp {
        let wait = i64::try_from(self.app.limits.operation_timeout_s).unwrap_or(i64::MAX);
        self.app.now().saturating_add(SignedDuration::from_secs(wait)).unwrap_or(Timestamp::MAX)
    }

    /// A lease outlives every deadline of the session that holds it: it ends with the session, or
    /// by itself when the node died.
    fn lease_end(&self, now: Timestamp) -> Timestamp {
        let idle = i64::try_from(self.app.limits.idle_timeout_s).unwrap_or(i64::MAX);
        now.saturating_add(SignedDuration::from_secs(idle).saturating_add(LEASE_MARGIN))
            .unwrap_or(Timestamp::MAX)
    }
}

fn some_text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn sentence(result: &TaskResult) -> String {
    match result.reason.as_str() {
        "" => result.outcome.to_string(),
        reason => format!("{}: {reason}", result.outcome),
    }
}

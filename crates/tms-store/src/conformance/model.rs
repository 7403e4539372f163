//! Random steps on one terminal, done to a store and to a plain model of it. Whatever a step does,
//! both must answer alike, and hold the same afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use tms_core::{
    Credential, Desired, Generation, Lease, NewOperation, Operation, OperationId, OperationKind,
    OperationState, PendingGeneration, Progress, Role, RotationPhase, TerminalId,
};
use tokio::runtime::Runtime;

use super::{added, at, firmware, id};
use crate::error::StoreError;
use crate::store::{ParameterChange, Store, Ticket};

/// Rounds of random steps. Each flushes a few dozen times.
const ROUNDS: u32 = 48;

#[derive(Debug, Clone)]
enum Step {
    Advance { seconds: i64 },
    Enqueue { lifetime_s: i64 },
    SetParameters { value: u8 },
    AssignFirmware { first: bool },
    Lease { holder: &'static str, seconds: i64 },
    Extend { operation: usize, holder: &'static str, seconds: i64 },
    Release { operation: usize, holder: &'static str },
    ReleaseAll { holder: &'static str },
    Transition { operation: usize, to: OperationState, told: bool },
    Progress { operation: usize, done: u64 },
    Cancel { operation: usize },
    Expire,
    BeginRotation,
    SetPhase { generation: u32, phase: RotationPhase },
    Confirm { generation: u32 },
    Abandon { generation: u32 },
}

fn step() -> impl Strategy<Value = Step> {
    let holder = || select(&["a", "b"][..]);
    let operation = || 0_usize..5;
    let generation = || 1_u32..4;
    let phase = select(&[RotationPhase::Prepared, RotationPhase::Committed, RotationPhase::Verified][..]);
    prop_oneof![
        (1_i64..6).prop_map(|seconds| Step::Advance { seconds }),
        (3_i64..30).prop_map(|lifetime_s| Step::Enqueue { lifetime_s }),
        (0_u8..3).prop_map(|value| Step::SetParameters { value }),
        any::<bool>().prop_map(|first| Step::AssignFirmware { first }),
        (holder(), 1_i64..6).prop_map(|(holder, seconds)| Step::Lease { holder, seconds }),
        (holder(), 1_i64..6).prop_map(|(holder, seconds)| Step::Lease { holder, seconds }),
        (operation(), holder(), 1_i64..6).prop_map(|(operation, holder, seconds)| Step::Extend {
            operation,
            holder,
            seconds
        }),
        (operation(), holder()).prop_map(|(operation, holder)| Step::Release { operation, holder }),
        holder().prop_map(|holder| Step::ReleaseAll { holder }),
        (operation(), select(&OperationState::ALL[..]), any::<bool>())
            .prop_map(|(operation, to, told)| Step::Transition { operation, to, told }),
        (operation(), select(&OperationState::ALL[..]), any::<bool>())
            .prop_map(|(operation, to, told)| Step::Transition { operation, to, told }),
        (operation(), 0_u64..100).prop_map(|(operation, done)| Step::Progress { operation, done }),
        operation().prop_map(|operation| Step::Cancel { operation }),
        Just(Step::Expire),
        Just(Step::BeginRotation),
        (generation(), phase).prop_map(|(generation, phase)| Step::SetPhase { generation, phase }),
        generation().prop_map(|generation| Step::Confirm { generation }),
        generation().prop_map(|generation| Step::Abandon { generation }),
    ]
}

/// Runs [`ROUNDS`] rounds on terminals of their own; panics with the smallest steps that differ.
pub fn random_steps_follow_the_model(runtime: &Runtime, store: &Arc<dyn Store>) {
    runtime.block_on(async {
        store.add_firmware(firmware("fw1", 0)).await.unwrap();
        store.add_firmware(firmware("fw2", 0)).await.unwrap();
    });
    let round = AtomicU32::new(0);
    let config = Config { cases: ROUNDS, failure_persistence: None, ..Config::default() };
    let steps = proptest::collection::vec(step(), 1..40);
    let outcome = TestRunner::new(config).run(&steps, |steps| {
        let tid = format!("M{}", round.fetch_add(1, Ordering::Relaxed));
        runtime.block_on(compare(store.as_ref(), &tid, &steps))
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

async fn compare(store: &dyn Store, tid: &str, steps: &[Step]) -> Result<(), TestCaseError> {
    let tid = added(store, tid).await;
    let mut model = Model::new(&tid);
    for step in steps {
        let (answered, expected) = model.step(store, step).await;
        prop_assert_eq!(answered, expected, "{:?}", step);
        let mut operations = store.operations(&tid, None, 1000).await.unwrap();
        operations.reverse();
        prop_assert_eq!(&operations, &model.operations, "after {:?}", step);
        let open: Vec<_> = model.operations.iter().filter(|operation| operation.is_open()).cloned().collect();
        prop_assert_eq!(store.open_operations(&tid).await.unwrap(), open);
        let desired = store.terminal(&tid).await.unwrap().unwrap().desired;
        prop_assert_eq!(&desired, &model.desired, "after {:?}", step);
        let credential = store.credential(&tid, &model.role).await.unwrap();
        // The version only has to rise; the model does not say by how much.
        let credential = credential.map(|credential| Credential { version: 0, ..credential });
        prop_assert_eq!(&credential, &model.credential, "after {:?}", step);
    }
    Ok(())
}

/// What a step answers, as far as both sides can say it.
#[derive(Debug, PartialEq)]
enum Answer {
    Nothing,
    Operation(Option<OperationId>),
    Count(u64),
    NotFound,
    Conflict,
    Illegal,
}

impl Answer {
    fn of<T>(result: Result<T, StoreError>, good: impl FnOnce(T) -> Answer) -> Answer {
        match result {
            Ok(value) => good(value),
            Err(StoreError::NotFound { .. }) => Self::NotFound,
            Err(StoreError::Conflict { .. }) => Self::Conflict,
            Err(StoreError::IllegalTransition { .. }) => Self::Illegal,
            Err(other) => panic!("{other}"),
        }
    }

    fn nothing<T>(_: T) -> Answer {
        Self::Nothing
    }
}

/// What the store should hold about one terminal.
struct Model {
    tid: TerminalId,
    role: Role,
    now_s: i64,
    next: u32,
    operations: Vec<Operation>,
    desired: Desired,
    credential: Option<Credential>,
}

impl Model {
    fn new(tid: &TerminalId) -> Self {
        Self {
            tid: tid.clone(),
            role: Role::administrator(),
            now_s: 0,
            next: 0,
            operations: Vec::new(),
            desired: Desired::default(),
            credential: None,
        }
    }

    /// Does a step to both and gives both answers.
    async fn step(&mut self, store: &dyn Store, step: &Step) -> (Answer, Answer) {
        let now = at(self.now_s);
        let (tid, role) = (self.tid.clone(), self.role.clone());
        match *step {
            Step::Advance { seconds } => {
                self.now_s += seconds;
                (Answer::Nothing, Answer::Nothing)
            }
            Step::Enqueue { lifetime_s } => {
                let ticket = self.ticket(lifetime_s);
                let new = NewOperation {
                    id: ticket.id,
                    terminal: tid,
                    kind: OperationKind::Reboot,
                    expires_at: ticket.expires_at,
                    terms: Default::default(),
                };
                let answered = store.enqueue(new, now).await;
                self.queue(OperationKind::Reboot, ticket);
                (Answer::of(answered, Answer::nothing), Answer::Nothing)
            }
            Step::SetParameters { value } => {
                let ticket = self.ticket(40);
                let mut change = ParameterChange::default();
                match value {
                    0 => drop(change.unset.insert("retries".to_owned())),
                    value => drop(change.set.insert("retries".to_owned(), value.to_string())),
                }
                let answered = store.set_desired_parameters(&tid, change.clone(), ticket, now).await;
                self.desired.parameters.retain(|name, _| !change.unset.contains(name));
                self.desired.parameters.extend(change.set);
                self.desired.parameters_revision += 1;
                let revision = self.desired.parameters_revision;
                let why = format!("replaced by parameter revision {revision}");
                let replaced = |operation: &Operation| {
                    operation.state == OperationState::Queued
                        && matches!(operation.kind, OperationKind::SetParameters { .. })
                };
                self.cancel(replaced, &why);
                self.queue(OperationKind::SetParameters { revision }, ticket);
                (Answer::of(answered, |(revision, _)| Answer::Count(revision)), Answer::Count(revision))
            }
            Step::AssignFirmware { first } => {
                let ticket = self.ticket(40);
                let firmware: tms_core::FirmwareId = if first { "fw1" } else { "fw2" }.parse().unwrap();
                let answered = store.assign_firmware(&tid, &firmware, ticket, now).await;
                self.desired.firmware = Some(firmware.clone());
                let replaced = |operation: &Operation| {
                    operation.is_open() && matches!(operation.kind, OperationKind::InstallFirmware { .. })
                };
                self.cancel(replaced, &format!("replaced by firmware {firmware}"));
                self.queue(OperationKind::InstallFirmware { firmware }, ticket);
                (Answer::of(answered, Answer::nothing), Answer::Nothing)
            }
            Step::Lease { holder, seconds } => {
                let until = at(self.now_s + seconds);
                let answered = store.lease_next(&tid, holder, until, now).await;
                let free = |operation: &&mut Operation| {
                    operation.is_open()
                        && operation.expires_at > now
                        && operation.lease.as_ref().is_none_or(|lease| lease.until <= now)
                };
                let goes_after = |operation: &&mut Operation| operation.kind.name() != OperationKind::CANCEL;
                let next = self.operations.iter_mut().filter(free).min_by_key(goes_after);
                let expected = next.map(|operation| {
                    operation.attempts += 1;
                    operation.lease = Some(Lease { holder: holder.to_owned(), until });
                    operation.id
                });
                let answered =
                    Answer::of(answered, |leased| Answer::Operation(leased.map(|operation| operation.id)));
                (answered, Answer::Operation(expected))
            }
            Step::Extend { operation, holder, seconds } => {
                let until = at(self.now_s + seconds);
                let answered = store.extend_lease(self.id_of(operation), holder, until).await;
                let expected = match self.operations.get_mut(operation) {
                    None => Answer::NotFound,
                    Some(operation) => {
                        match operation.lease.as_mut().filter(|lease| lease.holder == holder) {
                            Some(lease) => {
                                lease.until = until;
                                Answer::Nothing
                            }
                            None => Answer::Conflict,
                        }
                    }
                };
                (Answer::of(answered, Answer::nothing), expected)
            }
            Step::Release { operation, holder } => {
                let answered = store.release_lease(self.id_of(operation), holder).await;
                if let Some(operation) = self.operations.get_mut(operation) {
                    operation.lease.take_if(|lease| lease.holder == holder);
                }
                (Answer::of(answered, Answer::nothing), Answer::Nothing)
            }
            Step::ReleaseAll { holder } => {
                // Other rounds on the same store may have left leases of this holder behind.
                let answered = store.release_leases(holder).await;
                for operation in &mut self.operations {
                    operation.lease.take_if(|lease| lease.holder == holder);
                }
                (Answer::of(answered, Answer::nothing), Answer::Nothing)
            }
            Step::Transition { operation, to, told } => {
                let detail = told.then(|| format!("told at {}", self.now_s));
                let answered = store.transition(self.id_of(operation), to, detail.clone(), now).await;
                (Answer::of(answered, Answer::nothing), self.transition(operation, to, detail))
            }
            Step::Progress { operation, done } => {
                let progress = Progress { done, total: 100 };
                let answered = store.set_progress(self.id_of(operation), progress).await;
                let expected = match self.operations.get_mut(operation) {
                    None => Answer::NotFound,
                    Some(operation) => {
                        if operation.is_open() {
                            operation.progress = Some(progress);
                        }
                        Answer::Nothing
                    }
                };
                (Answer::of(answered, Answer::nothing), expected)
            }
            Step::Cancel { operation } => {
                let ticket = self.ticket(40);
                let answered = store.cancel(self.id_of(operation), "withdrawn".to_owned(), ticket, now).await;
                let told =
                    |(_, told): (Operation, Option<Operation>)| Answer::Operation(told.map(|told| told.id));
                (Answer::of(answered, told), self.withdraw(operation, ticket))
            }
            Step::Expire => {
                let answered = store.expire_operations(now).await;
                for operation in &mut self.operations {
                    if operation.is_open() && operation.expires_at <= now {
                        operation.state = OperationState::Expired;
                        operation.detail = Some("the terminal did not finish it in time".to_owned());
                        operation.updated_at = now;
                        operation.lease = None;
                    }
                }
                (Answer::of(answered, Answer::nothing), Answer::Nothing)
            }
            Step::BeginRotation => {
                let ticket = self.ticket(40);
                let answered = store.begin_rotation(&tid, &role, vec![7], ticket, now).await;
                (Answer::of(answered, Answer::nothing), self.begin_rotation(ticket))
            }
            Step::SetPhase { generation, phase } => {
                let answered = store.set_pending_phase(&tid, &role, generation, phase, now).await;
                let expected = match self.credential.as_mut() {
                    None => Answer::NotFound,
                    Some(credential) => match &mut credential.pending {
                        Some(pending) if pending.generation == generation && pending.phase <= phase => {
                            pending.phase = phase;
                            Answer::Nothing
                        }
                        _ => Answer::Conflict,
                    },
                };
                (Answer::of(answered, Answer::nothing), expected)
            }
            Step::Confirm { generation } => {
                let answered = store.confirm_rotation(&tid, &role, generation, now).await;
                (Answer::of(answered, Answer::nothing), self.confirm(generation))
            }
            Step::Abandon { generation } => {
                let answered = store.abandon_rotation(&tid, &role, generation, now).await;
                (Answer::of(answered, Answer::nothing), self.abandon(generation))
            }
        }
    }

    fn ticket(&mut self, lifetime_s: i64) -> Ticket {
        let number = self.next;
        self.next += 1;
        Ticket { id: id(&self.tid, number), expires_at: at(self.now_s + lifetime_s) }
    }

    /// The id of the operation at this place, or of one that does not exist.
    fn id_of(&self, place: usize) -> OperationId {
        self.operations.get(place).map_or_else(|| id(&self.tid, 60_000), |operation| operation.id)
    }

    fn queue(&mut self, kind: OperationKind, ticket: Ticket) {
        self.operations.push(Operation {
            id: ticket.id,
            terminal: self.tid.clone(),
            kind,
            state: OperationState::Queued,
            attempts: 0,
            created_at: at(self.now_s),
            updated_at: at(self.now_s),
            expires_at: ticket.expires_at,
            lease: None,
            detail: None,
            progress: None,
            result: Default::default(),
            terms: Default::default(),
        });
    }

    fn cancel(&mut self, which: impl Fn(&Operation) -> bool, why: &str) {
        let now = at(self.now_s);
        for operation in self.operations.iter_mut().filter(|operation| which(operation)) {
            operation.state = OperationState::Cancelled;
            operation.detail = Some(why.to_owned());
            operation.updated_at = now;
            operation.lease = None;
        }
    }

    fn transition(&mut self, place: usize, to: OperationState, detail: Option<String>) -> Answer {
        let now = at(self.now_s);
        let Some(operation) = self.operations.get_mut(place) else {
            return Answer::NotFound;
        };
        if !operation.state.can_become(to) {
            return Answer::Illegal;
        }
        if operation.state == to {
            if to.is_open() && detail.is_some() {
                operation.detail = detail;
            }
            return Answer::Nothing;
        }
        operation.state = to;
        operation.updated_at = now;
        if detail.is_some() {
            operation.detail = detail;
        }
        if !matches!(to, OperationState::Sent | OperationState::Accepted) {
            operation.lease = None;
        }
        Answer::Nothing
    }

    fn withdraw(&mut self, place: usize, ticket: Ticket) -> Answer {
        let Some(before) = self.operations.get(place).cloned() else {
            return Answer::NotFound;
        };
        match self.transition(place, OperationState::Cancelled, Some("withdrawn".to_owned())) {
            Answer::Nothing => {}
            other => return other,
        }
        let begun = before.is_open() && before.attempts > 0;
        if !begun || !before.kind.is_cancelled_at_the_terminal() {
            return Answer::Operation(None);
        }
        self.queue(OperationKind::CancelOperation { target: before.id }, ticket);
        Answer::Operation(Some(ticket.id))
    }

    fn begin_rotation(&mut self, ticket: Ticket) -> Answer {
        let credential = self.credential.get_or_insert_with(|| Credential {
            terminal: self.tid.clone(),
            role: self.role.clone(),
            current: None,
            pending: None,
            foreign_generation: None,
            highest_generation: 0,
            version: 0,
        });
        if credential.pending.is_some() {
            return Answer::Conflict;
        }
        let generation = credential.highest_generation + 1;
        credential.highest_generation = generation;
        credential.pending = Some(PendingGeneration {
            generation,
            sealed: vec![7],
            phase: RotationPhase::Prepared,
            operation: ticket.id,
        });
        self.desired.credentials.insert(self.role.clone(), generation);
        let role = self.role.clone();
        self.queue(OperationKind::RotateCredential { role, generation }, ticket);
        Answer::Nothing
    }

    fn confirm(&mut self, generation: u32) -> Answer {
        let now = at(self.now_s);
        let Some(credential) = self.credential.as_mut() else {
            return Answer::NotFound;
        };
        let in_force = credential.current.as_ref().is_some_and(|current| current.generation == generation);
        match &credential.pending {
            None if in_force => Answer::Nothing,
            Some(pending) if pending.generation == generation && pending.phase == RotationPhase::Verified => {
                let sealed = pending.sealed.clone();
                credential.pending = None;
                credential.current = Some(Generation { generation, sealed, since: now });
                Answer::Nothing
            }
            _ => Answer::Conflict,
        }
    }

    fn abandon(&mut self, generation: u32) -> Answer {
        let Some(credential) = self.credential.as_mut() else {
            return Answer::NotFound;
        };
        match &credential.pending {
            Some(pending) if pending.generation == generation => {
                if pending.phase == RotationPhase::Verified {
                    return Answer::Conflict;
                }
                let operation = pending.operation;
                credential.pending = None;
                match credential.current.as_ref().map(|current| current.generation) {
                    Some(current) => self.desired.credentials.insert(self.role.clone(), current),
                    None => self.desired.credentials.remove(&self.role),
                };
                self.cancel(|other| other.id == operation && other.is_open(), "the rotation was abandoned");
                Answer::Nothing
            }
            _ => Answer::Nothing,
        }
    }
}

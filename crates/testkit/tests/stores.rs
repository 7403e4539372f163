//! Whatever is done to them: a database and the store in memory answer alike, and hold the same afterwards.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are tests too")]

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use testkit::store::MemoryStore;
use tms_core::configuration::{Revision, Scope};
use tms_core::rollout::{Action, Caps, RolloutState, TargetState, Wave, WaveSize};
use tms_core::{
    AttributeValue, Group, GroupKind, LifeCycle, NewOperation, OperationId, OperationKind, OperationState,
    Outcome, Priority, Reported, Rollout, RolloutTarget, Selector, TerminalId, Terms, Trigger,
};
use tms_store::conformance::{postgres::Scratch, terminal};
use tms_store::{
    DesiredParameters, ImportRow, StartedTarget, StartedWork, Store, StoreError, TargetFilter,
    TerminalChange, Ticket, Work,
};
use tokio::runtime::Runtime;

const TERMINALS: usize = 5;
const GROUPS: usize = 4;

/// What is done, and three numbers that say to whom and how.
type Step = (u8, usize, usize, usize);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + seconds).unwrap()
}

/// The same things done to two stores.
struct Both {
    stores: [Arc<dyn Store>; 2],
    /// What names begin with: rounds share a database.
    prefix: String,
    now_s: i64,
    operations: Vec<OperationId>,
    rollouts: Vec<Rollout>,
}

impl Both {
    fn tid(&self, number: usize) -> TerminalId {
        format!("{}T{}", self.prefix, number % TERMINALS).parse().unwrap()
    }

    fn group_name(&self, number: usize) -> String {
        format!("{}g{}", self.prefix, number % GROUPS)
    }

    fn ticket(&mut self, tid: &TerminalId) -> Ticket {
        let mut random = [0; 10];
        random.iter_mut().zip(tid.as_str().bytes().rev()).for_each(|(slot, byte)| *slot = byte);
        random[9] = u8::try_from(self.operations.len() % 256).unwrap();
        random[8] = u8::try_from(self.operations.len() / 256).unwrap();
        let id = OperationId::new(at(0), random);
        self.operations.push(id);
        Ticket { id, expires_at: at(self.now_s + 40) }
    }

    fn operation(&self, number: usize) -> OperationId {
        let none = OperationId::new(at(0), [0xFF; 10]);
        // The latest are the most interesting.
        self.operations.iter().rev().nth(number % 6).copied().unwrap_or(none)
    }

    fn terms(&self, number: usize) -> Terms {
        let now = at(self.now_s);
        let window = now.to_zoned(jiff::tz::TimeZone::get("Asia/Shanghai").unwrap()).hour();
        Terms {
            priority: Priority::try_from(u8::try_from(number % 10).unwrap()).unwrap(),
            not_before: number.is_multiple_of(3).then(|| now + SignedDuration::from_secs(3)),
            window: (number % 5 == 1)
                .then(|| format!("daily {window:02}:00-{:02}:10", window).parse().unwrap()),
            trigger: if number % 4 == 2 { Trigger::AfterSettlement } else { Trigger::AtOnce },
            batch: number.is_multiple_of(2).then(|| format!("{}b", self.prefix).parse().unwrap()),
            ..Terms::default()
        }
    }

    fn change(&self, number: usize) -> TerminalChange {
        let tag = |n: usize| [format!("t{}", n % 3).parse().unwrap()].into();
        let group = (!number.is_multiple_of(5)).then(|| self.group_name(number).parse().unwrap());
        TerminalChange {
            vendor: number.is_multiple_of(3).then(|| format!("v{}", number % 2)),
            life_cycle: (number % 4 == 1).then(|| LifeCycle::ALL[number % 5]),
            group: number.is_multiple_of(2).then_some(group),
            add_tags: tag(number),
            remove_tags: if number % 7 > 4 { tag(number + 1) } else { BTreeSet::new() },
            attributes: [(
                "floor".parse().unwrap(),
                (!number.is_multiple_of(3)).then_some(AttributeValue::Integer(3)),
            )]
            .into(),
            ..TerminalChange::default()
        }
    }

    fn selector(&self, number: usize) -> Selector {
        let (prefix, group) = (&self.prefix, self.group_name(number));
        let wanted = match number % 5 {
            0 => "all".to_owned(),
            1 => format!("group under {group}"),
            2 => "tag t1 or attr.floor > 2".to_owned(),
            3 => "not life_cycle = active and last_contact newer than 20s".to_owned(),
            _ => "reported.battery < 50 or vendor = v1".to_owned(),
        };
        format!("tid ~ \"{prefix}*\" and ({wanted})").parse().unwrap()
    }

    /// Does it to both; they have to answer alike, down to the words.
    async fn both<T: Debug + PartialEq>(
        &self,
        what: &str,
        call: impl AsyncFn(Arc<dyn Store>) -> Result<T, StoreError>,
    ) -> Result<Result<T, StoreError>, TestCaseError> {
        let [one, other] = [call(self.stores[0].clone()).await, call(self.stores[1].clone()).await];
        prop_assert_eq!(&one, &other, "{}", what);
        Ok(one)
    }

    async fn step(&mut self, (kind, a, b, c): Step) -> Result<(), TestCaseError> {
        let now = at(self.now_s);
        let (tid, other) = (self.tid(a), self.tid(b));
        match kind {
            0 => self.now_s += i64::try_from(a % 8).unwrap(),
            1 => {
                let parent = (b % 3 > 0).then(|| self.group_name(b).parse().unwrap());
                let group = Group {
                    id: self.group_name(a).parse().unwrap(),
                    parent,
                    kind: GroupKind::ALL[c % 5],
                    name: format!("n{}", c % 2),
                    templates: (c % 3 > 0)
                        .then(|| format!("{}p", self.prefix).parse().unwrap())
                        .into_iter()
                        .collect(),
                    attributes: Default::default(),
                    version: 0,
                };
                let version = (c % 4 == 0).then_some(1);
                let put = async |s: Arc<dyn Store>| s.put_group(group.clone(), version).await;
                drop(self.both("put_group", put).await?);
            }
            2 => {
                let id = self.group_name(a).parse().unwrap();
                drop(
                    self.both("delete_group", async |s: Arc<dyn Store>| s.delete_group(&id, None).await)
                        .await?,
                );
            }
            3 => {
                let (change, version) = (self.change(b), (c % 4 == 0).then_some(1));
                let call = async |s: Arc<dyn Store>| s.change_terminal(&tid, change.clone(), version).await;
                drop(self.both("change_terminal", call).await?);
            }
            4 => {
                let (selector, change) = (self.selector(a), self.change(b));
                let call = async |s: Arc<dyn Store>| s.change_terminals(&selector, change.clone(), now).await;
                drop(self.both("change_terminals", call).await?);
            }
            5 => {
                let row = |n: usize| ImportRow {
                    id: self.tid(n),
                    profile: None,
                    change: TerminalChange {
                        merchant: (!n.is_multiple_of(3)).then(|| "1".parse().unwrap()),
                        ..self.change(n)
                    },
                };
                let rows: Vec<_> = [a, b].into_iter().map(row).collect();
                let call = async |s: Arc<dyn Store>| s.import_terminals(rows.clone(), c % 4 == 0, now).await;
                drop(self.both("import_terminals", call).await?);
            }
            6 => {
                let call = async |s: Arc<dyn Store>| s.replace_terminal(&tid, &other, now).await;
                if c % 4 == 0 {
                    drop(self.both("replace_terminal", call).await?);
                }
            }
            7 => {
                let scope: Scope = match b % 3 {
                    0 => format!("template:{}p", self.prefix),
                    1 => format!("group:{}", self.group_name(a)),
                    _ => format!("terminal:{tid}"),
                }
                .parse()
                .unwrap();
                let latest = self.stores[0].revision(&scope, None).await.unwrap().map_or(0, |r| r.number);
                let number = latest + if c % 5 == 0 { 2 } else { 1 };
                let revision = Revision {
                    scope,
                    number,
                    values: [("retries".to_owned(), (c % 4).to_string())].into(),
                    author: "ann".to_owned(),
                    reason: String::new(),
                    at: now,
                    rolled_back_from: None,
                };
                let call = async |s: Arc<dyn Store>| s.add_revision(revision.clone()).await;
                drop(self.both("add_revision", call).await?);
            }
            8 => {
                let mut tids: Vec<_> = [&tid, &other].into_iter().cloned().collect();
                tids.dedup();
                let mut wanted = Vec::new();
                for terminal in tids {
                    let (ticket, terms) = (self.ticket(&terminal), self.terms(c));
                    let parameters = [("retries".to_owned(), (c % 3).to_string())].into();
                    wanted.push(DesiredParameters { terminal, parameters, ticket, terms });
                }
                let call = async |s: Arc<dyn Store>| s.apply_parameters(wanted.clone(), now).await;
                drop(self.both("apply_parameters", call).await?);
            }
            9 | 10 => {
                let mut new = Vec::new();
                for terminal in [&tid, &other] {
                    let (ticket, terms) = (self.ticket(terminal), self.terms(b + c));
                    let kind = OperationKind::Reboot;
                    let expires_at = ticket.expires_at;
                    new.push(NewOperation {
                        id: ticket.id,
                        terminal: terminal.clone(),
                        kind,
                        expires_at,
                        terms,
                    });
                }
                let call = async |s: Arc<dyn Store>| s.enqueue_many(new.clone(), now).await;
                drop(self.both("enqueue_many", call).await?);
            }
            11 | 12 => {
                let until = at(self.now_s + 1 + i64::try_from(b % 6).unwrap());
                let holder = ["n1/s", "n2/s"][c % 2];
                let call = async |s: Arc<dyn Store>| s.lease_next(&tid, holder, until, now).await;
                drop(self.both("lease_next", call).await?);
            }
            13 | 14 => {
                let outcomes = [
                    Outcome::Done,
                    Outcome::Silent,
                    Outcome::Busy,
                    Outcome::Refused,
                    Outcome::Broken,
                    Outcome::Expired,
                ];
                let (id, outcome) = (self.operation(a), outcomes[b % outcomes.len()]);
                let again = (c % 2 == 0).then(|| at(self.now_s + 2));
                let call = async |s: Arc<dyn Store>| {
                    s.end_attempt(id, outcome, Some("why".into()), again, now).await
                };
                drop(self.both("end_attempt", call).await?);
            }
            15 => {
                let (id, to) = (self.operation(a), OperationState::ALL[b % 7]);
                let call = async |s: Arc<dyn Store>| s.transition(id, to, None, now).await;
                drop(self.both("transition", call).await?);
            }
            16 => {
                let call = async |s: Arc<dyn Store>| s.record_settlement(&tid, now).await;
                drop(self.both("record_settlement", call).await?);
            }
            17 => {
                let ids: BTreeSet<_> = [a, b, c].into_iter().map(|n| self.operation(n)).collect();
                let mut which = Vec::new();
                for id in ids {
                    which.push((id, self.ticket(&tid)));
                }
                let call =
                    async |s: Arc<dyn Store>| s.cancel_many(which.clone(), "withdrawn".into(), now).await;
                drop(self.both("cancel_many", call).await?);
            }
            18 => {
                for store in &self.stores {
                    store.expire_operations(now).await.unwrap();
                }
            }
            19 => {
                let mut report = Reported { boot_count: u32::try_from(b).ok(), ..Reported::default() };
                report.health.battery_percent = u8::try_from(c % 101).ok();
                let call = async |s: Arc<dyn Store>| s.record_report(&tid, report.clone(), now).await;
                drop(self.both("record_report", call).await?);
            }
            20 if self.rollouts.len() < 3 => {
                let wave = |size| Wave {
                    size,
                    soak_s: 2,
                    min_success_percent: 50,
                    max_failure_percent: 50,
                    needs_approval: false,
                };
                let draft = Rollout {
                    id: format!("{}r{}", self.prefix, self.rollouts.len()).parse().unwrap(),
                    name: "r".to_owned(),
                    action: Action::Configuration,
                    selector: self.selector(a),
                    waves: vec![wave(WaveSize::Percent(50)), wave(WaveSize::Rest)],
                    caps: Caps { per_minute: 9, concurrent: 9 },
                    window: None,
                    answer_within_s: 60,
                    state: RolloutState::Draft,
                    wave: 0,
                    approved: 0,
                    accepted_failures: 0,
                    started_at: None,
                    reason: None,
                    author: "ann".to_owned(),
                    version: 0,
                };
                let made = self
                    .both("add_rollout", async |s: Arc<dyn Store>| s.add_rollout(draft.clone()).await)
                    .await?;
                let running = Rollout { state: RolloutState::Running, version: 2, ..made.unwrap() };
                let call = async |s: Arc<dyn Store>| s.start_rollout(running.clone(), now).await;
                self.both("start_rollout", call).await?.unwrap();
                self.rollouts.push(running);
            }
            21 | 22 if !self.rollouts.is_empty() => {
                let at_rollout = a % self.rollouts.len();
                let rollout = self.rollouts[at_rollout].clone();
                let filter = TargetFilter { state: (c % 5 > 0).then_some(TargetState::Waiting), wave: None };
                let waiting =
                    self.stores[0].targets(&rollout.id, filter, None, 1 + (b % 2) as u32).await.unwrap();
                let mut started = Vec::new();
                for target in waiting {
                    let (ticket, terms) = (self.ticket(&target.terminal), self.terms(c));
                    let work = match c % 3 {
                        0 => Work::Command(OperationKind::Reboot),
                        1 => Work::Parameters([("retries".to_owned(), (b % 3).to_string())].into()),
                        _ => Work::Firmware("fw1".parse().unwrap()),
                    };
                    let target = RolloutTarget {
                        state: TargetState::Queued,
                        operation: Some(ticket.id),
                        started_at: Some(now),
                        ..target
                    };
                    started.push(StartedTarget { target, work: Some(StartedWork { work, ticket, terms }) });
                }
                let version = rollout.version + if c % 7 == 0 { 2 } else { 1 };
                let next = Rollout { version, ..rollout };
                let call =
                    async |s: Arc<dyn Store>| s.start_targets(next.clone(), started.clone(), now).await;
                if self.both("start_targets", call).await?.is_ok() {
                    self.rollouts[at_rollout] = next;
                }
            }
            23 if !self.rollouts.is_empty() => {
                let rollout = self.rollouts[a % self.rollouts.len()].clone();
                let call = async |s: Arc<dyn Store>| s.watched(&rollout.id, b % 2 == 0, None, 9, now).await;
                let watched = self.both("watched", call).await?.unwrap();
                let moves: Vec<_> = watched
                    .into_iter()
                    .map(|watched| {
                        let from = watched.target.state;
                        let to = if from == TargetState::Queued {
                            TargetState::Soaking
                        } else {
                            TargetState::ALL[3 + c % 2]
                        };
                        let soak_until = Some(at(self.now_s + 2));
                        (
                            from,
                            RolloutTarget {
                                state: to,
                                soak_until,
                                judge_by: Some(at(self.now_s + 9)),
                                ..watched.target
                            },
                        )
                    })
                    .collect();
                let call = async |s: Arc<dyn Store>| s.move_targets(&rollout.id, moves.clone()).await;
                drop(self.both("move_targets", call).await?);
            }
            24 if !self.rollouts.is_empty() && c % 4 == 0 => {
                let at_rollout = a % self.rollouts.len();
                let rollout = &self.rollouts[at_rollout];
                let next = Rollout { version: rollout.version + 1, ..rollout.clone() };
                let call = async |s: Arc<dyn Store>| s.skip_waiting(next.clone(), "over".into()).await;
                self.both("skip_waiting", call).await?.unwrap();
                self.rollouts[at_rollout] = next;
            }
            _ => {}
        }
        Ok(())
    }

    /// Everything that can be read.
    async fn compare(&self, last: Step) -> Result<(), TestCaseError> {
        let now = at(self.now_s);
        let after = format!("after {last:?}");
        let tids: Vec<_> = (0..TERMINALS).map(|n| self.tid(n)).collect();
        for tid in &tids {
            drop(self.both(&after, async |s: Arc<dyn Store>| s.terminal(tid).await).await?);
            drop(self.both(&after, async |s: Arc<dyn Store>| s.operations(tid, None, 999).await).await?);
        }
        for n in 0..GROUPS {
            let id = self.group_name(n).parse().unwrap();
            drop(self.both(&after, async |s: Arc<dyn Store>| s.group(&id).await).await?);
        }
        for n in 0..5 {
            let selector = self.selector(n);
            drop(self.both(&after, async |s: Arc<dyn Store>| s.ids(&selector, now).await).await?);
        }
        for id in self.operations.iter().rev().take(6) {
            drop(self.both(&after, async |s: Arc<dyn Store>| s.attempts(*id).await).await?);
        }
        drop(self.both(&after, async |s: Arc<dyn Store>| s.configuration(&tids).await).await?);
        let batch = format!("{}b", self.prefix).parse().unwrap();
        drop(self.both(&after, async |s: Arc<dyn Store>| s.batch(&batch, None, 999).await).await?);
        drop(self.both(&after, async |s: Arc<dyn Store>| s.batch_counts(&batch).await).await?);
        for rollout in &self.rollouts {
            drop(self.both(&after, async |s: Arc<dyn Store>| s.rollout_tally(&rollout.id, now).await).await?);
            let call =
                async |s: Arc<dyn Store>| s.targets(&rollout.id, TargetFilter::default(), None, 99).await;
            drop(self.both(&after, call).await?);
        }
        Ok(())
    }
}

fn whatever_is_done_both_hold_the_same(runtime: &Runtime, store: &Arc<dyn Store>) {
    let memory: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let stores = [Arc::clone(store), memory];
    for store in &stores {
        runtime.block_on(store.add_firmware(tms_store::conformance::firmware("fw1", 0))).unwrap();
    }
    let round = std::sync::atomic::AtomicU32::new(0);
    let config = Config { cases: 40, failure_persistence: None, ..Config::default() };
    let step = (0_u8..25, 0_usize..60, 0_usize..60, 0_usize..60);
    let outcome = TestRunner::new(config).run(&proptest::collection::vec(step, 1..60), |steps| {
        let number = round.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut both = Both {
            stores: stores.clone(),
            prefix: format!("R{number}-"),
            now_s: 0,
            operations: Vec::new(),
            rollouts: Vec::new(),
        };
        runtime.block_on(async {
            for n in 0..TERMINALS - 1 {
                let new = terminal(both.tid(n).as_str());
                drop(both.both("add", async |s: Arc<dyn Store>| s.add_terminal(new.clone()).await).await?);
            }
            for step in steps {
                both.step(step).await?;
                both.compare(step).await?;
            }
            Ok(())
        })
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn sqlite_and_memory_hold_the_same_whatever_is_done() {
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let url = format!("sqlite:{}", folder.path().join("estate.db").display());
    let store = runtime.block_on(tms_store::open(&url)).unwrap();
    whatever_is_done_both_hold_the_same(&runtime, &store);
}

#[test]
fn postgresql_and_memory_hold_the_same_whatever_is_done() {
    let runtime = runtime();
    let Some(scratch) = runtime.block_on(Scratch::new()) else { return };
    let store = runtime.block_on(scratch.store());
    whatever_is_done_both_hold_the_same(&runtime, &store);
    runtime.block_on(store.close());
}

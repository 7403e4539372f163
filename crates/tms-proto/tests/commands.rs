//! Every command, plan, result and report between the two ends of a connection, in every profile.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use tms_proto::{
    Answer, Asked, Exchange, HostEvent, HostSession, Identity, Profile, Refusal, TerminalEvent,
    TerminalSession,
    address::MAX_ADDRESS_BYTES,
    alarm::{AlarmKind, AlarmLog, Severity},
    journal::{Admission, Journal},
    plan::{
        Action, FollowUp, Offer, OnError, Plan, PlanRunner, PlanSource, Retry, Situation, Stage, Trigger,
        Window,
    },
    report::{Details, Lock, Report},
    task::{Command, MAX_TEXT_BYTES, Outcome, Task, TaskResult},
};
use uuid::Uuid;

fn now() -> Timestamp {
    at(1_800_000_000)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

struct Pair {
    host: HostSession,
    terminal: TerminalSession,
}

impl Pair {
    fn signed_on(profile: &str) -> Self {
        let profile = Arc::new(Profile::builtin(profile).unwrap());
        let identity = Identity::new("10000001", "102310060510002");
        let mut pair = Self {
            host: HostSession::new(profile.clone(), Some("10000001".into())),
            terminal: TerminalSession::new(profile, identity),
        };
        pair.terminal.sign_on(b"", now()).unwrap();
        let HostEvent::SignOn { exchange, .. } = pair.carry_to_host() else { panic!("no sign-on") };
        pair.reply(exchange, Answer::Approved);
        pair
    }

    fn carry_to_host(&mut self) -> HostEvent {
        let frame = self.terminal.poll_transmit().expect("a request");
        self.host.receive(&frame, now()).unwrap();
        self.host.poll_event().expect("an event")
    }

    fn reply(&mut self, exchange: Exchange, answer: Answer<'_>) -> TerminalEvent {
        self.host.answer(exchange, answer, now()).unwrap();
        self.carry_to_terminal()
    }

    fn carry_to_terminal(&mut self) -> TerminalEvent {
        let frame = self.host.poll_transmit().expect("a frame for the terminal");
        self.terminal.receive(&frame, now()).unwrap();
        self.terminal.poll_event().expect("an event")
    }

    /// Gives a task in the profile's way, and what of it arrives.
    fn give(&mut self, task: &Task) -> Task {
        if self.host.can_push() {
            self.host.push_command(task.clone(), now()).unwrap();
            let TerminalEvent::Command { request, task } = self.carry_to_terminal() else { panic!() };
            self.terminal.answer(request, None, now()).unwrap();
            let answered = self.carry_to_host();
            assert!(matches!(answered, HostEvent::CommandAnswered { refusal: None, .. }), "{answered:?}");
            return task;
        }
        self.terminal.poll_task(now()).unwrap();
        let HostEvent::TaskPoll { exchange } = self.carry_to_host() else { panic!() };
        let TerminalEvent::Task(Some(task)) = self.reply(exchange, Answer::Task(Some(task))) else {
            panic!()
        };
        task
    }

    /// Tells a result, and what of it arrives.
    fn tell(&mut self, result: &TaskResult) -> TaskResult {
        self.terminal.send_result(result, now()).unwrap();
        let HostEvent::TaskResult { exchange, result } = self.carry_to_host() else { panic!() };
        let taken = self.reply(exchange, Answer::Approved);
        assert!(matches!(taken, TerminalEvent::ResultTaken { .. }), "{taken:?}");
        result
    }
}

fn plan(version: u64, commands: Vec<Command>) -> Plan {
    let action = |(id, command)| Action {
        target: "支付应用".into(),
        trigger: Trigger::At(now()),
        window: Some(Window { start: now(), end: at(1_800_003_600) }),
        retry: Retry { delay_s: 60, count: 2 },
        on_error: OnError::Stop,
        follow_up: FollowUp::ReconcileFirst,
        ..Action::new(id, command)
    };
    let actions = (1..).zip(commands).map(action).collect();
    Plan { id: Uuid::from_u128(u128::from(version)), version, actions }
}

/// Each as large as it may be.
fn commands() -> Vec<Command> {
    let text = "锁".repeat(MAX_TEXT_BYTES / 3);
    let address = |n: u8| format!("{}:{n}", "a".repeat(MAX_ADDRESS_BYTES - 2));
    let (role, generation) = ("99".to_owned(), 7);
    let short = vec![Command::Unlock, Command::SelfTest, Command::ClearBatch, Command::Reboot];
    let long = vec![Command::Lock { message: text.clone() }; 20];
    vec![
        Command::Reboot,
        Command::InstallFirmware { file: "f".repeat(64), size_bytes: u64::MAX, sha256: [9; 32] },
        Command::CredentialPrepare { role: role.clone(), generation, base: 6, sealed: vec![1; 300] },
        Command::CredentialCommit { role: role.clone(), generation },
        Command::CredentialVerify { role: role.clone(), generation, challenge: [3; 16] },
        Command::CredentialConfirm { role: role.clone(), generation },
        Command::CredentialAbandon { role, generation },
        Command::CollectLogs { max_bytes: 1 << 40 },
        Command::RestartApplication,
        Command::FactoryReset,
        Command::Lock { message: text.clone() },
        Command::Unlock,
        Command::ClearReversal,
        Command::ClearBatch,
        Command::PrintTestSlip { text: None },
        Command::PrintTestSlip { text: Some(text.clone()) },
        Command::SelfTest,
        Command::Diagnose,
        Command::CollectJournal { from_batch: Some(999_999), max_bytes: u64::MAX },
        Command::SyncClock { time: now(), utc_offset_s: 28_800, force: false },
        Command::ShowMessage { text, until: Some(at(2_000_000_000)), seconds: 30 },
        Command::ChangeTmsAddress { addresses: (1..=4).map(address).collect(), attempts: 3 },
        Command::InstallPlan(PlanSource::of(plan(3, short), "plan-3").unwrap()),
        Command::InstallPlan(PlanSource::of(plan(4, long), "plan-4").unwrap()),
        Command::CancelOperation { target: Uuid::from_u128(5) },
        Command::Unknown(200),
    ]
}

#[test]
fn every_command_arrives_as_it_was_given_in_every_profile() {
    for profile in Profile::builtin_names() {
        let mut pair = Pair::signed_on(profile);
        for (step, command) in (1u8..).zip(commands()) {
            let task = Task { operation: Uuid::from_u128(42), step, command };
            task.check().unwrap();
            assert!(pair.give(&task) == task, "{profile}: {}", task.command.name());
        }
    }
}

#[test]
fn the_plans_of_the_test_travel_both_ways() {
    let travels = |command: &Command| match command {
        Command::InstallPlan(PlanSource::Inline(_)) => Some("inline"),
        Command::InstallPlan(PlanSource::File { .. }) => Some("file"),
        _ => None,
    };
    assert_eq!(commands().iter().filter_map(travels).collect::<Vec<_>>(), ["inline", "file"]);
}

#[test]
fn a_polled_task_that_cannot_be_used_has_a_name_to_answer_under_and_a_pushed_one_is_refused() {
    let command = Command::ChangeTmsAddress { addresses: vec!["nowhere".into()], attempts: 1 };
    let task = Task { operation: Uuid::from_u128(42), step: 3, command };
    for profile in Profile::builtin_names() {
        let mut pair = Pair::signed_on(profile);
        if pair.host.can_push() {
            pair.host.push_command(task.clone(), now()).unwrap();
            assert!(matches!(pair.carry_to_terminal(), TerminalEvent::Dropped(_)));
            let HostEvent::CommandAnswered { refusal: Some(_), .. } = pair.carry_to_host() else { panic!() };
        } else {
            let taken = pair.give(&task);
            assert_eq!((taken.operation, taken.step), (task.operation, task.step));
            assert!(matches!(taken.command, Command::Unusable { code: 21, .. }));
        }
    }
}

#[test]
fn a_self_test_answers_with_what_it_found() {
    let values: BTreeMap<String, String> =
        (0..20).map(|n| (format!("part.{n}"), "正常".to_owned())).collect();
    let result = TaskResult::new(Uuid::from_u128(1), 1, Outcome::PART_FAULTY)
        .because("打印机缺纸")
        .with_values(values);
    for profile in Profile::builtin_names() {
        assert_eq!(Pair::signed_on(profile).tell(&result), result, "{profile}");
    }
}

#[test]
fn an_alarm_is_taken_once_and_its_repeat_is_known() {
    for profile in Profile::builtin_names() {
        let mut pair = Pair::signed_on(profile);
        let mut log = AlarmLog::default();
        log.raise(AlarmKind::PAPER_OUT, Severity::WARNING, "缺纸", now());
        log.raise(AlarmKind(200), Severity::CRITICAL, "x".repeat(500), now());
        let mut seen = Vec::new();
        // The host has no room at first, then its answer is lost.
        for answer in [Some(Refusal::Busy), None, None, None] {
            pair.terminal.alarm(log.next().unwrap(), now()).unwrap();
            let HostEvent::Alarm { exchange, alarm } = pair.carry_to_host() else { panic!() };
            seen.push((alarm.kind, exchange.repeats_an_alarm()));
            match (answer, pair.reply(exchange, answer.map_or(Answer::Approved, Answer::Refused))) {
                (Some(_), TerminalEvent::Refused { request: Asked::Alarm(_), .. }) => {}
                (None, TerminalEvent::AlarmTaken { sequence }) if seen.len() != 2 => log.taken(sequence),
                (None, TerminalEvent::AlarmTaken { .. }) => {}
                (_, other) => panic!("{other:?}"),
            }
        }
        let paper = AlarmKind::PAPER_OUT;
        assert_eq!(
            seen,
            [(paper, false), (paper, false), (paper, true), (AlarmKind(200), false)],
            "{profile}"
        );
        assert!(log.next().is_none());
    }
}

#[test]
fn a_plan_is_given_carried_out_and_reported() {
    for profile in Profile::builtin_names() {
        let mut pair = Pair::signed_on(profile);
        let (mut journal, mut runner) = (Journal::default(), PlanRunner::default());
        let wanted = plan(9, vec![Command::PrintTestSlip { text: None }]);
        let source = PlanSource::of(wanted.clone(), "plan-9").unwrap();
        let given = pair.give(&Task {
            operation: Uuid::from_u128(1),
            step: 1,
            command: Command::InstallPlan(source),
        });
        assert_eq!(journal.admit(&given), Admission::Execute);
        let Command::InstallPlan(source) = &given.command else { panic!() };
        let situation = Situation { contact: Some(1), ..Situation::default() };
        let offer = runner.offer(source.open(b"").unwrap(), now(), &situation);
        assert_eq!(offer, Offer::Accepted);
        journal.finish(TaskResult::new(given.operation, given.step, offer.outcome()));
        for stage in [Stage::Reconcile, Stage::Act] {
            let start = runner.next(now(), &situation).unwrap();
            assert_eq!(start.stage, stage);
            runner.begun(&start).unwrap();
            assert!(runner.take_unsaved() && !runner.take_unsaved());
            let done = TaskResult::new(start.operation, start.step, Outcome::DONE);
            runner.finished(done, now()).unwrap();
        }
        let results: Vec<_> = journal.unacknowledged().chain(runner.unreported()).cloned().collect();
        for result in &results {
            assert!(pair.tell(result).outcome.is_done());
            journal.acknowledge(result.operation, result.step);
            runner.acknowledge(result.operation, result.step);
        }
        assert_eq!((results.len(), runner.unreported().count()), (2, 0));
        let details = Details {
            plan: runner.status(),
            lock: Some(Lock { locked: true, message: "请联系收单行".into() }),
            uptime_s: Some(5),
            ..Details::default()
        };
        let sent = Report { version: "1.2.3".into(), details, ..Report::default() };
        pair.terminal.report(&sent, now()).unwrap();
        let HostEvent::Report { report, .. } = pair.carry_to_host() else { panic!() };
        assert_eq!(*report, sent, "{profile}");
        let status = report.details.plan.unwrap();
        assert!(status.is(&wanted) && status.has_ended());
    }
}

//! Clocks that are years off, on either side and in either direction, and that jump.

use jiff::{SignedDuration, Timestamp};
use tms_proto::{
    Answer, HostEvent, ProtocolError, Reason, TerminalEvent,
    alarm::{AlarmKind, AlarmLog, MAX_WAITING_ALARMS, Severity},
    file::BlockRequest,
    plan::{Action, Offer, Plan, PlanRunner, Situation, Trigger, Window},
    task::{Command, MAX_CLOCK_STEP_S, Outcome, Task, TaskResult, check_clock},
    transfer::{Transfer, TransferSpec},
};
use uuid::Uuid;

use super::{Link, NOW, pair, profiles, signed_on};

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn times() -> [Timestamp; 4] {
    [Timestamp::MIN, NOW, at("2026-11-22T00:00:00Z"), Timestamp::MAX]
}

#[test]
fn clocks_that_are_years_apart_or_at_the_end_of_time_do_not_matter() {
    for profile in profiles() {
        for at_host in times() {
            for at_terminal in times() {
                let (mut host, mut terminal) = pair(&profile);
                terminal.echo(at_terminal).unwrap();
                host.receive(&terminal.poll_transmit().unwrap(), at_host).unwrap();
                terminal.receive(&host.poll_transmit().unwrap(), at_terminal).unwrap();
                assert!(matches!(terminal.poll_event(), Some(TerminalEvent::EchoAnswered)));
                terminal.handle_timeout(at_host);
                host.handle_timeout(at_terminal);
            }
        }
    }
}

#[test]
fn a_time_that_is_years_off_is_refused_with_the_reason_in_any_profile() {
    for profile in profiles() {
        let mut link = Link::new(&profile);
        let own = at("2026-11-22T00:00:00Z");
        for years in [-200, -56, -3, 3, 56, 200] {
            let time = own + SignedDuration::from_hours(years * 366 * 24);
            let command = Command::SyncClock { time, utc_offset_s: 28_800, force: false };
            let task = link.give(&Task { operation: Uuid::from_u128(1), step: 1, command });
            let Command::SyncClock { time: told, force, .. } = task.command else { panic!() };
            assert_eq!((told, force), (time, false));
            let refused = check_clock(own, told, force).unwrap_err();
            assert_eq!(refused, Outcome::TOO_FAR);
            let reason = format!("the clock would move by more than {MAX_CLOCK_STEP_S} s");
            let result = TaskResult::new(task.operation, task.step, refused).because(reason);
            assert_eq!(link.tell(&result), result);
        }
        link.still_stands();
    }
}

/// The terminal's clock was years ahead when it asked, and is set right while it waits.
#[test]
fn requests_do_not_wait_for_years_when_a_clock_is_set_back() {
    for profile in profiles() {
        for later in [at("2090-01-01T00:00:00Z"), Timestamp::MAX] {
            let now = at("2026-11-22T00:00:00Z");
            let (_, mut terminal) = signed_on(&profile);
            let asked = (0..1000).take_while(|_| terminal.echo(later).is_ok()).count();
            assert!(matches!(terminal.echo(later), Err(ProtocolError::TooManyOutstanding { .. })));
            assert_eq!(terminal.outstanding(), asked);
            // From here on the time is right, and 30 s of it are enough.
            terminal.handle_timeout(now);
            let due = terminal.poll_timeout().expect("they wait");
            assert!(due <= now + SignedDuration::from_secs(30), "{}: until {due}", profile.name());
            terminal.handle_timeout(due);
            assert_eq!(terminal.outstanding(), 0);
            while let Some(event) = terminal.poll_event() {
                let late = matches!(event, TerminalEvent::Unanswered { reason: Reason::NoReplyInTime, .. });
                assert!(late, "{event:?}");
            }
            assert!(terminal.echo(due).is_ok());
        }
    }
}

#[test]
fn pushes_do_not_wait_for_years_when_the_hosts_clock_is_set_back() {
    for profile in profiles().filter(|profile| profile.pushes()) {
        let (later, now) = (at("2090-01-01T00:00:00Z"), at("2026-11-22T00:00:00Z"));
        let (mut host, _) = signed_on(&profile);
        while host.push_echo(later).is_ok() {}
        host.handle_timeout(now);
        let due = host.poll_timeout().expect("they wait");
        assert!(due <= now + SignedDuration::from_secs(30), "{}: until {due}", profile.name());
        host.handle_timeout(due);
        let late = std::iter::from_fn(|| host.poll_event());
        assert_eq!(late.filter(|event| matches!(event, HostEvent::TimedOut(_))).count(), 4);
        assert!(host.can_push());
    }
}

#[test]
fn a_transfer_does_not_wait_for_years_when_a_clock_is_set_back() {
    let (later, now) = (at("2090-01-01T00:00:00Z"), at("2026-11-22T00:00:00Z"));
    let (file, sha256) = ("image".to_owned(), [0; 32]);
    let spec = TransferSpec { file, size_bytes: 1 << 20, sha256, block_bytes: 4096, window: 4 };
    let mut transfer = Transfer::new(spec, 0, 1);
    let first: Vec<BlockRequest> = transfer.next_requests(later);
    for _ in 0..5 {
        for request in &first {
            transfer.on_refused(request.offset, tms_proto::Refusal::Busy, later).unwrap();
        }
    }
    assert!(transfer.next_requests(later).is_empty(), "it waits");
    let waits: Vec<_> = (0..100).map(|s| now + SignedDuration::from_secs(s)).collect();
    let gone_on = waits.iter().find(|now| !transfer.next_requests(**now).is_empty());
    assert!(gone_on.is_some(), "it waits until {:?}", transfer.poll_timeout());
}

/// Alarms are numbered by a clock that may be set by whoever lies about the time.
#[test]
fn alarms_keep_their_order_and_their_bound_whatever_the_clock_says() {
    for profile in profiles() {
        let mut link = Link::new(&profile);
        let mut log = AlarmLog::default();
        for (n, now) in times().into_iter().cycle().take(200).enumerate() {
            log.raise(AlarmKind::CLOCK, Severity::WARNING, n.to_string(), now);
        }
        let (mut last, mut told) = (0, 0);
        while let Some(alarm) = log.next().cloned() {
            assert!(alarm.sequence > last, "{} after {last}", alarm.sequence);
            last = alarm.sequence;
            link.terminal.alarm(&alarm, NOW).unwrap();
            let HostEvent::Alarm { exchange, alarm: heard } = link.hear_at_host() else { panic!() };
            assert_eq!(heard, alarm);
            link.host.answer(exchange, Answer::Approved, NOW).unwrap();
            let TerminalEvent::AlarmTaken { sequence } = link.hear_at_terminal() else { panic!() };
            log.taken(sequence);
            told += 1;
        }
        assert_eq!(told, MAX_WAITING_ALARMS, "{}", profile.name());
    }
}

#[test]
fn a_window_that_a_jump_of_the_clock_leaves_behind_ends_its_action_once_and_for_all() {
    const ALONE: Situation = Situation { contact: None, settled_batch: None, by_hand: None };
    let now = at("2026-11-22T00:00:00Z");
    let window = Some(Window { start: now, end: now + SignedDuration::from_hours(1) });
    let trigger = Trigger::At(now + SignedDuration::from_mins(5));
    let action = Action { trigger, window, ..Action::new(1, Command::SelfTest) };
    let plan = Plan { id: Uuid::from_u128(1), version: 1, actions: vec![action] };
    let mut runner = PlanRunner::default();
    assert_eq!(runner.offer(plan, now, &ALONE), Offer::Accepted);
    // Too early by years: it waits. Too late by years: it is over, and stays so when the clock is set back.
    assert_eq!(runner.next(NOW, &ALONE), None);
    assert_eq!(runner.next(Timestamp::MIN, &ALONE), None);
    assert_eq!(runner.unreported().count(), 0);
    assert_eq!(runner.next(Timestamp::MAX, &ALONE), None);
    assert_eq!(runner.unreported().count(), 1);
    assert_eq!(runner.next(now + SignedDuration::from_mins(6), &ALONE), None);
    assert_eq!(runner.unreported().count(), 1);
    assert!(runner.status().unwrap().has_ended());
}

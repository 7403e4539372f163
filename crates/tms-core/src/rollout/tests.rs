use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::*;
use crate::operation::OperationState;
use crate::terminal::{DeviceState, Terminal};

pub(super) fn draft(waves: Vec<Wave>, caps: Caps, answer_within_s: u32) -> Rollout {
    Rollout {
        id: "r1".parse().unwrap(),
        name: "one".to_owned(),
        action: Action::Command { command: OperationKind::Reboot },
        selector: Selector::all(),
        waves,
        caps,
        window: None,
        answer_within_s,
        state: RolloutState::Draft,
        wave: 0,
        approved: 0,
        accepted_failures: 0,
        started_at: None,
        reason: None,
        author: "li".to_owned(),
        version: 1,
    }
}

pub(super) fn target(terminal: &str, wave: u32) -> RolloutTarget {
    RolloutTarget {
        terminal: terminal.parse().unwrap(),
        wave,
        state: TargetState::Waiting,
        operation: None,
        started_at: None,
        soak_until: None,
        judge_by: None,
        reason: None,
    }
}

fn wave(size: WaveSize, min_success_percent: u8, max_failure_percent: u8) -> Wave {
    Wave { size, soak_s: 60, min_success_percent, max_failure_percent, needs_approval: false }
}

fn now() -> Timestamp {
    "2026-11-30T12:00:00Z".parse().unwrap()
}

/// A running rollout of a first wave and the rest, at full speed.
fn running(min_success_percent: u8, max_failure_percent: u8) -> Rollout {
    let waves = vec![
        wave(WaveSize::Count(10), min_success_percent, max_failure_percent),
        wave(WaveSize::Rest, min_success_percent, max_failure_percent),
    ];
    let rollout = draft(waves, Caps { per_minute: 1_000, concurrent: 1_000 }, 600);
    match apply(Command::Start, &rollout, &Tally::default(), now()).unwrap() {
        Applied::Changed(running) => *running,
        Applied::Already => panic!("was a draft"),
    }
}

fn tally(waves: &[WaveTally]) -> Tally {
    Tally { waves: waves.to_vec(), ..Tally::default() }
}

fn sizes(waves: &[Wave], count: u32) -> Vec<usize> {
    let targets: Vec<_> = (0..count)
        .map(|n| {
            let canary = BTreeSet::from(["canary".parse().unwrap()]);
            (format!("T{n}").parse().unwrap(), if n % 4 == 3 { canary } else { BTreeSet::new() })
        })
        .collect();
    let allocated = allocate(waves, &targets);
    (0..waves.len())
        .map(|w| allocated.iter().filter(|a| usize::try_from(a.wave).unwrap() == w).count())
        .collect()
}

#[test]
fn a_percentage_of_terminals_is_rounded_up_and_the_last_wave_takes_the_rest() {
    let waves = [
        wave(WaveSize::Tagged("canary".parse().unwrap()), 100, 0),
        wave(WaveSize::Percent(1), 100, 0),
        wave(WaveSize::Percent(10), 100, 0),
        wave(WaveSize::Count(3), 100, 0),
        wave(WaveSize::Rest, 100, 0),
    ];
    assert_eq!(sizes(&waves, 101), [25, 2, 11, 3, 60]);
    assert_eq!(sizes(&waves, 10), [2, 1, 1, 3, 3]);
    assert_eq!(sizes(&waves, 1), [0, 1, 0, 0, 0]);
    assert_eq!(sizes(&waves, 0), [0, 0, 0, 0, 0]);
    let twice = ("T1".parse().unwrap(), BTreeSet::new());
    assert_eq!(allocate(&waves, &[twice.clone(), twice]).len(), 1);
}

#[test]
fn success_is_rounded_up_and_failure_down() {
    let rollout = running(85, 15);
    // 85 % of 10 are 9 of 10; 15 % of 10 are 1 of 10.
    let nine = WaveTally { succeeded: 9, queued: 1, ..WaveTally::default() };
    assert_eq!(decide(&rollout, &tally(&[nine]), now()), [Decision::NextWave { wave: 1 }]);
    let eight = WaveTally { succeeded: 8, queued: 2, ..WaveTally::default() };
    assert_eq!(decide(&rollout, &tally(&[eight]), now()), []);
    let one = WaveTally { succeeded: 8, failed: 1, queued: 1, ..WaveTally::default() };
    assert_eq!(decide(&rollout, &tally(&[one]), now()), []);
    let two = WaveTally { succeeded: 7, failed: 2, queued: 1, ..WaveTally::default() };
    let halted = Decision::Halt { reason: "2 of 10 in wave 1 failed; 1 may".to_owned() };
    assert_eq!(decide(&rollout, &tally(&[two]), now()), [halted]);
    // Those that were skipped or cancelled do not count.
    let fewer = WaveTally { succeeded: 1, skipped: 8, cancelled: 1, ..WaveTally::default() };
    assert_eq!(decide(&rollout, &tally(&[fewer]), now()), [Decision::NextWave { wave: 1 }]);
}

#[test]
fn a_wave_that_cannot_succeed_any_more_stops_before_its_failures_run_out() {
    let rollout = running(95, 50);
    let counts = WaveTally { succeeded: 3, waiting: 6, failed: 1, ..WaveTally::default() };
    let reason = "wave 1 cannot reach 10 successes; 9 are possible".to_owned();
    assert_eq!(decide(&rollout, &tally(&[counts]), now()), [Decision::Halt { reason }]);
}

#[test]
fn late_failures_of_an_earlier_wave_stop_the_next_one() {
    let rollout = Rollout { wave: 1, ..running(80, 10) };
    let first = |failed| WaveTally { succeeded: 8, failed, queued: 2 - failed, ..WaveTally::default() };
    let second = WaveTally { waiting: 90, queued: 10, ..WaveTally::default() };
    assert_eq!(
        decide(&rollout, &tally(&[first(1), second]), now()),
        [Decision::Start { wave: 1, count: 90 }]
    );
    let reason = "2 of 10 in wave 1 failed; 1 may".to_owned();
    assert_eq!(decide(&rollout, &tally(&[first(2), second]), now()), [Decision::Halt { reason }]);
}

#[test]
fn resuming_accepts_the_failures_so_far_and_no_more() {
    let paused = Rollout { state: RolloutState::Paused, ..running(100, 0) };
    let counts = |failed| WaveTally { succeeded: 8 - failed, failed, waiting: 2, ..WaveTally::default() };
    let Ok(Applied::Changed(resumed)) = apply(Command::Resume, &paused, &tally(&[counts(2)]), now()) else {
        panic!("was paused");
    };
    assert_eq!(decide(&resumed, &tally(&[counts(2)]), now()), [Decision::Start { wave: 0, count: 2 }]);
    assert!(matches!(decide(&resumed, &tally(&[counts(3)]), now())[..], [Decision::Halt { .. }]));
    let ended = WaveTally { succeeded: 8, failed: 2, ..WaveTally::default() };
    assert_eq!(decide(&resumed, &tally(&[ended]), now()), [Decision::NextWave { wave: 1 }]);
}

#[test]
fn a_rollout_without_targets_is_over_at_once_and_asks_nobody() {
    let mut rollout = running(100, 0);
    rollout.waves.iter_mut().for_each(|wave| wave.needs_approval = true);
    let nothing = Tally::default();
    assert_eq!(decide(&rollout, &nothing, now()), [Decision::NextWave { wave: 1 }]);
    rollout.wave = 1;
    let finishing = Decision::Become { state: RolloutState::Finishing };
    assert_eq!(decide(&rollout, &nothing, now()), [finishing]);
    rollout.state = RolloutState::Finishing;
    let finished = Decision::Become { state: RolloutState::Finished };
    assert_eq!(decide(&rollout, &nothing, now()), [finished]);
    assert_eq!(progress(&rollout, &nothing, now()).percent, 100);
}

#[test]
fn an_approval_that_comes_twice_does_not_approve_the_next_wave() {
    let mut rollout = running(100, 0);
    rollout.waves.iter_mut().for_each(|wave| wave.needs_approval = true);
    let counts = tally(&[WaveTally { waiting: 10, ..WaveTally::default() }]);
    assert_eq!(decide(&rollout, &counts, now()), [Decision::AwaitApproval { wave: 0 }]);
    rollout.state = RolloutState::AwaitingApproval;
    let Ok(Applied::Changed(approved)) = apply(Command::Approve { wave: 0 }, &rollout, &counts, now()) else {
        panic!("waited for it");
    };
    assert_eq!((approved.state, approved.approved), (RolloutState::Running, 1));
    assert_eq!(apply(Command::Approve { wave: 0 }, &approved, &counts, now()), Ok(Applied::Already));
    let waves = apply(Command::Approve { wave: 2 }, &approved, &counts, now()).unwrap_err();
    assert_eq!(waves.to_string(), "there is no wave 2; the rollout has 2, counted from 0");
}

#[test]
fn the_caps_bound_what_is_started_and_say_when_there_is_room_again() {
    let caps = Caps { per_minute: 5, concurrent: 8 };
    let rollout = Rollout { caps, ..running(100, 0) };
    let counts = WaveTally { waiting: 100, queued: 6, ..WaveTally::default() };
    assert_eq!(decide(&rollout, &tally(&[counts]), now()), [Decision::Start { wave: 0, count: 2 }]);
    let first = now() - SignedDuration::from_secs(20);
    let lately = Tally { started_lately: 5, first_lately: Some(first), ..tally(&[counts]) };
    let at = first + SignedDuration::from_secs(60);
    assert_eq!(decide(&rollout, &lately, now()), [Decision::Wake { at }]);
}

#[test]
fn a_target_is_judged_after_its_soak_over_what_its_terminal_says() {
    let rollout = running(100, 0);
    let queued = RolloutTarget {
        state: TargetState::Queued,
        operation: Some(OperationId::new(now(), [1; 10])),
        ..target("T1", 0)
    };
    let seen = |operation, agreement| Seen { operation: Some(operation), detail: None, agreement };
    let done = |agreement| seen(OperationState::Done, agreement);
    let open = seen(OperationState::Accepted, Agreement::Agrees);
    assert_eq!(observe(&queued, &rollout, &open, now()), None);
    let soaking = observe(&queued, &rollout, &done(Agreement::Agrees), now()).unwrap();
    assert_eq!(soaking.state, TargetState::Soaking);
    let end = now() + SignedDuration::from_secs(60);
    let state = |agreement, at| observe(&soaking, &rollout, &done(agreement), at).map(|target| target.state);
    assert_eq!(state(Agreement::Agrees, end - SignedDuration::from_secs(1)), None);
    assert_eq!(state(Agreement::Agrees, end), Some(TargetState::Succeeded));
    assert_eq!(state(Agreement::Differs, end), Some(TargetState::Failed));
    assert_eq!(state(Agreement::Unknown, end), None);
    assert_eq!(state(Agreement::Unknown, end + SignedDuration::from_secs(600)), Some(TargetState::Failed));
    let expired =
        observe(&queued, &rollout, &seen(OperationState::Expired, Agreement::Unknown), now()).unwrap();
    assert_eq!(
        (expired.state, expired.reason.as_deref()),
        (TargetState::Failed, Some("did not answer in time"))
    );
    // Called back, it is not watched any longer.
    let aborting = Rollout { state: RolloutState::Aborting, ..rollout.clone() };
    let called_back = observe(&soaking, &aborting, &done(Agreement::Unknown), now()).unwrap();
    assert_eq!(called_back.state, TargetState::Cancelled);
}

#[test]
fn states_read_back_from_their_names() {
    for state in RolloutState::ALL {
        assert_eq!(state.name().parse(), Ok(state));
        assert_eq!(serde_json::to_value(state).unwrap(), state.name());
    }
    for state in TargetState::ALL {
        assert_eq!(state.name().parse(), Ok(state));
        assert_eq!(serde_json::to_value(state).unwrap(), state.name());
    }
    assert!("gone".parse::<RolloutState>().is_err() && "gone".parse::<TargetState>().is_err());
}

#[test]
fn firmware_has_to_run_on_a_terminal_of_which_nothing_is_broken() {
    let action = Action::Firmware { firmware: "fw2".parse().unwrap() };
    let mut terminal = crate::selector::talkative();
    terminal.reported.firmware_version = None;
    assert_eq!(Agreement::of(&action, &terminal, Some("2.0")), Agreement::Unknown);
    terminal.reported.firmware_version = Some("1.9".into());
    assert_eq!(Agreement::of(&action, &terminal, Some("2.0")), Agreement::Differs);
    terminal.reported.firmware_version = Some("2.0".into());
    assert_eq!(Agreement::of(&action, &terminal, Some("2.0")), Agreement::Agrees);
    terminal.reported.health.printer = Some(DeviceState::Fault);
    assert_eq!(Agreement::of(&action, &terminal, Some("2.0")), Agreement::Differs);
}

#[test]
fn configuration_has_to_be_in_force_as_far_as_the_terminal_says() {
    let mut terminal = crate::selector::talkative();
    terminal.reported.parameters.clear();
    terminal.desired.parameters_revision = 4;
    let of = |terminal: &Terminal| Agreement::of(&Action::Configuration, terminal, None);
    assert_eq!(of(&terminal), Agreement::Agrees, "nothing is wanted");
    terminal.desired.parameters = [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())].into();
    assert_eq!(of(&terminal), Agreement::Unknown);
    terminal.reported.parameters_revision = Some(4);
    assert_eq!(of(&terminal), Agreement::Agrees);
    terminal.reported.parameters.insert("a".into(), "9".into());
    assert_eq!(of(&terminal), Agreement::Differs, "a value cannot lie, a revision can");
    terminal.reported.parameters_revision = None;
    terminal.reported.parameters.insert("a".into(), "1".into());
    assert_eq!(of(&terminal), Agreement::Agrees);
}

#[test]
fn what_cannot_be_carried_out_is_refused_before_it_starts() {
    let caps = Caps { per_minute: 1, concurrent: 1 };
    let rest = || wave(WaveSize::Rest, 100, 0);
    let good = draft(vec![wave(WaveSize::Count(1), 100, 0), rest()], caps, 600);
    assert_eq!(good.check(), Ok(()));
    let said = |rollout: Rollout| rollout.check().unwrap_err().to_string();
    assert!(said(Rollout { waves: Vec::new(), ..good.clone() }).contains("0 waves"));
    let no_rest = vec![wave(WaveSize::Percent(50), 100, 0)];
    assert_eq!(
        said(Rollout { waves: no_rest, ..good.clone() }),
        "wave 1: the last wave, and no other, takes the rest"
    );
    let early = vec![rest(), rest()];
    assert!(said(Rollout { waves: early, ..good.clone() }).starts_with("wave 1: the last"));
    let percent = vec![wave(WaveSize::Percent(0), 100, 0), rest()];
    assert_eq!(said(Rollout { waves: percent, ..good.clone() }), "wave 1: percent is 0; it is from 1 to 100");
    let success = vec![wave(WaveSize::Rest, 101, 0)];
    assert!(said(Rollout { waves: success, ..good.clone() }).contains("min_success_percent is 101"));
    let never = Caps { per_minute: 0, ..caps };
    assert_eq!(said(Rollout { caps: never, ..good.clone() }), "per_minute is 0; it is from 1 to 4294967295");
    let mute = Action::Command { command: OperationKind::Lock { message: String::new() } };
    assert!(said(Rollout { action: mute, ..good.clone() }).contains("message has 0 bytes"));
    let json = serde_json::to_string(&good).unwrap();
    assert_eq!(serde_json::from_str::<Rollout>(&json).unwrap(), good);
}

#[test]
fn the_estimate_follows_the_pace_the_cap_and_the_soaks_to_come() {
    let caps = Caps { per_minute: 10, concurrent: 1_000 };
    let started = now() - SignedDuration::from_secs(100);
    let rollout = Rollout { caps, started_at: Some(started), ..running(0, 100) };
    let first = WaveTally { succeeded: 10, ..WaveTally::default() };
    let counts = |waiting, queued| tally(&[first, WaveTally { waiting, queued, ..WaveTally::default() }]);
    let left_s =
        |tally: &Tally| progress(&rollout, tally, now()).eta.map(|eta| eta.duration_since(now()).as_secs());
    // 10 in 100 s: 5 more take 50 s, and the second wave's soak is to come.
    assert_eq!(left_s(&counts(0, 5)), Some(110));
    // 10 a minute are slower than the pace of a moment.
    let quick = Rollout { started_at: Some(now() - SignedDuration::from_secs(1)), ..rollout.clone() };
    let eta = progress(&quick, &counts(100, 0), now()).eta.unwrap();
    assert_eq!(eta.duration_since(now()).as_secs(), 660);
    assert_eq!(progress(&rollout, &counts(0, 5), now()).percent, 66);
    let paused = Rollout { state: RolloutState::Paused, ..rollout.clone() };
    assert_eq!(progress(&paused, &counts(0, 5), now()).eta, None);
    assert_eq!(left_s(&tally(&[WaveTally { waiting: 5, ..WaveTally::default() }])), None);
}

//! Sign-on, parameters, restart, logs, repeats.

use std::collections::BTreeMap;

use tms_crypto::keyblock::Tmk;
use tms_proto::{
    Refusal,
    task::{Command, Outcome},
};

use super::world::{End, World, state_is_whole};
use crate::{agent::Exit, failure::FailureKind};

fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_terminal_signs_on_and_reports_itself_in_both_profiles() {
    for profile in ["unionpay", "iso87"] {
        let mut world = World::new(profile);
        world.settle();
        let report = world.host.reports.last().unwrap();
        assert_eq!(
            (report.model.as_str(), report.version.as_str(), report.boot_count),
            ("SIM-8", "1.0.0", 1)
        );
        assert_eq!(report.parameters, values(&[("timeout_s", "30")]));
        assert_eq!(report.credentials, BTreeMap::from([("99".to_owned(), 1)]));
        assert_eq!(world.status.link().sign_ons, 1);
    }
}

#[test]
fn working_keys_under_another_master_key_are_no_session() {
    let mut world = World::new("unionpay");
    world.host.keys = Some(Tmk::new([0x11; 16]));
    world.settle();
    world.host.keys = Some(Tmk::new([0x22; 16]));
    let End::Exit(Exit::Lost(failure)) = world.connect(usize::MAX) else { panic!() };
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.to_string().contains("[security] tmk"), "{failure}");
}

#[test]
fn a_refused_sign_on_says_why_and_what_to_do() {
    for (refusal, says) in [
        (Refusal::InvalidTerminal, "enrol this terminal"),
        (Refusal::NotPermitted, "whether the terminal is locked"),
        (Refusal::FormatError, "[host] profile"),
    ] {
        let mut world = World::new("unionpay");
        world.host.sign_on_refusal = Some(refusal);
        let End::Exit(Exit::Lost(failure)) = world.connect(usize::MAX) else { panic!() };
        assert!(failure.kind.is_lasting() && failure.to_string().contains(says), "{failure}");
    }
    let mut world = World::new("unionpay");
    world.host.sign_on_refusal = Some(Refusal::Busy);
    let End::Exit(Exit::Lost(failure)) = world.connect(usize::MAX) else { panic!() };
    assert!(!failure.kind.is_lasting());
}

#[test]
fn changed_parameters_arrive_are_kept_and_are_reported() {
    for profile in ["unionpay", "iso87"] {
        let mut world = World::new(profile);
        world.host.parameters = Some((4, values(&[("timeout_s", "45"), ("merchant_name", "测试商户")])));
        world.settle();
        let expected = values(&[("timeout_s", "45"), ("merchant_name", "测试商户")]);
        assert_eq!(world.host.reports.last().unwrap().parameters, expected, "{profile}");
        world.power_cycle();
        assert_eq!(world.machine().parameters(), expected);
    }
}

#[test]
fn an_older_pushed_revision_changes_nothing_and_a_newer_one_can_take_a_value_away() {
    let mut world = World::new("iso87");
    world.host.parameters = Some((4, values(&[("timeout_s", "45"), ("retries", "1")])));
    world.settle();
    world.host.parameters = Some((3, values(&[("timeout_s", "99")])));
    world.settle();
    assert_eq!(world.machine().parameters(), values(&[("timeout_s", "45"), ("retries", "1")]));
    world.host.parameters = Some((5, values(&[])));
    world.settle();
    assert_eq!(world.machine().parameters(), values(&[("timeout_s", "30")]), "as delivered");
}

#[test]
fn a_restart_counts_one_boot_and_its_result_follows_it() {
    for profile in ["unionpay", "iso87"] {
        let mut world = World::new(profile);
        world.task(1, 1, Command::Reboot);
        assert!(matches!(world.connect(usize::MAX), End::Exit(Exit::Reboot)));
        assert_eq!(world.host.results.len(), 0, "nothing is done before it is done");
        world.boot();
        world.settle();
        assert_eq!(world.outcome().0, Outcome::DONE);
        assert_eq!(world.machine().state.boot_count, 2);
    }
}

#[test]
fn a_kill_instead_of_the_ordered_restart_is_that_restart() {
    let mut world = World::new("iso87");
    world.task(1, 1, Command::Reboot);
    world.connect(usize::MAX);
    world.power_cycle();
    world.settle();
    assert_eq!((world.outcome().0, world.machine().state.boot_count), (Outcome::DONE, 2));
}

#[test]
fn a_repeated_task_is_answered_from_the_journal_and_not_done_again() {
    let mut world = World::new("unionpay");
    world.host.forgetful = true;
    world.task(1, 1, Command::Reboot);
    assert!(matches!(world.connect(usize::MAX), End::Exit(Exit::Reboot)));
    world.boot();
    for _ in 0..4 {
        world.connect(30);
    }
    assert!(world.host.results.len() > 3, "it was asked again and again");
    assert!(world.host.results.iter().all(|result| result.outcome == Outcome::DONE));
    assert_eq!(world.machine().state.boot_count, 2, "and done once");
}

#[test]
fn an_unknown_command_is_refused_by_name() {
    let mut world = World::new("unionpay");
    world.task(1, 1, Command::Unknown(200));
    world.settle();
    assert_eq!(world.outcome().0, Outcome::UNKNOWN_COMMAND);
}

#[test]
fn the_log_arrives_whole_and_reads_as_lines() {
    for profile in ["unionpay", "iso87"] {
        let mut world = World::new(profile);
        world.task(1, 1, Command::CollectLogs { max_bytes: 1 << 20 });
        world.settle();
        assert_eq!(world.outcome().0, Outcome::DONE);
        let text = String::from_utf8(world.host.log.clone()).unwrap();
        assert!(text.lines().count() > 200 && text.contains("signed on"), "{profile}");
        assert!(text.ends_with('\n'));
    }
}

#[test]
fn a_log_upload_goes_on_over_a_break_and_a_restart_with_the_same_bytes() {
    let mut world = World::new("unionpay");
    world.task(1, 1, Command::CollectLogs { max_bytes: 10_000 });
    assert!(matches!(world.connect(20), End::Broken));
    let first = world.host.log.clone();
    assert!(!first.is_empty());
    world.power_cycle();
    world.settle();
    assert_eq!(world.outcome().0, Outcome::DONE);
    assert!(world.host.log.starts_with(&first) && world.host.log.len() > first.len());
    assert!(world.host.log.len() <= 10_000);
}

#[test]
fn a_host_that_never_has_anything_of_a_log_is_not_sent_it_for_ever() {
    let mut world = World::new("iso87");
    world.host.loses_logs = true;
    world.task(1, 1, Command::CollectLogs { max_bytes: 10_000 });
    world.settle();
    assert_eq!(world.outcome().0, Outcome::FETCH_FAILED);
    assert!(world.machine().state.upload.is_none());
}

#[test]
fn an_empty_log_request_is_answered_with_an_empty_log() {
    let mut world = World::new("unionpay");
    world.task(1, 1, Command::CollectLogs { max_bytes: 0 });
    world.settle();
    assert_eq!((world.outcome().0, world.host.log.len()), (Outcome::DONE, 0));
}

#[test]
fn results_that_the_host_did_not_take_are_sent_again_after_a_break() {
    let mut world = World::new("unionpay");
    world.task(1, 1, Command::Unknown(200));
    // Sign-on, report, status and poll with their answers; the result itself is lost.
    let mut frames = 1;
    while world.machine().state.journal.unacknowledged().next().is_none() {
        assert!(matches!(world.connect(frames), End::Broken));
        frames += 1;
    }
    world.host.tasks.clear();
    world.host.results.clear();
    world.settle();
    assert_eq!(world.outcome().0, Outcome::UNKNOWN_COMMAND);
    assert!(state_is_whole(&world));
}

#[test]
fn a_second_order_to_restart_leaves_the_first_with_a_result() {
    let mut world = World::new("iso87");
    let (first, second) = (world.task(1, 1, Command::Reboot), world.task(2, 1, Command::Reboot));
    let mut agent = world.agent();
    for task in [&first, &second] {
        assert!(agent.take_task(task, true, world.now).unwrap());
    }
    world.boot();
    let machine = world.machine();
    let outcomes: Vec<_> = machine.state.journal.unacknowledged().map(|r| (r.operation, r.outcome)).collect();
    assert_eq!(
        outcomes,
        [(first.operation, Outcome::REPLACED), (second.operation, Outcome::DONE)],
        "an entry without a result would hold its place in the journal for ever"
    );
}

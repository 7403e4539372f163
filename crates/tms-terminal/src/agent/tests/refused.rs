//! Answers that the host does not take, and more of them than anybody needs.

use std::collections::BTreeMap;

use tms_proto::{
    Refusal,
    task::{Command, Outcome, Task},
};
use uuid::Uuid;

use super::world::{End, World, draft, image};
use crate::{
    agent::{Connection, Exit, MAX_NOTICES},
    failure::FailureKind,
    state::TaskKey,
};

fn task(id: u128, command: Command) -> Task {
    Task { operation: Uuid::from_u128(id), step: 1, command }
}

fn verify(id: u128, challenge: u8) -> Task {
    task(id, Command::CredentialVerify { role: "99".to_owned(), generation: 1, challenge: [challenge; 16] })
}

fn takes(agent: &mut Connection, world: &World, task: &Task) -> bool {
    agent.take_task(task, true, world.now).unwrap()
}

#[test]
fn a_host_that_asks_for_proof_after_proof_and_takes_none_is_told_to_wait() {
    let world = World::new("iso87");
    let mut agent = world.agent();
    let taken = (1..=1000).filter(|id| takes(&mut agent, &world, &verify(*id, 0))).count();
    assert_eq!((taken, agent.notices.len()), (MAX_NOTICES, MAX_NOTICES));
}

#[test]
fn the_newest_proof_of_a_step_takes_the_place_of_the_one_before() {
    let world = World::new("iso87");
    let mut agent = world.agent();
    for challenge in 0..200 {
        assert!(takes(&mut agent, &world, &verify(1, challenge)));
    }
    let newest = world.machine().credential(&verify(1, 199), world.now);
    assert!(newest.proof.is_some());
    assert!(agent.notices == [newest], "{} wait", agent.notices.len());
}

#[test]
fn a_restart_that_was_ordered_is_not_held_off_by_questions() {
    let world = World::new("iso87");
    let mut agent = world.agent();
    let test = task(1, Command::SelfTest);
    assert!(takes(&mut agent, &world, &test));
    world.machine().acknowledge(TaskKey { operation: test.operation, step: 1 });
    assert!(takes(&mut agent, &world, &task(2, Command::Reboot)));
    assert!(!takes(&mut agent, &world, &verify(3, 0)));
    assert!(!takes(&mut agent, &world, &test), "its result was acknowledged");
    assert!(matches!(agent.exit_when_idle(), Some(Exit::Reboot)));
}

#[test]
fn a_restart_that_was_ordered_is_not_held_off_by_a_host_that_takes_no_acceptance() {
    let mut world = World::new("unionpay");
    world.host.result_refusals = vec![Refusal::Busy; 1000];
    world.task(1, 1, Command::Reboot);
    assert!(matches!(world.connect(usize::MAX), End::Exit(Exit::Reboot)));
}

#[test]
fn a_proof_that_the_host_could_not_take_is_told_again() {
    let mut world = World::new("iso87");
    world.host.result_refusals = vec![Refusal::Busy, Refusal::SystemError];
    world.host.tasks.push_back(verify(1, 7));
    world.settle();
    let [result] = world.host.results.as_slice() else { panic!("{:?}", world.host.results) };
    assert!(result.proof.is_some());
}

// unionpay.md §4.1 and §6: 99 is answered as A0 is, by a new sign-on.
#[test]
fn a_host_that_says_the_session_is_over_is_signed_on_to_again() {
    for profile in ["unionpay", "iso87", "iso93"] {
        let mut world = World::new(profile);
        world.host.result_refusals = vec![Refusal::SignOnAgain];
        world.task(1, 1, Command::SelfTest);
        let End::Exit(Exit::Lost(failure)) = world.connect(usize::MAX) else { panic!("{profile}") };
        assert_eq!(failure.kind, FailureKind::SessionOver, "{profile}");
        world.settle();
        assert_eq!(world.outcome().0, Outcome::DONE, "{profile}");
        assert_eq!(world.status.link().sign_ons, 2, "{profile}");
    }
}

#[test]
fn an_installation_on_trial_ends_as_it_ends_though_it_was_cancelled_and_is_asked_for_again() {
    let mut world = World::new("unionpay");
    let install = world.order(1, draft("2.0.0"), &image(), None);
    assert!(matches!(world.connect(usize::MAX), End::Exit(Exit::Reboot)));
    world.boot();
    let mut agent = world.agent();
    let cancel = task(2, Command::CancelOperation { target: install.operation });
    assert!(takes(&mut agent, &world, &cancel) && takes(&mut agent, &world, &install));
    assert!(world.machine().state.journal.is_running(install.operation, 1));
    world.settle();
    let results = world.host.results.iter().filter(|result| result.operation == install.operation);
    assert!(results.map(|result| result.outcome).eq([Outcome::DONE]));
    assert_eq!(world.host.reports.last().unwrap().version, "2.0.0");
}

#[test]
fn what_could_not_be_booked_was_not_sold() {
    let world = World::new("iso87");
    let mut failures = 0;
    for writes in 0..12 {
        let before = world.device.state(|state| state.trade.clone());
        world.storage.fail_after(writes);
        if world.device.trade(world.now).is_err() {
            failures += 1;
            assert_eq!(world.device.state(|state| state.trade.clone()), before, "after {writes} writes");
        }
        world.storage.fail_after(0);
        assert!(world.device.settle().is_err());
        assert_eq!(world.device.state(|state| state.trade.settle), None);
        world.storage.mend();
    }
    assert!(failures > 2, "{failures}");
    world.device.trade(world.now).unwrap();
    let booked = world.device.transactions().unwrap().len();
    assert_eq!(booked, world.device.state(|state| state.trade.open.count()) as usize);
}

#[test]
fn parameters_that_are_too_many_change_nothing_and_forget_nothing() {
    let world = World::new("unionpay");
    let mut agent = world.agent();
    let reboot = task(1, Command::Reboot);
    let set = |prefix: &str| -> BTreeMap<String, String> {
        (0..200).map(|n| (format!("{prefix}{n}"), "1".to_owned())).collect()
    };
    assert!(takes(&mut agent, &world, &reboot));
    assert!(world.machine().set_parameters(set("a"), None, world.now).unwrap());
    assert!(!world.machine().set_parameters(set("b"), None, world.now).unwrap());
    assert_eq!(world.machine().state.parameters, set("a"));
    // A restart that goes on is not one that a restart cut short.
    assert!(takes(&mut agent, &world, &reboot));
    assert!(world.machine().state.journal.is_running(reboot.operation, 1));
}

#[test]
fn what_a_line_may_have_spoiled_is_told_again_and_a_host_that_goes_on_refusing_is_believed() {
    for refusal in [Refusal::FormatError, Refusal::NotSupported, Refusal::InvalidTerminal] {
        for (times, told) in [(4, 1), (5, 0)] {
            let mut world = World::with("iso87", "[hardware]\npaper = false");
            world.host.alarm_refusals = vec![refusal; times];
            world.settle();
            assert_eq!(world.host.alarms.len(), told, "an alarm after {times} times {refusal}");
            assert_eq!(world.machine().state.alarms.next(), None);

            let mut world = World::new("iso87");
            world.host.result_refusals = vec![refusal; times];
            world.task(1, 1, Command::SelfTest);
            world.settle();
            assert_eq!(world.host.results.len(), told, "a result after {times} times {refusal}");
            assert_eq!(world.machine().state.next_result(), None);
        }
    }
}

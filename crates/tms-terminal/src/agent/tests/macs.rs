//! A terminal whose profile asks for MACs.

use std::time::Duration;

use jiff::SignedDuration;
use tms_crypto::keyblock::{Tmk, WorkingKeys};
use tms_proto::{Function, Profile, Refusal, address::Dial, task::Command};

use super::world::{End, World, draft, image};
use crate::{
    agent::Exit,
    backoff::Backoff,
    failure::{Failure, FailureKind},
    materials::Entropy,
};

const UNIONPAY: &str = include_str!("../../../../tms-proto/profiles/unionpay.toml");

fn world() -> World {
    // A MAC on every function that has a STAN.
    let required = "protect = \"possible\"\n";
    let mut world = World::new("unionpay");
    let text = UNIONPAY.replace("protect = \"optional\"\n", required);
    world.speak(Profile::from_toml(&text).unwrap());
    world
}

#[test]
fn the_mac_key_of_the_sign_on_carries_a_terminal_through_an_installation() {
    let mut world = world();
    world.host.keys = Some(Tmk::new([0x11; 16]));
    world.order(1, draft("2.0.0"), &image(), None);
    world.settle();
    assert_eq!(world.host.reports.last().unwrap().version, "2.0.0");
}

#[test]
fn a_sign_on_that_brings_no_key_ends_the_connection_with_what_to_check() {
    let mut world = world();
    let End::Exit(Exit::Lost(failure)) = world.connect(usize::MAX) else { panic!() };
    assert!(failure.to_string().contains("the sign-on brought no MAC key"), "{failure}");
    assert!(failure.to_string().contains("[security] tmk"), "{failure}");
}

// unionpay.md §6, A0: sign on again. The next connection does.
#[test]
fn a_host_that_finds_the_mac_wrong_is_left_and_signed_on_to_again() {
    let mut world = world();
    world.host.keys = Some(Tmk::new([0x11; 16]));
    world.order(1, draft("2.0.0"), &image(), None);
    world.host.read_refusal = Some(Refusal::MacWrong);
    let End::Exit(Exit::Lost(failure)) = world.connect(usize::MAX) else { panic!() };
    assert_eq!(failure.kind, FailureKind::MacRefused);
    assert!(failure.to_string().contains("the MAC of the file read missing or wrong (code A0)"), "{failure}");
    world.host.read_refusal = None;
    world.settle();
    assert_eq!(world.host.reports.last().unwrap().version, "2.0.0");
}

/// Connections in an hour, counted no further than a storm needs, with the waits of the terminal.
fn connections_in_an_hour(world: &mut World, backoff: &mut Backoff, expected: FailureKind) -> u32 {
    let end = world.now + SignedDuration::from_hours(1);
    let mut connections = 0;
    while world.now < end && connections < 500 {
        let sign_ons = world.status.link().sign_ons;
        let End::Exit(exit) = world.connect(usize::MAX) else { panic!() };
        assert_eq!(world.status.link().sign_ons, sign_ons + 1);
        backoff.session_ended(&exit);
        let Exit::Lost(failure) = exit else { panic!("{exit:?}") };
        assert_eq!(failure.kind, expected);
        world.now += SignedDuration::try_from(backoff.after(failure.kind)).unwrap();
        connections += 1;
    }
    connections
}

// Every sign-on is approved, and what follows it never is.
#[test]
fn a_host_whose_sign_ons_bring_no_key_that_works_is_asked_less_and_less_often() {
    let backoff = || Backoff::new(Duration::from_millis(200), Duration::from_secs(60), Entropy::default());
    let mut without = world();
    let connections = connections_in_an_hour(&mut without, &mut backoff(), FailureKind::NoMacKey);
    assert!((60..=125).contains(&connections), "no key: {connections}");

    let mut refused = world();
    refused.host.keys = Some(Tmk::new([0x11; 16]));
    refused.order(1, draft("2.0.0"), &image(), None);
    refused.host.read_refusal = Some(Refusal::MacWrong);
    let mut waits = backoff();
    let connections = connections_in_an_hour(&mut refused, &mut waits, FailureKind::MacRefused);
    assert!((60..=250).contains(&connections), "refused: {connections}");

    let mut over = world();
    over.host.keys = Some(Tmk::new([0x11; 16]));
    over.order(1, draft("2.0.0"), &image(), None);
    over.host.read_refusal = Some(Refusal::SignOnAgain);
    let connections = connections_in_an_hour(&mut over, &mut backoff(), FailureKind::SessionOver);
    assert!((60..=250).contains(&connections), "over: {connections}");

    // A session that ends for any other reason is a success, and the next wait is short again.
    let lost = Failure::new(FailureKind::ConnectionLost, "", "");
    waits.session_ended(&Exit::Lost(lost));
    assert!(waits.after(FailureKind::ConnectionLost) <= Duration::from_millis(400));
}

/// UnionPay with a request for working keys, and with this table of their age.
fn asking_for_keys(table: &str, protect: &str) -> World {
    let request = "[function.key_request]\nmti = \"0800\"\nfrom = \"terminal\"\nselect = \"60.3\"\n\
        codes = [\"103\"]\nrequest = { m = [11, 41, 42, 60] }\n\
        reply = { m = [11, 12, 13, 37, 39, 41, 42, 60], c = [62] }\nbody = \"sign-on\"\n\n[function.sign_off]";
    let text = UNIONPAY
        .replace("protect = \"optional\"\n", &format!("protect = \"{protect}\"\n"))
        .replace("[function.sign_off]", request)
        .replace("[mac]\n", &format!("{table}[mac]\n"));
    let mut world = World::new("unionpay");
    world.speak(Profile::from_toml(&text).unwrap());
    world.host.keys = Some(Tmk::new([0x11; 16]));
    world
}

#[test]
fn where_keys_can_be_asked_for_a_wrong_mac_costs_no_connection_unless_they_do_not_help() {
    let mut world = asking_for_keys("", "possible");
    world.order(1, draft("2.0.0"), &image(), None);
    world.host.read_refusal = Some(Refusal::MacWrong);
    let connections = world.status.link().sign_ons;
    let end = world.connect(usize::MAX);
    assert!(!matches!(end, End::Exit(Exit::Lost(_))), "{end:?}");
    assert_eq!((world.host.key_requests, world.status.link().sign_ons), (1, connections + 1));
    world.settle();
    assert_eq!(world.host.reports.last().unwrap().version, "2.0.0");

    let mut stubborn = asking_for_keys("", "possible");
    stubborn.order(1, draft("2.0.0"), &image(), None);
    stubborn.host.read_refusals = vec![Refusal::MacWrong; 1_000];
    let End::Exit(Exit::Lost(failure)) = stubborn.connect(usize::MAX) else { panic!() };
    assert_eq!((failure.kind, stubborn.host.key_requests), (FailureKind::MacRefused, 1));
}

#[test]
fn keys_are_asked_for_again_as_soon_as_they_are_as_old_as_the_profile_says() {
    let mut world = asking_for_keys("[keys]\nrenew_after_s = 600\n", "possible");
    world.connect_for(SignedDuration::from_secs(2_900));
    assert_eq!(world.host.key_requests, 4, "at 600, 1200, 1800 and 2400 seconds");
}

#[test]
fn a_terminal_that_needs_keys_and_gets_none_asks_less_and_less_often() {
    let mut world = asking_for_keys("[keys]\nrenew_after_s = 600\n", "optional");
    world.host.keys = None;
    world.connect_for(SignedDuration::from_secs(60));
    assert_eq!(world.host.key_requests, 5, "at 1, 3, 7, 15 and 31 seconds");
    world.host.keys = Some(Tmk::new([0x11; 16]));
    world.connect_for(SignedDuration::from_secs(500));
    assert_eq!(world.host.key_requests, 5, "the next sign-on brought some");

    // Where they cannot be asked for it signs on.
    let mut world = World::new("unionpay");
    let plain = "extends = \"unionpay\"\n[keys]\nrenew_after_s = 600\n";
    world.speak(Profile::from_toml(plain).unwrap());
    world.connect_for(SignedDuration::from_secs(60));
    let sign_ons = world.host.sign_on_codes.len();
    assert!((3..=6).contains(&sign_ons) && world.host.key_requests == 0, "{sign_ons}");
}

#[test]
fn keys_that_the_host_sends_later_take_the_place_of_the_first() {
    for profile in ["iso87", "iso93"] {
        let mut world = World::new(profile);
        world.host.keys = Some(Tmk::new([0x11; 16]));
        world.host.later_keys = Some(WorkingKeys::generate(false));
        world.settle();
        world.task(1, 1, Command::CollectLogs { max_bytes: 1 << 20 });
        world.settle();
        let log = String::from_utf8(world.host.log.clone()).unwrap();
        assert!(log.contains("working keys installed") && log.contains("working keys replaced"), "{profile}");
    }
}

#[test]
fn a_sign_on_asks_for_the_keys_that_the_scenario_says() {
    let (_, materials) = World::new("unionpay").given();
    let codes = &materials.profile.rule(Function::SignOn).unwrap().codes;
    assert!(codes.len() > 1, "{codes:?}");
    for code in codes {
        let mut world = World::of("unionpay", &format!("sign_on_code = \"{code}\""), "");
        world.host.keys = Some(Tmk::new([0x11; 16]));
        world.settle();
        assert!(world.host.sign_on_codes.iter().all(|told| told == code), "{:?}", world.host.sign_on_codes);
        assert!(!world.host.reports.is_empty());
    }
}

#[test]
fn a_batch_number_of_the_host_is_kept_when_nothing_is_booked_yet() {
    let world = World::new("unionpay");
    let dial = Dial { address: String::new(), on_trial: false, ended: None };
    world.machine().signed_on(&dial, Some(700), world.now).unwrap();
    world.device.trade(world.now).unwrap();
    world.machine().signed_on(&dial, Some(800), world.now).unwrap();
    assert_eq!(world.device.state(|state| state.trade.open.number), 700);
}

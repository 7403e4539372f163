//! A terminal whose profile asks for MACs.

use std::sync::Arc;

use tms_crypto::keyblock::Tmk;
use tms_proto::{Profile, Refusal};

use super::world::{End, World, draft, image};
use crate::{agent::Exit, failure::FailureKind};

const UNIONPAY: &str = include_str!("../../../../tms-proto/profiles/unionpay.toml");

fn world() -> World {
    let required =
        "protect = \"required\"\n[mac.function]\necho = \"none\"\nstatus = \"none\"\nparameters = \"none\"\n";
    let mut world = World::new("unionpay");
    let text = UNIONPAY.replace("protect = \"optional\"\n", required);
    world.profile = Arc::new(Profile::from_toml(&text).unwrap());
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
    assert_eq!(failure.kind, FailureKind::ConnectionLost);
    assert!(failure.to_string().contains("the MAC of the file read missing or wrong (code A0)"), "{failure}");
    world.host.read_refusal = None;
    world.settle();
    assert_eq!(world.host.reports.last().unwrap().version, "2.0.0");
}

//! What those get who have no key.

use tms_proto::{
    Refusal,
    parameters::Push,
    task::{Command, Outcome, Task, TaskResult},
};
use uuid::Uuid;

use super::*;

/// What somebody between the two does to the fields of a message.
type Change = fn(&mut Vec<(u8, String)>);

fn result(pair: &mut Pair) -> Vec<u8> {
    let result = TaskResult::new(Uuid::from_u128(42), 1, Outcome::DONE);
    pair.terminal.send_result(&result, NOW).unwrap();
    pair.terminal.poll_transmit().unwrap()
}

fn command() -> Task {
    Task { operation: Uuid::from_u128(1), step: 1, command: Command::CollectLogs { max_bytes: 9 } }
}

fn push(revision: u64) -> Push {
    Push { operation: Uuid::from_u128(1), revision, values: Default::default() }
}

/// The frame changed by someone who has the key.
fn signed(pair: &Pair, frame: &[u8], change: impl FnOnce(&mut Vec<(u8, String)>)) -> Vec<u8> {
    let room = pair.with(frame, change);
    let (covered, _) = pair.frame(&room).body.split_last_chunk::<8>().unwrap();
    let mac = pair.key.sign(pair.profile.mac().unwrap().form(), covered).unwrap();
    pair.around(&room, &[covered, &mac].concat())
}

/// The frame changed by someone who has not.
fn forged(pair: &Pair, frame: &[u8], change: impl FnOnce(&mut Vec<(u8, String)>)) -> Vec<u8> {
    pair.with(frame, |fields| {
        fields.retain(|(n, _)| !matches!(n, 64 | 128));
        change(fields);
    })
}

fn another_tid(fields: &mut [(u8, String)]) {
    fields.iter_mut().find(|(n, _)| *n == 41).unwrap().1 = "10000009".into();
}

fn host(profile: &Arc<Profile>) -> HostSession {
    let mut host = HostSession::new(profile.clone(), Some("10000001".into()));
    host.set_mac_key(profile.static_mac_key(&STATIC_KEY).unwrap()).unwrap();
    host
}

// Somebody who alters a request gets a refusal for it; with a MAC the terminal would believe it.
#[test]
fn no_refusal_of_a_request_without_a_right_mac_carries_one() {
    let profile = iso87();
    let ways: [Change; 4] = [
        |_| {},
        |fields| fields.retain(|(n, _)| *n != 125),
        |fields| fields.retain(|(n, _)| *n != 3),
        |fields| another_tid(fields),
    ];
    for (index, change) in ways.into_iter().enumerate() {
        for refusing_all in [false, true] {
            let mut pair = Pair::new(&profile);
            pair.host = host(&profile);
            if refusing_all {
                pair.host = host(&profile).refusing_all(Refusal::InvalidTerminal);
            }
            let sent = result(&mut pair);
            pair.host.receive(&forged(&pair, &sent, change), NOW).unwrap();
            assert!(!host_acted(&mut pair.host));
            let reply = pair.host.poll_transmit().unwrap();
            assert_eq!(pair.mac_field(&reply), None, "change {index}, refusing all: {refusing_all}");
            pair.terminal.receive(&reply, NOW).unwrap();
            let believed = std::iter::from_fn(|| pair.terminal.poll_event()).any(|event| {
                !matches!(
                    event,
                    TerminalEvent::Dropped(_) | TerminalEvent::Refused { refusal: Refusal::MacWrong, .. }
                )
            });
            assert!(!believed, "change {index}, refusing all: {refusing_all}");
        }
    }
}

#[test]
fn the_refusal_of_a_request_with_a_right_mac_carries_one() {
    let profile = iso87();
    let ways: [(Change, Refusal); 2] = [
        (|fields| fields.retain(|(n, _)| *n != 125), Refusal::FormatError),
        (|fields| another_tid(fields), Refusal::InvalidTerminal),
    ];
    for (change, expected) in ways {
        let mut pair = Pair::new(&profile);
        pair.host = host(&profile);
        let sent = result(&mut pair);
        pair.host.receive(&signed(&pair, &sent, change), NOW).unwrap();
        let Some(HostEvent::Refused { refusal, .. }) = pair.host.poll_event() else { panic!() };
        assert_eq!(refusal, expected);
        let reply = pair.host.poll_transmit().unwrap();
        assert!(pair.mac_field(&reply).is_some(), "{refusal}");
    }
}

#[test]
fn a_terminal_gives_no_mac_to_the_refusal_of_a_push_without_a_right_one() {
    let mut pair = Pair::new(&iso87());
    let ways: [Change; 2] = [|fields| fields.retain(|(n, _)| *n != 120), |fields| another_tid(fields)];
    for change in ways {
        pair.host.push_parameters(push(3), NOW).unwrap();
        let sent = pair.host.poll_transmit().unwrap();
        pair.terminal.receive(&forged(&pair, &sent, change), NOW).unwrap();
        let reply = pair.terminal.poll_transmit().unwrap();
        assert_eq!(pair.mac_field(&reply), None);
    }
    pair.host.push_parameters(push(3), NOW).unwrap();
    let sent = pair.host.poll_transmit().unwrap();
    let lacking = signed(&pair, &sent, |fields| fields.retain(|(n, _)| *n != 120));
    pair.terminal.receive(&lacking, NOW).unwrap();
    let event = pair.carry_to_host();
    assert!(
        matches!(event, HostEvent::PushAnswered { refusal: Some(Refusal::FormatError), .. }),
        "{event:?}"
    );
}

#[test]
fn a_command_sent_back_to_the_host_is_refused_without_a_mac() {
    let mut pair = Pair::new(&iso87());
    pair.host.push_command(command(), NOW).unwrap();
    let own = pair.host.poll_transmit().unwrap();
    pair.host.receive(&own, NOW).unwrap();
    assert!(!host_acted(&mut pair.host));
    let refusal = pair.host.poll_transmit().unwrap();
    assert_eq!(pair.mac_field(&refusal), None);
    pair.host.receive(&refusal, NOW).unwrap();
    assert!(!host_acted(&mut pair.host), "its own refusal is no answer of the terminal");
}

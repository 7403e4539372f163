//! What those get who have no key, and what the messages of another terminal are worth where one key
//! serves many.

use tms_proto::{
    ProtocolError, Refusal,
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
    Push::parameters(Uuid::from_u128(1), revision, Default::default())
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
                    TerminalEvent::Dropped(_)
                        | TerminalEvent::Unanswered { .. }
                        | TerminalEvent::Refused { refusal: Refusal::MacWrong, .. }
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

/// Two terminals of one listener, so with one key, that have come equally far.
fn neighbours() -> (Pair, Pair) {
    let profile = iso87();
    let (first, mut second) = (Pair::new(&profile), Pair::new(&profile));
    let identity = Identity::new("10000002", "102310060510002");
    second.terminal = TerminalSession::new(profile.clone(), identity);
    second.terminal.set_mac_key(profile.static_mac_key(&STATIC_KEY).unwrap()).unwrap();
    second.host = HostSession::new(profile.clone(), Some("10000002".into()));
    second.host.set_mac_key(profile.static_mac_key(&STATIC_KEY).unwrap()).unwrap();
    second.sign_on();
    (first, second)
}

#[test]
fn another_terminals_answer_to_a_push_is_not_this_ones() {
    let (mut first, mut second) = neighbours();
    let mut answers = Vec::new();
    for (pair, revision) in [(&mut first, 7), (&mut second, 8)] {
        pair.host.push_parameters(push(revision), NOW).unwrap();
        let TerminalEvent::ParameterPush { request, .. } = pair.carry_to_terminal() else { panic!() };
        pair.terminal.answer(request, None, NOW).unwrap();
        answers.push(pair.terminal.poll_transmit().unwrap());
    }
    second.host.receive(&answers[0], NOW).unwrap();
    assert!(!host_acted(&mut second.host));
    second.host.receive(&answers[1], NOW).unwrap();
    let Some(HostEvent::PushAnswered { push, refusal: None, .. }) = second.host.poll_event() else {
        panic!()
    };
    assert_eq!(push.revision, 8);
}

#[test]
fn neither_an_approval_nor_a_refusal_for_another_terminal_answers_this_one() {
    for refused in [false, true] {
        let (mut first, mut second) = neighbours();
        let mut replies = Vec::new();
        for pair in [&mut first, &mut second] {
            let sent = result(pair);
            pair.host.receive(&sent, NOW).unwrap();
            let Some(HostEvent::TaskResult { exchange, .. }) = pair.host.poll_event() else { panic!() };
            let answer = if refused { Answer::Refused(Refusal::NotPermitted) } else { Answer::Approved };
            pair.host.answer(exchange, answer, NOW).unwrap();
            replies.push(pair.host.poll_transmit().unwrap());
        }
        second.terminal.receive(&replies[0], NOW).unwrap();
        assert!(!terminal_acted(&mut second.terminal), "refused: {refused}");
        assert_eq!(second.terminal.outstanding(), 1, "the true reply may yet come");
        second.terminal.receive(&replies[1], NOW).unwrap();
        assert!(terminal_acted(&mut second.terminal));
    }
}

// facts §1.3: DE41 must be equal always, with a MAC or without.
#[test]
fn a_refusal_for_another_terminal_is_none_where_no_mac_tells() {
    let mut pair = Pair::new(&Arc::new(Profile::builtin("unionpay").unwrap()));
    let sent = result(&mut pair);
    pair.host.receive(&sent, NOW).unwrap();
    let Some(HostEvent::TaskResult { exchange, .. }) = pair.host.poll_event() else { panic!() };
    pair.host.answer(exchange, Answer::Refused(Refusal::NotPermitted), NOW).unwrap();
    let reply = pair.host.poll_transmit().unwrap();
    pair.terminal.receive(&pair.with(&reply, |fields| another_tid(fields)), NOW).unwrap();
    let Some(TerminalEvent::Unanswered { reason, .. }) = pair.terminal.poll_event() else { panic!() };
    assert_eq!(reason.to_string(), "the reply is for another terminal");
}

#[test]
fn a_host_without_a_key_says_that_it_cannot_push() {
    let text = ISO87
        .replace("protect = \"optional\"", "protect = \"required\"")
        .replace("key = \"static\"", "key = \"working\"")
        .replace("x9.19", "x9.9");
    let profile = Arc::new(Profile::from_toml(&text).unwrap());
    let identity = Identity::new("10000001", "102310060510002");
    let mut host = HostSession::new(profile.clone(), None);
    let mut terminal = TerminalSession::new(profile, identity);
    let keys = WorkingKeys::generate(false);
    let block = wrap_working_keys(&Tmk::new([0x11; 16]), &keys);
    for (answer, has_key) in [(Answer::Approved, false), (Answer::Keys { block: &block, keys: &keys }, true)]
    {
        terminal.sign_on(b"", NOW).unwrap();
        host.receive(&terminal.poll_transmit().unwrap(), NOW).unwrap();
        let Some(HostEvent::SignOn { exchange, .. }) = host.poll_event() else { panic!() };
        host.answer(exchange, answer, NOW).unwrap();
        assert!(host.is_signed_on());
        assert_eq!(host.can_push(), has_key);
        let pushed = host.push_command(command(), NOW);
        assert_eq!(matches!(pushed, Err(ProtocolError::NoMacKey(_))), !has_key, "{pushed:?}");
        assert_eq!(pushed.is_ok(), has_key);
    }
}

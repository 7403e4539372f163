//! What works.

use tms_crypto::mac::MacForm;
use tms_proto::{
    Function, ProtocolError, Refusal,
    file::BlockRequest,
    task::{Command, Outcome, Task, TaskResult},
};
use uuid::Uuid;

use super::*;

#[test]
fn protected_exchanges_work_in_both_profiles_and_both_directions() {
    for profile in [unionpay(), iso87()] {
        let mut pair = Pair::new(&profile);
        let request = pair.report();
        assert!(pair.mac_field(&request).is_some());
        pair.host.receive(&request, NOW).unwrap();
        let Some(HostEvent::Report { exchange, .. }) = pair.host.poll_event() else { panic!() };
        assert!(exchange.is_authentic());
        assert!(matches!(pair.reply(exchange, Answer::Approved), TerminalEvent::ReportTaken));

        let result = TaskResult::new(Uuid::from_u128(42), 1, Outcome::DONE);
        pair.terminal.send_result(&result, NOW).unwrap();
        let HostEvent::TaskResult { exchange, .. } = pair.carry_to_host() else { panic!() };
        assert!(matches!(pair.reply(exchange, Answer::Approved), TerminalEvent::ResultTaken { .. }));
    }
}

#[test]
fn what_the_host_pushes_and_what_it_is_answered_is_protected_too() {
    let mut pair = Pair::new(&iso87());
    let task =
        Task { operation: Uuid::from_u128(1), step: 1, command: Command::CollectLogs { max_bytes: 9 } };
    pair.host.push_command(task, NOW).unwrap();
    let TerminalEvent::Command { request, .. } = pair.carry_to_terminal() else { panic!() };
    pair.terminal.answer(request, None, NOW).unwrap();
    assert!(matches!(pair.carry_to_host(), HostEvent::CommandAnswered { refusal: None, .. }));

    pair.host.push_echo(NOW).unwrap();
    let frame = pair.host.poll_transmit().unwrap();
    pair.terminal.receive(&frame, NOW).unwrap();
    assert!(matches!(pair.carry_to_host(), HostEvent::EchoAnswered));
}

#[test]
fn the_mac_stands_in_the_last_field_that_the_bitmap_has_room_for_and_covers_everything_before_it() {
    for profile in [unionpay(), iso87()] {
        let mut pair = Pair::new(&profile);
        pair.terminal.poll_task(NOW).unwrap();
        let short = pair.terminal.poll_transmit().unwrap();
        assert_eq!(pair.mac_field(&short), Some(64));
        pair.terminal.read_block(BlockRequest { file: "fw".into(), offset: 0, length: 9 }, NOW).unwrap();
        let request = pair.terminal.poll_transmit().unwrap();
        pair.host.receive(&request, NOW).unwrap();
        let Some(HostEvent::FileRead { exchange, .. }) = pair.host.poll_event() else { panic!() };
        let block = Answer::Block { offset: 0, total_bytes: 9, data: b"firmware!" };
        pair.host.answer(exchange, block, NOW).unwrap();
        let long = pair.host.poll_transmit().unwrap();
        assert_eq!(pair.mac_field(&long), Some(128));

        // Computed here by hand: over the message type, the bitmap with the MAC's own bit, and every
        // field before the MAC; not over length, TPDU and header.
        for frame in [&short, &long] {
            let (covered, mac) = pair.frame(frame).body.split_last_chunk::<8>().unwrap();
            let by_hand = pair.key.sign(profile.mac().unwrap().form(), covered).unwrap();
            assert_eq!(*by_hand, mac[..]);
        }
        pair.terminal.receive(&long, NOW).unwrap();
        assert!(matches!(pair.terminal.poll_event(), Some(TerminalEvent::Block(_))));
    }
}

#[test]
fn an_optional_mac_is_checked_when_there_is_a_key_and_answered_with_one() {
    let mut pair = Pair::new(&Arc::new(Profile::from_toml(UNIONPAY).unwrap()));
    let plain = pair.report();
    assert_eq!(pair.mac_field(&plain), None, "none is sent unasked");
    pair.host.receive(&plain, NOW).unwrap();
    let Some(HostEvent::Report { exchange, .. }) = pair.host.poll_event() else { panic!() };
    assert!(!exchange.is_authentic());
    pair.host.answer(exchange, Answer::Approved, NOW).unwrap();
    let reply = pair.host.poll_transmit().unwrap();
    assert_eq!(pair.mac_field(&reply), None);

    let room = pair.with(&plain, |fields| fields.insert(fields.len(), (64, "00".repeat(8))));
    let (covered, _) = pair.frame(&room).body.split_last_chunk::<8>().unwrap();
    let right = [covered, &pair.key.sign(MacForm::Hex8, covered).unwrap()].concat();
    pair.host.receive(&pair.around(&plain, &right), NOW).unwrap();
    let Some(HostEvent::Report { exchange, .. }) = pair.host.poll_event() else { panic!() };
    assert!(exchange.is_authentic());
    pair.host.answer(exchange, Answer::Approved, NOW).unwrap();
    let reply = pair.host.poll_transmit().unwrap();
    assert_eq!(pair.mac_field(&reply), Some(64));

    pair.host.receive(&room, NOW).unwrap();
    assert!(matches!(pair.host.poll_event(), Some(HostEvent::Refused { refusal: Refusal::MacWrong, .. })));
    assert!(!host_acted(&mut pair.host));
}

// unionpay.md §4.14: one host's reply to a query has DE64 although terminals are not asked for any.
#[test]
fn a_mac_that_nothing_can_check_is_let_through_where_none_is_asked_for_and_is_told() {
    let without_section = UNIONPAY.split_once("\n[mac]").unwrap();
    let after = without_section.1.split_once("[function.sign_on]").unwrap().1;
    let none = format!("{}\n[function.sign_on]{after}", without_section.0);
    for text in [UNIONPAY, none.as_str()] {
        let profile = Arc::new(Profile::from_toml(text).unwrap());
        let pair = Pair::new(&unionpay());
        let mut host = HostSession::new(profile.clone(), None);
        let mut terminal = TerminalSession::new(profile, Identity::new("10000001", "102310060510002"));
        terminal.report(&Report::default(), NOW).unwrap();
        let plain = terminal.poll_transmit().unwrap();
        let with_mac = pair.with(&plain, |fields| fields.push((64, "3841394539314238".into())));
        host.receive(&with_mac, NOW).unwrap();
        assert!(matches!(host.poll_event(), Some(HostEvent::MacUnchecked(Function::Report))));
        let Some(HostEvent::Report { exchange, .. }) = host.poll_event() else { panic!() };
        assert!(!exchange.is_authentic());

        host.answer(exchange, Answer::Approved, NOW).unwrap();
        let reply = host.poll_transmit().unwrap();
        let with_mac = pair.with(&reply, |fields| fields.push((64, "3841394539314238".into())));
        terminal.receive(&with_mac, NOW).unwrap();
        assert!(matches!(terminal.poll_event(), Some(TerminalEvent::MacUnchecked(Function::Report))));
        assert!(matches!(terminal.poll_event(), Some(TerminalEvent::ReportTaken)));
    }
}

#[test]
fn before_the_sign_on_gave_a_key_nothing_protected_is_sent_or_acted_on() {
    let profile = unionpay();
    let mut signed_on = Pair::new(&profile);
    let mut terminal = TerminalSession::new(profile.clone(), Identity::new("10000001", "102310060510002"));
    let error = terminal.poll_task(NOW).unwrap_err();
    assert!(matches!(error, ProtocolError::NoMacKey(Function::TaskPoll)));
    assert_eq!(error.to_string(), "task poll must carry a MAC, and there is no MAC key yet; sign on first");
    assert!(terminal.poll_transmit().is_none());

    let mut host = HostSession::new(profile, None);
    host.receive(&signed_on.report(), NOW).unwrap();
    assert!(matches!(
        host.poll_event(),
        Some(HostEvent::Refused { function: Some(Function::Report), refusal: Refusal::MacWrong, .. })
    ));
}

#[test]
fn a_sign_off_ends_the_key_on_both_sides_after_its_own_reply() {
    let mut pair = Pair::new(&unionpay());
    let late = pair.report();
    pair.terminal.sign_off(NOW).unwrap();
    let HostEvent::SignOff { exchange } = pair.carry_to_host() else { panic!() };
    assert!(matches!(pair.reply(exchange, Answer::Approved), TerminalEvent::SignedOff));
    assert!(matches!(pair.terminal.poll_task(NOW), Err(ProtocolError::NoMacKey(_))));
    pair.host.receive(&late, NOW).unwrap();
    assert!(!host_acted(&mut pair.host));
}

#[test]
fn a_new_sign_on_brings_a_new_key_and_the_old_one_is_worth_nothing() {
    let mut pair = Pair::new(&unionpay());
    let old = pair.report();
    pair.sign_on();
    pair.host.receive(&old, NOW).unwrap();
    assert!(matches!(pair.host.poll_event(), Some(HostEvent::Refused { refusal: Refusal::MacWrong, .. })));
    let _ = pair.host.poll_transmit();
    let new = pair.report();
    pair.host.receive(&new, NOW).unwrap();
    assert!(matches!(pair.host.poll_event(), Some(HostEvent::Report { .. })));
}

#[test]
fn an_approval_without_keys_leaves_no_older_key_in_force() {
    let mut pair = Pair::new(&unionpay());
    pair.terminal.sign_on(b"", NOW).unwrap();
    let HostEvent::SignOn { exchange, .. } = pair.carry_to_host() else { panic!() };
    assert!(matches!(pair.reply(exchange, Answer::Approved), TerminalEvent::SignedOn { keys: None, .. }));
    assert!(matches!(pair.terminal.poll_task(NOW), Err(ProtocolError::NoMacKey(_))));
}

#[test]
fn a_key_that_does_not_fit_the_profile_is_refused_with_what_would() {
    assert_eq!(
        iso87().static_mac_key(&[1; 8]).unwrap_err().to_string(),
        "MAC key: a key for x9.19 has 16 bytes, not 8"
    );
    assert!(matches!(unionpay().static_mac_key(&[1; 8]), Err(ProtocolError::NoStaticMacKey)));
    assert!(iso87().needs_static_mac_key() && !unionpay().needs_static_mac_key());
    assert!(!Profile::builtin("iso87").unwrap().needs_static_mac_key());

    let key = iso87().static_mac_key(&STATIC_KEY).unwrap();
    let refused = HostSession::new(unionpay(), None).set_mac_key(key);
    assert!(matches!(refused, Err(ProtocolError::NoStaticMacKey)));
    let other = MacKey::new(tms_crypto::mac::MacAlgorithm::AesCmac, &STATIC_KEY).unwrap();
    assert_eq!(
        HostSession::new(iso87(), None).set_mac_key(other).unwrap_err().to_string(),
        "the MAC key is for aes-cmac, the profile's MACs are x9.19"
    );
}

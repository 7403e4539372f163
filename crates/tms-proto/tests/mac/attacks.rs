//! What somebody between the two can try: strip, alter, move, send again.

use proptest::prelude::*;
use tms_proto::{Function, ProtocolError, Refusal, file::BlockRequest, parameters::Push};
use uuid::Uuid;

use super::*;

fn refused_for_its_mac(host: &mut HostSession) -> bool {
    matches!(
        host.poll_event(),
        Some(HostEvent::Refused { function: Some(_), refusal: Refusal::MacWrong, .. })
    )
}

#[test]
fn a_request_whose_mac_was_stripped_is_answered_with_the_code_for_it_and_not_acted_on() {
    for (profile, code) in [(unionpay(), "A0"), (iso87(), "63")] {
        let mut pair = Pair::new(&profile);
        let sent = pair.report();
        let stripped = pair.with(&sent, |fields| fields.retain(|(n, _)| !matches!(n, 64 | 128)));
        pair.host.receive(&stripped, NOW).unwrap();
        assert!(refused_for_its_mac(&mut pair.host));
        assert!(!host_acted(&mut pair.host));

        // The terminal is told, and where the key came from the sign-on it must sign on again.
        let TerminalEvent::Refused { refusal, code: found, .. } = pair.carry_to_terminal() else { panic!() };
        assert_eq!((refusal, found.as_str(), refusal.may_retry()), (Refusal::MacWrong, code, true));
        let again = pair.terminal.poll_task(NOW);
        assert_eq!(matches!(again, Err(ProtocolError::NoMacKey(_))), profile.name() == "unionpay");
    }
}

#[test]
fn an_approval_whose_mac_was_stripped_or_forged_is_dropped_and_the_true_one_still_counts() {
    for profile in [unionpay(), iso87()] {
        let mut pair = Pair::new(&profile);
        let sent = pair.approval();
        let stripped = pair.with(&sent, |fields| fields.retain(|(n, _)| !matches!(n, 64 | 128)));
        let zeroed = pair.with(&sent, |fields| fields.last_mut().unwrap().1 = "00".repeat(8));
        for frame in [stripped, zeroed] {
            pair.terminal.receive(&frame, NOW).unwrap();
            assert!(!terminal_acted(&mut pair.terminal));
            assert_eq!(pair.terminal.outstanding(), 1);
        }
        pair.terminal.receive(&sent, NOW).unwrap();
        assert!(matches!(pair.terminal.poll_event(), Some(TerminalEvent::ReportTaken)));
    }
}

#[test]
fn a_refusal_needs_a_mac_only_where_the_profile_protects_refusals() {
    for profile in [unionpay(), iso87()] {
        let mut pair = Pair::new(&profile);
        let request = pair.report();
        pair.host.receive(&request, NOW).unwrap();
        let Some(HostEvent::Report { exchange, .. }) = pair.host.poll_event() else { panic!() };
        pair.host.answer(exchange, Answer::Refused(Refusal::NotPermitted), NOW).unwrap();
        let refusal = pair.host.poll_transmit().unwrap();
        let protected = profile.name() == "iso87";
        assert_eq!(pair.mac_field(&refusal).is_some(), protected);
        let stripped = pair.with(&refusal, |fields| fields.retain(|(n, _)| !matches!(n, 64 | 128)));
        pair.terminal.receive(&stripped, NOW).unwrap();
        assert_eq!(terminal_acted(&mut pair.terminal), !protected);
    }
}

#[test]
fn an_approval_made_into_a_refusal_is_dropped_as_long_as_its_mac_is_left_in_place() {
    for profile in [unionpay(), iso87()] {
        let mut pair = Pair::new(&profile);
        let sent = pair.approval();
        let changed = pair.with(&sent, |fields| {
            fields.iter_mut().find(|(n, _)| *n == 39).unwrap().1 = "57".into();
        });
        pair.terminal.receive(&changed, NOW).unwrap();
        assert!(!terminal_acted(&mut pair.terminal));
    }
}

#[test]
fn a_mac_over_a_message_without_its_own_bit_in_the_bitmap_is_wrong() {
    let mut pair = Pair::new(&unionpay());
    let sent = pair.report();
    let stripped = pair.with(&sent, |fields| fields.retain(|(n, _)| *n != 64));
    let mac = pair.key.sign(pair.profile.mac().unwrap().form(), pair.frame(&stripped).body).unwrap();
    let moved = pair.with(&sent, |fields| fields.last_mut().unwrap().1 = hex::encode(mac));
    pair.host.receive(&moved, NOW).unwrap();
    assert!(refused_for_its_mac(&mut pair.host));
}

#[test]
fn bytes_after_the_mac_make_the_message_unreadable_whatever_the_length_says() {
    for profile in [unionpay(), iso87()] {
        let mut pair = Pair::new(&profile);
        let sent = pair.report();
        let body = pair.frame(&sent).body.to_vec();
        for longer in [[&body[..], &[0]].concat(), [&body[..], &body[body.len() - 8..]].concat()] {
            pair.host.receive(&pair.around(&sent, &longer), NOW).unwrap();
            let Some(HostEvent::Refused { function: None, refusal, .. }) = pair.host.poll_event() else {
                panic!()
            };
            assert_eq!(refusal, Refusal::FormatError);
            assert!(!host_acted(&mut pair.host));
        }
        // The bytes alone, under the old length: more than one frame, and none is taken.
        assert!(pair.host.receive(&[&sent[..], &[0]].concat(), NOW).is_err());
    }
}

/// Right over everything before it, and in a field that fields of data follow.
#[test]
fn a_mac_that_does_not_end_the_message_protects_nothing_and_is_refused() {
    for profile in [unionpay(), iso87()] {
        let mut pair = Pair::new(&profile);
        pair.terminal.read_block(BlockRequest { file: "fw".into(), offset: 0, length: 3 }, NOW).unwrap();
        let request = pair.terminal.poll_transmit().unwrap();
        pair.host.receive(&request, NOW).unwrap();
        let Some(HostEvent::FileRead { exchange, .. }) = pair.host.poll_event() else { panic!() };
        pair.host.answer(exchange, Answer::Block { offset: 0, total_bytes: 3, data: b"abc" }, NOW).unwrap();
        let sent = pair.host.poll_transmit().unwrap();
        for keep_the_true_one in [false, true] {
            let room = pair.with(&sent, |fields| {
                fields.retain(|(n, _)| keep_the_true_one || *n != 128);
                fields.push((64, "00".repeat(8)));
            });
            let body = pair.frame(&room).body;
            let at = body.windows(8).position(|window| window == [0; 8]).unwrap();
            let mac = pair.key.sign(profile.mac().unwrap().form(), &body[..at]).unwrap();
            let moved = [&body[..at], &mac, &body[at + 8..]].concat();
            pair.terminal.receive(&pair.around(&sent, &moved), NOW).unwrap();
            let Some(TerminalEvent::Dropped(reason)) = pair.terminal.poll_event() else { panic!() };
            assert!(
                reason.to_string().contains("its MAC is in DE64, which is not its last field"),
                "{reason}"
            );
        }
        pair.terminal.receive(&sent, NOW).unwrap();
        assert!(matches!(pair.terminal.poll_event(), Some(TerminalEvent::Block(_))));
    }
}

#[test]
fn the_reply_to_one_request_does_not_answer_another() {
    for profile in [unionpay(), iso87()] {
        let mut pair = Pair::new(&profile);
        let first = pair.approval();
        pair.terminal.receive(&first, NOW).unwrap();
        assert!(matches!(pair.terminal.poll_event(), Some(TerminalEvent::ReportTaken)));
        let _ = pair.approval();
        pair.terminal.receive(&first, NOW).unwrap();
        assert!(!terminal_acted(&mut pair.terminal));
        // Nor does changing its STAN make it one.
        let changed = pair.with(&first, |fields| {
            let stan = &mut fields.iter_mut().find(|(n, _)| *n == 11).unwrap().1;
            *stan = format!("{:06}", stan.parse::<u32>().unwrap() + 1);
        });
        pair.terminal.receive(&changed, NOW).unwrap();
        assert!(!terminal_acted(&mut pair.terminal));
        assert_eq!(pair.terminal.outstanding(), 1);
    }
}

/// A static key outlives connections, and with it every recorded reply.
#[test]
fn a_reply_recorded_on_an_earlier_connection_answers_nothing_on_a_later_one() {
    let profile = iso87();
    let recorded = {
        let mut pair = Pair::new(&profile);
        (0..4).map(|_| pair.approval()).collect::<Vec<_>>()
    };
    for (days, seconds) in [(0, 1), (0, 3), (1, 0), (11, 49_599)] {
        let later = NOW + jiff::SignedDuration::from_secs(days * 86_400 + seconds);
        let mut pair = Pair::new(&profile);
        let key = || profile.static_mac_key(&STATIC_KEY).unwrap();
        let identity = Identity::new("10000001", "102310060510002");
        pair.terminal = TerminalSession::new(profile.clone(), identity);
        pair.terminal.set_mac_key(key()).unwrap();
        for _ in 0..6 {
            pair.terminal.report(&Report::default(), later).unwrap();
        }
        for frame in &recorded {
            pair.terminal.receive(frame, later).unwrap();
            assert!(!terminal_acted(&mut pair.terminal), "{later}");
        }
        assert_eq!(pair.terminal.outstanding(), 6);
    }
}

#[test]
fn a_reply_says_when_its_request_was_sent_and_a_protected_one_must() {
    let mut pair = Pair::new(&iso87());
    let request = pair.report();
    let seven = |pair: &Pair, frame: &[u8]| {
        let message = Message::parse(pair.profile.dialect(), pair.frame(frame).body).unwrap();
        message.text("7").unwrap().into_owned()
    };
    let later = NOW + jiff::SignedDuration::from_secs(5);
    pair.host.receive(&request, later).unwrap();
    let Some(HostEvent::Report { exchange, .. }) = pair.host.poll_event() else { panic!() };
    pair.host.answer(exchange, Answer::Approved, later).unwrap();
    let reply = pair.host.poll_transmit().unwrap();
    assert_eq!(seven(&pair, &reply), seven(&pair, &request));
    pair.terminal.receive(&reply, later).unwrap();
    assert!(matches!(pair.terminal.poll_event(), Some(TerminalEvent::ReportTaken)));
}

/// Parameters and blocks share a message type in :1987, so the host's own reply could pass for the
/// terminal's: it has the type, the STAN and a right MAC, and only the code differs.
#[test]
fn a_message_sent_back_to_its_own_sender_is_no_reply() {
    let mut pair = Pair::new(&iso87());
    pair.host.push_echo(NOW).unwrap();
    let _ = pair.host.poll_transmit();
    let push = Push::parameters(Uuid::from_u128(1), 3, Default::default());
    pair.host.push_parameters(push, NOW).unwrap();
    let _ = pair.host.poll_transmit();
    // STAN 2 is the push's, and the terminal's second request's.
    let request = BlockRequest { file: "fw".into(), offset: 0, length: 3 };
    pair.terminal.read_block(request, NOW).unwrap();
    let HostEvent::FileRead { exchange, .. } = pair.carry_to_host() else { panic!() };
    pair.host.answer(exchange, Answer::Block { offset: 0, total_bytes: 3, data: b"abc" }, NOW).unwrap();
    let own = pair.host.poll_transmit().unwrap();
    pair.host.receive(&own, NOW).unwrap();
    assert!(!host_acted(&mut pair.host));
    pair.terminal.receive(&own, NOW).unwrap();
    assert!(matches!(pair.terminal.poll_event(), Some(TerminalEvent::Block(_))));
}

#[test]
fn a_terminals_own_reply_sent_back_to_it_is_none() {
    let mut pair = Pair::new(&iso87());
    pair.host.push_echo(NOW).unwrap();
    let _ = pair.host.poll_transmit();
    let push = Push::parameters(Uuid::from_u128(1), 3, Default::default());
    pair.host.push_parameters(push, NOW).unwrap();
    let TerminalEvent::ParameterPush { request, .. } = pair.carry_to_terminal() else { panic!() };
    pair.terminal.answer(request, None, NOW).unwrap();
    let own = pair.terminal.poll_transmit().unwrap();
    pair.terminal.read_block(BlockRequest { file: "fw".into(), offset: 0, length: 3 }, NOW).unwrap();
    pair.terminal.receive(&own, NOW).unwrap();
    assert!(!terminal_acted(&mut pair.terminal));
    assert_eq!(pair.terminal.outstanding(), 1);
}

// Where no MAC and no DE7 tell connections apart the STAN still does.
#[test]
fn stans_begin_elsewhere_on_a_later_connection() {
    let profile = Arc::new(Profile::builtin("unionpay").unwrap());
    let connected = || {
        let identity = Identity::new("10000001", "102310060510002");
        (HostSession::new(profile.clone(), None), TerminalSession::new(profile.clone(), identity))
    };
    let (mut host, mut terminal) = connected();
    terminal.report(&Report::default(), NOW).unwrap();
    host.receive(&terminal.poll_transmit().unwrap(), NOW).unwrap();
    let Some(HostEvent::Report { exchange, .. }) = host.poll_event() else { panic!() };
    host.answer(exchange, Answer::Approved, NOW).unwrap();
    let recorded = host.poll_transmit().unwrap();
    for seconds in [1, 60, 86_400] {
        let (_, mut terminal) = connected();
        let later = NOW + jiff::SignedDuration::from_secs(seconds);
        terminal.report(&Report::default(), later).unwrap();
        terminal.receive(&recorded, later).unwrap();
        assert!(!terminal_acted(&mut terminal));
    }
    terminal.receive(&recorded, NOW).unwrap();
    assert!(terminal_acted(&mut terminal));
}

#[test]
fn a_push_without_a_right_mac_is_refused_by_the_terminal_and_the_host_is_told() {
    let mut pair = Pair::new(&iso87());
    let push = Push::parameters(Uuid::from_u128(1), 3, Default::default());
    pair.host.push_parameters(push, NOW).unwrap();
    let sent = pair.host.poll_transmit().unwrap();
    let stripped = pair.with(&sent, |fields| fields.retain(|(n, _)| *n != 128));
    pair.terminal.receive(&stripped, NOW).unwrap();
    assert!(!terminal_acted(&mut pair.terminal));
    let event = pair.carry_to_host();
    assert!(matches!(event, HostEvent::PushAnswered { refusal: Some(Refusal::MacWrong), .. }), "{event:?}");
}

#[test]
fn a_reply_of_a_terminal_without_a_right_mac_leaves_the_push_waiting() {
    let mut pair = Pair::new(&iso87());
    pair.host.push_echo(NOW).unwrap();
    let frame = pair.host.poll_transmit().unwrap();
    pair.terminal.receive(&frame, NOW).unwrap();
    let reply = pair.terminal.poll_transmit().unwrap();
    let stripped = pair.with(&reply, |fields| fields.retain(|(n, _)| *n != 64 && *n != 128));
    pair.host.receive(&stripped, NOW).unwrap();
    assert!(refused_for_its_mac(&mut pair.host));
    pair.host.receive(&reply, NOW).unwrap();
    assert!(matches!(pair.host.poll_event(), Some(HostEvent::EchoAnswered)));
}

#[test]
fn the_header_is_outside_the_mac_and_can_at_most_make_a_terminal_ask() {
    let mut pair = Pair::new(&unionpay());
    let mut sent = pair.approval();
    // Length 2, TPDU 5, header: the second nibble of its third byte is 处理要求.
    sent[9] |= 0x03;
    pair.terminal.receive(&sent, NOW).unwrap();
    assert!(matches!(pair.terminal.poll_event(), Some(TerminalEvent::ReportTaken)));
    assert!(matches!(pair.terminal.poll_event(), Some(TerminalEvent::WorkPending(_))));
    assert!(pair.terminal.poll_event().is_none());
}

#[test]
fn mac_faults_say_what_is_wrong() {
    let mut pair = Pair::new(&unionpay());
    let sent = pair.report();
    let stripped = pair.with(&sent, |fields| fields.retain(|(n, _)| *n != 64));
    let zeroed = pair.with(&sent, |fields| fields.last_mut().unwrap().1 = "00".repeat(8));
    for (frame, says) in [
        (stripped, "report: it has no MAC in DE64"),
        (zeroed, "report: the MAC does not match: the message was changed, or the keys differ"),
    ] {
        pair.host.receive(&frame, NOW).unwrap();
        let Some(HostEvent::Refused { function: Some(Function::Report), reason, .. }) =
            pair.host.poll_event()
        else {
            panic!()
        };
        assert_eq!(reason.to_string(), says);
    }
}

// Headers are outside every MAC, so the bits are those of the message itself. Each test ends with the
// message as it was sent, which does count: the session that refused the others was able to take it.

#[test]
fn no_changed_bit_of_a_request_is_ever_acted_on() {
    for profile in [unionpay(), iso87()] {
        let mut pair = Pair::new(&profile);
        let report = pair.report();
        pair.terminal.poll_task(NOW).unwrap();
        let poll = pair.terminal.poll_transmit().unwrap();
        for sent in [report, poll] {
            for changed in every_bit_flipped(&pair, &sent) {
                let _ = pair.host.receive(&changed, NOW);
                assert!(!host_acted(&mut pair.host), "{}", hex::encode(changed));
                while pair.host.poll_transmit().is_some() {}
            }
            pair.host.receive(&sent, NOW).unwrap();
            assert!(host_acted(&mut pair.host));
        }
    }
}

#[test]
fn no_changed_bit_of_an_approval_or_of_a_block_is_ever_acted_on() {
    for profile in [unionpay(), iso87()] {
        let mut pair = Pair::new(&profile);
        let approval = pair.approval();
        pair.terminal.read_block(BlockRequest { file: "fw".into(), offset: 0, length: 99 }, NOW).unwrap();
        let HostEvent::FileRead { exchange, .. } = pair.carry_to_host() else { panic!() };
        let answer = Answer::Block { offset: 0, total_bytes: 99, data: &[0x5C; 99] };
        pair.host.answer(exchange, answer, NOW).unwrap();
        let block = pair.host.poll_transmit().unwrap();
        for sent in [approval, block] {
            for changed in every_bit_flipped(&pair, &sent) {
                let _ = pair.terminal.receive(&changed, NOW);
                assert!(!terminal_acted(&mut pair.terminal), "{}", hex::encode(changed));
            }
            pair.terminal.receive(&sent, NOW).unwrap();
            assert!(terminal_acted(&mut pair.terminal));
        }
    }
}

#[test]
fn no_changed_bit_of_a_push_or_of_its_reply_is_ever_acted_on() {
    let mut pair = Pair::new(&iso87());
    let values = [("timeout_s".to_owned(), "45".to_owned())].into();
    pair.host.push_parameters(Push::parameters(Uuid::from_u128(1), 3, values), NOW).unwrap();
    let push = pair.host.poll_transmit().unwrap();
    for changed in every_bit_flipped(&pair, &push) {
        let _ = pair.terminal.receive(&changed, NOW);
        assert!(!terminal_acted(&mut pair.terminal), "{}", hex::encode(changed));
        while pair.terminal.poll_transmit().is_some() {}
    }
    pair.terminal.receive(&push, NOW).unwrap();
    let Some(TerminalEvent::ParameterPush { request, .. }) = pair.terminal.poll_event() else { panic!() };
    pair.terminal.answer(request, None, NOW).unwrap();
    let reply = pair.terminal.poll_transmit().unwrap();
    for changed in every_bit_flipped(&pair, &reply) {
        let _ = pair.host.receive(&changed, NOW);
        assert!(!host_acted(&mut pair.host), "{}", hex::encode(changed));
        while pair.host.poll_transmit().is_some() {}
    }
    pair.host.receive(&reply, NOW).unwrap();
    assert!(host_acted(&mut pair.host));
}

proptest! {
    // More than one bit, and bytes added or taken away.
    #[test]
    fn no_other_message_than_the_one_sent_is_ever_acted_on(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8, any::<u8>()), 1..6),
        unionpay_profile in any::<bool>(),
    ) {
        let mut pair = Pair::new(&if unionpay_profile { unionpay() } else { iso87() });
        let (request, approval) = (pair.report(), pair.approval());
        let altered = |frame: &[u8]| {
            let mut body = pair.frame(frame).body.to_vec();
            for (at, kind, byte) in &edits {
                let at = at.index(body.len());
                match kind {
                    0 => body[at] = *byte,
                    1 => body.insert(at, *byte),
                    _ => drop(body.remove(at)),
                }
            }
            (body != pair.frame(frame).body).then(|| pair.around(frame, &body))
        };
        let (request, approval) = (altered(&request), altered(&approval));
        if let Some(request) = request {
            let _ = pair.host.receive(&request, NOW);
            prop_assert!(!host_acted(&mut pair.host));
        }
        if let Some(approval) = approval {
            let _ = pair.terminal.receive(&approval, NOW);
            prop_assert!(!terminal_acted(&mut pair.terminal));
        }
    }
}

fn every_bit_flipped(pair: &Pair, frame: &[u8]) -> Vec<Vec<u8>> {
    let body = pair.frame(frame).body;
    let flip = |bit: usize| {
        let mut changed = body.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        pair.around(frame, &changed)
    };
    (0..body.len() * 8).map(flip).collect()
}

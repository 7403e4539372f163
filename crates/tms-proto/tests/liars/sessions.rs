//! Messages that answer nothing, come back to their sender, or come without end.

use std::sync::Arc;

use allocation_counter::measure;
use iso8583::{Builder, framing::Frame};
use jiff::SignedDuration;
use proptest::prelude::*;
use tms_proto::{
    Answer, Function, HostEvent, Identity, Profile, ProtocolError, Reason, Refusal, TerminalEvent,
    file::BlockRequest,
    task::{Command, Task},
};
use uuid::Uuid;

use super::{MOST_BYTES, NOW, pair, profiles, pushing, signed_on};

fn reboot() -> Task {
    Task { operation: Uuid::from_u128(7), step: 1, command: Command::Reboot }
}

/// A frame around a message of these fields.
fn frame(profile: &Profile, mti: &str, fields: &[(u8, &str)]) -> Vec<u8> {
    let mut builder = Builder::new(profile.dialect(), mti.parse().unwrap());
    for (n, text) in fields {
        builder.set(*n, text).unwrap();
    }
    let identity = Identity::new("", "");
    let framing = profile.framing();
    let mut out = Vec::new();
    let around = Frame {
        tpdu: framing.has_tpdu().then_some(identity.tpdu),
        header: framing.has_header().then_some(identity.header),
        vendor: &[],
        body: &builder.build().unwrap(),
    };
    framing.encode(&mut out, &around).unwrap();
    out
}

#[test]
fn a_request_of_the_host_that_is_sent_back_to_it_is_refused() {
    let (mut host, _) = signed_on(&pushing());
    host.push_command(reboot(), NOW).unwrap();
    let own = host.poll_transmit().unwrap();
    host.receive(&own, NOW).unwrap();
    assert!(matches!(
        host.poll_event(),
        Some(HostEvent::Refused {
            refusal: Refusal::NotSupported,
            reason: Reason::HostOnly(Function::Command),
            ..
        })
    ));
}

#[test]
fn a_request_of_the_terminal_that_is_sent_back_to_it_is_dropped() {
    for profile in profiles() {
        let (_, mut terminal) = pair(&profile);
        terminal.sign_on(b"", NOW).unwrap();
        let own = terminal.poll_transmit().unwrap();
        terminal.receive(&own, NOW).unwrap();
        let event = terminal.poll_event();
        assert!(
            matches!(event, Some(TerminalEvent::Dropped(Reason::NoRequestOfTheHost(_)))),
            "{}: {event:?}",
            profile.name()
        );
        assert!(terminal.poll_transmit().is_none());
    }
}

#[test]
fn replies_to_nothing_are_told_and_then_end_the_session() {
    for profile in profiles() {
        let (mut host, _) = pair(&profile);
        let (mti, fields): (_, &[(u8, &str)]) = match profile.name() {
            "iso93" => ("1814", &[(11, "000001"), (39, "800"), (41, "10000001")]),
            _ => ("0810", &[(11, "000001"), (39, "00"), (41, "10000001")]),
        };
        let stray = frame(&profile, mti, fields);
        let mut told = 0;
        let ended = loop {
            match host.receive(&stray, NOW) {
                Ok(()) => {
                    let event = host.poll_event();
                    assert!(
                        matches!(event, Some(HostEvent::Refused { reason: Reason::AnswersNothing(_), .. })),
                        "{event:?}"
                    );
                    assert!(host.poll_transmit().is_none(), "a reply is never answered");
                    told += 1;
                }
                Err(error) => break error,
            }
        };
        assert!(matches!(ended, ProtocolError::Useless { .. }), "{ended}");
        assert_eq!(told, 7, "{}", profile.name());
        assert_eq!(host.counts().strays, 8);
    }
}

#[test]
fn a_terminal_survives_the_late_replies_of_a_whole_window_and_gives_up_a_storm() {
    let profile = Arc::new(Profile::builtin("unionpay").unwrap());
    let (_, mut terminal) = pair(&profile);
    let stray = frame(&profile, "0810", &[(11, "000001"), (39, "00"), (41, "10000001")]);
    for _ in 0..512 {
        terminal.receive(&stray, NOW).unwrap();
        assert!(matches!(terminal.poll_event(), Some(TerminalEvent::Dropped(Reason::AnswersNothing(_)))));
    }
    assert!((0..200).any(|_| terminal.receive(&stray, NOW).is_err()));
}

#[test]
fn bytes_that_are_no_message_are_told_by_the_terminal_too_and_then_end_its_session() {
    let (_, mut terminal) = pair(&pushing());
    let junk = [0, 4, 0x08, 0x10, 0xFF, 0xFF];
    terminal.receive(&junk, NOW).unwrap();
    assert!(matches!(terminal.poll_event(), Some(TerminalEvent::Dropped(Reason::Unreadable(_)))));
    assert!(terminal.poll_transmit().is_none(), "a reply is never answered");
    let request = [0, 4, 0x08, 0x00, 0xFF, 0xFF];
    terminal.receive(&request, NOW).unwrap();
    assert!(terminal.poll_transmit().is_some(), "a request is");
    assert!((0..1000).any(|_| terminal.receive(&junk, NOW).is_err()));
    assert!(terminal.counts().unreadable > 2);
}

#[test]
fn events_that_nobody_takes_end_the_session_before_they_fill_memory() {
    for profile in profiles() {
        let (mut host, mut terminal) = pair(&profile);
        terminal.echo(NOW).unwrap();
        let echo = terminal.poll_transmit().unwrap();
        let mut received = 0;
        let held = measure(|| {
            let mut sink = Vec::new();
            while host.receive(&echo, NOW).is_ok() {
                received += 1;
                sink.clear();
                host.poll_transmit_into(&mut sink);
                assert!(received < 100_000);
            }
        });
        assert!(held.bytes_max < 1 << 20, "{} bytes for {received} events", held.bytes_max);
    }
}

#[test]
fn frames_that_nobody_sends_end_the_session_before_they_fill_memory() {
    let (mut host, mut terminal) = pair(&pushing());
    terminal.echo(NOW).unwrap();
    let echo = terminal.poll_transmit().unwrap();
    let error = loop {
        if let Err(error) = host.receive(&echo, NOW) {
            break error;
        }
        while host.poll_event().is_some() {}
    };
    assert!(matches!(error, ProtocolError::Overrun { .. }), "{error}");
}

#[test]
fn only_frames_that_still_wait_count_and_take_memory() {
    let (mut host, mut terminal) = pair(&pushing());
    terminal.echo(NOW).unwrap();
    let echo = terminal.poll_transmit().unwrap();
    let (mut sent_bytes, mut frame) = (0, Vec::new());
    // One more than is ever taken.
    host.receive(&echo, NOW).unwrap();
    let held = measure(|| {
        while sent_bytes < 9 << 20 {
            host.receive(&echo, NOW).unwrap();
            while host.poll_event().is_some() {}
            frame.clear();
            assert!(host.poll_transmit_into(&mut frame));
            sent_bytes += frame.len();
        }
    });
    assert!(held.bytes_max < 4096, "{} bytes", held.bytes_max);
    let mut last = Vec::new();
    assert!(host.poll_transmit_into(&mut last) && !host.poll_transmit_into(&mut last));
    assert_eq!(last, frame);
}

#[test]
fn a_thousand_questions_without_an_answer_are_refused_after_the_first_few() {
    for profile in profiles() {
        let (_, mut terminal) = pair(&profile);
        let mut sink = Vec::new();
        let held = measure(|| {
            let mut taken = 0;
            for n in 0..1000u64 {
                let request = BlockRequest { file: "image".into(), offset: n * 4096, length: 4096 };
                taken += u32::from(terminal.read_block(request, NOW).is_ok());
                taken += u32::from(terminal.echo(NOW).is_ok());
                sink.clear();
                while terminal.poll_transmit_into(&mut sink) {}
            }
            assert!(taken < 600, "{taken}");
        });
        assert!(held.bytes_max < 1 << 20, "{}", held.bytes_max);
        assert!(matches!(terminal.echo(NOW), Err(ProtocolError::TooManyOutstanding { .. })));
        terminal.handle_timeout(NOW.checked_add(SignedDuration::from_secs(60)).unwrap());
        assert!(terminal.echo(NOW).is_ok());
    }
    let (mut host, _) = signed_on(&pushing());
    let taken = (0..1000).filter(|_| host.push_echo(NOW).is_ok()).count();
    assert_eq!(taken, 4);
}

proptest! {
    // Whatever a peer sends, a session whose driver does its part holds no more than an idle one and a
    // large message.
    #[test]
    fn a_session_holds_little_whatever_it_is_sent(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 2..400), 1..60),
        name in prop::sample::select(Profile::builtin_names()),
    ) {
        let profile = Arc::new(Profile::builtin(name).unwrap());
        let (mut host, mut terminal) = pair(&profile);
        let held = measure(|| {
            let mut sink = Vec::new();
            for body in &bodies {
                let mut frame = u16::try_from(body.len()).unwrap().to_be_bytes().to_vec();
                frame.extend_from_slice(body);
                let _ = host.receive(&frame, NOW);
                let _ = terminal.receive(&frame, NOW);
                while let Some(event) = host.poll_event() {
                    if let Some(exchange) = event.into_exchange() {
                        let _ = host.answer(exchange, Answer::Refused(Refusal::NotFound), NOW);
                    }
                }
                while terminal.poll_event().is_some() {}
                sink.clear();
                while host.poll_transmit_into(&mut sink) || terminal.poll_transmit_into(&mut sink) {}
            }
        });
        prop_assert!(held.bytes_current < MOST_BYTES, "{} bytes", held.bytes_current);
    }
}

//! Host and terminal against each other in memory, for both built-in profiles.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use proptest::prelude::*;
use tms_proto::{
    Answer, Exchange, Function, HostEvent, HostSession, Identity, PendingWork, Profile, Refusal,
    TerminalEvent, TerminalSession,
    file::BlockRequest,
    parameters::Push,
    report::Report,
    task::{Command, Outcome, Task, TaskResult},
    upload::Chunk,
};
use uuid::Uuid;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

struct Pair {
    host: HostSession,
    terminal: TerminalSession,
}

impl Pair {
    fn new(profile: &str) -> Self {
        let profile = Arc::new(Profile::builtin(profile).unwrap());
        let identity = Identity::new("10000001", "102310060510002");
        Self {
            host: HostSession::new(profile.clone(), Some("10000001".into())),
            terminal: TerminalSession::new(profile, identity),
        }
    }

    fn signed_on(profile: &str) -> Self {
        let mut pair = Self::new(profile);
        pair.terminal.sign_on(b"", NOW).unwrap();
        let HostEvent::SignOn { exchange, terminal, .. } = pair.carry_to_host() else { panic!("no sign-on") };
        assert_eq!(terminal, "10000001");
        let TerminalEvent::SignedOn { keys: None, .. } = pair.reply(exchange, Answer::Approved) else {
            panic!()
        };
        pair
    }

    /// Carries the terminal's next frame to the host.
    fn carry_to_host(&mut self) -> HostEvent {
        let frame = self.terminal.poll_transmit().expect("a request");
        self.host.receive(&frame, NOW).unwrap();
        self.host.poll_event().expect("an event")
    }

    /// Answers, and carries the answer to the terminal.
    fn reply(&mut self, exchange: Exchange, answer: Answer<'_>) -> TerminalEvent {
        self.host.answer(exchange, answer, NOW).unwrap();
        self.carry_to_terminal()
    }

    fn carry_to_terminal(&mut self) -> TerminalEvent {
        let frame = self.host.poll_transmit().expect("a frame for the terminal");
        self.terminal.receive(&frame, NOW).unwrap();
        self.terminal.poll_event().expect("an event")
    }
}

fn task() -> Task {
    Task { operation: Uuid::from_u128(42), step: 1, command: Command::CollectLogs { max_bytes: 1 << 20 } }
}

fn values() -> BTreeMap<String, String> {
    BTreeMap::from([
        ("timeout_s".to_owned(), "45".to_owned()),
        ("merchant_name".to_owned(), "测试商户".to_owned()),
    ])
}

#[test]
fn a_report_reaches_the_host_whole() {
    for profile in Profile::builtin_names() {
        let mut pair = Pair::signed_on(profile);
        let sent = Report { version: "1.2.3".into(), parameters: values(), ..Report::default() };
        pair.terminal.report(&sent, NOW).unwrap();
        let HostEvent::Report { exchange, report } = pair.carry_to_host() else { panic!() };
        assert_eq!(*report, sent);
        assert!(matches!(pair.reply(exchange, Answer::Approved), TerminalEvent::ReportTaken));
    }
}

#[test]
fn blocks_arrive_in_any_order_and_match_their_requests() {
    for profile in Profile::builtin_names() {
        let mut pair = Pair::signed_on(profile);
        let file: Vec<u8> = (0..10_000u32).map(|n| n as u8).collect();
        for offset in [0u64, 3584, 7168] {
            let length = 3584.min(file.len() as u64 - offset) as u32;
            pair.terminal.read_block(BlockRequest { file: "fw".into(), offset, length }, NOW).unwrap();
        }
        let mut exchanges: Vec<_> = (0..3)
            .map(|_| match pair.carry_to_host() {
                HostEvent::FileRead { exchange, request } => (exchange, request),
                other => panic!("{other:?}"),
            })
            .collect();
        exchanges.reverse();
        for (exchange, request) in exchanges {
            let start = request.offset as usize;
            let data = &file[start..start + request.length as usize];
            let answer = Answer::Block { offset: request.offset, total_bytes: file.len() as u64, data };
            let TerminalEvent::Block(block) = pair.reply(exchange, answer) else { panic!() };
            assert_eq!((block.offset, &block.data[..]), (request.offset, data));
        }
    }
}

#[test]
fn a_polling_terminal_is_told_that_work_waits_and_fetches_it() {
    let mut pair = Pair::signed_on("unionpay");
    pair.host.set_pending(Some(PendingWork::Task));
    pair.terminal.echo(NOW).unwrap();
    assert!(matches!(pair.carry_to_host(), HostEvent::Echo));
    assert!(matches!(pair.carry_to_terminal(), TerminalEvent::EchoAnswered));
    assert!(matches!(pair.terminal.poll_event(), Some(TerminalEvent::WorkPending(PendingWork::Task))));

    pair.terminal.poll_task(NOW).unwrap();
    let HostEvent::TaskPoll { exchange } = pair.carry_to_host() else { panic!() };
    let TerminalEvent::Task(Some(got)) = pair.reply(exchange, Answer::Task(Some(&task()))) else { panic!() };
    assert_eq!(got, task());
}

#[test]
fn a_unionpay_terminal_fetches_its_parameters_as_tags() {
    let mut pair = Pair::signed_on("unionpay");
    pair.terminal.request_parameters(NOW).unwrap();
    let HostEvent::ParametersRequested { exchange } = pair.carry_to_host() else { panic!() };
    let TerminalEvent::Parameters(got) = pair.reply(exchange, Answer::Parameters(&values())) else {
        panic!()
    };
    assert_eq!(got, values());
}

#[test]
fn the_host_pushes_commands_and_parameters_where_the_profile_allows_it() {
    let mut pair = Pair::signed_on("iso87");
    pair.host.push_command(task(), NOW).unwrap();
    let TerminalEvent::Command { request, task: got } = pair.carry_to_terminal() else { panic!() };
    assert_eq!(got, task());
    pair.terminal.answer(request, None, NOW).unwrap();
    assert!(matches!(pair.carry_to_host(), HostEvent::CommandAnswered { refusal: None, .. }));

    let push = Push::parameters(Uuid::from_u128(1), 3, values());
    pair.host.push_parameters(push.clone(), NOW).unwrap();
    let TerminalEvent::ParameterPush { request, push: got } = pair.carry_to_terminal() else { panic!() };
    assert_eq!(got, push);
    pair.terminal.answer(request, Some(Refusal::FormatError), NOW).unwrap();
    assert!(matches!(
        pair.carry_to_host(),
        HostEvent::PushAnswered { refusal: Some(Refusal::FormatError), .. }
    ));
}

#[test]
fn the_host_never_speaks_first_on_a_unionpay_link() {
    let mut pair = Pair::signed_on("unionpay");
    assert!(!pair.host.can_push());
    assert!(pair.host.push_command(task(), NOW).is_err());
}

#[test]
fn results_and_logs_are_acknowledged_by_their_operation() {
    for profile in Profile::builtin_names() {
        let mut pair = Pair::signed_on(profile);
        let result = TaskResult::new(Uuid::from_u128(42), 1, Outcome::DONE).because("ok");
        pair.terminal.send_result(&result, NOW).unwrap();
        let HostEvent::TaskResult { exchange, result: got } = pair.carry_to_host() else { panic!() };
        assert_eq!(got, result);
        let event = pair.reply(exchange, Answer::Approved);
        assert!(
            matches!(event, TerminalEvent::ResultTaken { operation, step: 1 } if operation == result.operation)
        );

        let chunk = Chunk {
            operation: Uuid::from_u128(42),
            offset: 0,
            total_bytes: 800,
            sha256: [9; 32],
            data: vec![b'x'; 800],
        };
        pair.terminal.upload(&chunk, NOW).unwrap();
        let HostEvent::LogChunk { exchange, chunk: got } = pair.carry_to_host() else { panic!() };
        assert_eq!(got, chunk);
        assert!(matches!(
            pair.reply(exchange, Answer::Uploaded(800)),
            TerminalEvent::Uploaded { next: 800, .. }
        ));
    }
}

#[test]
fn a_terminal_with_another_ones_certificate_is_refused() {
    let profile = Arc::new(Profile::builtin("unionpay").unwrap());
    let mut host = HostSession::new(profile.clone(), Some("10000002".into()));
    let mut terminal = TerminalSession::new(profile, Identity::new("10000001", "102310060510002"));
    terminal.sign_on(b"", NOW).unwrap();
    host.receive(&terminal.poll_transmit().unwrap(), NOW).unwrap();
    assert!(matches!(host.poll_event(), Some(HostEvent::Refused { refusal: Refusal::InvalidTerminal, .. })));
    terminal.receive(&host.poll_transmit().unwrap(), NOW).unwrap();
    let Some(TerminalEvent::Refused { refusal, code, .. }) = terminal.poll_event() else { panic!() };
    assert_eq!((refusal, code.as_str()), (Refusal::InvalidTerminal, "97"));
}

#[test]
fn an_unknown_function_is_answered_and_the_session_goes_on() {
    // 0820 with 60.3 = 999, in a well-formed frame.
    let mut pair = Pair::signed_on("unionpay");
    let body =
        hex::decode("08200000000000C0001031303030303030313130323331303036303531303030320011000000019990")
            .unwrap();
    let mut frame = vec![0, u8::try_from(body.len() + 11).unwrap()];
    frame.extend_from_slice(&hex::decode("6000030000603100310001").unwrap());
    frame.extend_from_slice(&body);
    pair.host.receive(&frame, NOW).unwrap();
    assert!(matches!(
        pair.host.poll_event(),
        Some(HostEvent::Refused { function: None, refusal: Refusal::NotSupported, .. })
    ));
    let reply = pair.host.poll_transmit().unwrap();
    assert!(hex::encode(&reply).contains("3132"), "DE39 = 12");
    pair.terminal.echo(NOW).unwrap();
    assert!(matches!(pair.carry_to_host(), HostEvent::Echo));
}

#[test]
fn a_missing_mandatory_field_is_named_and_answered_with_a_format_error() {
    // 0820 echo without DE42.
    let mut pair = Pair::signed_on("unionpay");
    let body = hex::decode("082000000000008000103130303030303031 0011000000013010".replace(' ', "")).unwrap();
    let mut frame = vec![0, u8::try_from(body.len() + 11).unwrap()];
    frame.extend_from_slice(&hex::decode("6000030000603100310001").unwrap());
    frame.extend_from_slice(&body);
    pair.host.receive(&frame, NOW).unwrap();
    let Some(HostEvent::Refused { function, refusal, reason }) = pair.host.poll_event() else { panic!() };
    assert_eq!((function, refusal), (Some(Function::Echo), Refusal::FormatError));
    assert!(reason.to_string().contains("DE42"), "{reason}");
    assert!(pair.host.poll_transmit().is_some());
}

#[test]
fn bytes_that_are_no_message_are_answered_and_then_end_the_session() {
    let mut pair = Pair::signed_on("iso87");
    let junk = [0, 4, 0x08, 0x00, 0xFF, 0xFF];
    for _ in 0..7 {
        pair.host.receive(&junk, NOW).unwrap();
        assert!(matches!(
            pair.host.poll_event(),
            Some(HostEvent::Refused { refusal: Refusal::FormatError, .. })
        ));
        assert!(pair.host.poll_transmit().is_some(), "an unreadable request is answered");
    }
    assert!(pair.host.receive(&junk, NOW).is_err());
}

#[test]
fn an_unanswered_push_is_given_up_at_its_deadline() {
    let mut pair = Pair::signed_on("iso87");
    pair.host.push_echo(NOW).unwrap();
    let deadline = pair.host.poll_timeout().unwrap();
    pair.host.handle_timeout(deadline);
    assert!(matches!(pair.host.poll_event(), Some(HostEvent::TimedOut(Function::Echo))));
    assert_eq!(pair.host.poll_timeout(), None);
}

proptest! {
    #[test]
    fn any_frame_is_an_error_or_an_event_and_never_a_panic(
        body in prop::collection::vec(any::<u8>(), 0..300),
        unionpay in any::<bool>(),
    ) {
        let mut pair = Pair::signed_on(if unionpay { "unionpay" } else { "iso87" });
        let mut frame = u16::try_from(body.len()).unwrap().to_be_bytes().to_vec();
        frame.extend_from_slice(&body);
        let _ = pair.host.receive(&frame, NOW);
        let _ = pair.terminal.receive(&frame, NOW);
    }

    // Real messages with bytes changed reach the codecs behind the first checks.
    #[test]
    fn a_damaged_report_is_never_a_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), unionpay in any::<bool>()) {
        let mut pair = Pair::signed_on(if unionpay { "unionpay" } else { "iso87" });
        pair.terminal.report(&Report { parameters: values(), ..Report::default() }, NOW).unwrap();
        let mut frame = pair.terminal.poll_transmit().unwrap();
        let index = 2 + at.index(frame.len() - 2);
        frame[index] = byte;
        let _ = pair.host.receive(&frame, NOW);
    }
}

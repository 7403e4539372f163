//! Messages that can be read and make no sense.

use std::collections::BTreeMap;

use testkit::{Estate, Function, Refusal, Release, Speaks, TerminalEvent, Wire};
use tms_proto::{
    file::BlockRequest,
    report::{Health, Report},
    task::{Command, Outcome, TaskResult},
    upload::Chunk,
};
use tms_server::service;
use uuid::Uuid;

use crate::assert_counted;

/// A proper request for each function that a terminal may ask of this profile.
fn requests(wire: &mut Wire) -> Vec<(Function, Vec<u8>)> {
    let values = BTreeMap::from([("timeout_s".to_owned(), "30".to_owned())]);
    let mut health = values.clone();
    Health::default().put_tags(&mut health);
    let report = Report { version: "1.0.0".to_owned(), parameters: values, ..Report::default() };
    let result = TaskResult::new(Uuid::from_u128(1), 1, Outcome::DONE);
    let block = BlockRequest { file: "image".to_owned(), offset: 0, length: 1 };
    let chunk =
        Chunk { operation: Uuid::from_u128(1), offset: 0, total_bytes: 1, sha256: [0; 32], data: vec![1] };
    let mut all = Vec::new();
    for function in [
        Function::SignOn,
        Function::Echo,
        Function::Status,
        Function::Report,
        Function::Parameters,
        Function::TaskPoll,
        Function::FileRead,
        Function::TaskResult,
        Function::LogUpload,
        Function::SignOff,
    ] {
        if wire.profile().rule(function).is_none() {
            continue;
        }
        let frame = wire.request(|session, now| match function {
            Function::SignOn => session.sign_on(b"", now),
            Function::Echo => session.echo(now),
            Function::Status => session.status(&health, now),
            Function::Report => session.report(&report, now),
            Function::Parameters => session.request_parameters(now),
            Function::TaskPoll => session.poll_task(now),
            Function::FileRead => session.read_block(block.clone(), now),
            Function::TaskResult => session.send_result(&result, now),
            Function::LogUpload => session.upload(&chunk, now),
            Function::SignOff => session.sign_off(now),
            other => panic!("{other} is not for terminals to ask"),
        });
        all.push((function, frame));
    }
    all
}

#[tokio::test]
async fn a_message_without_any_one_of_its_mandatory_fields_is_refused_and_counted_and_harms_nobody() {
    for speaks in Speaks::ALL {
        let estate = Estate::start().await;
        let mut bystander = estate.bystander(speaks).await;
        let terminal = estate.enrol("10000001", speaks).await;
        let mut wire = estate.wire(&terminal).await;
        wire.sign_on().await;
        let mut refused = 0;
        for (function, frame) in requests(&mut wire) {
            for field in wire.profile().rule(function).unwrap().request.mandatory.clone() {
                let incomplete = wire.without(&frame, field);
                let reply = wire.exchange(&incomplete).await;
                assert_eq!(reply.code(), "30", "{function} without DE{field}: {reply:?}");
                refused += 1;
                assert_counted!(estate, messages_malformed, refused);
                assert_counted!(estate, messages_refused, refused);
            }
        }
        assert!(refused > 30, "{refused}");
        // None of it had an effect, and the session goes on.
        let answer = wire.ask(|session, now| session.echo(now)).await;
        assert!(matches!(answer, TerminalEvent::EchoAnswered), "{answer:?}");
        assert!(estate.app().wake.is_signed_on(&terminal.id));
        bystander.is_undisturbed().await;
    }
}

#[tokio::test]
async fn no_change_of_a_byte_of_a_good_message_disturbs_the_server_or_anybody_else() {
    for speaks in Speaks::ALL {
        let estate = Estate::start().await;
        let mut bystander = estate.bystander(speaks).await;
        let terminal = estate.enrol("10000001", speaks).await;
        let mut wire = estate.wire(&terminal).await;
        wire.sign_on().await;
        let echo = wire.request(|session, now| session.echo(now));
        for (_, frame) in requests(&mut wire) {
            // The length stays: a wrong one is a matter of frames.
            for at in (2..frame.len()).step_by(3) {
                let mut changed = frame.clone();
                changed[at] ^= 1 << (at % 8);
                if wire.try_send(&changed).await.is_err() || wire.try_send(&echo).await.is_err() {
                    wire = estate.wire(&terminal).await;
                    continue;
                }
                // Whatever was said to that, the echo after it is answered, or the connection is over.
                let mut answered = false;
                while let Some(reply) = wire.next_reply().await {
                    answered = reply.code() == "00" && reply.mti == wire.reply_type(&echo);
                    if answered {
                        break;
                    }
                }
                if !answered {
                    wire = estate.wire(&terminal).await;
                }
            }
        }
        assert_eq!(estate.counters().store_errors.get(), 0);
        bystander.is_undisturbed().await;
    }
}

#[tokio::test]
async fn an_unknown_message_type_is_refused_and_counted_and_the_session_goes_on() {
    for speaks in Speaks::ALL {
        let estate = Estate::start().await;
        let mut bystander = estate.bystander(speaks).await;
        let terminal = estate.enrol("10000001", speaks).await;
        let mut wire = estate.wire(&terminal).await;
        wire.sign_on().await;
        let unknown = wire.profile().code(Refusal::NotSupported).to_owned();
        for (sent, (mti, answer)) in
            (1..).zip([("0100", "0110"), ("0900", "0910"), ("0420", "0430"), ("1804", "1814"), ("9999", "")])
        {
            let frame = wire.message(mti, &[(11, "000007"), (41, "10000001")]);
            wire.send(&frame).await;
            if !answer.is_empty() {
                let reply = wire.reply().await;
                assert_eq!((reply.mti.as_str(), reply.code()), (answer, unknown.as_str()), "{mti}");
                // What is needed to tell which message is meant.
                assert_eq!(reply.fields[&11], "000007");
                assert_eq!(reply.fields[&41], "10000001");
            }
            assert_counted!(estate, messages_refused, sent);
        }
        let answer = wire.ask(|session, now| session.echo(now)).await;
        assert!(matches!(answer, TerminalEvent::EchoAnswered), "{answer:?}");
        bystander.is_undisturbed().await;
    }
}

#[tokio::test]
async fn an_unknown_function_code_is_refused_and_counted_and_the_session_goes_on() {
    for speaks in Speaks::ALL {
        let estate = Estate::start().await;
        let mut bystander = estate.bystander(speaks).await;
        let terminal = estate.enrol("10000001", speaks).await;
        let mut wire = estate.wire(&terminal).await;
        wire.sign_on().await;
        let selector = match speaks {
            Speaks::UnionPay => (60, "00000001999"),
            Speaks::Iso87 => (70, "999"),
        };
        let frame = wire.message("0800", &[(11, "000001"), (41, "10000001"), selector]);
        let reply = wire.exchange(&frame).await;
        assert_eq!((reply.mti.as_str(), reply.code()), ("0810", wire.profile().code(Refusal::NotSupported)));
        assert_eq!(reply.fields[&selector.0], selector.1);
        assert_counted!(estate, messages_refused, 1);
        let answer = wire.ask(|session, now| session.echo(now)).await;
        assert!(matches!(answer, TerminalEvent::EchoAnswered), "{answer:?}");
        bystander.is_undisturbed().await;
    }
}

#[tokio::test]
async fn a_request_that_only_the_host_may_make_is_refused_to_a_terminal() {
    let estate = Estate::start().await;
    let mut bystander = estate.bystander(Speaks::Iso87).await;
    let terminal = estate.enrol("10000001", Speaks::Iso87).await;
    let mut wire = estate.wire(&terminal).await;
    wire.sign_on().await;
    let reboot = [(3, "900001"), (7, "1122010203"), (11, "000001"), (41, "10000001"), (125, "df430101")];
    let reply = {
        let frame = wire.message("0600", &reboot);
        wire.exchange(&frame).await
    };
    assert_eq!((reply.mti.as_str(), reply.code()), ("0610", "30"));
    assert_counted!(estate, messages_refused, 1);
    bystander.is_undisturbed().await;
}

#[tokio::test]
async fn a_reply_that_nobody_waits_for_is_counted_and_not_answered() {
    let estate = Estate::start().await;
    let mut bystander = estate.bystander(Speaks::Iso87).await;
    let terminal = estate.enrol("10000001", Speaks::Iso87).await;
    let mut wire = estate.wire(&terminal).await;
    wire.sign_on().await;
    let frame = wire.message("0610", &[(3, "900001"), (11, "000099"), (39, "00"), (41, "10000001")]);
    wire.send(&frame).await;
    assert_counted!(estate, messages_refused, 1);
    // The next thing that is heard answers the next thing that is asked.
    let answer = wire.ask(|session, now| session.echo(now)).await;
    assert!(matches!(answer, TerminalEvent::EchoAnswered), "{answer:?}");
    bystander.is_undisturbed().await;
}

/// Asks for a block; gives the code with which it is refused, empty if it is not.
async fn read(wire: &mut Wire, file: &str, offset: u64, length: u32) -> String {
    let request = BlockRequest { file: file.to_owned(), offset, length };
    match wire.ask(|session, now| session.read_block(request, now)).await {
        TerminalEvent::Block(block) => {
            assert_eq!(block.offset, offset);
            String::new()
        }
        TerminalEvent::Refused { code, .. } => code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_offset_past_the_end_is_refused_and_counted_and_harms_nobody() {
    for speaks in Speaks::ALL {
        let estate = Estate::start().await;
        let mut bystander = estate.bystander(speaks).await;
        let terminal = estate.enrol("10000001", speaks).await;
        let firmware = estate.publish(&Release::new("2.0.0", 10_000)).await;
        service::assign_firmware(estate.app(), &terminal.id, &firmware.id).await.unwrap();
        let mut wire = estate.wire(&terminal).await;
        wire.sign_on().await;
        let image = install_task(&mut wire, speaks).await;

        assert_eq!(read(&mut wire, &image, 9_999, 4096).await, "", "the last byte");
        let sent = [(10_000, 1), (10_001, 4096), (u64::MAX, 1), (u64::MAX - 5, 4096), (0, 0)];
        for (refused, (offset, length)) in (1..).zip(sent) {
            assert_eq!(read(&mut wire, &image, offset, length).await, "13", "{offset} {length}");
            assert_counted!(estate, reads_out_of_range, refused);
            assert_counted!(estate, messages_refused, refused);
        }
        // The manifest has an end as well.
        assert_eq!(read(&mut wire, &format!("{image}.manifest"), 100_000, 100).await, "13");
        assert_counted!(estate, reads_out_of_range, 6);
        // And the transfer goes on.
        assert_eq!(read(&mut wire, &image, 0, 4096).await, "");
        bystander.is_undisturbed().await;
    }
}

#[tokio::test]
async fn a_block_larger_than_a_message_holds_is_refused_and_counted() {
    let estate = Estate::start().await;
    let mut bystander = estate.bystander(Speaks::Iso87).await;
    let terminal = estate.enrol("10000001", Speaks::Iso87).await;
    let firmware = estate.publish(&Release::new("2.0.0", 10_000)).await;
    service::assign_firmware(estate.app(), &terminal.id, &firmware.id).await.unwrap();
    let mut wire = estate.wire(&terminal).await;
    wire.sign_on().await;
    let image = install_task(&mut wire, Speaks::Iso87).await;
    assert_eq!(read(&mut wire, &image, 0, 4097).await, "13");
    assert_eq!(read(&mut wire, &image, 0, u32::MAX).await, "13");
    assert_counted!(estate, messages_refused, 2);
    bystander.is_undisturbed().await;
}

#[tokio::test]
async fn a_file_that_no_operation_names_is_not_given_out() {
    let estate = Estate::start().await;
    let mut bystander = estate.bystander(Speaks::UnionPay).await;
    let terminal = estate.enrol("10000001", Speaks::UnionPay).await;
    let firmware = estate.publish(&Release::new("2.0.0", 10_000)).await;
    let mut wire = estate.wire(&terminal).await;
    wire.sign_on().await;
    for file in [firmware.id.as_str(), "../vault.key", "/etc/passwd", ""] {
        let code = read(&mut wire, file, 0, 100).await;
        assert!(code == "58" || code == "30", "{file}: {code}");
    }
    assert_counted!(estate, messages_refused, 4);
    assert_eq!(estate.counters().blocks_sent.get(), 0);
    bystander.is_undisturbed().await;
}

#[tokio::test]
async fn a_log_that_nobody_asked_for_is_refused_and_not_kept() {
    let estate = Estate::start().await;
    let mut bystander = estate.bystander(Speaks::UnionPay).await;
    let terminal = estate.enrol("10000001", Speaks::UnionPay).await;
    let mut wire = estate.wire(&terminal).await;
    wire.sign_on().await;
    let chunk =
        Chunk { operation: Uuid::from_u128(7), offset: 0, total_bytes: 3, sha256: [0; 32], data: vec![1; 3] };
    let answer = wire.ask(|session, now| session.upload(&chunk, now)).await;
    assert!(
        matches!(&answer, TerminalEvent::Refused { refusal: Refusal::NotPermitted, code, .. } if code == "58"),
        "{answer:?}"
    );
    assert_counted!(estate, messages_refused, 1);
    assert!(estate.app().store.log_bundles(&terminal.id).await.unwrap().is_empty());
    bystander.is_undisturbed().await;
}

#[tokio::test]
async fn a_log_larger_than_the_limit_is_refused_before_it_is_taken() {
    let estate = Estate::with(|config| config.limits.log_bundle_bytes = 2048).await;
    let mut bystander = estate.bystander(Speaks::UnionPay).await;
    let terminal = estate.enrol("10000001", Speaks::UnionPay).await;
    let operation = service::collect_logs(estate.app(), &terminal.id).await.unwrap();
    let mut wire = estate.wire(&terminal).await;
    wire.sign_on().await;
    let task = wire.ask(|session, now| session.poll_task(now)).await;
    assert!(
        matches!(&task, TerminalEvent::Task(Some(task)) if task.command.name() == "collect-logs"),
        "{task:?}"
    );
    let chunk = Chunk {
        operation: *operation.id.as_uuid(),
        offset: 0,
        total_bytes: 2049,
        sha256: [0; 32],
        data: vec![1; 100],
    };
    let answer = wire.ask(|session, now| session.upload(&chunk, now)).await;
    assert!(
        matches!(&answer, TerminalEvent::Refused { refusal: Refusal::OutOfRange, code, .. } if code == "13"),
        "{answer:?}"
    );
    assert_counted!(estate, messages_refused, 1);
    bystander.is_undisturbed().await;
}

/// Takes the installation that waits for the terminal; gives the name of the image.
async fn install_task(wire: &mut Wire, speaks: Speaks) -> String {
    let task = match speaks {
        Speaks::UnionPay => match wire.ask(|session, now| session.poll_task(now)).await {
            TerminalEvent::Task(Some(task)) => task,
            other => panic!("{other:?}"),
        },
        Speaks::Iso87 => loop {
            if let TerminalEvent::Command { task, .. } = wire.listen().await {
                break task;
            }
        },
    };
    match task.command {
        Command::InstallFirmware { file, .. } => file,
        other => panic!("{other:?}"),
    }
}

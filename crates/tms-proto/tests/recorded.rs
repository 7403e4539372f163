//! Every recorded UnionPay message is accepted by the side that it was sent to.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::{path::PathBuf, sync::Arc};

use iso8583::{
    Message,
    framing::{Frame, Header, Tpdu},
};
use jiff::Timestamp;
use serde_json::Value;
use tms_proto::{
    HostEvent, HostSession, Identity, Profile, Refusal, TerminalEvent, TerminalSession,
    emv::DownloadRequest,
    settlement::{BatchMessage, Message as Said, Totals},
};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// The vectors lie beside a checkout of the project, not in it. Without them this test says so and passes,
/// unless `TMS_REQUIRE_VECTORS=1` demands them.
fn recorded() -> Option<Vec<Value>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/unionpay.json");
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap()),
        Err(error) if std::env::var("TMS_REQUIRE_VECTORS").is_ok_and(|value| value == "1") => {
            panic!("{} is required and cannot be read: {error}", path.display())
        }
        Err(_) => {
            eprintln!("skipped: {} is not there", path.display());
            None
        }
    }
}

/// A whole frame; some records have the message only.
fn frame(profile: &Profile, record: &Value) -> Vec<u8> {
    let bytes = hex::decode(record["hex"].as_str().unwrap()).unwrap();
    if record["has_len"] == true && record["has_head"] == true {
        return bytes;
    }
    assert_eq!(record["has_len"], false, "{}", record["id"]);
    let mut out = Vec::new();
    let tpdu = Some(Tpdu([0x60, 0, 3, 0, 0]));
    let header = Some(Header([0x60, 0x31, 0, 0x31, 0, 1]));
    profile.framing().encode(&mut out, &Frame { tpdu, header, vendor: &[], body: &bytes }).unwrap();
    out
}

#[test]
fn every_recorded_message_is_accepted_by_the_side_that_it_is_addressed_to() {
    let profile = Arc::new(Profile::builtin("unionpay").unwrap());
    let (mut requests, mut replies) = (0, 0);
    let Some(records) = recorded() else { return };
    for record in records {
        let name = record["name"].as_str().unwrap();
        let frame = frame(&profile, &record);
        let (split, _) = profile.framing().split(&frame, frame.len()).unwrap().unwrap();
        let message = Message::parse(profile.dialect(), split.body).unwrap_or_else(|e| panic!("{name}: {e}"));
        if message.mti().response().is_some() {
            taken_by_the_host(&profile, name, &frame, &message);
            requests += 1;
        } else {
            taken_by_the_terminal(&profile, name, &frame, &message);
            replies += 1;
        }
    }
    assert!(requests >= 18 && replies >= 8, "{requests} requests, {replies} replies");
}

fn taken_by_the_host(profile: &Arc<Profile>, name: &str, frame: &[u8], message: &Message<'_>) {
    let mut host = HostSession::new(profile.clone(), None);
    host.receive(frame, NOW).unwrap();
    let event = host.poll_event().unwrap();
    let code = message.text("60.3").unwrap();
    if code == "960" {
        // An acquirer's own code, which the profile of that acquirer would have.
        assert!(matches!(event, HostEvent::Refused { refusal: Refusal::NotSupported, .. }), "{name}");
        return;
    }
    if let HostEvent::Refused { reason, .. } = event {
        panic!("{name}: {reason}");
    }
}

fn taken_by_the_terminal(profile: &Arc<Profile>, name: &str, frame: &[u8], message: &Message<'_>) {
    let (tid, mid) = (message.text("41").unwrap(), message.text("42").unwrap());
    let mut terminal = TerminalSession::new(profile.clone(), Identity::new(&tid, &mid));
    if let Some(stan) = message.text("11") {
        terminal = terminal.with_next_stan(stan.parse().unwrap());
    }
    match (message.mti().to_string().as_str(), message.text("60.3").unwrap().as_ref()) {
        ("0810", "003") => terminal.sign_on(b"", NOW),
        ("0810", "360") => terminal.request_parameters(NOW),
        ("0830", "301") => terminal.echo(NOW),
        ("0830", "372") => terminal.download(&DownloadRequest::CapkList { from: 0 }, NOW),
        ("0810", "380") => {
            let body = message.bytes(62).unwrap();
            let aid = iso8583::tlv::read(&body[1..]).next().unwrap().unwrap().value;
            terminal.download(&DownloadRequest::Aid(tms_proto::emv::Aid::new(aid).unwrap()), NOW)
        }
        ("0510", "201") => {
            let totals = Totals::decode(&message.text("48").unwrap(), 156).unwrap();
            terminal.settle(6, &Said::Totals(totals), NOW)
        }
        ("0330", "207") => {
            let count = message.text("48").unwrap().parse().unwrap();
            let end = BatchMessage::End { count, balanced: true };
            terminal.settle(6, &Said::Batch(end), NOW)
        }
        other => panic!("{name}: {other:?}"),
    }
    .unwrap();
    terminal.poll_transmit().unwrap();
    terminal.receive(frame, NOW).unwrap();
    let event = terminal.poll_event().unwrap();
    let taken = matches!(
        event,
        TerminalEvent::SignedOn { .. }
            | TerminalEvent::Parameters(_)
            | TerminalEvent::EchoAnswered
            | TerminalEvent::Download { .. }
            | TerminalEvent::TotalsAnswered { .. }
            | TerminalEvent::BatchTaken { .. }
    );
    assert!(taken, "{name}: {event:?}");
}

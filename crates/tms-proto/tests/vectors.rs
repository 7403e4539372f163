//! Every recorded UnionPay message is taken by the side it is addressed to, and the terminal's requests
//! are the recorded bytes.
//!
//! The vectors lie beside a checkout of the project, not in it. Without them these tests say so and pass,
//! unless `TMS_REQUIRE_VECTORS=1` demands them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use iso8583::framing::{Frame, Framing, Header, Tpdu};
use jiff::Timestamp;
use serde_json::Value;
use tms_crypto::keyblock::Tmk;
use tms_proto::{
    Function, HostEvent, HostSession, Identity, PendingWork, Profile, TerminalEvent, TerminalSession,
    emv::{Aid, CapkId, DownloadRequest},
    parameters::Values,
    settlement::{Balance, BatchMessage, CurrencyTotals, Message, Sum, Totals},
};

/// 2026-11-21 10:15:00 in China, the time of the synthetic replies.
const NOW: &str = "2026-11-21T02:15:00Z";

struct Vector {
    id: String,
    bytes: Vec<u8>,
    framing: Framing,
    fields: BTreeMap<String, String>,
}

impl Vector {
    fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// The frame as it travels: some were recorded without what stands around the message.
    fn frame(&self) -> Vec<u8> {
        if self.framing == Framing::LEN2_TPDU_HEADER {
            return self.bytes.clone();
        }
        let identity = Identity::new("", "");
        let mut out = Vec::new();
        let frame = Frame {
            tpdu: Some(identity.tpdu),
            header: Some(identity.header),
            vendor: &[],
            body: &self.bytes,
        };
        Framing::LEN2_TPDU_HEADER.encode(&mut out, &frame).unwrap();
        out
    }

    /// The terminal that sent the message, or that it is for.
    fn identity(&self) -> Identity {
        let (frame, _) = Framing::LEN2_TPDU_HEADER
            .split(&self.frame(), 4096)
            .unwrap()
            .map_or_else(|| panic!("{}", self.id), |(frame, used)| ((frame.tpdu, frame.header), used));
        let is_reply = self.field("MTI").as_bytes()[2] == b'1' || self.field("MTI").as_bytes()[2] == b'3';
        let tpdu = frame.0.unwrap();
        Identity {
            tpdu: if is_reply { Tpdu::swapped(tpdu) } else { tpdu },
            header: Header::with_processing_requirement(frame.1.unwrap(), 0),
            batch: self.field("60")[2..8].parse().unwrap(),
            ..Identity::new(self.field("41"), self.field("42"))
        }
    }
}

fn vectors() -> Option<BTreeMap<String, Vector>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/unionpay.json");
    let text = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if std::env::var("TMS_REQUIRE_VECTORS").is_ok_and(|value| value == "1") => {
            panic!("{} is required and cannot be read: {error}", path.display())
        }
        Err(_) => {
            eprintln!("skipped: {} is not there", path.display());
            return None;
        }
    };
    let list: Vec<Value> = serde_json::from_slice(&text).unwrap();
    let read = |vector: &Value| {
        let id = vector["id"].as_str().unwrap().to_owned();
        let fields = vector["fields"].as_object().unwrap().iter();
        let fields: BTreeMap<_, _> =
            fields.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
        let has_head = fields.contains_key("len");
        let vector = Vector {
            id: id.clone(),
            bytes: hex::decode(vector["hex"].as_str().unwrap()).unwrap(),
            framing: if has_head { Framing::LEN2_TPDU_HEADER } else { Framing::NONE },
            fields,
        };
        (id, vector)
    };
    let vectors: BTreeMap<_, _> = list.iter().map(read).collect();
    assert_eq!(vectors.len(), 29);
    Some(vectors)
}

/// The built-in profile with what one acquirer does otherwise: it names its parameter download 960 (Q1).
fn profile() -> Arc<Profile> {
    let text = r#"
        name = "unionpay"
        extends = "unionpay"
        [function.parameters]
        codes = ["360", "960"]
    "#;
    Arc::new(Profile::from_toml(text).unwrap())
}

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// What the host makes of a request.
fn taken(vector: &Vector) -> Function {
    let mut host = HostSession::new(profile(), Some(vector.field("41").trim_end().to_owned()));
    host.receive(&vector.frame(), now()).unwrap();
    let event = host.poll_event().unwrap();
    match event {
        HostEvent::Echo => Function::Echo,
        HostEvent::Refused { reason, .. } => panic!("{}: {reason}", vector.id),
        event => event.into_exchange().unwrap().function(),
    }
}

/// What the terminal makes of a reply to what `ask` asks.
fn answered(
    vector: &Vector,
    ask: impl FnOnce(&mut TerminalSession) -> Result<(), tms_proto::ProtocolError>,
) -> TerminalEvent {
    let mut terminal = TerminalSession::new(profile(), vector.identity());
    if let Ok(stan) = vector.field("11").parse() {
        terminal = terminal.with_next_stan(stan);
    }
    ask(&mut terminal).unwrap();
    terminal.receive(&vector.frame(), now()).unwrap();
    let event = terminal.poll_event().unwrap();
    let refused = matches!(
        event,
        TerminalEvent::Dropped(_) | TerminalEvent::Refused { .. } | TerminalEvent::Unanswered { .. }
    );
    assert!(!refused, "{}: {event:?}", vector.id);
    event
}

#[test]
fn the_host_takes_every_recorded_request_as_what_it_is() {
    let Some(vectors) = vectors() else { return };
    let expected = [
        (Function::SignOn, &["D4", "D5", "D6", "D7", "D10", "D15"][..]),
        (Function::Parameters, &["S4", "Q1"]),
        (Function::TmkKey, &["QF1"]),
        (Function::TmkRequest, &["QF3"]),
        (Function::SignOff, &["D9", "S1"]),
        (Function::Echo, &["S2"]),
        (Function::Status, &["S3"]),
        (Function::CapkDownload, &["S7"]),
        (Function::CapkList, &["S8"]),
        (Function::AidDownload, &["S9"]),
        (Function::Blacklist, &["S10"]),
        (Function::TmsParameters, &["S11"]),
        (Function::Settlement, &["D11"]),
    ];
    for (function, ids) in expected {
        for id in ids {
            assert_eq!(taken(&vectors[*id]), function, "{id}");
        }
    }
}

#[test]
fn the_terminal_takes_every_recorded_reply_to_what_it_asked() {
    let Some(vectors) = vectors() else { return };
    for id in ["D1", "D3", "I1"] {
        let event = answered(&vectors[id], |terminal| terminal.sign_on(b"", now()));
        let TerminalEvent::SignedOn { keys: Some(block), .. } = event else { panic!("{id}: {event:?}") };
        assert_eq!(hex::encode(&*block), vectors[id].field("62"), "{id}");
    }
    for (id, request) in [
        (
            "I5",
            DownloadRequest::Aid(
                Aid::new(&hex::decode("a000000003101 0".replace(' ', "")).unwrap()).unwrap(),
            ),
        ),
        ("I7", DownloadRequest::CapkList { from: 0 }),
    ] {
        let event = answered(&vectors[id], |terminal| terminal.download(&request, now()));
        assert!(matches!(event, TerminalEvent::Download { .. }), "{id}: {event:?}");
    }
    let settled = Message::Totals(Totals {
        domestic: CurrencyTotals {
            debit: Sum { amount: 11, count: 11 },
            credit: Sum { amount: 2, count: 2 },
            ..CurrencyTotals::default()
        },
        ..Totals::new(156)
    });
    let end = Message::Batch(BatchMessage::End { count: 0, balanced: true });
    for (id, message) in [("I3", settled), ("I11", end)] {
        let event = answered(&vectors[id], |terminal| terminal.settle(6, &message, now()));
        match event {
            TerminalEvent::TotalsAnswered { batch, totals } => {
                assert_eq!((batch, totals.domestic.balance), (6, Balance::Balanced), "{id}");
            }
            TerminalEvent::BatchTaken { batch, .. } => assert_eq!(batch, 6, "{id}"),
            other => panic!("{id}: {other:?}"),
        }
    }
    let event = answered(&vectors["S5"], |terminal| terminal.request_parameters(now()));
    let TerminalEvent::Parameters(values) = event else { panic!("{event:?}") };
    assert_eq!(values["merchant_name"], "测试商户");
    let mut terminal = TerminalSession::new(profile(), vectors["S6"].identity());
    terminal.echo(now()).unwrap();
    terminal.receive(&vectors["S6"].frame(), now()).unwrap();
    assert!(matches!(terminal.poll_event(), Some(TerminalEvent::EchoAnswered)));
    assert!(matches!(terminal.poll_event(), Some(TerminalEvent::WorkPending(PendingWork::Parameters))));
}

#[test]
fn the_keys_of_a_recorded_sign_on_open_under_its_master_key() {
    let Some(vectors) = vectors() else { return };
    let vector = &vectors["D3"];
    let event = answered(vector, |terminal| {
        let tmk = Tmk::from_hex("258FB0AB70D025CDB99DF2C4D302D646").unwrap();
        terminal.set_key_opener(Box::new(tmk));
        terminal.sign_on(b"", now())
    });
    let TerminalEvent::SignedOn { opened: Some(keys), .. } = event else { panic!("{event:?}") };
    assert_eq!(hex::encode(keys.mak), "ab7c577cc7a18045");
}

#[test]
fn a_terminal_takes_over_the_batch_number_of_a_recorded_sign_on() {
    let Some(vectors) = vectors() else { return };
    let vector = &vectors["D1"];
    let identity = Identity { batch: 5, ..vector.identity() };
    let mut terminal = TerminalSession::new(profile(), identity).with_next_stan(21);
    terminal.sign_on(b"", now()).unwrap();
    terminal.receive(&vector.frame(), now()).unwrap();
    let event = terminal.poll_event();
    assert!(matches!(event, Some(TerminalEvent::SignedOn { batch: Some(6), .. })), "{event:?}");
    assert_eq!(terminal.identity().batch, 6);
}

/// The status of the recorded upload (S3).
fn status() -> Values {
    let mut values: Values = [
        ("application_type", "60"),
        ("timeout_s", "30"),
        ("retries", "3"),
        ("phone_1", "82790625"),
        ("phone_2", "82790625"),
        ("phone_3", "82790625"),
        ("management_phone", "82790625"),
        ("tip_allowed", "0"),
        ("tip_percent", "10"),
        ("manual_entry", "0"),
        ("auto_sign_off", "0"),
        ("resend_count", "3"),
        ("tmk_index", "1"),
        ("offline_upload_count", "10"),
        ("communication_statistics", "007200999980"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    tms_proto::report::Health::default().put_tags(&mut values);
    values
}

#[test]
fn the_terminals_requests_are_the_recorded_bytes() {
    let Some(vectors) = vectors() else { return };
    type Ask = fn(&mut TerminalSession) -> Result<(), tms_proto::ProtocolError>;
    let cases: [(&str, Ask); 10] = [
        ("S1", |t| t.sign_off(now())),
        ("S2", |t| t.echo(now())),
        ("S3", |t| t.status(&status(), now())),
        ("S4", |t| t.request_parameters(now())),
        ("S7", |t| {
            let id = CapkId { rid: [0xA0, 0, 0, 3, 0x33], index: 8 };
            t.download(&DownloadRequest::Capk(id), now())
        }),
        ("S8", |t| t.download(&DownloadRequest::CapkList { from: 0 }, now())),
        ("S9", |t| {
            let aid = Aid::new(&[0xA0, 0, 0, 3, 0x33, 1, 1, 1]).unwrap();
            t.download(&DownloadRequest::Aid(aid), now())
        }),
        ("S10", |t| t.download(&DownloadRequest::Blacklist { from: 0 }, now())),
        ("S11", |t| t.download(&DownloadRequest::TmsParameters, now())),
        ("QF1", |t| t.master_key(Function::TmkKey, b"", now())),
    ];
    for (id, ask) in cases {
        let vector = &vectors[id];
        let stan = vector.field("11").parse().unwrap_or(1);
        let profile = Arc::new(Profile::builtin("unionpay").unwrap());
        let mut terminal = TerminalSession::new(profile, vector.identity()).with_next_stan(stan);
        ask(&mut terminal).unwrap();
        let sent = terminal.poll_transmit().unwrap();
        assert_eq!(hex::encode(sent), hex::encode(vector.frame()), "{id}");
    }
}

#[test]
fn a_recorded_sign_on_is_what_the_terminal_sends_with_its_serial_and_operator() {
    let Some(vectors) = vectors() else { return };
    for (id, place) in [("D4", 0), ("D5", 0), ("D6", 0), ("D7", 0), ("D10", 2), ("D15", 1)] {
        let vector = &vectors[id];
        let identity = Identity { operator: Some(vector.field("63").to_owned()), ..vector.identity() };
        let stan = vector.field("11").parse().unwrap();
        let mut terminal = TerminalSession::new(profile(), identity).with_next_stan(stan);
        let serial = hex::decode(vector.field("62")).unwrap();
        terminal.sign_on_as(place, &serial, now()).unwrap();
        assert_eq!(hex::encode(terminal.poll_transmit().unwrap()), hex::encode(vector.frame()), "{id}");
    }
}

#[test]
fn the_hosts_reply_to_an_echo_is_the_recorded_one() {
    let Some(vectors) = vectors() else { return };
    let mut host = HostSession::new(profile(), None);
    host.set_pending(Some(PendingWork::Parameters));
    host.receive(&vectors["S2"].frame(), now()).unwrap();
    assert_eq!(hex::encode(host.poll_transmit().unwrap()), hex::encode(vectors["S6"].frame()));
}

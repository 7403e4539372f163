//! A batch settled by both sessions, in every profile.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::sync::Arc;

use iso8583::Message as Wire;
use jiff::Timestamp;
use tms_proto::{
    Answer, Asked, Function, HostEvent, HostSession, Identity, Profile, Refusal, TerminalEvent,
    TerminalSession,
    settlement::{
        Balance, BatchLedger, BatchMessage, CardClass, CardDetail, ChipDetail, ChipEnding, Detail, Message,
        Pan, Settle, Side, Totals,
    },
    transactions::{self, Entry},
    upload::Chunk,
};
use uuid::Uuid;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;
const BATCH: u32 = 320;

struct Pair {
    profile: Arc<Profile>,
    host: HostSession,
    terminal: TerminalSession,
    ledger: BatchLedger,
    /// The host agrees with every total.
    agrees: bool,
}

impl Pair {
    fn new(profile: &str, agrees: bool) -> Self {
        let profile = Arc::new(Profile::builtin(profile).unwrap());
        let identity = Identity::new("10000001", "102310060510002");
        let mut pair = Self {
            host: HostSession::new(Arc::clone(&profile), Some("10000001".into())),
            terminal: TerminalSession::new(Arc::clone(&profile), identity),
            ledger: BatchLedger::default(),
            profile,
            agrees,
        };
        pair.terminal.sign_on(b"", NOW).unwrap();
        let HostEvent::SignOn { exchange, .. } = pair.at_host() else { panic!("no sign-on") };
        pair.host.answer(exchange, Answer::Approved, NOW).unwrap();
        assert!(matches!(pair.at_terminal(), TerminalEvent::SignedOn { .. }));
        pair
    }

    fn at_host(&mut self) -> HostEvent {
        let frame = self.terminal.poll_transmit().expect("a request");
        self.host.receive(&frame, NOW).unwrap();
        self.host.poll_event().expect("an event")
    }

    fn at_terminal(&mut self) -> TerminalEvent {
        let frame = self.host.poll_transmit().expect("a reply");
        self.terminal.receive(&frame, NOW).unwrap();
        self.terminal.poll_event().expect("an event")
    }

    fn answer(&mut self, event: HostEvent) {
        match event {
            HostEvent::Totals { exchange, batch, totals } => {
                let totals = self.ledger.on_totals(batch, &totals, self.agrees.then_some(&*totals));
                let answer = Answer::Settled { batch, totals: &totals };
                self.host.answer(exchange, answer, NOW).unwrap();
            }
            HostEvent::Batch { exchange, batch, message } => {
                match &message {
                    BatchMessage::End { count, balanced } => {
                        assert!(self.ledger.on_end(batch, *count, *balanced).is_complete());
                    }
                    details => drop(self.ledger.on_details(batch, details).unwrap()),
                }
                let answer = Answer::BatchTaken { batch, message: &message };
                self.host.answer(exchange, answer, NOW).unwrap();
            }
            other => panic!("{other:?}"),
        }
    }

    /// Says everything that a settlement has to say.
    fn settle(&mut self, settle: &mut Settle) -> Vec<Message> {
        let mut said = Vec::new();
        let _ = settle.close(0).unwrap();
        while let Some(message) = settle.next_message() {
            self.terminal.settle(settle.batch(), &message, NOW).unwrap();
            let event = self.at_host();
            match &event {
                HostEvent::Totals { batch, totals, .. } => {
                    assert_eq!((*batch, &Message::Totals(**totals)), (BATCH, &message));
                }
                HostEvent::Batch { batch, message: read, .. } => {
                    assert_eq!(
                        (*batch, &Message::Batch(read.clone())),
                        (BATCH, &seen(&self.profile, &message))
                    );
                }
                other => panic!("{other:?}"),
            }
            self.answer(event);
            let _ = match self.at_terminal() {
                TerminalEvent::TotalsAnswered { batch, totals } => settle.on_totals(batch, &totals).unwrap(),
                TerminalEvent::BatchTaken { batch, message } => settle.on_taken(batch, &message),
                other => panic!("{other:?}"),
            };
            said.push(message);
        }
        said
    }
}

/// A message as a profile can carry it: :1993 has no room for three digits in DE22.
fn seen(profile: &Profile, message: &Message) -> Message {
    match message.clone() {
        Message::Batch(BatchMessage::Chip { mut detail, balanced }) if profile.name() == "iso93" => {
            detail.entry_mode = 0;
            Message::Batch(BatchMessage::Chip { detail, balanced })
        }
        other => other,
    }
}

fn pan(number: u64) -> Pan {
    Pan::new(&number.to_string()).unwrap()
}

fn traded() -> Settle {
    let mut settle = Settle::new(BATCH, 156);
    for trace in 1..=19 {
        let class = if trace % 4 == 0 { CardClass::Foreign } else { CardClass::Domestic };
        let card =
            CardDetail { class, trace, pan: pan(6_225_880_000_000_000 + u64::from(trace)), amount: 1_234 };
        let side = if trace == 7 { Side::Credit } else { Side::Debit };
        let _ = settle.record(Detail::Card(card), side).unwrap();
    }
    let failed = ChipEnding::Failed { response: "05".into(), cryptogram: 0, arpc_result: 1 };
    for (trace, ending) in [(20, ChipEnding::Approved), (21, failed)] {
        let chip = ChipDetail {
            class: CardClass::Domestic,
            trace,
            pan: pan(6_228_480_000_000_000_000 + u64::from(trace)),
            amount: 990,
            currency: "156".into(),
            entry_mode: 51,
            sequence: Some(1),
            chip_data: hex::decode("9F26080011223344556677").unwrap(),
            ending,
        };
        let _ = settle.record(Detail::Chip(chip), Side::Debit).unwrap();
    }
    settle
}

#[test]
fn a_batch_that_does_not_balance_is_uploaded_whole_in_every_profile() {
    for name in Profile::builtin_names() {
        let (mut pair, mut terminal) = (Pair::new(name, false), traded());
        let said = pair.settle(&mut terminal);
        // Totals; eighteen sales in eights, a refund, two by chip, the end.
        assert_eq!(said.len(), 1 + 3 + 1 + 2 + 1, "{name}");
        assert_eq!((terminal.batch(), terminal.settled()), (BATCH + 1, Some(BATCH)));
        let closed = pair.ledger.closed().unwrap();
        assert_eq!((closed.received, closed.details_match), (21, Some(true)), "{name}");
    }
}

#[test]
fn a_batch_that_balances_sends_its_chip_transactions_and_the_end() {
    for name in Profile::builtin_names() {
        let (mut pair, mut terminal) = (Pair::new(name, true), traded());
        let said = pair.settle(&mut terminal);
        assert_eq!(said.len(), 1 + 2 + 1, "{name}");
        assert_eq!(said[3], Message::Batch(BatchMessage::End { count: 2, balanced: true }));
    }
}

#[test]
fn a_unionpay_settlement_has_the_fields_of_the_recorded_one() {
    let mut pair = Pair::new("unionpay", false);
    let totals =
        Totals::decode("00000000000700700000000000000000000000000000000000000000000000", 156).unwrap();
    pair.terminal.settle(BATCH, &Message::Totals(totals), NOW).unwrap();
    let frame = pair.terminal.poll_transmit().unwrap();
    let dialect = pair.profile.dialect();
    // Behind the two length bytes, TPDU and header.
    let sent = Wire::parse(dialect, &frame[13..]).unwrap();
    assert_eq!(sent.mti().to_string(), "0500");
    let numbers: Vec<u8> = sent.fields().map(|field| field.number()).collect();
    assert_eq!(numbers, [11, 41, 42, 48, 49, 60, 63]);
    assert_eq!(sent.text("60").unwrap(), "00000320201");
    assert_eq!(sent.text("48").unwrap(), totals.encode().unwrap());

    pair.host.receive(&frame, NOW).unwrap();
    let event = pair.host.poll_event().unwrap();
    pair.answer(event);
    let frame = pair.host.poll_transmit().unwrap();
    let reply = Wire::parse(dialect, &frame[13..]).unwrap();
    assert_eq!(reply.mti().to_string(), "0510");
    let numbers: Vec<u8> = reply.fields().map(|field| field.number()).collect();
    assert_eq!(numbers, [11, 12, 13, 15, 37, 41, 42, 48, 49, 60], "a 0510 has no response code");
    assert_eq!(reply.text("48").unwrap().as_bytes()[30], b'2');
}

#[test]
fn eight_transactions_fill_field_48_and_chip_details_have_their_usages() {
    let mut pair = Pair::new("unionpay", false);
    let mut terminal = traded();
    let _ = terminal.close(0).unwrap();
    let answer = terminal.totals().answered(Balance::Unbalanced, Balance::Balanced);
    let _ = terminal.on_totals(BATCH, &answer).unwrap();
    let mut bodies = Vec::new();
    while let Some(message) = terminal.next_message() {
        pair.terminal.settle(BATCH, &message, NOW).unwrap();
        let frame = pair.terminal.poll_transmit().unwrap();
        let sent = Wire::parse(pair.profile.dialect(), &frame[13..]).unwrap();
        let text = |n: &str| sent.text(n).map(|text| text.into_owned()).unwrap_or_default();
        let body = String::from_utf8(sent.bytes(62).unwrap_or_default().to_vec()).unwrap();
        bodies.push((text("60.3"), text("11"), text("48"), body));
        let Message::Batch(message) = message else { panic!() };
        let _ = terminal.on_taken(BATCH, &message);
    }
    let (code, _, details, _) = &bodies[0];
    assert_eq!((code.as_str(), details.len()), ("201", 322));
    assert_eq!(&details[..42], "080000000100006225880000000001000000001234");
    let (code, trace, _, usage) = &bodies[4];
    assert_eq!((code.as_str(), trace.as_str(), usage.as_str()), ("203", "000020", "610000000000000990156"));
    let (code, trace, _, usage) = &bodies[5];
    assert_eq!((code.as_str(), trace.as_str(), usage.as_str()), ("204", "000021", "71000500000000099015601"));
    let (code, _, count, _) = &bodies[6];
    assert_eq!((code.as_str(), count.as_str()), ("202", "0021"));
}

#[test]
fn an_answer_about_another_batch_is_of_no_use() {
    let mut pair = Pair::new("unionpay", true);
    let end = Message::Batch(BatchMessage::End { count: 0, balanced: true });
    pair.terminal.settle(BATCH, &end, NOW).unwrap();
    let mut frame = pair.terminal.poll_transmit().unwrap();
    let at = frame.windows(6).position(|bytes| bytes == hex::decode("000003202070").unwrap()).unwrap();
    frame[at + 3] = 0x21;
    pair.host.receive(&frame, NOW).unwrap();
    let Some(HostEvent::Batch { exchange, batch, message }) = pair.host.poll_event() else { panic!() };
    pair.host.answer(exchange, Answer::BatchTaken { batch, message: &message }, NOW).unwrap();
    let event = pair.at_terminal();
    let TerminalEvent::Unanswered { request: Asked::Batch { batch: BATCH, .. }, reason } = event else {
        panic!("{event:?}")
    };
    assert!(reason.to_string().contains("batch"), "{reason}");
}

#[test]
fn a_refusal_of_details_names_what_was_refused() {
    for name in Profile::builtin_names() {
        let mut pair = Pair::new(name, true);
        let end = Message::Batch(BatchMessage::End { count: 0, balanced: true });
        pair.terminal.settle(BATCH, &end, NOW).unwrap();
        let HostEvent::Batch { exchange, .. } = pair.at_host() else { panic!() };
        pair.host.answer(exchange, Answer::Refused(Refusal::Busy), NOW).unwrap();
        let TerminalEvent::Refused { request, refusal, .. } = pair.at_terminal() else { panic!() };
        assert_eq!((request.function(), refusal.may_retry()), (Function::BatchEnd, true), "{name}");
    }
}

#[test]
fn a_transaction_journal_arrives_whole_and_goes_on_after_a_break() {
    for name in Profile::builtin_names() {
        let entry = |trace: u32| Entry {
            trace,
            batch: BATCH,
            at_s: 1_700_000_000 + i64::from(trace),
            kind: "sale".into(),
            amount: 100,
            currency: 156,
            card: Some(pan(6_225_880_000_000_000 + u64::from(trace)).masked()),
            response: "00".into(),
            reversed: trace == 3,
        };
        let entries: Vec<Entry> = (0..40).map(entry).collect();
        let bytes = transactions::encode(&entries);
        let (operation, sha256) = (Uuid::from_u128(7), [0; 32]);
        let mut pair = Pair::new(name, true);
        let (mut kept, mut next, mut chunks) = (Vec::new(), 0_usize, 0);
        while next < bytes.len() {
            let end = bytes.len().min(next + Chunk::MAX_BYTES);
            let data = bytes[next..end].to_vec();
            let (offset, total_bytes) = (next as u64, bytes.len() as u64);
            let chunk = Chunk { operation, offset, total_bytes, sha256, data };
            pair.terminal.upload_journal(&chunk, NOW).unwrap();
            let HostEvent::JournalChunk { exchange, chunk } = pair.at_host() else { panic!() };
            kept.truncate(chunk.offset as usize);
            kept.extend_from_slice(&chunk.data);
            chunks += 1;
            if chunks == 2 {
                // The answer is lost with its connection.
                kept.truncate(kept.len() - 5);
                pair = Pair::new(name, true);
                next = kept.len();
                continue;
            }
            pair.host.answer(exchange, Answer::Uploaded(kept.len() as u64), NOW).unwrap();
            let TerminalEvent::JournalUploaded { operation: of, next: wanted } = pair.at_terminal() else {
                panic!()
            };
            assert_eq!(of, operation);
            next = wanted as usize;
        }
        assert_eq!(transactions::decode(&kept).unwrap(), entries, "{name}");
    }
}

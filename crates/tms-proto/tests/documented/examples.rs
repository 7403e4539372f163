//! One real exchange of every function, made by the two ends of a connection at a fixed time.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{Timestamp, civil::date};
use tms_crypto::keyblock::{Tmk, WorkingKeys, unwrap_working_keys};
use tms_proto::{
    Answer, Function, HostEvent, HostSession, Identity, Profile, TerminalEvent, TerminalSession,
    alarm::{Alarm, AlarmKind, Severity},
    emv::{
        Aid, AidParameters, Capk, CapkId, CardPrefix, ContactlessTemplate, DownloadRequest, Expiry, Offer,
    },
    file::BlockRequest,
    parameters::Values,
    profile::Direction,
    report::Report,
    settlement::{
        BatchLedger, BatchMessage, CardClass, CardDetail, CurrencyTotals, Message, Pan, Sum, Totals,
    },
    task::{Command, Outcome, Task, TaskResult},
    tms_parameters::{Content, CurrentTask, TmsParameters, TmsTask},
    transactions::{self, Entry},
    upload::Chunk,
};
use uuid::Uuid;

/// 2026-11-22 00:00:00 UTC.
const NOW: i64 = 1_795_305_600;
const BATCH: u32 = 1;
const TERMINAL: &str = "10000001";
const MERCHANT: &str = "102310060510002";
const SERIAL: &[u8] = b"Sequence No163150SIM-00000001";
const OPERATION: Uuid = Uuid::from_u128(0x0193_5123_4567_7ABC_8DEF_0123_4567_89AB);
/// PIK 22…22, MAK 33…33 under the TMK 11…11 (unionpay.md §4.1).
const KEY_BLOCK: &str = "950973182317F80B950973182317F80B00962B60F679786E2411E3DE0000000000000000ADC67D84";

/// The two frames of an exchange.
pub(crate) struct Shown {
    pub(crate) function: Function,
    pub(crate) request: Vec<u8>,
    pub(crate) reply: Vec<u8>,
}

struct Pair {
    host: HostSession,
    terminal: TerminalSession,
}

/// An exchange of every function of a profile, in the order of a working day.
pub(crate) fn of(profile: &Arc<Profile>) -> Vec<Shown> {
    let mut pair = Pair {
        host: HostSession::new(profile.clone(), Some(TERMINAL.into())),
        terminal: TerminalSession::new(profile.clone(), Identity::new(TERMINAL, MERCHANT)),
    };
    pair.terminal.set_key_opener(Box::new(tmk()));
    let mut functions: Vec<_> = Function::ALL.to_vec();
    functions.sort_by_key(|function| match function {
        Function::SignOn => 0,
        Function::SignOff => 2,
        _ => 1,
    });
    functions.retain(|function| profile.rule(*function).is_some());
    functions.into_iter().map(|function| pair.exchange(profile, function)).collect()
}

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn tmk() -> Tmk {
    Tmk::from_hex("11111111111111111111111111111111").unwrap()
}

fn keys() -> WorkingKeys {
    unwrap_working_keys(&tmk(), &hex::decode(KEY_BLOCK).unwrap()).unwrap()
}

/// What each step of the download of a master key carries (unionpay.md §4.13).
fn master_key(function: Function, reply: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut put = |tag, value: &[u8]| iso8583::tlv::write(&mut out, tag, value);
    match (function, reply) {
        (Function::TmkKey, true) => {
            put(0x9F06, &[0xA0, 0, 0, 3, 0x33]);
            put(0x9F22, &[1]);
            put(0xDF02, &[0xC5; 128]);
            put(0xDF04, &[1, 0, 1]);
        }
        (Function::TmkRequest, false) => {
            put(0x9F06, &[0xA0, 0, 0, 3, 0x33]);
            put(0x9F22, &[1]);
            put(0xDF23, &[0xE7; 128]);
            put(0xDF24, &[0xE7; 4]);
        }
        (Function::TmkRequest, true) => put(0xDF02, &[0xE7; 16]),
        _ => {}
    }
    out
}

fn values(pairs: &[(&str, &str)]) -> Values {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn totals() -> Totals {
    let debit = Sum { amount: 1_234, count: 1 };
    Totals { domestic: CurrencyTotals { debit, ..CurrencyTotals::default() }, ..Totals::new(156) }
}

fn task(command: Command) -> Task {
    Task { operation: OPERATION, step: 1, command }
}

fn offer() -> Offer {
    let mut offer = Offer::default();
    let id = CapkId { rid: [0xA0, 0, 0, 3, 0x33], index: 8 };
    let expiry = Expiry::new(date(2030, 12, 31)).unwrap();
    let modulus: Vec<u8> = (0..144u8).map(|n| 0xC0 | (n & 0x3F)).collect();
    offer.capks.insert(Capk::new(id, expiry, &modulus, &[1, 0, 1]).unwrap()).unwrap();
    let aid = Aid::new(&[0xA0, 0, 0, 3, 0x33, 1, 1, 1]).unwrap();
    let parameters = AidParameters {
        selection: Some(0),
        terminal_version: Some([0, 0x30]),
        tac_default: Some([0xD8, 0x40, 0, 0xA8, 0]),
        floor_limit: Some(0),
        online_pin: Some(1),
        cvm_limit: Some(30_000),
        ..AidParameters::new(aid)
    };
    offer.aids.insert(parameters).unwrap();
    offer.blacklist.push(CardPrefix::new("62284800").unwrap()).unwrap();
    let template = hex::decode("FF805D0E9F6604260000809F350122DF0100").unwrap();
    offer.contactless.push(ContactlessTemplate::decode(&template).unwrap()).unwrap();
    offer.pin_free_bins.push(CardPrefix::new("622588").unwrap()).unwrap();
    offer.pin_free_blacklist.push(CardPrefix::new("62258800").unwrap()).unwrap();
    offer.tms_parameters = Some(TmsParameters {
        platform: "18181818".into(),
        limit_date: Some(date(2026, 12, 31)),
        timing: "1001".into(),
        phones: ["02112345678".into(), String::new()],
        hosts: ["tms.example:32091".into(), String::new()],
        task: TmsTask::Current(Box::new(CurrentTask {
            content: Content::CardApplication("100000".into()),
            code: "7001".into(),
            gprs: String::new(),
            cdma: String::new(),
            check_code: "12345678123456781234567812345678".into(),
            redial_s: 60,
            prompt: "TMS".into(),
            tpdu: "6000060000".into(),
            start: Some(date(2026, 11, 22).at(0, 0, 0, 0)),
            end: Some(date(2026, 12, 31).at(0, 0, 0, 0)),
        })),
    });
    offer
}

impl Pair {
    fn exchange(&mut self, profile: &Profile, function: Function) -> Shown {
        let rule = profile.rule(function).unwrap();
        let (request, reply) = match rule.from {
            Direction::Host => self.push(function),
            Direction::Terminal | Direction::Both => self.ask(profile, function),
        };
        Shown { function, request, reply }
    }

    fn push(&mut self, function: Function) -> (Vec<u8>, Vec<u8>) {
        match function {
            Function::Command => self.host.push_command(task(Command::Reboot), now()).unwrap(),
            Function::KeyExchange => {
                let block = hex::decode(KEY_BLOCK).unwrap();
                assert!(self.host.push_keys(&block, &keys(), now()).unwrap());
            }
            Function::ParameterPush => super::push::send(&mut self.host, OPERATION, now()),
            other => panic!("the host never asks for {other}"),
        }
        let request = self.host.poll_transmit().unwrap();
        self.terminal.receive(&request, now()).unwrap();
        match self.terminal.poll_event().unwrap() {
            TerminalEvent::Command { request, .. } => self.terminal.answer(request, None, now()).unwrap(),
            // It has been answered.
            TerminalEvent::KeysReplaced { .. } => {}
            TerminalEvent::ParameterPush { request, push } => {
                super::push::answer(&mut self.terminal, request, push, now());
            }
            other => panic!("{other:?}"),
        }
        let reply = self.terminal.poll_transmit().unwrap();
        self.host.receive(&reply, now()).unwrap();
        self.host.poll_event().unwrap();
        (request, reply)
    }

    fn ask(&mut self, profile: &Profile, function: Function) -> (Vec<u8>, Vec<u8>) {
        self.send(function);
        let request = self.terminal.poll_transmit().unwrap();
        self.host.receive(&request, now()).unwrap();
        let mut event = self.host.poll_event().unwrap();
        // Told with the next request after keys were given.
        if matches!(event, HostEvent::KeysTaken { .. }) {
            event = self.host.poll_event().unwrap();
        }
        self.answer(profile, event);
        let reply = self.host.poll_transmit().unwrap();
        self.terminal.receive(&reply, now()).unwrap();
        let event = self.terminal.poll_event().unwrap();
        let failed = matches!(event, TerminalEvent::Refused { .. } | TerminalEvent::Unanswered { .. });
        assert!(!failed && !matches!(event, TerminalEvent::Dropped(_)), "{function}: {event:?}");
        (request, reply)
    }

    fn send(&mut self, function: Function) {
        let (terminal, now) = (&mut self.terminal, now());
        let key = CapkId { rid: [0xA0, 0, 0, 3, 0x33], index: 8 };
        match function {
            Function::SignOn => terminal.sign_on(SERIAL, now),
            Function::SignOff => terminal.sign_off(now),
            Function::Echo => terminal.echo(now),
            Function::KeyRequest => terminal.request_keys(now),
            Function::Status => {
                terminal.status(&values(&[("health.keyboard", "1"), ("health.printer", "0")]), now)
            }
            Function::Report => terminal.report(&report(), now),
            Function::Alarm => terminal.alarm(
                &Alarm {
                    sequence: 7,
                    kind: AlarmKind::PAPER_OUT,
                    severity: Severity::WARNING,
                    time: now,
                    text: "no paper".into(),
                },
                now,
            ),
            Function::Parameters => terminal.request_parameters(now),
            Function::TmsParameters => terminal.download(&DownloadRequest::TmsParameters, now),
            Function::TmsParametersEnd => terminal.download(&DownloadRequest::TmsParametersEnd, now),
            Function::CapkList => terminal.download(&DownloadRequest::CapkList { from: 0 }, now),
            Function::CapkDownload => terminal.download(&DownloadRequest::Capk(key), now),
            Function::CapkEnd => terminal.download(&DownloadRequest::CapkEnd, now),
            Function::AidList => terminal.download(&DownloadRequest::AidList { from: 0 }, now),
            Function::AidDownload => {
                terminal.download(&DownloadRequest::Aid("A000000333010101".parse().unwrap()), now)
            }
            Function::AidEnd => terminal.download(&DownloadRequest::AidEnd, now),
            Function::Blacklist => terminal.download(&DownloadRequest::Blacklist { from: 0 }, now),
            Function::BlacklistEnd => terminal.download(&DownloadRequest::BlacklistEnd, now),
            Function::Contactless => terminal.download(&DownloadRequest::Contactless { from: 0 }, now),
            Function::ContactlessEnd => terminal.download(&DownloadRequest::ContactlessEnd, now),
            Function::PinFreeBins => terminal.download(&DownloadRequest::PinFreeBins { from: 0 }, now),
            Function::PinFreeBinsEnd => terminal.download(&DownloadRequest::PinFreeBinsEnd, now),
            Function::PinFreeBlacklist => {
                terminal.download(&DownloadRequest::PinFreeBlacklist { from: 0 }, now)
            }
            Function::PinFreeBlacklistEnd => terminal.download(&DownloadRequest::PinFreeBlacklistEnd, now),
            Function::Settlement => terminal.settle(BATCH, &Message::Totals(totals()), now),
            Function::BatchUpload => {
                let card = CardDetail {
                    class: CardClass::Domestic,
                    trace: 7,
                    pan: Pan::new("6225880000000001").unwrap(),
                    amount: 1_234,
                };
                terminal.settle(BATCH, &Message::Batch(BatchMessage::Cards(vec![card])), now)
            }
            Function::BatchEnd => {
                let end = BatchMessage::End { count: 1, balanced: false };
                terminal.settle(BATCH, &Message::Batch(end), now)
            }
            Function::JournalUpload => {
                let entry = Entry {
                    trace: 7,
                    batch: BATCH,
                    at_s: NOW,
                    kind: "sale".into(),
                    amount: 1_234,
                    currency: 156,
                    card: Some(Pan::new("6225880000000001").unwrap().masked()),
                    response: "00".into(),
                    reversed: false,
                };
                let data = transactions::encode(&[entry]);
                let sha256 = tms_crypto::digest::sha256(&data);
                let total_bytes = data.len() as u64;
                let chunk = Chunk { operation: OPERATION, offset: 0, total_bytes, sha256, data };
                terminal.upload_journal(&chunk, now)
            }
            Function::TmkKey | Function::TmkRequest | Function::TmkActivate => {
                terminal.master_key(function, &master_key(function, false), now)
            }
            Function::FileRead => {
                terminal.read_block(BlockRequest { file: "2.0.0".into(), offset: 4096, length: 32 }, now)
            }
            Function::TaskPoll => terminal.poll_task(now),
            Function::TaskResult => terminal.send_result(&TaskResult::new(OPERATION, 1, Outcome::DONE), now),
            Function::LogUpload => {
                let data = b"00:00 boot\n".to_vec();
                let sha256 = tms_crypto::digest::sha256(&data);
                let total_bytes = data.len() as u64;
                terminal.upload(&Chunk { operation: OPERATION, offset: 0, total_bytes, sha256, data }, now)
            }
            other => panic!("the terminal never asks for {other}"),
        }
        .unwrap();
    }

    fn answer(&mut self, profile: &Profile, event: HostEvent) {
        let (block, keys) = (hex::decode(KEY_BLOCK).unwrap(), keys());
        let parameters = values(&[("timeout_s", "60"), ("retries", "3")]);
        let file: Vec<u8> = (0..32).collect();
        let collect = task(Command::CollectLogs { max_bytes: 65_536 });
        let (offered, settled, taken, content);
        let mut ledger = BatchLedger::default();
        let (exchange, answer) = match event {
            HostEvent::SignOn { exchange, .. } if profile.name() == "unionpay" => {
                (exchange, Answer::Keys { block: &block, keys: &keys })
            }
            HostEvent::KeysRequested { exchange } => (exchange, Answer::Keys { block: &block, keys: &keys }),
            HostEvent::ParametersRequested { exchange } => (exchange, Answer::Parameters(&parameters)),
            HostEvent::Download { exchange, request } => {
                offered = offer().answer(&request, profile.downloads()).unwrap();
                (exchange, Answer::Download(&offered))
            }
            HostEvent::FileRead { exchange, request } => {
                (exchange, Answer::Block { offset: request.offset, total_bytes: 262_144, data: &file })
            }
            HostEvent::TaskPoll { exchange } => (exchange, Answer::Task(Some(&collect))),
            HostEvent::MasterKey { exchange, .. } => {
                content = master_key(exchange.function(), true);
                match content.is_empty() {
                    true => (exchange, Answer::Approved),
                    false => (exchange, Answer::MasterKey(&content)),
                }
            }
            HostEvent::Totals { exchange, batch, totals } => {
                settled = ledger.on_totals(batch, &totals, None);
                (exchange, Answer::Settled { batch, totals: &settled })
            }
            HostEvent::Batch { exchange, batch, message } => {
                taken = message;
                (exchange, Answer::BatchTaken { batch, message: &taken })
            }
            HostEvent::JournalChunk { exchange, chunk, .. } => {
                (exchange, Answer::Uploaded(chunk.offset + chunk.data.len() as u64))
            }
            HostEvent::LogChunk { exchange, chunk } => {
                (exchange, Answer::Uploaded(chunk.offset + chunk.data.len() as u64))
            }
            // It has been answered.
            HostEvent::Echo => return,
            other => (other.into_exchange().unwrap(), Answer::Approved),
        };
        self.host.answer(exchange, answer, now()).unwrap();
    }
}

fn report() -> Report {
    Report {
        model: "SIM-8".into(),
        hardware_revision: "A1".into(),
        version: "1.0.0".into(),
        security_counter: 1,
        slot: "A".into(),
        boot_count: 3,
        credentials: BTreeMap::from([("99".into(), 1), ("00".into(), 1)]),
        parameters: values(&[("timeout_s", "60"), ("retries", "3")]),
        ..Report::default()
    }
}

//! What a host keeps of a terminal, and what it says to each question.

use jiff::civil::date;
use tms_proto::{
    Answer, Exchange, Function, HostEvent, HostSession, Refusal,
    emv::{Aid, AidParameters, Blacklist, CardPrefix, Capk, CapkId, DownloadRequest, Expiry, Forms, Offer},
    file::BlockRequest,
    parameters::Values,
    settlement::{BatchLedger, BatchMessage, MAX_RECORDS, Totals},
    tms_parameters::{Content, CurrentTask, TmsParameters, TmsTask},
    upload::Chunk,
};

use super::operations::{self, Keys, Said};
use jiff::Timestamp;

/// What was asked, as far as an honest answer needs it.
pub enum Question {
    Download(DownloadRequest),
    Block(BlockRequest),
    Piece(Chunk),
    Totals(u32, Box<Totals>),
    Batch(u32, BatchMessage),
    Plain,
}

/// The machines.
pub struct Machines {
    pub offer: Offer,
    ledger: BatchLedger,
}

impl Default for Machines {
    fn default() -> Self {
        Self { offer: offer(3), ledger: BatchLedger::default() }
    }
}

/// An honest offer of as many items of each kind.
pub fn offer(count: u8) -> Offer {
    let mut offer = Offer::default();
    for n in 0..count % 60 {
        let id = CapkId { rid: [0xA0, 0, 0, 3, 0x33], index: n };
        if let Ok(expiry) = Expiry::new(date(2030, 12, 31))
            && let Ok(key) = Capk::new(id, expiry, &[0xC1; 96], &[3])
        {
            let _ = offer.capks.insert(key);
        }
        if let Ok(aid) = Aid::new(&[0xA0, 0, 0, 3, 0x33, n]) {
            let _ =
                offer.aids.insert(AidParameters { floor_limit: Some(n.into()), ..AidParameters::new(aid) });
        }
        if let Ok(card) = CardPrefix::new(&format!("6225{n:04}")) {
            let _ = Blacklist::push(&mut offer.blacklist, card);
        }
    }
    offer.tms_parameters = (count & 1 == 1).then(tms_parameters);
    offer
}

fn tms_parameters() -> TmsParameters {
    TmsParameters {
        platform: "A920".into(),
        limit_date: Some(date(2030, 12, 31)),
        timing: "0001".into(),
        phones: ["82790625".into(), String::new()],
        hosts: ["10.0.0.1:8000".into(), String::new()],
        task: TmsTask::Current(Box::new(CurrentTask {
            content: Content::CardApplication("000001".into()),
            code: "7001".into(),
            gprs: "cmnet|u|p|10.0.0.1|8000".into(),
            cdma: String::new(),
            check_code: "0".repeat(32),
            redial_s: 30,
            prompt: "更新".into(),
            tpdu: "6000030000".into(),
            start: None,
            end: None,
        })),
    }
}

/// The right to answer, and what was asked.
pub fn question(event: HostEvent) -> Option<(Exchange, Question)> {
    let question = match &event {
        HostEvent::Download { request, .. } => Question::Download(request.clone()),
        HostEvent::FileRead { request, .. } => Question::Block(request.clone()),
        HostEvent::LogChunk { chunk, .. } | HostEvent::JournalChunk { chunk, .. } => {
            Question::Piece(chunk.clone())
        }
        HostEvent::Totals { batch, totals, .. } => Question::Totals(*batch, totals.clone()),
        HostEvent::Batch { batch, message, .. } => Question::Batch(*batch, message.clone()),
        _ => Question::Plain,
    };
    Some((event.into_exchange()?, question))
}

impl Machines {
    /// Answers with what an input says.
    pub fn answer(
        &mut self,
        host: &mut HostSession,
        (exchange, question): (Exchange, Question),
        said: &Said,
        now: Timestamp,
    ) {
        let _ = match said {
            Said::Honest => self.honest(host, exchange, &question, now),
            Said::Approved => host.answer(exchange, Answer::Approved, now),
            Said::Refused(which) => host.answer(exchange, Answer::Refused(operations::refusal(*which)), now),
            Said::Keys(keys) => answer_keys(host, exchange, keys, now),
            Said::MasterKey(content) => host.answer(exchange, Answer::MasterKey(&content.0), now),
            Said::Parameters(pairs) => {
                let values: Values =
                    pairs.0.iter().map(|(n, v)| (format!("name{n}"), v.to_string())).collect();
                host.answer(exchange, Answer::Parameters(&values), now)
            }
            Said::Download(body) => {
                host.answer(exchange, Answer::Download(&tms_proto::emv::DownloadBody(body.0.clone())), now)
            }
            Said::Task(told) => {
                let task = told.as_ref().map(operations::Told::task);
                host.answer(exchange, Answer::Task(task.as_ref()), now)
            }
            Said::Block { offset, total, length } => {
                let data = vec![1; usize::from(length % 4096)];
                let (offset, total_bytes) = (*offset, *total);
                host.answer(exchange, Answer::Block { offset, total_bytes, data: &data }, now)
            }
            Said::Uploaded(next) => host.answer(exchange, Answer::Uploaded(*next), now),
            Said::Totals { batch, totals, .. } => {
                let (batch, totals) = (*batch, &operations::totals(*totals));
                host.answer(exchange, Answer::Settled { batch, totals }, now)
            }
            Said::Taken { batch, trades } => match operations::details(trades) {
                Some(message) => {
                    let (batch, message) = (*batch, &message);
                    host.answer(exchange, Answer::BatchTaken { batch, message }, now)
                }
                None => host.answer(exchange, Answer::Approved, now),
            },
        };
    }

    fn honest(
        &mut self,
        host: &mut HostSession,
        exchange: Exchange,
        question: &Question,
        now: Timestamp,
    ) -> Result<(), tms_proto::ProtocolError> {
        match question {
            Question::Download(request) => match self.offer.answer(request, &Forms::default()) {
                Ok(body) => host.answer(exchange, Answer::Download(&body), now),
                Err(refusal) => host.answer(exchange, Answer::Refused(refusal), now),
            },
            Question::Block(request) if request.offset >= 4000 => {
                host.answer(exchange, Answer::Refused(Refusal::OutOfRange), now)
            }
            Question::Block(BlockRequest { offset, length, .. }) => {
                let data =
                    vec![1; usize::try_from((4000 - offset).min(u64::from(*length).min(4096))).unwrap_or(0)];
                host.answer(exchange, Answer::Block { offset: *offset, total_bytes: 4000, data: &data }, now)
            }
            Question::Piece(chunk) => {
                let end = chunk.offset + chunk.data.len() as u64;
                assert!(end <= chunk.total_bytes, "a piece reaches past its end");
                host.answer(exchange, Answer::Uploaded(end), now)
            }
            Question::Totals(batch, totals) => {
                let totals = &self.ledger.on_totals(*batch, totals, None);
                host.answer(exchange, Answer::Settled { batch: *batch, totals }, now)
            }
            Question::Batch(batch, message) => {
                let taken = match message {
                    BatchMessage::End { count, balanced } => {
                        let _ = self.ledger.on_end(*batch, *count, *balanced);
                        Ok(())
                    }
                    details => self.ledger.on_details(*batch, details).map(drop),
                };
                assert!(self.ledger.received() <= MAX_RECORDS);
                match taken {
                    Ok(()) => host.answer(exchange, Answer::BatchTaken { batch: *batch, message }, now),
                    Err(_) => host.answer(exchange, Answer::Refused(Refusal::OutOfRange), now),
                }
            }
            Question::Plain if matches!(exchange.function(), Function::SignOn | Function::KeyRequest) => {
                answer_keys(host, exchange, &Keys::honest(), now)
            }
            Question::Plain => host.answer(exchange, Answer::Approved, now),
        }
    }
}

fn answer_keys(
    host: &mut HostSession,
    exchange: Exchange,
    keys: &Keys,
    now: Timestamp,
) -> Result<(), tms_proto::ProtocolError> {
    let (keys, block) = keys.block();
    host.answer(exchange, Answer::Keys { block: &block, keys: &keys }, now)
}

//! A scripted host: it gives what it has and remembers what it was told.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use tms_crypto::keyblock::{KeyBlockForm, Tmk, WorkingKeys, wrap_working_keys};
use tms_proto::{
    Answer, HostEvent, HostSession, PendingWork, Profile, Refusal,
    alarm::Alarm,
    emv,
    parameters::{Push, Values},
    report::Report,
    settlement::{BatchLedger, BatchMessage, Totals},
    task::{Outcome, Task, TaskResult},
};
use uuid::Uuid;

/// What the host has and has seen. It outlives connections, like a store.
#[derive(Default)]
pub(super) struct Host {
    pub(super) files: BTreeMap<String, Vec<u8>>,
    pub(super) tasks: VecDeque<Task>,
    pub(super) results: Vec<TaskResult>,
    pub(super) accepted: Vec<Uuid>,
    pub(super) parameters: Option<(u64, Values)>,
    pub(super) reports: Vec<Report>,
    pub(super) log: Vec<u8>,
    /// Whose the log is, and whose the journal: a host keeps those of different operations apart.
    bundle_of: (Option<Uuid>, Option<Uuid>),
    /// It has nothing of any log, whatever it was sent.
    pub(super) loses_logs: bool,
    pub(super) reads: Vec<u64>,
    pub(super) keys: Option<Tmk>,
    pub(super) sign_on_refusal: Option<Refusal>,
    pub(super) read_refusal: Option<Refusal>,
    /// How often the terminal asked for working keys.
    pub(super) key_requests: u32,
    /// Refusals of reads behind the beginning of a file, one each.
    pub(super) read_refusals: Vec<Refusal>,
    /// Refusals of results, one each, the last first.
    pub(super) result_refusals: Vec<Refusal>,
    pub(super) alarms: Vec<Alarm>,
    /// Refusals for the next alarms, the last first.
    pub(super) alarm_refusals: Vec<Refusal>,
    pub(super) ledger: BatchLedger,
    /// Totals of its own, where it sees transactions.
    pub(super) own_totals: Option<Totals>,
    pub(super) totals_refusal: Option<Refusal>,
    /// It answers other totals than it was told.
    pub(super) lies: bool,
    /// How often it was told totals.
    pub(super) totals_told: u32,
    /// Each message with details is refused so often before it is taken, for this.
    pub(super) details_refusal: Option<(u32, Refusal)>,
    refused_in_a_row: u32,
    pub(super) end_refusal: Option<Refusal>,
    pub(super) sign_on_codes: Vec<String>,
    /// New working keys to send at the next opportunity.
    pub(super) later_keys: Option<WorkingKeys>,
    pub(super) journal: Vec<u8>,
    pub(super) pushes: VecDeque<Push>,
    /// What there is to download, and what of it is announced.
    pub(super) offer: emv::Offer,
    pub(super) announced: Option<PendingWork>,
    /// Ends of downloads after which it goes on to announce.
    pub(super) ends_unheard: usize,
    /// Keep giving the front task even after its result, as a host does that lost the answer.
    pub(super) forgetful: bool,
}

impl Host {
    pub(super) fn serve(&mut self, session: &mut HostSession, profile: &Profile, now: Timestamp) {
        session.set_pending(self.parameters.as_ref().map(|_| PendingWork::Parameters).or(self.announced));
        while let Some(event) = session.poll_event() {
            self.answer(session, profile, event, now);
        }
    }

    fn answer(&mut self, session: &mut HostSession, profile: &Profile, event: HostEvent, now: Timestamp) {
        match event {
            HostEvent::SignOn { exchange, .. } => {
                let form = KeyBlockForm::of_code(exchange.code()).unwrap_or(KeyBlockForm::Double);
                self.sign_on_codes.push(exchange.code().to_owned());
                let keys = form.generate();
                let block = self.keys.as_ref().map(|tmk| form.wrap(tmk, &keys));
                let answer = match (&self.sign_on_refusal, &block) {
                    (Some(refusal), _) => Answer::Refused(*refusal),
                    (None, Some(block)) => Answer::Keys { block, keys: &keys },
                    (None, None) => Answer::Approved,
                };
                session.answer(exchange, answer, now).unwrap();
                self.push(session, profile, now);
            }
            HostEvent::KeysRequested { exchange } => {
                self.key_requests += 1;
                let keys = KeyBlockForm::Double.generate();
                let block = self.keys.as_ref().map(|tmk| KeyBlockForm::Double.wrap(tmk, &keys));
                let answer = match &block {
                    Some(block) => Answer::Keys { block, keys: &keys },
                    None => Answer::Refused(Refusal::NotFound),
                };
                session.answer(exchange, answer, now).unwrap();
                if self.keys.is_some() {
                    // What was wrong with the old ones is over.
                    self.read_refusal = None;
                }
            }
            HostEvent::TaskPoll { exchange } => {
                session.answer(exchange, Answer::Task(self.tasks.front()), now).unwrap();
            }
            HostEvent::TaskResult { exchange, result } => {
                if let Some(refusal) = self.result_refusals.pop() {
                    session.answer(exchange, Answer::Refused(refusal), now).unwrap();
                    return;
                }
                session.answer(exchange, Answer::Approved, now).unwrap();
                if result.outcome == Outcome::ACCEPTED {
                    self.accepted.push(result.operation);
                    return;
                }
                let front = self.tasks.front().map(|task| (task.operation, task.step));
                if front == Some((result.operation, result.step)) && !self.forgetful {
                    self.tasks.pop_front();
                }
                self.results.push(result);
                self.push(session, profile, now);
            }
            HostEvent::ParametersRequested { exchange } => {
                let values = self.parameters.take().unwrap_or_default().1;
                session.set_pending(None);
                session.answer(exchange, Answer::Parameters(&values), now).unwrap();
            }
            HostEvent::Report { exchange, report } => {
                self.reports.push(*report);
                session.answer(exchange, Answer::Approved, now).unwrap();
            }
            HostEvent::FileRead { exchange, request } => {
                self.reads.push(request.offset);
                let file = self.files.get(&request.file);
                let start = request.offset as usize;
                let spoiled = if start > 0 { self.read_refusals.pop() } else { None };
                let answer = match (spoiled.or(self.read_refusal), file) {
                    (Some(refusal), _) => Answer::Refused(refusal),
                    (None, None) => Answer::Refused(Refusal::NotFound),
                    (None, Some(file)) if start >= file.len() => Answer::Refused(Refusal::OutOfRange),
                    (None, Some(file)) => {
                        let end = (start + request.length as usize).min(file.len());
                        Answer::Block {
                            offset: request.offset,
                            total_bytes: file.len() as u64,
                            data: &file[start..end],
                        }
                    }
                };
                session.answer(exchange, answer, now).unwrap();
            }
            HostEvent::LogChunk { exchange, chunk } => {
                if self.bundle_of.0.replace(chunk.operation) != Some(chunk.operation) || self.loses_logs {
                    self.log.clear();
                }
                if self.loses_logs {
                    session.answer(exchange, Answer::Uploaded(0), now).unwrap();
                    return;
                }
                if chunk.offset == self.log.len() as u64 {
                    self.log.extend(&chunk.data);
                }
                session.answer(exchange, Answer::Uploaded(self.log.len() as u64), now).unwrap();
            }
            HostEvent::Totals { exchange, batch, totals } => {
                self.totals_told += 1;
                let mut answered = self.ledger.on_totals(batch, &totals, self.own_totals.as_ref());
                if self.lies {
                    answered.domestic.debit.amount += 1;
                }
                let answer = match self.totals_refusal {
                    Some(refusal) => Answer::Refused(refusal),
                    None => Answer::Settled { batch, totals: &answered },
                };
                session.answer(exchange, answer, now).unwrap();
            }
            HostEvent::Batch { exchange, batch, message } => {
                let refusal = match (&message, self.details_refusal) {
                    (BatchMessage::End { .. }, _) => self.end_refusal,
                    (_, Some((times, refusal))) if self.refused_in_a_row < times => Some(refusal),
                    _ => None,
                };
                if let Some(refusal) = refusal {
                    self.refused_in_a_row += 1;
                    session.answer(exchange, Answer::Refused(refusal), now).unwrap();
                    return;
                }
                self.refused_in_a_row = 0;
                match &message {
                    BatchMessage::End { count, balanced } => {
                        self.ledger.on_end(batch, *count, *balanced);
                    }
                    details => drop(self.ledger.on_details(batch, details).unwrap()),
                }
                session.answer(exchange, Answer::BatchTaken { batch, message: &message }, now).unwrap();
            }
            HostEvent::JournalChunk { exchange, chunk } => {
                if self.bundle_of.1.replace(chunk.operation) != Some(chunk.operation) {
                    self.journal.clear();
                }
                if chunk.offset == self.journal.len() as u64 {
                    self.journal.extend(&chunk.data);
                }
                session.answer(exchange, Answer::Uploaded(self.journal.len() as u64), now).unwrap();
            }
            HostEvent::Alarm { exchange, alarm } => {
                if let Some(refusal) = self.alarm_refusals.pop() {
                    session.answer(exchange, Answer::Refused(refusal), now).unwrap();
                    return;
                }
                self.alarms.push(alarm);
                session.answer(exchange, Answer::Approved, now).unwrap();
            }
            HostEvent::Download { exchange, request } => {
                if request.is_end() {
                    match self.ends_unheard.checked_sub(1) {
                        Some(left) => self.ends_unheard = left,
                        None => self.announced = None,
                    }
                    session.set_pending(self.announced);
                }
                let body = self.offer.answer(&request, profile.downloads());
                let answer = match &body {
                    Ok(body) => Answer::Download(body),
                    Err(refusal) => Answer::Refused(*refusal),
                };
                session.answer(exchange, answer, now).unwrap();
            }
            HostEvent::Status { exchange, .. } | HostEvent::SignOff { exchange } => {
                session.answer(exchange, Answer::Approved, now).unwrap();
            }
            HostEvent::Refused { reason, .. } => panic!("the host refused: {reason}"),
            _ => {}
        }
    }

    fn push(&mut self, session: &mut HostSession, profile: &Profile, now: Timestamp) {
        if !profile.pushes() || !session.can_push() {
            return;
        }
        if let Some((revision, values)) = self.parameters.take() {
            session.push_parameters(Push::parameters(Uuid::from_u128(77), revision, values), now).unwrap();
        }
        if let (Some(keys), Some(tmk)) = (self.later_keys.take(), &self.keys) {
            session.push_keys(&wrap_working_keys(tmk, &keys), &keys, now).unwrap();
        }
        if let Some(push) = self.pushes.pop_front() {
            session.push_parameters(push, now).unwrap();
        }
        if let Some(task) = self.tasks.front() {
            session.push_command(task.clone(), now).unwrap();
        }
    }
}

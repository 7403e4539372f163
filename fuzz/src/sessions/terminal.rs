//! What a terminal keeps through connections, told of every event, and what must always hold of it.

use std::sync::LazyLock;

use jiff::Timestamp;
use tms_crypto::verifier::Verifier;
use tms_proto::{
    Asked, Refusal, TerminalEvent,
    address::Addresses,
    alarm::{AlarmLog, MAX_WAITING_ALARMS},
    emv::{AidSet, Blacklist, CapkSet, Download, DownloadKind, DownloadRequest, Forms},
    file::BlockRequest,
    journal::{Admission, Journal},
    parameters::{Base, Held, Push, PushAnswer, RecordFile, Values},
    plan::{MAX_WAITING_RESULTS, PlanRunner, PlanSource, Situation},
    rotation::CredentialSlots,
    settlement::{MAX_DETAILS, Settle},
    task::{Command, Outcome, Task, TaskResult, check_clock},
    transfer::{State, Transfer, TransferSpec},
};

const TID: &str = "10000001";
const OLD: &[u8] = b"24681357";
const NEW: &[u8] = b"97531864";
/// Most entries of a journal.
const MAX_JOURNAL: usize = 64;
const WINDOW: usize = 8;

static VERIFIERS: LazyLock<[Verifier; 2]> =
    LazyLock::new(|| [OLD, NEW].map(|secret| Verifier::derive(secret, [7; 16], 1)));

/// The machines.
pub struct Machines {
    pub downloads: [Download; 4],
    pub held: [Held; 4],
    pub settle: Settle,
    pub alarms: AlarmLog,
    pub runner: PlanRunner,
    pub transfer: Transfer,
    journal: Journal,
    slots: CredentialSlots,
    addresses: Addresses,
    /// How often someone signed on.
    contacts: u64,
    plan_version: u64,
}

impl Default for Machines {
    fn default() -> Self {
        let mut slots = CredentialSlots::default();
        slots.install("99", 1, &VERIFIERS[0]);
        Self {
            downloads: [
                Download::capk(&CapkSet::default()),
                Download::aid(&AidSet::default()),
                Download::blacklist(&Blacklist::default()),
                Download::tms_parameters(None),
            ],
            held: RecordFile::ALL.map(|file| Held::new(file, 1, Values::new())),
            settle: Settle::new(1, 156),
            alarms: AlarmLog::default(),
            runner: PlanRunner::default(),
            transfer: transfer(),
            journal: Journal::default(),
            slots,
            addresses: Addresses::new(vec!["old:1".into()]).unwrap_or_else(|_| unreachable!("an address")),
            contacts: 0,
            plan_version: 0,
        }
    }
}

fn transfer() -> Transfer {
    let (file, sha256) = ("image".to_owned(), [0; 32]);
    Transfer::new(TransferSpec { file, size_bytes: 4000, sha256, block_bytes: 256, window: WINDOW }, 0, 1)
}

impl Machines {
    pub fn situation(&self) -> Situation {
        Situation {
            contact: (self.contacts > 0).then_some(self.contacts),
            settled_batch: self.settle.settled(),
            by_hand: None,
        }
    }

    pub fn standing(&self, file: RecordFile) -> Base {
        self.held_of(file).map_or(Base { revision: 0, hash: [0; 32] }, Held::standing)
    }

    fn held_of(&self, file: RecordFile) -> Option<&Held> {
        self.held.iter().find(|held| held.file() == file)
    }

    /// The next question of a download; one that is over begins again.
    pub fn question(&mut self, which: u8) -> Option<DownloadRequest> {
        let download = &mut self.downloads[usize::from(which % 4)];
        if download.is_finished() {
            *download = match download.kind() {
                DownloadKind::Capk => Download::capk(&CapkSet::default()),
                DownloadKind::Aid => Download::aid(&AidSet::default()),
                DownloadKind::Blacklist => Download::blacklist(&Blacklist::default()),
                DownloadKind::TmsParameters => Download::tms_parameters(None),
            };
        }
        download.next_request()
    }

    pub fn blocks(&mut self, now: Timestamp) -> Vec<BlockRequest> {
        if matches!(self.transfer.state(), State::Failed | State::Done | State::Cancelled) {
            self.transfer = transfer();
        }
        self.transfer.next_requests(now)
    }

    /// Takes an event.
    pub fn hear(&mut self, event: &TerminalEvent, forms: &Forms, now: Timestamp) {
        match event {
            TerminalEvent::SignedOn { batch, .. } => {
                self.contacts += 1;
                let dial = self.addresses.dial();
                let _ = self.addresses.signed_on(&dial);
                if let Some(batch) = batch {
                    let _ = self.settle.adopt(*batch);
                }
            }
            TerminalEvent::Task(Some(task)) | TerminalEvent::Command { task, .. } => self.told(task, now),
            TerminalEvent::ResultTaken { operation, step } => {
                self.journal.acknowledge(*operation, *step);
                self.runner.acknowledge(*operation, *step);
            }
            TerminalEvent::Download { request, body } => {
                for download in self.downloads.iter_mut().filter(|d| d.kind() == request.kind()) {
                    let _ = download.on_reply(request, body, forms);
                }
            }
            TerminalEvent::TotalsAnswered { batch, totals } => {
                let _ = self.settle.on_totals(*batch, totals);
            }
            TerminalEvent::BatchTaken { batch, message } => {
                let _ = self.settle.on_taken(*batch, message);
            }
            TerminalEvent::AlarmTaken { sequence } => self.alarms.taken(*sequence),
            TerminalEvent::Block(block) => {
                let _ = self.transfer.on_block(block.clone(), now);
                while self.transfer.take_ready().is_some() {}
                self.transfer.on_durable(self.transfer.delivered_bytes());
            }
            TerminalEvent::Uploaded { next, .. } | TerminalEvent::JournalUploaded { next, .. } => {
                assert!(*next <= u64::from(u32::MAX), "the host has more than there is");
            }
            TerminalEvent::Refused { request, refusal, .. } => self.refused(request, *refusal, now),
            TerminalEvent::Unanswered { request: Asked::Block(block), .. } => {
                let _ = self.transfer.on_missing(block.offset, now);
            }
            _ => {}
        }
        self.check();
    }

    fn refused(&mut self, asked: &Asked, refusal: Refusal, now: Timestamp) {
        match asked {
            Asked::Download(request) => {
                for download in self.downloads.iter_mut().filter(|d| d.kind() == request.kind()) {
                    let _ = download.on_refused(request, refusal);
                }
            }
            Asked::Block(block) => {
                let _ = self.transfer.on_refused(block.offset, refusal, now);
            }
            Asked::Batch { .. } => {
                let _ = self.settle.on_refused(refusal);
            }
            _ => {}
        }
    }

    /// What to answer to a push.
    pub fn take(&mut self, push: &Push, room_bytes: usize) -> Option<PushAnswer> {
        let held = self.held.iter_mut().find(|held| held.file() == push.file)?;
        let before = held.standing();
        let (answer, _) = held.take(push, room_bytes);
        assert!(held.standing().revision >= before.revision, "a revision went back");
        assert!(held.values().len() <= 1000, "{} records", held.values().len());
        Some(answer)
    }

    fn told(&mut self, task: &Task, now: Timestamp) {
        assert!(task.step != 0, "steps are numbered from 1");
        if self.journal.admit(task) != Admission::Execute {
            return;
        }
        let (operation, step) = (task.operation, task.step);
        let result = match &task.command {
            Command::InstallPlan(PlanSource::Inline(plan)) => {
                let offer = self.runner.offer((**plan).clone(), now, &self.situation());
                TaskResult::new(operation, step, offer.outcome())
            }
            Command::ChangeTmsAddress { addresses, attempts } => {
                let proposed = self.addresses.propose(operation, step, addresses, *attempts);
                let outcome = if proposed.is_ok() { Outcome::DONE } else { Outcome::INVALID };
                TaskResult::new(operation, step, outcome)
            }
            Command::SyncClock { time, force, .. } => {
                let outcome = check_clock(now, *time, *force).err().unwrap_or(Outcome::DONE);
                TaskResult::new(operation, step, outcome)
            }
            Command::CancelOperation { target } => {
                let _ = self.journal.cancel(*target);
                let _ = self.runner.cancel(*target);
                TaskResult::new(operation, step, Outcome::DONE)
            }
            command => {
                let unseal = |_: &[u8], _: &[u8]| Some(VERIFIERS[1].clone());
                self.slots.handle(operation, step, TID, command, unseal).result
            }
        };
        self.journal.finish(result);
    }

    /// Does what the plan says is due.
    pub fn act(&mut self, outcome: u8, now: Timestamp) {
        let situation = self.situation();
        if let Some(start) = self.runner.next(now, &situation) {
            if self.runner.begun(&start).is_ok() {
                let result = TaskResult::new(start.operation, start.step, Outcome(outcome));
                let _ = self.runner.finished(result, now);
            }
        }
        self.check();
    }

    fn check(&mut self) {
        assert!(self.settle.len() <= MAX_DETAILS);
        assert!(self.journal.unacknowledged().count() <= MAX_JOURNAL);
        assert!(self.runner.unreported().count() <= MAX_WAITING_RESULTS);
        assert!(self.transfer.buffered_bytes() <= WINDOW * 256);
        assert!(
            self.alarms.last() == 0 || self.alarms.next().is_none_or(|a| a.sequence <= self.alarms.last())
        );
        assert!(!self.addresses.current().is_empty(), "nowhere to call");
        let version = self.runner.status().map_or(0, |status| status.version);
        assert!(version >= self.plan_version, "an older plan is in force");
        self.plan_version = version;
    }

    /// What must hold when everything is over, and takes too long to look at each time.
    pub fn check_end(&mut self) {
        let opens = |secret: &[u8]| self.slots.try_secret("99", secret).is_some();
        assert!(opens(OLD) || opens(NEW), "nobody can open the terminal");
        let mut waiting = 0;
        while let Some(sequence) = self.alarms.next().map(|alarm| alarm.sequence) {
            self.alarms.taken(sequence);
            waiting += 1;
        }
        assert!(waiting <= MAX_WAITING_ALARMS);
    }
}

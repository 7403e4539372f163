//! The management agent on the terminal: what it says when, and what it does when told.
//!
//! No socket and no clock: frames and `now` go in, frames and an [`Exit`] come out. A [`Connection`]
//! lives as long as its line; everything that must survive is in the [`Machine`].

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use tms_proto::{
    ProtocolError, TerminalSession,
    address::Dial,
    emv::DownloadKind,
    parameters::{Held, RecordFile},
    task::TaskResult,
};

use crate::{
    failure::{Failure, FailureKind},
    machine::Machine,
    materials::Entropy,
    state::{StateError, TaskKey},
    status::Status,
};

mod alarms;
mod downloads;
mod events;
mod fetch;
mod install;
mod keys;
mod plan_file;
mod pump;
mod pushes;
mod refusals;
mod settling;
mod sign_on;
mod tasks;
mod upload;

#[cfg(test)]
mod tests;

use downloads::{Again, Downloading};
use fetch::{Fetch, Reads};
use keys::Renewal;
use settling::InVain;
use upload::Sending;

/// Most answers that wait to be sent and need not survive.
const MAX_NOTICES: usize = 64;
/// Wait before something that the host refused for now is tried again.
const RETRY_AFTER_MS: u64 = 1_000;

/// Why a connection ends. Give it to [`Device::ended`](crate::Device::ended).
#[derive(Debug)]
pub enum Exit {
    /// The terminal was told to stop and has signed off.
    Stopped,
    /// The terminal restarts.
    Reboot,
    /// The host is elsewhere from now on.
    Moved,
    /// The scenario cut the power: what was not saved is gone.
    PowerCut,
    /// The terminal cannot remember.
    Storage(StateError),
    /// The connection is of no more use.
    Lost(Failure),
}

impl From<StateError> for Exit {
    fn from(error: StateError) -> Self {
        Self::Storage(error)
    }
}

impl From<ProtocolError> for Exit {
    fn from(error: ProtocolError) -> Self {
        if matches!(error, ProtocolError::NoMacKey(_)) {
            return Self::Lost(Failure::new(
                FailureKind::NoMacKey,
                format!("the sign-on brought no MAC key: {error}"),
                "check that host and terminal have a master key for this terminal ([security] tmk)",
            ));
        }
        Self::Lost(Failure::new(
            FailureKind::Protocol,
            format!("the host cannot be understood: {error}"),
            "check that [host] profile and framing are those of the host's listener",
        ))
    }
}

/// What of the results is on its way.
#[derive(Debug, PartialEq, Eq)]
enum InFlight {
    /// Nothing to remember when it arrives.
    Notice(TaskResult),
    /// The journal forgets the result once the host has it.
    Result(TaskKey),
}

/// The terminal's end of one connection, from [`Device::connect`](crate::Device::connect). After every
/// call take frames with [`poll_transmit`](Self::poll_transmit) until there are none, then look at
/// [`exit_when_idle`](Self::exit_when_idle). An [`Exit`] ends it: [`close`](Self::close) it and tell
/// [`Device::ended`](crate::Device::ended).
#[derive(Debug)]
pub struct Connection {
    machine: Arc<Mutex<Machine>>,
    status: Arc<Status>,
    session: TerminalSession,
    signed_on: bool,
    stopping: bool,
    /// What it was connected to.
    dial: Dial,
    /// When it was last called.
    now: Timestamp,
    /// That could not be remembered.
    broken: Option<StateError>,
    /// The power went or the storage failed: nothing may be saved any more.
    dark: bool,
    report_due: Timestamp,
    parameters_due: Timestamp,
    /// Answers that need not survive: acceptance, proofs, and results that the host has already had.
    /// At most [`MAX_NOTICES`], one of a step.
    notices: VecDeque<TaskResult>,
    alarm_due: Timestamp,
    settle_due: Timestamp,
    settle_in_vain: InVain,
    in_flight: Option<InFlight>,
    spoiled: refusals::Spoiled,
    result_due: Timestamp,
    /// File blocks in flight.
    window: usize,
    entropy: Entropy,
    polling: bool,
    /// The host said that a task waits, and has not yet said that none does.
    announced: bool,
    poll_due: Timestamp,
    echo_due: Timestamp,
    trade_due: Timestamp,
    fetch: Option<Fetch>,
    reads: Reads,
    /// The host does not give what this needs, until it gives the task again.
    rests: Option<TaskKey>,
    sending: Option<Sending>,
    wanted_downloads: VecDeque<DownloadKind>,
    downloading: Option<Downloading>,
    download_again: BTreeMap<DownloadKind, Again>,
    renewal: Renewal,
    /// Pushed parameters, of which some messages may be missing yet.
    pushed: BTreeMap<RecordFile, Held>,
}

impl Connection {
    pub(crate) fn new(
        machine: Arc<Mutex<Machine>>,
        status: Arc<Status>,
        session: TerminalSession,
        dial: Result<Dial, StateError>,
        now: Timestamp,
    ) -> Self {
        let (dial, broken) = match dial {
            Ok(dial) => (dial, None),
            Err(error) => (Dial { address: String::new(), on_trial: false, ended: None }, Some(error)),
        };
        let (window, entropy) = {
            let machine = machine.lock().unwrap_or_else(PoisonError::into_inner);
            (machine.scenario.behaviour.window, machine.materials.entropy.clone())
        };
        Self {
            machine,
            status,
            session,
            signed_on: false,
            stopping: false,
            dial,
            now,
            broken,
            dark: false,
            report_due: Timestamp::MAX,
            parameters_due: Timestamp::MAX,
            notices: VecDeque::new(),
            alarm_due: now,
            settle_due: now,
            settle_in_vain: InVain::default(),
            in_flight: None,
            spoiled: refusals::Spoiled::default(),
            result_due: now,
            window,
            entropy,
            polling: false,
            announced: false,
            poll_due: Timestamp::MAX,
            echo_due: Timestamp::MAX,
            trade_due: Timestamp::MAX,
            fetch: None,
            reads: Reads::default(),
            rests: None,
            sending: None,
            wanted_downloads: VecDeque::new(),
            downloading: None,
            download_again: BTreeMap::new(),
            renewal: Renewal::default(),
            pushed: BTreeMap::new(),
        }
    }

    /// Takes one whole frame from the host.
    ///
    /// # Errors
    /// Why the connection must end.
    pub fn receive(&mut self, frame: &[u8], now: Timestamp) -> Result<(), Exit> {
        self.heed(now);
        let taken = self.session.receive(frame, now).map_err(Exit::from);
        let done = taken.and_then(|()| self.handle_events(false, now)).and_then(|()| self.pump(now));
        self.notice(done)
    }

    /// Time has passed, or the terminal was changed from outside.
    ///
    /// # Errors
    /// Why the connection must end.
    pub fn tick(&mut self, now: Timestamp) -> Result<(), Exit> {
        self.heed(now);
        self.session.handle_timeout(now);
        let done = self.handle_events(true, now).and_then(|()| self.pump(now));
        self.notice(done)
    }

    /// When [`tick`](Self::tick) is next due.
    #[must_use]
    pub fn next_due(&self) -> Timestamp {
        let now = self.now;
        let mut due = self.session.poll_timeout().unwrap_or(Timestamp::MAX);
        if self.signed_on && !self.stopping {
            due = due.min(self.echo_due).min(self.trade_due).min(self.report_due).min(self.parameters_due);
            if self.may_poll() {
                due = due.min(self.poll_due);
            }
            if self.in_flight.is_none()
                && (!self.notices.is_empty() || self.machine().state.next_result().is_some())
            {
                due = due.min(self.result_due);
            }
            if let Some(fetch) = &self.fetch {
                due = due.min(fetch.retry_due());
            }
            if let Some(sending) = &self.sending {
                due = due.min(sending.retry_due());
            }
            if let Some(downloading) = &self.downloading {
                due = due.min(downloading.next_due());
            }
            due = self.download_again.values().map(|again| again.due).fold(due, Timestamp::min);
            due = due.min(self.next_alarm_due()).min(self.next_settlement_due()).min(self.renewal.due);
            due = due.min(self.machine().plan_due(now));
        }
        due
    }

    /// The next frame for the host.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.session.poll_transmit()
    }

    /// The connection's framing.
    #[must_use]
    pub fn framing(&self) -> iso8583::framing::Framing {
        self.session.framing()
    }

    /// What to do once everything has been sent: restart, or come to the host elsewhere, when that was
    /// ordered and answered.
    #[must_use]
    pub fn exit_when_idle(&self) -> Option<Exit> {
        // What the host could not take just now holds nothing off.
        let answered = self.notices.is_empty() || self.now < self.result_due;
        if answered && self.in_flight.is_none() { self.departure() } else { None }
    }

    /// Why the terminal wants to leave, if it does.
    fn departure(&self) -> Option<Exit> {
        let machine = self.machine();
        if machine.restart_is_due() {
            Some(Exit::Reboot)
        } else {
            (machine.is_moving() && !self.dial.on_trial).then_some(Exit::Moved)
        }
    }

    /// Asks for the full report to be sent again.
    pub fn report_again(&mut self, now: Timestamp) {
        self.report_due = now;
    }

    /// The connection is gone: notes how far a transfer has come, and what the host has. After a power cut, or when the
    /// storage has failed, it notes nothing.
    ///
    /// # Errors
    /// When that cannot be kept.
    pub fn close(&mut self) -> Result<(), StateError> {
        self.status.offline();
        self.machine().contact = None;
        if self.dark {
            return Ok(());
        }
        self.note_progress()?;
        self.machine().save_rest()
    }

    /// Time goes on. When the clock was set back, what was to wait a while waits no longer for that.
    fn heed(&mut self, now: Timestamp) {
        let back = self.now.duration_since(now);
        self.now = now;
        if !back.is_positive() {
            return;
        }
        let dues = [
            &mut self.report_due,
            &mut self.parameters_due,
            &mut self.alarm_due,
            &mut self.settle_due,
            &mut self.result_due,
            &mut self.poll_due,
            &mut self.echo_due,
            &mut self.trade_due,
            &mut self.renewal.due,
        ];
        let others = [
            self.fetch.as_mut().map(|fetch| &mut fetch.due),
            self.sending.as_mut().map(|sending| &mut sending.due),
            self.downloading.as_mut().map(|downloading| &mut downloading.due),
            self.renewal.borne_until.as_mut(),
        ];
        let others = others.into_iter().flatten();
        let again = self.download_again.values_mut().map(|again| &mut again.due);
        for due in dues.into_iter().chain(others).chain(again).filter(|due| **due < Timestamp::MAX) {
            *due = due.saturating_sub(back).unwrap_or(now);
        }
    }

    /// Once nothing can be saved, nothing may be: what memory holds is ahead of the storage.
    fn notice(&mut self, done: Result<(), Exit>) -> Result<(), Exit> {
        self.dark |= matches!(done, Err(Exit::PowerCut | Exit::Storage(_)));
        done
    }

    fn after(&self, ms: u64, now: Timestamp) -> Timestamp {
        let length = SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX));
        now.saturating_add(length).unwrap_or(Timestamp::MAX)
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        // Every change of the machine is saved or undone as one; a panic elsewhere breaks nothing here.
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

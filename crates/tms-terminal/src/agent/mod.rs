//! The management agent on the terminal: what it says when, and what it does when told.
//!
//! No socket and no clock: frames and `now` go in, frames and an [`Exit`] come out. A [`Connection`]
//! lives as long as its line; everything that must survive is in the [`Machine`].

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use tms_proto::{
    Function, PendingWork, ProtocolError, Refusal, TerminalEvent, TerminalSession,
    task::{Outcome, TaskResult},
};

use crate::{
    failure::{Failure, FailureKind},
    machine::Machine,
    state::{StateError, TaskKey},
    status::Status,
};

mod fetch;
mod install;
mod refusals;
mod sign_on;
mod tasks;
mod upload;

#[cfg(test)]
mod tests;

use fetch::{Fetch, Reads};
use upload::Sending;

/// Wait before something that the host refused for now is tried again.
const RETRY_AFTER_MS: u64 = 1_000;

/// Why a connection ends. Give it to [`Device::ended`](crate::Device::ended).
#[derive(Debug)]
pub enum Exit {
    /// The terminal was told to stop and has signed off.
    Stopped,
    /// The terminal restarts.
    Reboot,
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
    Notice,
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
    reboot: bool,
    /// The power went or the storage failed: nothing may be saved any more.
    dark: bool,
    report_due: Timestamp,
    parameters_due: Timestamp,
    /// Answers that need not survive: acceptance, and results that the host has already had.
    notices: VecDeque<TaskResult>,
    in_flight: Option<InFlight>,
    result_due: Timestamp,
    /// File blocks in flight.
    window: usize,
    polling: bool,
    /// The host said that a task waits, and has not yet said that none does.
    announced: bool,
    poll_due: Timestamp,
    echo_due: Timestamp,
    trade_due: Timestamp,
    fetch: Option<Fetch>,
    reads: Reads,
    sending: Option<Sending>,
}

impl Connection {
    pub(crate) fn new(
        machine: Arc<Mutex<Machine>>,
        status: Arc<Status>,
        session: TerminalSession,
        now: Timestamp,
    ) -> Self {
        let window = machine.lock().unwrap_or_else(PoisonError::into_inner).scenario.behaviour.window;
        Self {
            machine,
            status,
            session,
            signed_on: false,
            stopping: false,
            reboot: false,
            dark: false,
            report_due: Timestamp::MAX,
            parameters_due: Timestamp::MAX,
            notices: VecDeque::new(),
            in_flight: None,
            result_due: now,
            window,
            polling: false,
            announced: false,
            poll_due: Timestamp::MAX,
            echo_due: Timestamp::MAX,
            trade_due: Timestamp::MAX,
            fetch: None,
            reads: Reads::default(),
            sending: None,
        }
    }

    /// Takes one whole frame from the host.
    ///
    /// # Errors
    /// Why the connection must end.
    pub fn receive(&mut self, frame: &[u8], now: Timestamp) -> Result<(), Exit> {
        let taken = self.session.receive(frame, now).map_err(Exit::from);
        let done = taken.and_then(|()| self.handle_events(false, now)).and_then(|()| self.pump(now));
        self.notice(done)
    }

    /// Time has passed, or the terminal was changed from outside.
    ///
    /// # Errors
    /// Why the connection must end.
    pub fn tick(&mut self, now: Timestamp) -> Result<(), Exit> {
        self.session.handle_timeout(now);
        let done = self.handle_events(true, now).and_then(|()| self.pump(now));
        self.notice(done)
    }

    /// When [`tick`](Self::tick) is next due.
    #[must_use]
    pub fn next_due(&self) -> Timestamp {
        let mut due = self.session.poll_timeout().unwrap_or(Timestamp::MAX);
        if self.signed_on && !self.stopping {
            due = due.min(self.echo_due).min(self.trade_due).min(self.report_due).min(self.parameters_due);
            if self.may_poll() {
                due = due.min(self.poll_due);
            }
            if self.in_flight.is_none()
                && (!self.notices.is_empty()
                    || self.machine().state.journal.unacknowledged().next().is_some())
            {
                due = due.min(self.result_due);
            }
            if let Some(fetch) = &self.fetch {
                due = due.min(fetch.retry_due());
            }
            if let Some(sending) = &self.sending {
                due = due.min(sending.retry_due());
            }
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

    /// What to do once everything has been sent: restart, when that was ordered and answered.
    #[must_use]
    pub fn exit_when_idle(&self) -> Option<Exit> {
        let answered = self.notices.is_empty() && self.in_flight.is_none();
        (self.reboot && answered).then_some(Exit::Reboot)
    }

    /// Asks for the full report to be sent again.
    pub fn report_again(&mut self, now: Timestamp) {
        self.report_due = now;
    }

    /// The connection is gone: notes how far a transfer has come. After a power cut, or when the
    /// storage has failed, it notes nothing.
    ///
    /// # Errors
    /// When that cannot be kept.
    pub fn close(&mut self) -> Result<(), StateError> {
        self.status.offline();
        if self.dark { Ok(()) } else { self.note_progress() }
    }

    /// Once nothing can be saved, nothing may be: what memory holds is ahead of the storage.
    fn notice(&mut self, done: Result<(), Exit>) -> Result<(), Exit> {
        self.dark |= matches!(done, Err(Exit::PowerCut | Exit::Storage(_)));
        done
    }

    fn handle_events(&mut self, late: bool, now: Timestamp) -> Result<(), Exit> {
        while let Some(event) = self.session.poll_event() {
            self.handle_event(event, late, now)?;
        }
        Ok(())
    }

    fn handle_event(&mut self, event: TerminalEvent, late: bool, now: Timestamp) -> Result<(), Exit> {
        match event {
            TerminalEvent::SignedOn { keys } => self.on_signed_on(keys.as_deref(), now),
            TerminalEvent::SignedOff => Err(Exit::Stopped),
            TerminalEvent::EchoAnswered | TerminalEvent::StatusTaken | TerminalEvent::ReportTaken => Ok(()),
            TerminalEvent::Parameters(values) => {
                if !values.is_empty() && self.machine().set_parameters(values, None, now)? {
                    self.status.parameters_applied();
                }
                // Also when nothing changed: the report is what tells the host that it agrees.
                self.report_due = now;
                Ok(())
            }
            TerminalEvent::ParameterPush { request, push } => {
                let taken = self.machine().set_parameters(push.values, Some(push.revision), now)?;
                if taken {
                    self.status.parameters_applied();
                    self.report_due = now;
                }
                let refusal = (!taken).then_some(Refusal::FormatError);
                Ok(self.session.answer(request, refusal, now)?)
            }
            TerminalEvent::Task(task) => {
                self.polling = false;
                self.announced &= task.is_some();
                self.poll_at_interval(now);
                task.map_or(Ok(()), |task| self.take_task(&task, false, now).map(drop))
            }
            TerminalEvent::Command { request, task } => {
                let refusal = if self.take_task(&task, true, now)? { None } else { Some(Refusal::Busy) };
                Ok(self.session.answer(request, refusal, now)?)
            }
            TerminalEvent::Block(block) => self.on_block(block, now),
            TerminalEvent::ResultTaken { .. } => self.on_result_taken(now),
            TerminalEvent::Uploaded { operation, next } => self.on_uploaded(operation, next, now),
            TerminalEvent::WorkPending(work) => self.on_work_pending(work, now),
            TerminalEvent::Refused { request, refusal, code } => {
                self.on_refused(&request, refusal, &code, now)
            }
            TerminalEvent::Unanswered { request, reason } => {
                self.on_unanswered(&request, &reason.to_string(), late, now)
            }
            TerminalEvent::MacUnchecked(function) => {
                let what = format!("{function}: its MAC was not checked, there is no key for it");
                self.machine().note(now, 'W', "comm", &what);
                Ok(())
            }
            TerminalEvent::Dropped(reason) => {
                self.machine().note(now, 'W', "comm", &format!("dropped: {reason}"));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn on_work_pending(&mut self, work: PendingWork, now: Timestamp) -> Result<(), Exit> {
        if !self.signed_on {
            return Ok(());
        }
        match work {
            // Where the host pushes parameters it announces them all the same.
            PendingWork::Parameters if !self.session.supports(Function::Parameters) => {}
            PendingWork::Parameters => self.parameters_due = now,
            PendingWork::Status => self.report_due = now,
            PendingWork::SignOn => self.sign_on(now)?,
            PendingWork::Task => {
                self.announced = true;
                self.poll_due = now;
            }
            _ => {}
        }
        Ok(())
    }

    fn on_result_taken(&mut self, now: Timestamp) -> Result<(), Exit> {
        if let Some(InFlight::Result(task)) = self.in_flight.take() {
            self.machine().acknowledge(task)?;
        }
        // The host may have the next step ready.
        self.poll_after(0, now);
        Ok(())
    }

    /// Sends whatever can be sent now.
    fn pump(&mut self, now: Timestamp) -> Result<(), Exit> {
        if !self.signed_on || self.stopping {
            return Ok(());
        }
        self.pump_results(now)?;
        if now >= self.parameters_due {
            self.parameters_due = Timestamp::MAX;
            self.session.request_parameters(now)?;
        }
        if now >= self.report_due {
            self.report_due = Timestamp::MAX;
            self.send_report(now)?;
        }
        self.pump_fetch(now)?;
        self.pump_upload(now)?;
        if self.may_poll() && now >= self.poll_due {
            self.polling = true;
            self.session.poll_task(now)?;
        }
        let (echo_ms, trade_ms) = {
            let behaviour = &self.machine().scenario.behaviour;
            (behaviour.heartbeat_interval_ms, behaviour.log_interval_ms)
        };
        if now >= self.echo_due {
            self.echo_due = self.after(echo_ms, now);
            self.session.echo(now)?;
        }
        if now >= self.trade_due {
            self.trade_due = self.after(trade_ms, now);
            self.machine().trade(now);
        }
        Ok(())
    }

    fn pump_results(&mut self, now: Timestamp) -> Result<(), Exit> {
        if self.in_flight.is_some() || now < self.result_due {
            return Ok(());
        }
        if let Some(notice) = self.notices.pop_front() {
            self.in_flight = Some(InFlight::Notice);
            return Ok(self.session.send_result(&notice, now)?);
        }
        let next = self.machine().state.journal.unacknowledged().next().cloned();
        if let Some(result) = next {
            self.in_flight =
                Some(InFlight::Result(TaskKey { operation: result.operation, step: result.step }));
            self.session.send_result(&result, now)?;
        }
        Ok(())
    }

    fn send_report(&mut self, now: Timestamp) -> Result<(), Exit> {
        let (report, values) = {
            let machine = self.machine();
            (machine.report(), machine.status_values())
        };
        if self.session.supports(Function::Report) {
            self.session.report(&report, now)?;
        }
        if self.session.supports(Function::Status)
            && let Err(error) = self.session.status(&values, now)
        {
            // A parameter that has no place in the fixed tags is no reason to stay silent about the rest.
            self.machine().note(now, 'W', "comm", &format!("status not sent: {error}"));
        }
        Ok(())
    }

    /// Whether asking for work makes sense: where the host pushes it only answers announcements.
    fn may_poll(&self) -> bool {
        let busy = self.polling || self.fetch.is_some() || self.sending.is_some() || self.reboot;
        !busy && self.session.supports(Function::TaskPoll)
    }

    fn poll_at_interval(&mut self, now: Timestamp) {
        let interval_ms = self.machine().scenario.behaviour.poll_interval_ms;
        self.poll_after(interval_ms, now);
    }

    /// Where the host pushes, the terminal asks only while work is announced.
    fn poll_after(&mut self, ms: u64, now: Timestamp) {
        let asks = self.announced || !self.session.profile().pushes();
        self.poll_due = if asks { self.after(ms, now) } else { Timestamp::MAX };
    }

    fn notify(&mut self, task: TaskKey, outcome: Outcome, reason: &str) {
        self.notices.push_back(TaskResult::new(task.operation, task.step, outcome).because(reason));
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

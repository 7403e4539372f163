//! What comes in: answers of the host, and what it asks.

use jiff::Timestamp;
use tms_proto::{Function, PendingWork, Refusal, TerminalEvent, emv::DownloadKind};

use super::{Connection, Exit, InFlight};
use crate::hardware::Effect;

impl Connection {
    pub(super) fn handle_events(&mut self, late: bool, now: Timestamp) -> Result<(), Exit> {
        while let Some(event) = self.session.poll_event() {
            self.handle_event(event, late, now)?;
        }
        Ok(())
    }

    fn handle_event(&mut self, event: TerminalEvent, late: bool, now: Timestamp) -> Result<(), Exit> {
        match event {
            TerminalEvent::SignedOn { opened, batch, .. } => self.on_signed_on(opened.as_ref(), batch, now),
            TerminalEvent::KeysReplaced { keys } => {
                let mut machine = self.machine();
                machine.note(now, 'I', "keys", &format!("working keys replaced, {keys:?}"));
                machine.happens(&Effect::Keys);
                drop(machine);
                self.keys_arrived(true, now);
                Ok(())
            }
            TerminalEvent::KeysRefused { function, error } => self.on_keys_refused(function, &error, now),
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
                let answer = self.take_push(&push, now)?;
                Ok(self.session.answer_push(request, &answer, now)?)
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
            TerminalEvent::Download { request, body } => self.on_download(&request, &body, now),
            TerminalEvent::ResultTaken { .. } => self.on_result_taken(now),
            TerminalEvent::Uploaded { operation, next } => self.on_uploaded(operation, next, now),
            TerminalEvent::TotalsAnswered { batch, totals } => self.on_totals(batch, &totals, now),
            TerminalEvent::BatchTaken { batch, message } => self.on_batch_taken(batch, &message, now),
            TerminalEvent::JournalUploaded { operation, next } => self.on_uploaded(operation, next, now),
            TerminalEvent::AlarmTaken { sequence } => {
                self.on_alarm_taken(sequence, now);
                Ok(())
            }
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
            other => {
                if let Some(kind) = DownloadKind::of(other) {
                    self.want_download(kind);
                }
            }
        }
        Ok(())
    }

    pub(super) fn on_result_taken(&mut self, now: Timestamp) -> Result<(), Exit> {
        self.spoiled.result = 0;
        if let Some(InFlight::Result(task)) = self.in_flight.take() {
            self.machine().acknowledge(task);
        }
        // The host may have the next step ready.
        self.poll_after(0, now);
        Ok(())
    }
}

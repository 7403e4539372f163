//! What goes out: whatever the terminal's memory says that the host should hear, and when.

use jiff::Timestamp;
use tms_proto::Function;

use super::{Connection, Exit, InFlight, fetch::Fetch};
use crate::state::TaskKey;

impl Connection {
    /// Sends whatever can be sent now.
    pub(super) fn pump(&mut self, now: Timestamp) -> Result<(), Exit> {
        if !self.signed_on || self.stopping {
            return Ok(());
        }
        self.pump_keys(now)?;
        if !self.signed_on {
            return Ok(());
        }
        self.machine().pump_plan(now)?;
        self.pump_results(now)?;
        self.pump_alarm(now)?;
        if now >= self.parameters_due {
            self.parameters_due = Timestamp::MAX;
            self.session.request_parameters(now)?;
        }
        let changed = std::mem::take(&mut self.machine().changed);
        if changed || now >= self.report_due {
            self.report_due = Timestamp::MAX;
            self.send_report(now)?;
        }
        self.follow(now)?;
        self.pump_fetch(now)?;
        self.pump_upload(now)?;
        self.pump_download(now)?;
        self.pump_settlement(now)?;
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
            self.machine().trade(now)?;
        }
        Ok(())
    }

    fn pump_results(&mut self, now: Timestamp) -> Result<(), Exit> {
        if self.in_flight.is_some() || now < self.result_due {
            return Ok(());
        }
        if let Some(notice) = self.notices.pop_front() {
            self.session.send_result(&notice, now)?;
            self.in_flight = Some(InFlight::Notice(notice));
            return Ok(());
        }
        let next = self.machine().state.next_result().cloned();
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
            (machine.report(now), machine.status_values())
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
    pub(super) fn may_poll(&self) -> bool {
        let busy = self.polling || self.fetch.is_some() || self.sending.is_some();
        !busy && self.session.supports(Function::TaskPoll) && !self.machine().restart_is_due()
    }

    /// Takes up what the terminal's memory says is to be fetched or sent, and lets go of what is not any
    /// more.
    fn follow(&mut self, now: Timestamp) -> Result<(), Exit> {
        let (plan, install, upload, restarts) = {
            let machine = self.machine();
            let state = &machine.state;
            (
                state.plan_file.as_ref().map(|file| file.task),
                state.install.as_ref().map(|install| install.task),
                state.upload.as_ref().map(|upload| upload.task),
                machine.restart_is_due(),
            )
        };
        let wanted = plan.or(install);
        if self.fetch.as_ref().is_some_and(|fetch| Some(fetch.task) != wanted) {
            self.note_progress()?;
            self.fetch = None;
            self.reads.replaced();
        }
        match wanted {
            Some(task) if self.fetch.is_none() && !restarts && self.rests != wanted => {
                self.reads.replaced();
                match plan {
                    Some(_) => self.fetch = Some(Fetch::plan(task, now)),
                    None => self.resume_install(now),
                }
            }
            _ => {}
        }
        self.sending.take_if(|sending| Some(sending.task) != upload);
        if self.sending.is_none() && upload.is_some() {
            self.resume_upload(now)?;
        }
        Ok(())
    }

    pub(super) fn poll_at_interval(&mut self, now: Timestamp) {
        let interval_ms = self.machine().scenario.behaviour.poll_interval_ms;
        self.poll_after(interval_ms, now);
    }

    /// Where the host pushes, the terminal asks only while work is announced.
    pub(super) fn poll_after(&mut self, ms: u64, now: Timestamp) {
        let asks = self.announced || !self.session.profile().pushes();
        self.poll_due = if asks { self.after(ms, now) } else { Timestamp::MAX };
    }
}

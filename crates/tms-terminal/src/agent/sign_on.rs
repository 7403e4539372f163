//! Beginning and ending a session.

use jiff::Timestamp;
use tms_crypto::keyblock::{KeyBlockError, WorkingKeys};
use tms_proto::{Function, Refusal};

use super::{Connection, Exit};
use crate::{
    failure::{Failure, FailureKind},
    hardware::Effect,
};

impl Connection {
    /// The first thing on a connection: signs on.
    ///
    /// # Errors
    /// Why the connection must end.
    pub fn start(&mut self, now: Timestamp) -> Result<(), Exit> {
        if let Some(error) = self.broken.take() {
            return self.notice(Err(Exit::Storage(error)));
        }
        self.sign_on(now)
    }

    pub(super) fn sign_on(&mut self, now: Timestamp) -> Result<(), Exit> {
        // Not signed on from the moment of asking (unionpay.md §4.1).
        self.signed_on = false;
        let (serial, code) = {
            let scenario = &self.machine().scenario;
            (scenario.identity.serial_block(), scenario.host.sign_on_code.clone())
        };
        let codes = self.session.profile().rule(Function::SignOn).map(|rule| rule.codes.as_slice());
        let place = code.and_then(|code| codes?.iter().position(|known| *known == code));
        Ok(self.session.sign_on_as(place.unwrap_or(0), &serial, now)?)
    }

    /// Signs off if there is a session to end; the connection ends with the host's answer.
    ///
    /// # Errors
    /// [`Exit::Stopped`] when there is nothing to sign off from.
    pub fn stop(&mut self, now: Timestamp) -> Result<(), Exit> {
        if !self.signed_on || !self.session.supports(Function::SignOff) {
            return Err(Exit::Stopped);
        }
        self.stopping = true;
        Ok(self.session.sign_off(now)?)
    }

    pub(super) fn on_signed_on(
        &mut self,
        keys: Option<&WorkingKeys>,
        batch: Option<u32>,
        now: Timestamp,
    ) -> Result<(), Exit> {
        if let Some(keys) = keys {
            let mut machine = self.machine();
            machine.note(now, 'I', "keys", &format!("working keys installed, {keys:?}"));
            machine.happens(&Effect::Keys);
        }
        self.signed_on = true;
        self.keys_arrived(keys.is_some(), now);
        self.status.online();
        let behaviour = self.machine().scenario.behaviour.clone();
        self.poll_after(0, now);
        self.echo_due = self.after(behaviour.heartbeat_interval_ms.max(10), now);
        self.trade_due = if behaviour.log_interval_ms == 0 {
            Timestamp::MAX
        } else {
            self.after(behaviour.log_interval_ms, now)
        };
        let mut machine = self.machine();
        machine.note(now, 'I', "comm", "signed on");
        machine.signed_on(&self.dial, batch, now)?;
        machine.settle_trial(now)?;
        machine.watch_durably(now)?;
        let unfinished: Vec<_> = machine.downloads.running.keys().copied().collect();
        drop(machine);
        for kind in unfinished {
            self.want_download(kind);
        }
        self.report_due = now;
        Ok(())
    }

    /// Working keys are taken all or none; without good ones there is no session (unionpay.md §4.1). Where
    /// there are some, they stay in force.
    pub(super) fn on_keys_refused(
        &mut self,
        function: Function,
        error: &KeyBlockError,
        now: Timestamp,
    ) -> Result<(), Exit> {
        self.machine().note(now, 'E', "keys", &format!("working keys refused: {error}"));
        if function != Function::SignOn {
            return Ok(());
        }
        Err(Exit::Lost(Failure::new(
            FailureKind::Refused,
            format!("the host's working keys cannot be used: {error}"),
            "load the terminal master key that the host has for this terminal into [security] tmk",
        )))
    }
}

/// A refused sign-on.
pub(super) fn refused(refusal: Refusal, code: &str) -> Failure {
    let kind = match refusal {
        Refusal::MacWrong => FailureKind::MacRefused,
        other if other.may_retry() => FailureKind::ConnectionLost,
        _ => FailureKind::Refused,
    };
    let next = match refusal {
        Refusal::InvalidTerminal => {
            "enrol this terminal at the host, and check that [identity] tid is the one its certificate was issued for"
        }
        Refusal::MacWrong => {
            "check that the MAC key, or the terminal master key, is the one that the host has"
        }
        Refusal::NotPermitted => "ask the estate's operator whether the terminal is locked",
        Refusal::FormatError | Refusal::NotSupported => {
            "check that [host] profile is the one of the host's listener"
        }
        _ => "",
    };
    Failure::new(kind, format!("the host refused the sign-on: {refusal} (code {code})"), next)
}

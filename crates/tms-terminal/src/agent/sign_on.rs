//! Beginning and ending a session.

use jiff::Timestamp;
use tms_crypto::keyblock::unwrap_working_keys;
use tms_proto::{Function, Refusal};

use super::{Connection, Exit};
use crate::failure::{Failure, FailureKind};

impl Connection {
    /// The first thing on a connection: signs on.
    ///
    /// # Errors
    /// Why the connection must end.
    pub fn start(&mut self, now: Timestamp) -> Result<(), Exit> {
        self.sign_on(now)
    }

    pub(super) fn sign_on(&mut self, now: Timestamp) -> Result<(), Exit> {
        // Not signed on from the moment of asking (unionpay.md §4.1).
        self.signed_on = false;
        let serial = self.machine().scenario.identity.serial_block();
        Ok(self.session.sign_on(&serial, now)?)
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

    pub(super) fn on_signed_on(&mut self, keys: Option<&[u8]>, now: Timestamp) -> Result<(), Exit> {
        self.take_keys(keys, now)?;
        self.signed_on = true;
        self.status.online();
        let behaviour = self.machine().scenario.behaviour.clone();
        self.poll_after(0, now);
        self.echo_due = self.after(behaviour.heartbeat_interval_ms.max(10), now);
        self.trade_due = if behaviour.log_interval_ms == 0 {
            Timestamp::MAX
        } else {
            self.after(behaviour.log_interval_ms, now)
        };
        self.machine().note(now, 'I', "comm", "signed on");
        if self.machine().settle_trial(now)? {
            self.reboot = true;
            return Ok(());
        }
        self.report_due = now;
        self.resume(now)
    }

    /// Takes up what an earlier connection left, unless it is already going on.
    pub(super) fn resume(&mut self, now: Timestamp) -> Result<(), Exit> {
        if self.fetch.is_none() {
            self.resume_install(now)?;
        }
        if self.sending.is_none() {
            self.resume_upload(now)?;
        }
        Ok(())
    }

    /// Working keys are taken all or none; without good ones there is no session (unionpay.md §4.1).
    fn take_keys(&mut self, block: Option<&[u8]>, now: Timestamp) -> Result<(), Exit> {
        let mut machine = self.machine();
        let (Some(block), Some(tmk)) = (block, machine.materials.tmk.clone()) else { return Ok(()) };
        match unwrap_working_keys(&tmk, block) {
            Ok(keys) => {
                machine.note(now, 'I', "keys", &format!("working keys installed, {keys:?}"));
                drop(machine);
                Ok(self.session.set_working_keys(&keys)?)
            }
            Err(error) => {
                machine.note(now, 'E', "keys", &format!("working keys refused: {error}"));
                Err(Exit::Lost(Failure::new(
                    FailureKind::Refused,
                    format!("the host's working keys cannot be used: {error}"),
                    "load the terminal master key that the host has for this terminal into [security] tmk",
                )))
            }
        }
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

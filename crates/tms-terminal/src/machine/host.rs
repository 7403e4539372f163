//! Where the host is, and how the connections to it went.

use jiff::Timestamp;
use tms_proto::{
    ProtocolError,
    address::{Addresses, Dial},
};

use super::Machine;
use crate::state::StateError;

impl Machine {
    /// Whether a new address of the host waits to be tried.
    pub(crate) fn is_moving(&self) -> bool {
        self.state.addresses.as_ref().is_some_and(|addresses| addresses.on_trial().is_some())
    }

    /// Where to connect to. An attempt at a new address is counted durably before it is made.
    pub(crate) fn dial(&mut self, now: Timestamp) -> Result<Dial, StateError> {
        self.state.comm_attempts = self.state.comm_attempts.saturating_add(1);
        let Some(addresses) = &mut self.state.addresses else {
            let address = self.scenario.host.address.clone();
            return Ok(Dial { address, on_trial: false, ended: None });
        };
        let mut dial = addresses.dial();
        let ended = dial.ended.take();
        if dial.on_trial || ended.is_some() {
            if let Some(result) = ended {
                self.state.finish(result, now);
            }
            self.save()?;
        }
        Ok(dial)
    }

    /// The host took the sign-on on a connection to `dial`, and may have given a number for the batch.
    pub(crate) fn signed_on(
        &mut self,
        dial: &Dial,
        batch: Option<u32>,
        now: Timestamp,
    ) -> Result<(), StateError> {
        self.state.sign_ons = self.state.sign_ons.saturating_add(1);
        self.contact = Some(self.state.sign_ons);
        let confirmed = self.state.addresses.as_mut().and_then(|addresses| addresses.signed_on(dial));
        // A plan counts contacts; nothing else needs the number to survive.
        let counts =
            self.state.plan.version().is_some() | batch.is_some_and(|number| self.state.trade.adopt(number));
        if let Some(result) = confirmed {
            self.finish(result, now)
        } else if counts {
            self.save()
        } else {
            Ok(())
        }
    }

    /// The addresses of the host in force.
    pub(crate) fn hosts(&self) -> &[String] {
        match &self.state.addresses {
            Some(addresses) => addresses.current(),
            None => std::slice::from_ref(&self.scenario.host.address),
        }
    }

    pub(super) fn known_hosts(&self) -> Result<Addresses, ProtocolError> {
        match &self.state.addresses {
            Some(addresses) => Ok(addresses.clone()),
            None => Addresses::new(vec![self.scenario.host.address.clone()]),
        }
    }
}

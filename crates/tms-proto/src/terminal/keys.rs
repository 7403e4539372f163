//! Working keys as the terminal takes them: all of a block or none.
//!
//! A terminal that took new keys goes on accepting MACs under the old one until the host uses the new:
//! the host may not know yet that they arrived.

use jiff::Timestamp;
use tms_crypto::keyblock::{KeyBlockError, Tmk, WorkingKeys, unwrap_working_keys};

use super::{Asked, HostRequest, KeyBlock, TerminalEvent, TerminalSession};
use crate::{
    error::ProtocolError,
    profile::{Function, Refusal},
};

/// What opens the key blocks of a terminal: the master key itself, or the device that holds it.
pub trait OpenKeys: Send + Sync {
    /// The keys of a block, every check value of which holds.
    ///
    /// # Errors
    /// As [`unwrap_working_keys`].
    fn open(&self, block: &[u8]) -> Result<WorkingKeys, KeyBlockError>;
}

impl OpenKeys for Tmk {
    fn open(&self, block: &[u8]) -> Result<WorkingKeys, KeyBlockError> {
        unwrap_working_keys(self, block)
    }
}

/// What became of a key block.
pub(super) enum Taken {
    /// The keys are in force.
    New(WorkingKeys),
    /// They were so already: the host repeats itself.
    Again(WorkingKeys),
    /// None of them is.
    Refused(KeyBlockError),
}

impl TerminalSession {
    /// Lets the session open key blocks by itself: those of sign-ons, and those that the host sends
    /// later, which it otherwise refuses.
    pub fn set_key_opener(&mut self, opener: Box<dyn OpenKeys>) {
        self.opener = Some(opener);
    }

    /// Asks for new working keys; they come as [`TerminalEvent::KeysReplaced`].
    ///
    /// # Errors
    /// As for every request.
    pub fn request_keys(&mut self, now: Timestamp) -> Result<(), ProtocolError> {
        self.ask(Function::KeyRequest, now)
    }

    /// Takes a step of the download of a master key: [`Function::TmkKey`], [`Function::TmkRequest`] with the
    /// data objects of `content`, [`Function::TmkActivate`]. The answer is [`TerminalEvent::MasterKey`].
    ///
    /// # Errors
    /// As for every request, and when `step` is none of the three.
    pub fn master_key(
        &mut self,
        step: Function,
        content: &[u8],
        now: Timestamp,
    ) -> Result<(), ProtocolError> {
        if !matches!(step, Function::TmkKey | Function::TmkRequest | Function::TmkActivate) {
            return Err(ProtocolError::NotInProfile(step));
        }
        let body = (!content.is_empty()).then_some(content);
        self.request(step, Asked::Function(step), body, &[], now)
    }

    /// Whether a key request may still mend it when the host finds the MAC of this function's request wrong. Until it
    /// has been answered the keys stay: a refusal has no MAC, so anybody could take them away.
    pub(super) fn can_ask_for_keys(&self, refused: Function) -> bool {
        refused != Function::KeyRequest && self.opener.is_some() && self.supports(Function::KeyRequest)
    }

    /// What a sign-on brought. Keys of an earlier one are over, whether or not there are new ones.
    pub(super) fn signed_on(
        &mut self,
        block: Option<KeyBlock>,
        batch: Option<u32>,
    ) -> Result<TerminalEvent, ProtocolError> {
        self.end_keys();
        let opened = match (&self.opener, &block) {
            (Some(opener), Some(block)) => match opener.open(block) {
                Ok(keys) => Some(keys),
                Err(error) => return Ok(TerminalEvent::KeysRefused { function: Function::SignOn, error }),
            },
            _ => None,
        };
        if let Some(keys) = &opened {
            self.gate.set_working_keys(keys)?;
            self.block.clone_from(&block);
        }
        if let Some(batch) = batch {
            self.identity.batch = batch;
        }
        self.signed_on = true;
        Ok(TerminalEvent::SignedOn { keys: block, opened, batch })
    }

    /// The sign-on's keys are over.
    pub(super) fn end_keys(&mut self) {
        self.signed_on = false;
        self.block = None;
        self.gate.forget_working_key();
    }

    /// The host answered [`Self::request_keys`].
    pub(super) fn keys_received(&mut self, block: &[u8]) -> Result<TerminalEvent, ProtocolError> {
        Ok(match self.take_keys(block)? {
            Taken::New(keys) | Taken::Again(keys) => TerminalEvent::KeysReplaced { keys },
            Taken::Refused(error) => TerminalEvent::KeysRefused { function: Function::KeyRequest, error },
        })
    }

    /// The host sends keys by itself.
    pub(super) fn keys_pushed(
        &mut self,
        request: HostRequest,
        block: &[u8],
        now: Timestamp,
    ) -> Result<(), ProtocolError> {
        if self.opener.is_none() {
            return self.answer(request, Some(Refusal::NotSupported), now);
        }
        let (refusal, event) = match self.take_keys(block)? {
            Taken::New(keys) => (None, Some(TerminalEvent::KeysReplaced { keys })),
            Taken::Again(_) => (None, None),
            Taken::Refused(error) => {
                let event = TerminalEvent::KeysRefused { function: Function::KeyExchange, error };
                (Some(Refusal::FormatError), Some(event))
            }
        };
        self.answer(request, refusal, now)?;
        if let Some(event) = event {
            self.events.push_back(event);
        }
        Ok(())
    }

    fn take_keys(&mut self, block: &[u8]) -> Result<Taken, ProtocolError> {
        let Some(opener) = &self.opener else {
            return Err(ProtocolError::body("key block", "there is no master key to open it with"));
        };
        let keys = match opener.open(block) {
            Ok(keys) => keys,
            Err(error) => return Ok(Taken::Refused(error)),
        };
        if self.block.as_ref().is_some_and(|known| **known == *block) {
            return Ok(Taken::Again(keys));
        }
        self.gate.replace(&keys)?;
        self.block = Some(KeyBlock(block.to_vec()));
        Ok(Taken::New(keys))
    }
}

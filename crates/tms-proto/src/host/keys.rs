//! New working keys for a terminal that is signed on.
//!
//! The host sends them by itself or because the terminal asks ([`Answer::Keys`](super::Answer::Keys)).
//! Until it knows that the terminal has them it goes on signing with the old MAC key and accepts both, and
//! it sends no others: whatever is lost, the two sides have one key in common.

use std::fmt;

use jiff::Timestamp;
use tms_crypto::keyblock::WorkingKeys;

use super::{HostEvent, HostSession, push::Sent, put_body};
use crate::{
    authentic::Admitted,
    error::ProtocolError,
    profile::{Function, Refusal},
};

/// Keys that were sent, and that the terminal has not said it has.
pub(super) struct Offer {
    /// Tells an answer to this offer from one to an earlier.
    number: u32,
    pub(super) block: Box<[u8]>,
    pub(super) keys: WorkingKeys,
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Offer({} bytes)", self.block.len())
    }
}

impl HostSession {
    /// Sends new working keys: `block` is `keys` as the terminal can open them.
    ///
    /// `false` when keys that were sent earlier are still open, which are sent again in their place.
    ///
    /// # Errors
    /// As for every push.
    pub fn push_keys(
        &mut self,
        block: &[u8],
        keys: &WorkingKeys,
        now: Timestamp,
    ) -> Result<bool, ProtocolError> {
        let is_new = self.offer.is_none();
        let offer = self.offered(block, keys);
        let pushed = self
            .push(
                (Function::KeyExchange, 0),
                Sent::Keys { offer: offer.number },
                |profile, builder| put_body(profile, builder, &offer.block),
                now,
            )
            .and_then(|()| self.gate.offer(&offer.keys));
        if pushed.is_ok() || !is_new {
            self.offer = Some(offer);
        }
        pushed.map(|()| is_new)
    }

    /// Whether keys were sent that the terminal has not said it has.
    #[must_use]
    pub fn has_open_keys(&self) -> bool {
        self.offer.is_some()
    }

    /// The key block of an answer, and its keys: an open offer before any other.
    pub(super) fn offered(&mut self, block: &[u8], keys: &WorkingKeys) -> Box<Offer> {
        if let Some(open) = self.offer.take() {
            return open;
        }
        self.offers = self.offers.wrapping_add(1);
        Box::new(Offer { number: self.offers, block: block.into(), keys: keys.clone() })
    }

    /// The terminal was sent keys because it asked. Where nothing will prove that it has them, it is
    /// believed to have them at once.
    pub(super) fn offer_sent(&mut self, offer: Box<Offer>) -> Result<(), ProtocolError> {
        self.gate.offer(&offer.keys)?;
        self.offer = Some(offer);
        if !self.gate.proves_keys() {
            self.keys_taken(false);
        }
        Ok(())
    }

    /// The terminal has the offered keys.
    fn keys_taken(&mut self, shown: bool) {
        self.gate.promote();
        if self.offer.take().is_some() {
            self.events.push_back(HostEvent::KeysTaken { shown });
        }
    }

    /// The terminal answered a push of keys.
    pub(super) fn keys_answered(
        &mut self,
        offer: u32,
        refusal: Option<Refusal>,
        admitted: &Admitted<'_, '_>,
    ) {
        // A late answer to an offer that was settled otherwise says nothing of the one after it.
        if self.offer.as_ref().is_none_or(|open| open.number != offer) {
            return;
        }
        let Some(refusal) = refusal else { return self.keys_taken(true) };
        // A refusal that nobody proved to have sent may be a lie: the terminal may have the keys.
        if admitted.is_authentic() || !self.gate.proves_keys() {
            self.gate.withdraw();
        }
        self.offer = None;
        self.events.push_back(HostEvent::KeysRefused { refusal });
    }

    /// A message may have shown that the terminal has the offered keys, although its answer was lost.
    pub(super) fn note_keys(&mut self) {
        if self.gate.was_promoted() {
            self.keys_taken(true);
        }
    }
}

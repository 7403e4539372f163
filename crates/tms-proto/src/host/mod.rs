//! The host's end of one connection.

mod answer;
mod event;
mod keys;
mod push;
mod pushing;
mod receive;
mod request;

use std::fmt;

use iso8583::{
    Builder, Mti,
    framing::{Framing, Header, Tpdu},
};
use tms_crypto::mac::MacKey;

use crate::{
    authentic::Gate,
    bounded::{Outbox, Queue},
    counts::Counts,
    error::ProtocolError,
    label::Name,
    profile::{Function, PendingWork, Profile, Refusal},
};

pub use event::{Answer, Exchange, HostEvent};

use keys::Offer;
use push::Outstanding;

/// Requests of the host that may wait for replies at once.
const MAX_OUTSTANDING: usize = 4;

/// The host's end of one connection. See the crate's front page for its use.
///
/// Requests come out of [`poll_event`](Self::poll_event) with an [`Exchange`], and are answered
/// with [`answer`](Self::answer); frames to send come out of
/// [`poll_transmit_into`](Self::poll_transmit_into). `Debug` prints no frames and no keys.
///
/// An idle session is small: memory that a large message took is given back when its reply is gone.
pub struct HostSession {
    profile: std::sync::Arc<Profile>,
    framing: Framing,
    gate: Gate,
    /// The TID of the terminal's certificate, when the transport proved one.
    expected_terminal: Option<String>,
    /// What every request is answered with, if none may be carried out.
    refuse_all: Option<Refusal>,
    peer: Option<Peer>,
    signed_on: bool,
    pending: Option<PendingWork>,
    stan: Option<u32>,
    useless_in_a_row: u32,
    counts: Counts,
    /// Sequence of the alarm that was approved last.
    last_alarm: Option<u64>,
    outstanding: Vec<Outstanding>,
    offer: Option<Box<Offer>>,
    /// Keys that were offered so far.
    offers: u32,
    outbox: Outbox,
    events: Queue<HostEvent>,
}

/// The terminal as the last request named it.
#[derive(Debug, Clone, Copy)]
struct Peer {
    terminal: Name,
    merchant: Name,
    /// TPDU and header for the host's own requests.
    tpdu: Option<Tpdu>,
    header: Option<Header>,
}

impl fmt::Debug for HostSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostSession")
            .field("peer", &self.peer)
            .field("signed_on", &self.signed_on)
            .field("outstanding", &self.outstanding)
            .field("frames_to_send", &self.outbox.len())
            .finish_non_exhaustive()
    }
}

impl HostSession {
    /// A session on a new connection. `expected_terminal` is the TID that the transport proved
    /// (the certificate's); a message that names another is refused.
    #[must_use]
    pub fn new(profile: std::sync::Arc<Profile>, expected_terminal: Option<String>) -> Self {
        let framing = profile.framing();
        Self {
            gate: Gate::new(std::sync::Arc::clone(&profile)),
            profile,
            framing,
            expected_terminal,
            refuse_all: None,
            peer: None,
            signed_on: false,
            pending: None,
            stan: None,
            useless_in_a_row: 0,
            counts: Counts::default(),
            last_alarm: None,
            outstanding: Vec::new(),
            offer: None,
            offers: 0,
            outbox: Outbox::default(),
            events: Queue::default(),
        }
    }

    /// The same session with a listener's own framing.
    #[must_use]
    pub fn with_framing(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }

    /// The same session for a peer that may do nothing: every request is refused, an echo too.
    #[must_use]
    pub fn refusing_all(mut self, refusal: Refusal) -> Self {
        self.refuse_all = Some(refusal);
        self
    }

    /// Takes the MAC key that this terminal was given beforehand, in a profile whose `[mac]` section
    /// has `key = "static"`. Keys of a sign-on come with [`Answer::Keys`] instead. [`Profile::static_mac_key`] makes it.
    ///
    /// # Errors
    /// When the profile takes no such key, or one for another algorithm.
    pub fn set_mac_key(&mut self, key: MacKey) -> Result<(), ProtocolError> {
        self.gate.set_static_key(key)
    }

    /// The framing in force.
    #[must_use]
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Whether a sign-on was approved on this connection.
    #[must_use]
    pub fn is_signed_on(&self) -> bool {
        self.signed_on
    }

    /// Whether the host may push on this connection now: the terminal signed on, not too much is
    /// unanswered, and there is a MAC key if commands or parameters must carry one.
    #[must_use]
    pub fn can_push(&self) -> bool {
        let can_send = |function| self.profile.rule(function).is_none() || self.gate.can_send(function);
        self.profile.pushes()
            && self.signed_on
            && self.outstanding.len() < MAX_OUTSTANDING
            && can_send(Function::Command)
            && can_send(Function::ParameterPush)
    }

    /// The profile.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Says what waits for the terminal; every reply announces it until it changes.
    pub fn set_pending(&mut self, work: Option<PendingWork>) {
        self.pending = work;
    }

    /// What this session has seen so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Appends the next frame to send to `out`; `false` when there is none.
    pub fn poll_transmit_into(&mut self, out: &mut Vec<u8>) -> bool {
        self.outbox.pop_into(out)
    }

    /// The next frame to send, in memory of its own.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        let mut frame = Vec::new();
        self.outbox.pop_into(&mut frame).then_some(frame)
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<HostEvent> {
        self.events.pop_front()
    }
}

fn put_body(profile: &Profile, builder: &mut Builder<'_>, body: &[u8]) -> Result<(), ProtocolError> {
    builder.set_bytes(profile.body_field(), body)?;
    Ok(())
}

fn reply_mti(mti: Mti) -> Result<Mti, ProtocolError> {
    mti.response().ok_or_else(|| ProtocolError::Unexpected(format!("{mti} has no reply")))
}

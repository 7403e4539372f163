//! One terminal's connection: what the estate answers, around [`HostSession`].
//!
//! [`Session`] knows no socket and no timer: it is given whole frames and told when time has passed,
//! and gives frames to send. Its only waits are calls to the store and for objects, so that with both
//! in memory every one of its futures is ready at once. [`serve`] is its driver on a TLS connection.
//!
//! Modules: [`driver`] is the loop around a socket, [`stream`] reads and writes, `work` is the
//! operation being carried out, `answers` turns requests into store calls and replies (`alarms`,
//! `downloads` and `settlement` those of their kind), `images` and `logs` serve and take files.

mod alarms;
mod answers;
mod downloads;
pub mod driver;
mod images;
mod logs;
pub(crate) mod settlement;
pub mod stream;
mod work;

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tms_core::{OperationId, OperationKind, Terminal, TerminalId};
use tms_crypto::mac::MacKey;
use tms_proto::{HostEvent, HostSession, Profile, ProtocolError, Refusal};
use tracing::{debug, info, warn};

use crate::{app::App, dispatch::Subscription, events::EventKind};

pub use driver::serve;
pub use images::Images;

/// How a listener talks.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Which message carries what.
    pub profile: Arc<Profile>,
    /// The framing, which may differ from the profile's own.
    pub framing: iso8583::framing::Framing,
    /// The MAC key that both sides were given, where the profile takes one.
    pub mac_key: Option<MacKey>,
}

/// Who the transport says the peer is.
#[derive(Debug, Clone)]
pub struct PeerIdentity {
    /// Common name of the client certificate: the TID.
    pub common_name: String,
    /// SHA-256 of the certificate, lower-case hex.
    pub sha256: String,
    /// For the log.
    pub address: std::net::SocketAddr,
    /// Number of the connection, which tells older from newer.
    pub connection: u64,
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Ended {
    /// The terminal closed the connection, or it broke.
    #[error("the terminal closed the connection")]
    Closed,
    /// Nothing was heard for the idle timeout.
    #[error("nothing was heard for {0:?}")]
    Idle(Duration),
    /// The server is stopping.
    #[error("the server is stopping")]
    Draining,
    /// The terminal has a newer connection.
    #[error("the terminal has connected anew")]
    Superseded,
    /// The peer cannot be talked to.
    #[error("{0}")]
    Protocol(#[from] ProtocolError),
    /// The stream cannot go on.
    #[error("{0}")]
    Stream(#[from] stream::StreamError),
    /// The session cannot begin.
    #[error("the store failed: {0}")]
    Store(tms_store::StoreError),
}

/// One connection of a terminal, without its socket. See the crate's front page for its use.
///
/// Whole frames go in by [`frame`](Self::frame); frames to send come out of
/// [`poll_transmit`](Self::poll_transmit) and are sent in order, after every call, one that failed
/// included. [`tick`](Self::tick) is due at [`next_due`](Self::next_due), and as soon as
/// [`roused`](Self::roused) is. After an error only [`close`](Self::close) remains. Dropping a session
/// without that is what a crash does: what it held is free when its leases end, or when the next
/// server on the store starts.
pub struct Session {
    app: Arc<App>,
    protocol: HostSession,
    /// The enrolled terminal of the peer's certificate; `None` if there is none.
    terminal: Option<TerminalId>,
    peer: PeerIdentity,
    /// Name under which this session leases operations.
    holder: String,
    subscription: Option<Subscription>,
    work: Option<work::Work>,
    /// Whether the store may still hold leases of work that was put down.
    leases_left: bool,
    upload: Option<logs::Upload>,
    sets: downloads::Sets,
    /// The operation that brought the plan in force, once it was looked up.
    plan: Option<Option<Box<OperationKind>>>,
    /// File that this session was last asked for, to tell a resumed transfer from a new one.
    reading: Option<String>,
    last_heard: Timestamp,
    /// When the store is asked for work again, whether or not a wake-up came.
    look_due: Timestamp,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("terminal", &self.terminal)
            .field("peer", &self.peer)
            .field("operation", &self.operation())
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Begins a session for a peer that the transport identified. One that is not enrolled for the
    /// endpoint's profile is answered too, with refusals.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn open(app: Arc<App>, endpoint: Endpoint, peer: PeerIdentity) -> Result<Self, Ended> {
        app.counters.sessions.increment();
        let mut session = Self::start(app, endpoint, peer).await.map_err(Ended::Store)?;
        // A terminal that asks may do so without signing on first: know what waits for it.
        match session.look_for_work().await {
            Ok(()) => Ok(session),
            Err(ended) => {
                session.end(&ended).await;
                Err(ended)
            }
        }
    }

    /// Takes one whole frame, with its length prefix.
    ///
    /// # Errors
    /// When the peer cannot be talked to any longer.
    pub async fn frame(&mut self, frame: &[u8]) -> Result<(), Ended> {
        self.app.counters.messages.increment();
        let now = self.app.now();
        self.last_heard = now;
        let announced = self.announced_keys();
        self.protocol.receive(frame, now)?;
        self.take_events().await?;
        self.keys_announced(announced).await;
        Ok(())
    }

    /// Does what is due by now: answers that did not come, work that waits, the end of an idle
    /// session. Calling it more often than due does no harm.
    ///
    /// # Errors
    /// When the session is over.
    pub async fn tick(&mut self) -> Result<(), Ended> {
        if let Some(subscription) = &self.subscription {
            if subscription.is_superseded() {
                return Err(Ended::Superseded);
            }
            if subscription.take_wake_up() {
                self.take_wake_up().await?;
            }
        }
        self.keep_time().await
    }

    /// When [`tick`](Self::tick) is due: now if the session was roused.
    #[must_use]
    pub fn next_due(&self) -> Timestamp {
        if self.subscription.as_ref().is_some_and(Subscription::is_roused) {
            return self.app.now();
        }
        let idle_s = i64::try_from(self.app.limits.idle_timeout_s).unwrap_or(i64::MAX);
        let idle_end = self.last_heard.saturating_add(SignedDuration::from_secs(idle_s));
        let work_due = match &self.work {
            Some(work) => work.deadline(),
            None => self.terminal.as_ref().map(|_| self.look_due),
        };
        [self.protocol.poll_timeout(), work_due]
            .into_iter()
            .flatten()
            .chain([idle_end.unwrap_or(Timestamp::MAX)])
            .min()
            .unwrap_or(Timestamp::MAX)
    }

    /// The next frame to send.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.protocol.poll_transmit()
    }

    /// Ends the session: what it held goes back to the queue.
    pub async fn close(mut self, why: Ended) {
        self.end(&why).await;
    }

    /// Waits until somebody has work for this terminal, or it has connected anew: [`tick`](Self::tick)
    /// is due then. Ready at once where that happened before.
    pub async fn roused(&self) {
        match &self.subscription {
            Some(subscription) => subscription.roused().await,
            None => std::future::pending().await,
        }
    }

    /// How frames are framed, for whoever splits the byte stream.
    #[must_use]
    pub fn framing(&self) -> iso8583::framing::Framing {
        self.protocol.framing()
    }

    /// The enrolled terminal at the other end; `None` if the peer is none.
    #[must_use]
    pub fn terminal(&self) -> Option<&TerminalId> {
        self.terminal.as_ref()
    }

    /// The operation in hand.
    #[must_use]
    pub fn operation(&self) -> Option<OperationId> {
        self.work.as_ref().map(|work| work.operation.id)
    }

    /// The name under which this session leases operations.
    #[must_use]
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// Whether the terminal signed on and did not sign off.
    #[must_use]
    pub fn is_signed_on(&self) -> bool {
        self.protocol.is_signed_on()
    }

    async fn start(app: Arc<App>, endpoint: Endpoint, peer: PeerIdentity) -> tms_store::Result<Self> {
        let enrolled = app.store.terminal_by_certificate(&peer.sha256).await?;
        let terminal = enrolled.filter(|t| t.profile.as_str() == endpoint.profile.name()).map(|t| t.id);
        if terminal.is_none() {
            app.counters.terminals_unknown.increment();
            warn!(
                common_name = peer.common_name, address = %peer.address, profile = endpoint.profile.name(),
                "certificate belongs to no terminal enrolled for this profile; its messages will be refused"
            );
        }
        let expected = terminal.as_ref().map(ToString::to_string);
        let mut protocol = HostSession::new(endpoint.profile, expected).with_framing(endpoint.framing);
        if let Some(Err(error)) = endpoint.mac_key.map(|key| protocol.set_mac_key(key)) {
            // The server checks this when it starts; without the key, what needs a MAC is refused.
            warn!(%error, "the listener's MAC key is not used");
        }
        if terminal.is_none() {
            protocol = protocol.refusing_all(Refusal::InvalidTerminal);
        }
        Ok(Self {
            protocol,
            holder: format!("session-{}", hex::encode(app.random.bytes::<8>())),
            subscription: terminal.as_ref().map(|id| app.wake.subscribe(id.clone(), peer.connection)),
            last_heard: app.now(),
            look_due: app.now(),
            terminal,
            peer,
            work: None,
            leases_left: false,
            upload: None,
            sets: downloads::Sets::default(),
            plan: None,
            reading: None,
            app,
        })
    }

    async fn keep_time(&mut self) -> Result<(), Ended> {
        let now = self.app.now();
        self.protocol.handle_timeout(now);
        self.take_events().await?;
        self.work_timeout(now).await?;
        let idle_s = self.app.limits.idle_timeout_s;
        if seconds_between(self.last_heard, now) >= idle_s {
            return Err(Ended::Idle(Duration::from_secs(idle_s)));
        }
        self.keep_lease().await;
        if self.work.is_none() && self.look_due <= now {
            self.look_for_work().await?;
        }
        Ok(())
    }

    async fn take_events(&mut self) -> Result<(), Ended> {
        while let Some(event) = self.protocol.poll_event() {
            self.take_event(event).await?;
        }
        Ok(())
    }

    /// Counts what the session refused by itself, which for a peer that is not enrolled is
    /// everything, and answers the rest.
    async fn take_event(&mut self, event: HostEvent) -> Result<(), Ended> {
        if let HostEvent::Refused { function, refusal, reason } = &event {
            self.app.counters.messages_refused.increment();
            if *refusal == Refusal::FormatError {
                self.app.counters.messages_malformed.increment();
            }
            warn!(terminal = self.name(), ?function, %refusal, %reason, "message refused");
            return Ok(());
        }
        match self.terminal.clone() {
            Some(terminal) => {
                self.app.contacts.note(&terminal, self.last_heard);
                self.answer_event(&terminal, event).await
            }
            None => Ok(()),
        }
    }

    fn refuse(&mut self, exchange: tms_proto::Exchange, refusal: Refusal) -> Result<(), Ended> {
        self.app.counters.messages_refused.increment();
        let now = self.app.now();
        Ok(self.protocol.answer(exchange, tms_proto::Answer::Refused(refusal), now)?)
    }

    /// The terminal as the store has it now.
    async fn stored_terminal(&self, id: &TerminalId) -> tms_store::Result<Option<Terminal>> {
        self.app.store.terminal(id).await
    }

    async fn end(&mut self, ended: &Ended) {
        match ended {
            Ended::Protocol(_) | Ended::Stream(_) => {
                self.app.counters.frames_broken.increment();
                if matches!(ended, Ended::Stream(stream::StreamError::TooLarge(_))) {
                    self.app.counters.frames_too_large.increment();
                }
                info!(terminal = self.name(), address = %self.peer.address, reason = %ended, "session broken off");
            }
            Ended::Closed | Ended::Idle(_) | Ended::Draining | Ended::Superseded | Ended::Store(_) => {
                debug!(terminal = self.name(), reason = %ended, "session ended");
            }
        }
        if let Err(error) = self.put_work_back().await {
            self.app.counters.store_errors.increment();
            warn!(terminal = self.name(), %error, "leases not given back yet");
            self.app.keeps_leases(self.holder.clone());
        }
        if self.protocol.is_signed_on() {
            self.tell(EventKind::SignedOff, serde_json::json!({"reason": ended.to_string()}));
        }
        if let Some(terminal) = &self.terminal {
            // What this session held is free now for the one after it, however this one ended.
            self.app.wake.terminal(terminal);
        }
    }

    /// Tells that something happened to this terminal.
    fn tell(&self, kind: EventKind, data: serde_json::Value) {
        self.app.events.publish(kind, self.terminal.as_ref(), self.app.now(), data);
    }

    fn name(&self) -> &str {
        self.terminal.as_ref().map_or(self.peer.common_name.as_str(), TerminalId::as_str)
    }
}

/// Whole seconds from `earlier` to `later`, 0 if the clock went back.
fn seconds_between(earlier: Timestamp, later: Timestamp) -> u64 {
    u64::try_from(later.duration_since(earlier).as_secs()).unwrap_or(0)
}

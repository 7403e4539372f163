//! One terminal's connection: a thin driver around [`HostSession`], and what the estate answers.
//!
//! Modules: [`stream`] reads and writes, `work` is the operation being carried out, `answers`
//! turns requests into store calls and replies, `images` and `logs` serve and take files.

mod answers;
mod images;
mod logs;
pub mod stream;
mod work;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tms_core::{Terminal, TerminalId};
use tms_crypto::mac::MacKey;
use tms_proto::{HostEvent, HostSession, Profile, ProtocolError, Refusal};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{app::App, dispatch::Subscription};

pub use images::Images;
use stream::{FrameReader, Incoming};

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
pub(crate) enum Ended {
    #[error("the terminal closed the connection")]
    Closed,
    #[error("nothing was heard for {0:?}")]
    Idle(Duration),
    #[error("the server is stopping")]
    Draining,
    #[error("the terminal has connected anew")]
    Superseded,
    #[error("{0}")]
    Protocol(#[from] ProtocolError),
    #[error("{0}")]
    Stream(#[from] stream::StreamError),
}

/// Serves one connection until it ends. Never fails: what goes wrong is counted and logged.
pub async fn serve(
    app: Arc<App>,
    endpoint: Endpoint,
    stream: TlsStream<TcpStream>,
    peer: PeerIdentity,
    drain: CancellationToken,
) {
    app.counters.sessions.increment();
    let mut session = match Session::start(app, endpoint, peer).await {
        Ok(session) => session,
        Err(error) => {
            warn!(%error, "session not started: the store failed");
            return;
        }
    };
    let ended = session.run(stream, drain).await;
    session.end(&ended).await;
}

/// The state of one connection.
pub(crate) struct Session {
    app: Arc<App>,
    protocol: HostSession,
    /// The enrolled terminal of the peer's certificate; `None` if there is none.
    terminal: Option<TerminalId>,
    peer: PeerIdentity,
    /// Name under which this session leases operations.
    holder: String,
    subscription: Option<Subscription>,
    work: Option<work::Work>,
    /// The operation that the terminal last stayed silent on, and how often.
    silences: Option<(tms_core::OperationId, u32)>,
    upload: Option<logs::Upload>,
    /// File that this session was last asked for, to tell a resumed transfer from a new one.
    reading: Option<String>,
    last_heard: Timestamp,
    /// When the store is asked for work again, whether or not a wake-up came.
    look_due: Timestamp,
}

impl Session {
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
            holder: holder_name(),
            subscription: terminal.as_ref().map(|id| app.wake.subscribe(id.clone(), peer.connection)),
            last_heard: app.now(),
            look_due: app.now(),
            terminal,
            peer,
            work: None,
            silences: None,
            upload: None,
            reading: None,
            app,
        })
    }

    async fn run(&mut self, stream: TlsStream<TcpStream>, drain: CancellationToken) -> Ended {
        let mut reader = FrameReader::new(stream, self.protocol.framing(), self.app.limits.frame_bytes);
        // A terminal that asks may do so without signing on first: know what waits for it.
        if let Err(ended) = self.look_for_work().await {
            return ended;
        }
        loop {
            match self.turn(&mut reader, &drain).await {
                Ok(()) => {}
                Err(ended) => {
                    // What is already answered still goes out.
                    let _ = self.flush(&mut reader).await;
                    reader.close().await;
                    return ended;
                }
            }
        }
    }

    /// Waits for one thing to happen and deals with it.
    async fn turn(&mut self, reader: &mut FrameReader, drain: &CancellationToken) -> Result<(), Ended> {
        let idle = Duration::from_secs(self.app.limits.idle_timeout_s);
        let wait = self.next_deadline(idle);
        tokio::select! {
            incoming = reader.next() => match incoming? {
                Incoming::Frames(frames) => {
                    self.last_heard = self.app.now();
                    for frame in frames {
                        self.take_frame(&frame).await?;
                    }
                }
                Incoming::Closed => return Err(Ended::Closed),
            },
            () = woken(self.subscription.as_ref()) => self.take_wake_up().await?,
            () = superseded(self.subscription.as_ref()) => return Err(Ended::Superseded),
            () = drain.cancelled() => return Err(Ended::Draining),
            () = tokio::time::sleep(wait) => {}
        }
        // Also after frames: a terminal that never pauses does not stop the clock.
        self.keep_time(idle).await?;
        self.flush(reader).await
    }

    /// Does what is due by now.
    async fn keep_time(&mut self, idle: Duration) -> Result<(), Ended> {
        let now = self.app.now();
        self.protocol.handle_timeout(now);
        self.take_events().await?;
        self.work_timeout(now).await?;
        if seconds_between(self.last_heard, now) >= idle.as_secs() {
            return Err(Ended::Idle(idle));
        }
        self.keep_lease().await;
        if self.work.is_none() && self.look_due <= now {
            self.look_for_work().await?;
        }
        Ok(())
    }

    async fn take_frame(&mut self, frame: &[u8]) -> Result<(), Ended> {
        self.app.counters.messages.increment();
        self.protocol.receive(frame, self.app.now())?;
        self.take_events().await
    }

    async fn take_events(&mut self) -> Result<(), Ended> {
        while let Some(event) = self.protocol.poll_event() {
            self.take_event(event).await?;
        }
        Ok(())
    }

    async fn flush(&mut self, reader: &mut FrameReader) -> Result<(), Ended> {
        let mut out = Vec::new();
        while let Some(frame) = self.protocol.poll_transmit() {
            out.extend_from_slice(&frame);
        }
        if !out.is_empty() {
            reader.write(&out).await?;
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

    fn next_deadline(&self, idle: Duration) -> Duration {
        let now = self.app.now();
        let idle_left = idle.saturating_sub(Duration::from_secs(seconds_between(self.last_heard, now)));
        let work_due = match &self.work {
            Some(work) => work.deadline(),
            None => self.terminal.as_ref().map(|_| self.look_due),
        };
        [self.protocol.poll_timeout(), work_due]
            .into_iter()
            .flatten()
            .map(|at| Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO))
            .chain([idle_left])
            .min()
            .unwrap_or(idle)
            // Never spin, whatever the clock does.
            .max(Duration::from_millis(10))
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
            Ended::Closed | Ended::Idle(_) | Ended::Draining | Ended::Superseded => {
                debug!(terminal = self.name(), reason = %ended, "session ended");
            }
        }
        if let Err(error) = self.put_work_back().await {
            self.app.counters.store_errors.increment();
            warn!(terminal = self.name(), %error, "leases not given back; they end by themselves");
        }
        if let Some(terminal) = &self.terminal {
            // What this session held is free now for the one after it, however this one ended.
            self.app.wake.terminal(terminal);
        }
    }

    fn name(&self) -> &str {
        self.terminal.as_ref().map_or(self.peer.common_name.as_str(), TerminalId::as_str)
    }
}

fn holder_name() -> String {
    let id: [u8; 8] = tms_crypto::random_bytes();
    format!("session-{}", hex::encode(id))
}

async fn woken(subscription: Option<&Subscription>) {
    match subscription {
        Some(subscription) => subscription.woken().await,
        None => std::future::pending().await,
    }
}

async fn superseded(subscription: Option<&Subscription>) {
    match subscription {
        Some(subscription) => subscription.superseded().await,
        None => std::future::pending().await,
    }
}

/// Whole seconds from `earlier` to `later`, 0 if the clock went back.
fn seconds_between(earlier: Timestamp, later: Timestamp) -> u64 {
    u64::try_from(later.duration_since(earlier).as_secs()).unwrap_or(0)
}

//! A terminal's end of a connection, byte by byte: says whatever a test wants, in mutual TLS.

use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc};

use iso8583::{
    Builder, Message, Mti,
    framing::{Frame, Framing, Header},
};
use jiff::Timestamp;
use rustls::{
    AlertDescription, ClientConfig, RootCertStore, SupportedProtocolVersion,
    client::Resumption,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tms_proto::{Identity, Profile, ProtocolError, TerminalEvent, TerminalSession};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{Certificate, Site, Speaks, soon};

/// Larger than any frame.
const MAX_FRAME_BYTES: usize = 64 * 1024;

/// A connection to a listener. Dropping it closes the socket without a word.
#[derive(Debug)]
pub struct Wire {
    stream: TlsStream<TcpStream>,
    profile: Arc<Profile>,
    identity: Identity,
    session: TerminalSession,
    buffer: Vec<u8>,
}

/// A reply of the host.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Its type, for example `0810`.
    pub mti: String,
    /// Its fields as text.
    pub fields: BTreeMap<u8, String>,
    /// Its header, where the framing has one.
    pub header: Option<Header>,
}

impl Reply {
    /// DE39.
    #[must_use]
    pub fn code(&self) -> &str {
        self.fields.get(&39).map_or("", String::as_str)
    }
}

impl Wire {
    /// Connects to a listener as a client that shows a certificate, or none. In TLS 1.3 a client may
    /// be connected before the host has looked at its certificate; see [`Wire::alert`].
    ///
    /// # Errors
    /// When the TCP connection or the handshake fails.
    pub async fn connect(
        site: &Site,
        address: SocketAddr,
        speaks: Speaks,
        tid: &str,
        certificate: Option<&Certificate>,
    ) -> io::Result<Self> {
        Self::over(TcpStream::connect(address).await?, site, speaks, tid, certificate).await
    }

    /// The same over a TCP connection that is there already.
    ///
    /// # Errors
    /// When the handshake fails.
    pub async fn over(
        tcp: TcpStream,
        site: &Site,
        speaks: Speaks,
        tid: &str,
        certificate: Option<&Certificate>,
    ) -> io::Result<Self> {
        Self::handshake(tcp, site, speaks, tid, certificate, rustls::DEFAULT_VERSIONS).await
    }

    /// The same as a client that knows TLS 1.2 only, as many terminals do.
    ///
    /// # Errors
    /// When the handshake fails; a bad certificate already fails there.
    pub async fn over_tls_1_2(
        tcp: TcpStream,
        site: &Site,
        speaks: Speaks,
        tid: &str,
        certificate: Option<&Certificate>,
    ) -> io::Result<Self> {
        Self::handshake(tcp, site, speaks, tid, certificate, &[&rustls::version::TLS12]).await
    }

    async fn handshake(
        tcp: TcpStream,
        site: &Site,
        speaks: Speaks,
        tid: &str,
        certificate: Option<&Certificate>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> io::Result<Self> {
        let connector = TlsConnector::from(client_config(site, certificate, versions));
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = soon("the TLS handshake", connector.connect(name, tcp)).await?;
        let (profile, identity) = (speaks.profile(), Identity::new(tid, "102310060510002"));
        let session = TerminalSession::new(Arc::clone(&profile), identity.clone());
        Ok(Self { stream, profile, identity, session, buffer: Vec::new() })
    }

    /// Speaks as another terminal from now on, with the certificate of the first.
    pub fn pretend_to_be(&mut self, tid: &str) {
        self.identity = Identity::new(tid, "102310060510002");
        self.session = TerminalSession::new(Arc::clone(&self.profile), self.identity.clone());
    }

    /// The framing of the profile.
    #[must_use]
    pub fn framing(&self) -> Framing {
        self.profile.framing()
    }

    /// The profile.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).await.unwrap();
    }

    /// Sends bytes as they are, if the host still listens.
    ///
    /// # Errors
    /// When it does not.
    pub async fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Ends the connection in the middle of whatever was sent: TCP closes, TLS says nothing.
    pub async fn hang_up(mut self) {
        let _ = self.stream.get_mut().0.shutdown().await;
    }

    /// A frame around a body that may be anything.
    #[must_use]
    pub fn framed(&self, body: &[u8]) -> Vec<u8> {
        let framing = self.framing();
        let tpdu = framing.has_tpdu().then_some(self.identity.tpdu);
        let header = framing.has_header().then_some(self.identity.header);
        let mut frame = Vec::new();
        framing.encode(&mut frame, &Frame { tpdu, header, vendor: &[], body }).unwrap();
        frame
    }

    /// A frame with a message of these fields.
    #[must_use]
    pub fn message(&self, mti: &str, fields: &[(u8, &str)]) -> Vec<u8> {
        let mut builder = Builder::new(self.profile.dialect(), mti.parse::<Mti>().unwrap());
        for (number, text) in fields {
            builder.set(*number, text).unwrap();
        }
        self.framed(&builder.build().unwrap())
    }

    /// The frame of a proper request, without sending it.
    pub fn request(
        &mut self,
        make: impl FnOnce(&mut TerminalSession, Timestamp) -> Result<(), ProtocolError>,
    ) -> Vec<u8> {
        // A session of its own: the one of the connection waits for no answer to this.
        let mut session = TerminalSession::new(Arc::clone(&self.profile), self.identity.clone());
        make(&mut session, Timestamp::now()).unwrap();
        session.poll_transmit().unwrap()
    }

    /// A frame's message without one of its fields.
    #[must_use]
    pub fn without(&self, frame: &[u8], field: u8) -> Vec<u8> {
        let (frame, _) = self.framing().split(frame, MAX_FRAME_BYTES).unwrap().unwrap();
        let message = Message::parse(self.profile.dialect(), frame.body).unwrap();
        assert!(message.has(field), "{} has no DE{field}", message.mti());
        let mut builder = Builder::new(self.profile.dialect(), message.mti());
        for kept in message.fields().filter(|kept| kept.number() != field) {
            builder.set(kept.number(), &kept.text()).unwrap();
        }
        self.framed(&builder.build().unwrap())
    }

    /// Sends a frame and gives the reply to it.
    pub async fn exchange(&mut self, frame: &[u8]) -> Reply {
        self.send(frame).await;
        self.reply().await
    }

    /// The next message of the host.
    pub async fn reply(&mut self) -> Reply {
        match self.hear().await {
            Ok(Some(frame)) => self.read(&frame),
            Ok(None) => panic!("the host closed the connection instead of answering"),
            Err(error) => panic!("the connection broke instead of an answer: {error}"),
        }
    }

    /// The next message of the host; `None` when it closes the connection.
    pub async fn next_reply(&mut self) -> Option<Reply> {
        let frame = self.hear().await.ok()??;
        Some(self.read(&frame))
    }

    /// The message type that answers the message of a frame.
    #[must_use]
    pub fn reply_type(&self, frame: &[u8]) -> String {
        let (frame, _) = self.framing().split(frame, MAX_FRAME_BYTES).unwrap().unwrap();
        let mti = Message::peek_mti(self.profile.dialect(), frame.body).unwrap();
        mti.response().unwrap().to_string()
    }

    /// Asks something and gives what comes of it. What the host announces or pushes meanwhile is
    /// passed over.
    pub async fn ask(
        &mut self,
        ask: impl FnOnce(&mut TerminalSession, Timestamp) -> Result<(), ProtocolError>,
    ) -> TerminalEvent {
        ask(&mut self.session, Timestamp::now()).unwrap();
        while let Some(frame) = self.session.poll_transmit() {
            self.send(&frame).await;
        }
        loop {
            while let Some(event) = self.session.poll_event() {
                match event {
                    TerminalEvent::WorkPending(_)
                    | TerminalEvent::Command { .. }
                    | TerminalEvent::ParameterPush { .. } => {}
                    event => return event,
                }
            }
            let frame = match self.hear().await {
                Ok(Some(frame)) => frame,
                Ok(None) => panic!("the host closed the connection instead of answering"),
                Err(error) => panic!("the connection broke instead of an answer: {error}"),
            };
            self.session.receive(&frame, Timestamp::now()).unwrap();
        }
    }

    /// The next thing that the host says by itself.
    pub async fn listen(&mut self) -> TerminalEvent {
        loop {
            if let Some(event) = self.session.poll_event() {
                return event;
            }
            let frame = self.hear().await.unwrap().expect("the host closed the connection");
            self.session.receive(&frame, Timestamp::now()).unwrap();
        }
    }

    /// Signs on; the host has to approve.
    pub async fn sign_on(&mut self) {
        let answer = self.ask(|session, now| session.sign_on(b"", now)).await;
        assert!(matches!(answer, TerminalEvent::SignedOn { .. }), "{answer:?}");
    }

    /// Asserts that the host closes the connection; gives what it said before.
    pub async fn is_closed_by_the_host(&mut self) -> Vec<Reply> {
        let mut before = Vec::new();
        while let Ok(Some(frame)) = self.hear().await {
            before.push(self.read(&frame));
        }
        before
    }

    /// The TLS alert with which the host refuses this client.
    pub async fn alert(&mut self) -> AlertDescription {
        let error = match self.hear().await {
            Err(error) => error,
            Ok(heard) => panic!("an alert was due, and the host said {heard:?}"),
        };
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(rustls::Error::AlertReceived(alert)) => *alert,
            _ => panic!("an alert was due, and the connection broke: {error}"),
        }
    }

    /// The next frame; `None` when the host closed the connection, in whatever way.
    async fn hear(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some((_, used)) = self.framing().split(&self.buffer, MAX_FRAME_BYTES).unwrap() {
                return Ok(Some(self.buffer.drain(..used).collect()));
            }
            let read = soon("the host to say something", self.stream.read_buf(&mut self.buffer)).await;
            match read {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::UnexpectedEof
                            | io::ErrorKind::ConnectionReset
                            | io::ErrorKind::BrokenPipe
                    ) =>
                {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn read(&self, frame: &[u8]) -> Reply {
        let (frame, _) = self.framing().split(frame, MAX_FRAME_BYTES).unwrap().unwrap();
        let message = Message::parse(self.profile.dialect(), frame.body).unwrap();
        Reply {
            mti: message.mti().to_string(),
            fields: message.fields().map(|field| (field.number(), field.text().into_owned())).collect(),
            header: frame.header,
        }
    }
}

fn client_config(
    site: &Site,
    certificate: Option<&Certificate>,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let authority = crate::site::read(&site.authority_file());
    roots.add(CertificateDer::from_pem_slice(&authority).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match certificate {
        Some(shown) => builder.with_client_auth_cert(shown.chain.clone(), shown.key.clone_key()).unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

//! One terminal's connection, with no more around it than the protocol asks for.

use std::{net::SocketAddr, path::Path, sync::Arc};

use anyhow::{Context, bail};
use bytes::BytesMut;
use iso8583::framing::Framing;
use jiff::Timestamp;
use rustls::{ClientConfig, RootCertStore, client::Resumption, crypto::CryptoProvider};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tms_proto::{Identity, Profile, TerminalEvent, TerminalSession};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::estate::Enrolled;

/// Largest frame that a host sends to these terminals.
const FRAME_BYTES: usize = 8192;

/// What all connections have in common.
pub(crate) struct Shared {
    provider: Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
    profile: Arc<Profile>,
    address: SocketAddr,
}

impl Shared {
    pub(crate) fn new(ca: &Path, address: SocketAddr) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(ca)? {
            roots.add(certificate?)?;
        }
        Ok(Self {
            provider: Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
            roots: Arc::new(roots),
            profile: Arc::new(Profile::builtin("iso87").context("the profile is built in")?),
            address,
        })
    }
}

/// A terminal that can connect again and again, each time with a full handshake.
pub(crate) struct Terminal {
    tls: TlsConnector,
    identity: Identity,
}

impl Terminal {
    pub(crate) fn new(shared: &Shared, enrolled: &Enrolled) -> anyhow::Result<Self> {
        let chain =
            CertificateDer::pem_file_iter(enrolled.folder.join("terminal.pem"))?.collect::<Result<_, _>>()?;
        let key = PrivateKeyDer::from_pem_file(enrolled.folder.join("terminal.key"))?;
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&shared.provider))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(Arc::clone(&shared.roots))
            .with_client_auth_cert(chain, key)?;
        config.resumption = Resumption::disabled();
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
            identity: Identity::new(&enrolled.tid, &enrolled.mid),
        })
    }

    /// Connects and signs on: from then on the host has checked the certificate and knows the terminal.
    pub(crate) async fn sign_on(&self, shared: &Shared) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(shared.address).await?;
        stream.set_nodelay(true)?;
        let stream = self.tls.connect(ServerName::try_from("localhost")?, stream).await?;
        let mut connection = Connection {
            stream,
            session: TerminalSession::new(Arc::clone(&shared.profile), self.identity.clone()),
            framing: shared.profile.framing(),
            received: BytesMut::with_capacity(512),
        };
        connection.session.sign_on(b"", Timestamp::now())?;
        connection.until(|event| matches!(event, TerminalEvent::SignedOn { .. })).await?;
        Ok(connection)
    }
}

/// A connection that is signed on.
pub(crate) struct Connection {
    stream: TlsStream<TcpStream>,
    session: TerminalSession,
    framing: Framing,
    received: BytesMut,
}

impl Connection {
    /// One echo and its answer.
    pub(crate) async fn heartbeat(&mut self) -> anyhow::Result<()> {
        self.session.echo(Timestamp::now())?;
        self.until(|event| matches!(event, TerminalEvent::EchoAnswered)).await
    }

    /// Sends what there is to send and reads until an event.
    async fn until(&mut self, wanted: impl Fn(&TerminalEvent) -> bool) -> anyhow::Result<()> {
        loop {
            while let Some(frame) = self.session.poll_transmit() {
                self.stream.write_all(&frame).await?;
            }
            self.stream.flush().await?;
            while let Some((_, used)) = self.framing.split(&self.received, FRAME_BYTES)? {
                let frame = self.received.split_to(used);
                self.session.receive(&frame, Timestamp::now())?;
            }
            while let Some(event) = self.session.poll_event() {
                if let TerminalEvent::Refused { refusal, .. } = &event {
                    bail!("the host refused: {refusal}");
                }
                if wanted(&event) {
                    return Ok(());
                }
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                bail!("the host closed the connection");
            }
        }
    }
}

//! The accept path: TCP, limits, TLS with a client certificate, then a session.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::{
    Error as TlsError, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, info, warn};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::{
    app::App,
    session::{self, Endpoint, PeerIdentity},
};

/// Pause after the system refused to accept (for example for want of file descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Paths of a listener's certificates, all PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The server's certificate, followed by its chain.
    pub certificate: std::path::PathBuf,
    /// Its private key.
    pub key: std::path::PathBuf,
    /// Authorities whose certificates terminals may show.
    pub client_ca: std::path::PathBuf,
}

/// Why a listener cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The address is taken or not this machine's.
    #[error("cannot listen on {address}: {reason}. {advice}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        reason: std::io::Error,
        /// What to do.
        advice: &'static str,
    },
    /// A TLS file is missing or is not what it should be.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The TLS files do not fit together.
    #[error("TLS: {0}")]
    Tls(String),
}

impl ListenError {
    pub(crate) fn bind(address: SocketAddr, reason: std::io::Error) -> Self {
        Self::Bind { address, advice: advice(&reason), reason }
    }
}

/// A bound listener that does not accept yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    endpoint: Endpoint,
    acceptor: Arc<ServerConfig>,
}

/// Reads the TLS files and makes the configuration that all listeners share: TLS 1.2 and 1.3,
/// client certificates required, sessions resumable.
///
/// # Errors
/// Names the file and what is wrong with it.
pub fn tls_config(files: &TlsFiles) -> Result<Arc<ServerConfig>, ListenError> {
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| file_error(&files.key, e.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&files.client_ca)? {
        roots.add(certificate).map_err(|e| file_error(&files.client_ca, e.to_string()))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = |e: &dyn std::fmt::Display| ListenError::Tls(e.to_string());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|e| tls(&e))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|e| tls(&e))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|e| tls(&format!("certificate and key: {e}")))?;
    config.session_storage = rustls::server::ServerSessionMemoryCache::new(4096);
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

impl Listener {
    /// Binds an address.
    ///
    /// # Errors
    /// When the address cannot be had, with what to do about it.
    pub async fn bind(
        address: SocketAddr,
        endpoint: Endpoint,
        tls: Arc<ServerConfig>,
    ) -> Result<Self, ListenError> {
        let socket = TcpListener::bind(address).await.map_err(|source| ListenError::bind(address, source))?;
        Ok(Self { socket, endpoint, acceptor: tls })
    }

    /// The address in force; with port 0 the system chose one.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts until `drain` is cancelled. Sessions run on `tasks` and see `drain` too.
    pub async fn run(self, app: Arc<App>, gate: Arc<Gate>, tasks: TaskTracker, drain: CancellationToken) {
        let acceptor = TlsAcceptor::from(self.acceptor);
        loop {
            let (stream, address) = tokio::select! {
                () = drain.cancelled() => return,
                accepted = self.socket.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        warn!(%error, "accept failed");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
            };
            let Some(pass) =
                Gate::enter(&gate, address.ip(), app.limits.connections, app.limits.connections_per_address)
            else {
                app.counters.connections_refused.increment();
                debug!(%address, "connection refused by a limit");
                continue;
            };
            app.counters.connections.increment();
            let number = app.wake.next_connection();
            let (app, endpoint, acceptor, drain) =
                (Arc::clone(&app), self.endpoint.clone(), acceptor.clone(), drain.clone());
            tasks.spawn(async move {
                let shaken = tokio::select! {
                    // Nobody waits for the answer of a handshake: the peer connects again later.
                    () = drain.cancelled() => None,
                    shaken = handshake(&app, &acceptor, stream, address, number) => shaken,
                };
                if let Some((stream, peer)) = shaken {
                    session::serve(app, endpoint, stream, peer, drain).await;
                }
                drop(pass);
            });
        }
    }
}

/// Counts connections in all and by address.
#[derive(Debug, Default)]
pub struct Gate {
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// A counted connection; it leaves when dropped.
#[derive(Debug)]
struct Pass {
    gate: Arc<Gate>,
    address: IpAddr,
}

impl Gate {
    fn enter(gate: &Arc<Self>, address: IpAddr, most: usize, most_per_address: usize) -> Option<Pass> {
        let mut open = gate.open.lock().unwrap_or_else(PoisonError::into_inner);
        let total: usize = open.values().sum();
        let own = open.get(&address).copied().unwrap_or(0);
        if total >= most || own >= most_per_address {
            return None;
        }
        open.insert(address, own.saturating_add(1));
        Some(Pass { gate: Arc::clone(gate), address })
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut open = self.gate.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

async fn handshake(
    app: &App,
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    address: SocketAddr,
    number: u64,
) -> Option<(TlsStream<TcpStream>, PeerIdentity)> {
    // Small messages, each waited for: Nagle's delay would be added to every one.
    let _ = stream.set_nodelay(true);
    let limit = Duration::from_secs(app.limits.handshake_timeout_s);
    let outcome = timeout(limit, acceptor.accept(stream)).await;
    let reason = match outcome {
        Ok(Ok(stream)) => match peer_identity(&stream, address, number) {
            Some(peer) => return Some((stream, peer)),
            None => {
                app.counters.handshakes_certificate.increment();
                "the client certificate has no common name".to_owned()
            }
        },
        Ok(Err(error)) => {
            count_handshake(app, &error);
            error.to_string()
        }
        Err(_) => {
            app.counters.handshakes_timed_out.increment();
            format!("not finished within {limit:?}")
        }
    };
    app.counters.handshakes_failed.increment();
    info!(%address, reason, "TLS handshake failed");
    None
}

fn count_handshake(app: &App, error: &std::io::Error) {
    match error.get_ref().and_then(|e| e.downcast_ref::<TlsError>()) {
        Some(TlsError::InvalidCertificate(_) | TlsError::NoCertificatesPresented) => {
            app.counters.handshakes_certificate.increment();
        }
        Some(TlsError::InvalidMessage(_)) => app.counters.handshakes_not_tls.increment(),
        _ => {}
    }
}

fn peer_identity(stream: &TlsStream<TcpStream>, address: SocketAddr, number: u64) -> Option<PeerIdentity> {
    let (_, connection) = stream.get_ref();
    let certificate = connection.peer_certificates()?.first()?;
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let common_name = parsed.subject().iter_common_name().next()?.as_str().ok()?.to_owned();
    let sha256 = hex::encode(tms_crypto::sha256(certificate));
    Some(PeerIdentity { common_name, sha256, address, connection: number })
}

fn certificates(path: &std::path::Path) -> Result<Vec<CertificateDer<'static>>, ListenError> {
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|e| file_error(path, e.to_string()))?.collect();
    match found {
        Ok(certificates) if certificates.is_empty() => {
            Err(file_error(path, "holds no certificate in PEM".into()))
        }
        Ok(certificates) => Ok(certificates),
        Err(e) => Err(file_error(path, e.to_string())),
    }
}

fn file_error(path: &std::path::Path, reason: String) -> ListenError {
    ListenError::File { path: path.display().to_string(), reason }
}

fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "Another program has this port: stop it, or choose another address in the configuration."
        }
        std::io::ErrorKind::AddrNotAvailable => {
            "This machine does not have this address: choose one of its own."
        }
        std::io::ErrorKind::PermissionDenied => "Ports under 1024 need privileges: choose a higher one.",
        _ => "Choose another address in the configuration.",
    }
}

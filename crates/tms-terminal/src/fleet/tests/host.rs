//! A host with one listener for each profile: it signs terminals on, gives tasks and counts.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use jiff::Timestamp;
use rustls::{RootCertStore, ServerConfig, crypto::aws_lc_rs, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use tms_proto::{
    Answer, HostEvent, HostSession, Profile, Refusal,
    report::Report,
    task::{Outcome, Task, TaskResult},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::estate::{Estate, ServerCertificate};

#[derive(Clone, Copy, Default)]
pub(super) struct Count {
    pub(super) connections: u32,
    pub(super) sign_ons: u32,
    pub(super) sign_offs: u32,
}

#[derive(Default)]
struct Seen {
    count: Count,
    task: Option<Task>,
    results: Vec<TaskResult>,
    reports: Vec<Report>,
    refusal: Option<Refusal>,
}

pub(super) struct Host {
    seen: Arc<Mutex<Seen>>,
    unionpay: SocketAddr,
    iso87: SocketAddr,
}

impl Host {
    pub(super) async fn start(certificate: ServerCertificate, terminals: &Estate) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(terminals.ca_pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(certificate.chain, certificate.key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let seen = Arc::new(Mutex::new(Seen::default()));
        let unionpay = listen("unionpay", acceptor.clone(), Arc::clone(&seen)).await;
        let iso87 = listen("iso87", acceptor, Arc::clone(&seen)).await;
        Self { seen, unionpay, iso87 }
    }

    pub(super) fn address(&self, profile: &str) -> String {
        if profile == "unionpay" { self.unionpay } else { self.iso87 }.to_string()
    }

    pub(super) fn give(&self, task: Task) {
        lock(&self.seen).task = Some(task);
    }

    pub(super) fn refuse_sign_on(&self, refusal: Refusal) {
        lock(&self.seen).refusal = Some(refusal);
    }

    pub(super) fn count(&self) -> Count {
        lock(&self.seen).count
    }

    pub(super) fn results(&self) -> Vec<TaskResult> {
        lock(&self.seen).results.clone()
    }

    pub(super) async fn until_results(&self, count: usize) {
        self.wait(|seen| seen.results.len() >= count).await;
    }

    pub(super) async fn until_report(&self, condition: impl Fn(&Report) -> bool) {
        self.wait(|seen| seen.reports.iter().any(&condition)).await;
    }

    async fn wait(&self, condition: impl Fn(&Seen) -> bool) {
        for _ in 0..500 {
            if condition(&lock(&self.seen)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the host waits in vain");
    }
}

/// A port that nobody listens on.
pub(super) async fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

/// A port that says `greeting` to whoever connects, and closes.
pub(super) async fn plain_port(greeting: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // Taking the hello first keeps the close from being a reset.
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(greeting).await;
            let _ = stream.shutdown().await;
        }
    });
    address
}

async fn listen(profile: &str, acceptor: TlsAcceptor, seen: Arc<Mutex<Seen>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let profile = Arc::new(Profile::builtin(profile).unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, profile, seen) = (acceptor.clone(), Arc::clone(&profile), Arc::clone(&seen));
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    lock(&seen).count.connections += 1;
                    serve(stream, profile, &seen).await;
                }
            });
        }
    });
    address
}

/// One connection, until anything at all goes wrong with it.
async fn serve(mut stream: TlsStream<TcpStream>, profile: Arc<Profile>, seen: &Mutex<Seen>) {
    let framing = profile.framing();
    let mut session = HostSession::new(profile, None);
    let mut buffer = Vec::new();
    while stream.read_buf(&mut buffer).await.is_ok_and(|length| length > 0) {
        loop {
            let length = match framing.split(&buffer, 60_000) {
                Ok(Some((_, length))) => length,
                Ok(None) => break,
                Err(_) => return,
            };
            let frame: Vec<u8> = buffer.drain(..length).collect();
            if session.receive(&frame, Timestamp::now()).is_err() {
                return;
            }
            while let Some(event) = session.poll_event() {
                answer(&mut session, event, &mut lock(seen));
            }
        }
        let mut out = Vec::new();
        while let Some(frame) = session.poll_transmit() {
            out.extend(frame);
        }
        if stream.write_all(&out).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

fn answer(session: &mut HostSession, event: HostEvent, seen: &mut Seen) {
    let now = Timestamp::now();
    match event {
        HostEvent::SignOn { exchange, .. } => {
            seen.count.sign_ons += 1;
            let answer = seen.refusal.map_or(Answer::Approved, Answer::Refused);
            session.answer(exchange, answer, now).unwrap();
            if let Some(task) = seen.task.clone().filter(|_| session.can_push()) {
                session.push_command(task, now).unwrap();
            }
        }
        HostEvent::SignOff { exchange } => {
            seen.count.sign_offs += 1;
            session.answer(exchange, Answer::Approved, now).unwrap();
        }
        HostEvent::Report { exchange, report } => {
            seen.reports.push(*report);
            session.answer(exchange, Answer::Approved, now).unwrap();
        }
        HostEvent::TaskPoll { exchange } => {
            session.answer(exchange, Answer::Task(seen.task.as_ref()), now).unwrap();
        }
        HostEvent::TaskResult { exchange, result } => {
            if result.outcome != Outcome::ACCEPTED {
                seen.task = None;
                seen.results.push(result);
            }
            session.answer(exchange, Answer::Approved, now).unwrap();
        }
        other => {
            if let Some(exchange) = other.into_exchange() {
                session.answer(exchange, Answer::Approved, now).unwrap();
            }
        }
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap()
}

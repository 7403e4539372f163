//! A server in a process of its own, with terminals enrolled at it.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};
use futures::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;
use tms_core::{MerchantId, Profile};
use tms_firmware::{SigningKey, TrustRoot};
use tms_server::{
    config::Config,
    enrol::{self, Host, Identity},
    init,
    pki::Authority,
    server,
};

/// Number of the first terminal.
const FIRST_TID: u32 = 10_000_001;
/// Terminals enrolled at the same time: enough to share the store's commits.
const CONCURRENT: usize = 32;
/// How long the server may take to start.
const START: Duration = Duration::from_secs(60);

/// A terminal as it was enrolled.
pub(crate) struct Enrolled {
    pub(crate) tid: String,
    pub(crate) mid: String,
    pub(crate) folder: PathBuf,
}

/// A running server.
pub(crate) struct Estate {
    server: Child,
    pub(crate) address: SocketAddr,
    pub(crate) terminals: Vec<Enrolled>,
    /// Certificate of the authority, PEM.
    pub(crate) ca: PathBuf,
}

impl Estate {
    /// Makes an estate in a folder and starts `program` for it.
    pub(crate) async fn start(
        folder: &Path,
        program: &Path,
        store: Option<&str>,
        terminals: u32,
        progress: &ProgressBar,
    ) -> anyhow::Result<Self> {
        let arguments = init::Arguments {
            dir: folder.join("server"),
            host: "localhost".to_owned(),
            name: "load".to_owned(),
        };
        let made = init::init(&arguments, jiff::Timestamp::now).await?;
        let root = TrustRoot::new(vec![SigningKey::generate()?.public()], 1)?;
        fs::write(&made.trust_root, root.to_json()?)?;
        let address = free_address()?;
        adapt(&made.config, address, store, terminals)?;
        let config = Config::load(&made.config)?;
        let terminals = enrol_all(&config, address, &folder.join("terminals"), terminals, progress).await?;
        let ca = config.tls.client_ca.clone();
        let server = Command::new(program)
            .args(["--log", "warn", "serve", "--config"])
            .arg(&made.config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| {
                format!("{} does not start; build it, or name it with --server", program.display())
            })?;
        let mut estate = Self { server, address, terminals, ca };
        estate.wait_until_it_listens().await?;
        Ok(estate)
    }

    async fn wait_until_it_listens(&mut self) -> anyhow::Result<()> {
        let until = tokio::time::Instant::now() + START;
        loop {
            if tokio::net::TcpStream::connect(self.address).await.is_ok() {
                return Ok(());
            }
            if let Some(status) = self.server.try_wait()? {
                bail!("the server ended: {status}");
            }
            if tokio::time::Instant::now() >= until {
                bail!("the server does not listen after {} s", START.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Memory of the server's process, in KiB.
    pub(crate) fn resident_kib(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.server.id()))
            .context("the server's memory can be read on Linux only")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }
}

impl Drop for Estate {
    fn drop(&mut self) {
        // Nothing of it is needed any more.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// An address that nobody uses now.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Rewrites what `init` made for this machine and this many terminals.
fn adapt(path: &Path, address: SocketAddr, store: Option<&str>, terminals: u32) -> anyhow::Result<()> {
    let connections = terminals.saturating_mul(2).max(10_000);
    let mut text = fs::read_to_string(path)?;
    let mut replace = |from: &str, to: String| {
        if !text.contains(from) {
            bail!("the configuration that `init` made has no {from:?}");
        }
        text = text.replace(from, &to);
        Ok(())
    };
    replace("\"0.0.0.0:9002\"", format!("\"{address}\""))?;
    replace("\"0.0.0.0:9001\"", format!("\"{}\"", free_address()?))?;
    replace("\"127.0.0.1:8583\"", format!("\"{}\"", free_address()?))?;
    replace("connections = 10000", format!("connections = {connections}"))?;
    replace("connections_per_address = 10000", format!("connections_per_address = {connections}"))?;
    if let Some(store) = store {
        replace("\"sqlite:data/estate.db\"", format!("\"{store}\""))?;
    }
    fs::write(path, text)?;
    Ok(())
}

async fn enrol_all(
    config: &Config,
    address: SocketAddr,
    out: &Path,
    terminals: u32,
    progress: &ProgressBar,
) -> anyhow::Result<Vec<Enrolled>> {
    fs::create_dir(out)?;
    let running = server::start(config).await?;
    let enrolment = config.enrolment.as_ref().context("the configuration has no [enrolment]")?;
    let authority = Authority::load(&config.tls.client_ca, &enrolment.ca_key)?;
    let host = Host {
        address: address.to_string(),
        server_name: enrolment.server_name.clone(),
        profile: Profile::iso87(),
        framing: None,
    };
    let (app, authority, host) = (&running.app, &authority, &host);
    let enrolled = stream::iter(0..terminals)
        .map(|n| async move {
            let identity = Identity {
                terminal: FIRST_TID.saturating_add(n).to_string().parse()?,
                merchant: format!("1023100605{:05}", n / 4).parse::<MerchantId>()?,
                model: "LOAD-1".to_owned(),
                hardware_revision: "A1".to_owned(),
                serial: format!("LOAD{n:08}"),
                network_licence: "3150".to_owned(),
                firmware_version: "1.0.0".to_owned(),
            };
            let made = enrol::enrol(app, authority, &identity, host, out).await?;
            progress.inc(1);
            anyhow::Ok(Enrolled {
                tid: identity.terminal.to_string(),
                mid: identity.merchant.to_string(),
                folder: made.folder,
            })
        })
        .buffer_unordered(CONCURRENT)
        .try_collect()
        .await?;
    running.drain(Duration::from_secs(5)).await;
    Ok(enrolled)
}

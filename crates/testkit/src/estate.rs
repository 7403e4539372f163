//! An estate whose server runs in this process, on a runtime of its own so that it can be killed.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tms_core::{FirmwareRecord, Operation, OperationId, Role, TerminalId};
use tms_server::{
    app::App,
    config::Config,
    counters::Counters,
    secret::CredentialSecret,
    server::{self, Running},
    service,
};
use tms_terminal::{Fleet, Handle, Scenario};
use tokio::runtime::{Builder, Runtime};

use crate::{Bystander, Certificate, Release, Rest, Site, Speaks, Terminal, Wire, until};

/// Sessions get this long to end.
const DRAIN: Duration = Duration::from_secs(10);

/// An estate with a server.
#[derive(Debug)]
pub struct Estate {
    site: Site,
    config: Config,
    server: Option<Server>,
    app: Arc<App>,
    fleet: Fleet,
}

#[derive(Debug)]
struct Server {
    running: Running,
    runtime: Runtime,
}

impl Estate {
    /// A new estate with the standard configuration, but that an operation is tried again after a second: nobody
    /// waits half a minute for a test.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A new estate whose configuration a test has changed.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let site = Site::new().await;
        let mut config = site.config();
        config.limits.operation_retry_s = 1;
        change(&mut config);
        let server = Server::start(&config).await;
        // From now on these are its ports, also after a restart.
        for (listener, address) in config.listeners.iter_mut().zip(&server.running.listeners) {
            listener.address = *address;
        }
        config.api_address = server.running.api;
        let app = Arc::clone(&server.running.app);
        Self { site, config, server: Some(server), app, fleet: Fleet::new() }
    }

    /// The estate's folder.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The server's shared parts.
    #[must_use]
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// What the server has counted since it was last started.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.app.counters
    }

    /// Where terminals of a protocol connect.
    #[must_use]
    pub fn address(&self, speaks: Speaks) -> SocketAddr {
        self.config.listeners[speaks.listener()].address
    }

    /// Stops the server as `SIGTERM` does; answers how many sessions had to be cut off.
    pub async fn drain(&mut self) -> usize {
        let Server { running, runtime } = self.server.take().expect("the server runs");
        let cut = runtime.spawn(running.drain(DRAIN)).await.unwrap();
        end(runtime).await;
        cut
    }

    /// Stops the server in the middle of whatever it does: nothing is written or said any more.
    pub async fn kill(&mut self) {
        let Server { runtime, .. } = self.server.take().expect("the server runs");
        end(runtime).await;
    }

    /// Starts it again on the same folder and the same ports. Its counters start at zero.
    pub async fn start_again(&mut self) {
        assert!(self.server.is_none(), "the server still runs");
        let server = Server::start(&self.config).await;
        self.app = Arc::clone(&server.running.app);
        self.server = Some(server);
    }

    /// Enrols a terminal.
    pub async fn enrol(&self, tid: &str, speaks: Speaks) -> Terminal {
        let address = self.address(speaks).to_string();
        self.site.enrol(&self.app, tid, speaks, &address).await
    }

    /// A connection that shows the terminal's own certificate.
    pub async fn wire(&self, terminal: &Terminal) -> Wire {
        self.wire_with(terminal, &terminal.certificate()).await
    }

    /// A connection to the terminal's listener that shows another certificate.
    pub async fn wire_with(&self, terminal: &Terminal, certificate: &Certificate) -> Wire {
        let (speaks, tid) = (terminal.speaks, terminal.id.as_str());
        Wire::connect(&self.site, self.address(speaks), speaks, tid, Some(certificate)).await.unwrap()
    }

    /// A healthy terminal with a session that nothing may disturb.
    pub async fn bystander(&self, speaks: Speaks) -> Bystander {
        let tid = format!("9999999{}", speaks.listener());
        Bystander::sign_on(self, &tid, speaks).await
    }

    /// Runs a simulated terminal.
    #[must_use]
    pub fn run(&self, scenario: Scenario) -> Handle {
        self.fleet.start(scenario).unwrap()
    }

    /// Runs a simulated terminal and waits until it has signed on and reported.
    pub async fn run_signed_on(&self, scenario: Scenario) -> Handle {
        let handle = self.run(scenario);
        until("a terminal to sign on", async || handle.snapshot().link.signed_on.then_some(())).await;
        let id: TerminalId = handle.tid().parse().unwrap();
        until("its first report", async || {
            let terminal = self.app.store.terminal(&id).await.unwrap().unwrap();
            terminal.reported.boot_count.filter(|count| *count == handle.snapshot().boot_count)
        })
        .await;
        handle
    }

    /// Publishes a new package of the estate's own authority.
    pub async fn publish(&self, release: &Release) -> FirmwareRecord {
        let package = self.site.package(release);
        let file = self.site.path(&format!("{}.tmsfw", release.version));
        std::fs::write(&file, package).unwrap();
        service::publish(&self.app, &file).await.unwrap()
    }

    /// Waits until an operation has ended, and gives it.
    pub async fn ended(&self, operation: OperationId) -> Operation {
        until(&format!("operation {operation} to end"), async || {
            let found = self.app.store.operation(operation).await.unwrap();
            found.filter(|operation| operation.state.is_final())
        })
        .await
    }

    /// The secret in force for a role, as the estate knows it, and its generation.
    pub async fn secret(&self, terminal: &TerminalId, role: &str) -> (String, u32) {
        let role: Role = role.parse().unwrap();
        let credential = self.app.store.credential(terminal, &role).await.unwrap().unwrap();
        let current = credential.current.unwrap();
        let secret = CredentialSecret::unseal(&self.app.vault, terminal, &role, &current.sealed).unwrap();
        (secret.secret.as_str().to_owned(), current.generation)
    }

    /// Somebody who is logged in to the REST interface.
    pub async fn rest(&self) -> Rest {
        let password =
            service::issue_one_time_password(&self.app, "tester", Some(tms_core::UserRole::Administrator))
                .await
                .unwrap();
        Rest::at(self.config.api_address).log_in("tester", &password).await
    }
}

impl Drop for Estate {
    fn drop(&mut self) {
        if let Some(Server { runtime, .. }) = self.server.take() {
            runtime.shutdown_background();
        }
    }
}

impl Server {
    async fn start(config: &Config) -> Self {
        let runtime =
            Builder::new_multi_thread().worker_threads(2).thread_name("server").enable_all().build().unwrap();
        let config = config.clone();
        let started = tokio::task::spawn_blocking(move || {
            let running = runtime.block_on(server::start(&config));
            (running, runtime)
        });
        match started.await.unwrap() {
            (Ok(running), runtime) => Self { running, runtime },
            (Err(error), runtime) => {
                runtime.shutdown_background();
                panic!("the server does not start: {error}");
            }
        }
    }
}

/// Ends a runtime and everything that runs on it; ports are free when this returns.
async fn end(runtime: Runtime) {
    tokio::task::spawn_blocking(move || runtime.shutdown_timeout(DRAIN)).await.unwrap();
}

//! The tour: each function on all terminals, one after the other. What counts is what the store
//! says afterwards, and for credentials what the terminals' keypads say.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

use anyhow::Context;
use futures::{StreamExt, TryStreamExt, stream};
use tms_core::{Operation, OperationId, OperationState, Role, Terminal, TerminalId};

use super::{
    estate::Estate,
    fleet::{Attempt, Fleet},
    memory,
    progress::{Progress, Step},
};
use crate::{app::App, secret::CredentialSecret, service};

/// Parameters that the tour changes.
const CHANGE: [(&str, &str); 3] =
    [("timeout_s", "45"), ("tip_allowed", "1"), ("merchant_name", "示范商户 Demo")];
/// A step may take this long, and longer with more terminals.
const STEP_LIMIT: Duration = Duration::from_secs(90);
const STEP_LIMIT_PER_TERMINAL: Duration = Duration::from_millis(500);

/// Operations asked for at the same time: enough to share the store's commits.
const CONCURRENT: usize = 64;

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) signed_on: u32,
    pub(super) status_reported: u32,
    pub(super) parameters_converged: u32,
    pub(super) firmware_installed: u32,
    pub(super) resets_completed: u32,
    pub(super) credentials_rotated: u32,
    pub(super) log_bundles: u32,
    pub(super) resumed_transfers: u64,
    pub(super) failures: Vec<(TerminalId, String)>,
    pub(super) rss_kib_per_session: Option<f64>,
}

pub(super) struct Tour<'a> {
    app: &'a App,
    estate: &'a Estate,
    progress: &'a Progress,
    idle_before_kib: Option<u64>,
    outcome: Outcome,
}

/// The operation that a step waits for, by terminal.
type Waiting = BTreeMap<TerminalId, OperationId>;

impl<'a> Tour<'a> {
    pub(super) fn new(
        app: &'a App,
        estate: &'a Estate,
        progress: &'a Progress,
        idle_before_kib: Option<u64>,
    ) -> Self {
        Self { app, estate, progress, idle_before_kib, outcome: Outcome::default() }
    }

    pub(super) async fn run(mut self, fleet: &mut Fleet) -> anyhow::Result<Outcome> {
        self.sign_on(fleet).await?;
        self.status().await?;
        self.measure_memory();
        self.parameters().await?;
        self.firmware().await?;
        self.reset().await?;
        self.credentials(fleet).await?;
        self.logs().await?;
        self.outcome.resumed_transfers = self.app.counters.transfers_resumed.get();
        Ok(self.outcome)
    }

    async fn sign_on(&mut self, fleet: &mut Fleet) -> anyhow::Result<()> {
        let app = self.app;
        let missing = self
            .until("sign-on", "signed on over mutual TLS", Some(fleet), async |left| {
                Ok(left.iter().filter(|id| app.wake.is_signed_on(id)).cloned().collect())
            })
            .await?;
        self.outcome.signed_on = self.rest(&missing);
        self.fail_all(missing, "did not sign on");
        Ok(())
    }

    async fn status(&mut self) -> anyhow::Result<()> {
        let app = self.app;
        let missing = self
            .until("status", "reported version, parts and parameters", None, async |left| {
                matching(app, left, |t| {
                    t.reported.firmware_version.is_some() && t.reported.boot_count.is_some()
                })
                .await
            })
            .await?;
        self.outcome.status_reported = self.rest(&missing);
        self.fail_all(missing, "did not report its status");
        Ok(())
    }

    fn measure_memory(&mut self) {
        let sessions = self.app.wake.connected();
        if let (Some(before), Some(now)) = (self.idle_before_kib, memory::resident_kib())
            && sessions > 0
        {
            self.outcome.rss_kib_per_session = Some(now.saturating_sub(before) as f64 / sessions as f64);
        }
    }

    async fn parameters(&mut self) -> anyhow::Result<()> {
        let change: BTreeMap<String, String> =
            CHANGE.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let app = self.app;
        let ask = async |id: TerminalId| anyhow::Ok(service::set_parameters(app, &id, &change, &[]).await?.1);
        self.carry_out("parameters", "changed 3 parameters", ask).await?;
        let agree =
            |t: &Terminal| t.desired.parameters.iter().all(|(n, v)| t.reported.parameters.get(n) == Some(v));
        let missing = self
            .until("converged", "report what is desired", None, async |left| matching(app, left, agree).await)
            .await?;
        self.outcome.parameters_converged = self.rest(&missing);
        self.fail_all(missing, "does not report the desired parameters");
        Ok(())
    }

    async fn firmware(&mut self) -> anyhow::Result<()> {
        let (app, firmware) = (self.app, &self.estate.firmware);
        let ask = async |id: TerminalId| anyhow::Ok(service::assign_firmware(app, &id, firmware).await?);
        let megabytes = self.estate.image_bytes as f64 / 1_000_000.0;
        let what =
            format!("installed {} ({megabytes:.1} MB) in blocks, verified, started", self.estate.version);
        self.carry_out("firmware", &what, ask).await?;
        let version = self.estate.version.as_str();
        let running = |t: &Terminal| t.reported.firmware_version.as_deref() == Some(version);
        let missing = self
            .until("running", "report the new version", None, async |left| matching(app, left, running).await)
            .await?;
        self.outcome.firmware_installed = self.rest(&missing);
        self.fail_all(missing, "does not run the new version");
        Ok(())
    }

    async fn reset(&mut self) -> anyhow::Result<()> {
        let mut boots: HashMap<TerminalId, u32> = HashMap::new();
        for id in &self.estate.terminals {
            let terminal = self.app.store.terminal(id).await?.context("terminal is gone")?;
            boots.insert(id.clone(), terminal.reported.boot_count.unwrap_or(0));
        }
        let app = self.app;
        let ask = async |id: TerminalId| anyhow::Ok(service::reset(app, &id).await?);
        self.carry_out("reset", "went away and came back", ask).await?;
        let booted =
            |t: &Terminal| t.reported.boot_count > boots.get(&t.id).copied() && app.wake.is_signed_on(&t.id);
        let missing = self
            .until("back", "signed on with a higher boot count", None, async |left| {
                matching(app, left, booted).await
            })
            .await?;
        self.outcome.resets_completed = self.rest(&missing);
        self.fail_all(missing, "did not come back after the reset");
        Ok(())
    }

    async fn credentials(&mut self, fleet: &mut Fleet) -> anyhow::Result<()> {
        let role = Role::administrator();
        let mut old = Vec::new();
        for id in &self.estate.terminals {
            old.push((id.clone(), self.secret(id, &role).await?));
        }
        let (app, rotated) = (self.app, &role);
        let ask = async |id: TerminalId| anyhow::Ok(service::rotate_credential(app, &id, rotated).await?);
        self.carry_out("credentials", "rotated role 99", ask).await?;

        let mut attempts = Vec::new();
        for (id, old_secret) in old {
            let new_secret = self.secret(&id, &role).await?;
            attempts.push(Attempt::new(&id, &role, &old_secret.secret));
            attempts.push(Attempt::new(&id, &role, &new_secret.secret));
        }
        let step = self.progress.step("keypads", "typing the old and the new secret");
        let opened = fleet.try_logins(attempts).await?;
        let mut right = 0u32;
        let mut failures = Vec::new();
        for (id, pair) in self.estate.terminals.iter().zip(opened.chunks(2)) {
            match pair {
                [false, true] => right = right.saturating_add(1),
                [true, _] => {
                    failures.push((id.clone(), "the old credential still opens the terminal".to_owned()))
                }
                _ => failures.push((id.clone(), "the new credential does not open the terminal".to_owned())),
            }
        }
        step.done(format!(
            "{right} of {}: old secret refused, new one accepted",
            self.estate.terminals.len()
        ));
        self.outcome.credentials_rotated = right;
        self.outcome.failures.extend(failures);
        Ok(())
    }

    async fn logs(&mut self) -> anyhow::Result<()> {
        let app = self.app;
        let ask = async |id: TerminalId| anyhow::Ok(service::collect_logs(app, &id).await?);
        let operations = self.carry_out("logs", "collected", ask).await?;
        let mut readable = 0u32;
        for (id, operation) in operations {
            match self.read_log(operation).await {
                Ok(lines) if lines > 0 => readable = readable.saturating_add(1),
                Ok(_) => self.outcome.failures.push((id, "its log is empty".to_owned())),
                Err(error) => self.outcome.failures.push((id, format!("its log cannot be read: {error}"))),
            }
        }
        self.outcome.log_bundles = readable;
        Ok(())
    }

    async fn read_log(&self, operation: OperationId) -> anyhow::Result<usize> {
        let bundle = self.app.store.log_bundle(operation).await?.context("no bundle was stored")?;
        let bytes = self.app.objects.read(&bundle.object).await?.context("the bundle is gone")?;
        Ok(std::str::from_utf8(&bytes)?.lines().count())
    }

    async fn secret(&self, id: &TerminalId, role: &Role) -> anyhow::Result<CredentialSecret> {
        let credential = self.app.store.credential(id, role).await?.context("no such credential")?;
        let (_, sealed) = credential.in_force().context("no generation is in force")?;
        Ok(CredentialSecret::unseal(&self.app.vault, id, role, sealed)?)
    }

    /// Asks for an operation on every terminal and waits until each has ended; those that did not
    /// end well are failures. Answers the operations.
    async fn carry_out(
        &mut self,
        name: &'static str,
        what: &str,
        ask: impl AsyncFn(TerminalId) -> anyhow::Result<Operation>,
    ) -> anyhow::Result<Waiting> {
        let step = self.step(name, what);
        let ask = &ask;
        let waiting: Waiting = stream::iter(self.estate.terminals.iter().cloned())
            .map(|id| async move { anyhow::Ok((id.clone(), ask(id).await?.id)) })
            .buffer_unordered(CONCURRENT)
            .try_collect()
            .await?;
        let app = self.app;
        let mut failed: BTreeMap<TerminalId, String> = BTreeMap::new();
        let missing = {
            let failed = &mut failed;
            let waiting = &waiting;
            self.wait(step, what, None, async move |left| {
                let mut ended = Vec::new();
                for id in left {
                    let Some(operation) = waiting.get(id) else { continue };
                    let Some(operation) = app.store.operation(*operation).await? else { continue };
                    if operation.state.is_final() {
                        ended.push(id.clone());
                        note_failure(failed, id, &operation);
                    }
                }
                Ok(ended)
            })
            .await?
        };
        self.outcome.failures.extend(failed);
        for id in missing {
            let state = match waiting.get(&id) {
                Some(operation) => app.store.operation(*operation).await?.map(|o| (o.state, o.detail)),
                None => None,
            };
            let why = match state {
                Some((state, detail)) => {
                    format!("{name}: still {} ({})", state.name(), detail.unwrap_or_default())
                }
                None => format!("{name}: the operation is gone"),
            };
            self.outcome.failures.push((id, why));
        }
        Ok(waiting)
    }

    /// Asks `ended` again and again which of the terminals that are left have got there, until all
    /// have or the time is over. Answers those that have not.
    async fn until(
        &self,
        name: &'static str,
        what: &str,
        fleet: Option<&mut Fleet>,
        ended: impl AsyncFnMut(&BTreeSet<TerminalId>) -> anyhow::Result<Vec<TerminalId>>,
    ) -> anyhow::Result<BTreeSet<TerminalId>> {
        self.wait(self.step(name, what), what, fleet, ended).await
    }

    fn step(&self, name: &'static str, what: &str) -> Step {
        let step = self.progress.step(name, what);
        step.length(self.estate.terminals.len() as u64);
        step
    }

    async fn wait(
        &self,
        step: Step,
        what: &str,
        mut fleet: Option<&mut Fleet>,
        mut ended: impl AsyncFnMut(&BTreeSet<TerminalId>) -> anyhow::Result<Vec<TerminalId>>,
    ) -> anyhow::Result<BTreeSet<TerminalId>> {
        let mut left: BTreeSet<TerminalId> = self.estate.terminals.iter().cloned().collect();
        let all = left.len();
        let sent_before = self.app.counters.block_bytes.get();
        let count = u32::try_from(all).unwrap_or(u32::MAX);
        let limit = STEP_LIMIT.saturating_add(STEP_LIMIT_PER_TERMINAL.saturating_mul(count));
        let deadline = Instant::now().checked_add(limit);
        while !left.is_empty() && deadline.is_none_or(|at| Instant::now() < at) {
            if let Some(fleet) = fleet.as_deref_mut() {
                fleet.check_alive()?;
            }
            for id in ended(&left).await? {
                left.remove(&id);
            }
            step.position(all.saturating_sub(left.len()) as u64);
            let sent = self.app.counters.block_bytes.get().saturating_sub(sent_before);
            if sent > 0 {
                step.note(format!("{} MB sent", sent / 1_000_000));
            }
            if !left.is_empty() {
                tokio::time::sleep(pause(all)).await;
            }
        }
        step.done(format!("{} of {all}: {what}", all.saturating_sub(left.len())));
        Ok(left)
    }

    fn rest(&self, missing: &BTreeSet<TerminalId>) -> u32 {
        u32::try_from(self.estate.terminals.len().saturating_sub(missing.len())).unwrap_or(u32::MAX)
    }

    fn fail_all(&mut self, missing: BTreeSet<TerminalId>, why: &str) {
        self.outcome.failures.extend(missing.into_iter().map(|id| (id, why.to_owned())));
    }
}

/// The terminals among `left` that the store describes as wanted.
async fn matching(
    app: &App,
    left: &BTreeSet<TerminalId>,
    wanted: impl Fn(&Terminal) -> bool,
) -> anyhow::Result<Vec<TerminalId>> {
    let mut found = Vec::new();
    for id in left {
        if app.store.terminal(id).await?.is_some_and(|t| wanted(&t)) {
            found.push(id.clone());
        }
    }
    Ok(found)
}

fn note_failure(failed: &mut BTreeMap<TerminalId, String>, id: &TerminalId, operation: &Operation) {
    if operation.state != OperationState::Done {
        let why = operation.detail.clone().unwrap_or_default();
        failed.insert(id.clone(), format!("{} {}: {why}", operation.kind.name(), operation.state.name()));
    }
}

/// Between two looks: short for a few terminals, longer where looking itself is work.
fn pause(terminals: usize) -> Duration {
    Duration::from_millis(if terminals > 200 { 500 } else { 100 })
}

//! The simulated terminals, in a process of their own so that the server's memory is the server's.
//! The two processes share nothing but sockets, the terminals' folders, and a pipe on which the
//! tour types at keypads.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use tms_core::{Role, TerminalId};
use tms_terminal::{Handle, Login, Scenario, scenario};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Name of the hidden subcommand that runs the terminals.
pub(super) const SUBCOMMAND: &str = "demo-fleet";
/// The first terminal loses its connection after so many bytes: in the middle of the image.
const DROP_AFTER_BYTES: u64 = 1_500_000;

/// Somebody types a secret at a terminal's keypad.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct Attempt {
    terminal: String,
    role: String,
    secret: String,
}

impl Attempt {
    pub(super) fn new(terminal: &TerminalId, role: &Role, secret: &str) -> Self {
        Self { terminal: terminal.to_string(), role: role.to_string(), secret: secret.to_owned() }
    }
}

/// The other process.
#[derive(Debug)]
pub(super) struct Fleet {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Fleet {
    /// Starts `count` terminals of a folder. They run when this returns.
    pub(super) async fn start(folder: &Path, count: u32) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program cannot find itself")?;
        let mut child = Command::new(program)
            .arg(SUBCOMMAND)
            .arg(folder)
            .arg(count.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("the process of simulated terminals did not start")?;
        let input = child.stdin.take().context("no pipe to the terminals")?;
        let output = BufReader::new(child.stdout.take().context("no pipe from the terminals")?).lines();
        let mut fleet = Self { child, input, output };
        let ready = fleet.output.next_line().await?;
        if ready.as_deref() != Some("ready") {
            bail!("the simulated terminals did not start; their message stands above");
        }
        Ok(fleet)
    }

    /// Types each secret; answers which opened its terminal.
    pub(super) async fn try_logins(&mut self, attempts: Vec<Attempt>) -> anyhow::Result<Vec<bool>> {
        let mut line = Zeroizing::new(serde_json::to_vec(&attempts)?);
        line.push(b'\n');
        self.input.write_all(&line).await?;
        self.input.flush().await?;
        let answer = self.output.next_line().await?.context("the simulated terminals are gone")?;
        Ok(serde_json::from_str(&answer)?)
    }

    /// Fails when the process has ended.
    pub(super) fn check_alive(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the process of simulated terminals ended: {status}"),
        }
    }

    /// Ends the process; its terminals sign off first.
    pub(super) async fn stop(self) {
        let Self { mut child, input, .. } = self;
        // The end of its input is the sign to stop.
        drop(input);
        let _ = tokio::time::timeout(super::DRAIN, child.wait()).await;
    }
}

/// The other process's main: runs the terminals until its standard input ends.
///
/// # Errors
/// When a terminal cannot be started.
pub async fn run_child(folder: PathBuf, count: usize) -> anyhow::Result<()> {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    // Ctrl-C reaches both processes; this one ends when the demo closes its input.
    tokio::spawn(async { while tokio::signal::ctrl_c().await.is_ok() {} });
    let fleet = tms_terminal::Fleet::new();
    let mut terminals = HashMap::with_capacity(count);
    for (n, path) in scenario::find(&folder)?.into_iter().take(count).enumerate() {
        let mut scenario = Scenario::load(&path)?;
        scenario.behaviour.poll_interval_ms = 500;
        scenario.behaviour.reconnect_min_ms = 50;
        scenario.behaviour.reconnect_max_ms = 2_000;
        scenario.hardware.boot_delay_ms = 200;
        if n == 0 {
            scenario.faults.drop_after_bytes = Some(DROP_AFTER_BYTES);
        }
        terminals.insert(scenario.identity.tid.clone(), Arc::new(fleet.start(scenario)?));
    }
    let mut output = tokio::io::stdout();
    output.write_all(b"ready\n").await?;
    output.flush().await?;
    let mut input = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = input.next_line().await? {
        let line = Zeroizing::new(line);
        let attempts: Vec<Attempt> = serde_json::from_str(&line)?;
        let typed = attempts.into_iter().map(|attempt| {
            let terminal = terminals.get(&attempt.terminal).cloned();
            // A keypad's check is made slow on purpose.
            tokio::task::spawn_blocking(move || terminal.is_some_and(|t| opens(&t, &attempt)))
        });
        let opened = futures::future::try_join_all(typed).await?;
        output.write_all(format!("{}\n", serde_json::to_string(&opened)?).as_bytes()).await?;
        output.flush().await?;
    }
    let stopping = terminals.into_values().filter_map(Arc::into_inner).map(Handle::stop);
    futures::future::join_all(stopping).await;
    Ok(())
}

fn opens(terminal: &Handle, attempt: &Attempt) -> bool {
    matches!(terminal.try_login(&attempt.role, &attempt.secret), Ok(Login::Accepted { .. }))
}

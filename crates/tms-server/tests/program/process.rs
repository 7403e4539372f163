//! Runs the program and listens to it.

use std::{
    ffi::OsStr,
    net::SocketAddr,
    process::Stdio,
    sync::{Arc, Mutex},
};

use testkit::{PATIENCE, Site, soon, until};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// What a run that has ended left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The program, away from the settings of whoever runs the tests.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tms-server"));
    command.env_remove("TMS_LOG").env_remove("COLUMNS").env("RUST_BACKTRACE", "0");
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs the program to its end.
pub(crate) async fn run(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ended {
    ended(program().args(arguments)).await
}

/// Runs a command to its end. A whole demo may take a while where two processors run all tests.
pub(crate) async fn ended(command: &mut Command) -> Ended {
    let output = tokio::time::timeout(4 * PATIENCE, command.output()).await;
    let output = output.expect("waited in vain for the program to end").unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Ended {
    /// The one sentence with which the program refused to go on.
    pub(crate) fn refusal(&self) -> &str {
        assert_eq!(self.code, Some(1), "{self:?}");
        assert_eq!(self.stdout, "");
        let sentence = self.stderr.strip_prefix("tms-server: ").unwrap_or_else(|| panic!("{self:?}"));
        assert_eq!(sentence.trim_end().lines().count(), 1, "{sentence}");
        sentence.trim_end()
    }
}

/// A server that runs.
#[derive(Debug)]
pub(crate) struct Serving {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    pub(crate) listeners: Vec<SocketAddr>,
    pub(crate) api: SocketAddr,
}

impl Serving {
    /// Starts `serve` on a site and waits until it says that it serves.
    pub(crate) async fn start(site: &Site) -> Self {
        let mut command = program();
        command.arg("serve").arg("--config").arg(site.config_file()).arg("--log-json");
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&log);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                shared.lock().unwrap().push(line);
            }
        });
        let serving = until("the server to serve", async || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("{status}: {:?}", log.lock().unwrap());
            }
            said(&log, "serving")
        })
        .await;
        let addresses = serving["listeners"].as_str().unwrap();
        let listeners =
            addresses.trim_matches(['[', ']']).split(", ").map(|address| address.parse().unwrap()).collect();
        let api = serving["api"].as_str().unwrap().parse().unwrap();
        Self { child, log, listeners, api }
    }

    /// The fields of the first log line with this message.
    pub(crate) fn said(&self, message: &str) -> Option<serde_json::Value> {
        said(&self.log, message)
    }

    /// Sends a signal, `TERM` for example.
    #[cfg(unix)]
    pub(crate) async fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status().await.unwrap();
        assert!(status.success());
    }

    /// Waits until it has ended; gives its exit code, `None` if a signal ended it.
    pub(crate) async fn end(&mut self) -> Option<i32> {
        soon("the server to end", self.child.wait()).await.unwrap().code()
    }
}

fn said(log: &Mutex<Vec<String>>, message: &str) -> Option<serde_json::Value> {
    let lines = log.lock().unwrap();
    lines.iter().find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        (line["fields"]["message"] == message).then(|| line["fields"].clone())
    })
}

//! Runs the built `tmsctl` as a user would.

#![allow(clippy::unwrap_used, dead_code, reason = "helpers of tests, not all used by each")]

use std::io::Write;
use std::process::{Command, Stdio};

/// What one run printed and how it ended.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    /// The first line of standard output as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {} {}", self.out, self.err))
    }
}

/// Runs `tmsctl` with these arguments and nothing of the user's own configuration.
pub(crate) fn tmsctl(args: &[&str]) -> Run {
    run(args, &[], "")
}

/// Runs `tmsctl` with environment variables and standard input.
pub(crate) fn run(args: &[&str], env: &[(&str, &str)], input: impl AsRef<[u8]>) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tmsctl"))
        .args(args)
        .env_remove("TMSCTL_SERVER")
        .env_remove("TMSCTL_TOKEN")
        .env_remove("TMSCTL_CA")
        .env("TMSCTL_CONFIG", "/nonexistent/tmsctl.toml")
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that needs no input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_ref());
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

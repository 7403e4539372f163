//! What came of the tour.

use std::{fmt::Write as _, time::Duration};

use serde::Serialize;

use super::tour::Outcome;

/// The figures, in the order in which they are printed.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    terminals: u32,
    signed_on: u32,
    status_reported: u32,
    parameters_converged: u32,
    firmware_installed: u32,
    resets_completed: u32,
    credentials_rotated: u32,
    log_bundles: u32,
    resumed_transfers: u64,
    failures: u32,
    seconds: f64,
    /// Resident memory that each idle session added to the server's process, in KiB.
    rss_kib_per_session: Option<f64>,
    /// Why terminals failed, at most [`MAX_REASONS`] of them.
    #[serde(skip)]
    reasons: Vec<String>,
}

/// Reasons shown; the rest is counted.
const MAX_REASONS: usize = 10;

impl Summary {
    pub(super) fn new(terminals: u32, outcome: &Outcome, elapsed: Duration) -> Self {
        Self {
            terminals,
            signed_on: outcome.signed_on,
            status_reported: outcome.status_reported,
            parameters_converged: outcome.parameters_converged,
            firmware_installed: outcome.firmware_installed,
            resets_completed: outcome.resets_completed,
            credentials_rotated: outcome.credentials_rotated,
            log_bundles: outcome.log_bundles,
            resumed_transfers: outcome.resumed_transfers,
            failures: u32::try_from(outcome.failures.len()).unwrap_or(u32::MAX),
            seconds: (elapsed.as_secs_f64() * 100.0).round() / 100.0,
            rss_kib_per_session: outcome.rss_kib_per_session.map(|kib| (kib * 10.0).round() / 10.0),
            reasons: outcome.failures.iter().map(|(terminal, why)| format!("{terminal}: {why}")).collect(),
        }
    }

    /// Whether every terminal finished every step, and a broken transfer was resumed.
    pub(super) fn is_complete(&self) -> bool {
        let steps = [
            self.signed_on,
            self.status_reported,
            self.parameters_converged,
            self.firmware_installed,
            self.resets_completed,
            self.credentials_rotated,
            self.log_bundles,
        ];
        self.failures == 0 && self.resumed_transfers > 0 && steps.iter().all(|done| *done == self.terminals)
    }

    pub(super) fn table(&self) -> String {
        let n = self.terminals;
        let rows = [
            ("signed on", self.signed_on),
            ("status reported", self.status_reported),
            ("parameters converged", self.parameters_converged),
            ("firmware installed", self.firmware_installed),
            ("resets completed", self.resets_completed),
            ("credentials rotated", self.credentials_rotated),
            ("logs collected", self.log_bundles),
        ];
        let mut out = String::from("\n");
        // Writing to a String cannot fail.
        for (what, done) in rows {
            let _ = writeln!(out, "  {what:<22} {done:>6} of {n}");
        }
        let _ = writeln!(out, "  {:<22} {:>6}", "transfers resumed", self.resumed_transfers);
        let _ = writeln!(out, "  {:<22} {:>6}", "failures", self.failures);
        for reason in self.reasons.iter().take(MAX_REASONS) {
            let _ = writeln!(out, "      {reason}");
        }
        if self.reasons.len() > MAX_REASONS {
            let _ = writeln!(out, "      … and {} more", self.reasons.len().saturating_sub(MAX_REASONS));
        }
        let _ = writeln!(out, "  {:<22} {:>6.1} s", "time", self.seconds);
        if let Some(kib) = self.rss_kib_per_session {
            let _ = writeln!(out, "  {:<22} {kib:>6.1} KiB (rss_kib_per_session)", "memory a session");
        }
        out
    }
}

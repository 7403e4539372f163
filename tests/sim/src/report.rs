//! What is told of runs: for people, and as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::outcome::{Counts, Outcome, invariant};

/// What was simulated: a build says its commit in `TMS_COMMIT`, else the version stands for it.
#[must_use]
pub fn commit() -> &'static str {
    option_env!("TMS_COMMIT").unwrap_or(concat!("version ", env!("CARGO_PKG_VERSION")))
}

/// The summary of many runs, in lines.
#[must_use]
pub fn summary(counts: &Counts, violations: u64, real_s: f64) -> String {
    let mut out = String::new();
    let hours = counts.virtual_s as f64 / 3600.0;
    let _ = writeln!(
        out,
        "{} runs, {} terminals, {hours:.1} hours of virtual time, {} events",
        counts.runs, counts.terminals, counts.steps
    );
    let _ = writeln!(
        out,
        "{} connections, {} signed on, {} messages ({} refused), {} starts, {} transfers resumed, {} effects",
        counts.connections,
        counts.sign_ons,
        counts.messages,
        counts.refused,
        counts.boots,
        counts.resumed,
        counts.effects
    );
    let _ = writeln!(
        out,
        "{} sales, {} batches settled, {} alarms, {} sets published",
        counts.sales, counts.batches, counts.alarms, counts.sets
    );
    let _ = writeln!(out, "connections by kind of terminal:");
    for (name, count) in &counts.varieties {
        let _ = writeln!(out, "  {count:>9}  {name}");
    }
    let _ = writeln!(out, "acknowledged operations, by how they ended:");
    for ((kind, state), count) in &counts.operations {
        let _ = writeln!(out, "  {count:>9}  {kind} {state}");
    }
    let _ = writeln!(out, "faults:");
    for (name, count) in &counts.faults {
        let _ = writeln!(out, "  {count:>9}  {name}");
    }
    let _ = writeln!(out, "invariants, by how often they were checked:");
    for name in invariant::ALL {
        // That nothing panics and that everybody comes back is looked at in every event.
        let count = counts.checks.get(name).copied().unwrap_or(counts.steps);
        let _ = writeln!(out, "  {count:>9}  {name}");
    }
    let a_minute = if real_s > 0.0 { counts.sign_ons as f64 * 60.0 / real_s } else { 0.0 };
    let _ = writeln!(out, "{real_s:.1} s, {a_minute:.0} terminal sessions a minute");
    let _ = write!(out, "{violations} violations");
    out
}

/// The summary of many runs as one JSON object.
#[must_use]
pub fn summary_json(counts: &Counts, violations: u64, real_s: f64) -> Value {
    let operations: Vec<_> = counts
        .operations
        .iter()
        .map(|((kind, state), count)| json!({ "kind": kind, "state": state, "count": count }))
        .collect();
    json!({
        "commit": commit(),
        "runs": counts.runs,
        "terminals": counts.terminals,
        "virtual_seconds": counts.virtual_s,
        "events": counts.steps,
        "connections": counts.connections,
        "sign_ons": counts.sign_ons,
        "messages": counts.messages,
        "messages_refused": counts.refused,
        "starts": counts.boots,
        "transfers_resumed": counts.resumed,
        "effects": counts.effects,
        "sales": counts.sales,
        "batches": counts.batches,
        "alarms": counts.alarms,
        "sets": counts.sets,
        "varieties": counts.varieties,
        "operations": operations,
        "faults": counts.faults,
        "checks": counts.checks,
        "seconds": real_s,
        "violations": violations,
    })
}

/// What is told of a run that violated an invariant, after it was made small.
#[must_use]
pub fn failure(first: &Outcome, small: &Outcome) -> String {
    let mut out = String::new();
    let Some(violation) = &first.violation else { return out };
    let _ = writeln!(out, "{violation}");
    let _ = writeln!(out, "seed {}, commit {}, step {}", first.options.seed, commit(), violation.step);
    let _ = writeln!(out, "again: {}", first.options.command());
    if let Some(found) = small.violation.as_ref().filter(|_| small.options != first.options) {
        let _ = writeln!(out, "smaller: {}", small.options.command());
        let _ = writeln!(out, "  {found}");
    }
    let _ = writeln!(out, "the last that happened (-> is from the terminal):");
    for line in &small.trace {
        let _ = writeln!(out, "  {line}");
    }
    out
}

/// The same as JSON.
#[must_use]
pub fn failure_json(first: &Outcome, small: &Outcome) -> Value {
    let told = |outcome: &Outcome| {
        let violation = outcome.violation.as_ref();
        json!({
            "command": outcome.options.command(),
            "seed": outcome.options.seed,
            "invariant": violation.map(|found| found.invariant),
            "what": violation.map(|found| found.what.clone()),
            "terminal": violation.and_then(|found| found.terminal),
            "step": violation.map(|found| found.step),
            "at": violation.map(|found| found.at.to_string()),
            "trace_hash": format!("{:016x}", outcome.trace_hash),
        })
    };
    json!({ "commit": commit(), "violation": told(first), "smaller": told(small), "trace": small.trace })
}

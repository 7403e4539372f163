//! `tmsctl terminal`: what terminals are and what they should be.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::cli::{Connection, TerminalCommand};
use crate::client::{Client, escaped, path};
use crate::failure::Failure;
use crate::output::{self, text_at};
use crate::places;

/// Runs `tmsctl terminal …`.
pub(crate) fn run(connection: &Connection, command: &TerminalCommand) -> Result<(), Failure> {
    let client = Client::logged_in(connection)?;
    match command {
        TerminalCommand::List { selector, count, json } => list(&client, selector.as_deref(), *count, *json),
        TerminalCommand::Edit { terminal, edit, json } => places::edit(&client, terminal, edit, *json),
        TerminalCommand::Bulk { selector, edit, dry_run, json } => {
            places::bulk(&client, selector, edit, *dry_run, *json)
        }
        TerminalCommand::Replace { terminal, by, json } => places::replace(&client, terminal, by, *json),
        TerminalCommand::Show { terminal, json } => {
            let answer = client.get(&path(&["terminals", terminal]))?;
            if *json { output::json(&answer) } else { show(&answer) }
        }
        TerminalCommand::Batch { terminal, json } => {
            let answer = client.get(&path(&["terminals", terminal, "batch"]))?;
            if *json { output::json(&answer) } else { batch(terminal, &answer) }
        }
    }
}

fn list(client: &Client, selector: Option<&str>, count: bool, json: bool) -> Result<(), Failure> {
    let query = selector.map(|selector| format!("selector={}", escaped(selector)));
    if count {
        let query = query.map(|query| format!("&{query}")).unwrap_or_default();
        let page = client.get(&format!("/terminals?limit=1&count=true{query}"))?;
        let total = page.get("total").cloned().unwrap_or_default();
        return match json {
            true => output::json(&json!({ "total": total })),
            false => output::line(&total.to_string()),
        };
    }
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let terminals = client.all_pages(&format!("/terminals{query}"))?;
    if json {
        return output::json(&json!({ "items": terminals }));
    }
    let mut table = output::table(&[
        "terminal",
        "merchant",
        "profile",
        "model",
        "firmware",
        "connected",
        "in sync",
        "last contact",
    ]);
    for terminal in &terminals {
        table.add_row([
            text_at(terminal, "/id"),
            text_at(terminal, "/merchant"),
            text_at(terminal, "/profile"),
            text_at(terminal, "/model"),
            text_at(terminal, "/reported/firmware_version"),
            yes_no(terminal, "/connected"),
            yes_no(terminal, "/converged"),
            text_at(terminal, "/last_contact"),
        ]);
    }
    output::line(&table.to_string())?;
    let plural = if terminals.len() == 1 { "" } else { "s" };
    output::line(&format!("{} terminal{plural}", terminals.len()))
}

fn yes_no(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer).and_then(Value::as_bool) {
        Some(true) => "yes".to_owned(),
        Some(false) => "no".to_owned(),
        None => String::new(),
    }
}

fn show(terminal: &Value) -> Result<(), Failure> {
    let mut table = output::table(&["terminal", &text_at(terminal, "/id")]);
    for (name, pointer) in [
        ("merchant", "/merchant"),
        ("profile", "/profile"),
        ("model", "/model"),
        ("hardware revision", "/hardware_revision"),
        ("serial number", "/serial"),
        ("enrolled", "/enrolled_at"),
        ("last contact", "/last_contact"),
        ("starts", "/reported/boot_count"),
        ("flash slot", "/reported/flash_slot"),
    ] {
        table.add_row([name.to_owned(), text_at(terminal, pointer)]);
    }
    table.add_row(["connected".to_owned(), yes_no(terminal, "/connected")]);
    table.add_row(["in sync".to_owned(), yes_no(terminal, "/converged")]);
    table.add_row(["enrolled with keys".to_owned(), yes_no(terminal, "/enrolled")]);
    places::rows(&mut table, terminal, "/place");
    output::line(&table.to_string())?;

    let mut wanted = output::table(&["", "should be", "is"]);
    wanted.add_row([
        "firmware".to_owned(),
        text_at(terminal, "/desired_firmware_version"),
        text_at(terminal, "/reported/firmware_version"),
    ]);
    wanted.add_row([
        "parameter revision".to_owned(),
        text_at(terminal, "/desired/parameters_revision"),
        text_at(terminal, "/reported/parameters_revision"),
    ]);
    pairs(&mut wanted, terminal, "parameters", "");
    pairs(&mut wanted, terminal, "credentials", "credential generation of role ");
    for set in terminal.pointer("/sets").and_then(Value::as_array).into_iter().flatten() {
        let agrees = set.get("agrees") == Some(&Value::Bool(true));
        let state = if agrees { "the same" } else { "another" };
        let name = format!("set {}", text_at(set, "/name"));
        wanted.add_row([name, format!("revision {}", text_at(set, "/revision")), state.to_owned()]);
    }
    output::line(&wanted.to_string())?;

    let details = terminal.pointer("/reported/details").and_then(Value::as_object);
    if let Some(details) = details.filter(|details| !details.is_empty()) {
        let mut table = output::table(&["it says", ""]);
        for (name, value) in details {
            table.add_row([output::printable(&name.replace('_', " ")), text_at(value, "")]);
        }
        output::line(&table.to_string())?;
    }

    let health = terminal.pointer("/reported/health").and_then(Value::as_object);
    let known: Vec<_> = health.into_iter().flatten().filter(|(_, state)| !state.is_null()).collect();
    if known.is_empty() {
        return Ok(());
    }
    let mut table = output::table(&["hardware", "state"]);
    for (part, state) in known {
        table.add_row([output::printable(&part.replace('_', " ")), text_at(state, "")]);
    }
    output::line(&table.to_string())
}

fn batch(terminal: &str, answer: &Value) -> Result<(), Failure> {
    let mut table = output::table(&["terminal", &output::printable(terminal)]);
    let in_hand = text_at(answer, "/batch");
    if !in_hand.is_empty() {
        table.add_row(["batch being settled", &in_hand]);
        table.add_row(["its details so far", &text_at(answer, "/details")]);
    }
    if answer.pointer("/closed").is_some_and(|closed| !closed.is_null()) {
        table.add_row(["last settled batch", &text_at(answer, "/closed/batch")]);
        table.add_row(["details announced", &text_at(answer, "/closed/announced")]);
        table.add_row(["details received", &text_at(answer, "/closed/received")]);
        table.add_row(["everything adds up", &yes_no(answer, "/closed/complete")]);
    } else if in_hand.is_empty() {
        table.add_row(["batches", "none was settled yet"]);
    }
    output::line(&table.to_string())
}

/// A row for every name that the desired or the reported object `key` has.
fn pairs(table: &mut comfy_table::Table, terminal: &Value, key: &str, prefix: &str) {
    let side = |side: &str| terminal.get(side).and_then(|side| side.get(key)).and_then(Value::as_object);
    let (desired, reported) = (side("desired"), side("reported"));
    let names: BTreeSet<&String> =
        desired.into_iter().chain(reported).flat_map(serde_json::Map::keys).collect();
    for name in names {
        let of = |object: Option<&serde_json::Map<String, Value>>| {
            object.and_then(|object| object.get(name)).map_or_else(String::new, |value| text_at(value, ""))
        };
        table.add_row([format!("{prefix}{}", output::printable(name)), of(desired), of(reported)]);
    }
}

//! Commands that have a terminal do one thing, plans, alarms, and the sets that all terminals download.

use std::path::Path;

use serde_json::{Value, json};

use crate::change::start;
use crate::cli::{AlarmCommand, At, Connection, DeviceCommand, EmvCommand, PlanCommand, SetName, Sure};
use crate::client::{Client, escaped, path};
use crate::failure::Failure;
use crate::output::{self, text_at};

/// Runs `tmsctl command …`.
pub(crate) fn command(connection: &Connection, command: &DeviceCommand) -> Result<(), Failure> {
    let (at, kind) = kind(command);
    send(connection, at, &kind)
}

/// Runs `tmsctl plan …`.
pub(crate) fn plan(connection: &Connection, command: &PlanCommand) -> Result<(), Failure> {
    match command {
        PlanCommand::Install { at, plan: file } => {
            let plan = read_json(file, "see `tmsctl plan install --help` for an example")?;
            send(connection, at, &json!({"type": "install_plan", "plan": plan}))
        }
        PlanCommand::Withdraw(at) => {
            let client = Client::logged_in(connection)?;
            start(&client, &path(&["terminals", &at.terminal, "plan", "withdraw"]), None, &at.change)
        }
    }
}

/// Runs `tmsctl alarm …`.
pub(crate) fn alarm(connection: &Connection, command: &AlarmCommand) -> Result<(), Failure> {
    let AlarmCommand::List { terminal, limit, json } = command;
    let client = Client::logged_in(connection)?;
    let mut query = format!("limit={limit}");
    if let Some(terminal) = terminal {
        query = format!("terminal={}&{query}", escaped(terminal));
    }
    let answer = client.get(&format!("{}?{query}", path(&["alarms"])))?;
    let alarms = answer.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    if *json {
        return output::json(&json!({ "items": alarms }));
    }
    let mut table = output::table(&["terminal", "noticed", "severity", "alarm", "what it says"]);
    for alarm in &alarms {
        table.add_row(["/terminal", "/at", "/severity", "/kind", "/text"].map(|key| text_at(alarm, key)));
    }
    output::line(&table.to_string())
}

/// Runs `tmsctl emv …`.
pub(crate) fn emv(connection: &Connection, command: &EmvCommand) -> Result<(), Failure> {
    match command {
        EmvCommand::Put { set, file, json } => {
            let content = read_json(file, "see `tmsctl emv put --help` for what it holds")?;
            let client = Client::logged_in(connection)?;
            let answer = client.replace(&path(&["sets", set_name(*set)]), &content)?;
            if *json {
                return output::json(&answer);
            }
            let revision = text_at(&answer, "/revision");
            output::line(&format!("{} is at revision {revision}; terminals are told", set_name(*set)))
        }
        EmvCommand::List { json } => {
            let sets = Client::logged_in(connection)?.all_pages(&path(&["sets"]))?;
            if *json {
                return output::json(&json!({ "items": sets }));
            }
            let mut table = output::table(&["set", "revision", "changed"]);
            for set in &sets {
                table.add_row(["/name", "/revision", "/updated_at"].map(|key| text_at(set, key)));
            }
            output::line(&table.to_string())
        }
        EmvCommand::Show { set } => {
            let answer = Client::logged_in(connection)?.get(&path(&["sets", set_name(*set)]))?;
            output::json(answer.get("content").unwrap_or(&Value::Null))
        }
    }
}

fn set_name(set: SetName) -> &'static str {
    match set {
        SetName::Capks => "capks",
        SetName::Aids => "aids",
        SetName::Blacklist => "blacklist",
        SetName::TmsParameters => "tms_parameters",
        SetName::Contactless => "contactless",
        SetName::PinFreeBins => "pin_free_bins",
        SetName::PinFreeBlacklist => "pin_free_blacklist",
    }
}

fn read_json(file: &Path, hint: &str) -> Result<Value, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::new(format!("{} cannot be read: {error}", file.display())))?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::new(format!("{} is not JSON: {error}", file.display())).next(hint))
}

fn send(connection: &Connection, at: &At, kind: &Value) -> Result<(), Failure> {
    let client = Client::logged_in(connection)?;
    start(&client, &path(&["terminals", &at.terminal, "operations"]), Some(kind), &at.change)
}

fn kind(command: &DeviceCommand) -> (&At, Value) {
    let plain = |name: &str| json!({ "type": name });
    match command {
        DeviceCommand::RestartApplication(at) => (at, plain("restart_application")),
        DeviceCommand::FactoryReset(Sure { at, .. }) => (at, plain("factory_reset")),
        DeviceCommand::Lock { at, message } => (at, json!({"type": "lock", "message": message})),
        DeviceCommand::Unlock(at) => (at, plain("unlock")),
        DeviceCommand::ClearReversal(Sure { at, .. }) => (at, plain("clear_reversal")),
        DeviceCommand::ClearBatch(Sure { at, .. }) => (at, plain("clear_batch")),
        DeviceCommand::PrintTestSlip { at, text } => (at, json!({"type": "print_test_slip", "text": text})),
        DeviceCommand::SelfTest(at) => (at, plain("self_test")),
        DeviceCommand::Diagnose(at) => (at, plain("diagnose")),
        DeviceCommand::ExchangeKeys(at) => (at, plain("exchange_keys")),
        DeviceCommand::CollectJournal { at, from_batch, max_bytes } => {
            (at, json!({"type": "collect_journal", "from_batch": from_batch, "max_bytes": max_bytes}))
        }
        DeviceCommand::SyncClock { at, utc_offset_min, force } => {
            let utc_offset_s = utc_offset_min.saturating_mul(60);
            (at, json!({"type": "sync_clock", "utc_offset_s": utc_offset_s, "force": force}))
        }
        DeviceCommand::ShowMessage { at, text, until, seconds } => {
            (at, json!({"type": "show_message", "text": text, "until": until, "seconds": seconds}))
        }
        DeviceCommand::ChangeTmsAddress { at, addresses, attempts } => {
            (at, json!({"type": "change_tms_address", "addresses": addresses, "attempts": attempts}))
        }
    }
}

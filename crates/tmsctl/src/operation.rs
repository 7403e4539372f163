//! Operations: showing them, and waiting until a terminal has done one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use comfy_table::Table;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::{Change, Connection, OperationCommand};
use crate::client::{Client, path};
use crate::failure::Failure;
use crate::output;

/// How often the server is asked while waiting.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(400);

/// For how long the server may be away while waiting.
pub(crate) const MAX_ABSENCE: Duration = Duration::from_secs(30);

/// What this program needs to know of an operation; the server may say more.
#[derive(Deserialize)]
pub(crate) struct Operation {
    pub(crate) id: String,
    terminal: String,
    kind: Value,
    state: String,
    #[serde(default)]
    attempts: u64,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    updated_at: Option<String>,
    #[serde(default)]
    expires_at: Option<String>,
    #[serde(default)]
    detail: Option<String>,
    #[serde(default)]
    progress: Option<Progress>,
    #[serde(default)]
    result: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Progress {
    done: u64,
    total: u64,
}

impl Operation {
    pub(crate) fn read(value: &Value) -> Result<Self, Failure> {
        Self::deserialize(value).map_err(|error| {
            Failure::new(format!("the server's answer is no operation: {error}"))
                .next("use a tmsctl of the server's version")
        })
    }

    fn is_final(&self) -> bool {
        matches!(self.state.as_str(), "done" | "failed" | "expired" | "cancelled")
    }

    /// What the terminal does, in a few words.
    fn kind(&self) -> String {
        let text = |key: &str| self.kind.get(key).and_then(Value::as_str);
        let number = |key: &str| self.kind.get(key).and_then(Value::as_u64);
        match text("type") {
            Some("set_parameters") => match number("revision") {
                Some(revision) => format!("set parameters to revision {revision}"),
                None => "set parameters".to_owned(),
            },
            Some("install_firmware") => format!("install firmware {}", text("firmware").unwrap_or_default()),
            Some("rotate_credential") => {
                format!("rotate credential of role {}", text("role").unwrap_or_default())
            }
            Some("reboot") => "start again".to_owned(),
            Some("collect_logs") => "send log".to_owned(),
            Some("cancel_operation") => {
                format!("give up operation {}", output::printable(text("target").unwrap_or_default()))
            }
            Some("lock" | "show_message") => {
                let said = text("message").or(text("text")).unwrap_or_default();
                let name = text("type").unwrap_or_default().replace('_', " ");
                format!("{name}: {}", output::printable(said))
            }
            Some(other) => output::printable(&other.replace('_', " ")),
            None => output::printable(self.kind.as_str().unwrap_or("?")),
        }
    }

    fn progress(&self) -> String {
        self.progress
            .as_ref()
            .map_or_else(String::new, |progress| format!("{} of {}", progress.done, progress.total))
    }

    fn table(&self) -> Table {
        let mut table = output::table(&["operation", &self.id]);
        let optional = |text: &Option<String>| output::printable(text.as_deref().unwrap_or_default());
        table.add_row(["terminal", &output::printable(&self.terminal)]);
        table.add_row(["what", &self.kind()]);
        table.add_row(["state", &self.state]);
        table.add_row(["detail", &optional(&self.detail)]);
        table.add_row(["progress", &self.progress()]);
        table.add_row(["attempts", &self.attempts.to_string()]);
        table.add_row(["created", &optional(&self.created_at)]);
        table.add_row(["updated", &optional(&self.updated_at)]);
        table.add_row(["expires", &optional(&self.expires_at)]);
        for (name, value) in &self.result {
            table.add_row([output::printable(name), output::printable(value)]);
        }
        table
    }
}

/// Runs `tmsctl operation …`.
pub(crate) fn run(connection: &Connection, command: &OperationCommand) -> Result<(), Failure> {
    let client = Client::logged_in(connection)?;
    match command {
        OperationCommand::Show { operation, change } => {
            let value = client.get(&path(&["operations", operation]))?;
            finish(&client, value, change, |_| {})
        }
        OperationCommand::Cancel { operation, json } => {
            let answer = client.post(&path(&["operations", operation, "cancel"]), None)?;
            if *json {
                return output::json(&answer);
            }
            let at = |key: &str| answer.get(key).filter(|value| !value.is_null());
            output::line(&Operation::read(at("operation").unwrap_or(&Value::Null))?.table().to_string())?;
            match at("told") {
                Some(told) => output::line(&format!(
                    "the terminal may have begun it, and is told to give it up by operation {}",
                    Operation::read(told)?.id
                )),
                None => Ok(()),
            }
        }
        OperationCommand::List { terminal, json } => {
            let operations = client.all_pages(&path(&["terminals", terminal, "operations"]))?;
            if *json {
                return output::json(&json!({ "items": operations }));
            }
            let mut table = output::table(&["operation", "what", "state", "progress", "created", "detail"]);
            for item in &operations {
                let operation = Operation::read(item)?;
                table.add_row([
                    &operation.id,
                    &operation.kind(),
                    &operation.state,
                    &operation.progress(),
                    operation.created_at.as_deref().unwrap_or_default(),
                    &output::printable(operation.detail.as_deref().unwrap_or_default()),
                ]);
            }
            output::line(&table.to_string())
        }
    }
}

/// Shows an operation that the server just told of, after waiting for its end when asked to.
/// `answer` puts the operation into the JSON that the command prints.
pub(crate) fn finish(
    client: &Client,
    value: Value,
    change: &Change,
    wrap: impl Fn(&mut Value),
) -> Result<(), Failure> {
    let mut value = value;
    let mut operation = Operation::read(&value)?;
    let mut waited = Ok(());
    if change.wait.wait && !operation.is_final() {
        (value, waited) = wait(client, value, Duration::from_secs(change.wait.timeout_s))?;
        operation = Operation::read(&value)?;
    }
    if change.json {
        wrap(&mut value);
        output::json(&value)?;
    } else {
        output::line(&operation.table().to_string())?;
    }
    waited?;
    if change.wait.wait { check_done(&operation) } else { Ok(()) }
}

/// Fails when an operation ended otherwise than asked.
pub(crate) fn check_done(operation: &Operation) -> Result<(), Failure> {
    if operation.state == "done" {
        return Ok(());
    }
    let why = operation
        .detail
        .as_deref()
        .map_or_else(String::new, |detail| format!(": {}", output::printable(detail)));
    Err(Failure::new(format!("operation {} {}{why}", operation.id, ended(&operation.state))))
}

fn ended(state: &str) -> &str {
    match state {
        "failed" => "failed",
        "expired" => "expired before the terminal did it",
        "cancelled" => "was cancelled",
        _ => "is not finished",
    }
}

/// Asks until the operation has ended or the time is over; gives its last form, and in the second
/// case also the failure to report after it was shown.
pub(crate) fn wait(
    client: &Client,
    first: Value,
    timeout: Duration,
) -> Result<(Value, Result<(), Failure>), Failure> {
    let started = Instant::now();
    let mut last_seen = started;
    let mut value = first;
    let bar = ProgressBar::new_spinner();
    bar.set_style(
        ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()),
    );
    let place = path(&["operations", &Operation::read(&value)?.id]);
    loop {
        let operation = Operation::read(&value)?;
        if operation.is_final() {
            bar.finish_and_clear();
            return Ok((value, Ok(())));
        }
        show(&bar, &operation);
        if started.elapsed() >= timeout {
            bar.finish_and_clear();
            let failure = Failure::new(format!(
                "operation {} is still {} after {} s",
                operation.id,
                operation.state,
                timeout.as_secs()
            ))
            .next(format!(
                "it goes on without you; see it with `tmsctl operation show {} --wait`",
                operation.id
            ));
            return Ok((value, Err(failure)));
        }
        pause(POLL_INTERVAL.min(timeout.saturating_sub(started.elapsed())));
        match client.get(&place) {
            Ok(newer) => (value, last_seen) = (newer, Instant::now()),
            // A server that restarts keeps the operation.
            Err(failure) if failure.is_transient() && last_seen.elapsed() < MAX_ABSENCE => {}
            Err(failure) => return Err(failure),
        }
    }
}

fn show(bar: &ProgressBar, operation: &Operation) {
    if let Some(progress) = operation.progress.as_ref().filter(|progress| progress.total > 0) {
        if bar.length() != Some(progress.total) {
            let style = ProgressStyle::with_template("{spinner} {msg} [{bar:30}] {bytes} of {total_bytes}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_length(progress.total);
        }
        bar.set_position(progress.done);
    }
    bar.set_message(format!("{}: {}", operation.kind(), operation.state));
    bar.tick();
}

#[allow(clippy::disallowed_methods, reason = "this program has one thread and no executor to block")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

//! `tmsctl logs`: collecting and reading a terminal's log.

use std::fs::File;
use std::io;
use std::time::Duration;

use serde_json::json;

use crate::cli::{Connection, Fetch, LogsCommand};
use crate::client::{Client, path};
use crate::failure::Failure;
use crate::operation::{self, Operation};
use crate::output::{self, text_at};

/// Runs `tmsctl logs …`.
pub(crate) fn run(connection: &Connection, command: &LogsCommand) -> Result<(), Failure> {
    let client = Client::logged_in(connection)?;
    match command {
        LogsCommand::Fetch(options) => fetch(&client, options),
        LogsCommand::Show { operation, out } => {
            let mut log = client.download(&path(&["logs", operation]))?;
            let Some(path) = out else { return print(&mut log) };
            let mut file = File::create(path).map_err(|error| unwritable(path, &error))?;
            let bytes = save(&mut log, &mut file, path)?;
            output::line(&format!("{bytes} bytes are in {}", path.display()))
        }
        LogsCommand::List { terminal, json } => {
            let logs = client.all_pages(&path(&["terminals", terminal, "logs"]))?;
            if *json {
                return output::json(&json!({ "items": logs }));
            }
            let mut table = output::table(&["operation", "collected", "bytes", "sha256"]);
            for log in &logs {
                table.add_row(
                    ["/operation", "/collected_at", "/size_bytes", "/sha256"].map(|key| text_at(log, key)),
                );
            }
            output::line(&table.to_string())
        }
    }
}

fn fetch(client: &Client, options: &Fetch) -> Result<(), Failure> {
    // Before the terminal is troubled: a place that cannot be written, found afterwards, would
    // cost the log.
    let mut file = match &options.out {
        None => None,
        Some(path) => Some(File::create(path).map_err(|error| unwritable(path, &error))?),
    };
    let queued = client.post(&path(&["terminals", &options.terminal, "logs"]), None)?;
    let (value, waited) = operation::wait(client, queued, Duration::from_secs(options.timeout_s))?;
    waited?;
    let operation = Operation::read(&value)?;
    operation::check_done(&operation)?;
    let mut log = client.download(&path(&["logs", &operation.id]))?;
    match (&mut file, &options.out) {
        (Some(file), Some(path)) => {
            let bytes = save(&mut log, file, path)?;
            if options.json {
                return output::json(&value);
            }
            output::line(&format!(
                "{bytes} bytes of log of terminal {} are in {}",
                options.terminal,
                path.display()
            ))
        }
        // Raw, as it is asked for: `logs fetch … | less` or a file.
        _ => print(&mut log),
    }
}

fn print(log: &mut impl io::Read) -> Result<(), Failure> {
    match io::copy(log, &mut io::stdout().lock()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("the log cannot be printed: {error}")))
        }
        _ => Ok(()),
    }
}

fn save(log: &mut impl io::Read, file: &mut File, path: &std::path::Path) -> Result<u64, Failure> {
    let bytes = io::copy(log, file).and_then(|bytes| file.sync_all().map(|()| bytes));
    bytes.map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &std::path::Path, error: &io::Error) -> Failure {
    Failure::new(format!("{} cannot be written: {error}", path.display())).next("give --out another file")
}

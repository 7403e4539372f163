//! Commands that give a terminal work: parameters, reset, credentials.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::cli::{Change, Connection, CredentialCommand, ParameterCommand, Reset, SetParameters};
use crate::client::{Client, path};
use crate::failure::Failure;
use crate::operation;

/// Runs `tmsctl parameter …`.
pub(crate) fn parameter(connection: &Connection, command: &ParameterCommand) -> Result<(), Failure> {
    let ParameterCommand::Set(SetParameters { terminal, set, unset, change }) = command;
    let mut values = BTreeMap::new();
    for (name, value) in set {
        if values.insert(name, value).is_some() {
            return Err(
                Failure::new(format!("parameter {name} is given twice")).next("give each parameter once")
            );
        }
    }
    let client = Client::logged_in(connection)?;
    let body = json!({ "set": values, "unset": unset });
    let mut answer = client.patch(&path(&["terminals", terminal, "parameters"]), &body)?;
    let revision = answer.get("revision").cloned().unwrap_or_default();
    let operation = answer.get_mut("operation").map(Value::take).unwrap_or_default();
    operation::finish(&client, operation, change, |operation| {
        *operation = json!({ "revision": revision, "operation": operation.take() });
    })
}

/// Runs `tmsctl reset`.
pub(crate) fn reset(connection: &Connection, options: &Reset) -> Result<(), Failure> {
    let client = Client::logged_in(connection)?;
    start(&client, &path(&["terminals", &options.terminal, "reset"]), None, &options.change)
}

/// Runs `tmsctl credential …`.
pub(crate) fn credential(connection: &Connection, command: &CredentialCommand) -> Result<(), Failure> {
    let CredentialCommand::Rotate(options) = command;
    let client = Client::logged_in(connection)?;
    let place = path(&["terminals", &options.terminal, "credentials", &options.role, "rotate"]);
    start(&client, &place, None, &options.change)
}

/// Posts a request that is answered with an operation, and sees it through as far as asked.
pub(crate) fn start(
    client: &Client,
    place: &str,
    body: Option<&Value>,
    change: &Change,
) -> Result<(), Failure> {
    let operation = client.post(place, body)?;
    operation::finish(client, operation, change, |_| {})
}

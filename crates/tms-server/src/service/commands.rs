//! Commands: what a terminal can be told to do, plans of them, and taking one back.

use serde_json::{Map, Value, json};
use tms_core::{
    FirmwareId, FirmwareRecord, Operation, OperationId, OperationKind, OperationState, TerminalId,
};
use tms_proto::plan::Plan;
use uuid::Uuid;

use super::{ServiceError, enqueue, existing, fits, not_found, package};
use crate::app::App;

/// Operations that a withdrawal looks back on for the newest version of a plan.
const RECENT_OPERATIONS: u32 = 200;

/// Has a terminal carry out a command. What changes the desired state has functions of its own.
///
/// A plan is given as JSON `{"actions": [...]}` in the form of [`Plan`]. Its id is the server's; its
/// version, unless it has one, is the time in milliseconds; an action needs only `id` and `command`,
/// and begins at once unless it says otherwise. `install_firmware` names a published package:
/// `{"install_firmware": {"firmware": "<id>"}}`. The terminal may read it for as long as the plan is in force; it
/// does not become the desired firmware.
///
/// # Errors
/// `Invalid` for what a terminal could not take, `Model` for a package that is not for its model; `Store` if there is
/// no such terminal or package.
pub async fn command(
    app: &App,
    terminal: &TerminalId,
    kind: OperationKind,
) -> Result<Operation, ServiceError> {
    let Given { kind, packages } = given(app, kind).await?;
    if !packages.is_empty() {
        let known = existing(app, terminal).await?;
        packages.iter().try_for_each(|package| fits(package, &known))?;
    }
    enqueue(app, terminal, kind).await
}

/// A command that may be given, complete, with the packages that it has the terminal install.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) kind: OperationKind,
    pub(super) packages: Vec<FirmwareRecord>,
}

/// Checks and completes a command. Whether its packages are for a terminal is for whoever knows that.
pub(super) async fn given(app: &App, kind: OperationKind) -> Result<Given, ServiceError> {
    let elsewhere = match &kind {
        OperationKind::SetParameters { .. } => Some("change its parameters"),
        OperationKind::InstallFirmware { .. } => Some("assign the firmware"),
        OperationKind::RotateCredential { .. } => Some("rotate the credential"),
        OperationKind::CancelOperation { .. } => Some("cancel the operation itself"),
        _ => None,
    };
    if let Some(instead) = elsewhere {
        return Err(ServiceError::Invalid(format!("{} is not asked for like this: {instead}", kind.name())));
    }
    kind.check().map_err(|error| ServiceError::Invalid(error.to_string()))?;
    Ok(match kind {
        OperationKind::InstallPlan { plan } => {
            let (plan, packages) = checked(app, plan).await?;
            Given { kind: OperationKind::InstallPlan { plan }, packages }
        }
        kind => Given { kind, packages: Vec::new() },
    })
}

/// Ends the plan that a terminal has: plans that have not left the server are cancelled, and one without actions, newer
/// than any before, takes the place of what the terminal has. What it has begun ends as the terminal ends it.
///
/// # Errors
/// `Store` if there is no such terminal; `Invalid` if its plan has a version after which there is none.
pub async fn withdraw_plan(app: &App, terminal: &TerminalId) -> Result<Operation, ServiceError> {
    let known = existing(app, terminal).await?;
    let open = app.store.open_operations(terminal).await?;
    let mut newest = known.reported.details.get("plan_version").and_then(|version| version.parse().ok());
    for operation in open.iter().chain(&app.store.operations(terminal, None, RECENT_OPERATIONS).await?) {
        let OperationKind::InstallPlan { plan } = &operation.kind else { continue };
        newest = newest.max(plan.get("version").and_then(Value::as_u64));
        if operation.state == OperationState::Queued {
            cancel(app, operation.id).await?;
        }
    }
    let last = || ServiceError::Invalid("no plan can be newer than the terminal's".to_owned());
    let next = newest.map_or(Some(0), |newest| newest.checked_add(1)).ok_or_else(last)?;
    let version = next.max(u64::try_from(app.now().as_millisecond()).unwrap_or(0));
    command(app, terminal, OperationKind::InstallPlan { plan: json!({"version": version, "actions": []}) })
        .await
}

/// Withdraws an operation that is still open. A terminal that may have begun it is told to give it up,
/// by the second operation of the answer: what it has not done it will not do, nor resume.
///
/// # Errors
/// `Store` if there is no such operation, it has ended, or it is a rotation that the terminal has
/// already proved and that can only be completed.
pub async fn cancel(app: &App, id: OperationId) -> Result<(Operation, Option<Operation>), ServiceError> {
    let now = app.now();
    let known = app.store.operation(id).await?.ok_or_else(|| not_found("operation", id))?;
    if let OperationKind::RotateCredential { role, generation } = &known.kind
        && known.is_open()
    {
        // Cancels the operation too, if this generation is the pending one.
        app.store.abandon_rotation(&known.terminal, role, *generation, now).await?;
    }
    let detail = "withdrawn by an operator".to_owned();
    let cancelled = app.store.cancel(id, detail, app.ticket(now), now).await?;
    app.events.operation(&cancelled.0);
    if let Some(telling) = &cancelled.1 {
        app.events.operation(telling);
    }
    app.wake.terminal(&known.terminal);
    Ok(cancelled)
}

/// The id under which a terminal reports the actions of the plan that an operation installs: another one
/// than the operation's, and known from it.
#[must_use]
pub fn plan_id(operation: OperationId) -> Uuid {
    let [rest @ .., last] = *operation.as_uuid().as_bytes();
    let mut bytes = [0; 16];
    for (slot, byte) in bytes.iter_mut().zip(rest.into_iter().chain([last ^ 1])) {
        *slot = byte;
    }
    Uuid::from_bytes(bytes)
}

/// A plan with all its members, which a terminal will take, and the packages that it installs.
async fn checked(app: &App, plan: Value) -> Result<(Value, Vec<FirmwareRecord>), ServiceError> {
    let invalid = |reason: String| ServiceError::Invalid(format!("the plan cannot be used: {reason}"));
    let Value::Object(mut plan) = plan else {
        return Err(invalid("it must be a JSON object with \"actions\"".to_owned()));
    };
    plan.insert("id".to_owned(), json!(Uuid::nil()));
    plan.entry("version").or_insert_with(|| json!(u64::try_from(app.now().as_millisecond()).unwrap_or(0)));
    let Some(Value::Array(actions)) = plan.get_mut("actions") else {
        return Err(invalid("\"actions\" must be a list; an empty one ends the plan in force".to_owned()));
    };
    let mut packages = Vec::new();
    for action in actions {
        let Value::Object(action) = action else {
            return Err(invalid("an action must be a JSON object with \"id\" and \"command\"".to_owned()));
        };
        complete(action);
        if let Some(install) = action.get_mut("command").and_then(|c| c.get_mut("install_firmware")) {
            packages.push(name_image(app, install).await?);
        }
    }
    let plan = Value::Object(plan);
    let parsed: Plan = serde_json::from_value(plan.clone()).map_err(|error| invalid(error.to_string()))?;
    parsed.encode().map_err(|error| invalid(error.to_string()))?;
    Ok((plan, packages))
}

fn complete(action: &mut Map<String, Value>) {
    let standard = [
        ("target", json!("")),
        ("trigger", json!("at_once")),
        ("window", Value::Null),
        ("retry", json!({"delay_s": 0, "count": 0})),
        ("on_error", json!("report")),
        ("follow_up", json!("none")),
    ];
    for (name, value) in standard {
        action.entry(name).or_insert(value);
    }
}

/// Puts size and hash of a package beside its name. A plan as it was stored names its package as `file`.
async fn name_image(app: &App, install: &mut Value) -> Result<FirmwareRecord, ServiceError> {
    let name = install.get("firmware").or_else(|| install.get("file")).and_then(Value::as_str);
    let unnamed = || {
        let form = "{\"install_firmware\": {\"firmware\": \"<id>\"}}";
        ServiceError::Invalid(format!(
            "the plan cannot be used: install_firmware names no package; write {form}"
        ))
    };
    let id: FirmwareId = name
        .ok_or_else(unnamed)?
        .parse()
        .map_err(|e: tms_core::IdError| ServiceError::Invalid(e.to_string()))?;
    let record = package(app, &id).await?;
    let sha256 = hex::decode(&record.sha256).map_err(|e| ServiceError::Internal(e.to_string()))?;
    *install = json!({"file": record.id.as_str(), "size_bytes": record.size_bytes, "sha256": sha256});
    Ok(record)
}

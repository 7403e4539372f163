//! From an operation to the command that a terminal is told.

use bytes::Bytes;
use jiff::Timestamp;
use tms_core::{Operation, OperationKind};
use tms_proto::{
    plan::{Plan, PlanSource},
    task::{Command, Task},
};

use super::{Impossible, image_file};
use crate::{app::App, service};

/// A command, and the file that the terminal fetches for it.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) task: Task,
    pub(super) file: Option<(String, Bytes)>,
}

/// What to tell a terminal for an operation that is one command, as this step of it.
pub(super) async fn told(app: &App, operation: &Operation, step: u8) -> Result<Told, Impossible> {
    let mut file = None;
    let command = match &operation.kind {
        OperationKind::Reboot => Command::Reboot,
        OperationKind::CollectLogs { max_bytes } => {
            Command::CollectLogs { max_bytes: (*max_bytes).min(app.limits.log_bundle_bytes) }
        }
        OperationKind::InstallFirmware { firmware } => {
            let record = app.store.firmware(firmware).await?;
            let record = record.ok_or_else(|| Impossible::Reason(format!("package {firmware} is gone")))?;
            let mut sha256 = [0; 32];
            hex::decode_to_slice(&record.sha256, &mut sha256)
                .map_err(|_| Impossible::Reason(format!("package {firmware} has a damaged hash")))?;
            Command::InstallFirmware { file: image_file(firmware), size_bytes: record.size_bytes, sha256 }
        }
        OperationKind::RestartApplication => Command::RestartApplication,
        OperationKind::FactoryReset => Command::FactoryReset,
        OperationKind::Lock { message } => Command::Lock { message: message.clone() },
        OperationKind::Unlock => Command::Unlock,
        OperationKind::ClearReversal => Command::ClearReversal,
        OperationKind::ClearBatch => Command::ClearBatch,
        OperationKind::PrintTestSlip { text } => Command::PrintTestSlip { text: text.clone() },
        OperationKind::SelfTest => Command::SelfTest,
        OperationKind::Diagnose => Command::Diagnose,
        OperationKind::CollectJournal { from_batch, max_bytes } => Command::CollectJournal {
            from_batch: *from_batch,
            max_bytes: (*max_bytes).min(app.limits.log_bundle_bytes),
        },
        OperationKind::SyncClock { utc_offset_s, force } => {
            Command::SyncClock { time: seconds(app.now()), utc_offset_s: *utc_offset_s, force: *force }
        }
        OperationKind::ShowMessage { text, until, seconds: shown } => {
            Command::ShowMessage { text: text.clone(), until: until.map(seconds), seconds: *shown }
        }
        OperationKind::ChangeTmsAddress { addresses, attempts } => {
            Command::ChangeTmsAddress { addresses: addresses.clone(), attempts: *attempts }
        }
        OperationKind::InstallPlan { plan } => {
            let (source, content) = plan_source(operation, plan).map_err(Impossible::Reason)?;
            file = content;
            Command::InstallPlan(source)
        }
        OperationKind::CancelOperation { target } => Command::CancelOperation { target: *target.as_uuid() },
        other => return Err(Impossible::Reason(format!("{} is no command", other.name()))),
    };
    Ok(Told { task: Task { operation: *operation.id.as_uuid(), step, command }, file })
}

type PlanFile = (PlanSource, Option<(String, Bytes)>);

fn plan_source(operation: &Operation, plan: &serde_json::Value) -> Result<PlanFile, String> {
    let mut plan: Plan = serde_json::from_value(plan.clone()).map_err(|e| format!("the plan: {e}"))?;
    plan.id = service::plan_id(operation.id);
    let name = format!("plan-{}", operation.id);
    let bytes = plan.encode().map_err(|e| format!("the plan: {e}"))?;
    let source = PlanSource::of(plan, name.clone()).map_err(|e| format!("the plan: {e}"))?;
    let file = matches!(source, PlanSource::File { .. }).then(|| (name, Bytes::from(bytes)));
    Ok((source, file))
}

/// The same command at the time when it is sent: a clock is set to the present.
pub(super) fn brought_up_to(mut task: Task, now: Timestamp) -> Task {
    if let Command::SyncClock { time, .. } = &mut task.command {
        *time = seconds(now);
    }
    task
}

/// Terminals know whole seconds.
fn seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

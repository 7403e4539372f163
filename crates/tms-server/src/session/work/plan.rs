//! The plan that a terminal has in force: which packages it may read for it, after the operation that brought it has
//! ended.

use tms_core::{FirmwareId, Operation, OperationId, OperationKind, TerminalId};
use tms_proto::Refusal;

use crate::session::{Session, images::package_of_file};

/// Name of the document with the operation that brought the plan.
const DOCUMENT: &str = "plan";

impl Session {
    /// Notes which plan is in force, before its operation ends.
    pub(super) async fn note_plan(&mut self, operation: &Operation) -> Result<(), Refusal> {
        if !matches!(operation.kind, OperationKind::InstallPlan { .. }) {
            return Ok(());
        }
        let kept = self.app.store.put_document(&operation.terminal, DOCUMENT, operation.id.to_string()).await;
        kept.map_err(|e| self.store_refusal(&e))?;
        self.plan = Some(Some(Box::new(operation.kind.clone())));
        Ok(())
    }

    /// The package that a file belongs to, if the operation in hand or the plan in force lets the terminal read it.
    pub(in crate::session) async fn package_of(
        &mut self,
        terminal: &TerminalId,
        file: &str,
    ) -> Option<FirmwareId> {
        let package = package_of_file(file)?;
        if self.work.as_ref().is_some_and(|work| work.installs(&package)) {
            return Some(package);
        }
        if self.plan.is_none() {
            let found = self.plan_in_force(terminal).await;
            // A store that fails is asked again with the next block.
            self.plan = self.or_log(found).map(|kind| kind.map(Box::new));
        }
        self.plan.as_ref()?.as_ref().is_some_and(|kind| kind.installs(&package)).then_some(package)
    }

    async fn plan_in_force(&self, terminal: &TerminalId) -> tms_store::Result<Option<OperationKind>> {
        let document = self.app.store.document(terminal, DOCUMENT).await?;
        let Some(id) = document.and_then(|id| id.parse::<OperationId>().ok()) else { return Ok(None) };
        let operation = self.app.store.operation(id).await?;
        Ok(operation.filter(|operation| operation.terminal == *terminal).map(|operation| operation.kind))
    }
}

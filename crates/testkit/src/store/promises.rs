//! The trait: each call one step on the contents.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use tms_core::{
    Alarm, Credential, Delivery, DeliveryId, DeliveryState, EstateSet, FirmwareId, FirmwareRecord, LogBundle,
    NewOperation, Operation, OperationId, OperationState, Progress, Reported, Role, RotationPhase, SetName,
    Terminal, TerminalId, UserRole, Webhook, WebhookId,
};
use tms_store::{Admin, Begun, InitialCredential, ParameterChange, Result, Store, Ticket, Token};

use super::MemoryStore;

#[async_trait]
impl Store for MemoryStore {
    async fn enrol(&self, terminal: Terminal, credentials: Vec<InitialCredential>) -> Result<()> {
        self.call("enrol", |c| c.enrol(terminal, credentials))
    }

    async fn terminal(&self, tid: &TerminalId) -> Result<Option<Terminal>> {
        self.call("terminal", |c| Ok(c.terminals.get(tid).cloned()))
    }

    async fn terminals(&self, after: Option<&TerminalId>, limit: u32) -> Result<Vec<Terminal>> {
        self.call("terminals", |c| Ok(c.terminal_page(after, limit)))
    }

    async fn count_terminals(&self) -> Result<u64> {
        self.call("count_terminals", |c| Ok(u64::try_from(c.terminals.len()).unwrap_or(u64::MAX)))
    }

    async fn terminal_by_certificate(&self, sha256: &str) -> Result<Option<Terminal>> {
        self.call("terminal_by_certificate", |c| Ok(c.terminal_by_certificate(sha256)))
    }

    async fn record_report(&self, tid: &TerminalId, report: Reported, now: Timestamp) -> Result<()> {
        self.call("record_report", |c| c.record_report(tid, report, now))
    }

    async fn record_contacts(&self, contacts: &[(TerminalId, Timestamp)]) -> Result<()> {
        self.call("record_contacts", |c| {
            contacts.iter().for_each(|(tid, at)| c.record_contact(tid, *at));
            Ok(())
        })
    }

    async fn set_desired_parameters(
        &self,
        tid: &TerminalId,
        change: ParameterChange,
        ticket: Ticket,
        now: Timestamp,
    ) -> Result<(u64, Operation)> {
        self.call("set_desired_parameters", |c| c.set_desired_parameters(tid, change, ticket, now))
    }

    async fn assign_firmware(
        &self,
        tid: &TerminalId,
        firmware: &FirmwareId,
        ticket: Ticket,
        now: Timestamp,
    ) -> Result<Operation> {
        self.call("assign_firmware", |c| c.assign_firmware(tid, firmware, ticket, now))
    }

    async fn begin_rotation(
        &self,
        tid: &TerminalId,
        role: &Role,
        sealed: Vec<u8>,
        ticket: Ticket,
        now: Timestamp,
    ) -> Result<Operation> {
        self.call("begin_rotation", |c| c.begin_rotation(tid, role, sealed, ticket, now))
    }

    async fn enqueue(&self, operation: NewOperation, now: Timestamp) -> Result<Operation> {
        self.call("enqueue", |c| c.enqueue(operation, now))
    }

    async fn lease_next(
        &self,
        tid: &TerminalId,
        holder: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Operation>> {
        self.call("lease_next", |c| Ok(c.lease_next(tid, holder, until, now)))
    }

    async fn extend_lease(&self, id: OperationId, holder: &str, until: Timestamp) -> Result<()> {
        self.call("extend_lease", |c| c.extend_lease(id, holder, until))
    }

    async fn release_lease(&self, id: OperationId, holder: &str) -> Result<()> {
        self.call("release_lease", |c| {
            c.release(Some(id), Some(holder));
            Ok(())
        })
    }

    async fn release_leases(&self, holder: &str) -> Result<u64> {
        self.call("release_leases", |c| Ok(c.release(None, Some(holder))))
    }

    async fn release_all_leases(&self) -> Result<u64> {
        self.call("release_all_leases", |c| Ok(c.release(None, None)))
    }

    async fn transition(
        &self,
        id: OperationId,
        to: OperationState,
        detail: Option<String>,
        now: Timestamp,
    ) -> Result<Operation> {
        self.call("transition", |c| c.transition(id, to, detail, now))
    }

    async fn set_progress(&self, id: OperationId, progress: Progress) -> Result<()> {
        self.call("set_progress", |c| c.set_progress(id, progress))
    }

    async fn add_result(&self, id: OperationId, result: BTreeMap<String, String>) -> Result<()> {
        self.call("add_result", |c| c.add_result(id, result))
    }

    async fn cancel(
        &self,
        id: OperationId,
        detail: String,
        ticket: Ticket,
        now: Timestamp,
    ) -> Result<(Operation, Option<Operation>)> {
        self.call("cancel", |c| c.cancel(id, detail, ticket, now))
    }

    async fn operation(&self, id: OperationId) -> Result<Option<Operation>> {
        self.call("operation", |c| Ok(c.operations.get(&id).cloned()))
    }

    async fn operations(
        &self,
        tid: &TerminalId,
        after: Option<OperationId>,
        limit: u32,
    ) -> Result<Vec<Operation>> {
        self.call("operations", |c| Ok(c.page(tid, after, limit)))
    }

    async fn open_operations(&self, tid: &TerminalId) -> Result<Vec<Operation>> {
        self.call("open_operations", |c| Ok(c.open(tid)))
    }

    async fn open_operations_count(&self) -> Result<u64> {
        self.call("open_operations_count", |c| Ok(c.count_open()))
    }

    async fn expire_operations(&self, now: Timestamp) -> Result<u64> {
        self.call("expire_operations", |c| Ok(c.expire(now)))
    }

    async fn credential(&self, tid: &TerminalId, role: &Role) -> Result<Option<Credential>> {
        self.call("credential", |c| Ok(c.credentials.get(&(tid.clone(), role.clone())).cloned()))
    }

    async fn credentials(&self, tid: &TerminalId) -> Result<Vec<Credential>> {
        self.call("credentials", |c| Ok(c.credentials_of(tid)))
    }

    async fn set_pending_phase(
        &self,
        tid: &TerminalId,
        role: &Role,
        generation: u32,
        phase: RotationPhase,
        _now: Timestamp,
    ) -> Result<Credential> {
        self.call("set_pending_phase", |c| c.set_pending_phase(tid, role, generation, phase))
    }

    async fn confirm_rotation(
        &self,
        tid: &TerminalId,
        role: &Role,
        generation: u32,
        now: Timestamp,
    ) -> Result<Credential> {
        self.call("confirm_rotation", |c| c.confirm_rotation(tid, role, generation, now))
    }

    async fn abandon_rotation(
        &self,
        tid: &TerminalId,
        role: &Role,
        generation: u32,
        now: Timestamp,
    ) -> Result<Credential> {
        self.call("abandon_rotation", |c| c.abandon_rotation(tid, role, generation, now))
    }

    async fn add_firmware(&self, firmware: FirmwareRecord) -> Result<()> {
        self.call("add_firmware", |c| {
            c.add_firmware(firmware);
            Ok(())
        })
    }

    async fn firmware(&self, id: &FirmwareId) -> Result<Option<FirmwareRecord>> {
        self.call("firmware", |c| Ok(c.firmware.get(id).cloned()))
    }

    async fn firmwares(&self) -> Result<Vec<FirmwareRecord>> {
        self.call("firmwares", |c| Ok(c.firmwares()))
    }

    async fn add_log_bundle(&self, bundle: LogBundle) -> Result<()> {
        self.call("add_log_bundle", |c| c.add_log_bundle(bundle))
    }

    async fn log_bundles(&self, tid: &TerminalId) -> Result<Vec<LogBundle>> {
        self.call("log_bundles", |c| Ok(c.log_bundles_of(tid)))
    }

    async fn log_bundle(&self, operation: OperationId) -> Result<Option<LogBundle>> {
        self.call("log_bundle", |c| Ok(c.log_bundles.get(&operation).cloned()))
    }

    async fn add_alarm(&self, alarm: Alarm) -> Result<bool> {
        self.call("add_alarm", |c| c.add_alarm(alarm))
    }

    async fn alarms(&self, tid: Option<&TerminalId>, after: Option<u64>, limit: u32) -> Result<Vec<Alarm>> {
        self.call("alarms", |c| Ok(c.alarm_page(tid, after, limit)))
    }

    async fn put_set(
        &self,
        name: SetName,
        content: String,
        expected: Option<u64>,
        now: Timestamp,
    ) -> Result<u64> {
        self.call("put_set", |c| c.put_set(name, content, expected, now))
    }

    async fn set(&self, name: SetName) -> Result<Option<EstateSet>> {
        self.call("set", |c| Ok(c.sets.get(name.name()).cloned()))
    }

    async fn sets(&self) -> Result<Vec<EstateSet>> {
        self.call("sets", |c| Ok(c.sets.values().cloned().collect()))
    }

    async fn put_document(&self, tid: &TerminalId, name: &str, content: String) -> Result<()> {
        self.call("put_document", |c| {
            c.known_terminal(tid)?;
            c.documents.insert((tid.clone(), name.to_owned()), content);
            Ok(())
        })
    }

    async fn document(&self, tid: &TerminalId, name: &str) -> Result<Option<String>> {
        self.call("document", |c| Ok(c.documents.get(&(tid.clone(), name.to_owned())).cloned()))
    }

    async fn set_admin_password(
        &self,
        user: &str,
        role: UserRole,
        password_hash: &str,
        one_time: bool,
    ) -> Result<()> {
        self.call("set_admin_password", |c| {
            c.set_password(user, role, password_hash, one_time);
            Ok(())
        })
    }

    async fn admin(&self, user: &str) -> Result<Option<Admin>> {
        self.call("admin", |c| Ok(c.admins.get(user).cloned()))
    }

    async fn consume_one_time(&self, user: &str) -> Result<bool> {
        self.call("consume_one_time", |c| c.consume_one_time(user))
    }

    async fn add_token(&self, sha256: &str, user: &str, expires_at: Timestamp, now: Timestamp) -> Result<()> {
        self.call("add_token", |c| c.add_token(sha256, user, expires_at, now))
    }

    async fn token(&self, sha256: &str, now: Timestamp) -> Result<Option<Token>> {
        self.call("token", |c| Ok(c.token(sha256, now)))
    }

    async fn begin_request(
        &self,
        caller: &str,
        key: &str,
        fingerprint: &str,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<Begun> {
        self.call("begin_request", |c| Ok(c.begin_request(caller, key, fingerprint, since, now)))
    }

    async fn finish_request(&self, caller: &str, key: &str, answer: Vec<u8>) -> Result<()> {
        self.call("finish_request", |c| c.finish_request(caller, key, answer))
    }

    async fn forget_request(&self, caller: &str, key: &str) -> Result<()> {
        self.call("forget_request", |c| {
            c.forget_request(caller, key);
            Ok(())
        })
    }

    async fn add_webhook(&self, webhook: Webhook) -> Result<()> {
        self.call("add_webhook", |c| c.add_webhook(webhook))
    }

    async fn change_webhook(
        &self,
        id: WebhookId,
        url: String,
        kinds: Vec<String>,
        enabled: bool,
    ) -> Result<Webhook> {
        self.call("change_webhook", |c| c.change_webhook(id, url, kinds, enabled))
    }

    async fn remove_webhook(&self, id: WebhookId) -> Result<()> {
        self.call("remove_webhook", |c| c.remove_webhook(id))
    }

    async fn webhook(&self, id: WebhookId) -> Result<Option<Webhook>> {
        self.call("webhook", |c| Ok(c.webhooks.get(&id).cloned()))
    }

    async fn webhooks(&self) -> Result<Vec<Webhook>> {
        self.call("webhooks", |c| Ok(c.webhooks.values().cloned().collect()))
    }

    async fn add_deliveries(&self, deliveries: Vec<Delivery>) -> Result<()> {
        self.call("add_deliveries", |c| {
            c.add_deliveries(deliveries);
            Ok(())
        })
    }

    async fn due_deliveries(&self, now: Timestamp, limit: u32) -> Result<Vec<Delivery>> {
        self.call("due_deliveries", |c| Ok(c.due_deliveries(now, limit)))
    }

    async fn record_attempt(
        &self,
        id: DeliveryId,
        state: DeliveryState,
        due_at: Timestamp,
        detail: Option<String>,
    ) -> Result<()> {
        self.call("record_attempt", |c| c.record_attempt(id, state, due_at, detail))
    }

    async fn replay_delivery(&self, webhook: WebhookId, id: DeliveryId, now: Timestamp) -> Result<Delivery> {
        self.call("replay_delivery", |c| c.replay_delivery(webhook, id, now))
    }

    async fn deliveries(
        &self,
        webhook: WebhookId,
        after: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Vec<Delivery>> {
        self.call("deliveries", |c| Ok(c.delivery_page(webhook, after, limit)))
    }

    async fn forget_deliveries(&self, before: Timestamp) -> Result<u64> {
        self.call("forget_deliveries", |c| Ok(c.forget_deliveries(before)))
    }

    async fn check(&self) -> Result<()> {
        self.call("check", |_| Ok(()))
    }

    async fn close(&self) {
        self.lock().closed = true;
    }
}

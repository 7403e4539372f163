//! The trait, told as who reads and who writes; the statements are in the modules beside this one.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use tms_core::{
    Alarm, Credential, Delivery, DeliveryId, DeliveryState, EstateSet, FirmwareId, FirmwareRecord, LogBundle,
    NewOperation, Operation, OperationId, OperationState, Progress, Reported, Role, RotationPhase, SetName,
    Terminal, TerminalId, UserRole, Webhook, WebhookId,
};

use super::{
    SqliteStore, alarms, artifacts, credentials, documents, operations, people, requests, sql, terminals,
    webhooks,
};
use crate::store::{Admin, Begun, InitialCredential, ParameterChange, Result, Store, Ticket, Token};

#[async_trait]
impl Store for SqliteStore {
    async fn enrol(&self, terminal: Terminal, credentials: Vec<InitialCredential>) -> Result<()> {
        self.writer
            .write(move |c| Box::pin(async move { terminals::enrol(c, &terminal, &credentials).await }))
            .await
    }

    async fn terminal(&self, tid: &TerminalId) -> Result<Option<Terminal>> {
        terminals::one(&self.readers, tid).await
    }

    async fn terminals(&self, after: Option<&TerminalId>, limit: u32) -> Result<Vec<Terminal>> {
        terminals::page(&self.readers, after, limit).await
    }

    async fn count_terminals(&self) -> Result<u64> {
        terminals::count(&self.readers).await
    }

    async fn terminal_by_certificate(&self, sha256: &str) -> Result<Option<Terminal>> {
        terminals::by_certificate(&self.readers, sha256).await
    }

    async fn record_report(&self, tid: &TerminalId, report: Reported, now: Timestamp) -> Result<()> {
        let tid = tid.clone();
        self.writer
            .write(move |c| Box::pin(async move { terminals::record_report(c, &tid, report, now).await }))
            .await
    }

    async fn record_contacts(&self, contacts: &[(TerminalId, Timestamp)]) -> Result<()> {
        let contacts = contacts.to_vec();
        self.writer
            .write(move |c| Box::pin(async move { terminals::record_contacts(c, &contacts).await }))
            .await
    }

    async fn set_desired_parameters(
        &self,
        tid: &TerminalId,
        change: ParameterChange,
        ticket: Ticket,
        now: Timestamp,
    ) -> Result<(u64, Operation)> {
        let tid = tid.clone();
        self.writer
            .write(move |c| Box::pin(operations::set_desired_parameters(c, tid, change, ticket, now)))
            .await
    }

    async fn assign_firmware(
        &self,
        tid: &TerminalId,
        firmware: &FirmwareId,
        ticket: Ticket,
        now: Timestamp,
    ) -> Result<Operation> {
        let (tid, firmware) = (tid.clone(), firmware.clone());
        self.writer.write(move |c| Box::pin(operations::assign_firmware(c, tid, firmware, ticket, now))).await
    }

    async fn begin_rotation(
        &self,
        tid: &TerminalId,
        role: &Role,
        sealed: Vec<u8>,
        ticket: Ticket,
        now: Timestamp,
    ) -> Result<Operation> {
        let (tid, role) = (tid.clone(), role.clone());
        self.writer
            .write(move |c| Box::pin(credentials::begin_rotation(c, tid, role, sealed, ticket, now)))
            .await
    }

    async fn enqueue(&self, operation: NewOperation, now: Timestamp) -> Result<Operation> {
        self.writer.write(move |c| Box::pin(operations::enqueue(c, operation, now))).await
    }

    async fn lease_next(
        &self,
        tid: &TerminalId,
        holder: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Operation>> {
        if !operations::has_next(&self.readers, tid, now).await? {
            return Ok(None);
        }
        let (tid, holder) = (tid.clone(), holder.to_owned());
        self.writer.write(move |c| Box::pin(operations::lease_next(c, tid, holder, until, now))).await
    }

    async fn extend_lease(&self, id: OperationId, holder: &str, until: Timestamp) -> Result<()> {
        let holder = holder.to_owned();
        self.writer.write(move |c| Box::pin(operations::extend_lease(c, id, holder, until))).await
    }

    async fn release_lease(&self, id: OperationId, holder: &str) -> Result<()> {
        let holder = holder.to_owned();
        self.writer.write(move |c| Box::pin(operations::release_lease(c, id, holder))).await
    }

    async fn release_leases(&self, holder: &str) -> Result<u64> {
        let holder = holder.to_owned();
        self.writer.write(move |c| Box::pin(operations::release_leases(c, holder))).await
    }

    async fn release_all_leases(&self) -> Result<u64> {
        self.writer.write(move |c| Box::pin(operations::release_all_leases(c))).await
    }

    async fn transition(
        &self,
        id: OperationId,
        to: OperationState,
        detail: Option<String>,
        now: Timestamp,
    ) -> Result<Operation> {
        self.writer.write(move |c| Box::pin(operations::transition(c, id, to, detail, now))).await
    }

    async fn set_progress(&self, id: OperationId, progress: Progress) -> Result<()> {
        self.writer.write(move |c| Box::pin(operations::set_progress(c, id, progress))).await
    }

    async fn add_result(&self, id: OperationId, result: BTreeMap<String, String>) -> Result<()> {
        self.writer.write(move |c| Box::pin(operations::add_result(c, id, result))).await
    }

    async fn cancel(
        &self,
        id: OperationId,
        detail: String,
        ticket: Ticket,
        now: Timestamp,
    ) -> Result<(Operation, Option<Operation>)> {
        self.writer.write(move |c| Box::pin(operations::cancel(c, id, detail, ticket, now))).await
    }

    async fn operation(&self, id: OperationId) -> Result<Option<Operation>> {
        operations::one(&self.readers, id).await
    }

    async fn operations(
        &self,
        tid: &TerminalId,
        after: Option<OperationId>,
        limit: u32,
    ) -> Result<Vec<Operation>> {
        operations::page(&self.readers, tid, after, limit).await
    }

    async fn open_operations(&self, tid: &TerminalId) -> Result<Vec<Operation>> {
        operations::open(&self.readers, tid).await
    }

    async fn open_operations_count(&self) -> Result<u64> {
        operations::count_open(&self.readers).await
    }

    async fn expire_operations(&self, now: Timestamp) -> Result<u64> {
        self.writer.write(move |c| Box::pin(operations::expire(c, now))).await
    }

    async fn credential(&self, tid: &TerminalId, role: &Role) -> Result<Option<Credential>> {
        credentials::one(&self.readers, tid, role).await
    }

    async fn credentials(&self, tid: &TerminalId) -> Result<Vec<Credential>> {
        credentials::all(&self.readers, tid).await
    }

    async fn set_pending_phase(
        &self,
        tid: &TerminalId,
        role: &Role,
        generation: u32,
        phase: RotationPhase,
        _now: Timestamp,
    ) -> Result<Credential> {
        let (tid, role) = (tid.clone(), role.clone());
        self.writer
            .write(move |c| Box::pin(credentials::set_pending_phase(c, tid, role, generation, phase)))
            .await
    }

    async fn confirm_rotation(
        &self,
        tid: &TerminalId,
        role: &Role,
        generation: u32,
        now: Timestamp,
    ) -> Result<Credential> {
        let (tid, role) = (tid.clone(), role.clone());
        self.writer
            .write(move |c| Box::pin(credentials::confirm_rotation(c, tid, role, generation, now)))
            .await
    }

    async fn abandon_rotation(
        &self,
        tid: &TerminalId,
        role: &Role,
        generation: u32,
        now: Timestamp,
    ) -> Result<Credential> {
        let (tid, role) = (tid.clone(), role.clone());
        self.writer
            .write(move |c| Box::pin(credentials::abandon_rotation(c, tid, role, generation, now)))
            .await
    }

    async fn add_firmware(&self, firmware: FirmwareRecord) -> Result<()> {
        self.writer.write(move |c| Box::pin(artifacts::add_firmware(c, firmware))).await
    }

    async fn firmware(&self, id: &FirmwareId) -> Result<Option<FirmwareRecord>> {
        artifacts::firmware(&self.readers, id).await
    }

    async fn firmwares(&self) -> Result<Vec<FirmwareRecord>> {
        artifacts::firmwares(&self.readers).await
    }

    async fn add_log_bundle(&self, bundle: LogBundle) -> Result<()> {
        self.writer.write(move |c| Box::pin(artifacts::add_log_bundle(c, bundle))).await
    }

    async fn log_bundles(&self, tid: &TerminalId) -> Result<Vec<LogBundle>> {
        artifacts::log_bundles(&self.readers, tid).await
    }

    async fn log_bundle(&self, operation: OperationId) -> Result<Option<LogBundle>> {
        artifacts::log_bundle(&self.readers, operation).await
    }

    async fn add_alarm(&self, alarm: Alarm) -> Result<bool> {
        self.writer.write(move |c| Box::pin(alarms::add(c, alarm))).await
    }

    async fn alarms(&self, tid: Option<&TerminalId>, after: Option<u64>, limit: u32) -> Result<Vec<Alarm>> {
        alarms::page(&self.readers, tid, after, limit).await
    }

    async fn put_set(
        &self,
        name: SetName,
        content: String,
        expected: Option<u64>,
        now: Timestamp,
    ) -> Result<u64> {
        self.writer.write(move |c| Box::pin(documents::put_set(c, name, content, expected, now))).await
    }

    async fn set(&self, name: SetName) -> Result<Option<EstateSet>> {
        documents::set(&self.readers, name).await
    }

    async fn sets(&self) -> Result<Vec<EstateSet>> {
        documents::sets(&self.readers).await
    }

    async fn put_document(&self, tid: &TerminalId, name: &str, content: String) -> Result<()> {
        let (tid, name) = (tid.clone(), name.to_owned());
        self.writer.write(move |c| Box::pin(documents::put(c, tid, name, content))).await
    }

    async fn document(&self, tid: &TerminalId, name: &str) -> Result<Option<String>> {
        documents::one(&self.readers, tid, name).await
    }

    async fn set_admin_password(
        &self,
        user: &str,
        role: UserRole,
        password_hash: &str,
        one_time: bool,
    ) -> Result<()> {
        let (user, password_hash) = (user.to_owned(), password_hash.to_owned());
        self.writer
            .write(move |c| {
                Box::pin(async move { people::set_password(c, &user, role, &password_hash, one_time).await })
            })
            .await
    }

    async fn admin(&self, user: &str) -> Result<Option<Admin>> {
        people::admin(&self.readers, user).await
    }

    async fn consume_one_time(&self, user: &str) -> Result<bool> {
        let user = user.to_owned();
        self.writer.write(move |c| Box::pin(async move { people::consume_one_time(c, &user).await })).await
    }

    async fn add_token(&self, sha256: &str, user: &str, expires_at: Timestamp, now: Timestamp) -> Result<()> {
        let (sha256, user) = (sha256.to_owned(), user.to_owned());
        self.writer
            .write(move |c| {
                Box::pin(async move { people::add_token(c, &sha256, &user, expires_at, now).await })
            })
            .await
    }

    async fn token(&self, sha256: &str, now: Timestamp) -> Result<Option<Token>> {
        people::token(&self.readers, sha256, now).await
    }

    async fn begin_request(
        &self,
        caller: &str,
        key: &str,
        fingerprint: &str,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<Begun> {
        let (caller, key, fingerprint) = (caller.to_owned(), key.to_owned(), fingerprint.to_owned());
        self.writer.write(move |c| Box::pin(requests::begin(c, caller, key, fingerprint, since, now))).await
    }

    async fn finish_request(&self, caller: &str, key: &str, answer: Vec<u8>) -> Result<()> {
        let (caller, key) = (caller.to_owned(), key.to_owned());
        self.writer.write(move |c| Box::pin(requests::finish(c, caller, key, answer))).await
    }

    async fn forget_request(&self, caller: &str, key: &str) -> Result<()> {
        let (caller, key) = (caller.to_owned(), key.to_owned());
        self.writer.write(move |c| Box::pin(requests::forget(c, caller, key))).await
    }

    async fn add_webhook(&self, webhook: Webhook) -> Result<()> {
        self.writer.write(move |c| Box::pin(webhooks::add(c, webhook))).await
    }

    async fn change_webhook(
        &self,
        id: WebhookId,
        url: String,
        kinds: Vec<String>,
        enabled: bool,
    ) -> Result<Webhook> {
        self.writer.write(move |c| Box::pin(webhooks::change(c, id, url, kinds, enabled))).await
    }

    async fn remove_webhook(&self, id: WebhookId) -> Result<()> {
        self.writer.write(move |c| Box::pin(webhooks::remove(c, id))).await
    }

    async fn webhook(&self, id: WebhookId) -> Result<Option<Webhook>> {
        webhooks::one(&self.readers, id).await
    }

    async fn webhooks(&self) -> Result<Vec<Webhook>> {
        webhooks::all(&self.readers).await
    }

    async fn add_deliveries(&self, deliveries: Vec<Delivery>) -> Result<()> {
        self.writer.write(move |c| Box::pin(webhooks::add_deliveries(c, deliveries))).await
    }

    async fn due_deliveries(&self, now: Timestamp, limit: u32) -> Result<Vec<Delivery>> {
        webhooks::due(&self.readers, now, limit).await
    }

    async fn record_attempt(
        &self,
        id: DeliveryId,
        state: DeliveryState,
        due_at: Timestamp,
        detail: Option<String>,
    ) -> Result<()> {
        self.writer.write(move |c| Box::pin(webhooks::record_attempt(c, id, state, due_at, detail))).await
    }

    async fn replay_delivery(&self, webhook: WebhookId, id: DeliveryId, now: Timestamp) -> Result<Delivery> {
        self.writer.write(move |c| Box::pin(webhooks::replay(c, webhook, id, now))).await
    }

    async fn deliveries(
        &self,
        webhook: WebhookId,
        after: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Vec<Delivery>> {
        webhooks::page(&self.readers, webhook, after, limit).await
    }

    async fn forget_deliveries(&self, before: Timestamp) -> Result<u64> {
        self.writer.write(move |c| Box::pin(webhooks::forget(c, before))).await
    }

    async fn check(&self) -> Result<()> {
        sqlx::query("SELECT 1").execute(&self.readers).await.map_err(sql)?;
        // An empty transaction still takes the write lock.
        self.writer.write(|_| Box::pin(async { Ok(()) })).await
    }

    async fn close(&self) {
        // The writer last: the last connection to leave moves the log into the database file.
        self.readers.close().await;
        self.writer.close().await;
    }
}

//! The trait, told as who reads and who writes; the statements are in the modules beside this one.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use tms_core::{
    Alarm, Attempt, BatchId, Credential, EstateSet, FirmwareId, FirmwareRecord, Group, GroupId, LogBundle,
    NewOperation, Operation, OperationId, OperationState, Outcome, Progress, Reported, Role, Rollout,
    RolloutId, RolloutTarget, RotationPhase, Selector, SetName, TemplateName, Terminal, TerminalId, UserRole,
    configuration::{Revision, Scope},
    rollout::{Tally, TargetState},
    selector::SavedSelector,
};

use super::{
    Backend, alarms, artifacts, configuration, credentials, documents, duties, groups, operations, people,
    places, requests, rollouts, sql, terminals,
};
use crate::estate::{BulkChange, ConfigurationInputs, ImportRow, Imported, TerminalChange};
use crate::queue::Key;
use crate::store::{Admin, Begun, InitialCredential, ParameterChange, Result, Store, Ticket, Token};
use crate::work::{DesiredParameters, ParametersApplied, StartedTarget, TargetFilter, Watched};

/// What changes many terminals at once takes a while; heartbeats of many do not wait behind it.
const BULK: &str = "bulk";

/// Each that begins sweeps out old ones of everybody: one after the other, they do not wait for each other's locks.
const REQUESTS: &str = "requests";

#[async_trait]
impl Store for Backend {
    async fn enrol(&self, terminal: Terminal, credentials: Vec<InitialCredential>) -> Result<()> {
        let key = Key::from(&terminal.id);
        self.writer
            .write(key, (terminal, credentials), |c, (terminal, credentials)| {
                Box::pin(terminals::enrol(c, terminal, credentials))
            })
            .await
    }

    async fn terminal(&self, tid: &TerminalId) -> Result<Option<Terminal>> {
        terminals::one(&self.readers, tid).await
    }

    async fn terminals(&self, after: Option<&TerminalId>, limit: u32) -> Result<Vec<Terminal>> {
        terminals::page(&self.readers, after, limit).await
    }

    async fn find(
        &self,
        selector: &Selector,
        after: Option<&TerminalId>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Terminal>> {
        terminals::find(&self.readers, selector, after, limit, now).await
    }

    async fn count(&self, selector: &Selector, now: Timestamp) -> Result<u64> {
        terminals::count_selected(&self.readers, selector, now).await
    }

    async fn ids(&self, selector: &Selector, now: Timestamp) -> Result<Vec<TerminalId>> {
        terminals::ids(&self.readers, selector, now).await
    }

    async fn change_terminal(
        &self,
        tid: &TerminalId,
        change: TerminalChange,
        version: Option<u64>,
    ) -> Result<Terminal> {
        let input = (tid.clone(), change, version);
        self.writer
            .write(tid, input, |c, (tid, change, version)| Box::pin(places::change(c, tid, change, *version)))
            .await
    }

    async fn change_terminals(
        &self,
        selector: &Selector,
        change: TerminalChange,
        now: Timestamp,
    ) -> Result<BulkChange> {
        let input = (selector.clone(), change, now);
        self.writer
            .write(BULK, input, |c, (selector, change, now)| {
                Box::pin(places::change_selected(c, selector, change, *now))
            })
            .await
    }

    async fn import_terminals(
        &self,
        rows: Vec<ImportRow>,
        dry_run: bool,
        now: Timestamp,
    ) -> Result<Imported> {
        let input = (rows, dry_run, now);
        self.writer
            .write(BULK, input, |c, (rows, dry_run, now)| Box::pin(places::import(c, rows, *dry_run, *now)))
            .await
    }

    async fn replace_terminal(
        &self,
        old: &TerminalId,
        new: &TerminalId,
        now: Timestamp,
    ) -> Result<(Terminal, Terminal)> {
        let input = (old.clone(), new.clone(), now);
        self.writer
            .write(BULK, input, |c, (old, new, now)| Box::pin(places::replace(c, old, new, *now)))
            .await
    }

    async fn groups(&self) -> Result<Vec<Group>> {
        groups::all(&self.readers).await
    }

    async fn group(&self, id: &GroupId) -> Result<Option<Group>> {
        groups::one(&self.readers, id).await
    }

    async fn put_group(&self, group: Group, version: Option<u64>) -> Result<Group> {
        self.writer
            .write("groups", (group, version), |c, (group, version)| {
                Box::pin(groups::put(c, group, *version))
            })
            .await
    }

    async fn delete_group(&self, id: &GroupId, version: Option<u64>) -> Result<()> {
        let input = (id.clone(), version);
        self.writer.write("groups", input, |c, (id, version)| Box::pin(groups::delete(c, id, *version))).await
    }

    async fn selectors(&self) -> Result<Vec<SavedSelector>> {
        groups::selectors(&self.readers).await
    }

    async fn selector(&self, name: &TemplateName) -> Result<Option<SavedSelector>> {
        groups::selector(&self.readers, name).await
    }

    async fn put_selector(&self, selector: SavedSelector, version: Option<u64>) -> Result<SavedSelector> {
        let input = (selector, version);
        self.writer
            .write("selectors", input, |c, (saved, version)| {
                Box::pin(groups::put_selector(c, saved, *version))
            })
            .await
    }

    async fn delete_selector(&self, name: &TemplateName, version: Option<u64>) -> Result<()> {
        let input = (name.clone(), version);
        self.writer
            .write("selectors", input, |c, (name, version)| {
                Box::pin(groups::delete_selector(c, name, *version))
            })
            .await
    }

    async fn add_revision(&self, revision: Revision) -> Result<Revision> {
        let key = Key::from(revision.scope.to_string().as_str());
        self.writer.write(key, revision, |c, revision| Box::pin(configuration::add(c, revision))).await
    }

    async fn revision(&self, scope: &Scope, number: Option<u64>) -> Result<Option<Revision>> {
        configuration::one(&self.readers, scope, number).await
    }

    async fn revisions(&self, scope: &Scope, before: Option<u64>, limit: u32) -> Result<Vec<Revision>> {
        configuration::page(&self.readers, scope, before, limit).await
    }

    async fn templates(&self) -> Result<Vec<Revision>> {
        configuration::templates(&self.readers).await
    }

    async fn configuration(&self, tids: &[TerminalId]) -> Result<ConfigurationInputs> {
        let mut c = self.readers.acquire().await.map_err(sql)?;
        configuration::inputs(&mut c, tids).await
    }

    async fn apply_parameters(
        &self,
        wanted: Vec<DesiredParameters>,
        now: Timestamp,
    ) -> Result<Vec<ParametersApplied>> {
        self.writer
            .write(BULK, (wanted, now), |c, (wanted, now)| {
                Box::pin(operations::apply_parameters(c, wanted, *now))
            })
            .await
    }

    async fn count_terminals(&self) -> Result<u64> {
        terminals::count(&self.readers).await
    }

    async fn terminal_by_certificate(&self, sha256: &str) -> Result<Option<Terminal>> {
        terminals::by_certificate(&self.readers, sha256).await
    }

    async fn record_report(&self, tid: &TerminalId, report: Reported, now: Timestamp) -> Result<()> {
        let input = (tid.clone(), report, now);
        self.writer
            .write(tid, input, |c, (tid, report, now)| {
                Box::pin(terminals::record_report(c, tid, report, *now))
            })
            .await
    }

    async fn record_contacts(&self, contacts: &[(TerminalId, Timestamp)]) -> Result<()> {
        self.writer
            .write(Key::Many, contacts.to_vec(), |c, contacts| {
                Box::pin(terminals::record_contacts(c, contacts))
            })
            .await
    }

    async fn set_desired_parameters(
        &self,
        tid: &TerminalId,
        change: ParameterChange,
        ticket: Ticket,
        now: Timestamp,
    ) -> Result<(u64, Operation)> {
        let input = (tid.clone(), change, ticket, now);
        self.writer
            .write(tid, input, |c, (tid, change, ticket, now)| {
                Box::pin(operations::set_desired_parameters(c, tid, change, *ticket, *now))
            })
            .await
    }

    async fn raise_parameters(&self, tid: &TerminalId, above: u64) -> Result<u64> {
        self.writer
            .write(tid, (tid.clone(), above), |c, (tid, above)| {
                Box::pin(operations::raise_parameters(c, tid, *above))
            })
            .await
    }

    async fn assign_firmware(
        &self,
        tid: &TerminalId,
        firmware: &FirmwareId,
        ticket: Ticket,
        now: Timestamp,
    ) -> Result<Operation> {
        let input = (tid.clone(), firmware.clone(), ticket, now);
        self.writer
            .write(tid, input, |c, (tid, firmware, ticket, now)| {
                Box::pin(operations::assign_firmware(c, tid, firmware, *ticket, *now))
            })
            .await
    }

    async fn begin_rotation(
        &self,
        tid: &TerminalId,
        role: &Role,
        sealed: Vec<u8>,
        ticket: Ticket,
        now: Timestamp,
    ) -> Result<Operation> {
        let input = (tid.clone(), role.clone(), sealed, ticket, now);
        self.writer
            .write(tid, input, |c, (tid, role, sealed, ticket, now)| {
                Box::pin(credentials::begin_rotation(c, tid, role, sealed, *ticket, *now))
            })
            .await
    }

    async fn enqueue(&self, operation: NewOperation, now: Timestamp) -> Result<Operation> {
        let key = Key::from(&operation.terminal);
        self.writer
            .write(key, (operation, now), |c, (operation, now)| {
                Box::pin(operations::enqueue(c, operation, *now))
            })
            .await
    }

    async fn enqueue_many(&self, operations: Vec<NewOperation>, now: Timestamp) -> Result<()> {
        self.writer
            .write(BULK, (operations, now), |c, (operations, now)| {
                Box::pin(operations::enqueue_many(c, operations, *now))
            })
            .await
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
        let input = (tid.clone(), holder.to_owned(), until, now);
        self.writer
            .write(tid, input, |c, (tid, holder, until, now)| {
                Box::pin(operations::lease_next(c, tid, holder, *until, *now))
            })
            .await
    }

    async fn extend_lease(&self, id: OperationId, holder: &str, until: Timestamp) -> Result<()> {
        let input = (id, holder.to_owned(), until);
        self.writer
            .write(id, input, |c, (id, holder, until)| {
                Box::pin(operations::extend_lease(c, *id, holder, *until))
            })
            .await
    }

    async fn release_lease(&self, id: OperationId, holder: &str) -> Result<()> {
        let input = (id, holder.to_owned());
        self.writer
            .write(id, input, |c, (id, holder)| Box::pin(operations::release_lease(c, *id, holder)))
            .await
    }

    async fn release_leases(&self, holder: &str) -> Result<u64> {
        let input = holder.to_owned();
        self.writer.write(Key::Many, input, |c, holder| Box::pin(operations::release_leases(c, holder))).await
    }

    async fn release_all_leases(&self) -> Result<u64> {
        self.writer.write(Key::Many, (), |c, ()| Box::pin(operations::release_all_leases(c))).await
    }

    async fn transition(
        &self,
        id: OperationId,
        to: OperationState,
        detail: Option<String>,
        now: Timestamp,
    ) -> Result<Operation> {
        let input = (id, to, detail, now);
        self.writer
            .write(id, input, |c, (id, to, detail, now)| {
                Box::pin(operations::transition(c, *id, *to, detail, *now))
            })
            .await
    }

    async fn end_attempt(
        &self,
        id: OperationId,
        outcome: Outcome,
        detail: Option<String>,
        again_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Operation> {
        let input = (id, outcome, detail, again_at, now);
        self.writer
            .write(id, input, |c, (id, outcome, detail, again_at, now)| {
                Box::pin(operations::end_attempt(c, *id, *outcome, detail, *again_at, *now))
            })
            .await
    }

    async fn attempts(&self, id: OperationId) -> Result<Vec<Attempt>> {
        operations::attempts(&self.readers, id).await
    }

    async fn record_settlement(&self, tid: &TerminalId, at: Timestamp) -> Result<u64> {
        let input = (tid.clone(), at);
        self.writer.write(tid, input, |c, (tid, at)| Box::pin(operations::settled(c, tid, *at))).await
    }

    async fn due(&self, after: Timestamp, until: Timestamp, limit: u32) -> Result<Vec<TerminalId>> {
        operations::due(&self.readers, after, until, limit).await
    }

    async fn set_progress(&self, id: OperationId, progress: Progress) -> Result<()> {
        let input = (id, progress);
        self.writer
            .write(id, input, |c, (id, progress)| Box::pin(operations::set_progress(c, *id, *progress)))
            .await
    }

    async fn add_result(&self, id: OperationId, result: BTreeMap<String, String>) -> Result<()> {
        let input = (id, result);
        self.writer.write(id, input, |c, (id, result)| Box::pin(operations::add_result(c, *id, result))).await
    }

    async fn cancel(
        &self,
        id: OperationId,
        detail: String,
        ticket: Ticket,
        now: Timestamp,
    ) -> Result<(Operation, Option<Operation>)> {
        let input = (id, detail, ticket, now);
        self.writer
            .write(id, input, |c, (id, detail, ticket, now)| {
                Box::pin(operations::cancel(c, *id, detail, *ticket, *now))
            })
            .await
    }

    async fn cancel_many(
        &self,
        which: Vec<(OperationId, Ticket)>,
        detail: String,
        now: Timestamp,
    ) -> Result<Vec<(Operation, Option<Operation>)>> {
        let input = (which, detail, now);
        self.writer
            .write(BULK, input, |c, (which, detail, now)| {
                Box::pin(operations::cancel_many(c, which, detail, *now))
            })
            .await
    }

    async fn batch(&self, batch: &BatchId, after: Option<OperationId>, limit: u32) -> Result<Vec<Operation>> {
        operations::of_batch(&self.readers, batch, after, limit).await
    }

    async fn batch_counts(&self, batch: &BatchId) -> Result<Vec<(OperationState, u64)>> {
        operations::batch_counts(&self.readers, batch).await
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
        self.writer.write(Key::Many, now, |c, now| Box::pin(operations::expire(c, *now))).await
    }

    async fn add_rollout(&self, rollout: Rollout) -> Result<Rollout> {
        let key = Key::from(rollout.id.as_str());
        self.writer.write(key, rollout, |c, rollout| Box::pin(rollouts::add(c, rollout))).await
    }

    async fn rollout(&self, id: &RolloutId) -> Result<Option<Rollout>> {
        rollouts::one(&self.readers, id).await
    }

    async fn rollouts(
        &self,
        only_under_way: bool,
        after: Option<&RolloutId>,
        limit: u32,
    ) -> Result<Vec<Rollout>> {
        rollouts::page(&self.readers, only_under_way, after, limit).await
    }

    async fn put_rollout(&self, rollout: Rollout) -> Result<()> {
        let key = Key::from(rollout.id.as_str());
        self.writer.write(key, rollout, |c, rollout| Box::pin(rollouts::put(c, rollout))).await
    }

    async fn start_rollout(&self, rollout: Rollout, now: Timestamp) -> Result<u64> {
        self.writer
            .write(BULK, (rollout, now), |c, (rollout, now)| Box::pin(rollouts::start(c, rollout, *now)))
            .await
    }

    async fn start_targets(
        &self,
        rollout: Rollout,
        started: Vec<StartedTarget>,
        now: Timestamp,
    ) -> Result<()> {
        let input = (rollout, started, now);
        self.writer
            .write(BULK, input, |c, (rollout, started, now)| {
                Box::pin(rollouts::start_targets(c, rollout, started, *now))
            })
            .await
    }

    async fn skip_waiting(&self, rollout: Rollout, reason: String) -> Result<u64> {
        self.writer
            .write(BULK, (rollout, reason), |c, (rollout, reason)| {
                Box::pin(rollouts::skip_waiting(c, rollout, reason))
            })
            .await
    }

    async fn move_targets(&self, id: &RolloutId, moves: Vec<(TargetState, RolloutTarget)>) -> Result<u64> {
        let input = (id.clone(), moves);
        self.writer.write(BULK, input, |c, (id, moves)| Box::pin(rollouts::move_targets(c, id, moves))).await
    }

    async fn rollout_tally(&self, id: &RolloutId, now: Timestamp) -> Result<Option<(Rollout, Tally)>> {
        let mut c = self.readers.acquire().await.map_err(sql)?;
        rollouts::tally(&mut c, id, now).await
    }

    async fn targets(
        &self,
        id: &RolloutId,
        filter: TargetFilter,
        after: Option<&TerminalId>,
        limit: u32,
    ) -> Result<Vec<RolloutTarget>> {
        rollouts::targets(&self.readers, id, filter, after, limit).await
    }

    async fn target_of(&self, operation: OperationId) -> Result<Option<(RolloutId, RolloutTarget)>> {
        rollouts::of_operation(&self.readers, operation).await
    }

    async fn watched(
        &self,
        id: &RolloutId,
        all_soaking: bool,
        after: Option<&TerminalId>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Watched>> {
        let mut c = self.readers.acquire().await.map_err(sql)?;
        rollouts::watched(&mut c, id, all_soaking, after, limit, now).await
    }

    async fn take_duty(&self, duty: &str, holder: &str, until: Timestamp, now: Timestamp) -> Result<bool> {
        let input = (duty.to_owned(), holder.to_owned(), until, now);
        self.writer
            .write(duty, input, |c, (duty, holder, until, now)| {
                Box::pin(duties::take(c, duty, holder, *until, *now))
            })
            .await
    }

    async fn leave_duty(&self, duty: &str, holder: &str) -> Result<()> {
        let input = (duty.to_owned(), holder.to_owned());
        self.writer.write(duty, input, |c, (duty, holder)| Box::pin(duties::leave(c, duty, holder))).await
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
        let input = (tid.clone(), role.clone(), generation, phase);
        self.writer
            .write(tid, input, |c, (tid, role, generation, phase)| {
                Box::pin(credentials::set_pending_phase(c, tid, role, *generation, *phase))
            })
            .await
    }

    async fn confirm_rotation(
        &self,
        tid: &TerminalId,
        role: &Role,
        generation: u32,
        now: Timestamp,
    ) -> Result<Credential> {
        let input = (tid.clone(), role.clone(), generation, now);
        self.writer
            .write(tid, input, |c, (tid, role, generation, now)| {
                Box::pin(credentials::confirm_rotation(c, tid, role, *generation, *now))
            })
            .await
    }

    async fn abandon_rotation(
        &self,
        tid: &TerminalId,
        role: &Role,
        generation: u32,
        now: Timestamp,
    ) -> Result<Credential> {
        let input = (tid.clone(), role.clone(), generation, now);
        self.writer
            .write(tid, input, |c, (tid, role, generation, now)| {
                Box::pin(credentials::abandon_rotation(c, tid, role, *generation, *now))
            })
            .await
    }

    async fn add_firmware(&self, firmware: FirmwareRecord) -> Result<()> {
        let key = Key::from(firmware.id.as_str());
        self.writer.write(key, firmware, |c, firmware| Box::pin(artifacts::add_firmware(c, firmware))).await
    }

    async fn firmware(&self, id: &FirmwareId) -> Result<Option<FirmwareRecord>> {
        artifacts::firmware(&self.readers, id).await
    }

    async fn firmwares(&self) -> Result<Vec<FirmwareRecord>> {
        artifacts::firmwares(&self.readers).await
    }

    async fn add_log_bundle(&self, bundle: LogBundle) -> Result<()> {
        self.writer
            .write(bundle.operation, bundle, |c, bundle| Box::pin(artifacts::add_log_bundle(c, bundle)))
            .await
    }

    async fn log_bundles(&self, tid: &TerminalId) -> Result<Vec<LogBundle>> {
        artifacts::log_bundles(&self.readers, tid).await
    }

    async fn log_bundle(&self, operation: OperationId) -> Result<Option<LogBundle>> {
        artifacts::log_bundle(&self.readers, operation).await
    }

    async fn add_alarm(&self, alarm: Alarm) -> Result<bool> {
        let key = Key::from(&alarm.terminal);
        self.writer.write(key, alarm, |c, alarm| Box::pin(alarms::add(c, alarm))).await
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
        let input = (name, content, expected, now);
        self.writer
            .write(name.name(), input, |c, (name, content, expected, now)| {
                Box::pin(documents::put_set(c, *name, content, *expected, *now))
            })
            .await
    }

    async fn set(&self, name: SetName) -> Result<Option<EstateSet>> {
        documents::set(&self.readers, name).await
    }

    async fn sets(&self) -> Result<Vec<EstateSet>> {
        documents::sets(&self.readers).await
    }

    async fn put_document(&self, tid: &TerminalId, name: &str, content: String) -> Result<()> {
        let input = (tid.clone(), name.to_owned(), content);
        self.writer
            .write(tid, input, |c, (tid, name, content)| Box::pin(documents::put(c, tid, name, content)))
            .await
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
        let input = (user.to_owned(), role, password_hash.to_owned(), one_time);
        self.writer
            .write(user, input, |c, (user, role, password_hash, one_time)| {
                Box::pin(people::set_password(c, user, *role, password_hash, *one_time))
            })
            .await
    }

    async fn admin(&self, user: &str) -> Result<Option<Admin>> {
        people::admin(&self.readers, user).await
    }

    async fn consume_one_time(&self, user: &str) -> Result<bool> {
        let input = user.to_owned();
        self.writer.write(user, input, |c, user| Box::pin(people::consume_one_time(c, user))).await
    }

    async fn add_token(&self, sha256: &str, user: &str, expires_at: Timestamp, now: Timestamp) -> Result<()> {
        let input = (sha256.to_owned(), user.to_owned(), expires_at, now);
        self.writer
            .write(user, input, |c, (sha256, user, expires_at, now)| {
                Box::pin(people::add_token(c, sha256, user, *expires_at, *now))
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
        let input = (caller.to_owned(), key.to_owned(), fingerprint.to_owned(), since, now);
        self.writer
            .write(REQUESTS, input, |c, (caller, key, fingerprint, since, now)| {
                Box::pin(requests::begin(c, caller, key, fingerprint, *since, *now))
            })
            .await
    }

    async fn finish_request(&self, caller: &str, key: &str, answer: Vec<u8>) -> Result<()> {
        let input = (caller.to_owned(), key.to_owned(), answer);
        self.writer
            .write(REQUESTS, input, |c, (caller, key, answer)| {
                Box::pin(requests::finish(c, caller, key, answer))
            })
            .await
    }

    async fn forget_request(&self, caller: &str, key: &str) -> Result<()> {
        let input = (caller.to_owned(), key.to_owned());
        self.writer
            .write(REQUESTS, input, |c, (caller, key)| Box::pin(requests::forget(c, caller, key)))
            .await
    }

    async fn check(&self) -> Result<()> {
        sqlx::query("SELECT 1").execute(&self.readers).await.map_err(sql)?;
        // An empty transaction still takes the write lock.
        self.writer.write(Key::Many, (), |_, ()| Box::pin(async { Ok(()) })).await
    }

    async fn close(&self) {
        // The writer last: the last connection to leave moves the log into the database file.
        self.readers.close().await;
        self.writer.close().await;
    }
}

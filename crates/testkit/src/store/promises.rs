//! The trait: each call one step on the contents.

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
use tms_store::{
    Admin, Begun, BulkChange, ConfigurationInputs, DesiredParameters, ImportRow, Imported, InitialCredential,
    ParameterChange, ParametersApplied, Result, StartedTarget, Store, TargetFilter, TerminalChange, Ticket,
    Token, Watched,
};

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

    async fn find(
        &self,
        selector: &Selector,
        after: Option<&TerminalId>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Terminal>> {
        self.call("find", |c| c.find(selector, after, limit, now))
    }

    async fn count(&self, selector: &Selector, now: Timestamp) -> Result<u64> {
        self.call("count", |c| Ok(u64::try_from(c.selected(selector, now)?.len()).unwrap_or(u64::MAX)))
    }

    async fn ids(&self, selector: &Selector, now: Timestamp) -> Result<Vec<TerminalId>> {
        self.call("ids", |c| c.selected(selector, now))
    }

    async fn change_terminal(
        &self,
        tid: &TerminalId,
        change: TerminalChange,
        version: Option<u64>,
    ) -> Result<Terminal> {
        self.call("change_terminal", |c| c.change(tid, &change, version))
    }

    async fn change_terminals(
        &self,
        selector: &Selector,
        change: TerminalChange,
        now: Timestamp,
    ) -> Result<BulkChange> {
        self.call("change_terminals", |c| c.change_selected(selector, &change, now))
    }

    async fn import_terminals(
        &self,
        rows: Vec<ImportRow>,
        dry_run: bool,
        now: Timestamp,
    ) -> Result<Imported> {
        self.call("import_terminals", |c| c.import(&rows, dry_run, now))
    }

    async fn replace_terminal(
        &self,
        old: &TerminalId,
        new: &TerminalId,
        now: Timestamp,
    ) -> Result<(Terminal, Terminal)> {
        self.call("replace_terminal", |c| c.replace_terminal(old, new, now))
    }

    async fn groups(&self) -> Result<Vec<Group>> {
        self.call("groups", |c| Ok(c.groups.values().cloned().collect()))
    }

    async fn group(&self, id: &GroupId) -> Result<Option<Group>> {
        self.call("group", |c| Ok(c.groups.get(id).cloned()))
    }

    async fn put_group(&self, group: Group, version: Option<u64>) -> Result<Group> {
        self.call("put_group", |c| c.put_group(group, version))
    }

    async fn delete_group(&self, id: &GroupId, version: Option<u64>) -> Result<()> {
        self.call("delete_group", |c| c.delete_group(id, version))
    }

    async fn selectors(&self) -> Result<Vec<SavedSelector>> {
        self.call("selectors", |c| Ok(c.selectors.values().cloned().collect()))
    }

    async fn selector(&self, name: &TemplateName) -> Result<Option<SavedSelector>> {
        self.call("selector", |c| Ok(c.selectors.get(name).cloned()))
    }

    async fn put_selector(&self, selector: SavedSelector, version: Option<u64>) -> Result<SavedSelector> {
        self.call("put_selector", |c| c.put_selector(selector, version))
    }

    async fn delete_selector(&self, name: &TemplateName, version: Option<u64>) -> Result<()> {
        self.call("delete_selector", |c| c.delete_selector(name, version))
    }

    async fn add_revision(&self, revision: Revision) -> Result<Revision> {
        self.call("add_revision", |c| c.add_revision(revision))
    }

    async fn revision(&self, scope: &Scope, number: Option<u64>) -> Result<Option<Revision>> {
        self.call("revision", |c| Ok(c.revision(scope, number)))
    }

    async fn revisions(&self, scope: &Scope, before: Option<u64>, limit: u32) -> Result<Vec<Revision>> {
        self.call("revisions", |c| Ok(c.revision_page(scope, before, limit)))
    }

    async fn templates(&self) -> Result<Vec<Revision>> {
        self.call("templates", |c| Ok(c.templates()))
    }

    async fn configuration(&self, tids: &[TerminalId]) -> Result<ConfigurationInputs> {
        self.call("configuration", |c| c.configuration(tids))
    }

    async fn apply_parameters(
        &self,
        wanted: Vec<DesiredParameters>,
        now: Timestamp,
    ) -> Result<Vec<ParametersApplied>> {
        self.call("apply_parameters", |c| c.apply_parameters(&wanted, now))
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

    async fn raise_parameters(&self, tid: &TerminalId, above: u64) -> Result<u64> {
        self.call("raise_parameters", |c| c.raise_parameters(tid, above))
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

    async fn enqueue_many(&self, operations: Vec<NewOperation>, now: Timestamp) -> Result<()> {
        self.call("enqueue_many", |c| c.enqueue_many(operations, now))
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

    async fn end_attempt(
        &self,
        id: OperationId,
        outcome: Outcome,
        detail: Option<String>,
        again_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Operation> {
        self.call("end_attempt", |c| c.end_attempt(id, outcome, detail, again_at, now))
    }

    async fn attempts(&self, id: OperationId) -> Result<Vec<Attempt>> {
        self.call("attempts", |c| c.attempts(id))
    }

    async fn record_settlement(&self, tid: &TerminalId, at: Timestamp) -> Result<u64> {
        self.call("record_settlement", |c| c.record_settlement(tid, at))
    }

    async fn due(&self, after: Timestamp, until: Timestamp, limit: u32) -> Result<Vec<TerminalId>> {
        self.call("due", |c| Ok(c.due(after, until, limit)))
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

    async fn cancel_many(
        &self,
        which: Vec<(OperationId, Ticket)>,
        detail: String,
        now: Timestamp,
    ) -> Result<Vec<(Operation, Option<Operation>)>> {
        self.call("cancel_many", |c| c.cancel_many(&which, &detail, now))
    }

    async fn batch(&self, batch: &BatchId, after: Option<OperationId>, limit: u32) -> Result<Vec<Operation>> {
        self.call("batch", |c| Ok(c.of_batch(batch, after, limit)))
    }

    async fn batch_counts(&self, batch: &BatchId) -> Result<Vec<(OperationState, u64)>> {
        self.call("batch_counts", |c| Ok(c.batch_counts(batch)))
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

    async fn add_rollout(&self, rollout: Rollout) -> Result<Rollout> {
        self.call("add_rollout", |c| c.add_rollout(rollout))
    }

    async fn rollout(&self, id: &RolloutId) -> Result<Option<Rollout>> {
        self.call("rollout", |c| Ok(c.rollouts.get(id).cloned()))
    }

    async fn rollouts(
        &self,
        only_under_way: bool,
        after: Option<&RolloutId>,
        limit: u32,
    ) -> Result<Vec<Rollout>> {
        self.call("rollouts", |c| Ok(c.rollout_page(only_under_way, after, limit)))
    }

    async fn put_rollout(&self, rollout: Rollout) -> Result<()> {
        self.call("put_rollout", |c| c.put_rollout(&rollout))
    }

    async fn start_rollout(&self, rollout: Rollout, now: Timestamp) -> Result<u64> {
        self.call("start_rollout", |c| c.start_rollout(&rollout, now))
    }

    async fn start_targets(
        &self,
        rollout: Rollout,
        started: Vec<StartedTarget>,
        now: Timestamp,
    ) -> Result<()> {
        self.call("start_targets", |c| c.start_targets(&rollout, &started, now))
    }

    async fn skip_waiting(&self, rollout: Rollout, reason: String) -> Result<u64> {
        self.call("skip_waiting", |c| c.skip_waiting(&rollout, &reason))
    }

    async fn move_targets(&self, id: &RolloutId, moves: Vec<(TargetState, RolloutTarget)>) -> Result<u64> {
        self.call("move_targets", |c| c.move_targets(id, &moves))
    }

    async fn rollout_tally(&self, id: &RolloutId, now: Timestamp) -> Result<Option<(Rollout, Tally)>> {
        self.call("rollout_tally", |c| Ok(c.tally(id, now)))
    }

    async fn targets(
        &self,
        id: &RolloutId,
        filter: TargetFilter,
        after: Option<&TerminalId>,
        limit: u32,
    ) -> Result<Vec<RolloutTarget>> {
        self.call("targets", |c| Ok(c.target_page(id, filter, after, limit)))
    }

    async fn target_of(&self, operation: OperationId) -> Result<Option<(RolloutId, RolloutTarget)>> {
        self.call("target_of", |c| Ok(c.target_of(operation)))
    }

    async fn watched(
        &self,
        id: &RolloutId,
        all_soaking: bool,
        after: Option<&TerminalId>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Watched>> {
        self.call("watched", |c| Ok(c.watched(id, all_soaking, after, limit, now)))
    }

    async fn take_duty(&self, duty: &str, holder: &str, until: Timestamp, now: Timestamp) -> Result<bool> {
        self.call("take_duty", |c| Ok(c.take_duty(duty, holder, until, now)))
    }

    async fn leave_duty(&self, duty: &str, holder: &str) -> Result<()> {
        self.call("leave_duty", |c| {
            c.leave_duty(duty, holder);
            Ok(())
        })
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

    async fn check(&self) -> Result<()> {
        self.call("check", |_| Ok(()))
    }

    async fn close(&self) {
        self.lock().closed = true;
    }
}

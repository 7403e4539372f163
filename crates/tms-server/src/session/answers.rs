//! What the estate answers to each request of an enrolled terminal. Whatever an answer promises
//! is durable before it is given.

use std::collections::BTreeMap;

use tms_core::{
    DeviceState, Health, NewOperation, OperationId, OperationKind, OperationState, Reported, TerminalId,
    reconcile,
};
use tms_crypto::keyblock::{KeyBlockForm, WorkingKeys};
use tms_proto::{
    Answer, Exchange, Function, HostEvent, Refusal,
    file::BlockRequest,
    parameters::Values,
    report::{Details, Report},
    task::TaskResult,
    upload::Chunk,
};
use tracing::{debug, info};

use super::{
    Ended, Session,
    images::{self, ReadError, image_file},
    logs::Sent,
    seconds_between,
    work::Exchanged,
};
use crate::{events::EventKind, secret::unseal_tmk, service::configuration};

/// Finished operations that a reconciliation looks back on.
const RECENT_OPERATIONS: u32 = 20;
/// Time in which the same thing is not done over and over for a terminal that says it is done and
/// reports that it is not.
const TO_NO_AVAIL_S: u64 = 3600;

impl Session {
    pub(super) async fn answer_event(
        &mut self,
        terminal: &TerminalId,
        event: HostEvent,
    ) -> Result<(), Ended> {
        match event {
            HostEvent::SignOn { exchange, .. } => self.sign_on(terminal, exchange).await,
            HostEvent::SignOff { exchange } => self.approve(exchange),
            HostEvent::KeysTaken { shown } => self.keys_taken(shown).await,
            HostEvent::KeysRefused { refusal } => self.keys_refused(refusal).await,
            HostEvent::KeysRequested { exchange } => self.new_keys(terminal, exchange).await,
            HostEvent::Status { exchange, values } => {
                self.status(terminal, exchange, values.to_values()).await
            }
            HostEvent::Report { exchange, report } => self.report(terminal, exchange, *report).await,
            HostEvent::ParametersRequested { exchange } => self.parameters(terminal, exchange).await,
            HostEvent::FileRead { exchange, request } => self.file_read(terminal, exchange, request).await,
            HostEvent::TaskPoll { exchange } => self.task_poll(exchange).await,
            HostEvent::TaskResult { exchange, result } => self.task_result(terminal, exchange, result).await,
            HostEvent::LogChunk { exchange, chunk } => self.chunk(terminal, exchange, chunk, Sent::Log).await,
            HostEvent::Totals { exchange, batch, totals } => {
                self.totals(terminal, exchange, batch, *totals).await
            }
            HostEvent::Batch { exchange, batch, message } => {
                self.batch(terminal, exchange, batch, message).await
            }
            HostEvent::JournalChunk { exchange, chunk } => {
                self.chunk(terminal, exchange, chunk, Sent::Journal).await
            }
            HostEvent::Alarm { exchange, alarm } => self.alarm(terminal, exchange, alarm).await,
            HostEvent::Download { exchange, request } => self.download(terminal, exchange, request).await,
            HostEvent::CommandAnswered { task, refusal } => self.command_answered(&task, refusal).await,
            HostEvent::PushAnswered { push, refusal, answer } => {
                self.push_answered(&push, refusal, answer.as_deref()).await
            }
            HostEvent::Echo | HostEvent::EchoAnswered => Ok(()),
            HostEvent::MacUnchecked(function) => {
                debug!(terminal = terminal.as_str(), %function, "a MAC was let through unchecked");
                Ok(())
            }
            HostEvent::TimedOut(function) => {
                debug!(terminal = terminal.as_str(), %function, "not answered in time");
                if function == Function::ParameterPush {
                    self.set_unanswered();
                }
                Ok(())
            }
            other => {
                debug!(terminal = terminal.as_str(), ?other, "event of no meaning here");
                Ok(())
            }
        }
    }

    async fn sign_on(&mut self, terminal: &TerminalId, exchange: Exchange) -> Result<(), Ended> {
        let keys = match self.working_keys(terminal, &exchange).await {
            Ok(keys) => keys,
            Err(refusal) => return self.refuse(exchange, refusal),
        };
        let now = self.app.now();
        match &keys {
            Some(_) => self.note_keys(Exchanged::Given),
            None => self.no_keys_given(exchange.code()).await,
        }
        self.announce();
        match &keys {
            Some((block, keys)) => self.protocol.answer(exchange, Answer::Keys { block, keys }, now)?,
            None => self.protocol.answer(exchange, Answer::Approved, now)?,
        }
        self.app.counters.sign_ons.increment();
        if let Some(subscription) = &self.subscription {
            subscription.signed_on();
        }
        self.tell(EventKind::SignedOn, serde_json::json!({"profile": self.protocol.profile().name()}));
        info!(terminal = terminal.as_str(), address = %self.peer.address, "signed on");
        match keys {
            Some(_) => self.keys_given().await,
            None => self.look_for_work().await,
        }
    }

    /// The keys of a sign-on reply and the block that brings them: UnionPay terminals with a master
    /// key get working keys, under a profile of the operator's own too.
    async fn working_keys(
        &self,
        id: &TerminalId,
        exchange: &Exchange,
    ) -> Result<Option<(Vec<u8>, WorkingKeys)>, Refusal> {
        let form = match (exchange.function(), self.protocol.profile().dialect().name()) {
            (Function::KeyRequest, _) => Some(KeyBlockForm::Double),
            (_, "unionpay") => KeyBlockForm::of_code(exchange.code()),
            _ => None,
        };
        match form {
            Some(form) => self.keys(id, form).await,
            None => Ok(None),
        }
    }

    /// New working keys, and the block that brings them; `None` if the terminal has no master key.
    pub(super) async fn keys(
        &self,
        id: &TerminalId,
        form: KeyBlockForm,
    ) -> Result<Option<(Vec<u8>, WorkingKeys)>, Refusal> {
        let terminal = self.stored_terminal(id).await.map_err(|e| self.store_refusal(&e))?;
        let sealed = terminal.map(|t| t.tmk_sealed).unwrap_or_default();
        if sealed.is_empty() {
            return Ok(None);
        }
        let tmk = unseal_tmk(&self.app.vault, id, &sealed).map_err(|error| {
            tracing::warn!(terminal = id.as_str(), %error, "terminal master key cannot be opened");
            Refusal::SystemError
        })?;
        let keys = form.generate();
        Ok(Some((form.wrap(&tmk, &keys), keys)))
    }

    /// New working keys for a terminal that asks for them.
    async fn new_keys(&mut self, terminal: &TerminalId, exchange: Exchange) -> Result<(), Ended> {
        match self.working_keys(terminal, &exchange).await {
            Ok(Some((block, keys))) => {
                let now = self.app.now();
                Ok(self.protocol.answer(exchange, Answer::Keys { block: &block, keys: &keys }, now)?)
            }
            Ok(None) => self.refuse(exchange, Refusal::NotFound),
            Err(refusal) => self.refuse(exchange, refusal),
        }
    }

    async fn status(&mut self, id: &TerminalId, exchange: Exchange, mut values: Values) -> Result<(), Ended> {
        let mut part = |name: &str| values.remove(name).map(|v| device_state(v == "1"));
        let health = Health {
            keyboard: part("health.keyboard"),
            pin_pad: part("health.pin_pad"),
            card_reader: part("health.card_reader"),
            printer: part("health.printer"),
            display: part("health.display"),
            ..Health::default()
        };
        values.retain(|name, _| tms_core::parameters::find(name).is_some());
        let reported =
            Reported { parameters: values, health, at: Some(self.app.now()), ..Reported::default() };
        self.record(id, exchange, reported, false).await
    }

    async fn report(&mut self, id: &TerminalId, exchange: Exchange, report: Report) -> Result<(), Ended> {
        self.sets_reported(id, &report.details).await;
        let h = report.health;
        let health = Health {
            keyboard: Some(device_state(h.keyboard)),
            pin_pad: Some(device_state(h.pin_pad)),
            card_reader: Some(device_state(h.card_reader)),
            printer: Some(device_state(h.printer)),
            display: Some(device_state(h.display)),
            paper: Some(h.paper),
            tamper: Some(h.tampered),
            battery_percent: Some(h.battery_percent),
        };
        let credentials = report
            .credentials
            .iter()
            .filter_map(|(role, generation)| Some((role.parse().ok()?, *generation)))
            .collect();
        let reported = Reported {
            parameters: report.parameters,
            parameters_revision: report.details.parameters_revision,
            details: details(&report.details),
            firmware_version: Some(report.version),
            boot_count: Some(report.boot_count),
            credentials,
            health,
            flash_slot: Some(report.slot),
            at: Some(self.app.now()),
        };
        self.record(id, exchange, reported, true).await
    }

    /// Makes a report durable, asks for the operations that it shows to be missing, and answers. A `whole`
    /// report names every parameter that is in force; another one only those that have a place in it.
    async fn record(
        &mut self,
        id: &TerminalId,
        exchange: Exchange,
        reported: Reported,
        whole: bool,
    ) -> Result<(), Ended> {
        let in_force = whole.then(|| reported.parameters.clone());
        let told = serde_json::json!({
            "firmware_version": reported.firmware_version,
            "boot_count": reported.boot_count,
        });
        if let Err(error) = self.app.store.record_report(id, reported, self.app.now()).await {
            let refusal = self.store_refusal(&error);
            return self.refuse(exchange, refusal);
        }
        self.tell(EventKind::Reported, told);
        let reconciled = self.reconcile(id, in_force).await;
        let (agree, desired) = self.or_log(reconciled).unwrap_or((false, 0));
        // Where there are whole reports, what the others do not mention proves nothing: they may be from
        // before the parameters arrived.
        let proves = whole || self.protocol.profile().rule(Function::Report).is_none();
        if self.is_setting_parameters() && (proves || !agree) {
            self.parameters_reported(agree, desired).await?;
        } else {
            self.look_for_work().await?;
        }
        self.approve(exchange)
    }

    /// Queues what is missing until desired and reported state agree. `in_force` is what a whole report
    /// says. Answers whether the reported parameters are the desired ones, and the revision of these.
    async fn reconcile(&self, id: &TerminalId, in_force: Option<Values>) -> tms_store::Result<(bool, u64)> {
        let store = &self.app.store;
        let Some(mut terminal) = store.terminal(id).await? else { return Ok((false, 0)) };
        let whole = in_force.is_some();
        if let Some(in_force) = in_force {
            // What it does not name is not there, whatever was known before.
            terminal.reported.parameters = in_force;
        }
        let desired = &terminal.desired;
        let has = |(name, value): (&String, &String)| match terminal.reported.parameters.get(name) {
            Some(have) => have == value,
            // What a terminal has no way to report does not speak against it.
            None => !whole,
        };
        let agree = desired.parameters.iter().all(has);
        let parameters = (agree, desired.parameters_revision);
        let version = match &desired.firmware {
            Some(firmware) => store.firmware(firmware).await?.map(|f| f.version),
            None => None,
        };
        let firmware_agrees = version.is_none() || version == terminal.reported.firmware_version;
        // But only what is known to have reached it is left alone: a change that expired on its way is
        // missed by no report.
        let arrived = terminal.reported.parameters_revision == Some(desired.parameters_revision);
        let named = desired.parameters.keys().all(|name| terminal.reported.parameters.contains_key(name));
        if agree && (arrived || named) && firmware_agrees {
            return Ok(parameters);
        }
        if !agree {
            // A revision that is not in force as a whole says nothing.
            terminal.reported.parameters_revision = None;
        }
        let (desired, reported) = (&terminal.desired, &terminal.reported);
        let mut known = store.open_operations(id).await?;
        known.extend(store.operations(id, None, RECENT_OPERATIONS).await?);
        for kind in reconcile(desired, reported, version.as_deref(), &known) {
            // A credential needs a secret, which only a rotation that somebody asked for has.
            if matches!(kind, OperationKind::RotateCredential { .. }) {
                continue;
            }
            let now = self.app.now();
            let done = known.iter().filter(|o| o.kind == kind && o.state == OperationState::Done);
            let lately = done.filter(|o| seconds_between(o.updated_at, now) < TO_NO_AVAIL_S).count();
            if lately >= usize::try_from(self.app.limits.operation_attempts).unwrap_or(usize::MAX) {
                debug!(terminal = id.as_str(), kind = kind.name(), "done again and again to no avail");
                continue;
            }
            let ticket = self.app.ticket(now);
            let (terminal, expires_at) = (id.clone(), ticket.expires_at);
            let operation =
                NewOperation { id: ticket.id, terminal, kind, expires_at, terms: tms_core::Terms::default() };
            info!(
                terminal = id.as_str(),
                kind = operation.kind.name(),
                "reported state differs; operation queued"
            );
            self.app.events.operation(&store.enqueue(operation, now).await?);
        }
        Ok(parameters)
    }

    async fn parameters(&mut self, id: &TerminalId, exchange: Exchange) -> Result<(), Ended> {
        let stored = self.stored_terminal(id).await;
        let Some(terminal) = self.or_log(stored).flatten() else {
            return self.refuse(exchange, Refusal::SystemError);
        };
        self.parameters_fetched(terminal.desired.parameters_revision).await;
        let now = self.app.now();
        Ok(self.protocol.answer(exchange, Answer::Parameters(&terminal.desired.parameters), now)?)
    }

    async fn task_poll(&mut self, exchange: Exchange) -> Result<(), Ended> {
        self.look_for_work().await?;
        let untaken = self.work.as_ref().filter(|work| !work.is_taken);
        let task = untaken.and_then(|work| work.task(self.app.now()));
        if task.is_some() {
            self.work_fetched().await;
        }
        let now = self.app.now();
        Ok(self.protocol.answer(exchange, Answer::Task(task.as_ref()), now)?)
    }

    async fn task_result(
        &mut self,
        id: &TerminalId,
        exchange: Exchange,
        result: TaskResult,
    ) -> Result<(), Ended> {
        debug!(terminal = id.as_str(), operation = %result.operation, step = result.step, outcome = %result.outcome, "result");
        match self.take_result(id, &result).await {
            Ok(()) => {
                self.look_for_work().await?;
                self.approve(exchange)
            }
            Err(refusal) => self.refuse(exchange, refusal),
        }
    }

    async fn file_read(
        &mut self,
        id: &TerminalId,
        exchange: Exchange,
        request: BlockRequest,
    ) -> Result<(), Ended> {
        let firmware = self.package_of(id, &request.file).await;
        let limit = self.protocol.profile().block_bytes();
        let own = self.work.as_ref().and_then(|work| work.file(&request.file)).cloned();
        let read = match own {
            Some(file) => images::block(&file, &request, limit).map(|data| (file, data)),
            None => self.app.images.read(&self.app, firmware.as_ref(), &request, limit).await,
        };
        let (file, data) = match read {
            Ok(read) => read,
            Err(error) => {
                if matches!(error, ReadError::OutOfRange { .. }) {
                    self.app.counters.reads_out_of_range.increment();
                }
                info!(terminal = id.as_str(), file = request.file, offset = request.offset, %error, "read refused");
                return self.refuse(exchange, error.refusal());
            }
        };
        if self.reading.as_deref() != Some(&request.file) {
            if request.offset > 0 {
                self.app.counters.transfers_resumed.increment();
                info!(
                    terminal = id.as_str(),
                    file = request.file,
                    offset = request.offset,
                    "transfer resumed"
                );
            }
            self.reading = Some(request.file.clone());
        }
        self.app.counters.blocks_sent.increment();
        self.app.counters.block_bytes.add(data.len() as u64);
        self.work_goes_on();
        let total_bytes = file.len() as u64;
        self.note_progress(&request, total_bytes).await;
        let answer = Answer::Block { offset: request.offset, total_bytes, data: &data };
        let now = self.app.now();
        Ok(self.protocol.answer(exchange, answer, now)?)
    }

    /// Writes the progress of a transfer at each tenth: no row per block.
    async fn note_progress(&self, request: &BlockRequest, total: u64) {
        let tenth = (total / 10).max(1);
        let done = request.offset.saturating_add(u64::from(request.length)).min(total);
        if request.offset / tenth == done / tenth {
            return;
        }
        // The progress of an installation is that of its image, not of the manifest before it.
        if let Some(work) =
            self.work.as_ref().filter(|w| w.firmware().is_some_and(|f| *request.file == image_file(f)))
        {
            let progress = tms_core::Progress { done, total };
            let noted = self.app.store.set_progress(work.operation.id, progress).await;
            self.or_log(noted);
        }
    }

    async fn chunk(
        &mut self,
        id: &TerminalId,
        exchange: Exchange,
        chunk: Chunk,
        what: Sent,
    ) -> Result<(), Ended> {
        let operation = OperationId::from_uuid(chunk.operation);
        match self.take_chunk(id, operation, chunk, what).await {
            Ok(next) => {
                self.work_goes_on();
                let now = self.app.now();
                Ok(self.protocol.answer(exchange, Answer::Uploaded(next), now)?)
            }
            Err(refusal) => self.refuse(exchange, refusal),
        }
    }

    pub(super) fn approve(&mut self, exchange: Exchange) -> Result<(), Ended> {
        let now = self.app.now();
        Ok(self.protocol.answer(exchange, Answer::Approved, now)?)
    }
}

fn device_state(works: bool) -> DeviceState {
    if works { DeviceState::Ok } else { DeviceState::Fault }
}

/// What else a report says, by name, for people.
fn details(details: &Details) -> BTreeMap<String, String> {
    let mut known = BTreeMap::new();
    let mut put = |name: &str, value: Option<String>| {
        known.extend(value.map(|value| (name.to_owned(), value)));
    };
    let number = |number: Option<u64>| number.map(|number| number.to_string());
    put(
        "locked",
        details.lock.as_ref().map(|lock| match (lock.locked, lock.message.as_str()) {
            (false, _) => "no".to_owned(),
            (true, "") => "yes".to_owned(),
            (true, message) => format!("yes: {message}"),
        }),
    );
    put("plan_version", details.plan.as_ref().map(|plan| plan.version.to_string()));
    put("free_storage_bytes", number(details.free_storage_bytes));
    put("uptime_s", number(details.uptime_s));
    put("transactions", number(details.transactions));
    put("comm_attempts", number(details.comm_attempts));
    put("comm_successes", number(details.comm_successes));
    put("clock_step_s", details.clock_step_s.map(|step| step.to_string()));
    put("batch", details.batch.map(|batch| batch.to_string()));
    // The hash of a terminal that knows no revisions is of more than it was given.
    let parameters = details.parameters_sha256.filter(|_| details.parameters_revision.is_some());
    put(configuration::HASH, parameters.map(hex::encode));
    put("capk_sha256", details.capk_sha256.map(hex::encode));
    put("aid_sha256", details.aid_sha256.map(hex::encode));
    put("blacklist_sha256", details.blacklist_sha256.map(hex::encode));
    for (role, default) in &details.default_credentials {
        put(&format!("default_credential_{role}"), Some(if *default { "yes" } else { "no" }.to_owned()));
    }
    for (application, version) in &details.applications {
        put(&format!("application_{application}"), Some(version.clone()));
    }
    known
}

//! What people have done: through the same calls as the REST interface, with an acknowledgement that
//! counts.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use tms_core::{NewOperation, Operation, OperationKind, OperationState, Role};
use tms_server::service::{self, ServiceError};
use tms_store::ParameterChange;

use super::{Checked, Due, World};
use crate::{
    firmware::{Matter, catalog},
    host::ready,
    options::{Fault, Sabotage, Work},
    terminal::roles,
    trace::Happened,
};

/// How often somebody wants something of a terminal.
const MEAN: SignedDuration = SignedDuration::from_mins(7);
/// Nobody asks for more of a terminal that has not done so much.
const MOST_OPEN: usize = 10;

impl World {
    pub(super) fn schedule_work(&mut self, place: usize) {
        let wait = self.terminals[place].rng.wait(MEAN);
        self.in_(wait, Due::Operator(place));
    }

    pub(super) fn operate(&mut self, place: usize) -> Checked {
        if self.calm {
            return Ok(());
        }
        self.schedule_work(place);
        if self.is_broken(Sabotage::ForgetfulStore) && self.earlier.is_none() {
            self.earlier = Some(self.host.store.snapshot());
        }
        let rng = &mut self.terminals[place].rng;
        let (drawn, value) = (rng.index(Work::ALL.len()), rng.u64());
        let work = Work::ALL[drawn];
        let open = self.ledger.open.get(&place).map_or(0, Vec::len);
        if !self.options.work.contains(&work) || open >= MOST_OPEN || self.host.app.is_none() {
            return Ok(());
        }
        let made = self.carry_out(place, work, value);
        match made {
            Some(Ok(operation)) => {
                let now = self.clock.now();
                let number = self.ledger.promise(place, &operation, now);
                if let Work::Rotation = work {
                    self.terminals[place].rotating = true;
                }
                let kind = format!("{} {}", operation.kind.name(), operation.id);
                self.note(Some(place), Happened::Enqueued { operation: number, kind });
            }
            Some(Err(_)) | None => {}
        }
        self.look_at_operations(place)?;
        self.touch(place);
        Ok(())
    }

    /// Gives the operation that was acknowledged, if one was.
    fn carry_out(
        &mut self,
        place: usize,
        work: Work,
        value: u64,
    ) -> Option<Result<Operation, ServiceError>> {
        let app = self.host.app.clone()?;
        let tid = self.tid(place);
        Some(match work {
            Work::Parameters => {
                let (set, unset) = parameters(value);
                ready(service::set_parameters(&app, &tid, &set, &unset)).map(|(_, operation)| operation)
            }
            Work::Firmware => {
                let id = self.release(value).parse().ok()?;
                ready(service::assign_firmware(&app, &tid, &id))
            }
            Work::Reboot => ready(service::reset(&app, &tid)),
            Work::Rotation => {
                let role: Role = roles().into_iter().nth((value % 2) as usize)?;
                ready(service::rotate_credential(&app, &tid, &role))
            }
            Work::Logs => ready(service::collect_logs(&app, &tid)),
            Work::Cancel => {
                let open = self.ledger.open.get(&place)?;
                let number = *open.get((value % open.len().max(1) as u64) as usize)?;
                let id = self.ledger.promises[number].id;
                let to = OperationState::Cancelled;
                // An operation that has ended meanwhile is not cancelled.
                let _ = ready(app.store.transition(id, to, Some("withdrawn".to_owned()), app.now()));
                app.wake.terminal(&tid);
                return None;
            }
        })
    }

    fn release(&self, value: u64) -> String {
        let lies = self.options.faults.contains(&Fault::LyingHost) && value % 10 >= 7;
        let fit: Vec<_> = catalog()
            .releases
            .iter()
            .filter(|release| (release.matter == Matter::Good) != lies)
            .map(|release| &release.id)
            .collect();
        fit[(value / 10) as usize % fit.len()].clone()
    }

    /// Queues an operation that no terminal will ever carry out, and that never expires.
    pub(super) fn enqueue_for_nobody(&mut self) {
        let (Some(app), Some(first)) = (self.host.app.clone(), self.terminals.first()) else { return };
        let now = app.now();
        let Ok(Some(mut ghost)) = ready(app.store.terminal(&first.tid)) else { return };
        ghost.id = crate::ledger::tid(99_999);
        ghost.certificate_sha256 = None;
        let operation = NewOperation {
            id: app.ticket(now).id,
            terminal: ghost.id.clone(),
            kind: OperationKind::Reboot,
            expires_at: Timestamp::MAX,
        };
        let _ = ready(app.store.add_terminal(ghost));
        let _ = ready(app.store.enqueue(operation, now));
    }

    /// Changes what is desired behind the back of everybody: what a store must never do.
    pub(super) fn change_silently(&mut self, place: usize) {
        let (store, tid, now) = (self.host.store.clone(), self.tid(place), self.host.clock.now());
        let Some(app) = &self.host.app else { return };
        let change = ParameterChange {
            set: [("timeout_s".to_owned(), "77".to_owned())].into(),
            ..ParameterChange::default()
        };
        let ticket = app.ticket(now);
        use tms_store::Store;
        if let Ok((_, operation)) = ready(store.set_desired_parameters(&tid, change, ticket, now)) {
            let to = OperationState::Cancelled;
            let _ = ready(store.transition(operation.id, to, None, now));
        }
    }
}

/// A change of parameters: what to set, and what to take away.
fn parameters(value: u64) -> (BTreeMap<String, String>, Vec<String>) {
    let names = ["测试商户", "SIM SHOP", "甲乙丙丁", "A"];
    let choices = [
        ("timeout_s", (1 + value / 7 % 99).to_string()),
        ("retries", (value / 11 % 10).to_string()),
        ("tip_percent", (value / 13 % 100).to_string()),
        ("merchant_name", names[(value / 17) as usize % names.len()].to_owned()),
        ("phone_1", format!("0{}", value % 10_000_000_000)),
        ("resend_count", (value / 19 % 10).to_string()),
        ("manual_entry", (value / 23 % 2).to_string()),
    ];
    let first = (value / 29) as usize;
    let (mut set, mut unset) = (BTreeMap::new(), Vec::new());
    for step in 0..1 + first % 3 {
        let (name, chosen) = &choices[(first + step) % choices.len()];
        if (value >> (40 + step)) % 6 == 0 {
            unset.push((*name).to_owned());
        } else {
            set.insert((*name).to_owned(), chosen.clone());
        }
    }
    (set, unset)
}

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
/// What is drawn for each terminal from its own chances; the kinds that came later have others.
const DRAWN: [Work; 9] = [
    Work::Parameters,
    Work::Firmware,
    Work::Reboot,
    Work::Rotation,
    Work::Logs,
    Work::Cancel,
    Work::Command,
    Work::Plan,
    Work::Hands,
];
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
        let rng = &mut self.terminals[place].rng;
        let (drawn, value) = (rng.index(DRAWN.len()), rng.u64());
        let work = DRAWN[drawn];
        if self.is_broken(Sabotage::UnaskedAction) {
            self.ask_by_hand(place, 1 + 2 * (value % 2) as u32);
        }
        if work == Work::Hands && self.options.work.contains(&work) {
            return self.touch_terminal(place, value);
        }
        if !self.options.work.contains(&work) || !self.has_room_for_work(place) || self.host.app.is_none() {
            return Ok(());
        }
        if let Some(Ok(operation)) = self.carry_out(place, work, value) {
            self.promised(place, work, &operation);
        }
        self.look_at_operations(place)?;
        self.touch(place);
        Ok(())
    }

    pub(super) fn has_room_for_work(&self, place: usize) -> bool {
        self.ledger.open.get(&place).map_or(0, Vec::len) < MOST_OPEN
    }

    /// An operation was acknowledged.
    pub(super) fn promised(&mut self, place: usize, work: Work, operation: &Operation) {
        let now = self.clock.now();
        let number = self.ledger.promise(place, operation, now);
        if let Work::Rotation = work {
            self.terminals[place].rotating = true;
        }
        let kind = format!("{} {}", operation.kind.name(), operation.id);
        self.note(Some(place), Happened::Enqueued { operation: number, kind });
    }

    /// Gives the operation that was acknowledged, if one was.
    fn carry_out(&mut self, place: usize, work: Work, value: u64) -> Option<Result<Operation, ServiceError>> {
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
                // An operation that has ended meanwhile is not cancelled. What tells the terminal of one
                // that is, is a promise of its own.
                let (_, told) = ready(service::cancel(&app, id)).ok()?;
                Ok(told?)
            }
            Work::Command => ready(service::command(&app, &tid, command(value))),
            Work::Plan => {
                let plan = plan(value, app.now(), self.options.work.contains(&Work::Settle));
                ready(service::command(&app, &tid, OperationKind::InstallPlan { plan }))
            }
            Work::Hands | Work::Settle | Work::Sets | Work::Alarms | Work::Keys => return None,
        })
    }

    /// Somebody does something at the terminal itself.
    fn touch_terminal(&mut self, place: usize, value: u64) -> Checked {
        let local = self.terminals[place].now();
        let Some(device) = self.at_hand(place) else { return Ok(()) };
        let done = match value % 4 {
            0 => {
                let mut health = device.snapshot().health;
                health.paper = !health.paper;
                device.set_health(health, local)
            }
            1 => {
                self.ask_by_hand(place, 1 + (value / 4 % 3) as u32);
                Ok(())
            }
            _ => return self.sell(place),
        };
        self.after_hands(place, done)
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
            terms: tms_core::Terms::default(),
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
            let to = OperationState::Done;
            let _ = ready(store.transition(operation.id, to, None, now));
        }
    }
}

/// A command without a life of its own.
fn command(value: u64) -> OperationKind {
    let text = ["请联系客服", "out of use", "A"][(value / 64) as usize % 3].to_owned();
    match value % 14 {
        0 | 1 => OperationKind::Lock { message: text },
        2 | 3 => OperationKind::Unlock,
        4 => OperationKind::RestartApplication,
        5 | 6 => OperationKind::PrintTestSlip { text: Some(text) },
        7 => OperationKind::SelfTest,
        8 => OperationKind::Diagnose,
        9 => OperationKind::ShowMessage { text, until: None, seconds: 5 },
        10 => match value / 14 % 3 {
            0 => OperationKind::ClearReversal,
            1 => OperationKind::ClearBatch,
            _ => OperationKind::FactoryReset,
        },
        11 => OperationKind::SyncClock { utc_offset_s: 28_800, force: (value / 14).is_multiple_of(2) },
        12 => OperationKind::ChangeTmsAddress {
            addresses: vec![format!("192.0.2.{}:9001", 1 + value / 14 % 200)],
            attempts: 3,
        },
        _ => OperationKind::CollectJournal { from_batch: None, max_bytes: 4_000 },
    }
}

/// A plan of a few actions, or of so many that it is fetched as a file.
fn plan(value: u64, now: Timestamp, settles: bool) -> serde_json::Value {
    let many = if value.is_multiple_of(8) { 18 } else { 1 + value / 8 % 3 };
    let action = |id: u64| {
        let chosen = (value >> (8 + 3 * (id % 12))) % 6;
        let text = "甲".repeat(if many > 3 { 60 } else { 2 });
        let command = match chosen {
            0 => serde_json::json!("self_test"),
            1 => serde_json::json!("reboot"),
            2 => serde_json::json!({ "print_test_slip": { "text": "planned" } }),
            _ => serde_json::json!({ "show_message": { "text": text, "until": null, "seconds": 1 } }),
        };
        let at = now.saturating_add(SignedDuration::from_mins((chosen * 4) as i64)).unwrap_or(now);
        let at = Timestamp::from_second(at.as_second()).unwrap_or(now);
        let trigger = match (value >> (50 + id % 10)) % 4 {
            0 => serde_json::json!("at_once"),
            1 => serde_json::json!({ "at": at }),
            2 => serde_json::json!("next_contact"),
            _ if settles && id.is_multiple_of(2) => serde_json::json!("after_settlement"),
            _ => serde_json::json!("by_hand"),
        };
        let follow_up = match (value >> (40 + id % 20)) % 8 {
            0 if settles => "reconcile_first",
            1 if settles => "restart_after",
            _ => "none",
        };
        serde_json::json!({ "id": id, "command": command, "trigger": trigger, "follow_up": follow_up })
    };
    serde_json::json!({ "actions": (1..=many).map(action).collect::<Vec<_>>() })
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
        if (value >> (40 + step)).is_multiple_of(6) {
            unset.push((*name).to_owned());
        } else {
            set.insert((*name).to_owned(), chosen.clone());
        }
    }
    (set, unset)
}

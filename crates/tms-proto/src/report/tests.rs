use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    message::FIELD_ROOM_BYTES,
    plan::{ActionState, ActionStatus, MAX_ACTIONS, PlanStatus},
    task::Outcome,
};

fn details() -> impl Strategy<Value = Details> {
    let hashes = prop::array::uniform4(any::<Option<[u8; 32]>>());
    let numbers = prop::array::uniform7(any::<Option<u64>>());
    let maps = (
        prop::collection::btree_map("[0-9]{2}", any::<bool>(), 0..5),
        prop::collection::btree_map("[a-z]{1,12}", "[0-9.]{0,12}", 0..6),
    );
    let plan = prop::option::of(prop::collection::vec(any::<(u32, u8, u8, u8)>(), 0..6));
    let lock = prop::option::of((any::<bool>(), "[ -~锁定]{0,30}"));
    (hashes, numbers, maps, plan, lock, any::<(Option<i64>, Option<u32>)>()).prop_map(
        |(hashes, numbers, maps, plan, lock, (clock_step_s, batch))| {
            let [capk_sha256, aid_sha256, blacklist_sha256, parameters_sha256] = hashes;
            let [
                free_storage_bytes,
                uptime_s,
                transactions,
                comm_attempts,
                comm_successes,
                parameters_revision,
                last_alarm,
            ] = numbers;
            let action = |(id, state, outcome, attempts)| ActionStatus {
                id,
                state: ActionState(state),
                outcome: Outcome(outcome),
                attempts,
            };
            let plan = plan.map(|actions| PlanStatus {
                id: Uuid::from_u128(5),
                version: 9,
                actions: actions.into_iter().map(action).collect(),
            });
            let (default_credentials, applications) = maps;
            Details {
                plan,
                lock: lock.map(|(locked, message)| Lock { locked, message }),
                default_credentials,
                free_storage_bytes,
                uptime_s,
                transactions,
                comm_attempts,
                comm_successes,
                clock_step_s,
                capk_sha256,
                aid_sha256,
                blacklist_sha256,
                batch,
                parameters_revision,
                parameters_sha256,
                last_alarm,
                applications,
            }
        },
    )
}

proptest! {
    #[test]
    fn a_report_survives_the_wire(
        words in prop::array::uniform4("[A-Za-z0-9.]{0,20}"),
        counts in any::<(u32, u32)>(),
        flags in prop::array::uniform7(any::<bool>()),
        battery_percent in 0u8..=100,
        credentials in prop::collection::btree_map("[0-9]{2}", any::<u32>(), 0..5),
        parameters in prop::collection::btree_map("[a-z_]{1,12}", "[ -~]{0,20}", 0..8),
        details in details(),
    ) {
        let [model, hardware_revision, version, slot] = words;
        let [keyboard, pin_pad, card_reader, printer, display, paper, tampered] = flags;
        let health = Health { keyboard, pin_pad, card_reader, printer, display, paper, tampered, battery_percent };
        let report = Report {
            model, hardware_revision, version, slot, health, credentials, parameters, details,
            security_counter: counts.0, boot_count: counts.1,
        };
        let (body, data) = report.encode().unwrap();
        prop_assert_eq!(Report::decode(&body, &data).unwrap(), report);
    }

    #[test]
    fn any_bytes_are_an_error_or_a_report(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Report::decode(&body, &body);
        let _ = Details::decode(&body);
    }

    #[test]
    fn a_damaged_report_is_an_error_or_a_report(details in details(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let (body, mut data) = Report { details, ..Report::default() }.encode().unwrap();
        if !data.is_empty() {
            let at = at.index(data.len());
            data[at] = byte;
        }
        let _ = Report::decode(&body, &data);
    }
}

/// A report as terminals sent it before there were details: they are still in service.
#[test]
fn a_report_without_details_is_read_and_one_without_anything_to_add_looks_the_same() {
    let parameters = BTreeMap::from([("timeout_s".to_owned(), "45".to_owned())]);
    let old = hex::decode(concat!(
        "df570353494d",
        "df580141",
        "df5305312e322e33",
        "df540141",
        "df590400000002",
        "df550400000007",
        "df56080101010101010064",
        "df5a0439393d31"
    ))
    .unwrap();
    let data = hex::decode("df510c74696d656f75745f733d3435").unwrap();
    let report = Report::decode(&old, &data).unwrap();
    assert_eq!((report.version.as_str(), &report.parameters), ("1.2.3", &parameters));
    assert!(report.details.is_empty());
    assert_eq!(report.encode().unwrap(), (old, data));
}

#[test]
fn the_largest_details_leave_room_for_parameters() {
    let text = "x".repeat(300);
    let actions = (0..100).map(|id| ActionStatus {
        id,
        state: ActionState::ENDED,
        outcome: Outcome::DONE,
        attempts: 1,
    });
    let names = (0..100).map(|n| format!("application-name-{n}"));
    let hash = Some([1; 32]);
    let details = Details {
        plan: Some(PlanStatus { id: Uuid::nil(), version: 1, actions: actions.collect() }),
        lock: Some(Lock { locked: true, message: text }),
        default_credentials: names.clone().map(|name| (name, true)).collect(),
        applications: names.map(|name| (name, "1.2.3-release-candidate-17-of-2026-xx".into())).collect(),
        capk_sha256: hash,
        aid_sha256: hash,
        blacklist_sha256: hash,
        parameters_sha256: hash,
        ..Details::default()
    };
    let (body, data) = Report { details, ..Report::default() }.encode().unwrap();
    assert!(data.len() < 3 * FIELD_ROOM_BYTES, "{} bytes", data.len());
    let read = Report::decode(&body, &data).unwrap().details;
    assert_eq!(read.plan.unwrap().actions.len(), MAX_ACTIONS);
    assert_eq!((read.applications.len(), read.lock.unwrap().message.len()), (MAX_APPLICATIONS, 240));
}

use jiff::Timestamp;
use proptest::prelude::*;
use uuid::Uuid;

use super::{ALONE, at, check, plan, slip};
use crate::{plan::*, task::tests::plannable};

fn second() -> impl Strategy<Value = Timestamp> {
    (0i64..4_000_000_000).prop_map(at)
}

fn action() -> impl Strategy<Value = Action> {
    let trigger = prop_oneof![
        Just(Trigger::AtOnce),
        second().prop_map(Trigger::At),
        Just(Trigger::NextContact),
        Just(Trigger::AfterSettlement),
        Just(Trigger::ByHand),
    ];
    let window = prop::option::of((second(), 1i64..1_000_000)).prop_map(|window| {
        window.map(|(start, length)| Window { start, end: at(start.as_second() + length) })
    });
    let on_error = prop::sample::select(vec![OnError::Report, OnError::Stop, OnError::Ignore]);
    let follow_up =
        prop::sample::select(vec![FollowUp::None, FollowUp::ReconcileFirst, FollowUp::RestartAfter]);
    let retry = (any::<u32>(), 0..=MAX_RETRIES).prop_map(|(delay_s, count)| Retry { delay_s, count });
    (any::<u32>(), plannable(), "[a-z应用]{0,12}", trigger, window, retry, on_error, follow_up).prop_map(
        |(id, command, target, trigger, window, retry, on_error, follow_up)| Action {
            id,
            command,
            target,
            trigger,
            window,
            retry,
            on_error,
            follow_up,
        },
    )
}

fn any_plan() -> impl Strategy<Value = Plan> {
    (any::<u128>(), any::<u64>(), prop::collection::vec(action(), 0..12)).prop_map(
        |(id, version, actions)| {
            let mut actions = actions;
            for (n, action) in actions.iter_mut().enumerate() {
                action.id = action.id / 32 * 32 + n as u32;
            }
            Plan { id: Uuid::from_u128(id), version, actions }
        },
    )
}

proptest! {
    #[test]
    fn a_plan_survives_the_wire(plan in any_plan()) {
        let bytes = plan.encode().unwrap();
        prop_assert_eq!(&Plan::decode(&bytes).unwrap(), &plan);
        let source = PlanSource::of(plan.clone(), "plan").unwrap();
        prop_assert_eq!(source.open(&bytes).unwrap(), plan);
    }

    #[test]
    fn a_status_survives_the_wire(plan in any_plan()) {
        let mut runner = PlanRunner::default();
        runner.offer(plan.clone(), at(0), &ALONE);
        let status = runner.status().unwrap();
        prop_assert!(status.is(&plan));
        prop_assert_eq!(PlanStatus::decode(&status.encode()).unwrap(), status);
    }

    #[test]
    fn any_bytes_are_an_error_or_a_plan(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Plan::decode(&bytes);
        let _ = PlanStatus::decode(&bytes);
    }

    #[test]
    fn a_damaged_plan_is_an_error_or_a_plan(plan in any_plan(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = plan.encode().unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(plan) = Plan::decode(&bytes) {
            prop_assert!(plan.actions.len() <= MAX_ACTIONS);
        }
    }
}

#[test]
fn a_plan_that_may_not_be_is_refused_with_its_reason() {
    let target = Uuid::nil();
    let many = (0..=MAX_ACTIONS as u32).map(check).collect();
    let long = Command::Lock { message: "x".repeat(241) };
    let backwards = Window { start: at(5), end: at(5) };
    for (actions, reason) in [
        (many, "more than 32 actions"),
        (vec![slip(1), check(1)], "two actions have the id 1"),
        (vec![Action::new(1, Command::CancelOperation { target })], "command 23 has no place in a plan"),
        (vec![Action { retry: Retry { delay_s: 0, count: 101 }, ..check(1) }], "at most 100"),
        (vec![Action { window: Some(backwards), ..check(1) }], "ends before it begins"),
        (vec![Action::new(1, long)], "too long"),
    ] {
        let error = plan(1, actions).encode().unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn a_plan_within_a_plan_is_refused_before_it_is_read() {
    let mut inner = plan(1, vec![]);
    for version in 2..200 {
        let source = PlanSource::Inline(Box::new(inner));
        inner = plan(version, vec![Action::new(1, Command::InstallPlan(source))]);
        assert!(inner.encode().is_err());
        if version > 5 {
            break;
        }
    }
}

#[test]
fn a_file_that_is_not_the_announced_one_is_no_plan() {
    let big =
        plan(3, (0..20).map(|id| Action::new(id, Command::Lock { message: "x".repeat(200) })).collect());
    let source = PlanSource::of(big.clone(), "plan-3").unwrap();
    let bytes = big.encode().unwrap();
    assert!(matches!(&source, PlanSource::File { size_bytes, .. } if *size_bytes as usize == bytes.len()));
    assert_eq!(source.open(&bytes).unwrap(), big);
    assert!(source.open(&bytes[1..]).unwrap_err().to_string().contains("SHA-256"));
    let PlanSource::File { file, size_bytes, sha256, .. } = source else { panic!() };
    let other = PlanSource::File { version: 4, file, size_bytes, sha256 };
    assert!(other.open(&bytes).unwrap_err().to_string().contains("version 3, not 4"));
}

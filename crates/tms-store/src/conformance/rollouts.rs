//! Promises about rollouts.

use std::collections::BTreeSet;
use std::sync::Arc;

use tms_core::rollout::{Action, Caps, RolloutState, Tally, TargetState, Wave, WaveSize};
use tms_core::{OperationKind, OperationState, Rollout, RolloutId, RolloutTarget, TerminalId, Terms};

use super::{added, at, firmware, id, ticket};
use crate::error::StoreError;
use crate::store::Store;
use crate::work::{StartedTarget, StartedWork, TargetFilter, Work};

pub(super) fn rollout(name: &str, selector: &str) -> Rollout {
    let wave = |size| Wave {
        size,
        soak_s: 10,
        min_success_percent: 100,
        max_failure_percent: 0,
        needs_approval: false,
    };
    Rollout {
        id: name.parse().unwrap(),
        name: format!("{name} 推广"),
        action: Action::Command { command: OperationKind::Reboot },
        selector: selector.parse().unwrap(),
        waves: vec![wave(WaveSize::Percent(10)), wave(WaveSize::Rest)],
        caps: Caps { per_minute: 1_000, concurrent: 1_000 },
        window: Some("daily 01:00-05:00".parse().unwrap()),
        answer_within_s: 3_600,
        state: RolloutState::Draft,
        wave: 0,
        approved: 0,
        accepted_failures: 0,
        started_at: None,
        reason: None,
        author: "ann".to_owned(),
        version: 0,
    }
}

fn next(rollout: &Rollout, state: RolloutState) -> Rollout {
    Rollout { state, version: rollout.version + 1, ..rollout.clone() }
}

fn started(target: &RolloutTarget, number: u32, work: Work) -> StartedTarget {
    let ticket = ticket(&target.terminal, number);
    let terms = Terms { rollout: Some("r1".parse().unwrap()), ..Terms::default() };
    StartedTarget {
        target: RolloutTarget {
            state: TargetState::Queued,
            operation: Some(ticket.id),
            started_at: Some(at(5)),
            ..target.clone()
        },
        work: Some(StartedWork { work, ticket, terms }),
    }
}

/// All targets, over pages of two.
pub(super) async fn all(store: &dyn Store, id: &RolloutId) -> Vec<RolloutTarget> {
    let (mut all, mut after): (Vec<RolloutTarget>, Option<TerminalId>) = (Vec::new(), None);
    loop {
        let page = store.targets(id, TargetFilter::default(), after.as_ref(), 333).await.unwrap();
        let Some(last) = page.last() else { return all };
        after = Some(last.terminal.clone());
        all.extend(page);
    }
}

/// Whoever has not seen the last version writes nothing.
pub async fn a_rollout_is_changed_by_who_has_seen_it(store: &Arc<dyn Store>) {
    let draft = store.add_rollout(rollout("r1", "all")).await.unwrap();
    assert_eq!(draft, Rollout { version: 1, ..rollout("r1", "all") });
    let twice = store.add_rollout(rollout("r1", "all")).await.unwrap_err();
    assert_eq!(twice.to_string(), "rollout r1 exists already");
    assert_eq!(store.rollout(&draft.id).await.unwrap(), Some(draft.clone()));
    let running = next(&draft, RolloutState::Running);
    store.put_rollout(running.clone()).await.unwrap();
    let stale = StoreError::Stale { what: "rollout", name: "r1".to_owned(), seen: 1, found: 2 };
    assert_eq!(store.put_rollout(running.clone()).await.unwrap_err(), stale);
    assert_eq!(store.start_rollout(running.clone(), at(0)).await.unwrap_err(), stale);
    assert_eq!(store.start_targets(running.clone(), Vec::new(), at(0)).await.unwrap_err(), stale);
    assert_eq!(store.skip_waiting(running.clone(), "over".to_owned()).await.unwrap_err(), stale);
    let missing = store.put_rollout(next(&rollout("r404", "all"), RolloutState::Running)).await.unwrap_err();
    assert_eq!(missing.to_string(), "there is no rollout r404");
    store.add_rollout(rollout("r0", "all")).await.unwrap();
    let over =
        store.add_rollout(Rollout { state: RolloutState::Finished, ..rollout("r2", "all") }).await.unwrap();
    let names = async |only, after: Option<&RolloutId>, limit| -> Vec<_> {
        let page = store.rollouts(only, after, limit).await.unwrap();
        page.into_iter().map(|rollout| rollout.id.to_string()).collect()
    };
    assert_eq!(names(false, None, 2).await, ["r0", "r1"]);
    assert_eq!(names(false, Some(&running.id), 2).await, ["r2"]);
    assert_eq!(names(true, None, 9).await, ["r1"]);
    assert_eq!(store.rollout_tally(&over.id, at(0)).await.unwrap(), Some((over, Tally::default())));
    assert_eq!(store.rollout_tally(&"r404".parse().unwrap(), at(0)).await.unwrap(), None);
}

/// Whatever becomes of the estate afterwards; the first wave is a sample.
pub async fn targets_are_frozen_when_a_rollout_starts(store: &Arc<dyn Store>) {
    for number in 0..700 {
        added(store.as_ref(), &format!("T{number:04}")).await;
    }
    added(store.as_ref(), "X1").await;
    let draft = store.add_rollout(rollout("r1", "tid = T*")).await.unwrap();
    let running = next(&draft, RolloutState::Running);
    assert_eq!(store.start_rollout(running.clone(), at(0)).await.unwrap(), 700);
    added(store.as_ref(), "T9999").await;
    let targets = all(store.as_ref(), &running.id).await;
    assert_eq!(targets.len(), 700);
    assert_eq!(targets.iter().map(|target| &target.terminal).collect::<BTreeSet<_>>().len(), 700);
    assert!(targets.iter().all(|target| target.state == TargetState::Waiting && target.operation.is_none()));
    let first: Vec<_> = targets.iter().filter(|target| target.wave == 0).collect();
    assert_eq!(first.len(), 70);
    // In the order of the ids the first seventy would all begin so.
    assert!(first.iter().filter(|target| target.terminal.as_str() < "T0070").count() < 35);
    let filter = TargetFilter { wave: Some(0), state: Some(TargetState::Waiting) };
    let page = store.targets(&running.id, filter, Some(&first[9].terminal), 5).await.unwrap();
    assert_eq!(page.iter().collect::<Vec<_>>(), first[10..15]);
    let (found, tally) = store.rollout_tally(&running.id, at(0)).await.unwrap().unwrap();
    assert_eq!((found, tally.whole().waiting), (running.clone(), 700));
    assert_eq!(tally, Tally::of(&targets, at(0)));
    assert_eq!(
        store.skip_waiting(next(&running, RolloutState::Finishing), "over".to_owned()).await.unwrap(),
        700
    );
    let tally = store.rollout_tally(&running.id, at(0)).await.unwrap().unwrap().1;
    assert_eq!((tally.wave(0).skipped, tally.wave(1).skipped), (70, 630));
}

/// With what each terminal gets, or not at all.
pub async fn targets_are_started_with_their_work(store: &Arc<dyn Store>) {
    for number in 0..6 {
        added(store.as_ref(), &format!("T{number}")).await;
    }
    store.add_firmware(firmware("fw1", 0)).await.unwrap();
    let draft = store.add_rollout(rollout("r1", "all")).await.unwrap();
    let mut now = next(&draft, RolloutState::Running);
    store.start_rollout(now.clone(), at(0)).await.unwrap();
    let targets = all(store.as_ref(), &now.id).await;
    let parameters = || Work::Parameters([("retries".to_owned(), "3".to_owned())].into());
    let firmware = |id: &str| Work::Firmware(id.parse().unwrap());
    let skipped = RolloutTarget {
        state: TargetState::Skipped,
        reason: Some("out of use".to_owned()),
        ..targets[3].clone()
    };
    let first = vec![
        started(&targets[0], 1, Work::Command(OperationKind::Reboot)),
        started(&targets[1], 1, parameters()),
        started(&targets[2], 1, firmware("fw1")),
        StartedTarget { target: skipped, work: None },
    ];
    now = next(&now, RolloutState::Running);
    let mut bad = first.clone();
    bad[2] = started(&targets[2], 1, firmware("fw9"));
    let missing = store.start_targets(now.clone(), bad, at(5)).await.unwrap_err();
    assert_eq!(missing.to_string(), "there is no firmware fw9");
    assert_eq!(store.open_operations_count().await.unwrap(), 0);
    assert_eq!(all(store.as_ref(), &now.id).await, targets, "all or nothing");

    store.start_targets(now.clone(), first.clone(), at(5)).await.unwrap();
    let kind = async |n: usize| store.open_operations(&targets[n].terminal).await.unwrap()[0].kind.clone();
    assert_eq!(kind(0).await, OperationKind::Reboot);
    assert_eq!(kind(1).await, OperationKind::SetParameters { revision: 1 });
    assert_eq!(kind(2).await, OperationKind::InstallFirmware { firmware: "fw1".parse().unwrap() });
    let desired = store.terminal(&targets[2].terminal).await.unwrap().unwrap().desired;
    assert_eq!(desired.firmware, Some("fw1".parse().unwrap()));
    assert_eq!(store.count(&"desired.firmware = fw1".parse().unwrap(), at(0)).await.unwrap(), 1);
    let (found, tally) = store.rollout_tally(&now.id, at(10)).await.unwrap().unwrap();
    let counts = tally.whole();
    assert_eq!((found, counts.queued, counts.skipped, counts.waiting), (now.clone(), 3, 1, 2));
    assert_eq!((tally.started_lately, tally.first_lately), (3, Some(at(5))));

    now = next(&now, RolloutState::Running);
    let again = store.start_targets(now.clone(), first, at(6)).await.unwrap_err();
    assert_eq!(again.to_string(), "not all of these targets of rollout r1 wait");
    // What is desired already is told again.
    let same: TerminalId = targets[4].terminal.clone();
    let wanted = crate::work::DesiredParameters {
        terminal: same.clone(),
        parameters: [("retries".to_owned(), "3".to_owned())].into(),
        ticket: ticket(&same, 7),
        terms: Terms::default(),
    };
    store.apply_parameters(vec![wanted], at(6)).await.unwrap();
    store.start_targets(now, vec![started(&targets[4], 8, parameters())], at(6)).await.unwrap();
    let open = store.open_operations(&same).await.unwrap();
    assert_eq!((open.len(), open[0].id), (1, id(&same, 8)));
    assert_eq!(open[0].kind, OperationKind::SetParameters { revision: 1 });
}

/// And moves once, however many look.
pub async fn a_target_is_watched_until_it_is_judged(store: &Arc<dyn Store>) {
    for number in 0..4 {
        added(store.as_ref(), &format!("T{number}")).await;
    }
    let draft = store.add_rollout(rollout("r1", "all")).await.unwrap();
    let running = next(&draft, RolloutState::Running);
    store.start_rollout(running.clone(), at(0)).await.unwrap();
    let targets = all(store.as_ref(), &running.id).await;
    let first: Vec<_> = targets
        .iter()
        .take(3)
        .map(|target| started(target, 1, Work::Command(OperationKind::Reboot)))
        .collect();
    store.start_targets(next(&running, RolloutState::Running), first, at(5)).await.unwrap();
    let watched = async |all_soaking, after: Option<&TerminalId>, seconds| {
        store.watched(&running.id, all_soaking, after, 9, at(seconds)).await.unwrap()
    };
    assert!(watched(true, None, 6).await.is_empty());
    let operation = |n: usize| id(&targets[n].terminal, 1);
    store.transition(operation(0), OperationState::Done, None, at(6)).await.unwrap();
    store.transition(operation(2), OperationState::Failed, Some("paper".to_owned()), at(6)).await.unwrap();
    let seen = watched(false, None, 7).await;
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].operation, Some((OperationState::Done, None)));
    assert_eq!(seen[1].operation, Some((OperationState::Failed, Some("paper".to_owned()))));
    assert_eq!(Some(&seen[1].terminal), store.terminal(&targets[2].terminal).await.unwrap().as_ref());
    assert_eq!(watched(false, Some(&targets[0].terminal), 7).await, seen[1..]);
    let of = store.target_of(operation(2)).await.unwrap();
    assert_eq!(of, Some((running.id.clone(), seen[1].target.clone())));
    assert_eq!(store.target_of(id(&targets[3].terminal, 1)).await.unwrap(), None);

    let soaking = RolloutTarget {
        state: TargetState::Soaking,
        soak_until: Some(at(16)),
        judge_by: Some(at(99)),
        ..seen[0].target.clone()
    };
    let failed = RolloutTarget {
        state: TargetState::Failed,
        reason: Some("paper".to_owned()),
        ..seen[1].target.clone()
    };
    let moves = vec![(TargetState::Queued, soaking.clone()), (TargetState::Queued, failed.clone())];
    assert_eq!(store.move_targets(&running.id, moves.clone()).await.unwrap(), 2);
    assert_eq!(store.move_targets(&running.id, moves).await.unwrap(), 0);
    let now = all(store.as_ref(), &running.id).await;
    assert_eq!((&now[0], &now[2]), (&soaking, &failed));
    assert!(watched(false, None, 15).await.is_empty());
    assert_eq!(watched(true, None, 15).await.len(), 1);
    assert_eq!(watched(false, None, 16).await.len(), 1);
    for seconds in [7, 16, 70, 120] {
        let tally = store.rollout_tally(&running.id, at(seconds)).await.unwrap().unwrap().1;
        assert_eq!(tally, Tally::of(&now, at(seconds)), "{seconds}");
    }
}

//! Batches on a store in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use testkit::MemoryStore;
use testkit::clock::Clock;
use testkit::store::CallFault;
use tms_core::{LifeCycle, Outcome, RetryPolicy};
use tms_crypto::vault::Vault;
use tms_store::estate::{ImportRow, TerminalChange};
use tms_store::{Store, StoreError};

use super::*;
use crate::app::{Limits, Objects};

fn ready<F: Future>(future: F) -> F::Output {
    future.now_or_never().expect("everything in memory is ready at once")
}

/// Terminals 1 to 9: every third of them another model, the fifth out of use, the last in another zone.
fn estate() -> (Arc<MemoryStore>, Clock, App) {
    let (store, clock) = (Arc::new(MemoryStore::new()), Clock::new("2026-11-30T12:00:00Z".parse().unwrap()));
    let now = clock.clone();
    let objects = Objects::memory();
    let (vault, limits) = (Vault::with_key(&[7; 32]), Limits::default());
    let app = App::new(Arc::clone(&store) as Arc<dyn Store>, vault, objects, None, limits, move || now.now());
    let row = |number: u32| ImportRow {
        id: format!("1000000{number}").parse().unwrap(),
        profile: Some(tms_core::Profile::iso87()),
        change: TerminalChange {
            merchant: Some("102310060510002".parse().unwrap()),
            model: Some(if number.is_multiple_of(3) { "N910" } else { "A920" }.to_owned()),
            life_cycle: Some(if number == 5 { LifeCycle::Suspended } else { LifeCycle::Active }),
            time_zone: (number == 9).then(|| "Europe/Berlin".parse().unwrap()),
            ..TerminalChange::default()
        },
    };
    let rows = (1..=9).map(row).collect();
    assert!(ready(store.import_terminals(rows, false, clock.now())).unwrap().is_applied);
    (store, clock, app)
}

fn new(selector: &str) -> NewBatch {
    NewBatch {
        selector: selector.parse().unwrap(),
        command: OperationKind::SelfTest,
        terms: Terms::default(),
        expires_at: None,
    }
}

#[test]
fn a_dry_run_says_whom_it_would_meet_and_makes_nothing() {
    let (store, _, app) = estate();
    let matched = ready(preview(&app, new("model = A920"))).unwrap();
    assert_eq!((matched.selected, matched.out_of_use, matched.matched), (6, 1, 5));
    let sample: Vec<_> = matched.sample.iter().map(TerminalId::as_str).collect();
    assert_eq!(sample, ["10000001", "10000002", "10000004", "10000007", "10000008"]);
    assert!(store.look(|contents| contents.operations.is_empty()));
}

#[test]
fn a_batch_is_made_with_its_terms_for_every_terminal_or_for_none() {
    let (store, clock, app) = estate();
    let terms = Terms {
        author: Some("li".to_owned()),
        not_before: Some(clock.now() + SignedDuration::from_hours(1)),
        rollout: Some("not-its-own".parse().unwrap()),
        ..Terms::default()
    };
    store.on_call(|call| if call == "enqueue_many" { CallFault::Refused } else { CallFault::None });
    assert!(ready(create(&app, NewBatch { terms: terms.clone(), ..new("all") })).is_err());
    assert!(store.look(|contents| contents.operations.is_empty()));
    store.heal();
    let batch = ready(create(&app, NewBatch { terms, ..new("all") })).unwrap();
    assert_eq!(batch.matched.matched, 8);
    let made = ready(store.batch(&batch.id, None, 100)).unwrap();
    assert_eq!(made.len(), 8);
    for operation in &made {
        assert_eq!(operation.terms.author.as_deref(), Some("li"));
        assert_eq!((&operation.terms.batch, &operation.terms.rollout), (&Some(batch.id.clone()), &None));
        // The usual time, from when it may begin.
        assert_eq!(operation.expires_at, clock.now() + SignedDuration::from_hours(7 * 24 + 1));
    }
    assert_eq!(ready(counts(&app, &batch.id)).unwrap(), [(OperationState::Queued, 8)]);
}

#[test]
fn a_batch_is_withdrawn_whole_and_withdrawing_it_again_does_nothing() {
    let (store, clock, app) = estate();
    let batch = ready(create(&app, new("all"))).unwrap();
    let lease = |tid: &str| {
        let until = clock.now() + SignedDuration::from_secs(60);
        ready(store.lease_next(&tid.parse().unwrap(), "n/s", until, clock.now())).unwrap().unwrap().id
    };
    let (done, begun) = (lease("10000001"), lease("10000002"));
    ready(store.transition(done, OperationState::Done, None, clock.now())).unwrap();
    ready(store.transition(begun, OperationState::Accepted, None, clock.now())).unwrap();
    assert_eq!(ready(cancel(&app, &batch.id)).unwrap(), Withdrawn { cancelled: 7, told: 1 });
    assert_eq!(ready(cancel(&app, &batch.id)).unwrap(), Withdrawn::default());
    let counts: BTreeMap<_, _> =
        ready(counts(&app, &batch.id)).unwrap().into_iter().map(|(state, n)| (state.name(), n)).collect();
    assert_eq!(counts, [("cancelled", 7), ("done", 1)].into());
    let told = store.look(|contents| {
        let cancels = |o: &&tms_core::Operation| o.kind == OperationKind::CancelOperation { target: begun };
        contents.operations.values().filter(cancels).count()
    });
    assert_eq!(told, 1);
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    let (_, clock, app) = estate();
    let hour = SignedDuration::from_hours(1);
    let retry = RetryPolicy { retryable: [Outcome::Done].into(), ..RetryPolicy::default() };
    let refused = |new: NewBatch| ready(create(&app, new)).unwrap_err().to_string();
    for (new, says) in [
        (new("tag nothing"), "the selector means no terminal"),
        (new("life_cycle = suspended"), "none of the 1 terminals that the selector means can be given this"),
        (NewBatch { expires_at: Some(clock.now() - hour), ..new("all") }, "which is over"),
        (NewBatch { expires_at: Some(clock.now() + hour * 10_000), ..new("all") }, "at most 366 days"),
        (
            NewBatch { terms: Terms { retry, ..Terms::default() }, ..new("all") },
            "what is done cannot be tried again",
        ),
        (
            NewBatch { command: OperationKind::SetParameters { revision: 1 }, ..new("all") },
            "change its parameters",
        ),
        (
            NewBatch {
                terms: Terms { not_before: Some(clock.now() + hour * 2), ..Terms::default() },
                expires_at: Some(clock.now() + hour),
                ..new("all")
            },
            "everything expires at",
        ),
    ] {
        let said = refused(new);
        assert!(said.contains(says), "{said}");
    }
    let unknown = ready(counts(&app, &"b9".parse().unwrap())).unwrap_err();
    assert!(matches!(unknown, ServiceError::Store(StoreError::NotFound { what: "batch", .. })), "{unknown}");
}

#[test]
fn a_dry_run_counts_those_whose_window_does_not_open_in_time() {
    let (_, clock, app) = estate();
    // It is 20:00 in Shanghai and 13:00 in Berlin.
    let terms = Terms { window: Some("daily 19:00-21:00".parse().unwrap()), ..Terms::default() };
    let expires_at = Some(clock.now() + SignedDuration::from_hours(2));
    let matched = ready(preview(&app, NewBatch { terms, expires_at, ..new("model = N910") })).unwrap();
    assert_eq!((matched.matched, matched.without_opening), (3, 1));
}

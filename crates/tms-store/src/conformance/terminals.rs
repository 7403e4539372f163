//! Promises about terminals.

use std::sync::Arc;

use tms_core::{OperationKind, OperationState, Reported, Role, TerminalId};

use super::{added, at, id, terminal, ticket};
use crate::error::StoreError;
use crate::store::{InitialCredential, ParameterChange, Store};

fn credential(role: Role, generation: u32) -> InitialCredential {
    InitialCredential { role, generation, sealed: vec![7; 40] }
}

/// With its credentials, their generations in the desired state, and found by its certificate.
pub async fn a_terminal_reads_back_as_it_was_added(store: &Arc<dyn Store>) {
    let mut new = terminal("T1");
    new.certificate_sha256 = Some("c1".repeat(32));
    let credentials = vec![credential(Role::administrator(), 1), credential(Role::supervisor(), 0)];
    store.enrol(new.clone(), credentials).await.unwrap();

    new.desired.credentials = [(Role::administrator(), 1), (Role::supervisor(), 0)].into();
    assert_eq!(store.terminal(&new.id).await.unwrap().as_ref(), Some(&new));
    let found = store.terminal_by_certificate(&"c1".repeat(32)).await.unwrap();
    assert_eq!(found.as_ref(), Some(&new));
    assert!(store.terminal_by_certificate("c2").await.unwrap().is_none());
    assert_eq!(store.count_terminals().await.unwrap(), 1);
    let credentials = store.credentials(&new.id).await.unwrap();
    let roles: Vec<_> = credentials.iter().map(|credential| credential.role.as_str()).collect();
    assert_eq!(roles, ["00", "99"]);
    let current = credentials[1].current.clone().unwrap();
    assert_eq!((current.generation, current.sealed, current.since), (1, vec![7; 40], new.enrolled_at));
    assert_eq!(credentials[1].next_generation(), Some(2));
}

/// The sentence says which of the two was there.
pub async fn a_terminal_and_a_certificate_are_added_once(store: &Arc<dyn Store>) {
    let mut first = terminal("T1");
    first.certificate_sha256 = Some("c1".repeat(32));
    store.add_terminal(first.clone()).await.unwrap();
    let again = store.add_terminal(first.clone()).await.unwrap_err();
    assert_eq!(again.to_string(), "terminal T1 exists already");
    let mut second = terminal("T2");
    second.certificate_sha256 = first.certificate_sha256.clone();
    let taken = store.add_terminal(second).await.unwrap_err();
    assert_eq!(taken.to_string(), "another terminal has the certificate of terminal T2");
    // Terminals without one do not clash.
    store.add_terminal(terminal("T3")).await.unwrap();
    store.add_terminal(terminal("T4")).await.unwrap();
}

/// One transaction: a credential that cannot be takes the terminal with it.
pub async fn a_refused_enrolment_leaves_nothing(store: &Arc<dyn Store>) {
    let twice = vec![credential(Role::administrator(), 1), credential(Role::administrator(), 2)];
    let refused = store.enrol(terminal("T1"), twice).await.unwrap_err();
    assert!(matches!(refused, StoreError::Conflict { .. }), "{refused}");
    let tid: TerminalId = "T1".parse().unwrap();
    assert!(store.terminal(&tid).await.unwrap().is_none());
    assert!(store.credentials(&tid).await.unwrap().is_empty());
}

/// Also across the end of the list.
pub async fn terminals_come_in_pages_in_the_order_of_their_ids(store: &Arc<dyn Store>) {
    for tid in ["T3", "T1", "T5", "T2", "T4"] {
        added(store.as_ref(), tid).await;
    }
    let mut after = None;
    let mut seen = Vec::new();
    loop {
        let page = store.terminals(after.as_ref(), 2).await.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(last.id.clone());
        seen.extend(page.into_iter().map(|terminal| terminal.id.to_string()));
    }
    assert_eq!(seen, ["T1", "T2", "T3", "T4", "T5"]);
}

/// A report is also a contact, and has a time.
pub async fn a_report_keeps_what_it_does_not_mention(store: &Arc<dyn Store>) {
    let tid = added(store.as_ref(), "T1").await;
    let first =
        Reported { firmware_version: Some("1.0.0".into()), boot_count: Some(1), ..Reported::default() };
    store.record_report(&tid, first, at(1)).await.unwrap();
    let second = Reported { boot_count: Some(2), at: Some(at(5)), ..Reported::default() };
    store.record_report(&tid, second, at(6)).await.unwrap();
    let known = store.terminal(&tid).await.unwrap().unwrap();
    assert_eq!(known.reported.firmware_version.as_deref(), Some("1.0.0"));
    assert_eq!(known.reported.boot_count, Some(2));
    assert_eq!(known.reported.at, Some(at(5)));
    assert_eq!(known.last_contact, Some(at(6)));
}

/// In batches larger than any statement.
pub async fn contacts_keep_the_latest_time_and_pass_over_strangers(store: &Arc<dyn Store>) {
    let (one, two) = (added(store.as_ref(), "T1").await, added(store.as_ref(), "T2").await);
    let mut batch: Vec<_> =
        (0..1500).map(|number| (format!("X{number}").parse::<TerminalId>().unwrap(), at(number))).collect();
    batch.insert(3, (one.clone(), at(10)));
    batch.push((one.clone(), at(9)));
    batch.push((two.clone(), at(7)));
    store.record_contacts(&batch).await.unwrap();
    store.record_contacts(&[(two.clone(), at(5))]).await.unwrap();
    store.record_contacts(&[]).await.unwrap();
    let contact = async |tid: &TerminalId| store.terminal(tid).await.unwrap().unwrap().last_contact;
    assert_eq!(contact(&one).await, Some(at(10)));
    assert_eq!(contact(&two).await, Some(at(7)));
    assert_eq!(store.count_terminals().await.unwrap(), 2);
}

/// Every change says which terminal is missing; reads find nothing.
pub async fn nothing_happens_to_a_terminal_that_does_not_exist(store: &Arc<dyn Store>) {
    let tid: TerminalId = "T404".parse().unwrap();
    let role = Role::administrator();
    let firmware = "fw".parse().unwrap();
    let new = tms_core::NewOperation {
        id: id(&tid, 1),
        terminal: tid.clone(),
        kind: OperationKind::Reboot,
        expires_at: at(60),
        terms: tms_core::Terms::default(),
    };
    let errors = [
        store.record_report(&tid, Reported::default(), at(0)).await.unwrap_err(),
        store
            .set_desired_parameters(&tid, ParameterChange::default(), ticket(&tid, 1), at(0))
            .await
            .unwrap_err(),
        store.assign_firmware(&tid, &firmware, ticket(&tid, 1), at(0)).await.unwrap_err(),
        store.begin_rotation(&tid, &role, vec![], ticket(&tid, 1), at(0)).await.unwrap_err(),
        store.enqueue(new, at(0)).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.to_string(), "there is no terminal T404");
    }
    assert!(store.credential(&tid, &role).await.unwrap().is_none());
    assert!(store.lease_next(&tid, "a", at(9), at(0)).await.unwrap().is_none());
    assert!(store.operations(&tid, None, 9).await.unwrap().is_empty());
    let missing = store.transition(id(&tid, 1), OperationState::Sent, None, at(0)).await.unwrap_err();
    assert!(missing.to_string().starts_with("there is no operation "), "{missing}");
}

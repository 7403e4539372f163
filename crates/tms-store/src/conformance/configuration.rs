//! Promises about configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use tms_core::configuration::{Revision, Scope, Values, effective};
use tms_core::{BatchId, Group, OperationKind, OperationState, TerminalId, Terms};

use super::estate::group;
use super::{added, at, id, terminal, ticket};
use crate::error::StoreError;
use crate::store::{ParameterChange, Store};
use crate::work::{DesiredParameters, ParametersApplied};

fn values(pairs: &[(&str, &str)]) -> Values {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn revision(scope: &str, number: u64, pairs: &[(&str, &str)]) -> Revision {
    Revision {
        scope: scope.parse().unwrap(),
        number,
        values: values(pairs),
        author: "ann".to_owned(),
        reason: "新的超时".to_owned(),
        at: at(number.try_into().unwrap()),
        rolled_back_from: number.checked_sub(3),
    }
}

/// One after the other, and none of them changes.
pub async fn revisions_of_a_scope_follow_each_other(store: &Arc<dyn Store>) {
    store.put_group(group("bank", None), None).await.unwrap();
    let tid = added(store.as_ref(), "T1").await;
    for scope in ["template:standard", "group:bank", "terminal:T1"] {
        for number in 1..=4 {
            let new = revision(scope, number, &[("timeout_s", &number.to_string())]);
            assert_eq!(store.add_revision(new.clone()).await.unwrap(), new);
            let twice = store.add_revision(new).await.unwrap_err();
            assert!(matches!(twice, StoreError::Stale { .. }), "{twice}");
        }
        let ahead = store.add_revision(revision(scope, 6, &[])).await.unwrap_err();
        assert_eq!(
            ahead.to_string(),
            format!("configuration {scope} has version 4 by now and not 5; look at it again")
        );
        let scope: Scope = scope.parse().unwrap();
        let numbers = async |before, limit| -> Vec<_> {
            let page = store.revisions(&scope, before, limit).await.unwrap();
            page.into_iter().map(|revision| revision.number).collect()
        };
        assert_eq!(numbers(None, 2).await, [4, 3]);
        assert_eq!(numbers(Some(3), 9).await, [2, 1]);
        let current = store.revision(&scope, None).await.unwrap().unwrap();
        assert_eq!(current, revision(&scope.to_string(), 4, &[("timeout_s", "4")]));
        assert_eq!(store.revision(&scope, Some(2)).await.unwrap().unwrap().number, 2);
        assert_eq!(store.revision(&scope, Some(9)).await.unwrap(), None);
    }
    store.add_revision(revision("template:a", 1, &[])).await.unwrap();
    let templates: Vec<_> =
        store.templates().await.unwrap().into_iter().map(|r| (r.scope.to_string(), r.number)).collect();
    assert_eq!(templates, [("template:a".to_owned(), 1), ("template:standard".to_owned(), 4)]);
    for (scope, said) in [("group:x", "there is no group x"), ("terminal:T404", "there is no terminal T404")]
    {
        assert_eq!(store.add_revision(revision(scope, 1, &[])).await.unwrap_err().to_string(), said);
    }
    assert!(store.revisions(&"group:x".parse().unwrap(), None, 9).await.unwrap().is_empty());
    drop(tid);
}

/// From the top down, at one moment, and no more than is asked for.
pub async fn what_a_terminal_should_have_is_read_in_one_call(store: &Arc<dyn Store>) {
    let bare = |id, parent| Group { templates: Vec::new(), ..group(id, parent) };
    store.put_group(group("bank", None), None).await.unwrap();
    store.put_group(bare("north", Some("bank")), None).await.unwrap();
    store.put_group(bare("shop", Some("north")), None).await.unwrap();
    store.put_group(bare("south", Some("bank")), None).await.unwrap();
    for (tid, group) in [("T1", Some("shop")), ("T2", Some("south")), ("T3", None)] {
        let mut new = terminal(tid);
        new.place.group = group.map(|group| group.parse().unwrap());
        store.add_terminal(new).await.unwrap();
    }
    for (scope, number, pairs) in [
        ("template:standard", 1, &[("timeout_s", "30"), ("retries", "1")][..]),
        ("template:standard", 2, &[("timeout_s", "40"), ("retries", "1")]),
        ("template:other", 1, &[("timeout_s", "50")]),
        ("group:north", 1, &[("retries", "2")]),
        ("group:south", 1, &[("retries", "3")]),
        ("terminal:T1", 1, &[("tip_allowed", "1")]),
    ] {
        store.add_revision(revision(scope, number, pairs)).await.unwrap();
    }
    let tid = |tid: &str| tid.parse::<TerminalId>().unwrap();
    let one = store.configuration(&[tid("T1")]).await.unwrap();
    assert_eq!(one.terminals.len(), 1);
    let groups: Vec<_> = one.groups.iter().map(|group| group.id.as_str()).collect();
    assert_eq!(groups, ["bank", "north", "shop"]);
    let scopes: Vec<_> = one.current.iter().map(|(scope, r)| (scope.to_string(), r.number)).collect();
    let expected = [("template:standard", 2), ("group:north", 1), ("terminal:T1", 1)];
    assert_eq!(scopes, expected.map(|(scope, number)| (scope.to_owned(), number)));
    let got = effective(&one.terminals[0], &one.groups, &one.current).unwrap();
    assert_eq!(got.values(), values(&[("timeout_s", "40"), ("retries", "2"), ("tip_allowed", "1")]));

    let all = store.configuration(&[tid("T3"), tid("T404"), tid("T2"), tid("T1"), tid("T2")]).await.unwrap();
    assert_eq!(all.terminals.iter().map(|t| t.id.as_str()).collect::<Vec<_>>(), ["T1", "T2", "T3"]);
    assert_eq!((all.groups.len(), all.current.len()), (4, 4));
    assert!(store.configuration(&[]).await.unwrap().terminals.is_empty());
}

/// What is so already is left alone; the answer is in the order of the question.
pub async fn parameters_of_many_are_applied_together(store: &Arc<dyn Store>) {
    let tids: Vec<_> = (0..1_100).map(|number| format!("T{number:04}")).collect();
    for tid in &tids {
        added(store.as_ref(), tid).await;
    }
    let first: TerminalId = "T0000".parse().unwrap();
    let change = |value: &str| ParameterChange { set: values(&[("retries", value)]), ..Default::default() };
    let (_, waiting) =
        store.set_desired_parameters(&first, change("5"), ticket(&first, 1), at(0)).await.unwrap();
    let second: TerminalId = "T0001".parse().unwrap();
    store.set_desired_parameters(&second, change("7"), ticket(&second, 1), at(0)).await.unwrap();
    let batch: BatchId = "b1".parse().unwrap();
    let terms = Terms { batch: Some(batch.clone()), author: Some("ann".to_owned()), ..Terms::default() };
    let wanted = |tid: &str, number| {
        let terminal: TerminalId = tid.parse().unwrap();
        let ticket = ticket(&terminal, number);
        DesiredParameters { terminal, parameters: values(&[("retries", "7")]), ticket, terms: terms.clone() }
    };
    let mut all: Vec<_> = tids.iter().map(|tid| wanted(tid, 2)).collect();
    all.insert(1, wanted("T404", 2));
    let done = store.apply_parameters(all.clone(), at(3)).await.unwrap();
    assert_eq!(done[0], ParametersApplied::Queued { revision: 2, operation: id(&first, 2) });
    assert_eq!(&done[1..3], [ParametersApplied::Missing, ParametersApplied::Same]);
    assert!(matches!(done[1_100], ParametersApplied::Queued { revision: 1, .. }));
    let replaced = store.operation(waiting.id).await.unwrap().unwrap();
    assert_eq!((replaced.state, replaced.updated_at), (OperationState::Cancelled, at(3)));
    assert_eq!(replaced.detail.as_deref(), Some("replaced by parameter revision 2"));
    let open = store.open_operations(&first).await.unwrap();
    assert_eq!((open.len(), &open[0].kind), (1, &OperationKind::SetParameters { revision: 2 }));
    assert_eq!(open[0].terms, terms);
    assert_eq!(store.batch_counts(&batch).await.unwrap(), [(OperationState::Queued, 1_099)]);
    let page = store.batch(&batch, None, 700).await.unwrap();
    let rest = store.batch(&batch, Some(page[699].id), 700).await.unwrap();
    assert_eq!((page.len(), rest.len()), (700, 399));
    let counts: BTreeMap<_, _> = page.iter().chain(&rest).map(|operation| (operation.id, ())).collect();
    assert_eq!(counts.len(), 1_099);

    let again = store.apply_parameters(all.clone(), at(4)).await.unwrap();
    assert_eq!(again.iter().filter(|done| **done == ParametersApplied::Same).count(), 1_100);
    all[3].parameters = values(&[]);
    all[3].ticket = ticket(&first, 2);
    all[4].parameters = values(&[]);
    all[4].ticket = ticket(&first, 3);
    let used = store.apply_parameters(all.clone(), at(5)).await.unwrap_err();
    assert!(matches!(used, StoreError::Conflict { .. }), "{used}");
    let desired = store.terminal(&"T0003".parse().unwrap()).await.unwrap().unwrap().desired;
    assert_eq!((desired.parameters_revision, desired.parameters.len()), (1, 1), "all or nothing");
    all.push(all[0].clone());
    let twice = store.apply_parameters(all, at(5)).await.unwrap_err();
    assert_eq!(twice.to_string(), "terminal T0000 is given twice");
}

/// Nothing else about the terminal changes, and its next change follows that revision.
pub async fn a_revision_is_raised_above_what_a_terminal_has(store: &Arc<dyn Store>) {
    let tid = added(store.as_ref(), "C-RAISE").await;
    let change =
        ParameterChange { set: [("retries".to_owned(), "3".to_owned())].into(), ..Default::default() };
    let (_, operation) =
        store.set_desired_parameters(&tid, change.clone(), ticket(&tid, 1), at(0)).await.unwrap();
    assert_eq!(store.raise_parameters(&tid, 0).await.unwrap(), 1, "it is above that");
    for _ in 0..2 {
        assert_eq!(store.raise_parameters(&tid, 7).await.unwrap(), 8);
    }
    let desired = store.terminal(&tid).await.unwrap().unwrap().desired;
    assert_eq!((desired.parameters_revision, desired.parameters), (8, change.set.clone()));
    assert_eq!(store.open_operations(&tid).await.unwrap(), [operation]);
    let (next, _) = store.set_desired_parameters(&tid, change, ticket(&tid, 2), at(1)).await.unwrap();
    assert_eq!(next, 9);
    let last = u64::try_from(i64::MAX).unwrap();
    assert!(matches!(store.raise_parameters(&tid, u64::MAX).await, Err(StoreError::Conflict { .. })));
    assert!(store.raise_parameters(&tid, last).await.is_ok());
    let stranger = "NOBODY".parse().unwrap();
    assert!(matches!(store.raise_parameters(&stranger, 1).await, Err(StoreError::NotFound { .. })));
}

//! Promises about credentials.

use std::sync::Arc;

use tms_core::{OperationKind, OperationState, Reported, Role, RotationPhase, TerminalId};

use super::{at, terminal, ticket};
use crate::error::StoreError;
use crate::store::{InitialCredential, Store};

async fn enrolled(store: &dyn Store) -> TerminalId {
    let new = terminal("T1");
    let tid = new.id.clone();
    let credential = InitialCredential { role: Role::administrator(), generation: 1, sealed: vec![1] };
    store.enrol(new, vec![credential]).await.unwrap();
    tid
}

/// Every phase can be repeated; the previous generation is gone at the end and not before.
pub async fn a_rotation_goes_from_prepared_to_in_force(store: &Arc<dyn Store>) {
    let tid = enrolled(store.as_ref()).await;
    let role = Role::administrator();
    let operation = store.begin_rotation(&tid, &role, vec![2], ticket(&tid, 1), at(1)).await.unwrap();
    assert_eq!(operation.kind, OperationKind::RotateCredential { role: role.clone(), generation: 2 });
    assert_eq!(store.terminal(&tid).await.unwrap().unwrap().desired.credentials[&role], 2);
    let second = store.begin_rotation(&tid, &role, vec![3], ticket(&tid, 2), at(1)).await.unwrap_err();
    assert!(second.to_string().contains("already under way"), "{second}");

    let mut version = store.credential(&tid, &role).await.unwrap().unwrap().version;
    for phase in
        [RotationPhase::Prepared, RotationPhase::Committed, RotationPhase::Committed, RotationPhase::Verified]
    {
        let credential = store.set_pending_phase(&tid, &role, 2, phase, at(2)).await.unwrap();
        let pending = credential.pending.clone().unwrap();
        assert_eq!(
            (pending.generation, pending.sealed, pending.phase, pending.operation),
            (2, vec![2], phase, operation.id)
        );
        assert_eq!(credential.current.as_ref().unwrap().sealed, [1]);
        assert!(credential.version >= version);
        version = credential.version;
        assert_eq!(store.credential(&tid, &role).await.unwrap(), Some(credential));
    }
    let back = store.set_pending_phase(&tid, &role, 2, RotationPhase::Prepared, at(3)).await.unwrap_err();
    assert!(back.to_string().contains("cannot go back to prepared"), "{back}");
    for _ in 0..2 {
        let credential = store.confirm_rotation(&tid, &role, 2, at(4)).await.unwrap();
        let current = credential.current.unwrap();
        assert_eq!((current.generation, current.sealed, current.since), (2, vec![2], at(4)));
        assert_eq!(credential.pending, None);
    }
    let gone = store.set_pending_phase(&tid, &role, 2, RotationPhase::Verified, at(5)).await.unwrap_err();
    assert!(matches!(gone, StoreError::Conflict { .. }), "{gone}");
}

/// Dropping the old generation before the terminal proved the new one would lock people out.
pub async fn a_rotation_is_confirmed_only_after_it_was_verified(store: &Arc<dyn Store>) {
    let tid = enrolled(store.as_ref()).await;
    let role = Role::administrator();
    store.begin_rotation(&tid, &role, vec![2], ticket(&tid, 1), at(1)).await.unwrap();
    for phase in [RotationPhase::Prepared, RotationPhase::Committed] {
        store.set_pending_phase(&tid, &role, 2, phase, at(2)).await.unwrap();
        let early = store.confirm_rotation(&tid, &role, 2, at(3)).await.unwrap_err();
        assert!(early.to_string().ends_with("not verified"), "{early}");
    }
    let other = store.confirm_rotation(&tid, &role, 3, at(3)).await.unwrap_err();
    assert!(matches!(other, StoreError::Conflict { .. }), "{other}");
    let credential = store.credential(&tid, &role).await.unwrap().unwrap();
    assert_eq!(credential.current.unwrap().sealed, [1]);
    assert_eq!(credential.pending.unwrap().sealed, [2]);
    let missing = store.confirm_rotation(&tid, &Role::supervisor(), 1, at(3)).await.unwrap_err();
    assert!(matches!(missing, StoreError::NotFound { .. }), "{missing}");
}

/// Its operation is cancelled and the desired state goes back to what is in force.
pub async fn an_abandoned_generation_is_never_used_again(store: &Arc<dyn Store>) {
    let tid = enrolled(store.as_ref()).await;
    let role = Role::administrator();
    let operation = store.begin_rotation(&tid, &role, vec![2], ticket(&tid, 1), at(1)).await.unwrap();
    for _ in 0..2 {
        let credential = store.abandon_rotation(&tid, &role, 2, at(2)).await.unwrap();
        assert_eq!((credential.current.unwrap().generation, credential.pending), (1, None));
    }
    assert_eq!(store.operation(operation.id).await.unwrap().unwrap().state, OperationState::Cancelled);
    assert_eq!(store.terminal(&tid).await.unwrap().unwrap().desired.credentials[&role], 1);
    let next = store.begin_rotation(&tid, &role, vec![3], ticket(&tid, 2), at(3)).await.unwrap();
    assert_eq!(next.kind, OperationKind::RotateCredential { role, generation: 3 });

    // A role that had none before has none again.
    let role = Role::supervisor();
    store.begin_rotation(&tid, &role, vec![4], ticket(&tid, 3), at(4)).await.unwrap();
    store.abandon_rotation(&tid, &role, 1, at(5)).await.unwrap();
    assert!(!store.terminal(&tid).await.unwrap().unwrap().desired.credentials.contains_key(&role));
}

/// The terminal may have nothing else any more.
pub async fn a_verified_generation_cannot_be_abandoned(store: &Arc<dyn Store>) {
    let tid = enrolled(store.as_ref()).await;
    let role = Role::administrator();
    store.begin_rotation(&tid, &role, vec![2], ticket(&tid, 1), at(1)).await.unwrap();
    store.set_pending_phase(&tid, &role, 2, RotationPhase::Verified, at(2)).await.unwrap();
    let refused = store.abandon_rotation(&tid, &role, 2, at(3)).await.unwrap_err();
    assert!(refused.to_string().contains("can only be confirmed"), "{refused}");
    assert!(store.credential(&tid, &role).await.unwrap().unwrap().pending.is_some());
}

/// A store that is lost gave it out. It is what rotations replace until one has, also after one was given up.
pub async fn a_generation_that_only_the_terminal_knows_is_replaced(store: &Arc<dyn Store>) {
    let tid = enrolled(store.as_ref()).await;
    let role = Role::administrator();
    let report = Reported { credentials: [(role.clone(), 6)].into(), ..Reported::default() };
    store.record_report(&tid, report, at(1)).await.unwrap();
    for generation in [7, 8] {
        let sealed = vec![u8::try_from(generation).unwrap()];
        let operation =
            store.begin_rotation(&tid, &role, sealed, ticket(&tid, generation), at(2)).await.unwrap();
        assert_eq!(operation.kind, OperationKind::RotateCredential { role: role.clone(), generation });
        let credential = store.credential(&tid, &role).await.unwrap().unwrap();
        assert_eq!((credential.base(), credential.highest_generation), (6, generation));
        assert_eq!(credential.current.unwrap().generation, 1);
        if generation == 7 {
            store.abandon_rotation(&tid, &role, generation, at(3)).await.unwrap();
        }
    }
    store.set_pending_phase(&tid, &role, 8, RotationPhase::Verified, at(4)).await.unwrap();
    let credential = store.confirm_rotation(&tid, &role, 8, at(5)).await.unwrap();
    assert_eq!((credential.base(), credential.foreign_generation), (8, None));
    assert_eq!(store.credential(&tid, &role).await.unwrap(), Some(credential));
}

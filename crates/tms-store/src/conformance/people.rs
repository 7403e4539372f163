//! Promises about people and their tokens.

use std::sync::Arc;

use super::at;
use crate::error::StoreError;
use crate::store::Store;

/// Setting a password again makes it usable again.
pub async fn a_one_time_password_is_used_up_once(store: &Arc<dyn Store>) {
    assert!(store.admin("ann").await.unwrap().is_none());
    let missing = store.consume_one_time("ann").await.unwrap_err();
    assert_eq!(missing.to_string(), "there is no user ann");
    store.set_admin_password("ann", "hash-1", true).await.unwrap();
    assert!(store.consume_one_time("ann").await.unwrap());
    assert!(!store.consume_one_time("ann").await.unwrap());
    let ann = store.admin("ann").await.unwrap().unwrap();
    assert_eq!((ann.password_hash.as_str(), ann.one_time, ann.consumed), ("hash-1", true, true));
    store.set_admin_password("ann", "hash-2", true).await.unwrap();
    assert!(store.consume_one_time("ann").await.unwrap());
    store.set_admin_password("ann", "hash-3", false).await.unwrap();
    assert!(!store.consume_one_time("ann").await.unwrap());
    let ann = store.admin("ann").await.unwrap().unwrap();
    assert_eq!((ann.password_hash.as_str(), ann.one_time, ann.consumed), ("hash-3", false, false));
}

/// And belongs to a user.
pub async fn a_token_is_valid_until_it_expires(store: &Arc<dyn Store>) {
    let stranger = store.add_token("t0", "bob", at(10), at(0)).await.unwrap_err();
    assert_eq!(stranger.to_string(), "there is no user bob");
    store.set_admin_password("bob", "hash", false).await.unwrap();
    store.add_token("t1", "bob", at(10), at(0)).await.unwrap();
    let again = store.add_token("t1", "bob", at(20), at(0)).await.unwrap_err();
    assert!(matches!(again, StoreError::Conflict { .. }), "{again}");
    let token = store.token("t1", at(9)).await.unwrap().unwrap();
    assert_eq!((token.user.as_str(), token.expires_at), ("bob", at(10)));
    assert!(store.token("t1", at(10)).await.unwrap().is_none());
    assert!(store.token("t2", at(0)).await.unwrap().is_none());
    // Tokens that are over make room.
    store.add_token("t3", "bob", at(30), at(20)).await.unwrap();
    store.add_token("t1", "bob", at(40), at(20)).await.unwrap();
    assert_eq!(store.token("t1", at(20)).await.unwrap().unwrap().expires_at, at(40));
}

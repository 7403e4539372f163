//! Promises about people and their tokens.

use std::sync::Arc;

use tms_core::UserRole::{Administrator, Operator, ReadOnly};

use super::at;
use crate::error::StoreError;
use crate::store::{Begun, Store};

/// Setting a password again makes it usable again.
pub async fn a_one_time_password_is_used_up_once(store: &Arc<dyn Store>) {
    assert!(store.admin("ann").await.unwrap().is_none());
    let missing = store.consume_one_time("ann").await.unwrap_err();
    assert_eq!(missing.to_string(), "there is no user ann");
    store.set_admin_password("ann", Administrator, "hash-1", true).await.unwrap();
    assert!(store.consume_one_time("ann").await.unwrap());
    assert!(!store.consume_one_time("ann").await.unwrap());
    let ann = store.admin("ann").await.unwrap().unwrap();
    assert_eq!((ann.password_hash.as_str(), ann.one_time, ann.consumed), ("hash-1", true, true));
    store.set_admin_password("ann", Administrator, "hash-2", true).await.unwrap();
    assert!(store.consume_one_time("ann").await.unwrap());
    store.set_admin_password("ann", Administrator, "hash-3", false).await.unwrap();
    assert!(!store.consume_one_time("ann").await.unwrap());
    let ann = store.admin("ann").await.unwrap().unwrap();
    assert_eq!((ann.password_hash.as_str(), ann.one_time, ann.consumed), ("hash-3", false, false));
}

/// And belongs to a user.
pub async fn a_token_is_valid_until_it_expires(store: &Arc<dyn Store>) {
    let stranger = store.add_token("t0", "bob", at(10), at(0)).await.unwrap_err();
    assert_eq!(stranger.to_string(), "there is no user bob");
    store.set_admin_password("bob", Operator, "hash", false).await.unwrap();
    store.add_token("t1", "bob", at(10), at(0)).await.unwrap();
    let again = store.add_token("t1", "bob", at(20), at(0)).await.unwrap_err();
    assert!(matches!(again, StoreError::Conflict { .. }), "{again}");
    let token = store.token("t1", at(9)).await.unwrap().unwrap();
    assert_eq!((token.user.as_str(), token.role, token.expires_at), ("bob", Operator, at(10)));
    assert!(store.token("t1", at(10)).await.unwrap().is_none());
    assert!(store.token("t2", at(0)).await.unwrap().is_none());
    // Tokens that are over make room.
    store.add_token("t3", "bob", at(30), at(20)).await.unwrap();
    store.add_token("t1", "bob", at(40), at(20)).await.unwrap();
    assert_eq!(store.token("t1", at(20)).await.unwrap().unwrap().expires_at, at(40));
}

/// Also on tokens that were given out before.
pub async fn a_changed_role_holds_at_once(store: &Arc<dyn Store>) {
    store.set_admin_password("eve", Operator, "hash-1", false).await.unwrap();
    store.add_token("t-eve", "eve", at(10), at(0)).await.unwrap();
    assert_eq!(store.admin("eve").await.unwrap().unwrap().role, Operator);
    store.set_admin_password("eve", ReadOnly, "hash-2", false).await.unwrap();
    assert_eq!(store.token("t-eve", at(1)).await.unwrap().unwrap().role, ReadOnly);
}

/// And its key stands for no other request while it is known.
pub async fn a_request_is_answered_once_under_its_key(store: &Arc<dyn Store>) {
    let begin = |caller: &'static str, fingerprint: &'static str, seconds: i64| {
        store.begin_request(caller, "key", fingerprint, at(seconds - 100), at(seconds))
    };
    assert_eq!(begin("flo", "f1", 0).await.unwrap(), Begun::New);
    assert_eq!(begin("flo", "f1", 1).await.unwrap(), Begun::Unfinished);
    assert_eq!(begin("flo", "f2", 1).await.unwrap(), Begun::Other);
    assert_eq!(begin("gus", "f2", 1).await.unwrap(), Begun::New, "keys are everybody's own");
    store.finish_request("flo", "key", vec![1, 2]).await.unwrap();
    assert_eq!(begin("flo", "f1", 2).await.unwrap(), Begun::Answered(vec![1, 2]));
    // What has an answer cannot be forgotten, what has none can.
    store.forget_request("flo", "key").await.unwrap();
    assert_eq!(begin("flo", "f1", 3).await.unwrap(), Begun::Answered(vec![1, 2]));
    store.forget_request("gus", "key").await.unwrap();
    store.forget_request("gus", "key").await.unwrap();
    let gone = store.finish_request("gus", "key", vec![3]).await.unwrap_err();
    assert!(matches!(gone, StoreError::NotFound { .. }), "{gone}");
    // Old ones make room.
    assert_eq!(begin("flo", "f1", 100).await.unwrap(), Begun::Answered(vec![1, 2]));
    assert_eq!(begin("flo", "f2", 101).await.unwrap(), Begun::New);
}

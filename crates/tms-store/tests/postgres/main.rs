//! The PostgreSQL back end keeps every promise of the trait, also while servers of estate and database
//! come and go. Tests that need a server run where `TMS_TEST_POSTGRES_URL` names one.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are tests too")]

mod faults;
mod nodes;
mod opening;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tms_core::{NewOperation, OperationId, OperationKind, TerminalId};
use tms_store::Store;
use tms_store::conformance::postgres::Scratch;

async fn open() -> Option<(Scratch, Arc<dyn Store>)> {
    let scratch = Scratch::new().await?;
    let store = scratch.store().await;
    Some((scratch, store))
}

tms_store::conformance_tests!(open);

fn operation(tid: &str, number: u32) -> NewOperation {
    let mut random = [0; 10];
    random[..4].copy_from_slice(&number.to_be_bytes());
    NewOperation {
        id: OperationId::new(Timestamp::UNIX_EPOCH, random),
        terminal: tid.parse::<TerminalId>().unwrap(),
        kind: OperationKind::Reboot,
        expires_at: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1),
        terms: tms_core::Terms::default(),
    }
}

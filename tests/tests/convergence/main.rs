//! Whatever breaks, in the end desired and reported state agree, and nothing took effect twice.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests are tests too"
)]

mod expiry;
mod firmware;
mod macs;
mod parameters;
mod reboot;
mod repeats;
mod rotation;
mod shutdown;
mod soak;

use testkit::{Estate, until};
use tms_core::{Operation, OperationId, OperationState, Terminal, TerminalId};

/// Waits until an operation has ended well.
async fn done(estate: &Estate, operation: OperationId) -> Operation {
    let ended = estate.ended(operation).await;
    assert_eq!(ended.state, OperationState::Done, "{:?}", ended.detail);
    ended
}

/// Waits until the store describes a terminal as wanted.
async fn reported(
    estate: &Estate,
    terminal: &TerminalId,
    what: &str,
    wanted: impl Fn(&Terminal) -> bool,
) -> Terminal {
    until(what, async || {
        let found = estate.app().store.terminal(terminal).await.unwrap().unwrap();
        wanted(&found).then_some(found)
    })
    .await
}

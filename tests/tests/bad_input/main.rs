//! Bad input: each kind is answered clearly, counted, and harms nobody else's session.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests are tests too"
)]

mod bytes;
mod certificates;
mod firmware;
mod frames;
mod identity;
mod limits;
mod messages;

use testkit::{Estate, until};

/// Waits until a counter has a value: a peer may see the end of its connection before it is counted.
async fn counted(
    estate: &Estate,
    name: &str,
    count: impl Fn(&tms_server::counters::Counters) -> u64,
    expected: u64,
) {
    until(&format!("counter {name} to be {expected}"), async || {
        let found = count(estate.counters());
        assert!(found <= expected, "counter {name} is {found}, not {expected}");
        (found == expected).then_some(())
    })
    .await;
}

/// Waits until a counter of an estate has a value.
macro_rules! assert_counted {
    ($estate:expr, $counter:ident, $expected:expr) => {
        $crate::counted(&$estate, stringify!($counter), |counters| counters.$counter.get(), $expected).await
    };
}
use assert_counted;

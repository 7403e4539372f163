//! The statements, and the trait on top of them, written once for both back ends.
//!
//! Each back end compiles this folder into itself. What it is to be compiled for stands in the module
//! above: `Db` (the driver), `Backend` (the store's type, with its `readers` and its `writer`), `fault`,
//! `dialect` (for selectors), `LOCK_GROUPS` and `LOCK_ROWS`, and two macros for what the two databases say differently: `locked!` makes a query that nobody else's
//! transaction can overtake, `next_seq!` is the place of a new operation in its terminal's queue.
//!
//! `dump` also takes four statements that have little in common.
//!
//! So a statement may use `$1` parameters, `ON CONFLICT` and `RETURNING`, and no function of one database.
//! A refusal is told from what a statement found (`ON CONFLICT DO NOTHING`, no row), never from an error:
//! after an error PostgreSQL takes no further statement of the transaction.

mod alarms;
mod artifacts;
mod configuration;
mod credentials;
mod documents;
pub(super) mod dump;
mod duties;
mod groups;
mod operations;
mod people;
mod places;
mod requests;
mod rollouts;
mod selector;
mod store;
mod terminals;

pub(super) use terminals::derive;

use super::{Backend, Db, fault};
use crate::error::StoreError;

type Connection = <Db as sqlx::Database>::Connection;

/// Adds bound values with commas between them.
fn push_list<'v>(query: &mut sqlx::QueryBuilder<Db>, values: impl IntoIterator<Item = &'v str>) {
    let mut list = query.separated(", ");
    for value in values {
        list.push_bind(value.to_owned());
    }
}

/// Puts an error of the driver into the store's words.
fn sql(error: sqlx::Error) -> StoreError {
    fault::from_sqlx(&error)
}

//! The estate as people order it: groups, where terminals stand, selectors, and whole files of terminals.

mod export;
mod groups;
mod import;
mod places;
mod selectors;
mod table;

#[cfg(test)]
mod tests;

pub use export::Export;
pub use groups::{GroupChange, GroupSight, change_group, create_group, delete_group, group};
pub use import::{ImportOptions, ImportReport, MAX_PROBLEMS, Row, RowProblem, import};
pub use places::{change_many, change_place, replace};
pub use selectors::{delete_selector, resolve, save_selector};
pub use table::{Format, read};

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use tms_core::{AttributeName, AttributeValue};

/// Attributes to set or, with `None`, to take away.
pub type AttributeChange = BTreeMap<AttributeName, Option<AttributeValue>>;

/// Reads a member that may be `null`, which is something else than that it is not there.
pub(crate) fn given<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

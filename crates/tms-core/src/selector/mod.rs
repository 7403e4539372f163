//! Selectors: which terminals of the estate are meant, in a line of text.
//!
//! ```
//! use tms_core::selector::Selector;
//!
//! let selector: Selector = "group under icbc-bj and model in (A920, N910) and not tag canary".parse()?;
//! assert_eq!(
//!     selector.to_string(),
//!     r#"group under "icbc-bj" and model in ("A920", "N910") and not tag canary"#
//! );
//!
//! let error = "modle = A920".parse::<Selector>().unwrap_err();
//! assert_eq!(error.to_string(), r#"column 1: expected a field, found "modle"; did you mean "model"?"#);
//! # Ok::<(), tms_core::selector::SelectorError>(())
//! ```
//!
//! # The language
//! Tests joined by `and`, `or`, `not` and parentheses; `not` binds closest, then `and`. `all` is every
//! terminal. Text stands in double quotes (`\"` and `\\` inside), or bare when it is one word.
//!
//! | field | tests |
//! |---|---|
//! | `tid` `mid` `serial` `vendor` `model` `hardware_revision` `profile` `time_zone` `desired.firmware` | `=` `!=` `<` `<=` `>` `>=` `in (…)` `~ "pattern"`; bytes are compared |
//! | `life_cycle` | `=` `!=` `in (…)`: registered, active, locked, suspended, retired |
//! | `group` | `=` `!=` `in (…)`, and `under`: that group or any under it |
//! | `tag` | `tag word`, `tag in (…)` (any of them), `tag ~ "pattern"` |
//! | `attr.NAME` | as text, with a number or `true`/`false` in its place; quoted it is text. The terminal's own attributes |
//! | `last_contact` | `older than 2h`, `newer than 1d12h` (units s m h d w), `never` |
//! | `enrolled_at` | `before 2026-11-30`, `after 2026-11-30T08:00:00+08:00`; a day begins at 00:00 UTC |
//! | `reported.firmware` | as text, in the order of [`version`] |
//! | `reported.boot_count` `reported.battery` | `=` `!=` `<` `<=` `>` `>=` `in (…)` with whole numbers |
//! | `reported.paper` `.printer` `.card_reader` `.pin_pad` `.keyboard` `.display` | `=` `!=` `in (…)`: ok, fault |
//! | `reported.tamper` | `=` `!=`: true, false |
//! | `reported.parameter.NAME` `reported.detail.NAME` | `=` `!=` `in (…)` `~` as text; `<` `<=` `>` `>=` with whole numbers |
//!
//! In a pattern `*` stands for anything and `?` for one character; upper and lower case differ. A bare word
//! with `*` or `?` after `=` is a pattern.
//!
//! **What is missing** (never reported, no such attribute, or one of another type than is asked for) makes every
//! test false, also `!=`. `not` turns exactly that round: `not reported.battery > 20` holds for
//! terminals that have never said, `reported.battery <= 20` does not. A test is never undecided.
//!
//! [`Selector::matches`] is what a selector means; a store that translates [`Selector::expr`] to its own
//! language has to find the same terminals.

mod ast;
mod error;
mod evaluate;
mod field;
mod glob;
mod lexer;
mod parse;
mod saved;
pub mod version;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::talkative;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use ast::{Condition, Expr, Operator, Test, Value};
pub use error::SelectorError;
pub use field::{Class, Field, Part};
pub use glob::Glob;
pub use saved::SavedSelector;

use crate::group::{GroupId, Tree};
use crate::terminal::Terminal;

/// Longest selector, in bytes, also in its canonical form.
pub const MAX_BYTES: usize = 4_096;
/// How deep parentheses and `not` may nest.
pub const MAX_DEPTH: usize = 32;
/// Most tests in one selector, where each value of a list counts as one.
pub const MAX_TERMS: usize = 256;

/// A selector that was understood. It prints in its canonical form, which reads back as the same.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Selector {
    expr: Expr,
}

impl Selector {
    /// Reads a selector.
    ///
    /// # Errors
    /// Says where it was not understood, what would have been, and what was likely meant.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let selector = Self { expr: parse::parse(text)? };
        // Whatever is stored in its canonical form has to read back.
        match selector.to_string().len() {
            0..=MAX_BYTES => Ok(selector),
            bytes => Err(SelectorError::too_long(bytes)),
        }
    }

    /// The selector of every terminal.
    #[must_use]
    pub fn all() -> Self {
        Self { expr: Expr::All }
    }

    /// The selector of the terminals that belong to a group: to itself, or with `below` also to any under it.
    #[must_use]
    pub fn of_group(group: &GroupId, below: bool) -> Self {
        let condition = match below {
            true => Condition::Under(group.clone()),
            false => Condition::Compare(Operator::Equal, Value::Text(group.as_str().to_owned())),
        };
        Self { expr: Expr::Test(Test { field: Field::Group, condition }) }
    }

    /// What it asks for.
    #[must_use]
    pub fn expr(&self) -> &Expr {
        &self.expr
    }

    /// Whether a terminal is meant. `groups` has the estate's groups, `now` is what ages are measured from.
    #[must_use]
    pub fn matches(&self, terminal: &Terminal, groups: &Tree, now: Timestamp) -> bool {
        evaluate::holds(&self.expr, terminal, groups, now)
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Selector {
    type Error = SelectorError;

    fn try_from(text: String) -> Result<Self, SelectorError> {
        Self::parse(&text)
    }
}

impl From<Selector> for String {
    fn from(selector: Selector) -> String {
        selector.to_string()
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expr.fmt(f)
    }
}

impl fmt::Debug for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Selector({self})")
    }
}

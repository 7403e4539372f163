//! What SQLite says differently in selectors.

use sqlx::{QueryBuilder, Sqlite};
use tms_core::selector::Glob;

/// What the terminal has said under a name in this member of its report.
pub(super) fn push_said(query: &mut QueryBuilder<Sqlite>, member: &'static str, name: &str) {
    // Names of selectors have neither quotes nor backslashes.
    query.push("json_extract(t.reported, ").push_bind(format!("$.{member}.\"{name}\"")).push(")");
}

/// Whether a text is a number of 1 to 18 digits.
pub(super) fn push_is_number(query: &mut QueryBuilder<Sqlite>, text: impl Fn(&mut QueryBuilder<Sqlite>)) {
    query.push("(length(");
    text(query);
    query.push(") BETWEEN 1 AND 18 AND ");
    text(query);
    query.push(" NOT GLOB '*[^0-9]*')");
}

/// What follows a text that shall be as a pattern.
pub(super) fn push_like(query: &mut QueryBuilder<Sqlite>, glob: &Glob) {
    // `[` begins a set here, and stands for itself in a pattern.
    query.push(" GLOB ").push_bind(glob.as_str().replace('[', "[[]"));
}

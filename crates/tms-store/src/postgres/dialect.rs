//! What PostgreSQL says differently in selectors.

use sqlx::{Postgres, QueryBuilder};
use tms_core::selector::Glob;

/// What the terminal has said under a name in this member of its report.
pub(super) fn push_said(query: &mut QueryBuilder<Postgres>, member: &'static str, name: &str) {
    // A NUL would fail the whole query: text cannot have it, and JSON can.
    query.push("(CASE WHEN position('\\u0000' IN t.reported) = 0 THEN t.reported::json -> '");
    query.push(member).push("' ->> ").push_bind(name.to_owned()).push(" END COLLATE \"C\")");
}

/// Whether a text is a number of 1 to 18 digits.
pub(super) fn push_is_number(query: &mut QueryBuilder<Postgres>, text: impl Fn(&mut QueryBuilder<Postgres>)) {
    query.push("(");
    text(query);
    query.push(" ~ '^[0-9]{1,18}$')");
}

/// What follows a text that shall be as a pattern.
pub(super) fn push_like(query: &mut QueryBuilder<Postgres>, glob: &Glob) {
    let mut pattern = String::with_capacity(glob.as_str().len());
    for c in glob.as_str().chars() {
        match c {
            '*' => pattern.push('%'),
            '?' => pattern.push('_'),
            '%' | '_' | '\\' => pattern.extend(['\\', c]),
            c => pattern.push(c),
        }
    }
    query.push(" LIKE ").push_bind(pattern);
}

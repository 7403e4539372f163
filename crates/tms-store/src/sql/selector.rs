//! A selector as a condition on `terminals t LEFT JOIN contacts c`. It finds what
//! [`Selector::matches`](tms_core::Selector::matches) does: a condition here may be undecided (NULL) where that
//! says no, which is the same until something is negated; so what is negated is decided first. Every value is
//! bound, none becomes text of the statement.

use jiff::{SignedDuration, Timestamp};
use sqlx::QueryBuilder;
use tms_core::selector::{Class, Condition, Expr, Field, Glob, Operator, Part, Test, Value, version};

use super::super::dialect::{push_is_number, push_like, push_said};
use super::Db;

type Query = QueryBuilder<Db>;

pub(super) fn push(query: &mut Query, expr: &Expr, now: Timestamp) {
    match expr {
        Expr::All => push_word(query, "TRUE"),
        Expr::Test(test) => push_test(query, test, now),
        Expr::Not(inner) => {
            query.push("NOT COALESCE(");
            push(query, inner, now);
            query.push(", FALSE)");
        }
        Expr::And(parts) => push_joined(query, parts, " AND ", now),
        Expr::Or(parts) => push_joined(query, parts, " OR ", now),
    }
}

fn push_joined(query: &mut Query, parts: &[Expr], word: &'static str, now: Timestamp) {
    query.push("(");
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            query.push(word);
        }
        push(query, part, now);
    }
    query.push(")");
}

fn push_test(query: &mut Query, test: &Test, now: Timestamp) {
    let before_now = |seconds: u64| {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        now.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MIN)
    };
    match (&test.condition, test.field.class()) {
        (Condition::Under(above), _) => {
            query.push("t.group_id IN (WITH RECURSIVE under (id) AS (SELECT id FROM groups WHERE id = ");
            query.push_bind(above.as_str().to_owned());
            query.push(
                " UNION SELECT g.id FROM groups g JOIN under u ON g.parent = u.id) SELECT id FROM under)",
            );
        }
        (Condition::Never, _) => push_word(query, "c.at IS NULL"),
        (Condition::Older(seconds), _) => push_moment(query, "c.at < ", ceil(before_now(*seconds))),
        (Condition::Newer(seconds), _) => push_moment(query, "c.at > ", floor(before_now(*seconds))),
        (Condition::Before(at), _) => push_moment(query, "t.enrolled_at < ", ceil(*at)),
        (Condition::After(at), _) => push_moment(query, "t.enrolled_at > ", floor(*at)),
        (condition, Class::Tag) => {
            query.push("t.tid IN (SELECT tid FROM terminal_tags WHERE ");
            push_text(query, "tag", condition);
            query.push(")");
        }
        (condition, Class::Attribute) => {
            let Field::Attribute(name) = &test.field else { return push_word(query, "FALSE") };
            query.push("t.tid IN (SELECT tid FROM terminal_attributes WHERE name = ");
            query.push_bind(name.as_str().to_owned()).push(" AND ");
            push_attribute(query, condition);
            query.push(")");
        }
        (condition, Class::Said) => match &test.field {
            Field::ReportedParameter(name) => push_said_test(query, "parameters", name, condition),
            Field::ReportedDetail(name) => push_said_test(query, "details", name, condition),
            _ => push_word(query, "FALSE"),
        },
        (Condition::Like(glob), Class::Version) => push_glob(query, "t.reported_firmware", glob),
        (condition, Class::Version) => push_version(query, condition),
        (condition, class) => {
            let Some(column) = column(&test.field) else { return push_word(query, "FALSE") };
            match (&test.field, class) {
                (Field::Part(_), _) => push_part(query, column, condition),
                (_, Class::Number | Class::Flag) => push_values(query, column, condition),
                _ => push_text(query, column, condition),
            }
        }
    }
}

fn column(field: &Field) -> Option<&'static str> {
    Some(match field {
        Field::Tid => "t.tid",
        Field::Mid => "t.merchant",
        Field::Serial => "t.serial",
        Field::Vendor => "t.vendor",
        Field::Model => "t.model",
        Field::HardwareRevision => "t.hardware_revision",
        Field::Profile => "t.profile",
        Field::TimeZone => "t.time_zone",
        Field::LifeCycle => "t.life_cycle",
        Field::Group => "t.group_id",
        Field::DesiredFirmware => "t.desired_firmware",
        Field::BootCount => "t.boot_count",
        Field::Battery => "t.battery",
        Field::Tamper => "t.tamper",
        Field::Part(Part::Paper) => "t.paper",
        Field::Part(Part::Printer) => "t.printer",
        Field::Part(Part::CardReader) => "t.card_reader",
        Field::Part(Part::PinPad) => "t.pin_pad",
        Field::Part(Part::Keyboard) => "t.keyboard",
        Field::Part(Part::Display) => "t.display",
        Field::Tag
        | Field::Attribute(_)
        | Field::LastContact
        | Field::EnrolledAt
        | Field::ReportedFirmware
        | Field::ReportedParameter(_)
        | Field::ReportedDetail(_) => return None,
    })
}

/// A value as the columns that can hold it have it.
enum Bound {
    Text(String),
    Integer(i64),
    Flag(bool),
}

impl From<&Value> for Bound {
    fn from(value: &Value) -> Self {
        match value {
            Value::Text(text) => Self::Text(text.clone()),
            Value::Integer(number) => Self::Integer(*number),
            Value::Flag(flag) => Self::Flag(*flag),
        }
    }
}

fn push_bound(query: &mut Query, value: Bound) {
    match value {
        Bound::Text(text) => query.push_bind(text),
        Bound::Integer(number) => query.push_bind(number),
        Bound::Flag(flag) => query.push_bind(flag),
    };
}

/// A comparison of something with values that it can have.
fn push_compared(
    query: &mut Query,
    what: &dyn Fn(&mut Query),
    condition: &Condition,
    bound: impl Fn(&Value) -> Option<Bound>,
) {
    match condition {
        Condition::Compare(operator, value) => {
            let Some(value) = bound(value) else { return push_word(query, "FALSE") };
            what(query);
            query.push(symbol(*operator));
            push_bound(query, value);
        }
        Condition::In(values) => {
            let values: Vec<Bound> = values.iter().filter_map(bound).collect();
            if values.is_empty() {
                return push_word(query, "FALSE");
            }
            what(query);
            query.push(" IN (");
            for (at, value) in values.into_iter().enumerate() {
                query.push(if at > 0 { ", " } else { "" });
                push_bound(query, value);
            }
            query.push(")");
        }
        Condition::Like(glob) => {
            what(query);
            push_like(query, glob);
        }
        _ => push_word(query, "FALSE"),
    }
}

fn symbol(operator: Operator) -> &'static str {
    match operator {
        Operator::Equal => " = ",
        Operator::Unequal => " <> ",
        Operator::Less => " < ",
        Operator::AtMost => " <= ",
        Operator::Greater => " > ",
        Operator::AtLeast => " >= ",
    }
}

fn push_text(query: &mut Query, column: &'static str, condition: &Condition) {
    let text = |value: &Value| matches!(value, Value::Text(_)).then(|| Bound::from(value));
    push_compared(query, &|query| push_word(query, column), condition, text);
}

fn push_glob(query: &mut Query, column: &'static str, glob: &Glob) {
    query.push(column);
    push_like(query, glob);
}

fn push_values(query: &mut Query, column: &'static str, condition: &Condition) {
    let other = |value: &Value| (!matches!(value, Value::Text(_))).then(|| Bound::from(value));
    push_compared(query, &|query| push_word(query, column), condition, other);
}

/// Whether a part works is a flag, for which selectors have words.
fn push_part(query: &mut Query, column: &'static str, condition: &Condition) {
    let works = |value: &Value| match value {
        Value::Text(word) if word == "ok" => Some(Bound::Flag(true)),
        Value::Text(word) if word == "fault" => Some(Bound::Flag(false)),
        _ => None,
    };
    push_compared(query, &|query| push_word(query, column), condition, works);
}

fn push_version(query: &mut Query, condition: &Condition) {
    let key = |value: &Value| match value {
        Value::Text(text) => Some(Bound::Text(version::key(text))),
        _ => None,
    };
    push_compared(query, &|query| push_word(query, "t.firmware_order"), condition, key);
}

/// The value's type says which column has it.
fn push_attribute(query: &mut Query, condition: &Condition) {
    let column = |value: &Value| match value {
        Value::Text(_) => "text",
        Value::Integer(_) => "number",
        Value::Flag(_) => "flag",
    };
    match condition {
        Condition::Compare(operator, value) => {
            query.push(column(value)).push(symbol(*operator));
            push_bound(query, value.into());
        }
        Condition::In(values) => {
            query.push("(");
            for (at, value) in values.iter().enumerate() {
                query.push(if at > 0 { " OR " } else { "" });
                query.push(column(value)).push(" = ");
                push_bound(query, value.into());
            }
            query.push(")");
        }
        Condition::Like(glob) => push_glob(query, "text", glob),
        _ => push_word(query, "FALSE"),
    }
}

fn push_said_test(query: &mut Query, member: &'static str, name: &str, condition: &Condition) {
    let said = |query: &mut Query| push_said(query, member, name);
    let number = |query: &mut Query, operator: Operator, number: i64| {
        query.push("CASE WHEN ");
        push_is_number(query, said);
        query.push(" THEN CAST(");
        said(query);
        query.push(" AS BIGINT)").push(symbol(operator)).push_bind(number).push(" ELSE FALSE END");
    };
    match condition {
        Condition::Compare(operator, Value::Integer(value)) => number(query, *operator, *value),
        Condition::In(values) => {
            query.push("(");
            let text = |value: &Value| matches!(value, Value::Text(_)).then(|| Bound::from(value));
            push_compared(query, &said, condition, text);
            for value in values {
                if let Value::Integer(value) = value {
                    query.push(" OR ");
                    number(query, Operator::Equal, *value);
                }
            }
            query.push(")");
        }
        condition => {
            let text = |value: &Value| matches!(value, Value::Text(_)).then(|| Bound::from(value));
            push_compared(query, &said, condition, text);
        }
    }
}

fn push_word(query: &mut Query, word: &'static str) {
    query.push(word);
}

fn push_moment(query: &mut Query, comparison: &'static str, micros: i64) {
    query.push(comparison).push_bind(micros);
}

/// The last microsecond that is not after a moment.
fn floor(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond().div_euclid(1_000)).unwrap_or(i64::MIN)
}

/// The first microsecond that is not before a moment.
fn ceil(at: Timestamp) -> i64 {
    let whole = at.as_nanosecond().rem_euclid(1_000) == 0;
    floor(at).saturating_add(i64::from(!whole))
}

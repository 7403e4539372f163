//! What a selector means for a terminal.

use jiff::{SignedDuration, Timestamp};

use super::ast::{Condition, Expr, Operator, Test, Value};
use super::field::{Class, Field, Part};
use super::version;
use crate::attribute::AttributeValue;
use crate::group::Tree;
use crate::terminal::{DeviceState, Terminal};

pub(super) fn holds(expr: &Expr, terminal: &Terminal, groups: &Tree, now: Timestamp) -> bool {
    match expr {
        Expr::All => true,
        Expr::Test(test) => test_holds(test, terminal, groups, now),
        Expr::Not(inner) => !holds(inner, terminal, groups, now),
        Expr::And(parts) => parts.iter().all(|part| holds(part, terminal, groups, now)),
        Expr::Or(parts) => parts.iter().any(|part| holds(part, terminal, groups, now)),
    }
}

fn test_holds(test: &Test, terminal: &Terminal, groups: &Tree, now: Timestamp) -> bool {
    let group = terminal.place.group.as_ref();
    let before_now = |seconds: u64| {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        now.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MIN)
    };
    match &test.condition {
        Condition::Under(above) => group.is_some_and(|group| groups.is_under(group, above)),
        Condition::Never => terminal.last_contact.is_none(),
        Condition::Older(seconds) => terminal.last_contact.is_some_and(|at| at < before_now(*seconds)),
        Condition::Newer(seconds) => terminal.last_contact.is_some_and(|at| at > before_now(*seconds)),
        Condition::Before(at) => terminal.enrolled_at < *at,
        Condition::After(at) => terminal.enrolled_at > *at,
        condition if test.field == Field::Tag => {
            terminal.place.tags.iter().any(|tag| compares(Class::Tag, Held::Text(tag.as_str()), condition))
        }
        condition => {
            held(&test.field, terminal).is_some_and(|held| compares(test.field.class(), held, condition))
        }
    }
}

/// What a field holds.
#[derive(Clone, Copy)]
enum Held<'a> {
    Text(&'a str),
    Integer(i64),
    Flag(bool),
}

fn held<'a>(field: &Field, terminal: &'a Terminal) -> Option<Held<'a>> {
    let Terminal { place, desired, reported, .. } = terminal;
    let text = match field {
        Field::Tid => terminal.id.as_str(),
        Field::Mid => terminal.merchant.as_str(),
        Field::Serial => &terminal.serial,
        Field::Vendor => &place.vendor,
        Field::Model => &terminal.model,
        Field::HardwareRevision => &terminal.hardware_revision,
        Field::Profile => terminal.profile.as_str(),
        Field::TimeZone => place.time_zone.as_str(),
        Field::LifeCycle => place.life_cycle.name(),
        Field::Group => place.group.as_ref()?.as_str(),
        Field::DesiredFirmware => desired.firmware.as_ref()?.as_str(),
        Field::ReportedFirmware => reported.firmware_version.as_deref()?,
        Field::ReportedParameter(name) => reported.parameters.get(name)?,
        Field::ReportedDetail(name) => reported.details.get(name)?,
        Field::BootCount => return reported.boot_count.map(|count| Held::Integer(count.into())),
        Field::Battery => {
            return reported.health.battery_percent.map(|percent| Held::Integer(percent.into()));
        }
        Field::Tamper => return reported.health.tamper.map(Held::Flag),
        Field::Part(part) => match works(*part, terminal)? {
            true => "ok",
            false => "fault",
        },
        Field::Attribute(name) => {
            return place.attributes.get(name).map(|value| match value {
                AttributeValue::Text(text) => Held::Text(text),
                AttributeValue::Integer(number) => Held::Integer(*number),
                AttributeValue::Flag(flag) => Held::Flag(*flag),
            });
        }
        Field::Tag | Field::LastContact | Field::EnrolledAt => return None,
    };
    Some(Held::Text(text))
}

fn works(part: Part, terminal: &Terminal) -> Option<bool> {
    let health = &terminal.reported.health;
    let state = match part {
        Part::Paper => return health.paper,
        Part::Printer => health.printer,
        Part::CardReader => health.card_reader,
        Part::PinPad => health.pin_pad,
        Part::Keyboard => health.keyboard,
        Part::Display => health.display,
    };
    state.map(|state| state == DeviceState::Ok)
}

fn compares(class: Class, held: Held<'_>, condition: &Condition) -> bool {
    match condition {
        Condition::Compare(operator, value) => stands(class, held, *operator, value),
        Condition::In(values) => values.iter().any(|value| stands(class, held, Operator::Equal, value)),
        Condition::Like(glob) => matches!(held, Held::Text(text) if glob.matches(text)),
        _ => false,
    }
}

fn stands(class: Class, held: Held<'_>, operator: Operator, value: &Value) -> bool {
    let order = match (held, value) {
        (Held::Text(left), Value::Text(right)) if class == Class::Version => {
            version::key(left).cmp(&version::key(right))
        }
        (Held::Text(left), Value::Text(right)) => left.cmp(right),
        // What a terminal says is text; where order is asked for, it has to be a number in its plain form.
        (Held::Text(left), Value::Integer(right)) if class == Class::Said => match plain_number(left) {
            Some(left) => left.cmp(right),
            None => return false,
        },
        (Held::Integer(left), Value::Integer(right)) => left.cmp(right),
        (Held::Flag(left), Value::Flag(right)) => left.cmp(right),
        _ => return false,
    };
    operator.holds(order)
}

/// A number of at most 18 digits without sign: what every store can tell from other text.
fn plain_number(text: &str) -> Option<i64> {
    let digits = (1..=18).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

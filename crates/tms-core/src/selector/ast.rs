//! What a selector asks for, and its canonical text.

use std::fmt;

use jiff::Timestamp;

use super::field::{Class, Field};
use super::glob::Glob;
use super::lexer;
use crate::group::GroupId;

/// A condition on a terminal. `And` and `Or` have at least two parts, none of which is of their own kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// Always.
    All,
    /// When the test holds.
    Test(Test),
    /// When the other does not hold.
    Not(Box<Expr>),
    /// When all hold.
    And(Vec<Expr>),
    /// When at least one holds.
    Or(Vec<Expr>),
}

/// A test of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// What is tested.
    pub field: Field,
    /// What it must be; one that the field's [`Class`] allows.
    pub condition: Condition,
}

/// What a field must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It stands so to a value.
    Compare(Operator, Value),
    /// It equals one of these; never empty.
    In(Vec<Value>),
    /// Its text is as the pattern.
    Like(Glob),
    /// It is this group, or one under it.
    Under(GroupId),
    /// It lies more than so many seconds back.
    Older(u64),
    /// It lies less than so many seconds back.
    Newer(u64),
    /// It has never been.
    Never,
    /// It lies before this moment.
    Before(Timestamp),
    /// It lies after this moment.
    After(Timestamp),
}

/// How a field stands to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

impl Operator {
    /// The operator as it is written; SQL writes it the same way but for `!=`, which it knows as well.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
        }
    }

    /// Whether it asks for an order, not only for equality.
    #[must_use]
    pub const fn is_order(self) -> bool {
        !matches!(self, Self::Equal | Self::Unequal)
    }

    /// Whether two things that compare so stand so to each other.
    #[must_use]
    pub fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }
}

/// What a field is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text, a word or a version.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Yes or no.
    Flag(bool),
}

impl Value {
    fn write(&self, class: Class, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => write!(f, "{number}"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Text(word) if class.is_words() => f.write_str(word),
            Self::Text(version) if class == Class::Version && lexer::is_plain_word(version) => {
                f.write_str(version)
            }
            Self::Text(text) => quote(text, f),
        }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Test(test) => test.fmt(f),
            Self::Not(inner) => {
                f.write_str("not ")?;
                inner.within(matches!(**inner, Self::And(_) | Self::Or(_)), f)
            }
            Self::And(parts) => joined(parts, " and ", f),
            Self::Or(parts) => joined(parts, " or ", f),
        }
    }
}

impl Expr {
    fn within(&self, parentheses: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if parentheses { write!(f, "({self})") } else { write!(f, "{self}") }
    }
}

fn joined(parts: &[Expr], word: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            f.write_str(word)?;
        }
        part.within(word == " and " && matches!(part, Expr::Or(_)), f)?;
    }
    Ok(())
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, condition } = self;
        let class = field.class();
        field.fmt(f)?;
        f.write_str(" ")?;
        match condition {
            Condition::Compare(_, value) if class == Class::Tag => value.write(class, f),
            Condition::Compare(operator, value) => {
                write!(f, "{} ", operator.symbol())?;
                value.write(class, f)
            }
            Condition::In(values) => {
                f.write_str("in (")?;
                for (at, value) in values.iter().enumerate() {
                    if at > 0 {
                        f.write_str(", ")?;
                    }
                    value.write(class, f)?;
                }
                f.write_str(")")
            }
            Condition::Like(glob) => {
                f.write_str("~ ")?;
                quote(glob.as_str(), f)
            }
            Condition::Under(group) => {
                f.write_str("under ")?;
                quote(group.as_str(), f)
            }
            Condition::Older(seconds) => write!(f, "older than {}", lexer::duration_text(*seconds)),
            Condition::Newer(seconds) => write!(f, "newer than {}", lexer::duration_text(*seconds)),
            Condition::Never => f.write_str("never"),
            Condition::Before(at) => write!(f, "before {at}"),
            Condition::After(at) => write!(f, "after {at}"),
        }
    }
}

fn quote(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

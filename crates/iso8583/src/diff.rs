//! What is different between two messages.
//!
//! ```
//! use iso8583::{Builder, Dialect, Message, Mti, diff::diff};
//!
//! let dialect = Dialect::builtin("unionpay").ok_or("no such dialect")?;
//! let message = |function| -> Result<_, Box<dyn std::error::Error>> {
//!     let mut builder = Builder::new(dialect, "0800".parse::<Mti>()?);
//!     builder.set(41, "99999906")?.set(60, function)?;
//!     Ok(builder.build()?)
//! };
//! let (sign_on, echo) = (message("00000001003")?, message("00000001301")?);
//! let found = diff(&Message::parse(dialect, &sign_on)?, &Message::parse(dialect, &echo)?);
//! assert_eq!(found.changes.len(), 1);
//! assert_eq!(found.changes[0].path, "60.3");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::Serialize;

use crate::describe::{path_text, shown};
use crate::field::Field;
use crate::message::Message;
use crate::paint::{Paint, Style, printable, widest};

/// The differences between two messages, in the order of the fields. `Display` prints one to a
/// line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// What is different; empty when nothing is.
    pub changes: Vec<Change>,
}

/// One field or subfield that is different.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// `type`, or the path of the field or subfield, such as `60.3`. A tag that stands several
    /// times has its number behind it: `55/9F06[2]`.
    pub path: String,
    /// What the dialect calls it.
    pub name: String,
    /// What happened to it.
    pub kind: ChangeKind,
    /// The value in the first message, masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The value in the second message, masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Whether the values print alike although they differ, because of what is masked in them.
    pub masked_alike: bool,
}

/// What happened to a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ChangeKind {
    /// Only the second message has it.
    Added,
    /// Only the first message has it.
    Removed,
    /// Both have it, with different values.
    Changed,
}

/// What is different between two messages, down to subfields, with sensitive values masked.
///
/// Values are compared, not bytes: the same values in two dialects are no difference.
#[must_use]
pub fn diff(before: &Message<'_>, after: &Message<'_>) -> Diff {
    compare(before, after, false)
}

/// As [`diff()`], with all values in full. What is printed then must be kept as carefully as the
/// card data, PINs and keys in it.
#[must_use]
pub fn diff_unmasked(before: &Message<'_>, after: &Message<'_>) -> Diff {
    compare(before, after, true)
}

fn compare(before: &Message<'_>, after: &Message<'_>, unmasked: bool) -> Diff {
    let mut changes = Changes { changes: Vec::new(), unmasked };
    if before.mti() != after.mti() {
        changes.changes.push(Change {
            path: "type".to_owned(),
            name: "Message type".to_owned(),
            kind: ChangeKind::Changed,
            before: Some(before.mti().to_string()),
            after: Some(after.mti().to_string()),
            masked_alike: false,
        });
    }
    let mut numbers: BTreeMap<u8, [Option<Field<'_>>; 2]> = BTreeMap::new();
    before.fields().for_each(|field| numbers.entry(field.number()).or_default()[0] = Some(field));
    after.fields().for_each(|field| numbers.entry(field.number()).or_default()[1] = Some(field));
    for (number, [before, after]) in numbers {
        changes.pair(number.to_string(), before.as_ref(), after.as_ref());
    }
    Diff { changes: changes.changes }
}

struct Changes {
    changes: Vec<Change>,
    unmasked: bool,
}

impl Changes {
    /// Compares what two messages have at a path.
    fn pair(&mut self, path: String, before: Option<&Field<'_>>, after: Option<&Field<'_>>) {
        let (Some(old), Some(new)) = (before, after) else {
            let kind = if before.is_some() { ChangeKind::Removed } else { ChangeKind::Added };
            return self.push(path, kind, before, after);
        };
        if old.text() == new.text() {
            return;
        }
        let seen = self.changes.len();
        if let (Some(old), Some(new)) = (subfields(old), subfields(new)) {
            self.subfields(&old, &new);
        }
        // What the subfields do not tell, such as their order, the field itself does.
        if self.changes.len() == seen {
            self.push(path, ChangeKind::Changed, before, after);
        }
    }

    fn subfields(&mut self, before: &[(String, Field<'_>)], after: &[(String, Field<'_>)]) {
        let old: HashMap<&str, &Field<'_>> =
            before.iter().map(|(path, field)| (path.as_str(), field)).collect();
        let new: HashMap<&str, &Field<'_>> =
            after.iter().map(|(path, field)| (path.as_str(), field)).collect();
        for (path, field) in before {
            self.pair(path.clone(), Some(field), new.get(path.as_str()).copied());
        }
        for (path, field) in after.iter().filter(|(path, _)| !old.contains_key(path.as_str())) {
            self.pair(path.clone(), None, Some(field));
        }
    }

    fn push(
        &mut self,
        path: String,
        kind: ChangeKind,
        before: Option<&Field<'_>>,
        after: Option<&Field<'_>>,
    ) {
        let name = after.or(before).map_or(String::new(), |field| printable(field.format().name()));
        let value = |field: Option<&Field<'_>>| field.map(|field| shown(field, self.unmasked).0);
        let (before, after) = (value(before), value(after));
        let masked_alike = before == after;
        self.changes.push(Change { path, name, kind, before, after, masked_alike });
    }
}

/// Subfields with their paths; `None` when there are none or not all of them can be read.
fn subfields<'a>(field: &Field<'a>) -> Option<Vec<(String, Field<'a>)>> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut found = Vec::new();
    for subfield in field.subfields() {
        let subfield = subfield.ok()?;
        let path = path_text(subfield.path());
        let count = seen.entry(path.clone()).or_default();
        *count += 1;
        found.push((if *count > 1 { format!("{path}[{count}]") } else { path }, subfield));
    }
    (!found.is_empty()).then_some(found)
}

impl Diff {
    /// The differences with colours, as SGR sequences, or without them.
    pub fn colour(&self, colour: bool) -> impl fmt::Display {
        Coloured { diff: self, paint: Paint { colour } }
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.colour(false).fmt(f)
    }
}

struct Coloured<'d> {
    diff: &'d Diff,
    paint: Paint,
}

impl fmt::Display for Coloured<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changes = &self.diff.changes;
        let path_width = widest(changes.iter().map(|change| change.path.as_str()));
        let name_width = widest(changes.iter().map(|change| change.name.as_str()));
        for change in changes {
            let (sign, style) = match change.kind {
                ChangeKind::Added => ("+", Style::Added),
                ChangeKind::Removed => ("-", Style::Wrong),
                ChangeKind::Changed => ("~", Style::Changed),
            };
            self.paint.text(f, style, &format!("{sign} {:path_width$}", change.path))?;
            f.write_str("  ")?;
            self.paint.cell(f, Style::Plain, &change.name, name_width)?;
            if let Some(before) = &change.before {
                self.paint.text(f, Style::Wrong, before)?;
            }
            if change.kind == ChangeKind::Changed {
                self.paint.text(f, Style::Faint, " → ")?;
            }
            if let Some(after) = &change.after {
                self.paint.text(f, Style::Added, after)?;
            }
            if change.masked_alike {
                self.paint.text(f, Style::Faint, " (they differ where they are masked)")?;
            }
            f.write_str("\n")?;
        }
        Ok(())
    }
}

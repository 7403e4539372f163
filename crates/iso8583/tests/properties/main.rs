//! What holds for every message of every dialect, whatever its bytes.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod damage;
mod identity;
mod noise;
mod values;

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use iso8583::{Builder, Dialect, Message, Path};

use values::{Fields, Tree};

/// Dialects that use the choices a dialect file has and the built-in ones do not.
const OWN: [&str; 7] = [NUMBERS, LETTERS, BITMAPS, ONE_BITMAP, THIRD, LEADING, STRUCTURES];

const NUMBERS: &str = r#"
name = "numbers"
extends = "iso87-binary"
[encoding]
length = "binary"
[field]
2 = { pad = "F" }
3 = { format = "n5", digits = "bcd-left", pad = "F" }
4 = { format = "n13", pad = "A" }
28 = { format = "x+n7" }
29 = { format = "x+n8", digits = "ascii" }
32 = { format = "n..12", unit = "bytes" }
33 = { format = "n..11", digits = "bcd-right" }
36 = { length = "ascii", pad = "F" }
55 = { binary = "hex", unit = "bytes", format = "b...400" }
60 = { format = "n......17", length = "bcd" }
97 = { format = "x+n...16", unit = "bytes" }
35 = { pad = "f", digits = "bcd-left", unit = "bytes" }
99 = { digits = "bcd-right", pad = "f", unit = "bytes" }
52 = { format = "b...20", unit = "digits" }
"#;

const LETTERS: &str = r#"
name = "letters"
extends = "iso87-ascii"
[encoding]
mti = "ebcdic"
bitmap = "ebcdic-hex"
length = "ebcdic"
digits = "ebcdic"
variable_digits = "bcd-left"
text = "ebcdic-1047"
binary = "ebcdic-hex"
[field]
44 = { format = "as..25", text = "ebcdic-037" }
45 = { format = "s..20" }
46 = { format = "ns...200", length = "hex" }
47 = { format = "ans.....2000", length = "binary" }
41 = { fill = "spaces-right" }
48 = { format = "ans......60000", length = "ascii" }
"#;

const BITMAPS: &str = r#"
name = "bitmaps"
extends = "iso87-binary"
[encoding]
bitmaps = "always-16"
"#;

const THIRD: &str = r#"
name = "third"
extends = "iso87-binary"
[encoding]
third_bitmap = "field-65"
[field]
129 = { name = "One", format = "n..20" }
160 = { name = "Two", format = "ans...30" }
192 = { name = "Three", format = "b8" }
"#;

const LEADING: &str = r#"
name = "leading"
extends = "iso87-ascii"
[encoding]
third_bitmap = "leading"
[field]
130 = { name = "One", format = "n..20" }
191 = { name = "Two", format = "ans...30" }
"#;

const ONE_BITMAP: &str = r#"
name = "one"
[encoding]
mti = "ascii"
bitmap = "hex"
bitmaps = "one"
length = "ascii"
digits = "ascii"
variable_digits = "ascii"
binary = "hex"
[field]
2 = { name = "One", format = "n..19" }
55 = { name = "Two", format = "b...99" }
64 = { name = "Three", format = "b8" }
"#;

const STRUCTURES: &str = r#"
name = "structures"
extends = "iso87-ascii"
[encoding]
bitmap = "binary"
bitmaps = "always-16-set"
[field.46]
format = "ans...300"
structure = "tag-table"
tag_size = 2
tags = [
  { tag = "01", name = "One", format = "n4" },
  { tag = "02", name = "Two", format = "ans8" },
  { tag = "AB", name = "Long", format = "ans..20" },
]
[field.47]
format = "ans...300"
structure = "tlv"
tag_size = 3
length_size = 2
tags = [{ tag = "001", name = "One", format = "n..8" }, { tag = "XYZ", name = "Two", format = "ans..20" }]
[field.48]
format = "ans...300"
structure = "ltv"
tag_size = 2
length_size = 3
length_counts = "tag-and-value"
tags = [{ tag = "A1", name = "One", format = "n..8" }, { tag = "B2", name = "Two", format = "ans..20" }]
[field.55]
format = "b...400"
binary = "raw"
structure = "ber-tlv"
tags = "emv"
[field.62]
format = "ans...200"
parts = [
  { name = "Kind", format = "n2" },
  { name = "Letters", format = "a3" },
  { name = "Rest", format = "ans..150" },
]
[field.127]
format = "ans......5000"
structure = "bitmapped"
bitmap = "hex"
[field.127.field]
2 = { name = "One", format = "n..20" }
3 = { name = "Two", format = "ans...60" }
25 = { name = "Three", format = "ans8" }
"#;

fn dialects() -> impl Iterator<Item = &'static Dialect> {
    static DIALECTS: LazyLock<Vec<Dialect>> =
        LazyLock::new(|| OWN.iter().map(|text| Dialect::from_toml(text).unwrap()).collect());
    Dialect::builtin_names().iter().map(|name| Dialect::builtin(name).unwrap()).chain(DIALECTS.iter())
}

/// A message that a dialect can write, with what its fields were set to.
struct Sample {
    dialect: &'static Dialect,
    bytes: Vec<u8>,
    fields: Fields,
}

impl Sample {
    fn message(&self) -> Message<'_> {
        Message::parse(self.dialect, &self.bytes)
            .unwrap_or_else(|error| panic!("{}: {error}", self.dialect.name()))
    }
}

/// Runs a test with `cases` messages of each dialect.
fn for_every_dialect(cases: u32, test: impl Fn(&Sample) -> Result<(), TestCaseError>) {
    for dialect in dialects() {
        let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
        let ran = TestRunner::new(config).run(&values::message(dialect), |(mti, fields)| {
            let (builder, fields) = set(Builder::new(dialect, mti), fields);
            test(&Sample { dialect, bytes: builder.build().unwrap(), fields })
        });
        ran.unwrap_or_else(|error| panic!("{}: {error}", dialect.name()));
    }
}

/// Sets fields and leaves out those that cannot be: parts that are longer than the field they are
/// in, and values that this very message divides in another way.
fn set(mut builder: Builder<'static>, fields: Fields) -> (Builder<'static>, Fields) {
    let mut kept = Fields::new();
    for (number, tree) in fields {
        let mut with = builder.clone();
        let set = match &tree {
            Tree::Text(text) => with.set(number, text),
            Tree::Parts(..) => with.set_parts(number, &tree.parts()),
        };
        if let Err(error) = set {
            assert!(tree.may_be_refused(&error), "{}: {error}", builder.dialect().name());
            continue;
        }
        let inside = Message::parse(builder.dialect(), &with.build().unwrap())
            .is_err_and(|error| matches!(error.path(), Path::Sub(_)) && error.path().field() == Some(number));
        if !inside {
            builder = with;
            kept.insert(number, tree);
        }
    }
    (builder, kept)
}

/// Builds a message again from its own fields, as text, as values and as they are.
fn rebuilt(message: &Message<'_>) -> Vec<u8> {
    let mut texts = Builder::new(message.dialect(), message.mti());
    let mut values = Builder::new(message.dialect(), message.mti());
    for field in message.fields() {
        texts.set(field.number(), &field.text()).unwrap();
        values.set_bytes(field.number(), &field.value()).unwrap();
    }
    let bytes = texts.build().unwrap();
    assert_eq!(values.build().unwrap(), bytes);
    assert_eq!(Builder::copy_of(message).build().unwrap(), bytes);
    bytes
}

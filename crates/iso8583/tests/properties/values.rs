//! Messages and values that a dialect can write.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use iso8583::{BuildError, Class, Content, Dialect, Digits, FieldFormat, Length, Mti, Part, Structure, Tags};
use iso8583::{Unit, ValueError};

/// What a field is set to.
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    /// A text.
    Text(String),
    /// What stands between the path of the field and the step of a subfield, and the subfields.
    Parts(char, Vec<(String, Tree)>),
}

pub(crate) type Fields = BTreeMap<u8, Tree>;

/// Long enough to cross every length of a prefix that matters, short enough to be quick.
const LONGEST: usize = 130;

/// Structures stand in each other no deeper than this here.
const DEEPEST: u32 = 2;

const DIGITS: &[u8] = b"0123456789";
const TRACK: &[u8] = b"0123456789:;<=>?";
const LETTERS: &[u8] = b"AZaz ";
const LETTERS_AND_DIGITS: &[u8] = b"09AZaz ";
const SPECIAL: &[u8] = b"-./ &#";
const LETTERS_AND_SPECIAL: &[u8] = b"AZaz -./";
const DIGITS_AND_SPECIAL: &[u8] = b"0123456789-./";
/// With the backslash that escapes have to cope with.
const PRINTABLE: &[u8] = b"\\x5C !~*0aZ=^";

impl Tree {
    /// The subfields as the builder takes them.
    pub(crate) fn parts(&self) -> Vec<(&str, Content<'_>)> {
        let Self::Parts(_, parts) = self else { return Vec::new() };
        parts
            .iter()
            .map(|(step, tree)| {
                let content = match tree {
                    Self::Text(text) => Content::Text(text),
                    // A few bytes, kept until the test ends, buy a plain function.
                    Self::Parts(..) => Content::Parts(tree.parts().leak()),
                };
                (step.as_str(), content)
            })
            .collect()
    }

    /// The paths of all texts, below `path`.
    pub(crate) fn texts<'t>(&'t self, path: String, found: &mut Vec<(String, &'t str)>) {
        match self {
            Self::Text(text) => found.push((path, text)),
            Self::Parts(between, parts) => {
                parts.iter().for_each(|(step, tree)| tree.texts(format!("{path}{between}{step}"), found));
            }
        }
    }

    /// Whether a dialect may refuse this although every text fits its own format.
    pub(crate) fn may_be_refused(&self, error: &BuildError) -> bool {
        match error {
            BuildError::Value { reason: ValueError::LikeFiller, .. } => true,
            BuildError::Value {
                reason: ValueError::TooLong { .. } | ValueError::WrongLength { .. }, ..
            } => {
                matches!(self, Self::Parts(..))
            }
            _ => false,
        }
    }
}

/// A type and some fields of a dialect with values that they can hold.
pub(crate) fn message(dialect: &'static Dialect) -> impl Strategy<Value = (Mti, Fields)> {
    let formats: Vec<&FieldFormat> = dialect.fields().collect();
    let most = formats.len().min(24);
    let values = subsequence(formats, 0..=most).prop_flat_map(|formats| {
        formats.iter().map(|format| (Just(format.number()), field(format))).collect::<Vec<_>>()
    });
    let mti = (0u16..10_000).prop_map(|mti| Mti::new(mti).unwrap());
    (mti, values.prop_map(|values| values.into_iter().collect()))
}

/// Any value of a field, put together from subfields where it has them.
pub(crate) fn field(format: &FieldFormat) -> BoxedStrategy<Tree> {
    tree(format, format.structure(), longest(format), DEEPEST)
}

fn longest(format: &FieldFormat) -> usize {
    format.length().max().min(LONGEST)
}

fn tree(format: &FieldFormat, structure: &Structure, room: usize, depth: u32) -> BoxedStrategy<Tree> {
    match structure {
        Structure::Positional(parts) if parts.iter().all(|part| is_plain(part, format)) => {
            // As a whole, too: such a value may end anywhere, or go on behind the parts.
            let whole = text(format, None).prop_map(Tree::Text);
            prop_oneof![positional(parts, room, depth), whole].boxed()
        }
        Structure::Positional(parts) => positional(parts, room, depth),
        Structure::BerTlv(tags) => ber(tags, room, depth),
        Structure::TagTable { tags, .. } => tagged(tags, Vec::new(), depth),
        Structure::Tlv { tag_len, tags, .. } | Structure::Ltv { tag_len, tags, .. } => {
            let strange =
                if tags.keep_unknown() { vec!["~".repeat(usize::from(*tag_len))] } else { Vec::new() };
            tagged(tags, strange, depth)
        }
        Structure::Bitmapped { fields, .. } => {
            let known = fields.iter().flatten();
            let known: Vec<_> = known.map(|format| (format.number().to_string(), field(format))).collect();
            subsequence(known.clone(), 0..=known.len().min(6))
                .prop_flat_map(|chosen| in_order('.', chosen))
                .boxed()
        }
        _ => text(format, None).prop_map(Tree::Text).boxed(),
    }
}

fn is_plain(part: &Part, format: &FieldFormat) -> bool {
    part.class() == format.class() && matches!(part.format().structure(), Structure::None)
}

fn in_order(between: char, chosen: Vec<(String, BoxedStrategy<Tree>)>) -> BoxedStrategy<Tree> {
    let (steps, trees): (Vec<_>, Vec<_>) = chosen.into_iter().unzip();
    trees.prop_map(move |trees| Tree::Parts(between, steps.iter().cloned().zip(trees).collect())).boxed()
}

fn positional(parts: &[Part], room: usize, depth: u32) -> BoxedStrategy<Tree> {
    let parts = parts.iter().enumerate().map(|(at, part)| {
        let step = (at + 1).to_string();
        // In a field of bytes a part has places of its own, which are not the characters of its value.
        let units = match part.format().length() {
            Length::Fixed(length) => (usize::from(length), usize::from(length)),
            Length::Variable { .. } => (0, room.saturating_sub(part.start())),
        };
        let value = match part.format().structure() {
            Structure::None => text(part.format(), Some(units)).prop_map(Tree::Text).boxed(),
            structure if depth > 0 => tree(part.format(), structure, units.1, depth - 1),
            _ => Just(Tree::Parts('/', Vec::new())).boxed(),
        };
        (step, value)
    });
    in_order('.', parts.collect())
}

/// Some of the tags that have names, each at most once, and perhaps one that has none.
fn tagged(tags: &Tags, strange: Vec<String>, depth: u32) -> BoxedStrategy<Tree> {
    let known: Vec<_> = tags
        .iter()
        .filter(|(_, format)| depth > 0 || matches!(format.structure(), Structure::None))
        .map(|(tag, format)| {
            (tag.to_string(), tree(format, format.structure(), longest(format), depth.saturating_sub(1)))
        })
        .collect();
    let strange = subsequence(strange.clone(), 0..=strange.len()).prop_flat_map(|strange| {
        let one = |tag| (Just(tag), "[A-Z0-9]{0,9}".prop_map(Tree::Text));
        strange.into_iter().map(one).collect::<Vec<_>>()
    });
    let known = subsequence(known.clone(), 0..=known.len().min(4))
        .prop_shuffle()
        .prop_flat_map(|chosen| in_order('/', chosen));
    (known, strange)
        .prop_map(|(known, strange)| match known {
            Tree::Parts(between, known) => Tree::Parts(between, known.into_iter().chain(strange).collect()),
            text @ Tree::Text(_) => text,
        })
        .boxed()
}

/// Data objects: some that have names, some that have none, some inside another.
fn ber(tags: &Tags, room: usize, depth: u32) -> BoxedStrategy<Tree> {
    let known: Vec<_> = tags
        .iter()
        .filter(|(tag, format)| !tag.is_constructed() && matches!(format.structure(), Structure::None))
        .map(|(tag, format)| (tag.to_string(), text(format, None).prop_map(Tree::Text).boxed()))
        .collect();
    let known = subsequence(known.clone(), 0..=known.len().min(3))
        .prop_shuffle()
        .prop_flat_map(|chosen| in_order('/', chosen));
    let bytes = vec(any::<u8>(), 0..room.min(150)).prop_map(hex::encode).prop_map(Tree::Text);
    let strange = vec((select(&["D1", "DF01", "DF8105", "1F9F7F"][..]), bytes), 0..2);
    let inside = if depth > 0 {
        proptest::option::of(ber(tags, room / 2, depth - 1)).boxed()
    } else {
        Just(None).boxed()
    };
    let keep_unknown = tags.keep_unknown();
    (known, strange, inside)
        .prop_map(move |(known, strange, inside)| {
            let Tree::Parts(_, mut parts) = known else { return known };
            if keep_unknown {
                parts.extend(strange.into_iter().take(1).map(|(tag, value)| (tag.to_owned(), value)));
                parts.extend(inside.map(|inside| ("E1".to_owned(), inside)));
            }
            Tree::Parts('/', parts)
        })
        .boxed()
}

/// Any text that a format holds, of some number of characters or of any that it allows.
fn text(format: &FieldFormat, units: Option<(usize, usize)>) -> BoxedStrategy<String> {
    let (min, max) = units.unwrap_or(match format.length() {
        Length::Fixed(length) => (usize::from(length), usize::from(length)),
        Length::Variable { .. } => (0, longest(format)),
    });
    let characters = move |class: &'static [u8]| {
        let one = select(class).prop_map(char::from);
        vec(one, min..=max).prop_map(String::from_iter)
    };
    // A length in bytes cannot say that half a byte is filled, unless the filler says it.
    let even = format.unit() == Unit::Bytes && matches!(format.digits(), Digits::Bcd { pad: 0..=9, .. });
    let packed = move |class| {
        characters(class).prop_map(move |mut text: String| {
            text.truncate(if even { text.len() / 2 * 2 } else { text.len() });
            text
        })
    };
    match format.class() {
        Class::Numeric => packed(DIGITS).boxed(),
        Class::Track => packed(TRACK).boxed(),
        Class::SignedNumeric => ("[CD]", packed(DIGITS)).prop_map(|(sign, digits)| sign + &digits).boxed(),
        Class::Alphabetic => characters(LETTERS).boxed(),
        Class::Alphanumeric => characters(LETTERS_AND_DIGITS).boxed(),
        Class::Special => characters(SPECIAL).boxed(),
        Class::AlphabeticSpecial => characters(LETTERS_AND_SPECIAL).boxed(),
        Class::NumericSpecial => characters(DIGITS_AND_SPECIAL).boxed(),
        Class::Binary => vec(any::<u8>(), min..=max).prop_map(hex::encode).boxed(),
        // A text in which something looks like an escape is the text of other bytes.
        _ => characters(PRINTABLE).prop_map(|text| text.replace("\\x", "\\y")).boxed(),
    }
}

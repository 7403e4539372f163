//! The words of dialect files and what they mean.

use super::error::{DialectError, did_you_mean};
use super::file::At;
use super::{BitmapEncoding, MtiEncoding};
use crate::bitmap::{SecondBitmap, ThirdBitmap};
use crate::format::{Align, Binary, Charset, Digits, Fill, LengthEncoding, Unit};
use crate::mask::Sensitivity;

/// A list of words with their meanings.
pub(super) type Words<T> = &'static [(&'static str, T)];

pub(super) const MTIS: Words<MtiEncoding> =
    &[("ascii", MtiEncoding::Ascii), ("bcd", MtiEncoding::Bcd), ("ebcdic", MtiEncoding::Ebcdic)];
pub(super) const BITMAPS: Words<BitmapEncoding> = &[
    ("binary", BitmapEncoding::Binary),
    ("hex", BitmapEncoding::Hex),
    ("ebcdic-hex", BitmapEncoding::EbcdicHex),
];
pub(super) const SECONDS: Words<SecondBitmap> = &[
    ("chained", SecondBitmap::Chained),
    ("always-16", SecondBitmap::AlwaysClear),
    ("always-16-set", SecondBitmap::AlwaysSet),
    ("one", SecondBitmap::Never),
];
pub(super) const THIRDS: Words<ThirdBitmap> =
    &[("none", ThirdBitmap::None), ("field-65", ThirdBitmap::Field65), ("leading", ThirdBitmap::Leading)];
pub(super) const LENGTHS: Words<LengthEncoding> = &[
    ("ascii", LengthEncoding::Ascii),
    ("bcd", LengthEncoding::Bcd),
    ("binary", LengthEncoding::Binary),
    ("ebcdic", LengthEncoding::Ebcdic),
    ("hex", LengthEncoding::Hex),
];
pub(super) const DIGITS: Words<Digits> = &[
    ("ascii", Digits::Ascii),
    ("ebcdic", Digits::Ebcdic),
    ("bcd-left", Digits::Bcd { align: Align::Left, pad: 0 }),
    ("bcd-right", Digits::Bcd { align: Align::Right, pad: 0 }),
];
pub(super) const CHARSETS: Words<Charset> =
    &[("ascii", Charset::Ascii), ("ebcdic-037", Charset::Ebcdic037), ("ebcdic-1047", Charset::Ebcdic1047)];
pub(super) const BINARIES: Words<Binary> =
    &[("raw", Binary::Raw), ("hex", Binary::Hex), ("ebcdic-hex", Binary::EbcdicHex)];
pub(super) const UNITS: Words<Unit> =
    &[("characters", Unit::Characters), ("digits", Unit::Digits), ("bytes", Unit::Bytes)];
pub(super) const FILLS: Words<Fill> = &[
    ("none", Fill::None),
    ("zeros-left", Fill::Left(b'0')),
    ("spaces-left", Fill::Left(b' ')),
    ("zeros-right", Fill::Right(b'0')),
    ("spaces-right", Fill::Right(b' ')),
];
pub(super) const SECRETS: Words<Sensitivity> = &[
    ("none", Sensitivity::None),
    ("pan", Sensitivity::Pan),
    ("track", Sensitivity::Track),
    ("pin", Sensitivity::Pin),
    ("key", Sensitivity::Key),
    ("private", Sensitivity::Private),
];

/// What a structure is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    None,
    Positional,
    BerTlv,
    TagTable,
    Tlv,
    Ltv,
    Bitmapped,
}

pub(super) const KINDS: Words<Kind> = &[
    ("none", Kind::None),
    ("positional", Kind::Positional),
    ("ber-tlv", Kind::BerTlv),
    ("tag-table", Kind::TagTable),
    ("tlv", Kind::Tlv),
    ("ltv", Kind::Ltv),
    ("bitmapped", Kind::Bitmapped),
];
/// Whether a length counts the tag.
pub(super) const COUNTS: Words<bool> = &[("value", false), ("tag-and-value", true)];
/// Whether an unknown tag is kept.
pub(super) const UNKNOWNS: Words<bool> = &[("keep", true), ("refuse", false)];

/// The meaning of one word, or an error that lists the words there are.
pub(super) fn word<T: Copy>(
    at: &At<String>,
    field: Option<&str>,
    key: &'static str,
    words: Words<T>,
) -> Result<T, DialectError> {
    words.iter().find(|(word, _)| *word == at.value).map(|(_, value)| *value).ok_or_else(|| {
        let known = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        let nearest = did_you_mean(&at.value, words.iter().map(|(word, _)| *word));
        let reason = format!("`{key}` is `{}` and may be one of {known}{nearest}", at.value);
        DialectError::new(at.line, field.map(str::to_owned), reason).key_of(key)
    })
}

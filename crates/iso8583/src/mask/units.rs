//! Digits wherever they hide: ASCII, other scripts, full-width forms, EBCDIC, GBK, escapes.

use std::ops::Range;

/// What one character (or one nibble) is to the search for card numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Digit(u8),
    /// A space or a dash, as card numbers are printed in groups.
    Separator,
    /// The separator of track 2: `=`, or `D` as many systems write it.
    Equals,
    /// The separator of track 1.
    Caret,
    Other,
}

/// A character and the bytes (or nibbles) of the source it stands in.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    pub(super) kind: Kind,
    pub(super) source: Range<usize>,
    pub(super) form: Form,
}

/// How a character is written, as far as a reader sees a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Ascii,
    Ebcdic,
    Other,
}

/// The characters of a text. `\x34`, `\u0034` and `%34` count as the character they stand for.
/// Characters without width inside a number are left out.
pub(super) fn of_text(text: &str) -> Vec<Unit> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut places: Vec<Range<usize>> = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let start = text.len() - rest.len();
        let (byte, taken) = escaped(rest).unwrap_or((byte, 1));
        decoded.push(byte);
        places.push(start..start + taken);
        rest = tail.get(taken - 1..).unwrap_or_default();
    }
    let mut units = of_bytes(&decoded);
    for unit in &mut units {
        let first = places.get(unit.source.start).map_or(0, |place| place.start);
        let last = unit.source.end.checked_sub(1).and_then(|last| places.get(last));
        unit.source = first..last.map_or(first, |place| place.end);
    }
    units
}

/// The byte that an escape at the beginning of `text` stands for, and the length of the escape.
fn escaped(text: &[u8]) -> Option<(u8, usize)> {
    // `\x5Cx34` is how a value that reads `\x34` is written.
    let (prefix, rest) = [&b"\\x5Cx"[..], b"\\x5cx", b"\\x", b"\\u00", b"%"]
        .into_iter()
        .find_map(|prefix| text.strip_prefix(prefix).map(|rest| (prefix.len(), rest)))?;
    let [high, low] = *rest.first_chunk()?;
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some((digit(high)? << 4 | digit(low)?, prefix + 2))
}

/// The characters of bytes that may be ASCII, UTF-8, UTF-16, GBK or EBCDIC; with places in bytes.
pub(super) fn of_bytes(bytes: &[u8]) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let previous = at.checked_sub(1).and_then(|before| bytes.get(before)).copied();
        let (kind, taken) = first_unit(rest, previous);
        if let Some(kind) = kind {
            let form = match rest.first() {
                Some(..0x80) => Form::Ascii,
                Some(0xF0..) if taken == 1 => Form::Ebcdic,
                _ => Form::Other,
            };
            units.push(Unit { kind, source: at..at + taken, form });
        }
        at += taken;
    }
    units
}

/// The kind of the first character (`None` for one without width) and its length in bytes.
fn first_unit(rest: &[u8], previous: Option<u8>) -> (Option<Kind>, usize) {
    let byte = rest.first().copied().unwrap_or_default();
    let after_ebcdic = previous.is_some_and(|byte| matches!(byte, 0xF0..=0xF9));
    match byte {
        // EBCDIC: space, dash, `=` and `D`, after an EBCDIC digit only.
        0x40 | 0x60 if after_ebcdic => (Some(Kind::Separator), 1),
        0x7E | 0xC4 if after_ebcdic => (Some(Kind::Equals), 1),
        // The other half of an ASCII digit in UTF-16.
        0 if previous.is_some_and(|byte| byte.is_ascii_digit()) => (None, 1),
        _ => match first_char(rest) {
            Some(character) => (kind_of(character), character.len_utf8()),
            None => match rest {
                [0xA3, digit @ 0xB0..=0xB9, ..] => (Some(Kind::Digit(digit & 0x0F)), 2), // GBK, full width
                [0xA3, 0xAD, ..] | [0xA1, 0xA1, ..] => (Some(Kind::Separator), 2),
                [0xA3, 0xBD, ..] => (Some(Kind::Equals), 2),
                [digit @ 0xF0..=0xF9, ..] => (Some(Kind::Digit(digit & 0x0F)), 1), // EBCDIC
                _ => (Some(Kind::Other), 1),
            },
        },
    }
}

fn first_char(bytes: &[u8]) -> Option<char> {
    let head = bytes.get(..bytes.len().min(4))?;
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(head.get(..error.valid_up_to())?).ok()?,
    };
    valid.chars().next()
}

/// What a character is; `None` when it has no width.
fn kind_of(character: char) -> Option<Kind> {
    Some(match character {
        '0'..='9' => Kind::Digit(digit_of(character)?),
        ' ' | '-' => Kind::Separator,
        '=' => Kind::Equals,
        'D' | 'd' => Kind::Equals,
        '^' => Kind::Caret,
        '\0'..='\x7F' => Kind::Other,
        '\u{A0}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}' => Kind::Separator,
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{FE58}' | '\u{FE63}' | '\u{FF0D}' => Kind::Separator,
        '\u{FF1D}' => Kind::Equals,
        '\u{AD}' | '\u{300}'..='\u{36F}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' => return None,
        '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{20D0}'..='\u{20FF}' => return None,
        '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{E0100}'..='\u{E01EF}' => return None,
        _ => digit_of(character).map_or(Kind::Other, Kind::Digit),
    })
}

/// The value of a digit of any script.
fn digit_of(character: char) -> Option<u8> {
    let code = u32::from(character);
    let script = ZEROS.partition_point(|zero| *zero <= code).checked_sub(1)?;
    let value = ZEROS.get(script).and_then(|zero| code.checked_sub(*zero)).filter(|value| *value <= 9);
    if let Some(value) = value {
        return u8::try_from(value).ok();
    }
    // Superscripts, subscripts, numbers in circles, brackets and with full stops, Chinese numerals.
    let value = match character {
        '¹' => 1,
        '²' => 2,
        '³' => 3,
        '⁰' | '₀' | '⓪' | '⓿' | '〇' | '零' => 0,
        '⁴'..='⁹' => code - 0x2070,
        '₁'..='₉' => code - 0x2080,
        '①'..='⑨' => code - 0x245F,
        '⑴'..='⑼' => code - 0x2473,
        '⒈'..='⒐' => code - 0x2487,
        '❶'..='❾' => code - 0x2775,
        '一' => 1,
        '二' => 2,
        '三' => 3,
        '四' => 4,
        '五' => 5,
        '六' => 6,
        '七' => 7,
        '八' => 8,
        '九' => 9,
        _ => return None,
    };
    u8::try_from(value).ok()
}

/// The zeros of all decimal digits (general category Nd) of Unicode 16; nine more follow each.
static ZEROS: [u32; 75] = [
    0x30, 0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xDE6, 0xE50,
    0xED0, 0xF20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40,
    0x1C50, 0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10, 0x104A0, 0x10D30, 0x10D40,
    0x11066, 0x110F0, 0x11136, 0x111D0, 0x112F0, 0x11450, 0x114D0, 0x11650, 0x116C0, 0x116D0, 0x116DA,
    0x11730, 0x118E0, 0x11950, 0x11BF0, 0x11C50, 0x11D50, 0x11DA0, 0x11F50, 0x16A60, 0x16AC0, 0x16B50,
    0x16D70, 0x1CCF0, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6, 0x1E140, 0x1E2F0, 0x1E4F0, 0x1E5F1,
    0x1E950, 0x1FBF0,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(units: &[Unit]) -> String {
        units
            .iter()
            .map(|unit| match unit.kind {
                Kind::Digit(digit) => char::from(b'0' + digit),
                Kind::Separator => '-',
                Kind::Equals => '=',
                Kind::Caret => '^',
                Kind::Other => '.',
            })
            .collect()
    }

    #[test]
    fn digits_of_every_script_and_shape_are_digits() {
        for text in [
            "0123456789",
            "０１２３４５６７８９",
            "٠١٢٣٤٥٦٧٨٩",
            "〇一二三四五六七八九",
            "⁰¹²³⁴⁵⁶⁷⁸⁹",
            "₀₁₂₃₄₅₆₇₈₉",
            "⓪①②③④⑤⑥⑦⑧⑨",
            "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗",
        ] {
            assert_eq!(digits(&of_text(text)), "0123456789", "{text}");
        }
        assert!(ZEROS.is_sorted());
    }

    #[test]
    fn escapes_are_the_bytes_they_stand_for() {
        assert_eq!(digits(&of_text("\\x34\\xF1\\u0032%33\\x5Cx35")), "41235");
        assert_eq!(digits(&of_text("\\xEF\\xBC\\x94\\xA3\\xB1")), "41"); // UTF-8 and GBK, full width
        assert_eq!(digits(&of_text("\\x3")), "..3");
        assert_eq!(of_text("a\\x34").last().unwrap().source, 1..5);
    }

    #[test]
    fn bytes_are_read_as_ebcdic_utf_16_and_utf_8() {
        assert_eq!(digits(&of_bytes(b"\xF4\xF1\x40\xF1\x60\xF2\x7E\xF3\xC4")), "41-1-2=3=");
        assert_eq!(digits(&of_bytes(b"\x004\x001")), ".41");
        assert_eq!(digits(&of_bytes("４-１".as_bytes())), "4-1");
        assert_eq!(digits(&of_bytes(b"@~`")), "...");
    }
}

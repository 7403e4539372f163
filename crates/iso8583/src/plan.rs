//! What reading needs to know of a field format, in the few bytes that a fast loop likes.

use crate::class::Class;
use crate::dialect::BitmapEncoding;
use crate::ebcdic;
use crate::error::ParseReason;
use crate::format::{Align, Binary, Charset, Digits, FieldFormat, Length, LengthEncoding, Unit};
use crate::scan;

/// A field format, digested.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    prefix: Prefix,
    /// Bytes of the length prefix.
    width: u8,
    count: Count,
    pack: Pack,
    check: Check,
    /// Characters that stand unpacked before packed digits: the sign of `x+n`.
    sign: u8,
    /// Of a fixed length: the characters. Otherwise the most there may be.
    units: u16,
    /// Of a fixed length: the bytes on the wire.
    content: u32,
}

/// How the length is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prefix {
    Undefined,
    Fixed,
    Ascii,
    Bcd,
    Binary,
    Ebcdic,
    Hex,
}

/// How many characters a length on the wire stands for.
#[derive(Clone, Copy, Debug)]
enum Count {
    /// One for each.
    One,
    /// Two for each byte, after the sign.
    Two,
    /// As `Two`; the filler nibble tells when it is one less.
    TwoByPad { align: Align, pad: u8 },
    /// One for every two.
    Half,
}

/// How many bytes a number of characters takes.
#[derive(Clone, Copy, Debug)]
enum Pack {
    One,
    Half,
    Double,
}

/// What is allowed in the content.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Check {
    Nothing,
    Digits,
    Text,
    Alphanumeric,
    UpperHex,
    Packed {
        align: Align,
        pad: u8,
    },
    /// Everything that is not worth a word-wise test.
    Slow,
}

/// Where the content of a field is in a message, and how many characters it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) units: usize,
}

/// Where and why a field cannot be read.
pub(crate) type Fault = (usize, ParseReason);

impl Plan {
    /// The plan of a field that the dialect does not have.
    pub(crate) const UNDEFINED: Self = Self {
        prefix: Prefix::Undefined,
        width: 0,
        count: Count::One,
        pack: Pack::One,
        check: Check::Nothing,
        sign: 0,
        units: 0,
        content: 0,
    };

    /// The plan of a field that is a bitmap.
    pub(crate) fn third_bitmap(encoding: BitmapEncoding) -> Self {
        let width = encoding.width();
        #[allow(clippy::cast_possible_truncation, reason = "16 at most")]
        Self { prefix: Prefix::Fixed, units: width as u16, content: width as u32, ..Self::UNDEFINED }
    }

    pub(crate) fn of(format: &FieldFormat) -> Self {
        let prefix = match (format.length, format.length_encoding) {
            (Length::Fixed(_), _) => Prefix::Fixed,
            (_, LengthEncoding::Ascii) => Prefix::Ascii,
            (_, LengthEncoding::Bcd) => Prefix::Bcd,
            (_, LengthEncoding::Binary) => Prefix::Binary,
            (_, LengthEncoding::Ebcdic) => Prefix::Ebcdic,
            (_, LengthEncoding::Hex) => Prefix::Hex,
        };
        let packed = match format.digits {
            Digits::Bcd { align, pad } if format.is_packed() => Some((align, pad)),
            _ => None,
        };
        let binary = format.class == Class::Binary;
        let hex = binary && format.binary != Binary::Raw;
        let count = match (format.unit, packed) {
            (Unit::Bytes, Some((align, pad))) if format.pad_tells_odd() => Count::TwoByPad { align, pad },
            (Unit::Bytes, Some(_)) => Count::Two,
            (Unit::Bytes, None) if hex => Count::Half,
            (Unit::Digits, None) if binary => Count::Half,
            _ => Count::One,
        };
        let check = match (format.class, packed, format.charset, format.digits) {
            (Class::Binary, ..) => match format.binary {
                Binary::Raw => Check::Nothing,
                Binary::Hex => Check::UpperHex,
                Binary::EbcdicHex => Check::Slow,
            },
            (Class::Numeric, Some((align, pad)), ..) => Check::Packed { align, pad },
            (Class::Numeric, None, _, Digits::Ascii) => Check::Digits,
            (Class::Alphanumeric, _, Charset::Ascii, _) => Check::Alphanumeric,
            (Class::Text, _, Charset::Ascii, _) => Check::Text,
            _ => Check::Slow,
        };
        #[allow(clippy::cast_possible_truncation, reason = "formats are at most 65,535 characters long")]
        Self {
            prefix,
            width: format.prefix_len() as u8,
            count,
            pack: match (packed, hex) {
                (Some(_), _) => Pack::Half,
                (None, true) => Pack::Double,
                (None, false) => Pack::One,
            },
            check,
            sign: format.sign_len() as u8,
            units: format.max_units() as u16,
            content: format.content_len(format.max_units()) as u32,
        }
    }

    /// What is allowed in the content.
    pub(crate) fn check_kind(&self) -> Check {
        self.check
    }

    /// Bytes of the length prefix.
    pub(crate) fn prefix_len(&self) -> u8 {
        self.width
    }

    /// The most characters the field may have.
    #[inline]
    pub(crate) fn max_units(&self) -> usize {
        usize::from(self.units)
    }

    /// Where the field's content is, when the field begins at byte `at`. Whether it is longer than
    /// allowed is left to the caller.
    #[inline]
    pub(crate) fn extent(&self, body: &[u8], at: usize) -> Result<Extent, Fault> {
        let (said, start) = match self.prefix {
            Prefix::Fixed => {
                let end = at + self.content as usize;
                if end > body.len() {
                    return Err(truncated(body, at, end));
                }
                return Ok(Extent { start: at, end, units: usize::from(self.units) });
            }
            Prefix::Ascii => (ascii_length(body, at, self.width)?, at + usize::from(self.width)),
            Prefix::Bcd => (bcd_length(body, at, self.width)?, at + usize::from(self.width)),
            _ => (self.rare_length(body, at)?, at + usize::from(self.width)),
        };
        let sign = usize::from(self.sign);
        let (mut units, bytes) = match (self.count, self.pack) {
            (Count::One, Pack::One) => (said, said),
            (Count::One, Pack::Half) => (said, sign + (said - sign.min(said)).div_ceil(2)),
            (Count::One, Pack::Double) => (said, said * 2),
            (Count::Two | Count::TwoByPad { .. }, _) => (sign + (said - sign.min(said)) * 2, said),
            (Count::Half, Pack::Double) => (said / 2, said),
            (Count::Half, _) => (said / 2, said / 2),
        };
        if said < sign || matches!(self.count, Count::Half) && said % 2 == 1 {
            return Err((at, self.too_long(said)));
        }
        let end = start + bytes;
        if end > body.len() {
            // A length that cannot be is the better explanation of what is missing.
            return Err(if units > self.max_units() {
                (at, self.too_long(said))
            } else {
                truncated(body, start, end)
            });
        }
        if let Count::TwoByPad { align, pad } = self.count {
            let packed = body.get(start + sign..end).unwrap_or_default();
            let filler = match align {
                Align::Left => packed.last().map(|byte| byte & 0x0F),
                Align::Right => packed.first().map(|byte| byte >> 4),
            };
            units -= usize::from(filler == Some(pad));
        }
        Ok(Extent { start, end, units })
    }

    /// Why a field with a value of `units` characters is refused that begins at byte `at`.
    #[cold]
    pub(crate) fn longer_than_allowed(&self, units: usize) -> ParseReason {
        let said = match self.count {
            // The bytes may be as many as those of the longest value; what is too many are digits.
            Count::TwoByPad { .. } => {
                return ParseReason::Length { length: units, max: self.max_units() };
            }
            Count::One => units,
            Count::Two => self.bytes_of(units),
            Count::Half => units * 2,
        };
        self.too_long(said)
    }

    fn too_long(&self, said: usize) -> ParseReason {
        let max = match self.count {
            Count::One => self.max_units(),
            Count::Two | Count::TwoByPad { .. } => self.bytes_of(self.max_units()),
            Count::Half => self.max_units() * 2,
        };
        ParseReason::Length { length: said, max }
    }

    fn bytes_of(&self, units: usize) -> usize {
        let sign = usize::from(self.sign);
        sign + (units - sign.min(units)).div_ceil(2)
    }

    #[cold]
    fn rare_length(&self, body: &[u8], at: usize) -> Result<usize, Fault> {
        let end = at + usize::from(self.width);
        let prefix = body.get(at..end).ok_or_else(|| truncated(body, at, end))?;
        let mut said = 0usize;
        for (&byte, place) in prefix.iter().zip(at..) {
            // At most six digits or three bytes, so this stays far below overflow.
            said = match self.prefix {
                Prefix::Binary => said << 8 | usize::from(byte),
                Prefix::Ebcdic if (0xF0..=0xF9).contains(&byte) => said * 10 + usize::from(byte - 0xF0),
                Prefix::Ebcdic => return Err((place, ParseReason::NotADigit(byte))),
                Prefix::Hex => match upper_hex(byte) {
                    Some(digit) => said << 4 | usize::from(digit),
                    None => return Err((place, ParseReason::NotHex(byte))),
                },
                _ => return Err((at, ParseReason::Undefined)),
            };
        }
        if self.prefix == Prefix::Undefined { Err((at, ParseReason::Undefined)) } else { Ok(said) }
    }

    /// Whether the content holds only what the class allows. A fault carries the place in the
    /// content.
    #[inline]
    pub(crate) fn check(&self, format: &FieldFormat, content: &[u8], units: usize) -> Result<(), Fault> {
        let fine = match self.check {
            Check::Nothing => true,
            Check::Digits => scan::digits(content),
            Check::Text => scan::text(content),
            Check::Alphanumeric => scan::alphanumeric(content),
            Check::UpperHex => scan::upper_hex(content),
            Check::Packed { align, pad } => packed_is_fine(content, units, align, pad),
            Check::Slow => false,
        };
        if fine { Ok(()) } else { slow_check(format, content, units) }
    }
}

#[cold]
fn truncated(body: &[u8], start: usize, end: usize) -> Fault {
    (start, ParseReason::Truncated { needed: end - start, left: body.len().saturating_sub(start) })
}

#[inline]
fn ascii_length(body: &[u8], at: usize, width: u8) -> Result<usize, Fault> {
    let end = at + usize::from(width);
    let Some(prefix) = body.get(at..end) else {
        return Err(truncated(body, at, end));
    };
    let mut said = 0;
    for (&byte, place) in prefix.iter().zip(at..) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Err((place, ParseReason::NotADigit(byte)));
        }
        said = said * 10 + usize::from(digit);
    }
    Ok(said)
}

#[inline]
fn bcd_length(body: &[u8], at: usize, width: u8) -> Result<usize, Fault> {
    let end = at + usize::from(width);
    let Some(prefix) = body.get(at..end) else {
        return Err(truncated(body, at, end));
    };
    // One and two bytes are nearly all there are.
    let said = match *prefix {
        [one] => packed_pair(one),
        [high, low] => packed_pair(high).and_then(|high| Some(high * 100 + packed_pair(low)?)),
        _ => prefix.iter().try_fold(0, |said, byte| Some(said * 100 + packed_pair(*byte)?)),
    };
    said.ok_or_else(|| {
        let wrong = prefix.iter().position(|byte| packed_pair(*byte).is_none()).unwrap_or_default();
        (at + wrong, ParseReason::NotPackedDigits(prefix.get(wrong).copied().unwrap_or_default()))
    })
}

/// The number that two packed digits write.
#[inline]
fn packed_pair(byte: u8) -> Option<usize> {
    let (high, low) = (byte >> 4, byte & 0x0F);
    (high <= 9 && low <= 9).then(|| usize::from(high) * 10 + usize::from(low))
}

/// The value of one upper-case hexadecimal digit. Lower case would be built as upper case and is
/// therefore not read.
pub(crate) fn upper_hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[inline]
fn packed_is_fine(content: &[u8], units: usize, align: Align, pad: u8) -> bool {
    if units.is_multiple_of(2) {
        return scan::packed_digits(content);
    }
    // A filler that is a digit is judged with the rest; any other is left to the slow test.
    let filler = match align {
        Align::Left => content.last().map(|byte| byte & 0x0F),
        Align::Right => content.first().map(|byte| byte >> 4),
    };
    filler == Some(pad) && scan::packed_digits(content)
}

#[cold]
fn slow_check(format: &FieldFormat, content: &[u8], units: usize) -> Result<(), Fault> {
    let class = format.class;
    if class == Class::Binary {
        return all(content, 0, |byte| hex_value(format.binary, byte).is_some(), ParseReason::NotHex);
    }
    if class == Class::SignedNumeric {
        let (&sign, amount) =
            content.split_first().ok_or((0, ParseReason::Truncated { needed: 1, left: 0 }))?;
        if !crate::class::is_sign(ebcdic::decode(format.charset, sign)) {
            return Err((0, ParseReason::Sign(sign)));
        }
        return check_digits(Class::Numeric, format.digits, amount, units.saturating_sub(1))
            .map_err(|(at, reason)| (at + 1, reason));
    }
    if class.is_packable() {
        return check_digits(class, format.digits, content, units);
    }
    all(
        content,
        0,
        |byte| class.allows(ebcdic::decode(format.charset, byte)),
        |byte| ParseReason::Character { byte, class },
    )
}

/// The value of a hexadecimal digit on the wire.
pub(crate) fn hex_value(binary: Binary, byte: u8) -> Option<u8> {
    match binary {
        Binary::EbcdicHex => ebcdic::hex_digit(byte),
        _ => upper_hex(byte),
    }
}

fn check_digits(class: Class, digits: Digits, content: &[u8], units: usize) -> Result<(), Fault> {
    let (align, pad) = match digits {
        Digits::Bcd { align, pad } => (align, pad),
        Digits::Ascii => {
            return all(content, 0, |byte| class.allows(byte), |byte| ParseReason::Character { byte, class });
        }
        Digits::Ebcdic => {
            let allowed = |byte| class.allows(ebcdic::decode(Charset::Ebcdic037, byte));
            return all(content, 0, allowed, |byte| ParseReason::Character { byte, class });
        }
    };
    let whole = |bytes, from| {
        let allowed = |byte: u8| class.allows_nibble(byte >> 4) && class.allows_nibble(byte & 0x0F);
        all(bytes, from, allowed, ParseReason::NotPackedDigits)
    };
    if units.is_multiple_of(2) {
        return whole(content, 0);
    }
    // An odd number of digits: one nibble of the first or last byte is filler.
    let (at, odd, bytes, from) = match align {
        Align::Left => match content.split_last() {
            Some((&last, bytes)) => (bytes.len(), last.rotate_left(4), bytes, 0),
            None => return Ok(()),
        },
        Align::Right => match content.split_first() {
            Some((&first, bytes)) => (0, first, bytes, 1),
            None => return Ok(()),
        },
    };
    whole(bytes, from)?;
    let (found, digit) = (odd >> 4, odd & 0x0F);
    if !class.allows_nibble(digit) {
        return Err((at, ParseReason::NotPackedDigits(content.get(at).copied().unwrap_or_default())));
    }
    if found != pad {
        return Err((at, ParseReason::Pad { found, expected: pad }));
    }
    Ok(())
}

fn all(
    bytes: &[u8],
    from: usize,
    allowed: impl Fn(u8) -> bool,
    reason: impl Fn(u8) -> ParseReason,
) -> Result<(), Fault> {
    match bytes.iter().position(|byte| !allowed(*byte)) {
        None => Ok(()),
        Some(at) => Err((from + at, reason(bytes.get(at).copied().unwrap_or_default()))),
    }
}

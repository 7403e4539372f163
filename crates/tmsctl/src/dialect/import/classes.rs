//! What the field classes of jPOS do, in the terms of a dialect file.
//!
//! A class is named by its parts: how the length is written, how many digits it has, how the content
//! is written. The names are not regular enough to be taken apart, so each stands here.

use super::model::Field;

/// What a class is for.
pub(super) enum Kind {
    /// A field.
    Field(Describe),
    /// A place that is not used.
    Unused,
}

/// How a class writes a field.
#[derive(Clone, Copy)]
pub(super) struct Describe {
    prefix: Option<(&'static str, usize)>,
    content: Content,
}

#[derive(Clone, Copy)]
enum Content {
    /// Text in this character set.
    Text(&'static str),
    /// Digits, one character each.
    Digits(&'static str),
    /// Packed digits; `pad` in the file says on which side.
    Packed,
    /// Packed digits that begin in the first nibble, filled with F.
    PackedF,
    /// The same, with a length that counts bytes.
    PackedFBytes,
    /// Packed digits, with a length that counts all nibbles.
    PackedEven,
    /// Sign and digits.
    Amount(&'static str),
    /// Sign and packed digits.
    PackedAmount,
    /// Bytes written so.
    Bytes(&'static str),
    /// Bytes, with a length (or a fixed length) that counts nibbles.
    Nibbles,
}

use Content::{
    Amount, Bytes, Digits, Nibbles, Packed, PackedAmount, PackedEven, PackedF, PackedFBytes, Text,
};

const ASCII: &str = "ascii";
const EBCDIC: &str = "ebcdic";
const BCD: &str = "bcd";
const BINARY: &str = "binary";

/// Encoding of the message type by the class of field 0.
pub(super) fn mti(class: &str) -> Option<&'static str> {
    match class {
        "IFA_NUMERIC" | "IF_CHAR" => Some(ASCII),
        "IFB_NUMERIC" => Some(BCD),
        "IFE_NUMERIC" | "IFE_CHAR" | "IF_ECHAR" => Some(EBCDIC),
        _ => None,
    }
}

/// Encoding of the bitmap by the class of field 1.
pub(super) fn bitmap(class: &str) -> Option<&'static str> {
    match class {
        "IFB_BITMAP" => Some("binary"),
        "IFA_BITMAP" => Some("hex"),
        "IFE_BITMAP" => Some("ebcdic-hex"),
        _ => None,
    }
}

/// What a class does; `None` when a dialect file cannot say it.
#[rustfmt::skip]
pub(super) fn kind(class: &str) -> Option<Kind> {
    let (prefix, content) = match class {
        "IF_NOP" | "IF_UNUSED" => return Some(Kind::Unused),

        "IF_CHAR" => (None, Text(ASCII)),
        "IFA_LCHAR" => (Some((ASCII, 1)), Text(ASCII)),
        "IFA_LLCHAR" => (Some((ASCII, 2)), Text(ASCII)),
        "IFA_LLLCHAR" => (Some((ASCII, 3)), Text(ASCII)),
        "IFA_LLLLCHAR" => (Some((ASCII, 4)), Text(ASCII)),
        "IFA_LLLLLCHAR" => (Some((ASCII, 5)), Text(ASCII)),
        "IFA_LLLLLLCHAR" => (Some((ASCII, 6)), Text(ASCII)),
        "IFB_LLCHAR" => (Some((BCD, 2)), Text(ASCII)),
        "IFB_LLLCHAR" => (Some((BCD, 3)), Text(ASCII)),
        "IFB_LLLLCHAR" => (Some((BCD, 4)), Text(ASCII)),
        "IFB_LLLLLLCHAR" => (Some((BCD, 6)), Text(ASCII)),
        "IFB_LLHCHAR" => (Some((BINARY, 2)), Text(ASCII)),
        "IFB_LLLHCHAR" => (Some((BINARY, 3)), Text(ASCII)),
        "IFEA_LLCHAR" => (Some((EBCDIC, 2)), Text(ASCII)),

        "IF_ECHAR" | "IFE_CHAR" => (None, Text(EBCDIC)),
        "IFE_LLCHAR" => (Some((EBCDIC, 2)), Text(EBCDIC)),
        "IFE_LLLCHAR" | "IFE_LLLEBINARY" => (Some((EBCDIC, 3)), Text(EBCDIC)),
        "IFE_LLLLCHAR" => (Some((EBCDIC, 4)), Text(EBCDIC)),
        "IFAE_LLCHAR" => (Some((ASCII, 2)), Text(EBCDIC)),
        "IFB_LLHECHAR" => (Some((BINARY, 2)), Text(EBCDIC)),
        "IFB_LLLHECHAR" => (Some((BINARY, 3)), Text(EBCDIC)),

        "IFA_NUMERIC" | "IFA_AMOUNT2003" => (None, Digits(ASCII)),
        "IFA_LLNUM" => (Some((ASCII, 2)), Digits(ASCII)),
        "IFA_LLLNUM" => (Some((ASCII, 3)), Digits(ASCII)),
        "IFE_NUMERIC" => (None, Digits(EBCDIC)),
        "IFE_LLNUM" => (Some((EBCDIC, 2)), Digits(EBCDIC)),
        "IFE_LLLNUM" => (Some((EBCDIC, 3)), Digits(EBCDIC)),

        "IFB_NUMERIC" | "IFB_AMOUNT2003" => (None, Packed),
        "IFB_LLNUM" => (Some((BCD, 2)), Packed),
        "IFB_LLLNUM" => (Some((BCD, 3)), Packed),
        "IFB_LLHNUM" => (Some((BINARY, 2)), Packed),
        "IFB_LLLHNUM" => (Some((BINARY, 3)), Packed),
        "IFA_LLBNUM" => (Some((ASCII, 2)), PackedEven),
        "IFB_FNUMERIC" => (None, PackedF),
        "IFEB_LLNUM" => (Some((EBCDIC, 2)), PackedFBytes),
        "IFEB_LLLNUM" => (Some((EBCDIC, 3)), PackedFBytes),

        "IFA_AMOUNT" => (None, Amount(ASCII)),
        "IFE_AMOUNT" => (None, Amount(EBCDIC)),
        "IFB_AMOUNT" => (None, PackedAmount),

        "IFB_BINARY" => (None, Bytes("raw")),
        "IFB_LLBINARY" => (Some((BCD, 2)), Bytes("raw")),
        "IFB_LLLBINARY" => (Some((BCD, 3)), Bytes("raw")),
        "IFB_LLLLBINARY" => (Some((BCD, 4)), Bytes("raw")),
        "IFB_LLHBINARY" => (Some((BINARY, 2)), Bytes("raw")),
        "IFB_LLLHBINARY" => (Some((BINARY, 3)), Bytes("raw")),
        "IFA_LBINARY" => (Some((ASCII, 1)), Bytes("raw")),
        "IFA_LLBINARY" => (Some((ASCII, 2)), Bytes("raw")),
        "IFA_LLLBINARY" => (Some((ASCII, 3)), Bytes("raw")),
        "IFA_LLLLBINARY" => (Some((ASCII, 4)), Bytes("raw")),
        "IFA_LLLLLBINARY" => (Some((ASCII, 5)), Bytes("raw")),
        "IFA_LLLLLLBINARY" => (Some((ASCII, 6)), Bytes("raw")),
        "IFE_LLBINARY" => (Some((EBCDIC, 2)), Bytes("raw")),
        "IFE_LLLBINARY" => (Some((EBCDIC, 3)), Bytes("raw")),
        "IFA_BINARY" => (None, Bytes("hex")),
        "IFA_LLABINARY" => (Some((ASCII, 2)), Bytes("hex")),
        "IFA_LLLABINARY" => (Some((ASCII, 3)), Bytes("hex")),
        "IFE_BINARY" => (None, Bytes("ebcdic-hex")),
        "IFB_HEX" => (None, Nibbles),
        "IFB_LLHEX" => (Some((BCD, 2)), Nibbles),
        "IFB_LLLHEX" => (Some((BCD, 3)), Nibbles),
        _ => return None,
    };
    Some(Kind::Field(Describe { prefix, content }))
}

impl Describe {
    /// The field of a class with the `length` and `pad` that the file gives.
    pub(super) fn field(self, length: usize, pad: bool) -> Result<Field, String> {
        let mut field = Field { max: length, ..Field::default() };
        if let Some((encoding, digits)) = self.prefix {
            field.length = Some(encoding);
            field.prefix_digits = digits;
            // A binary byte counts to 255, which three digits can say and two cannot.
            if encoding == BINARY && length > 99 && digits == 2 {
                if length > 255 {
                    return Err(format!("one byte of length cannot say {length}"));
                }
                field.max = 99;
                field.notes.push(format!("The original allows {length}; two digits of length can say 99."));
            }
        } else if matches!(self.content, Text(_)) {
            field.fill = Some("spaces-right");
        } else if matches!(self.content, Digits(_) | Packed | PackedF) {
            field.fill = Some("zeros-left");
        }
        self.content(&mut field, pad)?;
        let most = 10usize.checked_pow(u32::try_from(field.prefix_digits).unwrap_or(0)).unwrap_or(usize::MAX);
        if field.is_variable() && field.max >= most {
            field.notes.push(format!(
                "The original allows {}; {} digits of length can say {}.",
                field.max,
                field.prefix_digits,
                most - 1
            ));
            field.max = most - 1;
        }
        match field.max {
            0 => Err("a length of 0".to_owned()),
            1..=65_534 => Ok(field),
            max => {
                field.notes.push(format!("The original allows {max}; fields end at 65534."));
                field.max = 65_534;
                Ok(field)
            }
        }
    }

    fn content(self, field: &mut Field, pad: bool) -> Result<(), String> {
        let side = if pad { "bcd-right" } else { "bcd-left" };
        match self.content {
            Text(charset) => {
                field.class = "ans";
                field.text = Some(if charset == EBCDIC { "ebcdic-037" } else { ASCII });
            }
            Digits(encoding) => {
                field.class = "n";
                field.digits = Some(encoding);
            }
            Packed => {
                field.class = "n";
                field.digits = Some(side);
            }
            PackedEven => {
                field.class = "n";
                field.digits = Some(side);
                field.notes.push("The original counts an odd number of digits with its filler.".to_owned());
            }
            PackedF | PackedFBytes => {
                field.class = "n";
                field.digits = Some("bcd-left");
                field.pad = Some('f');
                if matches!(self.content, PackedFBytes) {
                    field.unit = Some("bytes");
                    // A length in bytes goes with an even number of nibbles.
                    field.max += field.max % 2;
                }
            }
            Amount(_) | PackedAmount => {
                field.class = "x+n";
                field.max = field.max.checked_sub(1).ok_or("an amount has a sign and digits")?;
                match self.content {
                    Amount(encoding) => {
                        field.digits = Some(encoding);
                        field.text = Some(if encoding == EBCDIC { "ebcdic-037" } else { ASCII });
                    }
                    _ => field.digits = Some(side),
                }
            }
            Bytes(binary) => {
                field.class = "b";
                field.binary = Some(binary);
            }
            Nibbles => {
                field.class = "b";
                field.binary = Some("raw");
                field.max = field.max.div_ceil(2);
                if self.prefix.is_some() {
                    field.unit = Some("digits");
                }
            }
        }
        Ok(())
    }
}

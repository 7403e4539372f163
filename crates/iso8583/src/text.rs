//! Values as text, without loss whatever the bytes are.
//!
//! A value that is valid UTF-8 (so every ASCII value) is its own text. Other bytes, such as GBK
//! names, are written as `\xB2` each; a backslash that would read as such an escape is written
//! `\x5C`. Building takes the same text back to the same bytes.

use std::borrow::Cow;

/// The text of a value of characters.
pub(crate) fn escape(value: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(value) {
        Ok(text) if !text.contains("\\x") => Cow::Borrowed(text),
        Ok(text) => Cow::Owned(text.replace("\\x", "\\x5Cx")),
        Err(_) => {
            let mut text = String::with_capacity(value.len() * 2);
            for &byte in value {
                match byte {
                    0x80.. => text.push_str(&format!("\\x{byte:02X}")),
                    b'\\' => text.push_str("\\x5C"),
                    _ => text.push(char::from(byte)),
                }
            }
            Cow::Owned(text)
        }
    }
}

/// The bytes of a text: the inverse of [`escape`].
pub(crate) fn unescape(text: &str) -> Cow<'_, [u8]> {
    if !text.contains("\\x") {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        if let Some((escaped, after)) = escaped_byte(rest) {
            bytes.push(escaped);
            rest = after;
        } else {
            bytes.push(byte);
            rest = tail;
        }
    }
    Cow::Owned(bytes)
}

fn escaped_byte(text: &[u8]) -> Option<(u8, &[u8])> {
    let (&[backslash, x, high, low], after) = text.split_first_chunk::<4>()?;
    if (backslash, x) != (b'\\', b'x') {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some((digit(high)? << 4 | digit(low)?, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(value: &[u8]) -> String {
        let text = escape(value).into_owned();
        assert_eq!(unescape(&text).as_ref(), value, "{text}");
        text
    }

    #[test]
    fn plain_text_and_utf8_stay_as_they_are() {
        assert_eq!(there_and_back(b"01 "), "01 ");
        assert_eq!(there_and_back("测试".as_bytes()), "测试");
        assert_eq!(there_and_back(b"C:\\temp"), "C:\\temp");
    }

    #[test]
    fn gbk_is_escaped_byte_by_byte() {
        assert_eq!(there_and_back(&[0xB2, 0xE2, 0xCA, 0xD4, b'1']), "\\xB2\\xE2\\xCA\\xD41");
    }

    #[test]
    fn a_value_that_looks_escaped_comes_back_unchanged() {
        assert_eq!(there_and_back(b"\\xB2"), "\\x5CxB2");
        there_and_back(b"\\\\x41\xFF");
        there_and_back(b"\\x");
        there_and_back(b"\\x4");
    }
}

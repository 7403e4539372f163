//! Words, quoted text and signs, each with its place.

use super::error::SelectorError;

/// Words that stand for themselves and are no values.
const RESERVED: [&str; 4] = ["and", "or", "not", "in"];

/// A piece of a selector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Word(String),
    Quoted(String),
    /// One of `( ) , = != < <= > >= ~`.
    Sign(&'static str),
    End,
}

/// A token and the byte where it begins.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) offset: usize,
}

impl Token {
    /// Whether it is this word; case does not matter.
    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(self, Self::Word(found) if found.eq_ignore_ascii_case(word))
    }

    /// How it is named in an error.
    pub(super) fn found(&self) -> &str {
        match self {
            Self::Word(text) | Self::Quoted(text) => text,
            Self::Sign(sign) => sign,
            Self::End => "",
        }
    }
}

/// Whether a word has a meaning of its own.
pub(super) fn is_reserved(word: &str) -> bool {
    RESERVED.iter().any(|reserved| word.eq_ignore_ascii_case(reserved))
}

/// Whether a text can stand without quotes and is no pattern.
pub(super) fn is_plain_word(text: &str) -> bool {
    !text.is_empty() && !is_reserved(text) && text.chars().all(|c| is_word_char(c) && c != '*' && c != '?')
}

fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || "_-.+:/@#%*?".contains(c)
}

/// Takes a text apart.
pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, SelectorError> {
    let mut found = Vec::new();
    let mut offset = 0_usize;
    while let Some(rest) = text.get(offset..).filter(|rest| !rest.is_empty()) {
        let Some(first) = rest.chars().next() else { break };
        let (token, length) = if first.is_whitespace() {
            offset = offset.saturating_add(first.len_utf8());
            continue;
        } else if first == '"' {
            quoted(text, rest, offset)?
        } else if is_word_char(first) {
            let length = rest.find(|c| !is_word_char(c)).unwrap_or(rest.len());
            (Token::Word(rest.get(..length).unwrap_or(rest).to_owned()), length)
        } else {
            const SIGNS: [&str; 10] = ["(", ")", ",", "!=", "<=", ">=", "=", "<", ">", "~"];
            let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) else {
                return Err(unknown(text, first, offset));
            };
            (Token::Sign(sign), sign.len())
        };
        found.push(Placed { token, offset });
        offset = offset.saturating_add(length);
    }
    found.push(Placed { token: Token::End, offset: text.len() });
    Ok(found)
}

fn quoted(text: &str, rest: &str, offset: usize) -> Result<(Token, usize), SelectorError> {
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        let here = offset.saturating_add(at);
        match c {
            '"' | '\\' if escaped => value.push(c),
            _ if escaped => return Err(SelectorError::at(text, here, "\\\" or \\\\ after a backslash")),
            '\\' => {
                escaped = true;
                continue;
            }
            '"' => return Ok((Token::Quoted(value), at.saturating_add(1))),
            c if c.is_control() => {
                return Err(SelectorError::at(text, here, "text without control characters"));
            }
            c => value.push(c),
        }
        escaped = false;
    }
    Err(SelectorError::at(text, offset, "a closing quote for this text"))
}

fn unknown(text: &str, sign: char, offset: usize) -> SelectorError {
    let error = SelectorError::at(text, offset, "a word, text in quotes or a sign").found(sign.to_string());
    let meant = match sign {
        '（' => "(",
        '）' => ")",
        '，' | '、' | ';' => ",",
        '“' | '”' | '\'' | '‘' | '’' | '`' => "\"",
        '＝' => "=",
        '！' | '!' => "!=",
        '&' => "and",
        '|' => "or",
        _ => return error,
    };
    error.suggest(meant)
}

const UNITS: [(&str, u64); 5] = [("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

/// Longest age that can be asked for: a hundred years.
const MAX_SECONDS: u64 = 100 * 365 * 86_400;

/// Seconds of `2h`, `1d12h` or `90s`; each unit at most once and the greater first.
pub(super) fn duration(text: &str) -> Option<u64> {
    let (mut rest, mut seconds, mut units) = (text, 0_u64, UNITS.iter());
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at_checked(digits)?;
        let (name, unit) = units.by_ref().find(|(name, _)| after.starts_with(name))?;
        seconds = seconds.checked_add(number.parse::<u64>().ok()?.checked_mul(*unit)?)?;
        rest = after.get(name.len()..)?;
    }
    (seconds <= MAX_SECONDS && !text.is_empty()).then_some(seconds)
}

/// The shortest text that [`duration`] reads as so many seconds, in one unit.
pub(super) fn duration_text(seconds: u64) -> String {
    let whole = UNITS.iter().find(|(_, unit)| seconds > 0 && seconds.is_multiple_of(*unit));
    let (name, unit) = whole.unwrap_or(&("s", 1));
    format!("{}{name}", seconds / unit)
}

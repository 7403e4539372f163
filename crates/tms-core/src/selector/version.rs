//! The order of versions, as text that sorts like them.

/// Longest part of a version that counts, in bytes.
pub const MAX_VERSION_BYTES: usize = 128;

/// A text of ASCII that sorts, byte by byte, as the version does: a store can keep it beside the version and
/// compare it without knowing anything of versions (with `COLLATE "C"` in PostgreSQL).
///
/// A version is numbers and words with anything else between them. Numbers compare as numbers, words
/// without regard to case, a number stands before a word, and what ends stands before what goes on.
/// Zeros at the end say nothing: `2.1` is `2.1.0`. What follows the first `-` is a pre-release and stands before
/// the version itself; what follows `+` is not compared.
#[must_use]
pub fn key(version: &str) -> String {
    let end = version.char_indices().map(|(at, _)| at).find(|at| *at >= MAX_VERSION_BYTES);
    let version = version.get(..end.unwrap_or(version.len())).unwrap_or(version);
    let version = version.split_once('+').map_or(version, |(version, _)| version);
    let (main, pre) = match version.split_once('-') {
        Some((main, pre)) => (main, Some(pre)),
        None => (version, None),
    };
    let mut out = String::with_capacity(48);
    let mut parts = parts(main);
    while parts.last().is_some_and(|part| part == "3") {
        parts.pop();
    }
    out.extend(parts);
    match pre {
        None => out.push('2'),
        Some(pre) => {
            out.push('1');
            out.extend(self::parts(pre));
            out.push('0');
        }
    }
    out
}

/// `3`, a number's length as a letter, and the number; `4`, a word and `!`. Zero has neither length nor
/// digits, so that it is the prefix of every number.
fn parts(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let run = |kind: fn(char) -> bool| rest.find(|c| !kind(c)).unwrap_or(rest.len());
        let (is_number, length) = if first.is_ascii_digit() {
            (true, run(|c| c.is_ascii_digit()))
        } else if first.is_alphabetic() {
            (false, run(char::is_alphabetic))
        } else {
            rest = rest.get(first.len_utf8()..).unwrap_or("");
            continue;
        };
        let (part, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        rest = after;
        parts.push(if is_number {
            let digits = part.trim_start_matches('0');
            // Up to 128 digits, in two letters of 16 each.
            match digits.len() {
                0 => "3".to_owned(),
                length => format!("3{}{}{digits}", letter(length / 16), letter(length % 16)),
            }
        } else {
            let mut word = String::from("4");
            for c in part.to_lowercase().chars() {
                match c.is_ascii() {
                    true => word.push(c),
                    // Beyond ASCII by number, after all letters of it.
                    false => word.push_str(&format!("~{:06x}", u32::from(c))),
                }
            }
            word.push('!');
            word
        });
    }
    parts
}

fn letter(number: usize) -> char {
    u8::try_from(number).ok().and_then(|n| n.checked_add(b'a')).map_or('z', char::from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::key;

    #[test]
    fn versions_sort_as_people_read_them() {
        let order = [
            "0",
            "0.0.1",
            "0.9",
            "1-alpha",
            "1-alpha.1",
            "1-beta.2",
            "1-beta.11",
            "1-rc1",
            "1.0.0",
            "1.0.1",
            "1.2",
            "1.10",
            "2",
            "2.0.1",
            "2.1.0-rc",
            "2.1",
            "2.1.1",
            "2.1.1a",
            "10.0",
            "V1.0",
            "V2",
            "版1",
            "版2",
        ];
        for pair in order.windows(2) {
            assert!(key(pair[0]) < key(pair[1]), "{} before {}", pair[0], pair[1]);
        }
    }

    #[test]
    fn what_says_nothing_is_not_compared() {
        for (left, right) in
            [("2.1", "2.1.0"), ("02.1", "2.01.0.0"), ("1.0+a", "1.0+b"), ("v1", "V1"), ("1_2", "1.2")]
        {
            assert_eq!(key(left), key(right), "{left} and {right}");
        }
    }

    proptest! {
        #[test]
        fn numbers_of_any_length_compare_as_numbers(left in "[0-9]{1,40}", right in "[0-9]{1,40}") {
            let number = |text: &str| {
                let digits = text.trim_start_matches('0').to_owned();
                (digits.len(), digits)
            };
            prop_assert_eq!(key(&left).cmp(&key(&right)), number(&left).cmp(&number(&right)));
            let (left2, right2) = (format!("1.{left}.3"), format!("1.{right}.3"));
            prop_assert_eq!(key(&left2).cmp(&key(&right2)), number(&left).cmp(&number(&right)));
        }

        #[test]
        fn every_text_has_a_key_of_ascii(text in "\\PC{0,200}") {
            prop_assert!(key(&text).is_ascii());
        }
    }
}

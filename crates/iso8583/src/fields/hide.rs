//! What a type says about a value may quote the value.

use crate::field::Field;
use crate::mask::{MASK, scrub_text};
use crate::message::Message;

/// Digits in a row from which on they may be a card number, also when their check digit is wrong:
/// in an error, fewer numbers are no loss.
const CARD_DIGITS: usize = 12;

/// The text with [`MASK`] in place of everything that may be a card number.
pub(super) fn numbers(text: &str) -> String {
    let mut hidden = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(start);
        let (number, after) = from.split_at(from.find(|c: char| !c.is_ascii_digit()).unwrap_or(from.len()));
        hidden.push_str(before);
        hidden.push_str(if number.len() < CARD_DIGITS { number } else { MASK });
        rest = after;
    }
    hidden.push_str(rest);
    // Numbers in groups, in other scripts, in hexadecimal.
    scrub_text(&hidden).into_owned()
}

/// The text with [`MASK`] in place of the values of sensitive fields of `message`, also where
/// [`numbers`] has been at work on them.
pub(super) fn values(text: String, message: &Message<'_>) -> String {
    let mut values = Vec::new();
    message.fields().for_each(|field| collect(field, &mut values));
    // One or two characters are found in any sentence, and are no secret.
    values.retain(|value| value.len() > 2 && value != MASK);
    // A value may be in another, of which nothing may remain.
    values.sort_unstable_by_key(|value| std::cmp::Reverse(value.len()));
    values.iter().fold(text, |text, value| text.replace(value, MASK))
}

/// The forms in which the value of a field, and those of its subfields, may be quoted.
fn collect(field: Field<'_>, values: &mut Vec<String>) {
    if field.sensitivity().is_sensitive() {
        let text = field.text();
        values.extend([numbers(&text), text.into_owned(), format!("{:?}", field.value())]);
    }
    field.subfields().map_while(Result::ok).for_each(|subfield| collect(subfield, values));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_numbers_are_hidden_wherever_they_stand() {
        assert_eq!(numbers("no 4111111111111111 here"), "no ******** here");
        assert_eq!(numbers("4111111111111111"), MASK);
        assert_eq!(numbers("ends in D4111111111111111D2812"), "ends in D********D2812");
        assert_eq!(numbers("4111 1111 1111 1111"), "4111 11** **** 1111");
        assert_eq!(numbers("trace 000001 of 12 卡"), "trace 000001 of 12 卡");
    }
}

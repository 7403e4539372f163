//! What may be a card number in some bytes, and that it is not in what was printed.

/// Digits of a card number: 13 to 19.
const LENGTHS: std::ops::RangeInclusive<usize> = 13..=19;

/// Numbers that pass for card numbers: maximal runs of 13 to 19 digits with a valid check digit and
/// an account: something other than zeros after the six digits of the issuer. (`2600000000000000`
/// in field 53 says how a PIN is protected.)
#[derive(Default)]
pub struct Cards {
    found: Vec<String>,
    run: String,
}

impl Cards {
    /// Forgets all of them; memory is kept.
    pub fn clear(&mut self) {
        self.found.clear();
    }

    /// Adds those in some bytes, read as ASCII, as EBCDIC and as packed digits.
    pub fn look_in(&mut self, bytes: &[u8]) {
        self.look_at(bytes.iter().map(|byte| byte.wrapping_sub(b'0')));
        self.look_at(bytes.iter().map(|byte| byte.wrapping_sub(0xF0)));
        self.look_at(bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]));
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Checks that none of them is in a text. The same digits with another one beside them are
    /// another number.
    ///
    /// # Panics
    ///
    /// When one is.
    pub fn assert_not_in(&self, printed: &str) {
        if self.found.is_empty() {
            return;
        }
        for run in printed.split(|character: char| !character.is_ascii_digit()) {
            let hidden = !LENGTHS.contains(&run.len()) || !self.found.iter().any(|card| card == run);
            assert!(hidden, "{run} is in {printed:?}");
        }
    }

    fn look_at(&mut self, digits: impl Iterator<Item = u8>) {
        self.run.clear();
        // Something that is no digit ends the last run.
        for digit in digits.chain([u8::MAX]) {
            if digit <= 9 {
                self.run.push(char::from(b'0' + digit));
                continue;
            }
            if LENGTHS.contains(&self.run.len()) && is_card(&self.run) && !self.found.contains(&self.run) {
                self.found.push(self.run.clone());
            }
            self.run.clear();
        }
    }
}

/// The check of ISO/IEC 7812-1, annex B: every second digit from the right counts double, and the sum of all
/// digits ends in zero.
fn is_card(digits: &str) -> bool {
    if digits.bytes().skip(6).all(|digit| digit == b'0') {
        return false;
    }
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0');
            if place % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_numbers_are_found_in_every_encoding_and_others_are_not() {
        let card = "4111111111111111";
        let ebcdic: Vec<u8> = card.bytes().map(|digit| digit + 0xC0).collect();
        let packed = [0xA4, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x1F];
        for bytes in [card.as_bytes(), &ebcdic, &packed, b"PAN 4111111111111111."] {
            let mut cards = Cards::default();
            cards.look_in(bytes);
            assert_eq!(cards.found, [card]);
        }
        let mut none = Cards::default();
        none.look_in(b"4111111111111112 411111111111 41111111111111110000 2600000000000000");
        assert!(none.is_empty());
    }

    #[test]
    #[should_panic(expected = "4111111111111111")]
    fn a_card_number_that_is_printed_is_noticed() {
        let mut cards = Cards::default();
        cards.look_in(b"4111111111111111");
        cards.assert_not_in("field 48: 4111111111111111");
    }
}

//! Secrets that people type: console passwords (Argon2id), one-time passwords, keypad secrets.

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use zeroize::Zeroizing;

use crate::random::{below, random_bytes};

/// Without 0, O, 1 and I: copied from a screen or read aloud without doubt. 32 letters, 5 bits each.
const READABLE: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";

/// Defaults that public manuals print for roles 99, 00 and 01-98 (unionpay.md §9).
const DOCUMENTED_DEFAULTS: &[&str] =
    &["12345678", "123456", "00000000", "000000", "0000", "1234", "88888888", "888888"];

/// Shortest keypad secret ever made.
pub const MIN_KEYPAD_DIGITS: usize = 4;

/// A password could not be hashed, or a stored hash is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// Longer than Argon2 takes, or out of memory.
    #[error("the password could not be hashed")]
    Hash,
    /// The stored text is not a PHC string.
    #[error("the stored password hash is damaged; set the password again")]
    Stored,
}

/// Argon2id (19 MiB, 2 passes) of `password`, as a PHC string with its own salt.
///
/// # Errors
/// [`PasswordError::Hash`] when Argon2 refuses the input.
pub fn hash(password: &[u8]) -> Result<String, PasswordError> {
    let hash: PasswordHash = Argon2::default()
        .hash_password_with_salt(password, &random_bytes::<16>())
        .map_err(|_| PasswordError::Hash)?;
    Ok(hash.to_string())
}

/// Whether `password` is the one behind `stored`.
///
/// # Errors
/// [`PasswordError::Stored`] when `stored` is not a PHC string.
pub fn verify(password: &[u8], stored: &str) -> Result<bool, PasswordError> {
    let stored = PasswordHash::new(stored).map_err(|_| PasswordError::Stored)?;
    Ok(Argon2::default().verify_password(password, &stored).is_ok())
}

/// A password to be shown once: four groups of four, 80 bits.
#[must_use]
pub fn one_time() -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(19));
    for place in 0..16 {
        if place > 0 && place % 4 == 0 {
            text.push('-');
        }
        let [letter] = random_bytes::<1>();
        text.push(READABLE.get(usize::from(letter % 32)).map_or('2', |letter| char::from(*letter)));
    }
    text
}

/// A random keypad secret of `digits` digits (at least [`MIN_KEYPAD_DIGITS`]), never one of which
/// [`keypad_weakness`] complains.
#[must_use]
pub fn numeric_secret(digits: usize) -> Zeroizing<String> {
    loop {
        let mut text = Zeroizing::new(String::with_capacity(digits));
        for _ in 0..digits.max(MIN_KEYPAD_DIGITS) {
            text.push(char::from(b'0' + below(10)));
        }
        if keypad_weakness(&text).is_none() {
            return text;
        }
    }
}

/// Whether `secret` is a default that public manuals print. Such a secret proves nothing about who
/// types it.
#[must_use]
pub fn is_documented_default(secret: &str) -> bool {
    DOCUMENTED_DEFAULTS.contains(&secret)
}

/// The defaults that public manuals print, for whoever has only a verifier to compare with.
#[must_use]
pub fn documented_defaults() -> &'static [&'static str] {
    DOCUMENTED_DEFAULTS
}

/// What makes a keypad secret unfit, if anything: a documented default, one repeated digit, a run.
#[must_use]
pub fn keypad_weakness(secret: &str) -> Option<&'static str> {
    let steps = |by: u8| {
        secret.bytes().zip(secret.bytes().skip(1)).all(|(a, b)| {
            let (a, b) = (a.wrapping_sub(b'0'), b.wrapping_sub(b'0'));
            a < 10 && b < 10 && (a + by) % 10 == b
        })
    };
    if is_documented_default(secret) {
        Some("it is a default printed in public manuals")
    } else if secret.len() < MIN_KEYPAD_DIGITS {
        Some("it is shorter than four digits")
    } else if steps(0) {
        Some("it repeats one digit")
    } else if steps(1) || steps(9) {
        Some("its digits run in sequence")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_verifies_against_its_own_hash_only() {
        let stored = hash(b"correct horse").unwrap();
        assert!(stored.starts_with("$argon2id$"));
        assert_eq!(verify(b"correct horse", &stored), Ok(true));
        assert_eq!(verify(b"correct horsf", &stored), Ok(false));
        assert_ne!(hash(b"correct horse").unwrap(), stored);
    }

    #[test]
    fn a_damaged_stored_hash_is_an_error_and_not_a_wrong_password() {
        assert_eq!(verify(b"x", "plain"), Err(PasswordError::Stored));
    }

    #[test]
    fn a_one_time_password_is_sixteen_readable_letters_in_four_groups() {
        let password = one_time();
        assert_eq!(password.split('-').map(str::len).collect::<Vec<_>>(), [4; 4]);
        assert!(password.bytes().filter(|b| *b != b'-').all(|b| READABLE.contains(&b)));
        assert_ne!(*password, *one_time());
        let mut letters = READABLE.to_vec();
        letters.sort_unstable();
        letters.dedup();
        assert_eq!(letters.len(), 32);
    }

    #[test]
    fn a_generated_keypad_secret_is_digits_and_never_weak() {
        for digits in [0, 4, 6, 8, 12] {
            for _ in 0..500 {
                let secret = numeric_secret(digits);
                assert_eq!(secret.len(), digits.max(4));
                assert!(secret.bytes().all(|b| b.is_ascii_digit()));
                assert_eq!(keypad_weakness(&secret), None);
            }
        }
    }

    #[test]
    fn documented_defaults_repetitions_and_runs_are_recognised() {
        for weak in [
            "12345678", "123456", "00000000", "0000", "7777", "3456", "9876", "8901", "2109", "12",
            "88888888",
        ] {
            assert!(keypad_weakness(weak).is_some(), "{weak}");
        }
        for fit in ["73920418", "1357", "0010", "1233"] {
            assert_eq!(keypad_weakness(fit), None, "{fit}");
        }
    }
}

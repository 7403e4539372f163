//! What is kept of an administrator's secret: enough to recognise it, not enough to type it.
//!
//! Keypad secrets are short, so a stolen verifier can be searched; the iterations make that slow and
//! the host's vault and the terminal's own storage keep verifiers private. Nothing here makes four
//! digits strong.

use std::{fmt, num::NonZeroU32};

use aws_lc_rs::{constant_time, hmac, pbkdf2};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Iterations for a new verifier: some milliseconds on the small processor of a terminal. A verifier
/// carries its own count, so this may rise with the estate's hardware; eight digits stay searchable
/// by whoever holds a verifier, at any count that a keypad user would wait for.
pub const DEFAULT_ITERATIONS: u32 = 2_000;

/// The most iterations accepted from outside, so that no peer can keep a processor busy.
pub const MAX_ITERATIONS: u32 = 1_000_000;

/// Length of [`Verifier::to_bytes`].
pub const VERIFIER_BYTES: usize = 52;

/// PBKDF2-HMAC-SHA256 of a secret, with its salt and cost.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Verifier {
    salt: [u8; 16],
    iterations: u32,
    hash: [u8; 32],
}

/// Why bytes are not a verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifierError {
    /// Not [`VERIFIER_BYTES`] long.
    #[error("a verifier has {VERIFIER_BYTES} bytes, not {0}")]
    Length(usize),
    /// A cost of nothing, or one that would stall the reader.
    #[error("a verifier has 1 to {MAX_ITERATIONS} iterations, not {0}")]
    Iterations(u32),
}

impl Verifier {
    /// Derives the verifier of `secret`. `iterations` is brought into 1 to [`MAX_ITERATIONS`].
    #[must_use]
    pub fn derive(secret: &[u8], salt: [u8; 16], iterations: u32) -> Self {
        let iterations = iterations.clamp(1, MAX_ITERATIONS);
        let mut hash = [0; 32];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, cost(iterations), &salt, secret, &mut hash);
        Self { salt, iterations, hash }
    }

    /// Whether `candidate` is the secret, in time that does not depend on how near it is.
    #[must_use]
    pub fn matches(&self, candidate: &[u8]) -> bool {
        pbkdf2::verify(pbkdf2::PBKDF2_HMAC_SHA256, cost(self.iterations), &self.salt, candidate, &self.hash)
            .is_ok()
    }

    /// Proves possession to someone who holds the same verifier: HMAC-SHA256, keyed by the hash,
    /// over the challenge and the context (who, which role, which generation).
    #[must_use]
    pub fn prove(&self, challenge: &[u8; 16], context: &[u8]) -> [u8; 32] {
        let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.hash));
        mac.update(challenge);
        mac.update(context);
        let mut proof = [0; 32];
        for (to, from) in proof.iter_mut().zip(mac.sign().as_ref()) {
            *to = *from;
        }
        proof
    }

    /// Whether `proof` is what [`Verifier::prove`] gives, in constant time.
    #[must_use]
    pub fn check_proof(&self, challenge: &[u8; 16], context: &[u8], proof: &[u8]) -> bool {
        constant_time::verify_slices_are_equal(&self.prove(challenge, context), proof).is_ok()
    }

    /// The salt under which the secret was hashed.
    #[must_use]
    pub fn salt(&self) -> &[u8; 16] {
        &self.salt
    }

    /// The cost of one guess.
    #[must_use]
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// Salt 16 ‖ iterations 4 (big-endian) ‖ hash 32.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; VERIFIER_BYTES] {
        let mut bytes = [0; VERIFIER_BYTES];
        let parts = self
            .salt
            .iter()
            .chain(&self.iterations.to_be_bytes())
            .chain(&self.hash)
            .copied()
            .collect::<Vec<_>>();
        for (to, from) in bytes.iter_mut().zip(parts) {
            *to = from;
        }
        bytes
    }

    /// Reads [`Verifier::to_bytes`].
    ///
    /// # Errors
    /// [`VerifierError`] for another length or an iteration count out of range.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, VerifierError> {
        let wrong = VerifierError::Length(bytes.len());
        let (salt, rest) = bytes.split_first_chunk::<16>().ok_or(wrong)?;
        let (iterations, rest) = rest.split_first_chunk::<4>().ok_or(wrong)?;
        let hash = <&[u8; 32]>::try_from(rest).map_err(|_| wrong)?;
        let iterations = u32::from_be_bytes(*iterations);
        if !(1..=MAX_ITERATIONS).contains(&iterations) {
            return Err(VerifierError::Iterations(iterations));
        }
        Ok(Self { salt: *salt, iterations, hash: *hash })
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({} iterations)", self.iterations)
    }
}

fn cost(iterations: u32) -> NonZeroU32 {
    NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 7914 §11, PBKDF2-HMAC-SHA256 ("passwd", "salt", 1), first 32 bytes.
    #[test]
    fn the_primitive_is_the_one_of_rfc_7914() {
        let mut hash = [0; 32];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, NonZeroU32::MIN, b"salt", b"passwd", &mut hash);
        assert_eq!(hex::encode(hash), "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
    }

    #[test]
    fn a_verifier_knows_its_secret_and_no_other() {
        let verifier = Verifier::derive(b"73920418", [7; 16], 1_000);
        assert!(verifier.matches(b"73920418"));
        for other in [&b"73920419"[..], b"7392041", b"739204180", b""] {
            assert!(!verifier.matches(other));
        }
    }

    #[test]
    fn a_proof_is_bound_to_challenge_context_and_secret() {
        let verifier = Verifier::derive(b"73920418", [7; 16], 10);
        let proof = verifier.prove(&[1; 16], b"10000001/99/2");
        assert!(verifier.check_proof(&[1; 16], b"10000001/99/2", &proof));
        assert!(!verifier.check_proof(&[2; 16], b"10000001/99/2", &proof));
        assert!(!verifier.check_proof(&[1; 16], b"10000001/00/2", &proof));
        assert!(!verifier.check_proof(&[1; 16], b"10000001/99/2", &proof[..31]));
        let other = Verifier::derive(b"12345678", [7; 16], 10);
        assert!(!other.check_proof(&[1; 16], b"10000001/99/2", &proof));
    }

    #[test]
    fn bytes_with_a_wrong_length_or_cost_are_not_a_verifier() {
        let good = Verifier::derive(b"1", [0; 16], 1).to_bytes();
        assert_eq!(Verifier::from_bytes(&good[..51]), Err(VerifierError::Length(51)));
        assert_eq!(Verifier::from_bytes(&[good.as_slice(), &[0]].concat()), Err(VerifierError::Length(53)));
        let mut costly = good;
        costly[16..20].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(Verifier::from_bytes(&costly), Err(VerifierError::Iterations(u32::MAX)));
        let mut free = good;
        free[16..20].fill(0);
        assert_eq!(Verifier::from_bytes(&free), Err(VerifierError::Iterations(0)));
    }

    #[test]
    fn debug_output_shows_neither_salt_nor_hash() {
        assert_eq!(format!("{:?}", Verifier::derive(b"1", [0; 16], 3)), "Verifier(3 iterations)");
    }

    proptest! {
        #[test]
        fn bytes_read_back_to_the_same_verifier(secret: Vec<u8>, salt: [u8; 16], iterations in 1_u32..5) {
            let verifier = Verifier::derive(&secret, salt, iterations);
            prop_assert_eq!(Verifier::from_bytes(&verifier.to_bytes()), Ok(verifier));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = Verifier::from_bytes(&bytes);
        }
    }
}

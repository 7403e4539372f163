//! A key for one algorithm, and what a successful check gives.

use std::{fmt, sync::Arc};

use aws_lc_rs::constant_time;
use zeroize::Zeroizing;

use super::{Code, MacAlgorithm, MacError, MacForm, compute::Prepared};
use crate::kcv::Kcv;

/// A key for one MAC algorithm, made ready once for all its uses; copies share it. It is wiped when the
/// last of them is dropped, and `Debug` shows the check value alone.
#[derive(Clone)]
pub struct MacKey {
    algorithm: MacAlgorithm,
    check_value: Kcv,
    prepared: Arc<Prepared>,
}

/// Why bytes are not a MAC key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MacKeyError {
    /// A length that the algorithm does not take.
    #[error("a key for {algorithm} has {} bytes, not {found}", lengths(*algorithm))]
    Length {
        /// The algorithm.
        algorithm: MacAlgorithm,
        /// Bytes that were given.
        found: usize,
    },
    /// The cryptographic library failed.
    #[error("the cryptographic library could not take a key")]
    Library,
    /// Not hexadecimal digits. The text is not repeated: it may be a key with a slip of the pen.
    #[error("a MAC key is written as pairs of hexadecimal digits")]
    Hex,
}

fn lengths(algorithm: MacAlgorithm) -> String {
    let known: Vec<_> = algorithm.key_lengths().iter().map(ToString::to_string).collect();
    known.join(" or ")
}

impl MacKey {
    /// Takes the key bytes as they are; DES parity bits are neither looked at nor mended.
    ///
    /// # Errors
    /// [`MacKeyError::Length`] naming the lengths that the algorithm takes, [`MacKeyError::Library`].
    pub fn new(algorithm: MacAlgorithm, bytes: &[u8]) -> Result<Self, MacKeyError> {
        if !algorithm.key_lengths().contains(&bytes.len()) {
            return Err(MacKeyError::Length { algorithm, found: bytes.len() });
        }
        let prepared = Prepared::new(algorithm, bytes).ok_or(MacKeyError::Library)?;
        let check_value = check_value(algorithm, bytes).ok_or(MacKeyError::Library)?;
        Ok(Self { algorithm, check_value, prepared: Arc::new(prepared) })
    }

    /// Reads a key written in hexadecimal digits, either case.
    ///
    /// # Errors
    /// [`MacKeyError::Hex`], or as [`MacKey::new`].
    pub fn from_hex(algorithm: MacAlgorithm, text: &str) -> Result<Self, MacKeyError> {
        let bytes = Zeroizing::new(hex::decode(text).map_err(|_| MacKeyError::Hex)?);
        Self::new(algorithm, &bytes)
    }

    /// The algorithm that the key is for.
    #[must_use]
    pub fn algorithm(&self) -> MacAlgorithm {
        self.algorithm
    }

    /// The check value, safe to show; of the kind that the cipher has (see [`Kcv`]).
    #[must_use]
    pub fn check_value(&self) -> Kcv {
        self.check_value
    }

    /// The whole code over `data`, not cut: 8 bytes of the DES family, 16 of AES and SM4.
    ///
    /// # Errors
    /// [`MacError::NoData`] where the algorithm does not define that, [`MacError::Library`].
    pub fn whole(&self, data: &[u8]) -> Result<Code, MacError> {
        self.prepared.whole(self.algorithm, data)
    }

    /// The MAC of `data` as it stands on the wire.
    ///
    /// # Errors
    /// As [`MacKey::whole`].
    pub fn sign(&self, form: MacForm, data: &[u8]) -> Result<Code, MacError> {
        Ok(form.of(&self.whole(data)?))
    }

    /// Checks a MAC, in time that does not depend on where it differs.
    ///
    /// # Errors
    /// [`MacError::Length`], [`MacError::Mismatch`], or as [`MacKey::whole`].
    pub fn verify<'d>(&self, form: MacForm, data: &'d [u8], mac: &[u8]) -> Result<MacVerified<'d>, MacError> {
        if mac.len() != form.len() {
            return Err(MacError::Length { form, found: mac.len() });
        }
        let right = self.sign(form, data)?;
        constant_time::verify_slices_are_equal(&right, mac).map_err(|_| MacError::Mismatch)?;
        Ok(MacVerified { data })
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MacKey({}, kcv {})", self.algorithm, self.check_value)
    }
}

fn check_value(algorithm: MacAlgorithm, key: &[u8]) -> Option<Kcv> {
    match algorithm {
        MacAlgorithm::AesCmac => Kcv::of_aes(key),
        MacAlgorithm::UnionPaySm4 | MacAlgorithm::Sm4Cbc => key.try_into().ok().map(Kcv::of_sm4),
        _ => Kcv::of_des(key),
    }
}

/// Proof that a MAC over these very bytes was right, under the key that checked it. Only
/// [`MacKey::verify`] makes one:
///
/// ```compile_fail,E0451
/// let forged = tms_crypto::mac::MacVerified { data: b"pay 1000000" };
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[must_use = "a proof that nobody asks for protects nothing"]
pub struct MacVerified<'d> {
    data: &'d [u8],
}

impl<'d> MacVerified<'d> {
    /// The bytes that are authentic.
    #[must_use]
    pub fn data(&self) -> &'d [u8] {
        self.data
    }
}

impl fmt::Debug for MacVerified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The bytes are a message, which may hold what must not be shown.
        write!(f, "MacVerified({} bytes)", self.data.len())
    }
}

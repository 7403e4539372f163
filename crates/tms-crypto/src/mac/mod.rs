//! Message authentication codes of POS links: what stands in DE64 or DE128.
//!
//! A [`MacKey`] is made for one [`MacAlgorithm`], so that key and algorithm cannot be confused
//! later. A [`MacForm`] says how much of the result travels, and how it is written. Checking gives
//! a [`MacVerified`], which only [`MacKey::verify`] can make: code that may act on authentic bytes
//! alone takes one of those.
//!
//! ```
//! use tms_crypto::mac::{MacAlgorithm, MacForm, MacKey};
//!
//! // The session's MAC key (MAK), from the key block of a UnionPay sign-on reply.
//! let key = MacKey::from_hex(MacAlgorithm::UnionPayEcb, "AB7C577CC7A18045")?;
//! // From the message type to the last field before DE64, whose bit in the bitmap is already set.
//! let message = hex::decode("08200000000000C0001131303030303030313130323331303036303531303030320011000000013010")?;
//! let de64 = key.sign(MacForm::Hex8, &message)?;
//! assert_eq!(de64.len(), 8);
//!
//! let proof = key.verify(MacForm::Hex8, &message, &de64)?;
//! assert_eq!(proof.data(), message);
//! assert!(key.verify(MacForm::Hex8, &message[1..], &de64).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What these codes are worth
//!
//! Acquirers fix the algorithm; none of them but [`MacAlgorithm::AesCmac`] would be chosen today.
//! The UnionPay shapes XOR all blocks together before the key is used, so blocks that change places
//! or that change by the same bits go unnoticed, and so do zero bytes at the end. Every form of
//! four bytes can be guessed once in 2³² tries. Neither the TPDU nor the header is covered. A MAC
//! of this kind belongs inside TLS and does not replace it.

mod algorithm;
mod code;
mod compute;
mod key;

#[cfg(test)]
mod tests;

pub(crate) use compute::aes_cmac;

pub use algorithm::{MacAlgorithm, MacForm, UnknownMacName};
pub use code::Code;
pub use key::{MacKey, MacKeyError, MacVerified};

/// Why there is no MAC, or why a MAC is not right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MacError {
    /// The algorithm says nothing about no data at all.
    #[error("{0} is not defined over no data")]
    NoData(MacAlgorithm),
    /// The MAC that came has another length than the form says.
    #[error("a MAC of form {form} has {} bytes, this one has {found}", form.len())]
    Length {
        /// The form that was expected.
        form: MacForm,
        /// Bytes that came.
        found: usize,
    },
    /// The data, the MAC or the key is another one.
    #[error("the MAC does not match: the message was changed, or the keys differ")]
    Mismatch,
    /// The cryptographic library failed.
    #[error("the cryptographic library could not compute a MAC")]
    Library,
}

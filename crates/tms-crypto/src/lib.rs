//! Cryptography of terminal management: working keys under a terminal master key, message
//! authentication codes, proofs of administrator credentials, secrets sealed to one terminal, secrets
//! at rest, people's passwords.
//!
//! The primitives come from aws-lc-rs; only DES, SM4 and their MACs, which POS links still need, and
//! Argon2 come from RustCrypto. Types that hold a secret print nothing of it and are wiped when dropped.
//!
//! A terminal takes over a new administrator credential and proves it without the secret ever
//! crossing the wire in the clear:
//!
//! ```
//! use tms_crypto::{random_bytes, seal, verifier::{DEFAULT_ITERATIONS, Verifier}};
//!
//! let terminal = seal::generate()?;
//! let sealed = seal::seal_to(terminal.public_bytes(), b"rotation", b"10000001/99/2", b"73920418")?;
//!
//! let secret = seal::open(terminal.private_bytes(), b"rotation", b"10000001/99/2", &sealed)?;
//! let kept = Verifier::derive(&secret, random_bytes(), DEFAULT_ITERATIONS);
//! assert!(kept.matches(b"73920418") && !kept.matches(b"12345678"));
//! # Ok::<(), seal::SealError>(())
//! ```
//!
//! Modules in reading order: [`keyblock`] and [`kcv`] (UnionPay sign-on keys), [`mac`] (DE64 and
//! DE128), [`verifier`] (credentials), [`seal`] (host to terminal), [`vault`] (the host's store),
//! [`password`] (people and keypads), [`keyfile`] (private files), [`digest`] and [`random`].

pub mod digest;
pub mod kcv;
pub mod keyblock;
pub mod keyfile;
pub mod mac;
pub mod password;
pub mod random;
pub mod seal;
pub mod vault;
pub mod verifier;

mod tdes;

pub use digest::{Sha256, sha1_for_check_values, sha256};
pub use random::random_bytes;

//! What makes a firmware image trustworthy: signed manifests, packages, and the rules by which a
//! terminal installs.
//!
//! Images are signed off-line by keys that no server holds. A terminal knows the public halves in
//! its [`TrustRoot`] and accepts a [`Manifest`] only as a [`VerifiedManifest`], which nothing but
//! [`Envelope::verify`] can make; so a stolen server cannot make a terminal install anything.
//!
//! ```
//! use std::io::Cursor;
//! use tms_firmware::{Draft, PackageReader, SigningKey, TrustRoot, build_package};
//!
//! let key = SigningKey::generate()?;
//! let draft = Draft { vendor: "Example".into(), models: vec!["SIM-8".into()], version: "1.1.0".parse()?, ..Draft::default() };
//! let mut package = Vec::new();
//! build_package(draft, &mut Cursor::new(b"image".repeat(100)), std::slice::from_ref(&key), &mut package)?;
//!
//! let root = TrustRoot::new(vec![key.public()], 1)?;
//! let reader = PackageReader::open(package.as_slice())?;
//! let manifest = reader.envelope().verify(&root)?;
//! let mut image = Vec::new();
//! assert_eq!(reader.copy_image(&manifest, &mut image)?, 500);
//! # Ok::<(), tms_firmware::FirmwareError>(())
//! ```
//!
//! Modules in reading order: [`manifest`] and [`version`] (what is signed), [`envelope`] (the
//! signatures), [`trust`] and [`signing`] (public and private keys), [`package`] (the `.tmsfw` file),
//! [`install`] (two slots, trial boot, fall-back).

pub mod envelope;
pub mod error;
pub mod install;
pub mod manifest;
pub mod package;
pub mod signing;
pub mod trust;
pub mod version;

pub use envelope::{Envelope, VerifiedManifest};
pub use error::FirmwareError;
pub use install::{Device, InstallError, Slot, SlotState};
pub use manifest::{Draft, Manifest, ReleaseNotes};
pub use package::{PackageReader, build_package};
pub use signing::SigningKey;
pub use trust::{TrustRoot, TrustedKey};
pub use version::Version;

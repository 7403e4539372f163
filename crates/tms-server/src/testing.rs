//! A small estate for the tests of this crate: a store, a vault, a signing key and its trust root.

use std::io::Cursor;
use std::sync::Arc;

use jiff::Timestamp;
use tms_crypto::keyblock::Tmk;
use tms_crypto::vault::Vault;
use tms_firmware::{Draft, SigningKey, TrustRoot, build_package};
use tms_store::Store;

use crate::app::{App, Limits, Objects};
use crate::service::{self, GivenCredential, NewTerminal};

/// The estate; its folder lives as long as it does.
pub(crate) struct Estate {
    pub(crate) app: Arc<App>,
    pub(crate) signing: SigningKey,
    folder: tempfile::TempDir,
}

/// An estate without terminals.
pub(crate) async fn estate() -> Estate {
    let signing = SigningKey::generate().unwrap();
    let trust = TrustRoot::new(vec![signing.public()], 1).unwrap();
    with(signing, Some(trust), limits()).await
}

/// The same with limits of its own.
pub(crate) async fn with_limits(limits: Limits) -> Estate {
    with(SigningKey::generate().unwrap(), None, limits).await
}

/// An estate in a store that the test has at hand.
pub(crate) fn on(store: Arc<dyn Store>) -> Estate {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::create(&folder.path().join("vault.key")).unwrap();
    let objects = Objects::new(folder.path().join("objects"));
    let app = App::new(store, vault, objects, None, limits(), Timestamp::now);
    Estate { app: Arc::new(app), signing: SigningKey::generate().unwrap(), folder }
}

fn limits() -> Limits {
    Limits { firmware_bytes: 64 * 1024, ..Limits::default() }
}

/// An estate whose server knows no key that could have signed firmware.
pub(crate) async fn without_trust_root() -> Estate {
    with(SigningKey::generate().unwrap(), None, limits()).await
}

async fn with(signing: SigningKey, trust: Option<TrustRoot>, limits: Limits) -> Estate {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::create(&folder.path().join("vault.key")).unwrap();
    let url = format!("sqlite:{}", folder.path().join("estate.db").display());
    let store = tms_store::open(&url).await.unwrap();
    let objects = Objects::new(folder.path().join("objects"));
    let app = App::new(store, vault, objects, trust, limits, Timestamp::now);
    Estate { app: Arc::new(app), signing, folder }
}

impl Estate {
    /// Enrols a terminal with an administrator credential.
    pub(crate) async fn terminal(&self, tid: &str) -> tms_core::TerminalId {
        self.terminal_of(tms_core::Profile::unionpay(), tid).await
    }

    /// The same for a terminal of another profile. Its certificate is its name.
    pub(crate) async fn terminal_of(&self, profile: tms_core::Profile, tid: &str) -> tms_core::TerminalId {
        let new = NewTerminal {
            id: tid.parse().unwrap(),
            merchant: "102310060510002".parse().unwrap(),
            profile,
            model: "SIM-8".to_owned(),
            hardware_revision: "A1".to_owned(),
            serial: format!("SIM{tid}"),
            certificate_sha256: hex::encode(tms_crypto::sha256(tid.as_bytes())),
            sealing_public_key: vec![9; 32],
            credentials: vec![GivenCredential {
                role: tms_core::Role::administrator(),
                generation: 1,
                secret: "73920418".to_owned().into(),
            }],
        };
        service::enrol(&self.app, new, &Tmk::generate()).await.unwrap().id
    }

    /// A package that the estate's key signed.
    pub(crate) fn package(&self, version: &str, image: &[u8]) -> Vec<u8> {
        package(&self.signing, version, image)
    }

    /// The estate's folder.
    pub(crate) fn path(&self) -> &std::path::Path {
        self.folder.path()
    }
}

/// A package that `key` signed.
pub(crate) fn package(key: &SigningKey, version: &str, image: &[u8]) -> Vec<u8> {
    let draft = Draft {
        vendor: "Example".into(),
        models: vec!["SIM-8".into()],
        hardware_revisions: vec!["A1".into()],
        version: version.parse().unwrap(),
        ..Draft::default()
    };
    let mut out = Vec::new();
    build_package(draft, &mut Cursor::new(image), std::slice::from_ref(key), &mut out).unwrap();
    out
}

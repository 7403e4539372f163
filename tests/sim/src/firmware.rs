//! Firmware that may run, and firmware that may not and is offered all the same.

use std::{io::Cursor, sync::OnceLock};

use tms_crypto::sha256;
use tms_firmware::{Draft, SigningKey, TrustRoot, build_package};

/// The model of every simulated terminal.
pub(crate) const MODEL: &str = "SIM-8";
/// Its hardware revision.
pub(crate) const HARDWARE: &str = "A1";
/// The image that a terminal leaves the factory with.
pub(crate) const FACTORY: &str = "1.0.0";
/// Its security counter.
pub(crate) const FACTORY_COUNTER: u32 = 1;
/// A version that never finds itself healthy.
pub(crate) const SICK: &str = "6.6.6";

/// What is the matter with a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Matter {
    /// Nothing: it may run.
    Good,
    /// Signed, and unhealthy on trial: it may run until it is given up.
    Sick,
    /// Signed by somebody else.
    Strangers,
    /// Older than what every terminal left the factory with.
    Older,
    /// Newer, but from before the security counter was raised.
    LowCounter,
    /// For another model.
    WrongModel,
    /// Only half of the image is served.
    Half,
    /// Another image of the same size is served.
    WrongImage,
    /// The host announces another hash than the one that is signed.
    WrongAnnouncement,
}

/// One release.
#[derive(Debug)]
pub(crate) struct Release {
    pub(crate) version: &'static str,
    pub(crate) counter: u32,
    pub(crate) matter: Matter,
    pub(crate) package: Vec<u8>,
    pub(crate) envelope: String,
    pub(crate) id: String,
    pub(crate) image: Vec<u8>,
    pub(crate) sha256: [u8; 32],
}

/// All releases, and whose signatures count.
#[derive(Debug)]
pub(crate) struct Catalog {
    pub(crate) trust: TrustRoot,
    /// A root that also believes the stranger.
    pub(crate) gullible: TrustRoot,
    pub(crate) releases: Vec<Release>,
}

/// Version, security counter, size and matter of every release.
const RELEASES: &[(&str, u32, usize, Matter)] = &[
    ("1.1.0", 1, 9_000, Matter::Good),
    ("1.2.0", 1, 4_096, Matter::Good),
    ("1.3.0", 2, 20_001, Matter::Good),
    ("2.0.0", 2, 12_288, Matter::Good),
    ("2.1.0", 3, 30_000, Matter::Good),
    ("3.0.0", 3, 1, Matter::Good),
    (SICK, 3, 8_000, Matter::Sick),
    ("7.0.0", 3, 7_000, Matter::Strangers),
    ("0.9.0", 1, 6_000, Matter::Older),
    ("7.1.0", 0, 6_100, Matter::LowCounter),
    ("7.2.0", 3, 6_200, Matter::WrongModel),
    ("7.3.0", 3, 16_000, Matter::Half),
    ("7.4.0", 3, 9_999, Matter::WrongImage),
    ("7.5.0", 3, 9_998, Matter::WrongAnnouncement),
];

/// The catalog of this process. Its keys are made once; nothing that is simulated depends on them.
pub(crate) fn catalog() -> &'static Catalog {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    CATALOG.get_or_init(|| {
        let (own, stranger) = (key(), key());
        let releases = RELEASES
            .iter()
            .enumerate()
            .map(|(at, (version, counter, size, matter))| {
                let signer = if *matter == Matter::Strangers { &stranger } else { &own };
                release(at, version, *counter, *size, *matter, signer)
            })
            .collect();
        let root = |keys| TrustRoot::new(keys, 1).expect("a trust root");
        Catalog {
            trust: root(vec![own.public()]),
            gullible: root(vec![own.public(), stranger.public()]),
            releases,
        }
    })
}

impl Catalog {
    /// The release whose image this is.
    pub(crate) fn by_image(&self, sha256: &[u8; 32]) -> Option<&Release> {
        self.releases.iter().find(|release| release.sha256 == *sha256)
    }

    /// Where a version stands in the order of versions, among those that may run.
    pub(crate) fn rank(&self, version: &str) -> Option<usize> {
        if version == FACTORY {
            return Some(0);
        }
        let may_run = |release: &&Release| matches!(release.matter, Matter::Good | Matter::Sick);
        self.releases.iter().filter(may_run).position(|release| release.version == version).map(|at| at + 1)
    }
}

fn key() -> SigningKey {
    SigningKey::generate().expect("a signing key")
}

fn release(
    at: usize,
    version: &'static str,
    counter: u32,
    size: usize,
    matter: Matter,
    key: &SigningKey,
) -> Release {
    // Different in every byte from its neighbours, and never the same twice.
    let image: Vec<u8> = (0..size).map(|n| (n.wrapping_mul(31) ^ (n >> 8) ^ (at + 1)) as u8).collect();
    let model = if matter == Matter::WrongModel { "OTHER-9" } else { MODEL };
    let draft = Draft {
        vendor: "Example".to_owned(),
        models: vec![model.to_owned()],
        hardware_revisions: vec![HARDWARE.to_owned()],
        version: version.parse().expect("a version"),
        security_counter: counter,
        ..Draft::default()
    };
    let mut package = Vec::new();
    let envelope = build_package(draft, &mut Cursor::new(&image), std::slice::from_ref(key), &mut package)
        .expect("a package");
    Release {
        version,
        counter,
        matter,
        package,
        envelope: envelope.to_json().expect("an envelope"),
        id: envelope.id(),
        sha256: sha256(&image),
        image,
    }
}

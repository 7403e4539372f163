//! An estate at rest: what `tms-server init` makes, and the update authority beside it.

use std::{
    fs,
    io::Cursor,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Executor,
    sqlite::{SqliteConnectOptions, SqliteConnection},
};
use tempfile::TempDir;
use tms_firmware::{Draft, SigningKey, TrustRoot, build_package};
use tms_server::{
    app::App,
    config::Config,
    enrol::{self, Identity},
    init,
    pki::Authority,
};

use crate::{Speaks, Terminal};

/// Model and hardware revision of every terminal here.
const MODEL: &str = "SIM-8";
const HARDWARE: &str = "A1";
/// What they are delivered with.
const FIRST_VERSION: &str = "1.0.0";

/// A folder with everything that a server needs. Its listeners take free ports of this machine.
#[derive(Debug)]
pub struct Site {
    folder: TempDir,
    signing: SigningKey,
}

/// A firmware package to be made.
#[derive(Debug, Clone)]
pub struct Release {
    /// Its version.
    pub version: String,
    /// Its security counter; terminals are delivered with 1.
    pub security_counter: u32,
    /// Size of the image in bytes.
    pub size_bytes: usize,
}

impl Release {
    /// A version with security counter 2.
    #[must_use]
    pub fn new(version: &str, size_bytes: usize) -> Self {
        Self { version: version.to_owned(), security_counter: 2, size_bytes }
    }
}

impl Site {
    /// A new estate without terminals.
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let arguments = init::Arguments {
            dir: folder.path().join("server"),
            host: "127.0.0.1".to_owned(),
            name: "test".to_owned(),
        };
        let made = init::init(&arguments, jiff::Timestamp::now).await.unwrap();
        let signing = SigningKey::generate().unwrap();
        let root = TrustRoot::new(vec![signing.public()], 1).unwrap();
        fs::write(&made.trust_root, root.to_json().unwrap()).unwrap();
        fs::create_dir(folder.path().join("terminals")).unwrap();
        let site = Self { folder, signing };
        for standard in ["0.0.0.0:9001", "0.0.0.0:9002", "127.0.0.1:8583"] {
            site.edit(standard, "127.0.0.1:0");
        }
        site
    }

    /// The configuration file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.path("server/tms.toml")
    }

    /// A path in the estate's folder.
    #[must_use]
    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> Config {
        Config::load(&self.config_file()).unwrap()
    }

    /// Replaces a piece of the configuration file, which has to be there once.
    pub fn edit(&self, from: &str, to: &str) {
        let file = self.config_file();
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{from} in {text}");
        fs::write(file, text.replace(from, to)).unwrap();
    }

    /// Writes the ports that a server found free into the configuration, so that the next one has them.
    pub fn keep_ports(&self, listeners: &[SocketAddr], api: SocketAddr) {
        let file = self.config_file();
        let mut text = fs::read_to_string(&file).unwrap();
        // In the order in which they stand there.
        for address in listeners.iter().chain([&api]) {
            text = text.replacen("\"127.0.0.1:0\"", &format!("\"{address}\""), 1);
        }
        fs::write(file, text).unwrap();
    }

    /// The authority that issues certificates for this estate.
    #[must_use]
    pub fn authority(&self) -> Authority {
        Authority::load(&self.path("server/pki/ca.pem"), &self.path("server/pki/ca.key")).unwrap()
    }

    /// Certificate of that authority, PEM.
    #[must_use]
    pub fn authority_file(&self) -> PathBuf {
        self.path("server/pki/ca.pem")
    }

    /// A package of random bytes that the estate's update authority signed.
    #[must_use]
    pub fn package(&self, release: &Release) -> Vec<u8> {
        package(&self.signing, release)
    }

    /// The same from an authority that nobody here trusts.
    #[must_use]
    pub fn package_from_elsewhere(&self, release: &Release) -> Vec<u8> {
        package(&SigningKey::generate().unwrap(), release)
    }

    /// Signs the manifest of a package anew, with a key that nobody here trusts.
    #[must_use]
    pub fn envelope_from_elsewhere(&self, manifest: &tms_firmware::Manifest) -> String {
        let stranger = SigningKey::generate().unwrap();
        tms_firmware::Envelope::sign(manifest, &[stranger]).unwrap().to_json().unwrap()
    }

    /// Enrols a terminal that finds its host at `address`.
    pub async fn enrol(&self, app: &App, tid: &str, speaks: Speaks, address: &str) -> Terminal {
        let identity = Identity {
            terminal: tid.parse().unwrap(),
            merchant: "102310060510002".parse().unwrap(),
            model: MODEL.to_owned(),
            hardware_revision: HARDWARE.to_owned(),
            serial: format!("SIM{tid}"),
            network_licence: "3150".to_owned(),
            firmware_version: FIRST_VERSION.to_owned(),
        };
        let host = enrol::Host {
            address: address.to_owned(),
            server_name: "127.0.0.1".to_owned(),
            profile: speaks.name().parse().unwrap(),
            framing: None,
        };
        let out = self.path("terminals");
        let enrolled = enrol::enrol(app, &self.authority(), &identity, &host, &out).await.unwrap();
        Terminal::new(identity.terminal, speaks, enrolled)
    }

    /// Changes the database behind the server's back, as somebody does who has stolen it.
    pub async fn sql(&self, statement: &str) {
        let mut connection = self.database().await;
        let done = connection.execute(AssertSqlSafe(statement.to_owned())).await.unwrap();
        assert!(done.rows_affected() > 0, "{statement} changed nothing");
        connection.close().await.unwrap();
    }

    async fn database(&self) -> SqliteConnection {
        SqliteConnectOptions::new().filename(self.path("server/data/estate.db")).connect().await.unwrap()
    }
}

fn package(key: &SigningKey, release: &Release) -> Vec<u8> {
    let mut image = vec![0; release.size_bytes];
    for piece in image.chunks_mut(32) {
        piece.copy_from_slice(&tms_crypto::random_bytes::<32>()[..piece.len()]);
    }
    let draft = Draft {
        vendor: "Example".to_owned(),
        models: vec![MODEL.to_owned()],
        hardware_revisions: vec![HARDWARE.to_owned()],
        version: release.version.parse().unwrap(),
        security_counter: release.security_counter,
        ..Draft::default()
    };
    let mut out = Vec::new();
    build_package(draft, &mut Cursor::new(image), std::slice::from_ref(key), &mut out).unwrap();
    out
}

/// Whether `path` holds a file, for assertions about what was left behind.
pub(crate) fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

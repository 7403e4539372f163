//! `tmsctl firmware`: keys and packages that the server and terminals accept.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "common/server.rs"]
mod server;

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use common::{run, tmsctl};
use serde_json::json;
use server::Server;
use tms_firmware::{PackageReader, TrustRoot};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn keygen(&self, key: &str, more: &[&str]) -> common::Run {
        tmsctl(
            &[
                &[
                    "firmware",
                    "keygen",
                    "--out",
                    &self.text(key),
                    "--trust-root",
                    &self.text("trust.json"),
                    "--json",
                ],
                more,
            ]
            .concat(),
        )
    }

    fn build(&self, keys: &[&str]) -> common::Run {
        std::fs::write(self.path("image.bin"), [7; 100_000]).unwrap();
        let keys: Vec<String> = keys.iter().map(|key| format!("--key={}", self.text(key))).collect();
        let (image, out) = (self.text("image.bin"), format!("--out={}", self.text("package.tmsfw")));
        let mut args = vec![
            "firmware",
            "build",
            &image,
            &out,
            "--vendor=Example",
            "--model=SIM-8",
            "--version=1.4.0",
            "--json",
        ];
        args.extend(keys.iter().map(String::as_str));
        tmsctl(&args)
    }
}

fn verified(package: &Path, trust: &Path) -> Result<String, String> {
    let reader = PackageReader::open(File::open(package).unwrap()).map_err(|error| error.to_string())?;
    let root = TrustRoot::load(trust).map_err(|error| error.to_string())?;
    let manifest = reader.envelope().verify(&root).map_err(|error| error.to_string())?;
    reader.copy_image(&manifest, &mut std::io::sink()).map_err(|error| error.to_string())?;
    Ok(manifest.manifest().version.as_str().to_owned())
}

#[test]
fn a_key_signs_a_package_that_its_trust_root_accepts() {
    let folder = Folder::new();
    let key = folder.keygen("one.key", &[]);
    assert_eq!(key.code, 0, "{}", key.err);
    assert_eq!(std::fs::metadata(folder.path("one.key")).unwrap().permissions().mode() & 0o777, 0o600);
    let built = folder.build(&["one.key"]);
    assert_eq!(built.code, 0, "{}", built.err);
    assert_eq!(built.json()["signed_by"], json!([key.json()["keyid"]]));
    assert_eq!(verified(&folder.path("package.tmsfw"), &folder.path("trust.json")), Ok("1.4.0".to_owned()));
}

#[test]
fn a_threshold_needs_as_many_keys() {
    let folder = Folder::new();
    assert_eq!(folder.keygen("one.key", &[]).code, 0);
    assert_eq!(folder.keygen("two.key", &["--threshold", "2"]).code, 0);
    assert_eq!(folder.build(&["one.key"]).code, 0);
    assert!(verified(&folder.path("package.tmsfw"), &folder.path("trust.json")).is_err());
    assert_eq!(folder.build(&["one.key", "two.key"]).code, 0);
    assert!(verified(&folder.path("package.tmsfw"), &folder.path("trust.json")).is_ok());
}

#[test]
fn a_threshold_that_cannot_be_met_makes_no_key() {
    let folder = Folder::new();
    let refused = folder.keygen("one.key", &["--threshold", "2"]);
    assert!(refused.code == 1 && refused.err.contains("threshold 2 cannot be met"), "{}", refused.err);
    assert!(!folder.path("one.key").exists() && !folder.path("trust.json").exists());
}

#[test]
fn an_existing_key_is_never_replaced() {
    let folder = Folder::new();
    assert_eq!(folder.keygen("one.key", &[]).code, 0);
    let before =
        (std::fs::read(folder.path("one.key")).unwrap(), std::fs::read(folder.path("trust.json")).unwrap());
    let refused = folder.keygen("one.key", &[]);
    assert!(refused.code == 1 && refused.err.contains("one.key"), "{}", refused.err);
    assert_eq!(
        before,
        (std::fs::read(folder.path("one.key")).unwrap(), std::fs::read(folder.path("trust.json")).unwrap())
    );
}

#[test]
fn a_key_needs_a_folder_to_lie_in() {
    let refused = tmsctl(&["firmware", "keygen", "--out", "/nonexistent/one.key"]);
    assert_eq!(
        refused.err,
        "error: there is no folder /nonexistent\n  next: make it, or give --out another place\n"
    );
}

#[test]
fn wrong_input_leaves_no_package() {
    let folder = Folder::new();
    assert!(folder.build(&["absent.key"]).err.contains("absent.key"));
    assert_eq!(folder.keygen("one.key", &[]).code, 0);
    let (image, out, key) = (
        folder.text("empty.bin"),
        format!("--out={}", folder.text("p.tmsfw")),
        format!("--key={}", folder.text("one.key")),
    );
    let args = ["firmware", "build", &image, &out, &key, "--vendor=Example", "--model=SIM-8"];
    let refused = tmsctl(&[&args[..], &["--version=1.0.0"]].concat());
    assert!(refused.err.contains("empty.bin cannot be read"), "{}", refused.err);
    std::fs::write(&image, []).unwrap();
    assert!(tmsctl(&[&args[..], &["--version=1.0.0"]].concat()).err.contains("size_bytes"));
    assert!(tmsctl(&[&args[..], &["--version=new"]].concat()).err.contains("--version: "));
    assert_eq!(
        std::fs::read_dir(folder.0.path())
            .unwrap()
            .filter(|entry| entry
                .as_ref()
                .unwrap()
                .path()
                .extension()
                .is_some_and(|end| end == "tmsfw" || end == "new"))
            .count(),
        0
    );
}

#[test]
fn publishing_uploads_the_package_as_it_is() {
    let folder = Folder::new();
    assert_eq!(folder.keygen("one.key", &[]).code, 0);
    let id = folder.build(&["one.key"]).json()["id"].clone();
    let reply = json!({"id": id, "version": "1.4.0", "models": ["SIM-8"]});
    let answer = reply.to_string();
    let server = Server::start(move |_, _| (201, answer.clone()));
    let env = [("TMSCTL_SERVER", server.url.as_str()), ("TMSCTL_TOKEN", "t")];
    let published = run(&["firmware", "publish", &folder.text("package.tmsfw"), "--json"], &env, "");
    assert_eq!((published.code, published.json()), (0, reply), "{}", published.err);
    let request = &server.requests()[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/api/v1/firmware"));
    assert_eq!(request.body, std::fs::read(folder.path("package.tmsfw")).unwrap());

    let refused = run(&["firmware", "publish", &folder.text("image.bin")], &env, "");
    assert!(refused.code == 1 && refused.err.contains("not a firmware package"), "{}", refused.err);
    assert_eq!(server.requests().len(), 1);
}

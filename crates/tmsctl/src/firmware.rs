//! `tmsctl firmware`: keys and packages off-line, publishing and assigning with a server.

use std::fs::{self, File};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tms_firmware::{Draft, FirmwareError, PackageReader, ReleaseNotes, SigningKey, TrustRoot, build_package};

use crate::change;
use crate::cli::{Assign, Build, Connection, FirmwareCommand, Keygen};
use crate::client::{Client, path};
use crate::failure::Failure;
use crate::output::{self, text_at};

/// Runs `tmsctl firmware …`.
pub(crate) fn run(connection: &Connection, command: &FirmwareCommand) -> Result<(), Failure> {
    match command {
        FirmwareCommand::Keygen(options) => keygen(options),
        FirmwareCommand::Build(options) => build(options),
        FirmwareCommand::Publish { package, json } => {
            publish(&Client::logged_in(connection)?, package, *json)
        }
        FirmwareCommand::List { json } => list(&Client::logged_in(connection)?, *json),
        FirmwareCommand::Assign(Assign { terminal, firmware, change }) => {
            let body = json!({ "firmware": firmware });
            let place = path(&["terminals", terminal, "firmware"]);
            change::start(&Client::logged_in(connection)?, &place, Some(&body), change)
        }
    }
}

fn keygen(options: &Keygen) -> Result<(), Failure> {
    let failed = |error: FirmwareError| Failure::new(error.to_string());
    if let Some(folder) =
        options.out.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())
    {
        return Err(Failure::new(format!("there is no folder {}", folder.display()))
            .next("make it, or give --out another place"));
    }
    let key = SigningKey::generate().map_err(failed)?;
    let public = key.public();
    // The root first in memory: a key that fits no root must not be left behind.
    let root = match &options.trust_root {
        None => None,
        Some(path) => Some((path, extended_root(path, &key, options.threshold)?)),
    };
    key.save(&options.out).map_err(failed)?;
    if let Some((path, root)) = &root {
        let text = root.to_json().map_err(failed)? + "\n";
        replace(path, text.as_bytes())?;
    }
    if options.json {
        return output::json(&json!({
            "keyid": public.keyid,
            "public": hex::encode(public.public),
            "key_file": options.out,
            "trust_root": options.trust_root,
        }));
    }
    output::line(&format!(
        "Key {} is in {}; keep it away from every server.",
        public.keyid,
        options.out.display()
    ))?;
    match &root {
        None => Ok(()),
        Some((path, root)) => output::line(&format!(
            "Trust root {}: {} of {} keys must sign. Give it to the server (firmware.trust_root) and to terminals.",
            path.display(),
            root.threshold(),
            root.keys().len()
        )),
    }
}

/// The trust root of a file, or a fresh one, with the key added.
fn extended_root(path: &Path, key: &SigningKey, threshold: Option<usize>) -> Result<TrustRoot, Failure> {
    let (mut keys, before) = if path.exists() {
        let root = TrustRoot::load(path).map_err(|error| Failure::new(error.to_string()))?;
        (root.keys().to_vec(), root.threshold())
    } else {
        (Vec::new(), 1)
    };
    keys.push(key.public());
    TrustRoot::new(keys, threshold.unwrap_or(before))
        .map_err(|error| Failure::new(error.to_string()).next("give a --threshold that the keys can meet"))
}

/// Writes a file so that a reader finds the old or the new one, never half of it.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let fresh = path.with_extension("new");
    fs::write(&fresh, bytes)
        .and_then(|()| fs::rename(&fresh, path))
        .map_err(|error| Failure::new(format!("{} cannot be written: {error}", path.display())))
}

fn build(options: &Build) -> Result<(), Failure> {
    let keys = options
        .key
        .iter()
        .map(|path| SigningKey::load(path).map_err(|error| Failure::new(error.to_string())))
        .collect::<Result<Vec<_>, _>>()?;
    let version = options.version.parse().map_err(|error| Failure::new(format!("--version: {error}")))?;
    let mut image = File::open(&options.image).map_err(|error| {
        Failure::new(format!("image {} cannot be read: {error}", options.image.display()))
    })?;
    let draft = Draft {
        vendor: options.vendor.clone(),
        models: options.model.clone(),
        hardware_revisions: options.hardware_revision.clone(),
        version,
        security_counter: options.security_counter,
        release_notes: ReleaseNotes { en: options.notes_en.clone(), zh: options.notes_zh.clone() },
    };
    // Beside the target first, so that a failure leaves no half package under its name.
    let fresh = options.out.with_extension("new");
    let unwritable = |error: std::io::Error| {
        Failure::new(format!("package {} cannot be written: {error}", options.out.display()))
    };
    let mut package = File::create(&fresh).map_err(unwritable)?;
    let built = build_package(draft, &mut image, &keys, &mut package);
    if let Err(error) = built {
        // What could not be removed is named by its own error soon enough.
        let _ = fs::remove_file(&fresh);
        return Err(Failure::new(error.to_string()));
    }
    package.sync_all().and_then(|()| fs::rename(&fresh, &options.out)).map_err(unwritable)?;

    let reader = File::open(&options.out).map_err(unwritable)?;
    let reader = PackageReader::open(reader).map_err(|error| Failure::new(error.to_string()))?;
    let id = reader.envelope().id();
    if options.json {
        return output::json(&json!({
            "id": id,
            "version": options.version,
            "package": options.out,
            "signed_by": keys.iter().map(|key| key.public().keyid).collect::<Vec<_>>(),
        }));
    }
    output::line(&format!("Firmware {id}, version {}, is in {}.", options.version, options.out.display()))?;
    output::line(&format!("Publish it with `tmsctl firmware publish {}`.", options.out.display()))
}

fn publish(client: &Client, package: &Path, json: bool) -> Result<(), Failure> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Failure::new(format!("package {} cannot be read: {error}", package.display()))
    };
    // A quick look saves uploading what is no package at all.
    PackageReader::open(File::open(package).map_err(|error| unreadable(&error))?)
        .map_err(|error| unreadable(&error))?;
    let file = File::open(package).map_err(|error| unreadable(&error))?;
    let size_bytes = file.metadata().map_err(|error| unreadable(&error))?.len();
    let bar = ProgressBar::new(size_bytes);
    let style = ProgressStyle::with_template("uploading [{bar:30}] {bytes} of {total_bytes}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let answer = client.upload("/firmware", size_bytes, &mut bar.wrap_read(file));
    bar.finish_and_clear();
    let answer = answer?;
    if json {
        return output::json(&answer);
    }
    let id = text_at(&answer, "/id");
    output::line(&format!("Published firmware {id}, version {}.", text_at(&answer, "/version")))?;
    output::line(&format!("Assign it with `tmsctl firmware assign TERMINAL {id}`."))
}

fn list(client: &Client, json: bool) -> Result<(), Failure> {
    let firmware = client.all_pages("/firmware")?;
    if json {
        return output::json(&json!({ "items": firmware }));
    }
    let mut table = output::table(&["firmware", "version", "models", "bytes", "published"]);
    for item in &firmware {
        let models: Vec<_> =
            item.get("models").and_then(serde_json::Value::as_array).into_iter().flatten().collect();
        let models: Vec<_> = models.into_iter().map(|model| text_at(model, "")).collect();
        table.add_row([
            text_at(item, "/id"),
            text_at(item, "/version"),
            models.join(", "),
            text_at(item, "/size_bytes"),
            text_at(item, "/published_at"),
        ]);
    }
    output::line(&table.to_string())
}

use std::path::PathBuf;
use std::sync::Arc;

use tms_core::{FirmwareRecord, TerminalId, UserRole};
use tms_store::conformance::postgres::Scratch;
use tms_store::{Location, Store, conformance};

use super::*;
use crate::config::Config;

/// A server's folder with a configuration, and nothing in its store yet.
struct Place {
    folder: tempfile::TempDir,
    config: Config,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    for file in ["pki/server.pem", "pki/server.key", "pki/ca.pem", "data/vault.key"] {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    let text = Config::template("tms-1", "tms.example");
    let config = Config::parse("tms.toml", folder.path(), &text).unwrap();
    Place { folder, config }
}

impl Place {
    fn file(&self) -> PathBuf {
        self.folder.path().join("estate.backup")
    }

    async fn store(&self) -> Arc<dyn Store> {
        tms_store::open_at(&self.config.store).await.unwrap()
    }

    /// Terminals, more than are read at once, and an image.
    async fn fill(&self) {
        let store = self.store().await;
        let terminals = (0..1203).map(|number| conformance::terminal(&format!("T{number}")));
        futures::future::try_join_all(terminals.map(|terminal| store.add_terminal(terminal))).await.unwrap();
        let now = Timestamp::UNIX_EPOCH;
        store.set_admin_password("ann", UserRole::Operator, "hash", true).await.unwrap();
        store.add_token("ab", "ann", now + jiff::SignedDuration::from_mins(1), now).await.unwrap();
        store.put_document(&tid("T7"), "note", "{\"a\":\"中文\"}".to_owned()).await.unwrap();
        store.add_firmware(image()).await.unwrap();
        let object = self.config.objects_folder.join(image().object);
        std::fs::create_dir_all(object.parent().unwrap()).unwrap();
        std::fs::write(object, "an image").unwrap();
        store.close().await;
    }
}

fn tid(text: &str) -> TerminalId {
    text.parse().unwrap()
}

fn image() -> FirmwareRecord {
    conformance::firmware("fw1", 0)
}

async fn holds_all(store: &dyn Store) {
    assert_eq!(store.count_terminals().await.unwrap(), 1203);
    assert_eq!(store.terminal(&tid("T7")).await.unwrap(), Some(conformance::terminal("T7")));
    assert_eq!(store.document(&tid("T7"), "note").await.unwrap().as_deref(), Some("{\"a\":\"中文\"}"));
    assert_eq!(store.firmwares().await.unwrap(), [image()]);
    assert!(store.admin("ann").await.unwrap().unwrap().one_time);
    assert!(store.token("ab", Timestamp::UNIX_EPOCH).await.unwrap().is_some());
}

#[tokio::test]
async fn a_backup_of_a_running_server_restores_store_and_objects() {
    let (old, new) = (place(), place());
    old.fill().await;
    let running = old.store().await;
    let written = write(&old.config, &old.file(), Timestamp::UNIX_EPOCH).await.unwrap();
    running.add_terminal(conformance::terminal("LATER")).await.unwrap();
    assert_eq!((written.objects, written.missing.as_slice()), (1, &[][..]));

    let restored = restore(&new.config, &old.file()).await.unwrap();
    assert_eq!((restored.rows, restored.objects, restored.server.as_str()), (written.rows, 1, "tms-1"));
    holds_all(new.store().await.as_ref()).await;
    let object = new.config.objects_folder.join(image().object);
    assert_eq!(std::fs::read(object).unwrap(), b"an image");
}

#[tokio::test]
async fn a_backup_says_which_objects_it_lacks_and_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let place = place();
    place.fill().await;
    std::fs::remove_file(place.config.objects_folder.join(image().object)).unwrap();
    let written = write(&place.config, &place.file(), Timestamp::UNIX_EPOCH).await.unwrap();
    assert_eq!(written.missing, [image().object]);
    assert_eq!(std::fs::metadata(place.file()).unwrap().permissions().mode() & 0o077, 0);
    let again = write(&place.config, &place.file(), Timestamp::UNIX_EPOCH).await.unwrap_err();
    assert!(
        again.to_string().ends_with("it is there already; name another file, or move it away"),
        "{again}"
    );
}

#[tokio::test]
async fn a_backup_that_was_cut_off_or_changed_restores_nothing() {
    let old = place();
    old.fill().await;
    write(&old.config, &old.file(), Timestamp::UNIX_EPOCH).await.unwrap();
    let whole = std::fs::read(old.file()).unwrap();
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    for bytes in [&whole[..0], &whole[..20], &whole[..whole.len() / 2], &whole[..whole.len() - 1], &changed] {
        let new = place();
        std::fs::write(new.file(), bytes).unwrap();
        let error = restore(&new.config, &new.file()).await.unwrap_err();
        assert!(matches!(error, BackupError::Damaged { .. }), "{error}");
        assert_eq!(new.store().await.count_terminals().await.unwrap(), 0);
        // And the place is as good as new: no object of a file that proved wrong in the end.
        assert!(!new.config.objects_folder.join(image().object).exists());
        restore(&new.config, &old.file()).await.unwrap();
    }
}

#[tokio::test]
async fn an_object_cannot_lead_out_of_the_folder() {
    for name in ["../a", "/a", "a/../../b", ""] {
        assert_eq!(object_path(Path::new("objects"), name), None, "{name}");
    }
    assert_eq!(object_path(Path::new("objects"), "a/b"), Some(PathBuf::from("objects/a/b")));
}

#[tokio::test]
async fn a_store_that_is_not_empty_is_left_alone() {
    let (old, new) = (place(), place());
    old.fill().await;
    write(&old.config, &old.file(), Timestamp::UNIX_EPOCH).await.unwrap();
    let store = new.store().await;
    store.set_admin_password("bob", UserRole::ReadOnly, "hash", false).await.unwrap();
    for error in [
        restore(&new.config, &old.file()).await.unwrap_err().to_string(),
        copy(&old.config.store, &new.config.store).await.unwrap_err().to_string(),
    ] {
        assert!(error.starts_with("the store is not empty (there are 1 admins in it)"), "{error}");
    }
    assert!(store.admin("bob").await.unwrap().is_some());
    assert_eq!(store.count_terminals().await.unwrap(), 0);
}

#[tokio::test]
async fn an_estate_moves_to_postgresql_and_back_and_goes_on_counting() {
    let Some(scratch) = Scratch::new().await else { return };
    let (old, new) = (place(), place());
    old.fill().await;
    let store = old.store().await;
    for number in 1..=3 {
        store.add_alarm(alarm("T7", number)).await.unwrap();
    }
    let there: Location = scratch.url().parse().unwrap();
    let copied = copy(&old.config.store, &there).await.unwrap();
    let store = scratch.store().await;
    holds_all(store.as_ref()).await;
    store.add_alarm(alarm("T8", 1)).await.unwrap();
    let numbers: Vec<_> = store.alarms(None, None, 10).await.unwrap().iter().map(|a| a.number).collect();
    assert_eq!(numbers, [4, 3, 2, 1]);
    let back = copy(&there, &new.config.store).await.unwrap();
    assert_eq!((back.tables, back.rows), (copied.tables, copied.rows + 1));
    holds_all(new.store().await.as_ref()).await;
}

#[tokio::test]
async fn a_store_on_a_server_is_backed_up_and_restored_in_the_same_format() {
    let Some(scratch) = Scratch::new().await else { return };
    let (file, mut server) = (place(), place());
    file.fill().await;
    server.config.store = scratch.url().parse().unwrap();
    write(&file.config, &file.file(), Timestamp::UNIX_EPOCH).await.unwrap();
    restore(&server.config, &file.file()).await.unwrap();
    write(&server.config, &server.file(), Timestamp::UNIX_EPOCH).await.unwrap();
    let back = place();
    restore(&back.config, &server.file()).await.unwrap();
    holds_all(back.store().await.as_ref()).await;
}

fn alarm(terminal: &str, sequence: u64) -> tms_core::Alarm {
    tms_core::Alarm {
        number: 0,
        terminal: tid(terminal),
        sequence,
        kind: "tamper".to_owned(),
        severity: 1,
        at: Timestamp::UNIX_EPOCH,
        text: "case opened".to_owned(),
        received_at: Timestamp::UNIX_EPOCH,
    }
}

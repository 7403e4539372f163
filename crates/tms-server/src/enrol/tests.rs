use super::*;
use crate::testing;

fn identity(tid: &str) -> Identity {
    Identity {
        terminal: tid.parse().unwrap(),
        merchant: "102310060510002".parse().unwrap(),
        model: "SIM-8".to_owned(),
        hardware_revision: "A1".to_owned(),
        serial: format!("SIM{tid}"),
        network_licence: "3150".to_owned(),
        firmware_version: "1.0.0".to_owned(),
    }
}

fn host() -> Host {
    Host {
        address: "127.0.0.1:9001".to_owned(),
        server_name: "tms.test".to_owned(),
        profile: Profile::unionpay(),
        framing: Some(Framing::LEN2_TPDU_HEADER),
    }
}

fn authority(app: &App) -> Authority {
    Authority::create("test CA", Validity::days(app.now(), 30)).unwrap()
}

#[tokio::test]
async fn an_enrolled_terminal_is_known_by_its_certificate_and_has_all_it_needs() {
    let estate = testing::estate().await;
    let out = tempfile::tempdir().unwrap();
    let authority = authority(&estate.app);
    let enrolled = enrol(&estate.app, &authority, &identity("10000001"), &host(), out.path()).await.unwrap();

    // The terminal's own program reads its folder.
    let scenario = tms_terminal::scenario::Scenario::load(&enrolled.folder.join("terminal.toml")).unwrap();
    assert_eq!(scenario.identity.tid, "10000001");
    assert_eq!(scenario.parameters.len(), tms_core::parameters::SCHEMA.len());
    let known = estate.app.store.terminal(&"10000001".parse().unwrap()).await.unwrap().unwrap();
    let by_certificate = known.certificate_sha256.clone().unwrap();
    assert!(estate.app.store.terminal_by_certificate(&by_certificate).await.unwrap().is_some());
    assert_eq!(known.desired.credentials.len(), 2);
    let tmk = crate::secret::unseal_tmk(&estate.app.vault, &known.id, &known.tmk_sealed).unwrap();
    let expected = hex::encode_upper(tmk.secret_bytes());
    assert_eq!(scenario.security.tmk.as_deref(), Some(expected.as_str()));
}

#[tokio::test]
async fn a_terminal_is_enrolled_once_and_a_refused_one_leaves_no_folder() {
    let estate = testing::estate().await;
    let (out, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let authority = authority(&estate.app);
    enrol(&estate.app, &authority, &identity("10000001"), &host(), out.path()).await.unwrap();
    let again = enrol(&estate.app, &authority, &identity("10000001"), &host(), out.path()).await.unwrap_err();
    assert!(matches!(again, EnrolError::Exists(_)), "{again}");
    let again =
        enrol(&estate.app, &authority, &identity("10000001"), &host(), elsewhere.path()).await.unwrap_err();
    assert!(again.to_string().contains("terminal 10000001 exists already"), "{again}");
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[cfg(unix)]
#[tokio::test]
async fn secrets_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let estate = testing::estate().await;
    let out = tempfile::tempdir().unwrap();
    let enrolled = enrol(&estate.app, &authority(&estate.app), &identity("10000001"), &host(), out.path())
        .await
        .unwrap();
    for file in ["terminal.toml", "terminal.key", "sealing.key"] {
        let mode = std::fs::metadata(enrolled.folder.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file}");
    }
}

#[test]
fn an_ipv6_host_is_written_in_brackets() {
    let listener = Listener {
        address: "[::]:9001".parse().unwrap(),
        profile: Profile::iso87(),
        profile_file: None,
        mac_key_file: None,
        framing: None,
    };
    assert_eq!(host_of(&listener, "fd00::1", "tms").address, "[fd00::1]:9001");
    assert_eq!(host_of(&listener, "tms.example", "tms").address, "tms.example:9001");
}

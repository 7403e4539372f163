//! A server that cannot start says in one sentence what is wrong, where, and what to do; and one that
//! runs already is not disturbed by it.

use testkit::{Estate, Site, Speaks};

use crate::process::{Ended, ended, program, run};

async fn serve(site: &Site) -> Ended {
    ended(program().arg("serve").arg("--config").arg(site.config_file())).await
}

/// The sentence of a server that refuses to start, with the site's folder as `DIR`.
async fn refusal(site: &Site) -> String {
    let ended = serve(site).await;
    let quiet: String = ended.stderr.lines().filter(|line| line.starts_with("tms-server: ")).collect();
    let sentence = Ended { stderr: quiet, ..ended };
    sentence.refusal().replace(&site.path("server").display().to_string(), "DIR")
}

#[tokio::test]
async fn a_port_in_use_is_refused_with_what_to_do_and_whoever_has_it_keeps_it() {
    let estate = Estate::start().await;
    let mut bystander = estate.bystander(Speaks::UnionPay).await;
    let taken = [estate.address(Speaks::UnionPay), estate.config().api_address];
    let expected = |address| {
        format!(
            "cannot listen on {address}: Address already in use (os error 98). Another program has this port: \
             stop it, or choose another address in the configuration."
        )
    };

    let site = Site::new().await;
    site.edit(
        "address = \"127.0.0.1:0\"\nprofile = \"iso87\"",
        &format!("address = \"{}\"\nprofile = \"iso87\"", taken[0]),
    );
    assert_eq!(without_number(&refusal(&site).await), without_number(&expected(taken[0])));

    let site = Site::new().await;
    site.edit("[api]", &format!("[api]\naddress = \"{}\" #", taken[1]));
    let text = std::fs::read_to_string(site.config_file()).unwrap();
    let api = text.find("[api]").unwrap();
    let rest = text[api..].replacen("\naddress = \"127.0.0.1:0\"", "", 1);
    std::fs::write(site.config_file(), format!("{}{rest}", &text[..api])).unwrap();
    assert_eq!(without_number(&refusal(&site).await), without_number(&expected(taken[1])));
    bystander.is_undisturbed().await;
}

/// The number of an error differs between systems.
fn without_number(sentence: &str) -> String {
    match (sentence.find(" (os error "), sentence.find("). ")) {
        (Some(start), Some(end)) => format!("{}{}", &sentence[..start], &sentence[end + 1..]),
        _ => sentence.to_owned(),
    }
}

#[tokio::test]
async fn a_broken_configuration_is_refused_with_file_and_line_and_a_running_server_goes_on() {
    let estate = Estate::start().await;
    let mut bystander = estate.bystander(Speaks::Iso87).await;
    let site = estate.site();
    let line = |needle: &str| {
        let text = std::fs::read_to_string(site.config_file()).unwrap();
        1 + text.lines().position(|line| line.contains(needle)).unwrap()
    };

    site.edit("drain_deadline_s = 10", "drain_deadline_s = = 10");
    let sentence = refusal(site).await;
    let expected = format!("DIR/tms.toml line {}: ", line("drain_deadline_s = = 10"));
    assert!(sentence.starts_with(&expected), "{sentence}");

    site.edit("drain_deadline_s = = 10", "drain_deadlin_s = 10");
    assert_eq!(
        refusal(site).await,
        format!(
            "DIR/tms.toml line {}: unknown key `drain_deadlin_s` in [server]; did you mean `drain_deadline_s`?",
            line("drain_deadlin_s")
        )
    );

    site.edit("drain_deadlin_s = 10", "drain_deadline_s = \"ten\"");
    let sentence = refusal(site).await;
    let expected = format!("DIR/tms.toml line {}: ", line("\"ten\""));
    assert!(sentence.starts_with(&expected), "{sentence}");

    site.edit("drain_deadline_s = \"ten\"", "drain_deadline_s = 10");
    site.edit("frame_bytes = 8192", "frame_bytes = 1");
    let sentence = refusal(site).await;
    assert!(sentence.ends_with("frame_bytes is 1; it must be from 256 to 65535"), "{sentence}");
    bystander.is_undisturbed().await;
}

#[tokio::test]
async fn a_configuration_that_is_not_there_is_refused_with_how_to_make_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tms.toml");
    let ended = ended(program().arg("serve").arg("--config").arg(&file)).await;
    assert_eq!(
        ended.refusal(),
        format!(
            "{} cannot be read: it does not exist; check the path, or make a new estate with `tms-server init DIR`",
            file.display()
        )
    );
}

#[tokio::test]
async fn files_that_are_missing_or_of_another_kind_are_refused_by_name() {
    let site = Site::new().await;
    std::fs::rename(site.path("server/pki/server.key"), site.path("server/pki/aside")).unwrap();
    let sentence = refusal(&site).await;
    assert!(sentence.contains("tls.key names DIR/pki/server.key, which does not exist"), "{sentence}");

    std::fs::copy(site.path("server/pki/ca.key"), site.path("server/pki/server.key")).unwrap();
    let sentence = refusal(&site).await;
    assert!(sentence.contains("TLS: certificate and key"), "{sentence}");

    std::fs::rename(site.path("server/pki/aside"), site.path("server/pki/server.key")).unwrap();
    std::fs::write(site.path("server/pki/ca.pem"), "not a certificate").unwrap();
    let sentence = refusal(&site).await;
    assert!(sentence.starts_with("DIR/pki/ca.pem: "), "{sentence}");
}

#[tokio::test]
async fn a_damaged_vault_key_or_trust_root_is_refused_by_name() {
    let site = Site::new().await;
    let root = site.path("server/firmware-trust.json");
    let good = std::fs::read(&root).unwrap();
    std::fs::write(&root, "{}").unwrap();
    let sentence = refusal(&site).await;
    assert!(sentence.contains("trust"), "{sentence}");
    std::fs::write(&root, good).unwrap();

    let key = site.path("server/data/vault.key");
    let mut bytes = std::fs::read(&key).unwrap();
    bytes.truncate(20);
    std::fs::write(&key, bytes).unwrap();
    let sentence = refusal(&site).await;
    assert!(sentence.contains("DIR/data/vault.key"), "{sentence}");
}

#[tokio::test]
async fn folders_that_cannot_be_written_are_refused_with_what_to_do_and_a_running_server_goes_on() {
    let estate = Estate::start().await;
    let mut bystander = estate.bystander(Speaks::UnionPay).await;
    let site = estate.site();
    std::fs::write(site.path("server/file"), "").unwrap();
    site.edit("folder = \"data/objects\"", "folder = \"file/objects\"");
    let sentence = refusal(site).await;
    assert!(sentence.starts_with("the object folder DIR/file/objects cannot be written: "), "{sentence}");
    assert!(sentence.ends_with("give the user that runs the server write access to it"), "{sentence}");

    site.edit("folder = \"file/objects\"", "folder = \"data/objects\"");
    site.edit("sqlite:data/estate.db", "sqlite:file/estate.db");
    let sentence = refusal(site).await;
    assert!(sentence.starts_with("the database DIR/file/estate.db cannot be written: "), "{sentence}");
    bystander.is_undisturbed().await;
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_refused_with_what_to_do_and_left_alone() {
    let site = Site::new().await;
    site.sql(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'from the future', true, x'00', 0)",
    )
    .await;
    let before = std::fs::read(site.path("server/data/estate.db")).unwrap();
    let sentence = refusal(&site).await;
    assert!(
        sentence.starts_with("the database has schema version 9999, and this program knows only"),
        "{sentence}"
    );
    assert!(
        sentence.ends_with("run the newer program again, or restore a backup from before the upgrade"),
        "{sentence}"
    );
    assert_eq!(std::fs::read(site.path("server/data/estate.db")).unwrap(), before);
}

#[tokio::test]
async fn a_new_estate_overwrites_nothing_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thesis.txt"), "mine").unwrap();
    let refused = ended(program().arg("init").arg(folder.path())).await;
    assert_eq!(
        refused.refusal(),
        format!("{} is not empty; `init` overwrites nothing, so name a new folder", folder.path().display())
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let below_a_file = folder.path().join("thesis.txt/estate");
    let refused = ended(program().arg("init").arg(&below_a_file)).await;
    let sentence = refused.refusal();
    assert!(sentence.starts_with(&below_a_file.display().to_string()), "{sentence}");
    assert!(sentence.ends_with("choose a folder that you may write to"), "{sentence}");
}

#[tokio::test]
async fn a_new_estate_tells_the_next_steps_and_they_work() {
    let folder = tempfile::tempdir().unwrap();
    let estate = folder.path().join("estate");
    let made = ended(program().arg("init").arg(&estate)).await;
    assert_eq!((made.code, made.stderr.as_str()), (Some(0), ""));
    let config = estate.join("tms.toml").display().to_string();
    assert!(made.stdout.contains(&format!("tms-server serve --config {config}")), "{}", made.stdout);

    // Nothing can be enrolled before somebody has said whose firmware is trusted.
    let enrol = [
        "enrol",
        "--config",
        &config,
        "--tid",
        "10000001",
        "--mid",
        "102310060510002",
        "--model",
        "SIM-8",
        "--serial",
        "SIM00000001",
        "--out",
    ];
    let refused = ended(program().args(enrol).arg(folder.path().join("terminals"))).await;
    assert!(refused.refusal().contains("tmsctl firmware keygen"), "{refused:?}");

    let password = run(["password", "--config", &config]).await;
    assert_eq!(password.code, Some(0), "{}", password.stderr);
    assert!(password.stdout.trim_end().len() >= 16, "{}", password.stdout);
}

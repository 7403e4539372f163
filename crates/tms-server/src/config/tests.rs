use super::*;

/// A folder in which every file that the template names exists.
fn estate() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in ["pki/server.pem", "pki/server.key", "pki/ca.pem", "data/vault.key"] {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    folder
}

fn template() -> String {
    Config::template("tms-1", "tms.example")
}

/// What the configuration says when `from` in the template is replaced by `to`.
fn reason(from: &str, to: &str) -> String {
    let folder = estate();
    let text = template();
    assert!(text.contains(from), "{from}");
    let error = Config::parse("tms.toml", folder.path(), &text.replacen(from, to, 1)).unwrap_err();
    error.to_string().replace(&folder.path().display().to_string(), "DIR")
}

#[test]
fn the_template_is_a_valid_configuration_with_the_default_limits() {
    let folder = estate();
    let config = Config::parse("tms.toml", folder.path(), &template()).unwrap();
    assert_eq!(config.name, "tms-1");
    assert_eq!(config.listeners.len(), 2);
    assert_eq!(config.listeners[0].framing, Some(Framing::LEN2_TPDU_HEADER));
    assert_eq!(
        config.store.to_string(),
        format!("sqlite:{}", folder.path().join("data/estate.db").display())
    );
    assert_eq!(config.enrolment.unwrap().server_name, "tms.example");
    let (limits, standard) = (config.limits, Limits::default());
    assert_eq!(format!("{limits:?}"), format!("{standard:?}"));
}

#[test]
fn every_key_of_the_template_has_a_comment_above_it() {
    let text = template();
    let mut commented = false;
    for line in text.lines() {
        match line.trim() {
            "" => commented = false,
            line if line.starts_with('#') => commented = true,
            line if line.starts_with('[') => {}
            // Keys that belong together share the comment of the first.
            line => assert!(
                commented || line == "address = \"0.0.0.0:9002\"" || line == "profile = \"iso87\"",
                "{line}"
            ),
        }
    }
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_likely_spelling() {
    let message = reason("idle_timeout_s = 300", "idle_timeout = 300");
    assert!(message.starts_with("tms.toml line "), "{message}");
    assert!(
        message.ends_with("unknown key `idle_timeout` in [limits]; did you mean `idle_timeout_s`?"),
        "{message}"
    );
}

#[test]
fn an_api_that_others_could_reach_is_refused_with_what_to_do() {
    let message = reason("127.0.0.1:8583", "0.0.0.0:8583");
    assert!(message.contains("use a loopback address such as 127.0.0.1:8583"), "{message}");
    let folder = estate();
    let text = template()
        .replace("127.0.0.1:8583", "0.0.0.0:8583")
        .replace("behind_proxy = false", "behind_proxy = true");
    assert!(Config::parse("tms.toml", folder.path(), &text).is_ok());
}

#[test]
fn a_limit_out_of_range_names_the_range() {
    assert!(
        reason("frame_bytes = 8192", "frame_bytes = 0")
            .ends_with("frame_bytes is 0; it must be from 256 to 65535")
    );
    assert!(reason("drain_deadline_s = 10", "drain_deadline_s = 0").ends_with("it must be from 1 to 600"));
}

#[test]
fn a_wrong_address_profile_or_framing_is_named_on_its_line() {
    let message = reason("0.0.0.0:9001", "0.0.0.0");
    assert!(message.contains("\"0.0.0.0\" is not an address and port"), "{message}");
    let message = reason("profile = \"unionpay\"", "profile = \"unionpya\"");
    assert!(message.contains("there is no built-in profile \"unionpya\"; there are "), "{message}");
    let message = reason("framing = \"len2-tpdu-header\"", "framing = \"none\"");
    assert!(message.contains("cannot tell where a message ends"), "{message}");
    let message = reason("framing = \"len2-tpdu-header\"", "framing = \"tpdu-header\"");
    assert!(message.contains("cannot tell where a message ends"), "{message}");
    let message = reason("framing = \"len2-tpdu-header\"", "framing = \"ascii4-header12\"");
    assert!(message.contains("vendor header"), "{message}");
    let message = reason("framing = \"len2-tpdu-header\"", "framing = \"len3\"");
    assert!(message.contains("len3"), "{message}");
}

#[test]
fn a_file_that_does_not_exist_is_named_with_its_key() {
    let message = reason("pki/server.pem", "pki/none.pem");
    assert!(message.contains("tls.certificate names DIR/pki/none.pem, which does not exist"), "{message}");
    assert!(message.contains("tms-server init DIR"), "{message}");
}

#[test]
fn a_store_of_another_kind_is_refused() {
    assert!(reason("sqlite:data/estate.db", "mysql://host/db").contains("use \"sqlite:PATH\" or"));
    assert!(reason("sqlite:data/estate.db", "sqlite:").contains("path is missing"));
}

/// The store of the template's configuration with these lines in place of its URL.
fn store(lines: &str, password: Option<(&str, u32)>) -> Result<tms_store::Location, String> {
    let folder = estate();
    if let Some((text, mode)) = password {
        use std::os::unix::fs::PermissionsExt;

        let path = folder.path().join("store.password");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let text = template().replace("url = \"sqlite:data/estate.db\"", lines);
    Config::parse("tms.toml", folder.path(), &text)
        .map(|config| config.store)
        .map_err(|error| error.to_string().replace(&folder.path().display().to_string(), "DIR"))
}

#[test]
fn a_store_on_a_server_is_named_by_its_url_and_its_password_is_not_printed() {
    let url = "url = \"postgres://ann:hunter2@db.example/estate\"";
    assert_eq!(store(url, None).unwrap().to_string(), "postgres://ann@db.example:5432/estate");
    let lines = "url = \"postgres://ann@db.example/estate\"\npassword_file = \"store.password\"";
    let location = store(lines, Some(("hunter2\n", 0o600))).unwrap();
    assert!(!format!("{location:?} {location}").contains("hunter2"));
}

#[test]
fn a_password_file_is_one_line_that_others_cannot_read() {
    let lines = "url = \"postgres://ann@db.example/estate\"\npassword_file = \"store.password\"";
    for (password, mode, part) in [
        ("hunter2", 0o644, "DIR/store.password can be read by others; run `chmod 600 DIR/store.password`"),
        ("", 0o600, "must hold one line, the password"),
        ("one\ntwo\n", 0o600, "must hold one line, the password"),
    ] {
        let error = store(lines, Some((password, mode))).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
    assert!(store(lines, None).unwrap_err().contains("DIR/store.password, which does not exist"));
    let lines = "url = \"sqlite:data/estate.db\"\npassword_file = \"store.password\"";
    let error = store(lines, Some(("hunter2", 0o600))).unwrap_err();
    assert!(error.contains("password_file is for a store on a PostgreSQL server"), "{error}");
}

#[test]
fn a_server_without_a_listener_is_refused() {
    let folder = estate();
    let text = template();
    let start = text.find("[[listener]]\naddress = \"0.0.0.0:9002\"").unwrap();
    let first = text.find("[[listener]]\n#").unwrap();
    let end = text.find("[tls]").unwrap();
    assert!(start > first);
    let text = format!("{}{}", &text[..first], &text[end..]);
    let message = Config::parse("tms.toml", folder.path(), &text).unwrap_err().to_string();
    assert!(message.contains("there is no [[listener]]"), "{message}");
}

#[test]
fn a_missing_file_says_how_to_make_one() {
    let message = Config::load(Path::new("/nonexistent/tms.toml")).unwrap_err().to_string();
    assert!(message.contains("tms-server init DIR"), "{message}");
}

#[tokio::test]
async fn opening_reports_the_part_that_is_wrong() {
    let folder = estate();
    let config = Config::parse("tms.toml", folder.path(), &template()).unwrap();
    // The vault key is an empty, world-readable file here.
    let message = open(&config, jiff::Timestamp::now).await.unwrap_err().to_string();
    assert!(message.contains("vault.key"), "{message}");
    assert!(!folder.path().join("data/estate.db").exists());
}

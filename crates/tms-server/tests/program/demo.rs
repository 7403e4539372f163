//! `tms-server demo`.

use std::collections::BTreeSet;

use crate::process::{ended, program, run};

#[tokio::test]
async fn the_demo_ends_well_and_its_last_line_is_the_summary() {
    let ended = run(["demo", "--once", "--json", "--terminals", "3"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let summary: serde_json::Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
    for key in [
        "terminals",
        "signed_on",
        "parameters_converged",
        "firmware_installed",
        "resets_completed",
        "credentials_rotated",
        "log_bundles",
    ] {
        assert_eq!(summary[key], 3, "{key} in {summary}");
    }
    assert_eq!(summary["failures"], 0, "{summary}");
    assert!(summary["resumed_transfers"].as_u64().unwrap() >= 1, "{summary}");
    assert!(summary["seconds"].as_f64().unwrap() > 0.0, "{summary}");
    // Scripts read these names: a new one may come, none may go or change.
    let names: BTreeSet<&str> = summary.as_object().unwrap().keys().map(String::as_str).collect();
    let more = BTreeSet::from(["rss_kib_per_session", "status_reported"]);
    let known = names.difference(&more).count();
    assert_eq!(known, 10, "{names:?}");
}

#[tokio::test]
async fn the_demo_with_one_terminal_keeps_what_it_made_where_it_was_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("estate");
    let mut command = program();
    command.args(["demo", "--once", "--terminals", "1", "--data"]).arg(&data);
    let first = ended(&mut command).await;
    assert_eq!((first.code, first.stdout.as_str()), (Some(0), ""), "{}", first.stderr);
    assert!(data.join("server/data/estate.db").is_file());
    assert!(data.join("terminals/10000001/terminal.toml").is_file());

    // A second demo in the same place would mix two estates.
    let again = ended(&mut command).await;
    assert_eq!(
        again.refusal(),
        format!(
            "the data folder {} is not empty; the demo overwrites nothing, so name a new one",
            data.display()
        )
    );
    assert!(data.join("server/data/estate.db").is_file());
}

#[tokio::test]
async fn a_data_folder_that_cannot_be_written_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let data = folder.path().join("file/estate");
    let mut command = program();
    command.args(["demo", "--once", "--data"]).arg(&data);
    let refused = ended(&mut command).await;
    let sentence = refused.refusal();
    let expected =
        format!("cannot write to the data folder {}; name another with --data DIR", data.display());
    assert!(sentence.starts_with(&expected), "{sentence}");
}

/// Permissions do not hold the superuser up, so the program is run as nobody then.
#[cfg(unix)]
#[tokio::test]
async fn a_data_folder_of_somebody_else_is_refused_with_what_to_do() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
    let data = folder.path().join("estate");
    let mut command = program();
    command.args(["demo", "--once", "--data"]).arg(&data);
    if std::fs::create_dir(folder.path().join("probe")).is_ok() {
        const NOBODY: u32 = 65534;
        command.uid(NOBODY).gid(NOBODY);
    }
    let refused = ended(&mut command).await;
    let sentence = refused.refusal();
    let expected =
        format!("cannot write to the data folder {}; name another with --data DIR", data.display());
    assert!(sentence.starts_with(&expected) && sentence.contains("Permission denied"), "{sentence}");
    assert!(!data.exists());
}

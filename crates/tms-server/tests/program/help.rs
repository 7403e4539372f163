//! What the program says about itself.

use crate::process::run;

async fn help(arguments: &[&str]) -> String {
    let shown = run(arguments.iter().chain(&["--help"])).await;
    assert_eq!((shown.code, shown.stderr.as_str()), (Some(0), ""));
    shown.stdout
}

#[tokio::test]
async fn the_program_explains_itself() {
    insta::assert_snapshot!("tms-server", help(&[]).await);
}

#[tokio::test]
async fn every_command_explains_itself() {
    for command in ["demo", "init", "serve", "enrol", "password", "backup", "restore", "store"] {
        insta::assert_snapshot!(format!("tms-server-{command}"), help(&[command]).await);
    }
}

#[tokio::test]
async fn a_misspelt_command_or_flag_is_refused_with_the_likely_spelling() {
    for (wrong, right) in [(["serv", "x"], "serve"), (["demo", "--termnals=3"], "--terminals")] {
        let ended = run(wrong).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
        assert!(ended.stderr.contains(right), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn a_count_of_terminals_that_cannot_be_is_refused_with_the_range() {
    for count in ["0", "20001", "many"] {
        let ended = run(["demo", "--terminals", count]).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
        assert!(ended.stderr.contains("--terminals"), "{}", ended.stderr);
    }
}

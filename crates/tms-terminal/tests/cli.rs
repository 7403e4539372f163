//! What a person meets who runs `tms-terminal`.

use std::{
    fs,
    process::{Command, Output, Stdio},
};

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tms-terminal"));
    command.args(arguments).stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{error}"))
}

fn refusal(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn help_names_the_command_and_its_options() {
    let help = String::from_utf8(run(&["run", "--help"]).stdout).unwrap();
    for word in ["terminal.toml", "--count", "--keypad", "--log"] {
        assert!(help.contains(word), "{help}");
    }
}

#[test]
fn a_keypad_is_for_one_terminal() {
    let folder = tempfile::tempdir().unwrap();
    for tid in ["10000001", "10000002"] {
        std::fs::create_dir(folder.path().join(tid)).unwrap();
        std::fs::write(folder.path().join(tid).join("terminal.toml"), "").unwrap();
    }
    let message = refusal(&["run", "--keypad", &folder.path().display().to_string()]);
    assert!(message.contains("--keypad is for one terminal, not for 2"), "{message}");
}

#[test]
fn a_path_that_leads_nowhere_and_an_empty_folder_say_what_to_give() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    assert!(refusal(&["run", &format!("{path}/nowhere")]).contains("check the path"));
    assert!(refusal(&["run", &path]).contains("holds no terminal"));
}

#[test]
fn a_misspelt_key_is_told_with_its_line_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("terminal.toml");
    let example = include_str!("../terminal.example.toml");
    fs::write(&path, example.replace("server_name", "servername")).unwrap();
    let message = refusal(&["run", &path.display().to_string()]);
    assert!(message.contains("unknown key `servername` in [host]; did you mean `server_name`?"), "{message}");
    assert!(message.contains("line "), "{message}");
}

#[test]
fn a_missing_certificate_names_terminal_file_and_next_step() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("terminal.toml");
    fs::write(&path, include_str!("../terminal.example.toml")).unwrap();
    let message = refusal(&["run", &path.display().to_string()]);
    assert!(
        message.contains("terminal 10000001:") && message.contains("ca.pem: it does not exist"),
        "{message}"
    );
    assert!(message.contains("enrol the terminal again or correct [tls] ca"), "{message}");
}

#[test]
fn a_count_above_what_there_is_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("terminal.toml");
    fs::write(&path, include_str!("../terminal.example.toml")).unwrap();
    let message = refusal(&["run", &path.display().to_string(), "--count", "2"]);
    assert!(message.contains("--count 2 asks for more than the 1 terminals found"), "{message}");
}

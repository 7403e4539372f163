//! The state file under damage and under `kill -9`.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use tms_firmware::install::Image;

use super::*;
use crate::storage::FolderStorage;

const TID: &str = "10000001";
const CHILD_FOLDER: &str = "TMS_TERMINAL_TEST_STATE_FOLDER";

fn fresh() -> State {
    let image =
        Image { version: "1.0.0".parse().unwrap(), security_counter: 1, size_bytes: 0, sha256: [0; 32] };
    State::new(TID, SlotState::factory(image), CredentialSlots::default())
}

/// A state that is recognisably the `n`th, and large enough to take more than one disk block.
fn numbered(n: u32) -> State {
    let parameters = (0..200).map(|k| (format!("parameter_{k}"), format!("value {n}"))).collect();
    State { boot_count: n, parameters, ..fresh() }
}

fn state_file(folder: &Path) -> StateFile {
    StateFile::new(Arc::new(FolderStorage::new(folder).unwrap()))
}

fn is_whole(state: &State) -> bool {
    *state == numbered(state.boot_count)
}

#[test]
fn a_saved_state_reads_back_and_a_missing_one_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = state_file(folder.path());
    assert_eq!(file.load(TID).unwrap(), None);
    file.save(&numbered(7)).unwrap();
    assert_eq!(file.load(TID).unwrap(), Some(numbered(7)));
}

#[test]
fn a_truncated_file_names_itself_and_the_next_step() {
    let folder = tempfile::tempdir().unwrap();
    let file = state_file(folder.path());
    file.save(&fresh()).unwrap();
    let whole = fs::read(file.path()).unwrap();
    for length in 0..whole.len() {
        fs::write(file.path(), &whole[..length]).unwrap();
        let message = file.load(TID).unwrap_err().to_string();
        assert!(
            message.contains("state.json is damaged") && message.contains("delete the folder"),
            "{message}"
        );
    }
}

#[test]
fn a_state_that_cannot_be_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let file = state_file(folder.path());
    let mut json = serde_json::to_value(fresh()).unwrap();
    json["slots"]["active"] = "B".into();
    fs::write(file.path(), json.to_string()).unwrap();
    assert!(file.load(TID).unwrap_err().to_string().contains("slot B is active but empty"));
}

#[test]
fn a_foreign_and_a_newer_state_are_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let file = state_file(folder.path());
    file.save(&fresh()).unwrap();
    assert!(
        file.load("10000002").unwrap_err().to_string().contains("belongs to terminal 10000001, not 10000002")
    );
    fs::write(file.path(), r#"{"version": 2, "shape": "unknown"}"#).unwrap();
    assert!(file.load(TID).unwrap_err().to_string().contains("layout 2"));
}

#[test]
fn a_folder_that_cannot_be_written_says_what_to_check() {
    let folder = tempfile::tempdir().unwrap();
    let file = state_file(folder.path());
    fs::create_dir(folder.path().join("state.json.new")).unwrap();
    let message = file.save(&fresh()).unwrap_err().to_string();
    assert!(message.contains("check free space, owner and mode"), "{message}");
}

/// Every moment at which a kill can strike: the new file half written, written, renamed.
#[test]
fn a_kill_at_any_byte_of_a_save_leaves_the_old_state_or_the_new() {
    let folder = tempfile::tempdir().unwrap();
    let file = state_file(folder.path());
    file.save(&numbered(1)).unwrap();
    let next = serde_json::to_vec(&numbered(2)).unwrap();
    for written in (0..=next.len()).step_by(97) {
        fs::write(folder.path().join("state.json.new"), &next[..written]).unwrap();
        assert_eq!(file.load(TID).unwrap(), Some(numbered(1)), "killed after {written} bytes");
    }
    file.save(&numbered(2)).unwrap();
    assert_eq!(file.load(TID).unwrap(), Some(numbered(2)));
}

/// Runs only as the child of the test below, which kills it.
#[test]
fn saves_until_killed() {
    let Ok(folder) = std::env::var(CHILD_FOLDER) else { return };
    let file = state_file(Path::new(&folder));
    for n in 1.. {
        file.save(&numbered(n)).unwrap();
        println!("saved {n}");
        std::io::stdout().flush().unwrap();
    }
}

#[test]
fn a_process_killed_while_saving_always_finds_a_whole_state_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = state_file(folder.path());
    for round in 0..12_usize {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "state::tests::saves_until_killed", "--nocapture", "--test-threads=1"])
            .env(CHILD_FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // The kill comes while the child goes on saving, at a different moment each time.
        let told = lines
            .map_while(Result::ok)
            .filter_map(|line| line.split("saved ").nth(1)?.trim().parse::<u32>().ok())
            .nth(round * 7 + 1)
            .unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let state = file.load(TID).unwrap().unwrap();
        assert!(is_whole(&state), "round {round}");
        assert!(state.boot_count >= told, "what was reported saved is there");
    }
}

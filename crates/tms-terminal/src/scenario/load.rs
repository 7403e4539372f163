//! Finding and reading `terminal.toml` files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tms_config::ConfigError;

use super::Scenario;

const FILE_NAME: &str = "terminal.toml";

/// Why a scenario cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// The file does not read.
    #[error(transparent)]
    File(#[from] ConfigError),
    /// A value makes no sense.
    #[error("{}: {reason}", file.display())]
    Value {
        /// The file.
        file: PathBuf,
        /// Which value and what it should be.
        reason: String,
    },
    /// Nothing to run.
    #[error("{} holds no terminal: give a terminal.toml, or a folder with TID/terminal.toml in it (`tms-server enrol` writes one)", .0.display())]
    Empty(PathBuf),
    /// A folder cannot be read.
    #[error("{} cannot be read: {reason}; check the path", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        reason: String,
    },
}

/// The `terminal.toml` files that `path` means: itself, the one in it, or those in its folders,
/// ordered by name.
///
/// # Errors
/// [`ScenarioError::Folder`] when it cannot be read, [`ScenarioError::Empty`] when there is none.
pub fn find(path: &Path) -> Result<Vec<PathBuf>, ScenarioError> {
    let unreadable =
        |error: std::io::Error| ScenarioError::Folder { folder: path.to_owned(), reason: error.to_string() };
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let own = path.join(FILE_NAME);
    if own.is_file() {
        return Ok(vec![own]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path().join(FILE_NAME);
        if file.is_file() {
            found.push(file);
        }
    }
    found.sort();
    if found.is_empty() { Err(ScenarioError::Empty(path.to_owned())) } else { Ok(found) }
}

impl Scenario {
    /// Reads and checks a `terminal.toml`.
    ///
    /// # Errors
    /// [`ScenarioError`] naming file and line, or the value and what it should be.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let mut scenario: Self = tms_config::read(path)?;
        scenario.folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let wrong =
            |reason: &str| Err(ScenarioError::Value { file: path.to_owned(), reason: reason.to_owned() });
        if scenario.identity.tid.is_empty() || scenario.identity.tid.len() > 16 {
            return wrong("[identity] tid must have 1 to 16 characters");
        }
        if let Some(framing) = scenario.host.framing {
            if !framing.delimits() {
                return wrong(&format!(
                    "[host] framing = \"{framing}\" cannot tell messages apart on a connection; use the host's framing"
                ));
            }
            if framing.vendor_len() > 0 {
                return wrong(&format!(
                    "[host] framing = \"{framing}\" has a vendor header, which is not written"
                ));
            }
        }
        if scenario.host.profile_file.is_none()
            && tms_proto::Profile::builtin(&scenario.host.profile).is_none()
        {
            let known = tms_proto::Profile::builtin_names().join(", ");
            return wrong(&format!(
                "[host] profile = {:?} does not exist; there are {known}, and one of your own needs profile_file too",
                scenario.host.profile
            ));
        }
        if scenario
            .security
            .tmk
            .as_deref()
            .is_some_and(|tmk| tms_crypto::keyblock::Tmk::from_hex(tmk).is_none())
        {
            return wrong("[security] tmk must be 32 hexadecimal digits");
        }
        if scenario.behaviour.reconnect_min_ms > scenario.behaviour.reconnect_max_ms {
            return wrong("[behaviour] reconnect_min_ms must not be above reconnect_max_ms");
        }
        if !(1..=tms_proto::transfer::MAX_WINDOW).contains(&scenario.behaviour.window) {
            return wrong("[behaviour] window must be 1 to 256");
        }
        if scenario.faults.lose_answer_every == Some(0) {
            return wrong("[faults] lose_answer_every must be at least 1");
        }
        if scenario.faults.corrupt_every == Some(0) {
            return wrong("[faults] corrupt_every must be at least 1");
        }
        Ok(scenario)
    }

    /// A path of the scenario, from its folder.
    #[must_use]
    pub fn path(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Behaviour, Hardware},
        *,
    };

    const MINIMAL: &str = r#"
[identity]
tid = "10000001"
mid = "102310060510002"
serial = "SXX-4C304119"
model = "SIM-8"
hardware_revision = "A1"

[host]
address = "127.0.0.1:9001"
server_name = "tms.demo"
profile = "unionpay"

[tls]
ca = "ca.pem"
certificate = "terminal.pem"
key = "terminal.key"

[security]
sealing_key = "sealing.key"
firmware_trust = "firmware-trust.json"
"#;

    fn load(text: &str) -> Result<Scenario, ScenarioError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        fs::write(&path, text).unwrap();
        Scenario::load(&path)
    }

    #[test]
    fn a_minimal_file_gets_a_healthy_terminal_without_faults() {
        let scenario = load(MINIMAL).unwrap();
        assert_eq!(scenario.hardware.health(), tms_proto::report::Health::default());
        assert_eq!(scenario.identity.serial_block(), b"Sequence No163150SXX-4C304119");
        assert!(scenario.faults.drop_after_bytes.is_none());
        assert_eq!(scenario.path(&scenario.tls.ca), scenario.folder.join("ca.pem"));
    }

    #[test]
    fn every_key_of_a_full_file_is_read() {
        let full = format!(
            "{}{}",
            MINIMAL
                .replace("profile = \"unionpay\"", "profile = \"unionpay\"\nframing = \"len2-tpdu-header\"\ntpdu = \"6000030000\"\nheader = \"603100310001\"")
                .replace("sealing_key =", "tmk = \"00112233445566778899AABBCCDDEEFF\"\nsealing_key ="),
            r#"
[[credential]]
role = "99"
secret = "73920418"
generation = 1
[parameters]
timeout_s = "30"
[firmware]
version = "1.0.0"
security_counter = 1
[hardware]
battery_percent = 90
paper = false
printer = "fault"
flash_bytes = 33554432
boot_delay_ms = 200
[behaviour]
poll_interval_ms = 500
heartbeat_interval_ms = 10000
log_lines = 20
window = 4
[faults]
drop_after_bytes = 1000
drop_count = 1
delay_ms = 5
corrupt_every = 100
power_cut_after_flash_bytes = 5000
unhealthy_version = "2.0.0"
[state]
folder = "memory"
"#
        );
        let scenario = load(&full).unwrap();
        assert_eq!(scenario.credentials[0].generation, 1);
        assert!(!scenario.hardware.health().printer && !scenario.hardware.health().paper);
        assert_eq!(scenario.faults.drop_after_bytes, Some(1000));
        let shown = format!("{scenario:?}");
        assert!(!shown.contains("73920418") && !shown.contains("00112233"), "{shown}");
    }

    #[test]
    fn the_example_reads_and_its_commented_keys_exist_too() {
        let example = include_str!("../../terminal.example.toml");
        load(example).unwrap();
        let uncommented: Vec<String> = example
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(key) if key.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')) => {
                    key.to_owned()
                }
                _ => line.to_owned(),
            })
            .collect();
        let scenario = load(&uncommented.join("\n")).unwrap();
        assert_eq!(scenario.faults.drop_after_bytes, Some(200_000));
        assert_eq!(scenario.behaviour.window, Behaviour::default().window);
        assert_eq!(scenario.hardware.flash_bytes, Hardware::default().flash_bytes);
    }

    #[test]
    fn an_unknown_key_names_its_line_and_the_likely_spelling() {
        let message = load(&MINIMAL.replace("server_name", "sever_name")).unwrap_err().to_string();
        assert!(
            message.contains("line 11: unknown key `sever_name` in [host]; did you mean `server_name`?"),
            "{message}"
        );
    }

    #[test]
    fn a_senseless_value_says_what_it_should_be() {
        for (from, to, says) in [
            ("tid = \"10000001\"", "tid = \"\"", "1 to 16 characters"),
            ("\"unionpay\"", "\"unionpai\"", "there are unionpay, iso87"),
            ("profile =", "framing = \"none\"\nprofile =", "cannot tell messages apart"),
            ("sealing_key =", "tmk = \"00\"\nsealing_key =", "32 hexadecimal digits"),
        ] {
            let message = load(&MINIMAL.replace(from, to)).unwrap_err().to_string();
            assert!(message.contains(says) && message.contains("terminal.toml"), "{message}");
        }
    }

    #[test]
    fn a_folder_means_the_terminals_in_it_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for tid in ["2", "1"] {
            fs::create_dir(folder.path().join(tid)).unwrap();
            fs::write(folder.path().join(tid).join(FILE_NAME), MINIMAL).unwrap();
        }
        let found = find(folder.path()).unwrap();
        assert_eq!(found, [folder.path().join("1/terminal.toml"), folder.path().join("2/terminal.toml")]);
        assert_eq!(find(&found[0]).unwrap(), [found[0].clone()]);
        assert_eq!(find(&folder.path().join("1")).unwrap(), [found[0].clone()]);
    }

    #[test]
    fn an_empty_or_missing_folder_says_what_to_give() {
        let folder = tempfile::tempdir().unwrap();
        assert!(find(folder.path()).unwrap_err().to_string().contains("holds no terminal"));
        assert!(find(&folder.path().join("nowhere")).unwrap_err().to_string().contains("check the path"));
    }
}

//! What a simulated terminal is: the content of its `terminal.toml`.
//!
//! Relative paths are relative to the folder of that file. Every key that is not shown as needed has
//! a default; a key that does not exist is refused with its line and the likely spelling.
//!
//! ```toml
#![doc = include_str!("../../terminal.example.toml")]
//! ```

use std::{collections::BTreeMap, path::PathBuf};

use iso8583::framing::{Framing, Header, Tpdu};
use serde::Deserialize;
use tms_firmware::Version;
use tms_proto::report::Health;

mod load;

pub use load::{ScenarioError, find};

/// One terminal.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Who it is.
    pub identity: Identity,
    /// Where its host is and how they talk.
    pub host: Host,
    /// Files for mutual TLS.
    pub tls: Tls,
    /// Keys of its own.
    pub security: Security,
    /// Administrator credentials as delivered.
    #[serde(default, rename = "credential")]
    pub credentials: Vec<Credential>,
    /// Parameters as delivered, by name.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// The image it left the factory with.
    #[serde(default)]
    pub firmware: Firmware,
    /// Its parts.
    #[serde(default)]
    pub hardware: Hardware,
    /// Its habits.
    #[serde(default)]
    pub behaviour: Behaviour,
    /// What shall go wrong.
    #[serde(default)]
    pub faults: Faults,
    /// Where it remembers.
    #[serde(default)]
    pub state: StateFolder,
    /// The folder that relative paths start from: that of the file.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// Who a terminal is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Terminal identification (TID, DE41).
    pub tid: String,
    /// Merchant identification (MID, DE42).
    pub mid: String,
    /// Hardware serial number.
    pub serial: String,
    /// Model, as firmware manifests name it.
    pub model: String,
    /// Hardware revision, as firmware manifests name it.
    pub hardware_revision: String,
    /// Network licence number in the sign-on's serial block (unionpay.md §4.1).
    #[serde(default = "network_licence")]
    pub network_licence: String,
}

fn network_licence() -> String {
    "3150".to_owned()
}

impl Identity {
    /// The sign-on's serial block, DE62 用法十九: `Sequence No`, two digits of length, licence and
    /// serial number.
    #[must_use]
    pub fn serial_block(&self) -> Vec<u8> {
        let body = format!("{}{}", self.network_licence, self.serial);
        format!("Sequence No{:02}{body}", body.len()).into_bytes()
    }
}

/// Where the host is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// `host:port`.
    pub address: String,
    /// Name that the host's certificate must have.
    pub server_name: String,
    /// Built-in profile, or the name of the one in `profile_file`.
    pub profile: String,
    /// File of a profile that is not built in.
    pub profile_file: Option<PathBuf>,
    /// Code of the sign-on, if not the profile's first: UnionPay terminals ask with it for working keys of
    /// one form or another (`001`, `003`, `004`).
    pub sign_on_code: Option<String>,
    /// Framing, if not the profile's own.
    pub framing: Option<Framing>,
    /// TPDU of requests.
    pub tpdu: Option<Tpdu>,
    /// UnionPay header of requests.
    pub header: Option<Header>,
}

/// Files for mutual TLS, PEM.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Certificates of the CA that issued the host's certificate.
    pub ca: PathBuf,
    /// The terminal's certificate chain.
    pub certificate: PathBuf,
    /// The terminal's private key.
    pub key: PathBuf,
}

/// Keys of the terminal's own.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Security {
    /// File of the private key that secrets are sealed to.
    pub sealing_key: PathBuf,
    /// Terminal master key, 32 hexadecimal digits; needed where sign-on brings working keys.
    pub tmk: Option<String>,
    /// File of the MAC key that terminal and host were given, where the profile takes one: two lines,
    /// `tms8583 mac-key 1` and the key in hexadecimal digits, mode 0600.
    pub mac_key_file: Option<PathBuf>,
    /// File of the keys that sign firmware.
    pub firmware_trust: PathBuf,
}

impl std::fmt::Debug for Security {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Security").field("sealing_key", &self.sealing_key).finish_non_exhaustive()
    }
}

/// One administrator credential as delivered.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// Role, for example `99` or `00`.
    pub role: String,
    /// What to type.
    pub secret: String,
    /// Its generation.
    pub generation: u32,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credential(role {}, generation {})", self.role, self.generation)
    }
}

/// The image that the terminal left the factory with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Firmware {
    /// Its version.
    pub version: Version,
    /// Its security counter.
    #[serde(default)]
    pub security_counter: u32,
}

/// Whether a part works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// It works.
    #[default]
    Ok,
    /// It does not.
    Fault,
}

/// The terminal's parts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hardware {
    /// Charge, 0 to 100.
    pub battery_percent: u8,
    /// Whether the printer has paper.
    pub paper: bool,
    /// Receipt printer.
    pub printer: Part,
    /// Card reader.
    pub card_reader: Part,
    /// PIN pad.
    pub pin_pad: Part,
    /// Keyboard.
    pub keyboard: Part,
    /// Display.
    pub display: Part,
    /// Whether the tamper switch was triggered.
    pub tamper: bool,
    /// Size of the flash, which has two slots of equal size.
    pub flash_bytes: u64,
    /// How long a start takes.
    pub boot_delay_ms: u64,
}

impl Default for Hardware {
    fn default() -> Self {
        Self {
            battery_percent: 100,
            paper: true,
            printer: Part::Ok,
            card_reader: Part::Ok,
            pin_pad: Part::Ok,
            keyboard: Part::Ok,
            display: Part::Ok,
            tamper: false,
            flash_bytes: 64 * 1024 * 1024,
            boot_delay_ms: 200,
        }
    }
}

impl Hardware {
    /// The parts as a report tells them.
    #[must_use]
    pub fn health(&self) -> Health {
        Health {
            keyboard: self.keyboard == Part::Ok,
            pin_pad: self.pin_pad == Part::Ok,
            card_reader: self.card_reader == Part::Ok,
            printer: self.printer == Part::Ok,
            display: self.display == Part::Ok,
            paper: self.paper,
            tampered: self.tamper,
            battery_percent: self.battery_percent.min(100),
        }
    }
}

/// The terminal's habits.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Behaviour {
    /// How often it asks for work where the host may not push.
    pub poll_interval_ms: u64,
    /// How often it sends an echo.
    pub heartbeat_interval_ms: u64,
    /// How many lines its log holds; a new terminal begins with as many lines of history.
    pub log_lines: usize,
    /// How often it sells something, which adds to the batch and to the log; 0 for never.
    pub log_interval_ms: u64,
    /// How many transactions a batch has when the terminal settles it by itself; 0 for never.
    pub settle_after: u32,
    /// Shortest wait before connecting again.
    pub reconnect_min_ms: u64,
    /// Longest wait before connecting again.
    pub reconnect_max_ms: u64,
    /// Most file blocks in flight; how many there are follows the link.
    pub window: usize,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            poll_interval_ms: 2_000,
            heartbeat_interval_ms: 30_000,
            log_lines: 200,
            log_interval_ms: 20_000,
            settle_after: 0,
            reconnect_min_ms: 200,
            reconnect_max_ms: 30_000,
            window: tms_proto::transfer::MAX_WINDOW,
        }
    }
}

/// What shall go wrong. Bytes are those of messages, inside TLS.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// Break the connection after so many bytes in both directions.
    pub drop_after_bytes: Option<u64>,
    /// How many connections to break so; 1 if not given.
    pub drop_count: Option<u32>,
    /// Wait so long before each sending.
    pub delay_ms: u64,
    /// Change one bit of every so many'th byte sent.
    pub corrupt_every: Option<u64>,
    /// Lose power, once, after so many bytes were written to flash.
    pub power_cut_after_flash_bytes: Option<u64>,
    /// Never hear the acquirer's answer to every so many'th transaction: a reversal waits, and nothing is
    /// sold, until the host clears it.
    pub lose_answer_every: Option<u32>,
    /// How far the terminal's clock is ahead when it is delivered, in seconds.
    pub clock_ahead_s: i64,
    /// This version never finds itself healthy on trial.
    pub unhealthy_version: Option<Version>,
}

/// Where a terminal remembers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StateFolder {
    /// Folder of the state file, the flash and the log. Created when missing.
    pub folder: PathBuf,
}

impl Default for StateFolder {
    fn default() -> Self {
        Self { folder: PathBuf::from("state") }
    }
}

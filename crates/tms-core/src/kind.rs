//! What a terminal can be given to do.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{FirmwareId, OperationId, Role};

/// Longest text for people on a terminal's display or paper, in bytes: 80 Chinese characters.
pub const MAX_TEXT_BYTES: usize = 240;
/// Most addresses that a terminal knows for its host.
pub const MAX_ADDRESSES: usize = 4;
/// Longest address, in bytes.
pub const MAX_ADDRESS_BYTES: usize = 128;
/// Furthest from UTC that local time is, in seconds.
pub const MAX_UTC_OFFSET_S: i32 = 14 * 3600;

/// What a terminal shall do.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum OperationKind {
    /// Take over the desired parameters of this revision or a later one.
    SetParameters {
        /// The revision of the desired parameters when the operation was made.
        revision: u64,
    },
    /// Fetch, verify, install and start a firmware package.
    InstallFirmware {
        /// The package.
        firmware: FirmwareId,
    },
    /// Start again.
    Reboot,
    /// Change a credential to the generation that is pending.
    RotateCredential {
        /// Whose credential.
        role: Role,
        /// The generation to change to.
        generation: u32,
    },
    /// Send the newest part of the log.
    CollectLogs {
        /// At most so many bytes.
        max_bytes: u64,
    },
    /// Start the payment application again; the terminal keeps running.
    RestartApplication,
    /// Go back to the state of delivery, but for what it takes to come back and to be opened.
    FactoryReset,
    /// Take no payments until unlocked.
    Lock {
        /// What the display says meanwhile.
        message: String,
    },
    /// Take payments again.
    Unlock,
    /// Forget a reversal that cannot be delivered. Whether the money moved must be known otherwise.
    ClearReversal,
    /// Forget the transactions of the current batch.
    ClearBatch,
    /// Print a slip that shows that the printer works.
    PrintTestSlip {
        /// A line on it.
        #[serde(default)]
        text: Option<String>,
    },
    /// Check every part; the result has a value for each.
    SelfTest,
    /// Say what there is to know without checking anything; the result has the values.
    Diagnose,
    /// Send the journal of transactions.
    CollectJournal {
        /// The first batch wanted; everything there is when absent.
        #[serde(default)]
        from_batch: Option<u32>,
        /// At most so many bytes, the newest part.
        max_bytes: u64,
    },
    /// Set the clock to the host's time when it is told.
    SyncClock {
        /// Local time less UTC, in seconds.
        utc_offset_s: i32,
        /// Even if that is years from the terminal's own idea.
        #[serde(default)]
        force: bool,
    },
    /// Show a message to whoever stands at the terminal.
    ShowMessage {
        /// The message.
        text: String,
        /// Not to be shown any more from then on.
        #[serde(default)]
        until: Option<Timestamp>,
        /// How long it stays on the display; 0 until a key is pressed.
        #[serde(default)]
        seconds: u16,
    },
    /// Come to the host elsewhere from now on, unless that does not work.
    ChangeTmsAddress {
        /// `host:port`, the preferred one first.
        addresses: Vec<String>,
        /// Connections that may be tried before the old addresses are taken again.
        attempts: u8,
    },
    /// Take a plan in the place of the one in force.
    InstallPlan {
        /// The plan, in the JSON form of `tms_proto::plan::Plan`. Whoever queues it has checked it.
        plan: serde_json::Value,
    },
    /// Take new working keys under the terminal's master key.
    ExchangeKeys,
    /// Give up another operation that the terminal may have begun. It goes before all others.
    CancelOperation {
        /// The operation.
        target: OperationId,
    },
}

/// Why an operation cannot be asked for as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KindError {
    /// A text that a terminal would not take.
    #[error("{what} has {bytes} bytes; it must have from 1 to {MAX_TEXT_BYTES}, without control characters")]
    Text {
        /// Which text.
        what: &'static str,
        /// Its length.
        bytes: usize,
    },
    /// Too few or too many addresses.
    #[error("{0} addresses are given; there must be from 1 to {MAX_ADDRESSES}")]
    Addresses(usize),
    /// Not an address.
    #[error("{0:?} is no address; write it as host:port, in at most {MAX_ADDRESS_BYTES} bytes")]
    Address(String),
    /// A number that makes no sense.
    #[error("{what} is {value}; it must be from {min} to {max}")]
    Range {
        /// Which number.
        what: &'static str,
        /// What it is.
        value: i64,
        /// The least.
        min: i64,
        /// The most.
        max: i64,
    },
}

impl OperationKind {
    /// The kind without its details, as it appears in JSON: `set_parameters`, `install_firmware`, …
    pub fn name(&self) -> &'static str {
        match self {
            Self::SetParameters { .. } => "set_parameters",
            Self::InstallFirmware { .. } => "install_firmware",
            Self::Reboot => "reboot",
            Self::RotateCredential { .. } => "rotate_credential",
            Self::CollectLogs { .. } => "collect_logs",
            Self::RestartApplication => "restart_application",
            Self::FactoryReset => "factory_reset",
            Self::Lock { .. } => "lock",
            Self::Unlock => "unlock",
            Self::ClearReversal => "clear_reversal",
            Self::ClearBatch => "clear_batch",
            Self::PrintTestSlip { .. } => "print_test_slip",
            Self::SelfTest => "self_test",
            Self::Diagnose => "diagnose",
            Self::CollectJournal { .. } => "collect_journal",
            Self::SyncClock { .. } => "sync_clock",
            Self::ShowMessage { .. } => "show_message",
            Self::ChangeTmsAddress { .. } => "change_tms_address",
            Self::InstallPlan { .. } => "install_plan",
            Self::ExchangeKeys => "exchange_keys",
            Self::CancelOperation { .. } => Self::CANCEL,
        }
    }

    /// The name of the kind that goes before all others.
    pub const CANCEL: &'static str = "cancel_operation";

    /// Whether the terminal is told to give it up when somebody cancels it: it has such an operation in
    /// its journal. Parameters are only values, rotations and keys have an end of their own, and what
    /// cancels is carried out at once.
    pub fn is_cancelled_at_the_terminal(&self) -> bool {
        !matches!(
            self,
            Self::SetParameters { .. }
                | Self::RotateCredential { .. }
                | Self::ExchangeKeys
                | Self::CancelOperation { .. }
        )
    }

    /// Whether it has the terminal install this package: by itself, or as an action of a plan.
    pub fn installs(&self, package: &FirmwareId) -> bool {
        match self {
            Self::InstallFirmware { firmware } => firmware == package,
            Self::InstallPlan { plan } => {
                let actions = plan.get("actions").and_then(serde_json::Value::as_array);
                let names = |action: &serde_json::Value| {
                    let file = action.pointer("/command/install_firmware/file");
                    file.and_then(serde_json::Value::as_str) == Some(package.as_str())
                };
                actions.is_some_and(|actions| actions.iter().any(names))
            }
            _ => false,
        }
    }

    /// Whether a terminal could take it as it is.
    ///
    /// # Errors
    /// Names what is too long, too short or out of range.
    pub fn check(&self) -> Result<(), KindError> {
        match self {
            Self::Lock { message } => text("message", message),
            Self::PrintTestSlip { text: Some(line) } | Self::ShowMessage { text: line, .. } => {
                text("text", line)
            }
            Self::CollectLogs { max_bytes } | Self::CollectJournal { max_bytes, .. } => {
                let bytes = i64::try_from(*max_bytes).unwrap_or(i64::MAX);
                range("max_bytes", bytes, 1, i64::from(u32::MAX))
            }
            Self::SyncClock { utc_offset_s, .. } => range(
                "utc_offset_s",
                i64::from(*utc_offset_s),
                -i64::from(MAX_UTC_OFFSET_S),
                i64::from(MAX_UTC_OFFSET_S),
            ),
            Self::ChangeTmsAddress { addresses, attempts } => {
                if !(1..=MAX_ADDRESSES).contains(&addresses.len()) {
                    return Err(KindError::Addresses(addresses.len()));
                }
                if let Some(wrong) = addresses.iter().find(|address| !is_address(address)) {
                    return Err(KindError::Address(wrong.chars().take(MAX_ADDRESS_BYTES).collect()));
                }
                range("attempts", i64::from(*attempts), 1, i64::from(u8::MAX))
            }
            _ => Ok(()),
        }
    }
}

fn text(what: &'static str, text: &str) -> Result<(), KindError> {
    match (1..=MAX_TEXT_BYTES).contains(&text.len()) && !text.chars().any(char::is_control) {
        true => Ok(()),
        false => Err(KindError::Text { what, bytes: text.len() }),
    }
}

fn range(what: &'static str, value: i64, min: i64, max: i64) -> Result<(), KindError> {
    match (min..=max).contains(&value) {
        true => Ok(()),
        false => Err(KindError::Range { what, value, min, max }),
    }
}

/// `host:port`; an IPv6 address stands in brackets.
fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(inner) => inner.parse::<core::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)),
    };
    host && text.len() <= MAX_ADDRESS_BYTES && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_in_json_carries_its_name_and_details() {
        let kind = OperationKind::RotateCredential { role: Role::administrator(), generation: 2 };
        let json = serde_json::to_value(&kind).unwrap();
        assert_eq!(json, serde_json::json!({"type": "rotate_credential", "role": "99", "generation": 2}));
        assert_eq!(json["type"], kind.name());
        assert_eq!(serde_json::to_value(OperationKind::Reboot).unwrap()["type"], "reboot");
    }

    #[test]
    fn a_package_is_installed_by_an_operation_or_by_an_action_of_a_plan() {
        let [package, other] = ["pos-2", "pos-3"].map(|id| id.parse::<FirmwareId>().unwrap());
        let install = OperationKind::InstallFirmware { firmware: package.clone() };
        let plan = |file: &FirmwareId| OperationKind::InstallPlan {
            plan: serde_json::json!({"version": 1, "actions": [
                {"id": 1, "command": "reboot"},
                {"id": 2, "command": {"install_firmware": {"file": file.as_str(), "size_bytes": 1}}},
            ]}),
        };
        assert!(install.installs(&package) && plan(&package).installs(&package));
        assert!(!install.installs(&other) && !plan(&other).installs(&package));
        assert!(!OperationKind::Reboot.installs(&package));
    }

    #[test]
    fn every_kind_reads_back_from_its_json_under_its_name() {
        let message = "停用 / out of use".to_owned();
        let kinds = [
            OperationKind::RestartApplication,
            OperationKind::FactoryReset,
            OperationKind::Lock { message: message.clone() },
            OperationKind::Unlock,
            OperationKind::ClearReversal,
            OperationKind::ClearBatch,
            OperationKind::PrintTestSlip { text: None },
            OperationKind::SelfTest,
            OperationKind::Diagnose,
            OperationKind::ExchangeKeys,
            OperationKind::CollectJournal { from_batch: Some(3), max_bytes: 9 },
            OperationKind::SyncClock { utc_offset_s: 28_800, force: false },
            OperationKind::ShowMessage { text: message, until: Some(Timestamp::UNIX_EPOCH), seconds: 5 },
            OperationKind::ChangeTmsAddress { addresses: vec!["tms.example:9000".to_owned()], attempts: 3 },
            OperationKind::InstallPlan { plan: serde_json::json!({"version": 1}) },
            OperationKind::CancelOperation { target: OperationId::new(Timestamp::UNIX_EPOCH, [1; 10]) },
        ];
        for kind in kinds {
            assert_eq!(kind.check(), Ok(()), "{kind:?}");
            let json = serde_json::to_value(&kind).unwrap();
            assert_eq!(json["type"], kind.name());
            assert_eq!(serde_json::from_value::<OperationKind>(json).unwrap(), kind);
        }
        let unknown = serde_json::json!({"type": "lock", "message": "a", "colour": "red"});
        assert!(serde_json::from_value::<OperationKind>(unknown).is_err());
    }

    #[test]
    fn what_a_terminal_would_refuse_is_refused_where_it_is_asked_for() {
        let lock = |message: &str| OperationKind::Lock { message: message.to_owned() };
        let come_to = |addresses: &[&str], attempts| OperationKind::ChangeTmsAddress {
            addresses: addresses.iter().map(|address| (*address).to_owned()).collect(),
            attempts,
        };
        let wrong = [
            lock(""),
            lock("two\nlines"),
            lock(&"x".repeat(MAX_TEXT_BYTES + 1)),
            come_to(&[], 3),
            come_to(&["a:1"; MAX_ADDRESSES + 1], 3),
            come_to(&["tms.example"], 3),
            come_to(&["tms.example:0"], 3),
            come_to(&["tms.example:99999"], 3),
            come_to(&["http://tms.example:1"], 3),
            come_to(&["[::g]:1"], 3),
            come_to(&["tms.example:1"], 0),
            OperationKind::SyncClock { utc_offset_s: 100_000, force: false },
            OperationKind::CollectJournal { from_batch: None, max_bytes: 0 },
        ];
        for kind in wrong {
            assert!(kind.check().is_err(), "{kind:?}");
        }
        assert_eq!(come_to(&["[::1]:9000", "10.0.0.1:9000"], 1).check(), Ok(()));
    }
}

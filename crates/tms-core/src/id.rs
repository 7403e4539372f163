//! Names of the things in the estate. Each is checked once, where it enters, and is safe to print
//! and to use as a file name afterwards.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a text is not a name of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {what}: {rule}")]
pub struct IdError {
    /// The kind of name, for example `terminal id`.
    pub what: &'static str,
    /// What the caller gave, shortened to 40 characters.
    pub text: String,
    /// The rule that it breaks.
    pub rule: &'static str,
}

impl IdError {
    pub(crate) fn new(what: &'static str, text: &str, rule: &'static str) -> Self {
        Self { what, text: text.chars().take(40).collect(), rule }
    }
}

/// Everything that the checked text names have in common.
macro_rules! text_id {
    ($name:ident, $what:literal, $rule:expr, $check:expr) => {
        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::id::IdError;

            fn from_str(text: &str) -> Result<Self, $crate::id::IdError> {
                let check: fn(&str) -> bool = $check;
                if check(text) {
                    Ok(Self(std::sync::Arc::from(text)))
                } else {
                    Err($crate::id::IdError::new($what, text, $rule))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::id::IdError;

            fn try_from(text: String) -> Result<Self, $crate::id::IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().to_owned()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

pub(crate) use text_id;

/// The terminal's number in the acquirer's estate, DE41 (终端号): 1 to 16 letters, digits, `-` or `_`.
/// Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, pattern = r"^[A-Za-z0-9_-]{1,16}$", example = "10000001"))]
pub struct TerminalId(Arc<str>);

text_id!(TerminalId, "terminal id", "it has 1 to 16 letters, digits, '-' or '_'", |text| within(text, 16)
    && text.bytes().all(is_name_byte));

/// The merchant's number, DE42 (商户号): 1 to 15 printable ASCII characters without spaces.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, pattern = r"^[!-~]{1,15}$", example = "102310060510002"))]
pub struct MerchantId(Arc<str>);

text_id!(
    MerchantId,
    "merchant id",
    "it has 1 to 15 printable ASCII characters without spaces",
    |text| within(text, 15) && text.bytes().all(|byte| byte.is_ascii_graphic())
);

/// A published firmware package, named by the digest of its signed manifest: 1 to 64 letters,
/// digits, `-` or `_`, so that it is also a safe file name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, pattern = r"^[A-Za-z0-9_-]{1,64}$", example = "5f2c"))]
pub struct FirmwareId(Arc<str>);

text_id!(FirmwareId, "firmware id", "it has 1 to 64 letters, digits, '-' or '_'", |text| within(text, 64)
    && text.bytes().all(is_name_byte));

/// The role whose credential a terminal keeps: two digits on Chinese POS terminals (`99` system
/// administrator, `00` supervisor, `01` to `98` operators), a name of at most 16 characters elsewhere.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, pattern = r"^([0-9]{2}|[A-Za-z][A-Za-z0-9_-]{0,15})$", example = "99"))]
pub struct Role(Arc<str>);

text_id!(
    Role,
    "role",
    "it has two digits (99 administrator, 00 supervisor, 01 to 98 operators), \
     or is a name of at most 16 letters, digits, '-' or '_' that starts with a letter",
    |text| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        let starts_with_letter = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
        digits || (within(text, 16) && starts_with_letter && text.bytes().all(is_name_byte))
    }
);

impl Role {
    /// The system administrator (系统管理员), `99`.
    pub fn administrator() -> Self {
        Self(Arc::from("99"))
    }

    /// The supervisor (主管操作员), `00`.
    pub fn supervisor() -> Self {
        Self(Arc::from("00"))
    }
}

/// The name of a protocol profile, such as `unionpay` or `iso87`: 1 to 16 lower-case letters,
/// digits or `-`. Which names exist is the protocol's business; here it is only a name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, pattern = r"^[a-z0-9-]{1,16}$", example = "unionpay"))]
pub struct Profile(Arc<str>);

text_id!(Profile, "profile name", "it has 1 to 16 lower-case letters, digits or '-'", |text| within(
    text, 16
) && text
    .bytes()
    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'));

impl Profile {
    /// The UnionPay POS profile.
    pub fn unionpay() -> Self {
        Self(Arc::from("unionpay"))
    }

    /// The ISO 8583:1987 profile.
    pub fn iso87() -> Self {
        Self(Arc::from("iso87"))
    }
}

/// A rollout: 1 to 64 letters, digits, `-` or `_`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, pattern = r"^[A-Za-z0-9_-]{1,64}$", example = "spring-firmware"))]
pub struct RolloutId(Arc<str>);

text_id!(RolloutId, "rollout id", "it has 1 to 64 letters, digits, '-' or '_'", |text| within(text, 64)
    && text.bytes().all(is_name_byte));

/// The operations that one call made for many terminals: 1 to 64 letters, digits, `-` or `_`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, pattern = r"^[A-Za-z0-9_-]{1,64}$", example = "0f1e2d3c"))]
pub struct BatchId(Arc<str>);

text_id!(BatchId, "batch id", "it has 1 to 64 letters, digits, '-' or '_'", |text| within(text, 64)
    && text.bytes().all(is_name_byte));

/// The identity of an operation: a version 7 UUID, so that ids made later sort later (to the
/// millisecond). It travels to the terminal, which answers a repeated id from its journal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = uuid::Uuid))]
pub struct OperationId(Uuid);

impl OperationId {
    /// Makes an id from the time and ten random bytes; both come from the caller, because this
    /// crate knows neither a clock nor a source of randomness.
    pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
        let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// Takes an existing UUID, for example from a message of a terminal.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The id as a UUID.
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }
}

impl FromStr for OperationId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Uuid::parse_str(text)
            .map(Self)
            .map_err(|_| IdError::new("operation id", text, "it is a UUID of 32 hexadecimal digits"))
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OperationId({})", self.0)
    }
}

pub(crate) fn within(text: &str, max_bytes: usize) -> bool {
    (1..=max_bytes).contains(&text.len())
}

pub(crate) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_id_is_a_safe_file_name() {
        assert!("10000001".parse::<TerminalId>().is_ok());
        for bad in ["", "..", "a/b", "a b", "12345678901234567", "终端"] {
            let error = bad.parse::<TerminalId>().unwrap_err();
            assert!(error.to_string().contains("1 to 16"), "{error}");
        }
    }

    #[test]
    fn roles_are_two_digits_or_a_name() {
        for good in ["99", "00", "01", "98", "admin", "field-service"] {
            assert!(good.parse::<Role>().is_ok(), "{good}");
        }
        for bad in ["", "1", "100", "9x", "-a", "averyveryverylongname"] {
            assert!(bad.parse::<Role>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_checked_when_they_come_from_json() {
        assert!(serde_json::from_str::<TerminalId>("\"10000001\"").is_ok());
        assert!(serde_json::from_str::<TerminalId>("\"../etc\"").is_err());
    }

    #[test]
    fn a_later_operation_id_sorts_later() {
        let early = OperationId::new(Timestamp::from_millisecond(1_000).unwrap(), [0xFF; 10]);
        let late = OperationId::new(Timestamp::from_millisecond(1_001).unwrap(), [0; 10]);
        assert!(early < late);
        assert_eq!(early.as_uuid().get_version_num(), 7);
        assert_eq!(early.to_string().parse::<OperationId>().unwrap(), early);
    }
}

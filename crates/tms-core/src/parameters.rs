//! What may be set on a terminal, and to what. The names follow the parameter transfer of the
//! UnionPay POS specification (status tags 11 to 27); other profiles carry them by name.

use encoding_rs::GBK;

/// One parameter: its name, what values it takes, and what people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Its name in the API and in the store.
    pub name: &'static str,
    /// The values that it takes.
    pub kind: Kind,
    /// English label.
    pub label_en: &'static str,
    /// Chinese label.
    pub label_zh: &'static str,
    /// Its value on a terminal that nobody has configured, in canonical spelling.
    pub default: &'static str,
}

/// The values that a parameter takes, and their one canonical spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number; canonical without leading zeros.
    Integer {
        /// The least value.
        min: u32,
        /// The greatest value.
        max: u32,
    },
    /// Yes or no; canonical `1` or `0`, also accepted as `true`/`false`, `yes`/`no`, `on`/`off`.
    Switch,
    /// A telephone number of digits, `-`, `+`, `*`, `#`, `,` or space, without padding; may be empty.
    Phone {
        /// At most so many characters.
        max_chars: usize,
    },
    /// Text without control characters and without spaces at its ends, that GBK can write.
    Text {
        /// At most so many bytes in GBK.
        max_gbk_bytes: usize,
    },
}

/// Every parameter, in the order of its UnionPay tag.
pub const SCHEMA: &[Parameter] = &[
    parameter("application_type", integer(0, 99), "Application type", "应用类型", "60"),
    parameter("timeout_s", integer(1, 99), "Time-out (s)", "超时时间（秒）", "60"),
    parameter("retries", integer(0, 9), "Retries", "重试次数", "3"),
    parameter("phone_1", PHONE, "Transaction phone 1", "交易电话号码一", ""),
    parameter("phone_2", PHONE, "Transaction phone 2", "交易电话号码二", ""),
    parameter("phone_3", PHONE, "Transaction phone 3", "交易电话号码三", ""),
    parameter("management_phone", PHONE, "Management phone", "管理电话号码", ""),
    parameter("tip_allowed", Kind::Switch, "Tips allowed", "是否支持小费", "0"),
    parameter("tip_percent", integer(0, 99), "Greatest tip (%)", "小费百分比", "10"),
    parameter("manual_entry", Kind::Switch, "Manual card entry", "是否支持手工输入卡号", "0"),
    parameter("auto_sign_off", Kind::Switch, "Sign off after settlement", "结算后自动签退", "0"),
    parameter("merchant_name", Kind::Text { max_gbk_bytes: 40 }, "Merchant name", "商户名称", ""),
    parameter("resend_count", integer(0, 9), "Reversal resend count", "冲正重发次数", "3"),
    parameter("tmk_index", integer(0, 9), "Master key index", "主密钥索引", "1"),
    parameter(
        "offline_upload_count",
        integer(0, 99),
        "Off-line transactions that start an upload",
        "满足自动上送的累计笔数",
        "10",
    ),
];

const PHONE: Kind = Kind::Phone { max_chars: 14 };

/// Why a parameter cannot be set so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParameterError {
    /// There is no parameter of this name.
    #[error("there is no parameter {name:?}{}", suggestion_text(*.suggestion))]
    Unknown {
        /// The name that was given, shortened.
        name: String,
        /// The existing name nearest to it, if any is near.
        suggestion: Option<&'static str>,
    },
    /// The parameter does not take this value.
    #[error("{name} cannot be {value:?}: {rule}")]
    Value {
        /// The parameter.
        name: &'static str,
        /// The value that was given, shortened.
        value: String,
        /// What it takes instead.
        rule: String,
    },
}

/// Finds a parameter by its exact name.
pub fn find(name: &str) -> Option<&'static Parameter> {
    SCHEMA.iter().find(|parameter| parameter.name == name)
}

/// Brings a value into its canonical spelling: `"045"` becomes `"45"`, `"yes"` becomes `"1"`.
///
/// # Errors
/// An unknown name (with the nearest existing one) or a value that the parameter does not take.
pub fn canonical(name: &str, value: &str) -> Result<String, ParameterError> {
    let parameter = known(name)?;
    parameter.kind.canonical(value).map_err(|rule| ParameterError::Value {
        name: parameter.name,
        value: shortened(value),
        rule,
    })
}

/// Checks a value without keeping its canonical spelling.
///
/// # Errors
/// As [`canonical`].
pub fn validate(name: &str, value: &str) -> Result<(), ParameterError> {
    canonical(name, value).map(drop)
}

/// Checks a name alone, for changes that take a parameter away.
///
/// # Errors
/// An unknown name, with the nearest existing one.
pub fn known(name: &str) -> Result<&'static Parameter, ParameterError> {
    find(name).ok_or_else(|| ParameterError::Unknown { name: shortened(name), suggestion: nearest(name) })
}

impl Kind {
    fn canonical(self, value: &str) -> Result<String, String> {
        match self {
            Self::Integer { min, max } => {
                let digits =
                    (1..=9).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit());
                match value.parse::<u32>() {
                    Ok(number) if digits && (min..=max).contains(&number) => Ok(number.to_string()),
                    _ => Err(format!("it takes a whole number from {min} to {max}")),
                }
            }
            Self::Switch => match value.to_ascii_lowercase().as_str() {
                "1" | "true" | "yes" | "on" => Ok("1".to_owned()),
                "0" | "false" | "no" | "off" => Ok("0".to_owned()),
                _ => Err("it takes 1 or 0 (or true/false, yes/no, on/off)".to_owned()),
            },
            Self::Phone { max_chars } => {
                let text = value.trim_matches(' ');
                let valid = text.bytes().all(|byte| byte.is_ascii_digit() || b"-+*#, ".contains(&byte));
                if valid && text.len() <= max_chars {
                    Ok(text.to_owned())
                } else {
                    Err(format!("it takes at most {max_chars} digits or '-+*#,' signs"))
                }
            }
            Self::Text { max_gbk_bytes } => {
                // Every kind of space: GBK has a wide one, and a padded tag cannot keep any at its end.
                let text = value.trim();
                let (gbk, _, lossy) = GBK.encode(text);
                if lossy || text.chars().any(char::is_control) {
                    Err("it takes printable characters of the GBK set".to_owned())
                } else if gbk.len() > max_gbk_bytes {
                    Err(format!("it takes at most {max_gbk_bytes} bytes in GBK, and this has {}", gbk.len()))
                } else {
                    Ok(text.to_owned())
                }
            }
        }
    }
}

fn nearest(name: &str) -> Option<&'static str> {
    let name = shortened(name).to_lowercase();
    SCHEMA
        .iter()
        .map(|parameter| (strsim::jaro_winkler(&name, parameter.name), parameter.name))
        .filter(|(similarity, _)| *similarity > 0.75)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, nearest)| nearest)
}

fn suggestion_text(suggestion: Option<&'static str>) -> String {
    match suggestion {
        Some(name) => format!("; did you mean {name:?}?"),
        None => {
            let names: Vec<_> = SCHEMA.iter().map(|parameter| parameter.name).collect();
            format!("; there are {}", names.join(", "))
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}

const fn integer(min: u32, max: u32) -> Kind {
    Kind::Integer { min, max }
}

const fn parameter(
    name: &'static str,
    kind: Kind,
    label_en: &'static str,
    label_zh: &'static str,
    default: &'static str,
) -> Parameter {
    Parameter { name, kind, label_en, label_zh, default }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn defaults_are_valid_and_canonical() {
        for parameter in SCHEMA {
            assert_eq!(canonical(parameter.name, parameter.default).unwrap(), parameter.default);
        }
    }

    #[test]
    fn names_are_unique() {
        for parameter in SCHEMA {
            assert_eq!(SCHEMA.iter().filter(|other| other.name == parameter.name).count(), 1);
        }
    }

    #[test]
    fn a_misspelt_name_suggests_the_nearest() {
        let error = canonical("timeout", "30").unwrap_err();
        assert_eq!(error.to_string(), "there is no parameter \"timeout\"; did you mean \"timeout_s\"?");
        let error = canonical("colour", "red").unwrap_err();
        assert!(error.to_string().contains("there are application_type, "), "{error}");
    }

    #[test]
    fn a_value_out_of_range_names_the_range() {
        assert_eq!(
            canonical("timeout_s", "100").unwrap_err().to_string(),
            "timeout_s cannot be \"100\": it takes a whole number from 1 to 99"
        );
        for bad in ["", "-1", "+1", "1.5", "0", "99999999999999", "１"] {
            assert!(canonical("timeout_s", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn switches_take_words_and_give_digits() {
        assert_eq!(canonical("tip_allowed", "Yes").unwrap(), "1");
        assert_eq!(canonical("tip_allowed", "off").unwrap(), "0");
        assert!(canonical("tip_allowed", "2").is_err());
    }

    #[test]
    fn a_merchant_name_keeps_no_space_at_its_ends_not_even_a_wide_one() {
        assert_eq!(canonical("merchant_name", " \u{3000}商户\u{3000}一\u{3000}").unwrap(), "商户\u{3000}一");
    }

    #[test]
    fn a_merchant_name_is_measured_in_gbk() {
        let twenty = "银".repeat(20);
        assert_eq!(canonical("merchant_name", &twenty).unwrap(), twenty);
        let error = canonical("merchant_name", &"银".repeat(21)).unwrap_err();
        assert!(error.to_string().contains("this has 42"), "{error}");
        assert!(canonical("merchant_name", "no 🐼 please").is_err());
        assert!(canonical("merchant_name", "no\nlines").is_err());
    }

    proptest! {
        #[test]
        fn the_canonical_spelling_is_canonical(index in 0..SCHEMA.len(), value in "\\PC{0,20}|[0-9]{1,4}|true|no") {
            let name = SCHEMA[index].name;
            if let Ok(once) = canonical(name, &value) {
                prop_assert_eq!(canonical(name, &once).unwrap(), once);
            }
        }
    }
}

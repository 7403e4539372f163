//! Numbers where serde reads values before it knows their types.
//!
//! For `#[serde(with = "iso8583::fields::number")]` on the members of a flattened struct or of an
//! untagged or internally tagged enum; `#[serde(default, with = …)]` on an `Option`. Elsewhere
//! numbers need nothing.
//!
//! ```
//! #[derive(serde::Deserialize)]
//! struct Payment {
//!     #[serde(flatten)]
//!     exchange: Exchange,
//! }
//!
//! #[derive(serde::Deserialize)]
//! struct Exchange {
//!     #[serde(rename = "11", with = "iso8583::fields::number")]
//!     trace: u32,
//!     #[serde(rename = "70", default, with = "iso8583::fields::number")]
//!     code: Option<u16>,
//! }
//!
//! let dialect = iso8583::Dialect::builtin("iso87-ascii").ok_or("no such dialect")?;
//! let message = iso8583::Message::parse(dialect, b"08000020000000000000000042")?;
//! let payment: Payment = message.deserialize()?;
//! assert_eq!((payment.exchange.trace, payment.exchange.code), (42, None));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, Visitor};
use serde::{Deserializer, Serialize, Serializer};

/// A type that [`number`](self) reads: the integers of Rust up to 64 bits, and `Option`s of them.
pub trait Number: Serialize + Sized {
    /// The number that decimal digits stand for, after `C` or `D` for a signed amount. `None` when
    /// it is none or the type cannot hold it.
    fn from_text(text: &str) -> Option<Self>;

    /// What stands for no value at all, in formats that can say so; `None` for plain integers.
    fn absent() -> Option<Self> {
        None
    }
}

/// Reads a number from its text or from a number.
///
/// # Errors
///
/// When the value is not a decimal number or the type cannot hold it.
pub fn deserialize<'de, D: Deserializer<'de>, T: Number>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_any(Digits(PhantomData))
}

/// Writes a number as its type does.
///
/// # Errors
///
/// Those of the serializer.
pub fn serialize<T: Number, S: Serializer>(number: &T, serializer: S) -> Result<S::Ok, S::Error> {
    number.serialize(serializer)
}

struct Digits<T>(PhantomData<T>);

impl<'de, T: Number> Visitor<'de> for Digits<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a decimal number that fits its type")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text).ok_or_else(refused)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        let sign = if number < 0 { "D" } else { "C" };
        self.visit_str(&format!("{sign}{}", number.unsigned_abs()))
    }

    fn visit_none<E: Error>(self) -> Result<T, E> {
        T::absent().ok_or_else(refused)
    }

    fn visit_unit<E: Error>(self) -> Result<T, E> {
        self.visit_none()
    }
}

/// Does not say the value, which may be a card number.
fn refused<E: Error>() -> E {
    E::custom("a number is missing, is not decimal or does not fit its type")
}

macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl Number for $number {
            fn from_text(text: &str) -> Option<Self> {
                let (negative, digits) = match text.strip_prefix('D') {
                    Some(debit) => (true, debit),
                    None => (false, text.strip_prefix('C').unwrap_or(text)),
                };
                if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                    return None;
                }
                let number: i128 = digits.parse().ok()?;
                Self::try_from(if negative { -number } else { number }).ok()
            }
        }

        impl Number for Option<$number> {
            fn from_text(text: &str) -> Option<Self> {
                <$number>::from_text(text).map(Some)
            }

            fn absent() -> Option<Self> {
                Some(None)
            }
        }
    )*};
}

numbers!(u8 u16 u32 u64 i8 i16 i32 i64);

//! Messages as structs: every type that `serde` can derive is read from a message and written into
//! one.
//!
//! ```
//! use iso8583::{Dialect, Message, to_builder};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize, Serialize)]
//! struct SignOn<'a> {
//!     mti: &'a str,
//!     #[serde(rename = "11")]
//!     trace: u32,
//!     #[serde(rename = "37")]
//!     reference: Option<&'a str>,
//!     #[serde(rename = "41")]
//!     terminal: &'a str,
//! }
//!
//! let dialect = Dialect::builtin("iso87-ascii").ok_or("no such dialect")?;
//! let sign_on = SignOn { mti: "0800", trace: 1, reference: None, terminal: "TERM0001" };
//! let bytes = to_builder(dialect, &sign_on)?.build()?;
//! assert_eq!(bytes, b"08000020000000800000000001TERM0001");
//!
//! let read: SignOn = Message::parse(dialect, &bytes)?.deserialize()?; // copies no text
//! assert_eq!((read.trace, read.terminal), (1, "TERM0001"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Names
//!
//! A member is named by the path of its field, `#[serde(rename = "41")]`; the member `mti` is the
//! message type. Fields that a struct does not name are passed over, unless it says
//! `deny_unknown_fields`; an absent field is `None`, or an error where the member is no `Option`
//! and has no `#[serde(default)]`. A map takes the type and all fields.
//!
//! # Values
//!
//! | in Rust | in the message |
//! |---|---|
//! | `String`, `&str`, `Cow<str>` | the text of [`Field::text`](crate::Field::text): hexadecimal for class `b`, digits without filler, GBK as `\xB2` |
//! | `Vec<u8>`, `&[u8]`, `Cow<[u8]>`, `[u8; 8]` | the bytes of class `b`, else one byte for each character |
//! | `u8` … `u128`, `i8` … `i128` | decimal digits; written with zeros in front in a field of fixed length. `x+n` is negative for `D` |
//! | `bool` | the digit 0 or 1 |
//! | `char`, enums of unit variants | the text; name the variants by it, `#[serde(rename = "00")]` |
//! | `Option` | a field that may be absent |
//!
//! `&str` and `&[u8]` borrow from the bytes of the message and are refused where the characters do
//! not stand there as they are: packed digits, EBCDIC, hexadecimal, escapes. `Cow` takes both, and
//! borrows where it can under `#[serde(borrow)]` (within an `Option`, serde always copies it).
//!
//! # Subfields
//!
//! Where the dialect divides a field, a struct or a map takes its subfields by the last step of
//! their paths, and so on inside of those; or the struct of the message names a subfield by its
//! whole path. A tag that occurs several times is a `Vec`. (A `Vec<u8>` is always the bytes of one
//! value, and an empty list leaves a subfield out.)
//!
//! ```
//! # use iso8583::{Dialect, Message, to_builder};
//! # use serde::{Deserialize, Serialize};
//! #[derive(Debug, PartialEq, Deserialize, Serialize)]
//! struct SignOn {
//!     mti: String,
//!     #[serde(rename = "53.2")]
//!     algorithm: Option<u8>,
//!     #[serde(rename = "60")]
//!     function: Function,
//! }
//!
//! #[derive(Debug, PartialEq, Deserialize, Serialize)]
//! struct Function {
//!     #[serde(rename = "1")]
//!     kind: String,
//!     #[serde(rename = "2")]
//!     batch: u32,
//!     #[serde(rename = "3")]
//!     code: u16,
//! }
//!
//! let dialect = Dialect::builtin("unionpay").ok_or("no such dialect")?;
//! let function = Function { kind: "00".to_owned(), batch: 519, code: 3 };
//! let sign_on = SignOn { mti: "0800".to_owned(), algorithm: None, function };
//! let bytes = to_builder(dialect, &sign_on)?.build()?;
//! let message = Message::parse(dialect, &bytes)?;
//! assert_eq!(message.text("60").as_deref(), Some("00000519003"));
//! assert_eq!(message.deserialize::<SignOn>()?, sign_on);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # One enum for several message types
//!
//! The variants of an enum at the outermost place are message types:
//!
//! ```
//! # use iso8583::{Dialect, Message};
//! # use serde::Deserialize;
//! #[derive(Deserialize)]
//! enum Incoming {
//!     #[serde(rename = "0800")]
//!     Management(Management),
//!     #[serde(rename = "0200")]
//!     Sale {
//!         #[serde(rename = "4")]
//!         amount: u64,
//!     },
//! }
//!
//! #[derive(Deserialize)]
//! struct Management {
//!     #[serde(rename = "70")]
//!     code: u16,
//! }
//!
//! let dialect = Dialect::builtin("iso87-ascii").ok_or("no such dialect")?;
//! let message = Message::parse(dialect, b"080080000000000000000400000000000000301")?;
//! match message.deserialize()? {
//!     Incoming::Management(management) => assert_eq!(management.code, 301),
//!     Incoming::Sale { .. } => return Err("not a sale".into()),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where serde hides the types
//!
//! For members of a struct under `#[serde(flatten)]`, and for untagged and internally tagged enums,
//! serde reads values before it knows their types. They are texts then: `String`, `Cow<str>`, enums
//! and maps of those work, numbers take `#[serde(with = "iso8583::fields::number")]`, and paths of
//! subfields are not found. Reading two structs from one message, and
//! [serializing](crate::Builder::serialize) two into one, does the same without these limits.

mod error;
mod hide;
mod integer;
pub mod number;
mod output;
mod parts;
mod read;
mod value;
mod write;

use serde::{Deserialize, Serialize};

pub use error::{FieldsError, FieldsReason};

use crate::builder::Builder;
use crate::dialect::Dialect;
use crate::message::Message;

impl<'a> Message<'a> {
    /// Reads the message into a type, usually a struct that derives `Deserialize`. The module
    /// [`fields`](crate::fields) says which types take which fields.
    ///
    /// Values are **unmasked**.
    ///
    /// # Errors
    ///
    /// The first field that is missing or that its type does not take, with its path and byte
    /// offset, without its value.
    pub fn deserialize<T: Deserialize<'a>>(&self) -> Result<T, FieldsError> {
        read::read(self)
    }
}

impl Builder<'_> {
    /// Sets the fields that a struct or a map names; the key `mti` sets the message type. Fields
    /// set before stay. The module [`fields`](crate::fields) says which types give which fields.
    ///
    /// # Errors
    ///
    /// The first field that cannot hold its value, with its path. Fields before it are set then.
    pub fn serialize<T: Serialize + ?Sized>(&mut self, fields: &T) -> Result<&mut Self, FieldsError> {
        write::write(self, fields)?;
        Ok(self)
    }
}

/// Makes a message from a struct or a map that gives its type under the key `mti`, or from an enum
/// whose variants are message types. [`Builder::serialize`] takes the type from the builder
/// instead.
///
/// # Errors
///
/// As [`Builder::serialize`], and [`FieldsReason::NoMti`] when there is no type.
pub fn to_builder<'d, T: Serialize + ?Sized>(
    dialect: &'d Dialect,
    fields: &T,
) -> Result<Builder<'d>, FieldsError> {
    write::new(dialect, fields)
}

//! ISO 8583 messages: bytes to fields and back, for many dialects.
//!
//! A [`Dialect`] says how a family of peers writes messages. [`Message::parse`] reads one without
//! copying its bytes; [`Builder`] makes one; [`framing`] cuts messages from a stream. Card
//! numbers, track data, PINs and keys print masked.
//!
//! ```
//! use iso8583::{Builder, Dialect, Message, Mti};
//!
//! let dialect = Dialect::builtin("unionpay").ok_or("no such dialect")?;
//! let mut sign_on = Builder::new(dialect, "0800".parse::<Mti>()?);
//! sign_on.set(11, "000001")?.set(41, "99999906")?.set(60, "00000000003")?;
//! let bytes = sign_on.build()?;
//!
//! let message = Message::parse(dialect, &bytes)?;
//! assert_eq!(message.text("41").as_deref(), Some("99999906"));
//! assert_eq!(message.text("60.3").as_deref(), Some("003"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! In reading order:
//!
//! - [`Dialect`] and [`FieldFormat`]: how fields are written; the files in `dialects/` explain the
//!   format of dialect files
//! - [`Message`] and [`Field`]: reading, strictly or leniently; [`ParseError`] names field or
//!   subfield, byte and reason
//! - [`Structure`]: what is inside of fields; subfields are fields with a longer [`Path`]
//! - [`Builder`]: writing; every value is checked when it is set
//! - [`fields`]: messages as structs, with serde
//! - [`framing`]: lengths, transport addresses, headers; with feature `codec`, for Tokio
//! - [`tlv`]: data objects inside fields
//! - [`Message::describe`], [`diff`], [`doctor`]: what a message says, how two differ, and what
//!   unknown bytes are
//! - [`mask`]: what is not shown, and how card numbers are found in text and bytes

mod bitmap;
mod builder;
mod class;
#[cfg(feature = "codec")]
pub mod codec;
pub mod describe;
mod dialect;
pub mod diff;
pub mod doctor;
mod ebcdic;
mod error;
mod field;
pub mod fields;
mod format;
pub mod framing;
pub mod mask;
mod message;
mod mti;
mod paint;
mod path;
mod plan;
mod quick;
mod read;
mod scan;
mod structure;
mod text;
pub mod tlv;
mod view;
mod write;

pub use builder::{Builder, Content};
pub use class::Class;
pub use dialect::{BitmapEncoding, Dialect, DialectError, MtiEncoding, StructureCase};
pub use error::{AccessError, AccessKind, BuildError, ParseError, ParseReason, ValueError};
pub use field::Field;
pub use fields::{FieldsError, FieldsReason, to_builder};
pub use format::{
    Align, Binary, Charset, DatePattern, DateTime, Digits, FieldFormat, Fill, Length, LengthEncoding, Part,
    Unit,
};
pub use mask::{MASK, Sensitivity};
pub use message::{Lenient, MAX_MESSAGE_BYTES, Message, Partial};
pub use mti::{Mti, MtiError};
pub use path::{MAX_DEPTH, Path, Step, SubPath, Tag};
pub use structure::{Own, OwnStructure, Structure, Tags};

//! Framing: where a message begins and ends on a stream, and what stands before it.
//!
//! A [`Framing`] is a product of small choices, and its name in configuration files and on command
//! lines lists the parts in the order in which they stand on the wire, with `-` between them:
//!
//! | word | part |
//! |---|---|
//! | `len2` `len2le` | a length of two bytes, most or least significant first |
//! | `len4` `len4le` | a length of four bytes, likewise |
//! | `ascii4` | a length of four ASCII digits |
//! | `bcd2` | a length of two bytes, two decimal digits each |
//! | `cmf3` | a length of three bytes, most significant first |
//! | `incl` | the length before it counts itself too; without the word it counts what follows it |
//! | `x02` | a constant byte, here 0x02, in front of the length, which does not count it |
//! | `tpdu` | five bytes of address, [`Tpdu`] |
//! | `header` | the six-byte UnionPay header, [`Header`] |
//! | `header12` | a vendor's header of twelve opaque bytes, such as `ISO014000000`; 1 to 255 |
//! | `stx` … `etx-lrc` | STX, the parts between, the message, ETX, and a check byte by exclusive or |
//! | `stx` … `etx-sum` | the same with a check byte by sum ([`Lrc::Sum`]) |
//! | `none` | nothing but the message: for datagrams, files and HTTP bodies |
//!
//! | name | who |
//! |---|---|
//! | `len2-tpdu-header` | UnionPay terminals over TCP |
//! | `x02-len2-tpdu-header` | the same on links that put 0x02 in front |
//! | `tpdu-header` | the same over dial-up lines, whose protocol delimits |
//! | `len2`, `len2-incl`, `ascii4`, `len4` | most hosts |
//! | `ascii4-header12`, `len2-header11` | hosts whose messages begin with a constant text |
//! | `bcd2-tpdu` | network access controllers with a decimal length |
//! | `cmf3` | jPOS-CMF peers |
//! | `stx-bcd2-tpdu-etx-sum` | the UnionPay TMS interface for terminals |
//! | `stx-etx-lrc` | serial lines; only for messages of text, as ETX cannot stand in one |
//!
//! [`Framing::split`] and [`Framing::encode`] are functions of their arguments. A [`Splitter`]
//! does the same on a buffer that grows. With feature `codec`, `iso8583::codec::FrameCodec` does
//! it for Tokio.
//!
//! ```
//! use iso8583::framing::{Frame, Framing};
//!
//! let framing: Framing = "len2-tpdu".parse()?;
//! let mut stream = Vec::new();
//! let request = Frame { tpdu: Some("6000030000".parse()?), body: b"0800", ..Frame::default() };
//! framing.encode(&mut stream, &request)?;
//! assert_eq!(stream, b"\x00\x09\x60\x00\x03\x00\x000800");
//!
//! assert_eq!(framing.split(&stream[..7], 4096)?, None);
//! assert_eq!(framing.split(&stream, 4096)?, Some((request, 11)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod encode;
mod error;
mod frame;
mod header;
mod hex;
mod lrc;
mod name;
mod prefix;
mod split;
mod tpdu;

use std::num::NonZeroU8;

pub use error::FrameError;
pub use frame::Frame;
pub use header::Header;
pub use hex::HexError;
pub use lrc::Lrc;
pub use name::FramingNameError;
pub use prefix::{Prefix, PrefixForm};
pub use split::Splitter;
pub use tpdu::Tpdu;

#[cfg(feature = "codec")]
pub(crate) use frame::fmt_lengths;

/// The byte before a frame of [`Bounds::StxEtx`].
const STX: u8 = 0x02;
/// The byte behind its message.
const ETX: u8 = 0x03;

/// How messages are delimited on a stream and what stands before each.
///
/// Every combination is valid. The text form is explained in the [module's documentation](self).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Framing {
    /// What delimits a frame.
    pub bounds: Bounds,
    /// Whether frames carry a [`Tpdu`].
    pub tpdu: bool,
    /// The header after the TPDU.
    pub heading: Heading,
}

/// What delimits a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Bounds {
    /// Nothing: what was received, sent or stored together is one frame.
    #[default]
    Whole,
    /// A length.
    Length {
        /// A constant byte in front of the length, which does not count it.
        lead: Option<u8>,
        /// The length.
        prefix: Prefix,
    },
    /// STX (0x02) in front, ETX (0x03) and a check byte behind.
    StxEtx {
        /// A length right after STX, which counts what stands between it and ETX. Without one the
        /// first ETX after TPDU and header ends the message, and a message cannot contain one:
        /// this is for messages of text.
        prefix: Option<Prefix>,
        /// The check byte.
        lrc: Lrc,
    },
}

/// The header between TPDU and message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Heading {
    /// None.
    #[default]
    None,
    /// The six-byte UnionPay [`Header`].
    UnionPay,
    /// So many bytes that this library does not interpret, such as the twelve of `ISO014000000`.
    Vendor(NonZeroU8),
}

impl Heading {
    /// A vendor's header of `len_bytes`; zero bytes are no header.
    #[must_use]
    pub const fn vendor(len_bytes: u8) -> Self {
        match NonZeroU8::new(len_bytes) {
            Some(len_bytes) => Self::Vendor(len_bytes),
            None => Self::None,
        }
    }
}

impl Framing {
    /// `none`: nothing but the message.
    pub const NONE: Self = Self { bounds: Bounds::Whole, tpdu: false, heading: Heading::None };
    /// `len2`: an unsigned big-endian 16-bit length of what follows, then the message.
    pub const LEN2: Self = Self::length(Prefix::new(PrefixForm::Len2));
    /// `len2-tpdu`: a 16-bit length, a [`Tpdu`], the message.
    pub const LEN2_TPDU: Self = Self { tpdu: true, ..Self::LEN2 };
    /// `len2-tpdu-header`: a 16-bit length, a [`Tpdu`], a UnionPay [`Header`], the message.
    pub const LEN2_TPDU_HEADER: Self = Self { heading: Heading::UnionPay, ..Self::LEN2_TPDU };
    /// `ascii4`: four ASCII digits that say the length of what follows, then the message.
    pub const ASCII4: Self = Self::length(Prefix::new(PrefixForm::Ascii4));
    /// `stx-etx-lrc`: STX, a message of text, ETX, a check byte by exclusive or.
    pub const STX_ETX_LRC: Self =
        Self { bounds: Bounds::StxEtx { prefix: None, lrc: Lrc::Xor }, ..Self::NONE };
    /// `stx-bcd2-tpdu-etx-sum`: the frame of the UnionPay TMS interface for terminals.
    pub const UNIONPAY_TMS: Self = Self {
        bounds: Bounds::StxEtx { prefix: Some(Prefix::new(PrefixForm::Bcd2)), lrc: Lrc::Sum },
        tpdu: true,
        heading: Heading::None,
    };

    /// The framings that are met most, in the order in which a guess should try them.
    ///
    /// These are examples: the choices combine to many more.
    pub const COMMON: [Self; 16] = [
        Self::NONE,
        Self::LEN2,
        Self::LEN2_TPDU,
        Self::LEN2_TPDU_HEADER,
        Self::ASCII4,
        Self::length(Prefix::inclusive(PrefixForm::Len2)),
        Self::length(Prefix::new(PrefixForm::Len2Le)),
        Self::length(Prefix::new(PrefixForm::Len4)),
        Self::length(Prefix::inclusive(PrefixForm::Ascii4)),
        Self { heading: Heading::vendor(12), ..Self::ASCII4 },
        Self { heading: Heading::vendor(11), ..Self::LEN2 },
        Self { tpdu: true, ..Self::length(Prefix::new(PrefixForm::Bcd2)) },
        Self::length(Prefix::new(PrefixForm::Bcd2)),
        Self::length(Prefix::new(PrefixForm::Cmf3)),
        Self::UNIONPAY_TMS,
        Self::STX_ETX_LRC,
    ];

    /// A length and nothing else before the message.
    #[must_use]
    pub const fn length(prefix: Prefix) -> Self {
        Self { bounds: Bounds::Length { lead: None, prefix }, ..Self::NONE }
    }

    /// Whether the end of a frame can be told on a stream. Without it ([`Bounds::Whole`]) only the
    /// transport's own ends delimit: of a datagram, a body, a file, a connection.
    #[must_use]
    pub const fn delimits(self) -> bool {
        !matches!(self.bounds, Bounds::Whole)
    }

    /// Whether frames carry a [`Tpdu`].
    #[must_use]
    pub const fn has_tpdu(self) -> bool {
        self.tpdu
    }

    /// Whether frames carry a UnionPay [`Header`].
    #[must_use]
    pub const fn has_header(self) -> bool {
        matches!(self.heading, Heading::UnionPay)
    }

    /// Bytes of the vendor's header in every frame; 0 without one.
    #[must_use]
    pub const fn vendor_len(self) -> usize {
        match self.heading {
            Heading::Vendor(len_bytes) => len_bytes.get() as usize,
            _ => 0,
        }
    }

    /// Bytes of TPDU and header.
    const fn before_body_len(self) -> usize {
        let tpdu = if self.tpdu { 5 } else { 0 };
        let header = if self.has_header() { 6 } else { 0 };
        tpdu + header + self.vendor_len()
    }
}

#[cfg(test)]
mod tests;

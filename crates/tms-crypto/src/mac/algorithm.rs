//! The algorithms and forms, with their names in configuration files.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Code;

/// How a MAC is computed. Names in parentheses are those of configuration files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum MacAlgorithm {
    /// The MAC of UnionPay POS terminals, 银联 ECB 算法 (`unionpay-ecb`): all blocks XORed into one,
    /// that one written as 16 upper-case hexadecimal characters, their first half encrypted, XORed
    /// with the second and encrypted again (unionpay.md §5.1). DES with a key of 8 bytes, triple
    /// DES with 16 or 24.
    UnionPayEcb,
    /// ANSI X9.9 (`x9.9`): DES-CBC-MAC, data filled up with zeros. Key of 8 bytes.
    X9_9,
    /// ANSI X9.19, the retail MAC (`x9.19`): as X9.9 with the first half of the key, the last block
    /// then decrypted with the second half and encrypted with the first. Key of 16 bytes.
    X9_19,
    /// ISO/IEC 9797-1 MAC algorithm 1 with padding method 1, zeros (`iso9797-1-alg1-pad1`).
    /// CBC-MAC of DES with a key of 8 bytes, of triple DES with 16 or 24.
    Iso9797Alg1Pad1,
    /// The same with padding method 2, `80` and then zeros (`iso9797-1-alg1-pad2`).
    Iso9797Alg1Pad2,
    /// ISO/IEC 9797-1 MAC algorithm 3 with padding method 1 (`iso9797-1-alg3-pad1`), which is X9.19.
    Iso9797Alg3Pad1,
    /// The same with padding method 2 (`iso9797-1-alg3-pad2`). Key of 16 bytes.
    Iso9797Alg3Pad2,
    /// AES-CMAC of RFC 4493 and NIST SP 800-38B (`aes-cmac`). Key of 16, 24 or 32 bytes.
    AesCmac,
    /// The UnionPay shape over SM4 (`unionpay-sm4`): blocks of 16 bytes, 32 hexadecimal characters
    /// (unionpay.md §5.3). Key of 16 bytes.
    UnionPaySm4,
    /// SM4-CBC-MAC, data filled up with zeros (`sm4-cbc`; unionpay.md §5.3). Key of 16 bytes.
    Sm4Cbc,
}

impl MacAlgorithm {
    /// Every algorithm.
    pub const ALL: [Self; 10] = [
        Self::UnionPayEcb,
        Self::X9_9,
        Self::X9_19,
        Self::Iso9797Alg1Pad1,
        Self::Iso9797Alg1Pad2,
        Self::Iso9797Alg3Pad1,
        Self::Iso9797Alg3Pad2,
        Self::AesCmac,
        Self::UnionPaySm4,
        Self::Sm4Cbc,
    ];

    /// The name in configuration files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UnionPayEcb => "unionpay-ecb",
            Self::X9_9 => "x9.9",
            Self::X9_19 => "x9.19",
            Self::Iso9797Alg1Pad1 => "iso9797-1-alg1-pad1",
            Self::Iso9797Alg1Pad2 => "iso9797-1-alg1-pad2",
            Self::Iso9797Alg3Pad1 => "iso9797-1-alg3-pad1",
            Self::Iso9797Alg3Pad2 => "iso9797-1-alg3-pad2",
            Self::AesCmac => "aes-cmac",
            Self::UnionPaySm4 => "unionpay-sm4",
            Self::Sm4Cbc => "sm4-cbc",
        }
    }

    /// The lengths that a key may have, in bytes.
    #[must_use]
    pub fn key_lengths(self) -> &'static [usize] {
        match self {
            Self::UnionPayEcb | Self::Iso9797Alg1Pad1 | Self::Iso9797Alg1Pad2 => &[8, 16, 24],
            Self::X9_9 => &[8],
            Self::X9_19
            | Self::Iso9797Alg3Pad1
            | Self::Iso9797Alg3Pad2
            | Self::UnionPaySm4
            | Self::Sm4Cbc => &[16],
            Self::AesCmac => &[16, 24, 32],
        }
    }

    /// Whether the code over no data at all is defined.
    pub(super) fn takes_no_data(self) -> bool {
        matches!(self, Self::Iso9797Alg1Pad2 | Self::Iso9797Alg3Pad2 | Self::AesCmac)
    }
}

/// How much of the result travels, and how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum MacForm {
    /// The first four bytes as eight upper-case hexadecimal characters in ASCII (`hex-8`): UnionPay.
    Hex8,
    /// The first four bytes (`bytes-4`).
    Bytes4,
    /// The first eight bytes (`bytes-8`).
    Bytes8,
}

impl MacForm {
    /// Every form.
    pub const ALL: [Self; 3] = [Self::Hex8, Self::Bytes4, Self::Bytes8];

    /// The name in configuration files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hex8 => "hex-8",
            Self::Bytes4 => "bytes-4",
            Self::Bytes8 => "bytes-8",
        }
    }

    /// Bytes on the wire.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a form is never empty")]
    pub fn len(self) -> usize {
        match self {
            Self::Hex8 | Self::Bytes8 => 8,
            Self::Bytes4 => 4,
        }
    }

    /// The bytes on the wire, of a whole result of at least eight bytes.
    pub(super) fn of(self, whole: &[u8]) -> Code {
        let four = whole.get(..4).unwrap_or(whole);
        match self {
            Self::Hex8 => {
                let mut characters = [0; 8];
                // Four bytes are eight characters.
                let _ = hex::encode_to_slice(four, &mut characters);
                characters.make_ascii_uppercase();
                Code::new(&characters)
            }
            Self::Bytes4 => Code::new(four),
            Self::Bytes8 => Code::new(whole.get(..8).unwrap_or(whole)),
        }
    }
}

/// A name that no algorithm, or no form, has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{found}' is no {what}; known are {known}")]
pub struct UnknownMacName {
    what: &'static str,
    found: String,
    known: String,
}

macro_rules! named {
    ($type:ty, $what:literal) => {
        impl FromStr for $type {
            type Err = UnknownMacName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.into_iter().find(|value| value.name() == text).ok_or_else(|| UnknownMacName {
                    what: $what,
                    found: text.chars().take(40).collect(),
                    known: Self::ALL.map(Self::name).join(", "),
                })
            }
        }

        impl TryFrom<String> for $type {
            type Error = UnknownMacName;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.name().to_owned()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

named!(MacAlgorithm, "MAC algorithm");
named!(MacForm, "MAC form");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_also_through_serde() {
        for algorithm in MacAlgorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
            let json = serde_json::to_string(&algorithm).unwrap();
            assert_eq!(json, format!("\"{}\"", algorithm.name()));
            assert_eq!(serde_json::from_str::<MacAlgorithm>(&json).unwrap(), algorithm);
        }
        for form in MacForm::ALL {
            assert_eq!(form.to_string().parse(), Ok(form));
            let json = serde_json::to_string(&form).unwrap();
            assert_eq!(serde_json::from_str::<MacForm>(&json).unwrap(), form);
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = "x9.91".parse::<MacAlgorithm>().unwrap_err().to_string();
        assert!(error.starts_with("'x9.91' is no MAC algorithm; known are unionpay-ecb, x9.9, "), "{error}");
        assert!("HEX-8".parse::<MacForm>().is_err());
    }

    #[test]
    fn each_form_has_the_length_it_says() {
        for form in MacForm::ALL {
            assert_eq!(form.of(&[0xAB; 16]).len(), form.len());
        }
        assert_eq!(*MacForm::Hex8.of(&[0x8A, 0x9E, 0x91, 0xB8, 0x8D, 0, 0, 0]), *b"8A9E91B8");
    }
}

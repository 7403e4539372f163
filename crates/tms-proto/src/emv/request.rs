use std::{fmt, ops::Deref};

use iso8583::tlv;
use serde::{Deserialize, Serialize};

use super::{
    Aid, CapkId, EmvError, MAX_ENTRIES,
    blacklist::number,
    element::{Elements, tag},
};
use crate::profile::{Function, PendingWork};

/// What can be downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DownloadKind {
    /// The card organisations' public keys.
    Capk,
    /// The parameters of chip applications.
    Aid,
    /// The card blacklist.
    Blacklist,
    /// Where and when to call the TMS.
    TmsParameters,
}

impl DownloadKind {
    /// The download that a host announces as waiting work.
    #[must_use]
    pub fn of(work: PendingWork) -> Option<Self> {
        Some(match work {
            PendingWork::Capk => Self::Capk,
            PendingWork::Aid => Self::Aid,
            PendingWork::Blacklist => Self::Blacklist,
            PendingWork::TmsParameters => Self::TmsParameters,
            _ => return None,
        })
    }

    /// How a host announces it.
    #[must_use]
    pub fn work(self) -> PendingWork {
        match self {
            Self::Capk => PendingWork::Capk,
            Self::Aid => PendingWork::Aid,
            Self::Blacklist => PendingWork::Blacklist,
            Self::TmsParameters => PendingWork::TmsParameters,
        }
    }
}

impl fmt::Display for DownloadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Capk => "CAPK",
            Self::Aid => "AID",
            Self::Blacklist => "blacklist",
            Self::TmsParameters => "TMS parameters",
        })
    }
}

/// One question of a download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DownloadRequest {
    /// 372: the list of keys after the first `from`.
    CapkList {
        /// Entries that the terminal has, up to 99.
        from: u8,
    },
    /// 370: one key.
    Capk(CapkId),
    /// 371: the terminal has the keys.
    CapkEnd,
    /// 382: the list of applications after the first `from`.
    AidList {
        /// Entries that the terminal has, up to 99.
        from: u8,
    },
    /// 380: one application.
    Aid(Aid),
    /// 381: the terminal has the applications.
    AidEnd,
    /// 390: the blocked cards from this number on.
    Blacklist {
        /// Number of the first card wanted, 0 to 999.
        from: u16,
    },
    /// 391: the terminal has the blacklist.
    BlacklistEnd,
    /// 364: the TMS parameters.
    TmsParameters,
    /// 365: the terminal has the TMS parameters.
    TmsParametersEnd,
}

impl DownloadRequest {
    /// The function that carries it.
    #[must_use]
    pub fn function(&self) -> Function {
        match self {
            Self::CapkList { .. } => Function::CapkList,
            Self::Capk(_) => Function::CapkDownload,
            Self::CapkEnd => Function::CapkEnd,
            Self::AidList { .. } => Function::AidList,
            Self::Aid(_) => Function::AidDownload,
            Self::AidEnd => Function::AidEnd,
            Self::Blacklist { .. } => Function::Blacklist,
            Self::BlacklistEnd => Function::BlacklistEnd,
            Self::TmsParameters => Function::TmsParameters,
            Self::TmsParametersEnd => Function::TmsParametersEnd,
        }
    }

    /// The download that it is part of.
    #[must_use]
    pub fn kind(&self) -> DownloadKind {
        match self {
            Self::CapkList { .. } | Self::Capk(_) | Self::CapkEnd => DownloadKind::Capk,
            Self::AidList { .. } | Self::Aid(_) | Self::AidEnd => DownloadKind::Aid,
            Self::Blacklist { .. } | Self::BlacklistEnd => DownloadKind::Blacklist,
            Self::TmsParameters | Self::TmsParametersEnd => DownloadKind::TmsParameters,
        }
    }

    /// Whether it ends its download: the terminal has made everything durable.
    #[must_use]
    pub fn is_end(&self) -> bool {
        matches!(self, Self::CapkEnd | Self::AidEnd | Self::BlacklistEnd | Self::TmsParametersEnd)
    }

    /// The body of the request; empty when it has none.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::CapkList { from } | Self::AidList { from } => {
                out.extend_from_slice(format!("1{:02}", usize::from(*from).min(MAX_ENTRIES)).as_bytes());
            }
            Self::Capk(id) => id.encode(&mut out),
            Self::Aid(aid) => tlv::write(&mut out, tag::AID, aid.as_bytes()),
            Self::Blacklist { from } => out.extend_from_slice(format!("{:03}", from.min(&999)).as_bytes()),
            Self::CapkEnd
            | Self::AidEnd
            | Self::BlacklistEnd
            | Self::TmsParameters
            | Self::TmsParametersEnd => {}
        }
        out
    }

    /// Reads the body of a request; `None` when the function is no part of a download.
    ///
    /// # Errors
    /// Says what of the body is malformed.
    pub fn decode(function: Function, body: &[u8]) -> Option<Result<Self, EmvError>> {
        Some(match function {
            Function::CapkList => count(body).map(|from| Self::CapkList { from }),
            Function::CapkDownload => {
                Elements::read(body).and_then(|mut e| CapkId::take(&mut e)).map(Self::Capk)
            }
            Function::CapkEnd => Ok(Self::CapkEnd),
            Function::AidList => count(body).map(|from| Self::AidList { from }),
            Function::AidDownload => Elements::read(body).and_then(|mut e| Aid::take(&mut e)).map(Self::Aid),
            Function::AidEnd => Ok(Self::AidEnd),
            Function::Blacklist => match number(body) {
                Some(from) if body.len() == 3 => Ok(Self::Blacklist { from }),
                _ => Err(EmvError::Digits { what: "the start index", offset: 0, wanted: "three digits" }),
            },
            Function::BlacklistEnd => Ok(Self::BlacklistEnd),
            Function::TmsParameters => Ok(Self::TmsParameters),
            Function::TmsParametersEnd => Ok(Self::TmsParametersEnd),
            _ => return None,
        })
    }
}

/// `1` and the two-digit number of entries that the terminal has.
fn count(body: &[u8]) -> Result<u8, EmvError> {
    let digits = body.strip_prefix(b"1").filter(|digits| digits.len() == 2);
    let count = digits.and_then(number).and_then(|n| u8::try_from(n).ok());
    count.ok_or(EmvError::Digits { what: "the list question", offset: 0, wanted: "'1' and two digits" })
}

/// The body of a reply of a download. `Debug` prints its length only: it may name cards.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct DownloadBody(pub Vec<u8>);

impl Deref for DownloadBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for DownloadBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DownloadBody({} bytes)", self.0.len())
    }
}

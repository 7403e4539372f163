use std::{fmt, ops::Deref};

use iso8583::tlv;
use serde::{Deserialize, Serialize};

use super::{
    Aid, CapkId, EmvError, MAX_ENTRIES,
    element::{Elements, tag},
    numbered::number,
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
    /// Contactless parameters (非接业务参数).
    Contactless,
    /// Card ranges that need no PIN (免密新增 BIN 表).
    PinFreeBins,
    /// Cards of those ranges that need one all the same (免密卡 BIN 黑名单).
    PinFreeBlacklist,
}

impl DownloadKind {
    /// Every kind, in the order of their declaration.
    pub const ALL: &'static [Self] = &[
        Self::Capk,
        Self::Aid,
        Self::Blacklist,
        Self::TmsParameters,
        Self::Contactless,
        Self::PinFreeBins,
        Self::PinFreeBlacklist,
    ];

    /// The first question of the download.
    #[must_use]
    pub fn first(self) -> DownloadRequest {
        match self {
            Self::Capk => DownloadRequest::CapkList { from: 0 },
            Self::Aid => DownloadRequest::AidList { from: 0 },
            Self::Blacklist => DownloadRequest::Blacklist { from: 0 },
            Self::TmsParameters => DownloadRequest::TmsParameters,
            Self::Contactless => DownloadRequest::Contactless { from: 0 },
            Self::PinFreeBins => DownloadRequest::PinFreeBins { from: 0 },
            Self::PinFreeBlacklist => DownloadRequest::PinFreeBlacklist { from: 0 },
        }
    }

    /// What ends the download.
    #[must_use]
    pub fn end(self) -> DownloadRequest {
        match self {
            Self::Capk => DownloadRequest::CapkEnd,
            Self::Aid => DownloadRequest::AidEnd,
            Self::Blacklist => DownloadRequest::BlacklistEnd,
            Self::TmsParameters => DownloadRequest::TmsParametersEnd,
            Self::Contactless => DownloadRequest::ContactlessEnd,
            Self::PinFreeBins => DownloadRequest::PinFreeBinsEnd,
            Self::PinFreeBlacklist => DownloadRequest::PinFreeBlacklistEnd,
        }
    }

    /// The download that a host announces as waiting work.
    #[must_use]
    pub fn of(work: PendingWork) -> Option<Self> {
        Some(match work {
            PendingWork::Capk => Self::Capk,
            PendingWork::Aid => Self::Aid,
            PendingWork::Blacklist => Self::Blacklist,
            PendingWork::TmsParameters => Self::TmsParameters,
            PendingWork::Contactless => Self::Contactless,
            PendingWork::PinFreeBins => Self::PinFreeBins,
            PendingWork::PinFreeBlacklist => Self::PinFreeBlacklist,
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
            Self::Contactless => PendingWork::Contactless,
            Self::PinFreeBins => PendingWork::PinFreeBins,
            Self::PinFreeBlacklist => PendingWork::PinFreeBlacklist,
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
            Self::Contactless => "contactless parameters",
            Self::PinFreeBins => "PIN-free BINs",
            Self::PinFreeBlacklist => "PIN-free blacklist",
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
    /// 394: the contactless templates from this number on.
    Contactless {
        /// Number of the first template wanted, 0 to 999.
        from: u16,
    },
    /// 395: the terminal has the contactless parameters.
    ContactlessEnd,
    /// 396: the card ranges without PIN from this number on.
    PinFreeBins {
        /// Number of the first range wanted, 0 to 999.
        from: u16,
    },
    /// 397: the terminal has the card ranges without PIN.
    PinFreeBinsEnd,
    /// 398: the exceptions from the ranges without PIN from this number on.
    PinFreeBlacklist {
        /// Number of the first exception wanted, 0 to 999.
        from: u16,
    },
    /// 399: the terminal has the exceptions.
    PinFreeBlacklistEnd,
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
            Self::Contactless { .. } => Function::Contactless,
            Self::ContactlessEnd => Function::ContactlessEnd,
            Self::PinFreeBins { .. } => Function::PinFreeBins,
            Self::PinFreeBinsEnd => Function::PinFreeBinsEnd,
            Self::PinFreeBlacklist { .. } => Function::PinFreeBlacklist,
            Self::PinFreeBlacklistEnd => Function::PinFreeBlacklistEnd,
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
            Self::Contactless { .. } | Self::ContactlessEnd => DownloadKind::Contactless,
            Self::PinFreeBins { .. } | Self::PinFreeBinsEnd => DownloadKind::PinFreeBins,
            Self::PinFreeBlacklist { .. } | Self::PinFreeBlacklistEnd => DownloadKind::PinFreeBlacklist,
        }
    }

    /// Whether it is the question that a download begins with.
    #[must_use]
    pub fn is_first(&self) -> bool {
        *self == self.kind().first()
    }

    /// Whether it ends its download: the terminal has made everything durable.
    #[must_use]
    pub fn is_end(&self) -> bool {
        *self == self.kind().end()
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
            Self::Blacklist { from }
            | Self::Contactless { from }
            | Self::PinFreeBins { from }
            | Self::PinFreeBlacklist { from } => {
                out.extend_from_slice(format!("{:03}", from.min(&999)).as_bytes());
            }
            Self::CapkEnd
            | Self::AidEnd
            | Self::BlacklistEnd
            | Self::TmsParameters
            | Self::TmsParametersEnd
            | Self::ContactlessEnd
            | Self::PinFreeBinsEnd
            | Self::PinFreeBlacklistEnd => {}
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
            Function::Blacklist => start(body).map(|from| Self::Blacklist { from }),
            Function::BlacklistEnd => Ok(Self::BlacklistEnd),
            Function::TmsParameters => Ok(Self::TmsParameters),
            Function::TmsParametersEnd => Ok(Self::TmsParametersEnd),
            Function::Contactless => start(body).map(|from| Self::Contactless { from }),
            Function::ContactlessEnd => Ok(Self::ContactlessEnd),
            Function::PinFreeBins => start(body).map(|from| Self::PinFreeBins { from }),
            Function::PinFreeBinsEnd => Ok(Self::PinFreeBinsEnd),
            Function::PinFreeBlacklist => start(body).map(|from| Self::PinFreeBlacklist { from }),
            Function::PinFreeBlacklistEnd => Ok(Self::PinFreeBlacklistEnd),
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

/// The three digits of the first number wanted.
fn start(body: &[u8]) -> Result<u16, EmvError> {
    let from = number(body).filter(|_| body.len() == 3);
    from.ok_or(EmvError::Digits { what: "the start index", offset: 0, wanted: "three digits" })
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

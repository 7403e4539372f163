//! What functions and announcements mean, whatever their codes are.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a message does. The wire form of each is the profile's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Function {
    /// Terminal starts its day or its connection; may receive working keys.
    SignOn,
    /// Terminal ends its day.
    SignOff,
    /// Either side asks whether the other is there.
    Echo,
    /// Host sends new working keys.
    KeyExchange,
    /// Terminal asks for new working keys.
    KeyRequest,
    /// UnionPay 状态上送: fixed tags.
    Status,
    /// The full typed report ([`crate::report::Report`]).
    Report,
    /// Terminal tells at once what a person should know.
    Alarm,
    /// Terminal fetches its parameters (UnionPay 参数传递).
    Parameters,
    /// Terminal fetches when and where to call the TMS (UnionPay TMS 参数下载).
    TmsParameters,
    /// Terminal has stored what [`Function::TmsParameters`] brought.
    TmsParametersEnd,
    /// Terminal asks which certification authority public keys (CAPK) there are.
    CapkList,
    /// Terminal fetches one CAPK.
    CapkDownload,
    /// Terminal has all CAPKs that it wanted.
    CapkEnd,
    /// Terminal asks which chip card applications (AID) there are parameters of.
    AidList,
    /// Terminal fetches the parameters of one AID.
    AidDownload,
    /// Terminal has the parameters of all AIDs that it wanted.
    AidEnd,
    /// Terminal fetches a piece of the list of refused card numbers (卡 BIN 黑名单).
    Blacklist,
    /// Terminal has the whole blacklist.
    BlacklistEnd,
    /// Terminal fetches a piece of the contactless parameters (非接业务参数).
    Contactless,
    /// Terminal has all contactless parameters.
    ContactlessEnd,
    /// Terminal fetches a piece of the table of card ranges without PIN (免密新增 BIN 表).
    PinFreeBins,
    /// Terminal has the whole table.
    PinFreeBinsEnd,
    /// Terminal fetches a piece of the exceptions from that table (免密卡 BIN 黑名单).
    PinFreeBlacklist,
    /// Terminal has all exceptions.
    PinFreeBlacklistEnd,
    /// Host adds, changes, deletes, replaces or asks for records of a file of the terminal.
    ParameterPush,
    /// Terminal reads one block of a file.
    FileRead,
    /// Terminal asks for work.
    TaskPoll,
    /// Host gives work.
    Command,
    /// Terminal tells how work went.
    TaskResult,
    /// Terminal sends a piece of its log.
    LogUpload,
    /// Terminal sends a piece of its transaction journal.
    JournalUpload,
    /// Terminal closes its batch and tells its totals (批结算).
    Settlement,
    /// Terminal sends details of a batch (批上送).
    BatchUpload,
    /// Terminal has sent all details of a batch.
    BatchEnd,
    /// Terminal fetches the RSA key that protects the request for its master key (TMK).
    TmkKey,
    /// Terminal asks for its TMK.
    TmkRequest,
    /// Terminal has stored its TMK and will use it.
    TmkActivate,
}

impl Function {
    /// Every function, in the order of their declaration.
    pub const ALL: &'static [Self] = &[
        Self::SignOn,
        Self::SignOff,
        Self::Echo,
        Self::KeyExchange,
        Self::KeyRequest,
        Self::Status,
        Self::Report,
        Self::Alarm,
        Self::Parameters,
        Self::TmsParameters,
        Self::TmsParametersEnd,
        Self::CapkList,
        Self::CapkDownload,
        Self::CapkEnd,
        Self::AidList,
        Self::AidDownload,
        Self::AidEnd,
        Self::Blacklist,
        Self::BlacklistEnd,
        Self::Contactless,
        Self::ContactlessEnd,
        Self::PinFreeBins,
        Self::PinFreeBinsEnd,
        Self::PinFreeBlacklist,
        Self::PinFreeBlacklistEnd,
        Self::ParameterPush,
        Self::FileRead,
        Self::TaskPoll,
        Self::Command,
        Self::TaskResult,
        Self::LogUpload,
        Self::JournalUpload,
        Self::Settlement,
        Self::BatchUpload,
        Self::BatchEnd,
        Self::TmkKey,
        Self::TmkRequest,
        Self::TmkActivate,
    ];

    /// Its key in a profile file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SignOn => "sign_on",
            Self::SignOff => "sign_off",
            Self::Echo => "echo",
            Self::KeyExchange => "key_exchange",
            Self::KeyRequest => "key_request",
            Self::Status => "status",
            Self::Report => "report",
            Self::Alarm => "alarm",
            Self::Parameters => "parameters",
            Self::TmsParameters => "tms_parameters",
            Self::TmsParametersEnd => "tms_parameters_end",
            Self::CapkList => "capk_list",
            Self::CapkDownload => "capk_download",
            Self::CapkEnd => "capk_end",
            Self::AidList => "aid_list",
            Self::AidDownload => "aid_download",
            Self::AidEnd => "aid_end",
            Self::Blacklist => "blacklist",
            Self::BlacklistEnd => "blacklist_end",
            Self::Contactless => "contactless",
            Self::ContactlessEnd => "contactless_end",
            Self::PinFreeBins => "pin_free_bins",
            Self::PinFreeBinsEnd => "pin_free_bins_end",
            Self::PinFreeBlacklist => "pin_free_blacklist",
            Self::PinFreeBlacklistEnd => "pin_free_blacklist_end",
            Self::ParameterPush => "parameter_push",
            Self::FileRead => "file_read",
            Self::TaskPoll => "task_poll",
            Self::Command => "command",
            Self::TaskResult => "task_result",
            Self::LogUpload => "log_upload",
            Self::JournalUpload => "journal_upload",
            Self::Settlement => "settlement",
            Self::BatchUpload => "batch_upload",
            Self::BatchEnd => "batch_end",
            Self::TmkKey => "tmk_key",
            Self::TmkRequest => "tmk_request",
            Self::TmkActivate => "tmk_activate",
        }
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SignOn => "sign-on",
            Self::SignOff => "sign-off",
            Self::Echo => "echo",
            Self::KeyExchange => "key exchange",
            Self::KeyRequest => "key request",
            Self::Status => "status",
            Self::Report => "report",
            Self::Alarm => "alarm",
            Self::Parameters => "parameter request",
            Self::TmsParameters => "TMS parameters",
            Self::TmsParametersEnd => "TMS parameters end",
            Self::CapkList => "CAPK list",
            Self::CapkDownload => "CAPK download",
            Self::CapkEnd => "CAPK end",
            Self::AidList => "AID list",
            Self::AidDownload => "AID download",
            Self::AidEnd => "AID end",
            Self::Blacklist => "blacklist",
            Self::BlacklistEnd => "blacklist end",
            Self::Contactless => "contactless parameters",
            Self::ContactlessEnd => "contactless parameters end",
            Self::PinFreeBins => "PIN-free BINs",
            Self::PinFreeBinsEnd => "PIN-free BINs end",
            Self::PinFreeBlacklist => "PIN-free blacklist",
            Self::PinFreeBlacklistEnd => "PIN-free blacklist end",
            Self::ParameterPush => "parameter push",
            Self::FileRead => "file read",
            Self::TaskPoll => "task poll",
            Self::Command => "command",
            Self::TaskResult => "task result",
            Self::LogUpload => "log upload",
            Self::JournalUpload => "journal upload",
            Self::Settlement => "settlement",
            Self::BatchUpload => "batch upload",
            Self::BatchEnd => "batch end",
            Self::TmkKey => "TMK key",
            Self::TmkRequest => "TMK request",
            Self::TmkActivate => "TMK activation",
        })
    }
}

/// What waits for a terminal that asks; a profile maps each kind to a digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PendingWork {
    /// Parameters to fetch.
    Parameters,
    /// A status report is wanted.
    Status,
    /// A new sign-on is wanted.
    SignOn,
    /// Certification authority public keys to fetch.
    Capk,
    /// Parameters of chip card applications to fetch.
    Aid,
    /// TMS parameters to fetch.
    TmsParameters,
    /// A blacklist to fetch.
    Blacklist,
    /// Exchange or fee rates to fetch.
    Rates,
    /// Contactless parameters to fetch (非接业务参数).
    Contactless,
    /// New card ranges that need no PIN (免密新增 BIN 表).
    PinFreeBins,
    /// Cards that need one all the same (免密卡 BIN 黑名单).
    PinFreeBlacklist,
    /// A task to fetch.
    Task,
}

impl PendingWork {
    /// Every kind, in the order of their declaration.
    pub const ALL: &'static [Self] = &[
        Self::Parameters,
        Self::Status,
        Self::SignOn,
        Self::Capk,
        Self::Aid,
        Self::TmsParameters,
        Self::Blacklist,
        Self::Rates,
        Self::Contactless,
        Self::PinFreeBins,
        Self::PinFreeBlacklist,
        Self::Task,
    ];
}

impl fmt::Display for PendingWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parameters => "parameters",
            Self::Status => "status",
            Self::SignOn => "sign-on",
            Self::Capk => "CAPK",
            Self::Aid => "AID",
            Self::TmsParameters => "TMS parameters",
            Self::Blacklist => "blacklist",
            Self::Rates => "rates",
            Self::Contactless => "contactless",
            Self::PinFreeBins => "PIN-free BINs",
            Self::PinFreeBlacklist => "PIN-free blacklist",
            Self::Task => "task",
        })
    }
}

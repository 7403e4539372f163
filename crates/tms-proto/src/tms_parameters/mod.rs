//! The TMS parameters of a UnionPay terminal (0800/364, DE62 用法八; unionpay.md §4.6): which task waits at the TMS,
//! and where, when and how to call it.
//!
//! Acquirers lay them out in three ways; which one is the profile's ([`crate::emv::Forms::tms_parameters`]).

mod layout;

use std::fmt;

use jiff::civil::{Date, DateTime};
use serde::{Deserialize, Serialize};

use crate::emv::EmvError;
use layout::{Reader, Writer};

/// How the parameters are laid out in DE62.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Tag and value, 388 bytes.
    #[default]
    Tagged,
    /// The same values in the same order without tags, 352 bytes.
    Untagged,
    /// Tag and value of the older interface with file names, 302 bytes.
    Old,
}

/// The TMS parameters. `Debug` prints neither the access strings, which have passwords in them, nor the check code.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TmsParameters {
    /// Platform (tag 26), up to 8 characters.
    pub platform: String,
    /// Last day of the task (tag 29).
    pub limit_date: Option<Date>,
    /// When to download (tag 31), up to 4 characters; what they mean is the acquirer's.
    pub timing: String,
    /// Phone numbers of the TMS (tags 32 and 33), up to 20 characters each.
    pub phones: [String; 2],
    /// `address:port` of the TMS (tags 34 and 35), up to 30 characters each.
    pub hosts: [String; 2],
    /// What the layouts do not share.
    pub task: TmsTask,
}

/// What waits at the TMS.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TmsTask {
    /// A task of the current interface, in the tagged and the untagged layout.
    Current(Box<CurrentTask>),
    /// A file of the older interface.
    Old(Box<OldTask>),
}

/// A task of the current interface.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrentTask {
    /// What to download (tag 27) and the version it has (tag 30).
    pub content: Content,
    /// The request code to call the TMS with (tag 28), up to 4 characters: `7001`.
    pub code: String,
    /// `APN|user|password|address|port` (tag 36), up to 60 characters.
    pub gprs: String,
    /// `user|password|address|port` (tag 37), up to 60 characters.
    pub cdma: String,
    /// Check code of the task (tag 38), up to 32 characters.
    pub check_code: String,
    /// Seconds before calling again (tag 39), up to 9999.
    pub redial_s: u16,
    /// What to show (tag 40), up to 30 bytes of GBK.
    pub prompt: String,
    /// TPDU for the TMS (tag 41), 10 digits.
    pub tpdu: String,
    /// Not before this local time (tag 42), in the years 2000 to 2099.
    pub start: Option<DateTime>,
    /// Not after this local time (tag 43), in the years 2000 to 2099.
    pub end: Option<DateTime>,
}

/// What a task downloads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// 00: the UnionPay card application, with a version of up to 6 characters.
    CardApplication(String),
    /// 01: another application, with a version of up to 50 characters.
    OtherApplication(String),
}

/// A file of the older interface (content flag 02).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldTask {
    /// Name of the file (tag 28), up to 72 characters.
    pub file: String,
    /// Name of the application (tag 30), up to 72 characters.
    pub application: String,
    /// When to download (tag 36), local time.
    pub at: Option<DateTime>,
}

impl TmsParameters {
    /// The body of a 364 reply.
    ///
    /// # Errors
    /// When a value does not fit its tag, or the task is of the other interface than the layout.
    pub fn encode(&self, layout: Layout) -> Result<Vec<u8>, EmvError> {
        let mut w = Writer::new(layout != Layout::Untagged);
        w.text(26, 8, &self.platform)?;
        match (&self.task, layout) {
            (TmsTask::Current(task), Layout::Tagged | Layout::Untagged) => {
                w.text(27, 2, task.content.flag())?;
                w.text(28, 4, &task.code)?;
                w.date(29, self.limit_date)?;
                match &task.content {
                    Content::CardApplication(version) => w.text(30, 6, version)?,
                    Content::OtherApplication(version) => w.counted(30, 50, version)?,
                }
                self.put_access(&mut w)?;
                w.text(36, 60, &task.gprs)?;
                w.text(37, 60, &task.cdma)?;
                w.text(38, 32, &task.check_code)?;
                w.number(39, 4, task.redial_s)?;
                w.text(40, 30, &task.prompt)?;
                w.text(41, 10, &task.tpdu)?;
                w.short_time(42, task.start)?;
                w.short_time(43, task.end)?;
            }
            (TmsTask::Old(task), Layout::Old) => {
                w.text(27, 2, "02")?;
                w.text(28, 72, &task.file)?;
                w.date(29, self.limit_date)?;
                w.text(30, 72, &task.application)?;
                self.put_access(&mut w)?;
                w.long_time(36, task.at)?;
            }
            _ => {
                let wanted = "a task of the interface that the layout is for";
                return Err(EmvError::Digits { what: "the task", offset: 0, wanted });
            }
        }
        Ok(w.finish())
    }

    /// Reads the body of a 364 reply.
    ///
    /// # Errors
    /// When a tag is missing or out of order, a value is malformed, or bytes are left; the error says where.
    pub fn decode(layout: Layout, body: &[u8]) -> Result<Self, EmvError> {
        let mut r = Reader::new(body, layout != Layout::Untagged);
        let platform = r.text(26, 8)?;
        let flag = r.text(27, 2)?;
        let parameters = match (layout, flag.as_str()) {
            (Layout::Tagged | Layout::Untagged, "00" | "01") => {
                let code = r.text(28, 4)?;
                let limit_date = r.date(29)?;
                let content = match flag.as_str() {
                    "00" => Content::CardApplication(r.text(30, 6)?),
                    _ => Content::OtherApplication(r.counted(30, 50)?),
                };
                let (timing, phones, hosts) = access(&mut r)?;
                let task = CurrentTask {
                    content,
                    code,
                    gprs: r.text(36, 60)?,
                    cdma: r.text(37, 60)?,
                    check_code: r.text(38, 32)?,
                    redial_s: r.number(39, 4)?,
                    prompt: r.text(40, 30)?,
                    tpdu: r.text(41, 10)?,
                    start: r.short_time(42)?,
                    end: r.short_time(43)?,
                };
                Self { platform, limit_date, timing, phones, hosts, task: TmsTask::Current(Box::new(task)) }
            }
            (Layout::Old, "02") => {
                let file = r.text(28, 72)?;
                let limit_date = r.date(29)?;
                let application = r.text(30, 72)?;
                let (timing, phones, hosts) = access(&mut r)?;
                let task = OldTask { file, application, at: r.long_time(36)? };
                Self { platform, limit_date, timing, phones, hosts, task: TmsTask::Old(Box::new(task)) }
            }
            _ => {
                let wanted = "a content flag of the layout";
                return Err(EmvError::Digits { what: "tag 27", offset: r.offset(), wanted });
            }
        };
        r.finish()?;
        Ok(parameters)
    }

    /// Tags 31 to 35, which all layouts have in the same place.
    fn put_access(&self, w: &mut Writer) -> Result<(), EmvError> {
        let ([phone_1, phone_2], [host_1, host_2]) = (&self.phones, &self.hosts);
        w.text(31, 4, &self.timing)?;
        w.text(32, 20, phone_1)?;
        w.text(33, 20, phone_2)?;
        w.text(34, 30, host_1)?;
        w.text(35, 30, host_2)
    }
}

fn access(r: &mut Reader<'_>) -> Result<(String, [String; 2], [String; 2]), EmvError> {
    Ok((r.text(31, 4)?, [r.text(32, 20)?, r.text(33, 20)?], [r.text(34, 30)?, r.text(35, 30)?]))
}

impl Content {
    fn flag(&self) -> &'static str {
        match self {
            Self::CardApplication(_) => "00",
            Self::OtherApplication(_) => "01",
        }
    }
}

impl fmt::Debug for TmsParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TmsParameters")
            .field("platform", &self.platform)
            .field("limit_date", &self.limit_date)
            .field("timing", &self.timing)
            .field("hosts", &self.hosts)
            .field("task", &self.task)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for TmsTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Current(task) => task.fmt(f),
            Self::Old(task) => task.fmt(f),
        }
    }
}

impl fmt::Debug for CurrentTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentTask")
            .field("content", &self.content)
            .field("code", &self.code)
            .field("redial_s", &self.redial_s)
            .field("prompt", &self.prompt)
            .field("start", &self.start)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

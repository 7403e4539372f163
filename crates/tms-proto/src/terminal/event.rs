//! What the terminal learns of a connection.

use std::{fmt, ops::Deref};

use iso8583::{
    Mti,
    framing::{Header, Tpdu},
};
use tms_crypto::keyblock::{KeyBlockError, WorkingKeys};
use uuid::Uuid;

#[cfg(doc)]
use super::TerminalSession;
use crate::{
    emv::{DownloadBody, DownloadRequest},
    file::{Block, BlockRequest},
    label::Code,
    parameters::{Push, RecordFile, Values},
    profile::{Function, PendingWork, Refusal},
    reason::Reason,
    settlement::{BatchMessage, Message, Totals},
    task::Task,
};

/// What the terminal learns.
#[derive(Debug)]
#[non_exhaustive]
pub enum TerminalEvent {
    /// The host took the sign-on.
    SignedOn {
        /// The key block, if the host sent one (UnionPay DE62).
        keys: Option<KeyBlock>,
        /// The keys in it, which the session uses already, where it
        /// [opens blocks](TerminalSession::set_key_opener) by itself.
        opened: Option<WorkingKeys>,
        /// A batch number that the host gave and that the session has taken over (DE60.2; unionpay.md §3).
        batch: Option<u32>,
    },
    /// New working keys are in force in place of the last ones.
    KeysReplaced {
        /// The keys.
        keys: WorkingKeys,
    },
    /// A step of the download of a master key was answered.
    MasterKey {
        /// Which step.
        function: Function,
        /// The data objects of the reply.
        content: KeyBlock,
    },
    /// A key block was refused, all of it: of a sign-on, which then did not take place, or of later keys,
    /// in whose place those before them stay in force.
    KeysRefused {
        /// What brought the block.
        function: Function,
        /// Why.
        error: KeyBlockError,
    },
    /// The host took the sign-off.
    SignedOff,
    /// The host is there.
    EchoAnswered,
    /// The host has the status.
    StatusTaken,
    /// The host has the report.
    ReportTaken,
    /// The parameters that the terminal asked for; empty when there is nothing to change.
    Parameters(Values),
    /// A block that the terminal asked for. Its CRC-32 has been checked.
    Block(Block),
    /// The host's answer to a poll.
    Task(Option<Task>),
    /// The host has a result: the journal may forget it.
    ResultTaken {
        /// The operation.
        operation: Uuid,
        /// The step.
        step: u8,
    },
    /// The host has the log up to this offset.
    Uploaded {
        /// The operation.
        operation: Uuid,
        /// The next offset wanted.
        next: u64,
    },
    /// The host has an alarm: the log of alarms may forget it.
    AlarmTaken {
        /// Its sequence.
        sequence: u64,
    },
    /// The host's answer to a question of a download: give it to [`crate::emv::Download::on_reply`].
    Download {
        /// The question.
        request: DownloadRequest,
        /// The body of the answer.
        body: DownloadBody,
    },
    /// The host's word on the totals of a batch: give it to [`crate::settlement::Settle::on_totals`].
    TotalsAnswered {
        /// The batch.
        batch: u32,
        /// The totals with the host's word.
        totals: Totals,
    },
    /// The host has a message of a batch: give it to [`crate::settlement::Settle::on_taken`].
    BatchTaken {
        /// The batch.
        batch: u32,
        /// The message.
        message: BatchMessage,
    },
    /// The host has the transaction journal up to this offset.
    JournalUploaded {
        /// The operation.
        operation: Uuid,
        /// The next offset wanted.
        next: u64,
    },
    /// A reply announces that work waits; told once for each change.
    WorkPending(PendingWork),
    /// A reply announces something under a digit that the profile gives no meaning; told once for each
    /// change.
    WorkUnknown(u8),
    /// The host gives a command. Answer with [`TerminalSession::answer`].
    Command {
        /// To answer with.
        request: HostRequest,
        /// What to do.
        task: Task,
    },
    /// The host changes records of a file, or asks for them. Give it to
    /// [`Held::take`](crate::parameters::Held::take), make durable what changed, then answer with
    /// [`TerminalSession::answer_push`].
    ParameterPush {
        /// To answer with.
        request: HostRequest,
        /// What is done.
        push: Push,
    },
    /// The next event's message had a MAC that the profile asks for nowhere and that nothing here can
    /// check; it was let through.
    MacUnchecked(Function),
    /// The host said no. After [`Refusal::MacWrong`] the working keys are gone: sign on again.
    Refused {
        /// What was asked.
        request: Asked,
        /// Why.
        refusal: Refusal,
        /// DE39 as it came.
        code: String,
    },
    /// A request was not answered in time, or its reply could not be used.
    Unanswered {
        /// What was asked.
        request: Asked,
        /// Why.
        reason: Reason,
    },
    /// A message that makes no sense here, or whose MAC is missing or wrong, was dropped.
    Dropped(Reason),
}

/// Keys wrapped under the terminal's master key. `Debug` prints their length only.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyBlock(pub Vec<u8>);

impl Deref for KeyBlock {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for KeyBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyBlock({} bytes)", self.0.len())
    }
}

/// What a terminal asked, as far as the asker needs it back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Asked {
    /// Any function without further identity.
    Function(Function),
    /// A block of a file.
    Block(BlockRequest),
    /// A question of a download.
    Download(DownloadRequest),
    /// A result of this operation and step.
    Result {
        /// The operation.
        operation: Uuid,
        /// The step.
        step: u8,
    },
    /// A piece of the log of this operation.
    Upload {
        /// The operation.
        operation: Uuid,
        /// Offset of the piece.
        offset: u64,
        /// Size of the whole: the host cannot have more.
        total_bytes: u64,
    },
    /// An alarm of this sequence.
    Alarm(u64),
    /// Totals or details of a batch.
    Batch {
        /// The batch.
        batch: u32,
        /// What was said of it.
        message: Box<Message>,
    },
    /// A piece of the transaction journal for this operation.
    Journal {
        /// The operation.
        operation: Uuid,
        /// Offset of the piece.
        offset: u64,
        /// Size of the whole: the host cannot have more.
        total_bytes: u64,
    },
}

impl Asked {
    /// The function that was asked.
    #[must_use]
    pub fn function(&self) -> Function {
        match self {
            Self::Function(function) => *function,
            Self::Block(_) => Function::FileRead,
            Self::Download(request) => request.function(),
            Self::Result { .. } => Function::TaskResult,
            Self::Upload { .. } => Function::LogUpload,
            Self::Alarm(_) => Function::Alarm,
            Self::Batch { message, .. } => message.function(),
            Self::Journal { .. } => Function::JournalUpload,
        }
    }
}

/// The right to answer one request of the host, once.
#[derive(Debug)]
pub struct HostRequest {
    pub(super) function: Function,
    pub(super) code: Code,
    /// The file of a push.
    pub(super) file: Option<RecordFile>,
    pub(super) mti: Mti,
    pub(super) stan: Option<u32>,
    pub(super) transmitted: Option<u64>,
    pub(super) tpdu: Option<Tpdu>,
    pub(super) header: Option<Header>,
    /// Whether the request's MAC was checked and right.
    pub(super) authentic: bool,
}

impl HostRequest {
    /// What was asked.
    #[must_use]
    pub fn function(&self) -> Function {
        self.function
    }

    /// Whether the request's type says that it repeats an earlier one.
    #[must_use]
    pub fn is_repeat(&self) -> bool {
        self.mti.is_repeat()
    }

    /// Whether the request had a MAC that was right.
    #[must_use]
    pub fn is_authentic(&self) -> bool {
        self.authentic
    }
}

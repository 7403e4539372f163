//! What the host learns of a connection, and what it says.

use std::fmt;

use iso8583::{
    Mti,
    framing::{Header, Tpdu},
};

use tms_crypto::keyblock::WorkingKeys;

use crate::{
    alarm::Alarm,
    emv::{DownloadBody, DownloadRequest},
    file::BlockRequest,
    label::{Code, Name},
    parameters::{Push, PushAnswer, TagValues, Values},
    profile::{Function, Refusal},
    reason::Reason,
    report::Report,
    settlement::{BatchMessage, Totals},
    task::{Task, TaskResult},
    terminal::KeyBlock,
    upload::Chunk,
};

/// What the host learns.
#[derive(Debug)]
#[non_exhaustive]
pub enum HostEvent {
    /// A terminal signs on. Answer it.
    SignOn {
        /// To answer with.
        exchange: Exchange,
        /// DE41.
        terminal: String,
        /// DE42.
        merchant: String,
        /// The serial block of the body, if the terminal sent one.
        serial: Vec<u8>,
    },
    /// A terminal signs off. Answer it.
    SignOff {
        /// To answer with.
        exchange: Exchange,
    },
    /// A terminal is there. It has been answered.
    Echo,
    /// UnionPay status tags. Answer it.
    Status {
        /// To answer with.
        exchange: Exchange,
        /// The tags, which were found well formed.
        values: TagValues,
    },
    /// The full report. Answer it.
    Report {
        /// To answer with.
        exchange: Exchange,
        /// The report.
        report: Box<Report>,
    },
    /// The terminal wants its parameters. Answer with [`Answer::Parameters`].
    ParametersRequested {
        /// To answer with.
        exchange: Exchange,
    },
    /// A question of a download. Answer with [`Answer::Download`], or refuse what there is none of; after
    /// a question that ends a download the terminal has what it wanted.
    Download {
        /// To answer with.
        exchange: Exchange,
        /// The question.
        request: DownloadRequest,
    },
    /// The terminal wants a block. Answer with [`Answer::Block`].
    FileRead {
        /// To answer with.
        exchange: Exchange,
        /// What it wants.
        request: BlockRequest,
    },
    /// The terminal asks for work. Answer with [`Answer::Task`].
    TaskPoll {
        /// To answer with.
        exchange: Exchange,
    },
    /// How a task went. Make it durable, then answer.
    TaskResult {
        /// To answer with.
        exchange: Exchange,
        /// The result.
        result: TaskResult,
    },
    /// A piece of a log. Make it durable, then answer with [`Answer::Uploaded`].
    LogChunk {
        /// To answer with.
        exchange: Exchange,
        /// The piece.
        chunk: Chunk,
    },
    /// Something is wrong with the terminal. Make it durable, then answer. [`Exchange::repeats_an_alarm`]
    /// says whether it was told before.
    Alarm {
        /// To answer with.
        exchange: Exchange,
        /// What is wrong.
        alarm: Alarm,
    },
    /// Totals of a batch. Make them durable in a [`crate::settlement::BatchLedger`], then answer with
    /// [`Answer::Settled`].
    Totals {
        /// To answer with.
        exchange: Exchange,
        /// The batch.
        batch: u32,
        /// The terminal's totals.
        totals: Box<Totals>,
    },
    /// Details of a batch, or their end. Make them durable, then answer with [`Answer::BatchTaken`].
    Batch {
        /// To answer with.
        exchange: Exchange,
        /// The batch.
        batch: u32,
        /// What the terminal says of it.
        message: BatchMessage,
    },
    /// A piece of the transaction journal ([`crate::transactions`]). Make it durable, then answer with
    /// [`Answer::Uploaded`].
    JournalChunk {
        /// To answer with.
        exchange: Exchange,
        /// The piece.
        chunk: Chunk,
    },
    /// The terminal answered a command that the host pushed.
    CommandAnswered {
        /// The task.
        task: Task,
        /// Why it did not take it; `None` when it did.
        refusal: Option<Refusal>,
    },
    /// The terminal answered a push of records, all messages of it.
    PushAnswered {
        /// What was pushed.
        push: Push,
        /// Why it did not take it; `None` when it did.
        refusal: Option<Refusal>,
        /// What it has now, and why it refused; `None` when it did not say. To an inquiry all that was asked for.
        answer: Option<Box<PushAnswer>>,
    },
    /// The terminal answered the host's echo.
    EchoAnswered,
    /// The terminal asks for new working keys. Answer with [`Answer::Keys`].
    KeysRequested {
        /// To answer with.
        exchange: Exchange,
    },
    /// A step of the remote download of a terminal master key (UnionPay 352, 350, 351; unionpay.md §4.13):
    /// [`Exchange::function`] says which. Answer it, the first two with [`Answer::MasterKey`].
    MasterKey {
        /// To answer with.
        exchange: Exchange,
        /// The data objects of the request.
        content: KeyBlock,
    },
    /// The terminal has the working keys that it was sent last; those before them are over.
    KeysTaken {
        /// Whether the terminal has shown it. Otherwise it asked for them, and nothing will ever show whether the
        /// answer arrived.
        shown: bool,
    },
    /// The terminal refused new working keys: those before them stay in force.
    KeysRefused {
        /// Why.
        refusal: Refusal,
    },
    /// A request of the host was not answered in time.
    TimedOut(Function),
    /// The next event's message had a MAC that the profile asks for nowhere and that nothing here can
    /// check; it was let through.
    MacUnchecked(Function),
    /// A message was refused by the session itself; it has been answered where possible. One whose
    /// MAC is missing or wrong is told here, with [`Refusal::MacWrong`].
    Refused {
        /// The function, if it could be told.
        function: Option<Function>,
        /// Why, on the wire.
        refusal: Refusal,
        /// Why, for the log.
        reason: Reason,
    },
}

impl HostEvent {
    /// The right to answer, of an event that wants an answer.
    #[must_use]
    pub fn into_exchange(self) -> Option<Exchange> {
        match self {
            Self::SignOn { exchange, .. }
            | Self::SignOff { exchange }
            | Self::Status { exchange, .. }
            | Self::Report { exchange, .. }
            | Self::ParametersRequested { exchange }
            | Self::Download { exchange, .. }
            | Self::FileRead { exchange, .. }
            | Self::TaskPoll { exchange }
            | Self::TaskResult { exchange, .. }
            | Self::LogChunk { exchange, .. }
            | Self::Totals { exchange, .. }
            | Self::Batch { exchange, .. }
            | Self::JournalChunk { exchange, .. }
            | Self::KeysRequested { exchange }
            | Self::MasterKey { exchange, .. }
            | Self::Alarm { exchange, .. } => Some(exchange),
            Self::Echo
            | Self::KeysTaken { .. }
            | Self::KeysRefused { .. }
            | Self::CommandAnswered { .. }
            | Self::PushAnswered { .. }
            | Self::EchoAnswered
            | Self::TimedOut(_)
            | Self::MacUnchecked(_)
            | Self::Refused { .. } => None,
        }
    }
}

/// The right to answer one request, once.
#[derive(Debug)]
pub struct Exchange {
    pub(super) function: Function,
    pub(super) code: Code,
    pub(super) mti: Mti,
    pub(super) stan: Option<u32>,
    pub(super) transmitted: Option<u64>,
    pub(super) batch: u32,
    pub(super) terminal: Name,
    pub(super) merchant: Name,
    pub(super) tpdu: Option<Tpdu>,
    pub(super) header: Option<Header>,
    /// Whether the request's MAC was checked and right.
    pub(super) authentic: bool,
    /// Sequence of the alarm that the request brings.
    pub(super) alarm: Option<u64>,
    pub(super) repeated: bool,
}

impl Exchange {
    /// What was asked.
    #[must_use]
    pub fn function(&self) -> Function {
        self.function
    }

    /// Value of the profile's selector, for example 60.3 = `003`.
    #[must_use]
    pub fn code(&self) -> &str {
        self.code.as_str()
    }

    /// DE41 of the request.
    #[must_use]
    pub fn terminal(&self) -> &str {
        self.terminal.as_str()
    }

    /// Whether the request's type says that it repeats an earlier one (0801 for 0800). The answer is the
    /// same, and its type 0810.
    #[must_use]
    pub fn is_repeat(&self) -> bool {
        self.mti.is_repeat()
    }

    /// Whether this alarm was approved on this connection before: its answer was lost. Approve it again. One
    /// that comes again on another connection is known by its sequence.
    #[must_use]
    pub fn repeats_an_alarm(&self) -> bool {
        self.repeated
    }

    /// Whether the request had a MAC that was right.
    #[must_use]
    pub fn is_authentic(&self) -> bool {
        self.authentic
    }
}

/// What the host says to a request. `Debug` prints no keys and no data.
#[non_exhaustive]
pub enum Answer<'a> {
    /// Done, nothing to add.
    Approved,
    /// Sign-on, or an answer to [`HostEvent::KeysRequested`], with working keys, whose MAC key the session
    /// uses from then on if the profile says so. Keys that were sent before and may not have arrived are
    /// sent again in their place.
    Keys {
        /// UnionPay DE62 key block: `keys` as the terminal can open them.
        block: &'a [u8],
        /// The keys in it.
        keys: &'a WorkingKeys,
    },
    /// The data objects of an answer to [`HostEvent::MasterKey`].
    MasterKey(&'a [u8]),
    /// The terminal's parameters.
    Parameters(&'a Values),
    /// An answer to a question of a download; [`crate::emv::Offer::answer`] makes it.
    Download(&'a DownloadBody),
    /// The next task, or none.
    Task(Option<&'a Task>),
    /// A block of a file.
    Block {
        /// Offset of the first byte.
        offset: u64,
        /// Size of the file.
        total_bytes: u64,
        /// The bytes.
        data: &'a [u8],
    },
    /// The log or the journal is safe up to this offset.
    Uploaded(u64),
    /// The host's word on totals: [`crate::settlement::BatchLedger::on_totals`] gives it.
    Settled {
        /// The batch.
        batch: u32,
        /// The totals with the word on them.
        totals: &'a Totals,
    },
    /// Details, or their end, are safe.
    BatchTaken {
        /// The batch.
        batch: u32,
        /// What the terminal said.
        message: &'a BatchMessage,
    },
    /// No.
    Refused(Refusal),
}

impl fmt::Debug for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approved => f.write_str("Approved"),
            Self::Keys { block, .. } => write!(f, "Keys({} bytes)", block.len()),
            Self::MasterKey(content) => write!(f, "MasterKey({} bytes)", content.len()),
            Self::Parameters(values) => f.debug_tuple("Parameters").field(values).finish(),
            Self::Download(body) => f.debug_tuple("Download").field(body).finish(),
            Self::Task(task) => f.debug_tuple("Task").field(task).finish(),
            Self::Block { offset, total_bytes, data } => {
                write!(f, "Block({} of {total_bytes} bytes from {offset})", data.len())
            }
            Self::Uploaded(offset) => f.debug_tuple("Uploaded").field(offset).finish(),
            Self::Settled { batch, totals } => f.debug_tuple("Settled").field(batch).field(totals).finish(),
            Self::BatchTaken { batch, message } => {
                write!(f, "BatchTaken({batch}, {} details)", message.count())
            }
            Self::Refused(refusal) => f.debug_tuple("Refused").field(refusal).finish(),
        }
    }
}

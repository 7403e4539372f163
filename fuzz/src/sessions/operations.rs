//! What may happen, as an input says it: every function both ways, honest and not.

use arbitrary::{Arbitrary, Unstructured};
use jiff::Timestamp;
use tms_crypto::keyblock::{KeyBlockForm, Tmk, WorkingKeys};
use tms_proto::{
    Refusal,
    parameters::{Action, Base, Part, Push, RecordFile, Values},
    plan::{self, FollowUp, OnError, Plan, PlanSource, Retry, Trigger, Window},
    report::{Health, Report},
    settlement::{
        Balance, BatchMessage, CardClass, CardDetail, ChipDetail, ChipEnding, CurrencyTotals, Detail, Pan,
        Side, Sum, Totals,
    },
    task::{Command, Outcome, Task, TaskResult},
    upload::Chunk,
};
use uuid::Uuid;

/// The master key that host and terminal share.
pub const TMK: [u8; 16] = [0x11; 16];

/// Most operations of one input.
const MAX_OPERATIONS: usize = 256;

/// A profile and what happens on it.
#[derive(Debug)]
pub struct Script {
    /// Chooses the profile, and whether everything has a MAC.
    pub profile: u8,
    /// Whether the terminal has signed on when it begins.
    pub signed_on: bool,
    /// One after the other.
    pub operations: Vec<Operation>,
}

impl<'a> Arbitrary<'a> for Script {
    /// Operations follow each other as long as there is input.
    fn arbitrary(input: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let (profile, signed_on) = input.arbitrary()?;
        let mut operations = Vec::new();
        while !input.is_empty() && operations.len() < MAX_OPERATIONS {
            operations.push(input.arbitrary()?);
        }
        Ok(Self { profile, signed_on, operations })
    }
}

/// Bytes after their length, so that they stand in an input as they are.
#[derive(Debug)]
pub struct Bytes(pub Vec<u8>);

impl<'a> Arbitrary<'a> for Bytes {
    fn arbitrary(input: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let length = usize::from(input.arbitrary::<u8>()?).min(input.len());
        input.bytes(length).map(|bytes| Self(bytes.to_vec()))
    }
}

/// Some things after their number.
#[derive(Debug)]
pub struct Few<T>(pub Vec<T>);

impl<'a, T: Arbitrary<'a>> Arbitrary<'a> for Few<T> {
    fn arbitrary(input: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let count = input.arbitrary::<u8>()? % 40;
        (0..count).map(|_| input.arbitrary()).collect::<Result<_, _>>().map(Self)
    }
}

/// One thing that happens.
#[derive(Debug, Arbitrary)]
pub enum Operation {
    /// The terminal asks.
    Ask(Ask),
    /// The host speaks first.
    Push(Pushed),
    /// Everything arrives and is answered honestly, until nobody has anything to say.
    Carry,
    /// The oldest frame arrives at the host.
    DeliverToHost,
    /// The oldest frame arrives at the terminal.
    DeliverToTerminal,
    /// The host answers what waits longest, or newest.
    Answer { newest: bool, said: Said },
    /// The terminal answers a request of the host as its machines do, or refuses it.
    Reply { refusal: Option<u8> },
    /// The victim gets the last true frame with a byte of its message changed.
    Change { at: u16, with: u8 },
    /// The victim gets a frame around any bytes.
    ForgeBody(Bytes),
    /// The victim gets any bytes.
    ForgeFrame(Bytes),
    /// The victim gets the last true frame once more.
    Repeat,
    /// Time passes, or a clock is set: seconds, times a power of two.
    Wait { seconds: i8, shift: u8 },
    /// What is newest on either way, and an answer that is due, are lost.
    Lose,
    /// A new connection; what outlives one stays.
    Reconnect,
    /// A transaction at the terminal.
    Trade(Trade),
    /// The terminal closes its batch.
    Close,
    /// Something is wrong with the terminal.
    Raise { kind: u8, severity: u8, text: u8 },
    /// The terminal looks for what its plan says is due, and does it.
    Act { outcome: u8 },
}

/// What the terminal asks.
#[derive(Debug, Arbitrary)]
pub enum Ask {
    SignOn {
        code: u8,
        serial: Bytes,
    },
    SignOff,
    Echo,
    Status(Health5),
    Report(Reported),
    Parameters,
    Poll,
    /// The blocks that its transfer wants.
    Blocks,
    Block {
        offset: u64,
        length: u32,
    },
    Result {
        operation: u8,
        step: u8,
        outcome: u8,
        reason: u8,
    },
    Log(Piece),
    Journal(Piece),
    Keys,
    /// The next question of one of its downloads.
    Download(u8),
    /// A question that no download has now.
    Question(Question),
    MasterKey {
        step: u8,
        content: Bytes,
    },
    /// The next of its alarms.
    Alarm,
    /// What its batch says next.
    Settle,
    /// Of any batch, whatever it is.
    Totals {
        batch: u32,
        totals: [u16; 4],
    },
    Details {
        batch: u32,
        trades: Few<Trade>,
    },
    End {
        batch: u32,
        count: u16,
        balanced: bool,
    },
}

/// The five parts that status tags know.
#[derive(Debug, Arbitrary)]
pub struct Health5(u8);

impl Health5 {
    /// The tags.
    pub fn values(&self) -> Values {
        let works = |bit: u8| self.0 >> bit & 1 == 1;
        let mut values = Values::new();
        Health {
            keyboard: works(0),
            pin_pad: works(1),
            card_reader: works(2),
            printer: works(3),
            display: works(4),
            ..Health::default()
        }
        .put_tags(&mut values);
        if works(5) {
            values.insert("communication_statistics".into(), "72000999980".into());
        }
        values
    }
}

/// A full report.
#[derive(Debug, Arbitrary)]
pub struct Reported {
    names: [u8; 3],
    numbers: [u32; 2],
    parameters: Few<(u8, u8)>,
}

impl Reported {
    /// The report.
    pub fn report(&self) -> Report {
        let [model, version, slot] = self.names;
        let [security_counter, boot_count] = self.numbers;
        Report {
            model: text(model),
            version: text(version),
            slot: text(slot),
            security_counter,
            boot_count,
            credentials: [("99".to_owned(), boot_count)].into(),
            parameters: records(&self.parameters.0),
            ..Report::default()
        }
    }
}

/// A piece of a log or of a journal.
#[derive(Debug, Arbitrary)]
pub struct Piece {
    operation: u8,
    offset: u32,
    total: u32,
    data: Bytes,
}

impl Piece {
    /// The piece.
    pub fn chunk(&self) -> Chunk {
        let mut data = self.data.0.clone();
        data.truncate(Chunk::MAX_BYTES);
        Chunk {
            operation: operation(self.operation),
            offset: self.offset.into(),
            total_bytes: self.total.into(),
            sha256: [1; 32],
            data,
        }
    }
}

/// A question of a download.
#[derive(Debug, Arbitrary)]
pub enum Question {
    CapkList(u8),
    Capk(u8),
    CapkEnd,
    AidList(u8),
    Aid(Bytes),
    AidEnd,
    Blacklist(u16),
    BlacklistEnd,
    TmsParameters,
    TmsParametersEnd,
}

/// A transaction.
#[derive(Debug, Arbitrary)]
pub struct Trade {
    trace: u16,
    amount: u32,
    foreign: bool,
    credit: bool,
    chip: Option<bool>,
}

impl Trade {
    /// As a batch takes it.
    pub fn detail(&self) -> (Detail, Side) {
        let class = if self.foreign { CardClass::Foreign } else { CardClass::Domestic };
        let (trace, amount) = (u32::from(self.trace), u64::from(self.amount));
        let Ok(pan) = Pan::new("6225000000000001") else { unreachable!("a card number") };
        let detail = match self.chip {
            None => Detail::Card(CardDetail { class, trace, pan, amount }),
            Some(approved) => Detail::Chip(ChipDetail {
                class,
                trace,
                pan,
                amount,
                currency: "156".into(),
                entry_mode: 51,
                sequence: Some(1),
                chip_data: vec![0x9F, 0x02, 0x01, 0x00],
                ending: match approved {
                    true => ChipEnding::Approved,
                    false => ChipEnding::Failed { response: "05".into(), cryptogram: 1, arpc_result: 0 },
                },
            }),
        };
        (detail, if self.credit { Side::Credit } else { Side::Debit })
    }
}

/// Messages with the details of transactions that no batch has.
pub fn details(Few(trades): &Few<Trade>) -> Option<BatchMessage> {
    match trades.first()?.detail().0 {
        Detail::Chip(detail) => Some(BatchMessage::Chip { detail: Box::new(detail), balanced: false }),
        Detail::Card(_) => {
            let cards = trades.iter().filter_map(|trade| match trade.detail().0 {
                Detail::Card(card) => Some(card),
                Detail::Chip(_) => None,
            });
            Some(BatchMessage::Cards(cards.take(8).collect()))
        }
    }
}

/// Totals that no batch has.
pub fn totals([debits, debit, credits, credit]: [u16; 4]) -> Totals {
    let sum = |count: u16, amount: u16| Sum { amount: amount.into(), count: count % 1000 };
    let domestic =
        CurrencyTotals { debit: sum(debits, debit), credit: sum(credits, credit), balance: Balance::Unsaid };
    Totals { currency: 156, domestic, foreign: (debit & 1 == 0).then(CurrencyTotals::default) }
}

/// What the host says unasked.
#[derive(Debug, Arbitrary)]
pub enum Pushed {
    Echo,
    Command(Told),
    Keys(Keys),
    Records(Records),
    /// What replies announce from now on.
    Announce(u8),
    /// The honest offer of downloads changes.
    Offer(u8),
}

/// Working keys, whole or with a byte of their block changed.
#[derive(Debug, Arbitrary)]
pub struct Keys {
    form: u8,
    wrong: Option<u8>,
}

impl Keys {
    /// Keys that hold.
    pub fn honest() -> Self {
        Self { form: 1, wrong: None }
    }

    /// The keys and their block.
    pub fn block(&self) -> (WorkingKeys, Vec<u8>) {
        let forms = [KeyBlockForm::Single, KeyBlockForm::Double, KeyBlockForm::DoubleWithTrack];
        let form = forms[usize::from(self.form % 3)];
        // Made from the input, so that it does the same each time.
        let mut keys = form.generate();
        keys.pik = [2; 16];
        keys.mak = [0x20 ^ self.form; 8];
        keys.tdk = keys.tdk.map(|_| [4; 16]);
        let mut block = form.wrap(&Tmk::new(TMK), &keys);
        if let Some(at) = self.wrong {
            let at = usize::from(at) % block.len();
            block[at] ^= 1;
        }
        (keys, block)
    }
}

/// A push of records.
#[derive(Debug, Arbitrary)]
pub struct Records {
    operation: u8,
    file: u8,
    action: u8,
    revision: u8,
    /// Whether the base is the terminal's own.
    right_base: bool,
    part: Option<(u8, u8)>,
    records: Few<(u8, u8)>,
}

impl Records {
    /// Which file.
    pub fn file(&self) -> RecordFile {
        RecordFile::ALL[usize::from(self.file) % RecordFile::ALL.len()]
    }

    /// The push, for a terminal that has `standing`.
    pub fn push(&self, standing: Base) -> Push {
        let action = Action::ALL[usize::from(self.action) % Action::ALL.len()];
        let base = if self.right_base { standing } else { Base { revision: 1, hash: [0; 32] } };
        Push {
            operation: operation(self.operation),
            file: self.file(),
            action,
            revision: standing.revision.wrapping_add(u64::from(self.revision % 4)),
            base: Some(base),
            part: self
                .part
                .map_or(Part::WHOLE, |(number, count)| Part { number: number.into(), count: count.into() }),
            values: records(&self.records.0),
        }
    }
}

/// A task.
#[derive(Debug, Arbitrary)]
pub struct Told {
    operation: u8,
    step: u8,
    order: Order,
}

impl Told {
    /// The task.
    pub fn task(&self) -> Task {
        Task { operation: operation(self.operation), step: self.step, command: self.order.command() }
    }
}

/// A command.
#[derive(Debug, Arbitrary)]
pub enum Order {
    /// One that brings nothing, or whose content does not matter here.
    Plain(u8),
    Install {
        size: u32,
    },
    Prepare {
        generation: u32,
        base: u32,
    },
    Commit {
        generation: u32,
    },
    Verify {
        generation: u32,
    },
    Confirm {
        generation: u32,
    },
    Abandon {
        generation: u32,
    },
    Clock {
        second: i64,
        force: bool,
    },
    Show {
        text: u8,
        until: Option<u32>,
    },
    Addresses {
        addresses: Bytes,
        attempts: u8,
    },
    Plan(Planned),
    PlanFile {
        version: u64,
        size: u32,
    },
    Cancel {
        target: u8,
    },
}

impl Order {
    fn command(&self) -> Command {
        let role = || "99".to_owned();
        match self {
            Self::Plain(which) => plain(*which),
            Self::Install { size } => {
                Command::InstallFirmware { file: "image".into(), size_bytes: (*size).into(), sha256: [0; 32] }
            }
            Self::Prepare { generation, base } => {
                let (generation, base, sealed) = (*generation, *base, vec![1; 32]);
                Command::CredentialPrepare { role: role(), generation, base, sealed }
            }
            Self::Commit { generation } => {
                Command::CredentialCommit { role: role(), generation: *generation }
            }
            Self::Verify { generation } => {
                Command::CredentialVerify { role: role(), generation: *generation, challenge: [3; 16] }
            }
            Self::Confirm { generation } => {
                Command::CredentialConfirm { role: role(), generation: *generation }
            }
            Self::Abandon { generation } => {
                Command::CredentialAbandon { role: role(), generation: *generation }
            }
            Self::Clock { second, force } => {
                Command::SyncClock { time: time(*second), utc_offset_s: 28_800, force: *force }
            }
            Self::Show { text: which, until } => Command::ShowMessage {
                text: text(*which),
                until: until.map(|second| time(second.into())),
                seconds: 5,
            },
            Self::Addresses { addresses, attempts } => Command::ChangeTmsAddress {
                addresses: addresses.0.iter().map(|n| format!("h{n}:{}", n % 5)).collect(),
                attempts: *attempts,
            },
            Self::Plan(planned) => Command::InstallPlan(PlanSource::Inline(Box::new(planned.plan()))),
            Self::PlanFile { version, size } => Command::InstallPlan(PlanSource::File {
                version: *version,
                file: "plan".into(),
                size_bytes: *size,
                sha256: [0; 32],
            }),
            Self::Cancel { target } => Command::CancelOperation { target: operation(*target) },
        }
    }
}

fn plain(which: u8) -> Command {
    match which % 14 {
        0 => Command::Reboot,
        1 => Command::RestartApplication,
        2 => Command::FactoryReset,
        3 => Command::Lock { message: text(which) },
        4 => Command::Unlock,
        5 => Command::ClearReversal,
        6 => Command::ClearBatch,
        7 => Command::PrintTestSlip { text: (which & 0x80 != 0).then(|| text(which)) },
        8 => Command::SelfTest,
        9 => Command::Diagnose,
        10 => Command::CollectLogs { max_bytes: which.into() },
        11 => Command::CollectJournal { from_batch: Some(which.into()), max_bytes: 1 << 40 },
        12 => Command::Unknown(which),
        _ => Command::CancelOperation { target: operation(which) },
    }
}

/// A plan.
#[derive(Debug, Arbitrary)]
pub struct Planned {
    id: u8,
    version: u64,
    actions: Few<PlannedAction>,
}

#[derive(Debug, Arbitrary)]
struct PlannedAction {
    id: u8,
    command: u8,
    trigger: u8,
    window: Option<(u16, u16)>,
    retry: (u8, u8),
    rules: u8,
}

impl Planned {
    fn plan(&self) -> Plan {
        let actions = self.actions.0.iter().map(PlannedAction::action).collect();
        Plan { id: operation(self.id), version: self.version, actions }
    }
}

impl PlannedAction {
    fn action(&self) -> plan::Action {
        let second = |second: u16| time(second.into());
        plan::Action {
            trigger: match self.trigger % 5 {
                0 => Trigger::AtOnce,
                1 => Trigger::At(second(self.trigger.into())),
                2 => Trigger::NextContact,
                3 => Trigger::AfterSettlement,
                _ => Trigger::ByHand,
            },
            window: self.window.map(|(start, end)| Window { start: second(start), end: second(end) }),
            retry: Retry { delay_s: self.retry.0.into(), count: self.retry.1 },
            on_error: [OnError::Report, OnError::Stop, OnError::Ignore][usize::from(self.rules % 3)],
            follow_up: [FollowUp::None, FollowUp::ReconcileFirst, FollowUp::RestartAfter]
                [usize::from(self.rules / 3 % 3)],
            ..plan::Action::new(self.id.into(), plain(self.command))
        }
    }
}

/// What the host answers.
#[derive(Debug, Arbitrary)]
pub enum Said {
    /// What its machines say.
    Honest,
    Approved,
    Refused(u8),
    Keys(Keys),
    MasterKey(Bytes),
    Parameters(Few<(u8, u8)>),
    Download(Bytes),
    Task(Option<Told>),
    Block {
        offset: u64,
        total: u64,
        length: u16,
    },
    Uploaded(u64),
    Totals {
        batch: u32,
        totals: [u16; 4],
        balance: u8,
    },
    Taken {
        batch: u32,
        trades: Few<Trade>,
    },
}

/// A result.
pub fn result(operation_number: u8, step: u8, outcome: u8, reason: u8) -> TaskResult {
    TaskResult::new(operation(operation_number), step, Outcome(outcome)).because(text(reason))
}

/// A refusal.
pub fn refusal(which: u8) -> Refusal {
    Refusal::ALL[usize::from(which) % Refusal::ALL.len()]
}

/// Operations are few, so that they meet again.
pub fn operation(which: u8) -> Uuid {
    Uuid::from_u128(u128::from(which % 8))
}

/// Some text: short, long, Chinese, with control characters.
pub fn text(which: u8) -> String {
    match which % 5 {
        0 => String::new(),
        1 => "A920".to_owned(),
        2 => "锁".repeat(usize::from(which)),
        3 => "a\nb\u{7f}".to_owned(),
        _ => "x".repeat(usize::from(which) * 2),
    }
}

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
}

/// Records with few names, so that they meet again, of which some say something to their file.
fn records(pairs: &[(u8, u8)]) -> Values {
    let named = pairs.iter().map(|(name, value)| {
        let name = match name % 4 {
            0 => "timeout_s".to_owned(),
            1 => format!("a00000033{:x}01", name / 4 % 16),
            2 => format!("622{name}"),
            _ => format!("name{name}"),
        };
        (name, value.to_string())
    });
    named.collect()
}

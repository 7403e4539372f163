//! Plans in BER-TLV.

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Action, FollowUp, MAX_ACTIONS, MAX_INLINE_PLAN_BYTES, MAX_PLAN_BYTES, MAX_RETRIES, OnError, Plan,
    PlanSource, Retry, Trigger, Window,
};
use crate::{
    body::{self, Body, put, put_text, tag},
    error::ProtocolError,
    task::{Command, MAX_NAME_BYTES},
};

const NAME: &str = "plan";

impl Plan {
    /// The plan as a command or a file carries it.
    ///
    /// # Errors
    /// When the plan would not arrive as it is: it has too many actions, two of one id, a command that may
    /// not be planned, a text that is too long, or takes more than [`MAX_PLAN_BYTES`].
    pub fn encode(&self) -> Result<Vec<u8>, ProtocolError> {
        let bytes = self.put();
        if Self::decode(&bytes)? == *self {
            Ok(bytes)
        } else {
            Err(wrong("a text is too long or has control characters, or a time has parts of a second"))
        }
    }

    fn put(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        put(&mut out, tag::PLAN_ID, self.id.as_bytes());
        put(&mut out, tag::PLAN_VERSION, &self.version.to_be_bytes());
        for action in &self.actions {
            put(&mut out, tag::ACTION, &action.encode());
        }
        out
    }

    /// Reads a plan.
    ///
    /// # Errors
    /// Names what is missing, malformed or not allowed. A plan is taken whole or not at all; only an unknown
    /// command is taken, and fails when its time comes.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProtocolError> {
        if bytes.len() > MAX_PLAN_BYTES {
            return Err(wrong(format!("{} bytes, at most {MAX_PLAN_BYTES}", bytes.len())));
        }
        let body = Body::parse(bytes)?;
        let mut actions: Vec<Action> = Vec::new();
        for element in body.all(tag::ACTION) {
            let action = Action::decode(element)?;
            if actions.len() >= MAX_ACTIONS {
                return Err(wrong(format!("more than {MAX_ACTIONS} actions")));
            }
            if actions.iter().any(|other| other.id == action.id) {
                return Err(wrong(format!("two actions have the id {}", action.id)));
            }
            actions.push(action);
        }
        Ok(Self {
            id: Uuid::from_bytes(body.array(tag::PLAN_ID, NAME)?),
            version: body.u64(tag::PLAN_VERSION, NAME)?,
            actions,
        })
    }
}

impl Action {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(96);
        put(&mut out, tag::ACTION_ID, &self.id.to_be_bytes());
        if !self.target.is_empty() {
            put_text(&mut out, tag::TARGET, &self.target, MAX_NAME_BYTES);
        }
        put(&mut out, tag::TRIGGER, &self.trigger.encode());
        if let Some(window) = &self.window {
            let mut both = window.start.as_second().to_be_bytes().to_vec();
            both.extend_from_slice(&window.end.as_second().to_be_bytes());
            put(&mut out, tag::WINDOW, &both);
        }
        if self.retry.count > 0 || self.retry.delay_s > 0 {
            let [a, b, c, d] = self.retry.delay_s.to_be_bytes();
            put(&mut out, tag::RETRY, &[a, b, c, d, self.retry.count]);
        }
        put(&mut out, tag::RULES, &[self.on_error.code(), self.follow_up.code()]);
        self.command.put(&mut out);
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, ProtocolError> {
        let body = Body::parse(bytes)?;
        // Before the command is read: a plan within a plan could go on for ever.
        let code = body.u8(tag::COMMAND, NAME)?;
        let command = if Command::is_plannable(code) {
            Command::read(&body, NAME)?
        } else {
            return Err(wrong(format!("command {code} has no place in a plan")));
        };
        let [on_error, follow_up] = body.array(tag::RULES, NAME)?;
        let retry = match body.optional_array::<5>(tag::RETRY, NAME)? {
            Some([_, _, _, _, count]) if count > MAX_RETRIES => {
                return Err(wrong(format!("{count} retries, at most {MAX_RETRIES}")));
            }
            Some([a, b, c, d, count]) => Retry { delay_s: u32::from_be_bytes([a, b, c, d]), count },
            None => Retry::default(),
        };
        Ok(Self {
            id: body.u32(tag::ACTION_ID, NAME)?,
            command,
            target: body.optional_text(tag::TARGET, NAME, MAX_NAME_BYTES)?.unwrap_or_default(),
            trigger: Trigger::decode(body.bytes(tag::TRIGGER, NAME)?)?,
            window: body.optional_array::<16>(tag::WINDOW, NAME)?.map(Window::decode).transpose()?,
            retry,
            on_error: OnError::from_code(on_error)?,
            follow_up: FollowUp::from_code(follow_up)?,
        })
    }
}

impl Trigger {
    fn encode(self) -> Vec<u8> {
        match self {
            Self::AtOnce => vec![0],
            Self::At(time) => [&[1][..], &time.as_second().to_be_bytes()].concat(),
            Self::NextContact => vec![2],
            Self::AfterSettlement => vec![3],
            Self::ByHand => vec![4],
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, ProtocolError> {
        Ok(match bytes {
            [0] => Self::AtOnce,
            [1, time @ ..] => Self::At(second(
                time.try_into().map_err(|_| wrong("the time of a trigger has not 8 bytes"))?,
            )?),
            [2] => Self::NextContact,
            [3] => Self::AfterSettlement,
            [4] => Self::ByHand,
            _ => return Err(wrong("an unknown trigger")),
        })
    }
}

impl Window {
    fn decode(bytes: [u8; 16]) -> Result<Self, ProtocolError> {
        let (start, end) = bytes.split_at(8);
        let (Ok(start), Ok(end)) = (start.try_into(), end.try_into()) else {
            return Err(wrong("a window has not 16 bytes"));
        };
        let window = Self { start: second(start)?, end: second(end)? };
        if window.start < window.end { Ok(window) } else { Err(wrong("a window ends before it begins")) }
    }
}

impl OnError {
    fn code(self) -> u8 {
        match self {
            Self::Report => 0,
            Self::Stop => 1,
            Self::Ignore => 2,
        }
    }

    fn from_code(code: u8) -> Result<Self, ProtocolError> {
        [Self::Report, Self::Stop, Self::Ignore]
            .into_iter()
            .find(|rule| rule.code() == code)
            .ok_or_else(|| wrong(format!("{code} says nothing about errors")))
    }
}

impl FollowUp {
    fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::ReconcileFirst => 1,
            Self::RestartAfter => 2,
        }
    }

    fn from_code(code: u8) -> Result<Self, ProtocolError> {
        [Self::None, Self::ReconcileFirst, Self::RestartAfter]
            .into_iter()
            .find(|follow_up| follow_up.code() == code)
            .ok_or_else(|| wrong(format!("{code} is no follow-up")))
    }
}

impl PlanSource {
    /// A plan as a command carries it: itself, or the file named `file` that holds `Plan::encode`.
    ///
    /// # Errors
    /// As [`Plan::encode`].
    pub fn of(plan: Plan, file: impl Into<String>) -> Result<Self, ProtocolError> {
        let bytes = plan.encode()?;
        if bytes.len() <= MAX_INLINE_PLAN_BYTES {
            return Ok(Self::Inline(Box::new(plan)));
        }
        Ok(Self::File {
            version: plan.version,
            file: file.into(),
            size_bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            sha256: tms_crypto::digest::sha256(&bytes),
        })
    }

    /// The plan in a file that was fetched.
    ///
    /// # Errors
    /// When it is not the file that was announced, or holds no plan or another version.
    pub fn open(&self, bytes: &[u8]) -> Result<Plan, ProtocolError> {
        match self {
            Self::Inline(plan) => Ok((**plan).clone()),
            Self::File { version, sha256, .. } => {
                if tms_crypto::digest::sha256(bytes) != *sha256 {
                    return Err(wrong("the file does not have the announced SHA-256"));
                }
                let plan = Plan::decode(bytes)?;
                if plan.version != *version {
                    return Err(wrong(format!("the file holds version {}, not {version}", plan.version)));
                }
                Ok(plan)
            }
        }
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Inline(plan) => put(out, tag::PLAN, &plan.put()),
            Self::File { version, file, size_bytes, sha256 } => {
                put(out, tag::PLAN_VERSION, &version.to_be_bytes());
                put(out, tag::FILE, file.as_bytes());
                put(out, tag::TOTAL, &size_bytes.to_be_bytes());
                put(out, tag::SHA256, sha256);
            }
        }
    }

    pub(crate) fn read(body: &Body<'_>, name: &'static str) -> Result<Self, ProtocolError> {
        if let Some(bytes) = body.find(tag::PLAN) {
            return Ok(Self::Inline(Box::new(Plan::decode(bytes)?)));
        }
        let size_bytes = body.u32(tag::TOTAL, name)?;
        if usize::try_from(size_bytes).is_ok_and(|size| size <= MAX_PLAN_BYTES) {
            Ok(Self::File {
                version: body.u64(tag::PLAN_VERSION, name)?,
                file: body.text(tag::FILE, name, MAX_NAME_BYTES)?,
                size_bytes,
                sha256: body.array(tag::SHA256, name)?,
            })
        } else {
            Err(wrong(format!("a file of {size_bytes} bytes, at most {MAX_PLAN_BYTES}")))
        }
    }
}

fn second(bytes: [u8; 8]) -> Result<Timestamp, ProtocolError> {
    body::seconds(bytes, NAME)
}

fn wrong(reason: impl Into<std::borrow::Cow<'static, str>>) -> ProtocolError {
    ProtocolError::body(NAME, reason)
}

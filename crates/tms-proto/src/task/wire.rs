//! Commands as elements of a body.

use uuid::Uuid;

use super::{Command, MAX_NAME_BYTES, MAX_TEXT_BYTES, MAX_UTC_OFFSET_S};
use crate::{
    address,
    body::{Body, put, put_text, put_time, tag},
    error::ProtocolError,
    plan::PlanSource,
};

impl Command {
    /// The number of the command on the wire.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Reboot => 1,
            Self::InstallFirmware { .. } => 2,
            Self::CredentialPrepare { .. } => 3,
            Self::CredentialCommit { .. } => 4,
            Self::CredentialVerify { .. } => 5,
            Self::CredentialConfirm { .. } => 6,
            Self::CredentialAbandon { .. } => 7,
            Self::CollectLogs { .. } => 8,
            Self::RestartApplication => 9,
            Self::FactoryReset => 10,
            Self::Lock { .. } => 11,
            Self::Unlock => 12,
            Self::ClearReversal => 13,
            Self::ClearBatch => 14,
            Self::PrintTestSlip { .. } => 15,
            Self::SelfTest => 16,
            Self::Diagnose => 17,
            Self::CollectJournal { .. } => 18,
            Self::SyncClock { .. } => 19,
            Self::ShowMessage { .. } => 20,
            Self::ChangeTmsAddress { .. } => 21,
            Self::InstallPlan(_) => 22,
            Self::CancelOperation { .. } => 23,
            Self::Unknown(code) | Self::Unusable { code, .. } => *code,
        }
    }

    /// Appends the code and what the command needs.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put(out, tag::COMMAND, &[self.code()]);
        match self {
            Self::Reboot
            | Self::RestartApplication
            | Self::FactoryReset
            | Self::Unlock
            | Self::ClearReversal
            | Self::ClearBatch
            | Self::SelfTest
            | Self::Diagnose
            | Self::Unknown(_)
            | Self::Unusable { .. } => {}
            Self::InstallFirmware { file, size_bytes, sha256 } => {
                put(out, tag::FILE, file.as_bytes());
                put(out, tag::TOTAL, &size_bytes.to_be_bytes());
                put(out, tag::SHA256, sha256);
            }
            Self::CredentialPrepare { role, generation, base, sealed } => {
                put_generation(out, role, *generation);
                put(out, tag::BASE, &base.to_be_bytes());
                put(out, tag::SEALED, sealed);
            }
            Self::CredentialCommit { role, generation }
            | Self::CredentialConfirm { role, generation }
            | Self::CredentialAbandon { role, generation } => put_generation(out, role, *generation),
            Self::CredentialVerify { role, generation, challenge } => {
                put_generation(out, role, *generation);
                put(out, tag::CHALLENGE, challenge);
            }
            Self::CollectLogs { max_bytes } => put(out, tag::MAX_BYTES, &max_bytes.to_be_bytes()),
            Self::Lock { message } => put_text(out, tag::MESSAGE, message, MAX_TEXT_BYTES),
            Self::PrintTestSlip { text } => {
                if let Some(text) = text {
                    put_text(out, tag::MESSAGE, text, MAX_TEXT_BYTES);
                }
            }
            Self::CollectJournal { from_batch, max_bytes } => {
                put(out, tag::MAX_BYTES, &max_bytes.to_be_bytes());
                if let Some(batch) = from_batch {
                    put(out, tag::FROM_BATCH, &batch.to_be_bytes());
                }
            }
            Self::SyncClock { time, utc_offset_s, force } => {
                put_time(out, tag::TIME, *time);
                put(out, tag::UTC_OFFSET, &utc_offset_s.to_be_bytes());
                put(out, tag::FORCE, &[u8::from(*force)]);
            }
            Self::ShowMessage { text, until, seconds } => {
                put_text(out, tag::MESSAGE, text, MAX_TEXT_BYTES);
                if let Some(until) = until {
                    put_time(out, tag::TIME, *until);
                }
                put(out, tag::SECONDS, &seconds.to_be_bytes());
            }
            Self::ChangeTmsAddress { addresses, attempts } => {
                for address in addresses {
                    put(out, tag::ADDRESS, address.as_bytes());
                }
                put(out, tag::ATTEMPTS, &[*attempts]);
            }
            Self::InstallPlan(source) => source.put(out),
            Self::CancelOperation { target } => put(out, tag::TARGET, target.as_bytes()),
        }
    }

    /// Reads what [`Command::put`] wrote. A command of an unknown code is [`Command::Unknown`].
    pub(crate) fn read(body: &Body<'_>, name: &'static str) -> Result<Self, ProtocolError> {
        let role = || body.text(tag::ROLE, name, MAX_NAME_BYTES);
        let generation = || body.u32(tag::GENERATION, name);
        let message = || body.text(tag::MESSAGE, name, MAX_TEXT_BYTES);
        Ok(match body.u8(tag::COMMAND, name)? {
            1 => Self::Reboot,
            2 => Self::InstallFirmware {
                file: body.text(tag::FILE, name, MAX_NAME_BYTES)?,
                size_bytes: body.u64(tag::TOTAL, name)?,
                sha256: body.array(tag::SHA256, name)?,
            },
            3 => Self::CredentialPrepare {
                role: role()?,
                generation: generation()?,
                base: body.u32(tag::BASE, name)?,
                sealed: body.bytes(tag::SEALED, name)?.to_vec(),
            },
            4 => Self::CredentialCommit { role: role()?, generation: generation()? },
            5 => Self::CredentialVerify {
                role: role()?,
                generation: generation()?,
                challenge: body.array(tag::CHALLENGE, name)?,
            },
            6 => Self::CredentialConfirm { role: role()?, generation: generation()? },
            7 => Self::CredentialAbandon { role: role()?, generation: generation()? },
            8 => Self::CollectLogs { max_bytes: body.u64(tag::MAX_BYTES, name)? },
            9 => Self::RestartApplication,
            10 => Self::FactoryReset,
            11 => Self::Lock { message: message()? },
            12 => Self::Unlock,
            13 => Self::ClearReversal,
            14 => Self::ClearBatch,
            15 => Self::PrintTestSlip { text: body.optional_text(tag::MESSAGE, name, MAX_TEXT_BYTES)? },
            16 => Self::SelfTest,
            17 => Self::Diagnose,
            18 => Self::CollectJournal {
                from_batch: body.optional_array(tag::FROM_BATCH, name)?.map(u32::from_be_bytes),
                max_bytes: body.u64(tag::MAX_BYTES, name)?,
            },
            19 => Self::SyncClock {
                time: body.time(tag::TIME, name)?,
                utc_offset_s: utc_offset(body, name)?,
                force: body.flag(tag::FORCE, name)?,
            },
            20 => Self::ShowMessage {
                text: message()?,
                until: body.find(tag::TIME).map(|_| body.time(tag::TIME, name)).transpose()?,
                seconds: u16::from_be_bytes(body.array(tag::SECONDS, name)?),
            },
            21 => Self::ChangeTmsAddress {
                addresses: address::read_all(body, name)?,
                attempts: attempts(body, name)?,
            },
            22 => Self::InstallPlan(PlanSource::read(body, name)?),
            23 => Self::CancelOperation { target: Uuid::from_bytes(body.array(tag::TARGET, name)?) },
            code => Self::Unknown(code),
        })
    }
}

fn put_generation(out: &mut Vec<u8>, role: &str, generation: u32) {
    put(out, tag::ROLE, role.as_bytes());
    put(out, tag::GENERATION, &generation.to_be_bytes());
}

fn utc_offset(body: &Body<'_>, name: &'static str) -> Result<i32, ProtocolError> {
    let offset = i32::from_be_bytes(body.array(tag::UTC_OFFSET, name)?);
    if offset.unsigned_abs() > MAX_UTC_OFFSET_S.unsigned_abs() {
        return Err(ProtocolError::body(name, format!("no place is {offset} seconds from UTC")));
    }
    Ok(offset)
}

fn attempts(body: &Body<'_>, name: &'static str) -> Result<u8, ProtocolError> {
    match body.u8(tag::ATTEMPTS, name)? {
        0 => Err(ProtocolError::body(name, "an address that is never tried")),
        attempts => Ok(attempts),
    }
}

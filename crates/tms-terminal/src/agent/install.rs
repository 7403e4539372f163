//! Fetching and installing firmware: the signed manifest first, then the image in blocks, into the
//! slot that does not run. Nothing boots that was not verified as it lies in the slot.

use jiff::Timestamp;
use tms_firmware::{Envelope, VerifiedManifest, envelope::MAX_ENVELOPE_BYTES, install::Phase};
use tms_proto::{
    Refusal,
    file::{Block, BlockRequest},
    task::Outcome,
    transfer::{Transfer, TransferSpec},
};

use super::{
    Connection, Exit, RETRY_AFTER_MS,
    fetch::{Fetch, Stage, firmware_outcome, install_outcome},
};
use crate::{
    failure::{Failure, FailureKind},
    flash::{FlashError, SlotWriter},
    machine::MANIFEST,
    state::{Install, StateError},
};

/// Refusals in a row that may be the line's fault and not the file's.
const MAX_DOUBTFUL: u32 = 3;
/// Useless blocks in a row after which the connection is given up.
const MAX_USELESS_BLOCKS: u32 = 16;

impl Connection {
    /// Takes up an installation where the state left it.
    pub(super) fn resume_install(&mut self, now: Timestamp) {
        let (phase, install) = {
            let machine = self.machine();
            (machine.state.slots.phase().clone(), machine.state.install.clone())
        };
        let Some(install) = install else { return };
        let resumed = match phase {
            Phase::Writing { .. } => self.resume_image(&install, now),
            _ => None,
        };
        self.fetch = Some(resumed.unwrap_or_else(|| Fetch::manifest(install.task, now)));
    }

    /// Everything is looked at again: the kept manifest, its signatures, what lies in the slot.
    fn resume_image(&self, install: &Install, now: Timestamp) -> Option<Fetch> {
        let mut machine = self.machine();
        let json = machine.kept(MANIFEST).ok()?;
        let verified = Envelope::from_json(&json).and_then(|e| e.verify(&machine.materials.trust)).ok()?;
        if !describes(&verified, install) {
            return None;
        }
        let device = machine.device();
        let slot = machine.state.slots.begin(&verified, &device).ok()?;
        let writer = machine.flash.writer(slot, install.durable_bytes).ok()?;
        let text = format!("resuming {} at byte {}", install.file, install.durable_bytes);
        machine.note(now, 'I', "update", &text);
        Some(self.image_fetch(install, writer, verified, now))
    }

    fn image_fetch(
        &self,
        install: &Install,
        writer: SlotWriter,
        verified: VerifiedManifest,
        now: Timestamp,
    ) -> Fetch {
        let spec = TransferSpec {
            file: install.file.clone(),
            size_bytes: install.size_bytes,
            sha256: verified.manifest().sha256,
            block_bytes: self.session.profile().block_bytes(),
            window: self.window,
        };
        let seed = u64::from_be_bytes(self.entropy.bytes());
        let stage = Stage::Image {
            transfer: Box::new(Transfer::new(spec, install.durable_bytes, seed)),
            writer,
            verified: Box::new(verified),
            saved_bytes: install.durable_bytes,
        };
        Fetch { resuming: install.durable_bytes > 0, ..Fetch::new(install.task, stage, now) }
    }

    pub(super) fn pump_fetch(&mut self, now: Timestamp) -> Result<(), Exit> {
        let length = self.session.profile().block_bytes();
        let file = self.machine().state.install.as_ref().map(|install| install.file.clone());
        let plan = self.plan_source();
        let Some(fetch) = self.fetch.as_mut().filter(|fetch| now >= fetch.retry_due()) else { return Ok(()) };
        // Answers drive it from here on; only a failure sets the next time.
        fetch.due = Timestamp::MAX;
        let requests = match &mut fetch.stage {
            Stage::Plan { bytes, waiting } => {
                *waiting = true;
                plan.map(|(file, _)| BlockRequest { file, offset: bytes.len() as u64, length })
                    .into_iter()
                    .collect()
            }
            Stage::Manifest { bytes, waiting, .. } => {
                *waiting = true;
                let (file, offset) = (format!("{}.manifest", file.unwrap_or_default()), bytes.len() as u64);
                vec![BlockRequest { file, offset, length }]
            }
            // The last block may have been durable before the power went.
            Stage::Image { transfer, .. } if transfer.is_complete() => return self.write_ready(now),
            Stage::Image { transfer, .. } => {
                let requests = transfer.next_requests(now);
                fetch.due = transfer.poll_timeout().unwrap_or(Timestamp::MAX);
                requests
            }
        };
        for request in requests {
            self.session.read_block(request, now)?;
            self.reads.asked();
        }
        Ok(())
    }

    pub(super) fn on_block(&mut self, block: Block, now: Timestamp) -> Result<(), Exit> {
        if !self.reads.answered() {
            return Ok(());
        }
        let plan = self.plan_source();
        let Some(fetch) = &mut self.fetch else { return Ok(()) };
        fetch.due = now;
        fetch.useless_in_a_row = 0;
        fetch.served = true;
        match &mut fetch.stage {
            Stage::Plan { bytes, waiting } => {
                *waiting = false;
                let size = plan.map_or(0, |(_, size)| size);
                let expected = bytes.len() as u64;
                if block.offset != expected || block.total_bytes != size || block.data.is_empty() {
                    let reason = format!("the plan has {} bytes, or came out of order", block.total_bytes);
                    return self.fail_plan(Outcome::FETCH_FAILED, &reason, now);
                }
                bytes.extend_from_slice(&block.data);
                if bytes.len() as u64 >= size {
                    let bytes = std::mem::take(bytes);
                    return self.on_plan(&bytes, now);
                }
                Ok(())
            }
            Stage::Manifest { bytes, total_bytes, waiting } => {
                let total = *total_bytes.get_or_insert(block.total_bytes);
                let expected = bytes.len() as u64;
                let sound = block.offset == expected && block.total_bytes == total && !block.data.is_empty();
                if !sound || total > MAX_ENVELOPE_BYTES as u64 {
                    let reason =
                        format!("the manifest has {} bytes, or came out of order", block.total_bytes);
                    return self.fail(Outcome::FETCH_FAILED, &reason, now);
                }
                bytes.extend_from_slice(&block.data);
                *waiting = false;
                if bytes.len() as u64 >= total {
                    let json = std::mem::take(bytes);
                    return self.on_manifest(&json, now);
                }
                Ok(())
            }
            Stage::Image { transfer, .. } => {
                if std::mem::take(&mut fetch.resuming) {
                    self.status.resumed();
                }
                if let Err(error) = transfer.on_block(block, now) {
                    return self.fail(Outcome::HASH_MISMATCH, &error.to_string(), now);
                }
                self.write_ready(now)
            }
        }
    }

    /// The manifest is whole: believe it only if enough trusted keys signed it, then begin to write.
    fn on_manifest(&mut self, json: &[u8], now: Timestamp) -> Result<(), Exit> {
        let begun = {
            let mut machine = self.machine();
            let Some(install) = &mut machine.state.install else { return Ok(()) };
            // Written from the beginning, whatever was there before.
            install.durable_bytes = 0;
            let install = install.clone();
            match Envelope::from_json(json).and_then(|envelope| envelope.verify(&machine.materials.trust)) {
                Err(error) => Err((firmware_outcome(&error), error.to_string())),
                Ok(verified) if !describes(&verified, &install) => Err((
                    Outcome::HASH_MISMATCH,
                    "the signed manifest describes another image than was announced".to_owned(),
                )),
                Ok(verified) => {
                    let device = machine.device();
                    match machine.state.slots.begin(&verified, &device) {
                        Err(error) => Err((install_outcome(&error), error.to_string())),
                        Ok(slot) => {
                            machine.keep(MANIFEST, json)?;
                            machine.save()?;
                            let writer = machine.flash.writer(slot, 0).map_err(flash_exit)?;
                            let text = format!(
                                "installing version {} to slot {slot}, {} bytes",
                                verified.manifest().version,
                                install.size_bytes
                            );
                            machine.note(now, 'I', "update", &text);
                            Ok((install, writer, verified))
                        }
                    }
                }
            }
        };
        match begun {
            Ok((install, writer, verified)) => {
                let image = self.image_fetch(&install, writer, verified, now);
                self.fetch = Some(Fetch { served: true, ..image });
                Ok(())
            }
            Err((outcome, reason)) => self.fail(outcome, &reason, now),
        }
    }

    fn write_ready(&mut self, now: Timestamp) -> Result<(), Exit> {
        let Some(Fetch { stage: Stage::Image { transfer, writer, verified, saved_bytes }, .. }) =
            &mut self.fetch
        else {
            return Ok(());
        };
        let mut machine = self.machine.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        while let Some((_, data)) = transfer.take_ready() {
            let at = match writer.append(&data, &mut machine.power_bytes) {
                Ok(at) => at,
                Err(FlashError::PowerCut { .. }) => return Err(Exit::PowerCut),
                Err(error) => return Err(flash_exit(error)),
            };
            if transfer.wants_durable().is_some() {
                writer.sync().map_err(FlashError::Io).map_err(flash_exit)?;
                if let Some(install) = &mut machine.state.install {
                    install.durable_bytes = at;
                }
                machine.save()?;
                transfer.on_durable(at);
                *saved_bytes = at;
            }
        }
        if !transfer.is_complete() {
            return Ok(());
        }
        writer.sync().map_err(FlashError::Io).map_err(flash_exit)?;
        // As it lies in the slot, not as it came over the wire.
        let slot = machine.state.slots.active().other();
        let (size, hash) =
            machine.flash.measure(slot).map_err(|error| StateError::io(&machine.flash.path(slot), error))?;
        match machine.state.slots.verified(verified, size, &hash) {
            Ok(()) => {
                machine.save()?;
                machine.note(now, 'I', "update", "image verified, restarting");
                drop(machine);
                // The restart is due from now on.
                self.fetch = None;
                Ok(())
            }
            Err(error) => {
                drop(machine);
                self.fail(install_outcome(&error), &error.to_string(), now)
            }
        }
    }

    pub(super) fn on_block_refused(
        &mut self,
        request: &BlockRequest,
        refusal: Refusal,
        now: Timestamp,
    ) -> Result<(), Exit> {
        let answered = self.reads.answered();
        let Some(fetch) = self.fetch.as_ref().filter(|_| answered) else { return Ok(()) };
        let may_be_spoiled = fetch.served && fetch.useless_in_a_row < MAX_DOUBTFUL;
        match refusal {
            refusal if refusal.may_retry() => self.on_block_missing(request.offset, now),
            // These are about the message, not the file: on a session that stands, the request was
            // spoiled on its way.
            Refusal::FormatError | Refusal::NotSupported | Refusal::InvalidTerminal => {
                self.on_block_missing(request.offset, now)
            }
            // A name or an offset may have been spoiled too, but not again and again.
            Refusal::OutOfRange | Refusal::NotPermitted if may_be_spoiled => {
                self.on_block_missing(request.offset, now)
            }
            // Right after a break the host may not have the operation in hand again. It will give the
            // task once more when it has, and the transfer goes on then.
            Refusal::NotPermitted => {
                self.note_progress()?;
                self.rests = self.fetch.take().map(|fetch| fetch.task);
                Ok(())
            }
            refusal if self.plan_source().is_some() => {
                let reason = format!("the host refused {}: {refusal}", request.file);
                self.fail_plan(Outcome::FETCH_FAILED, &reason, now)
            }
            refusal => self.fail(
                Outcome::FETCH_FAILED,
                &format!("the host refused {}: {refusal}", request.file),
                now,
            ),
        }
    }

    /// The answer to a block request was of no use.
    pub(super) fn on_block_useless(&mut self, offset: u64, now: Timestamp) -> Result<(), Exit> {
        if self.reads.answered() { self.on_block_missing(offset, now) } else { Ok(()) }
    }

    /// A block has to be asked for again, after a while.
    fn on_block_missing(&mut self, offset: u64, now: Timestamp) -> Result<(), Exit> {
        let due = self.after(RETRY_AFTER_MS, now);
        let Some(fetch) = &mut self.fetch else { return Ok(()) };
        fetch.useless_in_a_row = fetch.useless_in_a_row.saturating_add(1);
        let useless = match &mut fetch.stage {
            Stage::Manifest { waiting, .. } | Stage::Plan { waiting, .. } => {
                *waiting = false;
                fetch.due = due;
                fetch.useless_in_a_row > MAX_USELESS_BLOCKS
            }
            Stage::Image { transfer, .. } => {
                let lost = transfer.on_missing(offset, now);
                fetch.due = transfer.poll_timeout().unwrap_or(now);
                lost.is_err()
            }
        };
        if useless {
            let what = "the host sends no useful blocks";
            return Err(Exit::Lost(Failure::new(FailureKind::Protocol, what, "")));
        }
        Ok(())
    }

    /// Makes durable how far the slot is written, so that the next connection goes on from there.
    pub(super) fn note_progress(&self) -> Result<(), StateError> {
        let Some(Fetch { task, stage: Stage::Image { transfer, writer, saved_bytes, .. }, .. }) = &self.fetch
        else {
            return Ok(());
        };
        let written = transfer.delivered_bytes();
        if written == *saved_bytes {
            return Ok(());
        }
        writer.sync().map_err(|error| StateError::io(std::path::Path::new("flash"), error))?;
        let mut machine = self.machine();
        match &mut machine.state.install {
            Some(install) if install.task == *task => install.durable_bytes = written,
            _ => return Ok(()),
        }
        machine.save()
    }

    fn fail(&mut self, outcome: Outcome, reason: &str, now: Timestamp) -> Result<(), Exit> {
        self.fetch = None;
        let mut machine = self.machine();
        if outcome.is_done() {
            machine.finish_install(outcome, reason, now);
            return Ok(machine.save()?);
        }
        machine.fail_install(outcome, reason, now)?;
        let slot = machine.state.slots.active().other();
        if machine.state.slots.slot(slot).is_none() {
            machine.flash.erase(slot).map_err(|error| StateError::io(&machine.flash.path(slot), error))?;
        }
        Ok(())
    }
}

fn describes(verified: &VerifiedManifest, install: &Install) -> bool {
    let manifest = verified.manifest();
    manifest.size_bytes == install.size_bytes && hex::encode(manifest.sha256) == install.sha256
}

fn flash_exit(error: FlashError) -> Exit {
    match error {
        FlashError::PowerCut { .. } => Exit::PowerCut,
        FlashError::Io(source) => Exit::Storage(StateError::io(std::path::Path::new("flash"), source)),
        full @ FlashError::Full { .. } => Exit::Storage(StateError::io(
            std::path::Path::new("flash"),
            std::io::Error::other(full.to_string()),
        )),
    }
}

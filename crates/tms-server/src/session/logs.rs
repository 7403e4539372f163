//! Taking a log bundle or a journal: gathered in memory up to the limit, then written whole.

use tms_core::{LogBundle, OperationId, OperationKind, TerminalId};
use tms_crypto::sha256;
use tms_proto::{Refusal, upload::Chunk};
use tracing::info;

use super::Session;

/// What a terminal sends in pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Its log.
    Log,
    /// Its journal of transactions.
    Journal,
}

impl Sent {
    fn is_asked_by(self, kind: &OperationKind) -> bool {
        match self {
            Self::Log => matches!(kind, OperationKind::CollectLogs { .. }),
            Self::Journal => matches!(kind, OperationKind::CollectJournal { .. }),
        }
    }
}

/// A bundle on its way.
#[derive(Debug)]
pub(crate) struct Upload {
    operation: OperationId,
    sha256: [u8; 32],
    total_bytes: u64,
    data: Vec<u8>,
}

impl Session {
    /// Takes a chunk; answers the offset that is wanted next. The last chunk is answered when the
    /// bundle is on disk and in the store.
    pub(super) async fn take_chunk(
        &mut self,
        terminal: &TerminalId,
        operation: OperationId,
        chunk: Chunk,
        what: Sent,
    ) -> Result<u64, Refusal> {
        let asked =
            |w: &super::work::Work| w.operation.id == operation && what.is_asked_by(&w.operation.kind);
        let allowed = self.work.as_ref().is_some_and(asked);
        if !allowed {
            return self.already_taken(terminal, operation, &chunk).await;
        }
        if chunk.total_bytes > self.app.limits.log_bundle_bytes {
            info!(
                terminal = terminal.as_str(),
                bytes = chunk.total_bytes,
                "log bundle over the limit refused"
            );
            return Err(Refusal::OutOfRange);
        }
        let same = self.upload.as_ref().is_some_and(|u| u.operation == operation && u.sha256 == chunk.sha256);
        if !same {
            let data = Vec::new();
            let (sha256, total_bytes) = (chunk.sha256, chunk.total_bytes);
            self.upload = Some(Upload { operation, sha256, total_bytes, data });
        }
        let Some(upload) = &mut self.upload else { return Err(Refusal::SystemError) };
        let next = upload.data.len() as u64;
        if chunk.offset != next {
            return Ok(next);
        }
        upload.data.extend_from_slice(&chunk.data);
        let next = upload.data.len() as u64;
        if next < upload.total_bytes {
            return Ok(next);
        }
        let Some(upload) = self.upload.take() else { return Err(Refusal::SystemError) };
        if sha256(&upload.data) != upload.sha256 {
            info!(terminal = terminal.as_str(), "log bundle does not have its announced hash; asked again");
            return Ok(0);
        }
        self.keep_bundle(terminal, upload, what).await?;
        Ok(next)
    }

    /// The answer to a last chunk may have been lost: a bundle that is complete is answered again.
    async fn already_taken(
        &self,
        terminal: &TerminalId,
        operation: OperationId,
        chunk: &Chunk,
    ) -> Result<u64, Refusal> {
        let bundle = self.app.store.log_bundle(operation).await.map_err(|e| self.store_refusal(&e))?;
        match bundle {
            Some(b) if b.terminal == *terminal && b.sha256 == hex::encode(chunk.sha256) => Ok(b.size_bytes),
            _ => Err(Refusal::NotPermitted),
        }
    }

    async fn keep_bundle(&self, terminal: &TerminalId, upload: Upload, what: Sent) -> Result<(), Refusal> {
        let object = match what {
            Sent::Log => format!("logs/{terminal}/{}.log", upload.operation),
            Sent::Journal => format!("journals/{terminal}/{}.journal", upload.operation),
        };
        if let Err(error) = self.app.objects.write(&object, &upload.data).await {
            tracing::error!(object, %error, "log bundle not written");
            return Err(Refusal::SystemError);
        }
        let bundle = LogBundle {
            operation: upload.operation,
            terminal: terminal.clone(),
            object,
            size_bytes: upload.data.len() as u64,
            sha256: hex::encode(upload.sha256),
            collected_at: self.app.now(),
        };
        self.app.store.add_log_bundle(bundle).await.map_err(|e| self.store_refusal(&e))?;
        self.app.counters.log_bundles.increment();
        Ok(())
    }
}

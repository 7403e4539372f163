//! Firmware images and their manifests, served in blocks from memory that all sessions share.

use std::sync::Arc;

use bytes::Bytes;
use quick_cache::{Weighter, sync::Cache};
use tms_core::FirmwareId;
use tms_proto::{Refusal, file::BlockRequest};

use crate::app::App;

/// Ending of a manifest's name.
const MANIFEST: &str = ".manifest";

/// The images in use.
#[derive(Debug)]
pub struct Images {
    cache: Cache<String, Bytes, BySize>,
}

#[derive(Debug, Clone)]
struct BySize;

impl Weighter<String, Bytes> for BySize {
    fn weight(&self, _name: &String, bytes: &Bytes) -> u64 {
        bytes.len() as u64
    }
}

/// Why a block cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("no operation in hand lets the terminal read this file")]
    NotPermitted,
    #[error("offset {offset} lies outside the {total_bytes} bytes of the file")]
    OutOfRange { offset: u64, total_bytes: u64 },
    #[error("a block of {length} bytes is larger than {limit}")]
    TooLarge { length: u32, limit: u32 },
    #[error("the file is gone")]
    Gone,
    #[error("{0}")]
    Store(Arc<tms_store::StoreError>),
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl ReadError {
    pub(crate) fn refusal(&self) -> Refusal {
        match self {
            Self::NotPermitted => Refusal::NotPermitted,
            Self::OutOfRange { .. } | Self::TooLarge { .. } => Refusal::OutOfRange,
            Self::Gone => Refusal::NotFound,
            Self::Store(_) | Self::Io(_) => Refusal::SystemError,
        }
    }
}

/// The name under which a terminal reads a package's image.
pub(crate) fn image_file(firmware: &FirmwareId) -> String {
    firmware.to_string()
}

/// The package whose image or manifest a file is, if its name can be one's.
pub(crate) fn package_of_file(file: &str) -> Option<FirmwareId> {
    file.strip_suffix(MANIFEST).unwrap_or(file).parse().ok()
}

impl Images {
    /// A cache of at most `bytes` of images.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        Self { cache: Cache::with_weighter(64, bytes, BySize) }
    }

    /// The whole file, and the block of it that was asked for. `allowed` is the package that the
    /// terminal may read.
    pub(crate) async fn read(
        &self,
        app: &App,
        allowed: Option<&FirmwareId>,
        request: &BlockRequest,
        limit: u32,
    ) -> Result<(Bytes, Bytes), ReadError> {
        let firmware = allowed.ok_or(ReadError::NotPermitted)?;
        let image = image_file(firmware);
        let manifest = request.file.strip_suffix(MANIFEST) == Some(image.as_str());
        if !manifest && request.file != image {
            return Err(ReadError::NotPermitted);
        }
        let load = self.load(app, firmware, manifest);
        let file = self.cache.get_or_insert_async(&request.file, load).await?;
        let data = block(&file, request, limit)?;
        Ok((file, data))
    }

    async fn load(&self, app: &App, firmware: &FirmwareId, manifest: bool) -> Result<Bytes, ReadError> {
        let record = app.store.firmware(firmware).await.map_err(|e| ReadError::Store(Arc::new(e)))?;
        let record = record.ok_or(ReadError::Gone)?;
        if manifest {
            return Ok(Bytes::from(record.envelope.into_bytes()));
        }
        app.objects.read(&record.object).await?.ok_or(ReadError::Gone)
    }
}

/// The block of a file that was asked for.
pub(crate) fn block(file: &Bytes, request: &BlockRequest, limit: u32) -> Result<Bytes, ReadError> {
    if request.length > limit {
        return Err(ReadError::TooLarge { length: request.length, limit });
    }
    // The last block is as long as what is left: a terminal need not know a manifest's size.
    let range = usize::try_from(request.offset).ok().and_then(|start| {
        let end = start.checked_add(usize::try_from(request.length).ok()?)?.min(file.len());
        (start < end).then_some(start..end)
    });
    let out = ReadError::OutOfRange { offset: request.offset, total_bytes: file.len() as u64 };
    range.map(|range| file.slice(range)).ok_or(out)
}

//! From one store to another.

use tms_store::{Location, StoreError, dump};

use super::bar;

/// What was copied.
#[derive(Debug, PartialEq, Eq)]
pub struct Copied {
    /// Rows.
    pub rows: u64,
    /// Tables.
    pub tables: usize,
}

/// Copies everything that one store holds now into another one, which must be empty, and compares both. The
/// target gets everything or nothing.
///
/// # Errors
/// `Conflict` if the target is not empty; otherwise when one of the two fails.
pub async fn copy(from: &Location, to: &Location) -> Result<Copied, StoreError> {
    let mut source = dump::source(from).await?;
    let mut target = dump::target(to, source.schema()).await?;
    let progress = bar(source.total_rows(), "rows");
    while let Some(rows) = source.next().await? {
        target.add(&rows).await?;
        progress.inc(rows.rows.len() as u64);
    }
    progress.finish_and_clear();
    let contents = source.contents();
    target.finish(&contents).await?;
    Ok(Copied { rows: contents.values().map(|digest| digest.rows).sum(), tables: contents.len() })
}

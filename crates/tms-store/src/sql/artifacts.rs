//! Firmware packages and log bundles.

use sqlx::Executor;
use tms_core::{FirmwareId, FirmwareRecord, LogBundle, OperationId, TerminalId};

use super::{Connection, Db, operations, sql};
use crate::error::StoreError;
use crate::row::{FirmwareRow, LogBundleRow, micros, signed, to_json};
use crate::store::Result;

pub(super) async fn add_firmware(c: &mut Connection, firmware: &FirmwareRecord) -> Result<()> {
    sqlx::query(
        "INSERT INTO firmware (id, version, models, size_bytes, sha256, envelope, object, published_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING",
    )
    .bind(firmware.id.as_str())
    .bind(&firmware.version)
    .bind(to_json(&firmware.models)?)
    .bind(signed(firmware.size_bytes))
    .bind(&firmware.sha256)
    .bind(&firmware.envelope)
    .bind(&firmware.object)
    .bind(micros(firmware.published_at))
    .execute(c)
    .await
    .map_err(sql)?;
    Ok(())
}

pub(super) async fn firmware(
    e: impl Executor<'_, Database = Db>,
    id: &FirmwareId,
) -> Result<Option<FirmwareRecord>> {
    sqlx::query_as::<_, FirmwareRow>("SELECT * FROM firmware WHERE id = $1")
        .bind(id.as_str())
        .fetch_optional(e)
        .await
        .map_err(sql)?
        .map(FirmwareRecord::try_from)
        .transpose()
}

pub(super) async fn firmwares(e: impl Executor<'_, Database = Db>) -> Result<Vec<FirmwareRecord>> {
    sqlx::query_as::<_, FirmwareRow>("SELECT * FROM firmware ORDER BY published_at DESC, id")
        .fetch_all(e)
        .await
        .map_err(sql)?
        .into_iter()
        .map(FirmwareRecord::try_from)
        .collect()
}

pub(super) async fn add_log_bundle(c: &mut Connection, bundle: &LogBundle) -> Result<()> {
    let operation = operations::existing(c, bundle.operation).await?;
    if operation.terminal != bundle.terminal {
        return Err(StoreError::not_found(
            "operation",
            format!("{} of terminal {}", bundle.operation, bundle.terminal),
        ));
    }
    sqlx::query(
        "INSERT INTO log_bundles (operation, tid, object, size_bytes, sha256, collected_at) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (operation) DO UPDATE SET object = excluded.object, \
         size_bytes = excluded.size_bytes, sha256 = excluded.sha256, collected_at = excluded.collected_at",
    )
    .bind(bundle.operation.to_string())
    .bind(bundle.terminal.as_str())
    .bind(&bundle.object)
    .bind(signed(bundle.size_bytes))
    .bind(&bundle.sha256)
    .bind(micros(bundle.collected_at))
    .execute(c)
    .await
    .map_err(sql)?;
    Ok(())
}

pub(super) async fn log_bundles(
    e: impl Executor<'_, Database = Db>,
    tid: &TerminalId,
) -> Result<Vec<LogBundle>> {
    sqlx::query_as::<_, LogBundleRow>(
        "SELECT * FROM log_bundles WHERE tid = $1 ORDER BY collected_at DESC, operation DESC",
    )
    .bind(tid.as_str())
    .fetch_all(e)
    .await
    .map_err(sql)?
    .into_iter()
    .map(LogBundle::try_from)
    .collect()
}

pub(super) async fn log_bundle(
    e: impl Executor<'_, Database = Db>,
    operation: OperationId,
) -> Result<Option<LogBundle>> {
    sqlx::query_as::<_, LogBundleRow>("SELECT * FROM log_bundles WHERE operation = $1")
        .bind(operation.to_string())
        .fetch_optional(e)
        .await
        .map_err(sql)?
        .map(LogBundle::try_from)
        .transpose()
}

//! Webhooks and their deliveries.

use jiff::Timestamp;
use sqlx::sqlite::SqliteConnection;
use sqlx::{FromRow, SqliteExecutor};
use tms_core::webhook::MAX_WEBHOOKS;
use tms_core::{Delivery, DeliveryId, DeliveryState, Webhook, WebhookId};

use super::row::{from_json, micros, name, small, time, to_json};
use super::{fault, sql};
use crate::error::StoreError;
use crate::store::Result;

#[derive(FromRow)]
struct WebhookRow {
    id: String,
    url: String,
    kinds: String,
    enabled: bool,
    secret_sealed: Vec<u8>,
    author: String,
    created_at: i64,
}

impl TryFrom<WebhookRow> for Webhook {
    type Error = StoreError;

    fn try_from(row: WebhookRow) -> Result<Self> {
        Ok(Self {
            id: name(&row.id)?,
            url: row.url,
            kinds: from_json(&row.kinds)?,
            enabled: row.enabled,
            secret_sealed: row.secret_sealed,
            author: row.author,
            created_at: time(row.created_at)?,
        })
    }
}

#[derive(FromRow)]
struct DeliveryRow {
    id: String,
    webhook: String,
    event: String,
    state: String,
    attempts: i64,
    created_at: i64,
    due_at: i64,
    detail: Option<String>,
}

impl TryFrom<DeliveryRow> for Delivery {
    type Error = StoreError;

    fn try_from(row: DeliveryRow) -> Result<Self> {
        Ok(Self {
            id: name(&row.id)?,
            webhook: name(&row.webhook)?,
            event: row.event,
            state: name(&row.state)?,
            attempts: small(row.attempts)?,
            created_at: time(row.created_at)?,
            due_at: time(row.due_at)?,
            detail: row.detail,
        })
    }
}

pub(super) async fn add(c: &mut SqliteConnection, webhook: Webhook) -> Result<()> {
    let count: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM webhooks").fetch_one(&mut *c).await.map_err(sql)?;
    if usize::try_from(count).unwrap_or(usize::MAX) >= MAX_WEBHOOKS {
        return Err(StoreError::conflict(format!("there are {MAX_WEBHOOKS} webhooks, which is the most")));
    }
    let added = sqlx::query(
        "INSERT INTO webhooks (id, url, kinds, enabled, secret_sealed, author, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(webhook.id.to_string())
    .bind(webhook.url)
    .bind(to_json(&webhook.kinds)?)
    .bind(webhook.enabled)
    .bind(webhook.secret_sealed)
    .bind(webhook.author)
    .bind(micros(webhook.created_at))
    .execute(c)
    .await;
    match added {
        Ok(_) => Ok(()),
        Err(error) if fault::is_duplicate(&error) => {
            Err(StoreError::conflict(format!("webhook {} exists already", webhook.id)))
        }
        Err(error) => Err(sql(error)),
    }
}

pub(super) async fn change(
    c: &mut SqliteConnection,
    id: WebhookId,
    url: String,
    kinds: Vec<String>,
    enabled: bool,
) -> Result<Webhook> {
    sqlx::query("UPDATE webhooks SET url = $2, kinds = $3, enabled = $4 WHERE id = $1")
        .bind(id.to_string())
        .bind(url)
        .bind(to_json(&kinds)?)
        .bind(enabled)
        .execute(&mut *c)
        .await
        .map_err(sql)?;
    one(c, id).await?.ok_or_else(|| StoreError::not_found("webhook", id))
}

pub(super) async fn remove(c: &mut SqliteConnection, id: WebhookId) -> Result<()> {
    let removed = sqlx::query("DELETE FROM webhooks WHERE id = $1")
        .bind(id.to_string())
        .execute(c)
        .await
        .map_err(sql)?;
    if removed.rows_affected() == 0 {
        return Err(StoreError::not_found("webhook", id));
    }
    Ok(())
}

pub(super) async fn one(e: impl SqliteExecutor<'_>, id: WebhookId) -> Result<Option<Webhook>> {
    let row = sqlx::query_as::<_, WebhookRow>("SELECT * FROM webhooks WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(e)
        .await
        .map_err(sql)?;
    row.map(Webhook::try_from).transpose()
}

pub(super) async fn all(e: impl SqliteExecutor<'_>) -> Result<Vec<Webhook>> {
    let rows = sqlx::query_as::<_, WebhookRow>("SELECT * FROM webhooks ORDER BY id")
        .fetch_all(e)
        .await
        .map_err(sql)?;
    rows.into_iter().map(Webhook::try_from).collect()
}

pub(super) async fn add_deliveries(c: &mut SqliteConnection, deliveries: Vec<Delivery>) -> Result<()> {
    for delivery in deliveries {
        sqlx::query(
            "INSERT INTO deliveries (id, webhook, event, state, attempts, created_at, due_at, detail) \
             SELECT $1, $2, $3, $4, $5, $6, $7, $8 WHERE EXISTS (SELECT 1 FROM webhooks WHERE id = $2)",
        )
        .bind(delivery.id.to_string())
        .bind(delivery.webhook.to_string())
        .bind(delivery.event)
        .bind(delivery.state.name())
        .bind(i64::from(delivery.attempts))
        .bind(micros(delivery.created_at))
        .bind(micros(delivery.due_at))
        .bind(delivery.detail)
        .execute(&mut *c)
        .await
        .map_err(sql)?;
    }
    Ok(())
}

pub(super) async fn due(e: impl SqliteExecutor<'_>, now: Timestamp, limit: u32) -> Result<Vec<Delivery>> {
    let rows = sqlx::query_as::<_, DeliveryRow>(
        "SELECT d.* FROM deliveries d JOIN webhooks w ON w.id = d.webhook \
         WHERE d.state = 'pending' AND d.due_at <= $1 AND w.enabled ORDER BY d.due_at, d.id LIMIT $2",
    )
    .bind(micros(now))
    .bind(i64::from(limit))
    .fetch_all(e)
    .await
    .map_err(sql)?;
    rows.into_iter().map(Delivery::try_from).collect()
}

pub(super) async fn record_attempt(
    c: &mut SqliteConnection,
    id: DeliveryId,
    state: DeliveryState,
    due_at: Timestamp,
    detail: Option<String>,
) -> Result<()> {
    let recorded = sqlx::query(
        "UPDATE deliveries SET state = $2, attempts = attempts + 1, due_at = $3, detail = $4 WHERE id = $1",
    )
    .bind(id.to_string())
    .bind(state.name())
    .bind(micros(due_at))
    .bind(detail)
    .execute(c)
    .await
    .map_err(sql)?;
    if recorded.rows_affected() == 0 {
        return Err(StoreError::not_found("delivery", id));
    }
    Ok(())
}

pub(super) async fn replay(
    c: &mut SqliteConnection,
    webhook: WebhookId,
    id: DeliveryId,
    now: Timestamp,
) -> Result<Delivery> {
    sqlx::query(
        "UPDATE deliveries SET state = 'pending', attempts = 0, due_at = $3, detail = NULL \
         WHERE id = $1 AND webhook = $2",
    )
    .bind(id.to_string())
    .bind(webhook.to_string())
    .bind(micros(now))
    .execute(&mut *c)
    .await
    .map_err(sql)?;
    let row = sqlx::query_as::<_, DeliveryRow>("SELECT * FROM deliveries WHERE id = $1 AND webhook = $2")
        .bind(id.to_string())
        .bind(webhook.to_string())
        .fetch_optional(c)
        .await
        .map_err(sql)?;
    row.ok_or_else(|| StoreError::not_found("delivery", id))?.try_into()
}

pub(super) async fn page(
    e: impl SqliteExecutor<'_>,
    webhook: WebhookId,
    after: Option<DeliveryId>,
    limit: u32,
) -> Result<Vec<Delivery>> {
    let rows = sqlx::query_as::<_, DeliveryRow>(
        "SELECT * FROM deliveries WHERE webhook = $1 AND ($2 IS NULL OR id < $2) ORDER BY id DESC LIMIT $3",
    )
    .bind(webhook.to_string())
    .bind(after.map(|id| id.to_string()))
    .bind(i64::from(limit))
    .fetch_all(e)
    .await
    .map_err(sql)?;
    rows.into_iter().map(Delivery::try_from).collect()
}

pub(super) async fn forget(c: &mut SqliteConnection, before: Timestamp) -> Result<u64> {
    let forgotten = sqlx::query("DELETE FROM deliveries WHERE created_at < $1 AND state <> 'pending'")
        .bind(micros(before))
        .execute(c)
        .await
        .map_err(sql)?;
    Ok(forgotten.rows_affected())
}

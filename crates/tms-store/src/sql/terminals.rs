//! Terminals: who they are, what they should be, what they said, when they were heard of.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::{Executor, QueryBuilder};
use tms_core::{Desired, Reported, Terminal, TerminalId};

use super::{Connection, Db, sql};
use crate::error::StoreError;
use crate::row::{TerminalRow, from_json, micros, to_json, unsigned};
use crate::store::{InitialCredential, Result};

/// Contacts in one statement: well below the limit on bound values, well above the usual batch.
const CONTACTS_PER_STATEMENT: usize = 500;

pub(super) async fn enrol(
    c: &mut Connection,
    terminal: &Terminal,
    credentials: &[InitialCredential],
) -> Result<()> {
    let mut desired = terminal.desired.clone();
    for credential in credentials {
        desired.credentials.insert(credential.role.clone(), credential.generation);
    }
    let added = sqlx::query(
        "INSERT INTO terminals (tid, merchant, profile, model, hardware_revision, serial, enrolled_at, \
         sealing_public_key, tmk_sealed, certificate_sha256, desired, reported) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING",
    )
    .bind(terminal.id.as_str())
    .bind(terminal.merchant.as_str())
    .bind(terminal.profile.as_str())
    .bind(&terminal.model)
    .bind(&terminal.hardware_revision)
    .bind(&terminal.serial)
    .bind(micros(terminal.enrolled_at))
    .bind(&terminal.sealing_public_key)
    .bind(&terminal.tmk_sealed)
    .bind(&terminal.certificate_sha256)
    .bind(to_json(&desired)?)
    .bind(to_json(&terminal.reported)?)
    .execute(&mut *c)
    .await
    .map_err(sql)?;
    if added.rows_affected() == 0 {
        let id = &terminal.id;
        return Err(StoreError::conflict(if one(&mut *c, id).await?.is_some() {
            format!("terminal {id} exists already")
        } else {
            format!("another terminal has the certificate of terminal {id}")
        }));
    }
    for credential in credentials {
        let added = sqlx::query(
            "INSERT INTO credentials (tid, role, current_generation, current_sealed, current_since, \
             highest_generation, version) VALUES ($1, $2, $3, $4, $5, $3, 1) ON CONFLICT DO NOTHING",
        )
        .bind(terminal.id.as_str())
        .bind(credential.role.as_str())
        .bind(i64::from(credential.generation))
        .bind(&credential.sealed)
        .bind(micros(terminal.enrolled_at))
        .execute(&mut *c)
        .await
        .map_err(sql)?;
        if added.rows_affected() == 0 {
            return Err(StoreError::conflict(format!("role {} is given twice", credential.role)));
        }
    }
    Ok(())
}

pub(super) async fn one(e: impl Executor<'_, Database = Db>, tid: &TerminalId) -> Result<Option<Terminal>> {
    sqlx::query_as::<_, TerminalRow>(
        "SELECT t.*, c.at AS last_contact FROM terminals t LEFT JOIN contacts c ON c.tid = t.tid WHERE t.tid = $1",
    )
    .bind(tid.as_str())
    .fetch_optional(e)
    .await
    .map_err(sql)?
    .map(Terminal::try_from)
    .transpose()
}

pub(super) async fn exists(e: impl Executor<'_, Database = Db>, tid: &TerminalId) -> Result<bool> {
    let found: Option<String> = sqlx::query_scalar("SELECT tid FROM terminals WHERE tid = $1")
        .bind(tid.as_str())
        .fetch_optional(e)
        .await
        .map_err(sql)?;
    Ok(found.is_some())
}

pub(super) async fn by_certificate(
    e: impl Executor<'_, Database = Db>,
    sha256: &str,
) -> Result<Option<Terminal>> {
    sqlx::query_as::<_, TerminalRow>(
        "SELECT t.*, c.at AS last_contact FROM terminals t LEFT JOIN contacts c ON c.tid = t.tid \
         WHERE t.certificate_sha256 = $1",
    )
    .bind(sha256)
    .fetch_optional(e)
    .await
    .map_err(sql)?
    .map(Terminal::try_from)
    .transpose()
}

pub(super) async fn page(
    e: impl Executor<'_, Database = Db>,
    after: Option<&TerminalId>,
    limit: u32,
) -> Result<Vec<Terminal>> {
    // Every id is greater than the empty text.
    sqlx::query_as::<_, TerminalRow>(
        "SELECT t.*, c.at AS last_contact FROM terminals t LEFT JOIN contacts c ON c.tid = t.tid \
         WHERE t.tid > $1 ORDER BY t.tid LIMIT $2",
    )
    .bind(after.map_or("", TerminalId::as_str))
    .bind(i64::from(limit))
    .fetch_all(e)
    .await
    .map_err(sql)?
    .into_iter()
    .map(Terminal::try_from)
    .collect()
}

pub(super) async fn count(e: impl Executor<'_, Database = Db>) -> Result<u64> {
    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM terminals").fetch_one(e).await.map_err(sql)?;
    unsigned(count)
}

/// The desired state, for whoever is about to change it: nobody else can until the transaction ends.
pub(super) async fn desired(c: &mut Connection, tid: &TerminalId) -> Result<Desired> {
    let desired: Option<String> = sqlx::query_scalar(locked!("SELECT desired FROM terminals WHERE tid = $1"))
        .bind(tid.as_str())
        .fetch_optional(c)
        .await
        .map_err(sql)?;
    from_json(&desired.ok_or_else(|| StoreError::not_found("terminal", tid))?)
}

pub(super) async fn set_desired(c: &mut Connection, tid: &TerminalId, desired: &Desired) -> Result<()> {
    sqlx::query("UPDATE terminals SET desired = $2 WHERE tid = $1")
        .bind(tid.as_str())
        .bind(to_json(desired)?)
        .execute(c)
        .await
        .map_err(sql)?;
    Ok(())
}

pub(super) async fn record_report(
    c: &mut Connection,
    tid: &TerminalId,
    report: &Reported,
    now: Timestamp,
) -> Result<()> {
    let known: Option<String> = sqlx::query_scalar(locked!("SELECT reported FROM terminals WHERE tid = $1"))
        .bind(tid.as_str())
        .fetch_optional(&mut *c)
        .await
        .map_err(sql)?;
    let mut known: Reported = from_json(&known.ok_or_else(|| StoreError::not_found("terminal", tid))?)?;
    known.merge(Reported { at: report.at.or(Some(now)), ..report.clone() });
    sqlx::query("UPDATE terminals SET reported = $2 WHERE tid = $1")
        .bind(tid.as_str())
        .bind(to_json(&known)?)
        .execute(&mut *c)
        .await
        .map_err(sql)?;
    record_contacts(c, &[(tid.clone(), now)]).await
}

pub(super) async fn record_contacts(c: &mut Connection, contacts: &[(TerminalId, Timestamp)]) -> Result<()> {
    // PostgreSQL refuses a statement that touches one row twice, and the latest contact is all we keep.
    let mut latest: BTreeMap<&str, i64> = BTreeMap::new();
    for (tid, at) in contacts {
        let at = micros(*at);
        let slot = latest.entry(tid.as_str()).or_insert(at);
        *slot = (*slot).max(at);
    }
    let latest: Vec<_> = latest.into_iter().collect();
    for chunk in latest.chunks(CONTACTS_PER_STATEMENT) {
        let mut query =
            QueryBuilder::<Db>::new("INSERT INTO contacts (tid, at) SELECT t.tid, v.column2 FROM (");
        query.push_values(chunk, |mut row, (tid, at)| {
            row.push_bind(*tid).push_bind(*at);
        });
        query.push(
            ") AS v JOIN terminals t ON t.tid = v.column1 WHERE true \
             ORDER BY v.column1 ON CONFLICT (tid) DO UPDATE SET at = excluded.at WHERE contacts.at < excluded.at",
        );
        // Statements of many lengths would push the others out of the cache; one contact is the common case.
        let persistent = chunk.len() == 1;
        query.build().persistent(persistent).execute(&mut *c).await.map_err(sql)?;
    }
    Ok(())
}

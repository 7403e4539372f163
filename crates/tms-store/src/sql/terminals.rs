//! Terminals: who they are, what they should be, what they said, when they were heard of.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::{Executor, QueryBuilder};
use tms_core::selector::version;
use tms_core::{Desired, DeviceState, FirmwareId, GroupId, Reported, Selector, Terminal, TerminalId};

use super::{Connection, Db, places, push_list, selector, sql};
use crate::error::StoreError;
use crate::estate::{enrolled, is_enrolled};
use crate::row::{TerminalRow, from_json, kept, micros, name, signed, to_json, unsigned};
use crate::store::{InitialCredential, Result};

/// Contacts in one statement: well below the limit on bound values, well above the usual batch.
const CONTACTS_PER_STATEMENT: usize = 500;

pub(super) async fn enrol(
    c: &mut Connection,
    terminal: &Terminal,
    credentials: &[InitialCredential],
) -> Result<()> {
    let mut terminal = terminal.clone();
    for credential in credentials {
        terminal.desired.credentials.insert(credential.role.clone(), credential.generation);
    }
    places::check(c, &terminal.place).await?;
    if insert(c, std::slice::from_ref(&terminal)).await? == 0 {
        complete(c, terminal.clone()).await?;
    } else {
        places::index(c, &[(None, &terminal)]).await?;
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

/// Adds terminals without what is found in other tables; answers how many were not there.
pub(super) async fn insert(c: &mut Connection, terminals: &[Terminal]) -> Result<u64> {
    let mut query = QueryBuilder::<Db>::new(
        "INSERT INTO terminals (tid, merchant, profile, model, hardware_revision, serial, enrolled_at, \
         sealing_public_key, tmk_sealed, certificate_sha256, desired, reported, vendor, time_zone, life_cycle, \
         replaced_by, group_id, tags, attributes, version, desired_firmware, reported_firmware, firmware_order, \
         boot_count, battery, paper, printer, card_reader, pin_pad, keyboard, display, tamper, is_derived) ",
    );
    let json = terminals.iter().map(|terminal| {
        let place = &terminal.place;
        Ok([
            to_json(&terminal.desired)?,
            to_json(&terminal.reported)?,
            to_json(&place.tags)?,
            to_json(&place.attributes)?,
        ])
    });
    let json = json.collect::<Result<Vec<_>>>()?;
    query.push_values(terminals.iter().zip(json), |mut row, (terminal, json)| {
        let (place, said) = (&terminal.place, Said::of(&terminal.reported));
        let [desired, reported, tags, attributes] = json;
        row.push_bind(terminal.id.as_str())
            .push_bind(terminal.merchant.as_str())
            .push_bind(terminal.profile.as_str())
            .push_bind(&terminal.model)
            .push_bind(&terminal.hardware_revision)
            .push_bind(&terminal.serial)
            .push_bind(micros(terminal.enrolled_at))
            .push_bind(&terminal.sealing_public_key)
            .push_bind(&terminal.tmk_sealed)
            .push_bind(&terminal.certificate_sha256)
            .push_bind(desired)
            .push_bind(reported)
            .push_bind(&place.vendor)
            .push_bind(place.time_zone.as_str())
            .push_bind(place.life_cycle.name())
            .push_bind(place.replaced_by.as_ref().map(TerminalId::as_str))
            .push_bind(place.group.as_ref().map(GroupId::as_str))
            .push_bind(tags)
            .push_bind(attributes)
            .push_bind(signed(place.version))
            .push_bind(terminal.desired.firmware.as_ref().map(FirmwareId::as_str))
            .push_bind(said.firmware)
            .push_bind(said.firmware_order)
            .push_bind(said.boot_count)
            .push_bind(said.battery)
            .push_bind(said.paper)
            .push_bind(said.printer)
            .push_bind(said.card_reader)
            .push_bind(said.pin_pad)
            .push_bind(said.keyboard)
            .push_bind(said.display)
            .push_bind(said.tamper)
            .push_bind(true);
    });
    query.push(" ON CONFLICT DO NOTHING");
    let added = query.build().persistent(terminals.len() == 1).execute(c).await.map_err(sql)?;
    Ok(added.rows_affected())
}

/// Gives a terminal that was imported what it has from its enrolment.
async fn complete(c: &mut Connection, terminal: Terminal) -> Result<()> {
    let id = terminal.id.clone();
    let taken = || StoreError::conflict(format!("another terminal has the certificate of terminal {id}"));
    let known = match existing(c, &id).await {
        Err(StoreError::NotFound { .. }) => return Err(taken()),
        known => known?,
    };
    if is_enrolled(&known) {
        return Err(StoreError::conflict(format!("terminal {id} exists already")));
    }
    if let Some(sha256) = &terminal.certificate_sha256
        && by_certificate(&mut *c, sha256).await?.is_some()
    {
        return Err(taken());
    }
    let now = enrolled(&known, terminal);
    sqlx::query(
        "UPDATE terminals SET enrolled_at = $2, sealing_public_key = $3, tmk_sealed = $4, certificate_sha256 = $5 \
         WHERE tid = $1",
    )
    .bind(now.id.as_str())
    .bind(micros(now.enrolled_at))
    .bind(&now.sealing_public_key)
    .bind(&now.tmk_sealed)
    .bind(&now.certificate_sha256)
    .execute(&mut *c)
    .await
    .map_err(sql)?;
    set_desired(c, &now.id, &now.desired).await?;
    set_reported(c, &now.id, &now.reported).await?;
    places::put(c, &[(known, now)]).await
}

/// The terminal, for whoever is about to change it.
pub(super) async fn existing(c: &mut Connection, tid: &TerminalId) -> Result<Terminal> {
    let locked: Option<String> = sqlx::query_scalar(locked!("SELECT tid FROM terminals WHERE tid = $1"))
        .bind(tid.as_str())
        .fetch_optional(&mut *c)
        .await
        .map_err(sql)?;
    let found = match locked {
        Some(_) => one(c, tid).await?,
        None => None,
    };
    found.ok_or_else(|| StoreError::not_found("terminal", tid))
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

/// What a terminal last said.
pub(super) async fn reported(c: &mut Connection, tid: &TerminalId) -> Result<Reported> {
    let reported: Option<String> = sqlx::query_scalar("SELECT reported FROM terminals WHERE tid = $1")
        .bind(tid.as_str())
        .fetch_optional(c)
        .await
        .map_err(sql)?;
    from_json(&reported.ok_or_else(|| StoreError::not_found("terminal", tid))?)
}

pub(super) async fn set_desired(c: &mut Connection, tid: &TerminalId, desired: &Desired) -> Result<()> {
    sqlx::query("UPDATE terminals SET desired = $2, desired_firmware = $3 WHERE tid = $1")
        .bind(tid.as_str())
        .bind(to_json(desired)?)
        .bind(desired.firmware.as_ref().map(FirmwareId::as_str))
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
    set_reported(c, tid, &known).await?;
    record_contacts(c, &[(tid.clone(), now)]).await
}

async fn set_reported(c: &mut Connection, tid: &TerminalId, reported: &Reported) -> Result<()> {
    let said = Said::of(reported);
    sqlx::query(
        "UPDATE terminals SET reported = $2, reported_firmware = $3, firmware_order = $4, boot_count = $5, \
         battery = $6, paper = $7, printer = $8, card_reader = $9, pin_pad = $10, keyboard = $11, display = $12, \
         tamper = $13, is_derived = TRUE WHERE tid = $1",
    )
    .bind(tid.as_str())
    .bind(to_json(reported)?)
    .bind(said.firmware)
    .bind(said.firmware_order)
    .bind(said.boot_count)
    .bind(said.battery)
    .bind(said.paper)
    .bind(said.printer)
    .bind(said.card_reader)
    .bind(said.pin_pad)
    .bind(said.keyboard)
    .bind(said.display)
    .bind(said.tamper)
    .execute(c)
    .await
    .map_err(sql)?;
    Ok(())
}

/// What selectors ask of a report.
struct Said<'r> {
    firmware: Option<&'r str>,
    firmware_order: Option<String>,
    boot_count: Option<i64>,
    battery: Option<i64>,
    paper: Option<bool>,
    printer: Option<bool>,
    card_reader: Option<bool>,
    pin_pad: Option<bool>,
    keyboard: Option<bool>,
    display: Option<bool>,
    tamper: Option<bool>,
}

impl<'r> Said<'r> {
    fn of(reported: &'r Reported) -> Self {
        let health = &reported.health;
        let works = |state: Option<DeviceState>| state.map(|state| state == DeviceState::Ok);
        Self {
            firmware: reported.firmware_version.as_deref(),
            firmware_order: reported.firmware_version.as_deref().map(version::key),
            boot_count: reported.boot_count.map(i64::from),
            battery: health.battery_percent.map(i64::from),
            paper: health.paper,
            printer: works(health.printer),
            card_reader: works(health.card_reader),
            pin_pad: works(health.pin_pad),
            keyboard: works(health.keyboard),
            display: works(health.display),
            tamper: health.tamper,
        }
    }
}

/// Fills the columns that selectors ask, in rows that were written before there were any; so many at a time.
/// Answers how many rows it found.
pub(in super::super) async fn derive(c: &mut Connection, limit: u32) -> Result<usize> {
    let rows: Vec<(String, String, String)> = sqlx::query_as(locked!(
        "SELECT tid, desired, reported FROM terminals WHERE NOT is_derived ORDER BY tid LIMIT $1"
    ))
    .bind(i64::from(limit))
    .fetch_all(&mut *c)
    .await
    .map_err(sql)?;
    for (tid, desired, reported) in &rows {
        let read = || Ok((name(tid)?, from_json::<Desired>(desired)?, from_json::<Reported>(reported)?));
        match read() {
            Ok((tid, desired, reported)) => {
                set_desired(c, &tid, &desired).await?;
                set_reported(c, &tid, &reported).await?;
            }
            // Whoever reads this terminal is told; the others are no worse for it.
            Err::<(TerminalId, _, _), StoreError>(error) => {
                tracing::error!(%tid, %error, "a terminal cannot be read");
                let done = sqlx::query("UPDATE terminals SET is_derived = TRUE WHERE tid = $1").bind(tid);
                done.execute(&mut *c).await.map_err(sql)?;
            }
        }
    }
    Ok(rows.len())
}

pub(super) async fn find(
    e: impl Executor<'_, Database = Db>,
    wanted: &Selector,
    after: Option<&TerminalId>,
    limit: u32,
    now: Timestamp,
) -> Result<Vec<Terminal>> {
    let mut query = QueryBuilder::<Db>::new(
        "SELECT t.*, c.at AS last_contact FROM terminals t LEFT JOIN contacts c ON c.tid = t.tid WHERE t.tid > ",
    );
    query.push_bind(after.map_or("", TerminalId::as_str)).push(" AND ");
    selector::push(&mut query, wanted.expr(), kept(now)?);
    query.push(" ORDER BY t.tid LIMIT ").push_bind(i64::from(limit));
    let rows = query.build_query_as::<TerminalRow>().persistent(false).fetch_all(e).await.map_err(sql)?;
    rows.into_iter().map(Terminal::try_from).collect()
}

pub(super) async fn count_selected(
    e: impl Executor<'_, Database = Db>,
    wanted: &Selector,
    now: Timestamp,
) -> Result<u64> {
    let mut query = selection("COUNT(*)", wanted, now)?;
    let count: i64 = query.build_query_scalar().persistent(false).fetch_one(e).await.map_err(sql)?;
    unsigned(count)
}

pub(super) async fn ids(
    e: impl Executor<'_, Database = Db>,
    wanted: &Selector,
    now: Timestamp,
) -> Result<Vec<TerminalId>> {
    let mut query = selection("t.tid", wanted, now)?;
    query.push(" ORDER BY t.tid");
    let ids: Vec<String> = query.build_query_scalar().persistent(false).fetch_all(e).await.map_err(sql)?;
    ids.iter().map(|id| name(id)).collect()
}

fn selection(what: &'static str, wanted: &Selector, now: Timestamp) -> Result<QueryBuilder<Db>> {
    let mut query = QueryBuilder::<Db>::new("SELECT ");
    query.push(what).push(" FROM terminals t LEFT JOIN contacts c ON c.tid = t.tid WHERE ");
    selector::push(&mut query, wanted.expr(), kept(now)?);
    Ok(query)
}

/// Those of these terminals that there are.
pub(super) async fn some(e: impl Executor<'_, Database = Db>, tids: &[TerminalId]) -> Result<Vec<Terminal>> {
    let mut query = QueryBuilder::<Db>::new(
        "SELECT t.*, c.at AS last_contact FROM terminals t LEFT JOIN contacts c ON c.tid = t.tid WHERE t.tid IN (",
    );
    push_list(&mut query, tids.iter().map(TerminalId::as_str));
    query.push(") ORDER BY t.tid");
    let rows = query.build_query_as::<TerminalRow>().persistent(tids.len() == 1).fetch_all(e).await;
    rows.map_err(sql)?.into_iter().map(Terminal::try_from).collect()
}

/// Keeps others from changing these terminals until the transaction ends.
pub(super) async fn lock(c: &mut Connection, tids: &[TerminalId]) -> Result<()> {
    let mut query = QueryBuilder::<Db>::new("SELECT tid FROM terminals WHERE tid IN (");
    push_list(&mut query, tids.iter().map(TerminalId::as_str));
    query.push(") ORDER BY tid").push(super::super::LOCK_ROWS);
    query.build().persistent(false).fetch_all(c).await.map_err(sql)?;
    Ok(())
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

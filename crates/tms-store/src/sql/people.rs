//! People who use the REST interface, and their tokens.

use jiff::Timestamp;
use sqlx::Executor;
use tms_core::UserRole;

use super::{Connection, Db, sql};
use crate::error::StoreError;
use crate::row::{AdminRow, TokenRow, micros};
use crate::store::{Admin, Result, Token};

pub(super) async fn set_password(
    c: &mut Connection,
    user: &str,
    role: UserRole,
    password_hash: &str,
    one_time: bool,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO admins (name, role, password_hash, one_time, consumed) VALUES ($1, $2, $3, $4, false) \
         ON CONFLICT (name) DO UPDATE SET role = excluded.role, password_hash = excluded.password_hash, \
         one_time = excluded.one_time, consumed = false",
    )
    .bind(user)
    .bind(role.name())
    .bind(password_hash)
    .bind(one_time)
    .execute(c)
    .await
    .map_err(sql)?;
    Ok(())
}

pub(super) async fn admin(e: impl Executor<'_, Database = Db>, user: &str) -> Result<Option<Admin>> {
    let row = sqlx::query_as::<_, AdminRow>("SELECT * FROM admins WHERE name = $1")
        .bind(user)
        .fetch_optional(e)
        .await
        .map_err(sql)?;
    row.map(Admin::try_from).transpose()
}

pub(super) async fn consume_one_time(c: &mut Connection, user: &str) -> Result<bool> {
    let consumed = sqlx::query(
        "UPDATE admins SET consumed = true WHERE name = $1 AND one_time = true AND consumed = false",
    )
    .bind(user)
    .execute(&mut *c)
    .await
    .map_err(sql)?;
    if consumed.rows_affected() == 0 && admin(c, user).await?.is_none() {
        return Err(StoreError::not_found("user", user));
    }
    Ok(consumed.rows_affected() > 0)
}

pub(super) async fn add_token(
    c: &mut Connection,
    sha256: &str,
    user: &str,
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<()> {
    sqlx::query("DELETE FROM tokens WHERE expires_at <= $1")
        .bind(micros(now))
        .execute(&mut *c)
        .await
        .map_err(sql)?;
    let added = sqlx::query(
        "INSERT INTO tokens (sha256, name, expires_at) SELECT $1, name, $3 FROM admins WHERE name = $2 \
         ON CONFLICT DO NOTHING",
    )
    .bind(sha256)
    .bind(user)
    .bind(micros(expires_at))
    .execute(&mut *c)
    .await
    .map_err(sql)?;
    if added.rows_affected() > 0 {
        return Ok(());
    }
    Err(match admin(c, user).await? {
        Some(_) => StoreError::conflict("this token exists already"),
        None => StoreError::not_found("user", user),
    })
}

pub(super) async fn token(
    e: impl Executor<'_, Database = Db>,
    sha256: &str,
    now: Timestamp,
) -> Result<Option<Token>> {
    sqlx::query_as::<_, TokenRow>(
        "SELECT t.name, a.role, t.expires_at FROM tokens t JOIN admins a ON a.name = t.name \
         WHERE t.sha256 = $1 AND t.expires_at > $2",
    )
    .bind(sha256)
    .bind(micros(now))
    .fetch_optional(e)
    .await
    .map_err(sql)?
    .map(Token::try_from)
    .transpose()
}

//! Who may use the REST interface: passwords once, bearer tokens after that.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use tms_core::UserRole;
use tms_crypto::{password, random_bytes, sha256};
use tms_store::Token;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::ServiceError;
use crate::app::App;

/// How long a token is valid: a working day with some rest.
const TOKEN_LIFETIME: SignedDuration = SignedDuration::from_hours(12);

/// Longest name and longest password; more is nobody's and costs hashing.
const MAX_USER_BYTES: usize = 64;
const MAX_PASSWORD_BYTES: usize = 1024;

/// Password hashes being computed at once: each takes 19 MiB and a processor for a while.
static HASHING: Semaphore = Semaphore::const_new(2);

/// Checked for users that do not exist, so that the time of the answer does not tell who does.
static NOBODY: LazyLock<Option<String>> = LazyLock::new(|| password::hash(&random_bytes::<16>()).ok());

/// A successful log-in.
pub struct Login {
    /// The bearer token; the server keeps only its digest.
    pub token: Zeroizing<String>,
    /// Until when it is valid.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// Logs somebody in. A one-time password is used up by the first success.
///
/// # Errors
/// `Credentials`, whatever exactly was wrong.
pub async fn login(app: &App, user: &str, password: &str) -> Result<Login, ServiceError> {
    if user.len() > MAX_USER_BYTES || password.len() > MAX_PASSWORD_BYTES {
        return Err(ServiceError::Credentials);
    }
    let admin = app.store.admin(user).await?;
    let stored = match &admin {
        Some(admin) => Some(admin.password_hash.clone()),
        None => NOBODY.clone(),
    };
    let matches = match stored {
        Some(stored) => verify(password, stored).await?,
        None => false,
    };
    let Some(admin) = admin.filter(|admin| matches && !(admin.one_time && admin.consumed)) else {
        return Err(ServiceError::Credentials);
    };
    if admin.one_time && !app.store.consume_one_time(user).await? {
        return Err(ServiceError::Credentials);
    }
    let now = app.now();
    let token = Zeroizing::new(URL_SAFE_NO_PAD.encode(random_bytes::<32>()));
    let expires_at = now.saturating_add(TOKEN_LIFETIME).unwrap_or(Timestamp::MAX);
    app.store.add_token(&digest(&token), user, expires_at, now).await?;
    Ok(Login { token, expires_at })
}

/// Says whose a token is.
///
/// # Errors
/// `Token` if it is unknown or no longer valid.
pub async fn authenticate(app: &App, token: &str) -> Result<Token, ServiceError> {
    let found = app.store.token(&digest(token), app.now()).await?;
    found.ok_or(ServiceError::Token)
}

/// Gives somebody a fresh password that works once, to be shown once. It replaces the one before. Without
/// a `role` the user keeps the one that there is.
///
/// # Errors
/// `Invalid` for a name that is empty or too long, and for somebody new without a role.
pub async fn issue_one_time_password(
    app: &App,
    user: &str,
    role: Option<UserRole>,
) -> Result<Zeroizing<String>, ServiceError> {
    if user.is_empty() || user.len() > MAX_USER_BYTES {
        return Err(ServiceError::Invalid(format!("a user's name must have 1 to {MAX_USER_BYTES} bytes")));
    }
    let known = match role {
        Some(_) => role,
        None => app.store.admin(user).await?.map(|admin| admin.role),
    };
    let role = known.ok_or_else(|| {
        let roles = UserRole::ALL.map(UserRole::name).join(", ");
        ServiceError::Invalid(format!("there is no user {user} yet; say which role to give: {roles}"))
    })?;
    let password = password::one_time();
    let hash =
        password::hash(password.as_bytes()).map_err(|error| ServiceError::Internal(error.to_string()))?;
    app.store.set_admin_password(user, role, &hash, true).await?;
    Ok(password)
}

async fn verify(password: &str, stored: String) -> Result<bool, ServiceError> {
    let internal = |error: String| ServiceError::Internal(error);
    let _permit = HASHING.acquire().await.map_err(|error| internal(error.to_string()))?;
    let password = Zeroizing::new(password.to_owned());
    tokio::task::spawn_blocking(move || password::verify(password.as_bytes(), &stored))
        .await
        .map_err(|error| internal(error.to_string()))?
        .map_err(|error| internal(error.to_string()))
}

fn digest(token: &str) -> String {
    hex::encode(sha256(token.as_bytes()))
}

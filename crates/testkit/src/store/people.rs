//! People and their tokens.

use jiff::Timestamp;
use tms_store::{Admin, Result, Token};

use super::contents::{Contents, conflict, kept, not_found};

impl Contents {
    pub(super) fn set_password(&mut self, user: &str, password_hash: &str, one_time: bool) {
        let (user, password_hash) = (user.to_owned(), password_hash.to_owned());
        self.admins.insert(user.clone(), Admin { user, password_hash, one_time, consumed: false });
    }

    pub(super) fn consume_one_time(&mut self, user: &str) -> Result<bool> {
        let admin = self.admins.get_mut(user).ok_or_else(|| not_found("user", user))?;
        let first = admin.one_time && !admin.consumed;
        admin.consumed |= first;
        Ok(first)
    }

    pub(super) fn add_token(
        &mut self,
        sha256: &str,
        user: &str,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<()> {
        if !self.admins.contains_key(user) {
            return Err(not_found("user", user));
        }
        let now = kept(now);
        if self.tokens.get(sha256).is_some_and(|token| token.expires_at > now) {
            return Err(conflict("this token exists already"));
        }
        self.tokens.retain(|_, token| token.expires_at > now);
        let token = Token { user: user.to_owned(), expires_at: kept(expires_at) };
        self.tokens.insert(sha256.to_owned(), token);
        Ok(())
    }

    pub(super) fn token(&self, sha256: &str, now: Timestamp) -> Option<Token> {
        self.tokens.get(sha256).filter(|token| token.expires_at > kept(now)).cloned()
    }
}

//! People, their tokens, and the requests that they may repeat.

use jiff::Timestamp;
use tms_core::UserRole;
use tms_store::{Admin, Begun, Result, Token};

use super::contents::{Contents, Request, conflict, kept, not_found};

impl Contents {
    pub(super) fn set_password(&mut self, user: &str, role: UserRole, password_hash: &str, one_time: bool) {
        let (user, password_hash) = (user.to_owned(), password_hash.to_owned());
        self.admins.insert(user.clone(), Admin { user, role, password_hash, one_time, consumed: false });
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
        let role = self.admins.get(user).ok_or_else(|| not_found("user", user))?.role;
        let now = kept(now);
        if self.tokens.get(sha256).is_some_and(|token| token.expires_at > now) {
            return Err(conflict("this token exists already"));
        }
        self.tokens.retain(|_, token| token.expires_at > now);
        let token = Token { user: user.to_owned(), role, expires_at: kept(expires_at) };
        self.tokens.insert(sha256.to_owned(), token);
        Ok(())
    }

    pub(super) fn token(&self, sha256: &str, now: Timestamp) -> Option<Token> {
        let token = self.tokens.get(sha256).filter(|token| token.expires_at > kept(now))?;
        // As it is now, not as it was at log-in.
        let role = self.admins.get(&token.user)?.role;
        Some(Token { role, ..token.clone() })
    }

    pub(super) fn begin_request(
        &mut self,
        caller: &str,
        key: &str,
        fingerprint: &str,
        since: Timestamp,
        now: Timestamp,
    ) -> Begun {
        self.requests.retain(|_, request| request.began_at >= kept(since));
        match self.requests.get(&(caller.to_owned(), key.to_owned())) {
            Some(known) if known.fingerprint != fingerprint => Begun::Other,
            Some(known) => known.answer.clone().map_or(Begun::Unfinished, Begun::Answered),
            None => {
                let fingerprint = fingerprint.to_owned();
                let request = Request { fingerprint, began_at: kept(now), answer: None };
                self.requests.insert((caller.to_owned(), key.to_owned()), request);
                Begun::New
            }
        }
    }

    pub(super) fn finish_request(&mut self, caller: &str, key: &str, answer: Vec<u8>) -> Result<()> {
        let known = self.requests.get_mut(&(caller.to_owned(), key.to_owned()));
        known.ok_or_else(|| not_found("request", key))?.answer = Some(answer);
        Ok(())
    }

    pub(super) fn forget_request(&mut self, caller: &str, key: &str) {
        let place = (caller.to_owned(), key.to_owned());
        if self.requests.get(&place).is_some_and(|request| request.answer.is_none()) {
            self.requests.remove(&place);
        }
    }
}

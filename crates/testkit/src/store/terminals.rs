//! Terminals.

use std::{collections::BTreeSet, ops::Bound};

use jiff::Timestamp;
use tms_core::{Credential, Generation, Reported, Terminal, TerminalId};
use tms_store::estate::{enrolled, is_enrolled};
use tms_store::{InitialCredential, Result};

use super::contents::{Contents, conflict, kept, not_found};

impl Contents {
    pub(super) fn enrol(&mut self, mut terminal: Terminal, given: Vec<InitialCredential>) -> Result<()> {
        let id = terminal.id.clone();
        self.check_place(&terminal.place)?;
        let known = self.terminals.get(&id);
        if known.is_some_and(is_enrolled) {
            return Err(conflict(format!("terminal {id} exists already")));
        }
        let certificate = terminal.certificate_sha256.clone();
        if certificate.as_ref().is_some_and(|certificate| self.certificates.contains_key(certificate)) {
            return Err(conflict(format!("another terminal has the certificate of terminal {id}")));
        }
        let mut roles = BTreeSet::new();
        if let Some(twice) = given.iter().find(|credential| !roles.insert(&credential.role)) {
            return Err(conflict(format!("role {} is given twice", twice.role)));
        }
        terminal.last_contact = known.and_then(|known| known.last_contact);
        terminal.enrolled_at = kept(terminal.enrolled_at);
        let mut terminal = match known {
            Some(known) => enrolled(known, terminal),
            None => terminal,
        };
        for InitialCredential { role, generation, sealed } in given {
            terminal.desired.credentials.insert(role.clone(), generation);
            let since = terminal.enrolled_at;
            let credential = Credential {
                terminal: id.clone(),
                role: role.clone(),
                current: Some(Generation { generation, sealed, since }),
                pending: None,
                foreign_generation: None,
                highest_generation: generation,
                version: 1,
            };
            self.credentials.insert((id.clone(), role), credential);
        }
        if let Some(certificate) = certificate {
            self.certificates.insert(certificate, id.clone());
        }
        self.terminals.insert(id, terminal);
        Ok(())
    }

    pub(super) fn terminal_by_certificate(&self, sha256: &str) -> Option<Terminal> {
        self.terminals.get(self.certificates.get(sha256)?).cloned()
    }

    pub(super) fn terminal_page(&self, after: Option<&TerminalId>, limit: u32) -> Vec<Terminal> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.terminals.range::<TerminalId, _>((start, Bound::Unbounded));
        range.take(usize::try_from(limit).unwrap_or(usize::MAX)).map(|(_, t)| t.clone()).collect()
    }

    pub(super) fn known_terminal(&mut self, tid: &TerminalId) -> Result<&mut Terminal> {
        self.terminals.get_mut(tid).ok_or_else(|| not_found("terminal", tid))
    }

    pub(super) fn record_report(
        &mut self,
        tid: &TerminalId,
        mut report: Reported,
        now: Timestamp,
    ) -> Result<()> {
        let terminal = self.known_terminal(tid)?;
        report.at = report.at.or(Some(now));
        terminal.reported.merge(report);
        self.record_contact(tid, now);
        Ok(())
    }

    pub(super) fn record_contact(&mut self, tid: &TerminalId, at: Timestamp) {
        if let Some(terminal) = self.terminals.get_mut(tid) {
            let at = Some(kept(at));
            terminal.last_contact = terminal.last_contact.max(at);
        }
    }
}

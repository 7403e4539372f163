//! New working keys that somebody asked for: pushed where the host may speak first, brought by the next
//! sign-on elsewhere.

use jiff::Timestamp;
use tms_core::{OperationId, OperationState, Outcome};
use tms_crypto::keyblock::KeyBlockForm;
use tms_proto::{Function, Refusal};

use super::{Exchanged, Stage, Work};
use crate::session::{Ended, Session};

impl Session {
    pub(super) async fn push_keys(&mut self, now: Timestamp) -> Result<(), Ended> {
        let Some(terminal) = self.terminal.clone() else { return Ok(()) };
        if self.protocol.profile().rule(Function::KeyExchange).is_none() {
            let _ =
                self.give_up(Outcome::HostFailed, "this profile has no exchange of keys".to_owned()).await;
            return Ok(());
        }
        match self.keys(&terminal, KeyBlockForm::Double).await {
            Ok(Some((block, keys))) => {
                let is_new = self.protocol.push_keys(&block, &keys, now)?;
                if let Some(Work { stage: Stage::Keys(exchanged), .. }) = &mut self.work {
                    // What is sent again is this exchange's own, unless it was open before.
                    *exchanged = match (is_new, *exchanged) {
                        (true, _) | (false, Exchanged::Sent) => Exchanged::Sent,
                        (false, _) => Exchanged::Earlier,
                    };
                }
            }
            Ok(None) => {
                let _ = self.give_up(Outcome::HostFailed, "the terminal has no master key".to_owned()).await;
            }
            // Told already; the deadline tries again.
            Err(_) => {}
        }
        Ok(())
    }

    /// The terminal has new working keys, whoever asked for them.
    pub(in crate::session) async fn keys_taken(&mut self, shown: bool) -> Result<(), Ended> {
        let Some(Work { stage: Stage::Keys(exchanged), .. }) = &self.work else {
            return self.look_for_work().await;
        };
        match exchanged {
            Exchanged::Given => self.keys_given().await,
            Exchanged::Sent if shown => self.keys_given().await,
            // Neither keys of before nor such as it asked for and perhaps never got end the exchange: others do.
            Exchanged::Earlier | Exchanged::Sent => {
                self.note_keys(Exchanged::Wanted);
                self.offer().await
            }
            Exchanged::Wanted => Ok(()),
        }
    }

    /// The terminal has the keys of the exchange in hand, if there is one.
    pub(in crate::session) async fn keys_given(&mut self) -> Result<(), Ended> {
        self.note_keys(Exchanged::Given);
        self.keys_in_force().await;
        self.look_for_work().await
    }

    /// Notes how far the exchange in hand is. A sign-on that brings keys notes it before the reply goes out, so
    /// that this one does not ask for the sign-on that it answers.
    pub(in crate::session) fn note_keys(&mut self, now_at: Exchanged) {
        if let Some(Work { stage: Stage::Keys(exchanged), .. }) = &mut self.work {
            *exchanged = now_at;
        }
    }

    /// Ends an exchange of keys that took place. What the store does not take now it is told again later:
    /// another exchange would be of no use.
    pub(super) async fn keys_in_force(&mut self) {
        if !matches!(&self.work, Some(Work { stage: Stage::Keys(Exchanged::Given), .. })) {
            return;
        }
        if self.finish(OperationState::Done, None).await.is_err() {
            let deadline = self.answer_deadline();
            if let Some(work) = &mut self.work {
                work.deadline = Some(deadline);
            }
        }
    }

    /// A sign-on brought no keys: where it alone could, an exchange of keys in hand ends, for the next
    /// sign-on of this terminal will be no other.
    pub(in crate::session) async fn no_keys_given(&mut self, code: &str) {
        if self.protocol.profile().pushes() || !matches!(&self.work, Some(Work { stage: Stage::Keys(_), .. }))
        {
            return;
        }
        let reason = match KeyBlockForm::of_code(code) {
            Some(_) => "the terminal has no master key".to_owned(),
            None => format!("a sign-on with code {code:?} brings no keys"),
        };
        // If the store fails, the deadline gives it up.
        let _ = self.give_up(Outcome::HostFailed, reason).await;
    }

    /// The exchange of keys that the reply to the next message will announce.
    pub(in crate::session) fn announced_keys(&self) -> Option<OperationId> {
        let work = self.work.as_ref().filter(|_| !self.protocol.profile().pushes())?;
        let waits = matches!(work.stage, Stage::Keys(Exchanged::Wanted)) && work.deadline.is_none();
        waits.then_some(work.operation.id)
    }

    /// The terminal has heard that it is to sign on: from now on its silence counts.
    pub(in crate::session) async fn keys_announced(&mut self, announced: Option<OperationId>) {
        if announced.is_some() && announced == self.announced_keys() {
            self.work_fetched().await;
        }
    }

    pub(in crate::session) async fn keys_refused(&mut self, refusal: Refusal) -> Result<(), Ended> {
        if matches!(&self.work, Some(Work { stage: Stage::Keys(_), .. })) && !refusal.may_retry() {
            let _ = self.give_up(Outcome::Refused, format!("the terminal refused the keys: {refusal}")).await;
        }
        self.look_for_work().await
    }
}

//! New working keys that somebody asked for: pushed where the host may speak first, brought by the next
//! sign-on elsewhere.

use jiff::Timestamp;
use tms_core::OperationState;
use tms_crypto::keyblock::KeyBlockForm;
use tms_proto::{Function, Refusal};

use super::{Stage, Work};
use crate::session::{Ended, Session};

impl Session {
    pub(super) async fn push_keys(&mut self, now: Timestamp) -> Result<(), Ended> {
        let Some(terminal) = self.terminal.clone() else { return Ok(()) };
        if self.protocol.profile().rule(Function::KeyExchange).is_none() {
            let _ = self.give_up("this profile has no exchange of keys".to_owned()).await;
            return Ok(());
        }
        match self.keys(&terminal, KeyBlockForm::Double).await {
            Ok(Some((block, keys))) => drop(self.protocol.push_keys(&block, &keys, now)?),
            Ok(None) => {
                let _ = self.give_up("the terminal has no master key".to_owned()).await;
            }
            // Told already; the deadline tries again.
            Err(_) => {}
        }
        Ok(())
    }

    /// The terminal has new working keys, whoever asked for them.
    pub(in crate::session) async fn keys_taken(&mut self) -> Result<(), Ended> {
        if matches!(&self.work, Some(Work { stage: Stage::Keys, .. })) {
            let _ = self.finish(OperationState::Done, None).await;
        }
        self.look_for_work().await
    }

    pub(in crate::session) async fn keys_refused(&mut self, refusal: Refusal) -> Result<(), Ended> {
        if matches!(&self.work, Some(Work { stage: Stage::Keys, .. })) && !refusal.may_retry() {
            let _ = self.give_up(format!("the terminal refused the keys: {refusal}")).await;
        }
        self.look_for_work().await
    }
}

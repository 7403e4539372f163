//! A healthy terminal that is connected while others misbehave.

use tms_proto::TerminalEvent;

use crate::{Estate, Speaks, Wire};

/// A signed-on terminal on one connection that must last.
#[derive(Debug)]
pub struct Bystander {
    wire: Wire,
    rounds: u32,
}

impl Bystander {
    pub(crate) async fn sign_on(estate: &Estate, tid: &str, speaks: Speaks) -> Self {
        let terminal = estate.enrol(tid, speaks).await;
        let mut wire = estate.wire(&terminal).await;
        wire.sign_on().await;
        Self { rounds: 0, wire }
    }

    /// Asserts that the session goes on: on the same connection, an echo, work to ask for where the
    /// profile has the terminal ask, and a new sign-on.
    pub async fn is_undisturbed(&mut self) {
        self.rounds += 1;
        let round = self.rounds;
        let answer = self.wire.ask(|session, now| session.echo(now)).await;
        assert!(matches!(answer, TerminalEvent::EchoAnswered), "round {round}: {answer:?}");
        self.wire.sign_on().await;
    }
}

//! Where a terminal finds its host, and how that changes without stranding it.
//!
//! New addresses are on trial until the terminal has signed on over one of them. Each connection that is
//! tried is counted durably before it is dialled, so a terminal that crashes while it tries comes back to
//! the old addresses too. The old ones are forgotten only after a sign-on over a new one.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    body::{self, Body, tag},
    error::ProtocolError,
    mutation::{Mutation, without},
    task::{Outcome, TaskResult},
};

/// Most addresses that a terminal knows for its host.
pub const MAX_ADDRESSES: usize = 4;
/// Longest address, in bytes: `host:port`.
pub const MAX_ADDRESS_BYTES: usize = 128;

/// The addresses of a terminal's host. Durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    current: Vec<String>,
    /// Which of `current` to dial next.
    turn: usize,
    trial: Option<Trial>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Trial {
    operation: Uuid,
    step: u8,
    addresses: Vec<String>,
    attempts: u8,
    attempts_left: u8,
}

/// What to dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dial {
    /// The address.
    pub address: String,
    /// Whether it is on trial: tell [`Addresses::signed_on`] when a sign-on over it was approved.
    pub on_trial: bool,
    /// The trial that ended just now without success, for the journal.
    pub ended: Option<TaskResult>,
}

impl Addresses {
    /// The addresses that a terminal is delivered with.
    ///
    /// # Errors
    /// When there is none, there are too many, or one is not `host:port`.
    pub fn new(addresses: Vec<String>) -> Result<Self, ProtocolError> {
        check(&addresses, "addresses")?;
        Ok(Self { current: addresses, turn: 0, trial: None })
    }

    /// The addresses in force, the preferred one first.
    #[must_use]
    pub fn current(&self) -> &[String] {
        &self.current
    }

    /// The operation and step whose addresses are on trial.
    #[must_use]
    pub fn on_trial(&self) -> Option<(Uuid, u8)> {
        self.trial.as_ref().map(|trial| (trial.operation, trial.step))
    }

    /// Puts new addresses on trial. Gives the result of a trial that they replace. The same task again
    /// changes nothing. Make the addresses durable, then reconnect.
    ///
    /// # Errors
    /// When they are no addresses, or would never be tried.
    pub fn propose(
        &mut self,
        operation: Uuid,
        step: u8,
        addresses: &[String],
        attempts: u8,
    ) -> Result<Option<TaskResult>, ProtocolError> {
        const NAME: &str = "addresses";
        check(addresses, NAME)?;
        if attempts == 0 {
            return Err(ProtocolError::body(NAME, "no attempt is allowed"));
        }
        if self.on_trial() == Some((operation, step)) {
            return Ok(None);
        }
        let addresses = addresses.to_vec();
        if without(Mutation::KeepUntriedAddresses) {
            self.current.clone_from(&addresses);
        }
        let trial = Trial { operation, step, addresses, attempts, attempts_left: attempts };
        let old = self.trial.replace(trial);
        Ok(old.map(|old| TaskResult::new(old.operation, old.step, Outcome::REPLACED)))
    }

    /// What to dial next, counted as an attempt: make the addresses durable, then dial.
    pub fn dial(&mut self) -> Dial {
        let mut ended = None;
        if let Some(trial) = &mut self.trial {
            let tried = trial.attempts.saturating_sub(trial.attempts_left);
            let address = trial.addresses.get(usize::from(tried) % trial.addresses.len().max(1));
            match (trial.attempts_left.checked_sub(1), address) {
                (Some(left), Some(address)) => {
                    if !without(Mutation::EndlessTrial) {
                        trial.attempts_left = left;
                    }
                    return Dial { address: address.clone(), on_trial: true, ended: None };
                }
                _ => {
                    let reason = format!("no sign-on in {} connections to the new addresses", trial.attempts);
                    let result = TaskResult::new(trial.operation, trial.step, Outcome::FELL_BACK);
                    ended = Some(result.because(reason));
                    self.trial = None;
                    self.turn = 0;
                }
            }
        }
        let turn = self.turn % self.current.len().max(1);
        self.turn = turn.wrapping_add(1);
        let address = self.current.get(turn).cloned().unwrap_or_default();
        Dial { address, on_trial: false, ended }
    }

    /// A sign-on over `dial` was approved. Gives the result of the trial that this confirms: make it and
    /// the addresses durable together.
    pub fn signed_on(&mut self, dial: &Dial) -> Option<TaskResult> {
        if !dial.on_trial {
            // The next connection prefers the address that works.
            self.turn = self.current.iter().position(|address| *address == dial.address).unwrap_or(0);
            return None;
        }
        let trial = self.trial.take_if(|trial| trial.addresses.contains(&dial.address))?;
        self.turn = trial.addresses.iter().position(|address| *address == dial.address).unwrap_or(0);
        self.current = trial.addresses;
        Some(
            TaskResult::new(trial.operation, trial.step, Outcome::DONE)
                .because(format!("over {}", dial.address)),
        )
    }

    /// Gives a trial up because its operation was cancelled.
    pub fn cancel(&mut self, operation: Uuid) -> Option<TaskResult> {
        let trial = self.trial.take_if(|trial| trial.operation == operation)?;
        Some(TaskResult::new(trial.operation, trial.step, Outcome::CANCELLED))
    }
}

/// Reads the addresses of a command.
pub(crate) fn read_all(body: &Body<'_>, name: &'static str) -> Result<Vec<String>, ProtocolError> {
    let addresses = body
        .all(tag::ADDRESS)
        .take(MAX_ADDRESSES.saturating_add(1))
        .map(|bytes| body::text(bytes, name, MAX_ADDRESS_BYTES))
        .collect::<Result<Vec<_>, _>>()?;
    check(&addresses, name)?;
    Ok(addresses)
}

fn check(addresses: &[String], name: &'static str) -> Result<(), ProtocolError> {
    if addresses.is_empty() || addresses.len() > MAX_ADDRESSES {
        let reason = format!("{} addresses, from 1 to {MAX_ADDRESSES} are allowed", addresses.len());
        return Err(ProtocolError::body(name, reason));
    }
    for address in addresses {
        let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        let plain = address.len() <= MAX_ADDRESS_BYTES && address.chars().all(|c| c.is_ascii_graphic());
        if !plain || !port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0)) {
            return Err(ProtocolError::body(name, "an address is not host:port"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::{
        prelude::*,
        test_runner::{RngAlgorithm, TestRng, TestRunner},
    };

    use super::*;

    fn old() -> Addresses {
        Addresses::new(vec!["a:1".into(), "b:1".into()]).unwrap()
    }

    #[test]
    fn a_new_address_is_kept_after_a_sign_on_over_it() {
        let mut addresses = old();
        assert_eq!(addresses.propose(Uuid::from_u128(1), 1, &["c:1".into()], 3).unwrap(), None);
        let dial = addresses.dial();
        assert_eq!((dial.address.as_str(), dial.on_trial), ("c:1", true));
        let result = addresses.signed_on(&dial).unwrap();
        assert_eq!((result.operation, result.outcome), (Uuid::from_u128(1), Outcome::DONE));
        assert_eq!(addresses.current(), ["c:1".to_owned()]);
    }

    #[test]
    fn an_address_that_does_not_answer_gives_way_to_the_old_ones_even_when_the_terminal_crashes_each_time() {
        let mut addresses = old();
        addresses.propose(Uuid::from_u128(1), 1, &["c:1".into(), "d:1".into()], 3).unwrap();
        let mut dialled = Vec::new();
        let ended = loop {
            let dial = addresses.dial();
            addresses = serde_json::from_str(&serde_json::to_string(&addresses).unwrap()).unwrap();
            dialled.push(dial.address.clone());
            if let Some(ended) = dial.ended {
                break ended;
            }
        };
        assert_eq!(dialled, ["c:1", "d:1", "c:1", "a:1"]);
        assert_eq!(ended.outcome, Outcome::FELL_BACK);
        assert_eq!(addresses.dial().address, "b:1");
    }

    #[test]
    fn the_same_task_again_starts_no_second_trial_and_another_replaces_it() {
        let mut addresses = old();
        addresses.propose(Uuid::from_u128(1), 1, &["c:1".into()], 2).unwrap();
        addresses.dial();
        addresses.propose(Uuid::from_u128(1), 1, &["c:1".into()], 2).unwrap();
        addresses.dial();
        let replaced = addresses.propose(Uuid::from_u128(2), 1, &["d:1".into()], 2).unwrap().unwrap();
        assert_eq!((replaced.operation, replaced.outcome), (Uuid::from_u128(1), Outcome::REPLACED));
        assert_eq!(addresses.dial().address, "d:1");
    }

    #[test]
    fn a_cancelled_trial_leaves_the_old_addresses() {
        let mut addresses = old();
        addresses.propose(Uuid::from_u128(1), 1, &["c:1".into()], 2).unwrap();
        let dial = addresses.dial();
        assert_eq!(addresses.cancel(Uuid::from_u128(1)).unwrap().outcome, Outcome::CANCELLED);
        assert_eq!(addresses.signed_on(&dial), None, "the trial was over");
        assert_eq!(addresses.dial().address, "a:1");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in ["", "a", ":1", "a:0", "a:65536", "a b:1", "终端:1", "a:"] {
            assert!(Addresses::new(vec![bad.into()]).is_err(), "{bad}");
        }
        assert!(Addresses::new(Vec::new()).is_err());
        assert!(Addresses::new(vec!["a:1".into(); MAX_ADDRESSES + 1]).is_err());
        assert!(Addresses::new(vec!["[::1]:8443".into()]).is_ok());
    }

    type Proposal = (Vec<u8>, u8, usize);

    // Only some addresses work. Whatever is proposed, a terminal that had one comes to one again.
    fn check_proposals(proposals: &[Proposal], works: &BTreeSet<u8>) {
        let name = |n: &u8| format!("h{n}:1");
        let mut addresses = Addresses::new(vec![name(&0)]).unwrap();
        let works = |address: &str| address == "h0:1" || works.iter().any(|n| name(n) == address);
        for (n, (proposed, attempts, dials)) in proposals.iter().enumerate() {
            let proposed: Vec<String> = proposed.iter().map(name).collect();
            addresses.propose(Uuid::from_u128(n as u128), 1, &proposed, *attempts).unwrap();
            for _ in 0..*dials {
                let dial = addresses.dial();
                if works(&dial.address) {
                    addresses.signed_on(&dial);
                }
            }
            assert!(addresses.current().iter().any(|address| works(address)), "no address works");
        }
        assert!((0..20).any(|_| works(&addresses.dial().address)), "the terminal is stranded");
    }

    #[test]
    fn no_terminal_is_stranded() {
        let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let proposal = (prop::collection::vec(0u8..6, 1..4), 1u8..5, 0usize..6);
        let strategy = (prop::collection::vec(proposal, 0..12), prop::collection::btree_set(1u8..6, 0..4));
        let check = |(proposals, works): (Vec<Proposal>, BTreeSet<u8>)| {
            check_proposals(&proposals, &works);
            Ok(())
        };
        runner.run(&strategy, check).unwrap();
    }

    #[test]
    fn the_test_notices_when_a_guard_is_gone() {
        for guard in [Mutation::KeepUntriedAddresses, Mutation::EndlessTrial] {
            assert!(guard.is_noticed_by(no_terminal_is_stranded), "nobody notices {guard:?}");
        }
    }
}

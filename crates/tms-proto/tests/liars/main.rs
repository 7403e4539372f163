//! Peers that lie: refused with a reason, and bounded in memory and steps.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod clocks;
mod keys;
mod lists;
mod offsets;
mod plans;
mod rotation;
mod sessions;

use std::sync::Arc;

use jiff::Timestamp;
use tms_proto::{
    Answer, Exchange, HostEvent, HostSession, Identity, Profile, TerminalEvent, TerminalSession,
    task::{Task, TaskResult},
};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;
const TID: &str = "10000001";
/// What a session may hold while its peer does its worst and its driver takes what comes.
const MOST_BYTES: i64 = 64 * 1024;

fn profiles() -> impl Iterator<Item = Arc<Profile>> {
    Profile::builtin_names().iter().map(|name| Arc::new(Profile::builtin(name).unwrap()))
}

fn pushing() -> Arc<Profile> {
    Arc::new(Profile::builtin("iso87").unwrap())
}

fn pair(profile: &Arc<Profile>) -> (HostSession, TerminalSession) {
    let identity = Identity::new(TID, "102310060510002");
    (HostSession::new(Arc::clone(profile), None), TerminalSession::new(Arc::clone(profile), identity))
}

fn signed_on(profile: &Arc<Profile>) -> (HostSession, TerminalSession) {
    let (mut host, mut terminal) = pair(profile);
    terminal.sign_on(b"", NOW).unwrap();
    host.receive(&terminal.poll_transmit().unwrap(), NOW).unwrap();
    let Some(HostEvent::SignOn { exchange, .. }) = host.poll_event() else { panic!() };
    host.answer(exchange, Answer::Approved, NOW).unwrap();
    terminal.receive(&host.poll_transmit().unwrap(), NOW).unwrap();
    assert!(matches!(terminal.poll_event(), Some(TerminalEvent::SignedOn { .. })));
    (host, terminal)
}

/// Both ends of a session that stands, one of which says what the test wants.
struct Link {
    profile: Arc<Profile>,
    host: HostSession,
    terminal: TerminalSession,
}

impl Link {
    fn new(profile: &Arc<Profile>) -> Self {
        let (host, terminal) = signed_on(profile);
        Self { profile: Arc::clone(profile), host, terminal }
    }

    fn hear_at_host(&mut self) -> HostEvent {
        self.host.receive(&self.terminal.poll_transmit().expect("a frame"), NOW).unwrap();
        self.host.poll_event().expect("an event")
    }

    fn hear_at_terminal(&mut self) -> TerminalEvent {
        self.terminal.receive(&self.host.poll_transmit().expect("a frame"), NOW).unwrap();
        self.terminal.poll_event().expect("an event")
    }

    /// Carries a request of the terminal to the host, and `answer` back.
    fn answered(&mut self, answer: Answer<'_>) -> TerminalEvent {
        let exchange = self.asked();
        self.host.answer(exchange, answer, NOW).unwrap();
        self.hear_at_terminal()
    }

    fn asked(&mut self) -> Exchange {
        let event = self.hear_at_host();
        let name = format!("{}: {event:?}", self.profile.name());
        event.into_exchange().expect(&name)
    }

    /// Gives a task in the profile's way.
    fn give(&mut self, task: &Task) -> Task {
        if self.host.can_push() {
            self.host.push_command(task.clone(), NOW).unwrap();
            let TerminalEvent::Command { request, task } = self.hear_at_terminal() else { panic!() };
            self.terminal.answer(request, None, NOW).unwrap();
            assert!(matches!(self.hear_at_host(), HostEvent::CommandAnswered { refusal: None, .. }));
            return task;
        }
        self.terminal.poll_task(NOW).unwrap();
        let TerminalEvent::Task(Some(task)) = self.answered(Answer::Task(Some(task))) else { panic!() };
        task
    }

    /// Tells a result, and what of it arrives.
    fn tell(&mut self, result: &TaskResult) -> TaskResult {
        self.terminal.send_result(result, NOW).unwrap();
        let HostEvent::TaskResult { exchange, result } = self.hear_at_host() else { panic!() };
        self.host.answer(exchange, Answer::Approved, NOW).unwrap();
        assert!(matches!(self.hear_at_terminal(), TerminalEvent::ResultTaken { .. }));
        result
    }

    /// Whether honest messages still go both ways.
    fn still_stands(&mut self) {
        while self.host.poll_event().is_some() {}
        self.terminal.echo(NOW).unwrap();
        self.host.receive(&self.terminal.poll_transmit().unwrap(), NOW).unwrap();
        assert!(matches!(self.host.poll_event(), Some(HostEvent::Echo)));
        assert!(matches!(self.hear_at_terminal(), TerminalEvent::EchoAnswered));
        assert_eq!(self.terminal.outstanding(), 0);
    }
}

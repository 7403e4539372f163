//! A rotation whose proof meets a store or a line that fails.

use testkit::store::CallFault;
use tms_core::{Role, RotationPhase};
use tms_proto::{
    rotation,
    task::{Command, Outcome, Task, TaskResult},
};
use tms_store::Store;

use super::embedded::{Server, ready, signed_on, take_task};
use super::*;
use crate::secret::CredentialSecret;

/// A rotation at a terminal that was asked to prove the new credential.
struct Scene {
    server: Server,
    host: Session,
    terminal: TerminalSession,
    operation: Operation,
    secret: CredentialSecret,
    /// The task that asks for the proof.
    asked: Task,
}

fn role() -> Role {
    Role::administrator()
}

impl Scene {
    fn new() -> Self {
        let server = Server::speaking("iso87", None);
        let (mut host, mut terminal, _) = signed_on(&server);
        let operation = ready(service::rotate_credential(&server.app, &server.id, &role())).unwrap();
        let pending = ready(server.store.credential(&server.id, &role())).unwrap().unwrap().pending.unwrap();
        let secret =
            CredentialSecret::unseal(&server.app.vault, &server.id, &role(), &pending.sealed).unwrap();
        ready(host.tick()).unwrap();
        let mut asked = take_task(server.exchange(&mut host, &mut terminal), &mut terminal, server.now());
        while !matches!(asked.command, Command::CredentialVerify { .. }) {
            let done = TaskResult::new(asked.operation, asked.step, Outcome::DONE);
            terminal.send_result(&done, server.now()).unwrap();
            asked = take_task(server.exchange(&mut host, &mut terminal), &mut terminal, server.now());
        }
        server.exchange(&mut host, &mut terminal);
        Self { server, host, terminal, operation, secret, asked }
    }

    fn proof(&self, task: &Task) -> TaskResult {
        let Command::CredentialVerify { challenge, generation, role } = &task.command else { panic!() };
        let context = rotation::context(task.operation, TID, role, *generation);
        let mut result = TaskResult::new(task.operation, task.step, Outcome::DONE);
        result.proof = Some(self.secret.verifier().prove(challenge, &context));
        result
    }

    fn send(&mut self, result: &TaskResult) -> Vec<TerminalEvent> {
        self.terminal.send_result(result, self.server.now()).unwrap();
        self.server.exchange(&mut self.host, &mut self.terminal)
    }

    fn tick(&mut self) -> Vec<TerminalEvent> {
        ready(self.host.tick()).unwrap();
        self.server.exchange(&mut self.host, &mut self.terminal)
    }

    /// The operation expires, and the session hears of it.
    fn expire(&mut self) -> Vec<TerminalEvent> {
        ready(self.server.store.expire_operations(self.operation.expires_at)).unwrap();
        self.server.app.wake.terminal(&self.server.id);
        self.tick()
    }

    fn phase(&self) -> Option<RotationPhase> {
        let credential = ready(self.server.store.credential(&self.server.id, &role())).unwrap().unwrap();
        credential.pending.map(|pending| pending.phase)
    }

    fn state(&self) -> OperationState {
        self.server.operation(self.operation.id).state
    }
}

fn is_told_to_forget(events: &[TerminalEvent]) -> bool {
    events.iter().any(|event| {
        matches!(
            event,
            TerminalEvent::Command { task: Task { command: Command::CredentialAbandon { .. }, .. }, .. }
        )
    })
}

fn lose_answers(server: &Server, of: &'static str) {
    server.store.on_call(move |call| if call == of { CallFault::AnswerLost } else { CallFault::None });
}

#[test]
fn a_proof_that_the_store_kept_and_said_it_did_not_is_never_taken_back() {
    let mut scene = Scene::new();
    lose_answers(&scene.server, "set_pending_phase");
    let proof = scene.proof(&scene.asked);
    let events = scene.send(&proof);
    assert!(matches!(&events[..], [TerminalEvent::Refused { .. }]), "{events:?}");
    assert_eq!(scene.host.operation(), None, "staged again from the store");
    scene.server.store.heal();
    assert!(!is_told_to_forget(&scene.expire()));
    assert_eq!(scene.phase(), Some(RotationPhase::Verified));
}

#[test]
fn a_proof_that_the_store_kept_and_said_it_did_not_goes_on_to_be_confirmed() {
    let mut scene = Scene::new();
    lose_answers(&scene.server, "set_pending_phase");
    let proof = scene.proof(&scene.asked);
    scene.send(&proof);
    scene.server.store.heal();
    let events = scene.send(&proof);
    let task = take_task(events, &mut scene.terminal, scene.server.now());
    assert!(matches!(task.command, Command::CredentialConfirm { .. }));
    lose_answers(&scene.server, "confirm_rotation");
    let confirmed = TaskResult::new(task.operation, task.step, Outcome::DONE);
    scene.send(&confirmed);
    scene.server.store.heal();
    scene.send(&confirmed);
    assert_eq!((scene.state(), scene.phase()), (OperationState::Done, None));
}

#[test]
fn work_that_is_put_down_while_the_whole_store_fails_is_taken_up_when_it_works_again() {
    let mut scene = Scene::new();
    scene.server.store.fail_next(u32::MAX);
    let proof = scene.proof(&scene.asked);
    scene.send(&proof);
    scene.server.store.heal();
    let events = scene.send(&proof);
    let task = take_task(events, &mut scene.terminal, scene.server.now());
    assert!(matches!(task.command, Command::CredentialVerify { .. }), "the store knows of no proof");
    let proof = scene.proof(&task);
    scene.send(&proof);
    assert_eq!(scene.phase(), Some(RotationPhase::Verified));
}

#[test]
fn a_terminal_is_not_told_to_forget_what_another_session_took_the_proof_of() {
    let mut scene = Scene::new();
    let (id, now) = (scene.server.id.clone(), scene.server.now());
    let verified = RotationPhase::Verified;
    ready(scene.server.store.set_pending_phase(&id, &role(), 1, verified, now)).unwrap();
    assert!(!is_told_to_forget(&scene.expire()));
    assert_eq!(scene.phase(), Some(verified));
}

#[test]
fn a_terminal_is_not_told_to_forget_what_is_in_force() {
    let mut scene = Scene::new();
    let (id, now) = (scene.server.id.clone(), scene.server.now());
    ready(scene.server.store.set_pending_phase(&id, &role(), 1, RotationPhase::Verified, now)).unwrap();
    ready(scene.server.store.confirm_rotation(&id, &role(), 1, now)).unwrap();
    assert!(!is_told_to_forget(&scene.expire()));
}

#[test]
fn a_terminal_is_told_to_forget_only_what_the_store_has_given_up() {
    let mut scene = Scene::new();
    assert!(is_told_to_forget(&scene.expire()));
    assert_eq!(scene.phase(), None, "so no proof that is late can count any more");
    let mut scene = Scene::new();
    scene.server.store.on_call(|call| match call {
        "abandon_rotation" => CallFault::Refused,
        _ => CallFault::None,
    });
    assert!(!is_told_to_forget(&scene.expire()));
}

#[test]
fn a_late_proof_of_an_earlier_challenge_is_ignored_and_the_present_one_asked_again() {
    let mut scene = Scene::new();
    let late = scene.proof(&scene.asked);
    let mut told = Vec::new();
    for _ in 0..10 {
        scene.server.pass(61);
        // So that the line does not end for want of a message.
        scene.terminal.echo(scene.server.now()).unwrap();
        told.extend(scene.server.exchange(&mut scene.host, &mut scene.terminal));
        told.extend(scene.tick());
        told.retain(|event| matches!(event, TerminalEvent::Command { .. }));
        if !told.is_empty() {
            break;
        }
    }
    let second = take_task(told, &mut scene.terminal, scene.server.now());
    assert!(second.command != scene.asked.command, "another challenge");
    let again = take_task(scene.send(&late), &mut scene.terminal, scene.server.now());
    assert!(again.command == second.command, "a proof of it may be under way");
    assert_eq!(scene.phase(), Some(RotationPhase::Committed));
    let proof = scene.proof(&second);
    scene.send(&proof);
    assert_eq!(scene.phase(), Some(RotationPhase::Verified));
    // What was asked twice is answered twice.
    scene.send(&proof);
    assert!(scene.state().is_open());
}

#[test]
fn proofs_that_are_always_wrong_end_the_rotation_after_as_many_as_there_are_attempts() {
    let mut scene = Scene::new();
    let wrong = TaskResult::new(scene.asked.operation, scene.asked.step, Outcome::DONE);
    for _ in 1..scene.server.app.limits.operation_attempts {
        take_task(scene.send(&wrong), &mut scene.terminal, scene.server.now());
        scene.server.exchange(&mut scene.host, &mut scene.terminal);
        assert!(scene.state().is_open());
    }
    assert!(is_told_to_forget(&scene.send(&wrong)));
    assert_eq!((scene.state(), scene.phase()), (OperationState::Failed, None));
}

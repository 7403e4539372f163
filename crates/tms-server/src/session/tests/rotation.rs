//! Rotations under faults, with the real store: lines break, the server dies between any two of its
//! writes, operations expire, people ask again. A secret that the host holds opens the terminal always.

use std::future::Future;

use testkit::{MemoryStore, store::CallFault};
use tms_core::{Role, RotationPhase};
use tms_crypto::{keyblock::Tmk, seal, verifier::Verifier};
use tms_proto::{
    journal::{Admission, Journal},
    rotation::{CredentialSlots, SEAL_INFO},
    task::{Command, Task, TaskResult},
};

use super::*;
use crate::{
    secret::CredentialSecret,
    service::{GivenCredential, NewTerminal},
};

const DELIVERED: &str = "73920418";

/// What the terminal remembers.
struct Pos {
    slots: CredentialSlots,
    journal: Journal,
    key: Vec<u8>,
}

impl Pos {
    fn take(&mut self, task: &Task) -> Option<TaskResult> {
        let verify = matches!(task.command, Command::CredentialVerify { .. });
        if !verify {
            match self.journal.admit(task) {
                Admission::Execute | Admission::Running | Admission::Continue => {}
                Admission::Answer(result) => return Some(result),
                Admission::Cancelled | Admission::Full => return None,
            }
        }
        let unseal = |sealed: &[u8], context: &[u8]| {
            Verifier::from_bytes(&seal::open(&self.key, SEAL_INFO, context, sealed).ok()?).ok()
        };
        let result = self.slots.handle(task.operation, task.step, TID, &task.command, unseal).result;
        if !verify {
            self.journal.finish(result.clone());
        }
        Some(result)
    }
}

/// A connection.
struct Line {
    host: Session,
    terminal: TerminalSession,
}

struct Scene {
    estate: Estate,
    id: TerminalId,
    profile: &'static str,
    pos: Pos,
    line: Option<Line>,
    random: u64,
}

/// Lets `future` go on `polls` times, then drops it where it stands, as a kill does.
async fn cut<F: Future>(future: F, polls: u64) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return std::task::Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

impl Scene {
    async fn new(profile: &'static str, seed: u64, memory: Option<&Arc<MemoryStore>>) -> Self {
        let mut estate = estate().await;
        let app = Arc::get_mut(&mut estate.app).unwrap();
        app.clock = Clock::new(clock);
        if let Some(memory) = memory {
            app.store = Arc::clone(memory) as _;
        }
        let sealing = seal::generate().unwrap();
        let new = NewTerminal {
            id: TID.parse().unwrap(),
            merchant: "102310060510002".parse().unwrap(),
            profile: profile.parse().unwrap(),
            model: "SIM-8".to_owned(),
            hardware_revision: "A1".to_owned(),
            serial: "1".to_owned(),
            certificate_sha256: hex::encode(tms_crypto::sha256(TID.as_bytes())),
            sealing_public_key: sealing.public_bytes().to_vec(),
            credentials: vec![GivenCredential {
                role: Role::administrator(),
                generation: 1,
                secret: DELIVERED.to_owned().into(),
            }],
        };
        let id = service::enrol(&estate.app, new, &Tmk::generate()).await.unwrap().id;
        let mut slots = CredentialSlots::default();
        slots.install("99", 1, &Verifier::derive(DELIVERED.as_bytes(), [1; 16], 10));
        let pos = Pos { slots, journal: Journal::default(), key: sealing.private_bytes().to_vec() };
        Self { estate, id, profile, pos, line: None, random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1 }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 16) % limit
    }

    async fn connect(&mut self) {
        let profile = Arc::new(Profile::builtin(self.profile).unwrap());
        let endpoint = Endpoint { framing: profile.framing(), profile: Arc::clone(&profile), mac_key: None };
        let peer = PeerIdentity {
            common_name: TID.to_owned(),
            sha256: hex::encode(tms_crypto::sha256(TID.as_bytes())),
            address: ([127, 0, 0, 1], 1).into(),
            connection: self.estate.app.wake.next_connection(),
        };
        let host = Session::open(Arc::clone(&self.estate.app), endpoint, peer).await.unwrap();
        let mut terminal = TerminalSession::new(profile, Identity::new(TID, "102310060510002"));
        terminal.sign_on(b"", clock()).unwrap();
        for result in self.pos.journal.unacknowledged() {
            terminal.send_result(result, clock()).unwrap();
        }
        self.line = Some(Line { host, terminal });
    }

    /// The line is gone, and a server that starts finds its leases free.
    async fn restart_server(&mut self) {
        self.line = None;
        self.estate.app.store.release_all_leases().await.unwrap();
    }

    /// One frame each way and what follows from it. The host may be cut off in the middle.
    async fn step(&mut self, polls: u64) {
        let Some(line) = &mut self.line else { return self.connect().await };
        if let Some(frame) = line.terminal.poll_transmit() {
            let Some(taken) = cut(line.host.frame(&frame), polls).await else {
                return self.restart_server().await;
            };
            taken.unwrap();
        }
        if let Some(frame) = line.host.poll_transmit() {
            line.terminal.receive(&frame, clock()).unwrap();
        }
        let mut quiet = true;
        while let Some(event) = line.terminal.poll_event() {
            quiet = false;
            let result = match event {
                TerminalEvent::Command { request, task } => {
                    let result = self.pos.take(&task);
                    line.terminal.answer(request, None, clock()).unwrap();
                    result
                }
                TerminalEvent::Task(Some(task)) => self.pos.take(&task),
                TerminalEvent::ResultTaken { operation, step } => {
                    self.pos.journal.acknowledge(operation, step);
                    None
                }
                _ => None,
            };
            if let Some(result) = result {
                line.terminal.send_result(&result, clock()).unwrap();
            }
        }
        if quiet && line.terminal.outstanding() == 0 && !line.host.protocol.profile().pushes() {
            line.terminal.poll_task(clock()).unwrap();
        }
    }

    async fn credential(&self) -> tms_core::Credential {
        self.estate.app.store.credential(&self.id, &Role::administrator()).await.unwrap().unwrap()
    }

    async fn secret(&self, sealed: &[u8]) -> String {
        let role = Role::administrator();
        CredentialSecret::unseal(&self.estate.app.vault, &self.id, &role, sealed).unwrap().secret.clone()
    }

    /// What the host would have a person type opens the terminal.
    async fn check(&self, what: &str) {
        let credential = self.credential().await;
        let secret = match &credential.pending {
            Some(pending) if pending.phase == RotationPhase::Verified => self.secret(&pending.sealed).await,
            _ => self.secret(&credential.current.as_ref().unwrap().sealed).await,
        };
        let opened = self.pos.slots.try_secret("99", secret.as_bytes());
        assert!(opened.is_some(), "{what}: {credential:?} {:?}", self.pos.slots);
    }

    async fn rotate(&self) -> bool {
        let role = Role::administrator();
        service::rotate_credential(&self.estate.app, &self.id, &role).await.is_ok()
    }

    /// Time passes, and with it the wait before the next attempt.
    async fn wait(&mut self) {
        pass(1_200);
        if let Some(line) = &mut self.line {
            line.host.last_heard = clock();
            line.terminal.handle_timeout(clock());
            line.host.tick().await.unwrap();
        }
    }

    async fn run(&mut self, seed: u64, heal: impl FnOnce()) {
        for _ in 0..120 {
            let action = self.below(24);
            match action {
                0 | 7 | 8 => drop(self.rotate().await),
                1 => {
                    if let Some(line) = self.line.take() {
                        line.host.close(Ended::Closed).await;
                    }
                }
                2 => {
                    let old = self.line.take();
                    self.connect().await;
                    if let Some(old) = old {
                        old.host.close(Ended::Superseded).await;
                    }
                }
                3 => {
                    let polls = self.below(12);
                    self.step(polls).await;
                }
                4 => {
                    pass(61);
                    if let Some(line) = &mut self.line {
                        line.terminal.handle_timeout(clock());
                        if line.host.tick().await.is_err() {
                            self.restart_server().await;
                        }
                    }
                }
                5 => {
                    pass(8 * 24 * 3600);
                    if let Some(line) = &mut self.line {
                        line.host.last_heard = clock();
                    }
                    self.estate.app.store.expire_operations(clock()).await.unwrap();
                }
                6 => {
                    if let Some(line) = &mut self.line {
                        self.estate.app.wake.terminal(&self.id);
                        line.host.tick().await.unwrap();
                    }
                }
                _ => self.step(u64::MAX).await,
            }
            self.check(&format!("seed {seed}, action {action}")).await;
        }
        heal();
        // The faults stop: a rotation that somebody asks for now succeeds.
        let before = self.credential().await.current.unwrap().generation;
        self.restart_server().await;
        let asked = self.rotate().await;
        for step in 1..=1_200 {
            self.step(u64::MAX).await;
            if step % 20 == 0 {
                self.wait().await;
            }
        }
        self.check(&format!("seed {seed}, at the end")).await;
        let after = self.credential().await;
        let open = self.estate.app.store.open_operations(&self.id).await.unwrap();
        assert!(open.is_empty(), "seed {seed}: {open:?}");
        if asked {
            assert!(after.current.unwrap().generation > before && after.pending.is_none(), "seed {seed}");
        }
    }
}

#[tokio::test]
async fn a_secret_that_the_host_holds_opens_the_terminal_whatever_breaks() {
    let seeds = std::env::var("SEEDS").ok().and_then(|s| s.parse().ok()).unwrap_or(10);
    for seed in 1..=seeds {
        for profile in ["iso87", "unionpay"] {
            Scene::new(profile, seed, None).await.run(seed, || ()).await;
        }
    }
}

#[tokio::test]
async fn nor_does_a_store_lock_anybody_out_that_says_of_what_it_did_that_it_failed() {
    let seeds = std::env::var("SEEDS").ok().and_then(|s| s.parse().ok()).unwrap_or(10);
    for seed in 1..=seeds {
        for profile in ["iso87", "unionpay"] {
            let store = Arc::new(MemoryStore::new());
            let mut scene = Scene::new(profile, seed, Some(&store)).await;
            let mut drawn = seed.wrapping_mul(0xD134_2543_DE82_EF95) | 1;
            store.on_call(move |call| {
                drawn ^= drawn << 13;
                drawn ^= drawn >> 7;
                drawn ^= drawn << 17;
                let writes = ["set_pending_phase", "confirm_rotation", "abandon_rotation", "transition"];
                match (drawn >> 16) % 6 {
                    _ if !writes.contains(&call) && call != "release_lease" => CallFault::None,
                    0 | 1 => CallFault::AnswerLost,
                    2 => CallFault::Refused,
                    _ => CallFault::None,
                }
            });
            scene.run(seed, || store.heal()).await;
        }
    }
}

#[tokio::test]
async fn a_terminal_rotated_after_the_backup_that_was_restored_can_be_rotated_again() {
    for profile in ["unionpay", "iso87"] {
        let memory = Arc::new(MemoryStore::new());
        let mut scene = Scene::new(profile, 7, Some(&memory)).await;
        let backup = memory.snapshot();
        for _ in 0..3 {
            scene.rotated().await;
        }
        assert_eq!(scene.credential().await.current.unwrap().generation, 4);

        let restored = Arc::new(MemoryStore::restore(backup));
        scene.line = None;
        Arc::get_mut(&mut scene.estate.app).unwrap().store = Arc::clone(&restored) as _;
        assert_eq!(scene.credential().await.current.unwrap().generation, 1);
        scene.connect().await;
        let line = scene.line.as_mut().unwrap();
        let credentials = scene.pos.slots.generations();
        line.terminal.report(&Report { credentials, ..reporting([].into()) }, clock()).unwrap();
        for _ in 0..4 {
            scene.step(u64::MAX).await;
        }
        scene.rotated().await;
        let credential = scene.credential().await;
        assert_eq!(
            (credential.current.unwrap().generation, credential.foreign_generation),
            (5, None),
            "{profile}"
        );
        scene.check(profile).await;
    }
}

impl Scene {
    /// Rotates the credential without faults.
    async fn rotated(&mut self) {
        let before = self.credential().await.current.unwrap().generation;
        assert!(self.rotate().await);
        for _ in 0..60 {
            if let Some(line) = &mut self.line {
                line.host.tick().await.unwrap();
            }
            self.step(u64::MAX).await;
            if self.credential().await.current.unwrap().generation > before {
                return;
            }
        }
        panic!("not rotated: {:?} {:?}", self.credential().await, self.pos.slots);
    }
}

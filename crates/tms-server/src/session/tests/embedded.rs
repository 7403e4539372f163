//! The session as a simulation or another program runs it: no runtime, no socket, no file, a store and
//! objects in memory, and a clock of its own.

use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};

use futures::FutureExt;
use testkit::MemoryStore;
use tms_crypto::{keyblock::Tmk, vault::Vault};
use tms_proto::{
    file::BlockRequest,
    plan::PlanSource,
    task::{Command, Outcome, Task, TaskResult},
};
use tms_store::Store;

use super::*;
use crate::{
    app::{Limits, Objects, Random},
    service::NewTerminal,
    testing,
};

const TMK: [u8; 16] = [0x3B; 16];

/// So that no two servers draw the same.
static DRAWN: AtomicU8 = AtomicU8::new(0);

/// A server in memory, with one terminal.
pub(super) struct Server {
    pub(super) app: Arc<App>,
    pub(super) store: Arc<MemoryStore>,
    pub(super) now_s: Arc<AtomicI64>,
    pub(super) id: TerminalId,
    profile: &'static str,
}

/// Nothing waits, ever.
pub(super) fn ready<F: Future>(future: F) -> F::Output {
    future.now_or_never().expect("a future of a session in memory is ready at once")
}

impl Server {
    fn new(trust: Option<tms_firmware::TrustRoot>) -> Self {
        Self::speaking("iso87", trust)
    }

    pub(super) fn speaking(profile: &'static str, trust: Option<tms_firmware::TrustRoot>) -> Self {
        let store = Arc::new(MemoryStore::new());
        let now_s = Arc::new(AtomicI64::new(1_800_000_000));
        let app = app(&store, &now_s, trust);
        let id: TerminalId = TID.parse().unwrap();
        let new = NewTerminal {
            id: id.clone(),
            merchant: "102310060510002".parse().unwrap(),
            profile: profile.parse().unwrap(),
            model: "SIM-8".to_owned(),
            hardware_revision: "A1".to_owned(),
            serial: "1".to_owned(),
            certificate_sha256: hex::encode(tms_crypto::sha256(TID.as_bytes())),
            sealing_public_key: vec![9; 32],
            credentials: Vec::new(),
        };
        ready(service::enrol(&app, new, &Tmk::new(TMK))).unwrap();
        Self { app, store, now_s, id, profile }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.app.now()
    }

    pub(super) fn pass(&self, seconds: i64) {
        self.now_s.fetch_add(seconds, Ordering::Relaxed);
    }

    pub(super) fn operation(&self, id: OperationId) -> Operation {
        self.store.look(|contents| contents.operations[&id].clone())
    }

    fn open(&self) -> Session {
        let profile = Arc::new(Profile::builtin(self.profile).unwrap());
        let endpoint = Endpoint { framing: profile.framing(), profile, mac_key: None };
        let peer = PeerIdentity {
            common_name: TID.to_owned(),
            sha256: hex::encode(tms_crypto::sha256(TID.as_bytes())),
            address: ([127, 0, 0, 1], 1).into(),
            connection: self.app.wake.next_connection(),
        };
        ready(Session::open(Arc::clone(&self.app), endpoint, peer)).unwrap()
    }

    pub(super) fn exchange(&self, host: &mut Session, terminal: &mut TerminalSession) -> Vec<TerminalEvent> {
        let mut events = Vec::new();
        while {
            let mut busy = false;
            while let Some(frame) = terminal.poll_transmit() {
                ready(host.frame(&frame)).unwrap();
                busy = true;
            }
            while let Some(frame) = host.poll_transmit() {
                terminal.receive(&frame, self.now()).unwrap();
                busy = true;
            }
            busy
        } {
            events.extend(std::iter::from_fn(|| terminal.poll_event()));
        }
        events
    }
}

pub(super) fn app(
    store: &Arc<MemoryStore>,
    now_s: &Arc<AtomicI64>,
    trust: Option<tms_firmware::TrustRoot>,
) -> Arc<App> {
    let (store, now_s) = (Arc::clone(store), Arc::clone(now_s));
    let clock = move || Timestamp::from_second(now_s.load(Ordering::Relaxed)).unwrap();
    let limits = Limits { verifier_iterations: 1, ..Limits::default() };
    let mut app = App::new(store, Vault::with_key(&[7; 32]), Objects::memory(), trust, limits, clock);
    app.random = Random::new(|bytes| bytes.fill(DRAWN.fetch_add(1, Ordering::Relaxed)));
    Arc::new(app)
}

pub(super) fn signed_on(server: &Server) -> (Session, TerminalSession, Vec<TerminalEvent>) {
    let profile = Arc::new(Profile::builtin(server.profile).unwrap());
    let (mut host, mut terminal) =
        (server.open(), TerminalSession::new(profile, Identity::new(TID, "102310060510002")));
    terminal.set_key_opener(Box::new(Tmk::new(TMK)));
    terminal.sign_on(b"", server.now()).unwrap();
    let events = server.exchange(&mut host, &mut terminal);
    assert!(host.is_signed_on());
    (host, terminal, events)
}

/// The task among the events, accepted.
pub(super) fn take_task(events: Vec<TerminalEvent>, terminal: &mut TerminalSession, now: Timestamp) -> Task {
    let task = events.into_iter().find_map(|event| match event {
        TerminalEvent::Command { request, task } => Some((request, task)),
        _ => None,
    });
    let (request, task) = task.expect("a command came");
    terminal.answer(request, None, now).unwrap();
    task
}

#[test]
fn an_operation_goes_all_the_way_without_a_runtime_and_a_restart_loses_nothing() {
    let mut server = Server::new(None);
    let (mut host, _, _) = signed_on(&server);
    let operation = ready(service::reset(&server.app, &server.id)).unwrap();
    assert_eq!(host.next_due(), server.now(), "roused");
    ready(host.tick()).unwrap();
    assert_eq!(host.operation(), Some(operation.id));
    // The server dies before the terminal reads anything, and another one starts on its store.
    drop(host);
    server.app = app(&server.store, &server.now_s, None);
    assert_eq!(ready(server.store.release_all_leases()).unwrap(), 1);

    let (mut host, mut terminal, events) = signed_on(&server);
    let task = take_task(events, &mut terminal, server.now());
    assert_eq!((task.operation, task.command), (*operation.id.as_uuid(), Command::Reboot));
    let result = TaskResult::new(task.operation, task.step, Outcome::DONE);
    terminal.send_result(&result, server.now()).unwrap();
    server.exchange(&mut host, &mut terminal);
    assert_eq!(server.operation(operation.id).state, OperationState::Done);
    ready(host.close(Ended::Closed));
}

#[test]
fn what_a_failing_store_kept_from_being_given_back_is_free_as_soon_as_it_works() {
    let server = Server::new(None);
    let (mut host, _, _) = signed_on(&server);
    let operation = ready(service::reset(&server.app, &server.id)).unwrap();
    ready(host.tick()).unwrap();
    assert_eq!(host.operation(), Some(operation.id));
    server.store.fail_next(100);
    ready(host.close(Ended::Closed));
    server.store.heal();
    let (next, _, _) = signed_on(&server);
    assert_eq!(next.operation(), Some(operation.id));
}

#[test]
fn firmware_is_published_and_read_and_a_log_is_kept_without_a_file() {
    let signing = tms_firmware::SigningKey::generate().unwrap();
    let trust = tms_firmware::TrustRoot::new(vec![signing.public()], 1).unwrap();
    let server = Server::new(Some(trust));
    let image: Vec<u8> = (0..3_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let package = testing::package(&signing, "2.0.0", &image);
    let firmware = ready(service::publish_bytes(&server.app, &package)).unwrap();
    ready(service::assign_firmware(&server.app, &server.id, &firmware.id)).unwrap();
    let (mut host, mut terminal, events) = signed_on(&server);
    let Command::InstallFirmware { file, .. } = take_task(events, &mut terminal, server.now()).command else {
        panic!("another command")
    };
    let request = BlockRequest { file, offset: 2_900, length: 256 };
    terminal.read_block(request, server.now()).unwrap();
    let events = server.exchange(&mut host, &mut terminal);
    let Some(TerminalEvent::Block(block)) = events.into_iter().next() else { panic!("no block") };
    assert_eq!((block.offset, &block.data[..]), (2_900, &image[2_900..]));
    ready(server.app.objects.write("logs/1.log", b"a line")).unwrap();
    assert_eq!(ready(server.app.objects.read("logs/1.log")).unwrap().as_deref(), Some(&b"a line"[..]));
}

#[test]
fn firmware_that_a_plan_installs_is_read_for_as_long_as_the_plan_is_in_force() {
    let signing = tms_firmware::SigningKey::generate().unwrap();
    let trust = tms_firmware::TrustRoot::new(vec![signing.public()], 1).unwrap();
    let server = Server::new(Some(trust));
    let image = vec![7; 300];
    let firmware =
        ready(service::publish_bytes(&server.app, &testing::package(&signing, "2.0.0", &image))).unwrap();
    let other =
        ready(service::publish_bytes(&server.app, &testing::package(&signing, "3.0.0", &image))).unwrap();
    let plan = serde_json::json!({"actions": [
        {"id": 1, "command": {"install_firmware": {"firmware": firmware.id}}, "trigger": "after_settlement"}]});
    let install = OperationKind::InstallPlan { plan };
    ready(service::command(&server.app, &server.id, install)).unwrap();
    let (mut host, mut terminal, events) = signed_on(&server);
    let task = take_task(events, &mut terminal, server.now());
    let Command::InstallPlan(PlanSource::Inline(plan)) = task.command else { panic!("another command") };
    let Command::InstallFirmware { file, size_bytes, .. } = plan.actions[0].command.clone() else { panic!() };
    assert_eq!((file.as_str(), size_bytes), (firmware.id.as_str(), 300));

    let read = |host: &mut Session, terminal: &mut TerminalSession, file: &str| {
        let request = BlockRequest { file: file.to_owned(), offset: 0, length: 256 };
        terminal.read_block(request, server.now()).unwrap();
        let events = server.exchange(host, terminal);
        events.iter().any(|event| matches!(event, TerminalEvent::Block(_)))
    };
    assert!(read(&mut host, &mut terminal, &file), "the terminal may be faster than its result");
    terminal.send_result(&TaskResult::new(task.operation, 1, Outcome::DONE), server.now()).unwrap();
    server.exchange(&mut host, &mut terminal);
    assert!(
        read(&mut host, &mut terminal, &file) && read(&mut host, &mut terminal, &format!("{file}.manifest"))
    );
    assert!(!read(&mut host, &mut terminal, other.id.as_str()) && !read(&mut host, &mut terminal, "plan"));
    ready(host.close(Ended::Closed));

    let (mut host, mut terminal, _) = signed_on(&server);
    assert!(read(&mut host, &mut terminal, &file), "on the next connection too");
    ready(service::withdraw_plan(&server.app, &server.id)).unwrap();
    ready(host.tick()).unwrap();
    let events = server.exchange(&mut host, &mut terminal);
    let task = take_task(events, &mut terminal, server.now());
    let Command::InstallPlan(PlanSource::Inline(empty)) = task.command else { panic!("another command") };
    assert!(empty.actions.is_empty() && empty.version > plan.version);
    terminal.send_result(&TaskResult::new(task.operation, 1, Outcome::DONE), server.now()).unwrap();
    server.exchange(&mut host, &mut terminal);
    assert!(!read(&mut host, &mut terminal, &file), "there is no such plan any more");
}

#[test]
fn an_idle_session_is_over_when_it_says_so_and_a_store_that_fails_begins_none() {
    let server = Server::new(None);
    let (mut host, _, _) = signed_on(&server);
    while host.next_due() < server.now() + SignedDuration::from_secs(10_000) {
        let due = host.next_due();
        assert!(due > server.now(), "a tick does what was due");
        server.now_s.store(due.as_second(), Ordering::Relaxed);
        if let Err(ended) = ready(host.tick()) {
            assert!(matches!(ended, Ended::Idle(_)), "{ended}");
            break;
        }
    }
    server.store.fail_next(1);
    let profile = Arc::new(Profile::builtin("iso87").unwrap());
    let endpoint = Endpoint { framing: profile.framing(), profile, mac_key: None };
    let peer = PeerIdentity {
        common_name: TID.to_owned(),
        sha256: String::new(),
        address: ([127, 0, 0, 1], 1).into(),
        connection: 9,
    };
    let refused = ready(Session::open(Arc::clone(&server.app), endpoint, peer));
    assert!(matches!(refused, Err(Ended::Store(_))));
}

//! A terminal whose storage may fail at any write and a scripted host, joined by a line that may break
//! after any frame.

use std::{
    io::Cursor,
    sync::{Arc, MutexGuard},
};

use jiff::{SignedDuration, Timestamp};
use tms_crypto::{keyblock::Tmk, seal};
use tms_firmware::{Draft, PackageReader, SigningKey, TrustRoot, build_package};
use tms_proto::{
    HostSession, Profile,
    task::{Command, Outcome, Task},
};
use uuid::Uuid;

use super::{
    frail::{Frail, Recorder},
    host::Host,
};
use crate::{
    agent::{Connection, Exit},
    device::Device,
    machine::Machine,
    materials::Materials,
    scenario::Scenario,
    status::Status,
    storage::Storage,
};

pub(super) const TID: &str = "10000001";

/// How a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// Nothing left to do.
    Quiet,
    /// The line broke after the frames that it was given.
    Broken,
    /// The terminal ended it.
    Exit(Exit),
}

pub(super) struct World {
    pub(super) profile: Arc<Profile>,
    pub(super) storage: Arc<Frail>,
    pub(super) effects: Arc<Recorder>,
    pub(super) device: Device,
    pub(super) status: Arc<Status>,
    scenario: Arc<Scenario>,
    materials: Materials,
    pub(super) signer: SigningKey,
    pub(super) sealing_public: Vec<u8>,
    pub(super) host: Host,
    pub(super) now: Timestamp,
}

impl World {
    pub(super) fn new(profile: &str) -> Self {
        Self::with(profile, "")
    }

    /// A world whose terminal has these further lines in its `terminal.toml`.
    pub(super) fn with(profile: &str, extra: &str) -> Self {
        Self::of(profile, "", extra)
    }

    /// The same with further lines about its host.
    pub(super) fn of(profile: &str, host: &str, extra: &str) -> Self {
        let text = format!(
            r#"
[identity]
tid = "{TID}"
mid = "102310060510002"
serial = "SIM00000001"
model = "SIM-8"
hardware_revision = "A1"
[host]
address = "127.0.0.1:1"
server_name = "tms.test"
profile = "{profile}"
{host}
[tls]
ca = "ca.pem"
certificate = "terminal.pem"
key = "terminal.key"
[security]
sealing_key = "sealing.key"
firmware_trust = "trust.json"
[[credential]]
role = "99"
secret = "73920418"
generation = 1
[parameters]
timeout_s = "30"
[firmware]
version = "1.0.0"
security_counter = 1
{extra}
"#
        );
        let scenario: Arc<Scenario> = Arc::new(tms_config::parse("terminal.toml", &text).unwrap());
        let signer = SigningKey::generate().unwrap();
        let sealing = seal::generate().unwrap();
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let profile = Arc::new(Profile::builtin(profile).unwrap());
        let trust = TrustRoot::new(vec![signer.public()], 1).unwrap();
        let mut materials =
            Materials::new(Arc::clone(&profile), sealing.private_bytes().to_vec().into(), trust);
        materials.tmk = Some(Tmk::new([0x11; 16]));
        // Iterations are for real secrets.
        materials.verifier_iterations = 10;
        let (storage, effects) = (Arc::<Frail>::default(), Arc::<Recorder>::default());
        materials.hardware = Arc::clone(&effects) as _;
        let device =
            Device::open(Arc::clone(&scenario), materials.clone(), Arc::clone(&storage) as _, now).unwrap();
        let mut world = Self {
            profile,
            storage,
            effects,
            status: Arc::clone(device.status()),
            device,
            scenario,
            materials,
            signer,
            sealing_public: sealing.public_bytes().to_vec(),
            host: Host::default(),
            now,
        };
        world.boot();
        world
    }

    pub(super) fn given(&self) -> (Arc<Scenario>, Materials) {
        (Arc::clone(&self.scenario), self.materials.clone())
    }

    /// Gives both sides another profile.
    pub(super) fn speak(&mut self, profile: Profile) {
        self.profile = Arc::new(profile);
        self.materials.profile = Arc::clone(&self.profile);
        self.restart();
    }

    pub(super) fn machine(&self) -> MutexGuard<'_, Machine> {
        self.device.machine()
    }

    pub(super) fn boot(&mut self) {
        let now = self.now;
        self.machine().boot(now).unwrap();
    }

    /// Loses everything that was not saved, then starts.
    pub(super) fn power_cycle(&mut self) {
        self.machine().lose_power().unwrap();
        self.boot();
    }

    /// Another process takes up what was saved, then starts.
    pub(super) fn restart(&mut self) {
        let storage = Arc::clone(&self.storage) as _;
        self.device =
            Device::open(Arc::clone(&self.scenario), self.materials.clone(), storage, self.now).unwrap();
        self.status = Arc::clone(self.device.status());
        self.boot();
    }

    /// Publishes an image and orders its installation. `change` may spoil what was built.
    pub(super) fn order(
        &mut self,
        id: u128,
        draft: Draft,
        image: &[u8],
        signer: Option<&SigningKey>,
    ) -> Task {
        let mut package = Vec::new();
        let key = signer.unwrap_or(&self.signer);
        let envelope =
            build_package(draft, &mut Cursor::new(image), std::slice::from_ref(key), &mut package).unwrap();
        let mut bytes = Vec::new();
        let root = TrustRoot::new(vec![key.public()], 1).unwrap();
        let reader = PackageReader::open(package.as_slice()).unwrap();
        let manifest = reader.envelope().verify(&root).unwrap();
        reader.copy_image(&manifest, &mut bytes).unwrap();
        let file = envelope.id();
        self.host.files.insert(format!("{file}.manifest"), envelope.to_json().unwrap().into_bytes());
        self.host.files.insert(file.clone(), bytes);
        let command = Command::InstallFirmware {
            file,
            size_bytes: image.len() as u64,
            sha256: tms_crypto::sha256(image),
        };
        self.task(id, 1, command)
    }

    pub(super) fn task(&mut self, id: u128, step: u8, command: Command) -> Task {
        let task = Task { operation: Uuid::from_u128(id), step, command };
        self.host.tasks.push_back(task.clone());
        task
    }

    /// The terminal's end of a new connection.
    pub(super) fn agent(&self) -> Connection {
        self.device.connect(self.now)
    }

    /// Runs one connection until nothing is left to do, the terminal ends it, or the line breaks
    /// after `frames` frames.
    pub(super) fn connect(&mut self, frames: usize) -> End {
        let mut agent = self.agent();
        let mut host = HostSession::new(Arc::clone(&self.profile), Some(TID.to_owned()));
        let end = self.exchange(&mut agent, &mut host, frames);
        match agent.close() {
            Ok(()) => end,
            Err(error) => End::Exit(Exit::Storage(error)),
        }
    }

    /// Stays connected for this long.
    pub(super) fn connect_for(&mut self, length: SignedDuration) {
        let until = self.now + length;
        let mut agent = self.agent();
        let mut host = HostSession::new(Arc::clone(&self.profile), Some(TID.to_owned()));
        agent.start(self.now).unwrap();
        while self.now < until {
            while let Some(frame) = agent.poll_transmit() {
                host.receive(&frame, self.now).unwrap();
                self.host.serve(&mut host, &self.profile, self.now);
            }
            match host.poll_transmit() {
                Some(frame) => agent.receive(&frame, self.now).unwrap(),
                None => {
                    self.now = agent.next_due().clamp(self.now + SignedDuration::from_millis(1), until);
                    agent.tick(self.now).unwrap();
                }
            }
        }
        agent.close().unwrap();
    }

    /// Connects as often as it takes, restarting when the terminal does.
    pub(super) fn settle(&mut self) {
        for _ in 0..20 {
            match self.connect(usize::MAX) {
                End::Quiet => return,
                End::Exit(Exit::Reboot) => self.boot(),
                End::Exit(Exit::PowerCut) => self.power_cycle(),
                other => panic!("{other:?}"),
            }
        }
        panic!("does not settle");
    }

    /// The outcome of the only result so far, and its reason.
    pub(super) fn outcome(&self) -> (Outcome, &str) {
        let [result] = self.host.results.as_slice() else { panic!("{:?}", self.host.results) };
        (result.outcome, &result.reason)
    }

    fn exchange(&mut self, agent: &mut Connection, host: &mut HostSession, frames: usize) -> End {
        let mut left = frames;
        let mut quiet = 0;
        if let Err(exit) = agent.start(self.now) {
            return End::Exit(exit);
        }
        loop {
            let mut busy = false;
            while let Some(frame) = agent.poll_transmit() {
                busy = true;
                if left == 0 {
                    return End::Broken;
                }
                left -= 1;
                host.receive(&frame, self.now).unwrap();
                self.host.serve(host, &self.profile, self.now);
            }
            if let Some(exit) = agent.exit_when_idle() {
                return End::Exit(exit);
            }
            while let Some(frame) = host.poll_transmit() {
                busy = true;
                if left == 0 {
                    return End::Broken;
                }
                left -= 1;
                if let Err(exit) = agent.receive(&frame, self.now) {
                    return End::Exit(exit);
                }
            }
            if busy {
                continue;
            }
            // Two polls without work, or nothing due: it is quiet.
            quiet += 1;
            let idle = agent.fetch.is_none()
                && agent.sending.is_none()
                && agent.in_flight.is_none()
                && agent.downloading.is_none()
                && agent.machine().state.next_result().is_none()
                && agent.next_alarm_due() == jiff::Timestamp::MAX
                && agent.download_again.values().all(|again| again.due == jiff::Timestamp::MAX)
                && !self.host.lies;
            if quiet > 3 && idle && self.host.tasks.is_empty() {
                return End::Quiet;
            }
            if quiet > 200 {
                return End::Quiet;
            }
            self.now = self.now.max(agent.next_due().min(self.now + jiff::SignedDuration::from_secs(5)));
            if let Err(exit) = agent.tick(self.now) {
                return End::Exit(exit);
            }
        }
    }
}

/// A draft for the test terminal.
pub(super) fn draft(version: &str) -> Draft {
    Draft {
        vendor: "Example".into(),
        models: vec!["SIM-8".into()],
        hardware_revisions: vec!["A1".into()],
        version: version.parse().unwrap(),
        security_counter: 1,
        ..Draft::default()
    }
}

/// An image of a size that needs many blocks and a short last one.
pub(super) fn image() -> Vec<u8> {
    (0..100_003_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Whether the terminal's storage holds its state and nothing half replaced.
pub(super) fn state_is_whole(world: &World) -> bool {
    let bytes = world.storage.read("state.json").unwrap().unwrap();
    serde_json::from_slice::<serde_json::Value>(&bytes).is_ok()
}

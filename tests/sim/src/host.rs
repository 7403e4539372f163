//! The host: the server's own sessions and services over a store in memory, which can die and start
//! again.

use std::sync::{Arc, Mutex};

use futures::FutureExt;
use jiff::{SignedDuration, Timestamp};
use testkit::{
    MemoryStore,
    clock::{Clock, Skewed},
    rng::Rng,
    store::{CallFault, Contents},
};
use tms_core::FirmwareRecord;
use tms_crypto::vault::Vault;
use tms_server::{
    app::{App, Limits, Objects, Random},
    service,
    session::{Endpoint, PeerIdentity, Session},
};
use tms_store::Store;

use crate::{
    firmware::{MODEL, Matter, Release, catalog},
    varieties::Variety,
};

/// The key of the host's vault.
const VAULT_KEY: [u8; 32] = [7; 32];

/// How long an operation may take before it expires.
pub(crate) const LIFETIME: SignedDuration = SignedDuration::from_hours(3);

/// How often the host looks for operations that have expired.
pub(crate) const JANITOR: SignedDuration = SignedDuration::from_secs(60);

/// Of a million calls of the store, so many fail while the store is faulty.
#[derive(Debug, Default)]
struct StoreChances {
    refused: u32,
    answer_lost: u32,
}

/// The host.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) vault: Vault,
    pub(crate) clock: Skewed,
    /// What all sessions share; `None` while the host is down.
    pub(crate) app: Option<Arc<App>>,
    objects: Objects,
    random: Arc<Mutex<Rng>>,
    chances: Arc<Mutex<StoreChances>>,
    /// What the servers before this one have counted.
    counted: Counted,
}

/// What the host has counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    pub(crate) sessions: u64,
    pub(crate) sign_ons: u64,
    pub(crate) messages: u64,
    pub(crate) refused: u64,
    pub(crate) store_errors: u64,
    pub(crate) resumed: u64,
}

/// Everything here is in memory: nothing waits, ever.
pub(crate) fn ready<F: Future>(future: F) -> F::Output {
    future.now_or_never().expect("a call that waits for nothing but memory is ready at once")
}

impl Host {
    /// A host that runs, with every release published or slipped in.
    pub(crate) fn new(truth: &Clock, seed: u64) -> Self {
        let mut host = Self {
            store: Arc::new(MemoryStore::new()),
            vault: Vault::with_key(&VAULT_KEY),
            clock: truth.skewed(),
            app: None,
            objects: Objects::memory(),
            random: Arc::new(Mutex::new(Rng::of_part(seed, 1))),
            chances: Arc::default(),
            counted: Counted::default(),
        };
        let (chances, mut rng) = (Arc::clone(&host.chances), Rng::of_part(seed, 2));
        host.store.on_call(move |_| {
            let chances = chances.lock().expect("one thread");
            if rng.happens(chances.refused) {
                CallFault::Refused
            } else if rng.happens(chances.answer_lost) {
                CallFault::AnswerLost
            } else {
                CallFault::None
            }
        });
        host.start();
        let app = host.app.clone().expect("just started");
        for release in &catalog().releases {
            host.offer(&app, release);
        }
        host
    }

    /// Starts on what the store holds.
    pub(crate) fn start(&mut self) {
        let limits = Limits {
            verifier_iterations: 1,
            operation_lifetime_s: u64::try_from(LIFETIME.as_secs()).unwrap_or(0),
            log_bundle_bytes: 16 * 1024,
            operation_retry_s: 5,
            ..Limits::default()
        };
        let (clock, random) = (self.clock.clone(), Arc::clone(&self.random));
        let store: Arc<dyn Store> = Arc::clone(&self.store) as Arc<dyn Store>;
        let trust = Some(catalog().trust.clone());
        let mut app = App::new(store, Vault::with_key(&VAULT_KEY), self.objects.clone(), trust, limits, {
            move || clock.now()
        });
        app.random = Random::new(move |bytes| random.lock().expect("one thread").fill(bytes));
        // As the server does when it starts: whoever held a lease died with the process before.
        let _ = ready(app.store.release_all_leases());
        self.app = Some(Arc::new(app));
    }

    /// Dies. Sessions are to be dropped, not closed.
    pub(crate) fn die(&mut self) {
        self.counted = self.counted();
        self.app = None;
    }

    /// Goes back to what the store held earlier: what a store must never do.
    pub(crate) fn forget(&mut self, earlier: Contents) {
        self.store = Arc::new(MemoryStore::restore(earlier));
    }

    /// How often calls of the store fail from now on, in a million.
    pub(crate) fn store_fails(&self, refused: u32, answer_lost: u32) {
        *self.chances.lock().expect("one thread") = StoreChances { refused, answer_lost };
    }

    /// What was counted since the beginning.
    pub(crate) fn counted(&self) -> Counted {
        let before = self.counted;
        let Some(app) = &self.app else { return before };
        let counters = &app.counters;
        Counted {
            sessions: before.sessions + counters.sessions.get(),
            sign_ons: before.sign_ons + counters.sign_ons.get(),
            messages: before.messages + counters.messages.get(),
            refused: before.refused + counters.messages_refused.get(),
            store_errors: before.store_errors + counters.store_errors.get(),
            resumed: before.resumed + counters.transfers_resumed.get(),
        }
    }

    /// Begins a session, if the host is up and its store answers.
    pub(crate) fn session(&self, variety: &Variety, tid: &str, sha256: &str) -> Option<Session> {
        let app = Arc::clone(self.app.as_ref()?);
        let endpoint = Endpoint {
            framing: variety.profile.framing(),
            profile: Arc::clone(&variety.profile),
            mac_key: variety.mac_key.clone(),
        };
        let peer = PeerIdentity {
            common_name: tid.to_owned(),
            sha256: sha256.to_owned(),
            address: ([192, 0, 2, 1], 1).into(),
            connection: app.wake.next_connection(),
        };
        ready(Session::open(app, endpoint, peer)).ok()
    }

    /// What the server does now and then.
    pub(crate) fn janitor(&self) {
        let Some(app) = &self.app else { return };
        let _ = ready(app.contacts.flush(app.store.as_ref()));
        let _ = ready(app.store.expire_operations(app.now()));
    }

    /// A log bundle that the host keeps.
    pub(crate) fn object(&self, name: &str) -> Option<Vec<u8>> {
        ready(self.objects.read(name)).ok().flatten().map(|bytes| bytes.to_vec())
    }

    /// The true time at which the host's clock, left alone, shows a time.
    pub(crate) fn truth_at(&self, shown: Timestamp) -> Timestamp {
        self.clock.truth_at(shown)
    }

    /// Publishes a release as a person does; what the server would not publish is put where it would be.
    fn offer(&self, app: &App, release: &Release) {
        if matches!(release.matter, Matter::Good | Matter::Sick | Matter::Older | Matter::LowCounter) {
            ready(service::publish_bytes(app, &release.package)).expect("the server takes what was signed");
            return;
        }
        if release.matter == Matter::Strangers {
            let published = ready(service::publish_bytes(app, &release.package));
            assert!(published.is_err(), "the server publishes what a stranger signed");
        }
        let mut served = release.image.clone();
        let mut sha256 = release.sha256;
        match release.matter {
            Matter::Half => served.truncate(release.image.len() / 2),
            Matter::WrongImage => served.reverse(),
            Matter::WrongAnnouncement => sha256[0] ^= 1,
            _ => {}
        }
        let object = format!("lies/{}.img", release.id);
        let record = FirmwareRecord {
            id: release.id.parse().expect("an id"),
            version: release.version.to_owned(),
            models: vec![MODEL.to_owned()],
            size_bytes: release.image.len() as u64,
            sha256: hex::encode(sha256),
            envelope: release.envelope.clone(),
            object: object.clone(),
            published_at: app.now(),
        };
        ready(self.objects.write(&object, &served)).expect("memory");
        ready(app.store.add_firmware(record)).expect("memory");
    }
}

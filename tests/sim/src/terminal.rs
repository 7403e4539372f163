//! One terminal: the agent's own device on a disk that fails, and the lines between it and the host.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use testkit::{
    clock::{Clock, Skewed},
    disk::Disk,
    link::Link,
    rng::Rng,
};
use tms_core::{Role, TerminalId};
use tms_crypto::{keyblock::Tmk, seal};
use tms_server::session::Session;
use tms_terminal::{Connection, Device, Entropy, Materials, Scenario};

use crate::{
    firmware::{FACTORY, FACTORY_COUNTER, HARDWARE, MODEL, SICK, catalog},
    ledger::{Watch, tid},
    options::Sabotage,
    storage::OnDisk,
    varieties::Variety,
    world::{Alarms, Books, Chances, Plans, ledger_key},
};

/// Lines of one terminal that the host may still believe in; the oldest breaks when there are more.
pub(crate) const MAX_LINES: usize = 4;

/// The roles whose credentials every terminal is delivered with, and these.
pub(crate) const CREDENTIALS: [(&str, &str); 2] = [("99", "73920418"), ("00", "604713")];

/// The roles of [`CREDENTIALS`].
pub(crate) fn roles() -> [Role; 2] {
    [Role::administrator(), Role::supervisor()]
}

/// Where a terminal's life is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Without power until then.
    Off { until: Timestamp },
    /// Starts then.
    Boots { at: Timestamp },
    /// Connects then.
    Waits { at: Timestamp },
    /// Has a connection.
    Online,
}

/// One connection. The terminal speaks on the newest one only.
pub(crate) struct Line {
    pub(crate) number: u32,
    pub(crate) link: Link,
    /// The host's end, until that ends.
    pub(crate) session: Option<Session>,
}

/// One terminal.
pub(crate) struct Terminal {
    pub(crate) tid: TerminalId,
    pub(crate) certificate: String,
    pub(crate) variety: &'static Variety,
    pub(crate) disk: Disk,
    pub(crate) storage: Arc<OnDisk>,
    pub(crate) scenario: Arc<Scenario>,
    pub(crate) materials: Materials,
    pub(crate) watch: Watch,
    pub(crate) clock: Skewed,
    pub(crate) rng: Rng,
    pub(crate) device: Option<Device>,
    pub(crate) connection: Option<Connection>,
    pub(crate) life: Life,
    /// Oldest first.
    pub(crate) lines: Vec<Line>,
    pub(crate) lines_opened: u32,
    /// Nobody reaches it before.
    pub(crate) unreachable_until: Timestamp,
    /// When it is to be looked at next, as far as the queue knows.
    pub(crate) armed: Timestamp,
    /// The image it last ran and confirmed, by its rank among all versions.
    pub(crate) confirmed: usize,
    /// The image that was last found whole in its slot: boot checks it again only when it changed.
    pub(crate) measured: Option<[u8; 32]>,
    /// When it last started, and hardware that was watched said so.
    pub(crate) last_boot: Timestamp,
    /// A rotation may be under way.
    pub(crate) rotating: bool,
    /// When it last took new working keys.
    pub(crate) last_keys: Timestamp,
    /// Where the host keeps its batches.
    pub(crate) ledger_key: (TerminalId, String),
    /// What the merchant knows, and what the world knows of alarms and plans.
    pub(crate) books: Books,
    pub(crate) alarms: Alarms,
    pub(crate) plans: Plans,
    pub(crate) chances: Chances,
    pub(crate) public_key: Vec<u8>,
    pub(crate) tmk: Tmk,
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal").field("tid", &self.tid).field("life", &self.life).finish_non_exhaustive()
    }
}

impl Terminal {
    /// A terminal as delivered, not started yet.
    pub(crate) fn new(
        index: usize,
        variety: &'static Variety,
        seed: u64,
        truth: &Clock,
        sabotage: Option<Sabotage>,
    ) -> Self {
        let tid = tid(index);
        let mut rng = Rng::of_part(seed, 1_000 + index as u64);
        let disk = Disk::default();
        let storage = Arc::new(OnDisk::new(disk.clone(), sabotage));
        let pair = seal::generate().expect("a key pair");
        let tmk = Tmk::generate();
        let watch = Watch::default();
        let trust = match sabotage {
            Some(Sabotage::StrangersKey) => &catalog().gullible,
            _ => &catalog().trust,
        };
        let mut materials =
            Materials::new(Arc::clone(&variety.profile), pair.private_bytes().to_vec().into(), trust.clone());
        materials.mac_key = variety.mac_key.clone();
        materials.tmk = Some(tmk.clone());
        materials.verifier_iterations = 1;
        materials.hardware = Arc::new(watch.clone());
        let entropy = std::sync::Mutex::new(Rng::of_part(seed, 1_000_000 + index as u64));
        materials.entropy = Entropy::new(move |bytes| entropy.lock().expect("one thread").fill(bytes));
        let scenario = Arc::new(scenario(tid.as_str(), variety, &mut rng));
        let start = truth.now() + rng.within(SignedDuration::from_secs(60));
        Self {
            certificate: hex::encode(tms_crypto::sha256(tid.as_str().as_bytes())),
            variety,
            disk,
            storage,
            scenario,
            materials,
            watch,
            clock: truth.skewed(),
            rng,
            device: None,
            connection: None,
            life: Life::Off { until: start },
            lines: Vec::new(),
            lines_opened: 0,
            unreachable_until: Timestamp::MIN,
            armed: Timestamp::MAX,
            confirmed: 0,
            measured: None,
            last_boot: Timestamp::MIN,
            rotating: false,
            last_keys: Timestamp::MIN,
            ledger_key: ledger_key(&tid),
            tid,
            books: Books::default(),
            alarms: Alarms::default(),
            plans: Plans::default(),
            chances: Chances::new(seed, index),
            public_key: pair.public_bytes().to_vec(),
            tmk,
        }
    }

    /// What the terminal's own clock shows.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// When anything of this terminal is due next, in true time.
    pub(crate) fn next_due(&self, host: &Skewed) -> Timestamp {
        let mut due = match self.life {
            Life::Off { until } => until,
            Life::Boots { at } => at,
            Life::Waits { at } => {
                let local = self.now();
                let own = self.device.as_ref().map(|device| device.next_due(local));
                own.map_or(at, |own| at.min(self.clock.truth_at(own)))
            }
            Life::Online => match &self.connection {
                Some(connection) => self.clock.truth_at(connection.next_due()),
                None => Timestamp::MAX,
            },
        };
        for line in &self.lines {
            if let Some(at) = line.link.next_due() {
                due = due.min(at);
            }
            if let Some(session) = &line.session {
                due = due.min(host.truth_at(session.next_due()));
            }
        }
        due
    }
}

fn scenario(tid: &str, variety: &Variety, rng: &mut Rng) -> Scenario {
    let poll_ms = rng.between(15_000, 90_000);
    let heartbeat_ms = rng.between(40_000, 120_000);
    let window = rng.between(1, 16);
    let mut text = format!(
        "[identity]\ntid = \"{tid}\"\nmid = \"102310060510002\"\nserial = \"SIM{tid}\"\nmodel = \"{MODEL}\"\n\
         hardware_revision = \"{HARDWARE}\"\n\
         [host]\naddress = \"192.0.2.1:9001\"\nserver_name = \"tms\"\nprofile = \"{}\"\n\
         [tls]\nca = \"-\"\ncertificate = \"-\"\nkey = \"-\"\n\
         [security]\nsealing_key = \"-\"\nfirmware_trust = \"-\"\n\
         [firmware]\nversion = \"{FACTORY}\"\nsecurity_counter = {FACTORY_COUNTER}\n\
         [hardware]\nflash_bytes = 131072\nboot_delay_ms = 900\n\
         [behaviour]\npoll_interval_ms = {poll_ms}\nheartbeat_interval_ms = {heartbeat_ms}\nlog_lines = 12\n\
         log_interval_ms = 0\nwindow = {window}\n\
         [faults]\nunhealthy_version = \"{SICK}\"\n\
         [parameters]\ntimeout_s = \"30\"\nmerchant_name = \"测试商户\"\n",
        variety.profile.name()
    );
    for (role, secret) in CREDENTIALS {
        text += &format!("[[credential]]\nrole = \"{role}\"\nsecret = \"{secret}\"\ngeneration = 1\n");
    }
    toml::from_str(&text).expect("a scenario")
}

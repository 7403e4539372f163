//! A terminal without sockets, files and clock, for whoever drives it: `tms-terminal run`, an embedding
//! program, a simulation.
//!
//! ```
//! use std::sync::Arc;
//! use jiff::Timestamp;
//! use tms_proto::Profile;
//! use tms_terminal::{Device, Exit, Materials, Scenario, device::Next, storage::MemoryStorage};
//!
//! # fn demo(scenario: Scenario, materials: Materials, mut now: Timestamp) -> Result<(), Box<dyn std::error::Error>> {
//! let device = Device::open(Arc::new(scenario), materials, Arc::new(MemoryStorage::default()), now)?;
//! device.boot(now)?;
//! let mut connection = device.connect(now);
//! let mut exit = connection.start(now).err();
//! while exit.is_none() {
//!     while let Some(frame) = connection.poll_transmit() {
//!         // … to the host
//!     }
//!     exit = connection.exit_when_idle();
//!     // … `connection.receive(frame, now)` for each frame of the host, `connection.tick(now)` at
//!     // `connection.next_due()`; what they return as an error is the exit.
//! #   exit = Some(Exit::Stopped);
//! }
//! connection.close()?;
//! match device.ended(exit.unwrap_or(Exit::Stopped), now) {
//!     Next::Boot { at } => { /* at that time `boot`, then `connect` */ }
//!     Next::Connect { at } => { /* at that time `connect` */ }
//!     Next::End => {}
//! }
//! # Ok(())
//! # }
//! ```

mod views;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tms_proto::{Identity, Profile, TerminalSession, address::Dial, report::Health};

use crate::{
    agent::{Connection, Exit},
    backoff::Backoff,
    failure::{Failure, FailureKind},
    hardware::Effect,
    keypad::Login,
    machine::Machine,
    materials::Materials,
    scenario::Scenario,
    state::StateError,
    status::Status,
    storage::Storage,
};

pub use views::{Running, Snapshot};

/// One terminal. Clones are the same terminal.
#[derive(Clone, Debug)]
pub struct Device {
    scenario: Arc<Scenario>,
    profile: Arc<Profile>,
    machine: Arc<Mutex<Machine>>,
    status: Arc<Status>,
    life: Arc<Mutex<Life>>,
}

/// What lies between two connections.
#[derive(Debug)]
struct Life {
    backoff: Backoff,
    /// Sign-ons before the present connection.
    sign_ons: u32,
    /// Where the next connection goes.
    dial: Option<Dial>,
    /// The memory is ahead of the storage and must be read again.
    stale: bool,
}

/// What follows a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Start again, then connect.
    Boot {
        /// When.
        at: Timestamp,
    },
    /// Connect again.
    Connect {
        /// When.
        at: Timestamp,
    },
    /// Nothing: it was stopped, or cannot go on ([`Link::halted`](crate::Link::halted) says why).
    End,
}

impl Device {
    /// Takes up the terminal where its storage left it, or as delivered. [`boot`](Self::boot) it next.
    ///
    /// # Errors
    /// [`StateError`] when the storage fails, or holds something else than this terminal's state.
    pub fn open(
        scenario: Arc<Scenario>,
        materials: Materials,
        storage: Arc<dyn Storage>,
        now: Timestamp,
    ) -> Result<Self, StateError> {
        let behaviour = &scenario.behaviour;
        let backoff = Backoff::new(
            Duration::from_millis(behaviour.reconnect_min_ms),
            Duration::from_millis(behaviour.reconnect_max_ms),
            materials.entropy.clone(),
        );
        let profile = Arc::clone(&materials.profile);
        let machine = Machine::open(Arc::clone(&scenario), materials, storage, now)?;
        Ok(Self {
            scenario,
            profile,
            machine: Arc::new(Mutex::new(machine)),
            status: Arc::default(),
            life: Arc::new(Mutex::new(Life { backoff, sign_ons: 0, dial: None, stale: false })),
        })
    }

    /// Starts: counts the boot, lets the slots decide what runs, and finishes what a restart finishes.
    ///
    /// # Errors
    /// [`StateError`] when that cannot be remembered; give it to [`ended`](Self::ended).
    pub fn boot(&self, now: Timestamp) -> Result<(), StateError> {
        if self.life().stale {
            self.machine().lose_power()?;
            self.life().stale = false;
        }
        self.machine().boot(now)
    }

    /// The address to connect to, for a driver that cares: where the host is, or an address on trial.
    /// [`connect`](Self::connect) next.
    ///
    /// # Errors
    /// [`StateError`] when the attempt cannot be counted; give it to [`ended`](Self::ended).
    pub fn dial(&self, now: Timestamp) -> Result<String, StateError> {
        let dial = self.machine().dial(now)?;
        let address = dial.address.clone();
        self.life().dial = Some(dial);
        Ok(address)
    }

    /// The terminal's end of a new connection. Call [`Connection::start`] next.
    #[must_use]
    pub fn connect(&self, now: Timestamp) -> Connection {
        self.life().sign_ons = self.status.sign_ons();
        let (mac_key, tmk, batch) = {
            let machine = self.machine();
            let materials = &machine.materials;
            (materials.mac_key.clone(), materials.tmk.clone(), machine.state.trade.open.number)
        };
        let identity = Identity { batch, ..self.identity() };
        let mut session = TerminalSession::new(Arc::clone(&self.profile), identity);
        if let Some(tmk) = tmk {
            session.set_key_opener(Box::new(tmk));
        }
        if let Some(framing) = self.scenario.host.framing {
            session = session.with_framing(framing);
        }
        if let Some(Err(error)) = mac_key.map(|key| session.set_mac_key(key)) {
            // Checked at the start; without it nothing that needs a MAC would be sent.
            tracing::warn!(%error, "the MAC key is not used");
        }
        let dial = self.life().dial.take().map_or_else(|| self.machine().dial(now), Ok);
        Connection::new(Arc::clone(&self.machine), Arc::clone(&self.status), session, dial, now)
    }

    /// A connection has ended, could not be made, or a boot could not be remembered: what comes next.
    pub fn ended(&self, exit: Exit, now: Timestamp) -> Next {
        self.status.offline();
        let mut life = self.life();
        if self.status.sign_ons() > life.sign_ons {
            life.backoff.session_ended(&exit);
        }
        let boot = Duration::from_millis(self.scenario.hardware.boot_delay_ms);
        match exit {
            Exit::Stopped => Next::End,
            Exit::Moved => Next::Connect { at: now },
            Exit::Reboot => {
                self.restarts();
                Next::Boot { at: after(now, boot) }
            }
            Exit::PowerCut => {
                self.status.power_cut();
                tracing::warn!(tid = %self.scenario.identity.tid, "power cut");
                life.stale = true;
                Next::Boot { at: after(now, boot) }
            }
            Exit::Storage(error) => {
                tracing::error!(tid = %self.scenario.identity.tid, "{error}");
                self.status.lost(Failure::new(FailureKind::Storage, error.to_string(), ""));
                if !matches!(error, StateError::Io { .. }) {
                    // Waiting mends no damage.
                    self.status.halted(error.to_string());
                    return Next::End;
                }
                // It cannot remember: forget what was not saved and start again, later.
                life.stale = true;
                Next::Boot { at: after(now, life.backoff.next_wait().saturating_add(boot)) }
            }
            Exit::Lost(failure) => {
                tracing::warn!(tid = %self.scenario.identity.tid, "{failure}");
                self.machine().note(now, 'W', "comm", &failure.to_string());
                let kind = failure.kind;
                self.status.lost(failure);
                if self.restart_is_due() {
                    self.restarts();
                    return Next::Boot { at: after(now, boot) };
                }
                Next::Connect { at: after(now, life.backoff.after(kind)) }
            }
        }
    }

    /// How long a start takes.
    #[must_use]
    pub fn boot_delay(&self) -> Duration {
        Duration::from_millis(self.scenario.hardware.boot_delay_ms)
    }

    /// What it is.
    #[must_use]
    pub fn scenario(&self) -> &Arc<Scenario> {
        &self.scenario
    }

    /// Types an administrator's secret at the keypad. Failures count and lock the role; the count
    /// survives restarts.
    ///
    /// # Errors
    /// [`StateError`] when the count cannot be kept; then nothing was opened.
    pub fn try_login(&self, role: &str, secret: &str, now: Timestamp) -> Result<Login, StateError> {
        self.machine().try_login(role, secret, now)
    }

    /// Changes the state of the parts at `now`; what goes wrong raises an alarm, and the host is told if
    /// there is a session.
    ///
    /// # Errors
    /// [`StateError`] when the alarm cannot be kept.
    pub fn set_health(&self, health: Health, now: Timestamp) -> Result<(), StateError> {
        let mut machine = self.machine();
        machine.health = health;
        machine.watch_durably(now)?;
        self.status.report.notify_one();
        Ok(())
    }

    /// Someone at the terminal asks for an action of the plan, by its id; for triggers by hand.
    pub fn by_hand(&self, action: u32) {
        self.machine().by_hand = Some(action);
        self.status.report.notify_one();
    }

    /// Someone at the terminal settles the batch.
    ///
    /// # Errors
    /// [`StateError`] when the wish cannot be kept.
    pub fn settle(&self) -> Result<(), StateError> {
        self.machine().settle()?;
        self.status.report.notify_one();
        Ok(())
    }

    /// Sells something now.
    ///
    /// # Errors
    /// [`StateError`] when it cannot be booked; then nothing was sold.
    pub fn trade(&self, now: Timestamp) -> Result<(), StateError> {
        self.machine().trade(now)
    }

    /// Does what is due between connections: the plan's actions that need none. A restart that one wants
    /// is an [`Exit::Reboot`] for [`ended`](Self::ended).
    ///
    /// # Errors
    /// The exit, also when something cannot be remembered.
    pub fn tick(&self, now: Timestamp) -> Result<(), Exit> {
        let mut machine = self.machine();
        machine.pump_plan(now)?;
        if machine.restart_is_due() { Err(Exit::Reboot) } else { Ok(()) }
    }

    /// When [`tick`](Self::tick) is next due.
    #[must_use]
    pub fn next_due(&self, now: Timestamp) -> Timestamp {
        let machine = self.machine();
        if machine.restart_is_due() { now } else { machine.plan_due(now) }
    }

    pub(crate) fn status(&self) -> &Arc<Status> {
        &self.status
    }

    pub(crate) fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn identity(&self) -> Identity {
        let host = &self.scenario.host;
        let mut identity = Identity::new(&self.scenario.identity.tid, &self.scenario.identity.mid);
        identity.tpdu = host.tpdu.unwrap_or(identity.tpdu);
        identity.header = host.header.unwrap_or(identity.header);
        identity
    }

    /// Whether a restart was ordered that the broken connection kept from being announced.
    fn restart_is_due(&self) -> bool {
        self.machine().restart_is_due()
    }

    fn restarts(&self) {
        let machine = self.machine();
        machine.happens(&Effect::Restarts { task: machine.state.reboot });
    }
}

fn after(now: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    now.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

//! What every part of the server shares: the store, the vault, the object folder, who is
//! connected, what was counted, and the clock.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tms_core::{Operation, OperationId, OperationState, Outcome, RetryPolicy};
use tms_crypto::{vault::Vault, verifier};
use tms_firmware::TrustRoot;
use tms_store::{Store, Ticket};

use crate::{
    contacts::Contacts, counters::Counters, dispatch::Wake, downloads::Downloads, events::Events, rollouts,
    session::Images,
};

pub use crate::{
    objects::Objects,
    source::{Clock, Random},
};

/// The shared parts. Made once, behind an [`Arc`].
#[derive(Debug)]
pub struct App {
    /// The only truth.
    pub store: Arc<dyn Store>,
    /// Opens what rests sealed in the store.
    pub vault: Arc<Vault>,
    /// Firmware images and log bundles.
    pub objects: Objects,
    /// Firmware images in memory.
    pub images: Images,
    /// Sets that all terminals download.
    pub downloads: Downloads,
    /// Keys that firmware must be signed with; without them nothing can be published.
    pub trust: Option<TrustRoot>,
    /// Reaches the sessions of connected terminals.
    pub wake: Arc<Wake>,
    /// Tells of changes of rollouts.
    pub rollouts: rollouts::Changes,
    /// When terminals were last heard of, written in batches.
    pub contacts: Contacts,
    /// What happened so far.
    pub counters: Counters,
    /// Where it is told what happens.
    pub events: Events,
    /// The limits in force.
    pub limits: Limits,
    /// The clock; a test gives its own.
    pub clock: Clock,
    /// The source of names, ids and challenges; a simulation gives its own.
    pub random: Random,
    /// Holders whose leases could not be given back when their sessions ended.
    unreleased: Mutex<Vec<String>>,
}

impl App {
    /// Puts the parts together; nobody is connected yet and nothing was counted.
    pub fn new(
        store: Arc<dyn Store>,
        vault: Vault,
        objects: Objects,
        trust: Option<TrustRoot>,
        limits: Limits,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        Self {
            store,
            vault: Arc::new(vault),
            objects,
            // Room for the versions that an estate has in flight at a time.
            images: Images::new(limits.firmware_bytes.saturating_mul(4)),
            downloads: Downloads::default(),
            trust,
            wake: Arc::default(),
            rollouts: rollouts::Changes::default(),
            contacts: Contacts::default(),
            counters: Counters::default(),
            events: Events::default(),
            limits,
            clock: Clock::new(clock),
            random: Random::default(),
            unreleased: Mutex::default(),
        }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Notes that a session ended without giving back what it held, because the store failed. Leases end
    /// by themselves too, but by the clock that they were made by, which may have been years ahead.
    pub(crate) fn keeps_leases(&self, holder: String) {
        let mut unreleased = self.unreleased.lock().unwrap_or_else(PoisonError::into_inner);
        if unreleased.len() < self.limits.connections {
            unreleased.push(holder);
        }
    }

    /// Gives back what earlier sessions could not.
    pub(crate) async fn release_what_was_kept(&self) {
        let holders = std::mem::take(&mut *self.unreleased.lock().unwrap_or_else(PoisonError::into_inner));
        for holder in holders {
            if self.store.release_leases(&holder).await.is_err() {
                self.keeps_leases(holder);
            }
        }
    }

    /// Moves an operation on, as [`Store::transition`], and tells of it.
    pub(crate) async fn transition(
        &self,
        id: OperationId,
        to: OperationState,
        detail: Option<String>,
        now: Timestamp,
    ) -> tms_store::Result<Operation> {
        let operation = self.store.transition(id, to, detail, now).await?;
        self.events.operation(&operation);
        Ok(operation)
    }

    /// Ends an attempt at an operation, as [`Store::end_attempt`], and tells of it.
    pub(crate) async fn end_attempt(
        &self,
        id: OperationId,
        outcome: Outcome,
        reason: Option<String>,
        again_at: Option<Timestamp>,
        now: Timestamp,
    ) -> tms_store::Result<Operation> {
        let operation = self.store.end_attempt(id, outcome, reason, again_at, now).await?;
        self.events.operation(&operation);
        Ok(operation)
    }

    /// Identity and deadline of a new operation.
    #[must_use]
    pub fn ticket(&self, now: Timestamp) -> Ticket {
        let lifetime = i64::try_from(self.limits.operation_lifetime_s).unwrap_or(i64::MAX);
        let expires_at = now.saturating_add(SignedDuration::from_secs(lifetime)).unwrap_or(Timestamp::MAX);
        Ticket { id: OperationId::new(now, self.random.bytes()), expires_at }
    }
}

/// Bounds on what peers can make the server hold.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest frame on a terminal connection, in bytes.
    pub frame_bytes: usize,
    /// Most terminal connections at once.
    pub connections: usize,
    /// Most terminal connections from one address at once.
    pub connections_per_address: usize,
    /// Time for a TLS handshake, in seconds.
    pub handshake_timeout_s: u64,
    /// Time without a message after which a connection is closed, in seconds.
    pub idle_timeout_s: u64,
    /// Largest log bundle, in bytes.
    pub log_bundle_bytes: u64,
    /// Largest firmware image, in bytes.
    pub firmware_bytes: u64,
    /// Time in which a terminal has to answer a task that it was offered, in seconds.
    pub operation_timeout_s: u64,
    /// Time in which a terminal has to report on a task that it has taken, or to show that it goes on, in seconds.
    pub operation_result_timeout_s: u64,
    /// Time after which an operation that nobody finished expires, in seconds.
    pub operation_lifetime_s: u64,
    /// Attempts at an operation without a policy of its own before it fails.
    pub operation_attempts: u32,
    /// The shortest wait between these attempts, in seconds.
    pub operation_retry_s: u64,
    /// Rounds of PBKDF2 in the verifiers of credentials that are made from now on. Fewer than the
    /// default are for simulations, which make millions of them.
    pub verifier_iterations: u32,
    /// Bounds on the callers of the REST interface.
    pub api: ApiLimits,
}

/// Bounds on what callers of the REST interface can do to it.
#[derive(Debug, Clone)]
pub struct ApiLimits {
    /// Most connections at once.
    pub connections: usize,
    /// Most requests that are worked on at once.
    pub concurrent_requests: usize,
    /// Largest JSON body, in bytes; sets have a limit of their own.
    pub body_bytes: usize,
    /// Time for a request with its body, in seconds.
    pub request_timeout_s: u64,
    /// Time for the head of a request, and so between two requests on a connection, in seconds.
    pub header_timeout_s: u64,
    /// Time without progress after which an upload or an answer is given up, in seconds.
    pub stall_timeout_s: u64,
    /// Calls of one user, whatever the token.
    pub user_rate: Rate,
    /// Calls from one address.
    pub address_rate: Rate,
    /// Log-ins tried from one address.
    pub login_rate: Rate,
    /// Whether `X-Forwarded-For` comes from a proxy that can be believed.
    pub behind_proxy: bool,
}

/// How often something may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Times a minute in the long run.
    pub per_minute: u32,
    /// Times at once after a pause.
    pub burst: u32,
}

impl Default for ApiLimits {
    fn default() -> Self {
        Self {
            connections: 1_000,
            concurrent_requests: 128,
            body_bytes: 64 * 1024,
            request_timeout_s: 30,
            header_timeout_s: 30,
            stall_timeout_s: 30,
            user_rate: Rate { per_minute: 6_000, burst: 1_000 },
            address_rate: Rate { per_minute: 12_000, burst: 2_000 },
            login_rate: Rate { per_minute: 30, burst: 30 },
            behind_proxy: false,
        }
    }
}

impl Limits {
    /// How an operation is tried again that was made without a policy of its own.
    #[must_use]
    pub fn retry_policy(&self) -> RetryPolicy {
        let standard = RetryPolicy::default();
        let shortest_s = u32::try_from(self.operation_retry_s).unwrap_or(u32::MAX);
        let longest_s = standard.longest_s.max(shortest_s);
        RetryPolicy { max_attempts: self.operation_attempts, shortest_s, longest_s, ..standard }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes: 8 * 1024,
            connections: 10_000,
            connections_per_address: 10_000,
            handshake_timeout_s: 10,
            idle_timeout_s: 300,
            log_bundle_bytes: 1024 * 1024,
            firmware_bytes: 64 * 1024 * 1024,
            operation_timeout_s: 60,
            operation_result_timeout_s: 300,
            operation_lifetime_s: 7 * 24 * 3600,
            operation_attempts: 5,
            operation_retry_s: 30,
            verifier_iterations: verifier::DEFAULT_ITERATIONS,
            api: ApiLimits::default(),
        }
    }
}

//! What moves rollouts on: one node looks at those that are under way, sees what has become of their targets, and
//! carries out what [`tms_core::rollout::decide`] says.
//!
//! Nothing is remembered between two looks. Each decision is one transaction on the version of the rollout that it
//! was made on, so a driver may die between any two calls of the store, and a second one do the same at the same
//! time: whoever comes second finds the rollout changed and decides again. The duty that a node holds only keeps
//! the others from doing the same work for nothing.

mod begin;
mod watch;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tms_core::rollout::{Decision, RolloutState, TargetState, decide};
use tms_core::{Rollout, RolloutId, TerminalId};
use tms_store::{StoreError, TargetFilter};
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::app::App;

/// The duty of the node that drives.
const DUTY: &str = "rollouts";
/// How long the duty is held without being renewed: so long a rollout may stand still when a node dies.
const DUTY_LASTS: SignedDuration = SignedDuration::from_secs(30);
/// The shortest and the longest time between two looks: it doubles while nothing happens.
const SHORTEST_LOOK: SignedDuration = SignedDuration::from_secs(1);
const LONGEST_LOOK: SignedDuration = SignedDuration::from_secs(15);
/// Rollouts that are read at once.
const PAGE: u32 = 100;
/// Steps of one rollout in one look; what is left is due at once, after the others had their turn.
const MAX_STEPS: u32 = 64;
/// Operations that are called back in one transaction.
const CANCELLED_AT_ONCE: u32 = 500;
/// Changes that a slow listener may be behind before it misses some.
const CHANGES_KEPT: usize = 256;

/// Tells of changes of rollouts: the driver of this node, so that it looks at once, and whoever listens.
#[derive(Debug)]
pub struct Changes {
    roused: Notify,
    told: broadcast::Sender<Rollout>,
}

impl Default for Changes {
    fn default() -> Self {
        Self { roused: Notify::new(), told: broadcast::Sender::new(CHANGES_KEPT) }
    }
}

impl Changes {
    /// Every rollout whose state, or the state of one of its targets, changes by this node from now on, as it is
    /// then. Who is too slow misses some: what counts is in the store.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Rollout> {
        self.told.subscribe()
    }

    /// A person has changed a rollout.
    pub(crate) fn changed(&self, rollout: &Rollout) {
        self.roused.notify_one();
        self.tell(rollout);
    }

    fn tell(&self, rollout: &Rollout) {
        // Nobody may listen.
        let _ = self.told.send(rollout.clone());
    }
}

/// Drives rollouts until drained.
pub(crate) async fn drive(app: Arc<App>, drain: CancellationToken) {
    let mut driver = Driver::new(Arc::clone(&app));
    loop {
        let due = driver.look().await;
        let wait = due.duration_since(app.now()).clamp(SignedDuration::ZERO, LONGEST_LOOK);
        tokio::select! {
            () = drain.cancelled() => break,
            () = app.rollouts.roused.notified() => driver.rouse(),
            () = tokio::time::sleep(Duration::try_from(wait).unwrap_or_default()) => {}
        }
    }
    if let Err(error) = app.store.leave_duty(DUTY, &driver.holder).await {
        warn!(%error, "the duty of driving rollouts ends by itself");
    }
}

/// Drives the rollouts of an estate, look by look.
#[derive(Debug)]
pub struct Driver {
    app: Arc<App>,
    holder: String,
    /// How long after a look in which nothing happened the next one is due.
    pause: SignedDuration,
}

/// What came of looking at one rollout.
#[derive(Debug, Default)]
struct Looked {
    /// Whether anything has become something else.
    moved: bool,
    /// When something will by itself, as far as is known.
    due: Option<Timestamp>,
}

impl Driver {
    /// A driver that has not looked yet.
    #[must_use]
    pub fn new(app: Arc<App>) -> Self {
        let holder = format!("driver-{}", hex::encode(app.random.bytes::<8>()));
        Self { app, holder, pause: SHORTEST_LOOK }
    }

    /// The next look is due soon again.
    pub fn rouse(&mut self) {
        self.pause = SHORTEST_LOOK;
    }

    /// Does everything that is to be done now, if no other node has the duty. Answers when to look again. What
    /// fails is logged, and tried again then.
    pub async fn look(&mut self) -> Timestamp {
        let looked = match self.look_at_all().await {
            Ok(looked) => looked,
            Err(error) => {
                self.failed(None, &error);
                Looked::default()
            }
        };
        self.pause = match looked.moved {
            true => SHORTEST_LOOK,
            false => self.pause.saturating_add(self.pause).min(LONGEST_LOOK),
        };
        let next = self.app.now().saturating_add(self.pause).unwrap_or(Timestamp::MAX);
        looked.due.map_or(next, |due| due.min(next))
    }

    async fn look_at_all(&self) -> tms_store::Result<Looked> {
        let mut all = Looked::default();
        let mut after: Option<RolloutId> = None;
        loop {
            if !self.has_duty().await? {
                return Ok(all);
            }
            let page = self.app.store.rollouts(true, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(all) };
            after = Some(last.id.clone());
            for rollout in &page {
                match self.look_at(&rollout.id).await {
                    Ok(looked) => {
                        all.moved |= looked.moved;
                        all.due = [all.due, looked.due].into_iter().flatten().min();
                    }
                    // One that cannot be driven does not hold up the others.
                    Err(error) => self.failed(Some(&rollout.id), &error),
                }
            }
        }
    }

    async fn has_duty(&self) -> tms_store::Result<bool> {
        let now = self.app.now();
        let until = now.saturating_add(DUTY_LASTS).unwrap_or(Timestamp::MAX);
        self.app.store.take_duty(DUTY, &self.holder, until, now).await
    }

    /// Sees what has become of a rollout's targets and carries out what is to be done, until nothing is.
    async fn look_at(&self, id: &RolloutId) -> tms_store::Result<Looked> {
        let mut looked = Looked::default();
        for _ in 0..MAX_STEPS {
            let now = self.app.now();
            let Some((rollout, tally)) = self.app.store.rollout_tally(id, now).await? else { break };
            looked.due = None;
            if self.watch(&rollout, false).await? > 0 {
                looked.moved = true;
                continue;
            }
            let mut acted = false;
            for decision in decide(&rollout, &tally, now) {
                if let Decision::Wake { at } = decision {
                    looked.due = Some(looked.due.map_or(at, |due| due.min(at)));
                    continue;
                }
                match self.carry_out(&rollout, decision, now).await {
                    Ok(done) => acted |= done,
                    // Somebody was faster: what is to be done now is another question.
                    Err(StoreError::Stale { .. } | StoreError::Conflict { .. }) => acted = true,
                    Err(error) => return Err(error),
                }
                if acted {
                    break;
                }
            }
            if !acted {
                return Ok(looked);
            }
            looked.moved = true;
        }
        // There is more to do.
        looked.due = Some(self.app.now());
        Ok(looked)
    }

    /// Answers whether anything has changed.
    async fn carry_out(
        &self,
        rollout: &Rollout,
        decision: Decision,
        now: Timestamp,
    ) -> tms_store::Result<bool> {
        let next = Rollout { version: rollout.version.saturating_add(1), ..rollout.clone() };
        match decision {
            Decision::Start { wave, count } => self.begin(next, wave, count, now).await?,
            Decision::NextWave { wave } => self.put(Rollout { wave, ..next }).await?,
            Decision::AwaitApproval { wave } => {
                let reason = Some(format!("wave {} waits for its approval", wave.saturating_add(1)));
                self.put(Rollout { state: RolloutState::AwaitingApproval, reason, ..next }).await?;
            }
            Decision::Halt { reason } => {
                warn!(rollout = next.id.as_str(), reason, "rollout paused");
                self.put(Rollout { state: RolloutState::Paused, reason: Some(reason), ..next }).await?;
            }
            Decision::SkipWaiting => {
                let reason = match next.state {
                    RolloutState::Aborting => "the rollout was aborted before its turn",
                    _ => "the rollout was finished before its turn",
                };
                self.app.store.skip_waiting(next.clone(), reason.to_owned()).await?;
                self.app.rollouts.tell(&next);
            }
            Decision::CancelOpen => return self.call_back(rollout, now).await,
            Decision::JudgeSoaking => return Ok(self.watch(rollout, true).await? > 0),
            Decision::Become { state } => {
                info!(rollout = next.id.as_str(), %state, "rollout goes on");
                self.put(Rollout { state, ..next }).await?;
            }
            Decision::Wake { .. } => return Ok(false),
        }
        Ok(true)
    }

    async fn put(&self, rollout: Rollout) -> tms_store::Result<()> {
        self.app.store.put_rollout(rollout.clone()).await?;
        self.app.rollouts.tell(&rollout);
        Ok(())
    }

    /// Withdraws the operations of all targets that have an open one. Their targets follow when they are watched.
    async fn call_back(&self, rollout: &Rollout, now: Timestamp) -> tms_store::Result<bool> {
        let filter = TargetFilter { wave: None, state: Some(TargetState::Queued) };
        let mut after: Option<TerminalId> = None;
        let mut any = false;
        loop {
            let page = self.app.store.targets(&rollout.id, filter, after.as_ref(), CANCELLED_AT_ONCE).await?;
            let Some(last) = page.last() else { return Ok(any) };
            after = Some(last.terminal.clone());
            let which = page.iter().filter_map(|target| target.operation);
            let which: Vec<_> = which.map(|operation| (operation, self.app.ticket(now))).collect();
            let detail = format!("called back with rollout {}", rollout.id);
            for (cancelled, _) in self.app.store.cancel_many(which, detail, now).await? {
                any = true;
                self.app.wake.terminal(&cancelled.terminal);
            }
        }
    }

    fn failed(&self, rollout: Option<&RolloutId>, error: &StoreError) {
        self.app.counters.store_errors.increment();
        warn!(rollout = rollout.map(RolloutId::as_str), %error, "rollouts were not driven");
    }
}

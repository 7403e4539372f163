//! A terminal around the real runner: it saves, crashes, acts, and notes all that happens to each action.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest_state_machine::StateMachineTest;
use uuid::Uuid;

use super::world::{Crash, Happening, World};
use crate::{
    plan::{Action, ActionState, Dropped, FollowUp, Offer, OnError, Plan, PlanRunner, Stage, Start, Trigger},
    task::{Outcome, Repeat, TaskResult},
};

type Key = (Uuid, u8);

/// The terminal.
#[derive(Debug, Default)]
pub(super) struct Terminal {
    runner: PlanRunner,
    /// What a crash leaves.
    saved: PlanRunner,
    /// What runs in this life.
    current: Option<Start>,
    lives: Vec<Life>,
    /// The lives of the actions of the plan in force, in its order.
    in_force: Vec<usize>,
    keys: BTreeMap<Key, usize>,
    /// Results that the host was given a right to.
    owed: BTreeSet<Key>,
    /// The last thing that ended.
    past: Option<Key>,
    /// The life whose restart must come before anything else.
    restart_due: Option<usize>,
}

/// One action, through all the plans in a row that have it.
#[derive(Debug)]
struct Life {
    action: Action,
    attempts: u32,
    /// It has begun and how it ends is not known.
    open: bool,
    /// It may have had its effect, as far as anybody knows.
    acted: bool,
    done: bool,
    reconciled: bool,
    /// When it failed, or the earliest time that the clock has shown since.
    failed_at: Option<Timestamp>,
    cancelled: bool,
    stopped: bool,
    ended: bool,
}

impl Life {
    fn new(action: Action) -> Self {
        Self {
            action,
            attempts: 0,
            open: false,
            acted: false,
            done: false,
            reconciled: false,
            failed_at: None,
            cancelled: false,
            stopped: false,
            ended: false,
        }
    }
}

impl StateMachineTest for Terminal {
    type SystemUnderTest = Self;
    type Reference = World;

    fn init_test(_: &World) -> Self {
        Self::default()
    }

    fn apply(mut terminal: Self, world: &World, happening: Happening) -> Self {
        for life in &mut terminal.lives {
            life.failed_at = life.failed_at.map(|time| time.min(world.now));
        }
        match happening {
            Happening::Offer { plan, lost } => terminal.offered(plan, lost, world),
            Happening::Work { crash } => {
                terminal.poll(world);
                terminal.work(crash, world);
            }
            Happening::Finish { done, lost } => terminal.finish(done, lost, world),
            Happening::LateResult => terminal.late_result(world),
            Happening::Crash => terminal.crash(),
            Happening::Acknowledge { lost } => terminal.acknowledge(lost),
            Happening::Cancel => terminal.cancel(world),
            Happening::Clock { .. }
            | Happening::Contact
            | Happening::Alone
            | Happening::Settle
            | Happening::Hand { .. } => {}
        }
        terminal.poll(world);
        while terminal.saved.unreported().count() > 20 {
            terminal.acknowledge(false);
        }
        terminal
    }

    fn check_invariants(terminal: &Self, world: &World) {
        assert_eq!(
            terminal.saved.version(),
            world.plan.as_ref().map(|plan| plan.version),
            "another plan is in force than must be"
        );
        let longest = terminal.lives.iter().map(|life| life.action.retry.delay_s).max().unwrap_or(0);
        let windows = terminal.lives.iter().any(|life| life.action.window.is_some());
        let retrying = terminal.states().any(|state| state == ActionState::RETRYING);
        if retrying && !windows && terminal.current.is_none() {
            let latest = world.now + SignedDuration::from_secs(i64::from(longest));
            let due = terminal.runner.next_due(world.now);
            assert!(due.is_some_and(|due| due <= latest), "a retry waits longer than any delay");
        }
    }

    /// The faults stop: everything that is due comes to its end.
    fn teardown(mut terminal: Self, mut world: World) {
        for _ in 0..400 {
            terminal.finish(true, false, &world);
            let before = terminal.runner.clone();
            terminal.poll(&world);
            terminal.work(None, &world);
            if terminal.current.is_some() || terminal.runner != before {
                continue;
            }
            match terminal.runner.next_due(world.now) {
                Some(due) if due <= world.now => {
                    panic!("the runner wants to be asked and has nothing to say")
                }
                Some(due) => {
                    let floor = due;
                    world.wait_until(floor);
                }
                None => break,
            }
        }
        for (life, state) in terminal.in_force.iter().zip(terminal.states()) {
            let life = &terminal.lives[*life];
            let settled = state == ActionState::ENDED || !world.occasion(&life.action);
            assert!(settled, "an action that was due never came to its end");
            let told = life.ended || state != ActionState::ENDED || life.action.on_error == OnError::Ignore;
            assert!(told, "an action ended and the host is not told");
        }
        for life in &terminal.lives {
            assert!(!life.done || life.ended, "an action was done and the host is not told");
        }
    }
}

impl Terminal {
    fn states(&self) -> impl Iterator<Item = ActionState> {
        self.saved.status().into_iter().flat_map(|status| status.actions).map(|action| action.state)
    }

    fn offered(&mut self, plan: Plan, lost: bool, world: &World) {
        let offer = self.runner.offer(plan.clone(), world.now, &world.situation());
        assert_eq!(offer == Offer::Accepted, world.takes, "the wrong plan was taken");
        if lost {
            return self.crash();
        }
        if offer == Offer::Accepted {
            let active = self.lives.iter().position(|life| life.open);
            let old = std::mem::take(&mut self.in_force);
            for (index, action) in plan.actions.into_iter().enumerate() {
                let same = |life: &usize| self.lives[*life].action == action;
                let life = old.iter().copied().chain(active).find(same).unwrap_or_else(|| {
                    self.lives.push(Life::new(action.clone()));
                    self.lives.len() - 1
                });
                self.in_force.push(life);
                self.keys.insert((plan.id, index as u8 + 1), life);
            }
        }
        self.save();
    }

    /// Everything that happens is followed by a look at the plan.
    fn poll(&mut self, world: &World) {
        self.runner.next(world.now, &world.situation());
        self.save();
    }

    fn work(&mut self, crash: Option<Crash>, world: &World) {
        let Some(start) = self.runner.next(world.now, &world.situation()) else { return };
        if crash == Some(Crash::BeforeItIsNoted) {
            return self.crash();
        }
        self.runner.begun(&start).expect("what is due may begin");
        if crash == Some(Crash::BeforeTheSave) {
            return self.crash();
        }
        self.check_start(&start, world);
        self.save();
        if start.stage == Stage::Restart {
            // However it comes about.
            self.restart_due = None;
            return self.crash();
        }
        if crash == Some(Crash::BeforeTheEffect) {
            return self.crash();
        }
        self.current = Some(start);
        if crash == Some(Crash::AfterTheEffect) {
            self.crash();
        }
    }

    /// What may not begin, or not now.
    fn check_start(&mut self, start: &Start, world: &World) {
        assert!(self.current.is_none(), "two things run at once");
        let index = self.keys[&(start.operation, start.step)];
        let expected = self.restart_due.is_none_or(|due| due == index && start.stage == Stage::Restart);
        assert!(expected, "something begins before the restart that is due");
        let action = &start.action;
        let reconciles = action.follow_up == FollowUp::ReconcileFirst;
        if !start.resumed && start.stage != Stage::Restart {
            if let Some(window) = action.window {
                assert!(world.now < window.end, "an action begins after its window");
            }
            let first = if reconciles { Stage::Reconcile } else { Stage::Act };
            let life = &self.lives[index];
            if start.stage == Stage::Act && reconciles {
                assert!(life.reconciled, "an action begins before its reconciliation");
            }
            if start.stage == first {
                self.check_first_start(index, start, world);
                self.lives[index].attempts += 1;
            }
        }
        let life = &mut self.lives[index];
        life.open = true;
        if start.stage != Stage::Restart {
            assert!(!life.cancelled, "a cancelled action goes on");
        }
        if start.stage == Stage::Act {
            let once = action.command.repeat() == Repeat::Once;
            assert!(!(life.acted && once), "an effect of the world is doubled");
            assert!(!life.done, "what is done is done again");
            life.acted = true;
        }
    }

    fn check_first_start(&self, index: usize, start: &Start, world: &World) {
        let (life, action) = (&self.lives[index], &start.action);
        if let Some(window) = action.window {
            assert!(window.start <= world.now, "an action begins before its window");
        }
        match action.trigger {
            Trigger::NextContact => {
                assert!(world.occasion(action), "an action begins before the next contact");
            }
            _ => assert!(world.occasion(action), "an action begins before its trigger"),
        }
        assert!(life.attempts <= u32::from(action.retry.count), "an action is tried too often");
        if let Some(failed_at) = life.failed_at {
            let delay = SignedDuration::from_secs(i64::from(action.retry.delay_s));
            assert!(failed_at + delay <= world.now, "an action is tried again too soon");
        }
        assert!(!life.stopped, "a stopped plan goes on");
        for earlier in self.in_force.iter().take_while(|earlier| **earlier != index) {
            let earlier = &self.lives[*earlier];
            let pending = earlier.failed_at.is_some() && !earlier.open && !earlier.ended && !earlier.stopped;
            let holds = pending && earlier.action.on_error == OnError::Stop;
            assert!(!holds, "an action overtakes one that may stop it");
        }
    }

    fn finish(&mut self, done: bool, lost: bool, world: &World) {
        let Some(start) = self.current.take() else { return };
        let outcome = if done { Outcome::DONE } else { Outcome::INTERNAL };
        let result = TaskResult::new(start.operation, start.step, outcome);
        self.runner.finished(result, world.now).expect("what runs may end");
        if lost {
            return self.crash();
        }
        self.past = Some((start.operation, start.step));
        let index = self.keys[&(start.operation, start.step)];
        let life = &mut self.lives[index];
        life.open = start.stage == Stage::Act && done && start.action.follow_up == FollowUp::RestartAfter;
        match (start.stage, done) {
            (Stage::Reconcile, true) => {
                life.reconciled = true;
                life.open = true;
            }
            (Stage::Act, true) => {
                life.done = true;
                if start.action.follow_up == FollowUp::RestartAfter {
                    self.restart_due = Some(index);
                }
            }
            _ => {
                life.acted = false;
                life.reconciled = false;
                life.failed_at = Some(world.now);
            }
        }
        self.save();
    }

    fn late_result(&mut self, world: &World) {
        let Some((operation, step)) = self.past else { return };
        if self.runner.running() == Some((operation, step)) {
            return;
        }
        let late = self.runner.finished(TaskResult::new(operation, step, Outcome::DONE), world.now);
        assert!(late.is_err(), "a late result ends what runs");
    }

    fn cancel(&mut self, world: &World) {
        let Some(plan) = &world.plan else { return };
        let dropped = self.runner.cancel(plan.id);
        assert_ne!(dropped, Dropped::NotFound);
        for life in &self.in_force {
            self.lives[*life].cancelled |= !self.lives[*life].done;
        }
        self.save();
    }

    fn acknowledge(&mut self, lost: bool) {
        let Some(key) = self.runner.unreported().next().map(|r| (r.operation, r.step)) else { return };
        self.runner.acknowledge(key.0, key.1);
        if lost {
            return self.crash();
        }
        self.owed.remove(&key);
        self.save();
    }

    fn crash(&mut self) {
        self.current = None;
        let json = serde_json::to_string(&self.saved).unwrap();
        self.runner = serde_json::from_str(&json).unwrap();
        assert_eq!(self.runner, self.saved, "a restart changes the state");
    }

    /// Everything is durable. New results are the host's by right.
    fn save(&mut self) {
        let unsaved = self.runner.take_unsaved();
        assert!(unsaved || self.saved == self.runner, "a change is not told to be saved");
        self.saved = self.runner.clone();
        let results: BTreeMap<Key, Outcome> =
            self.saved.unreported().map(|r| ((r.operation, r.step), r.outcome)).collect();
        assert!(self.owed.iter().all(|key| results.contains_key(key)), "a result is lost");
        for (key, outcome) in results {
            if self.owed.insert(key) {
                self.told(self.keys[&key], outcome);
            }
        }
    }

    fn told(&mut self, index: usize, outcome: Outcome) {
        let life = &mut self.lives[index];
        assert!(!life.ended, "an action has two results");
        assert!(outcome.is_done() || !life.done, "what was done is reported as a failure");
        life.ended = true;
        life.open = false;
        if outcome.is_done() || life.action.on_error != OnError::Stop {
            return;
        }
        for later in self.in_force.iter().skip_while(|later| **later != index).skip(1) {
            let later = &mut self.lives[*later];
            later.stopped |= !later.open && !later.ended;
        }
    }
}

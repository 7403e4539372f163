//! What has become of one target.

use jiff::{SignedDuration, Timestamp};

use super::{Action, Rollout, RolloutState, RolloutTarget, TargetState};
use crate::operation::OperationState;
use crate::terminal::{DeviceState, Health, Reported, Terminal};

/// Whether a terminal is as the rollout wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agreement {
    /// It says that it is.
    Agrees,
    /// It says that it is not.
    Differs,
    /// It has not said anything about it.
    Unknown,
}

impl Agreement {
    /// Compares what a terminal reports with what the rollout wants. `firmware_version` is the version of the
    /// rollout's package.
    ///
    /// Configuration agrees when the terminal has the desired revision, or says each desired value that it says
    /// anything of, and at least one. Firmware agrees when the version runs on a terminal of which no part is
    /// broken and whose tamper switch is untouched. A command is as good as its operation.
    #[must_use]
    pub fn of(action: &Action, terminal: &Terminal, firmware_version: Option<&str>) -> Self {
        let Terminal { desired, reported, .. } = terminal;
        match action {
            Action::Command { .. } => Self::Agrees,
            Action::Firmware { .. } => match (&reported.firmware_version, firmware_version) {
                (Some(runs), Some(wanted)) if runs == wanted && is_healthy(&reported.health) => Self::Agrees,
                (Some(_), Some(_)) => Self::Differs,
                _ => Self::Unknown,
            },
            Action::Configuration => {
                let said =
                    || desired.parameters.iter().filter_map(|(name, value)| said_of(reported, name, value));
                if said().any(|same| !same) {
                    Self::Differs
                } else if desired.parameters.is_empty()
                    || reported.parameters_revision == Some(desired.parameters_revision)
                    || said().count() > 0
                {
                    Self::Agrees
                } else {
                    Self::Unknown
                }
            }
        }
    }
}

impl Agreement {
    /// What it is worth when the terminal reported last at `reported_at`. What it said before the end of its soak
    /// does not say how it came through; without a soak, having been as it should be is enough, and what was
    /// different may have been on its way when the operation ended. A command is as good as its operation at any
    /// time, and a target that is called back is judged by what is known.
    #[must_use]
    pub fn as_of(
        self,
        target: &RolloutTarget,
        rollout: &Rollout,
        reported_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        let wave = usize::try_from(target.wave).ok().and_then(|at| rollout.waves.get(at));
        let soaks = wave.is_some_and(|wave| wave.soak_s > 0);
        let since = target.soak_until.unwrap_or(now);
        let is_fresh = reported_at.is_some_and(|at| at >= since);
        let is_command = matches!(rollout.action, Action::Command { .. });
        let aborting = rollout.state == RolloutState::Aborting;
        match self {
            _ if is_fresh || is_command || aborting => self,
            Self::Agrees if !soaks => self,
            Self::Agrees | Self::Differs | Self::Unknown => Self::Unknown,
        }
    }
}

fn said_of(reported: &Reported, name: &str, value: &str) -> Option<bool> {
    reported.parameters.get(name).map(|has| has == value)
}

fn is_healthy(health: &Health) -> bool {
    let parts = [health.printer, health.card_reader, health.pin_pad, health.keyboard, health.display];
    !parts.contains(&Some(DeviceState::Fault)) && health.tamper != Some(true)
}

/// What is known of a target's terminal and operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The state of its operation; `None` when there is none of that identity (any more).
    pub operation: Option<OperationState>,
    /// What the operation says about its end.
    pub detail: Option<String>,
    /// Whether the terminal is as it should be.
    pub agreement: Agreement,
}

/// Says what a target has become, if it has become anything else. Repeating it, or leaving steps out, changes
/// nothing about where it ends.
///
/// When the operation is done, the soak begins and ends `soak_s` after `now`; so a target is looked at when its
/// operation ends, and when its soak does. A terminal that has said nothing at the end of its soak has the
/// rollout's `answer_within_s` once more to say it.
#[must_use]
pub fn observe(
    target: &RolloutTarget,
    rollout: &Rollout,
    seen: &Seen,
    now: Timestamp,
) -> Option<RolloutTarget> {
    let becomes = |state, reason: Option<String>| Some(RolloutTarget { state, reason, ..target.clone() });
    let aborting = rollout.state == RolloutState::Aborting;
    match target.state {
        TargetState::Queued => match seen.operation {
            Some(OperationState::Queued | OperationState::Sent | OperationState::Accepted) => None,
            Some(OperationState::Done) => {
                let wave = usize::try_from(target.wave).ok().and_then(|at| rollout.waves.get(at));
                let soak = SignedDuration::from_secs(wave.map_or(0, |wave| wave.soak_s.into()));
                let until = now.checked_add(soak).unwrap_or(Timestamp::MAX);
                let answer = SignedDuration::from_secs(rollout.answer_within_s.into());
                let soaking = RolloutTarget {
                    state: TargetState::Soaking,
                    soak_until: Some(until),
                    judge_by: Some(until.checked_add(answer).unwrap_or(Timestamp::MAX)),
                    reason: None,
                    ..target.clone()
                };
                // Without a soak there is nothing to wait for.
                Some(observe(&soaking, rollout, seen, now).unwrap_or(soaking))
            }
            Some(OperationState::Failed) => becomes(TargetState::Failed, seen.detail.clone()),
            Some(OperationState::Expired) => {
                becomes(TargetState::Failed, Some("did not answer in time".into()))
            }
            Some(OperationState::Cancelled) => becomes(TargetState::Cancelled, seen.detail.clone()),
            None => becomes(TargetState::Failed, Some("its operation is gone".into())),
        },
        TargetState::Soaking => {
            if !aborting && target.soak_until.is_some_and(|end| now < end) {
                return None;
            }
            match seen.agreement {
                Agreement::Agrees => becomes(TargetState::Succeeded, None),
                _ if aborting => becomes(TargetState::Cancelled, Some("called back during its soak".into())),
                Agreement::Differs => {
                    becomes(TargetState::Failed, Some("is not as it should be after its soak".into()))
                }
                Agreement::Unknown if target.judge_by.is_none_or(|latest| now >= latest) => {
                    becomes(TargetState::Failed, Some("reported nothing after its soak".into()))
                }
                Agreement::Unknown => None,
            }
        }
        TargetState::Waiting
        | TargetState::Succeeded
        | TargetState::Failed
        | TargetState::Skipped
        | TargetState::Cancelled => None,
    }
}

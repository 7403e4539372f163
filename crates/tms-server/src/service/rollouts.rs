//! Rollouts, as people have them done: written, started, held up and ended. Each command may be given any number of
//! times. What moves a rollout on is [`crate::rollouts`].

use tms_core::rollout::{self, Action, Applied, Caps, Command, RolloutProgress, RolloutState, Tally, Wave};
use tms_core::{Rollout, RolloutId, Selector, Window};
use tms_store::StoreError;
use tracing::info;

use super::commands::given;
use super::{ServiceError, not_found, package};
use crate::app::App;

/// How often a command is tried on a rollout that somebody else changes at the same time.
const MAX_TRIES: u32 = 20;

/// A rollout that somebody writes.
#[derive(Debug, Clone)]
pub struct NewRollout {
    /// Its identity; the server's choice unless it is given.
    pub id: Option<RolloutId>,
    /// What people call it.
    pub name: String,
    /// What it does. A plan is given as for one terminal ([`super::command`]).
    pub action: Action,
    /// To whom; evaluated when it starts.
    pub selector: Selector,
    /// In which order.
    pub waves: Vec<Wave>,
    /// How fast.
    pub caps: Caps,
    /// When, in each terminal's zone.
    pub window: Option<Window>,
    /// How long a terminal has to carry its operation out, and again to report after its soak, in seconds.
    pub answer_within_s: u32,
    /// Who writes it.
    pub author: String,
}

/// A rollout with where its targets stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutStatus {
    /// The rollout.
    pub rollout: Rollout,
    /// Its targets, counted.
    pub tally: Tally,
    /// How far it has come.
    pub progress: RolloutProgress,
}

/// Writes a rollout, as a draft. Writing the same one under the same id again changes nothing.
///
/// # Errors
/// `Invalid` for what cannot be carried out; `Store` if its package does not exist, or there is another rollout of
/// its id.
pub async fn create(app: &App, new: NewRollout) -> Result<Rollout, ServiceError> {
    let NewRollout { id, name, action, selector, waves, caps, window, answer_within_s, author } = new;
    let action = match action {
        Action::Command { command } => Action::Command { command: given(app, command).await?.kind },
        Action::Firmware { firmware } => {
            package(app, &firmware).await?;
            Action::Firmware { firmware }
        }
        Action::Configuration => Action::Configuration,
    };
    let id = match id {
        Some(id) => id,
        None => {
            let id = hex::encode(app.random.bytes::<16>());
            id.parse().map_err(|error: tms_core::IdError| ServiceError::Internal(error.to_string()))?
        }
    };
    let draft = Rollout {
        id,
        name,
        action,
        selector,
        waves,
        caps,
        window,
        answer_within_s,
        state: RolloutState::Draft,
        wave: 0,
        approved: 0,
        accepted_failures: 0,
        started_at: None,
        reason: None,
        author,
        version: 0,
    };
    draft
        .check()
        .map_err(|error| ServiceError::Invalid(format!("the rollout cannot be carried out: {error}")))?;
    match app.store.add_rollout(draft.clone()).await {
        Ok(added) => {
            info!(rollout = added.id.as_str(), name = added.name, "rollout written");
            app.rollouts.changed(&added);
            Ok(added)
        }
        Err(StoreError::Conflict { reason }) => {
            let known = app.store.rollout(&draft.id).await?.ok_or_else(|| not_found("rollout", &draft.id))?;
            match is_same(&known, &draft) {
                true => Ok(known),
                false => Err(StoreError::Conflict { reason }.into()),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether somebody has written the same, whatever has become of it since.
fn is_same(known: &Rollout, draft: &Rollout) -> bool {
    let written = Rollout {
        state: draft.state,
        wave: draft.wave,
        approved: draft.approved,
        accepted_failures: draft.accepted_failures,
        started_at: draft.started_at,
        reason: draft.reason.clone(),
        version: draft.version,
        ..known.clone()
    };
    written == *draft
}

/// Starts a rollout: its targets are those that its selector means now.
///
/// # Errors
/// As [`tell`].
pub async fn start(app: &App, id: &RolloutId) -> Result<Rollout, ServiceError> {
    tell(app, id, Command::Start, None).await
}

/// Holds a rollout up: it starts no more terminals, and what was started goes on.
///
/// # Errors
/// As [`tell`].
pub async fn pause(app: &App, id: &RolloutId) -> Result<Rollout, ServiceError> {
    tell(app, id, Command::Pause, None).await
}

/// Lets a rollout go on after a pause, and accepts the failures so far.
///
/// # Errors
/// As [`tell`].
pub async fn resume(app: &App, id: &RolloutId) -> Result<Rollout, ServiceError> {
    tell(app, id, Command::Resume, None).await
}

/// Lets a wave begin, and all before it; waves are counted from 0.
///
/// # Errors
/// As [`tell`].
pub async fn approve(app: &App, id: &RolloutId, wave: u32) -> Result<Rollout, ServiceError> {
    tell(app, id, Command::Approve { wave }, None).await
}

/// Calls everything back that has not ended.
///
/// # Errors
/// As [`tell`].
pub async fn abort(app: &App, id: &RolloutId) -> Result<Rollout, ServiceError> {
    tell(app, id, Command::Abort, None).await
}

/// Ends a rollout early: nothing more is started, and what was started goes on to its end.
///
/// # Errors
/// As [`tell`].
pub async fn finish(app: &App, id: &RolloutId) -> Result<Rollout, ServiceError> {
    tell(app, id, Command::Finish, None).await
}

/// Tells a rollout to do something; answers it as it is then. With `version` only if that is its version so far.
///
/// # Errors
/// `Store` if there is no such rollout, it has another version, or the command makes no sense in its state; `Invalid`
/// if it has no such wave or cannot be carried out.
pub async fn tell(
    app: &App,
    id: &RolloutId,
    command: Command,
    version: Option<u64>,
) -> Result<Rollout, ServiceError> {
    for _ in 0..MAX_TRIES {
        let now = app.now();
        let (rollout, tally) = known(app, id).await?;
        tms_store::estate::seen("rollout", id, version, rollout.version)?;
        let changed = match rollout::apply(command, &rollout, &tally, now).map_err(refused)? {
            Applied::Already => return Ok(rollout),
            Applied::Changed(changed) => *changed,
        };
        let put = match command {
            Command::Start => app.store.start_rollout(changed.clone(), now).await.map(drop),
            _ => app.store.put_rollout(changed.clone()).await,
        };
        match put {
            Ok(()) => {
                info!(rollout = id.as_str(), command = command.name(), state = %changed.state, "rollout told");
                app.rollouts.changed(&changed);
                return Ok(changed);
            }
            // The driver, or another person, was faster: the command may mean something else now.
            Err(StoreError::Stale { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::Conflict { reason: format!("rollout {id} changes all the time; try again") }.into())
}

fn refused(error: rollout::CommandError) -> ServiceError {
    match error {
        rollout::CommandError::State { .. } => StoreError::Conflict { reason: error.to_string() }.into(),
        error => ServiceError::Invalid(error.to_string()),
    }
}

/// A rollout with where its targets stand now.
///
/// # Errors
/// `Store` if there is no such rollout.
pub async fn status(app: &App, id: &RolloutId) -> Result<RolloutStatus, ServiceError> {
    let (rollout, tally) = known(app, id).await?;
    let progress = rollout::progress(&rollout, &tally, app.now());
    Ok(RolloutStatus { rollout, tally, progress })
}

async fn known(app: &App, id: &RolloutId) -> Result<(Rollout, Tally), ServiceError> {
    app.store.rollout_tally(id, app.now()).await?.ok_or_else(|| not_found("rollout", id))
}

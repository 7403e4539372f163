//! Webhooks: what happens is posted to addresses that asked for it, signed, and again until it is taken.
//!
//! `outbox` makes each event durable for every webhook that takes it; `deliver` posts what is due, and
//! `post` is one attempt. An event is told to the outbox after what it tells of is durable, so that a server
//! that is killed in that moment has told nobody: who needs to know everything looks into the store.

mod deliver;
mod outbox;
mod post;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::app::App;

pub(crate) use post::secret_context;
pub use post::{AddressError, check_address};

/// How webhooks are posted.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// Whether addresses of this machine and of private networks may be posted to.
    pub allow_private: bool,
    /// Attempts after which a delivery is given up.
    pub attempts: u32,
    /// Time for one attempt, in seconds.
    pub timeout_s: u64,
    /// Certificates (PEM) that may vouch for receivers, instead of the system's.
    pub ca_file: Option<PathBuf>,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self { allow_private: false, attempts: 12, timeout_s: 15, ca_file: None }
    }
}

/// What the parts of this module tell each other.
#[derive(Debug, Default)]
pub struct Hooks {
    /// Webhooks were added, changed or taken away.
    pub(crate) changed: Notify,
    /// There is something to deliver.
    pub(crate) due: Notify,
}

/// Tells webhooks until `drain`.
pub(crate) async fn run(app: Arc<App>, drain: CancellationToken) {
    let poster = match post::Poster::new(&app.limits.webhooks) {
        Ok(poster) => Arc::new(poster),
        Err(error) => {
            tracing::error!(%error, "webhooks are not told anything");
            return;
        }
    };
    tokio::join!(outbox::run(&app, &drain), deliver::run(&app, &poster, &drain));
}

#[cfg(test)]
mod tests;

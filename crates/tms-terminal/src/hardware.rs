//! What physically happens at a terminal, told to whoever watches.

use std::fmt;

use crate::state::TaskKey;

/// Is told each physical effect at the moment it happens, which is before its result is durable. So a
/// test that crashes the terminal at any moment can count what really happened.
pub trait Hardware: fmt::Debug + Send + Sync {
    /// This happens now at terminal `tid`.
    fn happens(&self, tid: &str, effect: &Effect<'_>);
}

/// One physical effect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect<'a> {
    /// It has started.
    Booted {
        /// Starts since manufacture.
        boot_count: u32,
    },
    /// It goes down to start again.
    Restarts {
        /// The task that ordered it; none when it starts another image.
        task: Option<TaskKey>,
    },
    /// New working keys are in force.
    Keys,
    /// Whatever a task made happen.
    Task {
        /// The task.
        task: TaskKey,
        /// What it did, in the words of the protocol: `print test slip`, `factory reset` …
        what: &'a str,
    },
}

/// Hardware that nobody watches; it leaves a line in the program's own log.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHardware;

impl Hardware for NoHardware {
    fn happens(&self, tid: &str, effect: &Effect<'_>) {
        tracing::debug!(%tid, ?effect, "hardware");
    }
}

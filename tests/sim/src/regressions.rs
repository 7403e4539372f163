//! Runs that once violated an invariant, and must not again.

use serde::Deserialize;

use crate::options::{Options, Work};

/// The committed list.
const LIST: &str = include_str!("../regressions.toml");

/// One run, and why it is in the list.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regression {
    /// Everything random follows from it.
    pub seed: u64,
    /// How many terminals there are.
    pub terminals: u32,
    /// How long things go wrong, in minutes.
    pub minutes: u32,
    /// Work that nobody asks for in it, as on the command line.
    #[serde(default)]
    pub without_work: Vec<String>,
    /// What it once showed, and what was wrong.
    pub why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    #[serde(default)]
    regression: Vec<Regression>,
}

impl Regression {
    /// The run.
    ///
    /// # Panics
    /// When it leaves out work that there is not.
    #[must_use]
    pub fn options(&self) -> Options {
        let mut options = Options::new(self.seed, self.terminals, self.minutes);
        for name in &self.without_work {
            let work = name.parse::<Work>().unwrap_or_else(|error| panic!("seed {}: {error}", self.seed));
            options.work.remove(&work);
        }
        options
    }
}

/// All of them.
///
/// # Panics
/// When the list does not read.
#[must_use]
pub fn all() -> Vec<Regression> {
    toml::from_str::<List>(LIST).expect("regressions.toml reads").regression
}

//! Making a run that violates an invariant as small as it will go: the same invariant must still be
//! violated.

use std::time::{Duration, Instant};

use crate::{
    options::{Fault, Options, Work},
    outcome::Outcome,
    run,
};

/// Longer than this nobody waits for a smaller run.
const PATIENCE: Duration = Duration::from_secs(60);

/// A smaller run with the same violation, frames kept; the run itself if there is none.
#[must_use]
pub fn shrink(outcome: &Outcome) -> Outcome {
    let Some(violation) = &outcome.violation else { return outcome.clone() };
    let invariant = violation.invariant;
    let began = Instant::now();
    let mut best = outcome.clone();
    let attempt = |best: &mut Outcome, options: Options| -> bool {
        if began.elapsed() > PATIENCE || options == best.options {
            return false;
        }
        let tried = run(&options);
        let same = tried.violation.as_ref().is_some_and(|found| found.invariant == invariant);
        if same {
            *best = tried;
        }
        same
    };

    if let Some(terminal) = violation.terminal {
        attempt(&mut best, Options { only: Some(terminal), ..outcome.options.clone() });
    }
    for fault in Fault::ALL {
        let mut options = best.options.clone();
        if options.faults.remove(fault) {
            attempt(&mut best, options);
        }
    }
    for work in Work::ALL {
        let mut options = best.options.clone();
        if options.work.remove(work) {
            attempt(&mut best, options);
        }
    }
    // From short to long: the first that still shows it is the shortest of them.
    let minutes = best.options.minutes;
    for part in [1, 2, 4, 8, 12, 14, 15] {
        let options = Options { minutes: minutes * part / 16, ..best.options.clone() };
        if attempt(&mut best, options) {
            break;
        }
    }
    let shown = run(&Options { keep_frames: true, ..best.options.clone() });
    if shown.violation.is_some() { shown } else { best }
}

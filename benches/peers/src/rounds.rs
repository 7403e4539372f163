//! Measuring on a machine that does other things, too.
//!
//! Every round runs every case for about half a millisecond, in turn, so that whatever disturbs
//! the machine for longer than that disturbs all of them. Of all rounds the least and the median
//! time of each case count; a ratio is the median of the ratios within each round.

use std::time::{Duration, Instant};

use crate::Case;

/// How long a case runs in each round.
const TURN: Duration = Duration::from_micros(500);

/// The times of one case.
pub struct Times {
    /// Nanoseconds for one operation, one for each round, in the order of rounds.
    pub each_ns: Vec<f64>,
}

impl Times {
    /// The shortest.
    #[must_use]
    pub fn least_ns(&self) -> f64 {
        self.each_ns.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// The middle one.
    #[must_use]
    pub fn median_ns(&self) -> f64 {
        median(self.each_ns.clone())
    }

    /// The middle one of this case's time divided by the other's, round by round.
    #[must_use]
    pub fn ratio(&self, other: &Self) -> f64 {
        median(self.each_ns.iter().zip(&other.each_ns).map(|(own, other)| own / other).collect())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Runs all cases in turn, `rounds` times.
#[must_use]
pub fn measure(cases: &mut [Case], rounds: usize) -> Vec<Times> {
    let counts: Vec<u64> = cases.iter_mut().map(calibrate).collect();
    let mut times: Vec<Times> = cases.iter().map(|_| Times { each_ns: Vec::with_capacity(rounds) }).collect();
    for round in 0..rounds {
        for turn in 0..cases.len() {
            // Every other round backwards, so that none always follows the same other one.
            let at = if round % 2 == 0 { turn } else { cases.len() - 1 - turn };
            let (case, count) = (&mut cases[at], counts[at]);
            (case.run)(count / 16 + 1);
            let began = Instant::now();
            (case.run)(count);
            times[at].each_ns.push(began.elapsed().as_nanos() as f64 / count as f64);
        }
    }
    times
}

/// How often a case runs in [`TURN`].
fn calibrate(case: &mut Case) -> u64 {
    let mut count = 16;
    loop {
        let began = Instant::now();
        (case.run)(count);
        let took = began.elapsed();
        if took >= TURN / 4 {
            return (count as f64 * TURN.as_secs_f64() / took.as_secs_f64()) as u64 + 1;
        }
        count *= 2;
    }
}

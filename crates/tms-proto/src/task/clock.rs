//! Which time a terminal takes from its host.

use jiff::{SignedDuration, Timestamp};

use super::Outcome;

/// Farthest that a clock is set without force, in seconds: two years of 366 days.
pub const MAX_CLOCK_STEP_S: i64 = 2 * 366 * 86_400;
/// Farthest that local time is from UTC, in seconds: 14 hours, as in Kiribati.
pub const MAX_UTC_OFFSET_S: i32 = 14 * 3600;

/// How far to move a clock that says `own` so that it says `told`.
///
/// # Errors
/// [`Outcome::TOO_FAR`] when they are years apart and `force` is not given: whoever can lie about the time
/// could bring expired certificates back to life.
pub fn check_clock(own: Timestamp, told: Timestamp, force: bool) -> Result<SignedDuration, Outcome> {
    let step = told.duration_since(own);
    if !force && step.as_secs().saturating_abs() > MAX_CLOCK_STEP_S {
        return Err(Outcome::TOO_FAR);
    }
    Ok(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_moved_by_years_only_with_force() {
        let own = Timestamp::from_second(1_800_000_000).unwrap();
        for (step, force, taken) in [
            (-3600, false, true),
            (MAX_CLOCK_STEP_S, false, true),
            (MAX_CLOCK_STEP_S + 1, false, false),
            (-MAX_CLOCK_STEP_S - 1, false, false),
            (-MAX_CLOCK_STEP_S - 1, true, true),
        ] {
            let told = own + SignedDuration::from_secs(step);
            let moved = check_clock(own, told, force);
            assert_eq!(
                moved,
                if taken { Ok(SignedDuration::from_secs(step)) } else { Err(Outcome::TOO_FAR) }
            );
        }
        assert_eq!(check_clock(Timestamp::MIN, Timestamp::MAX, false), Err(Outcome::TOO_FAR));
        assert!(check_clock(Timestamp::MIN, Timestamp::MAX, true).is_ok());
    }
}

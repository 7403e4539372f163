//! Random bytes from the operating system through aws-lc-rs.

/// `N` bytes fit for keys, salts and challenges.
///
/// # Panics
/// When the machine has no entropy source. No caller could go on safely, and no input can cause it.
#[must_use]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

/// Overwrites `bytes` with random ones; panics as [`random_bytes`] does.
pub fn fill(bytes: &mut [u8]) {
    assert!(aws_lc_rs::rand::fill(bytes).is_ok(), "the operating system gave no random bytes");
}

/// A uniform number below `bound` (0 when `bound` is 0), by rejection so that no value is favoured.
pub(crate) fn below(bound: u8) -> u8 {
    if bound == 0 {
        return 0;
    }
    let limit = u8::MAX - u8::MAX % bound;
    loop {
        let [byte] = random_bytes::<1>();
        if byte < limit {
            return byte % bound;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        assert_ne!(random_bytes::<32>(), random_bytes::<32>());
    }

    #[test]
    fn a_bounded_draw_stays_below_its_bound_and_reaches_every_value() {
        let mut seen = [false; 10];
        for _ in 0..2_000 {
            seen[usize::from(below(10))] = true;
        }
        assert!(seen.iter().all(|seen| *seen));
    }
}

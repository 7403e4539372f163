//! Randomness that a seed repeats: the same numbers on every machine, for as long as the lock file
//! keeps the version of the generator.

use jiff::SignedDuration;

/// A generator. Not for secrets.
#[derive(Clone, Debug)]
pub struct Rng(fastrand::Rng);

impl Rng {
    /// The generator of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // Neighbouring seeds begin far apart.
        let mut first = fastrand::Rng::with_seed(seed ^ 0x9E37_79B9_7F4A_7C15);
        Self(fastrand::Rng::with_seed(first.u64(..)))
    }

    /// A generator of its own for one part of a world, so that what one part draws does not change what
    /// another draws. The same seed and `part` give the same generator.
    #[must_use]
    pub fn of_part(seed: u64, part: u64) -> Self {
        let mut rng = Self::new(seed);
        let salt = rng.0.u64(..);
        Self::new(salt.wrapping_add(part.wrapping_mul(0xD134_2543_DE82_EF95)))
    }

    /// Any number.
    pub fn u64(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// A number below `end`; 0 if there is none.
    pub fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.0.u64(..end) }
    }

    /// An index below `end`; 0 if there is none.
    pub fn index(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { self.0.usize(..end) }
    }

    /// A number between two, both included.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        self.0.u64(least.min(most)..=most.max(least))
    }

    /// Whether something happens that happens so many times in a million.
    pub fn happens(&mut self, per_million: u32) -> bool {
        per_million > 0 && self.0.u32(..1_000_000) < per_million
    }

    /// One of several; `None` of none.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.index(of.len()))
    }

    /// A length of time up to `most`.
    pub fn within(&mut self, most: SignedDuration) -> SignedDuration {
        let micros = u64::try_from(most.as_micros()).unwrap_or(0);
        SignedDuration::from_micros(i64::try_from(self.below(micros.saturating_add(1))).unwrap_or(i64::MAX))
    }

    /// How long until the next of things that happen by chance, on average after `mean`.
    pub fn wait(&mut self, mean: SignedDuration) -> SignedDuration {
        // Exponential, so that things fall together as often as chance has it.
        let drawn = -(1.0 - self.0.f64()).ln();
        SignedDuration::from_micros((mean.as_secs_f64() * drawn * 1e6).min(1e15) as i64)
    }

    /// Fills a buffer.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_for_ever() {
        let mut rng = Rng::new(1);
        let drawn = [rng.below(1000), rng.below(1000), rng.below(1000), rng.below(1000)];
        // If this changes, the list of regressions of the simulation means other runs than it did.
        assert_eq!(drawn, [516, 721, 435, 868]);
    }

    #[test]
    fn parts_of_one_seed_draw_different_numbers() {
        assert_ne!(Rng::of_part(1, 1).u64(), Rng::of_part(1, 2).u64());
        assert_ne!(Rng::of_part(1, 1).u64(), Rng::of_part(2, 1).u64());
        assert_eq!(Rng::of_part(1, 1).u64(), Rng::of_part(1, 1).u64());
    }

    #[test]
    fn chances_are_what_they_say() {
        let mut rng = Rng::new(7);
        let hits = (0..100_000).filter(|_| rng.happens(100_000)).count();
        assert!((9_000..11_000).contains(&hits), "{hits}");
        assert!(!(0..1000).any(|_| rng.happens(0)));
        assert!((0..1000).all(|_| rng.happens(1_000_000)));
        let mean = (0..10_000).map(|_| rng.wait(SignedDuration::from_secs(10)).as_secs_f64()).sum::<f64>();
        assert!((90_000.0..110_000.0).contains(&mean), "{mean}");
    }

    #[test]
    fn bounds_are_kept_also_where_there_is_no_room() {
        let mut rng = Rng::new(3);
        assert_eq!((rng.below(0), rng.index(0), rng.between(5, 5)), (0, 0, 5));
        assert_eq!(rng.pick::<u8>(&[]), None);
        assert!((0..1000).all(|_| (3..=5).contains(&rng.between(3, 5))));
        assert!((0..1000).all(|_| rng.within(SignedDuration::from_secs(2)) <= SignedDuration::from_secs(2)));
    }
}

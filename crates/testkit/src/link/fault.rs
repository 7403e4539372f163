//! What can happen to a frame on its way.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use crate::rng::Rng;

/// What happens to one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It never arrives. Under TLS nothing that follows it in its direction does either: a stream
    /// whose segment is lost for good stands still.
    Lose,
    /// It arrives so much later. Under TLS what follows it waits for it.
    Delay(SignedDuration),
    /// It arrives after frames that were sent later.
    Reorder,
    /// It arrives twice.
    Duplicate,
    /// Only so many of its bytes arrive.
    Truncate {
        /// Bytes left.
        keep_bytes: usize,
    },
    /// One bit arrives changed.
    Corrupt {
        /// Its index, modulo the bits of the frame.
        bit: usize,
    },
    /// It arrives, and its sender says nothing more on this connection.
    HalfClose,
    /// The connection breaks, and it is lost with everything else under way.
    Break,
}

impl Fault {
    /// The fault's name, for counts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lose => "lose",
            Self::Delay(_) => "delay",
            Self::Reorder => "reorder",
            Self::Duplicate => "duplicate",
            Self::Truncate { .. } => "truncate",
            Self::Corrupt { .. } => "corrupt",
            Self::HalfClose => "half-close",
            Self::Break => "break",
        }
    }
}

/// How often each fault strikes by chance, in a million frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chances {
    /// [`Fault::Lose`].
    pub lose: u32,
    /// [`Fault::Delay`], by up to [`Chances::longest_delay`].
    pub delay: u32,
    /// [`Fault::Reorder`].
    pub reorder: u32,
    /// [`Fault::Duplicate`].
    pub duplicate: u32,
    /// [`Fault::Truncate`].
    pub truncate: u32,
    /// [`Fault::Corrupt`].
    pub corrupt: u32,
    /// [`Fault::HalfClose`].
    pub half_close: u32,
    /// [`Fault::Break`].
    pub break_off: u32,
    /// The longest that a delay by chance is.
    pub longest_delay: SignedDuration,
}

impl Chances {
    /// Every fault so many times in a million frames, delays of up to a minute.
    #[must_use]
    pub fn all(per_million: u32) -> Self {
        Self {
            lose: per_million,
            delay: per_million,
            reorder: per_million,
            duplicate: per_million,
            truncate: per_million,
            corrupt: per_million,
            half_close: per_million,
            break_off: per_million,
            longest_delay: SignedDuration::from_secs(60),
        }
    }

    /// What happens to a frame of so many bytes.
    pub(super) fn draw(&self, rng: &mut Rng, bytes: usize) -> Option<Fault> {
        let shares = [
            self.lose,
            self.delay,
            self.reorder,
            self.duplicate,
            self.truncate,
            self.corrupt,
            self.half_close,
            self.break_off,
        ];
        let total: u64 = shares.iter().map(|share| u64::from(*share)).sum();
        if total == 0 {
            return None;
        }
        let mut drawn = rng.below(1_000_000.max(total));
        let struck = shares.iter().position(|share| {
            let hit = drawn < u64::from(*share);
            drawn = drawn.saturating_sub(u64::from(*share));
            hit
        })?;
        Some(match struck {
            0 => Fault::Lose,
            1 => Fault::Delay(rng.within(self.longest_delay)),
            2 => Fault::Reorder,
            3 => Fault::Duplicate,
            4 => Fault::Truncate { keep_bytes: rng.index(bytes) },
            5 => Fault::Corrupt { bit: rng.index(bytes.saturating_mul(8)) },
            6 => Fault::HalfClose,
            _ => Fault::Break,
        })
    }
}

/// What a link has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames given to it.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The most bytes that were under way in one direction at once.
    pub most_bytes_under_way: usize,
    /// Faults by name.
    pub faults: BTreeMap<&'static str, u64>,
}

impl Counts {
    pub(super) fn fault(&mut self, name: &'static str) {
        *self.faults.entry(name).or_default() += 1;
    }
}

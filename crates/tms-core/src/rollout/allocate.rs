//! Which terminal belongs to which wave.

use std::collections::BTreeSet;

use super::{Wave, WaveSize};
use crate::id::TerminalId;
use crate::tag::Tag;

/// A terminal and its wave, from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allocation {
    /// The terminal.
    pub terminal: TerminalId,
    /// The wave.
    pub wave: u32,
}

/// Gives each target its wave. A wave takes from those that no wave before it has, in the order in which they are
/// given; whoever wants a mixture gives them in a mixed order. Of one terminal given twice only the first counts.
///
/// `Percent` is of all targets, rounded up, so that a canary of 1 % of 10 terminals is one terminal. What
/// the waves leave over belongs to the last one.
#[must_use]
pub fn allocate(waves: &[Wave], targets: &[(TerminalId, BTreeSet<Tag>)]) -> Vec<Allocation> {
    let mut seen = BTreeSet::new();
    let mut left: Vec<&(TerminalId, BTreeSet<Tag>)> =
        targets.iter().filter(|(terminal, _)| seen.insert(terminal)).collect();
    let total = u64::try_from(left.len()).unwrap_or(u64::MAX);
    let mut allocated = Vec::with_capacity(left.len());
    for (wave, number) in waves.iter().zip(0_u32..) {
        let is_last = waves.len() == usize::try_from(number).unwrap_or(usize::MAX).saturating_add(1);
        let mut room = match &wave.size {
            _ if is_last => u64::MAX,
            WaveSize::Count(count) => u64::from(*count),
            WaveSize::Percent(percent) => total.saturating_mul(u64::from(*percent)).div_ceil(100),
            WaveSize::Tagged(_) | WaveSize::Rest => u64::MAX,
        };
        left.retain(|(terminal, tags)| {
            let wanted = match &wave.size {
                WaveSize::Tagged(tag) if !is_last => tags.contains(tag),
                _ => true,
            };
            let taken = wanted && room > 0;
            if taken {
                room = room.saturating_sub(1);
                allocated.push(Allocation { terminal: terminal.clone(), wave: number });
            }
            !taken
        });
    }
    allocated
}

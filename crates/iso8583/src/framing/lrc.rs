//! The check byte behind ETX.

use super::STX;

/// How the check byte behind ETX (longitudinal redundancy check) is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lrc {
    /// (`etx-lrc`) Exclusive or of every byte after STX, ETX included.
    Xor,
    /// (`etx-sum`) Two's complement of the sum of every byte from STX to ETX, both included, as
    /// servers of the UnionPay TMS interface compute it.
    Sum,
}

impl Lrc {
    /// The check byte of what follows STX up to and including ETX.
    #[must_use]
    pub fn of(self, after_stx: &[u8]) -> u8 {
        self.end(self.add(self.start(), after_stx))
    }

    pub(super) const fn start(self) -> u8 {
        match self {
            Self::Xor => 0,
            Self::Sum => STX,
        }
    }

    pub(super) fn add(self, check: u8, bytes: &[u8]) -> u8 {
        match self {
            Self::Xor => bytes.iter().fold(check, |check, byte| check ^ byte),
            Self::Sum => bytes.iter().fold(check, |check, byte| check.wrapping_add(*byte)),
        }
    }

    pub(super) const fn end(self, check: u8) -> u8 {
        match self {
            Self::Xor => check,
            Self::Sum => check.wrapping_neg(),
        }
    }
}

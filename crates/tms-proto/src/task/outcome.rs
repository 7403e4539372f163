//! How a task went.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a task went. Unknown codes keep their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome(pub u8);

impl Outcome {
    /// Done, with effect.
    pub const DONE: Self = Self(0);
    /// Taken; a further result follows.
    pub const ACCEPTED: Self = Self(1);
    /// The terminal does not know the command.
    pub const UNKNOWN_COMMAND: Self = Self(2);
    /// Not possible in the terminal's present state.
    pub const WRONG_STATE: Self = Self(3);
    /// The image's signature does not verify.
    pub const SIGNATURE_INVALID: Self = Self(4);
    /// The image does not have the signed hash or size.
    pub const HASH_MISMATCH: Self = Self(5);
    /// The image is older than the one in force.
    pub const ROLLBACK: Self = Self(6);
    /// The image is for another model or hardware revision.
    pub const WRONG_MODEL: Self = Self(7);
    /// The image does not fit.
    pub const NO_SPACE: Self = Self(8);
    /// The sealed secret could not be opened.
    pub const UNSEAL_FAILED: Self = Self(9);
    /// What was new did not work, an image or an address; the old one is in force.
    pub const FELL_BACK: Self = Self(10);
    /// A file could not be fetched.
    pub const FETCH_FAILED: Self = Self(11);
    /// The terminal itself failed.
    pub const INTERNAL: Self = Self(12);
    /// The terminal restarted in the midst of it; whether it had its effect is not known.
    pub const INTERRUPTED: Self = Self(13);
    /// The host gave it up.
    pub const CANCELLED: Self = Self(14);
    /// Something newer is in force already, for example a plan.
    pub const STALE: Self = Self(15);
    /// The time told is too far from the terminal's own.
    pub const TOO_FAR: Self = Self(16);
    /// Its window closed before it could begin.
    pub const WINDOW_MISSED: Self = Self(17);
    /// An earlier action of the plan failed and stopped it.
    pub const STOPPED: Self = Self(18);
    /// Something newer took its place before it had its effect.
    pub const REPLACED: Self = Self(19);
    /// There is nothing of that name.
    pub const NOT_FOUND: Self = Self(20);
    /// A part of the terminal does not work; the result's data say which.
    pub const PART_FAULTY: Self = Self(21);
    /// The content could not be used, for example a plan that is none.
    pub const INVALID: Self = Self(22);

    /// Whether the task had its effect.
    #[must_use]
    pub fn is_done(self) -> bool {
        self == Self::DONE
    }

    /// Whether this is the last word: [`Outcome::ACCEPTED`] alone is followed by another.
    #[must_use]
    pub fn is_final(self) -> bool {
        self != Self::ACCEPTED
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::DONE => "done",
            Self::ACCEPTED => "accepted",
            Self::UNKNOWN_COMMAND => "the terminal does not know this command",
            Self::WRONG_STATE => "not possible in the terminal's present state",
            Self::SIGNATURE_INVALID => "the signature of the image does not verify",
            Self::HASH_MISMATCH => "the image does not have the signed size and hash",
            Self::ROLLBACK => "the image is older than the one in force",
            Self::WRONG_MODEL => "the image is for another model or hardware revision",
            Self::NO_SPACE => "the image does not fit into the slot",
            Self::UNSEAL_FAILED => "the sealed secret could not be opened",
            Self::FELL_BACK => "what was new did not work; the old one is in force",
            Self::FETCH_FAILED => "a file could not be fetched",
            Self::INTERNAL => "the terminal failed",
            Self::INTERRUPTED => "the terminal restarted in the midst of it; its effect is not known",
            Self::CANCELLED => "given up by the host",
            Self::STALE => "something newer is in force already",
            Self::TOO_FAR => "the time is too far from the terminal's own",
            Self::WINDOW_MISSED => "its window closed before it could begin",
            Self::STOPPED => "an earlier action of the plan failed and stopped it",
            Self::REPLACED => "something newer took its place",
            Self::NOT_FOUND => "there is nothing of that name",
            Self::PART_FAULTY => "a part of the terminal does not work",
            Self::INVALID => "the content could not be used",
            Self(code) => return write!(f, "outcome {code}"),
        })
    }
}

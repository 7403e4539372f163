//! Times the `iso8583` codec beside its peers, on the same messages and in one run.
//!
//! [`messages`] reads the reference messages, [`codec`] says what each codec does with them,
//! [`rounds`] measures in interleaved rounds, and [`table`] prints what came out, with ratios to
//! the fastest known peer and the ratios that this project has set itself.

pub mod codec;
pub mod messages;
pub mod python;
pub mod rounds;
pub mod table;

use std::fmt;

/// What is done with a message, over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Read the whole message as strictly as the codec can, and keep where its fields are.
    Parse,
    /// [`Operation::Parse`], then take number and value of every field in order.
    ParseAndRead,
    /// [`Operation::Parse`], then ask for every field of the message by its number.
    ParseAndGet,
    /// Set type and every field from values in memory, with the codec's checks, and write the
    /// message into a buffer that is used again.
    Build,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Parse => "parse",
            Self::ParseAndRead => "parse + read all",
            Self::ParseAndGet => "parse + get each",
            Self::Build => "build",
        })
    }
}

/// One thing to measure.
pub struct Case {
    /// The message's name, `"A_0200"`.
    pub message: &'static str,
    /// How the message is written: `"ascii"`, `"packed"`, `"unionpay"`.
    pub wire: &'static str,
    /// What is done.
    pub operation: Operation,
    /// Who does it.
    pub codec: &'static str,
    /// Does it so many times.
    pub run: Box<dyn FnMut(u64)>,
}

impl Case {
    /// A name that is different for every case.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}/{}/{}", self.message, self.wire, self.operation, self.codec)
    }
}

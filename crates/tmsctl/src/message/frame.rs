//! The message in its frame.

use iso8583::framing::{Frame, FrameError, Framing};
use iso8583::{Dialect, MAX_MESSAGE_BYTES, Message, ParseError};

use crate::failure::Failure;

/// The one frame that the bytes are.
pub(super) fn unframe(framing: Framing, bytes: &[u8]) -> Result<Frame<'_>, Failure> {
    match framing.split(bytes, MAX_MESSAGE_BYTES) {
        Ok(Some((frame, consumed))) if consumed == bytes.len() => Ok(frame),
        Ok(Some((_, consumed))) => {
            Err(Failure::new(format!("{} bytes follow the frame", bytes.len() - consumed))
                .next("give one message at a time"))
        }
        Ok(None) => Err(Failure::new(format!("the frame is longer than the {} bytes given", bytes.len()))
            .next("give the whole frame, its length included")),
        Err(error @ FrameError::TooLong { .. }) => {
            Err(Failure::new(error.to_string())
                .next("check --framing: these bytes do not begin with its length"))
        }
        Err(error) => Err(Failure::new(error.to_string())),
    }
}

/// What is said of a message that cannot be read.
pub(super) fn not_a_message(dialect: &Dialect, error: &ParseError) -> Failure {
    Failure::new(format!("not a message of dialect {}: {error}", dialect.name()))
}

/// The failure with the framing in which the bytes are a message, or else with the way to find out.
pub(super) fn advise(failure: Failure, given: Framing, dialect: &Dialect, bytes: &[u8]) -> Failure {
    let fits = |framing: &Framing| {
        *framing != given
            && unframe(*framing, bytes).is_ok_and(|frame| Message::parse(dialect, frame.body).is_ok())
    };
    match Framing::COMMON.iter().find(|framing| fits(framing)) {
        Some(framing) => {
            failure.next(format!("the bytes are a message in another framing: give --framing {framing}"))
        }
        None => failure.or_next("tmsctl message doctor finds the framing and the dialect of unknown bytes"),
    }
}

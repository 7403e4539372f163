//! Frames in unknown bytes, and what speaks for them.

use crate::framing::{Bounds, Framing, Heading};

use super::MAX_INPUT_BYTES;

/// Frames of a stream that are looked at.
const MAX_FRAMES: usize = 8;

/// What a framing makes of the bytes.
pub(super) struct Cut<'b> {
    pub(super) framing: Framing,
    pub(super) pieces: Vec<Piece<'b>>,
    /// Whether whole frames use up the bytes.
    pub(super) exact: bool,
    pub(super) points: i32,
    pub(super) reasons: Vec<String>,
}

/// One message.
#[derive(Clone, Copy)]
pub(super) struct Piece<'b> {
    pub(super) body: &'b [u8],
    /// Where the message begins in the bytes.
    pub(super) at: usize,
    /// Whether all of it is there.
    pub(super) whole: bool,
}

/// The frames that `input` consists of; `None` when it does not begin with one.
pub(super) fn cut(framing: Framing, input: &[u8]) -> Option<Cut<'_>> {
    let mut pieces = Vec::new();
    let mut first = None;
    let mut at = 0;
    while pieces.len() < MAX_FRAMES {
        let rest = input.get(at..).filter(|rest| !rest.is_empty())?;
        match framing.split(rest, MAX_INPUT_BYTES) {
            Ok(Some((frame, consumed))) => {
                let start = (at + consumed).checked_sub(framing.trailer_len() + frame.body.len())?;
                pieces.push(Piece { body: frame.body, at: start, whole: true });
                first.get_or_insert(consumed);
                at += consumed;
            }
            Ok(None) => {
                pieces.extend(begun(framing, rest, at));
                break;
            }
            Err(_) => break,
        }
        if at == input.len() {
            break;
        }
    }
    let mut cut = Cut { framing, exact: at == input.len(), pieces, points: 0, reasons: Vec::new() };
    cut.judge_bounds(first, at, input)?;
    cut.judge_heading(input);
    Some(cut)
}

/// The message of a frame whose end is missing.
fn begun(framing: Framing, rest: &[u8], at: usize) -> Option<Piece<'_>> {
    // What is missing does not matter to where the message begins.
    let mut padded = rest.to_vec();
    padded.resize(rest.len() + MAX_INPUT_BYTES, 0);
    let (frame, consumed) = framing.split(&padded, MAX_INPUT_BYTES).ok()??;
    let missing = consumed.checked_sub(rest.len())?;
    let there = frame.body.len().checked_sub(missing).filter(|there| *there > 0)?;
    let start = rest.len() - there;
    Some(Piece { body: rest.get(start..)?, at: at + start, whole: false })
}

impl Cut<'_> {
    /// What the lengths say; `None` when they say that this is no such framing.
    fn judge_bounds(&mut self, first_bytes: Option<usize>, used: usize, input: &[u8]) -> Option<()> {
        let whole = self.pieces.iter().filter(|piece| piece.whole).count();
        let begun = self.pieces.len() - whole;
        if self.pieces.is_empty() {
            return None;
        }
        match self.framing.bounds {
            Bounds::Whole => {
                self.points += 14;
                self.reasons.push(match self.framing == Framing::NONE {
                    true => "read as one message, with nothing before it".to_owned(),
                    false => "read as one frame without a length".to_owned(),
                });
                return Some(());
            }
            Bounds::Length { lead, prefix } => {
                let before = usize::from(lead.is_some()) + prefix.form.width();
                let own = if prefix.inclusive { prefix.form.width() } else { 0 };
                let bytes = match lead {
                    None => format!("the first {} bytes say", number(prefix.form.width())),
                    Some(_) => format!("the {} bytes after the first say", number(prefix.form.width())),
                };
                let itself = if prefix.inclusive { " with themselves" } else { "" };
                let follow = input.len().saturating_sub(before) + own;
                self.reasons.push(match first_bytes {
                    Some(consumed) if consumed == input.len() => {
                        format!("{bytes} {follow} and {follow} bytes follow{itself}")
                    }
                    Some(consumed) => {
                        format!("{bytes} {}, but {follow} bytes follow{itself}", consumed - before + own)
                    }
                    None => format!(
                        "{bytes} more than the {follow} bytes that follow{itself}: the end may be missing"
                    ),
                });
            }
            Bounds::StxEtx { .. } => self.reasons.push(match first_bytes {
                Some(_) => {
                    "the bytes begin with STX, and ETX and the check byte stand in their places".to_owned()
                }
                None => "the bytes begin with STX, but the end of the frame is missing".to_owned(),
            }),
        }
        let left = input.len() - used;
        self.points += match (whole, begun, left) {
            (0, ..) => 2,
            (_, _, 0) => 25,
            (_, 0, _) if whole < MAX_FRAMES => 4,
            _ => 16,
        };
        if whole > 1 && left == 0 {
            self.points += 5;
            self.reasons.push(format!("{whole} frames one after the other use up the bytes"));
        } else if whole == MAX_FRAMES {
            self.reasons.push(format!("the first {MAX_FRAMES} frames were looked at"));
        } else if whole > 0 && begun > 0 {
            self.reasons.push(format!("the last {left} bytes are the beginning of another frame"));
        } else if whole > 0 && left > 0 {
            self.reasons.push(format!("the last {left} bytes are no such frame"));
        }
        Some(())
    }

    /// What the bytes between length and message look like.
    fn judge_heading(&mut self, input: &[u8]) {
        let Some(message) = self.pieces.first().map(|piece| piece.at) else { return };
        let heading = match self.framing.heading {
            Heading::None => 0,
            Heading::UnionPay => 6,
            Heading::Vendor(len_bytes) => usize::from(len_bytes.get()),
        };
        let start = message.saturating_sub(heading);
        if self.framing.has_tpdu()
            && let Some(at) = start.checked_sub(5)
            && let Some(byte) = input.get(at)
        {
            let is_tpdu = *byte == 0x60;
            self.points += if is_tpdu { 3 } else { -10 };
            self.reasons.push(match is_tpdu {
                true => format!("byte {at} is 60, with which a TPDU begins"),
                false => format!("byte {at} is {byte:02x}, where a TPDU begins with 60"),
            });
        }
        let bytes = input.get(start..message).unwrap_or_default();
        match (self.framing.heading, bytes) {
            (Heading::UnionPay, [class @ 0x60..=0x69, version, ..])
                if version & 0x0F <= 9 && *version < 0x60 =>
            {
                self.points += 3;
                self.reasons.push(format!(
                    "bytes {start} to {} can be a UnionPay header: class {class:02x}, generation {version:02x}",
                    message - 1
                ));
            }
            (Heading::UnionPay, _) => {
                self.points -= 10;
                self.reasons.push(format!(
                    "bytes {start} to {} are not like a UnionPay header",
                    message.saturating_sub(1)
                ));
            }
            (Heading::Vendor(_), bytes) => {
                let printable = bytes.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
                self.points -= if printable { 3 } else { 8 };
                self.reasons.push(format!(
                    "bytes {start} to {} would be a vendor's header",
                    message.saturating_sub(1)
                ));
            }
            (Heading::None, _) => {}
        }
    }
}

impl Framing {
    /// Bytes after the message.
    fn trailer_len(self) -> usize {
        if matches!(self.bounds, Bounds::StxEtx { .. }) { 2 } else { 0 }
    }
}

fn number(small: usize) -> &'static str {
    match small {
        2 => "two",
        3 => "three",
        _ => "four",
    }
}

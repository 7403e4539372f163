//! Lists of keys and of applications, and how a reply says whether more follows (unionpay.md §4.7, §4.8).

use super::{Aid, CapkEntry, EmvError, Forms, element::Elements, element::tag};

/// Most entries of a list. A terminal says in two digits how many it has, so no more can be asked for.
pub const MAX_ENTRIES: usize = 99;
/// Fewest bytes of an entry on the wire: an AID of five bytes.
const MIN_ENTRY_BYTES: usize = 8;

/// The character that a list, and an item, begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// `0`: there is nothing to download.
    Nothing,
    /// `1`: everything is in this message.
    Whole,
    /// `2`: more follows; ask again with the new count.
    More,
    /// `3`: the last of several messages. Terminals treat it like `1`.
    Last,
}

impl Control {
    /// Its character.
    #[must_use]
    pub fn byte(self) -> u8 {
        match self {
            Self::Nothing => b'0',
            Self::Whole => b'1',
            Self::More => b'2',
            Self::Last => b'3',
        }
    }

    /// Splits a body into its first character and the rest.
    pub(super) fn split(body: &[u8]) -> Result<(Self, &[u8]), EmvError> {
        let (first, rest) = body.split_first().ok_or(EmvError::Short { what: "the body" })?;
        let control = match first {
            b'0' => Self::Nothing,
            b'1' => Self::Whole,
            b'2' => Self::More,
            b'3' => Self::Last,
            found => return Err(EmvError::Control { found: *found }),
        };
        Ok((control, rest))
    }
}

/// One message of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPage<T> {
    /// Whether more follows.
    pub control: Control,
    /// The entries.
    pub entries: Vec<T>,
}

impl ListPage<CapkEntry> {
    /// Reads the body of a 372 reply. Data objects that an entry does not need are skipped.
    ///
    /// # Errors
    /// When an entry is incomplete or malformed, or there are more than [`MAX_ENTRIES`].
    pub fn decode(body: &[u8]) -> Result<Self, EmvError> {
        decode(body, CapkEntry::decode)
    }
}

impl ListPage<Aid> {
    /// Reads the body of a 382 reply. Data objects that an entry does not need are skipped.
    ///
    /// # Errors
    /// When an entry is malformed, or there are more than [`MAX_ENTRIES`].
    pub fn decode(body: &[u8]) -> Result<Self, EmvError> {
        decode(body, Aid::take)
    }
}

fn decode<T>(
    body: &[u8],
    one: impl Fn(&mut Elements<'_>) -> Result<T, EmvError>,
) -> Result<ListPage<T>, EmvError> {
    let (control, rest) = Control::split(body)?;
    let mut entries = Elements::read_entries(rest, tag::AID, MAX_ENTRIES)?;
    let entries = entries.iter_mut().map(one).collect::<Result<_, _>>()?;
    Ok(ListPage { control, entries })
}

/// The body that answers a question for the entries after the first `from`: as many as the room holds.
pub(super) fn page<T>(
    entries: impl ExactSizeIterator<Item = T>,
    from: usize,
    forms: &Forms,
    put: impl Fn(T, &mut Vec<u8>),
) -> Vec<u8> {
    let total = entries.len();
    let mut out = vec![Control::Nothing.byte()];
    let mut taken = 0usize;
    let mut one = Vec::with_capacity(MIN_ENTRY_BYTES);
    for entry in entries.skip(from) {
        one.clear();
        put(entry, &mut one);
        if out.len().saturating_add(one.len()) > forms.room() {
            break;
        }
        out.extend_from_slice(&one);
        taken = taken.saturating_add(1);
    }
    let control = match from.saturating_add(taken) {
        _ if taken == 0 => Control::Nothing,
        end if end < total => Control::More,
        _ if from == 0 => Control::Whole,
        _ => Control::Last,
    };
    if let Some(first) = out.first_mut() {
        *first = control.byte();
    }
    out
}

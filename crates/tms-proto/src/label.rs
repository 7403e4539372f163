//! Short texts held in place.

use std::fmt;

/// A field of at most `N` bytes, kept without memory of its own, so that a message can be answered
/// and a refusal told of without allocating. What is longer is cut: no identifier is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Label<const N: usize> {
    bytes: [u8; N],
    len: u8,
}

/// DE41, DE42 and their kind.
pub type Name = Label<40>;
/// The value of a profile's selector, for example 60.3 = `003`.
pub type Code = Label<12>;

impl<const N: usize> Label<N> {
    /// Takes the first `N` bytes, and never more than 255.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let mut label = Self::default();
        label.push(bytes);
        label
    }

    /// Appends what there is room for.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let rest = self.bytes.get_mut(usize::from(self.len)..).unwrap_or_default();
        let room = rest.len().min(usize::from(u8::MAX.saturating_sub(self.len))).min(bytes.len());
        if let (Some(to), Some(from)) = (rest.get_mut(..room), bytes.get(..room)) {
            to.copy_from_slice(from);
            self.len = self.len.saturating_add(u8::try_from(room).unwrap_or(0));
        }
    }

    /// The bytes, padding included.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&self.bytes)
    }

    /// The text; empty when the bytes are no UTF-8, which no identifier of ours is.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<const N: usize> Default for Label<N> {
    fn default() -> Self {
        Self { bytes: [0; N], len: 0 }
    }
}

impl<const N: usize> fmt::Display for Label<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().escape_ascii().fmt(f)
    }
}

impl<const N: usize> fmt::Debug for Label<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_keeps_what_fits() {
        let label = Label::<4>::new(b"abcdef");
        assert_eq!((label.as_str(), label.to_string().as_str()), ("abcd", "abcd"));
        assert!(Label::<4>::default().is_empty());
        assert_eq!(Label::<4>::new(&[0xFF]).as_str(), "");
        assert_eq!(format!("{:?}", Label::<4>::new(b"a\xFF")), "\"a\\xff\"");
    }
}

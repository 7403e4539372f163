//! A code as it comes out, or as it travels.

use std::{fmt, ops::Deref};

/// At most sixteen bytes of a message authentication code, held in place. To check one that came, use
/// [`MacKey::verify`](super::MacKey::verify): comparing bytes takes a time that depends on where they differ.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Code {
    bytes: [u8; 16],
    len: u8,
}

impl Code {
    /// The first sixteen of `bytes`.
    pub(super) fn new(bytes: &[u8]) -> Self {
        let mut code = Self::default();
        for (to, from) in code.bytes.iter_mut().zip(bytes) {
            *to = *from;
            code.len = code.len.saturating_add(1);
        }
        code
    }
}

impl Deref for Code {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&self.bytes)
    }
}

impl AsRef<[u8]> for Code {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({})", hex::encode_upper(self))
    }
}

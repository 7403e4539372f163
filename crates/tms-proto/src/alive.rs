//! Whether work goes on in this run of the program.

/// Set when work begins, and gone after a restart: states skip it when they are written. It is no part of
/// what a state is, so two states that differ only in it are equal.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Alive(pub(crate) bool);

impl PartialEq for Alive {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Alive {}

//! What a dialect says about a field in some messages only, for those who list it.

use super::{Dialect, Rule};
use crate::mti::Mti;
use crate::structure::Structure;

/// The structure of a field in some messages, as [`Dialect::structure_cases`] lists them.
#[derive(Clone, Copy, Debug)]
pub struct StructureCase<'a>(&'a Rule<Structure>);

impl<'a> StructureCase<'a> {
    /// The message types; empty for all.
    #[must_use]
    pub fn mtis(&self) -> &'a [Mti] {
        &self.0.mtis
    }

    /// The path at which the message must have one of these texts, such as `60.3`.
    #[must_use]
    pub fn when(&self) -> Option<(String, &'a [String])> {
        self.0.when.as_ref().map(|when| (when.path(), when.values.as_slice()))
    }

    /// What is inside the field then.
    #[must_use]
    pub fn structure(&self) -> &'a Structure {
        &self.0.then
    }
}

impl Dialect {
    /// The structures that field `number` has in some messages in place of its own. Of those that hold
    /// for a message the first counts.
    pub fn structure_cases(&self, number: u8) -> impl Iterator<Item = StructureCase<'_>> {
        self.structure_rules.iter().filter(move |rule| rule.field == number).map(StructureCase)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cases_of_a_field_are_listed_in_their_order() {
        let dialect = Dialect::builtin("unionpay").unwrap();
        let case = dialect.structure_cases(62).next().unwrap();
        assert_eq!(case.mtis(), ["0820".parse::<Mti>().unwrap()]);
        let (path, values) = case.when().unwrap();
        assert_eq!((path.as_str(), values), ("60.3", &["362".to_owned()][..]));
        assert!(matches!(case.structure(), Structure::TagTable { tag_len: 2, .. }));
        assert_eq!(dialect.structure_cases(61).count(), 0);
    }
}

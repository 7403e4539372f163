//! The dialects and tag sets that come with the library. They are the same kind of file as one's own.

use std::sync::LazyLock;

use super::Dialect;
use super::file::{DialectFile, FieldKeys};
use super::{keys, load};

/// Names and texts of the built-in dialects.
const TEXTS: [(&str, &str); 7] = [
    ("unionpay", include_str!("../../dialects/unionpay.toml")),
    ("iso87-ascii", include_str!("../../dialects/iso87-ascii.toml")),
    ("iso87-binary", include_str!("../../dialects/iso87-binary.toml")),
    ("iso93-ascii", include_str!("../../dialects/iso93-ascii.toml")),
    ("iso93-binary", include_str!("../../dialects/iso93-binary.toml")),
    ("iso93-ebcdic", include_str!("../../dialects/iso93-ebcdic.toml")),
    ("iso03-binary", include_str!("../../dialects/iso03-binary.toml")),
];

/// Names in the order in which they are listed.
const NAMES: [&str; 7] = [
    "unionpay",
    "iso87-ascii",
    "iso87-binary",
    "iso93-ascii",
    "iso93-binary",
    "iso93-ebcdic",
    "iso03-binary",
];

/// The names of the built-in tag sets.
pub(super) const TAG_SETS: [&str; 1] = ["emv"];

/// The JSON schema of dialect files.
const SCHEMA: &str = include_str!("../../dialects/dialect.schema.json");

/// A built-in dialect file over those that it extends. Files of one's own extend these, so they are
/// read once.
pub(super) fn file(name: &str) -> Option<DialectFile> {
    static FILES: [LazyLock<Option<DialectFile>>; 7] = [
        LazyLock::new(|| read(0)),
        LazyLock::new(|| read(1)),
        LazyLock::new(|| read(2)),
        LazyLock::new(|| read(3)),
        LazyLock::new(|| read(4)),
        LazyLock::new(|| read(5)),
        LazyLock::new(|| read(6)),
    ];
    fn read(at: usize) -> Option<DialectFile> {
        load::read(TEXTS.get(at)?.1, &mut |_| None).ok()
    }
    let at = TEXTS.iter().position(|(known, _)| *known == name)?;
    FILES.get(at)?.as_ref().cloned()
}

/// The text of a built-in dialect file.
fn text(name: &str) -> Option<&'static str> {
    TEXTS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// The tags of a built-in set.
pub(super) fn tags(name: &str) -> Option<&'static [FieldKeys]> {
    static EMV: LazyLock<Vec<FieldKeys>> =
        LazyLock::new(|| keys::read_tags(include_str!("../../dialects/tags/emv.toml")).unwrap_or_default());
    (name == "emv").then(|| EMV.as_slice())
}

impl Dialect {
    /// A built-in dialect by its name, such as `unionpay`; [`Dialect::builtin_names`] lists them.
    #[must_use]
    pub fn builtin(name: &str) -> Option<&'static Self> {
        // Each is read when it is first asked for. A test reads them all, so none is missing here.
        static DIALECTS: [LazyLock<Option<Dialect>>; 7] = [
            LazyLock::new(|| read(0)),
            LazyLock::new(|| read(1)),
            LazyLock::new(|| read(2)),
            LazyLock::new(|| read(3)),
            LazyLock::new(|| read(4)),
            LazyLock::new(|| read(5)),
            LazyLock::new(|| read(6)),
        ];
        fn read(at: usize) -> Option<Dialect> {
            Dialect::from_toml(TEXTS.get(at)?.1).ok()
        }
        let at = TEXTS.iter().position(|(known, _)| *known == name)?;
        DIALECTS.get(at)?.as_ref()
    }

    /// The names [`Dialect::builtin`] knows.
    #[must_use]
    pub fn builtin_names() -> &'static [&'static str] {
        &NAMES
    }

    /// The file of a built-in dialect, to read or to begin one's own from.
    #[must_use]
    pub fn builtin_toml(name: &str) -> Option<&'static str> {
        text(name)
    }

    /// The JSON schema of dialect files (draft 2020-12), for editors and other tools. It knows the
    /// keys and words; only [`Dialect::from_toml`] knows whether they fit together.
    #[must_use]
    pub fn json_schema() -> &'static str {
        SCHEMA
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_builtin_dialect_reads_and_has_all_fields() {
        assert_eq!(TEXTS.map(|(name, _)| name), NAMES);
        for (name, text) in TEXTS {
            Dialect::from_toml(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            let dialect = Dialect::builtin(name).unwrap();
            assert_eq!(dialect.name(), name);
            assert_eq!(dialect.fields().count(), 127, "{name}");
        }
        assert!(Dialect::builtin("iso99").is_none());
    }

    #[test]
    fn every_builtin_tag_set_reads() {
        for name in TAG_SETS {
            assert!(tags(name).unwrap().len() > 100, "{name}");
        }
        assert!(tags("emw").is_none());
    }
}

//! The dialect file as it is written: every key with the line it stands on, and how the keys of one
//! file lie over those of the file it extends. What the keys mean is not looked at here.

use std::collections::BTreeMap;

/// A value and the line it stands on; no line when it was inherited.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) line: Option<usize>,
}

/// Keys whose values are single words or numbers.
pub(super) type Words = BTreeMap<&'static str, At<String>>;

/// Tables by the number of their field, as written.
pub(super) type Fields = BTreeMap<String, FieldKeys>;

/// All keys of a dialect file.
#[derive(Clone, Debug, Default)]
pub(super) struct DialectFile {
    pub(super) name: Option<At<String>>,
    pub(super) extends: Option<At<String>>,
    pub(super) framing: Option<At<String>>,
    pub(super) encoding: Words,
    pub(super) fields: Fields,
    pub(super) sensitive: Vec<RuleKeys>,
    pub(super) structures: Vec<RuleKeys>,
}

/// The keys of one field, or of a part or a tagged object inside one.
#[derive(Clone, Debug, Default)]
pub(super) struct FieldKeys {
    pub(super) line: Option<usize>,
    pub(super) words: Words,
    pub(super) structure: StructureKeys,
}

/// What a file says about the inside of a field.
#[derive(Clone, Debug, Default)]
pub(super) struct StructureKeys {
    /// `structure`, `tag_size`, `length_size`, `length_counts`, `unknown_tags`, `bitmap`.
    pub(super) words: Words,
    pub(super) parts: Option<Vec<FieldKeys>>,
    pub(super) tags: Option<TagKeys>,
    pub(super) fields: Fields,
}

/// The tags of a structure.
#[derive(Clone, Debug)]
pub(super) enum TagKeys {
    /// A built-in set by name.
    Named(At<String>),
    /// One table for each tag, with the key `tag` among its words.
    List(Vec<FieldKeys>),
}

/// The keys of one `[[sensitive]]` or `[[structure]]` table.
#[derive(Clone, Debug, Default)]
pub(super) struct RuleKeys {
    pub(super) line: Option<usize>,
    pub(super) field: u8,
    pub(super) mti: Vec<At<String>>,
    pub(super) when: Option<(At<String>, Vec<String>)>,
    /// Of `[[sensitive]]`.
    pub(super) kind: Option<At<String>>,
    /// Of `[[structure]]`.
    pub(super) structure: StructureKeys,
}

impl DialectFile {
    /// This file's keys laid over those of the dialect it extends.
    pub(super) fn over(self, base: Self) -> Self {
        let mut merged = base.inherited();
        merged.name = self.name;
        merged.extends = None;
        merged.framing = self.framing.or(merged.framing);
        merged.encoding.extend(self.encoding);
        lay_over(&mut merged.fields, self.fields);
        // The first rule that holds decides, so the file's own come first.
        merged.sensitive = self.sensitive.into_iter().chain(merged.sensitive).collect();
        merged.structures = self.structures.into_iter().chain(merged.structures).collect();
        merged
    }

    /// The same keys without lines, which would be lines of another file.
    fn inherited(mut self) -> Self {
        self.framing.iter_mut().for_each(|framing| framing.line = None);
        forget_lines(&mut self.encoding);
        self.fields.values_mut().for_each(FieldKeys::forget_lines);
        for rule in self.sensitive.iter_mut().chain(&mut self.structures) {
            rule.line = None;
            rule.kind.iter_mut().for_each(|kind| kind.line = None);
            rule.mti.iter_mut().for_each(|mti| mti.line = None);
            rule.when.iter_mut().for_each(|(path, _)| path.line = None);
            rule.structure.forget_lines();
        }
        self
    }
}

fn lay_over(base: &mut Fields, own: Fields) {
    for (number, keys) in own {
        let field = base.entry(number).or_default();
        field.line = keys.line;
        // A structure divides a certain content, so a new format does not keep the old structure.
        if keys.words.contains_key("format") {
            field.structure = StructureKeys::default();
        }
        field.words.extend(keys.words);
        field.structure.replace(keys.structure);
    }
}

impl FieldKeys {
    fn forget_lines(&mut self) {
        self.line = None;
        forget_lines(&mut self.words);
        self.structure.forget_lines();
    }
}

impl StructureKeys {
    /// Whether the file says anything about a structure.
    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty() && self.parts.is_none() && self.tags.is_none() && self.fields.is_empty()
    }

    /// The file's own structure in place of the inherited one. Only the fields of a nested bitmap are
    /// laid over each other, as those of the message are.
    fn replace(&mut self, own: Self) {
        if own.is_empty() {
            return;
        }
        let same_bitmap = own.words.keys().all(|key| *key == "bitmap");
        if same_bitmap && own.parts.is_none() && own.tags.is_none() {
            self.words.extend(own.words);
            lay_over(&mut self.fields, own.fields);
        } else {
            *self = own;
        }
    }

    fn forget_lines(&mut self) {
        forget_lines(&mut self.words);
        self.parts.iter_mut().flatten().for_each(FieldKeys::forget_lines);
        match &mut self.tags {
            Some(TagKeys::Named(name)) => name.line = None,
            Some(TagKeys::List(tags)) => tags.iter_mut().for_each(FieldKeys::forget_lines),
            None => {}
        }
        self.fields.values_mut().for_each(FieldKeys::forget_lines);
    }
}

fn forget_lines(words: &mut Words) {
    words.values_mut().for_each(|word| word.line = None);
}

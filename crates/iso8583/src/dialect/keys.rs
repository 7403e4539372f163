//! From TOML text to the keys of a dialect file. Everything that is wrong with the shape of the text
//! is collected, each with its line, so that a person can mend a file in one go.

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::error::{DialectError, did_you_mean};
use super::file::{At, DialectFile, FieldKeys, Fields, RuleKeys, StructureKeys, TagKeys, Words};

/// The longest file, in bytes. The largest built-in one has about 20 000.
const MAX_FILE_BYTES: usize = 1 << 20;
/// Tags in a file, all structures together.
const MAX_TAGS: usize = 1000;
/// Parts of one field.
const MAX_PARTS: usize = 200;
/// `[[sensitive]]` and `[[structure]]` tables in a file.
const MAX_RULES: usize = 200;
/// Mistakes that are told: a file with more is no dialect file.
const MAX_ERRORS: usize = 100;
/// Fields within fields.
pub(super) const MAX_DEPTH: usize = 4;

const TOP: &[&str] = &["name", "extends", "framing", "encoding", "field", "sensitive", "structure"];
const ENCODING: &[&str] =
    &["mti", "bitmap", "bitmaps", "third_bitmap", "length", "digits", "variable_digits", "text", "binary"];
const FIELD: &[&str] =
    &["name", "format", "length", "unit", "digits", "pad", "text", "binary", "fill", "date", "sensitive"];
const PART: &[&str] = &["name", "format", "digits", "pad", "text", "binary", "date", "sensitive"];
const TAG: &[&str] = &["tag", "name", "format", "digits", "pad", "text", "binary", "date", "sensitive"];
const STRUCTURE_WORDS: &[&str] = &["structure", "length_counts", "unknown_tags", "bitmap"];
const STRUCTURE_NUMBERS: &[&str] = &["tag_size", "length_size"];
const STRUCTURE_OTHERS: &[&str] = &["parts", "tags", "field"];
const SENSITIVE: &[&str] = &["field", "mti", "when", "kind"];
const WHEN: &[&str] = &["path", "values"];

/// Reads the keys of a file.
pub(super) fn read(text: &str) -> Result<DialectFile, Vec<DialectError>> {
    if text.len() > MAX_FILE_BYTES {
        let reason = format!("the file has {} bytes and may have {MAX_FILE_BYTES}", text.len());
        return Err(vec![DialectError::new(None, None, reason)]);
    }
    let mut reader = Reader::new(text);
    let (table, broken) = DeTable::parse_recoverable(text);
    if !broken.is_empty() {
        for error in broken.into_iter().take(MAX_ERRORS) {
            let offset = error.span().map(|span| span.start);
            reader.errors.push(DialectError::new(
                offset.map(|offset| reader.line(offset)),
                offset.and_then(|offset| field_around(text, offset)),
                error.message().replace('\n', " "),
            ));
        }
        return Err(reader.errors);
    }
    let file = reader.file(table.get_ref());
    if reader.errors.is_empty() { Ok(file) } else { Err(reader.errors) }
}

/// Reads a file that holds only `tags`, such as the built-in sets.
pub(super) fn read_tags(text: &str) -> Result<Vec<FieldKeys>, Vec<DialectError>> {
    let table = DeTable::parse(text)
        .map_err(|error| vec![DialectError::new(None, None, error.message().to_owned())])?;
    let mut reader = Reader::new(text);
    let mut structure = StructureKeys::default();
    reader.structure(table.get_ref(), None, 0, &mut structure);
    match structure.tags {
        Some(TagKeys::List(tags)) if reader.errors.is_empty() => Ok(tags),
        _ => Err(reader.errors),
    }
}

struct Reader {
    /// Offsets at which lines end, ascending.
    newlines: Vec<usize>,
    tags_left: usize,
    errors: Vec<DialectError>,
}

type Value<'i> = Spanned<DeValue<'i>>;

impl Reader {
    fn new(text: &str) -> Self {
        let newlines =
            text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect();
        Self { newlines, tags_left: MAX_TAGS, errors: Vec::new() }
    }

    fn line(&self, offset: usize) -> usize {
        self.newlines.partition_point(|newline| *newline < offset) + 1
    }

    fn line_of<T>(&self, spanned: &Spanned<T>) -> Option<usize> {
        Some(self.line(spanned.span().start))
    }

    fn wrong(&mut self, line: Option<usize>, path: Option<&str>, reason: impl Into<String>) {
        self.push(DialectError::new(line, path.map(str::to_owned), reason));
    }

    fn push(&mut self, error: DialectError) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(error);
        }
    }

    fn file(&mut self, table: &DeTable<'_>) -> DialectFile {
        self.only(table, None, "", &[TOP]);
        let mut file = DialectFile::default();
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "name" => file.name = self.word(value, None, "name"),
                "extends" => file.extends = self.word(value, None, "extends"),
                "framing" => file.framing = self.word(value, None, "framing"),
                "encoding" => {
                    if let Some(table) = self.table(value, None, "encoding") {
                        self.only(table, None, " in [encoding]", &[ENCODING]);
                        self.words(table, None, ENCODING, &mut file.encoding);
                    }
                }
                "field" => file.fields = self.fields(value, None, 0),
                "sensitive" => file.sensitive = self.rules(value, "sensitive"),
                "structure" => file.structures = self.rules(value, "structure"),
                _ => {}
            }
        }
        file
    }

    fn fields(&mut self, value: &Value<'_>, above: Option<&str>, depth: usize) -> Fields {
        let mut fields = Fields::new();
        let Some(table) = self.table(value, above, "field") else {
            return fields;
        };
        for (number, value) in table {
            let number = number.get_ref().as_ref();
            let path = above.map_or_else(|| number.to_owned(), |above| format!("{above}.{number}"));
            let Some(table) = self.table(value, Some(&path), "field") else {
                continue;
            };
            let mut keys = self.field_like(table, &path, depth, FIELD);
            keys.line = self.line_of(value);
            fields.insert(number.to_owned(), keys);
        }
        fields
    }

    /// The keys of a field, a part or a tag.
    fn field_like(
        &mut self,
        table: &DeTable<'_>,
        path: &str,
        depth: usize,
        known: &'static [&'static str],
    ) -> FieldKeys {
        self.only(table, Some(path), "", &[known, STRUCTURE_WORDS, STRUCTURE_NUMBERS, STRUCTURE_OTHERS]);
        let mut keys = FieldKeys::default();
        self.words(table, Some(path), known, &mut keys.words);
        self.structure(table, Some(path), depth, &mut keys.structure);
        keys
    }

    fn structure(&mut self, table: &DeTable<'_>, path: Option<&str>, depth: usize, keys: &mut StructureKeys) {
        self.words(table, path, STRUCTURE_WORDS, &mut keys.words);
        for &key in STRUCTURE_NUMBERS {
            if let Some(value) = table.get(key)
                && let Some(number) = self.number(value, path, key)
            {
                keys.words.insert(key, number);
            }
        }
        let inner = STRUCTURE_OTHERS.iter().find_map(|key| table.get(*key));
        if let Some(inner) = inner
            && depth >= MAX_DEPTH
        {
            let reason = format!("fields may stand {MAX_DEPTH} deep within fields, not deeper");
            return self.wrong(self.line_of(inner), path, reason);
        }
        if let Some(value) = table.get("parts") {
            keys.parts = self.parts(value, path, depth);
        }
        keys.tags = match table.get("tags") {
            Some(value) if value.get_ref().is_array() => self.tags(value, path, depth).map(TagKeys::List),
            Some(value) => self.word(value, path, "tags").map(TagKeys::Named),
            None => None,
        };
        if let Some(value) = table.get("field")
            && path.is_some()
        {
            keys.fields = self.fields(value, path, depth + 1);
        }
    }

    fn parts(&mut self, value: &Value<'_>, path: Option<&str>, depth: usize) -> Option<Vec<FieldKeys>> {
        let array = self.array(value, path, "parts")?;
        if array.len() > MAX_PARTS {
            self.wrong(self.line_of(value), path, format!("there may be {MAX_PARTS} parts"));
            return None;
        }
        let mut parts = Vec::with_capacity(array.len());
        for (at, value) in array.iter().enumerate() {
            let path = format!("{}.{}", path.unwrap_or_default(), at + 1);
            if let Some(table) = self.table(value, Some(&path), "parts") {
                let mut keys = self.field_like(table, &path, depth + 1, PART);
                keys.line = self.line_of(value);
                parts.push(keys);
            }
        }
        Some(parts)
    }

    fn tags(&mut self, value: &Value<'_>, path: Option<&str>, depth: usize) -> Option<Vec<FieldKeys>> {
        let array = self.array(value, path, "tags")?;
        if array.len() > self.tags_left {
            self.wrong(self.line_of(value), path, format!("a file may name {MAX_TAGS} tags"));
            return None;
        }
        self.tags_left -= array.len();
        let mut tags = Vec::with_capacity(array.len());
        for (at, value) in array.iter().enumerate() {
            let tag = value.get_ref().get("tag").and_then(|tag| tag.get_ref().as_str());
            let step = tag.map_or_else(|| format!("tag {}", at + 1), str::to_owned);
            let path = format!("{}/{step}", path.unwrap_or_default());
            if let Some(table) = self.table(value, Some(&path), "tags") {
                let mut keys = self.field_like(table, &path, depth + 1, TAG);
                keys.line = self.line_of(value);
                tags.push(keys);
            }
        }
        Some(tags)
    }

    fn rules(&mut self, value: &Value<'_>, key: &'static str) -> Vec<RuleKeys> {
        let Some(array) = self.array(value, None, key) else {
            return Vec::new();
        };
        if array.len() > MAX_RULES {
            self.wrong(self.line_of(value), None, format!("there may be {MAX_RULES} [[{key}]] tables"));
            return Vec::new();
        }
        array.iter().filter_map(|value| self.rule(value, key)).collect()
    }

    fn rule(&mut self, value: &Value<'_>, key: &'static str) -> Option<RuleKeys> {
        let table = self.table(value, None, key)?;
        let line = self.line_of(value);
        let Some(field) = table.get("field") else {
            self.wrong(line, None, format!("a [[{key}]] table needs a `field`"));
            return None;
        };
        let number = self.number(field, None, "field")?;
        let Ok(number) = number.value.parse::<u8>() else {
            self.wrong(number.line, Some(&number.value), "fields are numbered 2 to 128");
            return None;
        };
        let path = number.to_string();
        let path = Some(path.as_str());
        let mut rule = RuleKeys { line, field: number, ..RuleKeys::default() };
        if key == "sensitive" {
            self.only(table, path, "", &[SENSITIVE]);
            rule.kind = table.get("kind").and_then(|kind| self.word(kind, path, "kind"));
        } else {
            let others = &[&["field", "mti", "when"], STRUCTURE_WORDS, STRUCTURE_NUMBERS, &["parts", "tags"]];
            self.only(table, path, "", others);
            // Here `field` is the number of the field that the rule is about.
            let mut own = table.clone();
            own.remove("field");
            self.structure(&own, path, 0, &mut rule.structure);
        }
        if let Some(mti) = table.get("mti") {
            rule.mti = self
                .array(mti, path, "mti")
                .map(|mtis| self.all_words(mtis, path, "mti"))
                .unwrap_or_default();
        }
        if let Some(when) = table.get("when") {
            rule.when = self.when(when, path);
        }
        Some(rule)
    }

    fn when(&mut self, value: &Value<'_>, path: Option<&str>) -> Option<(At<String>, Vec<String>)> {
        let table = self.table(value, path, "when")?;
        self.only(table, path, " in `when`", &[WHEN]);
        let (Some(asked), Some(values)) = (table.get("path"), table.get("values")) else {
            self.wrong(self.line_of(value), path, "`when` needs a `path` and `values`");
            return None;
        };
        let asked = self.word(asked, path, "path")?;
        let values = self.array(values, path, "values")?;
        let values = self.all_words(values, path, "values").into_iter().map(|value| value.value).collect();
        Some((asked, values))
    }

    /// Refuses keys that are not known.
    fn only(&mut self, table: &DeTable<'_>, path: Option<&str>, place: &str, known: &[&[&'static str]]) {
        for (key, _) in table {
            let name = key.get_ref().as_ref();
            if !known.iter().any(|known| known.contains(&name)) {
                let nearest = did_you_mean(name, known.iter().copied().flatten().copied());
                let known = known.iter().copied().flatten().copied().collect::<Vec<_>>().join(", ");
                let hint = if nearest.is_empty() { format!("; there are {known}") } else { nearest };
                self.wrong(self.line_of(key), path, format!("unknown key `{name}`{place}{hint}"));
            }
        }
    }

    fn words(
        &mut self,
        table: &DeTable<'_>,
        path: Option<&str>,
        known: &'static [&'static str],
        into: &mut Words,
    ) {
        for &key in known {
            if let Some(value) = table.get(key)
                && let Some(word) = self.word(value, path, key)
            {
                into.insert(key, word);
            }
        }
    }

    fn all_words(&mut self, array: &DeArray<'_>, path: Option<&str>, key: &'static str) -> Vec<At<String>> {
        array.iter().filter_map(|value| self.word(value, path, key)).collect()
    }

    fn word(&mut self, value: &Value<'_>, path: Option<&str>, key: &'static str) -> Option<At<String>> {
        match value.get_ref().as_str() {
            Some(word) => Some(At { value: word.to_owned(), line: self.line_of(value) }),
            None => self.not(value, path, key, "text in quotes"),
        }
    }

    fn number(&mut self, value: &Value<'_>, path: Option<&str>, key: &'static str) -> Option<At<String>> {
        match value.get_ref().as_integer() {
            Some(number) if number.radix() == 10 => {
                Some(At { value: number.as_str().to_owned(), line: self.line_of(value) })
            }
            _ => self.not(value, path, key, "a number"),
        }
    }

    fn table<'t, 'i>(
        &mut self,
        value: &'t Value<'i>,
        path: Option<&str>,
        key: &'static str,
    ) -> Option<&'t DeTable<'i>> {
        match value.get_ref().as_table() {
            Some(table) => Some(table),
            None => self.not(value, path, key, "a table"),
        }
    }

    fn array<'t, 'i>(
        &mut self,
        value: &'t Value<'i>,
        path: Option<&str>,
        key: &'static str,
    ) -> Option<&'t DeArray<'i>> {
        match value.get_ref().as_array() {
            Some(array) => Some(array),
            None => self.not(value, path, key, "a list"),
        }
    }

    fn not<T>(
        &mut self,
        value: &Value<'_>,
        path: Option<&str>,
        key: &'static str,
        wanted: &str,
    ) -> Option<T> {
        let reason = format!("`{key}` is {wanted}, and this is a TOML {}", value.get_ref().type_str());
        self.push(DialectError::new(self.line_of(value), path.map(str::to_owned), reason).key_of(key));
        None
    }
}

/// The field that an offset of the file is in, for errors of the TOML reader itself: on a line
/// `60 = { … }`, or below a header `[field.60]`.
fn field_around(text: &str, offset: usize) -> Option<String> {
    let start = text.get(..offset)?.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text.get(start..)?.lines().next()?;
    let number = line.trim_start().split_once('=').map(|(key, _)| key.trim());
    if let Some(number) =
        number.filter(|key| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit()))
    {
        return Some(number.to_owned());
    }
    let header = text.get(..start + line.len())?.lines().rfind(|line| line.starts_with('['))?;
    Some(header.strip_prefix("[field.")?.split_once(']')?.0.to_owned())
}

//! Which function a message has: the rules as bytes to look for.
//!
//! A selector is compiled to a place in one field and to the bits that change with the code, so that
//! classifying a message neither reads text nor allocates.

use iso8583::{Builder, Dialect, Message, Mti};

use super::{Rule, load::invalid};
use crate::error::ProfileError;

/// Longest code, in bytes on the wire.
const MAX_CODE_BYTES: usize = 16;
/// The field that names the file of a file message.
pub(super) const FILE_NAME: u8 = 101;

/// Where codes stand.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Selector {
    field: u8,
    /// Bytes of the field before the first that belongs to the code.
    skip: usize,
    /// Bits that belong to the code.
    mask: Vec<u8>,
    /// Whether the field holds nothing else.
    whole: bool,
}

/// The rules, compiled.
#[derive(Debug)]
pub(super) struct Table {
    selectors: Vec<Selector>,
    /// In ascending order.
    groups: Vec<Group>,
    /// Selector and codes of each rule, in the order of the rules.
    rules: Vec<(usize, Vec<u128>)>,
    /// Contents of DE101 that belong to each rule.
    files: Vec<Vec<Vec<u8>>>,
}

/// The rules of one message type that look at the same place.
#[derive(Debug)]
struct Group {
    mti: Mti,
    selector: usize,
    /// In ascending order of keys.
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    key: u128,
    rule: usize,
    code: usize,
}

/// What a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Places of a rule and of one of its codes.
    Rule(usize, usize),
    /// Without this field nobody can tell.
    Lacks(u8),
    /// None of the profile's.
    Nothing,
}

impl Table {
    /// # Errors
    /// Names the rule whose code its field cannot hold, or that is not told apart from another.
    pub(super) fn compile(
        dialect: &Dialect,
        template: Option<(u8, &str)>,
        rules: &[Rule],
    ) -> Result<Self, ProfileError> {
        let mut table =
            Self { selectors: Vec::new(), groups: Vec::new(), rules: Vec::new(), files: Vec::new() };
        for (index, rule) in rules.iter().enumerate() {
            let place = format!("function {}", rule.function.name());
            let at = Place { dialect, template, rule, place: &place };
            let mut selector = None;
            let mut keys = Vec::with_capacity(rule.codes.len());
            for code in &rule.codes {
                let (found, key) = at.code(code)?;
                if selector.as_ref().is_some_and(|known| *known != found) {
                    return Err(invalid(&place, format!("code \"{code}\" is not as long as the others")));
                }
                selector = Some(found);
                keys.push(key);
            }
            let selector = selector.ok_or_else(|| invalid(&place, "needs at least one code".into()))?;
            let selector = table.selector(selector);
            table.files.push(at.files()?);
            for mti in std::iter::once(&rule.mti).chain(&rule.also) {
                for (code, key) in keys.iter().enumerate() {
                    table.insert(*mti, selector, Row { key: *key, rule: index, code }, rules)?;
                }
            }
            table.rules.push((selector, keys));
        }
        table.groups.sort_by_key(|group| (group.mti, group.selector));
        Ok(table)
    }

    /// What a request is.
    pub(super) fn find(&self, message: &Message<'_>) -> Found {
        let mti = message.mti().without_repeat();
        let first = self.groups.partition_point(|group| group.mti < mti);
        let groups = self.groups.get(first..).unwrap_or_default();
        let mut lacks = None;
        let mut selected = false;
        for group in groups.iter().take_while(|group| group.mti == mti) {
            let Some(selector) = self.selectors.get(group.selector) else { continue };
            if !message.has(selector.field) {
                lacks = lacks.or(Some(selector.field));
                continue;
            }
            selected = true;
            let Some(key) = selector.key(message) else { continue };
            let from = group.rows.partition_point(|row| row.key < key);
            for row in group.rows.get(from..).unwrap_or_default().iter().take_while(|row| row.key == key) {
                if self.names_file(row.rule, message) {
                    return Found::Rule(row.rule, row.code);
                }
                if !message.has(FILE_NAME) {
                    return Found::Lacks(FILE_NAME);
                }
            }
        }
        lacks.filter(|_| !selected).map_or(Found::Nothing, Found::Lacks)
    }

    /// Whether a message has this code of this rule; `None` when it has nothing in its place, or a field that
    /// ends before it.
    pub(super) fn has_code(&self, rule: usize, code: usize, message: &Message<'_>) -> Option<bool> {
        let (selector, keys) = self.rules.get(rule)?;
        let selector = self.selectors.get(*selector)?;
        match selector.key(message) {
            Some(key) => Some(keys.get(code) == Some(&key)),
            None => (selector.whole && message.has(selector.field)).then_some(false),
        }
    }

    fn names_file(&self, rule: usize, message: &Message<'_>) -> bool {
        let files = self.files.get(rule).map(Vec::as_slice).unwrap_or_default();
        let named = || message.bytes(FILE_NAME);
        files.is_empty() || named().is_some_and(|name| files.iter().any(|file| file == name))
    }

    fn selector(&mut self, selector: Selector) -> usize {
        let known = self.selectors.iter().position(|other| *other == selector);
        known.unwrap_or_else(|| {
            self.selectors.push(selector);
            self.selectors.len().saturating_sub(1)
        })
    }

    fn insert(&mut self, mti: Mti, selector: usize, row: Row, rules: &[Rule]) -> Result<(), ProfileError> {
        let known = self.groups.iter().position(|group| group.mti == mti && group.selector == selector);
        let at = known.unwrap_or(self.groups.len());
        if known.is_none() {
            self.groups.push(Group { mti, selector, rows: Vec::new() });
        }
        let Some(group) = self.groups.get_mut(at) else { return Ok(()) };
        for other in group.rows.iter().filter(|other| other.key == row.key) {
            let of = |row: &Row| self.files.get(row.rule).map(Vec::as_slice).unwrap_or_default();
            let (files, others) = (of(&row), of(other));
            if files.is_empty() || others.is_empty() || files.iter().any(|file| others.contains(file)) {
                let name = |row: &Row| rules.get(row.rule).map_or("", |rule| rule.function.name());
                return Err(invalid(
                    &format!("function {}", name(&row)),
                    format!("has the same MTI and code as {}", name(other)),
                ));
            }
        }
        let place = group.rows.partition_point(|other| other.key < row.key);
        group.rows.insert(place, row);
        Ok(())
    }
}

impl Selector {
    /// The bits of the code; `None` when the field is shorter, or longer where it holds nothing else.
    fn key(&self, message: &Message<'_>) -> Option<u128> {
        let content = message.bytes(self.field)?;
        let found = content.get(self.skip..)?.get(..self.mask.len())?;
        let rest = content.len().saturating_sub(self.skip).saturating_sub(found.len());
        (!self.whole || rest == 0).then(|| masked(found, &self.mask))
    }
}

fn masked(bytes: &[u8], mask: &[u8]) -> u128 {
    bytes.iter().zip(mask).fold(0, |key, (byte, mask)| (key << 8) | u128::from(byte & mask))
}

/// One rule's codes in the dialect.
struct Place<'a> {
    dialect: &'a Dialect,
    template: Option<(u8, &'a str)>,
    rule: &'a Rule,
    place: &'a str,
}

impl Place<'_> {
    /// Where a code stands, and its bits.
    fn code(&self, code: &str) -> Result<(Selector, u128), ProfileError> {
        let select = &self.rule.select;
        let field = select.split(['.', '/']).next().and_then(|n| n.parse().ok());
        let Some(field) = field.filter(|n| self.dialect.field(*n).is_some()) else {
            let name = self.dialect.name();
            return Err(self.wrong(format!("select = \"{select}\" is no field of dialect {name}")));
        };
        let templated = self.template.is_some_and(|(of, _)| of == field);
        if !templated && field.to_string() != *select {
            return Err(self.wrong(format!(
                "select = \"{select}\" is a part of DE{field}, and [selector_template] does not say how to fill the rest"
            )));
        }
        let content = self.content(field, code, templated)?;
        if !templated {
            let mask = vec![0xFF; content.len()];
            return self.checked(Selector { field, skip: 0, mask, whole: true }, &content, code);
        }
        if !code.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(self.wrong(format!("code \"{code}\" is no number")));
        }
        // The bits that differ between codes of every digit are those of the code.
        let mut bits = vec![0; content.len()];
        let zeros = self.content(field, &"0".repeat(code.len()), true)?;
        for digit in ["1", "2", "4", "8"] {
            let other = self.content(field, &digit.repeat(code.len()), true)?;
            for (bits, (one, other)) in bits.iter_mut().zip(zeros.iter().zip(&other)) {
                *bits |= one ^ other;
            }
        }
        let skip = bits.iter().take_while(|bits| **bits == 0).count();
        let end = bits.len().saturating_sub(bits.iter().rev().take_while(|bits| **bits == 0).count());
        let mask = bits.get(skip..end).unwrap_or_default().to_vec();
        let own = content.get(skip..end).unwrap_or_default();
        self.checked(Selector { field, skip, mask, whole: false }, own, code)
    }

    fn checked(
        &self,
        selector: Selector,
        content: &[u8],
        code: &str,
    ) -> Result<(Selector, u128), ProfileError> {
        if selector.mask.is_empty() || selector.mask.len() > MAX_CODE_BYTES {
            return Err(self.wrong(format!("code \"{code}\" must be 1 to {MAX_CODE_BYTES} bytes")));
        }
        let key = masked(content, &selector.mask);
        Ok((selector, key))
    }

    /// A field's content in a request with this code, which must read back.
    fn content(&self, field: u8, code: &str, templated: bool) -> Result<Vec<u8>, ProfileError> {
        let value = match self.template.filter(|_| templated) {
            Some((_, template)) => template.replace("{batch}", "000000").replace("{code}", code),
            None => code.to_owned(),
        };
        let mut builder = Builder::new(self.dialect, self.rule.mti);
        let built = builder.set(field, &value).and_then(|builder| builder.build());
        let read = built.ok().and_then(|bytes| {
            let message = Message::parse(self.dialect, &bytes).ok()?;
            let reads = message.text(&self.rule.select).as_deref() == Some(code);
            reads.then(|| message.bytes(field).map(<[u8]>::to_vec))?
        });
        read.ok_or_else(|| {
            let shape = self.dialect.field(field).map(iso8583::FieldFormat::notation).unwrap_or_default();
            let (select, dialect) = (&self.rule.select, self.dialect.name());
            self.wrong(format!("code \"{code}\" does not fit DE{select} ({shape}) of dialect {dialect}"))
        })
    }

    /// What DE101 has on the wire for each of the rule's files.
    fn files(&self) -> Result<Vec<Vec<u8>>, ProfileError> {
        let mut files = Vec::with_capacity(self.rule.files.len());
        for name in &self.rule.files {
            let mut builder = Builder::new(self.dialect, self.rule.mti);
            let built = builder.set(FILE_NAME, name).and_then(|builder| builder.build());
            let read = built.ok().and_then(|bytes| {
                let message = Message::parse(self.dialect, &bytes).ok()?;
                let reads = message.text("101").as_deref() == Some(name.as_str());
                reads.then(|| message.bytes(FILE_NAME).map(<[u8]>::to_vec))?
            });
            files.push(read.ok_or_else(|| self.wrong(format!("file \"{name}\" does not fit DE101")))?);
        }
        if !files.is_empty() && !self.rule.request.always(FILE_NAME) {
            return Err(self.wrong("has files, so its request must list DE101 under m".into()));
        }
        Ok(files)
    }

    fn wrong(&self, reason: String) -> ProfileError {
        invalid(self.place, reason)
    }
}

//! Profiles: one set of management functions, mapped to the wire by a table.
//!
//! A profile is a TOML file ([`Profile::from_toml`]); `unionpay`, `iso87` and `iso93` are built in and
//! are the same kind of file (`profiles/*.toml` of this crate). What acquirers vary (function codes,
//! 处理要求 digits, response codes, which fields are mandatory) is data in it.

mod check;
mod file;
mod load;
mod mac;
mod refusal;
mod response;
mod rule;
mod table;
mod terms;
#[cfg(test)]
mod tests;

use std::str::FromStr;

use iso8583::{Dialect, Message, framing::Framing};

use tms_crypto::mac::MacKey;

use crate::{
    emv::Forms,
    error::{ProfileError, ProtocolError},
};

pub use file::KeyRule;
pub use mac::{MacKeySource, MacReplies, MacRule, MacRules};
pub use refusal::{Refusal, Remedy};
pub use rule::{BodyLayout, Direction, Fields, Rule, TagPad, TagPlace, TagRule};
pub use terms::{Function, PendingWork};

pub(crate) use file::Piece;
use file::{PlaceName, ProfileFile};
use load::invalid;
use response::Responses;
pub(crate) use rule::TagKey;
use table::{Found, Table};

/// Name and text of the built-in profiles.
const BUILT_IN: [(&str, &str); 3] = [
    ("unionpay", include_str!("../../profiles/unionpay.toml")),
    ("iso87", include_str!("../../profiles/iso87.toml")),
    ("iso93", include_str!("../../profiles/iso93.toml")),
];

/// A validated profile.
#[derive(Debug)]
pub struct Profile {
    file: ProfileFile,
    framing: Framing,
    dialect: &'static Dialect,
    rules: Vec<Rule>,
    /// Place in `rules` of every function, in the order of [`Function::ALL`].
    by_function: Vec<Option<usize>>,
    table: Table,
    responses: Vec<(String, Responses)>,
    /// Place in `responses` of every rule.
    responses_of: Vec<usize>,
    data_room: usize,
    /// The tag tables of parameters and of status.
    tags: [Box<[TagKey]>; 2],
    /// The selector's template, cut into pieces.
    selector: Option<(u8, Box<[Piece]>)>,
}

/// A request's function, and which of its codes it has.
#[derive(Debug, Clone, Copy)]
pub struct Classified<'a> {
    /// The function's row.
    pub rule: &'a Rule,
    /// Place of the code in [`Rule::codes`].
    pub code: usize,
}

impl<'a> Classified<'a> {
    /// The code as the table writes it.
    #[must_use]
    pub fn code(&self) -> &'a str {
        self.rule.codes.get(self.code).map_or("", String::as_str)
    }
}

impl Profile {
    /// A built-in profile: `unionpay`, `iso87` or `iso93`.
    #[must_use]
    pub fn builtin(name: &str) -> Option<Self> {
        Self::from_toml(Self::builtin_toml(name)?).ok()
    }

    /// Names of the built-in profiles.
    #[must_use]
    pub fn builtin_names() -> &'static [&'static str] {
        &["unionpay", "iso87", "iso93"]
    }

    /// The file of a built-in profile.
    #[must_use]
    pub fn builtin_toml(name: &str) -> Option<&'static str> {
        BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
    }

    /// Reads a profile file. One that says `extends = "unionpay"` holds only what differs from that
    /// built-in profile: tables are merged key by key, lists and values replaced.
    ///
    /// # Errors
    /// Names the line of a TOML fault or an unknown key, or the table that contradicts itself.
    pub fn from_toml(text: &str) -> Result<Self, ProfileError> {
        let mut file = load::read(text)?;
        let dialect = Dialect::builtin(&file.dialect).ok_or_else(|| {
            let known = Dialect::builtin_names().join(", ");
            invalid("dialect", format!("'{}' is unknown; known are {known}", file.dialect))
        })?;
        let framing = Framing::from_str(&file.framing).map_err(|e| invalid("framing", e.to_string()))?;
        check::pending(&file.pending, dialect)?;
        check::others(&file, dialect)?;
        let mut rules = Vec::with_capacity(file.function.len());
        for (function, rule) in file.function.iter().filter(|(f, _)| !file.without.contains(f)) {
            rules.push(rule.validate(*function, dialect)?);
        }
        let template = file.selector_template.as_ref().map(|t| (t.field, t.template.as_str()));
        let table = Table::compile(dialect, template, &rules)?;
        if let Some(mac) = &mut file.mac {
            let other_fields: Vec<u8> = file
                .data_fields
                .iter()
                .copied()
                .chain([file.body_field])
                .chain(template.map(|(field, _)| field))
                .chain(file.pending.field)
                .collect();
            mac.resolve(dialect, &rules, &other_fields)?;
        }
        let data_room = check::data_room(&file, dialect)?;
        let refused = file.mac.as_ref().map(MacRules::refused);
        let responses = response::compile(&file.response, &file.responses, refused, dialect)?;
        let mut responses_of = Vec::with_capacity(rules.len());
        for rule in &rules {
            let name = rule.responses.as_deref().unwrap_or_default();
            let place = responses.iter().position(|(known, _)| known == name).ok_or_else(|| {
                let reason = format!("there is no [responses.{name}]");
                invalid(&format!("function {}", rule.function.name()), reason)
            })?;
            responses_of.push(place);
        }
        let by_function = Function::ALL
            .iter()
            .map(|function| rules.iter().position(|rule| rule.function == *function))
            .collect();
        let tags = [TagPlace::Parameters, TagPlace::Status].map(|place| TagKey::all(&file.tag, place));
        let selector = file.selector_template.as_ref().map(|t| (t.field, t.pieces()));
        Ok(Self {
            file,
            framing,
            dialect,
            rules,
            by_function,
            table,
            responses,
            responses_of,
            data_room,
            tags,
            selector,
        })
    }

    /// The profile's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.file.name
    }

    /// The dialect of its messages.
    #[must_use]
    pub fn dialect(&self) -> &'static Dialect {
        self.dialect
    }

    /// Framing that a listener uses unless it is configured otherwise.
    #[must_use]
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Whether messages need the framing's header, because replies announce waiting work there.
    #[must_use]
    pub fn needs_header(&self) -> bool {
        matches!(self.pending_place(), PendingPlace::Header)
    }

    /// Whether the host may send requests on an open session.
    #[must_use]
    pub fn pushes(&self) -> bool {
        self.file.push
    }

    /// Largest block of a file in one message, in bytes.
    #[must_use]
    pub fn block_bytes(&self) -> u32 {
        self.file.block_bytes
    }

    /// Most bytes that the data fields of one message hold.
    #[must_use]
    pub fn data_bytes(&self) -> usize {
        self.file.data_fields.len().saturating_mul(self.data_room)
    }

    /// How the bodies of EMV and TMS parameter downloads are written.
    #[must_use]
    pub fn downloads(&self) -> &Forms {
        &self.file.download
    }

    /// The wire form of a function, if the profile has one.
    #[must_use]
    pub fn rule(&self, function: Function) -> Option<&Rule> {
        self.rules.get(self.place(function)?)
    }

    /// Every function that the profile has.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }

    /// Place of a function in `rules`. [`Function::ALL`] is in the order of the variants.
    fn place(&self, function: Function) -> Option<usize> {
        self.by_function.get(function as usize).copied().flatten()
    }

    /// The fixed-length tags of a message, in wire order.
    pub fn tags(&self, place: TagPlace) -> impl Iterator<Item = &TagRule> {
        self.file.tag.iter().filter(move |t| t.place.contains(&place))
    }

    /// The fixed-length tags of a message as a reader looks for them, in wire order.
    pub(crate) fn tag_keys(&self, place: TagPlace) -> &[TagKey] {
        let [parameters, status] = &self.tags;
        match place {
            TagPlace::Parameters => parameters,
            TagPlace::Status => status,
        }
    }

    /// The rule that a key stands for.
    pub(crate) fn tag_rule(&self, key: TagKey) -> Option<&TagRule> {
        self.file.tag.get(key.rule)
    }

    /// Which messages carry a MAC; `None` when the profile has no `[mac]` section.
    #[must_use]
    pub fn mac(&self) -> Option<&MacRules> {
        self.file.mac.as_ref()
    }

    /// When terminals ask for new working keys by themselves; `None` when they never do.
    #[must_use]
    pub fn keys(&self) -> Option<KeyRule> {
        self.file.keys
    }

    /// A MAC key that both sides were given beforehand.
    ///
    /// # Errors
    /// When the profile takes none, or the bytes are none for its algorithm.
    pub fn static_mac_key(&self, key: &[u8]) -> Result<MacKey, ProtocolError> {
        let mac = self.mac().filter(|mac| mac.key_source() == MacKeySource::Static);
        Ok(MacKey::new(mac.ok_or(ProtocolError::NoStaticMacKey)?.algorithm(), key)?)
    }

    /// Whether nothing protected can be sent or acted on without [`Profile::static_mac_key`].
    #[must_use]
    pub fn needs_static_mac_key(&self) -> bool {
        self.mac().is_some_and(|mac| {
            mac.key_source() == MacKeySource::Static
                && self.rules.iter().any(|rule| mac.request(rule.function) == MacRule::Required)
        })
    }

    /// The function of a request, by MTI (repeat or not) and selector value. Allocates nothing.
    #[must_use]
    pub fn classify(&self, message: &Message<'_>) -> Option<&Rule> {
        self.identify(message).map(|found| found.rule)
    }

    /// The function of a request and which of its codes it has. Allocates nothing.
    #[must_use]
    pub fn identify(&self, message: &Message<'_>) -> Option<Classified<'_>> {
        match self.table.find(message) {
            Found::Rule(rule, code) => Some(Classified { rule: self.rules.get(rule)?, code }),
            Found::Lacks(_) | Found::Nothing => None,
        }
    }

    /// The data element that would tell which function a message has, when its type needs one and
    /// the message has none.
    pub(crate) fn missing_selector(&self, message: &Message<'_>) -> Option<u8> {
        match self.table.find(message) {
            Found::Lacks(field) => Some(field),
            Found::Rule(..) | Found::Nothing => None,
        }
    }

    /// Whether a message has code number `code` of a function, counted as in [`Rule::codes`]; `None` when
    /// there is nothing in its place, its field ends before it, or there is no such function. Allocates nothing.
    #[must_use]
    pub fn has_code(&self, function: Function, code: usize, message: &Message<'_>) -> Option<bool> {
        self.table.has_code(self.place(function)?, code, message)
    }

    /// DE39 of an approval, unless a function has its own: [`Profile::approval`].
    #[must_use]
    pub fn approved(&self) -> &str {
        self.responses.first().map_or("", |(_, set)| set.approved())
    }

    /// DE39 of an approval of `function`.
    #[must_use]
    pub fn approval(&self, function: Function) -> &str {
        self.responses_to(Some(function)).map_or("", Responses::approved)
    }

    /// DE39 of a refusal of a message of no known function.
    #[must_use]
    pub fn code(&self, refusal: Refusal) -> &str {
        self.responses_to(None).map_or("", |set| set.code(refusal))
    }

    /// DE39 of a refusal of `function`.
    #[must_use]
    pub fn code_of(&self, function: Function, refusal: Refusal) -> &str {
        self.responses_to(Some(function)).map_or("", |set| set.code(refusal))
    }

    /// What a DE39 value means in a reply to a message of no known function; `None` when it is the
    /// approval.
    #[must_use]
    pub fn refusal(&self, code: &str) -> Option<Refusal> {
        self.responses_to(None).map_or(Some(Refusal::Other), |set| set.read(code))
    }

    /// What a reply to `function` says: `None` when it approves. One without DE39 approves where the
    /// table lists none (unionpay.md §4.10), and is malformed elsewhere.
    #[must_use]
    pub fn outcome(&self, function: Function, code: Option<&str>) -> Option<Refusal> {
        match code {
            Some(code) => {
                self.responses_to(Some(function)).map_or(Some(Refusal::Other), |set| set.read(code))
            }
            None => {
                let needed = self.rule(function).is_none_or(|rule| rule.reply.lists(39));
                needed.then_some(Refusal::FormatError)
            }
        }
    }

    /// Name and codes of each kind of reply, that of `[response]` (without a name) first: what each code
    /// means (`None`: approved), and how it is written and read.
    pub fn response_codes(
        &self,
    ) -> impl Iterator<Item = (&str, impl Iterator<Item = (Option<Refusal>, &[String])>)> {
        self.responses.iter().map(|(name, set)| (name.as_str(), set.all()))
    }

    fn responses_to(&self, function: Option<Function>) -> Option<&Responses> {
        let own = function.and_then(|function| self.responses_of.get(self.place(function)?).copied());
        self.responses.get(own.unwrap_or(0)).map(|(_, set)| set)
    }

    /// Where replies announce waiting work.
    pub(crate) fn pending_place(&self) -> PendingPlace {
        match (self.file.pending.place, self.file.pending.field) {
            (PlaceName::Field, Some(field)) => PendingPlace::Field(field),
            _ => PendingPlace::Header,
        }
    }

    /// The digit that announces `work`, if the profile has one.
    #[must_use]
    pub fn pending_digit(&self, work: PendingWork) -> Option<u8> {
        self.file.pending.work.get(&work).copied()
    }

    /// The work that a digit announces, if the profile gives it a meaning.
    #[must_use]
    pub fn pending_work(&self, digit: u8) -> Option<PendingWork> {
        self.file.pending.work.iter().find(|(_, d)| **d == digit).map(|(work, _)| *work)
    }

    pub(crate) fn utc_offset_minutes(&self) -> i32 {
        self.file.utc_offset_minutes
    }

    pub(crate) fn selector_pieces(&self, field: u8) -> Option<&[Piece]> {
        self.selector.as_ref().filter(|(place, _)| *place == field).map(|(_, pieces)| &**pieces)
    }

    pub(crate) fn selector_template(&self) -> Option<(u8, &str)> {
        self.file.selector_template.as_ref().map(|t| (t.field, t.template.as_str()))
    }

    /// The field of bodies.
    #[must_use]
    pub fn body_field(&self) -> u8 {
        self.file.body_field
    }

    pub(crate) fn data_fields(&self) -> &[u8] {
        &self.file.data_fields
    }

    /// Bytes that each of the data fields holds.
    pub(crate) fn data_room(&self) -> usize {
        self.data_room
    }
}

pub(crate) enum PendingPlace {
    Header,
    Field(u8),
}

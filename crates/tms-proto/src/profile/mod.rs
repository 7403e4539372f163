//! Profiles: one set of management functions, mapped to the wire by a table.
//!
//! A profile is a TOML file ([`Profile::from_toml`]); `unionpay` and `iso87` are built in and are
//! the same kind of file (`profiles/*.toml` of this crate). What acquirers vary (function codes,
//! 处理要求 digits, response codes, which fields are mandatory) is data in it.

mod file;
mod mac;
mod rule;
mod terms;

use std::str::FromStr;

use iso8583::{Dialect, Message, framing::Framing};

use tms_crypto::mac::MacKey;

use crate::error::{ProfileError, ProtocolError};

pub use mac::{MacKeySource, MacReplies, MacRule, MacRules};
pub use rule::{BodyLayout, Direction, Fields, Rule, TagPad, TagPlace, TagRule};
pub use terms::{Function, PendingWork, Refusal};

use file::{PlaceName, ProfileFile, invalid};

const UNIONPAY: &str = include_str!("../../profiles/unionpay.toml");
const ISO87: &str = include_str!("../../profiles/iso87.toml");

/// A validated profile.
#[derive(Debug)]
pub struct Profile {
    file: ProfileFile,
    framing: Framing,
    dialect: &'static Dialect,
    rules: Vec<Rule>,
}

impl Profile {
    /// A built-in profile: `unionpay` or `iso87`.
    #[must_use]
    pub fn builtin(name: &str) -> Option<Self> {
        let text = match name {
            "unionpay" => UNIONPAY,
            "iso87" => ISO87,
            _ => return None,
        };
        Self::from_toml(text).ok()
    }

    /// Names of the built-in profiles.
    #[must_use]
    pub fn builtin_names() -> &'static [&'static str] {
        &["unionpay", "iso87"]
    }

    /// Reads a profile file.
    ///
    /// # Errors
    /// Names the line of a TOML fault or an unknown key, or the table that contradicts itself.
    pub fn from_toml(text: &str) -> Result<Self, ProfileError> {
        let file: ProfileFile = toml::from_str(text).map_err(|e| ProfileError::Toml(Box::new(e)))?;
        let dialect = Dialect::builtin(&file.dialect).ok_or_else(|| {
            invalid(
                "dialect",
                format!("'{}' is unknown; known are {}", file.dialect, Dialect::builtin_names().join(", ")),
            )
        })?;
        let framing = Framing::from_str(&file.framing).map_err(|e| invalid("framing", e.to_string()))?;
        let mut rules = Vec::with_capacity(file.function.len());
        for (function, rule) in &file.function {
            rules.push(rule.validate(*function, dialect)?);
        }
        for (index, rule) in rules.iter().enumerate() {
            let clash = rules.iter().skip(index.saturating_add(1)).find(|other| {
                other.mti == rule.mti
                    && other.select == rule.select
                    && other.codes.iter().any(|c| rule.codes.contains(c))
                    && (other.files.is_empty()
                        || rule.files.is_empty()
                        || other.files.iter().any(|f| rule.files.contains(f)))
            });
            if let Some(other) = clash {
                return Err(invalid(
                    &format!("function {}", other.function),
                    format!("has the same MTI and code as {}", rule.function),
                ));
            }
        }
        for n in file.data_fields.iter().chain([&file.body_field]) {
            if dialect.field(*n).is_none() {
                return Err(invalid("data_fields", format!("DE{n} is not in dialect {}", file.dialect)));
            }
        }
        let room = file.data_fields.len().saturating_mul(crate::message::FIELD_ROOM_BYTES);
        if file.block_bytes == 0 || file.block_bytes as usize > room {
            return Err(invalid("block_bytes", format!("must be 1 to {room}, what the data fields hold")));
        }
        for tag in &file.tag {
            if tag.tag.len() != 2 || !tag.tag.bytes().all(|b| b.is_ascii_digit()) {
                return Err(invalid(&format!("tag {}", tag.tag), "must be two digits".into()));
            }
        }
        if let Some(mac) = &file.mac {
            let template = file.selector_template.iter().map(|t| t.field);
            let other_fields: Vec<u8> = file
                .data_fields
                .iter()
                .copied()
                .chain([file.body_field])
                .chain(template)
                .chain(file.pending.field)
                .collect();
            mac.validate(dialect, &rules, &other_fields)?;
        }
        file.response.validate(file.mac.as_ref().map(MacRules::refused), dialect)?;
        let profile = Self { file, framing, dialect, rules };
        if let Some(mac) = profile.mac() {
            let means = profile.refusal(mac.refused());
            if means != Some(Refusal::MacWrong) {
                let reason = format!("refused = \"{}\" means something else in [response]", mac.refused());
                return Err(invalid("mac", reason));
            }
        }
        Ok(profile)
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

    /// The wire form of a function, if the profile has one.
    #[must_use]
    pub fn rule(&self, function: Function) -> Option<&Rule> {
        self.rules.iter().find(|r| r.function == function)
    }

    /// The fixed-length tags of a message, in wire order.
    pub fn tags(&self, place: TagPlace) -> impl Iterator<Item = &TagRule> {
        self.file.tag.iter().filter(move |t| t.place.contains(&place))
    }

    /// The whole tag table, in wire order.
    pub(crate) fn tag_rules(&self) -> &[TagRule] {
        &self.file.tag
    }

    /// Which messages carry a MAC; `None` when the profile has no `[mac]` section.
    #[must_use]
    pub fn mac(&self) -> Option<&MacRules> {
        self.file.mac.as_ref()
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

    /// The function of a request, by MTI (repeat or not) and selector value.
    #[must_use]
    pub fn classify(&self, message: &Message<'_>) -> Option<&Rule> {
        let mti = message.mti().without_repeat();
        self.rules.iter().find(|rule| {
            rule.mti == mti
                && !crate::message::code(message, rule).is_empty()
                && (rule.files.is_empty()
                    || message.text("101").is_some_and(|file| rule.files.iter().any(|f| *f == file)))
        })
    }

    /// The data element that would tell which function a message has, when its type needs one and
    /// the message has none.
    pub(crate) fn missing_selector(&self, message: &Message<'_>) -> Option<u8> {
        let mti = message.mti().without_repeat();
        let mut selectors = self
            .rules
            .iter()
            .filter(|rule| rule.mti == mti)
            .filter_map(|rule| rule.select.split('.').next()?.parse().ok());
        let first = selectors.next()?;
        let present = message.has(first) || selectors.any(|field| message.has(field));
        (!present).then_some(first)
    }

    /// DE39 of an approval, unless a function has its own: [`Profile::approval`].
    #[must_use]
    pub fn approved(&self) -> &str {
        &self.file.response.approved
    }

    /// DE39 of an approval of `function`.
    #[must_use]
    pub fn approval(&self, function: Function) -> &str {
        let own = self.rule(function).and_then(|rule| rule.approved.as_deref());
        own.unwrap_or(&self.file.response.approved)
    }

    /// What a reply to `function` says: `None` when it approves. One without DE39 approves where the
    /// table lists none (unionpay.md §4.10), and is malformed elsewhere.
    #[must_use]
    pub fn outcome(&self, function: Function, code: Option<&str>) -> Option<Refusal> {
        let rule = self.rule(function);
        match code {
            Some(code) if code == self.approval(function) => None,
            // The approval of another function says nothing about this one.
            Some(code) => Some(self.refusal(code).unwrap_or(Refusal::Other)),
            None => rule.is_none_or(|rule| rule.reply.lists(39)).then_some(Refusal::FormatError),
        }
    }

    /// DE39 of a refusal.
    #[must_use]
    pub fn code(&self, refusal: Refusal) -> &str {
        let r = &self.file.response;
        match refusal {
            Refusal::InvalidTerminal => &r.invalid_terminal,
            Refusal::NotPermitted => &r.not_permitted,
            Refusal::FormatError => &r.format_error,
            Refusal::NotSupported => &r.not_supported,
            Refusal::NotFound => &r.not_found,
            Refusal::OutOfRange => &r.out_of_range,
            Refusal::Busy => &r.busy,
            Refusal::MacWrong => self.mac().map_or(&r.system_error, MacRules::refused),
            Refusal::SystemError | Refusal::Other => &r.system_error,
        }
    }

    /// The refusal that a DE39 value means; `None` when it is the approval.
    #[must_use]
    pub fn refusal(&self, code: &str) -> Option<Refusal> {
        let r = &self.file.response;
        let known = [
            (&r.invalid_terminal, Refusal::InvalidTerminal),
            (&r.not_permitted, Refusal::NotPermitted),
            (&r.format_error, Refusal::FormatError),
            (&r.not_supported, Refusal::NotSupported),
            (&r.not_found, Refusal::NotFound),
            (&r.out_of_range, Refusal::OutOfRange),
            (&r.busy, Refusal::Busy),
            (&r.system_error, Refusal::SystemError),
        ];
        if code == r.approved {
            return None;
        }
        if let Some((_, refusal)) = known.iter().find(|(c, _)| *c == code) {
            return Some(*refusal);
        }
        let mac_wrong = self.mac().is_some_and(|mac| mac.refused() == code);
        Some(if mac_wrong { Refusal::MacWrong } else { Refusal::Other })
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

    pub(crate) fn selector_template(&self) -> Option<(u8, &str)> {
        self.file.selector_template.as_ref().map(|t| (t.field, t.template.as_str()))
    }

    pub(crate) fn body_field(&self) -> u8 {
        self.file.body_field
    }

    pub(crate) fn data_fields(&self) -> &[u8] {
        &self.file.data_fields
    }
}

pub(crate) enum PendingPlace {
    Header,
    Field(u8),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_profile_loads() {
        for name in Profile::builtin_names() {
            let profile = Profile::builtin(name).unwrap();
            assert_eq!(profile.name(), *name);
        }
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let text = ISO87.replace("push = true", "push = true\npusch = true");
        let error = Profile::from_toml(&text).unwrap_err().to_string();
        assert!(error.contains("pusch") && error.contains("line"), "{error}");
    }

    #[test]
    fn two_functions_with_one_code_are_refused() {
        let text = UNIONPAY.replace("codes = [\"971\"]", "codes = [\"360\"]");
        let error = Profile::from_toml(&text).unwrap_err().to_string();
        assert!(error.contains("same MTI and code"), "{error}");
    }

    #[test]
    fn a_block_larger_than_its_fields_is_refused() {
        let text = ISO87.replace("block_bytes = 4096", "block_bytes = 100000");
        assert!(Profile::from_toml(&text).unwrap_err().to_string().contains("block_bytes"));
    }

    #[test]
    fn response_codes_map_both_ways() {
        let profile = Profile::builtin("unionpay").unwrap();
        assert_eq!(profile.refusal("00"), None);
        assert_eq!(profile.refusal("97"), Some(Refusal::InvalidTerminal));
        assert_eq!(profile.refusal("A0"), Some(Refusal::MacWrong));
        assert_eq!(profile.code(Refusal::MacWrong), "A0");
        assert_eq!(profile.refusal("ZZ"), Some(Refusal::Other));
        assert_eq!(profile.code(Refusal::FormatError), "30");
    }
}

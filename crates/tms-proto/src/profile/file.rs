//! A profile's TOML file as it is read, before it is known to make sense.

use std::{collections::BTreeMap, str::FromStr};

use iso8583::{Builder, Dialect, Message, Mti};
use serde::Deserialize;

use super::{BodyLayout, Direction, Fields, Function, MacRules, PendingWork, Rule, TagRule};
use crate::error::ProfileError;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProfileFile {
    pub(super) name: String,
    pub(super) dialect: String,
    pub(super) framing: String,
    pub(super) push: bool,
    pub(super) utc_offset_minutes: i32,
    pub(super) selector_template: Option<SelectorTemplate>,
    pub(super) body_field: u8,
    pub(super) data_fields: Vec<u8>,
    pub(super) block_bytes: u32,
    pub(super) pending: PendingTable,
    pub(super) response: ResponseTable,
    pub(super) mac: Option<MacRules>,
    #[serde(default)]
    pub(super) download: crate::emv::Forms,
    pub(super) function: BTreeMap<Function, RuleTable>,
    #[serde(default)]
    pub(super) tag: Vec<TagRule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SelectorTemplate {
    pub(super) field: u8,
    pub(super) template: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum PlaceName {
    Header,
    Field,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PendingTable {
    pub(super) place: PlaceName,
    pub(super) field: Option<u8>,
    pub(super) work: BTreeMap<PendingWork, u8>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResponseTable {
    pub(super) approved: String,
    pub(super) invalid_terminal: String,
    pub(super) not_permitted: String,
    pub(super) format_error: String,
    pub(super) not_supported: String,
    pub(super) not_found: String,
    pub(super) out_of_range: String,
    pub(super) busy: String,
    pub(super) system_error: String,
}

impl ResponseTable {
    /// Whether DE39 of the dialect carries every code, and `refused` of `[mac]`, as it is written.
    pub(super) fn validate(&self, refused: Option<&str>, dialect: &Dialect) -> Result<(), ProfileError> {
        let codes = [
            ("approved", &self.approved),
            ("invalid_terminal", &self.invalid_terminal),
            ("not_permitted", &self.not_permitted),
            ("format_error", &self.format_error),
            ("not_supported", &self.not_supported),
            ("not_found", &self.not_found),
            ("out_of_range", &self.out_of_range),
            ("busy", &self.busy),
            ("system_error", &self.system_error),
        ];
        let of_responses = codes.map(|(key, code)| ("response", key, code.as_str()));
        let of_mac = refused.map(|code| ("mac", "refused", code));
        for (place, key, code) in of_responses.into_iter().chain(of_mac) {
            if !carries(dialect, code) {
                let shape = dialect
                    .field(39)
                    .map_or_else(|| "which is missing".into(), iso8583::FieldFormat::notation);
                let reason =
                    format!("{key} = \"{code}\" does not fit DE39 ({shape}) of dialect {}", dialect.name());
                return Err(invalid(place, reason));
            }
        }
        Ok(())
    }
}

/// Whether a reply with this code reads back with the same: a field may pad what is too short.
fn carries(dialect: &Dialect, code: &str) -> bool {
    let mti = Mti::from_str("0810").ok();
    mti.is_some_and(|mti| {
        let mut builder = Builder::new(dialect, mti);
        let built = builder.set(39, code).and_then(|builder| builder.build());
        built.is_ok_and(|bytes| {
            Message::parse(dialect, &bytes).is_ok_and(|message| message.text("39").as_deref() == Some(code))
        })
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleTable {
    pub(super) mti: String,
    pub(super) from: Direction,
    pub(super) select: String,
    pub(super) codes: Vec<String>,
    pub(super) request: Fields,
    pub(super) reply: Fields,
    #[serde(default)]
    pub(super) body: BodyLayout,
    #[serde(default)]
    pub(super) files: Vec<String>,
    pub(super) approved: Option<String>,
}

impl RuleTable {
    pub(super) fn validate(&self, function: Function, dialect: &Dialect) -> Result<Rule, ProfileError> {
        let place = format!("function {function}");
        let mti = Mti::from_str(&self.mti).map_err(|e| invalid(&place, format!("mti: {e}")))?;
        if mti.response().is_none() {
            return Err(invalid(&place, format!("{mti} is not a request, so it has no reply")));
        }
        if self.codes.is_empty() {
            return Err(invalid(&place, "needs at least one code".into()));
        }
        for n in self.request.all().chain(self.reply.all()) {
            if dialect.field(n).is_none() {
                return Err(invalid(&place, format!("DE{n} is not in dialect {}", dialect.name())));
            }
        }
        Ok(Rule {
            function,
            mti,
            from: self.from,
            select: self.select.clone(),
            codes: self.codes.clone(),
            request: self.request.clone(),
            reply: self.reply.clone(),
            body: self.body,
            files: self.files.clone(),
            approved: self.approved.clone(),
        })
    }
}

pub(super) fn invalid(place: &str, reason: String) -> ProfileError {
    ProfileError::Invalid { place: place.to_owned(), reason }
}

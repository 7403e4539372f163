//! A profile's TOML file as it is read, before it is known to make sense.

use std::{collections::BTreeMap, str::FromStr};

use iso8583::{Dialect, Mti};
use serde::Deserialize;

use super::{
    BodyLayout, Direction, Fields, Function, MacRules, PendingWork, Rule, TagRule, load::invalid,
    response::ResponseTable,
};
use crate::{error::ProfileError, parameters::Action};

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
    #[serde(default)]
    pub(super) responses: BTreeMap<String, ResponseTable>,
    pub(super) mac: Option<MacRules>,
    pub(super) keys: Option<KeyRule>,
    #[serde(default)]
    pub(super) download: crate::emv::Forms,
    pub(super) function: BTreeMap<Function, RuleTable>,
    /// Functions of the extended profile that this one does not have.
    #[serde(default)]
    pub(super) without: Vec<Function>,
    #[serde(default)]
    pub(super) tag: Vec<TagRule>,
}

/// The `[keys]` table of a profile: terminals have working keys, and ask for new ones by themselves when they have none
/// or theirs are too old. Without it they have what sign-ons and the host bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRule {
    /// Age in seconds at which keys are replaced, 60 to 31,536,000.
    pub renew_after_s: u32,
}

impl KeyRule {
    /// Youngest and oldest age at which keys may be replaced, in seconds.
    pub(super) const AGES_S: std::ops::RangeInclusive<u32> = 60..=31_536_000;
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SelectorTemplate {
    pub(super) field: u8,
    pub(super) template: String,
}

/// A piece of a selector's template.
#[derive(Debug)]
pub(crate) enum Piece {
    Text(Box<str>),
    /// The batch number in six digits.
    Batch,
    Code,
}

impl SelectorTemplate {
    /// The template cut where something is filled in. What else is in braces was refused.
    pub(super) fn pieces(&self) -> Box<[Piece]> {
        let mut pieces = Vec::new();
        for text in self.template.split('}') {
            let (text, name) = text.split_once('{').unwrap_or((text, ""));
            if !text.is_empty() {
                pieces.push(Piece::Text(text.into()));
            }
            match name {
                "batch" => pieces.push(Piece::Batch),
                "code" => pieces.push(Piece::Code),
                _ => {}
            }
        }
        pieces.into()
    }
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
pub(super) struct RuleTable {
    mti: String,
    #[serde(default)]
    also: Vec<String>,
    from: Direction,
    select: String,
    codes: Vec<String>,
    request: Fields,
    reply: Fields,
    #[serde(default)]
    body: BodyLayout,
    #[serde(default)]
    files: Vec<String>,
    /// Which `[responses.NAME]` its replies have; `[response]` without.
    responses: Option<String>,
}

impl RuleTable {
    pub(super) fn validate(&self, function: Function, dialect: &Dialect) -> Result<Rule, ProfileError> {
        let place = format!("function {}", function.name());
        let request = |text: &str| {
            let mti = Mti::from_str(text).map_err(|e| invalid(&place, format!("mti: {e}")))?;
            if mti.response().is_none() || mti.is_repeat() {
                return Err(invalid(&place, format!("{mti} is not a request, so it has no reply")));
            }
            Ok(mti)
        };
        let mti = request(&self.mti)?;
        let also = self.also.iter().map(|text| request(text)).collect::<Result<Vec<_>, _>>()?;
        let lists = [("request", &self.request), ("reply", &self.reply)];
        for (name, fields) in lists {
            let all: Vec<u8> = fields.all().collect();
            for (index, n) in all.iter().enumerate() {
                if dialect.field(*n).is_none() {
                    return Err(invalid(&place, format!("DE{n} is not in dialect {}", dialect.name())));
                }
                if all.get(..index).is_some_and(|before| before.contains(n)) {
                    return Err(invalid(&place, format!("{name} lists DE{n} twice")));
                }
            }
        }
        if function == Function::ParameterPush && self.codes.len() != Action::ALL.len() {
            let reason = "needs five codes: add, change, delete, replace all, inquire";
            return Err(invalid(&place, reason.into()));
        }
        if self.request.lists(39) {
            return Err(invalid(&place, "a request has no DE39".into()));
        }
        Ok(Rule {
            function,
            mti,
            also,
            from: self.from,
            select: self.select.clone(),
            codes: self.codes.clone(),
            request: self.request.clone(),
            reply: self.reply.clone(),
            body: self.body,
            files: self.files.clone(),
            responses: self.responses.clone(),
        })
    }
}

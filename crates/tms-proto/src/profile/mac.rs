//! The `[mac]` section of a profile: which messages carry a MAC, and how it is made.

use std::collections::BTreeMap;

use iso8583::{Class, Dialect, FieldFormat, Length, Message};
use serde::Deserialize;
use tms_crypto::mac::{MacAlgorithm, MacForm};

use super::{Function, Refusal, Rule, load::invalid};
use crate::error::ProfileError;

/// Which MACs a profile has. What it means for a message is in the documentation of
/// [`MacRule`] and [`MacReplies`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MacRules {
    algorithm: MacAlgorithm,
    form: MacForm,
    /// 64 or 128.
    field: u8,
    key: MacKeySource,
    replies: MacReplies,
    /// DE39 that answers a message whose MAC is missing or wrong.
    refused: String,
    /// The rule of every function that `function` does not name.
    protect: Protect,
    #[serde(default)]
    function: BTreeMap<Function, MacRule>,
    /// The rule of every function, in the order of [`Function::ALL`].
    #[serde(skip)]
    rules: Vec<MacRule>,
}

/// What `protect` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Protect {
    None,
    Optional,
    Required,
    /// Required of every function whose request and reply list what makes a MAC worth something, and
    /// optional elsewhere.
    Possible,
}

/// What a function's messages have to do with MACs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MacRule {
    /// None is sent. One that comes is let through unchecked, and told.
    None,
    /// None is sent, but for the reply to a request whose MAC was right. One that comes is checked
    /// when the session has a key, and refused when it is wrong; without a key it is let through
    /// and told.
    Optional,
    /// Every message has one, and none is acted on without; [`MacReplies`] says which refusals have one.
    Required,
}

/// Where the key comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MacKeySource {
    /// The working keys of the sign-on reply, so that the sign-on itself carries no MAC.
    Working,
    /// A key that both sides were given beforehand.
    Static,
}

/// Which replies of a protected function are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MacReplies {
    /// Approvals, as UnionPay terminals check them (unionpay.md §1.3). Whoever can alter a message
    /// can then turn an approval into a refusal.
    Approved,
    /// Refusals too, but for the one that says that a MAC is wrong: its sender may have no key. Only
    /// requests with a right MAC are given them: a refusal of anything else is sent without, and dropped.
    All,
}

impl MacRules {
    /// The algorithm.
    #[must_use]
    pub fn algorithm(&self) -> MacAlgorithm {
        self.algorithm
    }

    /// What of the result travels.
    #[must_use]
    pub fn form(&self) -> MacForm {
        self.form
    }

    /// Where the key comes from.
    #[must_use]
    pub fn key_source(&self) -> MacKeySource {
        self.key
    }

    /// What a request of `function` has to do with MACs.
    #[must_use]
    pub fn request(&self, function: Function) -> MacRule {
        self.rules.get(function as usize).copied().unwrap_or(MacRule::Required)
    }

    /// What a reply to `function` has to do with them; `refusal` is what its DE39 means.
    #[must_use]
    pub fn reply(&self, function: Function, refusal: Option<Refusal>) -> MacRule {
        match (self.request(function), refusal) {
            (_, Some(Refusal::MacWrong)) => MacRule::None,
            (MacRule::Required, Some(_)) if self.replies == MacReplies::Approved => MacRule::Optional,
            (rule, _) => rule,
        }
    }

    /// Whether refusals are protected as approvals are.
    pub(crate) fn covers_refusals(&self) -> bool {
        self.replies == MacReplies::All
    }

    /// The field of a message's MAC: the last one that its bitmap has room for, so that the MAC
    /// covers everything. A profile may say that the bitmap always has both halves.
    pub(crate) fn place(&self, message: &Message<'_>) -> u8 {
        if self.field == 128 || message.contents().any(|(n, _)| n > 64) { 128 } else { 64 }
    }

    /// The place of a MAC in a message without fields above it.
    pub(crate) fn first_place(&self) -> u8 {
        self.field
    }

    /// DE39 that answers a message whose MAC is missing or wrong.
    pub(super) fn refused(&self) -> &str {
        &self.refused
    }

    /// Whether the section makes sense with the rest of the profile, whose rules it takes in.
    pub(super) fn resolve(
        &mut self,
        dialect: &Dialect,
        rules: &[Rule],
        other_fields: &[u8],
    ) -> Result<(), ProfileError> {
        let wrong = |reason: String| Err(invalid("mac", reason));
        let places: &[u8] = match self.field {
            64 => &[64, 128],
            128 => &[128],
            other => return wrong(format!("field must be 64 or 128, not {other}")),
        };
        for n in places {
            if !dialect.field(*n).is_some_and(|format| holds(format, self.form)) {
                let name = dialect.name();
                let bytes = self.form.len();
                return wrong(format!(
                    "DE{n} of dialect {name} is not the b{bytes} that {} needs",
                    self.form
                ));
            }
        }
        let taken = |n: &u8| *n == 64 || *n == 128;
        let of_rules = rules.iter().flat_map(|rule| rule.request.all().chain(rule.reply.all()));
        if let Some(n) = of_rules.chain(other_fields.iter().copied()).find(taken) {
            return wrong(format!("DE{n} is the MAC and cannot be listed as anything else"));
        }
        if self.key == MacKeySource::Working && !self.algorithm.key_lengths().contains(&8) {
            return wrong(format!(
                "key = \"working\" gives 8 bytes, which {} does not take; use \"static\"",
                self.algorithm
            ));
        }
        let sign_on = self.function.get(&Function::SignOn).is_some_and(|rule| *rule != MacRule::None);
        if sign_on && self.key == MacKeySource::Working {
            return wrong("sign_on must be \"none\": its reply is what brings the key".into());
        }
        for function in self.function.keys() {
            if !rules.iter().any(|rule| rule.function == *function) {
                return wrong(format!("the profile has no {function} to protect"));
            }
        }
        self.rules = Function::ALL
            .iter()
            .map(|function| self.rule_of(*function, rules.iter().find(|rule| rule.function == *function)))
            .collect();
        for rule in rules.iter().filter(|rule| self.request(rule.function) == MacRule::Required) {
            if let Some((field, without)) = self.missing(rule) {
                let function = rule.function;
                let key = if self.key == MacKeySource::Static { " with a static key" } else { "" };
                return wrong(format!(
                    "{function} is required to have a MAC{key}, so its request and reply must both list DE{field}: {without}"
                ));
            }
        }
        Ok(())
    }

    fn rule_of(&self, function: Function, rule: Option<&Rule>) -> MacRule {
        if function == Function::SignOn && self.key == MacKeySource::Working {
            return MacRule::None;
        }
        let named = self.function.get(&function).copied();
        named.unwrap_or_else(|| match self.protect {
            Protect::None => MacRule::None,
            Protect::Optional => MacRule::Optional,
            Protect::Required => MacRule::Required,
            Protect::Possible => match rule {
                Some(rule) if self.missing(rule).is_none() => MacRule::Required,
                _ => MacRule::Optional,
            },
        })
    }

    /// What a reply must say, so that it proves which request it answers, and does not: with a key for one
    /// connection the STAN, and with one for many connections and terminals when and to whom, too.
    fn missing(&self, rule: &Rule) -> Option<(u8, &'static str)> {
        let to_list: &[(u8, &str)] = match self.key {
            MacKeySource::Working => &[STAN],
            MacKeySource::Static => &[STAN, TIME, TERMINAL],
        };
        to_list.iter().copied().find(|(field, _)| !(rule.request.always(*field) && rule.reply.always(*field)))
    }
}

const STAN: (u8, &str) = (11, "without it an old reply could be sent again");
const TIME: (u8, &str) = (7, "without it a reply recorded on another connection could be sent again");
const TERMINAL: (u8, &str) = (41, "without it the reply to another terminal could be sent instead");

/// Whether a field takes a MAC of this form: fixed, of bytes, and exactly as long.
fn holds(format: &FieldFormat, form: MacForm) -> bool {
    format.class() == Class::Binary
        && matches!(format.length(), Length::Fixed(bytes) if usize::from(bytes) == form.len())
}

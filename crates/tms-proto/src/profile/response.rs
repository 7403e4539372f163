//! Response codes (DE39): what each means, for every kind of reply.

use std::{collections::BTreeMap, str::FromStr};

use iso8583::{Builder, Dialect, Message, Mti};
use serde::Deserialize;

use super::{Refusal, load::invalid};
use crate::error::ProfileError;

/// The codes of one meaning: the first is written, all are read.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Codes {
    One(String),
    Several(Vec<String>),
}

impl Codes {
    fn all(&self) -> &[String] {
        match self {
            Self::One(code) => std::slice::from_ref(code),
            Self::Several(codes) => codes,
        }
    }
}

/// A `[response]` or `[responses.NAME]` table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResponseTable {
    approved: Option<Codes>,
    invalid_terminal: Option<Codes>,
    invalid_merchant: Option<Codes>,
    not_permitted: Option<Codes>,
    format_error: Option<Codes>,
    not_supported: Option<Codes>,
    not_found: Option<Codes>,
    out_of_range: Option<Codes>,
    duplicate: Option<Codes>,
    busy: Option<Codes>,
    sign_on_again: Option<Codes>,
    system_error: Option<Codes>,
}

impl ResponseTable {
    fn get(&self, refusal: Refusal) -> Option<&Codes> {
        match refusal {
            Refusal::InvalidTerminal => self.invalid_terminal.as_ref(),
            Refusal::InvalidMerchant => self.invalid_merchant.as_ref(),
            Refusal::NotPermitted => self.not_permitted.as_ref(),
            Refusal::FormatError => self.format_error.as_ref(),
            Refusal::NotSupported => self.not_supported.as_ref(),
            Refusal::NotFound => self.not_found.as_ref(),
            Refusal::OutOfRange => self.out_of_range.as_ref(),
            Refusal::Duplicate => self.duplicate.as_ref(),
            Refusal::Busy => self.busy.as_ref(),
            Refusal::SignOnAgain => self.sign_on_again.as_ref(),
            Refusal::SystemError => self.system_error.as_ref(),
            Refusal::MacWrong | Refusal::Other => None,
        }
    }
}

/// The codes of one kind of reply.
#[derive(Debug)]
pub(super) struct Responses {
    approved: Vec<String>,
    /// In the order of [`Refusal::ALL`], so that a code that means several is read as the first.
    refused: Vec<(Refusal, Vec<String>)>,
}

impl Responses {
    /// DE39 of an approval.
    pub(super) fn approved(&self) -> &str {
        self.approved.first().map_or("", String::as_str)
    }

    /// DE39 of a refusal.
    pub(super) fn code(&self, refusal: Refusal) -> &str {
        let of = |wanted: Refusal| {
            self.refused.iter().find(|(refusal, _)| *refusal == wanted).and_then(|(_, codes)| codes.first())
        };
        of(refusal).or_else(|| of(Refusal::SystemError)).map_or("", String::as_str)
    }

    /// What a code means; `None` when it is an approval.
    pub(super) fn read(&self, code: &str) -> Option<Refusal> {
        if self.approved.iter().any(|known| known == code) {
            return None;
        }
        let known = self.refused.iter().find(|(_, codes)| codes.iter().any(|known| known == code));
        Some(known.map_or(Refusal::Other, |(refusal, _)| *refusal))
    }

    /// Every meaning that has codes, approval (`None`) first.
    pub(super) fn all(&self) -> impl Iterator<Item = (Option<Refusal>, &[String])> {
        let approved = std::iter::once((None, self.approved.as_slice()));
        approved.chain(self.refused.iter().map(|(refusal, codes)| (Some(*refusal), codes.as_slice())))
    }
}

/// The codes of every kind of reply; the first is that of `[response]`.
pub(super) fn compile(
    base: &ResponseTable,
    others: &BTreeMap<String, ResponseTable>,
    mac_refused: Option<&str>,
    dialect: &Dialect,
) -> Result<Vec<(String, Responses)>, ProfileError> {
    let mut sets = vec![(String::new(), one("response", base, None, mac_refused, dialect)?)];
    for (name, table) in others {
        let set = one(&format!("responses.{name}"), table, Some(base), mac_refused, dialect)?;
        sets.push((name.clone(), set));
    }
    Ok(sets)
}

/// One table; what it leaves out is as in `base`.
fn one(
    place: &str,
    table: &ResponseTable,
    base: Option<&ResponseTable>,
    mac_refused: Option<&str>,
    dialect: &Dialect,
) -> Result<Responses, ProfileError> {
    let take = |key: &str, own: Option<&Codes>, inherited: Option<&Codes>| {
        let codes = own.or(inherited).map(Codes::all).unwrap_or_default();
        if codes.is_empty() {
            return Err(invalid(place, format!("{key} needs a code")));
        }
        codes.iter().try_for_each(|code| check(place, key, code, dialect))?;
        Ok(codes.to_vec())
    };
    let approved = take("approved", table.approved.as_ref(), base.and_then(|b| b.approved.as_ref()))?;
    let mut refused = Vec::new();
    for &refusal in Refusal::ALL {
        match refusal {
            Refusal::Other => {}
            Refusal::MacWrong => {
                if let Some(code) = mac_refused {
                    check("mac", "refused", code, dialect)?;
                    refused.push((refusal, vec![code.to_owned()]));
                }
            }
            _ => {
                let codes = take(refusal.name(), table.get(refusal), base.and_then(|b| b.get(refusal)))?;
                refused.push((refusal, codes));
            }
        }
    }
    let set = Responses { approved, refused };
    set.check_meanings(place)?;
    Ok(set)
}

impl Responses {
    /// Whether whoever reads a code knows what to do: refusals may share one when the remedy is the same.
    fn check_meanings(&self, place: &str) -> Result<(), ProfileError> {
        for (refusal, codes) in &self.refused {
            for code in codes {
                let read = self.read(code);
                if read == Some(*refusal) {
                    continue;
                }
                let is_mac = [read, Some(*refusal)].contains(&Some(Refusal::MacWrong));
                if is_mac {
                    let reason = format!("refused = \"{code}\" means something else in [{place}]");
                    return Err(invalid("mac", reason));
                }
                if read.map(Refusal::remedy) != Some(refusal.remedy()) {
                    let other = read.map_or("approved", Refusal::name);
                    let name = refusal.name();
                    return Err(invalid(
                        place,
                        format!(
                            "\"{code}\" cannot mean both {other} and {name}: the sender would not know whether to ask again"
                        ),
                    ));
                }
            }
        }
        Ok(())
    }
}

fn check(place: &str, key: &str, code: &str, dialect: &Dialect) -> Result<(), ProfileError> {
    if carries(dialect, code) {
        return Ok(());
    }
    let shape = dialect.field(39).map_or_else(|| "which is missing".into(), iso8583::FieldFormat::notation);
    let reason = format!("{key} = \"{code}\" does not fit DE39 ({shape}) of dialect {}", dialect.name());
    Err(invalid(place, reason))
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

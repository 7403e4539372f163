//! Parameters of a chip application (unionpay.md §4.8).

use std::{collections::BTreeMap, fmt, str::FromStr};

use iso8583::tlv;
use serde::{Deserialize, Serialize};

use super::{
    EmvError, MAX_ENTRIES,
    element::{Elements, array, pack, packed, tag},
};
use crate::parameters::content_hash;

/// Most bytes of one application's parameters; recorded ones have 111.
const MAX_BYTES: usize = 500;
/// What twelve packed digits hold.
const MAX_AMOUNT: u64 = 999_999_999_999;

/// An application identifier, 5 to 16 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Aid(Vec<u8>);

impl Aid {
    /// An identifier.
    ///
    /// # Errors
    /// When there are less than 5 or more than 16 bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, EmvError> {
        if (5..=16).contains(&bytes.len()) {
            Ok(Self(bytes.to_vec()))
        } else {
            Err(EmvError::Length { tag: tag::AID, found: bytes.len(), wanted: "5 to 16 (an AID)" })
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        tlv::write(out, tag::AID, &self.0);
    }

    pub(super) fn take(elements: &mut Elements<'_>) -> Result<Self, EmvError> {
        Self::new(elements.must(tag::AID)?)
    }
}

impl fmt::Display for Aid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode_upper(&self.0))
    }
}

impl fmt::Debug for Aid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Aid {
    type Err = EmvError;

    fn from_str(text: &str) -> Result<Self, EmvError> {
        let bytes =
            hex::decode(text).map_err(|_| EmvError::Value { tag: tag::AID, wanted: "an AID in hex" })?;
        Self::new(&bytes)
    }
}

impl From<Aid> for String {
    fn from(aid: Aid) -> Self {
        aid.to_string()
    }
}

impl TryFrom<String> for Aid {
    type Error = EmvError;

    fn try_from(text: String) -> Result<Self, EmvError> {
        text.parse()
    }
}

/// The parameters of one chip application. What is `None` was not on the wire, and is not put there.
///
/// `Debug` prints tags and lengths of unknown data objects, not their values.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct AidParameters {
    /// The application (9F06).
    pub aid: Aid,
    /// Application selection indicator (DF01) as it is on the wire: 00 partial, 01 full, says the standard;
    /// one terminal reads 00 as full (unionpay.md §4.8), so what it means is the acquirer's.
    pub selection: Option<u8>,
    /// Application version as most hosts name it (9F08).
    pub card_version: Option<[u8; 2]>,
    /// Application version as EMV names the terminal's (9F09).
    pub terminal_version: Option<[u8; 2]>,
    /// Terminal action code, default (DF11).
    pub tac_default: Option<[u8; 5]>,
    /// Terminal action code, online (DF12).
    pub tac_online: Option<[u8; 5]>,
    /// Terminal action code, denial (DF13).
    pub tac_denial: Option<[u8; 5]>,
    /// Terminal floor limit (9F1B), in the smallest unit of the currency.
    pub floor_limit: Option<u32>,
    /// Threshold value for biased random selection (DF15), in the smallest unit of the currency.
    pub random_threshold: Option<u32>,
    /// Maximum target percentage for biased random selection (DF16), 0 to 99.
    pub random_max_percent: Option<u8>,
    /// Target percentage for random selection (DF17), 0 to 99.
    pub random_percent: Option<u8>,
    /// Default DDOL (DF14).
    pub default_ddol: Option<Vec<u8>>,
    /// Online PIN capability (DF18): 01 yes, 00 no.
    pub online_pin: Option<u8>,
    /// E-cash transaction limit of the terminal (9F7B), in the smallest unit of the currency.
    pub e_cash_limit: Option<u64>,
    /// Contactless offline floor limit (DF19), in the smallest unit of the currency.
    pub contactless_floor_limit: Option<u64>,
    /// Contactless transaction limit (DF20), in the smallest unit of the currency.
    pub contactless_limit: Option<u64>,
    /// Contactless cardholder verification limit (DF21), in the smallest unit of the currency.
    pub cvm_limit: Option<u64>,
    /// Data objects that this version does not know, as they came.
    pub others: Vec<(u32, Vec<u8>)>,
}

impl AidParameters {
    /// An application without any parameter.
    #[must_use]
    pub fn new(aid: Aid) -> Self {
        Self {
            aid,
            selection: None,
            card_version: None,
            terminal_version: None,
            tac_default: None,
            tac_online: None,
            tac_denial: None,
            floor_limit: None,
            random_threshold: None,
            random_max_percent: None,
            random_percent: None,
            default_ddol: None,
            online_pin: None,
            e_cash_limit: None,
            contactless_floor_limit: None,
            contactless_limit: None,
            cvm_limit: None,
            others: Vec::new(),
        }
    }

    /// Writes the application's data objects in the order of the recorded messages, unknown ones last.
    ///
    /// # Errors
    /// When a number has more digits than its data object, an unknown tag is one of the known or there twice,
    /// or there are more than 500 bytes in all.
    pub fn encode(&self) -> Result<Vec<u8>, EmvError> {
        let mut out = Vec::with_capacity(128);
        self.aid.encode(&mut out);
        put(&mut out, tag::SELECTION, self.selection.map(|v| [v]));
        put(&mut out, tag::CARD_VERSION, self.card_version);
        put(&mut out, tag::TERMINAL_VERSION, self.terminal_version);
        put(&mut out, tag::TAC_DEFAULT, self.tac_default);
        put(&mut out, tag::TAC_ONLINE, self.tac_online);
        put(&mut out, tag::TAC_DENIAL, self.tac_denial);
        put(&mut out, tag::FLOOR_LIMIT, self.floor_limit.map(u32::to_be_bytes));
        put(&mut out, tag::RANDOM_THRESHOLD, self.random_threshold.map(u32::to_be_bytes));
        put(&mut out, tag::RANDOM_MAX_PERCENT, percent(tag::RANDOM_MAX_PERCENT, self.random_max_percent)?);
        put(&mut out, tag::RANDOM_PERCENT, percent(tag::RANDOM_PERCENT, self.random_percent)?);
        if let Some(ddol) = &self.default_ddol {
            tlv::write(&mut out, tag::DEFAULT_DDOL, ddol);
        }
        put(&mut out, tag::ONLINE_PIN, self.online_pin.map(|v| [v]));
        put(&mut out, tag::E_CASH_LIMIT, amount(tag::E_CASH_LIMIT, self.e_cash_limit)?);
        put(
            &mut out,
            tag::CONTACTLESS_FLOOR_LIMIT,
            amount(tag::CONTACTLESS_FLOOR_LIMIT, self.contactless_floor_limit)?,
        );
        put(&mut out, tag::CONTACTLESS_LIMIT, amount(tag::CONTACTLESS_LIMIT, self.contactless_limit)?);
        put(&mut out, tag::CVM_LIMIT, amount(tag::CVM_LIMIT, self.cvm_limit)?);
        for (tag, value) in &self.others {
            tlv::write(&mut out, *tag, value);
        }
        // What cannot be read back must not get out: an unknown tag that is none, or one of the known.
        if !self.others.is_empty() && Self::decode(&out)? != *self {
            return Err(EmvError::Value {
                tag: tag::AID,
                wanted: "followed by well-formed unknown data objects",
            });
        }
        bounded(&out)?;
        Ok(out)
    }

    /// Reads an application's data objects, in any order.
    ///
    /// # Errors
    /// When the AID is missing, a tag is there twice, a known one is malformed, or there are more than 500 bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, EmvError> {
        bounded(bytes)?;
        let mut elements = Elements::read(bytes)?;
        let e = &mut elements;
        let mut parameters = Self::new(Aid::take(e)?);
        parameters.selection = e.array(tag::SELECTION, "1")?.map(|[v]: [u8; 1]| v);
        parameters.card_version = e.array(tag::CARD_VERSION, "2")?;
        parameters.terminal_version = e.array(tag::TERMINAL_VERSION, "2")?;
        parameters.tac_default = e.array(tag::TAC_DEFAULT, "5")?;
        parameters.tac_online = e.array(tag::TAC_ONLINE, "5")?;
        parameters.tac_denial = e.array(tag::TAC_DENIAL, "5")?;
        parameters.floor_limit = e.array(tag::FLOOR_LIMIT, "4")?.map(u32::from_be_bytes);
        parameters.random_threshold = e.array(tag::RANDOM_THRESHOLD, "4")?.map(u32::from_be_bytes);
        parameters.random_max_percent = take_percent(e, tag::RANDOM_MAX_PERCENT)?;
        parameters.random_percent = take_percent(e, tag::RANDOM_PERCENT)?;
        parameters.default_ddol = e.take(tag::DEFAULT_DDOL).map(<[u8]>::to_vec);
        parameters.online_pin = e.array(tag::ONLINE_PIN, "1")?.map(|[v]: [u8; 1]| v);
        parameters.e_cash_limit = take_amount(e, tag::E_CASH_LIMIT)?;
        parameters.contactless_floor_limit = take_amount(e, tag::CONTACTLESS_FLOOR_LIMIT)?;
        parameters.contactless_limit = take_amount(e, tag::CONTACTLESS_LIMIT)?;
        parameters.cvm_limit = take_amount(e, tag::CVM_LIMIT)?;
        parameters.others = elements.rest().map(|(tag, value)| (tag, value.to_vec())).collect();
        Ok(parameters)
    }
}

fn put<const N: usize>(out: &mut Vec<u8>, tag: u32, value: Option<[u8; N]>) {
    if let Some(value) = value {
        tlv::write(out, tag, &value);
    }
}

fn percent(tag: u32, value: Option<u8>) -> Result<Option<[u8; 1]>, EmvError> {
    match value {
        Some(value) if value > 99 => Err(EmvError::Value { tag, wanted: "a percentage up to 99" }),
        value => Ok(value.map(|v| pack(u64::from(v)))),
    }
}

fn take_percent(elements: &mut Elements<'_>, tag: u32) -> Result<Option<u8>, EmvError> {
    let Some(value) = elements.take(tag) else { return Ok(None) };
    let value: [u8; 1] = array(tag, value, "1")?;
    Ok(u8::try_from(packed(tag, &value)?).ok())
}

fn amount(tag: u32, value: Option<u64>) -> Result<Option<[u8; 6]>, EmvError> {
    match value {
        Some(value) if value > MAX_AMOUNT => Err(EmvError::Value { tag, wanted: "an amount of 12 digits" }),
        value => Ok(value.map(pack)),
    }
}

fn take_amount(elements: &mut Elements<'_>, tag: u32) -> Result<Option<u64>, EmvError> {
    let Some(value) = elements.take(tag) else { return Ok(None) };
    let value: [u8; 6] = array(tag, value, "6")?;
    packed(tag, &value).map(Some)
}

fn bounded(bytes: &[u8]) -> Result<(), EmvError> {
    if bytes.len() > MAX_BYTES {
        return Err(EmvError::TooMany { what: "bytes of one application", limit: MAX_BYTES });
    }
    Ok(())
}

impl fmt::Debug for AidParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let others: Vec<String> =
            self.others.iter().map(|(tag, value)| format!("{tag:X}: {} bytes", value.len())).collect();
        f.debug_struct("AidParameters")
            .field("aid", &self.aid)
            .field("card_version", &self.card_version)
            .field("floor_limit", &self.floor_limit)
            .field("contactless_limit", &self.contactless_limit)
            .field("cvm_limit", &self.cvm_limit)
            .field("others", &others)
            .finish_non_exhaustive()
    }
}

impl From<AidParameters> for String {
    fn from(parameters: AidParameters) -> Self {
        // Sets hold only what can be written; a value made by hand that cannot is written as nothing, and refused
        // when it is read.
        parameters.encode().map(hex::encode).unwrap_or_default()
    }
}

impl TryFrom<String> for AidParameters {
    type Error = EmvError;

    fn try_from(text: String) -> Result<Self, EmvError> {
        let bytes = hex::decode(text).map_err(|_| EmvError::Short { what: "the application in hex" })?;
        Self::decode(&bytes)
    }
}

/// The applications of one terminal.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "Vec<AidParameters>", try_from = "Vec<AidParameters>")]
pub struct AidSet(BTreeMap<Aid, AidParameters>);

impl AidSet {
    /// Puts an application in, in the place of the one with the same AID.
    ///
    /// # Errors
    /// When it cannot be written to the wire, or there are [`MAX_ENTRIES`] already.
    pub fn insert(&mut self, parameters: AidParameters) -> Result<(), EmvError> {
        parameters.encode()?;
        if self.0.len() >= MAX_ENTRIES && !self.0.contains_key(&parameters.aid) {
            return Err(EmvError::TooMany { what: "applications", limit: MAX_ENTRIES });
        }
        self.0.insert(parameters.aid.clone(), parameters);
        Ok(())
    }

    /// Takes an application out.
    pub fn remove(&mut self, aid: &Aid) -> Option<AidParameters> {
        self.0.remove(aid)
    }

    /// An application.
    #[must_use]
    pub fn get(&self, aid: &Aid) -> Option<&AidParameters> {
        self.0.get(aid)
    }

    /// All applications, by AID.
    pub fn iter(&self) -> impl Iterator<Item = &AidParameters> {
        self.0.values()
    }

    /// [`content_hash`](crate::parameters::content_hash) of the applications as records of a push, by which host and terminal
    /// agree that they have the same.
    #[must_use]
    pub fn content_hash(&self) -> [u8; 32] {
        content_hash(&self.into())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<AidSet> for Vec<AidParameters> {
    fn from(set: AidSet) -> Self {
        set.0.into_values().collect()
    }
}

impl TryFrom<Vec<AidParameters>> for AidSet {
    type Error = EmvError;

    fn try_from(all: Vec<AidParameters>) -> Result<Self, EmvError> {
        let mut set = Self::default();
        all.into_iter().try_for_each(|one| set.insert(one))?;
        Ok(set)
    }
}

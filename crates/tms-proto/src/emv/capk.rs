//! Public keys of card organisations, and how long they are good for (unionpay.md §4.7).

use std::{collections::BTreeMap, fmt, str::FromStr};

use iso8583::tlv;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use tms_crypto::sha1_for_check_values;

use super::{
    EmvError, ExpiryForm, MAX_ENTRIES,
    element::{Elements, array, tag},
};
use crate::parameters::content_hash;

/// DF06 and DF07: SHA-1 and RSA, the only ones whose check value can be verified.
const SHA1: u8 = 0x01;
const RSA: u8 = 0x01;
/// The longest modulus of EMV has 248 bytes.
const MAX_MODULUS_BYTES: usize = 256;
/// 768 bits, the shortest that any card organisation ever gave out.
const MIN_MODULUS_BYTES: usize = 96;

/// Which key: the registered application provider and its index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct CapkId {
    /// The card organisation (RID), the first five bytes of its AIDs.
    pub rid: [u8; 5],
    /// The key's index.
    pub index: u8,
}

impl fmt::Display for CapkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:02X}", hex::encode_upper(self.rid), self.index)
    }
}

impl fmt::Debug for CapkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for CapkId {
    type Err = EmvError;

    /// Reads `A000000333-08`.
    fn from_str(text: &str) -> Result<Self, EmvError> {
        let malformed = EmvError::Value { tag: tag::KEY_INDEX, wanted: "RID-index in hex" };
        let (rid, index) = text.split_once('-').ok_or(malformed.clone())?;
        let (mut id, mut number) = ([0; 5], [0; 1]);
        hex::decode_to_slice(rid, &mut id).map_err(|_| malformed.clone())?;
        hex::decode_to_slice(index, &mut number).map_err(|_| malformed)?;
        let [index] = number;
        Ok(Self { rid: id, index })
    }
}

impl From<CapkId> for String {
    fn from(id: CapkId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for CapkId {
    type Error = EmvError;

    fn try_from(text: String) -> Result<Self, EmvError> {
        text.parse()
    }
}

impl CapkId {
    /// The two data objects that name a key: all of a request's body.
    pub(super) fn encode(self, out: &mut Vec<u8>) {
        tlv::write(out, tag::AID, &self.rid);
        tlv::write(out, tag::KEY_INDEX, &[self.index]);
    }

    pub(super) fn take(elements: &mut Elements<'_>) -> Result<Self, EmvError> {
        let rid = array(tag::AID, elements.must(tag::AID)?, "5 (a RID)")?;
        let [index] = array(tag::KEY_INDEX, elements.must(tag::KEY_INDEX)?, "1")?;
        Ok(Self { rid, index })
    }
}

/// The last day of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "Date", try_from = "Date")]
pub struct Expiry(Date);

impl Expiry {
    /// A day from 2000 to 2199; others are no expiry but a mistake.
    ///
    /// # Errors
    /// For a day outside.
    pub fn new(day: Date) -> Result<Self, EmvError> {
        if (2000..2200).contains(&day.year()) { Ok(Self(day)) } else { Err(NONSENSE) }
    }

    /// The day.
    #[must_use]
    pub fn day(self) -> Date {
        self.0
    }

    /// Reads DF05, in either form.
    ///
    /// # Errors
    /// When it is no day from 2000 to 2199.
    pub fn decode(value: &[u8]) -> Result<Self, EmvError> {
        let digits = match value.len() {
            8 => std::str::from_utf8(value).map(str::to_owned).map_err(|_| NONSENSE)?,
            4 => hex::encode(value),
            found => {
                return Err(EmvError::Length {
                    tag: tag::KEY_EXPIRY,
                    found,
                    wanted: "8 (ASCII) or 4 (packed)",
                });
            }
        };
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NONSENSE);
        }
        let (year, rest) = digits.split_at_checked(4).ok_or(NONSENSE)?;
        let (month, day) = rest.split_at_checked(2).ok_or(NONSENSE)?;
        match (year.parse(), month.parse(), day.parse()) {
            (Ok(year), Ok(month), Ok(day)) => Self::new(Date::new(year, month, day).map_err(|_| NONSENSE)?),
            _ => Err(NONSENSE),
        }
    }

    /// Writes DF05.
    #[must_use]
    pub fn encode(self, form: ExpiryForm) -> Vec<u8> {
        let digits = format!("{:04}{:02}{:02}", self.0.year(), self.0.month(), self.0.day());
        match form {
            ExpiryForm::Ascii => digits.into_bytes(),
            // Eight digits are always four bytes.
            ExpiryForm::Packed => hex::decode(&digits).unwrap_or_default(),
        }
    }
}

const NONSENSE: EmvError = EmvError::Value { tag: tag::KEY_EXPIRY, wanted: "a day from 2000 to 2199" };

impl From<Expiry> for Date {
    fn from(expiry: Expiry) -> Self {
        expiry.0
    }
}

impl TryFrom<Date> for Expiry {
    type Error = EmvError;

    fn try_from(day: Date) -> Result<Self, EmvError> {
        Self::new(day)
    }
}

/// One entry of a list of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapkEntry {
    /// Which key.
    pub id: CapkId,
    /// Until when.
    pub expiry: Expiry,
}

impl CapkEntry {
    pub(super) fn encode(self, out: &mut Vec<u8>, form: ExpiryForm) {
        self.id.encode(out);
        tlv::write(out, tag::KEY_EXPIRY, &self.expiry.encode(form));
    }

    pub(super) fn decode(elements: &mut Elements<'_>) -> Result<Self, EmvError> {
        Ok(Self { id: CapkId::take(elements)?, expiry: Expiry::decode(elements.must(tag::KEY_EXPIRY)?)? })
    }
}

/// A public key of a card organisation. There is none whose check value was not verified.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Capk {
    id: CapkId,
    expiry: Expiry,
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl fmt::Debug for Capk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capk")
            .field("id", &self.id)
            .field("expiry", &self.expiry.day())
            .field("modulus_bytes", &self.modulus.len())
            .finish_non_exhaustive()
    }
}

impl Capk {
    /// An RSA key.
    ///
    /// # Errors
    /// When the modulus has less than 96 or more than 256 bytes, or the exponent is neither 3 nor 65537
    /// (EMV book 2 §11.1).
    pub fn new(id: CapkId, expiry: Expiry, modulus: &[u8], exponent: &[u8]) -> Result<Self, EmvError> {
        let found = modulus.len();
        if !(MIN_MODULUS_BYTES..=MAX_MODULUS_BYTES).contains(&found) {
            return Err(EmvError::Length { tag: tag::KEY_MODULUS, found, wanted: "96 to 256" });
        }
        if !matches!(exponent, [3] | [1, 0, 1]) {
            return Err(EmvError::Value { tag: tag::KEY_EXPONENT, wanted: "the exponent 3 or 65537" });
        }
        Ok(Self { id, expiry, modulus: modulus.to_vec(), exponent: exponent.to_vec() })
    }

    /// Which key.
    #[must_use]
    pub fn id(&self) -> CapkId {
        self.id
    }

    /// The last day.
    #[must_use]
    pub fn expiry(&self) -> Expiry {
        self.expiry
    }

    /// What a list says of it.
    #[must_use]
    pub fn entry(&self) -> CapkEntry {
        CapkEntry { id: self.id, expiry: self.expiry }
    }

    /// The modulus, most significant byte first.
    #[must_use]
    pub fn modulus(&self) -> &[u8] {
        &self.modulus
    }

    /// The exponent.
    #[must_use]
    pub fn exponent(&self) -> &[u8] {
        &self.exponent
    }

    /// DF03: the SHA-1 of RID, index, modulus and exponent.
    #[must_use]
    pub fn check_value(&self) -> [u8; 20] {
        check_value(self.id, &self.modulus, &self.exponent)
    }

    /// Writes the key's data objects.
    #[must_use]
    pub fn encode(&self, form: ExpiryForm) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.modulus.len().saturating_add(72));
        self.entry().encode(&mut out, form);
        tlv::write(&mut out, tag::KEY_HASH_ALGORITHM, &[SHA1]);
        tlv::write(&mut out, tag::KEY_ALGORITHM, &[RSA]);
        tlv::write(&mut out, tag::KEY_MODULUS, &self.modulus);
        tlv::write(&mut out, tag::KEY_EXPONENT, &self.exponent);
        tlv::write(&mut out, tag::KEY_CHECK_VALUE, &self.check_value());
        out
    }

    /// Reads a key's data objects, in any order, and verifies its check value. Unknown ones are skipped.
    ///
    /// # Errors
    /// When one is missing or malformed, or the check value is wrong or cannot be verified.
    pub fn decode(bytes: &[u8]) -> Result<Self, EmvError> {
        let mut elements = Elements::read(bytes)?;
        let CapkEntry { id, expiry } = CapkEntry::decode(&mut elements)?;
        let [algorithm] = array(tag::KEY_HASH_ALGORITHM, elements.must(tag::KEY_HASH_ALGORITHM)?, "1")?;
        if algorithm != SHA1 {
            return Err(EmvError::Unverifiable { algorithm });
        }
        if elements.must(tag::KEY_ALGORITHM)? != [RSA] {
            return Err(EmvError::Value { tag: tag::KEY_ALGORITHM, wanted: "RSA (01)" });
        }
        let (modulus, exponent) = (elements.must(tag::KEY_MODULUS)?, elements.must(tag::KEY_EXPONENT)?);
        if elements.must(tag::KEY_CHECK_VALUE)? != check_value(id, modulus, exponent) {
            return Err(EmvError::CheckValue);
        }
        Self::new(id, expiry, modulus, exponent)
    }
}

impl From<Capk> for String {
    fn from(key: Capk) -> Self {
        hex::encode(key.encode(ExpiryForm::Packed))
    }
}

impl TryFrom<String> for Capk {
    type Error = EmvError;

    fn try_from(text: String) -> Result<Self, EmvError> {
        let bytes = hex::decode(text).map_err(|_| EmvError::Short { what: "the key in hex" })?;
        Self::decode(&bytes)
    }
}

fn check_value(id: CapkId, modulus: &[u8], exponent: &[u8]) -> [u8; 20] {
    sha1_for_check_values(&[&id.rid, &[id.index][..], modulus, exponent].concat())
}

/// The keys of one terminal, each index of a card organisation once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "Vec<Capk>", try_from = "Vec<Capk>")]
pub struct CapkSet(BTreeMap<CapkId, Capk>);

impl CapkSet {
    /// Puts a key in, in the place of one with the same index.
    ///
    /// # Errors
    /// When there are [`MAX_ENTRIES`] already.
    pub fn insert(&mut self, key: Capk) -> Result<(), EmvError> {
        if self.0.len() >= MAX_ENTRIES && !self.0.contains_key(&key.id) {
            return Err(EmvError::TooMany { what: "keys", limit: MAX_ENTRIES });
        }
        self.0.insert(key.id, key);
        Ok(())
    }

    /// Takes a key out.
    pub fn remove(&mut self, id: CapkId) -> Option<Capk> {
        self.0.remove(&id)
    }

    /// Keeps only the keys that `wanted` says yes to.
    pub fn retain(&mut self, mut wanted: impl FnMut(CapkId) -> bool) {
        self.0.retain(|id, _| wanted(*id));
    }

    /// A key.
    #[must_use]
    pub fn get(&self, id: CapkId) -> Option<&Capk> {
        self.0.get(&id)
    }

    /// All keys, by card organisation and index.
    pub fn iter(&self) -> impl Iterator<Item = &Capk> {
        self.0.values()
    }

    /// [`content_hash`](crate::parameters::content_hash) of the keys as records of a push, by which host and terminal
    /// agree that they have the same.
    #[must_use]
    pub fn content_hash(&self) -> [u8; 32] {
        content_hash(&self.into())
    }

    /// How many keys there are.
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

impl From<CapkSet> for Vec<Capk> {
    fn from(set: CapkSet) -> Self {
        set.0.into_values().collect()
    }
}

impl TryFrom<Vec<Capk>> for CapkSet {
    type Error = EmvError;

    fn try_from(keys: Vec<Capk>) -> Result<Self, EmvError> {
        let mut set = Self::default();
        keys.into_iter().try_for_each(|key| set.insert(key))?;
        Ok(set)
    }
}

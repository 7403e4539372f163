//! What a terminal says of itself: the full typed report, and the part of it that fits UnionPay's
//! fixed status tags (facts §4.4).

mod details;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    body::{self, Body, put, tag},
    error::ProtocolError,
    parameters::{self, Values},
    task::MAX_NAME_BYTES,
};

pub use details::{Details, Lock, MAX_APPLICATIONS};

/// Most administrator roles in a report.
const MAX_ROLES: usize = 16;

/// A terminal's report.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Model name.
    pub model: String,
    /// Hardware revision.
    pub hardware_revision: String,
    /// Version of the running image.
    pub version: String,
    /// Security counter of the running image.
    pub security_counter: u32,
    /// Running slot, `A` or `B`.
    pub slot: String,
    /// Starts since manufacture.
    pub boot_count: u32,
    /// State of the parts.
    pub health: Health,
    /// Generation in force of each administrator role.
    pub credentials: BTreeMap<String, u32>,
    /// All parameters in force.
    pub parameters: Values,
    /// What only some terminals know.
    pub details: Details,
}

/// State of a terminal's parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Keyboard works.
    pub keyboard: bool,
    /// PIN pad works.
    pub pin_pad: bool,
    /// Card reader works.
    pub card_reader: bool,
    /// Printer works.
    pub printer: bool,
    /// Display works.
    pub display: bool,
    /// Printer has paper.
    pub paper: bool,
    /// A tamper switch was triggered.
    pub tampered: bool,
    /// Battery charge, 0 to 100 percent.
    pub battery_percent: u8,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            keyboard: true,
            pin_pad: true,
            card_reader: true,
            printer: true,
            display: true,
            paper: true,
            tampered: false,
            battery_percent: 100,
        }
    }
}

impl Health {
    fn to_bytes(self) -> [u8; 8] {
        [
            u8::from(self.keyboard),
            u8::from(self.pin_pad),
            u8::from(self.card_reader),
            u8::from(self.printer),
            u8::from(self.display),
            u8::from(self.paper),
            u8::from(self.tampered),
            self.battery_percent,
        ]
    }

    fn from_bytes(bytes: [u8; 8]) -> Result<Self, ProtocolError> {
        let [keyboard, pin_pad, card_reader, printer, display, paper, tampered, battery_percent] = bytes;
        let flags = [keyboard, pin_pad, card_reader, printer, display, paper, tampered];
        if flags.iter().any(|f| *f > 1) || battery_percent > 100 {
            return Err(ProtocolError::body("health", "a value is out of range"));
        }
        Ok(Self {
            keyboard: keyboard == 1,
            pin_pad: pin_pad == 1,
            card_reader: card_reader == 1,
            printer: printer == 1,
            display: display == 1,
            paper: paper == 1,
            tampered: tampered == 1,
            battery_percent,
        })
    }

    /// The five parts that UnionPay's status tags 01-05 have (1 works, 0 does not).
    pub fn put_tags(self, values: &mut Values) {
        for (name, works) in [
            ("health.keyboard", self.keyboard),
            ("health.pin_pad", self.pin_pad),
            ("health.card_reader", self.card_reader),
            ("health.printer", self.printer),
            ("health.display", self.display),
        ] {
            values.insert(name.to_owned(), u8::from(works).to_string());
        }
    }
}

impl Report {
    /// The body, and the bytes of the data fields: the parameters and the details.
    ///
    /// # Errors
    /// When a parameter is too long for the wire.
    pub fn encode(&self) -> Result<(Vec<u8>, Vec<u8>), ProtocolError> {
        let mut out = Vec::with_capacity(160);
        for (tag, text) in [
            (tag::MODEL, &self.model),
            (tag::HARDWARE, &self.hardware_revision),
            (tag::VERSION, &self.version),
            (tag::SLOT, &self.slot),
        ] {
            put(&mut out, tag, body::truncate(text, MAX_NAME_BYTES).as_bytes());
        }
        put(&mut out, tag::SECURITY_COUNTER, &self.security_counter.to_be_bytes());
        put(&mut out, tag::BOOT_COUNT, &self.boot_count.to_be_bytes());
        put(&mut out, tag::HEALTH, &self.health.to_bytes());
        for (role, generation) in self.credentials.iter().take(MAX_ROLES) {
            put(&mut out, tag::CREDENTIAL, format!("{role}={generation}").as_bytes());
        }
        let mut data = parameters::encode_named(&self.parameters)?;
        if !self.details.is_empty() {
            put(&mut data, tag::DETAILS, &self.details.encode());
        }
        Ok((out, data))
    }

    /// Reads body and data fields.
    ///
    /// # Errors
    /// Names the element that is missing or malformed.
    pub fn decode(bytes: &[u8], data: &[u8]) -> Result<Self, ProtocolError> {
        const NAME: &str = "report";
        let body = Body::parse(bytes)?;
        let mut credentials = BTreeMap::new();
        for element in body.all(tag::CREDENTIAL).take(MAX_ROLES) {
            let text = body::text(element, NAME, MAX_NAME_BYTES)?;
            let (role, generation) = text
                .split_once('=')
                .and_then(|(role, generation)| Some((role, generation.parse().ok()?)))
                .ok_or_else(|| ProtocolError::body(NAME, "a credential is not role=generation"))?;
            credentials.insert(role.to_owned(), generation);
        }
        Ok(Self {
            model: body.text(tag::MODEL, NAME, MAX_NAME_BYTES)?,
            hardware_revision: body.text(tag::HARDWARE, NAME, MAX_NAME_BYTES)?,
            version: body.text(tag::VERSION, NAME, MAX_NAME_BYTES)?,
            slot: body.text(tag::SLOT, NAME, MAX_NAME_BYTES)?,
            security_counter: body.u32(tag::SECURITY_COUNTER, NAME)?,
            boot_count: body.u32(tag::BOOT_COUNT, NAME)?,
            health: Health::from_bytes(body.array(tag::HEALTH, NAME)?)?,
            credentials,
            parameters: parameters::decode_named(data)?,
            details: match Body::parse(data)?.find(tag::DETAILS) {
                Some(details) => Details::decode(details)?,
                None => Details::default(),
            },
        })
    }
}

#[cfg(test)]
mod tests;

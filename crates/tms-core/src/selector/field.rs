//! The fields that can be tested, and what kind of tests each takes.

use std::fmt;

use super::lexer;
use crate::attribute::AttributeName;

/// Longest name of a reported parameter or detail.
const MAX_REPORTED_NAME_BYTES: usize = 64;

/// What can be tested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// The terminal's number.
    Tid,
    /// The merchant's number.
    Mid,
    /// The maker's serial number.
    Serial,
    /// The maker.
    Vendor,
    /// The model.
    Model,
    /// The hardware revision.
    HardwareRevision,
    /// The protocol profile.
    Profile,
    /// The time zone's name.
    TimeZone,
    /// The life cycle.
    LifeCycle,
    /// The group that the terminal belongs to.
    Group,
    /// Its tags.
    Tag,
    /// One of its own attributes.
    Attribute(AttributeName),
    /// When it was last heard of.
    LastContact,
    /// When it was enrolled.
    EnrolledAt,
    /// The firmware package that it should run.
    DesiredFirmware,
    /// The version of the firmware that runs.
    ReportedFirmware,
    /// How often it has started.
    BootCount,
    /// Charge of the battery, in percent.
    Battery,
    /// Whether a part works.
    Part(Part),
    /// Whether the tamper switch has been triggered.
    Tamper,
    /// A parameter in force.
    ReportedParameter(String),
    /// What else it said of itself.
    ReportedDetail(String),
}

/// A part of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Paper in the printer.
    Paper,
    /// The printer.
    Printer,
    /// The card reader.
    CardReader,
    /// The PIN pad.
    PinPad,
    /// The keyboard.
    Keyboard,
    /// The display.
    Display,
}

/// What a field holds, and so which tests it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Text: every comparison, lists, patterns.
    Text,
    /// One of a few words: equality and lists.
    Word,
    /// A group: equality, lists, `under`.
    Group,
    /// Tags: has it, has any of these, has one like this.
    Tag,
    /// Text, a whole number or a flag: every comparison that the value's own type has.
    Attribute,
    /// The time of the last contact: `older`, `newer`, `never`.
    Contact,
    /// A time: `before`, `after`.
    Moment,
    /// A version: every comparison in the order of versions, lists, patterns.
    Version,
    /// A whole number: every comparison, lists.
    Number,
    /// Yes or no: equality.
    Flag,
    /// What the terminal says: text for equality, lists and patterns; a whole number for order.
    Said,
}

impl Class {
    /// Whether its values are written without quotes.
    pub(super) fn is_words(self) -> bool {
        matches!(self, Self::Word | Self::Tag)
    }

    /// What may follow a field of this class, for people.
    pub(super) fn tests(self) -> &'static str {
        match self {
            Self::Text | Self::Attribute | Self::Version | Self::Said => {
                "one of = != < <= > >= in ~ after the field"
            }
            Self::Word => "one of = != in after the field",
            Self::Group => "one of = != in under after the field",
            Self::Tag => "a tag, or one of has in ~ after the field",
            Self::Contact => "older than, newer than or never after the field",
            Self::Moment => "before or after following the field",
            Self::Number => "one of = != < <= > >= in after the field",
            Self::Flag => "one of = != after the field",
        }
    }
}

/// The fields that have one name, and it.
const NAMED: [(&str, Field); 24] = [
    ("tid", Field::Tid),
    ("mid", Field::Mid),
    ("serial", Field::Serial),
    ("vendor", Field::Vendor),
    ("model", Field::Model),
    ("hardware_revision", Field::HardwareRevision),
    ("profile", Field::Profile),
    ("time_zone", Field::TimeZone),
    ("life_cycle", Field::LifeCycle),
    ("group", Field::Group),
    ("tag", Field::Tag),
    ("last_contact", Field::LastContact),
    ("enrolled_at", Field::EnrolledAt),
    ("desired.firmware", Field::DesiredFirmware),
    ("reported.firmware", Field::ReportedFirmware),
    ("reported.boot_count", Field::BootCount),
    ("reported.battery", Field::Battery),
    ("reported.paper", Field::Part(Part::Paper)),
    ("reported.printer", Field::Part(Part::Printer)),
    ("reported.card_reader", Field::Part(Part::CardReader)),
    ("reported.pin_pad", Field::Part(Part::PinPad)),
    ("reported.keyboard", Field::Part(Part::Keyboard)),
    ("reported.display", Field::Part(Part::Display)),
    ("reported.tamper", Field::Tamper),
];

const ATTRIBUTE: &str = "attr.";
const PARAMETER: &str = "reported.parameter.";
const DETAIL: &str = "reported.detail.";

impl Field {
    /// The field of this name, or `None`.
    pub(super) fn find(name: &str) -> Option<Self> {
        if let Some((_, field)) = NAMED.iter().find(|(known, _)| *known == name) {
            return Some(field.clone());
        }
        let reported = |name: &str| {
            (lexer::is_plain_word(name) && name.len() <= MAX_REPORTED_NAME_BYTES).then(|| name.to_owned())
        };
        if let Some(name) = name.strip_prefix(ATTRIBUTE) {
            return name.parse().ok().map(Self::Attribute);
        }
        if let Some(name) = name.strip_prefix(PARAMETER) {
            return reported(name).map(Self::ReportedParameter);
        }
        name.strip_prefix(DETAIL).and_then(reported).map(Self::ReportedDetail)
    }

    /// The names of all fields; those that take a name of their own end in `.`.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMED.iter().map(|(name, _)| *name).chain([ATTRIBUTE, PARAMETER, DETAIL])
    }

    /// What it holds.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Tid
            | Self::Mid
            | Self::Serial
            | Self::Vendor
            | Self::Model
            | Self::HardwareRevision
            | Self::Profile
            | Self::TimeZone
            | Self::DesiredFirmware => Class::Text,
            Self::LifeCycle | Self::Part(_) => Class::Word,
            Self::Group => Class::Group,
            Self::Tag => Class::Tag,
            Self::Attribute(_) => Class::Attribute,
            Self::LastContact => Class::Contact,
            Self::EnrolledAt => Class::Moment,
            Self::ReportedFirmware => Class::Version,
            Self::BootCount | Self::Battery => Class::Number,
            Self::Tamper => Class::Flag,
            Self::ReportedParameter(_) | Self::ReportedDetail(_) => Class::Said,
        }
    }

    /// The words that a field of class [`Class::Word`] takes.
    pub(super) fn words(&self) -> &'static [&'static str] {
        match self {
            Self::LifeCycle => &["registered", "active", "locked", "suspended", "retired"],
            Self::Part(_) => &["ok", "fault"],
            _ => &[],
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute(name) => write!(f, "{ATTRIBUTE}{name}"),
            Self::ReportedParameter(name) => write!(f, "{PARAMETER}{name}"),
            Self::ReportedDetail(name) => write!(f, "{DETAIL}{name}"),
            named => {
                let name = NAMED.iter().find(|(_, field)| field == named).map_or("", |(name, _)| name);
                f.write_str(name)
            }
        }
    }
}

//! The language by example, its errors, and what holds for all of it.

mod errors;
mod meaning;
mod properties;

use crate::attribute::AttributeValue;
use crate::group::{Group, GroupKind, Tree};
use crate::terminal::{Desired, DeviceState, Health, LifeCycle, Place, Reported, Terminal};
use jiff::Timestamp;

use super::*;

fn now() -> Timestamp {
    "2026-11-30T12:00:00Z".parse().unwrap()
}

/// icbc over icbc-bj over shop; boc beside them.
fn groups() -> Tree {
    let group = |id: &str, parent: Option<&str>| Group {
        id: id.parse().unwrap(),
        parent: parent.map(|parent| parent.parse().unwrap()),
        kind: GroupKind::Other,
        name: id.to_owned(),
        templates: Vec::new(),
        attributes: Default::default(),
        version: 1,
    };
    let rows = [
        group("icbc", None),
        group("icbc-bj", Some("icbc")),
        group("shop", Some("icbc-bj")),
        group("boc", None),
    ];
    Tree::new(rows).unwrap()
}

/// A terminal that has said everything.
pub(crate) fn talkative() -> Terminal {
    Terminal {
        id: "10000001".parse().unwrap(),
        merchant: "102310060510002".parse().unwrap(),
        profile: "unionpay".parse().unwrap(),
        model: "A920".to_owned(),
        hardware_revision: "B2".to_owned(),
        serial: "SN-1".to_owned(),
        enrolled_at: "2026-01-31T00:00:00Z".parse().unwrap(),
        sealing_public_key: Vec::new(),
        tmk_sealed: Vec::new(),
        certificate_sha256: None,
        desired: Desired { firmware: Some("fw2".parse().unwrap()), ..Desired::default() },
        reported: Reported {
            parameters: [("timeout_s".into(), "45".into()), ("merchant_name".into(), "银杏 \"A\"".into())]
                .into(),
            firmware_version: Some("2.0.9".into()),
            boot_count: Some(7),
            details: [("locked".into(), "no".into())].into(),
            health: Health {
                battery_percent: Some(80),
                paper: Some(false),
                printer: Some(DeviceState::Ok),
                tamper: Some(false),
                ..Health::default()
            },
            ..Reported::default()
        },
        last_contact: Some("2026-11-30T10:00:00Z".parse().unwrap()),
        place: Place {
            vendor: "PAX".to_owned(),
            life_cycle: LifeCycle::Active,
            group: Some("shop".parse().unwrap()),
            tags: ["canary".parse().unwrap(), "region:north".parse().unwrap()].into(),
            attributes: [
                ("floor".parse().unwrap(), AttributeValue::Integer(3)),
                ("rented".parse().unwrap(), AttributeValue::Flag(true)),
                ("contract".parse().unwrap(), AttributeValue::Text("17".into())),
            ]
            .into(),
            ..Place::default()
        },
    }
}

/// A terminal of which next to nothing is known.
fn silent() -> Terminal {
    Terminal {
        id: "20000001".parse().unwrap(),
        desired: Desired::default(),
        reported: Reported::default(),
        last_contact: None,
        place: Place::default(),
        ..talkative()
    }
}

fn matches(selector: &str, terminal: &Terminal) -> bool {
    Selector::parse(selector).unwrap().matches(terminal, &groups(), now())
}

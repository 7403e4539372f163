//! The file `terminal.toml` of an enrolled terminal, as `tms-terminal` reads it.

use std::collections::BTreeMap;

use iso8583::framing::Framing;
use serde::Serialize;
use tms_core::Role;
use tms_crypto::keyblock::Tmk;
use zeroize::{Zeroize, Zeroizing};

use super::{EnrolError, FIRST_GENERATION, Host, Identity};

/// `terminal.toml`, without the parts that have defaults.
#[derive(Serialize)]
struct Scenario<'a> {
    identity: ScenarioIdentity<'a>,
    host: ScenarioHost<'a>,
    tls: ScenarioTls,
    security: ScenarioSecurity<'a>,
    credential: Vec<ScenarioCredential<'a>>,
    firmware: ScenarioFirmware<'a>,
    parameters: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
struct ScenarioIdentity<'a> {
    tid: &'a str,
    mid: &'a str,
    serial: &'a str,
    model: &'a str,
    hardware_revision: &'a str,
    network_licence: &'a str,
}

#[derive(Serialize)]
struct ScenarioHost<'a> {
    address: &'a str,
    server_name: &'a str,
    profile: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    framing: Option<Framing>,
}

#[derive(Serialize)]
struct ScenarioTls {
    ca: &'static str,
    certificate: &'static str,
    key: &'static str,
}

#[derive(Serialize)]
struct ScenarioSecurity<'a> {
    sealing_key: &'static str,
    tmk: &'a str,
    firmware_trust: &'static str,
}

#[derive(Serialize)]
struct ScenarioCredential<'a> {
    role: &'a str,
    secret: &'a str,
    generation: u32,
}

#[derive(Serialize)]
struct ScenarioFirmware<'a> {
    version: &'a str,
    security_counter: u32,
}

pub(super) fn scenario(
    identity: &Identity,
    host: &Host,
    tmk: &Tmk,
    credentials: &[(Role, Zeroizing<String>)],
) -> Result<Zeroizing<String>, EnrolError> {
    let tmk = Zeroizing::new(hex::encode_upper(tmk.secret_bytes()));
    let scenario = Scenario {
        identity: ScenarioIdentity {
            tid: identity.terminal.as_str(),
            mid: identity.merchant.as_str(),
            serial: &identity.serial,
            model: &identity.model,
            hardware_revision: &identity.hardware_revision,
            network_licence: &identity.network_licence,
        },
        host: ScenarioHost {
            address: &host.address,
            server_name: &host.server_name,
            profile: host.profile.as_str(),
            framing: host.framing,
        },
        tls: ScenarioTls { ca: "ca.pem", certificate: "terminal.pem", key: "terminal.key" },
        security: ScenarioSecurity {
            sealing_key: "sealing.key",
            tmk: &tmk,
            firmware_trust: "firmware-trust.json",
        },
        credential: credentials
            .iter()
            .map(|(role, secret)| ScenarioCredential {
                role: role.as_str(),
                secret,
                generation: FIRST_GENERATION,
            })
            .collect(),
        firmware: ScenarioFirmware { version: &identity.firmware_version, security_counter: 1 },
        parameters: tms_core::parameters::SCHEMA
            .iter()
            .map(|parameter| (parameter.name, parameter.default))
            .collect(),
    };
    let mut body =
        toml::to_string(&scenario).map_err(|error| EnrolError::Configuration(error.to_string()))?;
    let text = Zeroizing::new(format!(
        "# Terminal {}, as enrolled. Holds its master key and first credentials: keep it like a key.\n\n{body}",
        identity.terminal
    ));
    body.zeroize();
    Ok(text)
}

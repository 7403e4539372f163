//! The file as it is written, before anything in it was checked but its shape.

use serde::Deserialize;
use toml::Spanned;

use crate::app::{ApiLimits, Limits, Rate};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) server: Option<Server>,
    #[serde(default, rename = "listener")]
    pub(super) listeners: Vec<Listener>,
    pub(super) tls: Tls,
    pub(super) enrolment: Option<Enrolment>,
    pub(super) store: Store,
    pub(super) objects: Objects,
    pub(super) vault: Vault,
    pub(super) firmware: Option<Firmware>,
    pub(super) api: Api,
    #[serde(default)]
    pub(super) limits: FileLimits,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Server {
    pub(super) name: Option<String>,
    pub(super) drain_deadline_s: Option<Spanned<u64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listener {
    pub(super) address: Spanned<String>,
    pub(super) profile: Spanned<String>,
    pub(super) framing: Option<Spanned<String>>,
    pub(super) profile_file: Option<Spanned<String>>,
    pub(super) mac_key_file: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    pub(super) certificate: Spanned<String>,
    pub(super) key: Spanned<String>,
    pub(super) client_ca: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Enrolment {
    pub(super) ca_key: String,
    pub(super) host: String,
    pub(super) server_name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Store {
    pub(super) url: Spanned<String>,
    pub(super) password_file: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Objects {
    pub(super) folder: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Vault {
    pub(super) key_file: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Firmware {
    pub(super) trust_root: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Api {
    pub(super) address: Spanned<String>,
    #[serde(default)]
    pub(super) behind_proxy: bool,
}

/// A limit that is not given keeps its default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileLimits {
    frame_bytes: Option<Spanned<u64>>,
    connections: Option<Spanned<u64>>,
    connections_per_address: Option<Spanned<u64>>,
    handshake_timeout_s: Option<Spanned<u64>>,
    idle_timeout_s: Option<Spanned<u64>>,
    log_bundle_bytes: Option<Spanned<u64>>,
    firmware_bytes: Option<Spanned<u64>>,
    operation_lifetime_s: Option<Spanned<u64>>,
    operation_timeout_s: Option<Spanned<u64>>,
    operation_result_timeout_s: Option<Spanned<u64>>,
    operation_retry_s: Option<Spanned<u64>>,
    operation_attempts: Option<Spanned<u64>>,
    api_connections: Option<Spanned<u64>>,
    api_concurrent_requests: Option<Spanned<u64>>,
    api_body_bytes: Option<Spanned<u64>>,
    api_request_timeout_s: Option<Spanned<u64>>,
    api_header_timeout_s: Option<Spanned<u64>>,
    api_stall_timeout_s: Option<Spanned<u64>>,
    api_user_per_minute: Option<Spanned<u64>>,
    api_user_burst: Option<Spanned<u64>>,
    api_address_per_minute: Option<Spanned<u64>>,
    api_address_burst: Option<Spanned<u64>>,
    api_logins_per_minute: Option<Spanned<u64>>,
}

/// A limit outside its range: where it stands, and the sentence that says so.
pub(super) type OutOfRange = (std::ops::Range<usize>, String);

impl FileLimits {
    /// Checks every limit against its range. The upper ends are far beyond sense and keep a slip of
    /// the finger from exhausting the machine.
    pub(super) fn check(&self) -> Result<Limits, OutOfRange> {
        let standard = Limits::default();
        let seconds = |key, value, standard| in_range(key, value, standard, 1, 86_400);
        Ok(Limits {
            // The smallest message that means anything has a few dozen bytes; two length bytes end at 65535.
            frame_bytes: size(in_range(
                "frame_bytes",
                &self.frame_bytes,
                wide(standard.frame_bytes),
                256,
                65_535,
            )?),
            connections: size(in_range(
                "connections",
                &self.connections,
                wide(standard.connections),
                1,
                1_000_000,
            )?),
            connections_per_address: size(in_range(
                "connections_per_address",
                &self.connections_per_address,
                wide(standard.connections_per_address),
                1,
                1_000_000,
            )?),
            handshake_timeout_s: in_range(
                "handshake_timeout_s",
                &self.handshake_timeout_s,
                standard.handshake_timeout_s,
                1,
                300,
            )?,
            idle_timeout_s: seconds("idle_timeout_s", &self.idle_timeout_s, standard.idle_timeout_s)?,
            log_bundle_bytes: in_range(
                "log_bundle_bytes",
                &self.log_bundle_bytes,
                standard.log_bundle_bytes,
                1024,
                1 << 30,
            )?,
            firmware_bytes: in_range(
                "firmware_bytes",
                &self.firmware_bytes,
                standard.firmware_bytes,
                1024,
                4 << 30,
            )?,
            operation_timeout_s: seconds(
                "operation_timeout_s",
                &self.operation_timeout_s,
                standard.operation_timeout_s,
            )?,
            operation_result_timeout_s: seconds(
                "operation_result_timeout_s",
                &self.operation_result_timeout_s,
                standard.operation_result_timeout_s,
            )?,
            operation_retry_s: in_range(
                "operation_retry_s",
                &self.operation_retry_s,
                standard.operation_retry_s,
                0,
                86_400,
            )?,
            operation_lifetime_s: in_range(
                "operation_lifetime_s",
                &self.operation_lifetime_s,
                standard.operation_lifetime_s,
                60,
                366 * 86_400,
            )?,
            operation_attempts: u32::try_from(in_range(
                "operation_attempts",
                &self.operation_attempts,
                u64::from(standard.operation_attempts),
                1,
                1_000,
            )?)
            .unwrap_or(u32::MAX),
            verifier_iterations: standard.verifier_iterations,
            api: self.check_api(&standard.api)?,
        })
    }

    fn check_api(&self, standard: &ApiLimits) -> Result<ApiLimits, OutOfRange> {
        let count = |key, value, standard| in_range(key, value, wide(standard), 1, 1_000_000).map(size);
        let seconds = |key, value, standard| in_range(key, value, standard, 1, 3_600);
        let times = |key, value, standard: u32| {
            let times = in_range(key, value, u64::from(standard), 1, 10_000_000)?;
            Ok(u32::try_from(times).unwrap_or(u32::MAX))
        };
        let (user, address) = (standard.user_rate, standard.address_rate);
        let logins = times("api_logins_per_minute", &self.api_logins_per_minute, standard.login_rate.burst)?;
        Ok(ApiLimits {
            connections: count("api_connections", &self.api_connections, standard.connections)?,
            concurrent_requests: count(
                "api_concurrent_requests",
                &self.api_concurrent_requests,
                standard.concurrent_requests,
            )?,
            body_bytes: size(in_range(
                "api_body_bytes",
                &self.api_body_bytes,
                wide(standard.body_bytes),
                1_024,
                16 << 20,
            )?),
            request_timeout_s: seconds(
                "api_request_timeout_s",
                &self.api_request_timeout_s,
                standard.request_timeout_s,
            )?,
            header_timeout_s: seconds(
                "api_header_timeout_s",
                &self.api_header_timeout_s,
                standard.header_timeout_s,
            )?,
            stall_timeout_s: seconds(
                "api_stall_timeout_s",
                &self.api_stall_timeout_s,
                standard.stall_timeout_s,
            )?,
            user_rate: Rate {
                per_minute: times("api_user_per_minute", &self.api_user_per_minute, user.per_minute)?,
                burst: times("api_user_burst", &self.api_user_burst, user.burst)?,
            },
            address_rate: Rate {
                per_minute: times(
                    "api_address_per_minute",
                    &self.api_address_per_minute,
                    address.per_minute,
                )?,
                burst: times("api_address_burst", &self.api_address_burst, address.burst)?,
            },
            login_rate: Rate { per_minute: logins, burst: logins },
            behind_proxy: standard.behind_proxy,
        })
    }
}

/// Checks a whole number against its range.
pub(super) fn in_range(
    key: &str,
    value: &Option<Spanned<u64>>,
    standard: u64,
    min: u64,
    max: u64,
) -> Result<u64, OutOfRange> {
    match value {
        None => Ok(standard),
        Some(value) if (min..=max).contains(value.get_ref()) => Ok(*value.get_ref()),
        Some(value) => {
            Err((value.span(), format!("{key} is {}; it must be from {min} to {max}", value.get_ref())))
        }
    }
}

fn wide(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

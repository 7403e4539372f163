//! One attempt to deliver: signed as Standard Webhooks has it, and never to an address that only this
//! machine should reach.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rustls::crypto::aws_lc_rs;
use tms_core::{DeliveryId, WebhookId};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Error};

use super::WebhookSettings;

/// Longest address.
const MAX_URL_BYTES: usize = 2_048;

/// What is read of an answer, and thrown away.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// Where most systems keep the certificates they trust.
const SYSTEM_CERTIFICATES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Why an address cannot be a webhook's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// No address of the web, or one with a name and password in it.
    #[error(
        "it must be https://HOST/PATH or http://HOST/PATH, of at most {MAX_URL_BYTES} bytes, without user and password"
    )]
    Form,
    /// Nothing that this machine alone can reach may be reached through it.
    #[error(
        "{0} is an address of this machine or of a private network; webhooks.allow_private = true in the server's configuration allows those"
    )]
    Private(String),
}

/// Checks an address as it is written. Names are checked again whenever they are looked up.
///
/// # Errors
/// [`AddressError`].
pub fn check_address(url: &str, allow_private: bool) -> Result<(), AddressError> {
    let uri: Uri = url.parse().map_err(|_| AddressError::Form)?;
    let web = matches!(uri.scheme_str(), Some("http" | "https"));
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = uri.host().unwrap_or_default();
    if !web || host.is_empty() || authority.contains('@') || url.len() > MAX_URL_BYTES {
        return Err(AddressError::Form);
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let private = match bare.parse::<IpAddr>() {
        Ok(address) => is_private(address),
        Err(_) => bare.eq_ignore_ascii_case("localhost") || bare.to_ascii_lowercase().ends_with(".localhost"),
    };
    match private && !allow_private {
        true => Err(AddressError::Private(bare.to_owned())),
        false => Ok(()),
    }
}

/// Whether an address belongs to this machine, to a private network or to nobody.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_private_v4(v4),
        IpAddr::V6(v6) => match embedded_v4(v6) {
            Some(v4) => is_private_v4(v4),
            None => {
                let [first, second, ..] = v6.segments();
                let documentation = first == 0x2001 && second == 0x0db8;
                v6.is_loopback()
                    || v6.is_unspecified()
                    || v6.is_multicast()
                    || v6.is_unique_local()
                    || v6.is_unicast_link_local()
                    || documentation
            }
        },
    }
}

/// The IPv4 address that an IPv6 one stands for: mapped, NAT64 or 6to4.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let low = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xFFFF, a, b] | [0x64, 0xFF9B, 0, 0, 0, 0, a, b] => Some(low(a, b)),
        [0x2002, a, b, ..] => Some(low(a, b)),
        _ => None,
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let benchmark = a == 198 && (b == 18 || b == 19);
    a == 0
        || a >= 240
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || shared
        || benchmark
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Posted {
    /// The receiver has it: the status of its answer.
    Taken(u16),
    /// The receiver wants no more of it.
    Gone,
    /// It may work later; why it did not.
    Failed(String),
}

/// Posts.
#[derive(Debug)]
pub(super) struct Poster {
    agent: Agent,
}

/// Why nothing can be posted.
#[derive(Debug, thiserror::Error)]
#[error("the certificates in {file} cannot be read: {reason}")]
pub(super) struct CertificateError {
    file: String,
    reason: String,
}

impl Poster {
    pub(super) fn new(settings: &WebhookSettings) -> Result<Self, CertificateError> {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(certificates(settings)?)))
            .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
            .build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // An answer must not lead to where the address itself may not.
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(settings.timeout_s)))
            .user_agent(concat!("tms8583/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        let resolver = Guarded { inner: DefaultResolver::default(), allow_private: settings.allow_private };
        Ok(Self { agent: Agent::with_parts(config, DefaultConnector::new(), resolver) })
    }

    /// Posts an event. Blocks until it is answered or its time is over.
    pub(super) fn post(
        &self,
        url: &str,
        id: DeliveryId,
        now: Timestamp,
        event: &str,
        secret: &[u8],
    ) -> Posted {
        let (id, timestamp) = (id.to_string(), now.as_second().to_string());
        let request = self
            .agent
            .post(url)
            .header("content-type", "application/cloudevents+json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", &timestamp)
            .header("webhook-signature", signature(secret, &id, &timestamp, event));
        match request.send(event) {
            Ok(mut response) => {
                let status = response.status().as_u16();
                // So that the connection can be used again.
                let mut rest = response.body_mut().as_reader().take(MAX_ANSWER_BYTES);
                let _ = std::io::copy(&mut rest, &mut std::io::sink());
                match status {
                    200..300 => Posted::Taken(status),
                    410 => Posted::Gone,
                    _ => Posted::Failed(format!("it answered {status}")),
                }
            }
            Err(error) => Posted::Failed(format!("it cannot be reached: {error}")),
        }
    }
}

/// The signature of Standard Webhooks: HMAC-SHA256 over id, time and body.
pub(super) fn signature(secret: &[u8], id: &str, timestamp: &str, body: &str) -> String {
    let signed = format!("{id}.{timestamp}.{body}");
    format!("v1,{}", STANDARD.encode(tms_crypto::digest::hmac_sha256(secret, signed.as_bytes())))
}

/// What a webhook's secret is sealed for.
pub(crate) fn secret_context(id: WebhookId) -> Vec<u8> {
    format!("webhook/{id}").into_bytes()
}

fn certificates(settings: &WebhookSettings) -> Result<Vec<Certificate<'static>>, CertificateError> {
    let file = match &settings.ca_file {
        Some(file) => file.clone(),
        // Without certificates receivers are reached without TLS only.
        None => match SYSTEM_CERTIFICATES.into_iter().find(|file| std::path::Path::new(file).exists()) {
            Some(file) => file.into(),
            None => return Ok(Vec::new()),
        },
    };
    let wrong = |reason: String| CertificateError { file: file.display().to_string(), reason };
    let pem = std::fs::read(&file).map_err(|error| wrong(error.to_string()))?;
    let found: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if found.is_empty() { Err(wrong("there is none".to_owned())) } else { Ok(found) }
}

/// Looks names up and gives no address that must not be posted to, whatever the name said before.
#[derive(Debug)]
struct Guarded {
    inner: DefaultResolver,
    allow_private: bool,
}

impl Resolver for Guarded {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let found = self.inner.resolve(uri, config, timeout)?;
        let mut allowed = self.empty();
        for address in found.iter().filter(|address| self.allow_private || !is_private(address.ip())) {
            allowed.push(*address);
        }
        match allowed.is_empty() {
            true => Err(Error::Other("its name leads to this machine or a private network only".into())),
            false => Ok(allowed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine_and_of_private_networks_are_refused_in_every_spelling() {
        for url in [
            "http://127.0.0.1/x",
            "http://127.1.2.3:8080",
            "http://localhost/x",
            "http://tms.LOCALHOST/x",
            "http://10.0.0.1",
            "http://192.168.1.1",
            "http://172.16.0.1",
            "http://169.254.169.254/latest/meta-data",
            "http://100.64.0.1",
            "http://0.0.0.0",
            "http://[::1]/x",
            "http://[::]/x",
            "http://[fe80::1]/x",
            "http://[fd00::1]/x",
            "http://[::ffff:127.0.0.1]/x",
            "http://[64:ff9b::7f00:1]/x",
            "http://[2002:7f00:1::]/x",
        ] {
            assert!(matches!(check_address(url, false), Err(AddressError::Private(_))), "{url}");
            assert_eq!(check_address(url, true), Ok(()), "{url}");
        }
        for url in ["https://hooks.example/tms", "http://8.8.8.8/", "https://[2606:4700::1]/x"] {
            assert_eq!(check_address(url, false), Ok(()), "{url}");
        }
    }

    #[test]
    fn what_is_no_address_of_the_web_is_refused() {
        let long = format!("https://hooks.example/{}", "x".repeat(MAX_URL_BYTES));
        for url in ["", "hooks", "ftp://hooks.example", "https://ann:secret@hooks.example", "/path", &long] {
            assert_eq!(check_address(url, true), Err(AddressError::Form), "{url}");
        }
    }

    /// The example of the Standard Webhooks specification's libraries.
    #[test]
    fn a_signature_is_the_one_of_the_specification() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed =
            signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", "{\"test\": 2432232314}");
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_name_that_leads_to_this_machine_is_not_posted_to() {
        let poster = Poster::new(&WebhookSettings::default()).unwrap();
        let id = DeliveryId::new(Timestamp::UNIX_EPOCH, [1; 10]);
        let posted = poster.post("http://localhost:9/", id, Timestamp::UNIX_EPOCH, "{}", b"secret");
        let Posted::Failed(why) = posted else { panic!("{posted:?}") };
        assert!(why.contains("private network"), "{why}");
    }
}

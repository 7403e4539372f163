//! A client of the server's REST interface.

use std::fs;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use serde_json::Value;
use ureq::http::{Response, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, RequestBuilder, SendBody};

use crate::cli::Connection;
use crate::failure::Failure;
use crate::login_store;

/// The largest answer that is kept in memory, in bytes.
const MAX_ANSWER_BYTES: u64 = 64 << 20;

/// Where most systems keep the certificates they trust.
const SYSTEM_CERTIFICATES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// A connection to one server, perhaps with a token. No `Debug`, because the token is a secret.
pub(crate) struct Client {
    agent: Agent,
    server: String,
    token: Option<String>,
}

impl Client {
    /// A client that can do what the token allows: the given server and token, or the remembered.
    pub(crate) fn logged_in(connection: &Connection) -> Result<Self, Failure> {
        let stored = match (&connection.server, &connection.token) {
            (Some(_), Some(_)) => None,
            _ => login_store::load()?,
        };
        let server = connection
            .server
            .as_deref()
            .or(stored.as_ref().map(|login| login.server.as_str()))
            .ok_or_else(|| {
                Failure::new("no server is given or remembered").next("run `tmsctl login --server URL`")
            })?
            .to_owned();
        // A remembered token goes to the server that gave it and to no other.
        let same = stored.filter(|login| trimmed(&login.server) == trimmed(&server));
        let ca = connection.ca.clone().or(same.as_ref().and_then(|login| login.ca.clone()));
        let token = connection.token.clone().or(same.map(|login| login.token)).ok_or_else(|| {
            Failure::new(format!("you are not logged in to {server}"))
                .next(format!("run `tmsctl login --server {server}`, or set TMSCTL_TOKEN"))
        })?;
        Self::new(&server, Some(token), ca.as_deref(), connection.allow_plain_http)
    }

    /// A client without a token, for logging in.
    pub(crate) fn anonymous(server: &str, connection: &Connection) -> Result<Self, Failure> {
        Self::new(server, None, connection.ca.as_deref(), connection.allow_plain_http)
    }

    fn new(
        server: &str,
        token: Option<String>,
        ca: Option<&Path>,
        allow_plain_http: bool,
    ) -> Result<Self, Failure> {
        let server = trimmed(server).to_owned();
        let uri: Uri = server.parse().ok().filter(|uri: &Uri| uri.host().is_some()).ok_or_else(|| {
            Failure::new(format!("`{server}` is no server address"))
                .next("give one such as https://tms.example:8443")
        })?;
        let loopback = uri.host().is_some_and(is_loopback);
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            // The token is for this server and not for where it might point.
            .max_redirects(0)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_per_read(Some(Duration::from_secs(120)))
            .user_agent(concat!("tmsctl/", env!("CARGO_PKG_VERSION")));
        if loopback {
            config = config.proxy(None);
        }
        match uri.scheme_str() {
            Some("https") => config = config.tls_config(tls(ca)?),
            Some("http") if loopback || allow_plain_http => {}
            Some("http") => {
                return Err(Failure::new(format!(
                    "{server} would get password and token without encryption"
                ))
                .next("use https, or --allow-plain-http where the network is trusted"));
            }
            _ => {
                return Err(Failure::new(format!("`{server}` is no server address"))
                    .next("begin it with https:// (or http:// on this machine)"));
            }
        }
        Ok(Self { agent: config.build().new_agent(), server, token })
    }

    /// The server's address.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// Asks for a resource.
    pub(crate) fn get(&self, path: &str) -> Result<Value, Failure> {
        self.answer(self.authorized(self.agent.get(self.url(path))).call())
    }

    /// All entries of a list that the server gives in pages.
    pub(crate) fn all_pages(&self, path: &str) -> Result<Vec<Value>, Failure> {
        let mut items = Vec::new();
        let mut place = path.to_owned();
        let mut after = String::new();
        loop {
            let mut page = self.get(&place)?;
            if let Some(Value::Array(more)) = page.get_mut("items").map(Value::take) {
                items.extend(more);
            }
            match page.get("next").and_then(Value::as_str) {
                // A page that points to itself would never end.
                Some(next) if next != after => next.clone_into(&mut after),
                _ => return Ok(items),
            }
            let mark = if path.contains('?') { '&' } else { '?' };
            place = format!("{path}{mark}after={}", escaped(&after));
        }
    }

    /// Asks for something to be done.
    pub(crate) fn post(&self, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let request = self.authorized(self.agent.post(self.url(path)));
        self.answer(match body {
            Some(body) => request.send_json(body),
            None => request.send_empty(),
        })
    }

    /// Changes a resource.
    pub(crate) fn patch(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.answer(self.authorized(self.agent.patch(self.url(path))).send_json(body))
    }

    /// Puts a resource in place of the one that is there now, unless somebody else does so in between.
    pub(crate) fn replace(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let seen = self.authorized(self.agent.get(self.url(path))).call();
        let seen = seen.map_err(|error| self.unreachable(&error))?;
        let tag = seen.headers().get("etag").and_then(|tag| tag.to_str().ok());
        let condition = match (seen.status().as_u16(), tag) {
            (200, Some(tag)) => ("if-match", tag.to_owned()),
            (404, _) => ("if-none-match", "*".to_owned()),
            _ => return Err(self.refused(seen)),
        };
        let request = self.authorized(self.agent.put(self.url(path)));
        self.answer(request.header(condition.0, condition.1).send_json(body))
    }

    /// Takes a resource away.
    pub(crate) fn delete(&self, path: &str) -> Result<(), Failure> {
        let answer = self.authorized(self.agent.delete(self.url(path))).call();
        let answer = answer.map_err(|error| self.unreachable(&error))?;
        if answer.status().is_success() { Ok(()) } else { Err(self.refused(answer)) }
    }

    /// Uploads `size_bytes` bytes.
    pub(crate) fn upload(&self, path: &str, size_bytes: u64, bytes: &mut dyn Read) -> Result<Value, Failure> {
        self.upload_as(path, "application/octet-stream", size_bytes, bytes)
    }

    /// Uploads `size_bytes` bytes of this media type.
    pub(crate) fn upload_as(
        &self,
        path: &str,
        kind: &str,
        size_bytes: u64,
        bytes: &mut dyn Read,
    ) -> Result<Value, Failure> {
        let request = self
            .authorized(self.agent.post(self.url(path)))
            .header("content-type", kind)
            .header("content-length", size_bytes);
        self.answer(request.send(SendBody::from_reader(bytes)))
    }

    /// Downloads a resource that is not JSON.
    pub(crate) fn download(&self, path: &str) -> Result<impl Read + use<>, Failure> {
        let response = self
            .authorized(self.agent.get(self.url(path)))
            .call()
            .map_err(|error| self.unreachable(&error))?;
        if !response.status().is_success() {
            return Err(self.refused(response));
        }
        Ok(response.into_body().into_reader())
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v1{path}", self.server)
    }

    fn authorized<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    fn answer(&self, response: Result<Response<Body>, ureq::Error>) -> Result<Value, Failure> {
        let mut response = response.map_err(|error| self.unreachable(&error))?;
        if !response.status().is_success() {
            return Err(self.refused(response));
        }
        response.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_json().map_err(|error| {
            Failure::new(format!("{} answered something that is not JSON: {error}", self.server))
                .next("check that the address is that of the REST interface")
        })
    }

    /// No answer came.
    fn unreachable(&self, error: &ureq::Error) -> Failure {
        let certificate = match error {
            ureq::Error::Rustls(_) | ureq::Error::Tls(_) => true,
            // rustls reports through the socket's errors.
            ureq::Error::Io(error) => error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()),
            _ => false,
        };
        let failure = Failure::new(format!("{} cannot be reached: {error}", self.server));
        if certificate {
            failure.next("give the certificate authority of the server with --ca FILE")
        } else {
            failure.next("check that the server runs and that --server is its REST address").transient()
        }
    }

    /// The server answered that it will not; says why in its words.
    fn refused(&self, mut response: Response<Body>) -> Failure {
        let status = response.status();
        let problem: Value = response.body_mut().with_config().limit(1 << 20).read_json().unwrap_or_default();
        let text = |key: &str| problem.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let sentence = text("detail").or(text("title")).map_or_else(
            || format!("{} answered {status} without saying why", self.server),
            crate::output::printable,
        );
        let failure = Failure::new(sentence).code(text("code"));
        match status.as_u16() {
            401 if self.token.is_some() => {
                failure.next(format!("run `tmsctl login --server {}`", self.server))
            }
            412 => failure
                .next("somebody else changed it at the same time; look at it and run the command again"),
            403 => failure
                .next("see what you may do with `tmsctl whoami`; an administrator can give another role"),
            401 => failure.next("check user and password; a one-time password works only once"),
            404 if text("code").is_none() => {
                failure.next("check that --server is the REST address of a tms-server")
            }
            404 if text("code") == Some("group_not_found") => {
                failure.next("see what there is with `tmsctl group list`")
            }
            404 => failure.next("see what there is with `tmsctl terminal list` or `tmsctl firmware list`"),
            502..=504 => failure.transient(),
            _ => failure,
        }
    }
}

fn trimmed(server: &str) -> &str {
    server.trim().trim_end_matches('/')
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn tls(ca: Option<&Path>) -> Result<TlsConfig, Failure> {
    let file = match ca {
        Some(file) => file.to_owned(),
        None => std::env::var_os("SSL_CERT_FILE")
            .map(Into::into)
            .into_iter()
            .chain(SYSTEM_CERTIFICATES.map(Into::into))
            .find(|file: &std::path::PathBuf| file.exists())
            .ok_or_else(|| {
                Failure::new("this system has no certificates to check the server with")
                    .next("give --ca FILE")
            })?,
    };
    let pem = fs::read(&file).map_err(|error| {
        Failure::new(format!("certificate file {} cannot be read: {error}", file.display()))
    })?;
    let certificates: Vec<Certificate<'static>> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(Failure::new(format!("{} holds no certificate in PEM form", file.display())));
    }
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(certificates)))
        .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
        .build())
}

/// A path of the interface: each segment with everything but unreserved characters escaped.
pub(crate) fn path(segments: &[&str]) -> String {
    segments.iter().map(|segment| format!("/{}", escaped(segment))).collect()
}

pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte))
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_number_cannot_leave_its_place_in_the_path() {
        assert_eq!(path(&["terminals", "../a b?x=1", "logs"]), "/terminals/..%2Fa%20b%3Fx%3D1/logs");
    }

    #[test]
    fn only_this_machine_is_reached_without_encryption() {
        for host in ["localhost", "127.0.0.1", "127.9.9.9", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["10.0.0.1", "tms.example", "localhost.example", "0.0.0.0"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}

//! Why a terminal has no session with its host: one sentence, and what to do next.

use std::{fmt, io};

use rustls::{AlertDescription, CertificateError, Error as TlsError};

/// A failed or ended connection, as a person on the terminal's side should read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind it is, for counting.
    pub kind: FailureKind,
    /// What happened.
    pub what: String,
    /// What to do about it; empty when the terminal helps itself by connecting again.
    pub next: String,
}

/// Kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// Nobody listens there.
    ConnectionRefused,
    /// The name or address leads nowhere.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// The host's certificate has expired, or is not valid yet.
    HostCertificateExpired,
    /// The host's certificate was issued by another CA.
    HostCertificateUnknown,
    /// The host's certificate is for another name.
    HostName,
    /// The host refused this terminal's certificate.
    OwnCertificateRefused,
    /// TLS failed otherwise.
    Tls,
    /// The connection ended.
    ConnectionLost,
    /// The host spoke, but not so that it could be understood.
    Protocol,
    /// The host refused this terminal.
    Refused,
    /// The host found a MAC of this terminal missing or wrong.
    MacRefused,
    /// The session, or its keys, are over for the host: it wants a new sign-on.
    SessionOver,
    /// What must be said next needs a MAC, and the sign-on brought no key for it.
    NoMacKey,
    /// A fault that the scenario asked for.
    Injected,
    /// The terminal's own storage failed.
    Storage,
}

impl FailureKind {
    /// Whether connecting again soon will meet the same.
    #[must_use]
    pub fn is_lasting(self) -> bool {
        use FailureKind as K;
        matches!(
            self,
            K::HostCertificateExpired
                | K::HostCertificateUnknown
                | K::HostName
                | K::OwnCertificateRefused
                | K::Refused
                | K::NoMacKey
        )
    }

    /// Whether a sign-on before it was worth nothing.
    pub(crate) fn voids_sign_on(self) -> bool {
        matches!(self, Self::MacRefused | Self::SessionOver | Self::NoMacKey)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if !self.next.is_empty() {
            write!(f, "; {}", self.next)?;
        }
        Ok(())
    }
}

impl Failure {
    /// A failure with a next step.
    pub(crate) fn new(kind: FailureKind, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { kind, what: what.into(), next: next.into() }
    }

    /// Something did not happen in time.
    pub(crate) fn timeout(what: &str, address: &str) -> Self {
        Self::new(
            FailureKind::Timeout,
            format!("{what} {address} took too long"),
            "check that the host runs and that no firewall drops the packets",
        )
    }

    /// What connecting to `address` failed with.
    pub(crate) fn connect(error: &io::Error, address: &str) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::new(
                FailureKind::ConnectionRefused,
                format!("nothing listens at {address}"),
                "start the host, or correct [host] address",
            ),
            io::ErrorKind::TimedOut => Self::timeout("connecting to", address),
            _ => Self::new(
                FailureKind::Unreachable,
                format!("{address} cannot be reached: {error}"),
                "check [host] address, name resolution and network",
            ),
        }
    }

    /// What an established or half-established TLS connection failed with.
    pub(crate) fn stream(error: &io::Error, server_name: &str) -> Self {
        if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) {
            return Self::tls(tls, server_name);
        }
        match error.kind() {
            io::ErrorKind::TimedOut => Self::new(FailureKind::Timeout, "the host did not answer in time", ""),
            _ => Self::new(FailureKind::ConnectionLost, format!("the connection was lost: {error}"), ""),
        }
    }

    /// The host closed the connection.
    pub(crate) fn closed(during_handshake: bool) -> Self {
        if during_handshake {
            Self::new(
                FailureKind::Tls,
                "the host closed the connection during the TLS handshake",
                "check that [host] address is the TLS port, and look into the host's log",
            )
        } else {
            Self::new(FailureKind::ConnectionLost, "the host closed the connection", "")
        }
    }

    fn tls(error: &TlsError, server_name: &str) -> Self {
        match error {
            TlsError::InvalidCertificate(reason) => host_certificate(reason, server_name),
            TlsError::AlertReceived(alert) => alert_received(*alert),
            TlsError::InvalidMessage(_) => Self::new(
                FailureKind::Tls,
                "what the host sent is not TLS",
                "check that [host] address is the TLS port of the host",
            ),
            TlsError::PeerIncompatible(reason) => Self::new(
                FailureKind::Tls,
                format!("the host offers no TLS that this terminal accepts ({reason:?})"),
                "enable TLS 1.2 or 1.3 with common cipher suites on the host",
            ),
            other => Self::new(FailureKind::Tls, format!("TLS failed: {other}"), "look into the host's log"),
        }
    }
}

fn host_certificate(reason: &CertificateError, server_name: &str) -> Failure {
    use CertificateError as E;
    match reason {
        E::Expired | E::ExpiredContext { .. } => Failure::new(
            FailureKind::HostCertificateExpired,
            "the host's certificate has expired",
            "renew it on the host, or set this machine's clock if that is wrong",
        ),
        E::NotValidYet | E::NotValidYetContext { .. } => Failure::new(
            FailureKind::HostCertificateExpired,
            "the host's certificate is not valid yet",
            "set this machine's clock if it is wrong, or wait until the certificate's first day",
        ),
        E::UnknownIssuer | E::BadSignature => Failure::new(
            FailureKind::HostCertificateUnknown,
            "the host's certificate was not issued by the CA in [tls] ca",
            "copy the CA certificate of the right host there, or correct [host] address",
        ),
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            let names = match reason {
                E::NotValidForNameContext { presented, .. } => format!(" but for {}", presented.join(", ")),
                _ => String::new(),
            };
            Failure::new(
                FailureKind::HostName,
                format!("the host's certificate is not for {server_name}{names}"),
                "correct [host] server_name, or give the host a certificate with that name",
            )
        }
        E::Revoked => Failure::new(
            FailureKind::HostCertificateUnknown,
            "the host's certificate has been revoked",
            "give the host a new one",
        ),
        other => Failure::new(
            FailureKind::Tls,
            format!("the host's certificate is not acceptable ({other:?})"),
            "give the host a server certificate issued by the CA in [tls] ca",
        ),
    }
}

fn alert_received(alert: AlertDescription) -> Failure {
    use AlertDescription as A;
    let refused = |what: &str, next: &str| Failure::new(FailureKind::OwnCertificateRefused, what, next);
    match alert {
        A::CertificateExpired => refused(
            "the host says that this terminal's certificate has expired",
            "enrol the terminal again and replace [tls] certificate and key",
        ),
        A::UnknownCA
        | A::BadCertificate
        | A::CertificateUnknown
        | A::UnsupportedCertificate
        | A::DecryptError => refused(
            "the host does not know the CA of this terminal's certificate",
            "enrol the terminal at this host, or correct [host] address",
        ),
        A::CertificateRevoked => refused(
            "the host says that this terminal's certificate was revoked",
            "ask the estate's operator, then enrol the terminal again",
        ),
        A::CertificateRequired | A::NoCertificate => {
            refused("the host demands a certificate and got none", "set [tls] certificate and key")
        }
        A::AccessDenied => refused(
            "the host refuses this terminal",
            "ask the estate's operator whether the terminal is registered and not locked",
        ),
        A::UnrecognisedName => Failure::new(
            FailureKind::HostName,
            "the host does not answer to the name in [host] server_name",
            "correct [host] server_name",
        ),
        A::HandshakeFailure | A::ProtocolVersion | A::InsufficientSecurity => Failure::new(
            FailureKind::Tls,
            "host and terminal have no TLS version or cipher suite in common",
            "enable TLS 1.2 or 1.3 on the host",
        ),
        other => Failure::new(
            FailureKind::Tls,
            format!("the host ended TLS with alert {other:?}"),
            "look into the host's log",
        ),
    }
}

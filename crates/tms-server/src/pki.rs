//! A small certificate authority for terminals and for the server's own certificate.
//!
//! It is enough for a demo and for an estate that has no PKI yet; an estate that has one names its
//! own files in the configuration and never calls this. Keys are ECDSA P-256.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use tms_crypto::keyfile::{self, KeyFileError};
use zeroize::Zeroizing;

/// Why a certificate could not be made or its authority not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PkiError {
    /// A certificate file cannot be read or written.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said, and what to do.
        reason: String,
    },
    /// A private key file is missing, readable by others or not writable.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// A file does not hold what it should.
    #[error("{} is not a certificate authority's {what} in PEM form: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// `certificate` or `private key`.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The certificate itself could not be made, for example because of a name that cannot stand in one.
    #[error("a certificate for {name:?} cannot be made: {reason}")]
    Issue {
        /// Whose certificate.
        name: String,
        /// What is wrong.
        reason: String,
    },
}

/// When a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// From this time.
    pub not_before: Timestamp,
    /// Until this time.
    pub not_after: Timestamp,
}

impl Validity {
    /// From an hour ago, because clocks of terminals differ, for so many days.
    pub fn days(now: Timestamp, days: u32) -> Self {
        let hour = SignedDuration::from_hours(1);
        let span = SignedDuration::from_hours(i64::from(days) * 24);
        Self {
            not_before: now.checked_sub(hour).unwrap_or(Timestamp::MIN),
            not_after: now.checked_add(span).unwrap_or(Timestamp::MAX),
        }
    }
}

/// A certificate with its private key.
pub struct Issued {
    certificate: Certificate,
    key_pem: Zeroizing<String>,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").field("sha256", &self.sha256()).finish_non_exhaustive()
    }
}

impl Issued {
    /// The certificate, PEM.
    pub fn certificate_pem(&self) -> String {
        self.certificate.pem()
    }

    /// The certificate, DER.
    pub fn certificate_der(&self) -> &[u8] {
        self.certificate.der()
    }

    /// The private key, PKCS #8 in PEM.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// SHA-256 of the certificate (DER), lower-case hexadecimal: how the store knows its terminal.
    pub fn sha256(&self) -> String {
        hex::encode(tms_crypto::sha256(self.certificate_der()))
    }

    /// Writes both to new files; the key is readable by its owner only.
    ///
    /// # Errors
    /// [`PkiError::File`] or [`PkiError::Key`] when a file exists or cannot be written.
    pub fn save(&self, certificate: &Path, key: &Path) -> Result<(), PkiError> {
        keyfile::create_text(key, &self.key_pem)?;
        write_new(certificate, &self.certificate_pem())
    }
}

/// A certificate authority: what signs certificates of terminals and of the server.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

impl Authority {
    /// Makes a new authority.
    ///
    /// # Errors
    /// [`PkiError::Issue`] when the name cannot stand in a certificate.
    pub fn create(name: &str, validity: Validity) -> Result<Self, PkiError> {
        let issue = |error: rcgen::Error| PkiError::issue(name, &error);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(issue)?;
        let mut params = params(name, validity);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate_pem = params.self_signed(&key).map_err(issue)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), certificate_pem })
    }

    /// Opens the authority whose files [`Authority::save`] wrote.
    ///
    /// # Errors
    /// [`PkiError`] naming the file that is missing, readable by others, or of another kind.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, PkiError> {
        let certificate_pem =
            std::fs::read_to_string(certificate).map_err(|error| PkiError::file(certificate, &error))?;
        let key_pem = keyfile::open_text(key)?;
        let key_pair = KeyPair::from_pem(&key_pem).map_err(|error| PkiError::Content {
            path: key.to_owned(),
            what: "private key",
            reason: error.to_string(),
        })?;
        let issuer = Issuer::from_ca_cert_pem(&certificate_pem, key_pair).map_err(|error| {
            PkiError::Content { path: certificate.to_owned(), what: "certificate", reason: error.to_string() }
        })?;
        Ok(Self { issuer, certificate_pem })
    }

    /// Writes certificate and key to new files; the key is readable by its owner only.
    ///
    /// # Errors
    /// [`PkiError`] when a file exists or cannot be written.
    pub fn save(&self, certificate: &Path, key: &Path) -> Result<(), PkiError> {
        let key_pem = Zeroizing::new(self.issuer.key().serialize_pem());
        keyfile::create_text(key, &key_pem)?;
        write_new(certificate, &self.certificate_pem)
    }

    /// The authority's own certificate, PEM: what a peer needs to check the others.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// A certificate for a server that is reached by these names (DNS names or IP addresses), the
    /// first of which is its common name.
    ///
    /// # Errors
    /// [`PkiError::Issue`] when a name cannot stand in a certificate.
    pub fn issue_server(&self, names: &[String], validity: Validity) -> Result<Issued, PkiError> {
        let name = names.first().map_or("", String::as_str);
        let named = CertificateParams::new(names).map_err(|error| PkiError::issue(name, &error))?;
        let mut params = params(name, validity);
        params.subject_alt_names = named.subject_alt_names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(name, params)
    }

    /// A client certificate; the common name of a terminal's is its TID.
    ///
    /// # Errors
    /// [`PkiError::Issue`] when the name cannot stand in a certificate.
    pub fn issue_client(&self, common_name: &str, validity: Validity) -> Result<Issued, PkiError> {
        let mut params = params(common_name, validity);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(common_name, params)
    }

    fn issue(&self, name: &str, mut params: CertificateParams) -> Result<Issued, PkiError> {
        let issue = |error: rcgen::Error| PkiError::issue(name, &error);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(issue)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer).map_err(issue)?;
        Ok(Issued { certificate, key_pem: Zeroizing::new(key.serialize_pem()) })
    }
}

impl PkiError {
    fn issue(name: &str, error: &rcgen::Error) -> Self {
        Self::Issue { name: name.to_owned(), reason: error.to_string() }
    }

    fn file(path: &Path, error: &std::io::Error) -> Self {
        let reason = match error.kind() {
            std::io::ErrorKind::NotFound => "it does not exist; check the path".to_owned(),
            std::io::ErrorKind::AlreadyExists => "it exists already; move it away first".to_owned(),
            _ => error.to_string(),
        };
        Self::File { path: path.to_owned(), reason }
    }
}

fn params(common_name: &str, validity: Validity) -> CertificateParams {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    // To whole seconds; a certificate cannot name a time before 1950 or after 9999.
    let since_1970 = |time: Timestamp| Duration::from_secs(u64::try_from(time.as_second()).unwrap_or(0));
    params.not_before = date_time_ymd(1970, 1, 1) + since_1970(validity.not_before);
    params.not_after = date_time_ymd(1970, 1, 1) + since_1970(validity.not_after);
    params
}

fn write_new(path: &Path, text: &str) -> Result<(), PkiError> {
    use std::io::Write;

    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    })
    .map_err(|error| PkiError::file(path, &error))
}

#[cfg(test)]
mod tests {
    use x509_parser::prelude::{FromDer, X509Certificate};

    use super::*;

    fn now() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn authority() -> Authority {
        Authority::create("test CA", Validity::days(now(), 3650)).unwrap()
    }

    #[test]
    fn a_terminals_certificate_carries_its_tid_its_purpose_and_its_dates() {
        let issued = authority().issue_client("10000001", Validity::days(now(), 365)).unwrap();
        let (rest, certificate) = X509Certificate::from_der(issued.certificate_der()).unwrap();
        assert!(rest.is_empty());
        let name = certificate.subject().iter_common_name().next().unwrap();
        assert_eq!(name.as_str().unwrap(), "10000001");
        let purpose = certificate.extended_key_usage().unwrap().unwrap().value;
        assert!(purpose.client_auth && !purpose.server_auth);
        assert_eq!(certificate.validity().not_before.timestamp(), now().as_second() - 3600);
        assert_eq!(certificate.validity().not_after.timestamp(), now().as_second() + 365 * 86_400);
        assert_eq!(issued.sha256().len(), 64);
    }

    #[test]
    fn an_expired_certificate_can_be_made_on_purpose() {
        let past = Validity {
            not_before: "2020-01-01T00:00:00Z".parse().unwrap(),
            not_after: "2020-02-01T00:00:00Z".parse().unwrap(),
        };
        let issued = authority().issue_client("10000001", past).unwrap();
        let (_, certificate) = X509Certificate::from_der(issued.certificate_der()).unwrap();
        assert_eq!(certificate.validity().not_after.timestamp(), past.not_after.as_second());
    }

    #[test]
    fn a_saved_authority_goes_on_issuing_after_it_was_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let (pem, key) = (folder.path().join("ca.pem"), folder.path().join("ca.key"));
        let created = authority();
        created.save(&pem, &key).unwrap();
        let loaded = Authority::load(&pem, &key).unwrap();
        assert_eq!(loaded.certificate_pem(), created.certificate_pem());
        let names = ["tms.demo".to_owned(), "127.0.0.1".to_owned()];
        let issued = loaded.issue_server(&names, Validity::days(now(), 30)).unwrap();
        let (_, certificate) = X509Certificate::from_der(issued.certificate_der()).unwrap();
        assert_eq!(certificate.issuer().to_string(), "CN=test CA");
        assert_eq!(certificate.subject_alternative_name().unwrap().unwrap().value.general_names.len(), 2);
    }

    #[test]
    fn existing_files_are_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let (pem, key) = (folder.path().join("ca.pem"), folder.path().join("ca.key"));
        authority().save(&pem, &key).unwrap();
        let error = authority().save(&pem, &key).unwrap_err();
        assert!(error.to_string().contains("exists already"), "{error}");
    }

    #[test]
    fn a_missing_or_foreign_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (pem, key) = (folder.path().join("ca.pem"), folder.path().join("ca.key"));
        let error = Authority::load(&pem, &key).unwrap_err();
        assert!(error.to_string().ends_with("ca.pem: it does not exist; check the path"), "{error}");
        authority().save(&pem, &key).unwrap();
        std::fs::write(&pem, "hello").unwrap();
        let error = Authority::load(&pem, &key).unwrap_err();
        assert!(error.to_string().contains("ca.pem is not a certificate authority's certificate"), "{error}");
    }
}

//! Certificates that peers show, right ones and wrong ones.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tms_server::pki::{Authority, Issued, Validity};

use crate::Site;

/// A certificate with its private key.
#[derive(Debug)]
pub struct Certificate {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    pems: (String, String),
}

impl Certificate {
    /// The pair in two PEM files.
    pub fn load(certificate: &Path, key: &Path) -> Self {
        Self::from_pem(std::fs::read_to_string(certificate).unwrap(), std::fs::read_to_string(key).unwrap())
    }

    /// One that the estate's own authority issued, now valid, for any name: nobody enrolled it.
    pub fn issued_by(site: &Site, common_name: &str) -> Self {
        site.authority().issue_client(common_name, now_for_days(30)).unwrap().into()
    }

    /// One that the estate's own authority issued and that ended an hour ago.
    pub fn expired(site: &Site, common_name: &str) -> Self {
        let ended = Timestamp::now() - SignedDuration::from_hours(1);
        let validity = Validity { not_before: ended - SignedDuration::from_hours(24), not_after: ended };
        site.authority().issue_client(common_name, validity).unwrap().into()
    }

    /// One that the estate's own authority issued for a time that has not come.
    pub fn not_yet_valid(site: &Site, common_name: &str) -> Self {
        let begins = Timestamp::now() + SignedDuration::from_hours(24);
        let validity = Validity { not_before: begins, not_after: begins + SignedDuration::from_hours(24) };
        site.authority().issue_client(common_name, validity).unwrap().into()
    }

    /// One for a server, from the estate's own authority: not meant for clients.
    pub fn of_a_server(site: &Site, name: &str) -> Self {
        site.authority().issue_server(&[name.to_owned()], now_for_days(30)).unwrap().into()
    }

    /// One from an authority that the estate has never heard of, which calls itself the same.
    pub fn from_elsewhere(common_name: &str) -> Self {
        let elsewhere = Authority::create("tms-1 terminal CA", now_for_days(30)).unwrap();
        elsewhere.issue_client(common_name, now_for_days(30)).unwrap().into()
    }

    /// Replaces the pair in two PEM files.
    pub fn replace(&self, certificate: &Path, key: &Path) {
        std::fs::write(certificate, &self.pems.0).unwrap();
        std::fs::write(key, &self.pems.1).unwrap();
    }

    fn from_pem(certificate: String, key: String) -> Self {
        Self {
            chain: vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
            key: PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            pems: (certificate, key),
        }
    }
}

impl From<Issued> for Certificate {
    fn from(issued: Issued) -> Self {
        Self::from_pem(issued.certificate_pem(), issued.key_pem().to_owned())
    }
}

fn now_for_days(days: u32) -> Validity {
    Validity::days(Timestamp::now(), days)
}

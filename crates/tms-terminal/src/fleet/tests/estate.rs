//! A certificate authority and the folders of terminals that it issued certificates to.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tms_crypto::seal;
use tms_firmware::{SigningKey, TrustRoot};

#[derive(Clone, Copy)]
pub(super) enum Validity {
    Past,
    Now,
    Future,
}

pub(super) struct Estate {
    folder: tempfile::TempDir,
    pub(super) ca_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

pub(super) struct ServerCertificate {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

impl Estate {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Two authorities of one name would differ only by key, as an impostor's does.
        params.distinguished_name.push(DnType::CommonName, "test authority");
        let ca_pem = params.self_signed(&key).unwrap().pem();
        Self { folder: tempfile::tempdir().unwrap(), ca_pem, issuer: Issuer::new(params, key) }
    }

    pub(super) fn server(&self, name: &str, validity: Validity) -> ServerCertificate {
        let (pem, key) = self.issue(vec![name.to_owned()], name, validity);
        ServerCertificate {
            chain: vec![CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()],
            key: PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        }
    }

    pub(super) fn terminal(&self, tid: &str, profile: &str, address: String, extra: &str) -> PathBuf {
        self.write(tid, profile, &address, extra, Validity::Now, &self.ca_pem)
    }

    pub(super) fn terminal_valid(&self, tid: &str, address: String, validity: Validity) -> PathBuf {
        self.write(tid, "unionpay", &address, "", validity, &self.ca_pem)
    }

    /// A terminal with a certificate of this authority that trusts the host of another.
    pub(super) fn terminal_of(&self, tid: &str, address: String, host: &Self) -> PathBuf {
        self.write(tid, "unionpay", &address, "", Validity::Now, &host.ca_pem)
    }

    fn write(
        &self,
        tid: &str,
        profile: &str,
        address: &str,
        extra: &str,
        validity: Validity,
        ca: &str,
    ) -> PathBuf {
        // The same terminal may be started against several hosts, each time as delivered.
        let folder = tempfile::Builder::new().prefix(tid).tempdir_in(self.folder.path()).unwrap().keep();
        let (certificate, key) = self.issue(Vec::new(), tid, validity);
        write(&folder.join("ca.pem"), ca);
        write(&folder.join("terminal.pem"), &certificate);
        write(&folder.join("terminal.key"), &key);
        seal::generate().unwrap().save_private(&folder.join("sealing.key")).unwrap();
        let signer = SigningKey::generate().unwrap();
        let root = TrustRoot::new(vec![signer.public()], 1).unwrap();
        write(&folder.join("firmware-trust.json"), &root.to_json().unwrap());
        let tid = if tid.len() == 8 { tid } else { "10000009" };
        write(
            &folder.join("terminal.toml"),
            &format!(
                r#"
[identity]
tid = "{tid}"
mid = "102310060510002"
serial = "SIM00000001"
model = "SIM-8"
hardware_revision = "A1"
[host]
address = "{address}"
server_name = "tms.test"
profile = "{profile}"
[tls]
ca = "ca.pem"
certificate = "terminal.pem"
key = "terminal.key"
[security]
sealing_key = "sealing.key"
firmware_trust = "firmware-trust.json"
[[credential]]
role = "99"
secret = "73920418"
generation = 1
[hardware]
boot_delay_ms = 10
[behaviour]
poll_interval_ms = 50
reconnect_min_ms = 10
reconnect_max_ms = 50
{extra}
"#
            ),
        );
        folder
    }

    fn issue(&self, names: Vec<String>, common_name: &str, validity: Validity) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, common_name);
        (params.not_before, params.not_after) = match validity {
            Validity::Past => (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1)),
            Validity::Now => (date_time_ymd(2020, 1, 1), date_time_ymd(2120, 1, 1)),
            Validity::Future => (date_time_ymd(2119, 1, 1), date_time_ymd(2120, 1, 1)),
        };
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

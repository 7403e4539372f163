//! TLS 1.2 and 1.3 with certificates on both sides. What many terminals have in common is made once.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    ClientConfig, RootCertStore,
    client::{Resumption, WebPkiServerVerifier},
    crypto::CryptoProvider,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};

use crate::scenario::Scenario;

/// Why a terminal cannot use TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsSetupError {
    /// A file is missing or not what it should be.
    #[error("{}: {reason}; enrol the terminal again or correct [tls] {key}", path.display())]
    File {
        /// Which key of `[tls]`.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The certificate and the key do not belong together.
    #[error("[tls] certificate and key do not fit together: {0}")]
    Pair(rustls::Error),
    /// `server_name` is no DNS name or address.
    #[error("[host] server_name = {0:?} is neither a DNS name nor an IP address")]
    ServerName(String),
    /// The cryptographic provider does not offer what is needed.
    #[error("TLS 1.2 and 1.3 are not available: {0}")]
    Provider(rustls::Error),
}

/// A terminal's TLS, ready to connect.
#[derive(Clone)]
pub struct TlsClient {
    /// Its configuration.
    pub config: Arc<ClientConfig>,
    /// The name that the host must prove.
    pub server_name: ServerName<'static>,
}

impl std::fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TlsClient({:?})", self.server_name)
    }
}

/// Makes [`TlsClient`]s that share the provider and, by CA file content, the verifier.
#[derive(Debug)]
pub(crate) struct TlsFactory {
    provider: Arc<CryptoProvider>,
    verifiers: Mutex<HashMap<Vec<u8>, Arc<WebPkiServerVerifier>>>,
}

impl TlsFactory {
    pub(crate) fn new() -> Self {
        Self {
            provider: Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
            verifiers: Mutex::default(),
        }
    }

    pub(crate) fn client(&self, scenario: &Scenario) -> Result<TlsClient, TlsSetupError> {
        let verifier = self.verifier(&scenario.path(&scenario.tls.ca))?;
        let chain = certificates("certificate", &scenario.path(&scenario.tls.certificate))?;
        let key_path = scenario.path(&scenario.tls.key);
        let key = PrivateKeyDer::from_pem_slice(&read("key", &key_path)?).map_err(|error| {
            wrong("key", &key_path, format!("it holds no private key in PEM form ({error})"))
        })?;
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsSetupError::Provider)?
            .with_webpki_verifier(verifier)
            .with_client_auth_cert(chain, key)
            .map_err(TlsSetupError::Pair)?;
        // A terminal has one host. The cache is its own: a ticket speaks for one certificate.
        config.resumption = Resumption::in_memory_sessions(1);
        let name = &scenario.host.server_name;
        let server_name =
            ServerName::try_from(name.clone()).map_err(|_| TlsSetupError::ServerName(name.clone()))?;
        Ok(TlsClient { config: Arc::new(config), server_name })
    }

    fn verifier(&self, path: &Path) -> Result<Arc<WebPkiServerVerifier>, TlsSetupError> {
        let pem = read("ca", path)?;
        let mut verifiers = self.verifiers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(verifier) = verifiers.get(&pem) {
            return Ok(Arc::clone(verifier));
        }
        let mut roots = RootCertStore::empty();
        for certificate in certificates_of("ca", path, &pem)? {
            roots.add(certificate).map_err(|error| wrong("ca", path, error.to_string()))?;
        }
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
                .build()
                .map_err(|error| wrong("ca", path, error.to_string()))?;
        verifiers.insert(pem, Arc::clone(&verifier));
        Ok(verifier)
    }
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsSetupError> {
    certificates_of(key, path, &read(key, path)?)
}

fn certificates_of(
    key: &'static str,
    path: &Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsSetupError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(wrong(key, path, "it holds no certificate in PEM form".to_owned())),
    }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, TlsSetupError> {
    fs::read(path).map_err(|error| {
        let reason = match error.kind() {
            io::ErrorKind::NotFound => "it does not exist".to_owned(),
            _ => error.to_string(),
        };
        wrong(key, path, reason)
    })
}

fn wrong(key: &'static str, path: &Path, reason: String) -> TlsSetupError {
    TlsSetupError::File { key, path: path.to_owned(), reason }
}

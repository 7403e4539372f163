//! Talking to a server over TLS: with the right certificate authority, and not with another.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use common::run;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};

/// A server for `localhost` that answers every request with an empty list; its CA goes to `file`.
fn serve(file: &Path) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(file, ca.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    thread::spawn(move || {
        for socket in listener.incoming() {
            let (mut socket, mut tls) =
                (socket.unwrap(), ServerConnection::new(Arc::clone(&config)).unwrap());
            let mut stream = Stream::new(&mut tls, &mut socket);
            let mut request = [0; 4096];
            // A peer that does not trust the certificate goes away here.
            if stream.read(&mut request).is_ok() {
                let _ = stream.write_all(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 12\r\nconnection: close\r\n\r\n{\"items\":[]}",
                );
                tls.send_close_notify();
                let _ = tls.complete_io(&mut socket);
            }
        }
    });
    url
}

#[test]
fn the_servers_own_authority_is_trusted_when_given_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let (right, wrong) = (folder.path().join("right.pem"), folder.path().join("wrong.pem"));
    let url = serve(&right);
    serve(&wrong);
    let list = |ca: &Path| {
        let env =
            [("TMSCTL_SERVER", url.as_str()), ("TMSCTL_TOKEN", "t"), ("TMSCTL_CA", ca.to_str().unwrap())];
        run(&["terminal", "list", "--json"], &env, "")
    };
    let listed = list(&right);
    assert_eq!((listed.code, listed.out.as_str()), (0, "{\"items\":[]}\n"), "{}", listed.err);
    let refused = list(&wrong);
    assert_eq!(refused.code, 1);
    assert!(
        refused.err.contains("cannot be reached") && refused.err.contains("certificate"),
        "{}",
        refused.err
    );
    assert!(
        refused.err.contains("next: give the certificate authority of the server with --ca FILE"),
        "{}",
        refused.err
    );
    let absent = list(&folder.path().join("absent.pem"));
    assert!(absent.err.contains("absent.pem cannot be read"), "{}", absent.err);
}

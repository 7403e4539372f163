//! Client certificates that the host cannot accept.

use rustls::AlertDescription;
use testkit::{Certificate, Estate, Speaks, Terminal, Wire, until};
use tms_terminal::{Failure, FailureKind};
use tokio::net::TcpStream;

use crate::assert_counted;

/// Starts a simulated terminal and gives the sentence on its screen about why it has no session.
async fn complaint(estate: &Estate, terminal: &Terminal) -> Failure {
    let handle = estate.run(terminal.scenario());
    let failure = until("the terminal to complain", async || handle.snapshot().link.last_failure).await;
    handle.stop().await;
    failure
}

/// Has a terminal show a certificate that the host cannot accept, and checks all that follows.
async fn is_refused(certificate: impl Fn(&Estate) -> Certificate, alert: AlertDescription, sentence: &str) {
    let estate = Estate::start().await;
    let mut bystander = estate.bystander(Speaks::UnionPay).await;
    let terminal = estate.enrol("10000001", Speaks::UnionPay).await;
    let shown = certificate(&estate);

    assert_eq!(estate.wire_with(&terminal, &shown).await.alert().await, alert);
    assert_counted!(estate, handshakes_certificate, 1);
    assert_counted!(estate, handshakes_failed, 1);

    terminal.show(&shown);
    let failure = complaint(&estate, &terminal).await;
    assert_eq!(failure.kind, FailureKind::OwnCertificateRefused, "{failure}");
    assert_eq!(failure.to_string(), sentence);
    // It does not knock again at once.
    assert_counted!(estate, handshakes_certificate, 2);
    assert_eq!(estate.counters().sessions.get(), 1, "only the bystander's");
    bystander.is_undisturbed().await;
}

#[tokio::test]
async fn an_expired_certificate_is_refused_with_what_to_do_and_counted_and_harms_nobody() {
    is_refused(
        |estate| Certificate::expired(estate.site(), "10000001"),
        AlertDescription::CertificateExpired,
        "the host says that this terminal's certificate has expired; \
         enrol the terminal again and replace [tls] certificate and key",
    )
    .await;
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused_with_what_to_do_and_counted_and_harms_nobody() {
    is_refused(
        |_| Certificate::from_elsewhere("10000001"),
        AlertDescription::UnknownCA,
        "the host does not know the CA of this terminal's certificate; \
         enrol the terminal at this host, or correct [host] address",
    )
    .await;
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_yet_or_not_for_clients_is_refused_and_counted_and_harms_nobody() {
    let estate = Estate::start().await;
    let mut bystander = estate.bystander(Speaks::Iso87).await;
    let terminal = estate.enrol("10000001", Speaks::Iso87).await;
    let kinds = [
        Certificate::not_yet_valid(estate.site(), "10000001"),
        Certificate::of_a_server(estate.site(), "10000001"),
    ];
    for (shown, certificate) in (1..).zip(&kinds) {
        let alert = estate.wire_with(&terminal, certificate).await.alert().await;
        assert!(format!("{alert:?}").contains("Certificate"), "{alert:?}");
        assert_counted!(estate, handshakes_certificate, shown);
    }
    bystander.is_undisturbed().await;
}

#[tokio::test]
async fn a_terminal_with_tls_1_2_only_is_served_with_a_good_certificate_and_refused_with_a_bad_one() {
    let estate = Estate::start().await;
    let mut bystander = estate.bystander(Speaks::UnionPay).await;
    let terminal = estate.enrol("10000001", Speaks::UnionPay).await;
    let connect = async |certificate: &Certificate| {
        let tcp = TcpStream::connect(estate.address(Speaks::UnionPay)).await.unwrap();
        Wire::over_tls_1_2(tcp, estate.site(), Speaks::UnionPay, "10000001", Some(certificate)).await
    };
    connect(&terminal.certificate()).await.unwrap().sign_on().await;
    let error = connect(&Certificate::expired(estate.site(), "10000001")).await.unwrap_err();
    assert!(error.to_string().contains("CertificateExpired"), "{error}");
    assert_counted!(estate, handshakes_certificate, 1);
    bystander.is_undisturbed().await;
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused_and_counted_and_harms_nobody() {
    let estate = Estate::start().await;
    let mut bystander = estate.bystander(Speaks::UnionPay).await;
    let address = estate.address(Speaks::UnionPay);
    let mut nobody = Wire::connect(estate.site(), address, Speaks::UnionPay, "10000001", None).await.unwrap();
    assert_eq!(nobody.alert().await, AlertDescription::CertificateRequired);
    assert_counted!(estate, handshakes_certificate, 1);
    bystander.is_undisturbed().await;
}

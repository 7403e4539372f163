//! Garbage instead of TLS.

use testkit::{Estate, Speaks, soon};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::assert_counted;

#[tokio::test]
async fn garbage_instead_of_tls_closes_the_connection_and_is_counted_and_harms_nobody() {
    let estate = Estate::start().await;
    let mut bystander = estate.bystander(Speaks::UnionPay).await;
    let kinds: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\nHost: tms\r\n\r\n",
        // A terminal that was told to connect without TLS.
        b"\x00\x1F\x60\x00\x03\x00\x00\x60\x31\x00\x31\x00\x01\x08\x20\x00\x00\x00\x00\x00\xC0\x00\x10",
        b"\x00\x00\x00\x00\x00\x00\x00\x00",
        b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
        // The head of a TLS record, and then nothing of TLS.
        b"\x16\x03\x01\x00\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
        b"SSH-2.0-OpenSSH_9.9\r\n",
    ];
    for (sent, garbage) in (1..).zip(kinds) {
        let mut peer = TcpStream::connect(estate.address(Speaks::UnionPay)).await.unwrap();
        peer.write_all(garbage).await.unwrap();
        // The host may say in TLS what it thinks of that; then it closes.
        let mut said = Vec::new();
        let _ = soon("the host to hang up", peer.read_to_end(&mut said)).await;
        assert!(said.is_empty() || said[0] == 0x15, "{garbage:?} was answered with {said:?}");
        assert_counted!(estate, handshakes_not_tls, sent);
        assert_counted!(estate, handshakes_failed, sent);
    }
    assert_eq!(estate.counters().sessions.get(), 1, "only the bystander's");
    bystander.is_undisturbed().await;
}

#[tokio::test]
async fn a_peer_that_connects_and_says_nothing_is_given_up_and_counted_and_harms_nobody() {
    let estate = Estate::with(|config| config.limits.handshake_timeout_s = 1).await;
    let mut bystander = estate.bystander(Speaks::Iso87).await;
    let mut silent = TcpStream::connect(estate.address(Speaks::Iso87)).await.unwrap();
    let mut stuck = TcpStream::connect(estate.address(Speaks::Iso87)).await.unwrap();
    stuck.write_all(b"\x16\x03\x01").await.unwrap();
    for peer in [&mut silent, &mut stuck] {
        assert_eq!(soon("the host to hang up", peer.read(&mut [0])).await.unwrap_or(0), 0);
    }
    assert_counted!(estate, handshakes_timed_out, 2);
    assert_counted!(estate, handshakes_failed, 2);
    bystander.is_undisturbed().await;
}

#[tokio::test]
async fn a_peer_that_leaves_during_the_handshake_is_counted_and_harms_nobody() {
    let estate = Estate::start().await;
    let mut bystander = estate.bystander(Speaks::UnionPay).await;
    drop(TcpStream::connect(estate.address(Speaks::UnionPay)).await.unwrap());
    assert_counted!(estate, handshakes_failed, 1);
    bystander.is_undisturbed().await;
}

//! More connections than the configuration allows.

use std::net::SocketAddr;

use testkit::{Estate, Speaks, TerminalEvent, Wire, until};
use tokio::{
    io::AsyncReadExt,
    net::{TcpSocket, TcpStream},
};

use crate::assert_counted;

/// Asserts that the host closes a connection before anything is said.
async fn is_turned_away(address: SocketAddr) {
    let mut peer = TcpStream::connect(address).await.unwrap();
    let heard = testkit::soon("the host to hang up", peer.read(&mut [0; 16])).await;
    assert_eq!(heard.unwrap_or(0), 0);
}

#[tokio::test]
async fn connections_over_the_limit_are_closed_at_once_and_counted_and_harm_nobody() {
    let estate = Estate::with(|config| config.limits.connections = 3).await;
    let mut bystander = estate.bystander(Speaks::UnionPay).await;
    let second = estate.enrol("10000002", Speaks::Iso87).await;
    let third = estate.enrol("10000003", Speaks::Iso87).await;
    // The limit is one for all listeners together.
    let mut wire = estate.wire(&second).await;
    wire.sign_on().await;
    let leaves = estate.wire(&third).await;
    for turned_away in 1..=5 {
        is_turned_away(estate.address(Speaks::Iso87)).await;
        assert_counted!(estate, connections_refused, turned_away);
    }
    // Whoever leaves makes room.
    leaves.hang_up().await;
    until("room for one more", async || {
        let (address, certificate) = (estate.address(Speaks::Iso87), third.certificate());
        let tcp = TcpStream::connect(address).await.unwrap();
        Wire::over(tcp, estate.site(), Speaks::Iso87, "10000003", Some(&certificate)).await.ok()
    })
    .await
    .sign_on()
    .await;
    let answer = wire.ask(|session, now| session.echo(now)).await;
    assert!(matches!(answer, TerminalEvent::EchoAnswered), "{answer:?}");
    bystander.is_undisturbed().await;
}

#[tokio::test]
async fn a_session_in_which_nothing_is_said_ends_and_others_go_on() {
    let estate = Estate::with(|config| config.limits.idle_timeout_s = 1).await;
    let mut bystander = estate.bystander(Speaks::UnionPay).await;
    let terminal = estate.enrol("10000001", Speaks::UnionPay).await;
    let mut silent = estate.wire(&terminal).await;
    silent.sign_on().await;
    until("the silent session to end", async || {
        bystander.is_undisturbed().await;
        (!estate.app().wake.is_connected(&terminal.id)).then_some(())
    })
    .await;
    assert!(silent.is_closed_by_the_host().await.is_empty());
    assert_eq!(estate.counters().frames_broken.get(), 0, "silence is no error");
    bystander.is_undisturbed().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn one_address_cannot_take_the_connections_of_others() {
    let estate = Estate::with(|config| config.limits.connections_per_address = 2).await;
    let mut bystander = estate.bystander(Speaks::UnionPay).await;
    let second = estate.enrol("10000002", Speaks::UnionPay).await;
    let mut wire = estate.wire(&second).await;
    wire.sign_on().await;
    is_turned_away(estate.address(Speaks::UnionPay)).await;
    assert_counted!(estate, connections_refused, 1);
    // Somebody at another address is not affected.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let tcp = socket.connect(estate.address(Speaks::UnionPay)).await.unwrap();
    let certificate = estate.enrol("10000003", Speaks::UnionPay).await.certificate();
    let mut elsewhere =
        Wire::over(tcp, estate.site(), Speaks::UnionPay, "10000003", Some(&certificate)).await.unwrap();
    elsewhere.sign_on().await;
    assert_eq!(estate.counters().connections_refused.get(), 1);
    bystander.is_undisturbed().await;
}

//! Frames that are none, inside TLS.

use testkit::{Estate, Speaks, TerminalEvent};

use crate::assert_counted;

/// Bytes after the length that the standard configuration takes.
const LIMIT: usize = 8 * 1024;

#[tokio::test]
async fn garbage_after_tls_closes_the_connection_and_is_counted_and_harms_nobody() {
    for speaks in Speaks::ALL {
        let estate = Estate::start().await;
        let mut bystander = estate.bystander(speaks).await;
        let terminal = estate.enrol("10000001", speaks).await;
        let kinds: [&[u8]; 4] =
            [b"GET / HTTP/1.1\r\n\r\n", b"\xFF\xFF\xFF\xFF", b"\x00\x00", b"\x7F\xFF garbage"];
        for (sent, garbage) in (1..).zip(kinds) {
            let mut wire = estate.wire(&terminal).await;
            wire.sign_on().await;
            wire.send(garbage).await;
            assert!(wire.is_closed_by_the_host().await.is_empty());
            assert_counted!(estate, frames_broken, sent);
        }
        bystander.is_undisturbed().await;
    }
}

#[tokio::test]
async fn a_frame_whose_content_is_no_message_is_refused_and_counted_and_the_session_goes_on() {
    for speaks in Speaks::ALL {
        let estate = Estate::start().await;
        let mut bystander = estate.bystander(speaks).await;
        let terminal = estate.enrol("10000001", speaks).await;
        let mut wire = estate.wire(&terminal).await;
        wire.sign_on().await;
        // Readable up to the message type: that much can be answered.
        let frame = wire.framed(b"\x08\x00\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF");
        let reply = wire.exchange(&frame).await;
        assert_eq!((reply.mti.as_str(), reply.code()), ("0810", "30"));
        assert_counted!(estate, messages_malformed, 1);
        // Not even that.
        let frame = wire.framed(b"\xAA\xAA\xAA");
        wire.send(&frame).await;
        assert_counted!(estate, messages_malformed, 2);
        assert_eq!(estate.counters().messages_refused.get(), 2);
        let answer = wire.ask(|session, now| session.echo(now)).await;
        assert!(matches!(answer, TerminalEvent::EchoAnswered), "{answer:?}");
        assert_eq!(estate.counters().frames_broken.get(), 0);
        bystander.is_undisturbed().await;
    }
}

#[tokio::test]
async fn a_peer_that_sends_nothing_but_garbage_in_frames_is_given_up_and_harms_nobody() {
    let estate = Estate::start().await;
    let mut bystander = estate.bystander(Speaks::UnionPay).await;
    let terminal = estate.enrol("10000001", Speaks::UnionPay).await;
    let mut wire = estate.wire(&terminal).await;
    let frame = wire.framed(b"\x08\x00garbage");
    let mut sent = 0;
    while sent < 100 && wire.try_send(&frame).await.is_ok() {
        sent += 1;
    }
    let replies = wire.is_closed_by_the_host().await;
    assert!((1..20).contains(&replies.len()), "{}", replies.len());
    assert!(replies.iter().all(|reply| reply.code() == "30"));
    assert_counted!(estate, frames_broken, 1);
    bystander.is_undisturbed().await;
}

#[tokio::test]
async fn a_truncated_frame_is_counted_wherever_it_is_cut_and_harms_nobody() {
    for speaks in Speaks::ALL {
        let estate = Estate::start().await;
        let mut bystander = estate.bystander(speaks).await;
        let terminal = estate.enrol("10000001", speaks).await;
        let whole = estate.wire(&terminal).await.request(|session, now| session.sign_on(b"", now));
        let cuts = [1, 2, 3, 7, 12, whole.len() / 2, whole.len() - 1];
        for (sent, cut) in (1..).zip(cuts) {
            let mut wire = estate.wire(&terminal).await;
            wire.send(&whole[..cut]).await;
            wire.hang_up().await;
            assert_counted!(estate, frames_broken, sent);
        }
        assert_eq!(estate.counters().sign_ons.get(), 1, "only the bystander's");
        bystander.is_undisturbed().await;
    }
}

#[tokio::test]
async fn a_whole_frame_before_a_truncated_one_is_answered_first() {
    let estate = Estate::start().await;
    let mut bystander = estate.bystander(Speaks::Iso87).await;
    let terminal = estate.enrol("10000001", Speaks::Iso87).await;
    let mut wire = estate.wire(&terminal).await;
    let mut bytes = wire.request(|session, now| session.sign_on(b"", now));
    bytes.extend_from_slice(b"\x00");
    assert_eq!(wire.exchange(&bytes).await.code(), "00");
    wire.hang_up().await;
    assert_counted!(estate, frames_broken, 1);
    bystander.is_undisturbed().await;
}

#[tokio::test]
async fn a_frame_larger_than_the_limit_is_refused_at_its_length_and_counted_and_harms_nobody() {
    for speaks in Speaks::ALL {
        let estate = Estate::start().await;
        let mut bystander = estate.bystander(speaks).await;
        let terminal = estate.enrol("10000001", speaks).await;

        // As large as allowed: read wholly, and refused for what it says.
        let mut wire = estate.wire(&terminal).await;
        let parts = wire.framed(b"x").len() - 1 - 2;
        let mut body = vec![0; LIMIT - parts];
        body[..2].copy_from_slice(b"\x08\x00");
        let frame = wire.framed(&body);
        assert_eq!(wire.exchange(&frame).await.code(), "30");
        assert_eq!(estate.counters().frames_too_large.get(), 0);

        // One byte more: the length alone is enough to be refused.
        let length = u16::try_from(LIMIT + 1).unwrap();
        wire.send(&length.to_be_bytes()).await;
        assert!(wire.is_closed_by_the_host().await.is_empty());
        assert_counted!(estate, frames_too_large, 1);
        assert_counted!(estate, frames_broken, 1);
        bystander.is_undisturbed().await;
    }
}

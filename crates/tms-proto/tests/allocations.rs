//! An echo costs no allocation, and an idle session little memory.
//!
//! This is a program of its own because the counter takes the place of the global allocator.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;

use allocation_counter::measure;
use jiff::Timestamp;
use tms_crypto::mac::MacKey;
use tms_proto::{
    Answer, Function, HostEvent, HostSession, Identity, Profile, TerminalSession, file::BlockRequest,
};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;
/// The most that an idle session may take, the profile that all share not counted.
const IDLE_BYTES: usize = 2048;

fn profiles() -> impl Iterator<Item = Arc<Profile>> {
    Profile::builtin_names().iter().map(|name| Arc::new(Profile::builtin(name).unwrap()))
}

fn pair(profile: &Arc<Profile>) -> (HostSession, TerminalSession) {
    let identity = Identity::new("10000001", "102310060510002");
    let host = HostSession::new(Arc::clone(profile), Some("10000001".to_owned()));
    (host, TerminalSession::new(Arc::clone(profile), identity))
}

fn echo(terminal: &mut TerminalSession) -> Vec<u8> {
    terminal.echo(NOW).unwrap();
    terminal.poll_transmit().unwrap()
}

/// :1987 with a MAC on everything, under a key that both sides were given.
fn protected() -> (Arc<Profile>, MacKey) {
    let text = Profile::builtin_toml("iso87").unwrap();
    let text = text.replace("protect = \"optional\"", "protect = \"required\"");
    let profile = Arc::new(Profile::from_toml(&text).unwrap());
    let key = profile.static_mac_key(&[0x5A; 16]).unwrap();
    (profile, key)
}

/// Takes a request and answers it; with a block of 4096 bytes where one was asked for.
fn serve(host: &mut HostSession, frame: &[u8], out: &mut Vec<u8>) {
    host.receive(frame, NOW).unwrap();
    while let Some(event) = host.poll_event() {
        match event {
            HostEvent::Refused { reason, .. } => panic!("{reason}"),
            HostEvent::FileRead { exchange, request } => {
                let data = vec![0x5A; usize::try_from(request.length).unwrap()];
                let answer = Answer::Block { offset: request.offset, total_bytes: 1 << 20, data: &data };
                host.answer(exchange, answer, NOW).unwrap();
            }
            other => {
                if let Some(exchange) = other.into_exchange() {
                    host.answer(exchange, Answer::Approved, NOW).unwrap();
                }
            }
        }
    }
    out.clear();
    while host.poll_transmit_into(out) {}
}

#[test]
fn an_echo_does_not_allocate_in_any_profile() {
    for profile in profiles() {
        let (mut host, mut terminal) = pair(&profile);
        let mut out = Vec::new();
        serve(&mut host, &echo(&mut terminal), &mut out);
        let again = echo(&mut terminal);
        let count = measure(|| serve(&mut host, &again, &mut out)).count_total;
        assert!(!out.is_empty());
        assert_eq!(count, 0, "{}", profile.name());
    }
}

#[test]
fn an_echo_whose_mac_is_checked_and_whose_answer_has_one_does_not_allocate() {
    let (profile, key) = protected();
    let (mut host, mut terminal) = pair(&profile);
    host.set_mac_key(key.clone()).unwrap();
    terminal.set_mac_key(key).unwrap();
    let mut out = Vec::new();
    serve(&mut host, &echo(&mut terminal), &mut out);
    let again = echo(&mut terminal);
    let count = measure(|| serve(&mut host, &again, &mut out)).count_total;
    assert!(host.counts().refused_in_all() == 0 && !out.is_empty());
    assert_eq!(count, 0);
}

#[test]
fn a_key_made_ready_is_shared_and_small() {
    let (profile, key) = protected();
    let kept = measure(|| std::mem::forget(profile.static_mac_key(&[0x5A; 16]).unwrap()));
    assert!(kept.bytes_current < 512, "{} bytes", kept.bytes_current);
    let shared = measure(|| std::mem::forget(key.clone()));
    assert_eq!(shared.bytes_current, 0);
}

#[test]
fn refusing_what_a_peer_can_send_at_rate_does_not_allocate() {
    for profile in profiles() {
        let (_, mut terminal) = pair(&profile);
        let mut host = HostSession::new(Arc::clone(&profile), Some("10000002".to_owned()));
        let frame = echo(&mut terminal);
        let mut out = Vec::new();
        let mut refuse = || {
            host.receive(&frame, NOW).unwrap();
            assert!(matches!(host.poll_event(), Some(HostEvent::Refused { .. })));
            out.clear();
            while host.poll_transmit_into(&mut out) {}
        };
        refuse();
        assert_eq!(measure(refuse).count_total, 0, "{}", profile.name());
    }
}

#[test]
fn an_idle_session_is_small_also_after_large_messages() {
    for profile in profiles() {
        let (_, mut terminal) = pair(&profile);
        let echo = echo(&mut terminal);
        let mut reads = Vec::new();
        for n in 0..32u64 {
            let length = profile.block_bytes();
            let request = BlockRequest { file: "image".into(), offset: n * u64::from(length), length };
            if profile.rule(Function::FileRead).is_some() {
                terminal.read_block(request, NOW).unwrap();
                reads.extend(terminal.poll_transmit());
            }
        }
        let mut out = Vec::with_capacity(1 << 20);
        let mut kept = None;
        let held = measure(|| {
            let mut host = HostSession::new(Arc::clone(&profile), Some("10000001".to_owned()));
            serve(&mut host, &echo, &mut out);
            // All at once, as a window comes in.
            reads.iter().for_each(|frame| host.receive(frame, NOW).unwrap());
            let data = vec![0x5A; usize::try_from(profile.block_bytes()).unwrap()];
            while let Some(event) = host.poll_event() {
                let exchange = event.into_exchange().unwrap();
                host.answer(exchange, Answer::Block { offset: 0, total_bytes: 1 << 20, data: &data }, NOW)
                    .unwrap();
            }
            out.clear();
            while host.poll_transmit_into(&mut out) {}
            serve(&mut host, &echo, &mut out);
            kept = Some(host);
        });
        let heap = usize::try_from(held.bytes_current).unwrap();
        let whole = heap + size_of::<HostSession>();
        println!("{}: {} + {heap} bytes", profile.name(), size_of::<HostSession>());
        assert!(whole <= IDLE_BYTES, "{}: {whole} bytes", profile.name());
        drop(kept);
    }
}

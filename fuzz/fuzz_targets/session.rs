//! Frames from a peer, good and bad, at both ends of a connection in both profiles: never a panic,
//! and never more frames to send than were received.
//!
//! The first byte chooses profile and end; then each frame is what its two length bytes say.
#![no_main]

use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use tms_proto::{Answer, HostSession, Identity, Profile, Refusal, TerminalSession};

static PROFILES: LazyLock<Vec<Arc<Profile>>> = LazyLock::new(|| {
    Profile::builtin_names().iter().filter_map(|name| Profile::builtin(name)).map(Arc::new).collect()
});

fuzz_target!(|data: &[u8]| {
    let [choice, stream @ ..] = data else { return };
    let profile = Arc::clone(&PROFILES[usize::from(choice >> 1) % PROFILES.len()]);
    let now = Timestamp::UNIX_EPOCH;
    let mut rest = stream;
    let mut frames = Vec::new();
    while let Ok(Some((_, used))) = profile.framing().split(rest, 8192) {
        let (frame, after) = rest.split_at(used);
        frames.push(frame);
        rest = after;
    }
    if choice & 1 == 0 {
        let mut host = HostSession::new(profile, Some("10000001".to_owned()));
        for frame in frames {
            if host.receive(frame, now).is_err() {
                return;
            }
            let mut sent = 0;
            while let Some(event) = host.poll_event() {
                if let Some(exchange) = event.into_exchange() {
                    let _ = host.answer(exchange, Answer::Refused(Refusal::NotFound), now);
                }
            }
            while host.poll_transmit().is_some() {
                sent += 1;
            }
            assert!(sent <= 1, "one frame was answered {sent} times");
        }
    } else {
        let mut terminal = TerminalSession::new(profile, Identity::new("10000001", "102310060500000"));
        let _ = terminal.sign_on(b"", now);
        let _ = terminal.poll_task(now);
        while terminal.poll_transmit().is_some() {}
        for frame in frames {
            if terminal.receive(frame, now).is_err() {
                return;
            }
            while terminal.poll_event().is_some() {}
            while terminal.poll_transmit().is_some() {}
        }
    }
});

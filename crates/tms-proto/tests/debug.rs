//! What sessions and their events print when somebody logs them.

use std::sync::Arc;

use jiff::Timestamp;
use tms_crypto::keyblock::{Tmk, WorkingKeys, wrap_working_keys};
use tms_proto::{Answer, HostEvent, HostSession, Identity, Profile, TerminalEvent, TerminalSession};

#[test]
fn neither_session_nor_event_prints_a_key_block() {
    let profile = Arc::new(Profile::builtin("unionpay").unwrap());
    let mut terminal =
        TerminalSession::new(Arc::clone(&profile), Identity::new("99999906", "001430170119999"));
    let mut host = HostSession::new(profile, None);
    let now = Timestamp::UNIX_EPOCH;
    let keys = WorkingKeys::generate(false);
    let block = wrap_working_keys(&Tmk::new([0x11; 16]), &keys);
    // As derived `Debug` would print the bytes, and as hexadecimal.
    let decimal = format!("{block:?}");
    let decimal = decimal.trim_matches(['[', ']']);
    let hex: String = block.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut printed = String::new();

    terminal.sign_on(b"", now).unwrap();
    printed += &format!("{terminal:?}");
    host.receive(&terminal.poll_transmit().unwrap(), now).unwrap();
    let Some(HostEvent::SignOn { exchange, .. }) = host.poll_event() else { panic!("no sign-on") };
    let answer = Answer::Keys { block: &block, keys: &keys };
    printed += &format!("{answer:?}");
    host.answer(exchange, answer, now).unwrap();
    printed += &format!("{host:?}");
    terminal.receive(&host.poll_transmit().unwrap(), now).unwrap();
    printed += &format!("{terminal:?}");
    let event = terminal.poll_event().unwrap();
    printed += &format!("{event:?}");

    assert!(matches!(event, TerminalEvent::SignedOn { keys: Some(keys), .. } if *keys == *block));
    assert!(printed.contains(&format!("KeyBlock({} bytes)", block.len())), "{printed}");
    assert!(!printed.contains(decimal) && !printed.to_lowercase().contains(&hex), "{printed}");
}

//! Working keys with a wrong check value, in every profile and wherever keys travel.

use std::sync::Arc;

use allocation_counter::measure;
use tms_crypto::keyblock::{KeyBlockForm, Tmk, WorkingKeys};
use tms_proto::{Answer, Function, HostEvent, Profile, Refusal, TerminalEvent};

use super::{Link, MOST_BYTES, NOW, pair, profiles};

const TMK: [u8; 16] = [0x11; 16];
const FORMS: [KeyBlockForm; 3] = [KeyBlockForm::Single, KeyBlockForm::Double, KeyBlockForm::DoubleWithTrack];

/// Keys, and their block with one byte of a check value or of a key changed: every one in turn but those
/// of the unused half of a MAC key, which may hold anything (unionpay.md §4.1).
fn lies() -> Vec<(WorkingKeys, Vec<u8>)> {
    let mut lies = Vec::new();
    for form in FORMS {
        let keys = form.generate();
        let honest = form.wrap(&Tmk::new(TMK), &keys);
        let unused = if form == KeyBlockForm::Single { 0..0 } else { 28..36 };
        for at in (0..honest.len()).filter(|at| !unused.contains(at)) {
            let mut block = honest.clone();
            block[at] ^= 0x01;
            lies.push((keys.clone(), block));
        }
        // Cut off, and with more behind it.
        lies.push((keys.clone(), honest[..honest.len() - 1].to_vec()));
        lies.push((keys, [honest.as_slice(), &[0]].concat()));
    }
    lies
}

fn link(profile: &Arc<Profile>) -> Link {
    let mut link = Link::new(profile);
    link.terminal.set_key_opener(Box::new(Tmk::new(TMK)));
    link
}

#[test]
fn a_sign_on_with_a_wrong_check_value_is_none_and_names_the_key() {
    for profile in profiles() {
        let (host, mut terminal) = pair(&profile);
        terminal.set_key_opener(Box::new(Tmk::new(TMK)));
        let mut link = Link { profile: Arc::clone(&profile), host, terminal };
        for (keys, block) in lies() {
            link.terminal.sign_on(b"", NOW).unwrap();
            let answer = Answer::Keys { block: &block, keys: &keys };
            let TerminalEvent::KeysRefused { function, error } = link.answered(answer) else { panic!() };
            assert_eq!(function, Function::SignOn);
            let reason = error.to_string();
            assert!(reason.contains("check value") || reason.contains("bytes long"), "{reason}");
            assert!(!link.terminal.is_signed_on(), "{}", profile.name());
        }
        // The honest one is still taken.
        let keys = KeyBlockForm::Double.generate();
        let block = KeyBlockForm::Double.wrap(&Tmk::new(TMK), &keys);
        link.terminal.sign_on(b"", NOW).unwrap();
        let event = link.answered(Answer::Keys { block: &block, keys: &keys });
        assert!(matches!(event, TerminalEvent::SignedOn { opened: Some(opened), .. } if opened == keys));
    }
}

#[test]
fn keys_that_were_asked_for_and_do_not_hold_leave_the_old_ones_in_force() {
    for profile in profiles().filter(|profile| profile.rule(Function::KeyRequest).is_some()) {
        for (keys, block) in lies() {
            let mut link = link(&profile);
            link.terminal.request_keys(NOW).unwrap();
            let answer = Answer::Keys { block: &block, keys: &keys };
            let event = link.answered(answer);
            let refused = matches!(event, TerminalEvent::KeysRefused { function: Function::KeyRequest, .. });
            assert!(refused, "{}: {event:?}", profile.name());
            assert!(link.terminal.is_signed_on());
            link.still_stands();
        }
    }
}

#[test]
fn pushed_keys_that_do_not_hold_are_refused_and_the_old_ones_stay() {
    for profile in profiles().filter(|profile| profile.pushes()) {
        for (keys, block) in lies() {
            let mut link = link(&profile);
            assert!(link.host.push_keys(&block, &keys, NOW).unwrap());
            let event = link.hear_at_terminal();
            let refused = matches!(event, TerminalEvent::KeysRefused { function: Function::KeyExchange, .. });
            assert!(refused, "{}: {event:?}", profile.name());
            let told = link.hear_at_host();
            assert!(matches!(told, HostEvent::KeysRefused { refusal: Refusal::FormatError }), "{told:?}");
            assert!(!link.host.has_open_keys() && link.terminal.is_signed_on());
            link.still_stands();
        }
    }
}

#[test]
fn wrong_keys_without_end_take_no_room() {
    for profile in profiles().filter(|profile| profile.pushes()) {
        let mut link = link(&profile);
        let lies = lies();
        let mut refused = 0;
        let memory = measure(|| {
            for (keys, block) in lies.iter().cycle().take(2000) {
                link.host.push_keys(block, keys, NOW).unwrap();
                refused += u32::from(matches!(link.hear_at_terminal(), TerminalEvent::KeysRefused { .. }));
                link.hear_at_host();
            }
        });
        assert_eq!(refused, 2000);
        assert!(memory.bytes_current < MOST_BYTES, "{} bytes", memory.bytes_current);
        link.still_stands();
    }
}

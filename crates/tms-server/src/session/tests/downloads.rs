//! Sets that an operator puts reach every terminal once, and again when they change.

use jiff::civil::date;
use serde_json::json;
use tms_core::SetName;
use tms_proto::{
    PendingWork,
    emv::{Capk, CapkId, CapkSet, Download, Expiry, Progress},
};

use super::embedded::{Server, ready, signed_on};
use super::*;

fn keys(indexes: &[u8]) -> serde_json::Value {
    let mut keys = CapkSet::default();
    for index in indexes {
        let id = CapkId { rid: [0xA0, 0, 0, 3, 0x33], index: *index };
        let expiry = Expiry::new(date(2030, 12, 31)).unwrap();
        keys.insert(Capk::new(id, expiry, &[0xB5; 144], &[3]).unwrap()).unwrap();
    }
    serde_json::to_value(keys).unwrap()
}

/// Asks until the download has ended; answers the keys that the terminal has.
fn download(server: &Server, host: &mut Session, terminal: &mut TerminalSession) -> usize {
    let mut download = Download::capk(&CapkSet::default());
    let forms = *Profile::builtin("unionpay").unwrap().downloads();
    while let Some(request) = download.next_request() {
        terminal.download(&request, server.now()).unwrap();
        for event in server.exchange(host, terminal) {
            if let TerminalEvent::Download { request, body } = event {
                assert!(download.on_reply(&request, &body, &forms).is_ok_and(|p| p != Progress::Ignored));
            }
        }
    }
    let Download::Capk(download) = &download else { panic!("another download") };
    download.in_force().len()
}

fn announced(events: &[TerminalEvent]) -> Option<PendingWork> {
    events.iter().rev().find_map(|event| match event {
        TerminalEvent::WorkPending(work) => Some(*work),
        _ => None,
    })
}

#[test]
fn a_set_is_announced_until_the_terminal_has_it_and_again_when_it_changes() {
    let server = Server::speaking("unionpay", None);
    ready(service::put_set(&server.app, SetName::Capks, &keys(&[1, 2, 3]))).unwrap();
    let (mut host, mut terminal, events) = signed_on(&server);
    assert_eq!(announced(&events), Some(PendingWork::Capk));
    assert_eq!(download(&server, &mut host, &mut terminal), 3);
    ready(host.close(Ended::Closed));

    let (mut host, mut terminal, events) = signed_on(&server);
    assert_eq!(announced(&events), None, "it has them");
    ready(service::put_set(&server.app, SetName::Capks, &keys(&[1, 2, 3, 4]))).unwrap();
    ready(host.tick()).unwrap();
    terminal.echo(server.now()).unwrap();
    let events = server.exchange(&mut host, &mut terminal);
    assert_eq!(announced(&events), Some(PendingWork::Capk), "{events:?}");
    assert_eq!(download(&server, &mut host, &mut terminal), 4);
    let kept = server.store.look(|contents| contents.documents.values().cloned().collect::<Vec<_>>());
    assert_eq!(kept, [r#"{"capks":2}"#]);
}

#[test]
fn a_set_that_changes_during_a_download_does_not_change_the_list_under_way() {
    let server = Server::speaking("unionpay", None);
    let many: Vec<u8> = (1..=60).collect();
    ready(service::put_set(&server.app, SetName::Capks, &keys(&many))).unwrap();
    let (mut host, mut terminal, _) = signed_on(&server);
    let mut download = Download::capk(&CapkSet::default());
    let forms = *Profile::builtin("unionpay").unwrap().downloads();
    let mut asked = 0;
    while let Some(request) = download.next_request() {
        asked += 1;
        if asked == 2 {
            ready(service::put_set(&server.app, SetName::Capks, &keys(&[9]))).unwrap();
            ready(host.tick()).unwrap();
        }
        terminal.download(&request, server.now()).unwrap();
        for event in server.exchange(&mut host, &mut terminal) {
            if let TerminalEvent::Download { request, body } = event {
                download.on_reply(&request, &body, &forms).unwrap();
            }
        }
    }
    assert!(asked > 60);
    // What it has now is the old list, so the new one waits.
    terminal.echo(server.now()).unwrap();
    let events = server.exchange(&mut host, &mut terminal);
    assert_eq!(host.pending_set(), Some(PendingWork::Capk), "{events:?}");
}

#[test]
fn a_set_that_no_terminal_could_take_is_refused() {
    let server = Server::speaking("unionpay", None);
    for (name, content) in [
        (SetName::Capks, json!(["9F0605"])),
        (SetName::Capks, json!({"keys": []})),
        (SetName::Aids, json!(["zz"])),
        (SetName::Blacklist, json!(["62a"])),
        (SetName::TmsParameters, json!({"platform": 3})),
    ] {
        let refused = ready(service::put_set(&server.app, name, &content)).unwrap_err().to_string();
        assert!(refused.starts_with(&format!("the set {name} cannot be used")), "{refused}");
    }
    assert!(server.store.look(|contents| contents.sets.is_empty()));
}

//! Sets that an operator puts reach every terminal once, and again when they change.

use std::collections::BTreeMap;

use jiff::civil::date;
use serde_json::json;
use testkit::store::CallFault;
use tms_core::SetName;
use tms_proto::{
    PendingWork,
    emv::{Capk, CapkId, CapkSet, CardList, ContactlessSet, Download, DownloadRequest, Expiry, Progress},
    parameters::{Held, RecordFile, Values},
    report::{Details, Report},
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
fn downloaded(server: &Server, host: &mut Session, terminal: &mut TerminalSession) -> usize {
    let mut download = Download::capk(&CapkSet::default());
    run(&mut download, server, host, terminal);
    let Download::Capk(download) = &download else { panic!("another download") };
    download.in_force().len()
}

fn run(download: &mut Download, server: &Server, host: &mut Session, terminal: &mut TerminalSession) {
    let forms = *Profile::builtin("unionpay").unwrap().downloads();
    while let Some(request) = download.next_request() {
        terminal.download(&request, server.now()).unwrap();
        for event in server.exchange(host, terminal) {
            if let TerminalEvent::Download { request, body } = event {
                assert!(download.on_reply(&request, &body, &forms).is_ok_and(|p| p != Progress::Ignored));
            }
        }
    }
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
    assert_eq!(downloaded(&server, &mut host, &mut terminal), 3);
    ready(host.close(Ended::Closed));

    let (mut host, mut terminal, events) = signed_on(&server);
    assert_eq!(announced(&events), None, "it has them");
    ready(service::put_set(&server.app, SetName::Capks, &keys(&[1, 2, 3, 4]))).unwrap();
    ready(host.tick()).unwrap();
    terminal.echo(server.now()).unwrap();
    let events = server.exchange(&mut host, &mut terminal);
    assert_eq!(announced(&events), Some(PendingWork::Capk), "{events:?}");
    assert_eq!(downloaded(&server, &mut host, &mut terminal), 4);
    let kept = server.store.look(|contents| contents.documents.values().cloned().collect::<Vec<_>>());
    assert_eq!(kept, [r#"{"capks":2}"#]);
}

#[test]
fn a_set_that_the_store_took_without_an_answer_is_announced_all_the_same() {
    let server = Server::speaking("unionpay", None);
    ready(service::put_set(&server.app, SetName::Capks, &keys(&[1]))).unwrap();
    let (mut host, mut terminal, _) = signed_on(&server);
    assert_eq!(downloaded(&server, &mut host, &mut terminal), 1);
    server.store.on_call(|call| match call {
        "put_set" => CallFault::AnswerLost,
        _ => CallFault::None,
    });
    ready(service::put_set(&server.app, SetName::Capks, &keys(&[1, 2]))).unwrap_err();
    server.store.heal();
    ready(host.tick()).unwrap();
    terminal.echo(server.now()).unwrap();
    let events = server.exchange(&mut host, &mut terminal);
    assert_eq!(announced(&events), Some(PendingWork::Capk), "{events:?}");
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
    server.exchange(&mut host, &mut terminal);
    assert_eq!(terminal.announced(), Some(PendingWork::Capk), "that is what the terminal is told");
    assert_eq!(downloaded(&server, &mut host, &mut terminal), 1);
    assert_eq!(terminal.announced(), None);
    assert_eq!(kept(&server), [r#"{"capks":2}"#]);
}

fn kept(server: &Server) -> Vec<String> {
    server.store.look(|contents| contents.documents.values().cloned().collect())
}

/// Asks one question and takes its answer.
fn ask(server: &Server, host: &mut Session, terminal: &mut TerminalSession, download: &mut Download) {
    let forms = *Profile::builtin("unionpay").unwrap().downloads();
    terminal.download(&download.next_request().unwrap(), server.now()).unwrap();
    for event in server.exchange(host, terminal) {
        if let TerminalEvent::Download { request, body } = event {
            download.on_reply(&request, &body, &forms).unwrap();
        }
    }
}

#[test]
fn the_end_of_a_download_that_another_session_began_proves_nothing_and_the_set_is_announced_again() {
    let server = Server::speaking("unionpay", None);
    ready(service::put_set(&server.app, SetName::Capks, &keys(&[1, 2]))).unwrap();
    let (mut host, mut terminal, _) = signed_on(&server);
    let mut old = Download::capk(&CapkSet::default());
    while old.next_request() != Some(DownloadRequest::CapkEnd) {
        ask(&server, &mut host, &mut terminal, &mut old);
    }
    ready(host.close(Ended::Closed));
    ready(service::put_set(&server.app, SetName::Capks, &keys(&[7, 8, 9]))).unwrap();

    let (mut host, mut terminal, events) = signed_on(&server);
    assert_eq!(announced(&events), Some(PendingWork::Capk));
    ask(&server, &mut host, &mut terminal, &mut old);
    assert!(old.is_finished() && kept(&server).is_empty(), "{:?}", kept(&server));
    assert_eq!(terminal.announced(), Some(PendingWork::Capk));
    assert_eq!(downloaded(&server, &mut host, &mut terminal), 3);
    assert_eq!((terminal.announced(), kept(&server)), (None, vec![r#"{"capks":2}"#.to_owned()]));
}

#[test]
fn a_set_with_nothing_in_it_is_over_with_its_first_answer_and_blocks_no_other() {
    let server = Server::speaking("unionpay", None);
    ready(service::put_set(&server.app, SetName::Capks, &keys(&[]))).unwrap();
    ready(service::put_set(&server.app, SetName::Blacklist, &json!(["6228480000"]))).unwrap();
    let (mut host, mut terminal, events) = signed_on(&server);
    assert_eq!(announced(&events), Some(PendingWork::Capk));
    assert_eq!(downloaded(&server, &mut host, &mut terminal), 0);
    assert_eq!(terminal.announced(), Some(PendingWork::Blacklist));
    assert_eq!(kept(&server), [r#"{"capks":1}"#]);
}

#[test]
fn where_the_profile_pushes_sets_they_are_pushed_until_the_terminal_has_them_and_not_announced() {
    for profile in ["iso87", "iso93"] {
        let server = Server::speaking(profile, None);
        ready(service::put_set(&server.app, SetName::Capks, &keys(&[1, 2, 3]))).unwrap();
        ready(service::put_set(&server.app, SetName::Blacklist, &json!(["6228480000"]))).unwrap();
        let (mut host, mut terminal, events) = signed_on(&server);
        assert_eq!(announced(&events), None);
        let mut held = BTreeMap::from(RecordFile::ALL.map(|file| (file, Held::new(file, 0, Values::new()))));
        let seen = take_pushes(&server, &mut host, &mut terminal, &mut held, events);
        assert_eq!(seen, [RecordFile::Capk, RecordFile::Blacklist], "{profile}");
        assert_eq!(
            (held[&RecordFile::Capk].values().len(), held[&RecordFile::Blacklist].values().len()),
            (3, 1)
        );
        assert_eq!(kept(&server), [r#"{"capks":1,"blacklist":1}"#]);

        // Here an empty set says what it means.
        ready(service::put_set(&server.app, SetName::Capks, &keys(&[]))).unwrap();
        ready(host.tick()).unwrap();
        let events = server.exchange(&mut host, &mut terminal);
        let seen = take_pushes(&server, &mut host, &mut terminal, &mut held, events);
        assert_eq!((seen.len(), held[&RecordFile::Capk].values().len()), (1, 0));

        // A terminal that has a newer revision from elsewhere is given the set all the same, in time.
        held.insert(RecordFile::Capk, Held::new(RecordFile::Capk, 40, Values::new()));
        ready(service::put_set(&server.app, SetName::Capks, &keys(&[5]))).unwrap();
        for pushes in [1, 0, 1, 0] {
            ready(host.tick()).unwrap();
            let events = server.exchange(&mut host, &mut terminal);
            assert_eq!(take_pushes(&server, &mut host, &mut terminal, &mut held, events).len(), pushes);
            server.pass(if pushes == 1 { 1 } else { 60 });
        }
        assert_eq!(held[&RecordFile::Capk].values().len(), 1);
        assert_eq!(kept(&server), [r#"{"capks":3,"blacklist":1}"#]);
    }
}

/// Sends a report that says this of the keys in force, and answers what is announced then.
fn report_keys(
    server: &Server,
    host: &mut Session,
    terminal: &mut TerminalSession,
    capks: &CapkSet,
) -> Option<PendingWork> {
    let details = Details { capk_sha256: Some(capks.content_hash()), ..Details::default() };
    terminal.report(&Report { details, ..Report::default() }, server.now()).unwrap();
    server.exchange(host, terminal);
    terminal.announced()
}

#[test]
fn a_set_that_a_terminal_reports_otherwise_is_announced_again_but_not_for_ever() {
    let server = Server::speaking("unionpay", None);
    ready(service::put_set(&server.app, SetName::Capks, &keys(&[1, 2]))).unwrap();
    let (published, nothing) = (serde_json::from_value(keys(&[1, 2])).unwrap(), CapkSet::default());
    let in_part = serde_json::from_value(keys(&[1])).unwrap();
    let (mut host, mut terminal, _) = signed_on(&server);
    assert_eq!(report_keys(&server, &mut host, &mut terminal, &nothing), Some(PendingWork::Capk));
    assert_eq!(downloaded(&server, &mut host, &mut terminal), 2);
    assert_eq!(report_keys(&server, &mut host, &mut terminal, &published), None);

    // It was emptied behind everybody's back, twice.
    for _ in 0..2 {
        assert_eq!(report_keys(&server, &mut host, &mut terminal, &nothing), Some(PendingWork::Capk));
        downloaded(&server, &mut host, &mut terminal);
        assert_eq!(report_keys(&server, &mut host, &mut terminal, &published), None);
    }

    // It leaves a key out however often it is given it, on this connection and on the next.
    assert_eq!(report_keys(&server, &mut host, &mut terminal, &in_part), Some(PendingWork::Capk));
    downloaded(&server, &mut host, &mut terminal);
    assert_eq!(report_keys(&server, &mut host, &mut terminal, &in_part), None);
    ready(host.close(Ended::Closed));
    let (mut host, mut terminal, _) = signed_on(&server);
    assert_eq!(report_keys(&server, &mut host, &mut terminal, &in_part), None);
    ready(service::put_set(&server.app, SetName::Capks, &keys(&[1, 2, 3]))).unwrap();
    ready(host.tick()).unwrap();
    assert_eq!(
        report_keys(&server, &mut host, &mut terminal, &in_part),
        Some(PendingWork::Capk),
        "a new set"
    );
}

#[test]
fn a_set_that_a_terminal_reports_otherwise_waits_although_the_store_fails_in_between() {
    let server = Server::speaking("unionpay", None);
    ready(service::put_set(&server.app, SetName::Capks, &keys(&[1, 2]))).unwrap();
    let nothing = CapkSet::default();
    let (mut host, mut terminal, _) = signed_on(&server);
    downloaded(&server, &mut host, &mut terminal);
    for failing in 1..12 {
        server.store.fail_next(failing);
        report_keys(&server, &mut host, &mut terminal, &nothing);
        server.store.heal();
        ready(host.close(Ended::Closed));
        (host, terminal, _) = signed_on(&server);
        let announced = report_keys(&server, &mut host, &mut terminal, &nothing);
        assert_eq!(announced, Some(PendingWork::Capk), "after {failing} failures");
    }
}

#[test]
fn a_pushed_set_that_a_terminal_reports_otherwise_is_pushed_again() {
    let server = Server::speaking("iso87", None);
    ready(service::put_set(&server.app, SetName::Capks, &keys(&[1, 2, 3]))).unwrap();
    let (mut host, mut terminal, events) = signed_on(&server);
    let mut held = BTreeMap::from(RecordFile::ALL.map(|file| (file, Held::new(file, 0, Values::new()))));
    assert_eq!(take_pushes(&server, &mut host, &mut terminal, &mut held, events), [RecordFile::Capk]);
    held.insert(RecordFile::Capk, Held::new(RecordFile::Capk, 0, Values::new()));
    let details = Details { capk_sha256: Some(CapkSet::default().content_hash()), ..Details::default() };
    terminal.report(&Report { details, ..Report::default() }, server.now()).unwrap();
    let events = server.exchange(&mut host, &mut terminal);
    assert_eq!(take_pushes(&server, &mut host, &mut terminal, &mut held, events), [RecordFile::Capk]);
    assert_eq!(held[&RecordFile::Capk].values().len(), 3);
}

/// Lets the terminal take what it is pushed; answers of which files.
fn take_pushes(
    server: &Server,
    host: &mut Session,
    terminal: &mut TerminalSession,
    held: &mut BTreeMap<RecordFile, Held>,
    mut events: Vec<TerminalEvent>,
) -> Vec<RecordFile> {
    let mut seen = Vec::new();
    while !events.is_empty() {
        for event in std::mem::take(&mut events) {
            if let TerminalEvent::ParameterPush { request, push } = event {
                seen.push(push.file);
                let (answer, _) = held.get_mut(&push.file).unwrap().take(&push, 900);
                terminal.answer_push(request, &answer, server.now()).unwrap();
            }
        }
        events = server.exchange(host, terminal);
    }
    seen
}

#[test]
fn tms_parameters_of_which_a_value_is_too_long_for_its_place_are_refused() {
    let server = Server::speaking("unionpay", None);
    let of = |platform: &str| {
        json!({
            "platform": platform, "limit_date": "2026-12-31", "timing": "", "phones": ["", ""], "hosts": ["", ""],
            "task": {"current": {
                "content": {"card_application": "1"}, "code": "7001", "gprs": "", "cdma": "", "check_code": "",
                "redial_s": 60, "prompt": "", "tpdu": "6000030000", "start": "2026-01-01T00:00:00", "end": "2026-12-31T00:00:00",
            }},
        })
    };
    let put = |content| ready(service::put_set(&server.app, SetName::TmsParameters, &content));
    let refused = put(of("ABCDEFGHIJKLMNOPQRST")).unwrap_err().to_string();
    assert!(refused.starts_with("the set tms_parameters cannot be used"), "{refused}");
    put(of("PLATFORM")).unwrap();
}

#[test]
fn contactless_parameters_and_cards_without_pin_are_announced_one_after_the_other() {
    let server = Server::speaking("unionpay", None);
    for (set, content) in [
        (SetName::PinFreeBlacklist, json!(["62284800"])),
        (SetName::PinFreeBins, json!(["622848", "622849"])),
        (SetName::Contactless, json!(["FF805D049F660136"])),
    ] {
        ready(service::put_set(&server.app, set, &content)).unwrap();
    }
    let (mut host, mut terminal, events) = signed_on(&server);
    let mut waits = announced(&events);
    for mut download in [
        Download::contactless(&ContactlessSet::default()),
        Download::pin_free_bins(&CardList::default()),
        Download::pin_free_blacklist(&CardList::default()),
    ] {
        assert_eq!(waits, Some(download.kind().work()));
        run(&mut download, &server, &mut host, &mut terminal);
        let entries = match &download {
            Download::Contactless(one) => one.in_force().len(),
            Download::PinFreeBins(one) => one.in_force().len() * 10,
            Download::PinFreeBlacklist(one) => one.in_force().len() * 100,
            other => panic!("{other:?}"),
        };
        assert!([1, 20, 100].contains(&entries), "{entries}");
        waits = terminal.announced();
    }
    assert_eq!(waits, None, "it has them all");
    assert_eq!(kept(&server), [r#"{"contactless":1,"pin_free_bins":1,"pin_free_blacklist":1}"#]);
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
        (SetName::Contactless, json!(["9F660136"])),
        (SetName::Contactless, json!(["FF805D049F660136FF805D049F660136"])),
        (SetName::PinFreeBins, json!([622848])),
        (SetName::PinFreeBlacklist, json!(["622848000000000"])),
    ] {
        let refused = ready(service::put_set(&server.app, name, &content)).unwrap_err().to_string();
        assert!(refused.starts_with(&format!("the set {name} cannot be used")), "{refused}");
    }
    assert!(server.store.look(|contents| contents.sets.is_empty()));
}

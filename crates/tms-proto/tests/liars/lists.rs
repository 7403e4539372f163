//! Lists that never end, that grow, and that are not what they say.

use std::sync::Arc;

use allocation_counter::measure;
use jiff::civil::date;
use tms_proto::{
    Answer, HostEvent, Profile, Refusal, TerminalEvent,
    emv::{
        AidSet, Blacklist, Capk, CapkId, CapkSet, Download, DownloadBody, DownloadError, DownloadRequest,
        Expiry, Forms,
    },
    parameters::{Action, Held, Outcome, Part, Push, PushAnswer, PushRefusal, RecordFile, Values},
    settlement::{
        Balance, BatchLedger, BatchMessage, CardClass, CardDetail, Detail, LedgerError, MAX_RECORDS, Pan,
        Settle, Side,
    },
};
use uuid::Uuid;

use super::{Link, MOST_BYTES, NOW, profiles, pushing};

fn unionpay() -> Arc<Profile> {
    Arc::new(Profile::builtin("unionpay").unwrap())
}

/// A host that always has one more: its answer to each question as `answer` makes it. How often the
/// terminal asks before it gives up, why, and the most that it holds meanwhile.
fn rounds(mut download: Download, answer: impl Fn(u32, &DownloadRequest) -> Vec<u8>) -> (u32, DownloadError) {
    let mut link = Link::new(&unionpay());
    let forms = Forms::default();
    let mut ended = None;
    let mut rounds = 0;
    let held = measure(|| {
        while let Some(request) = download.next_request() {
            rounds += 1;
            assert!(rounds < 2000, "the terminal asks for ever");
            link.terminal.download(&request, NOW).unwrap();
            let lie = DownloadBody(answer(rounds, &request));
            let TerminalEvent::Download { body, .. } = link.answered(Answer::Download(&lie)) else {
                panic!()
            };
            if let Err(error) = download.on_reply(&request, &body, &forms) {
                ended = Some(error);
                break;
            }
        }
    });
    assert!(held.bytes_max < 2 * 64 * 1024, "{} bytes", held.bytes_max);
    assert!(held.bytes_current < MOST_BYTES, "{} bytes", held.bytes_current);
    (rounds, ended.expect("a reason"))
}

fn fetching_capks() -> Download {
    Download::capk(&CapkSet::default())
}

fn fetching_aids() -> Download {
    Download::aid(&AidSet::default())
}

fn hex(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

#[test]
fn more_of_the_same_is_given_up() {
    // Always the same entry, always "more follows" (unionpay.md §4.7, §4.8, §4.9).
    let same = |_: u32, _: &DownloadRequest| hex("329f0605a0000003339f220108df05083230333031323331");
    let no_progress = DownloadError::NoProgress { answers: 4 };
    assert_eq!(rounds(fetching_capks(), same), (5, no_progress.clone()));
    let same = |_: u32, _: &DownloadRequest| hex("329f0605a000000333");
    assert_eq!(rounds(fetching_aids(), same), (5, no_progress.clone()));
    let same = |_: u32, _: &DownloadRequest| b"200002620262"[..8].to_vec();
    assert_eq!(rounds(Download::blacklist(&Blacklist::default()), same), (5, no_progress));
}

#[test]
fn more_of_nothing_is_given_up() {
    let nothing = |_: u32, _: &DownloadRequest| b"2".to_vec();
    assert_eq!(rounds(fetching_capks(), nothing), (1, DownloadError::NothingAdded));
    assert_eq!(rounds(fetching_aids(), nothing), (1, DownloadError::NothingAdded));
    let nothing = |_: u32, _: &DownloadRequest| b"2000".to_vec();
    let blacklist = Download::blacklist(&Blacklist::default());
    assert_eq!(rounds(blacklist, nothing), (1, DownloadError::NothingAdded));
}

#[test]
fn lists_that_grow_for_ever_end_where_no_more_can_be_asked_for() {
    let keys = |round: u32, _: &DownloadRequest| {
        hex(&format!("329f0605a00000{round:04x}9f220108df05083230333031323331"))
    };
    assert_eq!(rounds(fetching_capks(), keys), (99, DownloadError::Endless { limit: 99 }));
    let aids = |round: u32, _: &DownloadRequest| hex(&format!("329f0605a00000{round:04x}"));
    assert_eq!(rounds(fetching_aids(), aids), (99, DownloadError::Endless { limit: 99 }));
    let cards = |_: u32, request: &DownloadRequest| match request {
        DownloadRequest::Blacklist { from } => format!("2{from:03}0262").into_bytes(),
        _ => Vec::new(),
    };
    let blacklist = Download::blacklist(&Blacklist::default());
    assert_eq!(rounds(blacklist, cards), (1000, DownloadError::Endless { limit: 1000 }));
}

#[test]
fn an_item_of_another_name_each_time_does_not_keep_the_terminal_asking() {
    let aids = |_: u32, request: &DownloadRequest| match request {
        DownloadRequest::AidList { .. } => hex("319f0605a000000333"),
        // As long as it may be, and of another application.
        _ => hex("319f0605a000000334df010100"),
    };
    let (asked, ended) = rounds(fetching_aids(), aids);
    assert!(asked < 8 && !matches!(ended, DownloadError::NoProgress { .. }), "{asked}: {ended}");
}

#[test]
fn a_host_that_is_busy_for_ever_is_given_up_for_now_in_every_download() {
    for mut download in [
        fetching_capks(),
        fetching_aids(),
        Download::blacklist(&Blacklist::default()),
        Download::tms_parameters(None),
    ] {
        let mut link = Link::new(&unionpay());
        let mut rounds = 0;
        let ended = loop {
            rounds += 1;
            assert!(rounds < 100, "the terminal asks for ever");
            let request = download.next_request().unwrap();
            link.terminal.download(&request, NOW).unwrap();
            let event = link.answered(Answer::Refused(Refusal::Busy));
            let TerminalEvent::Refused { refusal, .. } = event else { panic!() };
            if let Err(error) = download.on_refused(&request, refusal) {
                break error;
            }
        };
        assert_eq!(ended, DownloadError::NoProgress { answers: 4 });
    }
}

fn values(n: u16, names: u16) -> Values {
    (0..names).map(|k| (format!("{n:04}.{k:03}"), "v".repeat(60))).collect()
}

fn pushed(link: &mut Link, held: &mut Held, push: Push) -> PushAnswer {
    link.host.push_parameters(push, NOW).unwrap();
    let TerminalEvent::ParameterPush { request, push } = link.hear_at_terminal() else { panic!() };
    let (answer, _) = held.take(&push, link.profile.data_bytes());
    link.terminal.answer_push(request, &answer, NOW).unwrap();
    let HostEvent::PushAnswered { answer: Some(told), .. } = link.hear_at_host() else { panic!() };
    assert_eq!(*told, answer);
    answer
}

#[test]
fn a_set_to_which_ever_more_is_added_is_refused_before_it_fills_memory() {
    for profile in profiles().filter(|profile| profile.pushes()) {
        let mut link = Link::new(&profile);
        let mut held = Held::new(RecordFile::Parameters, 0, Values::new());
        let (mut taken, mut refused) = (0, 0);
        for n in 0..400u16 {
            let base = Some(held.standing());
            let push = Push {
                base,
                action: Action::Add,
                ..Push::parameters(Uuid::from_u128(n.into()), u64::from(n) + 1, values(n, 12))
            };
            match pushed(&mut link, &mut held, push).outcome {
                Outcome::Done => taken += 1,
                Outcome::Refused(PushRefusal::TooMuch) => refused += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((taken, held.values().len()), (83, 996), "{}", profile.name());
        assert_eq!(refused, 317);
        link.still_stands();
    }
}

#[test]
fn parts_that_are_missing_repeated_or_of_another_push_take_no_effect_and_little_room() {
    for profile in profiles().filter(|profile| profile.pushes()) {
        let mut link = Link::new(&profile);
        let mut held = Held::new(RecordFile::Parameters, 0, Values::new());
        let part = |operation: u128, number, count| Push {
            part: Part { number, count },
            ..Push::parameters(Uuid::from_u128(operation), 1, values(number, 12))
        };
        // The machine alone: a lying host does not keep to the order in which a session sends.
        let memory = measure(|| {
            for n in 0..2000u128 {
                for (operation, number, count) in [(n, 1, 99), (n, 3, 99), (n + 5000, 2, 99), (n, 2, 98)] {
                    let (answer, _) = held.take(&part(operation, number, count), 4096);
                    assert_ne!(answer.outcome, Outcome::Done);
                }
            }
        });
        assert!(memory.bytes_current < MOST_BYTES, "{} bytes", memory.bytes_current);
        assert!(held.values().is_empty());
        let whole = Push::parameters(Uuid::from_u128(9999), 2, values(1, 2));
        assert_eq!(pushed(&mut link, &mut held, whole).outcome, Outcome::Done);
    }
}

#[test]
fn a_pushed_set_of_keys_with_more_than_a_terminal_may_hold_is_refused() {
    let key = |index| {
        let id = CapkId { rid: [0xA0, 0, 0, 3, 0x33], index };
        Capk::new(id, Expiry::new(date(2030, 12, 31)).unwrap(), &[0xC1; 96], &[3]).unwrap()
    };
    let mut all = Values::new();
    for first in [0, 90] {
        let mut set = CapkSet::default();
        (first..first + 90).for_each(|index| set.insert(key(index)).unwrap());
        all.extend(Values::from(&set));
    }
    let mut link = Link::new(&pushing());
    let mut held = Held::new(RecordFile::Capk, 0, Values::new());
    let mut outcomes = Vec::new();
    let push = Push::replace_all(Uuid::from_u128(1), RecordFile::Capk, 1, all);
    for part in push.split(link.profile.data_bytes()).unwrap() {
        outcomes.push(held.take(&part, 4096).0.outcome);
    }
    assert!(matches!(outcomes.last(), Some(Outcome::Refused(_))), "{outcomes:?}");
    assert!(held.values().is_empty());
    link.still_stands();
}

fn card(trace: u32, amount: u64) -> CardDetail {
    CardDetail { class: CardClass::Domestic, trace, pan: Pan::new("6225000000000001").unwrap(), amount }
}

#[test]
fn a_batch_that_grows_for_ever_is_refused_in_any_profile() {
    for profile in profiles() {
        let mut link = Link::new(&profile);
        let mut ledger = BatchLedger::default();
        let (mut full, mut trace) = (0, 0);
        let memory = measure(|| {
            for _ in 0..400 {
                let cards = (0..8).map(|_| {
                    trace += 1;
                    card(trace, 100)
                });
                let lie = tms_proto::settlement::Message::Batch(BatchMessage::Cards(cards.collect()));
                link.terminal.settle(7, &lie, NOW).unwrap();
                let HostEvent::Batch { exchange, batch, message } = link.hear_at_host() else { panic!() };
                let answer = match ledger.on_details(batch, &message) {
                    Ok(_) => Answer::BatchTaken { batch, message: &message },
                    Err(LedgerError::Full) => {
                        full += 1;
                        Answer::Refused(Refusal::OutOfRange)
                    }
                    Err(other) => panic!("{other}"),
                };
                link.host.answer(exchange, answer, NOW).unwrap();
                link.hear_at_terminal();
            }
        });
        assert_eq!((ledger.received(), full), (MAX_RECORDS, 150), "{}", profile.name());
        assert!(memory.bytes_current < 1 << 20, "{} bytes", memory.bytes_current);
        link.still_stands();
    }
}

#[test]
fn a_batch_whose_details_change_each_time_is_told_and_kept_as_it_came_first() {
    for profile in profiles() {
        let mut link = Link::new(&profile);
        let mut ledger = BatchLedger::default();
        let mut conflicting = 0;
        for amount in 1..200 {
            let lie = BatchMessage::Cards(vec![card(1, amount)]);
            link.terminal.settle(7, &tms_proto::settlement::Message::Batch(lie), NOW).unwrap();
            let HostEvent::Batch { exchange, batch, message } = link.hear_at_host() else { panic!() };
            conflicting += ledger.on_details(batch, &message).unwrap().conflicting;
            link.host.answer(exchange, Answer::BatchTaken { batch, message: &message }, NOW).unwrap();
            link.hear_at_terminal();
        }
        assert_eq!((ledger.received(), conflicting), (1, 198), "{}", profile.name());
        let closed = ledger.on_end(7, 1, false);
        assert_eq!((closed.conflicts, closed.is_complete()), (1, false), "the number is contested once");
    }
}

/// A host that never agrees, and answers other totals than it was told.
#[test]
fn totals_that_were_never_told_answer_nothing_in_any_profile() {
    for profile in profiles() {
        let mut link = Link::new(&profile);
        let mut batch = Settle::new(7, 156);
        let _ = batch.record(Detail::Card(card(1, 100)), Side::Debit).unwrap();
        let _ = batch.close(0).unwrap();
        let before = batch.clone();
        for n in 0..100u64 {
            let told = batch.next_message().unwrap();
            link.terminal.settle(batch.batch(), &told, NOW).unwrap();
            let HostEvent::Totals { exchange, batch: number, totals } = link.hear_at_host() else { panic!() };
            let mut lie = totals.answered(Balance::Balanced, Balance::Balanced);
            lie.domestic.debit.amount += 1 + n;
            let answer = Answer::Settled { batch: number, totals: &lie };
            link.host.answer(exchange, answer, NOW).unwrap();
            let TerminalEvent::TotalsAnswered { batch: number, totals } = link.hear_at_terminal() else {
                panic!()
            };
            let refused = batch.on_totals(number, &totals).unwrap_err();
            assert!(refused.to_string().contains("totals"), "{refused}");
        }
        assert_eq!(batch, before, "{}", profile.name());
        link.still_stands();
    }
}

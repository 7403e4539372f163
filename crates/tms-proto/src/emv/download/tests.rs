//! Downloads against a host in memory that is slow, loses replies, repeats old ones, refuses, or lies.

mod faults;

use jiff::civil::date;

use super::*;
use crate::emv::{Aid, AidParameters, Capk, CapkId, Expiry, Offer, Skipped};

const FORMS: Forms = Forms {
    capk_expiry: crate::emv::ExpiryForm::Ascii,
    blacklist: crate::emv::BlacklistForm::Length,
    tms_parameters: crate::tms_parameters::Layout::Tagged,
    body_bytes: 440,
};

fn key(index: u8, year: i16) -> Capk {
    let id = CapkId { rid: [0xA0, 0, 0, 3, 0x33], index };
    Capk::new(id, Expiry::new(date(year, 12, 31)).unwrap(), &[index | 1; 96], &[3]).unwrap()
}

fn keys(all: impl IntoIterator<Item = (u8, i16)>) -> CapkSet {
    let mut set = CapkSet::default();
    all.into_iter().for_each(|(index, year)| set.insert(key(index, year)).unwrap());
    set
}

fn application(number: u8, limit: u64) -> AidParameters {
    let aid = Aid::new(&[0xA0, 0, 0, 3, 0x33, number]).unwrap();
    AidParameters { cvm_limit: Some(limit), ..AidParameters::new(aid) }
}

fn applications(all: impl IntoIterator<Item = (u8, u64)>) -> AidSet {
    let mut set = AidSet::default();
    all.into_iter().for_each(|(number, limit)| set.insert(application(number, limit)).unwrap());
    set
}

fn cards(count: usize) -> Blacklist {
    let all: Vec<_> = (0..count).map(|n| CardPrefix::new(&format!("6228{n:08}")).unwrap()).collect();
    Blacklist::try_from(all).unwrap()
}

/// Templates that take several messages.
fn templates(count: u16) -> ContactlessSet {
    let all = (0..count).map(|n| {
        let mut content = Vec::new();
        iso8583::tlv::write(&mut content, 0x9F66, &[&n.to_be_bytes()[..], &[0x36; 60]].concat());
        let mut bytes = Vec::new();
        iso8583::tlv::write(&mut bytes, 0xFF805D, &content);
        ContactlessTemplate::decode(&bytes).unwrap()
    });
    ContactlessSet::try_from(all.collect::<Vec<_>>()).unwrap()
}

/// Answers everything from the offer, and returns what was asked.
fn run(download: &mut Download, offer: &Offer) -> Result<Vec<DownloadRequest>, DownloadError> {
    let mut asked = Vec::new();
    while let Some(request) = download.next_request() {
        assert!(asked.len() < 1000, "the download goes on and on");
        match offer.answer(&request, &FORMS) {
            Ok(body) => download.on_reply(&request, &body, &FORMS)?,
            Err(refusal) => download.on_refused(&request, refusal)?,
        };
        asked.push(request);
    }
    Ok(asked)
}

fn in_force(download: &Download) -> Offer {
    let mut offer = Offer::default();
    match download {
        Download::Capk(d) => offer.capks = d.in_force().clone(),
        Download::Aid(d) => offer.aids = d.in_force().clone(),
        Download::Blacklist(d) => offer.blacklist = d.in_force().clone(),
        Download::TmsParameters(d) => offer.tms_parameters = d.in_force().cloned(),
        Download::Contactless(d) => offer.contactless = d.in_force().clone(),
        Download::PinFreeBins(d) => offer.pin_free_bins = d.in_force().clone(),
        Download::PinFreeBlacklist(d) => offer.pin_free_blacklist = d.in_force().clone(),
    }
    offer
}

fn skipped(download: &Download) -> &[Skipped] {
    let Download::Capk(download) = download else { panic!("only keys are skipped") };
    download.skipped()
}

#[test]
fn only_new_and_changed_keys_are_fetched_and_others_go() {
    let offer = Offer { capks: keys([(1, 2030), (2, 2030), (3, 2031)]), ..Offer::default() };
    let mut download = Download::capk(&keys([(1, 2030), (3, 2029), (9, 2030)]));
    let asked = run(&mut download, &offer).unwrap();
    assert_eq!(
        asked,
        [
            DownloadRequest::CapkList { from: 0 },
            DownloadRequest::Capk(key(2, 2030).id()),
            DownloadRequest::Capk(key(3, 2031).id()),
            DownloadRequest::CapkEnd
        ]
    );
    assert_eq!(in_force(&download).capks, offer.capks);
}

#[test]
fn a_list_of_many_messages_is_asked_for_with_a_growing_count() {
    let offer = Offer { capks: keys((0..99).map(|n| (n, 2030))), ..Offer::default() };
    let mut download = Download::capk(&offer.capks);
    let asked = run(&mut download, &offer).unwrap();
    let counts: Vec<_> = asked.iter().map(|request| request.encode()).collect();
    assert_eq!(counts, [&b"100"[..], b"119", b"138", b"157", b"176", b"195", b""]);
}

#[test]
fn a_key_that_the_host_refuses_or_breaks_is_skipped_with_its_reason() {
    let offer = Offer { capks: keys([(1, 2030), (2, 2030), (3, 2030), (4, 2030)]), ..Offer::default() };
    let mut download = Download::capk(&keys([(2, 2020)]));
    while let Some(request) = download.next_request() {
        let mut body = offer.answer(&request, &FORMS).unwrap();
        match &request {
            DownloadRequest::Capk(id) if id.index == 1 => {
                download.on_refused(&request, Refusal::NotFound).unwrap();
                continue;
            }
            DownloadRequest::Capk(id) if id.index == 2 => *body.0.last_mut().unwrap() ^= 1,
            DownloadRequest::Capk(id) if id.index == 3 => {
                body.0 = [b"1", &key(3, 2031).encode(FORMS.capk_expiry)[..]].concat()
            }
            _ => {}
        }
        download.on_reply(&request, &body, &FORMS).unwrap();
    }
    let reasons: Vec<_> = skipped(&download).iter().map(|s| (s.id.index, s.reason.clone())).collect();
    let broken = "the check value (DF03) is not the SHA-1 of the key".to_owned();
    assert_eq!(
        reasons,
        [(1, SkipReason::Refused), (2, SkipReason::Unusable(broken)), (3, SkipReason::OtherExpiry)]
    );
    assert_eq!(in_force(&download).capks, keys([(2, 2020), (4, 2030)]), "the old key 2 is better than none");
}

#[test]
fn a_host_without_keys_changes_nothing() {
    let mut download = Download::capk(&keys([(1, 2030)]));
    assert_eq!(run(&mut download, &Offer::default()).unwrap().len(), 1);
    assert_eq!(in_force(&download).capks, keys([(1, 2030)]));
}

#[test]
fn applications_are_replaced_all_at_once() {
    let offer = Offer { aids: applications([(1, 10), (2, 20), (3, 30)]), ..Offer::default() };
    let old = applications([(1, 11), (7, 70)]);
    let mut download = Download::aid(&old);
    let mut stored = 0;
    while let Some(request) = download.next_request() {
        let body = offer.answer(&request, &FORMS).unwrap();
        let progress = download.on_reply(&request, &body, &FORMS).unwrap();
        stored += usize::from(progress == Progress::Store);
        let now = in_force(&download).aids;
        assert_eq!(now, if stored == 0 { old.clone() } else { offer.aids.clone() });
        assert!(stored == 0 || request.is_end() || download.next_request().unwrap().is_end());
    }
    assert_eq!(stored, 1);
}

#[test]
fn a_listed_application_that_is_refused_fails_the_download() {
    let offer = Offer { aids: applications([(1, 10), (2, 20)]), ..Offer::default() };
    let old = applications([(7, 70)]);
    let mut download = Download::aid(&old);
    for _ in 0..2 {
        let request = download.next_request().unwrap();
        let body = offer.answer(&request, &FORMS).unwrap();
        download.on_reply(&request, &body, &FORMS).unwrap();
    }
    let request = download.next_request().unwrap();
    let error = download.on_refused(&request, Refusal::NotFound).unwrap_err();
    assert_eq!(error, DownloadError::Refused(Refusal::NotFound));
    assert_eq!(in_force(&download).aids, old);
    assert_eq!(download.next_request(), Some(DownloadRequest::AidList { from: 0 }), "it may begin anew");
}

#[test]
fn a_blacklist_of_many_messages_is_replaced_all_at_once() {
    let offer = Offer { blacklist: cards(1000), ..Offer::default() };
    let mut download = Download::blacklist(&cards(3));
    let asked = run(&mut download, &offer).unwrap();
    assert_eq!(asked[0].encode(), b"000");
    assert_eq!(asked[1].encode(), b"031", "31 entries of 14 bytes fit the room");
    assert_eq!(asked.last(), Some(&DownloadRequest::BlacklistEnd));
    assert_eq!(in_force(&download).blacklist, offer.blacklist);
}

#[test]
fn tms_parameters_are_stored_before_the_end_is_told() {
    let mut download = Download::tms_parameters(None);
    assert_eq!(run(&mut download, &Offer::default()).unwrap(), [DownloadRequest::TmsParameters]);
    let error = Download::tms_parameters(None).on_reply(&DownloadRequest::TmsParameters, b"26", &FORMS);
    assert!(matches!(error, Err(DownloadError::Unusable(_))), "{error:?}");
}

#[test]
fn a_reply_to_a_question_no_longer_asked_changes_nothing() {
    let offer = Offer { capks: keys([(1, 2030), (2, 2030)]), ..Offer::default() };
    let mut download = Download::capk(&CapkSet::default());
    let first = download.next_request().unwrap();
    let body = offer.answer(&first, &FORMS).unwrap();
    download.on_reply(&first, &body, &FORMS).unwrap();
    let before = download.clone();
    assert_eq!(download.on_reply(&first, &body, &FORMS), Ok(Progress::Ignored));
    assert_eq!(download.on_refused(&first, Refusal::NotFound), Ok(Progress::Ignored));
    assert_eq!(download, before);
}

#[test]
fn lies_about_a_list_are_refused_with_the_reason() {
    let entry = |index| {
        let mut out = Vec::new();
        key(index, 2030).entry().encode(&mut out, FORMS.capk_expiry);
        out
    };
    let page = |control: u8, indexes: &[u8]| {
        [vec![control], indexes.iter().flat_map(|i| entry(*i)).collect()].concat()
    };
    let lie = |pages: &[Vec<u8>]| {
        let mut download = Download::capk(&keys([(50, 2030)]));
        let mut last = Ok(Progress::Continue);
        for body in pages {
            let request = download.next_request().unwrap();
            last = download.on_reply(&request, body, &FORMS);
        }
        assert_eq!(in_force(&download).capks, keys([(50, 2030)]));
        last.unwrap_err()
    };
    assert_eq!(lie(&[page(b'2', &[])]), DownloadError::NothingAdded);
    assert_eq!(lie(&[page(b'1', &[])]), DownloadError::NothingAdded);
    assert_eq!(lie(&[page(b'2', &[1, 2, 1])]), DownloadError::Repeats);
    assert_eq!(lie(&[page(b'2', &[1, 2]), page(b'3', &[2, 3])]), DownloadError::Repeats);
    assert_eq!(lie(&vec![page(b'2', &[1, 2]); 5]), DownloadError::NoProgress { answers: 4 });
    assert_eq!(lie(&[page(b'4', &[1])]), DownloadError::Unusable(EmvError::Control { found: b'4' }));
    assert_eq!(lie(&[vec![]]), DownloadError::Unusable(EmvError::Short { what: "the body" }));
    let growing: Vec<_> = (0..25).map(|n| page(b'2', &[n * 4, n * 4 + 1, n * 4 + 2, n * 4 + 3])).collect();
    assert_eq!(lie(&growing), DownloadError::Endless { limit: 99 });
}

#[test]
fn an_item_that_was_not_asked_for_is_not_taken() {
    let offer = Offer {
        aids: applications([(1, 10), (2, 20)]),
        capks: keys([(1, 2030), (2, 2030)]),
        ..Offer::default()
    };
    let mut download = Download::aid(&AidSet::default());
    let request = download.next_request().unwrap();
    let body = offer.answer(&request, &FORMS).unwrap();
    download.on_reply(&request, &body, &FORMS).unwrap();
    let request = download.next_request().unwrap();
    let other = offer.answer(&DownloadRequest::Aid(application(2, 20).aid), &FORMS).unwrap();
    assert_eq!(download.on_reply(&request, &other, &FORMS), Err(DownloadError::NotTheOneAsked));

    let mut download = Download::capk(&CapkSet::default());
    while let Some(request) = download.next_request() {
        let asked = match &request {
            DownloadRequest::Capk(_) => DownloadRequest::Capk(key(2, 2030).id()),
            other => other.clone(),
        };
        let body = offer.answer(&asked, &FORMS).unwrap();
        download.on_reply(&request, &body, &FORMS).unwrap();
    }
    assert_eq!(in_force(&download).capks, keys([(2, 2030)]));
    assert_eq!(skipped(&download)[0].reason, SkipReason::NotTheOneAsked);
}

#[test]
fn each_numbered_list_is_asked_for_and_ended_with_its_own_functions() {
    let offer = Offer {
        contactless: templates(20),
        pin_free_bins: cards(100),
        pin_free_blacklist: cards(60),
        ..Offer::default()
    };
    for (mut download, messages) in [
        (Download::contactless(&templates(1)), 4),
        (Download::pin_free_bins(&cards(3)), 4),
        (Download::pin_free_blacklist(&cards(3)), 2),
    ] {
        let kind = download.kind();
        let old = in_force(&download);
        let request = download.next_request().unwrap();
        assert!(request.is_first(), "{kind}");
        let body = offer.answer(&request, &FORMS).unwrap();
        assert_eq!(download.on_reply(&request, &body, &FORMS), Ok(Progress::Continue));
        assert_eq!(in_force(&download), old, "{kind}: a part changes nothing");
        let asked = run(&mut download, &offer).unwrap();
        assert_eq!(asked.len(), messages, "{kind}");
        assert!(asked.iter().all(|request| request.kind() == kind), "{kind}");
        assert_eq!(asked.last(), Some(&kind.end()));
        let now = in_force(&download);
        assert!(now.has(kind) && now != old, "{kind}");
        assert!(now.contactless.is_empty() || now.contactless == offer.contactless);
        assert!(now.pin_free_bins.is_empty() || now.pin_free_bins == offer.pin_free_bins);
        assert!(now.pin_free_blacklist.is_empty() || now.pin_free_blacklist == offer.pin_free_blacklist);
    }
}

#[test]
fn lies_about_a_blacklist_are_refused_with_the_reason() {
    let lie = |pages: &[&[u8]]| {
        let mut download = Download::blacklist(&cards(2));
        let mut last = Ok(Progress::Continue);
        for body in pages {
            let request = download.next_request().unwrap();
            last = download.on_reply(&request, body, &FORMS);
        }
        assert_eq!(in_force(&download).blacklist, cards(2));
        last.unwrap_err()
    };
    assert_eq!(lie(&[b"1000"]), DownloadError::NothingAdded);
    assert_eq!(lie(&[b"2000016", b"0"]), DownloadError::MoreWasNothing);
    assert_eq!(
        lie(&[b"2000016", b"2000016", b"2000016", b"2000016", b"2000016"]),
        DownloadError::NoProgress { answers: 4 }
    );
    assert_eq!(lie(&[b"1002016"]), DownloadError::Numbers { from: 0, end: 2, entries: 1 });
    assert_eq!(lie(&[b"1000016017"]), DownloadError::Numbers { from: 0, end: 0, entries: 2 });
    assert_eq!(lie(&[b"2998016"]), DownloadError::Numbers { from: 0, end: 998, entries: 1 });
    assert!(matches!(lie(&[b"1000156"]), DownloadError::Unusable(_)));
    assert!(matches!(lie(&[b"1000026"]), DownloadError::Unusable(_)));
}

#[test]
fn a_blacklist_that_goes_on_after_its_last_number_is_refused() {
    let mut download = Download::blacklist(&Blacklist::default());
    for from in (0..1000).step_by(50) {
        let request = download.next_request().unwrap();
        assert_eq!(request, DownloadRequest::Blacklist { from });
        let body = format!("2{:03}{}", from + 49, "0262".repeat(50));
        let outcome = download.on_reply(&request, body.as_bytes(), &FORMS);
        let expected =
            if from == 950 { Err(DownloadError::Endless { limit: 1000 }) } else { Ok(Progress::Continue) };
        assert_eq!(outcome, expected);
    }
}

#[test]
fn a_blacklist_whose_host_counts_from_one_is_taken() {
    let mut download = Download::blacklist(&Blacklist::default());
    for (from, body) in [(0, &b"200202610262"[..]), (3, b"10030263")] {
        let request = download.next_request().unwrap();
        assert_eq!(request, DownloadRequest::Blacklist { from });
        download.on_reply(&request, body, &FORMS).unwrap();
    }
    assert_eq!(in_force(&download).blacklist.len(), 3);
}

#[test]
fn a_host_that_is_always_busy_is_given_up() {
    let mut download = Download::capk(&CapkSet::default());
    let request = download.next_request().unwrap();
    for _ in 0..3 {
        assert_eq!(download.on_refused(&request, Refusal::Busy), Ok(Progress::Continue));
    }
    let error = download.on_refused(&request, Refusal::Busy).unwrap_err();
    assert_eq!(error, DownloadError::NoProgress { answers: 4 });
    assert_eq!(download.next_request(), Some(request), "another day it goes on where it stood");
}

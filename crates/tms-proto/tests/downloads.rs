//! Downloads between both ends of a connection, byte for byte as the recorded messages have them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::sync::Arc;

use iso8583::{
    Builder, Message,
    framing::{Frame, Header, Tpdu},
};
use jiff::{Timestamp, civil::date};
use tms_proto::{
    Answer, Asked, HostEvent, HostSession, Identity, PendingWork, Profile, Refusal, TerminalEvent,
    TerminalSession,
    emv::{
        Aid, AidParameters, AidSet, Blacklist, Capk, CapkId, CapkSet, CardList, CardPrefix, ContactlessSet,
        ContactlessTemplate, Download, DownloadKind, DownloadRequest, Expiry, Offer,
    },
};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

struct Pair {
    host: HostSession,
    terminal: TerminalSession,
    profile: Arc<Profile>,
}

fn pair() -> Pair {
    let profile = Arc::new(Profile::builtin("unionpay").unwrap());
    let identity = Identity::new("12345678", "102310060510002");
    Pair {
        host: HostSession::new(profile.clone(), Some("12345678".into())),
        terminal: TerminalSession::new(profile.clone(), identity),
        profile,
    }
}

impl Pair {
    /// Carries a question to the host and what `answer` says to it back.
    fn ask(
        &mut self,
        request: &DownloadRequest,
        answer: impl FnOnce(&DownloadRequest, &Profile) -> Result<Vec<u8>, Refusal>,
    ) -> TerminalEvent {
        self.terminal.download(request, NOW).unwrap();
        self.host.receive(&self.terminal.poll_transmit().unwrap(), NOW).unwrap();
        let Some(HostEvent::Download { exchange, request: asked }) = self.host.poll_event() else { panic!() };
        assert_eq!(asked, *request);
        let body = answer(&asked, &self.profile).map(tms_proto::emv::DownloadBody);
        let answer = match &body {
            Ok(body) => Answer::Download(body),
            Err(refusal) => Answer::Refused(*refusal),
        };
        self.host.answer(exchange, answer, NOW).unwrap();
        self.terminal.receive(&self.host.poll_transmit().unwrap(), NOW).unwrap();
        self.terminal.poll_event().unwrap()
    }

    fn run(&mut self, download: &mut Download, offer: &Offer) {
        while let Some(request) = download.next_request() {
            let event =
                self.ask(&request, |asked, profile| offer.answer(asked, profile.downloads()).map(|b| b.0));
            let forms = *self.profile.downloads();
            match event {
                TerminalEvent::Download { request, body } => {
                    download.on_reply(&request, &body, &forms).unwrap();
                }
                TerminalEvent::Refused { request: Asked::Download(request), refusal, .. } => {
                    download.on_refused(&request, refusal).unwrap();
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

fn offer() -> Offer {
    let mut offer = Offer::default();
    for index in 0..30 {
        let id = CapkId { rid: [0xA0, 0, 0, 3, 0x33], index };
        let expiry = Expiry::new(date(2030, 12, 31)).unwrap();
        offer.capks.insert(Capk::new(id, expiry, &[0xC1; 248], &[1, 0, 1]).unwrap()).unwrap();
        let aid = Aid::new(&[0xA0, 0, 0, 3, 0x33, index]).unwrap();
        let parameters = AidParameters { cvm_limit: Some(30_000), ..AidParameters::new(aid) };
        offer.aids.insert(parameters).unwrap();
        offer.blacklist.push(CardPrefix::new(&format!("6228{index:010}")).unwrap()).unwrap();
        offer.pin_free_bins.push(CardPrefix::new(&format!("6229{index:04}")).unwrap()).unwrap();
        offer.pin_free_blacklist.push(CardPrefix::new(&format!("6230{index:010}")).unwrap()).unwrap();
        let template = hex::decode(format!("FF805D209F661D{}", hex::encode([index; 29]))).unwrap();
        offer.contactless.push(ContactlessTemplate::decode(&template).unwrap()).unwrap();
    }
    offer
}

#[test]
fn questions_are_the_synthetic_vectors_byte_for_byte() {
    const IDENTITY: &str = "31323334353637383130323331303036303531303030320011000000";
    let key = DownloadRequest::Capk(CapkId { rid: [0xA0, 0, 0, 3, 0x33], index: 8 });
    for (request, head, tail) in [
        (key, "0042600003000060310031000108000000000000C00014", "01370000129F0605A0000003339F220108"),
        (
            DownloadRequest::CapkList { from: 0 },
            "0039600003000060310031000108200000000000C00014",
            "0137200003313030",
        ),
        (
            DownloadRequest::Aid("A000000333010101".parse().unwrap()),
            "0041600003000060310031000108000000000000C00014",
            "01380000119F0608A000000333010101",
        ),
        (
            DownloadRequest::Blacklist { from: 0 },
            "0039600003000060310031000108000000000000C00014",
            "0139000003303030",
        ),
        (DownloadRequest::TmsParameters, "0034600003000060310031000108000000000000C00010", "013640"),
    ] {
        let mut pair = pair();
        pair.terminal.download(&request, NOW).unwrap();
        let sent = hex::encode_upper(pair.terminal.poll_transmit().unwrap());
        assert_eq!(sent, [head, IDENTITY, tail].concat(), "{request:?}");
    }
}

#[test]
fn all_that_a_host_has_reaches_the_terminal() {
    let (mut pair, offer) = (pair(), offer());
    let mut keys = Download::capk(&CapkSet::default());
    let mut applications = Download::aid(&AidSet::default());
    let mut blacklist = Download::blacklist(&Blacklist::default());
    for download in [&mut keys, &mut applications, &mut blacklist] {
        pair.run(download, &offer);
    }
    let (Download::Capk(keys), Download::Aid(applications), Download::Blacklist(blacklist)) =
        (keys, applications, blacklist)
    else {
        panic!()
    };
    assert_eq!(keys.in_force(), &offer.capks);
    assert_eq!(applications.in_force(), &offer.aids);
    assert_eq!(blacklist.in_force(), &offer.blacklist);
}

#[test]
fn what_is_downloaded_like_the_blacklist_reaches_the_terminal_too() {
    let (mut pair, offer) = (pair(), offer());
    let mut templates = Download::contactless(&ContactlessSet::default());
    let mut bins = Download::pin_free_bins(&CardList::default());
    let mut exceptions = Download::pin_free_blacklist(&CardList::default());
    for download in [&mut templates, &mut bins, &mut exceptions] {
        pair.run(download, &offer);
    }
    let (
        Download::Contactless(templates),
        Download::PinFreeBins(bins),
        Download::PinFreeBlacklist(exceptions),
    ) = (templates, bins, exceptions)
    else {
        panic!()
    };
    assert_eq!(templates.in_force(), &offer.contactless);
    assert_eq!(bins.in_force(), &offer.pin_free_bins);
    assert_eq!(exceptions.in_force(), &offer.pin_free_blacklist);
}

#[test]
fn questions_of_394_to_399_are_those_of_390_and_391_with_their_code() {
    let sent = |request: DownloadRequest| {
        let mut pair = pair();
        pair.terminal.download(&request, NOW).unwrap();
        hex::encode_upper(pair.terminal.poll_transmit().unwrap())
    };
    let (page, end) = (sent(DownloadRequest::Blacklist { from: 30 }), sent(DownloadRequest::BlacklistEnd));
    assert!(page.contains("00000001390") && end.contains("00000001391"), "{page} {end}");
    for (kind, from, code, end_code) in [
        (DownloadKind::Contactless, DownloadRequest::Contactless { from: 30 }, "394", "395"),
        (DownloadKind::PinFreeBins, DownloadRequest::PinFreeBins { from: 30 }, "396", "397"),
        (DownloadKind::PinFreeBlacklist, DownloadRequest::PinFreeBlacklist { from: 30 }, "398", "399"),
    ] {
        assert_eq!(sent(from), page.replace("00000001390", &format!("00000001{code}")), "{kind}");
        assert_eq!(sent(kind.end()), end.replace("00000001391", &format!("00000001{end_code}")), "{kind}");
    }
}

#[test]
fn a_refused_key_is_told_with_the_question() {
    let mut pair = pair();
    let request = DownloadRequest::Capk(CapkId { rid: [1; 5], index: 1 });
    let event =
        pair.ask(&request, |asked, profile| Offer::default().answer(asked, profile.downloads()).map(|b| b.0));
    let TerminalEvent::Refused { request: Asked::Download(asked), refusal, code } = event else {
        panic!("{event:?}")
    };
    assert_eq!((asked, refusal, code.as_str()), (request, Refusal::NotFound, "25"));
}

#[test]
fn a_malformed_question_is_answered_with_a_format_error() {
    let mut pair = pair();
    pair.terminal.download(&DownloadRequest::CapkList { from: 0 }, NOW).unwrap();
    let mut frame = pair.terminal.poll_transmit().unwrap();
    let control = frame.len() - 3;
    frame[control] = b'2';
    pair.host.receive(&frame, NOW).unwrap();
    let Some(HostEvent::Refused { refusal: Refusal::FormatError, .. }) = pair.host.poll_event() else {
        panic!()
    };
    pair.terminal.receive(&pair.host.poll_transmit().unwrap(), NOW).unwrap();
    let event = pair.terminal.poll_event();
    assert!(matches!(event, Some(TerminalEvent::Refused { .. })), "{event:?}");
}

#[test]
fn each_announced_download_has_its_kind() {
    for kind in DownloadKind::ALL.iter().copied() {
        assert_eq!(DownloadKind::of(kind.work()), Some(kind));
        let profile = Profile::builtin("unionpay").unwrap();
        let digit = profile.pending_digit(kind.work()).unwrap();
        assert_eq!(profile.pending_work(digit), Some(kind.work()));
    }
    assert_eq!(DownloadKind::of(PendingWork::Task), None);
}

#[test]
fn a_profile_says_how_bodies_are_written_and_is_refused_when_nothing_would_fit() {
    let text = include_str!("../profiles/unionpay.toml");
    assert!(Profile::from_toml(&text.replace("body_bytes = 512", "body_bytes = 999")).is_ok());
    for wrong in ["body_bytes = 100", "body_bytes = 1000"] {
        let error = Profile::from_toml(&text.replace("body_bytes = 512", wrong)).unwrap_err().to_string();
        assert!(error.contains("body_bytes must be 440 to 999"), "{error}");
    }
}

#[test]
fn a_reply_has_the_stan_of_a_request_that_has_one_where_the_table_lists_none() {
    let mut pair = pair();
    let dialect = pair.profile.dialect();
    let mut builder = Builder::new(dialect, "0800".parse().unwrap());
    for (n, value) in [(11, "000017"), (41, "12345678"), (42, "102310060510002"), (60, "00000001390")] {
        builder.set(n, value).unwrap();
    }
    builder.set_bytes(62, b"000").unwrap();
    let body = builder.build().unwrap();
    let (tpdu, header) = (Some(Tpdu([0x60, 0, 3, 0, 0])), Some(Header([0x60, 0x31, 0, 0x31, 0, 1])));
    let framing = pair.profile.framing();
    let mut frame = Vec::new();
    framing.encode(&mut frame, &Frame { tpdu, header, vendor: &[], body: &body }).unwrap();

    pair.host.receive(&frame, NOW).unwrap();
    let Some(HostEvent::Download { exchange, .. }) = pair.host.poll_event() else { panic!() };
    let body =
        Offer::default().answer(&DownloadRequest::Blacklist { from: 0 }, pair.profile.downloads()).unwrap();
    pair.host.answer(exchange, Answer::Download(&body), NOW).unwrap();
    let reply = pair.host.poll_transmit().unwrap();
    let (whole, _) = framing.split(&reply, reply.len()).unwrap().unwrap();
    let message = Message::parse(dialect, whole.body).unwrap();
    assert_eq!(message.text("11").as_deref(), Some("000017"));
}

#[test]
fn a_sign_on_names_the_operator() {
    let mut pair = pair();
    pair.terminal.sign_on(b"", NOW).unwrap();
    let sent = hex::encode_upper(pair.terminal.poll_transmit().unwrap());
    assert!(sent.contains("0020000000C00012") && sent.ends_with("0003303120"), "{sent}");
}

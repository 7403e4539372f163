//! Wire forms of keys, applications, lists and blacklists.

use jiff::civil::date;
use proptest::prelude::*;

use super::*;
use crate::profile::Function;

/// Modulus of the UnionPay key 08; its check value is that of the recorded message I8 (unionpay.md §4.7).
const MODULUS: &str = "B61645EDFD5498FB246444037A0FA18C0F101EBD8EFA54573CE6E6A7FBF63ED21D66340852B0211CF5EEF6A1\
    CD989F66AF21A8EB19DBD8DBC3706D135363A0D683D046304F5A836BC1BC632821AFE7A2F75DA3C50AC74C545A754562204137169663CFCC\
    0B06E67E2109EBA41BC67FF20CC8AC80D7B6EE1A95465B3B2657533EA56D92D539E5064360EA4850FED2D1BF";
const CHECK_VALUE: &str = "ee23b616c95c02652ad18860e48787c079e8e85a";
/// DE62 of the recorded message I5.
const APPLICATION: &str = "319f0607a0000000031010df0101009f08020140df1105d84000a800df1205d84004f800df130500100000009f1b\
    0400000000df150400000000df160199df170199df14039f3704df1801019f7b06000000010000df1906000000000001df2006000000010000\
    df2106000000010000";
/// DE62 of the recorded message I7.
const KEY_LIST: &str = "319f0605a0000000039f220109df050832303136313233319f0605a0000000049f220106df0508323031363132333\
    19f0605a0000000659f220114df050832303136313233319f0605a0000003339f22010bdf050832303136313233319f0605a0000003339f22\
    0108df05083230323031323331";

fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text.replace(' ', "")).unwrap()
}

type CardPage = NumberedPage<CardPrefix>;

fn template(hex: &str) -> ContactlessTemplate {
    ContactlessTemplate::decode(&unhex(hex)).unwrap()
}

fn key_08() -> Capk {
    let id = "A000000333-08".parse().unwrap();
    Capk::new(id, Expiry::new(date(2020, 12, 31)).unwrap(), &unhex(MODULUS), &[3]).unwrap()
}

fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = hex::encode(bytes);
    assert!(text.contains(from), "{from} is not there");
    unhex(&text.replacen(from, to, 1))
}

#[test]
fn a_real_key_has_the_check_value_of_the_recorded_message() {
    assert_eq!(hex::encode(key_08().check_value()), CHECK_VALUE);
    let bytes = key_08().encode(ExpiryForm::Ascii);
    assert!(
        hex::encode(&bytes)
            .starts_with("9f0605a0000003339f220108df05083230323031323331df060101df070101df02819")
    );
    assert_eq!(Capk::decode(&bytes).unwrap(), key_08());
    assert_eq!(Capk::decode(&key_08().encode(ExpiryForm::Packed)).unwrap(), key_08());
}

#[test]
fn a_key_that_does_not_verify_is_refused_with_the_reason() {
    let bytes = key_08().encode(ExpiryForm::Ascii);
    let error = |bytes: &[u8]| Capk::decode(bytes).unwrap_err();
    assert_eq!(error(&replaced(&bytes, "b61645", "b61646")), EmvError::CheckValue);
    assert_eq!(error(&replaced(&bytes, "9f220108", "9f220109")), EmvError::CheckValue);
    assert_eq!(error(&replaced(&bytes, "df060101", "df060107")), EmvError::Unverifiable { algorithm: 7 });
    assert_eq!(
        error(&replaced(&bytes, "df070101", "df070104")),
        EmvError::Value { tag: 0xDF07, wanted: "RSA (01)" }
    );
    let end = bytes.len() - 23;
    assert_eq!(error(&bytes[..end]), EmvError::Missing { tag: 0xDF03 });
    let twice = [&bytes[..], &[0xDF, 0x06, 1, 1]].concat();
    assert_eq!(error(&twice), EmvError::Twice { tag: 0xDF06 });
}

#[test]
fn weak_and_giant_keys_are_none() {
    let (id, expiry) = (key_08().id(), key_08().expiry());
    for bytes in [0, 1, 95, 257] {
        assert!(Capk::new(id, expiry, &vec![0xC1; bytes], &[3]).is_err(), "{bytes}");
    }
    for exponent in [&[][..], &[1], &[2], &[0, 3], &[1, 0, 0]] {
        assert!(Capk::new(id, expiry, &[0xC1; 128], exponent).is_err(), "{exponent:?}");
    }
    assert!(Capk::new(id, expiry, &[0xC1; 248], &[1, 0, 1]).is_ok());
}

#[test]
fn an_expiry_is_read_in_both_forms_and_nonsense_in_none() {
    let last = Expiry::new(date(2030, 2, 28)).unwrap();
    assert_eq!(last.encode(ExpiryForm::Ascii), b"20300228");
    assert_eq!(last.encode(ExpiryForm::Packed), [0x20, 0x30, 0x02, 0x28]);
    assert_eq!(Expiry::decode(b"20300228").unwrap(), last);
    assert_eq!(Expiry::decode(&[0x20, 0x30, 0x02, 0x28]).unwrap(), last);
    for wrong in [
        &b"20300230"[..],
        b"19991231",
        b"22000101",
        b"2030022a",
        b"203002",
        b"",
        &[0x20, 0x3A, 2, 0x28],
        b"+2030228",
    ] {
        assert!(Expiry::decode(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn the_recorded_key_list_reads_and_writes_back() {
    let page = ListPage::<CapkEntry>::decode(&unhex(KEY_LIST)).unwrap();
    let listed: Vec<_> = page.entries.iter().map(|e| (e.id.to_string(), e.expiry.day())).collect();
    assert_eq!(page.control, Control::Whole);
    assert_eq!(listed.len(), 5);
    assert_eq!(listed[0], ("A000000003-09".to_owned(), date(2016, 12, 31)));
    assert_eq!(listed[4], ("A000000333-08".to_owned(), date(2020, 12, 31)));

    let mut written = vec![page.control.byte()];
    page.entries.iter().for_each(|entry| entry.encode(&mut written, ExpiryForm::Ascii));
    assert_eq!(written, unhex(KEY_LIST));
}

#[test]
fn the_recorded_application_reads_and_writes_back() {
    let objects = &unhex(APPLICATION)[1..];
    let visa = AidParameters::decode(objects).unwrap();
    assert_eq!(visa.aid.to_string(), "A0000000031010");
    assert_eq!(visa.selection, Some(0));
    assert_eq!(visa.card_version, Some([0x01, 0x40]));
    assert_eq!(visa.tac_denial, Some([0x00, 0x10, 0, 0, 0]));
    assert_eq!((visa.random_max_percent, visa.random_percent), (Some(99), Some(99)));
    assert_eq!(visa.default_ddol.as_deref(), Some(&[0x9F, 0x37, 0x04][..]));
    assert_eq!(visa.e_cash_limit, Some(10_000));
    assert_eq!(
        (visa.contactless_floor_limit, visa.contactless_limit, visa.cvm_limit),
        (Some(1), Some(10_000), Some(10_000))
    );
    assert!(visa.others.is_empty());
    assert_eq!(visa.encode().unwrap(), objects);
}

#[test]
fn what_an_application_has_beyond_the_known_is_kept() {
    let objects = [&unhex(APPLICATION)[1..], &[0x9F, 0x66, 0x04, 0x26, 0, 0, 0x80]].concat();
    let parameters = AidParameters::decode(&objects).unwrap();
    assert_eq!(parameters.others, [(0x9F66, vec![0x26, 0, 0, 0x80])]);
    assert_eq!(parameters.encode().unwrap(), objects);
}

#[test]
fn an_application_that_could_not_be_read_back_is_not_written() {
    let aid: Aid = "A000000333010101".parse().unwrap();
    let with = |others: Vec<(u32, Vec<u8>)>| AidParameters { others, ..AidParameters::new(aid.clone()) };
    assert!(with(vec![(0xDF11, vec![0; 5])]).encode().is_err(), "a known tag among the unknown");
    assert!(with(vec![(0x9F66, vec![]), (0x9F66, vec![])]).encode().is_err(), "a tag twice");
    assert!(with(vec![(0x1F, vec![])]).encode().is_err(), "a tag that is none");
    assert!(with(vec![(0x9F66, vec![0; 600])]).encode().is_err(), "too long");
    let amount = AidParameters { cvm_limit: Some(1_000_000_000_000), ..AidParameters::new(aid.clone()) };
    assert!(amount.encode().is_err());
    let percent = AidParameters { random_percent: Some(100), ..AidParameters::new(aid) };
    assert!(percent.encode().is_err());
}

#[test]
fn requests_have_the_bodies_of_the_vectors() {
    let cases = [
        (DownloadRequest::CapkList { from: 0 }, Function::CapkList, b"100".to_vec()),
        (DownloadRequest::CapkList { from: 5 }, Function::CapkList, b"105".to_vec()),
        (DownloadRequest::Capk(key_08().id()), Function::CapkDownload, unhex("9F0605A0000003339F220108")),
        (DownloadRequest::AidList { from: 99 }, Function::AidList, b"199".to_vec()),
        (
            DownloadRequest::Aid("A000000333010101".parse().unwrap()),
            Function::AidDownload,
            unhex("9F0608A000000333010101"),
        ),
        (DownloadRequest::Blacklist { from: 0 }, Function::Blacklist, b"000".to_vec()),
        (DownloadRequest::Blacklist { from: 123 }, Function::Blacklist, b"123".to_vec()),
        (DownloadRequest::Contactless { from: 7 }, Function::Contactless, b"007".to_vec()),
        (DownloadRequest::PinFreeBins { from: 70 }, Function::PinFreeBins, b"070".to_vec()),
        (DownloadRequest::PinFreeBlacklist { from: 999 }, Function::PinFreeBlacklist, b"999".to_vec()),
        (DownloadRequest::TmsParameters, Function::TmsParameters, vec![]),
        (DownloadRequest::CapkEnd, Function::CapkEnd, vec![]),
    ];
    for (request, function, body) in cases {
        assert_eq!((request.function(), request.encode()), (function, body.clone()));
        assert_eq!(DownloadRequest::decode(function, &body).unwrap().unwrap(), request);
    }
    for wrong in [&b""[..], b"1", b"000", b"1000", b"10a"] {
        assert!(DownloadRequest::decode(Function::CapkList, wrong).unwrap().is_err(), "{wrong:?}");
    }
    assert!(DownloadRequest::decode(Function::Echo, b"").is_none());
}

#[test]
fn blacklist_entries_stand_as_far_apart_as_the_profile_says() {
    let mut list = Blacklist::default();
    for card in ["622848", "62284800001111"] {
        list.push(CardPrefix::new(card).unwrap()).unwrap();
    }
    let by_length = Forms::default();
    let fixed = Forms { blacklist: BlacklistForm::Fixed14, ..by_length };
    assert_eq!(list.page(0, &by_length), b"1001066228481462284800001111");
    assert_eq!(list.page(0, &fixed), b"100106622848        1462284800001111");
    for forms in [by_length, fixed] {
        let page = CardPage::decode(&list.page(0, &forms), &forms).unwrap();
        let CardPage::Entries { more: false, end: 1, entries } = page else { panic!("{page:?}") };
        assert_eq!(entries, Vec::from(list.clone()));
    }
    assert_eq!(CardPage::decode(b"0", &by_length).unwrap(), CardPage::Nothing);
}

#[test]
fn contactless_templates_are_one_behind_the_other_in_a_page() {
    let list =
        ContactlessSet::try_from(vec![template("FF805D049F660136"), template("FF805D039F3500")]).unwrap();
    let page = list.page(0, &Forms::default());
    assert_eq!(hex::encode_upper(&page), "31303031FF805D049F660136FF805D039F3500");
    let read = NumberedPage::<ContactlessTemplate>::decode(&page, &Forms::default()).unwrap();
    assert_eq!(read, NumberedPage::Entries { more: false, end: 1, entries: list.into() });
}

#[test]
fn a_template_of_another_spelling_is_the_same_template() {
    assert_eq!(template("FF805D8104 9F660136"), template("FF805D04 9F660136"));
    assert_eq!(template("FF805D049F660136").tag(), 0xFF805D);
}

#[test]
fn what_is_no_template_is_refused_with_the_reason() {
    let refused = |bytes: &[u8]| ContactlessTemplate::decode(bytes).unwrap_err();
    assert_eq!(refused(b""), EmvError::Short { what: "a template" });
    assert!(matches!(refused(&unhex("9F6604 00000000")), EmvError::Value { tag: 0x9F66, .. }), "no template");
    assert!(matches!(refused(&unhex("FF805D00")), EmvError::Value { tag: 0xFF805D, .. }), "nothing in it");
    assert!(matches!(refused(&unhex("FF805D03 9F6602")), EmvError::Tlv(_)), "its content is cut short");
    assert!(matches!(refused(&unhex("FF805D04 9F660136 00")), EmvError::Tlv(_) | EmvError::TooMany { .. }));
    let mut long = Vec::new();
    iso8583::tlv::write(&mut long, 0x9F66, &[0; 500]);
    let mut bytes = Vec::new();
    iso8583::tlv::write(&mut bytes, 0xFF805D, &long);
    assert_eq!(refused(&bytes), EmvError::TooMany { what: "bytes of one template", limit: 430 });
}

#[test]
fn the_longest_template_fits_into_the_smallest_body() {
    let mut content = Vec::new();
    iso8583::tlv::write(&mut content, 0x9F66, &[0; 419]);
    let mut bytes = Vec::new();
    iso8583::tlv::write(&mut bytes, 0xFF805D, &content);
    assert_eq!(bytes.len(), 430);
    let list = ContactlessSet::try_from(vec![ContactlessTemplate::decode(&bytes).unwrap()]).unwrap();
    let forms = Forms { body_bytes: Forms::MIN_BODY_BYTES, ..Forms::default() };
    assert_eq!(list.page(0, &forms).len(), 434);
}

#[test]
fn a_card_is_blocked_by_its_number_or_its_beginning() {
    let list = Blacklist::try_from(vec![CardPrefix::new("622848").unwrap()]).unwrap();
    assert!(list.has_card("6228480000000000") && !list.has_card("6228470000000000"));
}

#[test]
fn nothing_prints_more_of_a_card_than_its_bin() {
    let card = CardPrefix::new("62284801234567").unwrap();
    assert_eq!(format!("{card:?}"), "622848********");
    let list = Blacklist::try_from(vec![card]).unwrap();
    assert!(!format!("{list:?}").contains("622848"));
    let error = CardPage::decode(b"1000146228480123456x", &Forms::default()).unwrap_err();
    assert!(!error.to_string().contains("622848"), "{error}");
    let body = DownloadBody(b"100114622848012345".to_vec());
    assert_eq!(format!("{body:?}"), "DownloadBody(18 bytes)");
}

#[test]
fn an_offer_cuts_its_lists_to_the_room() {
    let mut offer = Offer::default();
    for index in 0..60 {
        let id = CapkId { rid: [0xA0, 0, 0, 3, 0x33], index };
        offer.capks.insert(Capk::new(id, key_08().expiry(), &[0xC1; 96], &[3]).unwrap()).unwrap();
    }
    let forms = Forms::default();
    let mut from = 0;
    let mut controls = Vec::new();
    while from < 60 {
        let body = offer.answer(&DownloadRequest::CapkList { from }, &forms).unwrap();
        assert!(body.len() <= 512);
        let page = ListPage::<CapkEntry>::decode(&body).unwrap();
        controls.push(page.control);
        from += u8::try_from(page.entries.len()).unwrap();
    }
    assert_eq!(controls, [Control::More, Control::More, Control::Last]);
    let nothing = offer.answer(&DownloadRequest::CapkList { from: 60 }, &forms).unwrap();
    assert_eq!(nothing.0, b"0");
}

#[test]
fn the_longest_key_fits_the_smallest_room() {
    let longest = Capk::new(key_08().id(), key_08().expiry(), &[0xC1; 256], &[1, 0, 1]).unwrap();
    assert!(longest.encode(ExpiryForm::Ascii).len() < usize::from(Forms::MIN_BODY_BYTES));
}

#[test]
fn sets_have_a_most() {
    let mut keys = CapkSet::default();
    let key = |index| Capk::new(CapkId { rid: [1; 5], index }, key_08().expiry(), &[0xC1; 96], &[3]).unwrap();
    (0..99).for_each(|index| keys.insert(key(index)).unwrap());
    assert!(keys.insert(key(99)).is_err());
    keys.insert(key(98)).unwrap();
    let cards = vec![CardPrefix::new("1").unwrap(); 1001];
    assert!(Blacklist::try_from(cards).is_err());
}

pub(super) fn any_application() -> impl Strategy<Value = AidParameters> {
    let numbers = (
        proptest::option::of(any::<u8>()),
        proptest::option::of(any::<[u8; 2]>()),
        proptest::option::of(any::<[u8; 5]>()),
        proptest::option::of(any::<u32>()),
        proptest::option::of(0u8..100),
        proptest::option::of(0u64..1_000_000_000_000),
        proptest::option::of(prop::collection::vec(any::<u8>(), 0..40)),
        prop::collection::btree_map(0x9F30u32..0x9F7A, prop::collection::vec(any::<u8>(), 0..12), 0..4),
    );
    (prop::collection::vec(any::<u8>(), 5..17), numbers).prop_map(
        |(aid, (byte, version, tac, limit, percent, amount, ddol, others))| AidParameters {
            selection: byte,
            card_version: version,
            terminal_version: version,
            tac_default: tac,
            tac_denial: tac,
            floor_limit: limit,
            random_threshold: limit,
            random_max_percent: percent,
            random_percent: percent,
            default_ddol: ddol,
            e_cash_limit: amount,
            cvm_limit: amount,
            others: others.into_iter().collect(),
            ..AidParameters::new(Aid::new(&aid).unwrap())
        },
    )
}

proptest! {
    #[test]
    fn applications_survive_the_wire_and_the_disk(parameters in any_application()) {
        prop_assert_eq!(&AidParameters::decode(&parameters.encode().unwrap()).unwrap(), &parameters);
        let json = serde_json::to_string(&parameters).unwrap();
        prop_assert_eq!(serde_json::from_str::<AidParameters>(&json).unwrap(), parameters);
    }

    #[test]
    fn keys_survive_the_wire_and_the_disk(
        rid in any::<[u8; 5]>(),
        index in any::<u8>(),
        days in 0i64..70_000,
        modulus in prop::collection::vec(any::<u8>(), 96..257),
        packed in any::<bool>(),
    ) {
        let expiry = Expiry::new(date(2000, 1, 1).checked_add(jiff::Span::new().days(days)).unwrap()).unwrap();
        let key = Capk::new(CapkId { rid, index }, expiry, &modulus, &[1, 0, 1]).unwrap();
        let form = if packed { ExpiryForm::Packed } else { ExpiryForm::Ascii };
        prop_assert_eq!(&Capk::decode(&key.encode(form)).unwrap(), &key);
        let json = serde_json::to_string(&key).unwrap();
        prop_assert_eq!(serde_json::from_str::<Capk>(&json).unwrap(), key);
    }

    #[test]
    fn one_wrong_bit_of_a_key_is_noticed(bit in 0usize..184 * 8) {
        let mut bytes = key_08().encode(ExpiryForm::Ascii);
        let bit = bit % (bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        // The check value covers all but the expiry.
        match Capk::decode(&bytes) {
            Err(_) => {}
            Ok(key) => prop_assert!(key.id() == key_08().id() && key.modulus() == key_08().modulus()),
        }
    }

    #[test]
    fn blacklists_survive_the_wire(
        cards in prop::collection::vec("[0-9]{1,14}", 1..60),
        fixed in any::<bool>(),
    ) {
        let list = Blacklist::try_from(cards.iter().map(|c| CardPrefix::new(c).unwrap()).collect::<Vec<_>>()).unwrap();
        let blacklist = if fixed { BlacklistForm::Fixed14 } else { BlacklistForm::Length };
        let forms = Forms { blacklist, ..Forms::default() };
        let (mut from, mut got) = (0, Vec::new());
        loop {
            let body = list.page(from, &forms);
            prop_assert!(body.len() <= 512);
            let page = CardPage::decode(&body, &forms).unwrap();
            let CardPage::Entries { more, end, entries } = page else { panic!("{page:?}") };
            got.extend(entries);
            if !more { break }
            from = end + 1;
        }
        prop_assert_eq!(got, Vec::from(list));
    }

    #[test]
    fn any_bytes_are_an_error_or_a_value(bytes in prop::collection::vec(any::<u8>(), 0..200), function in any::<usize>()) {
        let _ = Capk::decode(&bytes);
        let _ = AidParameters::decode(&bytes);
        let _ = ListPage::<CapkEntry>::decode(&bytes);
        let _ = ListPage::<Aid>::decode(&bytes);
        let _ = CardPage::decode(&bytes, &Forms::default());
        let _ = CardPage::decode(&bytes, &Forms { blacklist: BlacklistForm::Fixed14, ..Forms::default() });
        let _ = NumberedPage::<ContactlessTemplate>::decode(&bytes, &Forms::default());
        let _ = ContactlessTemplate::decode(&bytes);
        let function = Function::ALL[function % Function::ALL.len()];
        let _ = DownloadRequest::decode(function, &bytes);
    }

    #[test]
    fn bytes_near_the_recorded_ones_are_an_error_or_a_value(
        at in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        for recorded in [unhex(APPLICATION), unhex(KEY_LIST), key_08().encode(ExpiryForm::Ascii)] {
            let mut bytes = recorded;
            for (index, byte) in &at {
                let index = index.index(bytes.len());
                bytes[index] = *byte;
            }
            let _ = Capk::decode(&bytes);
            let _ = AidParameters::decode(bytes.get(1..).unwrap_or_default());
            let _ = ListPage::<CapkEntry>::decode(&bytes);
            let _ = ListPage::<Aid>::decode(&bytes);
        }
    }
}

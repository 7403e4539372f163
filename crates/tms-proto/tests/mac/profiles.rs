//! The `[mac]` section: what it must say, and what it may not.

use tms_proto::{
    Function, Refusal,
    profile::{MacKeySource, MacRule},
};

use super::*;

fn refused(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    Profile::from_toml(&text.replace(from, to)).expect_err(to).to_string()
}

#[test]
fn the_built_in_profiles_send_no_mac_and_check_those_that_come() {
    for name in Profile::builtin_names() {
        let profile = Profile::builtin(name).unwrap();
        let mac = profile.mac().unwrap();
        assert_eq!(mac.request(Function::Report), MacRule::Optional);
        assert_eq!(mac.reply(Function::Report, None), MacRule::Optional);
    }
    let unionpay = Profile::builtin("unionpay").unwrap();
    assert_eq!(unionpay.mac().unwrap().key_source(), MacKeySource::Working);
    assert_eq!(unionpay.mac().unwrap().request(Function::SignOn), MacRule::None);
}

#[test]
fn a_refusal_for_a_wrong_mac_is_never_asked_for_one() {
    for profile in [unionpay(), iso87()] {
        let mac = profile.mac().unwrap();
        assert_eq!(mac.reply(Function::Report, Some(Refusal::MacWrong)), MacRule::None);
    }
}

#[test]
fn a_profile_that_protects_nothing_although_it_says_so_is_refused() {
    let required = ("protect = \"optional\"", "protect = \"required\"");
    let error = refused(UNIONPAY, required.0, required.1);
    assert!(error.contains("must both list DE11: without it an old reply could be sent again"), "{error}");
    let named = "protect = \"none\"\n[mac.function]\nlog_uplaod = \"required\"";
    assert!(refused(UNIONPAY, required.0, named).contains("log_uplaod"));
    let absent = "protect = \"none\"\n[mac.function]\nparameter_push = \"required\"";
    assert!(refused(UNIONPAY, required.0, absent).contains("the profile has no parameter push to protect"));
    let sign_on = "protect = \"none\"\n[mac.function]\nsign_on = \"required\"";
    assert!(refused(UNIONPAY, required.0, sign_on).contains("its reply is what brings the key"));
    assert!(Profile::from_toml(&ISO87.replace(required.0, sign_on)).is_ok(), "a static key is there before");
}

#[test]
fn a_mac_that_has_no_room_or_no_key_is_refused() {
    for (from, to, says) in [
        ("field = 64\n", "field = 62\n", "must be 64 or 128"),
        (
            "form = \"hex-8\"",
            "form = \"bytes-4\"",
            "DE64 of dialect unionpay is not the b4 that bytes-4 needs",
        ),
        ("algorithm = \"unionpay-ecb\"", "algorithm = \"x9.19\"", "gives 8 bytes, which x9.19 does not take"),
        ("algorithm = \"unionpay-ecb\"", "algorithm = \"md5\"", "'md5' is no MAC algorithm; known are"),
        ("refused = \"A0\"", "refused = \"96\"", "means something else in [response]"),
        ("refused = \"A0\"", "refused = \"00\"", "means something else in [response]"),
        ("body_field = 62", "body_field = 64", "DE64 is the MAC"),
        ("120, 121, 122, 123, 124]", "120, 121, 122, 123, 124, 128]", "DE128 is the MAC"),
        ("key = \"working\"", "kye = \"working\"", "kye"),
    ] {
        let error = refused(UNIONPAY, from, to);
        assert!(error.contains(says), "{to}: {error}");
    }
}

#[test]
fn every_algorithm_that_takes_eight_bytes_serves_a_whole_session() {
    for algorithm in ["x9.9", "iso9797-1-alg1-pad1", "iso9797-1-alg1-pad2"] {
        for form in ["hex-8", "bytes-8"] {
            let required = "protect = \"none\"\n[mac.function]\nreport = \"required\"\n";
            let text = UNIONPAY
                .replace("\"unionpay-ecb\"", &format!("{algorithm:?}"))
                .replace("\"hex-8\"", &format!("{form:?}"))
                .replace("protect = \"optional\"\n", required);
            let mut pair = Pair::new(&Arc::new(Profile::from_toml(&text).unwrap()));
            let reply = pair.approval();
            assert_eq!(pair.mac_field(&reply), Some(64));
            pair.terminal.receive(&reply, NOW).unwrap();
            assert!(matches!(pair.terminal.poll_event(), Some(TerminalEvent::ReportTaken)));
        }
    }
}

#[test]
fn a_bitmap_that_always_has_both_halves_has_its_mac_in_de128() {
    let text = ISO87.replace("field = 64\n", "field = 128\n").replace("\"optional\"", "\"required\"");
    let mut pair = Pair::new(&Arc::new(Profile::from_toml(&text).unwrap()));
    pair.terminal.poll_task(NOW).unwrap();
    let frame = pair.terminal.poll_transmit().unwrap();
    assert_eq!(pair.mac_field(&frame), Some(128));
    pair.host.receive(&frame, NOW).unwrap();
    assert!(matches!(pair.host.poll_event(), Some(HostEvent::TaskPoll { .. })));
}

// DE64 and DE128 are sixteen hexadecimal characters there, and the MAC covers the characters.
#[test]
fn a_dialect_that_writes_bytes_in_hexadecimal_carries_macs_too() {
    let text = ISO87.replace("iso87-binary", "iso87-ascii").replace("\"optional\"", "\"required\"");
    let mut pair = Pair::new(&Arc::new(Profile::from_toml(&text).unwrap()));
    pair.terminal.poll_task(NOW).unwrap();
    let request = pair.terminal.poll_transmit().unwrap();
    let (covered, mac) = pair.frame(&request).body.split_last_chunk::<16>().unwrap();
    let by_hand = pair.key.sign(pair.profile.mac().unwrap().form(), covered).unwrap();
    assert_eq!(hex::encode_upper(by_hand).as_bytes(), mac);
    pair.host.receive(&request, NOW).unwrap();
    let Some(HostEvent::TaskPoll { exchange }) = pair.host.poll_event() else { panic!() };
    assert!(exchange.is_authentic());
    assert!(matches!(pair.reply(exchange, Answer::Task(None)), TerminalEvent::Task(None)));
}

// :2003 has four bytes for a MAC.
#[test]
fn the_form_must_fit_the_dialects_field() {
    let iso03 = ISO87.replace("iso87-binary", "iso03-binary");
    let error = Profile::from_toml(&iso03).unwrap_err().to_string();
    assert!(error.contains("DE64 of dialect iso03-binary is not the b8 that bytes-8 needs"), "{error}");
    Profile::from_toml(&iso03.replace("bytes-8", "bytes-4")).unwrap();
}

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

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

// A static key is that of every connection and of every terminal of a listener: DE7 tells a reply from
// one that was recorded earlier, and DE41 from one for another terminal.
#[test]
fn a_static_key_is_refused_where_replies_do_not_say_when_or_to_whom() {
    let only_report = "protect = \"none\"\n[mac.function]\nreport = \"required\"";
    let text = UNIONPAY.replace("protect = \"optional\"", only_report);
    Profile::from_toml(&text).unwrap();
    let error = refused(&text, "key = \"working\"", "key = \"static\"");
    let says = "mac: report is required to have a MAC with a static key, so its request and reply must both list DE7: without it a reply recorded";
    assert!(error.starts_with(says), "{error}");

    let required = ISO87.replace("protect = \"optional\"", "protect = \"required\"");
    Profile::from_toml(&required).unwrap();
    for (field, from, to) in [
        (7, "reply = { m = [7, 11, 39, 41, 91, 101]", "reply = { m = [11, 39, 41, 91, 101]"),
        (7, "request = { m = [3, 7, 11, 41, 125]", "request = { m = [3, 11, 41, 125]"),
        (41, "reply = { m = [3, 7, 11, 39, 41]", "reply = { m = [3, 7, 11, 39]"),
    ] {
        let error = refused(&required, from, to);
        assert!(error.contains(&format!("must both list DE{field}:")), "{error}");
        Profile::from_toml(&ISO87.replace(from, to)).expect("nothing is required there");
    }
}

#[test]
fn a_response_code_that_de39_cannot_carry_is_refused() {
    for (text, from, to, says) in [
        (ISO87, "refused = \"63\"", "refused = \"630\"", "mac: refused = \"630\""),
        (ISO87, "system_error = \"96\"", "system_error = \"9\"", "response: system_error = \"9\""),
        (UNIONPAY, "approved = \"00\"", "approved = \"0000\"", "response: approved = \"0000\""),
        (UNIONPAY, "refused = \"A0\"", "refused = \"中\"", "mac: refused = \"中\""),
    ] {
        let error = refused(text, from, to);
        assert!(error.starts_with(says), "{error}");
        assert!(error.contains("does not fit DE39 (an2) of dialect"), "{error}");
    }
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
    let text = ISO93
        .replace("iso93-binary", "iso93-ascii")
        .replace("body_field = 127", "body_field = 96")
        .replace("data_fields = [123, 124, 125, 126]", "data_fields = [53]")
        .replace("block_bytes = 3584", "block_bytes = 24")
        .replace("\"optional\"", "\"required\"");
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
    let iso03 = ISO93
        .replace("iso93-binary", "iso03-binary")
        .replace("body_field = 127", "body_field = 72")
        .replace("data_fields = [123, 124, 125, 126]", "data_fields = [96]")
        .replace("block_bytes = 3584", "block_bytes = 512");
    let error = Profile::from_toml(&iso03).unwrap_err().to_string();
    assert!(error.contains("DE64 of dialect iso03-binary is not the b8 that bytes-8 needs"), "{error}");
    // And DE39 has four digits there.
    let iso03 = iso03.replace("bytes-8", "bytes-4");
    let error = Profile::from_toml(&iso03).unwrap_err().to_string();
    assert!(error.contains("approved = \"800\" does not fit DE39 (n4) of dialect iso03-binary"), "{error}");
    let mut text = String::new();
    let mut codes = false;
    for line in iso03.lines() {
        codes = if line.starts_with('[') { line.starts_with("[response") } else { codes };
        let (line, comment) = line.split_once('#').unwrap_or((line, ""));
        let is_code = codes && line.contains(" = ") || line.starts_with("refused");
        for (index, part) in line.split('"').enumerate() {
            let quote = if index == 0 { "" } else { "\"" };
            let zero = if is_code && index % 2 == 1 { "0" } else { "" };
            text += &format!("{quote}{zero}{part}");
        }
        text += &format!("#{comment}\n");
    }
    Profile::from_toml(&text).unwrap();
}

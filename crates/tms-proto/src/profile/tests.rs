use std::collections::BTreeSet;

use iso8583::{Builder, Mti};

use super::*;

fn builtin(name: &str) -> Profile {
    Profile::from_toml(Profile::builtin_toml(name).unwrap()).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// What a built-in profile with one change is refused for.
fn refused(name: &str, from: &str, to: &str) -> String {
    let text = Profile::builtin_toml(name).unwrap();
    assert!(text.contains(from), "{name} has no {from}");
    Profile::from_toml(&text.replacen(from, to, 1)).expect_err(to).to_string()
}

fn extended(text: &str) -> Result<Profile, String> {
    Profile::from_toml(text).map_err(|error| error.to_string())
}

/// A request of a function with one of its codes, as bytes.
fn request(profile: &Profile, rule: &Rule, code: &str) -> Vec<u8> {
    let mut builder = Builder::new(profile.dialect(), rule.mti);
    match profile.selector_template() {
        Some((field, template)) => {
            builder.set(field, &template.replace("{batch}", "000123").replace("{code}", code)).unwrap();
        }
        None => {
            builder.set(rule.select.parse().unwrap(), code).unwrap();
        }
    }
    if let Some(file) = rule.files.last() {
        builder.set(101, file).unwrap();
    }
    builder.build().unwrap()
}

#[test]
fn the_age_of_keys_is_a_number_of_seconds_that_makes_sense() {
    let of = |age: &str| extended(&format!("extends = \"unionpay\"\n[keys]\nrenew_after_s = {age}\n"));
    assert_eq!(of("86400").unwrap().keys(), Some(KeyRule { renew_after_s: 86_400 }));
    assert_eq!(builtin("unionpay").keys(), None);
    for wrong in ["0", "59", "31536001"] {
        let error = of(wrong).unwrap_err();
        assert!(error.contains("renew_after_s must be 60 to 31536000"), "{error}");
    }
}

#[test]
fn every_built_in_profile_loads() {
    for name in Profile::builtin_names() {
        assert_eq!(builtin(name).name(), *name);
    }
    assert!(Profile::builtin("iso00").is_none());
}

#[test]
fn names_of_functions_are_those_of_the_files() {
    let all: BTreeSet<_> = Function::ALL.iter().map(|function| function.name()).collect();
    assert_eq!(all.len(), Function::ALL.len());
    for (index, function) in Function::ALL.iter().enumerate() {
        assert_eq!(*function as usize, index, "{function} is out of order in ALL");
        let text = toml::Value::try_from(function).unwrap();
        assert_eq!(text.as_str(), Some(function.name()));
        assert_eq!(text.try_into::<Function>().unwrap(), *function);
    }
}

#[test]
fn every_code_of_every_function_is_told_apart_from_all_others() {
    for name in Profile::builtin_names() {
        let profile = builtin(name);
        for rule in profile.rules() {
            for (index, code) in rule.codes.iter().enumerate() {
                let bytes = request(&profile, rule, code);
                let message = Message::parse(profile.dialect(), &bytes).unwrap();
                let found = profile.identify(&message).unwrap_or_else(|| panic!("{name}: {code}"));
                assert_eq!(
                    (found.rule.function, found.code, found.code()),
                    (rule.function, index, code.as_str())
                );
                assert_eq!(profile.missing_selector(&message), None);
                for other in profile.rules() {
                    for place in 0..other.codes.len() {
                        let has = profile.has_code(other.function, place, &message);
                        let same = other.select == rule.select && other.codes[place] == *code;
                        assert_eq!(has.unwrap_or(false), same, "{name}: {} {place}", other.function);
                    }
                }
            }
        }
    }
}

#[test]
fn a_repeat_is_the_function_that_it_repeats() {
    let profile = builtin("iso93");
    let mut builder = Builder::new(profile.dialect(), Mti::new(1805).unwrap());
    let bytes = builder.set(24, "831").unwrap().build().unwrap();
    let message = Message::parse(profile.dialect(), &bytes).unwrap();
    assert_eq!(profile.classify(&message).unwrap().function, Function::Echo);
}

#[test]
fn the_code_counts_wherever_the_rest_of_its_field_says() {
    let profile = builtin("unionpay");
    // Seventeen digits, as messages about cards have them, and another type of message in 60.1.
    for digits in ["22000123201600000", "00999999201"] {
        let mut builder = Builder::new(profile.dialect(), Mti::new(320).unwrap());
        let bytes = builder.set(60, digits).unwrap().build().unwrap();
        let message = Message::parse(profile.dialect(), &bytes).unwrap();
        assert_eq!(profile.classify(&message).unwrap().function, Function::BatchUpload, "{digits}");
    }
    for digits in ["0099999920", "00"] {
        let mut builder = Builder::new(profile.dialect(), Mti::new(320).unwrap());
        let bytes = builder.set(60, digits).unwrap().build().unwrap();
        let Ok(message) = Message::parse(profile.dialect(), &bytes) else { continue };
        assert!(profile.classify(&message).is_none(), "{digits}");
    }
}

#[test]
fn what_is_missing_to_tell_a_function_is_named() {
    let profile = builtin("iso87");
    let missing = |fields: &[(u8, &str)], mti| {
        let mut builder = Builder::new(profile.dialect(), Mti::new(mti).unwrap());
        for (n, value) in fields {
            builder.set(*n, value).unwrap();
        }
        let bytes = builder.build().unwrap();
        let message = Message::parse(profile.dialect(), &bytes).unwrap();
        assert!(profile.classify(&message).is_none());
        profile.missing_selector(&message)
    };
    assert_eq!(missing(&[(11, "000001")], 800), Some(70));
    assert_eq!(missing(&[(70, "999")], 800), None);
    assert_eq!(missing(&[(91, "5")], 300), Some(101));
    assert_eq!(missing(&[(91, "5"), (101, "OTHER")], 300), None);
    assert_eq!(missing(&[(70, "301")], 200), None);
}

#[test]
fn response_codes_map_both_ways_in_every_profile() {
    for name in Profile::builtin_names() {
        let profile = builtin(name);
        let functions = profile.rules().map(|rule| rule.function);
        for function in functions.collect::<Vec<_>>() {
            assert_eq!(
                profile.outcome(function, Some(profile.approval(function))),
                None,
                "{name} {function}"
            );
            for refusal in Refusal::ALL {
                let code = profile.code_of(function, *refusal);
                assert!(!code.is_empty(), "{name} has no code for {refusal}");
                let read = profile.outcome(function, Some(code)).unwrap();
                // Two meanings may share a code; what to do about it is then the same.
                let expected = if *refusal == Refusal::Other { Refusal::SystemError } else { *refusal };
                assert_eq!(read.remedy(), expected.remedy(), "{name} {function} {refusal}");
                assert_eq!(profile.code_of(function, read), code, "{name} {function} {refusal}");
            }
        }
        for (_, codes) in profile.response_codes() {
            assert_eq!(codes.count(), Refusal::ALL.len(), "approval instead of other");
        }
    }
}

#[test]
fn unionpay_codes_say_what_the_facts_say() {
    let profile = builtin("unionpay");
    for (code, refusal) in [
        ("97", Refusal::InvalidTerminal),
        ("03", Refusal::InvalidMerchant),
        ("A0", Refusal::MacWrong),
        ("99", Refusal::SignOnAgain),
        ("90", Refusal::Busy),
        ("91", Refusal::Busy),
        ("98", Refusal::Busy),
        ("68", Refusal::Busy),
        ("96", Refusal::SystemError),
        ("94", Refusal::Duplicate),
        ("30", Refusal::FormatError),
        ("12", Refusal::NotSupported),
        ("40", Refusal::NotSupported),
        ("ZZ", Refusal::Other),
    ] {
        assert_eq!(profile.refusal(code), Some(refusal), "{code}");
    }
    assert_eq!(profile.refusal("00"), None);
    assert_eq!(profile.code(Refusal::NotSupported), "12");
    assert_eq!(profile.code(Refusal::MacWrong), "A0");
}

#[test]
fn what_is_unknown_or_malformed_has_the_standards_code() {
    for (name, unknown, malformed) in
        [("unionpay", "12", "30"), ("iso87", "30", "30"), ("iso93", "904", "904")]
    {
        let profile = builtin(name);
        assert_eq!(profile.code(Refusal::NotSupported), unknown, "{name}");
        assert_eq!(profile.code(Refusal::FormatError), malformed, "{name}");
    }
}

#[test]
fn each_class_of_message_has_its_own_approval_where_the_standard_has_one() {
    let profile = builtin("iso93");
    for (function, approval) in [
        (Function::Echo, "800"),
        (Function::Report, "800"),
        (Function::FileRead, "300"),
        (Function::ParameterPush, "300"),
        (Function::Settlement, "500"),
        (Function::TaskResult, "600"),
    ] {
        assert_eq!(profile.approval(function), approval, "{function}");
    }
    assert_eq!(profile.outcome(Function::FileRead, Some("302")), Some(Refusal::NotFound));
    assert_eq!(profile.outcome(Function::Settlement, Some("501")), None);
    // The approval of another class approves nothing.
    assert_eq!(profile.outcome(Function::FileRead, Some("800")), Some(Refusal::Other));
}

#[test]
fn a_reply_that_never_has_a_response_code_approves_without_one() {
    let profile = builtin("unionpay");
    assert_eq!(profile.outcome(Function::Settlement, None), None);
    assert_eq!(profile.outcome(Function::Echo, None), Some(Refusal::FormatError));
    // A host that answers a settlement with a code all the same is understood.
    assert_eq!(profile.outcome(Function::Settlement, Some("96")), Some(Refusal::SystemError));
}

#[test]
fn every_digit_that_announces_work_is_read_as_what_it_was_written_for() {
    let profile = builtin("unionpay");
    for work in PendingWork::ALL {
        let digit = profile.pending_digit(*work).unwrap();
        assert_eq!(profile.pending_work(digit), Some(*work));
    }
    assert_eq!(profile.pending_work(0), None);
    assert_eq!(profile.pending_work(10), None);
}

#[test]
fn an_unknown_key_is_refused_with_its_line() {
    let error = refused("iso87", "push = true", "push = true\npusch = true");
    assert!(error.contains("pusch") && error.contains("line"), "{error}");
}

#[test]
fn a_table_that_contradicts_itself_is_refused_with_its_place() {
    for (name, from, to, says) in [
        (
            "unionpay",
            "codes = [\"971\"]",
            "codes = [\"360\"]",
            "function task_poll: has the same MTI and code as parameters",
        ),
        ("iso87", "files = [\"BLOCK\"]\n", "", "same MTI and code"),
        ("iso87", "\"NEW.PARAMETERS\"", "\"BLOCK\"", "same MTI and code"),
        ("iso87", "\"NEW.PARAMETERS\"", "\"A.NAME.OF.EIGHTEEN\"", "does not fit DE101"),
        (
            "iso87",
            "codes = [\"301\"]",
            "codes = [\"3010\"]",
            "function echo: code \"3010\" does not fit DE70 (n3)",
        ),
        ("iso87", "codes = [\"301\"]", "codes = []", "function echo: needs at least one code"),
        (
            "iso93",
            "codes = [\"831\"]",
            "codes = [\"echo\"]",
            "function echo: code \"echo\" does not fit DE24 (n3)",
        ),
        (
            "iso87",
            "codes = [\"900001\"]",
            "codes = [\"90001\"]",
            "function command: code \"90001\" does not fit DE3",
        ),
        (
            "unionpay",
            "codes = [\"301\"]",
            "codes = [\"3011\"]",
            "function echo: code \"3011\" does not fit DE60.3",
        ),
        ("unionpay", "codes = [\"301\"]", "codes = [\"3A1\"]", "function echo: code"),
        (
            "unionpay",
            "select = \"60.3\"",
            "select = \"61.3\"",
            "function sign_on: select = \"61.3\" is a part of DE61",
        ),
        (
            "unionpay",
            "select = \"60.3\"",
            "select = \"code\"",
            "function sign_on: select = \"code\" is no field",
        ),
        ("unionpay", "{batch}{code}", "{batch}", "selector_template: template needs {code}"),
        ("unionpay", "00{batch}{code}", "{type}{batch}{code}", "selector_template: template needs {code}"),
        ("unionpay", "field = 60", "field = 129", "DE129 is not in dialect unionpay"),
        ("unionpay", "also = [\"0800\"]", "also = [\"0810\"]", "is not a request"),
        (
            "unionpay",
            "codes = [\"002\"]",
            "codes = [\"003\"]",
            "function sign_off: has the same MTI and code as sign_on",
        ),
        ("iso87", "mti = \"0820\"", "mti = \"0830\"", "is not a request"),
        ("iso87", "mti = \"0820\"", "mti = \"0821\"", "is not a request"),
        ("iso87", "mti = \"0820\"", "mti = \"820\"", "four decimal digits"),
        ("unionpay", "m = [11, 41, 42, 60]", "m = [11, 41, 42, 60, 129]", "DE129 is not in dialect unionpay"),
        ("unionpay", "m = [11, 41, 42, 60]", "m = [11, 41, 42, 60, 62]", "request lists DE62 twice"),
        ("unionpay", "m = [11, 41, 42, 60]", "m = [11, 39, 41, 42, 60]", "a request has no DE39"),
        ("unionpay", "body_field = 62", "body_field = 63", "body_field: DE63 (ans...163)"),
        ("unionpay", "body_field = 62", "body_field = 120", "data_fields: DE120 is there twice"),
        ("unionpay", "[120, 121, 122, 123, 124]", "[120, 121, 122, 123, 44]", "data_fields: DE44"),
        ("iso87", "block_bytes = 4096", "block_bytes = 100000", "block_bytes: must be 1 to 4995"),
        ("iso87", "block_bytes = 4096", "block_bytes = 0", "block_bytes: must be 1 to 4995"),
        (
            "iso87",
            "utc_offset_minutes = 480",
            "utc_offset_minutes = 4800",
            "utc_offset_minutes: must be within",
        ),
        ("unionpay", "capk = 4", "capk = 1", "pending.work: 1 cannot mean both parameters and CAPK"),
        ("unionpay", "capk = 4", "capk = 16", "pending.work: CAPK = 16 must be 1 to 15"),
        ("unionpay", "capk = 4", "capk = 0", "pending.work: CAPK = 0 must be 1 to 15"),
        ("iso87", "field = 63", "field = 70", "pending: DE70 of dialect iso87-binary cannot hold two digits"),
        ("iso87", "place = \"field\"\nfield = 63", "place = \"field\"", "needs a field"),
        (
            "iso87",
            "busy = [\"90\", ",
            "busy = [\"00\", ",
            "response: \"00\" cannot mean both approved and busy",
        ),
        ("iso93", "responses = \"file\"", "responses = \"flie\"", "there is no [responses.flie]"),
        (
            "iso93",
            "out_of_range = \"304\"",
            "out_of_range = \"3040\"",
            "responses.file: out_of_range = \"3040\" does not fit DE39 (n3)",
        ),
        (
            "iso93",
            "duplicate = \"308\"",
            "duplicate = \"305\"",
            "responses.file: \"305\" cannot mean both duplicate and busy",
        ),
        ("unionpay", "tag = \"02\"", "tag = \"01\"", "tag 01: stands twice in one message"),
        ("unionpay", "tag = \"02\"", "tag = \"2\"", "tag 2: must be two digits"),
        ("unionpay", "length = 40", "length = 0", "tag 22: length must be"),
        (
            "unionpay",
            "dialect = \"unionpay\"",
            "dialect = \"unionpai\"",
            "'unionpai' is unknown; known are unionpay",
        ),
    ] {
        let error = refused(name, from, to);
        assert!(error.contains(says), "{from} → {to}: {error}");
    }
}

#[test]
fn a_file_that_extends_a_profile_says_only_what_differs() {
    let profile = extended(
        "extends = \"unionpay\"\nname = \"acquirer\"\nwithout = [\"tmk_key\", \"tmk_request\", \"tmk_activate\"]\n\
         [function.task_poll]\ncodes = [\"960\"]\n\
         [function.echo.request]\nm = [11, 41, 42, 60]\n\
         [response]\nbusy = [\"E1\", \"90\"]\n\
         [pending.work]\ntask = 13\n",
    )
    .unwrap();
    let base = builtin("unionpay");
    assert_eq!(profile.name(), "acquirer");
    assert_eq!(profile.rule(Function::TaskPoll).unwrap().codes, ["960"]);
    assert_eq!(profile.rule(Function::Echo).unwrap().request.mandatory, [11, 41, 42, 60]);
    assert_eq!(profile.rule(Function::TmkKey).map(|rule| rule.mti), None);
    assert_eq!(profile.code(Refusal::Busy), "E1");
    assert_eq!(profile.refusal("90"), Some(Refusal::Busy));
    assert_eq!(profile.refusal("91"), Some(Refusal::Other), "a list is replaced as a whole");
    assert_eq!(profile.pending_digit(PendingWork::Task), Some(13));
    assert_eq!(profile.pending_digit(PendingWork::Capk), base.pending_digit(PendingWork::Capk));
    let same = |function| profile.rule(function).unwrap().request == base.rule(function).unwrap().request;
    assert!(same(Function::SignOn) && same(Function::TaskPoll));
    assert_eq!(profile.tags(TagPlace::Status).count(), base.tags(TagPlace::Status).count());
}

#[test]
fn a_fault_of_a_file_that_extends_a_profile_names_its_line_or_table() {
    for (text, says) in [
        (
            "extends = \"unionpai\"",
            "extends: there is no built-in profile \"unionpai\"; known are unionpay, iso87, iso93",
        ),
        ("extends = 5", "known are unionpay"),
        ("extends = \"iso87\"\npush = true\npusch = true", "line 3: unknown field `pusch`"),
        (
            "extends = \"iso87\"\n\n[function.eco]\ncodes = [\"301\"]",
            "line 3: unknown variant `eco`, expected one of `sign_on`",
        ),
        ("extends = \"iso87\"\nwithout = [\"eco\"]", "line 2: unknown variant `eco`"),
        ("extends = \"iso87\"\npush = \"yes\"", "expected a boolean"),
        (
            "extends = \"iso87\"\n[function.echo]\ncodes = [\"3010\"]",
            "function echo: code \"3010\" does not fit DE70",
        ),
        ("extends = \"iso87\"\n[function.echo\n", "line 2"),
        ("extends = \"iso87\"\n[response]\nbussy = \"90\"", "line 3: unknown field `bussy`"),
    ] {
        let error = extended(text).expect_err(text);
        assert!(error.contains(says), "{text:?}: {error}");
    }
}

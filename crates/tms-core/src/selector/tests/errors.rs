use super::*;

#[track_caller]
fn error(text: &str) -> String {
    Selector::parse(text).unwrap_err().to_string()
}

#[test]
fn an_error_says_where_what_was_expected_and_what_was_meant() {
    for (text, said) in [
        ("", "column 1: expected a field, not, all or a parenthesis"),
        ("modle = A920", "column 1: expected a field, found \"modle\"; did you mean \"model\"?"),
        ("tag a adn tag b", "column 7: expected and, or, or the end, found \"adn\"; did you mean \"and\"?"),
        ("(tag a", "column 7: expected and, or, or a closing parenthesis"),
        ("tag a)", "column 6: expected and, or, or the end, found \")\""),
        (
            "life_cycle = lokced",
            "column 14: expected one of registered, active, locked, suspended, retired, found \"lokced\"; did you \
             mean \"locked\"?",
        ),
        (
            "last_contact older 2h",
            "column 20: expected than and a length of time, as in older than 2h, found \"2h\"",
        ),
        (
            "last_contact older than 2 h",
            "column 25: expected a length of time such as 90s, 15m, 2h, 1d12h or 4w, found \"2\"",
        ),
        (
            "model is A920",
            "column 7: expected one of = != < <= > >= in ~ after the field, found \"is\"; did you mean \"=\"?",
        ),
        ("model in A920", "column 10: expected a list in parentheses, as in (a, b), found \"A920\""),
        ("model in (A920 N910)", "column 16: expected a comma or a closing parenthesis, found \"N910\""),
        ("model in (A*)", "column 11: expected a value; a list has no patterns, found \"A*\""),
        ("model = and", "column 9: expected a value for model, found \"and\"; did you mean \"\\\"and\\\"\"?"),
        ("model = \"A920", "column 9: expected a closing quote for this text, found \"\\\"A920\""),
        (
            "tid != 1000*",
            "column 8: expected a value; a pattern stands after = or ~, found \"1000*\"; did you mean \"not tid ~ \\\"1000*\\\"\"?",
        ),
        ("reported.battery > low", "column 20: expected a whole number, found \"low\""),
        ("reported.tamper > true", "column 17: expected one of = != after the field, found \">\""),
        ("attr.rented > true", "column 15: expected a number or text to compare with, found \"true\""),
        (
            "tag != a",
            "column 5: expected a tag, or one of has in ~ after the field, found \"!=\"; did you mean \"not tag …\"?",
        ),
        (
            "tag 标签",
            "column 5: expected a tag (it has 1 to 40 lower-case letters, digits, '.', '_', ':' or '-', and begins with a letter or digit), found \"标签\"",
        ),
        ("vendor = \"银\" or tga x", "column 17: expected a field, found \"tga\"; did you mean \"tag\"?"),
        (
            "（tag a）",
            "column 1: expected a word, text in quotes or a sign, found \"（\"; did you mean \"(\"?",
        ),
        (
            "model = 'A'",
            "column 9: expected a word, text in quotes or a sign, found \"'\"; did you mean \"\\\"\"?",
        ),
        (
            "enrolled_at before yesterday",
            "column 20: expected a day such as 2026-11-30, or a time such as 2026-11-30T08:00:00+08:00, found \"yesterday\"",
        ),
        (
            "attr.Floor = 3",
            "column 1: expected attr. and a name of at most 40 lower-case letters, digits, _ or -, found \"attr.Floor\"",
        ),
        ("model = \"a\\n\"", "column 12: expected \\\" or \\\\ after a backslash, found \"n\\\"\""),
    ] {
        assert_eq!(error(text), said, "{text}");
    }
}

#[test]
fn the_place_is_given_in_bytes_and_in_characters() {
    let error = Selector::parse("vendor = \"银联\" or tga x").unwrap_err();
    assert_eq!((error.offset, error.column), (21, 18));
}

#[test]
fn there_is_an_end_to_length_depth_and_number() {
    assert!(error(&format!("model = {}", "x".repeat(MAX_BYTES))).contains("at most 4096 bytes"));
    let nested = |n: usize| format!("{}tag a{}", "(".repeat(n), ")".repeat(n));
    assert!(Selector::parse(&nested(MAX_DEPTH)).is_ok());
    assert!(error(&nested(MAX_DEPTH + 1)).contains("at most 32 parentheses"));
    assert!(error(&nested(2_000)).contains("column 33"));
    assert!(Selector::parse(&format!("{}tag a", "not ".repeat(MAX_DEPTH))).is_ok());
    assert!(error(&format!("{}tag a", "not ".repeat(MAX_DEPTH + 1))).contains("at most 32"));
    let list = |n: usize| format!("tid in ({})", vec!["1"; n].join(","));
    assert!(Selector::parse(&list(MAX_TERMS)).is_ok());
    assert!(error(&list(MAX_TERMS + 1)).contains("at most 256 tests and values"));
    // What fits as it is written, and would not in its canonical form, would not read back.
    let tight = vec!["reported.boot_count=1"; 160].join(" or ");
    assert!(
        tight.len() <= MAX_BYTES && Selector::parse(&tight).unwrap_err().to_string().contains("at most 4096")
    );
}

use std::cmp::Ordering;

use proptest::prelude::*;

use super::*;

fn word() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c]{1,3}", "[0-9]{1,4}", Just("and".to_owned()), "[a-c\"\\\\*? 银()=]{0,5}"]
}

fn text_test() -> impl Strategy<Value = Condition> {
    prop_oneof![
        (operator(), word()).prop_map(|(operator, text)| Condition::Compare(operator, Value::Text(text))),
        proptest::collection::vec(word().prop_map(Value::Text), 1..4).prop_map(Condition::In),
        word().prop_map(|pattern| Condition::Like(Glob::new(&pattern))),
    ]
}

fn operator() -> impl Strategy<Value = Operator> {
    use Operator::*;
    proptest::sample::select(vec![Equal, Unequal, Less, AtMost, Greater, AtLeast])
}

fn equality() -> impl Strategy<Value = Operator> {
    proptest::sample::select(vec![Operator::Equal, Operator::Unequal])
}

fn numbers() -> impl Strategy<Value = Condition> {
    prop_oneof![
        (operator(), -9..100_i64).prop_map(|(operator, n)| Condition::Compare(operator, Value::Integer(n))),
        proptest::collection::vec((0..9_i64).prop_map(Value::Integer), 1..4).prop_map(Condition::In),
    ]
}

fn test() -> impl Strategy<Value = Test> {
    let texts = proptest::sample::select(vec![
        Field::Tid,
        Field::Mid,
        Field::Serial,
        Field::Vendor,
        Field::Model,
        Field::HardwareRevision,
        Field::Profile,
        Field::TimeZone,
        Field::DesiredFirmware,
        Field::ReportedFirmware,
        Field::Attribute("floor".parse().unwrap()),
    ]);
    let said = || {
        prop_oneof![
            Just(Field::ReportedParameter("timeout_s".into())),
            Just(Field::ReportedDetail("locked".into()))
        ]
    };
    let counted = prop_oneof![
        Just(Field::BootCount),
        Just(Field::Battery),
        Just(Field::Attribute("floor".parse().unwrap()))
    ];
    let part = proptest::sample::select(vec![
        Part::Paper,
        Part::Printer,
        Part::CardReader,
        Part::PinPad,
        Part::Keyboard,
        Part::Display,
    ]);
    let state = proptest::sample::select(vec!["ok", "fault"]);
    let life = proptest::sample::select(vec!["active", "locked"]);
    let group = proptest::sample::select(vec!["icbc", "icbc-bj", "shop", "boc", "gone"]);
    let text = |text: &str| Value::Text(text.to_owned());
    let make = |field: Field, condition: Condition| Test { field, condition };
    prop_oneof![
        (texts, text_test()).prop_map(move |(field, condition)| make(field, condition)),
        (said(), text_test()).prop_map(move |(field, condition)| make(
            field,
            match condition {
                // Order asks for numbers there.
                Condition::Compare(operator, _) if operator.is_order() =>
                    Condition::Compare(operator, Value::Integer(44)),
                condition => condition,
            }
        )),
        (counted, numbers()).prop_map(move |(field, condition)| make(field, condition)),
        (part, equality(), state)
            .prop_map(move |(part, is, state)| make(Field::Part(part), Condition::Compare(is, text(state)))),
        (equality(), life)
            .prop_map(move |(is, life)| make(Field::LifeCycle, Condition::Compare(is, text(life)))),
        (equality(), any::<bool>())
            .prop_map(move |(is, flag)| make(Field::Tamper, Condition::Compare(is, Value::Flag(flag)))),
        (equality(), any::<bool>()).prop_map(move |(is, flag)| {
            make(Field::Attribute("rented".parse().unwrap()), Condition::Compare(is, Value::Flag(flag)))
        }),
        (equality(), group.clone(), any::<bool>()).prop_map(move |(is, group, under)| make(
            Field::Group,
            match under {
                true => Condition::Under(group.parse().unwrap()),
                false => Condition::Compare(is, text(group)),
            }
        )),
        "[a-c][a-z:._-]{0,3}"
            .prop_map(move |tag| make(Field::Tag, Condition::Compare(Operator::Equal, Value::Text(tag)))),
        proptest::collection::vec("[a-c]{1,3}".prop_map(Value::Text), 1..4)
            .prop_map(move |tags| make(Field::Tag, Condition::In(tags))),
        (0..4_000_000_u64, 0..3_u8).prop_map(move |(seconds, how)| make(
            Field::LastContact,
            match how {
                0 => Condition::Older(seconds),
                1 => Condition::Newer(seconds),
                _ => Condition::Never,
            }
        )),
        (0..2_000_000_000_000_i64, any::<bool>()).prop_map(move |(ms, before)| {
            let at = Timestamp::from_millisecond(ms).unwrap();
            make(Field::EnrolledAt, if before { Condition::Before(at) } else { Condition::After(at) })
        }),
    ]
}

/// In the form that the parser makes: no list within one of its own kind.
fn flat(parts: Vec<Expr>, or: bool) -> Expr {
    let mut flat = Vec::new();
    for part in parts {
        match part {
            Expr::Or(inner) if or => flat.extend(inner),
            Expr::And(inner) if !or => flat.extend(inner),
            part => flat.push(part),
        }
    }
    match flat.len() {
        1 => flat.pop().unwrap(),
        _ if or => Expr::Or(flat),
        _ => Expr::And(flat),
    }
}

fn expr() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![9 => test().prop_map(Expr::Test), 1 => Just(Expr::All)];
    leaf.prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| Expr::Not(Box::new(inner))),
            (proptest::collection::vec(inner, 1..4), any::<bool>()).prop_map(|(parts, or)| flat(parts, or)),
        ]
    })
}

fn selector() -> impl Strategy<Value = Selector> {
    expr().prop_map(|expr| Selector { expr }).prop_filter("too long", |s| s.to_string().len() <= MAX_BYTES)
}

proptest! {
    #[test]
    fn what_is_printed_reads_back_as_the_same(selector in selector()) {
        prop_assert_eq!(Selector::parse(&selector.to_string()), Ok(selector));
    }

    #[test]
    fn whatever_is_read_prints_in_a_form_that_reads_back(text in "([a-c_.]{1,8}|and|or|not|in|tag|tid|attr.a|=|~|<|\\(|\\)|,|\"|\\*|[0-9hd]|group under|all| ){0,14}") {
        if let Ok(selector) = Selector::parse(&text) {
            prop_assert_eq!(Selector::parse(&selector.to_string()), Ok(selector));
        }
    }

    #[test]
    fn no_text_is_too_strange_and_every_error_is_within_it(text in "\\PC{0,40}") {
        if let Err(error) = Selector::parse(&text) {
            prop_assert!(error.offset <= text.len() && text.is_char_boundary(error.offset));
            prop_assert!(error.column <= text.chars().count() + 1);
        }
    }

    #[test]
    fn not_and_and_or_are_those_of_logic(left in selector(), right in selector(), quiet in any::<bool>()) {
        let terminal = if quiet { silent() } else { talkative() };
        let holds = |text: String| Selector::parse(&text).unwrap().matches(&terminal, &groups(), now());
        let (l, r) = (left.matches(&terminal, &groups(), now()), right.matches(&terminal, &groups(), now()));
        prop_assume!(left.to_string().len() + right.to_string().len() < MAX_BYTES - 20);
        prop_assert_eq!(holds(format!("not ({left})")), !l);
        prop_assert_eq!(holds(format!("({left}) and ({right})")), l && r);
        prop_assert_eq!(holds(format!("({left}) or ({right})")), l || r);
    }

    #[test]
    fn a_pattern_matches_what_a_slow_reading_of_it_says(pattern in "[ab?*]{0,7}", text in "[ab银]{0,7}") {
        fn slow(pattern: &[char], text: &[char]) -> bool {
            match (pattern.split_first(), text.split_first()) {
                (None, None) => true,
                (Some(('*', after)), _) => (0..=text.len()).any(|skipped| slow(after, &text[skipped..])),
                (Some(('?', after)), Some((_, rest))) => slow(after, rest),
                (Some((wanted, after)), Some((found, rest))) => wanted == found && slow(after, rest),
                _ => false,
            }
        }
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        prop_assert_eq!(Glob::new(&pattern).matches(&text), slow(&chars(&pattern), &chars(&text)));
    }

    #[test]
    fn versions_are_totally_ordered_and_their_keys_decide(left in "[0-9a.-]{0,6}", right in "[0-9a.-]{0,6}") {
        let terminal = |version: &str| {
            let mut terminal = talkative();
            terminal.reported.firmware_version = Some(version.to_owned());
            terminal
        };
        let order = version::key(&left).cmp(&version::key(&right));
        let holds = |operator: &str| matches(&format!("reported.firmware {operator} \"{right}\""), &terminal(&left));
        prop_assert_eq!(holds("<"), order == Ordering::Less);
        prop_assert_eq!(holds("="), order == Ordering::Equal);
        prop_assert_eq!(holds(">="), order != Ordering::Less);
    }
}

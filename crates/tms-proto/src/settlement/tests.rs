use super::*;
use crate::profile::Refusal;

fn card(trace: u32, amount: u64) -> CardDetail {
    let pan = Pan::new("6225880123456789").unwrap();
    CardDetail { class: CardClass::Domestic, trace, pan, amount }
}

fn chip(trace: u32, ending: ChipEnding) -> ChipDetail {
    ChipDetail {
        class: CardClass::Domestic,
        trace,
        pan: Pan::new("4761739001010010").unwrap(),
        amount: 990,
        currency: "156".into(),
        entry_mode: 51,
        sequence: Some(1),
        chip_data: vec![0x9F, 0x26, 0x01, 0x55],
        ending,
    }
}

fn failed() -> ChipEnding {
    ChipEnding::Failed { response: "05".into(), cryptogram: 0, arpc_result: 1 }
}

fn traded(cards: u32) -> Settle {
    let mut settle = Settle::new(7, 156);
    for trace in 1..=cards {
        let side = if trace == 3 { Side::Credit } else { Side::Debit };
        assert!(settle.record(Detail::Card(card(trace, 100)), side).unwrap().must_save);
    }
    settle
}

/// Answers everything, and gives what was said.
fn settle(terminal: &mut Settle, balance: Balance) -> Vec<Message> {
    let (batch, mut said) = (terminal.batch(), Vec::new());
    let _ = terminal.close(0).unwrap();
    while let Some(message) = terminal.next_message() {
        let progress = match &message {
            Message::Totals(totals) => {
                terminal.on_totals(batch, &totals.answered(balance, Balance::Balanced)).unwrap()
            }
            Message::Batch(message) => terminal.on_taken(batch, message),
        };
        assert!(progress.must_save);
        said.push(message);
    }
    assert_eq!(terminal.settled(), Some(batch));
    said
}

#[test]
fn recorded_totals_read_and_write_the_same() {
    for digits in [
        "00000000000700700000000000000000000000000000000000000000000000",
        "00000000001101100000000000200210000000000000000000000000000001",
        "0000000000110110000000000020021",
    ] {
        assert_eq!(Totals::decode(digits, 156).unwrap().encode().unwrap(), digits);
    }
    let reply = "00000000001101100000000000200210000000000000000000000000000001";
    let totals = Totals::decode(reply, 156).unwrap();
    assert_eq!(totals.domestic.debit, Sum { amount: 11, count: 11 });
    assert_eq!(totals.domestic.credit, Sum { amount: 2, count: 2 });
    assert!(totals.is_balanced());
}

#[test]
fn totals_of_another_length_or_with_letters_are_refused() {
    for digits in ["", "0", &"0".repeat(30), &"0".repeat(61), &"0".repeat(63), &"x".repeat(62)] {
        assert!(Totals::decode(digits, 156).is_err(), "{digits}");
    }
}

#[test]
fn sums_that_do_not_fit_their_digits_are_refused() {
    assert_eq!(Sum { amount: MAX_AMOUNT, count: 1 }.with(1), None);
    assert_eq!(Sum { amount: 1, count: MAX_COUNT }.with(1), None);
    let mut totals = Totals::new(156);
    totals.domestic.debit.amount = MAX_AMOUNT + 1;
    assert!(totals.encode().is_err());
}

#[test]
fn a_balanced_batch_without_chips_sends_its_end_only() {
    let mut terminal = traded(10);
    let said = settle(&mut terminal, Balance::Balanced);
    assert_eq!(said[1..], [Message::Batch(BatchMessage::End { count: 0, balanced: true })]);
    assert_eq!((terminal.batch(), terminal.len(), terminal.state()), (8, 0, State::Open));
}

#[test]
fn an_unbalanced_batch_sends_sales_then_refunds_then_chips_then_what_failed() {
    let mut terminal = traded(10);
    for (trace, ending) in [(11, failed()), (12, ChipEnding::Approved)] {
        let _ = terminal.record(Detail::Chip(chip(trace, ending)), Side::Debit).unwrap();
    }
    let said = settle(&mut terminal, Balance::Unbalanced);
    let traces: Vec<Vec<u32>> = said[1..]
        .iter()
        .map(|message| match message {
            Message::Batch(BatchMessage::Cards(cards)) => cards.iter().map(|card| card.trace).collect(),
            Message::Batch(BatchMessage::Chip { detail, balanced: false }) => vec![detail.trace],
            Message::Batch(BatchMessage::End { count: 12, balanced: false }) => vec![],
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(traces, [vec![1, 2, 4, 5, 6, 7, 8, 9], vec![10], vec![3], vec![12], vec![11], vec![]]);
}

#[test]
fn a_word_that_is_not_balanced_asks_for_the_details() {
    for balance in [Balance::Unsaid, Balance::Unbalanced, Balance::Error, Balance::Other(7)] {
        let said = settle(&mut traded(1), balance);
        assert_eq!(said.len(), 3, "{balance:?}");
    }
}

#[test]
fn what_is_older_comes_before_the_totals() {
    let error = traded(1).close(2).unwrap_err();
    assert_eq!(
        error.to_string(),
        "2 reversals, notices or advices have to be sent before the batch is closed"
    );
}

#[test]
fn a_batch_that_is_closing_takes_no_transaction_and_says_so() {
    let mut terminal = traded(1);
    let _ = terminal.close(0).unwrap();
    let error = terminal.record(Detail::Card(card(9, 1)), Side::Debit).unwrap_err();
    assert_eq!(error.to_string(), "a batch that is closing cannot take a transaction");
}

#[test]
fn totals_that_were_not_sent_answer_nothing() {
    let mut terminal = traded(2);
    let _ = terminal.close(0).unwrap();
    let other = traded(1).totals().answered(Balance::Balanced, Balance::Balanced);
    assert_eq!(terminal.on_totals(7, &other), Err(SettleError::OtherTotals));
    assert_eq!(terminal.state(), State::Closing);
}

/// A batch whose details are to be sent.
fn uploading(cards: u32) -> Settle {
    let mut terminal = traded(cards);
    let _ = terminal.close(0).unwrap();
    let answer = terminal.totals().answered(Balance::Unbalanced, Balance::Balanced);
    let _ = terminal.on_totals(7, &answer).unwrap();
    terminal
}

#[test]
fn a_refused_settlement_opens_the_batch_again_and_a_refused_detail_is_remembered() {
    let mut terminal = traded(1);
    let _ = terminal.close(0).unwrap();
    assert_eq!(terminal.on_refused(Refusal::Busy), Progress::default());
    assert!(terminal.on_refused(Refusal::NotPermitted).must_save);
    assert_eq!(terminal.state(), State::Open);

    let mut terminal = uploading(1);
    assert!(terminal.on_refused(Refusal::OutOfRange).must_save);
    assert_eq!(terminal.refused(), [1]);
}

#[test]
fn what_may_have_been_spoiled_on_its_way_is_said_again_a_few_times_before_it_counts_as_refused() {
    for refusal in [Refusal::FormatError, Refusal::NotSupported, Refusal::InvalidTerminal] {
        let mut terminal = uploading(30);
        while let Some(Message::Batch(message)) = terminal.next_message() {
            for _ in 0..3 {
                let _ = terminal.on_refused(refusal);
                assert_eq!(terminal.next_message(), Some(Message::Batch(message.clone())), "{refusal:?}");
                // A crash does not let the count begin again.
                let kept = serde_json::to_string(&terminal).unwrap();
                terminal = serde_json::from_str(&kept).unwrap();
            }
            let _ = terminal.on_taken(7, &message);
            assert!(terminal.refused().is_empty());
        }
        assert_eq!(terminal.settled(), Some(7));

        let mut terminal = uploading(30);
        let said = terminal.next_message();
        let refusals = (1..50).find(|_| {
            let _ = terminal.on_refused(refusal);
            terminal.next_message() != said
        });
        assert!(refusals.is_some_and(|refusals| refusals > 3), "not for ever: {refusals:?}");
        assert_eq!(terminal.refused().len(), MAX_CARDS);
    }
}

#[test]
fn a_refused_end_does_not_settle_the_batch() {
    for refusal in [Refusal::NotPermitted, Refusal::FormatError, Refusal::SystemError] {
        let mut terminal = uploading(0);
        for _ in 0..20 {
            assert_eq!(terminal.on_refused(refusal).settled, None, "{refusal:?}");
            assert!(matches!(terminal.next_message(), Some(Message::Batch(BatchMessage::End { .. }))));
        }
        assert_eq!(terminal.settled(), None);
    }
}

#[test]
fn the_batch_after_999999_is_1() {
    let mut terminal = Settle::new(999_999, 156);
    settle(&mut terminal, Balance::Balanced);
    assert_eq!(terminal.batch(), 1);
}

#[test]
fn a_ledger_that_has_everything_finds_that_it_adds_up() {
    let mut ledger = BatchLedger::default();
    let mut terminal = traded(10);
    let _ = terminal.close(0).unwrap();
    let answer = ledger.on_totals(7, terminal.totals(), None);
    assert!(!answer.is_balanced(), "a host without totals of its own cannot agree");
    let _ = terminal.on_totals(7, &answer).unwrap();
    while let Some(Message::Batch(message)) = terminal.next_message() {
        match message {
            BatchMessage::End { count, balanced } => {
                let closed = ledger.on_end(7, count, balanced);
                assert!(closed.is_complete(), "{closed:?}");
                assert_eq!((closed.received, closed.details_match), (10, Some(true)));
            }
            _ => {
                assert_eq!(ledger.on_details(7, &message).unwrap().new, message.count());
                assert_eq!(ledger.on_details(7, &message).unwrap().repeated, message.count());
            }
        }
        let _ = terminal.on_taken(7, &message);
    }
}

#[test]
fn a_ledger_says_what_is_missing_and_what_contradicts() {
    let mut ledger = BatchLedger::default();
    ledger.on_totals(7, traded(2).totals(), None);
    let taken = ledger.on_details(7, &BatchMessage::Cards(vec![card(1, 100)])).unwrap();
    assert_eq!(taken, Taken { new: 1, ..Taken::default() });
    let taken = ledger.on_details(7, &BatchMessage::Cards(vec![card(1, 999)])).unwrap();
    assert_eq!(taken, Taken { conflicting: 1, ..Taken::default() });
    // However often it comes.
    let taken = ledger.on_details(7, &BatchMessage::Cards(vec![card(1, 999)])).unwrap();
    assert_eq!(taken, Taken { conflicting: 1, ..Taken::default() });
    let closed = ledger.on_end(7, 2, false);
    assert!(!closed.is_complete());
    assert_eq!((closed.announced, closed.received, closed.conflicts), (2, 1, 1));
    assert_eq!(closed.details_match, Some(false));
}

#[test]
fn a_ledger_is_bounded_and_keeps_no_card_number() {
    let mut ledger = BatchLedger::default();
    let flood = (0..).map(|trace| ledger.on_details(7, &BatchMessage::Cards(vec![card(trace, 1)])));
    let (count, error) = flood.enumerate().find_map(|(n, taken)| taken.err().map(|e| (n, e))).unwrap();
    assert_eq!((count, error), (MAX_RECORDS, LedgerError::Full));
    let kept = serde_json::to_string(&ledger).unwrap();
    assert!(kept.contains("622588******6789") && !kept.contains("6225880123456789"));
}

#[test]
fn a_card_number_prints_masked_and_a_short_one_not_at_all() {
    assert_eq!(format!("{:?}", card(1, 1).pan), "622588******6789");
    assert_eq!(Pan::new("123456789012").unwrap().masked().as_str(), "************");
    for wrong in ["", "1234567", "0123456789012345", "62258801234567890123", "62258x0123456789"] {
        assert!(Pan::new(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_masked_number_that_shows_more_is_none() {
    for right in ["622588******6789", "************", "*************"] {
        assert!(MaskedPan::parse(right).is_ok(), "{right}");
    }
    for wrong in [
        "6225880123456789",
        "6225880*****6789",
        "622588****456789",
        "622588**x***6789",
        "1***********",
        "622588*6789012",
        "*",
    ] {
        assert!(MaskedPan::parse(wrong).is_err(), "{wrong}");
    }
}

mod any {
    use proptest::prelude::*;

    use super::*;
    use crate::settlement::detail::{Found, Place};

    fn place() -> impl Strategy<Value = Place> {
        (any::<bool>(), 0_usize..4)
            .prop_filter_map("no such code", |(is_end, index)| Place::at(is_end, index))
    }

    fn class() -> impl Strategy<Value = CardClass> {
        prop_oneof![Just(CardClass::Domestic), Just(CardClass::Foreign)]
    }

    fn pan() -> impl Strategy<Value = Pan> {
        "[1-9][0-9]{7,18}".prop_map(|digits| Pan::new(&digits).unwrap())
    }

    fn message() -> impl Strategy<Value = BatchMessage> {
        let card = (class(), 0..1_000_000_u32, pan(), 0..=MAX_AMOUNT)
            .prop_map(|(class, trace, pan, amount)| CardDetail { class, trace, pan, amount });
        let ending = prop_oneof![
            Just(ChipEnding::Approved),
            ("[0-9A-Z]{2}", 0..10_u8, 0..10_u8).prop_map(|(response, cryptogram, arpc_result)| {
                ChipEnding::Failed { response, cryptogram, arpc_result }
            }),
        ];
        let data = prop::collection::vec(any::<u8>(), 0..256);
        let chip =
            (class(), 0..1_000_000_u32, pan(), 0..=MAX_AMOUNT, 0..1_000_u16, any::<bool>(), data, ending);
        prop_oneof![
            prop::collection::vec(card, 1..=MAX_CARDS).prop_map(BatchMessage::Cards),
            (chip, any::<bool>()).prop_map(
                |((class, trace, pan, amount, mode, one, chip_data, ending), balanced)| {
                    let balanced = balanced && ending == ChipEnding::Approved;
                    let sequence = one.then_some(mode);
                    let currency = "156".to_owned();
                    let detail = ChipDetail {
                        class,
                        trace,
                        pan,
                        amount,
                        currency,
                        entry_mode: mode,
                        sequence,
                        chip_data,
                        ending,
                    };
                    BatchMessage::Chip { detail: Box::new(detail), balanced }
                }
            ),
            (0..10_000_u16, any::<bool>())
                .prop_map(|(count, balanced)| BatchMessage::End { count, balanced }),
        ]
    }

    proptest! {
        #[test]
        fn a_message_survives_the_wire(message in message()) {
            let parts = message.parts().unwrap();
            let field = |n: u8| parts.fields.iter().find(|(m, _)| *m == n).map(|(_, value)| value.as_slice());
            let text = |n: u8| field(n).map(|bytes| std::str::from_utf8(bytes).unwrap());
            let found = Found {
                details: text(48),
                trace: parts.trace,
                pan: text(2),
                amount: text(4),
                entry_mode: text(22),
                sequence: text(23),
                chip_data: field(55),
                body: parts.body.as_deref().unwrap_or_default(),
            };
            prop_assert!(text(48).is_none_or(|details| details.len() <= 322));
            prop_assert_eq!(BatchMessage::read(message.place(), &found).unwrap(), message);
        }

        #[test]
        fn any_fields_are_an_error_or_a_message(
            place in place(),
            details in prop::option::of("[0-9]{0,330}|[ -~]{0,40}"),
            pan in prop::option::of("[0-9]{0,20}"),
            amount in prop::option::of("[0-9]{0,13}|[ -~]{0,12}"),
            chip_data in prop::option::of(prop::collection::vec(any::<u8>(), 0..300)),
            body in prop_oneof![
                "(61|71)0[01][0-9A-Z]{16,20}".prop_map(String::into_bytes),
                prop::collection::vec(any::<u8>(), 0..30),
            ],
        ) {
            let found = Found {
                details: details.as_deref(),
                trace: Some(1),
                pan: pan.as_deref(),
                amount: amount.as_deref(),
                entry_mode: Some("051"),
                sequence: None,
                chip_data: chip_data.as_deref(),
                body: &body,
            };
            if let Ok(message) = BatchMessage::read(place, &found) {
                prop_assert!(message.count() <= MAX_CARDS);
            }
            let _ = Totals::decode(details.as_deref().unwrap_or_default(), 156);
        }
    }
}

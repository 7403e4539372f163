use proptest::prelude::*;

use super::*;
use crate::settlement::Pan;

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let entry = (
        0..1_000_000_u32,
        any::<i64>(),
        "[a-z-]{0,16}",
        0..=MAX_AMOUNT,
        prop::option::of("[1-9][0-9]{7,18}"),
        "[0-9A-Z]{0,3}",
        any::<bool>(),
    );
    let entry = entry.prop_map(|(trace, at_s, kind, amount, pan, response, reversed)| Entry {
        trace,
        batch: trace / 7,
        at_s,
        kind,
        amount,
        currency: 156,
        card: pan.map(|pan| Pan::new(&pan).unwrap().masked()),
        response,
        reversed,
    });
    prop::collection::vec(entry, 0..20)
}

proptest! {
    #[test]
    fn a_journal_survives_the_wire(entries in entries()) {
        prop_assert_eq!(decode(&encode(&entries)).unwrap(), entries);
    }

    #[test]
    fn any_bytes_are_an_error_or_a_journal(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn a_damaged_journal_is_an_error_or_a_journal(
        entries in entries(), at in any::<prop::sample::Index>(), byte in any::<u8>()
    ) {
        let mut bytes = encode(&entries);
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = decode(&bytes);
    }
}

#[test]
fn a_whole_card_number_cannot_be_in_a_journal() {
    let entry = Entry {
        trace: 1,
        batch: 1,
        at_s: 0,
        kind: "sale".into(),
        amount: 1,
        currency: 156,
        card: Some(Pan::new("6225880123456789").unwrap().masked()),
        response: "00".into(),
        reversed: false,
    };
    let mut bytes = encode(&[entry]);
    let at = bytes.windows(6).position(|window| window == b"******").unwrap();
    bytes[at..at + 6].copy_from_slice(b"012345");
    assert!(decode(&bytes).unwrap_err().to_string().contains("shows too much"));
}

#[test]
fn of_too_many_entries_the_newest_are_sent() {
    let entry = |trace| Entry {
        trace,
        batch: 1,
        at_s: 0,
        kind: String::new(),
        amount: 1,
        currency: 156,
        card: None,
        response: String::new(),
        reversed: false,
    };
    let entries: Vec<Entry> = (0..=MAX_ENTRIES as u32).map(entry).collect();
    let read = decode(&encode(&entries)).unwrap();
    assert_eq!((read.len(), read[0].trace), (MAX_ENTRIES, 1));
}

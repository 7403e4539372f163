//! What is shown of messages of every built-in dialect: no card number of the input is in it.
//!
//! Whatever passes for a card number (13 to 19 digits in a row with a valid check digit, in ASCII,
//! EBCDIC or packed digits) in the input or in one field of it must not be in its description,
//! nor in what `Display` and `Debug` print of it, of its fields and subfields, and of errors.
//!
//! The first byte chooses the dialect, and the length which of the ways is tried.
#![no_main]

use std::cell::RefCell;
use std::fmt::Write;

use iso8583::{Field, Message};
use libfuzzer_sys::fuzz_target;
use tms_fuzz::cards::Cards;

thread_local! {
    static STATE: RefCell<(Cards, String)> = RefCell::default();
}

fuzz_target!(|data: &[u8]| {
    let Some((&choice, body)) = data.split_first() else { return };
    let dialect = tms_fuzz::dialect(choice);
    STATE.with_borrow_mut(|(cards, printed)| {
        cards.clear();
        printed.clear();
        cards.look_in(body);
        match Message::parse_lenient(dialect, body) {
            Ok(lenient) => {
                lenient.message.fields().for_each(|field| cards.look_in(field.bytes()));
                // Each takes longer than everything else here, so an input is shown in one way.
                match body.len() % 4 {
                    0 => writeln!(printed, "{}", lenient.describe()).unwrap(),
                    1 => lenient.message.fields().for_each(|field| show(printed, &field)),
                    2 => writeln!(printed, "{lenient:?}").unwrap(),
                    _ => {
                        let partial = Message::parse_partial(dialect, body);
                        writeln!(printed, "{partial:?}").unwrap();
                    }
                }
                for deviation in &lenient.deviations {
                    writeln!(printed, "{deviation} {deviation:?}").unwrap();
                }
            }
            Err(error) => writeln!(printed, "{error} {error:?}").unwrap(),
        }
        cards.assert_not_in(printed);
    });
});

fn show(printed: &mut String, field: &Field<'_>) {
    writeln!(printed, "{field} {field:?}").unwrap();
    for inner in field.subfields() {
        match inner {
            Ok(inner) => show(printed, &inner),
            Err(error) => writeln!(printed, "{error}").unwrap(),
        }
    }
}

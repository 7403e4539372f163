//! Messages made of values that their fields can hold: all of them can be set, and the message
//! reads back to the same values and builds to the same bytes. Fields are set in any order and more
//! than once.
//!
//! The first byte chooses the dialect, two more the type and whether the message is built again
//! from texts or from bytes; then for each field one byte chooses the field, one the length, and
//! the value follows.
#![no_main]

use std::cell::RefCell;

use iso8583::{Builder, Message, Mti};
use libfuzzer_sys::fuzz_target;
use tms_fuzz::values;

/// More than this many fields show nothing new and take time.
const MAX_FIELDS: usize = 8;

/// Memory that is used again for every input.
#[derive(Default)]
struct State {
    /// One for each dialect.
    builders: Vec<Option<Builder<'static>>>,
    values: [(u8, Vec<u8>); MAX_FIELDS],
    body: Vec<u8>,
    again: Vec<u8>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

fuzz_target!(|data: &[u8]| {
    let [choice, high, low, rest @ ..] = data else { return };
    let from_texts = high & 0x80 != 0;
    let mti = Mti::new(u16::from_be_bytes([*high, *low]) % 10_000).unwrap();
    STATE.with_borrow_mut(|state| state.run(*choice, mti, from_texts, rest));
});

impl State {
    fn run(&mut self, choice: u8, mti: Mti, from_texts: bool, mut rest: &[u8]) {
        let (dialect, formats) = (tms_fuzz::dialect(choice), tms_fuzz::formats(choice));
        let Self { builders, values, body, again } = self;
        builders.resize_with(256, || None);
        let builder = builders[usize::from(choice)].get_or_insert_with(|| Builder::new(dialect, mti));
        builder.clear(mti);
        let mut count = 0;
        while let ([field, length, bytes @ ..], true) = (rest, count < MAX_FIELDS) {
            let format = formats[usize::from(*field) % formats.len()];
            let number = format.number();
            // A field that is set again takes the place of what it was.
            let place = values[..count].iter().position(|(known, _)| *known == number).unwrap_or(count);
            values[place].0 = number;
            rest = values::value(format, *length, bytes, &mut values[place].1);
            if let Err(error) = builder.set_bytes(number, &values[place].1) {
                panic!("{number} cannot be set: {error}");
            }
            count = count.max(place + 1);
        }
        values[..count].sort_unstable_by_key(|(number, _)| *number);
        body.clear();
        builder.build_into(body).unwrap();

        let message = match Message::parse(dialect, body) {
            Ok(message) => message,
            // A value set as a whole may be nothing that its field has inside.
            Err(error) if tms_fuzz::is_inside_a_structure(dialect, body, &error) => return,
            Err(error) => panic!("what was built is refused: {error}"),
        };
        assert_eq!(message.mti(), mti);
        builder.clear(mti);
        let mut expected = values[..count].iter();
        for field in message.fields() {
            let (number, value) = expected.next().unwrap();
            assert_eq!((field.number(), &*field.value()), (*number, value.as_slice()));
            if from_texts {
                builder.set(*number, &field.text()).unwrap();
            } else {
                builder.set_bytes(*number, &field.value()).unwrap();
            }
        }
        assert!(expected.next().is_none());
        again.clear();
        builder.build_into(again).unwrap();
        assert_eq!(again, body);
    }
}

//! Building, reading and building again.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use iso8583::{Builder, Message, Mti, Structure};

use crate::values::{self, Fields};
use crate::{dialects, for_every_dialect, rebuilt, set};

#[test]
fn what_is_built_reads_back_and_builds_to_the_same_bytes() {
    for_every_dialect(96, |sample| {
        let message = sample.message();
        let numbers: Vec<u8> = message.fields().map(|field| field.number()).collect();
        prop_assert_eq!(&numbers, &sample.fields.keys().copied().collect::<Vec<_>>());
        for (number, tree) in &sample.fields {
            let mut texts = Vec::new();
            tree.texts(number.to_string(), &mut texts);
            for (path, text) in texts {
                // A last subfield without a character is not there.
                let read = message.text(&path).unwrap_or_default();
                prop_assert_eq!(&*read, text, "{}", path);
            }
        }
        prop_assert_eq!(rebuilt(&message), sample.bytes.clone());
        Ok(())
    });
}

#[test]
fn the_bytes_do_not_depend_on_the_order_in_which_fields_are_set() {
    for_every_dialect(24, |sample| {
        let message = sample.message();
        let mut backwards = Builder::new(sample.dialect, message.mti());
        let fields: Vec<_> = message.fields().collect();
        for field in fields.iter().rev() {
            backwards.set(field.number(), &field.text()).unwrap();
        }
        prop_assert_eq!(backwards.build().unwrap(), sample.bytes.clone());
        Ok(())
    });
}

#[test]
fn lenient_and_partial_reading_find_the_same_in_what_strict_reading_accepts() {
    for_every_dialect(24, |sample| {
        let strict = sample.message();
        let lenient = Message::parse_lenient(sample.dialect, &sample.bytes).unwrap();
        prop_assert!(lenient.deviations.is_empty(), "{:?}", lenient.deviations);
        prop_assert!(lenient.rest.is_empty());
        let partial = Message::parse_partial(sample.dialect, &sample.bytes);
        prop_assert_eq!(partial.error, None);
        for other in [&lenient.message, &partial.message.unwrap()] {
            prop_assert_eq!(rebuilt(other), rebuilt(&strict));
        }
        Ok(())
    });
}

#[test]
fn subfields_are_where_their_paths_say() {
    for_every_dialect(24, |sample| {
        let message = sample.message();
        for field in message.fields() {
            for inner in field.subfields() {
                let inner = inner.map_err(|error| TestCaseError::fail(error.to_string()))?;
                let path = inner.path().to_string();
                let found = message.get(path.trim_start_matches("field ")).unwrap();
                prop_assert_eq!(found.bytes(), inner.bytes());
                prop_assert!(inner.offset() >= field.offset());
                prop_assert!(inner.offset() + inner.bytes().len() <= field.offset() + field.bytes().len());
            }
        }
        Ok(())
    });
}

#[test]
fn a_reply_echoes_fields_byte_for_byte() {
    for_every_dialect(24, |sample| {
        let request = sample.message();
        let all: Vec<u8> = (0..=255).collect();
        let Some(response) = request.mti().response() else {
            prop_assert!(Builder::reply_to(&request, &all).is_err());
            return Ok(());
        };
        let reply = Builder::reply_to(&request, &all).unwrap().build().unwrap();
        let reply = Message::parse(sample.dialect, &reply).unwrap();
        prop_assert_eq!(reply.mti(), response);
        prop_assert!(
            reply.fields().map(|field| field.bytes()).eq(request.fields().map(|field| field.bytes()))
        );
        Ok(())
    });
}

#[test]
fn every_field_of_every_dialect_can_be_set_and_read() {
    for dialect in dialects() {
        let mut runner = TestRunner::deterministic();
        for format in dialect.fields() {
            let (mut set_once, mut divided) = (false, false);
            for _ in 0..48 {
                let tree = values::field(format).new_tree(&mut runner).unwrap().current();
                let fields = Fields::from([(format.number(), tree)]);
                let (builder, kept) = set(Builder::new(dialect, Mti::new(200).unwrap()), fields);
                let bytes = builder.build().unwrap();
                let message = Message::parse(dialect, &bytes).unwrap();
                assert_eq!(rebuilt(&message), bytes);
                set_once |= !kept.is_empty();
                divided |= message.fields().any(|field| field.subfields().next().is_some());
            }
            assert!(set_once, "{}: field {} was never set", dialect.name(), format.number());
            let whole = matches!(format.structure(), Structure::None);
            assert!(whole || divided, "{}: {} had no subfields", dialect.name(), format.number());
        }
    }
}

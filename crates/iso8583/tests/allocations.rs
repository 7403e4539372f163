//! Reading and building do not allocate.
//!
//! This is a program of its own because the counter takes the place of the global allocator.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::hint::black_box;

use allocation_counter::measure;

use iso8583::{Builder, Content, Dialect, Field, Message, Mti};

/// Fields of every kind that a dialect has: fixed and variable, of all classes, with positional
/// subfields and with data objects.
fn sample(dialect: &'static Dialect) -> (Mti, Vec<(u8, Vec<u8>)>) {
    let mut fields = Vec::new();
    let mti: Mti = "0200".parse().unwrap();
    let mut builder = Builder::new(dialect, mti);
    for format in dialect.fields().filter(|format| format.number() != 55) {
        let max = match format.length() {
            iso8583::Length::Fixed(length) => usize::from(length),
            iso8583::Length::Variable { max, .. } => usize::from(max).min(20),
        };
        let value = match format.class() {
            iso8583::Class::SignedNumeric => [b"C".as_slice(), &b"0".repeat(max)].concat(),
            iso8583::Class::Numeric | iso8583::Class::Binary => b"1".repeat(max),
            iso8583::Class::Track => b"4111111111111111=2812".iter().copied().take(max).collect(),
            _ => b"A".repeat(max),
        };
        builder.set_bytes(format.number(), &value).unwrap();
        // Some fields are not free in what they hold inside.
        if Message::parse(dialect, &builder.build().unwrap()).is_ok() {
            fields.push((format.number(), value));
        } else {
            builder.clear(mti);
            for (number, value) in &fields {
                builder.set_bytes(*number, value).unwrap();
            }
        }
    }
    let card = [("9F06", Content::Text("A000000333010101")), ("9F02", Content::Text("000000010000"))];
    if builder.set_parts(55, &card).is_ok() {
        let built = builder.build().unwrap();
        let value = Message::parse(dialect, &built).unwrap().field(55).unwrap().value().into_owned();
        fields.push((55, value));
        fields.sort();
    }
    assert!(fields.len() > 50, "{}: {} fields", dialect.name(), fields.len());
    (mti, fields)
}

fn dialects() -> impl Iterator<Item = &'static Dialect> {
    Dialect::builtin_names().iter().map(|name| Dialect::builtin(name).unwrap())
}

fn build(builder: &mut Builder<'_>, mti: Mti, fields: &[(u8, Vec<u8>)], out: &mut Vec<u8>) {
    builder.clear(mti);
    for (number, value) in fields {
        builder.set_bytes(*number, value).unwrap();
    }
    out.clear();
    builder.build_into(out).unwrap();
}

/// Asks for everything that needs no memory for its answer: text of packed digits does, numbers
/// made from them do not.
fn ask(field: &Field<'_>) {
    black_box((field.number(), field.path(), field.bytes(), field.len(), field.sensitivity()));
    black_box((field.u64().is_ok(), field.amount().is_ok(), field.date().is_ok()));
}

fn allocations(work: impl FnMut()) -> u64 {
    measure(work).count_total
}

#[test]
fn strict_reading_does_not_allocate_in_any_dialect() {
    for dialect in dialects() {
        let (mti, fields) = sample(dialect);
        let mut bytes = Vec::new();
        build(&mut Builder::new(dialect, mti), mti, &fields, &mut bytes);
        let count = allocations(|| {
            let message = Message::parse(dialect, black_box(&bytes)).unwrap();
            black_box(&message);
        });
        assert_eq!(count, 0, "{}", dialect.name());
    }
}

#[test]
fn a_refusal_does_not_allocate_wherever_the_message_ends() {
    for dialect in dialects() {
        let (mti, fields) = sample(dialect);
        let mut bytes = Vec::new();
        build(&mut Builder::new(dialect, mti), mti, &fields, &mut bytes);
        let count = allocations(|| {
            for end in 0..bytes.len() {
                assert!(black_box(Message::parse(dialect, &bytes[..end])).is_err());
            }
        });
        assert_eq!(count, 0, "{}", dialect.name());
    }
}

#[test]
fn reaching_every_field_and_subfield_does_not_allocate() {
    for dialect in dialects() {
        let (mti, fields) = sample(dialect);
        let mut bytes = Vec::new();
        build(&mut Builder::new(dialect, mti), mti, &fields, &mut bytes);
        let message = Message::parse(dialect, &bytes).unwrap();
        let (mut seen, mut inside) = (0, 0);
        let count = allocations(|| {
            for field in message.fields() {
                ask(&field);
                seen += 1;
                for inner in field.subfields() {
                    ask(&inner.unwrap());
                    inside += 1;
                }
            }
            for (number, _) in &fields {
                black_box(message.bytes(*number).unwrap());
                ask(&message.field(*number).unwrap());
            }
        });
        assert_eq!((count, seen), (0, fields.len()), "{}", dialect.name());
        assert!(dialect.name() != "unionpay" || inside > 10, "{inside} subfields");
    }
}

#[test]
fn access_by_path_does_not_allocate() {
    let dialect = Dialect::builtin("iso87-ascii").unwrap();
    let mut builder = Builder::new(dialect, "0200".parse().unwrap());
    builder.set(4, "000000010000").unwrap().set(11, "123456").unwrap().set(41, "TERM0001").unwrap();
    let bytes = builder.build().unwrap();
    let message = Message::parse(dialect, &bytes).unwrap();
    let count = allocations(|| {
        assert_eq!(message.u64("4").unwrap(), Some(10_000));
        assert_eq!(message.amount("4").unwrap(), Some(10_000));
        assert_eq!(message.digits("11").unwrap().as_deref(), Some("123456"));
        assert_eq!(message.str("41").unwrap().as_deref(), Some("TERM0001"));
        assert_eq!(message.get("41").unwrap().bytes(), b"TERM0001");
        assert_eq!(message.text("41").as_deref(), Some("TERM0001"));
        assert!(message.get("42").is_none());
    });
    assert_eq!(count, 0);

    let unionpay = Dialect::builtin("unionpay").unwrap();
    let mut builder = Builder::new(unionpay, "0800".parse().unwrap());
    builder.set(11, "000001").unwrap().set(60, "00000000003").unwrap();
    let bytes = builder.build().unwrap();
    let message = Message::parse(unionpay, &bytes).unwrap();
    let count = allocations(|| assert_eq!(message.u64("60.3").unwrap(), Some(3)));
    assert_eq!(count, 0);
}

#[test]
fn building_into_a_buffer_that_was_used_before_does_not_allocate() {
    for dialect in dialects() {
        let (mti, fields) = sample(dialect);
        let (mut builder, mut out) = (Builder::new(dialect, mti), Vec::new());
        build(&mut builder, mti, &fields, &mut out);
        let first = out.clone();
        let count = allocations(|| build(&mut builder, mti, black_box(&fields), &mut out));
        assert_eq!(count, 0, "{}", dialect.name());
        assert_eq!(out, first);
    }
}

#[test]
fn the_counter_sees_an_allocation() {
    let dialect = Dialect::builtin("iso87-ascii").unwrap();
    assert!(allocations(|| drop(black_box(Builder::new(dialect, "0800".parse().unwrap())))) > 0);
}

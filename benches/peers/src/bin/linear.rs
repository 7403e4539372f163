//! The time for a message grows with its length and not with the square of it.
//!
//! `cargo run --release --bin linear` fails when it does not.
//!
//! Time is measured, because nothing can be counted from outside: one large message beside 16 small
//! ones with as many bytes. It may take four times as long, for caches that it does not fit in; a
//! quadratic step would take 16 times. Both take about as long as each other, so that a busy machine
//! disturbs both, and the shortest of several measurements counts.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use iso8583::{Builder, Dialect, Field, Message, Mti};

const DIALECT: &str = r#"
name = "large"
extends = "iso87-ascii"
[encoding]
length = "binary"
binary = "raw"
[field.55]
format = "b......65000"
structure = "ber-tlv"
[field.48]
format = "ans......65000"
[field.47]
format = "ans......65000"
structure = "ltv"
length_size = 2
tag_size = 2
[field.127]
format = "ans......65000"
structure = "tlv"
tag_size = 1
length_size = 1
"#;

const SMALL: usize = 4_000;
const LARGE: usize = 64_000;

/// How much longer the large message may take than as many bytes in small ones.
const MOST: u32 = 4;

/// A repeated piece of content, and what closes it around itself.
struct Shape {
    name: &'static str,
    field: u8,
    content: fn(usize) -> Vec<u8>,
}

const SHAPES: [Shape; 8] = [
    Shape { name: "data objects of one byte", field: 55, content: |len| repeat(b"\x50\x01\xAA", len) },
    Shape { name: "empty data objects", field: 55, content: |len| repeat(b"\x50\x00", len) },
    Shape { name: "empty objects of objects", field: 55, content: |len| repeat(b"\x70\x00", len) },
    Shape { name: "objects in objects in objects", field: 55, content: nested },
    Shape { name: "values of one character behind lengths", field: 47, content: |len| repeat(b"01ABx", len) },
    Shape { name: "values of one character behind tags", field: 127, content: |len| repeat(b"A1x", len) },
    Shape { name: "digits", field: 48, content: |len| repeat(b"4111111111111112", len) },
    Shape { name: "groups of digits", field: 48, content: |len| repeat(b"4111 1111 ", len) },
];

fn repeat(piece: &[u8], len: usize) -> Vec<u8> {
    piece.iter().copied().cycle().take(len / piece.len() * piece.len()).collect()
}

/// As deep as structures are opened: a fourth step inside is the last.
fn nested(len: usize) -> Vec<u8> {
    let mut content = repeat(b"\x50\x00", len);
    for _ in 1..iso8583::MAX_DEPTH {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        content = [[0x70, 0x82].as_slice(), &length, &content].concat();
    }
    content
}

fn message(dialect: &Dialect, shape: &Shape, len: usize) -> Vec<u8> {
    let mut builder = Builder::new(dialect, "0800".parse::<Mti>().unwrap());
    builder.set_bytes(shape.field, &(shape.content)(len)).unwrap();
    builder.build().unwrap()
}

fn walk(field: &Field<'_>) -> usize {
    field.subfields().map(|inner| 1 + walk(&inner.unwrap())).sum()
}

type Operation = fn(&Dialect, &[u8]);

const OPERATIONS: [(&str, Operation); 5] = [
    ("strict reading", |dialect, bytes| {
        black_box(&Message::parse(dialect, bytes).unwrap());
    }),
    ("lenient reading", |dialect, bytes| {
        black_box(&Message::parse_lenient(dialect, bytes).unwrap());
    }),
    ("reaching every subfield", |dialect, bytes| {
        let message = Message::parse(dialect, bytes).unwrap();
        black_box(message.fields().map(|field| walk(&field)).sum::<usize>());
    }),
    ("building again", |dialect, bytes| {
        let message = Message::parse(dialect, bytes).unwrap();
        assert_eq!(Builder::copy_of(&message).build().unwrap(), bytes);
    }),
    ("describing", |dialect, bytes| {
        black_box(Message::parse(dialect, bytes).unwrap().describe().to_string());
    }),
];

/// The shortest times for sixteen times the small input and for the large one, measured in turn;
/// measured once when that fits already.
fn times<T: ?Sized>(small: &T, large: &T, run: impl Fn(&T)) -> (Duration, Duration) {
    let time = |input: &T, times| {
        let began = Instant::now();
        (0..times).for_each(|_| run(input));
        began.elapsed()
    };
    let (mut of_small, mut of_large) = (Duration::MAX, Duration::MAX);
    for _ in 0..8 {
        of_small = of_small.min(time(small, LARGE / SMALL));
        of_large = of_large.min(time(large, 1));
        if of_large < of_small * MOST {
            break;
        }
    }
    (of_small, of_large)
}

fn main() -> std::process::ExitCode {
    let dialect = Dialect::from_toml(DIALECT).unwrap();
    let mut quadratic = 0;
    println!(
        "time of one large message, in times of sixteen small ones of as many bytes; {MOST} is too much\n"
    );
    for shape in &SHAPES {
        let (small, large) = (message(&dialect, shape, SMALL), message(&dialect, shape, LARGE));
        for (operation, run) in OPERATIONS {
            let (of_small, of_large) = times(&small[..], &large[..], |bytes| run(&dialect, bytes));
            let ratio = of_large.as_secs_f64() / of_small.as_secs_f64();
            println!("{ratio:5.2}  {operation}, {}", shape.name);
            quadratic += u8::from(of_large >= of_small * MOST);
        }
    }
    std::process::ExitCode::from(quadratic)
}

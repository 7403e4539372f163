//! Time for each byte of messages of 1 KiB to 64 KiB, and of the worst of a fuzz corpus.
//!
//! `cargo run --release --bin sizes -- [FOLDER]...`
//!
//! Each folder holds inputs of a fuzz target that reads messages: a byte that chooses the built-in
//! dialect, then the message. Of all inputs in it the one that takes longest for each of its bytes
//! is shown, with at least 64 bytes, below which what every message costs hides what its bytes cost.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use iso8583::{Builder, Dialect, Message, Mti};

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
"#;

const SIZES: [usize; 7] = [1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15, 64_000];

/// Content of about so many bytes.
type Content = fn(usize) -> Vec<u8>;

/// Inputs of a corpus shorter than this are not looked at.
const SHORTEST: usize = 64;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dialect = Dialect::from_toml(DIALECT)?;
    println!("ns for each byte, the shortest of many measurements\n");
    println!("| content | bytes | strict | lenient | every subfield | describe |");
    println!("|---|---:|---:|---:|---:|---:|");
    let shapes: [(&str, u8, Content); 4] = [
        ("objects in objects in objects", 55, nested),
        ("data objects without a value", 55, |len| b"\x50\x00".repeat(len / 2)),
        ("data objects of 100 bytes", 55, |len| [[0x50, 98].as_slice(), &[7; 98]].concat().repeat(len / 100)),
        ("text", 48, |len| b"4111 1111 words ".repeat(len / 16)),
    ];
    for (name, field, content) in shapes {
        for size in SIZES {
            let mut builder = Builder::new(&dialect, "0800".parse::<Mti>()?);
            builder.set_bytes(field, &content(size))?;
            let bytes = builder.build()?;
            let each = |run: &mut dyn FnMut()| shortest(run).as_nanos() as f64 / bytes.len() as f64;
            let strict = each(&mut || drop(black_box(Message::parse(&dialect, &bytes))));
            let lenient = each(&mut || drop(black_box(Message::parse_lenient(&dialect, &bytes))));
            let subfields = each(&mut || {
                if let Ok(message) = Message::parse(&dialect, &bytes) {
                    black_box(message.fields().map(|field| walk(&field)).sum::<usize>());
                }
            });
            let describe = each(&mut || {
                if let Ok(message) = Message::parse(&dialect, &bytes) {
                    black_box(message.describe().to_string());
                }
            });
            println!(
                "| {name} | {} | {strict:.2} | {lenient:.2} | {subfields:.2} | {describe:.0} |",
                bytes.len()
            );
        }
    }
    for folder in std::env::args().skip(1) {
        worst(Path::new(&folder))?;
    }
    Ok(())
}

fn nested(len: usize) -> Vec<u8> {
    let mut content = b"\x50\x00".repeat(len / 2 - 6);
    for _ in 1..iso8583::MAX_DEPTH {
        let length = u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes();
        content = [[0x70, 0x82].as_slice(), &length, &content].concat();
    }
    content
}

fn walk(field: &iso8583::Field<'_>) -> usize {
    field.subfields().flatten().map(|inner| 1 + walk(&inner)).sum()
}

/// The shortest of 30 measurements.
fn shortest(run: &mut dyn FnMut()) -> Duration {
    let time = |run: &mut dyn FnMut()| {
        let began = Instant::now();
        run();
        began.elapsed()
    };
    (0..30).map(|_| time(run)).min().unwrap_or_default()
}

/// Reads all inputs of a corpus strictly and leniently.
fn worst(folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let mut inputs = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let input = std::fs::read(entry?.path())?;
        if input.len() > SHORTEST {
            inputs.push(input);
        }
    }
    for (way, lenient) in [("strict", false), ("lenient", true)] {
        let (mut slowest, mut bytes, mut total) = (0.0, 0, 0.0);
        for input in &inputs {
            let Some((choice, body)) = input.split_first() else { continue };
            let names = Dialect::builtin_names();
            let name = names.get(usize::from(*choice) % names.len()).copied().unwrap_or_default();
            let dialect = Dialect::builtin(name).ok_or("no such dialect")?;
            // Some hundred times in a turn: one reading is too short for the clock.
            let time = shortest(&mut || {
                for _ in 0..100 {
                    if lenient {
                        let _ = black_box(Message::parse_lenient(dialect, black_box(body)));
                    } else {
                        let _ = black_box(Message::parse(dialect, black_box(body)));
                    }
                }
            });
            let each = time.as_nanos() as f64 / 100.0 / body.len() as f64;
            total += each;
            if each > slowest {
                (slowest, bytes) = (each, body.len());
            }
        }
        println!(
            "\n{}, {way}: {} inputs, {:.2} ns for each byte on average, {slowest:.2} in the worst, which has {bytes}",
            folder.file_name().unwrap_or_default().to_string_lossy(),
            inputs.len(),
            total / inputs.len().max(1) as f64,
        );
    }
    Ok(())
}

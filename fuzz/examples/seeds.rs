//! Writes the seeds of the targets that read messages: `cargo run --example seeds -- corpus`. Those
//! in `message` serve `lenient` and `describe`, too.
//!
//! They are messages that this project builds, in every built-in dialect: every field once, in
//! groups; card data in free text and data objects; cut off and damaged ones.

use std::fs;
use std::path::Path;

use iso8583::{Builder, Content, Dialect, Message, Mti};
use tms_fuzz::values;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("name the folder of the corpora")?;
    let folder = Path::new(&folder);
    for (index, name) in (0u8..).zip(Dialect::builtin_names()) {
        for (kind, bytes) in messages(index)? {
            let input = [&[index], bytes.as_slice()].concat();
            write(folder, "message", &format!("{name}-{kind}"), &input)?;
        }
        for group in 0..8u8 {
            // Eight fields each, of lengths that grow.
            let fields = (0..8u8).flat_map(|field| {
                let length = group * 3 + field;
                [vec![group * 8 + field, length], vec![b'0' + field; usize::from(length)]].concat()
            });
            let input: Vec<u8> = [index, 2, 0].into_iter().chain(fields).collect();
            write(folder, "differential", &format!("{name}-{group}"), &input)?;
        }
    }
    Ok(())
}

fn write(folder: &Path, target: &str, name: &str, input: &[u8]) -> std::io::Result<()> {
    fs::create_dir_all(folder.join(target))?;
    fs::write(folder.join(target).join(name), input)
}

/// Messages in one dialect, with what is special about each.
fn messages(index: u8) -> Result<Vec<(String, Vec<u8>)>, Box<dyn std::error::Error>> {
    let dialect = tms_fuzz::dialect(index);
    let mut made = Vec::new();
    let mti: Mti = "0800".parse()?;
    let mut value = Vec::new();

    for (group, formats) in tms_fuzz::formats(index).chunks(12).enumerate() {
        let mut builder = Builder::new(dialect, mti);
        for format in formats {
            let pattern = b"4111111111111111=28121010000";
            values::value(format, 16, pattern, &mut value);
            // A value that is not what the field has inside is left out.
            let mut with = builder.clone();
            with.set_bytes(format.number(), &value)?;
            if Message::parse(dialect, &with.build()?).is_ok() {
                builder = with;
            }
        }
        let bytes = builder.build()?;
        made.push((format!("cut-{group}"), bytes[..bytes.len() * 2 / 3].to_vec()));
        made.push((format!("fields-{group}"), bytes));
    }

    let card = Content::Parts(&[
        ("5A", Content::Text("4111111111111111")),
        ("57", Content::Text("4111111111111111d28122010000000000")),
        ("9F02", Content::Text("000000010000")),
        ("DF02", Content::Text("1234")),
    ]);
    let nested = [("E1", card), ("5F34", Content::Text("01")), ("70", Content::Parts(&[("E2", card)]))];
    let mut builder = Builder::new(dialect, "0200".parse()?);
    if builder.set_parts(55, &nested).is_ok() {
        made.push(("data-objects".to_owned(), builder.build()?));
    }
    for field in [48, 60, 61, 62, 63] {
        let mut builder = Builder::new(dialect, "0200".parse()?);
        if builder.set(field, "CARD 4111111111111111 OR 4111 1111 1111 1111").is_ok() {
            let mut bytes = builder.build()?;
            made.push((format!("card-in-{field}"), bytes.clone()));
            bytes.push(0);
            made.push((format!("trailing-{field}"), bytes));
        }
    }
    Ok(made)
}

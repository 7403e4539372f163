//! A dialect of one's own: a built-in one with the few fields that an acquirer does otherwise, read
//! from text as it would be from a file, and what an error in such a file says.
//!
//! `cargo run -p tms-examples --example own_dialect`

use std::error::Error;

use iso8583::{Builder, Content, Dialect, Message};

const ACQUIRER: &str = r#"
name = "acquirer-7"
extends = "iso87-ascii"

[encoding]
bitmap = "binary"              # the others are in hexadecimal

[field.41]
fill = "spaces-right"          # terminals with short names are filled up

[field.48]                     # parameters: two-digit length, two-character tag, value
format = "ans...300"
structure = "ltv"
length_size = 2
tag_size = 2
length_counts = "tag-and-value"
tags = [
  { tag = "FW", name = "Firmware", format = "ans..20" },
  { tag = "CN", name = "Card number", format = "n..19", sensitive = "pan" },
]

[field.60]
format = "n13"
parts = [
  { name = "Kind", format = "n3" },
  { name = "Transmission", format = "n10", date = "MMDDhhmmss" },
]
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let dialect = Dialect::from_toml(ACQUIRER)?;
    let mut builder = Builder::new(&dialect, "0800".parse()?);
    builder.set(41, "T1")?.set(60, "3011122093000")?;
    builder.set_parts(
        48,
        &[
            ("FW", Content::Text("4.12.7")),
            ("CN", Content::Text("4111111111111111")),
            // A tag that the file does not know is kept.
            ("ZZ", Content::Text("new")),
        ],
    )?;
    let bytes = builder.build()?;

    let message = Message::parse(&dialect, &bytes)?;
    print!("{}", message.describe());
    println!("firmware {}", message.text("48/FW").unwrap_or_default());
    println!("sent {:?}", message.date("60.2")?);

    let wrong = ACQUIRER.replace("structure = \"ltv\"", "structure = \"lvt\"");
    if let Err(error) = Dialect::from_toml(&wrong) {
        println!("{error}");
    }
    Ok(())
}

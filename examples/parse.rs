//! A card sale, read: fields, numbers and dates, subfields, data objects, and what is wrong with a
//! damaged copy.
//!
//! `cargo run -p tms-examples --example parse`

use std::error::Error;

use iso8583::{Dialect, Message};

/// A sale over 12.50 by chip as the example `build` writes it, in the dialect of UnionPay POS
/// terminals: packed digits, a binary bitmap, field 22 aligned left, field 60 in parts, chip data
/// in field 55.
const SALE: &str = "02007024048000C082111641111111111111110000000000000012500000422812051000\
    313030303030303131303233313030363035303030303031353600259F2608A1B2C3D4E5F607089F02060000\
    000012509F3602001B00112200000100000000000000000061";

fn main() -> Result<(), Box<dyn Error>> {
    let bytes = hex::decode(SALE)?;
    let dialect = Dialect::builtin("unionpay").ok_or("no such dialect")?;
    let message = Message::parse(dialect, &bytes)?;

    // What prints is masked where the dialect says so; asking for the text is not.
    for field in message.fields() {
        println!("{:>3} {field}", field.number());
    }
    let card = message.text("2").unwrap_or_default();
    println!("the card number ends in {}", card.get(12..).unwrap_or_default());

    println!("{} cents", message.amount("4")?.unwrap_or_default());
    println!("trace {}", message.u64("11")?.unwrap_or_default());
    if let Some(expiry) = message.date("14")? {
        println!("good until {:?}/{:?}", expiry.month, expiry.year);
    }
    println!("batch {}", message.text("60.2").unwrap_or_default());
    println!("counter {}", message.text("55/9F36").unwrap_or_default());

    // An error names the place, for people and for programs.
    let damaged = hex::decode(SALE.replace("0000422812", "00000A2812"))?;
    let partial = Message::parse_partial(dialect, &damaged);
    if let Some(error) = partial.error {
        println!("{error} ({:?}, offset {})", error.path(), error.offset());
        let kept = partial.message.map_or(0, |message| message.fields().count());
        println!("{kept} fields before it");
    }
    // Lenient reading goes on where it can.
    let lenient = Message::parse_lenient(dialect, &damaged)?;
    print!("{}", lenient.describe());
    Ok(())
}

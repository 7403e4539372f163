//! A UnionPay sale by chip: fields as text, field 60 in parts, chip data as data objects, the MAC
//! over the finished bytes, and the frame around it. Then the next message in the same memory, and
//! the reply to the first.
//!
//! `cargo run -p tms-examples --example build`

use std::error::Error;

use iso8583::framing::{Frame, Framing};
use iso8583::{Builder, Content, Dialect, Message, Mti, mask};

fn main() -> Result<(), Box<dyn Error>> {
    let dialect = Dialect::builtin("unionpay").ok_or("no such dialect")?;
    let mut builder = Builder::new(dialect, "0200".parse::<Mti>()?);
    builder
        .set(2, "4111111111111111")?
        .set(3, "000000")?
        .set(4, "000000001250")?
        .set(11, "000042")?
        .set(14, "2812")?
        .set(22, "051")?
        .set(25, "00")?
        .set(41, "10000001")?
        .set(42, "102310060500000")?
        .set(49, "156")?;
    builder.set_parts(
        55,
        &[
            ("9F26", Content::Text("A1B2C3D4E5F60708")),
            ("9F02", Content::Text("000000001250")),
            ("9F36", Content::Text("001B")),
        ],
    )?;
    builder.set_parts(
        60,
        &[("1", Content::Text("22")), ("2", Content::Text("000001")), ("3", Content::Text("000"))],
    )?;

    // A value is checked when it is set; the builder stays as it was.
    if let Err(error) = builder.set(11, "42") {
        println!("refused: {error}");
    }

    let mut body = Vec::new();
    // A real one is computed with the session's key: see the example `mac`.
    builder.build_with_mac(&mut body, 64, |bytes| (bytes.len() as u64).to_be_bytes())?;
    // Whoever shows bytes hides the card numbers in them.
    println!("{}", mask::hex_scrubbed(&body));

    let mut frame = Vec::new();
    let framing: Framing = "len2-tpdu-header".parse()?;
    let tpdu = "6000030000".parse()?;
    let header = "603100310001".parse()?;
    framing.encode(
        &mut frame,
        &Frame { tpdu: Some(tpdu), header: Some(header), body: &body, ..Frame::default() },
    )?;
    println!("{} bytes in a frame of {}", body.len(), frame.len());

    // Nothing is allocated for the next one.
    body.clear();
    builder.clear("0820".parse()?).set(11, "000043")?.set(41, "10000001")?.set(60, "00000001301")?;
    builder.build_into(&mut body)?;
    let echo = Message::parse(dialect, &body)?;
    println!("{echo:?}");

    let mut reply = Builder::reply_to(&echo, &[11, 41, 60])?;
    reply.set(39, "00")?;
    println!("{:?}", Message::parse(dialect, &reply.build()?)?);
    Ok(())
}

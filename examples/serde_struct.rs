//! A message as a struct of your own: reading, answering, and what an error says.
//!
//! `cargo run -p tms-examples --example serde_struct`

use iso8583::{Builder, Dialect, Message, to_builder};
use serde::{Deserialize, Serialize};

/// A sale as a terminal sends it. Names are field numbers; what is not named is passed over.
#[derive(Debug, Deserialize, Serialize)]
struct Sale<'a> {
    mti: &'a str,
    #[serde(rename = "3")]
    processing_code: &'a str,
    /// In minor units; written as twelve digits.
    #[serde(rename = "4")]
    amount: u64,
    #[serde(rename = "11")]
    trace: u32,
    /// A signed amount: `C` in the message is positive here, `D` negative.
    #[serde(rename = "28")]
    fee: Option<i64>,
    #[serde(rename = "41")]
    terminal: &'a str,
}

/// What the reply adds to the fields that it repeats.
#[derive(Debug, Deserialize, Serialize)]
struct Answer {
    #[serde(rename = "38")]
    authorization: Option<String>,
    #[serde(rename = "39")]
    response: Response,
}

/// The text of a value is the name of its variant.
#[derive(Debug, Deserialize, Serialize)]
enum Response {
    #[serde(rename = "00")]
    Approved,
    #[serde(rename = "51")]
    InsufficientFunds,
    #[serde(untagged)]
    Other(String),
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dialect = Dialect::builtin("iso87-ascii").ok_or("no such dialect")?;
    let sale = Sale {
        mti: "0200",
        processing_code: "000000",
        amount: 1_250,
        trace: 42,
        fee: Some(-30),
        terminal: "TERM0001",
    };
    let bytes = to_builder(dialect, &sale)?.build()?;
    println!("{}", String::from_utf8_lossy(&bytes));

    // The strings of `read` are those of the message: nothing was copied.
    let message = Message::parse(dialect, &bytes)?;
    let read: Sale = message.deserialize()?;
    println!("{read:?}");

    let answer = if read.amount < 100_000 {
        Answer { authorization: Some("A00042".to_owned()), response: Response::Approved }
    } else {
        Answer { authorization: None, response: Response::InsufficientFunds }
    };
    let reply = Builder::reply_to(&message, &[3, 4, 11, 41])?.serialize(&answer)?.build()?;
    let reply = Message::parse(dialect, &reply)?;
    println!("{reply:?}");
    match reply.deserialize::<Answer>()?.response {
        Response::Approved => println!("approved"),
        Response::InsufficientFunds => println!("not enough money"),
        Response::Other(code) => println!("refused with {code}"),
    }

    // What does not fit is named, and its value is not shown.
    #[derive(Debug, Deserialize)]
    struct Numbered {
        #[serde(rename = "41")]
        terminal: u32,
    }
    match message.deserialize::<Numbered>() {
        Ok(Numbered { terminal }) => println!("terminal {terminal}"),
        Err(error) => println!("{error}"),
    }
    // A field that the message does not carry is named, too.
    if let Err(error) = message.deserialize::<Answer>() {
        println!("{error}");
    }
    Ok(())
}

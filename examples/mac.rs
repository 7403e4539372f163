//! The MAC of a UnionPay message: the session's MAC key taken from a sign-on reply, DE64 computed
//! over the message that is sent, and checked on the bytes that arrive.
//!
//! ```text
//! cargo run -p tms-examples --example mac
//! ```

use std::error::Error;

use iso8583::{Builder, Dialect, Message, Mti};
use tms_crypto::{
    keyblock::{Tmk, unwrap_working_keys},
    mac::{Code, MacAlgorithm, MacForm, MacKey},
};

/// DE62 of a sign-on reply with DE60.3 = 003, and the terminal master key that opens it.
const KEY_BLOCK: &str = "46F161A743497B32EAC760DF5EA57DF5900ECCE3977731A7EA402DDF0000000000000000CFF1592A";
const TMK: &str = "258FB0AB70D025CDB99DF2C4D302D646";

fn main() -> Result<(), Box<dyn Error>> {
    let tmk = Tmk::from_hex(TMK).ok_or("the master key is not 32 hexadecimal digits")?;
    let key = unwrap_working_keys(&tmk, &hex::decode(KEY_BLOCK)?)?.mac_key(MacAlgorithm::UnionPayEcb)?;
    println!("{key:?}");

    let mut sent = Vec::new();
    // The MAC covers the final bytes before it, its own bit in the bitmap included.
    let mut mac = Ok(Code::default());
    echo()?.build_with_mac(&mut sent, 64, |covered| {
        mac = key.sign(MacForm::Hex8, covered);
        mac.unwrap_or_default()
    })?;
    println!("sent     {}, DE64 {}", hex::encode(&sent), String::from_utf8_lossy(&mac?));

    println!("arrived  {}", verdict(&key, &sent)?);
    // DE41 and DE42 altered on the way.
    let mut changed = sent.clone();
    changed.iter_mut().filter(|byte| **byte == b'1').for_each(|byte| *byte = b'7');
    println!("altered  {}", verdict(&key, &changed)?);
    Ok(())
}

/// A UnionPay echo (0820, DE60.3 = 301).
fn echo() -> Result<Builder<'static>, Box<dyn Error>> {
    let dialect = Dialect::builtin("unionpay").ok_or("the dialect is built in")?;
    let mut builder = Builder::new(dialect, "0820".parse::<Mti>()?);
    builder.set(41, "10000001")?.set(42, "102310060510002")?.set(60, "00000001301")?;
    Ok(builder)
}

/// What a receiver makes of a message. The check runs over the bytes as they came: parsing them and
/// building them again could mend what was broken.
fn verdict(key: &MacKey, received: &[u8]) -> Result<String, Box<dyn Error>> {
    let dialect = Dialect::builtin("unionpay").ok_or("the dialect is built in")?;
    let message = Message::parse(dialect, received)?;
    let de64 = message.bytes(64).ok_or("no MAC")?;
    let covered = received.strip_suffix(de64).ok_or("DE64 is not the last field")?;
    Ok(match key.verify(MacForm::Hex8, covered, de64) {
        Ok(proof) => format!("authentic, {} bytes covered", proof.data().len()),
        Err(error) => format!("refused: {error}"),
    })
}

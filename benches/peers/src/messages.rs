//! The reference messages, which are kept beside the project.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

/// A message as fields and as bytes. It lives as long as the program.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// `"A_0200"`.
    pub name: &'static str,
    /// The message type, four digits.
    pub mti: &'static str,
    /// Number and value of each field in ascending order; bytes are bytes, everything else ASCII.
    pub fields: &'static [(u8, &'static [u8])],
    /// The message in ASCII with hexadecimal bitmaps.
    pub ascii: &'static [u8],
    /// The message with packed digits (or as UnionPay writes it) and binary bitmaps.
    pub packed: &'static [u8],
}

/// The folder of the reference messages: `TMS_VECTORS`, or `shared/vectors` beside the project.
#[must_use]
pub fn folder() -> PathBuf {
    match std::env::var_os("TMS_VECTORS") {
        Some(named) => named.into(),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors"),
    }
}

fn read(name: &str) -> Result<&'static [u8], String> {
    let path = folder().join(name);
    let bytes = std::fs::read(&path).map_err(|error| {
        format!(
            "{}: {error}\nThe reference messages are not part of the project. Name their folder in TMS_VECTORS.",
            path.display()
        )
    })?;
    Ok(bytes.leak())
}

fn json(name: &str) -> Result<Value, String> {
    serde_json::from_slice(read(name)?).map_err(|error| format!("{name}: {error}"))
}

/// The two benchmark messages, `A_0200` and `B_0800`.
///
/// # Errors
///
/// A sentence that names the file that is missing or wrong.
pub fn benchmark() -> Result<Vec<Sample>, String> {
    let listed: BTreeMap<String, BTreeMap<u8, String>> =
        serde_json::from_value(json("fields.json")?).map_err(|error| format!("fields.json: {error}"))?;
    listed
        .into_iter()
        .map(|(name, mut fields)| {
            let mti = fields.remove(&0).ok_or_else(|| format!("{name} has no type"))?;
            let fields: Vec<(u8, &'static [u8])> =
                fields.into_iter().map(|(number, value)| (number, value.into_bytes().leak() as &_)).collect();
            Ok(Sample {
                ascii: read(&format!("{name}.ascii_hexbm.bin"))?,
                packed: read(&format!("{name}.bcd.bin"))?,
                name: name.leak(),
                mti: mti.leak(),
                fields: fields.leak(),
            })
        })
        .collect()
}

/// A real sign-on to UnionPay, `D5` of the reference messages, without the frame around it; with
/// the same fields in ASCII for a codec that knows nothing else.
///
/// # Errors
///
/// As [`benchmark`].
pub fn sign_on() -> Result<Sample, String> {
    const HEADER_BYTES: usize = 2 + 5 + 6;
    let wrong = || "unionpay.json: D5 is not as expected".to_owned();
    let listed = json("unionpay.json")?;
    let d5 =
        listed.as_array().and_then(|all| all.iter().find(|entry| entry["id"] == "D5")).ok_or_else(wrong)?;
    let framed = hex::decode(d5["hex"].as_str().ok_or_else(wrong)?).map_err(|_| wrong())?;
    let packed = framed.get(HEADER_BYTES..).ok_or_else(wrong)?.to_vec().leak();
    let mut fields = Vec::new();
    for (name, value) in d5["fields"].as_object().ok_or_else(wrong)? {
        let (Ok(number), Some(value)) = (name.parse::<u8>(), value.as_str()) else { continue };
        // The only field of bytes is listed in hexadecimal.
        let value =
            if number == 62 { hex::decode(value).map_err(|_| wrong())? } else { value.as_bytes().to_vec() };
        fields.push((number, value.leak() as &'static [u8]));
    }
    fields.sort_unstable();
    let mti: &'static str = d5["fields"]["MTI"].as_str().ok_or_else(wrong)?.to_owned().leak();
    let ascii = ascii(mti, &fields).leak();
    Ok(Sample { name: "D5", mti, fields: fields.leak(), ascii, packed })
}

/// Fields up to 64 in ASCII as ISO 8583:1987 lays them out.
fn ascii(mti: &str, fields: &[(u8, &[u8])]) -> Vec<u8> {
    let bitmap = fields.iter().fold(0u64, |bitmap, (number, _)| bitmap | 1 << (64 - number));
    let mut out = format!("{mti}{bitmap:016X}").into_bytes();
    for (number, value) in fields {
        if *number >= 60 {
            out.extend_from_slice(format!("{:03}", value.len()).as_bytes());
        }
        out.extend_from_slice(value);
    }
    out
}

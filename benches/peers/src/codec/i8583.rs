//! `i8583` 0.1: ASCII with hexadecimal bitmaps.
//!
//! Reading checks lengths only: neither characters, nor the type, nor bytes after the last field.
//! Building takes ownership of the buffer and gives it back.

use std::borrow::Cow;
use std::hint::black_box;
use std::mem;

use i8583::{Packer, Unpacker, v1987};

use super::{case, same_bytes, same_fields, take};
use crate::messages::Sample;
use crate::{Case, Operation};

const NAME: &str = "i8583";

pub(super) fn cases(sample: &Sample) -> Result<Vec<Case>, String> {
    let Sample { fields, ascii, mti, .. } = *sample;
    let mti = mti.as_bytes();

    let mut unpacker = Unpacker::new(ascii);
    let found = unpacker.unpack(&v1987::SPEC)?;
    let found = found.iter().enumerate().skip(2);
    same_fields(NAME, sample, found.filter_map(|(number, value)| Some((number as u8, (*value)?))))?;
    let numbers: &'static [u8] = fields.iter().map(|(number, _)| *number).collect::<Vec<_>>().leak();
    let mut out = Vec::new();
    build(mti, fields, &mut out);
    same_bytes(NAME, sample, ascii, &out)?;

    Ok(vec![
        case(sample, "ascii", Operation::Parse, NAME, move || {
            let mut unpacker = Unpacker::new(black_box(ascii));
            take(unpacker.unpack(&v1987::SPEC).unwrap());
        }),
        case(sample, "ascii", Operation::ParseAndRead, NAME, move || {
            let mut unpacker = Unpacker::new(black_box(ascii));
            for (number, value) in unpacker.unpack(&v1987::SPEC).unwrap().iter().enumerate() {
                if let Some(value) = value {
                    black_box(number);
                    black_box(*value);
                }
            }
        }),
        case(sample, "ascii", Operation::ParseAndGet, NAME, move || {
            let mut unpacker = Unpacker::new(black_box(ascii));
            let found = unpacker.unpack(&v1987::SPEC).unwrap();
            for number in black_box(numbers) {
                black_box(found.get(usize::from(*number)));
            }
        }),
        case(sample, "ascii", Operation::Build, NAME, move || {
            build(mti, black_box(fields), &mut out);
            take(&out);
        }),
    ])
}

fn build(mti: &[u8], fields: &[(u8, &[u8])], out: &mut Vec<u8>) {
    let mut packer = Packer::new(&v1987::SPEC);
    packer.set_field(0, Cow::Borrowed(mti)).unwrap();
    for (number, value) in fields {
        packer.set_field(usize::from(*number), Cow::Borrowed(*value)).unwrap();
    }
    out.clear();
    *out = packer.pack(mem::take(out)).unwrap();
}

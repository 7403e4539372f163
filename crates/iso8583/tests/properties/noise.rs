//! Bytes that are nothing.

use proptest::collection::vec;
use proptest::prelude::*;

use iso8583::{Builder, Dialect, Message, Mti, tlv};

use crate::{dialects, rebuilt};

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn noise_never_panics(bytes in vec(any::<u8>(), 0..300)) {
        for dialect in dialects() {
            if let Ok(message) = Message::parse(dialect, &bytes) {
                prop_assert_eq!(rebuilt(&message), bytes.clone());
            }
            let _ = Message::parse_lenient(dialect, &bytes);
        }
        prop_assert!(tlv::read(&bytes).count() <= bytes.len());
    }

    #[test]
    fn noise_behind_a_type_and_a_bitmap_never_panics(
        bitmap in any::<u64>(),
        rest in vec(prop_oneof![Just(0u8), 0x30u8..0x3A, 0xF0u8..0xFA, any::<u8>()], 0..400),
    ) {
        let hexadecimal = format!("0800{bitmap:016X}").into_bytes();
        let ebcdic = hexadecimal.iter().map(|byte| if *byte < b'A' { byte + 0xC0 } else { byte + 0x80 }).collect();
        let binary = [vec![8, 0], bitmap.to_be_bytes().to_vec()].concat();
        let mixed = [b"0800".to_vec(), bitmap.to_be_bytes().to_vec()].concat();
        for head in [hexadecimal, ebcdic, binary, mixed] {
            let bytes = [head, rest.clone()].concat();
            for dialect in dialects() {
                if let Ok(message) = Message::parse(dialect, &bytes) {
                    prop_assert_eq!(&rebuilt(&message), &bytes);
                }
                if let Ok(lenient) = Message::parse_lenient(dialect, &bytes) {
                    for field in lenient.message.fields() {
                        let _ = (field.to_string(), field.subfields().count());
                    }
                }
            }
        }
    }

    #[test]
    fn text_of_any_bytes_builds_to_the_same_bytes(value in vec(any::<u8>(), 0..60)) {
        let dialect = Dialect::builtin("iso87-binary").unwrap();
        let mut builder = Builder::new(dialect, Mti::new(800).unwrap());
        let allowed = value.iter().all(|byte| *byte >= 0x20 && *byte != 0x7F);
        prop_assert_eq!(builder.set_bytes(63, &value).is_ok(), allowed);
        let bytes = builder.build().unwrap();
        let message = Message::parse(dialect, &bytes).unwrap();
        prop_assert_eq!(message.bytes(63), allowed.then_some(&value[..]));
        prop_assert_eq!(rebuilt(&message), bytes);
    }

    #[test]
    fn dialect_files_never_panic(text in "(\\[(encoding|field|field\\.[0-9]{1,3}|\\[(sensitive|structure)\\])\\]?\n|[a-z0-9_]{1,8} = (\"[a-z0-9.+-]{0,8}\"|\\{ format = \"[nabsz.x+]{1,5}[0-9]{1,4}\" \\})\n){0,8}") {
        let _ = Dialect::from_toml(&format!("name = \"x\"\nextends = \"unionpay\"\n{text}"));
    }
}

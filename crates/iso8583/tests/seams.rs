//! Where two halves of the codec have to say the same: the quick pass and the careful one, building
//! and reading, a field and what is inside of it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use iso8583::{BuildError, Builder, Content, Dialect, Message, Mti, Path};

fn dialect(changes: &str) -> Dialect {
    Dialect::from_toml(&format!("name = \"test\"\nextends = \"iso87-ascii\"\n{changes}")).unwrap()
}

fn refused(changes: &str) -> String {
    Dialect::from_toml(&format!("name = \"test\"\nextends = \"iso87-ascii\"\n{changes}"))
        .unwrap_err()
        .to_string()
}

fn builder(dialect: &Dialect) -> Builder<'_> {
    Builder::new(dialect, Mti::new(800).unwrap())
}

fn built(dialect: &Dialect, number: u8, text: &str) -> Vec<u8> {
    builder(dialect).set(number, text).unwrap().build().unwrap()
}

#[test]
fn a_field_longer_than_any_message_is_not_there() {
    let dialect = dialect("[field]\n55 = { format = \"b40000\", binary = \"hex\" }\n");
    // 80,000 characters on the wire; so many fewer as 16 bits can count.
    let body = [b"08000000000000000200".to_vec(), vec![b'A'; 80_000 - 65_536]].concat();
    assert!(Message::parse(&dialect, &body).is_err());
}

#[test]
fn a_dialect_of_one_bitmap_has_no_field_that_it_cannot_announce() {
    let one = dialect("[encoding]\nbitmaps = \"one\"\n");
    assert_eq!(builder(&one).set(70, "001").unwrap_err(), BuildError::Undefined(70));
    let why = refused("[encoding]\nbitmaps = \"one\"\n[field]\n70 = { format = \"n4\" }\n");
    assert!(why.contains("field 70") && why.contains("above 64"), "{why}");
}

#[test]
fn parts_of_hexadecimal_content_are_set_and_read_as_their_bytes() {
    let dialect = dialect(
        "[field.55]\nformat = \"b8\"\nbinary = \"hex\"\n\
         parts = [{ name = \"a\", format = \"b4\" }, { name = \"b\", format = \"b4\" }]\n",
    );
    let parts = [("1", Content::Text("aabbccdd")), ("2", Content::Text("11223344"))];
    let body = builder(&dialect).set_parts(55, &parts).unwrap().build().unwrap();
    assert_eq!(body, built(&dialect, 55, "aabbccdd11223344"));
    let message = Message::parse(&dialect, &body).unwrap();
    assert_eq!(message.text("55.2").as_deref(), Some("11223344"));
    assert_eq!(message.field(55).unwrap().part(2).as_deref(), Some("11223344"));
}

#[test]
fn signs_and_fillers_inside_of_hexadecimal_are_judged_as_inside_of_bytes() {
    for binary in ["raw", "hex"] {
        let dialect = dialect(&format!(
            "[field.55]\nformat = \"b...100\"\nbinary = \"{binary}\"\nstructure = \"ber-tlv\"\n\
             tags = [{{ tag = \"9F02\", name = \"x\", format = \"x+n8\" }}, {{ tag = \"9F1A\", name = \"n\", format = \"n3\" }}]\n"
        ));
        let parts = [("9F02", Content::Text("C00000012"))];
        let body = builder(&dialect).set_parts(55, &parts).unwrap().build().unwrap();
        let message = Message::parse(&dialect, &body).unwrap();
        assert_eq!(message.amount("55/9F02").unwrap(), Some(12), "{binary}");
        assert!(Message::parse(&dialect, &built(&dialect, 55, "9f1a02f156")).is_err(), "{binary}");
        assert!(Message::parse(&dialect, &built(&dialect, 55, "9f1a020156")).is_ok(), "{binary}");
    }
}

#[test]
fn a_secret_that_is_cut_short_is_not_shown() {
    let dialect = dialect(
        "[field.48]\nformat = \"ans...40\"\nparts = [{ name = \"k\", format = \"ans4\" }, \
         { name = \"pin\", format = \"ans16\", sensitive = \"pin\" }]\n",
    );
    for value in ["ABCD0123456789ABCDEF", "ABCD0123456789ABCDE", "ABCD0"] {
        let body = built(&dialect, 48, value);
        let shown = format!("{:?}", Message::parse(&dialect, &body).unwrap());
        assert!(!shown.contains("ABCD"), "{shown}");
    }
}

#[test]
fn what_is_inside_of_a_key_is_the_key() {
    let dialect = dialect(
        "[field.48]\nformat = \"ans...99\"\nsensitive = \"key\"\nstructure = \"tlv\"\ntag_size = 2\nlength_size = 2\n\
         tags = [{ tag = \"01\", name = \"p\", format = \"ans..40\", sensitive = \"pan\" }]\n",
    );
    let body = built(&dialect, 48, "01164111111111111111");
    let message = Message::parse(&dialect, &body).unwrap();
    assert_eq!(message.get("48/01").unwrap().to_string(), iso8583::MASK);
}

#[test]
fn conditions_hold_for_text_beyond_ascii() {
    let dialect = dialect(
        "[encoding]\ntext = \"ebcdic-1047\"\n[field]\n44 = { format = \"ans..25\" }\n45 = { format = \"ans..25\", text = \"ascii\" }\n\
         [[sensitive]]\nfield = 48\nwhen = { path = \"44\", values = [\"é\"] }\nkind = \"pin\"\n\
         [[sensitive]]\nfield = 46\nwhen = { path = \"45\", values = [\"\\\\xB2\\\\xE2\"] }\nkind = \"pin\"\n",
    );
    let mut builder = builder(&dialect);
    builder.set(44, "é").unwrap().set(45, "\\xB2\\xE2").unwrap();
    builder.set(46, "secret46").unwrap().set(48, "secret48").unwrap();
    let body = builder.build().unwrap();
    let shown = format!("{:?}", Message::parse(&dialect, &body).unwrap());
    assert!(!shown.contains("secret"), "{shown}");
}

#[test]
fn a_sign_is_of_the_character_set_of_its_digits() {
    for (digits, text, sign) in [("ascii", "ebcdic-037", b'C'), ("ebcdic", "ascii", 0xC3)] {
        let dialect = dialect(&format!(
            "[field]\n28 = {{ name = \"fee\", format = \"x+n8\", digits = \"{digits}\", text = \"{text}\" }}\n"
        ));
        let body = built(&dialect, 28, "C00000012");
        assert_eq!(body[20], sign);
        assert_eq!(Message::parse(&dialect, &body).unwrap().amount("28").unwrap(), Some(12));
    }
}

#[test]
fn parts_that_could_not_be_read_are_not_built() {
    let dialect = dialect(
        "[field.55]\nformat = \"b...100\"\nbinary = \"raw\"\nstructure = \"ber-tlv\"\ntags = \"emv\"\n\
         [field.48]\nformat = \"b...40\"\nbinary = \"raw\"\nstructure = \"tlv\"\ntag_size = 2\nlength_size = 2\n\
         tags = [{ tag = \"01\", name = \"n\", format = \"n..6\", digits = \"bcd-right\" }]\n",
    );
    let inside = [("9F37", Content::Text("01020304"))];
    let error = builder(&dialect).set_parts(55, &[("9F06", Content::Parts(&inside))]).unwrap_err();
    assert!(matches!(error, BuildError::NoPart { field: 55, .. }), "{error}");

    let five = [("DF01", Content::Text("01"))];
    let four = [("E1", Content::Parts(&five))];
    let three = [("E1", Content::Parts(&four))];
    let two = [("E1", Content::Parts(&three))];
    let one = [("E1", Content::Parts(&two))];
    assert_eq!(builder(&dialect).set_parts(55, &one).unwrap_err(), BuildError::TooDeep(55));
    let body = builder(&dialect).set_parts(55, &two).unwrap().build().unwrap();
    assert!(Message::parse(&dialect, &body).is_ok());

    // Three packed digits in two bytes would be read as four.
    assert!(builder(&dialect).set_parts(48, &[("01", Content::Text("123"))]).is_err());
    let body = builder(&dialect).set_parts(48, &[("01", Content::Text("1234"))]).unwrap().build().unwrap();
    assert_eq!(Message::parse(&dialect, &body).unwrap().text("48/01").as_deref(), Some("1234"));
}

#[test]
fn a_sign_is_never_taken_for_filler() {
    let dialect = dialect(
        "[field]\n48 = { format = \"x+n..9\", unit = \"bytes\", digits = \"bcd-left\", pad = \"D\" }\n\
         60 = { format = \"n..11\", unit = \"bytes\", digits = \"bcd-left\", pad = \"F\" }\n",
    );
    let body = built(&dialect, 48, "D");
    assert_eq!(Message::parse(&dialect, &body).unwrap().text("48").as_deref(), Some("D"));
    let twelve = [b"0800000000000000001006".as_slice(), &[0x12; 6]].concat();
    let error = Message::parse(&dialect, &twelve).unwrap_err().to_string();
    assert!(error.contains("12 where at most 11"), "{error}");
}

#[test]
fn faults_inside_of_a_field_name_the_subfield_and_where_it_begins() {
    let dialect = dialect(
        "[field.47]\nformat = \"ans...300\"\nstructure = \"tlv\"\ntag_size = 3\nlength_size = 2\ntags = []\n\
         [field.127]\nformat = \"ans......5000\"\nstructure = \"bitmapped\"\nbitmap = \"hex\"\n\
         [field.127.field]\n3 = { name = \"x\", format = \"ans...10\" }\n",
    );
    let error = Message::parse(&dialect, &built(&dialect, 47, "00")).unwrap_err();
    assert_eq!(error.to_string(), "field 47 at byte 23: 3 bytes are needed and 2 are left");
    let error = Message::parse(&dialect, &built(&dialect, 127, "2000000000000000999")).unwrap_err();
    assert!(matches!(error.path(), Path::Sub(_)) && error.path().to_string() == "field 127.3", "{error}");
}

//! What a dialect file may say, and what is said about a wrong one.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use iso8583::{
    Align, Binary, Builder, Charset, Dialect, Digits, FieldFormat, Fill, LengthEncoding, Message,
    Sensitivity, Structure, Unit,
};

fn refused(text: &str) -> String {
    Dialect::from_toml(text).unwrap_err().to_string()
}

fn extending(text: &str) -> String {
    refused(&format!("name = \"mine\"\nextends = \"iso87-binary\"\n{text}"))
}

#[test]
fn an_extension_keeps_what_it_does_not_say() {
    let dialect = Dialect::from_toml(
        "name = \"mine\"\nextends = \"unionpay\"\n[field]\n22 = { format = \"n4\" }\n62 = { name = \"Data\" }\n",
    )
    .unwrap();
    let (entry, data, function) =
        (dialect.field(22).unwrap(), dialect.field(62).unwrap(), dialect.field(60).unwrap());
    assert_eq!(entry.notation(), "n4");
    assert_eq!(entry.digits(), Digits::Bcd { align: Align::Left, pad: 0 });
    assert_eq!((data.name(), data.notation().as_str()), ("Data", "b...999"));
    assert_eq!(function.parts().len(), 7);
    assert_eq!(dialect.framing().to_string(), "len2-tpdu-header");
    let mti = "0810".parse().unwrap();
    assert_eq!(dialect.sensitivity_of(62, mti, |_| Some("003")), Sensitivity::Key);
}

#[test]
fn a_changed_encoding_reaches_the_inherited_fields() {
    let dialect =
        Dialect::from_toml("name = \"mine\"\nextends = \"iso87-ascii\"\n[encoding]\nlength = \"binary\"\n")
            .unwrap();
    assert_eq!(dialect.field(48).unwrap().length_encoding(), LengthEncoding::Binary);
    assert_eq!(dialect.field(11).unwrap().digits(), Digits::Ascii);
}

#[test]
fn a_new_format_drops_the_old_parts() {
    let dialect =
        Dialect::from_toml("name = \"m\"\nextends = \"unionpay\"\n[field.60]\nformat = \"n...5\"\n").unwrap();
    assert!(dialect.field(60).unwrap().parts().is_empty());
    // The inherited rule about field 62 can no longer ask for 60.3, so it always holds.
    let mti = "0810".parse().unwrap();
    assert_eq!(dialect.sensitivity_of(62, mti, |_| None::<&str>), Sensitivity::Key);
}

#[test]
fn own_rules_decide_before_inherited_ones() {
    let dialect = Dialect::from_toml(
        "name = \"m\"\nextends = \"unionpay\"\n[[sensitive]]\nfield = 62\nmti = [\"0810\"]\nkind = \"none\"\n",
    )
    .unwrap();
    let mti = "0810".parse().unwrap();
    assert_eq!(dialect.sensitivity_of(62, mti, |_| Some("003")), Sensitivity::None);
}

#[test]
fn errors_name_line_field_and_reason() {
    assert_eq!(
        extending("[field]\n11 = { format = \"n6\" }\n60 = { format = \"q6\" }"),
        "line 5, field 60: `q6` begins with no known class; use one of n a an as ns anp ans s z x+n b"
    );
    assert_eq!(
        extending("[field.60]\nformat = \"n...17\"\ndigits = \"packed\""),
        "line 5, field 60: `digits` is `packed` and may be one of ascii, ebcdic, bcd-left, bcd-right"
    );
    assert_eq!(
        extending("[field]\n129 = { format = \"n6\" }"),
        "line 4, field 129: fields above 128 need a `third_bitmap` under [encoding]"
    );
    assert_eq!(
        extending("[field]\n011 = { format = \"n6\" }"),
        "line 4, field 011: fields are numbered 2 to 128"
    );
    assert_eq!(
        extending("[field.60]\nformat = \"n...9\"\nparts = [{ name = \"a\", format = \"n10\" }]"),
        "line 5, field 60.1: the parts so far take 10 characters and the field has 9"
    );
    assert_eq!(
        extending(
            "[field.60]\nparts = [{ name = \"a\", format = \"n..9\" }, { name = \"b\", format = \"n1\" }]"
        ),
        "line 4, field 60.1: only the last part may have a variable length"
    );
    assert_eq!(extending("[field.2]\npad = \"FF\""), "line 4, field 2: `pad` is one hexadecimal digit");
    assert_eq!(
        extending("[field.2]\nsensitive = \"secret\""),
        "line 4, field 2: `sensitive` is `secret` and may be one of none, pan, track, pin, key, private"
    );
    assert_eq!(
        extending("[field.32]\nunit = \"bytes\""),
        "line 3, field 32: needs an even maximum, because its length counts bytes"
    );
    assert_eq!(
        extending("[field.55]\nbinary = \"hex\"\nunit = \"bytes\""),
        "line 3, field 55: can be 1998 long, more than 3 digits of length can say"
    );
}

#[test]
fn unknown_keys_are_refused_where_they_stand() {
    let format = "line 4, field 60: unknown key `fromat`; did you mean `format`?";
    assert_eq!(extending("[field]\n60 = { fromat = \"n6\" }"), format);
    assert_eq!(extending("[field.60]\nfromat = \"n6\""), format);
    assert_eq!(
        extending("colour = \"red\""),
        "line 3: unknown key `colour`; there are name, extends, framing, encoding, field, sensitive, structure"
    );
    assert_eq!(
        extending("[encoding]\nmti = 5"),
        "line 4: `mti` is text in quotes, and this is a TOML integer"
    );
}

#[test]
fn broken_toml_names_its_line() {
    assert!(extending("[field").starts_with("line 3"), "{}", extending("[field"));
    let twice = extending("[field]\n11 = { format = \"n6\" }\n11 = { format = \"n6\" }");
    assert!(twice.starts_with("line 5, field 11: duplicate key"), "{twice}");
}

#[test]
fn rules_are_checked_against_the_dialect() {
    assert_eq!(
        extending("[[sensitive]]\nfield = 48\nmti = [\"08\"]\nkind = \"key\""),
        "line 5, field 48: `08`: a message type is four decimal digits, such as 0800"
    );
    assert_eq!(
        extending("[[sensitive]]\nfield = 48\nwhen = { path = \"60.3\", values = [] }\nkind = \"key\""),
        "line 5, field 48: `60.3` is no field or part of the dialect"
    );
    assert!(extending("[[sensitive]]\nfield = 1\nkind = \"key\"").contains("no such field"));
}

#[test]
fn a_dialect_needs_a_name_and_all_encodings_or_a_base() {
    assert_eq!(refused("extends = \"unionpay\""), "the file needs a `name`");
    assert_eq!(refused("name = \"x\""), "the file needs `mti` under [encoding], or an `extends`");
    assert_eq!(
        refused("name = \"x\"\nextends = \"iso87-asci\""),
        "line 2: `iso87-asci` is no dialect that can be extended; there are unionpay, iso87-ascii, iso87-binary, \
         iso93-ascii, iso93-binary, iso93-ebcdic, iso03-binary; did you mean `iso87-ascii`?"
    );
    let framing = refused("name = \"x\"\nextends = \"unionpay\"\nframing = \"len9\"");
    assert!(framing.starts_with("line 3: framing: `len9` is no framing"), "{framing}");
}

/// A whole dialect with one field that takes nearly every key there is.
const EVERY_KEY: &str = r#"
name = "every-key"
framing = "len2"
[encoding]
mti = "ebcdic"
bitmap = "ebcdic-hex"
bitmaps = "always-16-set"
third_bitmap = "leading"
length = "hex"
digits = "ebcdic"
variable_digits = "bcd-left"
text = "ebcdic-1047"
binary = "ebcdic-hex"
[field]
2 = { name = "PAN", format = "n..19", length = "binary", digits = "bcd-left", pad = "f", unit = "bytes", sensitive = "pan" }
7 = { name = "Time", format = "n10", date = "MMDDhhmmss" }
11 = { name = "Trace", format = "n6", fill = "zeros-left" }
22 = { name = "Mode", format = "n3", digits = "bcd-right", pad = "0" }
36 = { name = "Bits", format = "b..40", unit = "digits", binary = "raw" }
41 = { name = "Terminal", format = "ans8", text = "ascii", fill = "spaces-right" }
190 = { name = "Far", format = "as5" }
[field.48]
name = "Tagged"
format = "ans...999"
structure = "ltv"
length_size = 3
tag_size = 2
length_counts = "tag-and-value"
unknown_tags = "refuse"
tags = [{ tag = "P1", name = "One", format = "n..6", sensitive = "key" }]
[field.127]
name = "Nested"
format = "b......9999"
binary = "raw"
structure = "bitmapped"
bitmap = "binary"
[field.127.field.3]
name = "Positions"
format = "ans4"
parts = [{ name = "First", format = "an1" }, { name = "Rest", format = "ns..3" }]
[field.127.field.4]
name = "Objects"
format = "b..90"
binary = "raw"
structure = "ber-tlv"
tags = [{ tag = "DF01", name = "Digits", format = "n..8", digits = "bcd-left", pad = "f" }]
[[structure]]
field = 48
mti = ["1804"]
when = { path = "22", values = ["001", "002"] }
structure = "tlv"
tag_size = 1
length_size = 2
[[sensitive]]
field = 41
mti = ["1804"]
when = { path = "22", values = ["001"] }
kind = "private"
"#;

#[test]
fn every_key_reaches_the_dialect() {
    let dialect = Dialect::from_toml(EVERY_KEY).unwrap();
    let field = |number| dialect.field(number).unwrap();
    assert_eq!(field(2).length_encoding(), LengthEncoding::Binary);
    assert_eq!(field(2).digits(), Digits::Bcd { align: Align::Left, pad: 15 });
    assert_eq!((field(2).unit(), field(36).unit()), (Unit::Bytes, Unit::Digits));
    assert_eq!(field(7).date().map(ToString::to_string).as_deref(), Some("MMDDhhmmss"));
    assert_eq!((field(11).fill(), field(41).fill()), (Fill::Left(b'0'), Fill::Right(b' ')));
    assert_eq!((field(11).digits(), field(41).charset()), (Digits::Ebcdic, Charset::Ascii));
    assert_eq!((field(190).charset(), field(190).notation().as_str()), (Charset::Ebcdic1047, "as5"));
    assert_eq!((field(48).length_encoding(), field(36).binary()), (LengthEncoding::Hex, Binary::Raw));
    let Structure::Ltv { length_len: 3, tag_len: 2, counts_tag: true, tags } = field(48).structure() else {
        panic!("{:?}", field(48).structure());
    };
    assert!(!tags.keep_unknown());
    let (tag, format) = tags.iter().next().unwrap();
    assert_eq!(
        (tag.to_string().as_str(), format.name(), format.sensitivity()),
        ("P1", "One", Sensitivity::Key)
    );
    let Structure::Bitmapped { fields, .. } = field(127).structure() else {
        panic!("{:?}", field(127).structure());
    };
    assert_eq!(fields[1].as_ref().unwrap().parts()[1].name(), "Rest");
    assert!(
        matches!(fields[2].as_ref().unwrap().structure(), Structure::BerTlv(tags) if tags.keep_unknown())
    );
    // What is below the field may be extended as the field itself.
    let extended = "name = \"x\"\nextends = \"base\"\n[field.127.field.3]\nname = \"Other\"\n\
                    [field.127.field.5]\nname = \"New\"\nformat = \"n3\"\n";
    let extended = Dialect::from_toml_with(extended, |_| Some(EVERY_KEY.to_owned())).unwrap();
    let Structure::Bitmapped { fields, .. } = extended.field(127).unwrap().structure() else { panic!() };
    assert_eq!(
        fields.iter().flatten().map(FieldFormat::name).collect::<Vec<_>>(),
        ["Other", "Objects", "New"]
    );
}

#[test]
fn everything_that_is_wrong_is_said_in_the_order_of_the_file() {
    let text = "name = \"x\"\nextends = \"iso87-binary\"\n[field]\n3 = { format = \"q6\" }\n\
                7 = { digits = \"bcd_right\", date = \"YY\" }\n41 = { fill = \"zeros\" }\n200 = { name = \"x\" }\n";
    let errors = Dialect::check_toml(text, |_| None).unwrap_err();
    let told: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "line 4, field 3: `q6` begins with no known class; use one of n a an as ns anp ans s z x+n b",
            "line 5, field 7: `digits` is `bcd_right` and may be one of ascii, ebcdic, bcd-left, bcd-right; \
             did you mean `bcd-right`?",
            "line 5, field 7: the date has 2 digits and the field is n10",
            "line 6, field 41: `fill` is `zeros` and may be one of none, zeros-left, spaces-left, zeros-right, \
             spaces-right",
            "line 7, field 200: fields are numbered 2 to 128",
        ]
    );
    assert_eq!(errors[1].key(), Some("digits"));
}

#[test]
fn structures_are_checked() {
    let field = |keys: &str| extending(&format!("[field.48]\n{keys}"));
    for (keys, why) in [
        ("structure = \"tlvs\"", "did you mean `tlv`?"),
        ("structure = \"ber-tlv\"", "so the field is of class b"),
        ("tags = \"emv\"", "needs a `structure`"),
        ("structure = \"tlv\"\nlength_size = 2", "needs a `tag_size`"),
        ("structure = \"tlv\"\ntag_size = 9\nlength_size = 2", "`tag_size` is a number from 1 to 8"),
        ("structure = \"tlv\"\ntag_size = 2\nlength_size = 2\ntags = \"emv\"", "for ber-tlv"),
        (
            "structure = \"tlv\"\ntag_size = 2\nlength_size = 2\nlength_counts = \"value\"",
            "has no meaning for `structure = \"tlv\"`",
        ),
        ("structure = \"tag-table\"\ntag_size = 2", "needs its `tags`"),
        (
            "structure = \"tag-table\"\ntag_size = 2\nunknown_tags = \"keep\"\ntags = []",
            "cannot keep unknown tags",
        ),
        (
            "structure = \"tag-table\"\ntag_size = 2\ntags = [{ tag = \"1\", name = \"x\", format = \"n1\" }]",
            "has not the 2 characters",
        ),
        (
            "structure = \"tag-table\"\ntag_size = 1\ntags = [{ tag = \"1\", name = \"x\", format = \"n1\" }, { tag = \"1\", name = \"y\", format = \"n1\" }]",
            "field 48/1: the tag stands twice",
        ),
        (
            "structure = \"tlv\"\ntag_size = 1\nlength_size = 1\ntags = [{ name = \"x\", format = \"n1\" }]",
            "needs a `tag`",
        ),
        ("structure = \"bitmapped\"", "needs its fields"),
        ("structure = \"bitmapped\"\n[field.48.field.1]\nname = \"x\"\nformat = \"n1\"", "numbered 2 to 128"),
        ("parts = []", "at least one of `parts`"),
        (
            "parts = [{ name = \"x\", format = \"n3\", digits = \"ascii\" }]",
            "field 48.1: `digits` has no meaning here",
        ),
        ("parts = [{ name = \"x\" }]", "field 48.1: needs a `format`"),
    ] {
        let error = field(keys);
        assert!(error.contains(why), "{keys}\n{error}");
        assert!(error.starts_with("line "), "{error}");
    }
    let b = |keys: &str| extending(&format!("[field.55]\n{keys}"));
    let tag = "structure = \"ber-tlv\"\ntags = [{ tag = \"9F\", name = \"x\", format = \"b1\" }]";
    assert!(b(tag).contains("`9F` is not the hexadecimal digits of a BER tag"), "{}", b(tag));
    assert!(b("structure = \"ber-tlv\"\ntags = \"emw\"").contains("did you mean `emv`?"));
    assert!(extending("[[structure]]\nfield = 62").contains("needs a `structure`"));
    assert!(extending("[[structure]]\nstructure = \"none\"").contains("needs a `field`"));
    assert!(
        extending("[[structure]]\nfield = 62\nwhen = { path = \"61.9\", values = [] }\nstructure = \"none\"")
            .contains("`61.9` is no field or part")
    );
}

#[test]
fn fields_within_fields_end_at_a_depth_of_four() {
    let nested = |depth: usize| {
        let mut text =
            String::from("name = \"deep\"\nextends = \"iso93-ascii\"\n[encoding]\nbinary = \"raw\"\n");
        let mut path = String::from("field.127");
        for _ in 0..depth {
            text += &format!("[{path}]\nname = \"x\"\nformat = \"b...999\"\nstructure = \"bitmapped\"\n");
            path += ".field.2";
        }
        text + &format!("[{path}]\nname = \"x\"\nformat = \"n1\"\n")
    };
    assert!(Dialect::from_toml(&nested(4)).is_ok(), "{:?}", Dialect::from_toml(&nested(4)));
    assert!(refused(&nested(5)).contains("fields may stand 4 deep"), "{}", refused(&nested(5)));
    assert!(refused(&nested(20)).contains("fields may stand 4 deep"));
}

#[test]
fn a_file_is_bounded() {
    let long = format!("name = \"x\"\nextends = \"unionpay\"\n# {}", "x".repeat(1 << 20));
    assert!(refused(&long).contains("may have 1048576"), "{}", refused(&long));
    let tags = "{ tag = \"1\", name = \"x\", format = \"n1\" },".repeat(1001);
    let many = format!("[field.48]\nstructure = \"tlv\"\ntag_size = 1\nlength_size = 1\ntags = [{tags}]");
    assert!(extending(&many).contains("a file may name 1000 tags"));
    let set = "structure = \"ber-tlv\"\ntags = \"emv\"\n";
    let sets: String = (1..=190).map(|_| format!("[[structure]]\nfield = 120\n{set}")).collect();
    assert!(extending(&sets).contains("may have 20000 fields and tags inside of fields"));
    // Neither garbage nor long keys take long, nor say more than anybody reads.
    for wrong in ["=\n".repeat(300_000), format!("{} = 1\n", "k".repeat(1_000_000)), "x.".repeat(400_000)] {
        let errors = Dialect::check_toml(&wrong, |_| None).unwrap_err();
        assert!(errors.len() <= 100, "{}", errors.len());
    }
    let rules = "[[sensitive]]\nfield = 48\nkind = \"key\"\n".repeat(201);
    assert!(extending(&rules).contains("there may be 200 [[sensitive]] tables"));
}

#[test]
fn fields_above_128_need_a_third_bitmap() {
    let field = "[field.130]\nname = \"x\"\nformat = \"n3\"";
    assert!(extending(field).contains("need a `third_bitmap`"));
    let with =
        format!("name = \"x\"\nextends = \"iso87-binary\"\n[encoding]\nthird_bitmap = \"field-65\"\n{field}");
    assert_eq!(Dialect::from_toml(&with).unwrap().field(130).unwrap().notation(), "n3");
    let without = with.replace("third_bitmap", "bitmaps = \"one\"\nthird_bitmap");
    assert!(refused(&without).contains("needs a second bitmap"), "{}", refused(&without));
}

#[test]
fn files_may_extend_files() {
    let files = |name: &str| {
        Some(match name {
            "middle.toml" => {
                "name = \"middle\"\nextends = \"base.toml\"\n[field]\n48 = { format = \"n...9\" }\n"
                    .to_owned()
            }
            "base.toml" => {
                "name = \"base\"\nextends = \"iso93-ascii\"\n[field]\n47 = { name = \"Ours\" }\n".to_owned()
            }
            "circle.toml" => "name = \"circle\"\nextends = \"circle.toml\"\n".to_owned(),
            "broken.toml" => {
                "name = \"broken\"\nextends = \"unionpay\"\n[field]\n48 = { formt = \"n...9\" }\n".to_owned()
            }
            _ => return None,
        })
    };
    let read =
        |base: &str| Dialect::from_toml_with(&format!("name = \"x\"\n\nextends = \"{base}\"\n"), files);
    let dialect = read("middle.toml").unwrap();
    assert_eq!(dialect.name(), "x");
    assert_eq!(dialect.field(48).unwrap().notation(), "n...9");
    assert_eq!(dialect.field(47).unwrap().name(), "Ours");
    assert_eq!(dialect.field(12).unwrap().notation(), "n12");
    assert_eq!(
        read("circle.toml").unwrap_err().to_string(),
        "line 3: in `circle.toml` line 2: `circle.toml` extends itself, through circle.toml"
    );
    assert_eq!(
        read("broken.toml").unwrap_err().to_string(),
        "line 3, field 48: in `broken.toml` line 4: unknown key `formt`; did you mean `format`?"
    );
    assert!(read("nowhere.toml").unwrap_err().to_string().contains("is no dialect that can be extended"));
    let tower = |name: &str| Some(format!("name = \"t\"\nextends = \"{name}x\"\n"));
    let deep = Dialect::from_toml_with("name = \"x\"\nextends = \"t\"", tower).unwrap_err();
    assert!(deep.to_string().contains("4 deep"), "{deep}");
}

#[test]
fn an_inherited_structure_that_no_longer_fits_is_dropped() {
    let dialect = "name = \"m\"\nextends = \"unionpay\"\n[field]\n62 = { format = \"n...20\" }\n";
    let dialect = Dialect::from_toml(dialect).unwrap();
    let mut builder = Builder::new(&dialect, "0820".parse().unwrap());
    builder.set(60, "00000001362").unwrap().set(62, "1234567").unwrap();
    let bytes = builder.build().unwrap();
    assert_eq!(Message::parse(&dialect, &bytes).unwrap().text("62").as_deref(), Some("1234567"));
    // The dialect that it extends has a table there, in which 12 is a tag.
    let builtin = Dialect::builtin("unionpay").unwrap();
    let error = Message::parse(builtin, &bytes).unwrap_err();
    assert_eq!(error.path().field(), Some(62));
}

#[test]
fn every_field_of_every_builtin_dialect_has_a_comment() {
    for name in Dialect::builtin_names() {
        let text = Dialect::builtin_toml(name).unwrap();
        let mut above = "";
        for line in text.lines() {
            let number = line.split(" = {").next().unwrap_or_default();
            if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
                let after = line.rsplit_once('}').unwrap().1.trim_start();
                assert!(after.starts_with("# ") || above.starts_with("# "), "{name}: {line}");
            }
            if line.starts_with("[field.") && !line.contains(".field]") {
                assert!(above.starts_with("# "), "{name}: {line}");
            }
            above = line;
        }
    }
}

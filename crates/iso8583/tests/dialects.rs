//! What a dialect file may say, and what is said about a wrong one.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use iso8583::{Align, Dialect, Digits, LengthEncoding, Sensitivity};

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
        "line 5, field 60: `digits` is `packed` and may be one of ascii, bcd-left, bcd-right"
    );
    assert_eq!(
        extending("[field]\n129 = { format = \"n6\" }"),
        "line 4, field 129: fields are numbered 2 to 192"
    );
    assert_eq!(
        extending("[field]\n011 = { format = \"n6\" }"),
        "line 4, field 011: fields are numbered 2 to 192"
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
        "line 4, field 2: `secret` is no kind of secret; use one of none, pan, track, pin, key, private"
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
    let error = extending("[field]\n60 = { fromat = \"n6\" }");
    assert!(error.starts_with("line 4, field 60: unknown field `fromat`"), "{error}");
    let error = extending("[field.60]\nfromat = \"n6\"");
    assert!(error.starts_with("line 4, field 60: unknown field `fromat`"), "{error}");
    let error = extending("colour = \"red\"");
    assert!(error.starts_with("line 3: unknown field `colour`"), "{error}");
    let error = extending("[encoding]\nmti = 5");
    assert!(error.starts_with("line 4: invalid type"), "{error}");
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
    assert_eq!(refused("name = \"x\""), "the file needs `length` under [encoding], or an `extends`");
    assert_eq!(
        refused("name = \"x\"\nextends = \"iso88\""),
        "line 2: `iso88` is no dialect that can be extended; there are unionpay, iso87-ascii, iso87-binary"
    );
    let framing = refused("name = \"x\"\nextends = \"unionpay\"\nframing = \"len3\"");
    assert!(framing.starts_with("line 3: framing: `len3` is no framing"), "{framing}");
}

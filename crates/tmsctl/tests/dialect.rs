//! `tmsctl dialect`: listing, showing, checking and importing.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::fs;

use common::tmsctl;

#[test]
fn the_builtin_dialects_are_listed_with_their_versions() {
    let run = tmsctl(&["dialect", "list"]);
    assert_eq!(run.code, 0, "{}", run.err);
    for (name, version) in [("unionpay", "1987"), ("iso93-ebcdic", "1993"), ("iso03-binary", "2003")] {
        let row = run.out.lines().find(|line| line.contains(name)).unwrap();
        assert!(row.contains(version), "{row}");
    }
}

#[test]
fn a_field_is_shown_with_what_is_inside_it_in_each_message() {
    let run = tmsctl(&["dialect", "show", "unionpay", "62"]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.out.contains("field 62 in 0820 where 60.3 is 362: tag-table"), "{}", run.out);
    assert!(run.out.lines().any(|line| line.contains("62/14") && line.contains("ans14")), "{}", run.out);
    assert!(run.out.lines().any(|line| line.contains("62.2/9F06")), "{}", run.out);

    let json = tmsctl(&["dialect", "show", "unionpay", "60", "--json"]).json();
    assert_eq!(json["fields"]["60"]["structure"], "positional");
    assert_eq!(json["fields"]["60"]["inside"]["60.3"]["format"], "n3");
    assert_eq!(json["framing"], "len2-tpdu-header");
    let all = tmsctl(&["dialect", "show", "iso93-ascii", "--json"]).json();
    assert_eq!(all["fields"].as_object().unwrap().len(), 127);

    let none = tmsctl(&["dialect", "show", "unionpay", "200"]);
    assert_eq!(none.code, 1);
    assert!(none.err.contains("has no field 200"), "{}", none.err);
}

#[test]
fn the_schema_is_json() {
    let schema = tmsctl(&["dialect", "schema"]).json();
    assert_eq!(schema["type"], "object");
}

#[test]
fn check_ends_with_1_and_all_mistakes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.toml");
    fs::write(&path, "name = \"x\"\nextends = \"unionpey\"\n").unwrap();
    let run = tmsctl(&["dialect", "check", path.to_str().unwrap()]);
    assert_eq!(run.code, 1);
    assert!(
        run.err.contains("one thing is wrong") && run.err.contains("did you mean `unionpay`?"),
        "{}",
        run.err
    );
    let none = tmsctl(&["dialect", "check", "/nonexistent.toml"]);
    assert!(none.code == 1 && none.err.contains("cannot be read"), "{}", none.err);
}

#[test]
fn what_is_imported_reads_messages() {
    let folder = tempfile::tempdir().unwrap();
    let (xml, toml) = (folder.path().join("link.xml"), folder.path().join("link.toml"));
    let packager = r#"<isopackager>
        <isofield id="0" length="4" name="Type" class="org.jpos.iso.IFB_NUMERIC"/>
        <isofield id="1" length="16" name="Bitmap" class="org.jpos.iso.IFB_BITMAP"/>
        <isofield id="2" length="19" name="Card" class="org.jpos.iso.IFB_LLNUM"/>
        <isofield id="11" length="6" name="Trace" class="org.jpos.iso.IFB_NUMERIC"/>
        <isofield id="60" length="20" name="Odd" class="com.acme.IF_ODD"/>
    </isopackager>"#;
    fs::write(&xml, packager).unwrap();
    let import = |more: &[&str]| {
        let args =
            ["dialect", "import", "--from", "jpos", xml.to_str().unwrap(), "-o", toml.to_str().unwrap()];
        tmsctl(&[&args[..], more].concat())
    };
    let stopped = import(&[]);
    assert_eq!(stopped.code, 1);
    assert!(stopped.err.contains("field 60: line 6: the class `IF_ODD` has no equal"), "{}", stopped.err);
    assert!(stopped.err.contains("--keep-going") && !toml.exists(), "{}", stopped.err);
    assert_eq!(import(&["--keep-going"]).code, 0);
    let message = "0800 4020000000000000 16 4111111111111111 000042";
    let decoded = tmsctl(&["message", "decode", "--dialect", toml.to_str().unwrap(), "--json", message]);
    assert_eq!(decoded.code, 0, "{}", decoded.err);
    assert_eq!(decoded.json()["fields"]["11"], "000042");
    assert_eq!(decoded.json()["fields"]["2"], "411111******1111");
}

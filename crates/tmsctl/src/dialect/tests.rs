//! Dialect files as the command line takes them.

use std::fs;

use super::{by_name_or_file, check};

#[test]
fn a_file_may_extend_files_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("shared")).unwrap();
    fs::write(path("mine.toml"), "name = \"mine\"\nextends = \"shared/bank.toml\"\n").unwrap();
    // A name in a file is a path from that file.
    fs::write(path("shared/bank.toml"), "name = \"bank\"\nextends = \"switch.toml\"\n").unwrap();
    let switch = "name = \"switch\"\nextends = \"unionpay\"\n[field]\n57 = { name = \"Ours\" }\n";
    fs::write(path("shared/switch.toml"), switch).unwrap();
    let dialect = by_name_or_file(path("mine.toml").to_str().unwrap()).unwrap();
    assert_eq!(dialect.name(), "mine");
    assert_eq!(dialect.field(57).unwrap().name(), "Ours");
}

#[test]
fn check_says_everything_that_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.toml");
    let text = "name = \"wrong\"\nextends = \"unionpay\"\n[field]\n11 = { fromat = \"n6\" }\n12 = { digit = \"ascii\" }\n";
    fs::write(&path, text).unwrap();
    let told = check(&path).unwrap_err().to_string();
    assert!(told.contains("2 things are wrong"), "{told}");
    assert!(told.contains("line 4, field 11: unknown key `fromat`; did you mean `format`?"), "{told}");
    assert!(told.contains("line 5, field 12: unknown key `digit`; did you mean `digits`?"), "{told}");
    fs::write(&path, "name = \"right\"\nextends = \"unionpay\"\n").unwrap();
    check(&path).unwrap();
}

#[test]
fn what_is_neither_name_nor_file_lists_the_names() {
    let error = by_name_or_file("union-pay").unwrap_err().to_string();
    assert!(
        error.contains("neither a built-in dialect nor a file") && error.contains("iso93-ebcdic"),
        "{error}"
    );
}

//! The JSON schema of dialect files says the same as the reader of dialect files.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;

use iso8583::Dialect;

struct Schema {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Schema {
    fn read() -> Self {
        let schema: Value = serde_json::from_str(Dialect::json_schema()).unwrap();
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource("dialect.schema.json", schema).unwrap();
        let index = compiler.compile("dialect.schema.json", &mut schemas).unwrap();
        Self { schemas, index }
    }

    /// What the schema says of a TOML text.
    fn check(&self, text: &str) -> Result<(), String> {
        let table: toml::Table = toml::from_str(text).unwrap();
        let value = serde_json::to_value(table).unwrap();
        self.schemas.validate(&value, self.index).map_err(|error| error.to_string())
    }
}

#[test]
fn every_builtin_dialect_validates() {
    let schema = Schema::read();
    for name in Dialect::builtin_names() {
        schema.check(Dialect::builtin_toml(name).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn what_the_schema_refuses_the_reader_refuses() {
    let schema = Schema::read();
    let base = "name = \"x\"\nextends = \"iso87-binary\"\n";
    let right = format!("{base}[field.48]\nstructure = \"tlv\"\ntag_size = 2\nlength_size = 3\n");
    assert!(schema.check(&right).is_ok() && Dialect::from_toml(&right).is_ok());
    for wrong in [
        "colour = \"red\"",
        "framing = 2",
        "[encoding]\nmti = \"packed\"",
        "[encoding]\nbitmaps = \"two\"",
        "[encoding]\ntext = \"latin-1\"",
        "[field]\n1 = { name = \"Bitmap\" }",
        "[field]\n011 = { format = \"n6\" }",
        "[field]\n193 = { name = \"x\", format = \"n6\" }",
        "[field]\n11 = { fromat = \"n6\" }",
        "[field]\n11 = { format = \"q6\" }",
        "[field]\n11 = { format = \"n0\" }",
        "[field]\n11 = { format = \"n.......6\" }",
        "[field]\n11 = { unit = \"nibbles\" }",
        "[field]\n11 = { pad = \"FF\" }",
        "[field]\n11 = { fill = \"zeros\" }",
        "[field]\n7 = { date = \"DDMO\" }",
        "[field]\n11 = { sensitive = \"secret\" }",
        "[field]\n11 = \"n6\"",
        "[field.48]\nstructure = \"xml\"",
        "[field.48]\nstructure = \"tlv\"\ntag_size = 9\nlength_size = 3",
        "[field.48]\nstructure = \"tlv\"\ntag_size = \"2\"\nlength_size = 3",
        "[field.55]\nstructure = \"ber-tlv\"\ntags = \"visa\"",
        "[field.55]\nstructure = \"ber-tlv\"\ntags = [{ name = \"x\", format = \"b1\" }]",
        "[field.48]\nparts = []",
        "[field.48]\nparts = [{ name = \"x\" }]",
        "[field.48]\nparts = [{ name = \"x\", format = \"n3\", length = \"bcd\" }]",
        "[field.48]\nstructure = \"bitmapped\"\n[field.48.field.1]\nname = \"x\"\nformat = \"n1\"",
        "[[sensitive]]\nfield = 48",
        "[[sensitive]]\nkind = \"key\"",
        "[[sensitive]]\nfield = 48\nmti = [\"08\"]\nkind = \"key\"",
        "[[structure]]\nfield = 62\nstructure = \"none\"\nwhen = { path = \"60.3\" }",
        "[[structure]]\nfield = 62\nkind = \"key\"\nstructure = \"none\"",
    ] {
        let text = format!("{base}{wrong}\n");
        assert!(schema.check(&text).is_err(), "the schema takes\n{wrong}");
        assert!(Dialect::from_toml(&text).is_err(), "the reader takes\n{wrong}");
    }
    for wrong in ["extends = \"unionpay\"", "name = \"x\"", "name = \"\"\nextends = \"unionpay\""] {
        assert!(schema.check(wrong).is_err() && Dialect::from_toml(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_schema_knows_every_word_that_the_reader_knows() {
    // The reader lists the words of a key when it is given a wrong one.
    let schema: Value = serde_json::from_str(Dialect::json_schema()).unwrap();
    let words = |pointer: &str| {
        let list = schema.pointer(pointer).unwrap_or_else(|| panic!("{pointer}")).as_array().unwrap();
        list.iter().map(|word| word.as_str().unwrap().to_owned()).collect::<Vec<_>>().join(", ")
    };
    let told = |text: &str| {
        let error = Dialect::from_toml(&format!("name = \"x\"\nextends = \"iso87-binary\"\n{text}\n"));
        error.unwrap_err().reason().to_owned()
    };
    let structure = "/$defs/field/properties/structure/enum";
    let encoding = |key: &str| format!("/properties/encoding/properties/{key}/enum");
    for (pointer, text) in [
        ("/$defs/length/enum".to_owned(), "[field]\n2 = { length = \"?\" }"),
        ("/$defs/digits/enum".to_owned(), "[field]\n2 = { digits = \"?\" }"),
        ("/$defs/text/enum".to_owned(), "[field]\n2 = { text = \"?\" }"),
        ("/$defs/binary/enum".to_owned(), "[field]\n2 = { binary = \"?\" }"),
        ("/$defs/unit/enum".to_owned(), "[field]\n2 = { unit = \"?\" }"),
        ("/$defs/fill/enum".to_owned(), "[field]\n3 = { fill = \"?\" }"),
        ("/$defs/sensitive/enum".to_owned(), "[field]\n2 = { sensitive = \"?\" }"),
        ("/$defs/bitmap/enum".to_owned(), "[encoding]\nbitmap = \"?\""),
        (structure.to_owned(), "[field.48]\nstructure = \"?\""),
        (encoding("mti"), "[encoding]\nmti = \"?\""),
        (encoding("bitmaps"), "[encoding]\nbitmaps = \"?\""),
        (encoding("third_bitmap"), "[encoding]\nthird_bitmap = \"?\""),
    ] {
        let (told, words) = (told(text), words(&pointer));
        assert!(told.ends_with(&format!("may be one of {words}")), "{told}\n{words}");
    }
}

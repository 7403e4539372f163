//! What the fuzz targets share.
//!
//! A target spends its time in the code it tests: dialects are looked up once, and nothing here
//! allocates for an input that is refused.

pub mod canary;
pub mod cards;
pub mod sessions;
pub mod values;

use std::hint::black_box;
use std::sync::LazyLock;

use iso8583::{Builder, Class, Dialect, Field, FieldFormat, Message, ParseError, Step, Structure};

static DIALECTS: LazyLock<Vec<&'static Dialect>> =
    LazyLock::new(|| Dialect::builtin_names().iter().filter_map(|name| Dialect::builtin(name)).collect());

/// The built-in dialect that an input's first byte chooses.
#[must_use]
pub fn dialect(choice: u8) -> &'static Dialect {
    DIALECTS[usize::from(choice) % DIALECTS.len()]
}

static FORMATS: LazyLock<Vec<Vec<&'static FieldFormat>>> =
    LazyLock::new(|| DIALECTS.iter().map(|dialect| dialect.fields().collect()).collect());

/// The fields of the built-in dialect that an input's first byte chooses.
#[must_use]
pub fn formats(choice: u8) -> &'static [&'static FieldFormat] {
    &FORMATS[usize::from(choice) % FORMATS.len()]
}

/// Checks what holds for every message that strict reading accepts: every field and subfield can
/// be asked for in every form, is found again at its path, and all of them build to `body`.
///
/// # Panics
///
/// When one of these does not hold.
pub fn check_accepted(message: &Message<'_>, body: &[u8]) {
    let mut by_text = Builder::new(message.dialect(), message.mti());
    let mut by_value = Builder::new(message.dialect(), message.mti());
    for field in message.fields() {
        check_field(message, &field);
        by_text.set(field.number(), &field.text()).unwrap();
        by_value.set_bytes(field.number(), &field.value()).unwrap();
    }
    assert_eq!(by_text.build().unwrap(), body, "built from text");
    assert_eq!(by_value.build().unwrap(), body, "built from values");
    assert_eq!(Builder::copy_of(message).build().unwrap(), body, "copied");
}

/// Asks for a field and everything inside it, in every form.
fn check_field(message: &Message<'_>, field: &Field<'_>) {
    // A tag may stand in a field more than once; its path is that of the first.
    if !field.path().steps().iter().any(|step| matches!(step, Step::Tag(_))) {
        let path = field.path().to_string();
        let path = path.strip_prefix("field ").unwrap_or(&path);
        let found = message.get(path).unwrap_or_else(|| panic!("{path} is not found"));
        assert_eq!((found.bytes(), found.text()), (field.bytes(), field.text()), "{path}");
    }
    let (digits, number) = (field.digits().is_ok(), field.u64().is_ok());
    assert!(digits || !number || field.format().class() == Class::Binary, "{} is no number", field.path());
    ask(field);
    black_box((field.str().is_ok(), field.masked().len()));
    for inner in field.subfields() {
        check_field(message, &inner.unwrap_or_else(|error| panic!("strict reading let this pass: {error}")));
    }
}

/// Whether an error is about what is inside a field, and not about the field.
#[must_use]
pub fn is_inside_a_structure(dialect: &Dialect, body: &[u8], error: &ParseError) -> bool {
    let Ok(lenient) = Message::parse_lenient(dialect, body) else { return false };
    let field = error.path().field().and_then(|number| lenient.message.field(number));
    field.is_some_and(|field| !matches!(field.structure(), Structure::None))
}

/// Asks a field, however wrong it may be, for what costs little.
pub fn ask(field: &Field<'_>) {
    black_box((field.amount().is_ok(), field.date().is_ok(), field.u64().is_ok()));
    black_box((field.value().len(), field.sensitivity(), field.step()));
}

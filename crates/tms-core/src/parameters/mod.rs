//! What may be set on a terminal, and to what.
//!
//! There are two built-in tables: [`SCHEMA`], the parameters of a terminal (the names follow the parameter
//! transfer of the UnionPay POS specification; other profiles carry them by name), and [`TMS`], those of the
//! call to a UnionPay TMS. CAPK, AID and card lists are sets of records, not values by name: those who know
//! their records check them where they are published ([`crate::set`]).

mod kind;
mod schema;
mod tms;

#[cfg(test)]
mod tests;

pub use kind::Kind;
pub use schema::SCHEMA;
pub use tms::TMS;

/// One parameter: its name, what values it takes, and what people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Its name in the API and in the store.
    pub name: &'static str,
    /// The values that it takes.
    pub kind: Kind,
    /// The unit of its values, if they have one: `s`, `%`.
    pub unit: Option<&'static str>,
    /// Who may see its values.
    pub sensitivity: Sensitivity,
    /// Its tag on the wire by profile; a profile that is not here carries it by name.
    pub tags: &'static [(&'static str, &'static str)],
    /// English label.
    pub label_en: &'static str,
    /// Chinese label.
    pub label_zh: &'static str,
    /// What it does, in English.
    pub description_en: &'static str,
    /// What it does, in Chinese.
    pub description_zh: &'static str,
    /// Its value on a terminal that nobody has configured, in canonical spelling.
    pub default: &'static str,
}

impl Parameter {
    /// Its tag in a profile; `None` where it goes by name.
    #[must_use]
    pub fn tag(&self, profile: &str) -> Option<&'static str> {
        self.tags.iter().find(|(name, _)| *name == profile).map(|(_, tag)| *tag)
    }
}

/// Who may see the values of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sensitivity {
    /// Whoever may see the terminal.
    Public,
    /// Only whoever may set it; it has a password or a check value in it, is masked everywhere and is in no
    /// error.
    Secret,
}

/// Why a parameter cannot be set so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParameterError {
    /// There is no parameter of this name.
    #[error("there is no parameter {name:?}{}", suggestion_text(*.suggestion, .table))]
    Unknown {
        /// The name that was given, shortened.
        name: String,
        /// The existing name nearest to it, if any is near.
        suggestion: Option<&'static str>,
        /// The parameters that there are.
        table: &'static [Parameter],
    },
    /// The parameter does not take this value.
    #[error("{name} cannot be {value:?}: {rule}")]
    Value {
        /// The parameter.
        name: &'static str,
        /// The value that was given, shortened.
        value: String,
        /// What it takes instead.
        rule: String,
    },
}

/// Finds a parameter of [`SCHEMA`] by its exact name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Parameter> {
    find_in(SCHEMA, name)
}

/// Finds a parameter of a table by its exact name.
#[must_use]
pub fn find_in(table: &'static [Parameter], name: &str) -> Option<&'static Parameter> {
    table.iter().find(|parameter| parameter.name == name)
}

/// Brings a value of [`SCHEMA`] into its canonical spelling: `"045"` becomes `"45"`, `"yes"` becomes `"1"`.
///
/// # Errors
/// An unknown name (with the nearest existing one) or a value that the parameter does not take.
pub fn canonical(name: &str, value: &str) -> Result<String, ParameterError> {
    canonical_in(SCHEMA, name, value)
}

/// Brings a value of a table into its canonical spelling.
///
/// # Errors
/// As [`canonical`].
pub fn canonical_in(table: &'static [Parameter], name: &str, value: &str) -> Result<String, ParameterError> {
    let parameter = known_in(table, name)?;
    parameter.kind.canonical(value).map_err(|rule| ParameterError::Value {
        name: parameter.name,
        value: match parameter.sensitivity {
            Sensitivity::Public => shortened(value),
            Sensitivity::Secret => "***".to_owned(),
        },
        rule,
    })
}

/// Checks a value without keeping its canonical spelling.
///
/// # Errors
/// As [`canonical`].
pub fn validate(name: &str, value: &str) -> Result<(), ParameterError> {
    canonical(name, value).map(drop)
}

/// Checks a name of [`SCHEMA`] alone, for changes that take a parameter away.
///
/// # Errors
/// An unknown name, with the nearest existing one.
pub fn known(name: &str) -> Result<&'static Parameter, ParameterError> {
    known_in(SCHEMA, name)
}

fn known_in(table: &'static [Parameter], name: &str) -> Result<&'static Parameter, ParameterError> {
    find_in(table, name).ok_or_else(|| ParameterError::Unknown {
        name: shortened(name),
        suggestion: nearest(table, name),
        table,
    })
}

fn nearest(table: &'static [Parameter], name: &str) -> Option<&'static str> {
    let name = shortened(name).to_lowercase();
    table
        .iter()
        .map(|parameter| (strsim::jaro_winkler(&name, parameter.name), parameter.name))
        .filter(|(similarity, _)| *similarity > 0.75)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, nearest)| nearest)
}

fn suggestion_text(suggestion: Option<&'static str>, table: &[Parameter]) -> String {
    match suggestion {
        Some(name) => format!("; did you mean {name:?}?"),
        None => {
            let names: Vec<_> = table.iter().map(|parameter| parameter.name).collect();
            format!("; there are {}", names.join(", "))
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}

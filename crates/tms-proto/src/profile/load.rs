//! Reading a profile file, with the built-in profile that it extends.

use serde::Deserialize;
use toml::{Table, Value};

use super::{Profile, file::ProfileFile};
use crate::error::ProfileError;

/// Reads the file; its keys lie over those of the profile that it extends.
///
/// # Errors
/// Names the line of a TOML fault or an unknown key.
pub(super) fn read(text: &str) -> Result<ProfileFile, ProfileError> {
    let mut own: Table = toml::from_str(text).map_err(|e| ProfileError::Toml(Box::new(e)))?;
    let Some(extends) = own.remove("extends") else {
        return toml::from_str(text).map_err(|e| ProfileError::Toml(Box::new(e)));
    };
    let base = extends.as_str().and_then(Profile::builtin_toml).ok_or_else(|| {
        let known = Profile::builtin_names().join(", ");
        invalid("extends", format!("there is no built-in profile {extends}; known are {known}"))
    })?;
    let mut merged: Table = toml::from_str(base).map_err(|e| ProfileError::Toml(Box::new(e)))?;
    lay_over(&mut merged, own);
    ProfileFile::deserialize(Value::Table(merged)).map_err(|error| located(text, &error))
}

/// Tables are merged key by key; everything else is replaced.
fn lay_over(base: &mut Table, own: Table) {
    for (key, value) in own {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(base)), Value::Table(own)) => lay_over(base, own),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// An error of the merged file, with the line of the key that it names.
fn located(text: &str, error: &toml::de::Error) -> ProfileError {
    let reason = error.message().to_owned();
    let key = reason.split('`').nth(1).unwrap_or_default();
    let line = text.lines().position(|line| {
        let line = line.trim_start();
        let header = line.trim_matches(['[', ']']).rsplit('.').next().is_some_and(|last| last == key);
        !key.is_empty()
            && ((line.starts_with('[') && header)
                || line.split('=').next().is_some_and(|left| left.trim().trim_matches('"') == key)
                || line.contains(&format!("\"{key}\"")))
    });
    let place = match line {
        Some(line) => format!("line {}", line.saturating_add(1)),
        None => "the file and what it extends".to_owned(),
    };
    invalid(&place, reason)
}

pub(super) fn invalid(place: &str, reason: String) -> ProfileError {
    ProfileError::Invalid { place: place.to_owned(), reason }
}

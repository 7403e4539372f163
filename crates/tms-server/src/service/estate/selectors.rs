//! Selectors as people give them: a line of the language, or the name of a saved one.

use tms_core::selector::SavedSelector;
use tms_core::{Selector, TemplateName};

use crate::app::App;
use crate::service::ServiceError;

/// Longest description of a saved selector, in bytes.
const MAX_DESCRIPTION_BYTES: usize = 200;

/// The name that no selector can have, because its address is another call.
const RESERVED: &str = "check";

/// What a person means: `@name` is the saved selector of that name, everything else is read.
///
/// # Errors
/// `Selector` where it is not understood; `NoSelector` if none is saved under the name.
pub async fn resolve(app: &App, text: &str) -> Result<Selector, ServiceError> {
    let Some(name) = text.trim().strip_prefix('@') else { return Ok(Selector::parse(text)?) };
    let unknown = || ServiceError::NoSelector(name.chars().take(64).collect());
    let name: TemplateName = name.parse().map_err(|_| unknown())?;
    let saved = app.store.selector(&name).await?.ok_or_else(unknown)?;
    Ok(saved.selector)
}

/// Saves a selector under a name, in place of the one that has it. With `version` only if that is the version of
/// that one; 0 when there must be none. `text` is a line of the language and no name of another one: what is
/// saved does not change behind anybody's back.
///
/// # Errors
/// `Selector` where it is not understood; `Invalid` for the name or description; `Store` if it has another version.
pub async fn save_selector(
    app: &App,
    name: TemplateName,
    text: &str,
    description: String,
    author: String,
    version: Option<u64>,
) -> Result<SavedSelector, ServiceError> {
    if name.as_str() == RESERVED {
        return Err(ServiceError::Invalid(format!(
            "a selector cannot be called {RESERVED}; take another name"
        )));
    }
    if description.len() > MAX_DESCRIPTION_BYTES || description.chars().any(char::is_control) {
        return Err(ServiceError::Invalid(format!(
            "the description has {} bytes; it has at most {MAX_DESCRIPTION_BYTES}, without control characters",
            description.len()
        )));
    }
    let selector = Selector::parse(text)?;
    let saved = SavedSelector { name, selector, description, author, version: 0 };
    Ok(app.store.put_selector(saved, version).await?)
}

/// Forgets a saved selector. With `version` only if that is its version.
///
/// # Errors
/// `Store` if there is none of this name, or it has another version.
pub async fn delete_selector(
    app: &App,
    name: &TemplateName,
    version: Option<u64>,
) -> Result<(), ServiceError> {
    Ok(app.store.delete_selector(name, version).await?)
}

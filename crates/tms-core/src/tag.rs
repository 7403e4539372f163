//! Words that people put on terminals to find them again: `canary`, `region:north`.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{IdError, text_id, within};

/// Most tags of one terminal.
pub const MAX_TAGS: usize = 32;

/// A tag: 1 to 40 lower-case letters, digits, `.`, `_`, `:` or `-`, beginning with a letter or digit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, pattern = r"^[a-z0-9][a-z0-9._:-]{0,39}$", example = "region:north"))]
pub struct Tag(Arc<str>);

text_id!(
    Tag,
    "tag",
    "it has 1 to 40 lower-case letters, digits, '.', '_', ':' or '-', and begins with a letter or digit",
    |text| within(text, 40)
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._:-".contains(&b))
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
);

/// Whether a terminal may have all these tags.
///
/// # Errors
/// When there are more than [`MAX_TAGS`].
pub fn check(tags: &BTreeSet<Tag>) -> Result<(), IdError> {
    if tags.len() <= MAX_TAGS {
        return Ok(());
    }
    Err(IdError::new("set of tags", &format!("{} tags", tags.len()), "a terminal has at most 32"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_a_lower_case_word_with_parts() {
        for good in ["canary", "region:north", "2024-11", "a.b_c"] {
            assert!(good.parse::<Tag>().is_ok(), "{good}");
        }
        for bad in ["", "Canary", ":a", "a b", "标签", &"x".repeat(41)] {
            assert!(bad.parse::<Tag>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_terminal_has_no_more_tags_than_can_be_read() {
        let tags = |n: usize| (0..n).map(|n| format!("t{n}").parse().unwrap()).collect::<BTreeSet<Tag>>();
        assert!(check(&tags(MAX_TAGS)).is_ok());
        assert!(check(&tags(MAX_TAGS + 1)).unwrap_err().to_string().contains("33 tags"));
    }
}

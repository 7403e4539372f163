//! Conditional requests (RFC 9110, section 13): what a caller has seen, and whether it is still so.

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::code::Code;
use super::problem::Problem;

/// Tags that are looked at in one header.
const MAX_TAGS: usize = 16;

/// The tag of a revision; that of something that does not exist is 0.
pub(super) fn revision_tag(revision: u64) -> String {
    format!("\"r{revision}\"")
}

/// The tag of a view that has no revision: what it looks like.
pub(super) fn content_tag(view: &impl Serialize) -> String {
    let bytes = serde_json::to_vec(view).unwrap_or_default();
    let [a, b, c, d, e, f, g, h, ..] = tms_crypto::sha256(&bytes);
    format!("\"{}\"", hex::encode([a, b, c, d, e, f, g, h]))
}

/// A view with its tag, or the word that the caller has it already.
pub(super) fn tagged(headers: &HeaderMap, tag: &str, view: impl Serialize) -> Response {
    let known = tags(headers, &header::IF_NONE_MATCH);
    let mut response = match known.iter().any(|known| *known == "*" || known.trim_start_matches("W/") == tag)
    {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Json(view).into_response(),
    };
    set_tag(&mut response, tag);
    response
}

/// Puts a tag on an answer.
pub(super) fn set_tag(response: &mut Response, tag: &str) {
    if let Ok(value) = HeaderValue::try_from(tag) {
        response.headers_mut().insert(header::ETAG, value);
    }
}

/// What a change asks of the revision before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Nothing is said.
    Nothing,
    /// It must exist.
    Existing,
    /// It must be this one; 0 when there must be none.
    Revision(u64),
}

impl Asked {
    /// The version that something has to have which has to exist in any case; `None` takes any.
    pub(super) fn version(self) -> Option<u64> {
        match self {
            Self::Revision(version) => Some(version),
            Self::Nothing | Self::Existing => None,
        }
    }
}

/// Reads `If-Match` and `If-None-Match: *`.
pub(super) fn asked(headers: &HeaderMap) -> Result<Asked, Problem> {
    let matching = tags(headers, &header::IF_MATCH);
    if matching.contains(&"*") {
        return Ok(Asked::Existing);
    }
    if !matching.is_empty() {
        // A revision has one tag, so that of several at most the newest can be the one.
        let revisions = matching.iter().filter_map(|tag| revision(tag));
        return revisions.max().map(Asked::Revision).ok_or_else(|| {
            Problem::new(Code::PreconditionFailed, "If-Match names no tag that this resource ever had")
        });
    }
    match tags(headers, &header::IF_NONE_MATCH).as_slice() {
        [] => Ok(Asked::Nothing),
        ["*"] => Ok(Asked::Revision(0)),
        _ => Err(Problem::new(Code::PreconditionFailed, "for a change, If-None-Match can only be *")),
    }
}

fn revision(tag: &str) -> Option<u64> {
    tag.strip_prefix("\"r")?.strip_suffix('"')?.parse().ok()
}

fn tags<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Vec<&'h str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|tag| !tag.is_empty())
        .take(MAX_TAGS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_change_says_which_revision_it_is_made_for() {
        let if_match = |value| asked(&headers(header::IF_MATCH, value));
        assert_eq!(asked(&HeaderMap::new()).unwrap(), Asked::Nothing);
        assert_eq!(if_match("*").unwrap(), Asked::Existing);
        assert_eq!(if_match("\"r7\"").unwrap(), Asked::Revision(7));
        assert_eq!(if_match("\"r6\", \"r7\"").unwrap(), Asked::Revision(7));
        for strange in ["7", "\"7\"", "W/\"r7\"", "\"r-1\""] {
            assert_eq!(if_match(strange).unwrap_err().code(), "precondition_failed", "{strange}");
        }
        let none = |value| asked(&headers(header::IF_NONE_MATCH, value));
        assert_eq!(none("*").unwrap(), Asked::Revision(0));
        assert_eq!(none("\"r1\"").unwrap_err().code(), "precondition_failed");
    }

    #[test]
    fn what_the_caller_has_is_not_sent_again() {
        let tag = content_tag(&[1, 2]);
        assert_ne!(tag, content_tag(&[1, 3]));
        let fresh = tagged(&HeaderMap::new(), &tag, [1, 2]);
        assert_eq!(fresh.status(), StatusCode::OK);
        assert_eq!(fresh.headers()[header::ETAG], tag.as_str());
        for known in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
            let headers =
                HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::try_from(known).unwrap())]);
            assert_eq!(tagged(&headers, &tag, [1, 2]).status(), StatusCode::NOT_MODIFIED);
        }
    }
}

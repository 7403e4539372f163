//! Lists in pages: a cursor says where the next one begins. Cursors are opaque and name the last entry
//! that was given, not a count of entries, so that what is added meanwhile moves nothing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::code::Code;
use super::problem::Problem;

/// Entries on a page, unless asked otherwise, and at most.
const PAGE: u32 = 50;
const MAX_PAGE: u32 = 500;

/// One page of a list.
#[derive(Serialize, ToSchema)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    /// What to give as `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) next: Option<String>,
    /// How many entries the whole list has, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) total: Option<u64>,
}

/// Which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageRequest {
    /// `next` of the page before; the first page when absent.
    #[param(max_length = 200)]
    pub(super) after: Option<String>,
    /// Most entries on the page; 50 when absent.
    #[param(minimum = 1, maximum = 500)]
    pub(super) limit: Option<u32>,
}

/// A list, so that the cursor of one is not taken for that of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    Terminals,
    Operations,
    Alarms,
    Logs,
    Firmware,
    Sets,
    Rollouts,
    Targets,
    Groups,
    Selectors,
}

impl List {
    fn mark(self) -> char {
        match self {
            Self::Terminals => 't',
            Self::Operations => 'o',
            Self::Alarms => 'a',
            Self::Logs => 'l',
            Self::Firmware => 'f',
            Self::Sets => 's',
            Self::Rollouts => 'r',
            Self::Targets => 'x',
            Self::Groups => 'g',
            Self::Selectors => 'q',
        }
    }

    fn cursor(self, key: &str) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}{key}", self.mark()))
    }
}

impl PageRequest {
    /// The key of the entry that the page begins after.
    pub(super) fn after<K: std::str::FromStr>(&self, list: List) -> Result<Option<K>, Problem> {
        let Some(cursor) = &self.after else { return Ok(None) };
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let key = text.as_deref().and_then(|text| text.strip_prefix(list.mark()));
        match key.and_then(|key| key.parse().ok()) {
            Some(key) => Ok(Some(key)),
            None => Err(unusable()),
        }
    }

    pub(super) fn limit(&self) -> Result<u32, Problem> {
        match self.limit.unwrap_or(PAGE) {
            limit @ 1..=MAX_PAGE => Ok(limit),
            limit => Err(Problem::new(
                Code::QueryInvalid,
                format!("limit is {limit}; it must be from 1 to {MAX_PAGE}"),
            )),
        }
    }
}

impl<T> Page<T> {
    /// A page of what was found when one more than `limit` was asked for: that one tells whether there is
    /// a next page.
    pub(super) fn new<R>(
        list: List,
        limit: u32,
        mut found: Vec<R>,
        key: impl Fn(&R) -> String,
        view: impl FnMut(R) -> T,
    ) -> Self {
        let full = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = found.len() > full;
        found.truncate(full);
        let next = found.last().filter(|_| more).map(|last| list.cursor(&key(last)));
        Self { items: found.into_iter().map(view).collect(), next, total: None }
    }

    /// A page of a list that is had as a whole, in its order.
    pub(super) fn of<R>(
        list: List,
        asked: &PageRequest,
        whole: Vec<R>,
        key: impl Fn(&R) -> String,
        view: impl FnMut(R) -> T,
    ) -> Result<Self, Problem> {
        let limit = asked.limit()?;
        let begin = match asked.after::<String>(list)? {
            None => 0,
            Some(after) => {
                let last = whole.iter().position(|entry| key(entry) == after).ok_or_else(unusable)?;
                last.saturating_add(1)
            }
        };
        let most = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1);
        let found = whole.into_iter().skip(begin).take(most).collect();
        Ok(Self::new(list, limit, found, key, view))
    }
}

fn unusable() -> Problem {
    Problem::new(
        Code::QueryInvalid,
        "after is no cursor of this list; give `next` of the page before, as it is",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(after: Option<String>, limit: u32) -> Result<Page<u32>, Problem> {
        let asked = PageRequest { after, limit: Some(limit) };
        Page::of(List::Logs, &asked, vec![9, 7, 5, 3], u32::to_string, |entry| entry)
    }

    #[test]
    fn pages_follow_each_other_to_the_end() {
        let first = page(None, 3).unwrap();
        assert_eq!(first.items, [9, 7, 5]);
        let second = page(first.next, 3).unwrap();
        assert_eq!((second.items, second.next), (vec![3], None));
    }

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        for cursor in [List::Alarms.cursor("7"), List::Logs.cursor("8"), "7".to_owned(), "…".to_owned()] {
            assert_eq!(page(Some(cursor), 3).err().unwrap().code(), "query_invalid");
        }
    }
}

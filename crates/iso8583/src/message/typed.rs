//! Values at a path, as what they are.

use std::borrow::Cow;

use super::Message;
use crate::error::AccessError;
#[cfg(doc)]
use crate::field::Field;
use crate::format::DateTime;

impl<'a> Message<'a> {
    /// The number at a path: [`Field::u64`].
    ///
    /// # Errors
    ///
    /// When there is something else than a number.
    pub fn u64(&self, path: &str) -> Result<Option<u64>, AccessError> {
        self.get(path).map(|field| field.u64()).transpose()
    }

    /// The amount at a path: [`Field::amount`].
    ///
    /// # Errors
    ///
    /// When there is something else than an amount.
    pub fn amount(&self, path: &str) -> Result<Option<i64>, AccessError> {
        self.get(path).map(|field| field.amount()).transpose()
    }

    /// The digits at a path: [`Field::digits`].
    ///
    /// # Errors
    ///
    /// When there is something else than digits.
    pub fn digits(&self, path: &str) -> Result<Option<Cow<'a, str>>, AccessError> {
        self.get(path).map(|field| field.digits()).transpose()
    }

    /// The UTF-8 text at a path: [`Field::str`].
    ///
    /// # Errors
    ///
    /// When there are bytes, or text in another character set.
    pub fn str(&self, path: &str) -> Result<Option<Cow<'a, str>>, AccessError> {
        self.get(path).map(|field| field.str()).transpose()
    }

    /// The date or time at a path: [`Field::date`].
    ///
    /// # Errors
    ///
    /// When there is no date.
    pub fn date(&self, path: &str) -> Result<Option<DateTime>, AccessError> {
        self.get(path).map(|field| field.date()).transpose()
    }
}

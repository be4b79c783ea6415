//! Filters of lists, one type for each kind of field, with the operators that the API has for it.
//!
//! Each is written with its operator, `filter[name][eq]=x`, also where the API takes the short
//! `filter[name]=x` for the same. A yes or no has no operators: it is written by
//! `Request::query_if` as `filter[name]=true`.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};

/// Which texts of a field match. `"x".into()` is an exact match.
///
/// The lists of [`OneOf`](Self::OneOf) and [`ContainsOneOf`](Self::ContainsOneOf) are sent with
/// commas between them and the API has no escape: an entry with a comma counts as two. Destinations
/// know only [`Eq`](Self::Eq) and [`Contains`](Self::Contains); they answer 400 to the others.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TextFilter {
    /// The text is this one (`eq`).
    Eq(String),
    /// The text is not this one (`neq`).
    Neq(String),
    /// The text is one of these (`oeq`).
    OneOf(Vec<String>),
    /// The text contains this one (`contains`).
    Contains(String),
    /// The text contains one of these (`ocontains`).
    ContainsOneOf(Vec<String>),
}

impl From<&str> for TextFilter {
    fn from(text: &str) -> Self {
        Self::Eq(text.to_owned())
    }
}

impl From<String> for TextFilter {
    fn from(text: String) -> Self {
        Self::Eq(text)
    }
}

impl From<&String> for TextFilter {
    fn from(text: &String) -> Self {
        Self::Eq(text.clone())
    }
}

/// Which ids, or words of an enum, match. `id.into()` is an exact match.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ValueFilter<T> {
    /// The value is this one (`eq`).
    Eq(T),
    /// The value is not this one (`neq`).
    Neq(T),
    /// The value is one of these (`oeq`).
    OneOf(Vec<T>),
}

impl<T> From<T> for ValueFilter<T> {
    fn from(value: T) -> Self {
        Self::Eq(value)
    }
}

/// Which times match. They are sent with milliseconds, as the API writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimeFilter {
    /// The time is this one (`eq`).
    Eq(DateTime<Utc>),
    /// The time is earlier (`lt`).
    Before(DateTime<Utc>),
    /// The time is this one or earlier (`lte`).
    Until(DateTime<Utc>),
    /// The time is later (`gt`).
    After(DateTime<Utc>),
    /// The time is this one or later (`gte`).
    Since(DateTime<Utc>),
}

impl From<DateTime<Utc>> for TimeFilter {
    fn from(time: DateTime<Utc>) -> Self {
        Self::Eq(time)
    }
}

/// How a filter is sent.
pub(crate) trait Filter {
    /// The operator and its operand.
    fn operation(&self) -> (&'static str, String);
}

impl Filter for TextFilter {
    fn operation(&self) -> (&'static str, String) {
        match self {
            Self::Eq(text) => ("eq", text.clone()),
            Self::Neq(text) => ("neq", text.clone()),
            Self::OneOf(texts) => ("oeq", texts.join(",")),
            Self::Contains(text) => ("contains", text.clone()),
            Self::ContainsOneOf(texts) => ("ocontains", texts.join(",")),
        }
    }
}

impl<T: fmt::Display> Filter for ValueFilter<T> {
    fn operation(&self) -> (&'static str, String) {
        match self {
            Self::Eq(value) => ("eq", value.to_string()),
            Self::Neq(value) => ("neq", value.to_string()),
            Self::OneOf(values) => {
                let texts: Vec<String> = values.iter().map(T::to_string).collect();
                ("oeq", texts.join(","))
            }
        }
    }
}

impl Filter for TimeFilter {
    fn operation(&self) -> (&'static str, String) {
        let (operator, time) = match self {
            Self::Eq(time) => ("eq", time),
            Self::Before(time) => ("lt", time),
            Self::Until(time) => ("lte", time),
            Self::After(time) => ("gt", time),
            Self::Since(time) => ("gte", time),
        };
        (operator, written_time(time))
    }
}

/// A time as queries have it.
pub(crate) fn written_time(time: &DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_operators_of_the_api() {
        let texts = || vec!["a".to_owned(), "b".to_owned()];
        let time = DateTime::UNIX_EPOCH;
        let written = "1970-01-01T00:00:00.000Z";
        let cases: [(&dyn Filter, &str, &str); 13] = [
            (&TextFilter::from("a"), "eq", "a"),
            (&TextFilter::Neq("a".to_owned()), "neq", "a"),
            (&TextFilter::OneOf(texts()), "oeq", "a,b"),
            (&TextFilter::Contains("a".to_owned()), "contains", "a"),
            (&TextFilter::ContainsOneOf(texts()), "ocontains", "a,b"),
            (&ValueFilter::from(7), "eq", "7"),
            (&ValueFilter::Neq(7), "neq", "7"),
            (&ValueFilter::OneOf(vec![7, 8]), "oeq", "7,8"),
            (&TimeFilter::from(time), "eq", written),
            (&TimeFilter::Before(time), "lt", written),
            (&TimeFilter::Until(time), "lte", written),
            (&TimeFilter::After(time), "gt", written),
            (&TimeFilter::Since(time), "gte", written),
        ];
        for (filter, operator, operand) in cases {
            assert_eq!(filter.operation(), (operator, operand.to_owned()));
        }
    }
}

//! How values look on a page, as filters of templates: `{{ event.at|when }}`, `{{ state|chip }}`.
//! What each prints is in `show`.

#![expect(
    unreachable_pub,
    clippy::inline_always,
    clippy::unused_self,
    clippy::unnecessary_wraps,
    clippy::trivially_copy_pass_by_ref,
    reason = "it is what the macro makes of a filter"
)]

use std::fmt::Display;

use askama::{Values, filter_fn};
use chrono::{DateTime, Utc};

use crate::console::show::{self, Ago, Chip, When};

/// A time in UTC.
#[filter_fn]
pub(super) fn when(at: &DateTime<Utc>, _: &dyn Values) -> askama::Result<When> {
    Ok(When(*at))
}

/// A time as how long ago it was.
#[filter_fn]
pub(super) fn ago(at: &DateTime<Utc>, _: &dyn Values, now: &DateTime<Utc>) -> askama::Result<Ago> {
    Ok(Ago { at: *at, now: *now })
}

/// A word as a coloured chip.
#[filter_fn]
pub(super) fn chip(word: impl Display, _: &dyn Values) -> askama::Result<Chip> {
    Ok(show::chip(word))
}

/// A whole number with spaces between thousands.
#[filter_fn]
pub(super) fn number(number: &i64, _: &dyn Values) -> askama::Result<String> {
    Ok(show::number(*number))
}

/// A size in bytes.
#[filter_fn]
pub(super) fn bytes(bytes: &u64, _: &dyn Values) -> askama::Result<String> {
    Ok(show::bytes(*bytes))
}

/// The first letters of an id.
#[filter_fn]
pub(super) fn short(id: impl Display, _: &dyn Values) -> askama::Result<String> {
    Ok(show::short(id))
}

/// A text with no more than `most` letters.
#[filter_fn]
pub(super) fn cut(text: impl Display, _: &dyn Values, most: usize) -> askama::Result<String> {
    Ok(show::cut(&text.to_string(), most))
}

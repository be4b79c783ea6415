//! How the API writes what many things have: ids, words that it may add to, times.

pub(crate) mod ids;
pub(crate) mod lenient;
pub(crate) mod open_enum;

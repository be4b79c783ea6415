//! How the API writes what many things have: ids, words that it may add to, times, filters, orders,
//! secrets, and members of a change.

pub(crate) mod filter;
pub(crate) mod ids;
pub(crate) mod lenient;
pub(crate) mod open_enum;
pub(crate) mod patch;
pub(crate) mod secret;
pub(crate) mod sort;

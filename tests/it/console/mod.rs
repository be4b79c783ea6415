//! Tests of pages in a real browser, and of the browser's harness itself.

mod coverage;
pub(crate) mod crowd;
mod events;
mod flows;
mod harness;
mod hostile;
mod keyboard;
pub(crate) mod missed;
mod people;
mod place;
mod quarantine;
pub(crate) mod reader;
mod rules;
mod sessions;
mod views;
mod wrong;

//! Tests of pages in a real browser, and of the browser's harness itself.

pub(crate) mod crowd;
mod events;
mod flows;
mod harness;
mod hostile;
mod keyboard;
mod people;
mod place;
mod quarantine;
pub(crate) mod reader;
mod rules;
mod sessions;
mod views;

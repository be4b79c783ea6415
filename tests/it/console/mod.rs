//! Tests of pages in a real browser, and of the browser's harness itself.

mod crowd;
mod events;
mod harness;
mod hostile;
mod people;
mod quarantine;
mod reader;
mod rules;
mod sessions;
mod views;

//! Tests of pages in a real browser, and of the browser's harness itself.

mod events;
mod harness;
mod people;
mod quarantine;
mod reader;
mod rules;
mod sessions;

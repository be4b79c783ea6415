//! Tests of pages in a real browser, and of the browser's harness itself.

mod events;
mod flows;
mod harness;
mod keyboard;
mod people;
mod place;
mod quarantine;
mod reader;
mod rules;
mod sessions;

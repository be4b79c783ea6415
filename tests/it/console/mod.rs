//! Tests of pages in a real browser, and of the browser's harness itself.

mod harness;
mod people;
mod reader;
mod sessions;

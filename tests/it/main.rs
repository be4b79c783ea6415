//! The integration tests, one module a stage.

mod act;
mod embedded;
mod react;

//! The integration tests, one module a stage.

mod embedded;
mod init;
mod replay;

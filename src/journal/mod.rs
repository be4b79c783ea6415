//! The append-only record in Postgres.

pub mod embedded;

//! The integration tests: one binary, a file per stage, on real Postgres, Kafka and HTTP.

mod door;
mod embedded;
mod support;

//! The integration tests: one binary, a file per stage, on real Postgres, Kafka and HTTP.

mod act;
mod door;
mod embedded;
mod observe;
mod react;
mod publish;
mod support;

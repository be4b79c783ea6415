//! The integration tests: one binary, a file per stage, on real Postgres, Kafka and HTTP.

mod act;
mod door;
mod embedded;
mod end_to_end;
mod init;
mod observe;
mod publish;
mod react;
mod replay;
mod support;
mod tidy;

//! The integration tests: one binary, a file per stage, on real Postgres, Kafka and HTTP.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(unreachable_pub, reason = "nothing outside this binary reaches in")]

mod act;
mod bounds;
mod cli;
mod deeds;
mod door;
mod embedded;
mod end_to_end;
mod init;
mod kill;
mod notify;
mod observe;
mod publish;
mod react;
mod replay;
mod spool;
mod support;
mod tidy;
mod upkeep;
mod writer;

//! The integration tests: one binary, a file per stage, on real Postgres, Kafka and HTTP.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(unreachable_pub, reason = "nothing outside this binary reaches in")]

mod act;
mod bounds;
mod by_hand;
mod cli;
mod deeds;
mod door;
mod embedded;
mod end_to_end;
mod forward;
mod init;
mod kill;
mod look;
mod metrics;
mod observe;
mod publish;
mod react;
mod reconcile;
mod replay;
mod reverify;
mod spool;
mod support;
mod tidy;
mod upkeep;
mod writer;

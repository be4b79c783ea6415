//! The integration tests: one binary, a file per stage, on real Postgres, Kafka and HTTP.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(unreachable_pub, reason = "nothing outside this binary reaches in")]

mod act;
mod bounds;
mod cli;
mod door;
mod embedded;
mod end_to_end;
mod init;
mod kill;
mod observe;
mod onboarding;
mod onboarding_guides;
mod publish;
mod react;
mod reconcile;
mod replay;
mod spool;
mod support;
mod tidy;
mod upkeep;
mod writer;

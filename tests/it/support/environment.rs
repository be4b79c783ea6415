//! What whoever runs the tests tells them: the one place where they read the environment.

use std::path::PathBuf;
use std::time::Duration;

/// The Postgres server that `make test` starts.
pub fn database_url() -> String {
    read("DATABASE_URL").expect("DATABASE_URL is not set: run the tests by `make test`")
}

/// The Kafka brokers that `make test` starts.
pub fn kafka_brokers() -> String {
    read("USHER_TEST_KAFKA_BROKERS")
        .expect("USHER_TEST_KAFKA_BROKERS is not set: run the tests by `make test`")
}

/// The text of axe-core, which `scripts/axe` fetches.
pub fn axe() -> PathBuf {
    read("USHER_TEST_AXE")
        .map(PathBuf::from)
        .expect("USHER_TEST_AXE is not set: run the tests by `make test`")
}

/// How often a test that tries its luck does so: `usual`, or as often as `make soak` asks.
pub fn rounds(usual: usize) -> usize {
    number("USHER_TEST_ROUNDS").map_or(usual, |rounds| {
        usize::try_from(rounds).expect("not that many")
    })
}

/// How long connections stay dead: `usual`, or as many seconds as a longer look asks.
pub fn dead_for(usual: Duration) -> Duration {
    number("USHER_TEST_DEAD_FOR").map_or(usual, Duration::from_secs)
}

/// An older binary of usher's, where `make soak` has built one.
pub fn older_usher() -> Option<PathBuf> {
    read("USHER_TEST_OLDER").map(PathBuf::from)
}

/// The luck of a run that is to be repeated.
pub fn seed() -> Option<u64> {
    number("USHER_TEST_SEED")
}

/// Whether pages that are generated are to be rewritten instead of compared.
pub fn updates_pages() -> bool {
    read("USHER_TEST_UPDATE").is_some_and(|value| value == "1")
}

/// Whether pictures for the documentation are to be taken anew.
pub fn takes_screenshots() -> bool {
    read("USHER_TEST_SCREENSHOTS").is_some_and(|value| value == "1")
}

fn number(name: &str) -> Option<u64> {
    let value = read(name)?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {value}")),
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where tests read the environment"
)]
fn read(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

//! What people do about actions: in the queue, at the command line and over HTTP.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod ask;
mod commands;
mod parked;
mod pauses;
mod queue;

use std::time::Duration;

use usher::act::Person;

const SOON: Duration = Duration::from_secs(40);

fn ada() -> Person {
    Person::new("ada", Some("a partner, by phone")).unwrap()
}

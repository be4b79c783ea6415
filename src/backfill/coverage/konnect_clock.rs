//! What Konnect's clock shows: time that was seen is counted by it, as entries are.

use chrono::{DateTime, TimeDelta, Utc};
use konnect::Client;

use crate::clock::Clock;

/// So much it may be off: Konnect writes its `Date` in whole seconds, and an answer takes its time.
pub(super) const OFF_BY: TimeDelta = TimeDelta::seconds(1);

/// Konnect's clock, as far as its answers tell; this machine's where nothing is asked of Konnect.
#[derive(Debug, Clone)]
pub struct KonnectClock {
    client: Option<Client>,
    clock: Clock,
}

impl KonnectClock {
    /// Reads the answers that `client` gets; none where there is no token.
    pub fn new(client: Option<Client>, clock: Clock) -> Self {
        Self { client, clock }
    }

    /// Konnect's present; none before its first answer.
    pub fn now(&self) -> Option<DateTime<Utc>> {
        match &self.client {
            Some(client) => client.server_time().map(DateTime::from),
            None => Some(self.clock.now()),
        }
    }

    /// A time of this machine by Konnect's clock.
    pub fn translate(&self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        Some(self.now()? - (self.clock.now() - time))
    }
}

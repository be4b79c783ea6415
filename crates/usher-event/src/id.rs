//! The id of an event: a `UUIDv8` that its own content decides (see `identity`). Makes no ids by
//! itself.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Identifies an event by content, so that a retry, a replay or another format of it is recognised.
///
/// Ids sort by the whole second in which their event happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(Uuid);

impl EventId {
    /// Wraps an id that was stored or received earlier.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// Returns the time that the id starts with: the event's `event_ts`, unless that lies before
    /// 1970.
    pub fn event_ts(self) -> DateTime<Utc> {
        let millis = self.0.as_u128() >> 80;
        let seconds = i64::try_from(millis / 1_000).unwrap_or_default();
        DateTime::from_timestamp(seconds, 0).unwrap_or_default()
    }

    /// Returns the id as a plain UUID, for columns and wire formats.
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for EventId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::EventId;

    #[test]
    fn reads_back_what_it_shows() {
        let id: EventId = "01979d31-0d18-8abc-9def-0123456789ab".parse().unwrap();
        assert_eq!(id.to_string().parse::<EventId>().unwrap(), id);
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{id}\""));
        assert_eq!(id.event_ts().to_rfc3339(), "2025-06-23T14:28:47+00:00");
        assert!("not-an-id".parse::<EventId>().is_err());
    }
}

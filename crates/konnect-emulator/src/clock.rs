//! The emulator's time and randomness: the only place that asks the system for either. The clock
//! can be moved, so that a test sees what seven days of retention do without waiting for them.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use tokio::sync::Notify;
use uuid::Uuid;

/// The system's clock plus an offset that `POST /emulator/clock` sets.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    offset_seconds: AtomicI64,
    moved: Notify,
}

impl Clock {
    /// Returns the emulator's present.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        let offset = TimeDelta::try_seconds(self.offset_seconds.load(Ordering::Relaxed));
        let now = Self::system_now();
        offset
            .and_then(|offset| now.checked_add_signed(offset))
            .unwrap_or(now)
    }

    /// Returns the system's present, for dates that others gave in answers.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the emulator's one clock"
    )]
    pub(crate) fn system_now() -> DateTime<Utc> {
        Utc::now()
    }

    /// Moves the clock to `offset_seconds` away from the system's.
    pub(crate) fn set_offset(&self, offset_seconds: i64) {
        self.offset_seconds.store(offset_seconds, Ordering::Relaxed);
        self.moved.notify_waiters();
    }

    /// Moves the clock by `seconds` from where it is.
    pub(crate) fn advance(&self, seconds: i64) {
        self.offset_seconds.fetch_add(seconds, Ordering::Relaxed);
        self.moved.notify_waiters();
    }

    /// Waits so long by this clock: it ends at once when the clock is moved beyond. A clock that is
    /// moved back makes no wait longer.
    pub(crate) async fn wait(&self, time: Duration) {
        let due = TimeDelta::from_std(time)
            .ok()
            .and_then(|time| self.now().checked_add_signed(time));
        let moved_beyond = async {
            loop {
                let moved = self.moved.notified();
                if due.is_some_and(|due| self.now() >= due) {
                    return;
                }
                moved.await;
            }
        };
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = moved_beyond => {}
        }
    }
}

/// Prints a time as Konnect does: RFC 3339 in UTC with milliseconds.
pub(crate) fn timestamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Parses an RFC 3339 time.
pub(crate) fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text)
        .ok()
        .map(|at| at.with_timezone(&Utc))
}

/// Draws a number from 0 up to 1.
pub(crate) fn chance() -> f64 {
    rand::random()
}

/// Makes a random identifier (UUID version 4).
pub(crate) fn new_id() -> Uuid {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid()
}

/// Makes a trace id of the size Konnect uses: above 2^53, so that readers which go through a float
/// are found out.
pub(crate) fn new_trace_id() -> u64 {
    rand::random_range((1 << 60)..(1 << 63))
}

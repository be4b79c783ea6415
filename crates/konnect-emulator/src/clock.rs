//! The emulator's time and randomness: the only place that asks the system for either. The clock
//! can be set, moved and stopped, so that a test sees what seven days of retention do without
//! waiting for them, and the same times whenever it runs.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use tokio::sync::Notify;
use uuid::Uuid;

/// Where the clock stands: so far from the system's, or still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hands {
    Running { offset: TimeDelta },
    Frozen { at: DateTime<Utc> },
}

impl Hands {
    fn now(self) -> DateTime<Utc> {
        match self {
            Self::Frozen { at } => at,
            Self::Running { offset } => {
                let now = Clock::system_now();
                now.checked_add_signed(offset).unwrap_or(now)
            }
        }
    }

    /// Returns the same clock at another time.
    fn at(self, at: DateTime<Utc>) -> Self {
        match self {
            Self::Frozen { .. } => Self::Frozen { at },
            Self::Running { .. } => Self::Running {
                offset: at - Clock::system_now(),
            },
        }
    }
}

/// The system's clock, unless `POST /emulator/clock` moved or stopped it.
#[derive(Debug)]
pub(crate) struct Clock {
    hands: Mutex<Hands>,
    moved: Notify,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            hands: Mutex::new(Hands::Running {
                offset: TimeDelta::zero(),
            }),
            moved: Notify::new(),
        }
    }
}

impl Clock {
    /// Returns the emulator's present.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.hands().now()
    }

    /// Returns the system's present, for dates that others gave in answers.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the emulator's one clock"
    )]
    pub(crate) fn system_now() -> DateTime<Utc> {
        Utc::now()
    }

    /// Returns where the clock stands.
    pub(crate) fn hands(&self) -> Hands {
        *self.lock()
    }

    /// Returns whether the clock stands still.
    pub(crate) fn is_frozen(&self) -> bool {
        matches!(self.hands(), Hands::Frozen { .. })
    }

    /// Puts the clock where it stood once.
    pub(crate) fn put(&self, hands: Hands) {
        self.turn(|_| hands);
    }

    /// Sets the clock. A frozen one stays frozen.
    pub(crate) fn set(&self, at: DateTime<Utc>) {
        self.turn(|hands| hands.at(at));
    }

    /// Moves the clock to `offset_seconds` away from the system's. What no date can hold is
    /// ignored.
    pub(crate) fn set_offset(&self, offset_seconds: i64) {
        self.turn(|hands| {
            let offset = TimeDelta::try_seconds(offset_seconds);
            let at = offset.and_then(|offset| Self::system_now().checked_add_signed(offset));
            at.map_or(hands, |at| hands.at(at))
        });
    }

    /// Moves the clock by `seconds` from where it is. What no date can hold is ignored.
    pub(crate) fn advance(&self, seconds: i64) {
        self.turn(|hands| {
            let by = TimeDelta::try_seconds(seconds);
            let at = by.and_then(|by| hands.now().checked_add_signed(by));
            at.map_or(hands, |at| hands.at(at))
        });
    }

    /// Stops the clock where it is.
    pub(crate) fn freeze(&self) {
        self.turn(|hands| Hands::Frozen { at: hands.now() });
    }

    /// Lets the clock run on from where it is.
    pub(crate) fn run(&self) {
        self.turn(|hands| Hands::Running {
            offset: hands.now() - Self::system_now(),
        });
    }

    /// Waits so long by this clock: it ends at once when the clock is moved beyond, and not while
    /// the clock stands still. A clock that is moved back makes no wait longer.
    pub(crate) async fn wait(&self, time: Duration) {
        let due = TimeDelta::from_std(time)
            .ok()
            .and_then(|time| self.now().checked_add_signed(time));
        let mut left = time;
        loop {
            let moved = self.moved.notified();
            let hands = self.hands();
            if due.is_some_and(|due| hands.now() >= due) {
                return;
            }
            if matches!(hands, Hands::Frozen { .. }) {
                moved.await;
                continue;
            }
            let started = Instant::now();
            tokio::select! {
                () = tokio::time::sleep(left) => return,
                () = moved => left = left.saturating_sub(started.elapsed()),
            }
        }
    }

    fn turn(&self, turn: impl FnOnce(Hands) -> Hands) {
        let mut hands = self.lock();
        *hands = turn(*hands);
        drop(hands);
        self.moved.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Hands> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_clock_stands_where_it_is_put_and_runs_on_from_there() {
        let clock = Clock::default();
        let at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        clock.set(at);
        clock.freeze();
        clock.set(at);
        clock.advance(3_600);
        let hour_later = at + TimeDelta::hours(1);
        assert_eq!((clock.now(), clock.is_frozen()), (hour_later, true));
        clock.advance(i64::MAX);
        assert_eq!(clock.now(), hour_later, "no date holds it");
        clock.run();
        let since = clock.now() - hour_later;
        assert!(since >= TimeDelta::zero() && since < TimeDelta::minutes(1));
        assert!(!clock.is_frozen());
    }

    #[tokio::test]
    async fn a_wait_ends_when_the_clock_is_moved_beyond_it_and_not_while_it_stands() {
        let clock = Clock::default();
        clock.freeze();
        let short = Duration::from_millis(5);
        let stands = tokio::time::timeout(Duration::from_millis(50), clock.wait(short)).await;
        assert!(stands.is_err());
        let moved = async {
            tokio::task::yield_now().await;
            clock.advance(7_200);
        };
        tokio::join!(clock.wait(Duration::from_hours(1)), moved);
        clock.run();
        clock.wait(short).await;
    }
}

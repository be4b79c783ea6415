//! What the API's clock shows, from the `Date` of its answers.

use std::time::{Duration, Instant, SystemTime};

/// A `Date` that differs by more from what the answers before led to expect may be that of a proxy,
/// or a mistake: another answer must agree with it.
const BELIEVED_WITHIN: Duration = Duration::from_mins(1);

/// The API's clock.
#[derive(Debug, Default)]
pub(crate) struct ServerClock {
    /// The latest `Date` that is believed.
    believed: Option<Dated>,
    /// The latest one, where it differs from that.
    doubted: Option<Dated>,
}

/// A `Date`, and when it came.
#[derive(Debug, Clone, Copy)]
struct Dated {
    date: SystemTime,
    at: Instant,
}

impl Dated {
    /// What the clock shows by now; none beyond the end of time.
    fn now(self, now: Instant) -> Option<SystemTime> {
        self.date
            .checked_add(now.saturating_duration_since(self.at))
    }

    fn agrees_with(self, later: Self) -> bool {
        let expected = self.now(later.at);
        expected.is_some_and(|expected| {
            let differs = match expected.duration_since(later.date) {
                Ok(ahead) => ahead,
                Err(behind) => behind.duration(),
            };
            differs <= BELIEVED_WITHIN
        })
    }
}

impl ServerClock {
    /// An answer with this `Date` came.
    pub(crate) fn note(&mut self, date: SystemTime, at: Instant) {
        let seen = Dated { date, at };
        let fits = |known: &Option<Dated>| known.is_none_or(|known| known.agrees_with(seen));
        if fits(&self.believed) || (self.doubted.is_some() && fits(&self.doubted)) {
            (self.believed, self.doubted) = (Some(seen), None);
        } else {
            self.doubted = Some(seen);
        }
    }

    /// What it shows by now; none before the first answer.
    pub(crate) fn now(&self, now: Instant) -> Option<SystemTime> {
        self.believed?.now(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_answer_does_not_move_the_clock_and_two_do() {
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let date = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds);
        let mut clock = ServerClock::default();
        assert_eq!(clock.now(begin), None);
        clock.note(date(0), begin);
        clock.note(date(11), after(10));
        assert_eq!(clock.now(after(12)), Some(date(13)));
        // One odd answer, and the next is as before.
        clock.note(date(900_000), after(20));
        assert_eq!(clock.now(after(20)), Some(date(21)));
        clock.note(date(31), after(30));
        assert_eq!(clock.now(after(30)), Some(date(31)));
        // Two odd ones that do not agree with each other.
        clock.note(date(900_000), after(40));
        clock.note(date(90_000), after(41));
        assert_eq!(clock.now(after(41)), Some(date(42)));
        // The clock was set, forwards and back.
        clock.note(date(90_001), after(42));
        assert_eq!(clock.now(after(43)), Some(date(90_002)));
        clock.note(date(44), after(44));
        clock.note(date(45), after(45));
        assert_eq!(clock.now(after(46)), Some(date(46)));
    }
}

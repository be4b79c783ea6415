//! Time and identifiers, handed to every part that needs them so that tests can own both.
//!
//! The only file that asks the system for the time or for randomness.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use rand::Rng;
use uuid::Uuid;

type Now = dyn Fn() -> DateTime<Utc> + Send + Sync;

/// Says what time it is. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<Now>);

impl Clock {
    /// Reads the machine's clock.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one home of the system clock"
    )]
    pub fn system() -> Self {
        Self(Arc::new(Utc::now))
    }

    /// Answers with the result of `now`: tests move time with it.
    pub fn from_fn(now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The current time in UTC.
    pub fn now(&self) -> DateTime<Utc> {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

const NANOS_IN_MILLI: u32 = 1_000_000;

/// Makes identifiers that sort by the time of their making (`UUIDv7`, RFC 9562).
///
/// New batches therefore land at the right edge of their index.
#[derive(Clone, Debug)]
pub struct Ids {
    clock: Clock,
}

impl Ids {
    /// Draws the random part from the operating system and the time from `clock`.
    pub fn new(clock: Clock) -> Self {
        Self { clock }
    }

    /// A new identifier, unique across instances. Of two that one instance makes, the later one
    /// sorts behind the earlier one if a quarter of a microsecond lies between them.
    pub fn next(&self) -> Uuid {
        let now = self.clock.now();
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        let mut random = [0_u8; 10];
        rand::rng().fill_bytes(&mut random);
        // Twelve bits of the millisecond's fraction in place of random ones (RFC 9562, 6.2, method
        // 3); the version takes the upper half of the first byte.
        let nanos = now.timestamp_subsec_nanos() % NANOS_IN_MILLI;
        let fraction = u64::from(nanos) * 4_096 / u64::from(NANOS_IN_MILLI);
        [random[0], random[1]] = u16::try_from(fraction).unwrap_or(0).to_be_bytes();
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }

    /// A new secret of 192 bits, in base64 that needs no quoting anywhere.
    pub fn secret() -> String {
        let mut random = [0_u8; 24];
        rand::rng().fill_bytes(&mut random);
        URL_SAFE_NO_PAD.encode(random)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    #[test]
    fn ids_of_one_millisecond_sort_by_their_time() {
        let micros = AtomicI64::new(1_700_000_000_000_000);
        let clock = Clock::from_fn(move || {
            let micros = micros.fetch_add(1, Ordering::Relaxed);
            DateTime::from_timestamp_micros(micros).unwrap_or_default()
        });
        let ids = Ids::new(clock);
        let made: Vec<Uuid> = (0..2_500).map(|_| ids.next()).collect();
        assert!(made.is_sorted());
        assert!(made.iter().all(|id| id.get_version_num() == 7));
    }
}

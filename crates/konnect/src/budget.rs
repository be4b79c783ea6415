//! One rate for everything that calls the API, shared by what people wait for and by what may
//! wait itself.

use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// Urgent calls keep the background back for this long after the last of them: a write follows its
/// read after a moment in which nobody waits.
const URGENT_FOR: Duration = Duration::from_secs(1);

/// Says when the next attempt may be made.
pub trait Pace: Send + Sync {
    /// Completes when the next attempt may be made, and counts it.
    fn ready(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

impl Pace for DefaultDirectRateLimiter {
    fn ready(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.until_ready())
    }
}

/// A token bucket for two kinds of callers: those in the background get a share of it while urgent
/// ones call, and all of it otherwise.
pub struct Budget {
    all: DefaultDirectRateLimiter,
    share: DefaultDirectRateLimiter,
    waiting: AtomicUsize,
    last_urgent: Mutex<Option<Instant>>,
}

impl fmt::Debug for Budget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Budget").finish_non_exhaustive()
    }
}

impl Budget {
    /// A budget of so many calls a second, of which the background gets `percent` (1 to 100) while
    /// urgent calls are made.
    pub fn new(per_second: NonZeroU32, percent: u32) -> Arc<Self> {
        let part = f64::from(per_second.get()) * f64::from(percent.clamp(1, 100)) / 100.0;
        let period = Duration::from_secs_f64(1.0 / part);
        // Rates beyond a call a nanosecond have no period, and need no share.
        let share = Quota::with_period(period).unwrap_or_else(|| Quota::per_second(per_second));
        Arc::new(Self {
            all: RateLimiter::direct(Quota::per_second(per_second)),
            share: RateLimiter::direct(share),
            waiting: AtomicUsize::new(0),
            last_urgent: Mutex::new(None),
        })
    }

    /// The pace of those whom somebody waits for.
    pub fn urgent(self: &Arc<Self>) -> Arc<dyn Pace> {
        Arc::new(Urgent(Arc::clone(self)))
    }

    /// The pace of those who may wait.
    pub fn background(self: &Arc<Self>) -> Arc<dyn Pace> {
        Arc::new(Background(Arc::clone(self)))
    }

    fn is_wanted(&self) -> bool {
        let last = *self
            .last_urgent
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.waiting.load(Ordering::Relaxed) > 0
            || last.is_some_and(|last| last.elapsed() < URGENT_FOR)
    }

    fn note_urgent(&self) {
        let mut last = self
            .last_urgent
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *last = Some(Instant::now());
    }
}

struct Urgent(Arc<Budget>);

struct Background(Arc<Budget>);

/// Counts one who waits, also where the wait is given up.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pace for Urgent {
    fn ready(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            self.0.waiting.fetch_add(1, Ordering::Relaxed);
            let waiting = Waiting(&self.0.waiting);
            self.0.note_urgent();
            self.0.all.until_ready().await;
            drop(waiting);
            self.0.note_urgent();
        })
    }
}

impl Pace for Background {
    fn ready(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            if self.0.is_wanted() {
                self.0.share.until_ready().await;
            }
            self.0.all.until_ready().await;
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const PER_SECOND: NonZeroU32 = NonZeroU32::new(100).unwrap();

    async fn call_until(pace: &dyn Pace, end: Instant, calls: &AtomicU32) {
        while Instant::now() < end {
            pace.ready().await;
            calls.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn the_background_keeps_to_its_share_while_urgent_calls_are_made() {
        let budget = Budget::new(PER_SECOND, 30);
        let (urgent, background) = (budget.urgent(), budget.background());
        let (deeds, looks) = (AtomicU32::new(0), AtomicU32::new(0));
        urgent.ready().await;
        let begin = Instant::now();
        let end = begin + Duration::from_secs(3);
        tokio::join!(
            call_until(&*urgent, end, &deeds),
            call_until(&*background, end, &looks),
            call_until(&*background, end, &looks),
            call_until(&*background, end, &looks),
        );
        let seconds = begin.elapsed().as_secs_f64();
        let (deeds, looks) = (deeds.into_inner(), looks.into_inner());
        assert!(f64::from(looks) <= seconds * 30.0 + 4.0, "{looks}");
        assert!(looks > 0, "the background is never shut out");
        assert!(
            deeds > 2 * looks,
            "{deeds} urgent, {looks} in the background"
        );
        assert!(f64::from(deeds + looks) <= seconds * 100.0 + 104.0);
    }

    #[tokio::test]
    async fn the_background_has_it_all_while_nobody_else_calls() {
        let budget = Budget::new(PER_SECOND, 30);
        let background = budget.background();
        let begin = Instant::now();
        for _ in 0..100 {
            background.ready().await;
        }
        // Its share alone would take more than three seconds.
        assert!(
            begin.elapsed() < Duration::from_secs(2),
            "{:?}",
            begin.elapsed()
        );
    }

    #[tokio::test]
    async fn whoever_gives_up_waiting_keeps_nobody_back() {
        let budget = Budget::new(NonZeroU32::MIN, 30);
        let urgent = budget.urgent();
        urgent.ready().await;
        let given_up = tokio::time::timeout(Duration::from_millis(20), urgent.ready()).await;
        assert!(given_up.is_err());
        assert_eq!(budget.waiting.load(Ordering::Relaxed), 0);
    }
}

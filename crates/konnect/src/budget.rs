//! One rate for everything that calls the API, shared by what people wait for and by what may
//! wait itself.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::DefaultDirectRateLimiter;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Classes of callers.
const CLASSES: usize = 5;
/// What each class that waits is guaranteed of the calls.
const SHARE: f64 = 0.1;
/// No timer is finer.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
/// The first class holds what it works on while it waits: it asks again after this time.
const FIRST_CLASS_HELD: Duration = Duration::from_secs(5);

/// Says when the next attempt may be made.
pub trait RateLimit: Send + Sync {
    /// Completes when the next attempt may be made, and counts it.
    fn ready(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;

    /// The API answered 429, and asks for a wait of so long.
    fn pause_for(&self, _wait: Duration) {}
}

impl RateLimit for DefaultDirectRateLimiter {
    fn ready(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.until_ready())
    }
}

/// Who calls. Whoever comes first here goes first, but for a tenth of the calls that each class
/// which waits is guaranteed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// What people wait for.
    Deed,
    /// Single objects that somebody changed.
    Refresh,
    /// Short lists.
    Pending,
    /// How webhooks and replay jobs fare.
    AuditLogs,
    /// Everything.
    Sweep,
}

/// A token bucket for all classes of callers.
pub struct Budget {
    per_second: f64,
    state: Mutex<State>,
    /// Whose turn it is may be another's now.
    changed: Notify,
}

struct State {
    tokens: f64,
    filled: Instant,
    /// Until when the API wants no calls: of the first class, and of the others.
    paused_until: [Option<Instant>; 2],
    classes: [ClassQueue; CLASSES],
    next_ticket: u64,
}

/// Those of a class that wait, the first ones first.
#[derive(Default)]
struct ClassQueue {
    tickets: BTreeSet<u64>,
    credit: f64,
}

impl fmt::Debug for Budget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Budget").finish_non_exhaustive()
    }
}

impl Budget {
    /// A budget of so many calls a second, and as many at once after a pause.
    pub fn new(per_second: NonZeroU32) -> Arc<Self> {
        let per_second = f64::from(per_second.get());
        Arc::new(Self {
            per_second,
            state: Mutex::new(State {
                tokens: per_second,
                filled: Instant::now(),
                paused_until: [None; 2],
                classes: Default::default(),
                next_ticket: 0,
            }),
            changed: Notify::new(),
        })
    }

    /// The pace of a class.
    pub fn class(self: &Arc<Self>, class: Class) -> Arc<dyn RateLimit> {
        Arc::new(OfClass {
            budget: Arc::clone(self),
            class,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ready(&self, class: Class) {
        let place = Ticket::take(self, class);
        loop {
            // Begun before the look, so that no change after it is missed.
            let changed = self.changed.notified();
            let wait = self.state().serve(self.per_second, class, place.number);
            match wait {
                Admission::Now => return,
                Admission::After(wait) => tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep(wait) => {}
                },
                Admission::OfAnother => changed.await,
            }
        }
    }

    fn pause_for(&self, wait: Duration) {
        let now = Instant::now();
        let mut state = self.state();
        let waits = [wait.min(FIRST_CLASS_HELD), wait];
        for (paused_until, wait) in state.paused_until.iter_mut().zip(waits) {
            *paused_until = (*paused_until).max(now.checked_add(wait));
        }
    }
}

/// When somebody may call.
enum Admission {
    Now,
    After(Duration),
    OfAnother,
}

impl State {
    /// Takes a call for `ticket`, if it is its turn and there is one.
    fn serve(&mut self, per_second: f64, class: Class, ticket: u64) -> Admission {
        let now = Instant::now();
        if let Some(wait) = self.held_for(class as usize, now) {
            return Admission::After(wait);
        }
        let is_first = self.classes[class as usize].tickets.first() == Some(&ticket);
        if !is_first || self.chosen(now) != Some(class as usize) {
            return Admission::OfAnother;
        }
        let since = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + since * per_second).min(per_second);
        self.filled = now;
        if self.tokens < 1.0 {
            let missing = Duration::from_secs_f64((1.0 - self.tokens) / per_second);
            return Admission::After(missing.max(SHORTEST_WAIT));
        }
        self.tokens -= 1.0;
        for waiting in &mut self.classes {
            let is_waiting = !waiting.tickets.is_empty();
            waiting.credit = if is_waiting {
                waiting.credit + SHARE
            } else {
                0.0
            };
        }
        let served = &mut self.classes[class as usize];
        served.credit = (served.credit - 1.0).max(0.0);
        Admission::Now
    }

    /// Whose turn it is: that of a class which waited for its share, else of the first one that
    /// waits.
    fn chosen(&self, now: Instant) -> Option<usize> {
        let may = |index: &usize| {
            !self.classes[*index].tickets.is_empty() && self.held_for(*index, now).is_none()
        };
        // Ten tenths may be a little less than one.
        let is_owed = |index: &usize| self.classes[*index].credit > 1.0 - SHARE / 2.0;
        let owed = (0..CLASSES).filter(may).find(is_owed);
        owed.or_else(|| (0..CLASSES).find(may))
    }

    /// How long the API still wants no call of this class.
    fn held_for(&self, class: usize, now: Instant) -> Option<Duration> {
        let paused_until = self.paused_until[usize::from(class > 0)]?;
        let left = paused_until.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }
}

/// A place among those that wait, also where the wait is given up.
struct Ticket<'a> {
    budget: &'a Budget,
    class: Class,
    number: u64,
}

impl<'a> Ticket<'a> {
    fn take(budget: &'a Budget, class: Class) -> Self {
        let mut state = budget.state();
        let number = state.next_ticket;
        state.next_ticket += 1;
        state.classes[class as usize].tickets.insert(number);
        drop(state);
        Self {
            budget,
            class,
            number,
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut state = self.budget.state();
        let waiting = &mut state.classes[self.class as usize];
        waiting.tickets.remove(&self.number);
        drop(state);
        self.budget.changed.notify_waiters();
    }
}

struct OfClass {
    budget: Arc<Budget>,
    class: Class,
}

impl RateLimit for OfClass {
    fn ready(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.budget.ready(self.class))
    }

    fn pause_for(&self, wait: Duration) {
        self.budget.pause_for(wait);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn budget(per_second: u32) -> Arc<Budget> {
        Budget::new(NonZeroU32::new(per_second).unwrap())
    }

    async fn call_until(pace: Arc<dyn RateLimit>, end: Instant, calls: &AtomicU32) {
        while Instant::now() < end {
            pace.ready().await;
            calls.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What each class gets while several of each wait all the time.
    async fn calls_of_each(budget: &Arc<Budget>, lasts: Duration) -> [u32; CLASSES] {
        let end = Instant::now() + lasts;
        let calls: [AtomicU32; CLASSES] = Default::default();
        let classes = [
            Class::Deed,
            Class::Refresh,
            Class::Pending,
            Class::AuditLogs,
            Class::Sweep,
        ];
        let call = |class: Class| call_until(budget.class(class), end, &calls[class as usize]);
        let both = |class: Class| async move { tokio::join!(call(class), call(class)) };
        let [deed, refresh, pending, logs, sweep] = classes.map(both);
        tokio::join!(deed, refresh, pending, logs, sweep);
        calls.map(AtomicU32::into_inner)
    }

    #[tokio::test]
    async fn the_first_class_goes_first_and_each_other_has_a_tenth() {
        let budget = budget(100);
        // What may be called at once is.
        for _ in 0..100 {
            budget.class(Class::Deed).ready().await;
        }
        let lasts = Duration::from_secs(3);
        let [deeds, others @ ..] = calls_of_each(&budget, lasts).await;
        let all = deeds + others.iter().sum::<u32>();
        assert!((200..=320).contains(&all), "{all}");
        for other in others {
            let share = f64::from(other) / f64::from(all);
            assert!((0.08..0.13).contains(&share), "{deeds} {others:?}");
        }
    }

    #[tokio::test]
    async fn whoever_calls_alone_has_it_all() {
        let budget = budget(100);
        let sweep = budget.class(Class::Sweep);
        let begin = Instant::now();
        for _ in 0..150 {
            sweep.ready().await;
        }
        let took = begin.elapsed();
        assert!(took >= Duration::from_millis(450), "{took:?}");
        assert!(took < Duration::from_secs(2), "{took:?}");
    }

    #[tokio::test]
    async fn a_deed_waits_for_one_call_of_each_lower_class_at_most() {
        let budget = budget(20);
        let end = Instant::now() + Duration::from_secs(4);
        let calls = AtomicU32::new(0);
        let sweeps = (0..50).map(|_| call_until(budget.class(Class::Sweep), end, &calls));
        let sweeps = futures_join(sweeps.collect());
        let deeds = async {
            let deed = budget.class(Class::Deed);
            tokio::time::sleep(Duration::from_secs(2)).await;
            for _ in 0..5 {
                let begin = Instant::now();
                deed.ready().await;
                // Two calls take 100 ms.
                let took = begin.elapsed();
                assert!(took < Duration::from_millis(300), "{took:?}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        tokio::join!(sweeps, deeds);
    }

    async fn futures_join<T: Future<Output = ()>>(all: Vec<T>) {
        let mut all: Vec<_> = all.into_iter().map(Box::pin).collect();
        std::future::poll_fn(|context| {
            all.retain_mut(|one| one.as_mut().poll(context).is_pending());
            if all.is_empty() {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_wait_that_the_api_asks_for_holds_every_class() {
        let budget = budget(100);
        budget
            .class(Class::Sweep)
            .pause_for(Duration::from_millis(400));
        for class in [Class::Deed, Class::Refresh, Class::Pending, Class::Sweep] {
            let begin = Instant::now();
            budget.class(class).ready().await;
            let took = begin.elapsed();
            let expected = class == Class::Deed;
            assert_eq!(
                took >= Duration::from_millis(350),
                expected,
                "{class:?} {took:?}"
            );
        }
        // A deed asks again sooner than the longest waits end; nobody else does.
        budget.class(Class::Deed).pause_for(Duration::from_hours(1));
        let state = budget.state();
        let now = Instant::now();
        let paused_until = |class: usize| state.held_for(class, now).unwrap();
        assert!(paused_until(0) <= FIRST_CLASS_HELD);
        assert!(paused_until(3) > Duration::from_mins(59));
    }

    #[tokio::test]
    async fn whoever_gives_up_waiting_keeps_nobody_back() {
        let budget = budget(1);
        let deed = budget.class(Class::Deed);
        deed.ready().await;
        let given_up = tokio::time::timeout(Duration::from_millis(20), deed.ready()).await;
        assert!(given_up.is_err());
        let state = budget.state();
        assert!(
            state
                .classes
                .iter()
                .all(|waiting| waiting.tickets.is_empty())
        );
    }
}

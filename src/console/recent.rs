//! Answers that take a while and that many people ask for: each is asked for at most so often, and
//! by one at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use crate::clock::Clock;

/// Questions whose answers are kept at most. Some of them come from the address line.
const MOST: usize = 64;

/// The last answer to each question. Cheap to clone.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    good_for: TimeDelta,
    slots: Arc<Mutex<BTreeMap<K, Slot<V>>>>,
}

/// Whoever asks holds it, and whoever asks the same meanwhile waits for it.
type Slot<V> = Arc<tokio::sync::Mutex<Option<Counted<V>>>>;

/// An answer, and when it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counted<V> {
    pub(super) at: DateTime<Utc>,
    pub(super) answer: V,
}

impl<K, V> Clone for Recent<K, V> {
    fn clone(&self) -> Self {
        Self {
            good_for: self.good_for,
            slots: Arc::clone(&self.slots),
        }
    }
}

impl<K: Ord, V: Clone> Recent<K, V> {
    /// No answers yet; each will be good for so long.
    pub(super) fn new(good_for: TimeDelta) -> Self {
        Self {
            good_for,
            slots: Arc::default(),
        }
    }

    /// The last answer to `question`, or what `ask` returns where there is none or it is too old.
    ///
    /// # Errors
    /// Those of `ask`; whoever waits asks then in turn.
    pub(super) async fn get<E>(
        &self,
        question: K,
        clock: &Clock,
        ask: impl Future<Output = Result<V, E>>,
    ) -> Result<Counted<V>, E> {
        let slot = self.slot(question);
        let mut last = slot.lock().await;
        let now = clock.now();
        if let Some(counted) = last.as_ref().filter(|last| self.is_good(last, now)) {
            return Ok(counted.clone());
        }
        let answer = ask.await?;
        Ok(last.insert(Counted { at: now, answer }).clone())
    }

    fn slot(&self, question: K) -> Slot<V> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MOST && !slots.contains_key(&question) {
            // They are asked for again where they are needed.
            slots.clear();
        }
        Arc::clone(slots.entry(question).or_default())
    }

    /// An answer of the future was made by a clock that was set back since.
    fn is_good(&self, counted: &Counted<V>, now: DateTime<Utc>) -> bool {
        counted.at <= now && now - counted.at < self.good_for
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use chrono::{DateTime, TimeDelta};
    use futures_util::future::join_all;

    use super::{MOST, Recent};
    use crate::clock::Clock;

    #[tokio::test]
    async fn an_answer_is_asked_for_once_until_it_is_old_and_errors_are_not_kept() {
        let seconds = Arc::new(AtomicI64::new(100));
        let clock = Clock::from_fn({
            let seconds = Arc::clone(&seconds);
            move || DateTime::from_timestamp(seconds.load(Ordering::Relaxed), 0).unwrap_or_default()
        });
        let recent = Recent::<i64, i64>::new(TimeDelta::seconds(10));
        let asked = AtomicI64::new(0);
        let get = async |question| {
            let ask = async {
                tokio::task::yield_now().await;
                Ok::<i64, Infallible>(asked.fetch_add(1, Ordering::Relaxed))
            };
            recent.get(question, &clock, ask).await.unwrap().answer
        };
        assert_eq!(join_all((0..50).map(|_| get(1))).await, [0; 50]);
        assert_eq!(get(2).await, 1, "another question");
        for (now, answer) in [(109, 0), (110, 2), (119, 2), (105, 3), (106, 3)] {
            seconds.store(now, Ordering::Relaxed);
            assert_eq!(get(1).await, answer, "at {now}");
        }
        for question in 0..200 {
            get(question).await;
        }
        assert!(recent.slots.lock().unwrap().len() <= MOST);

        let failed = recent.get(1_000, &clock, async { Err("away") }).await;
        assert_eq!(failed, Err("away"));
        assert!(get(1_000).await > 0, "asked again");
    }
}

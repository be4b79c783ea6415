//! Renews the claims of a reader as long as its work advances. Work that waits too long for one
//! thing stands still, most likely for a connection that is dead: another instance may do better.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::{Instant, sleep, timeout};
use tracing::debug;
use uuid::Uuid;

use crate::journal::{Journal, JournalError, ReaderName};

/// When some work last advanced.
#[derive(Debug)]
pub struct Progress(Mutex<Instant>);

impl Progress {
    /// Now.
    pub fn now() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    /// How long ago that is.
    pub fn ago(&self) -> Duration {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .elapsed()
    }

    /// Does `work` and notes each time that something it waited for arrives. Nothing else that the
    /// same task waits for may cause `work` to be polled.
    pub async fn with<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            work.as_mut().poll(context)
        })
        .await
    }
}

/// The batches that a reader works on.
#[derive(Debug)]
pub struct Claims {
    journal: Journal,
    reader: ReaderName,
    hold: Duration,
    batches: AsyncMutex<Vec<Uuid>>,
}

impl Claims {
    /// None yet. Each claim lasts for `hold`.
    pub fn new(journal: Journal, reader: ReaderName, hold: Duration) -> Self {
        Self {
            journal,
            reader,
            hold,
            batches: AsyncMutex::default(),
        }
    }

    /// From now on only these are renewed: no other renewal happens once this returns.
    pub async fn are(&self, batches: &[Uuid]) {
        *self.batches.lock().await = batches.to_vec();
    }

    /// Renews them, but not while the work stands still for `at_most` or longer.
    pub async fn keep(&self, progress: &Progress, at_most: Duration) -> Infallible {
        loop {
            sleep(self.hold / 4).await;
            if progress.ago() >= at_most {
                continue;
            }
            let batches = self.batches.lock().await;
            if batches.is_empty() {
                continue;
            }
            let held = self.journal.renew_claims(self.reader, &batches, self.hold);
            let held = timeout(self.hold / 2, held).await;
            if let Err(error) = held.unwrap_or_else(|_| Err(JournalError::busy())) {
                // What is owed again meanwhile stays in the outbox, and no deed is done twice.
                debug!(
                    reader = %self.reader,
                    error = error.chain(),
                    "could not renew claims of batches"
                );
            }
        }
    }

    /// Does `work` and renews the claims meanwhile.
    #[expect(clippy::missing_panics_doc, reason = "holding on never ends")]
    pub async fn during<T>(&self, at_most: Duration, work: impl Future<Output = T> + Send) -> T {
        let progress = Progress::now();
        // Each is polled only when it is woken, else a renewal would count as progress.
        let mut both = FuturesUnordered::<BoxFuture<'_, T>>::new();
        both.push(Box::pin(async {
            match self.keep(&progress, at_most).await {}
        }));
        both.push(Box::pin(progress.with(work)));
        let done = both.next().await;
        done.expect("holding on never ends, so that this is the work")
    }
}

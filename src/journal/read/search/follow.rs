//! New events as they are stored, for a client that watches. New batches are queried every second,
//! and nothing is locked between two queries. Consumers that must not miss an event read the outbox
//! instead.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use uuid::Uuid;

use crate::event::EventId;
use crate::journal::read::search::select::Stretch;
use crate::journal::read::search::{EventFilter, Order, PAGE_BUDGET, Position, walk};
use crate::journal::{Journal, JournalError, StoredEvent};

/// Batches in two minutes; more would be hundreds a second.
const MOST: i64 = 50_000;
/// All clients that follow share a result that is no older.
const FRESH: Duration = Duration::from_millis(500);
/// Batches that are read together.
const TOGETHER: usize = 64;
/// Events in one answer.
const EVENTS: i64 = 500;

/// The batches that were begun in the last two minutes, the oldest first, as they were last read.
#[derive(Debug, Default)]
pub(in crate::journal) struct Recent(Mutex<Option<(Instant, Arc<[Uuid]>)>>);

/// Reads what is stored from some moment on.
#[derive(Debug)]
pub struct Follow {
    journal: Journal,
    filter: EventFilter,
    /// Recent batches that were read, or are still to be read.
    seen: BTreeSet<Uuid>,
    /// Those still to be read.
    owed: VecDeque<Uuid>,
    /// How far the first of them are read.
    after: Option<Position>,
}

impl Follow {
    /// How long to wait after [`next`](Self::next) found nothing.
    pub const EVERY: Duration = Duration::from_secs(1);

    /// Follows from now on.
    pub async fn from_now(journal: Journal, filter: EventFilter) -> Result<Self, JournalError> {
        journal.check_people(&filter).await?;
        let seen = journal.begun_lately().await?.into_iter().collect();
        Ok(Self {
            journal,
            filter,
            seen,
            owed: VecDeque::new(),
            after: None,
        })
    }

    /// Follows from an event on that was followed before. What was begun in the 30 s before its
    /// batch is repeated, since it may have been committed after it. None where the event is not
    /// stored, was received over an hour ago, or more is stored since than can be read.
    pub async fn from_event(
        journal: Journal,
        filter: EventFilter,
        id: EventId,
    ) -> Result<Option<Self>, JournalError> {
        journal.check_people(&filter).await?;
        let seen: BTreeSet<Uuid> = journal.begun_lately().await?.into_iter().collect();
        let Some(owed) = journal.begun_since(id).await? else {
            return Ok(None);
        };
        Ok(Some(Self {
            journal,
            filter,
            seen: seen.into_iter().chain(owed.iter().copied()).collect(),
            owed: owed.into(),
            after: None,
        }))
    }

    /// Follows from the event `last` on where that is possible, else from now on. `false` says that
    /// what was stored between the two is not known any more.
    pub async fn resumed(
        journal: Journal,
        filter: EventFilter,
        last: Option<EventId>,
    ) -> Result<(Self, bool), JournalError> {
        let Some(last) = last else {
            return Ok((Self::from_now(journal, filter).await?, true));
        };
        match Self::from_event(journal.clone(), filter.clone(), last).await? {
            Some(resumed) => Ok((resumed, true)),
            None => Ok((Self::from_now(journal, filter).await?, false)),
        }
    }

    /// Some of the new events that match, the oldest first; none once all were read. After an error
    /// nothing is lost: the next call continues there.
    pub async fn next(&mut self) -> Result<Vec<StoredEvent>, JournalError> {
        loop {
            if self.owed.is_empty() {
                self.poll().await?;
            }
            if self.owed.is_empty() {
                return Ok(Vec::new());
            }
            let batches: Vec<Uuid> = self.owed.iter().take(TOGETHER).copied().collect();
            let read = batches.len();
            let filter = EventFilter {
                batches: Some(batches),
                ..self.filter.clone()
            };
            let ask = walk::PageQuery {
                filter: &filter,
                order: Order::Oldest,
                stretch: Stretch {
                    after: self.after,
                    until: None,
                },
                limit: EVENTS,
                budget: PAGE_BUDGET,
            };
            let found = self.journal.walk(&ask).await?;
            self.after = found.next;
            if found.next.is_none() {
                self.owed.drain(..read);
            }
            if !found.events.is_empty() {
                return Ok(found.events);
            }
        }
    }

    /// What [`next`](Self::next) found, for a client that goes on asking: nothing found is told
    /// after a while, and so is trouble that passes. None ends the client's stream: usher stops, or
    /// the record cannot be read.
    pub async fn wait(&mut self, stopping: &CancellationToken) -> Option<Vec<StoredEvent>> {
        let found = stopping.run_until_cancelled(self.next()).await?;
        match found {
            Ok(events) if !events.is_empty() => return Some(events),
            Ok(_) => {}
            Err(error) if error.is_transient() => {
                debug!(error = error.chain(), "a tail waits for the record");
            }
            Err(error) => {
                warn!(error = error.chain(), "a tail was broken off");
                return None;
            }
        }
        let pause = tokio::time::sleep(Self::EVERY);
        stopping.run_until_cancelled(pause).await?;
        Some(Vec::new())
    }

    async fn poll(&mut self) -> Result<(), JournalError> {
        let recent = self.journal.recent_batches().await?;
        let new = recent.iter().filter(|batch| !self.seen.contains(batch));
        self.owed.extend(new.copied());
        self.seen = recent.iter().copied().collect();
        Ok(())
    }
}

impl Journal {
    /// The batches of [`begun_lately`](Self::begun_lately), from a moment ago if another client
    /// asked then.
    async fn recent_batches(&self) -> Result<Arc<[Uuid]>, JournalError> {
        let mut recent = self.recent.0.lock().await;
        if let Some((at, batches)) = &*recent
            && at.elapsed() < FRESH
        {
            return Ok(Arc::clone(batches));
        }
        let batches: Arc<[Uuid]> = self.begun_lately().await?.into();
        *recent = Some((Instant::now(), Arc::clone(&batches)));
        Ok(batches)
    }

    /// Batches with events whose transaction began in the last two minutes by the database's clock,
    /// the oldest first: longer than any takes until it is committed.
    async fn begun_lately(&self) -> Result<Vec<Uuid>, JournalError> {
        let mut batches = sqlx::query_scalar!(
            r"
            SELECT id
            FROM batches
            WHERE created_at >= now() - interval '2 minutes' AND first_event_ts IS NOT NULL
            ORDER BY created_at DESC, id DESC
            LIMIT $1
            ",
            MOST,
        )
        .fetch_all(&self.pool)
        .await?;
        batches.reverse();
        Ok(batches)
    }

    /// Batches with events that may have been committed after the one with this event was, the
    /// oldest first.
    async fn begun_since(&self, id: EventId) -> Result<Option<Vec<Uuid>>, JournalError> {
        let portals = self.portals.texts();
        let began = sqlx::query_scalar!(
            r"
            SELECT b.created_at
            FROM events e
            JOIN batches b ON b.id = e.batch
            WHERE e.event_ts = $1 AND e.id = $2 AND b.created_at >= now() - interval '1 hour'
                AND ($3::text[] IS NULL OR e.portal_id = ANY($3))
            ",
            id.event_ts(),
            id.as_uuid(),
            portals.as_deref(),
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(began) = began else {
            return Ok(None);
        };
        let batches = sqlx::query_scalar!(
            r"
            SELECT id
            FROM batches
            WHERE created_at >= $1::timestamptz - interval '30 seconds'
                AND first_event_ts IS NOT NULL
            ORDER BY created_at, id
            LIMIT $2
            ",
            began,
            MOST + 1,
        )
        .fetch_all(&self.pool)
        .await?;
        let can_be_caught_up_with = i64::try_from(batches.len()).is_ok_and(|count| count <= MOST);
        Ok(can_be_caught_up_with.then_some(batches))
    }
}

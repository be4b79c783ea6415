//! What prevents writes while the server still answers, so that a ping would not show it. Its disk
//! is full, or it is not as usher needs it: a right was revoked or a table was changed.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::Map;
use uuid::Uuid;

use crate::event::{OwnEvent, Verdict};
use crate::journal::{
    Journal, JournalError, Lane, NewBatch, NewEvent, NewQuarantine, RequestRecord, Source,
    append_in,
};

/// How long after a full disk a write is tried again.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// What the last transactions found.
#[derive(Debug, Default)]
pub(in crate::journal) struct WriteHealth(Mutex<Option<Failure>>);

#[derive(Debug, Clone)]
enum Failure {
    FullDisk(Instant),
    /// The cause, and when the batch was received.
    Unfit(String, DateTime<Utc>),
}

impl WriteHealth {
    /// A transaction for what was received at that time was committed, or failed.
    pub(super) fn note<T>(&self, outcome: &Result<T, JournalError>, received_at: DateTime<Utc>) {
        let last_failure = match outcome {
            Ok(_) => None,
            Err(error) if error.is_disk_full() => Some(Failure::FullDisk(Instant::now())),
            Err(error @ JournalError::Unfit { .. }) => {
                Some(Failure::Unfit(error.to_string(), received_at))
            }
            Err(_) => return,
        };
        *self.lock() = last_failure;
    }

    fn last_failure(&self) -> Option<Failure> {
        let last_failure = self.lock().clone();
        last_failure.filter(|last_failure| match last_failure {
            Failure::FullDisk(at) => at.elapsed() < TRY_AGAIN_AFTER,
            Failure::Unfit(..) => true,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Failure>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal {
    /// What prevents writes, in plain words, without any name or address.
    pub fn hindrance(&self) -> Option<String> {
        self.write_health
            .last_failure()
            .map(|last_failure| match last_failure {
                Failure::FullDisk(_) => "the database has no space left".to_owned(),
                Failure::Unfit(cause, _) => cause,
            })
    }

    /// Whether rows can be written, as far as that is known. After a transaction that failed, it
    /// writes a probe.
    pub(in crate::journal) async fn takes_rows(&self) -> Result<bool, JournalError> {
        let received_at = match self.write_health.last_failure() {
            None => return Ok(true),
            Some(Failure::FullDisk(_)) => return Ok(false),
            Some(Failure::Unfit(_, received_at)) => received_at,
        };
        let outcome = match self.try_out(received_at).await {
            // A row of this kind would be quarantined, and others stored.
            Err(error) if error.refused_rows().is_some() => Ok(()),
            outcome => outcome,
        };
        self.write_health.note(&outcome, received_at);
        match outcome {
            Ok(()) => Ok(true),
            Err(JournalError::Unfit { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes a row of everything that a delivery may contain, and rolls it back. Twice, since an
    /// event that is stored already takes another path.
    async fn try_out(&self, received_at: DateTime<Utc>) -> Result<(), JournalError> {
        let mut batch = probe_batch(received_at);
        self.ensure_partitions([received_at]).await?;
        let mut tx = self.pool.begin().await?;
        append_in(&mut tx, &batch).await?;
        batch.id = Uuid::max();
        append_in(&mut tx, &batch).await?;
        tx.rollback().await?;
        Ok(())
    }
}

fn probe_batch(received_at: DateTime<Utc>) -> NewBatch {
    let (raw, event) = OwnEvent {
        name: "trial".to_owned(),
        portal_id: String::new(),
        principal_id: None,
        object: String::new(),
        revision: 0,
        occurred_at: received_at,
        data: Map::new(),
    }
    .build();
    NewBatch {
        id: Uuid::nil(),
        source: Source::Webhook,
        lane: Lane::Live,
        part_of: None,
        received_at,
        requests: vec![RequestRecord {
            id: Uuid::nil(),
            received_at,
            peer: String::new(),
            encoding: String::new(),
            body_bytes: 0,
            inflated_bytes: 0,
            status: 200,
            received: 2,
            stored: 0,
            duplicates: 0,
            quarantined: 0,
        }],
        events: vec![NewEvent {
            event,
            raw: raw.into(),
            verdict: Verdict::NotApplicable,
            request: Some(0),
        }],
        quarantined: vec![NewQuarantine {
            id: Uuid::nil(),
            request: Some(0),
            reason: "trial",
            detail: String::new(),
            raw: Bytes::new(),
            raw_bytes: 0,
            event_id: None,
        }],
    }
}

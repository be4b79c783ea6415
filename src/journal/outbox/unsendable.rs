//! Events that a reader can never send. They are quarantined in the transaction that finishes their
//! batch, so that none of them is only a line in a log.

use metrics::counter;
use uuid::Uuid;

use crate::journal::{Journal, JournalError, Owed, ReaderName, StoredEvent, finish_in};
use crate::telemetry::metrics as names;

/// An event that cannot be sent, and why.
#[derive(Debug, Clone)]
pub struct Unsendable {
    /// The event.
    pub event: StoredEvent,
    /// Stable code.
    pub reason: &'static str,
    /// What was found, for a person.
    pub detail: String,
}

impl Unsendable {
    /// The same whenever this reader meets this event, so that it is quarantined once.
    fn row_id(&self, reader: ReaderName) -> Uuid {
        let tag = match reader {
            ReaderName::Kafka => 1,
            ReaderName::React => 2,
            ReaderName::Report => 3,
            ReaderName::Forward(hash) => u128::from(hash),
        };
        Uuid::from_u128(self.event.id.as_uuid().as_u128() ^ tag)
    }
}

impl Journal {
    /// Finishes batches, as they were read, and quarantines their events that could not be sent, in
    /// one transaction.
    pub async fn finish_without(
        &self,
        reader: ReaderName,
        done: &[Owed],
        unsendable: &[Unsendable],
    ) -> Result<(), JournalError> {
        let mut tx = self.pool.begin().await?;
        for kept in unsendable {
            let event = &kept.event;
            sqlx::query!(
                r"
                INSERT INTO quarantine
                    (id, received_at, batch, delivery_id, reason, detail, raw, raw_bytes, event_id)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                ON CONFLICT (id) DO NOTHING
                ",
                kept.row_id(reader),
                event.received_at,
                event.batch,
                event.delivery_id,
                kept.reason,
                kept.detail,
                event.raw,
                i64::try_from(event.raw.len()).unwrap_or(i64::MAX),
                event.id.as_uuid(),
            )
            .execute(&mut *tx)
            .await?;
        }
        finish_in(&mut tx, reader, done).await?;
        tx.commit().await?;
        for kept in unsendable {
            counter!(names::ENTRIES_QUARANTINED, "reason" => kept.reason).increment(1);
        }
        Ok(())
    }
}

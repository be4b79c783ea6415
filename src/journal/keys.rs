//! Every signing key that Konnect ever served.

use chrono::{DateTime, Utc};

use crate::journal::{Journal, JournalError};

/// One public key and when it was in the set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Ed25519 public key, 32 bytes.
    pub key: Vec<u8>,
    /// When it was last in the set.
    pub last_seen: DateTime<Utc>,
}

impl Journal {
    /// Remembers that `keys` (each with its id as served) were the set at `now`, and forgets when the set was asked for
    /// before `forgotten`.
    pub async fn see_keys(
        &self,
        keys: &[([u8; 32], Option<String>)],
        now: DateTime<Utc>,
        forgotten: Option<DateTime<Utc>>,
    ) -> Result<(), JournalError> {
        let mut tx = self.pool.begin().await?;
        for (key, kid) in keys {
            sqlx::query!(
                r"
                INSERT INTO signing_keys (key, kid, first_seen, last_seen)
                VALUES ($1, $2, $3, $3)
                ON CONFLICT (key) DO UPDATE
                SET last_seen = GREATEST(signing_keys.last_seen, EXCLUDED.last_seen)
                ",
                &key[..],
                kid.as_deref(),
                now,
            )
            .execute(&mut *tx)
            .await?;
        }
        sqlx::query!(
            r"
            INSERT INTO signing_key_fetches (asked_at)
            VALUES ($1)
            ON CONFLICT (asked_at) DO NOTHING
            ",
            now,
        )
        .execute(&mut *tx)
        .await?;
        if let Some(forgotten) = forgotten {
            sqlx::query!(
                r"
                DELETE FROM signing_key_fetches
                WHERE asked_at < $1
                ",
                forgotten,
            )
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// When the set was asked for, the newest first, as far back as is remembered.
    pub async fn key_fetches(&self) -> Result<Vec<DateTime<Utc>>, JournalError> {
        Ok(sqlx::query_scalar!(
            r"
            SELECT asked_at
            FROM signing_key_fetches
            ORDER BY asked_at DESC
            "
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// The keys that were in the set at `since` or later.
    pub async fn keys_since(&self, since: DateTime<Utc>) -> Result<Vec<SigningKey>, JournalError> {
        Ok(sqlx::query_as!(
            SigningKey,
            r"
            SELECT key, last_seen
            FROM signing_keys
            WHERE last_seen >= $1
            ORDER BY last_seen DESC
            ",
            since,
        )
        .fetch_all(&self.pool)
        .await?)
    }
}

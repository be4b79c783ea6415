//! Every signing key that Konnect ever served.

use chrono::{DateTime, TimeDelta, Utc};

use crate::journal::{Journal, JournalError};

/// One public key and when it was in the set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Ed25519 public key, 32 bytes.
    pub key: Vec<u8>,
    /// When it was last in the set.
    pub last_seen: DateTime<Utc>,
}

/// One public key with all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedKey {
    /// Ed25519 public key, 32 bytes.
    pub key: Vec<u8>,
    /// Its id as served; entries do not have it.
    pub kid: Option<String>,
    /// When it was first in the set.
    pub first_seen: DateTime<Utc>,
    /// When it was last in the set.
    pub last_seen: DateTime<Utc>,
}

/// When the set was fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyFetch {
    /// When it was asked for, by the clock of the instance that asked.
    pub asked_at: DateTime<Utc>,
    /// When that was noted, by the database's clock.
    pub created_at: DateTime<Utc>,
}

impl Journal {
    /// Stores that `keys` (each with its id as served) are in the set now, by the database's clock.
    /// Stores that the set was asked for at `asked_at` by this instance's clock, as deliveries are
    /// received. Deletes fetches before `forgotten`.
    pub async fn see_keys(
        &self,
        keys: &[([u8; 32], Option<String>)],
        asked_at: DateTime<Utc>,
        forgotten: Option<DateTime<Utc>>,
    ) -> Result<(), JournalError> {
        let mut tx = self.pool.begin().await?;
        for (key, kid) in keys {
            sqlx::query!(
                r"
                INSERT INTO signing_keys (key, kid, first_seen, last_seen)
                VALUES ($1, $2, now(), now())
                ON CONFLICT (key) DO UPDATE
                SET last_seen = EXCLUDED.last_seen
                ",
                &key[..],
                kid.as_deref(),
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
            asked_at,
        )
        .execute(&mut *tx)
        .await?;
        if let Some(forgotten) = forgotten {
            sqlx::query!(
                r"
                DELETE FROM signing_key_fetches
                WHERE LEAST(asked_at, created_at) < $1
                ",
                forgotten,
            )
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// The keys that were in the set less than `age` ago, by the database's clock, always in the
    /// same order. A key of the future was stored by an instance whose clock was wrong, and is good
    /// again once it is served.
    pub async fn keys_seen_within(&self, age: TimeDelta) -> Result<Vec<SigningKey>, JournalError> {
        Ok(sqlx::query_as!(
            SigningKey,
            r"
            SELECT key, last_seen
            FROM signing_keys
            WHERE last_seen > now() - make_interval(secs => $1)
                AND last_seen < now() + interval '1 day'
            ORDER BY last_seen DESC, key
            ",
            age.as_seconds_f64(),
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// The stored fetches of the set, the newest first by the earlier of their times.
    pub async fn key_fetches(&self) -> Result<Vec<KeyFetch>, JournalError> {
        Ok(sqlx::query_as!(
            KeyFetch,
            r"
            SELECT asked_at, created_at
            FROM signing_key_fetches
            ORDER BY LEAST(asked_at, created_at) DESC
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

    /// Up to `limit` of the keys that were ever served, the one that was seen last first.
    pub async fn served_keys(&self, limit: i64) -> Result<Vec<ServedKey>, JournalError> {
        Ok(sqlx::query_as!(
            ServedKey,
            r"
            SELECT key, kid, first_seen, last_seen
            FROM signing_keys
            ORDER BY last_seen DESC, key
            LIMIT $1
            ",
            limit,
        )
        .fetch_all(&self.pool)
        .await?)
    }
}

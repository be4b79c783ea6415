//! Sessions of the console: which browser stands for which console token, by the database's clock.
//! Only hashes are stored.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::journal::{Journal, JournalError};

/// A session that is not used for so long ends.
pub const SESSION_IDLE: Duration = Duration::from_hours(12);
/// A session ends after so long, used or not.
pub const SESSION_ABSOLUTE: Duration = Duration::from_hours(7 * 24);
/// That a session was used is written at most so often.
const SEEN_EVERY: Duration = Duration::from_mins(1);

/// A SHA-256: of a session's secret, or of a console token.
type Hash = [u8; 32];

/// The sessions of one console token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSessions {
    /// The token.
    pub token_hash: Vec<u8>,
    /// Sessions that have not ended.
    pub sessions: i64,
    /// When one of them was last used, to about a minute.
    pub seen_at: Option<DateTime<Utc>>,
}

impl Journal {
    /// Stores a session that stands for a token, and deletes those that have ended.
    pub async fn begin_session(&self, hash: &Hash, token_hash: &Hash) -> Result<(), JournalError> {
        sqlx::query!(
            r"
            WITH ended AS (
                DELETE FROM console_sessions
                WHERE seen_at < now() - make_interval(secs => $3)
                    OR created_at < now() - make_interval(secs => $4)
            )
            INSERT INTO console_sessions (hash, token_hash)
            VALUES ($1, $2)
            ",
            hash,
            token_hash,
            SESSION_IDLE.as_secs_f64(),
            SESSION_ABSOLUTE.as_secs_f64(),
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The token that a session stands for; none once it has ended. Notes that it was used.
    pub async fn session(&self, hash: &Hash) -> Result<Option<Vec<u8>>, JournalError> {
        let found = sqlx::query!(
            r#"
            SELECT token_hash, seen_at < now() - make_interval(secs => $4) AS "is_due!"
            FROM console_sessions
            WHERE hash = $1
                AND seen_at >= now() - make_interval(secs => $2)
                AND created_at >= now() - make_interval(secs => $3)
            "#,
            hash,
            SESSION_IDLE.as_secs_f64(),
            SESSION_ABSOLUTE.as_secs_f64(),
            SEEN_EVERY.as_secs_f64(),
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(found) = found else {
            return Ok(None);
        };
        if found.is_due {
            sqlx::query!(
                "UPDATE console_sessions SET seen_at = now() WHERE hash = $1",
                hash
            )
            .execute(&self.pool)
            .await?;
        }
        Ok(Some(found.token_hash))
    }

    /// Whether a session has not ended. Asking does not count as use.
    pub async fn session_lasts(&self, hash: &Hash) -> Result<bool, JournalError> {
        Ok(sqlx::query_scalar!(
            r#"
            SELECT EXISTS (
                SELECT
                FROM console_sessions
                WHERE hash = $1
                    AND seen_at >= now() - make_interval(secs => $2)
                    AND created_at >= now() - make_interval(secs => $3)
            ) AS "lasts!"
            "#,
            hash,
            SESSION_IDLE.as_secs_f64(),
            SESSION_ABSOLUTE.as_secs_f64(),
        )
        .fetch_one(&self.pool)
        .await?)
    }

    /// Ends a session.
    pub async fn end_session(&self, hash: &Hash) -> Result<(), JournalError> {
        sqlx::query!("DELETE FROM console_sessions WHERE hash = $1", hash)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Ends every session that stands for the token; returns how many there were.
    pub async fn end_sessions_of(&self, token_hash: &[u8]) -> Result<u64, JournalError> {
        let done = sqlx::query!(
            "DELETE FROM console_sessions WHERE token_hash = $1",
            token_hash
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }

    /// The sessions of every token that has some.
    pub async fn token_sessions(&self) -> Result<Vec<TokenSessions>, JournalError> {
        Ok(sqlx::query_as!(
            TokenSessions,
            r#"
            SELECT token_hash, count(*) AS "sessions!", max(seen_at) AS seen_at
            FROM console_sessions
            WHERE seen_at >= now() - make_interval(secs => $1)
                AND created_at >= now() - make_interval(secs => $2)
            GROUP BY token_hash
            "#,
            SESSION_IDLE.as_secs_f64(),
            SESSION_ABSOLUTE.as_secs_f64(),
        )
        .fetch_all(&self.pool)
        .await?)
    }
}

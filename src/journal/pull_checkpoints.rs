//! How far the organisation's log was pulled, and which time had become too old to be pulled.

use chrono::{DateTime, Utc};

use crate::journal::{Journal, JournalError};

/// Where a course of the pull follower is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PullCheckpoint {
    /// Entries before this time were pulled and stored, or cannot be pulled any more.
    pub pulled_to: DateTime<Utc>,
    /// The last time that had become too old to be pulled.
    pub lost: Option<PullLoss>,
}

/// A time whose entries could not be pulled any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PullLoss {
    /// Its start.
    pub from: DateTime<Utc>,
    /// Its end.
    pub to: DateTime<Utc>,
    /// When that was found, by the database's clock.
    pub found_at: DateTime<Utc>,
}

impl Journal {
    /// Where `course` (`follow` or `check`) is; none before its first window.
    pub async fn pull_checkpoint(
        &self,
        course: &str,
    ) -> Result<Option<PullCheckpoint>, JournalError> {
        let row = sqlx::query!(
            r"
            SELECT pulled_to, lost_from, lost_to, lost_at
            FROM pull_checkpoints
            WHERE course = $1
            ",
            course,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| PullCheckpoint {
            pulled_to: row.pulled_to,
            lost: match (row.lost_from, row.lost_to, row.lost_at) {
                (Some(from), Some(to), Some(found_at)) => Some(PullLoss { from, to, found_at }),
                _ => None,
            },
        }))
    }

    /// Moves `course` on to `pulled_to`, and never back: what another instance pulled meanwhile
    /// stays pulled.
    pub async fn move_pull_checkpoint(
        &self,
        course: &str,
        pulled_to: DateTime<Utc>,
    ) -> Result<(), JournalError> {
        sqlx::query!(
            r"
            INSERT INTO pull_checkpoints (course, pulled_to)
            VALUES ($1, $2)
            ON CONFLICT (course) DO UPDATE
            SET
                pulled_to = GREATEST(pull_checkpoints.pulled_to, EXCLUDED.pulled_to),
                updated_at = now()
            ",
            course,
            pulled_to,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Notes that `course` cannot pull what is before `to` any more, and moves it on to there.
    pub async fn note_pull_loss(
        &self,
        course: &str,
        to: DateTime<Utc>,
    ) -> Result<(), JournalError> {
        sqlx::query!(
            r"
            UPDATE pull_checkpoints
            SET lost_from = pulled_to, lost_to = $2, lost_at = now(), pulled_to = $2, updated_at = now()
            WHERE course = $1 AND pulled_to < $2
            ",
            course,
            to,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

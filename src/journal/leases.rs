//! Work that one instance at a time may do, decided by the database and by its clock.

use std::time::Duration;

use uuid::Uuid;

use crate::journal::{Journal, JournalError};

/// A named piece of work and the instance that wants its lease.
#[derive(Debug, Clone)]
pub struct Lease {
    /// The work.
    pub name: String,
    /// The instance.
    pub holder: Uuid,
    /// How long it lasts without renewal.
    pub ttl: Duration,
}

impl Journal {
    /// Takes the lease, or renews it when this instance has it; `false` while another instance has
    /// it.
    pub async fn take_lease(&self, lease: &Lease) -> Result<bool, JournalError> {
        let done = sqlx::query!(
            r"
            INSERT INTO leases (name, holder, expires_at)
            VALUES ($1, $2, now() + make_interval(secs => $3))
            ON CONFLICT (name) DO UPDATE
            SET holder = EXCLUDED.holder, expires_at = EXCLUDED.expires_at
            WHERE leases.holder = EXCLUDED.holder OR leases.expires_at < now()
            ",
            lease.name,
            lease.holder,
            lease.ttl.as_secs_f64(),
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Renews a lease three times before it would end, until that fails; to be raced against the
    /// work that it is for.
    pub async fn keep_lease(&self, lease: &Lease) -> JournalError {
        loop {
            tokio::time::sleep(lease.ttl / 3).await;
            match self.take_lease(lease).await {
                Ok(true) => {}
                Ok(false) => return JournalError::LeaseLost,
                Err(error) => return error,
            }
        }
    }

    /// Releases the lease, so that another instance need not wait until it expires.
    pub async fn release_lease(&self, lease: &Lease) -> Result<(), JournalError> {
        sqlx::query!(
            r"
            DELETE FROM leases
            WHERE name = $1 AND holder = $2
            ",
            lease.name,
            lease.holder,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

//! Reduces what actions store about a person who is forgotten: the domain of an address may be
//! theirs alone. Decisions and deeds stay.

use konnect::{DeveloperId, PortalId};

use crate::act::Queue;
use crate::journal::JournalError;

impl Queue {
    /// Removes the domain of somebody's address from the facts of all actions about them; returns
    /// how many had one.
    pub async fn forget(
        &self,
        portal: PortalId,
        developer: DeveloperId,
    ) -> Result<u64, JournalError> {
        let done = sqlx::query!(
            r"
            UPDATE actions
            SET facts = facts #- '{developer,email_domain}'
            WHERE portal_id = $1
                AND facts #>> '{developer,id}' = $2
                AND facts #>> '{developer,email_domain}' IS NOT NULL
            ",
            portal.0,
            developer.to_string(),
        )
        .execute(self.pool())
        .await?;
        Ok(done.rows_affected())
    }
}

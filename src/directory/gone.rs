//! Marks what is gone. Rows stay: their revision goes on when an id comes back.

use crate::journal::Connection;

use crate::directory::difference::Gone;
use crate::directory::write::Writing;
use crate::journal::JournalError;

impl Writing {
    /// Marks everything that `gone` names.
    pub(super) async fn mark_gone(
        self,
        tx: &mut Connection,
        gone: &Gone,
    ) -> Result<(), JournalError> {
        self.gone_portal(tx, gone).await?;
        self.gone_developers(tx, gone).await?;
        self.gone_teams(tx, gone).await?;
        self.gone_memberships(tx, gone).await?;
        self.gone_applications(tx, gone).await?;
        self.gone_registrations(tx, gone).await
    }

    async fn gone_portal(self, tx: &mut Connection, gone: &Gone) -> Result<(), JournalError> {
        let Some(write) = &gone.portal else {
            return Ok(());
        };
        sqlx::query!(
            r"
            UPDATE directory_portals
            SET gone_at = $2, look = $3, revision = $4
            WHERE portal_id = $1
            ",
            self.portal.0,
            self.now,
            self.look,
            write.revision,
        )
        .execute(tx)
        .await?;
        Ok(())
    }

    async fn gone_developers(self, tx: &mut Connection, gone: &Gone) -> Result<(), JournalError> {
        sqlx::query!(
            r"
            UPDATE directory_developers
            SET gone_at = $2, look = $3, revision = t.revision
            FROM UNNEST($4::uuid[], $5::bigint[]) AS t (id, revision)
            WHERE portal_id = $1 AND developer_id = t.id
            ",
            self.portal.0,
            self.now,
            self.look,
            &gone.developers.iter().map(|w| w.item.0).collect::<Vec<_>>(),
            &gone
                .developers
                .iter()
                .map(|w| w.revision)
                .collect::<Vec<_>>(),
        )
        .execute(tx)
        .await?;
        Ok(())
    }

    async fn gone_teams(self, tx: &mut Connection, gone: &Gone) -> Result<(), JournalError> {
        sqlx::query!(
            r"
            UPDATE directory_teams
            SET gone_at = $2, look = $3, revision = t.revision
            FROM UNNEST($4::uuid[], $5::bigint[]) AS t (id, revision)
            WHERE portal_id = $1 AND team_id = t.id
            ",
            self.portal.0,
            self.now,
            self.look,
            &gone.teams.iter().map(|w| w.item.0).collect::<Vec<_>>(),
            &gone.teams.iter().map(|w| w.revision).collect::<Vec<_>>(),
        )
        .execute(tx)
        .await?;
        Ok(())
    }

    async fn gone_applications(self, tx: &mut Connection, gone: &Gone) -> Result<(), JournalError> {
        sqlx::query!(
            r"
            UPDATE directory_applications
            SET gone_at = $2, look = $3, revision = t.revision
            FROM UNNEST($4::uuid[], $5::bigint[]) AS t (id, revision)
            WHERE portal_id = $1 AND application_id = t.id
            ",
            self.portal.0,
            self.now,
            self.look,
            &gone
                .applications
                .iter()
                .map(|w| w.item.0)
                .collect::<Vec<_>>(),
            &gone
                .applications
                .iter()
                .map(|w| w.revision)
                .collect::<Vec<_>>(),
        )
        .execute(tx)
        .await?;
        Ok(())
    }

    async fn gone_registrations(
        self,
        tx: &mut Connection,
        gone: &Gone,
    ) -> Result<(), JournalError> {
        sqlx::query!(
            r"
            UPDATE directory_registrations
            SET gone_at = $2, look = $3, revision = t.revision
            FROM UNNEST($4::uuid[], $5::bigint[]) AS t (id, revision)
            WHERE portal_id = $1 AND registration_id = t.id
            ",
            self.portal.0,
            self.now,
            self.look,
            &gone
                .registrations
                .iter()
                .map(|w| w.item.0)
                .collect::<Vec<_>>(),
            &gone
                .registrations
                .iter()
                .map(|w| w.revision)
                .collect::<Vec<_>>(),
        )
        .execute(tx)
        .await?;
        Ok(())
    }

    async fn gone_memberships(self, tx: &mut Connection, gone: &Gone) -> Result<(), JournalError> {
        sqlx::query!(
            r"
            UPDATE directory_memberships m
            SET gone_at = $2, look = $3, revision = t.revision
            FROM UNNEST($4::uuid[], $5::uuid[], $6::bigint[]) AS t (team_id, developer_id, revision)
            WHERE m.portal_id = $1
                AND m.team_id = t.team_id
                AND m.developer_id = t.developer_id
            ",
            self.portal.0,
            self.now,
            self.look,
            &gone
                .memberships
                .iter()
                .map(|w| w.item.0.0)
                .collect::<Vec<_>>(),
            &gone
                .memberships
                .iter()
                .map(|w| w.item.1.0)
                .collect::<Vec<_>>(),
            &gone
                .memberships
                .iter()
                .map(|w| w.revision)
                .collect::<Vec<_>>(),
        )
        .execute(tx)
        .await?;
        Ok(())
    }
}

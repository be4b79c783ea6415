//! Teams and memberships page by page.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::directory::Directory;
use crate::directory::objects::{Membership, Team};
use crate::directory::pages::{ListPage, last_portal};
use crate::directory::rows::{MembershipRow, TeamRow};
use crate::journal::JournalError;

/// Which memberships to list.
#[derive(Debug, Clone, Default)]
pub struct MembershipFilter {
    /// Only those of this team.
    pub team_id: Option<Uuid>,
    /// Only those of this developer.
    pub developer_id: Option<Uuid>,
}

impl Directory {
    /// Lists teams by portal and id.
    pub async fn list_teams(
        &self,
        page: &ListPage<(Uuid, Uuid)>,
    ) -> Result<Vec<Team>, JournalError> {
        let portals = self.journal.portals().narrowed(page.portal_id);
        let (portal, team) = page.start(&portals, |portal| (portal, Uuid::nil()));
        let rows = sqlx::query_as!(
            TeamRow,
            r"
            SELECT
                portal_id, team_id, name, can_own_applications, api_created_at, api_updated_at,
                look, revision, first_seen_at, last_seen_at, gone_at
            FROM directory_teams
            WHERE (portal_id, team_id) > ($1, $2)
                AND portal_id <= $3
                AND ($4::boolean IS NULL OR (gone_at IS NOT NULL) = $4)
                AND ($6::uuid[] IS NULL OR portal_id = ANY($6))
            ORDER BY portal_id, team_id
            LIMIT $5
            ",
            portal,
            team,
            last_portal(&portals),
            page.gone.wanted(),
            page.limit,
            portals.others(),
        )
        .fetch_all(self.journal.pool())
        .await?;
        Ok(rows.into_iter().map(Team::from).collect())
    }

    /// Lists memberships by portal, team and developer; those that are gone are those that ended.
    pub async fn list_memberships(
        &self,
        filter: &MembershipFilter,
        page: &ListPage<(Uuid, Uuid, Uuid)>,
    ) -> Result<Vec<Membership>, JournalError> {
        let before = |portal| (portal, Uuid::nil(), Uuid::nil());
        let portals = self.journal.portals().narrowed(page.portal_id);
        let (portal, team, developer) = page.start(&portals, before);
        let rows = sqlx::query_as!(
            MembershipRow,
            r"
            SELECT
                portal_id, team_id, developer_id,
                look, revision, first_seen_at, last_seen_at, gone_at
            FROM directory_memberships
            WHERE (portal_id, team_id, developer_id) > ($1, $2, $3)
                AND portal_id <= $4
                AND ($5::uuid IS NULL OR team_id = $5)
                AND ($6::uuid IS NULL OR developer_id = $6)
                AND ($7::boolean IS NULL OR (gone_at IS NOT NULL) = $7)
                AND ($9::uuid[] IS NULL OR portal_id = ANY($9))
            ORDER BY portal_id, team_id, developer_id
            LIMIT $8
            ",
            portal,
            team,
            developer,
            last_portal(&portals),
            filter.team_id,
            filter.developer_id,
            page.gone.wanted(),
            page.limit,
            portals.others(),
        )
        .fetch_all(self.journal.pool())
        .await?;
        Ok(rows.into_iter().map(Membership::from).collect())
    }
    /// The names of teams, asked for and returned by portal and id; unknown teams are left out.
    pub async fn team_names(
        &self,
        teams: &[(Uuid, Uuid)],
    ) -> Result<BTreeMap<(Uuid, Uuid), String>, JournalError> {
        if teams.is_empty() {
            return Ok(BTreeMap::new());
        }
        let (portals, ids) = self.seen_of(teams);
        let rows = sqlx::query!(
            r#"
            SELECT DISTINCT t.portal_id, t.team_id, t.name
            FROM UNNEST($1::uuid[], $2::uuid[]) AS asked (portal_id, team_id)
            JOIN directory_teams t USING (portal_id, team_id)
            "#,
            &portals,
            &ids,
        )
        .fetch_all(self.journal.pool())
        .await?;
        let names = rows.into_iter();
        Ok(names
            .map(|row| ((row.portal_id, row.team_id), row.name))
            .collect())
    }
}

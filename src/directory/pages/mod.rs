//! Lists of the directory for people, page by page, in the order of portals and ids. Objects that
//! are gone are left out unless they are asked for.

mod applications;
mod developers;
mod teams;

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::directory::Directory;
use crate::directory::objects::Portal;
use crate::directory::rows::PortalRow;
use crate::directory::subjects::Subject;
use crate::http::PortalScope;
use crate::journal::JournalError;

pub use applications::{ApplicationFilter, MOST_COUNTED, RegistrationCount, RegistrationFilter};
pub use developers::DeveloperFilter;
pub use teams::MembershipFilter;

/// Whether objects that are gone are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gone {
    /// Only objects that are there.
    #[default]
    Without,
    /// Only objects that are gone.
    Only,
    /// Both.
    With,
}

/// Which page of a list is wanted. `K` is the position of a row: its portal, then its ids.
#[derive(Debug, Clone)]
pub struct ListPage<K> {
    /// Only rows of this portal.
    pub portal_id: Option<Uuid>,
    /// Whether objects that are gone are listed.
    pub gone: Gone,
    /// The position of the last row of the previous page.
    pub after: Option<K>,
    /// How many rows at most.
    pub limit: i64,
}

impl Gone {
    /// Whether a row must be gone; none where it does not matter.
    fn wanted(self) -> Option<bool> {
        match self {
            Self::Without => Some(false),
            Self::Only => Some(true),
            Self::With => None,
        }
    }
}

impl<K: Ord + Clone> ListPage<K> {
    /// The position before the first wanted row. Never in another portal, whatever `after` says.
    fn start(&self, portals: &PortalScope, before_portal: impl FnOnce(Uuid) -> K) -> K {
        let first = portals.ids().and_then(|ids| ids.first());
        let first = before_portal(first.copied().unwrap_or(Uuid::nil()));
        match &self.after {
            Some(after) => after.clone().max(first),
            None => first,
        }
    }
}

/// The last portal wanted. A range of portals, unlike "any or this one", is read along the index.
fn last_portal(portals: &PortalScope) -> Uuid {
    portals.ids().map_or(Uuid::max(), |ids| {
        ids.last().copied().unwrap_or(Uuid::nil())
    })
}

impl Directory {
    /// Lists portals by their ids.
    pub async fn list_portals(&self, page: &ListPage<Uuid>) -> Result<Vec<Portal>, JournalError> {
        let portals = self.journal.portals().narrowed(page.portal_id);
        let rows = sqlx::query_as!(
            PortalRow,
            r"
            SELECT
                portal_id, name, auto_approve_developers, auto_approve_applications,
                api_created_at, api_updated_at,
                look, revision, first_seen_at, last_seen_at, gone_at
            FROM directory_portals
            WHERE ($1::uuid IS NULL OR portal_id > $1)
                AND ($2::uuid[] IS NULL OR portal_id = ANY($2))
                AND ($3::boolean IS NULL OR (gone_at IS NOT NULL) = $3)
            ORDER BY portal_id
            LIMIT $4
            ",
            page.after,
            portals.ids(),
            page.gone.wanted(),
            page.limit,
        )
        .fetch_all(self.journal.pool())
        .await?;
        Ok(rows.into_iter().map(Portal::from).collect())
    }

    /// E-mail and name of developers, asked for and returned by portal and id; a forgotten
    /// developer is empty or absent.
    pub async fn subjects_of(
        &self,
        people: &[(Uuid, Uuid)],
    ) -> Result<BTreeMap<(Uuid, Uuid), Subject>, JournalError> {
        if people.is_empty() {
            return Ok(BTreeMap::new());
        }
        let (portals, developers) = self.seen_of(people);
        let rows = sqlx::query!(
            r#"
            SELECT s.portal_id, s.developer_id, s.email, s.full_name
            FROM UNNEST($1::uuid[], $2::uuid[]) AS asked (portal_id, developer_id)
            JOIN subjects s USING (portal_id, developer_id)
            "#,
            &portals,
            &developers,
        )
        .fetch_all(self.journal.pool())
        .await?;
        let subjects = rows.into_iter().map(|row| {
            let subject = Subject {
                email: row.email,
                full_name: row.full_name,
            };
            ((row.portal_id, row.developer_id), subject)
        });
        Ok(subjects.collect())
    }
}

//! From a person, as people write them, to the ids that events name them by.

use crate::http::PortalScope;
use crate::journal::read::search::EventFilter;
use crate::journal::{Connection, Journal, JournalError};

/// The most people that one search may have.
pub(super) const MOST_PEOPLE: usize = 1_000;

impl Journal {
    /// Whether the people of a filter can be searched for. It is checked before anything is shown.
    pub(super) async fn check_people(&self, filter: &EventFilter) -> Result<(), JournalError> {
        if filter.person.is_some() {
            let mut connection = self.pool.acquire().await?;
            people(&mut connection, filter, &self.portals).await?;
        }
        Ok(())
    }
}

/// The ids of those whom `filter.person` means; none where it means nobody in particular.
///
/// # Errors
/// [`JournalError::TooManyPeople`] when more begin so than one search may have.
pub(super) async fn people(
    connection: &mut Connection,
    filter: &EventFilter,
    portals: &PortalScope,
) -> Result<Option<Vec<String>>, JournalError> {
    let Some(person) = &filter.person else {
        return Ok(None);
    };
    let limit = i64::try_from(MOST_PEOPLE + 1).unwrap_or(i64::MAX);
    let ids = sqlx::query_scalar!(
        r#"
        SELECT DISTINCT developer_id::text AS "id!"
        FROM subjects
        -- The case of ASCII letters alone does not count, as everywhere with addresses.
        WHERE (
                starts_with(lower(email COLLATE "C"), lower($1::text COLLATE "C"))
                OR starts_with(lower(full_name COLLATE "C"), lower($1::text COLLATE "C"))
            )
            AND ($2::text IS NULL OR portal_id::text = $2)
            AND ($4::uuid[] IS NULL OR portal_id = ANY($4))
        LIMIT $3
        "#,
        person,
        filter.portal_id.as_ref(),
        limit,
        portals.ids(),
    )
    .fetch_all(&mut *connection)
    .await?;
    if ids.len() > MOST_PEOPLE {
        return Err(JournalError::TooManyPeople {
            at_most: MOST_PEOPLE,
        });
    }
    Ok(Some(ids))
}

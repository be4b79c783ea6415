//! Objects that a direct read did not find, timed by the database's clock: once is no proof of
//! absence.

use std::collections::BTreeSet;
use std::time::Duration;

use konnect::{ApplicationId, DeveloperId, PortalId, RegistrationId, TeamId};
use uuid::Uuid;

use crate::directory::{Directory, Scope, Snapshot, Unlisted};
use crate::journal::{Connection, JournalError, Pool};

/// One missed object: its kind, its id and the id of its parent, as stored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    kind: String,
    object: Uuid,
    parent: Uuid,
}

impl Unlisted {
    fn keys(&self, portal: PortalId) -> impl Iterator<Item = Key> {
        let key = |kind: &str, object, parent| Key {
            kind: kind.to_owned(),
            object,
            parent,
        };
        let people = self.developers.iter();
        let people = people.map(move |id| key("developer", id.0, portal.0));
        let teams = self.teams.iter();
        let teams = teams.map(move |id| key("team", id.0, portal.0));
        let memberships = self.memberships.iter();
        let memberships = memberships.map(move |(team, id)| key("membership", id.0, team.0));
        let applications = self.applications.iter();
        let applications = applications.map(move |id| key("application", id.0, portal.0));
        let registrations = self.registrations.iter();
        let registrations = registrations.map(move |(of, id)| key("registration", id.0, of.0));
        people
            .chain(teams)
            .chain(memberships)
            .chain(applications)
            .chain(registrations)
    }

    fn push(&mut self, key: Key) {
        let Key {
            kind,
            object,
            parent,
        } = key;
        match kind.as_str() {
            "developer" => self.developers.push(DeveloperId(object)),
            "team" => self.teams.push(TeamId(object)),
            "membership" => self.memberships.push((TeamId(parent), DeveloperId(object))),
            "application" => self.applications.push(ApplicationId(object)),
            "registration" => self
                .registrations
                .push((ApplicationId(parent), RegistrationId(object))),
            _ => {}
        }
    }
}

impl Directory {
    /// The objects that were first missed at least so long ago, the earliest first; or, of these,
    /// those that complete lists lack as well.
    pub async fn missed(
        &self,
        portal: PortalId,
        ago: Duration,
        only_unlisted: bool,
    ) -> Result<Unlisted, JournalError> {
        let rows = sqlx::query_as!(
            Key,
            r"
            SELECT kind, object_id AS object, parent_id AS parent
            FROM missed_objects
            WHERE portal_id = $1
                AND missed_at <= now() - make_interval(secs => $2)
                AND (is_unlisted OR NOT $3)
                AND kind <> 'portal'
            ORDER BY missed_at, object_id
            ",
            portal.0,
            ago.as_secs_f64(),
            only_unlisted,
        )
        .fetch_all(self.journal.pool())
        .await?;
        let mut missed = Unlisted::default();
        for key in rows {
            missed.push(key);
        }
        Ok(missed)
    }

    /// Stores that the portal itself was not found; returns for how long it has been missed.
    pub async fn miss_portal(&self, portal: PortalId) -> Result<Duration, JournalError> {
        let seconds = sqlx::query_scalar!(
            r#"
            INSERT INTO missed_objects (portal_id, kind, object_id, parent_id, is_unlisted)
            VALUES ($1, 'portal', $1, $1, true)
            ON CONFLICT (portal_id, kind, object_id, parent_id) DO UPDATE
            SET is_unlisted = true
            RETURNING EXTRACT(EPOCH FROM now() - missed_at)::float8 AS "seconds!"
            "#,
            portal.0,
        )
        .fetch_one(self.journal.pool())
        .await?;
        Ok(Duration::try_from_secs_f64(seconds).unwrap_or_default())
    }

    /// Stores that the portal itself is there after all.
    pub async fn portal_is_there(&self, portal: PortalId) -> Result<(), JournalError> {
        sqlx::query!(
            r"
            DELETE FROM missed_objects
            WHERE portal_id = $1 AND kind = 'portal'
            ",
            portal.0,
        )
        .execute(self.journal.pool())
        .await?;
        Ok(())
    }
}

/// The missed objects that `snapshot` shows or proves gone. Read outside of the transaction, since
/// a portal has hundreds of thousands of objects.
pub(super) async fn over(pool: &Pool, snapshot: &Snapshot) -> Result<Vec<Key>, JournalError> {
    let portal = snapshot.portal_id;
    let rows = sqlx::query_as!(
        Key,
        r"
        SELECT kind, object_id AS object, parent_id AS parent
        FROM missed_objects
        WHERE portal_id = $1
        ",
        portal.0,
    )
    .fetch_all(pool)
    .await?;
    if rows.is_empty() || snapshot.is_portal_gone {
        return Ok(rows);
    }
    let missed: BTreeSet<Key> = rows.into_iter().collect();
    let mut settled = snapshot.shown();
    settled.add(snapshot.absent.clone());
    let settled = settled.keys(portal).filter(|key| missed.contains(key));
    let mut over: Vec<Key> = settled.collect();
    if snapshot.scope != Scope::Direct {
        over.extend(missed.into_iter().filter(|key| key.kind == "portal"));
    }
    Ok(over)
}

/// Deletes what is over, and stores what `snapshot` missed.
pub(super) async fn settle(
    tx: &mut Connection,
    snapshot: &Snapshot,
    over: &[Key],
) -> Result<(), JournalError> {
    if !over.is_empty() {
        delete(tx, snapshot.portal_id, over.to_vec()).await?;
    }
    keep(tx, snapshot).await?;
    begin_anew(tx, snapshot).await
}

async fn delete(tx: &mut Connection, portal: PortalId, keys: Vec<Key>) -> Result<(), JournalError> {
    let (kinds, objects, parents) = columns(keys);
    sqlx::query!(
        r"
        DELETE FROM missed_objects missed
        USING UNNEST($2::text[], $3::uuid[], $4::uuid[]) AS t (kind, object_id, parent_id)
        WHERE missed.portal_id = $1
            AND missed.kind = t.kind
            AND missed.object_id = t.object_id
            AND missed.parent_id = t.parent_id
        ",
        portal.0,
        &kinds,
        &objects,
        &parents,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// A membership that the developer's own list of teams lacks is unlisted too.
async fn keep(tx: &mut Connection, snapshot: &Snapshot) -> Result<(), JournalError> {
    let portal = snapshot.portal_id;
    let (kinds, objects, parents) = columns(snapshot.missed.keys(portal).collect());
    if kinds.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        r"
        INSERT INTO missed_objects AS missed (portal_id, kind, object_id, parent_id, is_unlisted)
        SELECT DISTINCT $1::uuid, kind, object_id, parent_id, $5 OR kind = 'membership'
        FROM UNNEST($2::text[], $3::uuid[], $4::uuid[]) AS t (kind, object_id, parent_id)
        ON CONFLICT (portal_id, kind, object_id, parent_id) DO UPDATE
        SET is_unlisted = missed.is_unlisted OR EXCLUDED.is_unlisted
        ",
        portal.0,
        &kinds,
        &objects,
        &parents,
        snapshot.scope == Scope::All,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// The time of being missed starts again for what could not be read again.
async fn begin_anew(tx: &mut Connection, snapshot: &Snapshot) -> Result<(), JournalError> {
    let portal = snapshot.portal_id;
    let (kinds, objects, parents) = columns(snapshot.unsure.keys(portal).collect());
    if kinds.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        r"
        UPDATE missed_objects missed
        SET missed_at = now()
        FROM UNNEST($2::text[], $3::uuid[], $4::uuid[]) AS t (kind, object_id, parent_id)
        WHERE missed.portal_id = $1
            AND missed.kind = t.kind
            AND missed.object_id = t.object_id
            AND missed.parent_id = t.parent_id
        ",
        portal.0,
        &kinds,
        &objects,
        &parents,
    )
    .execute(tx)
    .await?;
    Ok(())
}

fn columns(keys: Vec<Key>) -> (Vec<String>, Vec<Uuid>, Vec<Uuid>) {
    let mut columns = (Vec::new(), Vec::new(), Vec::new());
    for key in keys {
        columns.0.push(key.kind);
        columns.1.push(key.object);
        columns.2.push(key.parent);
    }
    columns
}

//! Stores what a trusted sender reported: ids, addresses, events and the outbox in one transaction.
//!
//! The one place outside `directory` that writes `subjects`: an address must be in it, and nowhere
//! else, from the moment that the event is in the journal.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use serde_json::Value;
use tracing::warn;
use uuid::Uuid;

use crate::event::{CustomEvent, Verdict};
use crate::journal::append::transaction::{append_in, count};
use crate::journal::{
    Connection, Journal, JournalError, Lane, NewBatch, NewEvent, RequestRecord, SLICE, Source,
};

/// Tries before the caller gets an error that asks for a repetition.
const TRIES: u32 = 4;

/// The content of one request of a trusted sender.
#[derive(Debug, Clone)]
pub struct NewCustomRequest {
    /// The request's record; its counts are filled in.
    pub request: RequestRecord,
    /// The sender's name.
    pub sender: String,
    /// The events, in their order.
    pub events: Vec<NewCustomEvent>,
}

/// One event on its way into the journal.
#[derive(Debug, Clone)]
pub struct NewCustomEvent {
    /// The hash of sender, source and id.
    pub key: [u8; 32],
    /// Shows whether another event of this key has the same content.
    pub content: [u8; 32],
    /// The id under which an address is stored that is not stored yet.
    pub subject: Uuid,
    /// The id under which its names and further addresses are stored.
    pub told: Uuid,
    /// The event.
    pub event: CustomEvent,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CustomRequestCounts {
    /// Events in it.
    pub received: usize,
    /// Events that were new.
    pub stored: usize,
    /// Events whose source and id this sender had sent before.
    pub duplicates: usize,
    /// Those of the duplicates whose content differs from the first.
    pub differing: usize,
}

impl Journal {
    /// Stores the events of one request whose source and id are new, all of them or none. Doing it
    /// again stores nothing.
    ///
    /// # Errors
    /// [`JournalError::is_transient`] says whether to try later. Nothing was stored then.
    #[tracing::instrument(skip_all, fields(delivery.id = %told.request.id, events = told.events.len()))]
    pub async fn append_custom(
        &self,
        told: &NewCustomRequest,
    ) -> Result<CustomRequestCounts, JournalError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let outcome = self.try_append_custom(told).await;
            self.write_health.note(&outcome, told.request.received_at);
            match outcome {
                Ok(outcome) => {
                    self.wake_readers();
                    return Ok(outcome);
                }
                Err(error @ JournalError::Repeat(_)) if tries < TRIES => {
                    warn!(tries, error = error.chain(), "taking custom events again");
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn try_append_custom(
        &self,
        told: &NewCustomRequest,
    ) -> Result<CustomRequestCounts, JournalError> {
        let times = told.events.iter().map(|new| new.event.occurred_at);
        self.ensure_partitions(times).await?;
        let mut tx = self.pool.begin().await?;
        let (new, differing) = write_ids(&mut tx, told).await?;
        let subjects = write_subjects(&mut tx, &new, told.request.received_at).await?;
        write_custom_subjects(&mut tx, &new, &subjects, told.request.received_at).await?;
        let batch = batch(told, &new, &subjects);
        let Some(appended) = append_in(&mut tx, &batch).await? else {
            // The request was stored under its id already.
            tx.rollback().await?;
            return Ok(CustomRequestCounts {
                received: told.events.len(),
                duplicates: told.events.len(),
                ..CustomRequestCounts::default()
            });
        };
        tx.commit().await?;
        count(&batch, &appended);
        Ok(CustomRequestCounts {
            received: told.events.len(),
            stored: appended.stored,
            duplicates: told.events.len() - appended.stored,
            differing,
        })
    }
}

/// Writes the ids that are new; returns their events in order, and how many of the others differ
/// from the first under their id.
async fn write_ids<'a>(
    tx: &mut Connection,
    told: &'a NewCustomRequest,
) -> Result<(Vec<&'a NewCustomEvent>, usize), JournalError> {
    // Sorted, so that two requests with the same events wait for each other and do not deadlock.
    let mut first: BTreeMap<&[u8], &NewCustomEvent> = BTreeMap::new();
    for new in &told.events {
        first.entry(&new.key).or_insert(new);
    }
    let written = sqlx::query_scalar!(
        r"
        INSERT INTO custom_ids (key, content, sender, received_at)
        SELECT key, content, $3, $4
        FROM UNNEST($1::bytea[], $2::bytea[]) AS t (key, content)
        ON CONFLICT (key) DO NOTHING
        RETURNING key
        ",
        &first.keys().copied().collect::<Vec<_>>() as &[&[u8]],
        &first
            .values()
            .map(|new| &new.content[..])
            .collect::<Vec<_>>() as &[&[u8]],
        told.sender,
        told.request.received_at,
    )
    .fetch_all(&mut *tx)
    .await?;
    let rows = sqlx::query!(
        r"
        SELECT key, content
        FROM custom_ids
        WHERE key = ANY($1)
        ",
        &first.keys().copied().collect::<Vec<_>>() as &[&[u8]],
    )
    .fetch_all(&mut *tx)
    .await?;
    let known: HashMap<Vec<u8>, Vec<u8>> =
        rows.into_iter().map(|row| (row.key, row.content)).collect();
    let differing = told
        .events
        .iter()
        .filter(|new| {
            known
                .get(&new.key[..])
                .is_some_and(|kept| kept[..] != new.content)
        })
        .count();
    let is_first = |new: &NewCustomEvent| {
        first
            .get(&new.key[..])
            .is_some_and(|it| std::ptr::eq(*it, new))
    };
    let written: HashSet<Vec<u8>> = written.into_iter().collect();
    let new = told
        .events
        .iter()
        .filter(|new| is_first(new) && written.contains(&new.key[..]));
    Ok((new.collect(), differing))
}

/// Stores the addresses of `new`, and returns the id of each: the developer's own where a developer
/// has the address. The key is portal and address, its ASCII letters in lower case.
async fn write_subjects(
    tx: &mut Connection,
    new: &[&NewCustomEvent],
    now: DateTime<Utc>,
) -> Result<HashMap<(Uuid, String), Uuid>, JournalError> {
    let mut named: BTreeMap<(Uuid, String), &NewCustomEvent> = BTreeMap::new();
    for event in new {
        if let Some(key) = address_key(&event.event) {
            named.entry(key).or_insert(event);
        }
    }
    if named.is_empty() {
        return Ok(HashMap::new());
    }
    let portals: Vec<Uuid> = named.keys().map(|(portal, _)| *portal).collect();
    let addresses: Vec<&str> = named.keys().map(|(_, email)| email.as_str()).collect();
    let rows = sqlx::query!(
        r#"
        WITH named AS (
            SELECT portal_id, email, n
            FROM UNNEST($1::uuid[], $2::text[]) WITH ORDINALITY AS t (portal_id, email, n)
        ), kept AS (
            -- A developer before what a sender told earlier.
            SELECT DISTINCT ON (named.n) named.n, s.developer_id, s.told_at
            FROM named
            JOIN subjects s
                ON s.portal_id = named.portal_id
                AND lower(s.email COLLATE "C") = lower(named.email COLLATE "C")
            ORDER BY named.n, s.told_at NULLS FIRST, s.created_at, s.developer_id
        ), told_again AS (
            UPDATE subjects s
            SET told_at = $3
            FROM named
            JOIN kept USING (n)
            WHERE s.portal_id = named.portal_id
                AND s.developer_id = kept.developer_id
                AND s.told_at IS NOT NULL
        )
        SELECT n AS "n!", developer_id
        FROM kept
        "#,
        &portals,
        &addresses as &[&str],
        now,
    )
    .fetch_all(&mut *tx)
    .await?;
    let mut subjects: HashMap<usize, Uuid> = rows
        .into_iter()
        .map(|row| {
            (
                usize::try_from(row.n - 1).unwrap_or(usize::MAX),
                row.developer_id,
            )
        })
        .collect();
    let unknown: Vec<(usize, &NewCustomEvent)> = named
        .values()
        .enumerate()
        .filter(|(n, _)| !subjects.contains_key(n))
        .map(|(n, event)| (n, *event))
        .collect();
    insert_subjects(tx, &unknown, now).await?;
    subjects.extend(unknown.iter().map(|(n, event)| (*n, event.subject)));
    let by_address = named.into_keys().enumerate();
    Ok(by_address
        .filter_map(|(n, key)| Some((key, *subjects.get(&n)?)))
        .collect())
}

async fn insert_subjects(
    tx: &mut Connection,
    unknown: &[(usize, &NewCustomEvent)],
    now: DateTime<Utc>,
) -> Result<(), JournalError> {
    let people: Vec<_> = unknown
        .iter()
        .filter_map(|(_, new)| Some((*new, new.event.person.as_ref()?)))
        .collect();
    sqlx::query!(
        r"
        INSERT INTO subjects (portal_id, developer_id, email, full_name, told_at)
        SELECT portal_id, id, email, full_name, $5
        FROM UNNEST($1::uuid[], $2::uuid[], $3::text[], $4::text[])
            AS t (portal_id, id, email, full_name)
        ",
        &people
            .iter()
            .map(|(new, _)| new.event.portal_id)
            .collect::<Vec<_>>(),
        &people
            .iter()
            .map(|(new, _)| new.subject)
            .collect::<Vec<_>>(),
        &people
            .iter()
            .map(|(_, who)| who.email.as_str())
            .collect::<Vec<_>>() as &[&str],
        &people
            .iter()
            .map(|(_, who)| who.full_name.as_deref())
            .collect::<Vec<_>>() as &[Option<&str>],
        now,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Stores names and further addresses of `new`, but nothing about a developer who was forgotten.
async fn write_custom_subjects(
    tx: &mut Connection,
    new: &[&NewCustomEvent],
    subjects: &HashMap<(Uuid, String), Uuid>,
    now: DateTime<Utc>,
) -> Result<(), JournalError> {
    let mut rows = Vec::new();
    for new in new {
        let told = new.event.told();
        let of = (new.event.developer_id)
            .or(new.event.registration_id)
            .or_else(|| subject_of(&new.event, subjects));
        if let (Some(of), false) = (of, told.is_empty()) {
            rows.push((*new, of, Value::Object(told).to_string()));
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        r"
        INSERT INTO subjects (portal_id, developer_id, told_of, told, told_at)
        SELECT portal_id, id, told_of, told, $5
        FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::text[]) AS t (portal_id, id, told_of, told)
        WHERE NOT EXISTS (
            SELECT FROM subjects s
            WHERE s.portal_id = t.portal_id
                AND s.developer_id = t.told_of
                AND s.forgotten_at IS NOT NULL
        )
        ",
        &rows
            .iter()
            .map(|(new, ..)| new.event.portal_id)
            .collect::<Vec<_>>(),
        &rows.iter().map(|(new, ..)| new.told).collect::<Vec<_>>(),
        &rows.iter().map(|(_, of, _)| *of).collect::<Vec<_>>(),
        &rows
            .iter()
            .map(|(.., told)| told.as_str())
            .collect::<Vec<_>>() as &[&str],
        now,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// The id under which the address that an event names is stored.
fn subject_of(event: &CustomEvent, subjects: &HashMap<(Uuid, String), Uuid>) -> Option<Uuid> {
    subjects.get(&address_key(event)?).copied()
}

fn address_key(event: &CustomEvent) -> Option<(Uuid, String)> {
    let person = event.person.as_ref()?;
    Some((event.portal_id, person.email.to_ascii_lowercase()))
}

fn batch(
    told: &NewCustomRequest,
    new: &[&NewCustomEvent],
    subjects: &HashMap<(Uuid, String), Uuid>,
) -> NewBatch {
    let mut request = told.request.clone();
    request.received = told.events.len();
    // Events that the journal itself recognises are added.
    request.duplicates = told.events.len() - new.len();
    let events = new.iter().map(|new| {
        let subject = subject_of(&new.event, subjects);
        let told = (!new.event.told().is_empty()).then_some(new.told);
        let (raw, event) = new.event.build(subject, told);
        NewEvent {
            event,
            raw: raw.into(),
            // The request was signed, not the entry: nothing about it can be checked again.
            verdict: Verdict::NotApplicable,
            request: Some(0),
        }
    });
    NewBatch {
        id: told.request.id,
        source: Source::Hook,
        lane: Lane::Live,
        part_of: None,
        received_at: told.request.received_at,
        events: events.collect(),
        requests: vec![request],
        quarantined: Vec::new(),
    }
}

/// Deletes up to [`SLICE`] ids that were received before `before`; returns how many.
pub(in crate::journal) async fn delete_custom_ids(
    connection: &mut Connection,
    before: DateTime<Utc>,
) -> Result<u64, JournalError> {
    let done = sqlx::query!(
        r"
        DELETE FROM custom_ids
        WHERE key IN (
            SELECT key
            FROM custom_ids
            WHERE received_at < $1
            ORDER BY received_at
            LIMIT $2
            FOR UPDATE SKIP LOCKED
        )
        ",
        before,
        SLICE,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Deletes up to [`SLICE`] addresses and names that no sender reported since `before` and that the
/// API never showed.
pub(in crate::journal) async fn delete_custom_subjects(
    connection: &mut Connection,
    before: DateTime<Utc>,
) -> Result<u64, JournalError> {
    let done = sqlx::query!(
        r"
        DELETE FROM subjects
        WHERE (portal_id, developer_id) IN (
            SELECT portal_id, developer_id
            FROM subjects
            WHERE told_at < $1
            ORDER BY told_at
            LIMIT $2
            FOR UPDATE SKIP LOCKED
        )
        ",
        before,
        SLICE,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

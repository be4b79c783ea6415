//! What began or ended about usher itself: the row that says so and the event that reports it, in
//! one transaction. What holds is decided by the caller.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, json};
use uuid::Uuid;

use crate::clock::Ids;
use crate::event::{Alert, AlertState, OwnEvent, Verdict};
use crate::journal::append::append_in;
use crate::journal::read::{AlertRow, FoundAlert, OpenAlert};
use crate::journal::{Connection, Journal, JournalError, Lane, NewBatch, NewEvent, Source};

/// Alerts that changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertChanges {
    /// What is wrong since now.
    pub began: Vec<OpenAlert>,
    /// What is no longer wrong.
    pub ended: Vec<OpenAlert>,
}

/// The columns of what was found, in one order: two instances that write the same wait for each
/// other, and neither for ever.
struct Columns {
    names: Vec<String>,
    subjects: Vec<String>,
    portals: Vec<Option<Uuid>>,
    details: Vec<String>,
}

impl AlertChanges {
    fn is_empty(&self) -> bool {
        self.began.is_empty() && self.ended.is_empty()
    }
}

impl Columns {
    fn of(found: &[FoundAlert]) -> Self {
        let by_key: BTreeMap<_, _> = found
            .iter()
            .map(|one| ((one.alert.as_str(), &one.subject), one))
            .collect();
        let texts = |of: fn(&FoundAlert) -> String| by_key.values().map(|one| of(one)).collect();
        Self {
            names: texts(|one| one.alert.to_string()),
            subjects: texts(|one| one.subject.clone()),
            portals: by_key.values().map(|one| one.portal_id).collect(),
            details: texts(|one| one.detail.clone()),
        }
    }
}

impl Journal {
    /// Replaces what `instance` sees for itself, and drops what instances that are gone for the
    /// time `gone_after` saw.
    pub async fn report_alerts(
        &self,
        instance: Uuid,
        found: &[FoundAlert],
        gone_after: Duration,
    ) -> Result<(), JournalError> {
        let columns = Columns::of(found);
        let mut tx = self.pool.begin().await?;
        sqlx::query!(
            r"
            INSERT INTO alert_reports (instance, name, subject, portal_id, detail)
            SELECT $1, name, subject, portal_id, detail
            FROM UNNEST($2::text[], $3::text[], $4::uuid[], $5::text[])
                AS found (name, subject, portal_id, detail)
            ON CONFLICT (instance, name, subject) DO UPDATE
            SET detail = EXCLUDED.detail, reported_at = now()
            ",
            instance,
            &columns.names,
            &columns.subjects,
            &columns.portals as &[Option<Uuid>],
            &columns.details,
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query!(
            r"
            DELETE FROM alert_reports
            -- What was just written has the time of this transaction.
            WHERE (instance = $1 AND reported_at < now())
                OR reported_at < now() - make_interval(secs => $2)
            ",
            instance,
            gone_after.as_secs_f64(),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Compares what was found with what is stored, and writes each difference with its event.
    /// What is not found for the time `ends_after` has ended; the time runs only while somebody
    /// looks. An instance that does the same at once writes nothing a second time.
    pub async fn change_alerts(
        &self,
        ids: &Ids,
        found: &[FoundAlert],
        ends_after: Duration,
    ) -> Result<AlertChanges, JournalError> {
        let now = self.now().await?;
        self.ensure_partitions([now]).await?;
        let columns = Columns::of(found);
        let mut tx = self.pool.begin().await?;
        let began = begin(&mut tx, &columns, now).await?;
        let ended = end(&mut tx, &columns, now, ends_after).await?;
        let read = |rows: Vec<AlertRow>| rows.into_iter().filter_map(AlertRow::read).collect();
        let changes = AlertChanges {
            began: read(began),
            ended: read(ended),
        };
        if !changes.is_empty() {
            append_in(&mut tx, &batch(ids.next(), &changes, now)).await?;
        }
        tx.commit().await?;
        if !changes.is_empty() {
            self.wake_readers();
        }
        Ok(changes)
    }
}

/// Stores what was found; returns what was not stored before.
async fn begin(
    tx: &mut Connection,
    found: &Columns,
    now: DateTime<Utc>,
) -> Result<Vec<AlertRow>, JournalError> {
    let written = sqlx::query_as!(
        AlertRow,
        r"
        INSERT INTO alerts (name, subject, portal_id, detail, since)
        SELECT name, subject, portal_id, detail, $5
        FROM UNNEST($1::text[], $2::text[], $3::uuid[], $4::text[])
            AS found (name, subject, portal_id, detail)
        ON CONFLICT (name, subject) DO UPDATE
        SET detail = EXCLUDED.detail, missing_since = NULL
        WHERE alerts.detail <> EXCLUDED.detail OR alerts.missing_since IS NOT NULL
        RETURNING name, subject, portal_id, detail, since
        ",
        &found.names,
        &found.subjects,
        &found.portals as &[Option<Uuid>],
        &found.details,
        now,
    )
    .fetch_all(tx)
    .await?;
    Ok(written.into_iter().filter(|row| row.since == now).collect())
}

/// Notes what is not found any more, and deletes what has not been found for `after`. A sort that
/// only a newer usher knows is left to it.
async fn end(
    tx: &mut Connection,
    found: &Columns,
    now: DateTime<Utc>,
    after: Duration,
) -> Result<Vec<AlertRow>, JournalError> {
    let known = Alert::ALL.map(|alert| alert.to_string());
    sqlx::query!(
        r"
        UPDATE alerts
        SET missing_since = $4
        WHERE missing_since IS NULL
            AND name = ANY($1)
            AND (name, subject) NOT IN (
                SELECT found.name, found.subject
                FROM UNNEST($2::text[], $3::text[]) AS found (name, subject)
            )
        ",
        &known,
        &found.names,
        &found.subjects,
        now,
    )
    .execute(&mut *tx)
    .await?;
    Ok(sqlx::query_as!(
        AlertRow,
        r"
        DELETE FROM alerts
        WHERE missing_since <= $1::timestamptz - make_interval(secs => $2)
        RETURNING name, subject, portal_id, detail, since
        ",
        now,
        after.as_secs_f64(),
    )
    .fetch_all(tx)
    .await?)
}

fn batch(id: Uuid, changes: &AlertChanges, now: DateTime<Utc>) -> NewBatch {
    let began = changes.began.iter().map(|one| (AlertState::Began, one));
    let ended = changes.ended.iter().map(|one| (AlertState::Ended, one));
    NewBatch {
        id,
        source: Source::Operation,
        lane: Lane::Live,
        part_of: None,
        received_at: now,
        requests: Vec::new(),
        events: began
            .chain(ended)
            .map(|(state, open)| event(state, open, now))
            .collect(),
        quarantined: Vec::new(),
    }
}

fn event(state: AlertState, open: &OpenAlert, now: DateTime<Utc>) -> NewEvent {
    let FoundAlert {
        alert,
        subject,
        portal_id,
        detail,
    } = &open.found;
    let since = open.since.to_rfc3339_opts(SecondsFormat::Millis, true);
    let own = OwnEvent {
        name: alert.to_string(),
        portal_id: portal_id.map(|id| id.to_string()).unwrap_or_default(),
        principal_id: None,
        object: format!("alert/{alert}/{subject}"),
        // It may begin again, long after its row went.
        revision: now.timestamp_micros(),
        occurred_at: now,
        data: Map::from_iter([
            ("state".to_owned(), json!(state.as_str())),
            ("subject".to_owned(), json!(subject)),
            ("detail".to_owned(), json!(detail)),
            ("since".to_owned(), json!(since)),
            ("advice".to_owned(), json!(alert.advice())),
        ]),
    };
    let (raw, event) = own.build();
    NewEvent {
        event,
        raw: raw.into(),
        verdict: Verdict::NotApplicable,
        request: None,
    }
}

//! A record that is written without the door, at any time and with any verdict.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use sqlx::PgPool;
use usher::clock::{Clock, Ids};
use usher::event::{Verdict, parse};
use usher::journal::{Appended, Journal, Lane, NewBatch, NewEvent, ReaderName, Source};
use usher::report::rollup::Rebuild;
use usher::report::{Answer, Question, ReportName, Reports, TimelinePart, TimelineRow};
use uuid::Uuid;

use crate::support::konnect::PORTAL;

pub(super) struct Scene {
    pub(super) pool: PgPool,
    pub(super) journal: Journal,
    ids: Ids,
}

/// An entry and what its signature proves.
pub(super) type Entry = (Value, Verdict);

/// Somebody tries to sign in.
pub(super) fn login(at: DateTime<Utc>, who: &str, src: &str, outcome: &str) -> Value {
    json!({
        "cef_version": 0, "event_class_id": "AUTHENTICATION_TYPE_BASIC", "event_product": "Dev-Portal",
        "event_ts": at.to_rfc3339_opts(SecondsFormat::Secs, true),
        "event_vendor": "KongInc", "event_version": "1.0",
        "name": format!("AUTHENTICATION_OUTCOME_{outcome}"),
        "portal_id": PORTAL, "principal_id": who, "rt": at.timestamp_millis().to_string(), "severity": 0,
        "src": src, "success": if outcome == "SUCCESS" { "true" } else { "false" },
    })
}

/// Somebody calls the API of the organisation.
pub(super) fn call(at: DateTime<Utc>, who: &str, method: &str, path: &str, status: u16) -> Value {
    json!({
        "cef_version": 0, "event_class_id": "konnect", "event_product": "Konnect",
        "event_ts": at.to_rfc3339_opts(SecondsFormat::Secs, true),
        "event_vendor": "KongInc", "event_version": "1.0", "name": "Ingress",
        "principal_id": who, "rt": at.timestamp_millis().to_string(), "severity": 1,
        "src": "10.0.0.1", "act": method, "request": path, "status": status.to_string(),
    })
}

impl Scene {
    pub(super) async fn new(pool: PgPool) -> Self {
        let journal = Journal::from_pool(pool.clone());
        journal
            .activate_readers(&[ReaderName::Report])
            .await
            .unwrap();
        Self {
            pool,
            journal,
            ids: Ids::new(Clock::system()),
        }
    }

    pub(super) async fn append(&self, entries: &[Entry]) -> (Uuid, Appended) {
        let now = Clock::system().now();
        let events = entries.iter().map(|(entry, verdict)| {
            let raw = entry.to_string().into_bytes();
            NewEvent {
                event: parse(&raw).unwrap(),
                raw: raw.into(),
                verdict: *verdict,
                request: None,
            }
        });
        let batch = NewBatch {
            id: self.ids.next(),
            source: Source::Webhook,
            lane: Lane::Live,
            part_of: None,
            received_at: now,
            events: events.collect(),
            quarantined: Vec::new(),
            requests: Vec::new(),
        };
        let appended = self.journal.append(&batch).await.unwrap();
        (batch.id, appended)
    }

    /// Counts everything, as `usher report rebuild` does once nothing is owed.
    pub(super) async fn count(&self) {
        sqlx::query("DELETE FROM outbox WHERE reader = 'report'")
            .execute(&self.pool)
            .await
            .unwrap();
        let mut rebuild = Rebuild::begin(&self.journal).await.unwrap();
        while rebuild.next().await.unwrap().to.is_some() {}
    }

    pub(super) async fn ask(&self, report: &str, question: Question) -> Answer {
        let report: ReportName = report.parse().unwrap();
        let reports = Reports::new(self.journal.clone());
        reports.ask(report, &question).await.unwrap()
    }

    pub(super) async fn timeline(
        &self,
        question: &Question,
        part: &TimelinePart,
    ) -> Vec<TimelineRow> {
        let reports = Reports::new(self.journal.clone());
        reports.timeline(question, part).await.unwrap()
    }

    /// Tells the database something.
    pub(super) async fn run(&self, statement: &str) {
        sqlx::raw_sql(statement).execute(&self.pool).await.unwrap();
    }
}

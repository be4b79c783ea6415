//! What is in usher's database, looked at from outside: for tests of what survives the process.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};
use uuid::Uuid;

use crate::support::database::TestDatabase;
use crate::support::kafka::{Received, TestKafka};

/// Longer than the lease of a publisher that was killed, and a round.
const PATIENCE: Duration = Duration::from_mins(1);

/// A connection of the test's own.
pub(crate) struct Record(PgConnection);

impl Record {
    pub(crate) async fn of(database: &TestDatabase) -> Self {
        let options: PgConnectOptions = database.url().parse().expect("a URL of Postgres");
        Self(options.connect().await.expect("the database answers"))
    }

    /// The ids of all stored events, but for those that tell who looked; fails when one is there
    /// twice.
    pub(crate) async fn event_ids(&mut self) -> BTreeSet<Uuid> {
        let ids: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM events WHERE kind <> 'read'")
            .fetch_all(&mut self.0)
            .await
            .expect("events can be read");
        let distinct: BTreeSet<Uuid> = ids.iter().copied().collect();
        assert_eq!(distinct.len(), ids.len(), "an event is stored twice");
        distinct
    }

    /// Whether a transaction that writes events is under way.
    pub(crate) async fn is_being_written(&mut self) -> bool {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_stat_activity
                 WHERE datname = current_database() AND pid <> pg_backend_pid()
                     AND backend_xid IS NOT NULL)",
        )
        .fetch_one(&mut self.0)
        .await
        .expect("the server tells")
    }

    /// Batch and place in it of every event.
    pub(crate) async fn places(&mut self) -> BTreeMap<Uuid, (Uuid, i32)> {
        let rows: Vec<(Uuid, Uuid, i32)> = sqlx::query_as("SELECT id, batch, position FROM events")
            .fetch_all(&mut self.0)
            .await
            .expect("events can be read");
        let place = |(id, batch, position)| (id, (batch, position));
        rows.into_iter().map(place).collect()
    }

    /// How many events have each verdict.
    pub(crate) async fn verdicts(&mut self) -> BTreeMap<String, i64> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT verdict::text, count(*) FROM events GROUP BY 1")
                .fetch_all(&mut self.0)
                .await
                .expect("events can be counted");
        rows.into_iter().collect()
    }

    /// The entries' own bytes, as text.
    pub(crate) async fn entries(&mut self) -> BTreeSet<String> {
        let rows: Vec<Vec<u8>> = sqlx::query_scalar("SELECT raw FROM events")
            .fetch_all(&mut self.0)
            .await
            .expect("events can be read");
        let text = |raw| String::from_utf8(raw).expect("text");
        rows.into_iter().map(text).collect()
    }

    /// Tells the database something.
    pub(crate) async fn run(&mut self, statement: &'static str) {
        sqlx::raw_sql(statement)
            .execute(&mut self.0)
            .await
            .expect("the database obeys");
    }

    /// Asks for a number.
    pub(crate) async fn number(&mut self, question: &'static str) -> i64 {
        sqlx::query_scalar(question)
            .fetch_one(&mut self.0)
            .await
            .expect("the database answers")
    }

    /// How many events have this name.
    pub(crate) async fn events_named(&mut self, name: &str) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM events WHERE name = $1")
            .bind(name)
            .fetch_one(&mut self.0)
            .await
            .expect("events can be counted")
    }

    /// The calls that deeds made, with the answers' statuses, oldest first.
    pub(crate) async fn calls(&mut self) -> Vec<(String, i16)> {
        sqlx::query_as("SELECT request, status FROM attempts ORDER BY started_at")
            .fetch_all(&mut self.0)
            .await
            .expect("every attempt names its call")
    }

    /// Waits until nothing is owed to Kafka, and reads the topic.
    pub(crate) async fn published(&mut self, kafka: &TestKafka) -> Vec<Received> {
        let began = tokio::time::Instant::now();
        while self.owed_to_kafka().await > 0 {
            assert!(began.elapsed() < PATIENCE, "the outbox does not empty");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        kafka.messages().await
    }

    /// How many batches Kafka still has to get.
    pub(crate) async fn owed_to_kafka(&mut self) -> i64 {
        self.owed_to("kafka").await
    }

    /// How many batches a reader still has to get; of `react` also what it has read and not judged.
    pub(crate) async fn owed_to(&mut self, reader: &str) -> i64 {
        let owed = "SELECT
            (SELECT count(*) FROM outbox WHERE reader = $1)
            + (SELECT count(*) FROM work WHERE $1 = 'react')";
        sqlx::query_scalar(owed)
            .bind(reader)
            .fetch_one(&mut self.0)
            .await
            .expect("the outbox can be counted")
    }

    /// How many rows a table has.
    pub(crate) async fn rows_of(&mut self, table: &'static str) -> i64 {
        sqlx::query_scalar(&format!("SELECT count(*) FROM {table}"))
            .fetch_one(&mut self.0)
            .await
            .expect("rows can be counted")
    }

    /// Somebody of whom the API showed this address.
    pub(crate) async fn insert_subject(&mut self, portal: Uuid, developer: Uuid, email: &str) {
        sqlx::query("INSERT INTO subjects (portal_id, developer_id, email) VALUES ($1, $2, $3)")
            .bind(portal)
            .bind(developer)
            .bind(email)
            .execute(&mut self.0)
            .await
            .expect("the database obeys");
    }

    /// Makes the minute pass after which the work of a dead process is anybody's.
    pub(crate) async fn let_leases_end(&mut self) {
        for statement in [
            "UPDATE leases SET expires_at = now() - interval '1 s'",
            "UPDATE actions SET leased_until = now() - interval '1 s' WHERE leased_until > now()",
            "UPDATE outbox SET claimed_until = NULL",
        ] {
            sqlx::query(statement)
                .execute(&mut self.0)
                .await
                .expect("the database obeys");
        }
    }

    /// The tables in which `text` stands, in whatever column.
    pub(crate) async fn tables_with(&mut self, text: &str) -> Vec<String> {
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT relname::text FROM pg_class
             WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
                 AND NOT relispartition
             ORDER BY relname",
        )
        .fetch_all(&mut self.0)
        .await
        .expect("tables can be listed");
        let mut found = Vec::new();
        for table in tables {
            // A row as text shows bytes in hex, so both forms are looked for.
            let rows: i64 = sqlx::query_scalar(&format!(
                "SELECT count(*) FROM {table} AS row
                 WHERE strpos(row::text, $1) > 0
                     OR strpos(row::text, encode(convert_to($1, 'UTF8'), 'hex')) > 0"
            ))
            .bind(text)
            .fetch_one(&mut self.0)
            .await
            .expect("rows can be read as text");
            if rows > 0 {
                found.push(table);
            }
        }
        found
    }
}

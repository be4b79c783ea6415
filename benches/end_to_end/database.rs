//! The bench's own database, and the baseline: COPY of the same rows into the same tables.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, Row as _};

use usher::journal::Journal;

use crate::{process, progress};

/// Rows of one statement that fills the journal, so that progress shows.
const ROWS_A_FILL: usize = 250_000;
/// Rows of one COPY, which is one transaction: about as many as one group commit of usher has.
const ROWS_A_COPY: usize = 1_000;
/// The lock that whoever counts for reports takes, as `src/journal/recounts.rs` has it.
const COUNT_ALONE: i64 = 0x7573_6865_7210;
/// Every column, so that the baseline writes what usher writes.
const COLUMNS: &str = "event_ts, id, occurred_at, received_at, batch, request, position, kind, \
    format, verdict, ambiguous, time_known, copies, product, name, event_class_id, org_id, \
    portal_id, principal_id, trace_id, src, path, act, status, action, granted, success, raw";

/// A database on a throw-away server.
#[derive(Debug)]
pub(crate) struct Database {
    /// Over the socket of this machine: a COPY must not wait for the network.
    connection: PgConnection,
    url: String,
    socket_url: String,
    postmaster: u32,
}

/// What the journal contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) events: usize,
    pub(crate) verified: usize,
}

/// What COPY of the same rows took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Baseline {
    /// Rows a second.
    pub(crate) rate: f64,
    /// Microseconds of Postgres' CPU time a row.
    pub(crate) cpu_us: f64,
}

/// Rows as messages of COPY, each with [`ROWS_A_COPY`] rows.
#[derive(Debug)]
pub(crate) struct Copies(Vec<Vec<u8>>);

impl Database {
    /// Makes one of this name anew on `server`, which must sync to disk: else the figures would be
    /// false.
    pub(crate) async fn create(server: &str, name: &str) -> Result<Self> {
        let options: PgConnectOptions = server.parse()?;
        let mut connection = options.connect().await?;
        for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
            let value: String = sqlx::query_scalar("SELECT current_setting($1)")
                .bind(setting)
                .fetch_one(&mut connection)
                .await?;
            ensure!(
                value == "on",
                "{setting} is {value} on the server of the bench"
            );
        }
        for statement in [
            format!("DROP DATABASE IF EXISTS {name}"),
            format!("CREATE DATABASE {name}"),
        ] {
            sqlx::raw_sql(&statement).execute(&mut connection).await?;
        }
        let folder: String =
            sqlx::query_scalar("SELECT current_setting('unix_socket_directories')")
                .fetch_one(&mut connection)
                .await?;
        ensure!(!folder.is_empty(), "the server of the bench has no socket");
        connection.close().await?;
        let options = options.database(name);
        let socket_url = format!(
            "postgres:///{name}?host={folder}&port={}&user={}",
            options.get_port(),
            options.get_username(),
        );
        let mut connection = socket_url.parse::<PgConnectOptions>()?.connect().await?;
        let backend: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
            .fetch_one(&mut connection)
            .await?;
        Ok(Self {
            postmaster: process::parent(backend.try_into()?)?,
            url: options.to_url_lossy().to_string(),
            socket_url,
            connection,
        })
    }

    /// Where usher finds it, over TCP as most have it.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The same over the socket of this machine.
    pub(crate) fn socket_url(&self) -> &str {
        &self.socket_url
    }

    /// CPU time of the whole server so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        process::cpu_of_server(self.postmaster)
    }

    /// Empties the journal, where there is one, and writes everything out, so that every run starts
    /// alike. No usher may run on it.
    pub(crate) async fn empty(&mut self) -> Result<()> {
        let has_schema: bool = sqlx::query_scalar("SELECT to_regclass('events') IS NOT NULL")
            .fetch_one(&mut self.connection)
            .await?;
        if !has_schema {
            return Ok(());
        }
        sqlx::raw_sql("TRUNCATE events, repeats, batches, quarantine, outbox")
            .execute(&mut self.connection)
            .await?;
        self.settle().await
    }

    /// The same, with all that is counted for reports.
    pub(crate) async fn empty_counts(&mut self) -> Result<()> {
        sqlx::raw_sql(
            "TRUNCATE report_hours, report_principals, report_weeks, report_failures,
                report_login_weeks, report_logins, recounts",
        )
        .execute(&mut self.connection)
        .await?;
        self.empty().await
    }

    /// A connection as long as which lives nothing is counted for reports, where that is wanted.
    pub(crate) async fn hold_counting(&self, is_wanted: bool) -> Result<Option<PgConnection>> {
        if !is_wanted {
            return Ok(None);
        }
        let options = self.socket_url.parse::<PgConnectOptions>()?;
        let mut connection = options.connect().await?;
        sqlx::query("SELECT pg_advisory_lock($1)")
            .bind(COUNT_ALONE)
            .execute(&mut connection)
            .await?;
        Ok(Some(connection))
    }

    /// The age of the oldest batch that the reader `report` owes, in seconds.
    pub(crate) async fn owed_seconds(&mut self) -> Result<f64> {
        let seconds = sqlx::query_scalar(
            "SELECT COALESCE(extract(epoch FROM now() - min(owed_at)), 0)::float8
            FROM outbox WHERE reader = 'report'",
        );
        Ok(seconds.fetch_one(&mut self.connection).await?)
    }

    /// How many events are counted for reports.
    pub(crate) async fn counted(&mut self) -> Result<usize> {
        let events: i64 =
            sqlx::query_scalar("SELECT COALESCE(sum(events), 0)::bigint FROM report_hours")
                .fetch_one(&mut self.connection)
                .await?;
        Ok(usize::try_from(events)?)
    }

    /// Writes everything out, so that no run pays for another.
    pub(crate) async fn settle(&mut self) -> Result<()> {
        sqlx::raw_sql("CHECKPOINT")
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// Gives it the schema, as the first start of an usher does.
    pub(crate) async fn migrate(&self) -> Result<()> {
        let journal = Journal::open(&self.url)?;
        journal.migrate().await?;
        journal.close().await;
        Ok(())
    }

    /// Fills the journal with `events` logins of the last four weeks, in the order of their arrival
    /// and in batches of 1,000. So an usher that ran for long would have left them.
    pub(crate) async fn fill(&mut self, events: usize, now: DateTime<Utc>) -> Result<()> {
        self.migrate().await?;
        let journal = Journal::open(&self.url)?;
        let days = (0..=28).map(|days| now - TimeDelta::days(days));
        journal.ensure_partitions(days).await?;
        journal.close().await;
        for first in (0..events).step_by(ROWS_A_FILL) {
            let last = events.min(first + ROWS_A_FILL);
            progress(&format!("filling the record: {first} of {events}"));
            sqlx::raw_sql(&filling(first, last, events, now))
                .execute(&mut self.connection)
                .await?;
        }
        // One by one: several statements at once would be a transaction, which VACUUM refuses.
        for statement in ["VACUUM (ANALYZE) events", "VACUUM (ANALYZE) batches"] {
            sqlx::raw_sql(statement)
                .execute(&mut self.connection)
                .await?;
        }
        self.settle().await
    }

    /// Bytes of write-ahead log so far.
    pub(crate) async fn wal_bytes(&mut self) -> Result<i64> {
        Ok(
            sqlx::query_scalar("SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint")
                .fetch_one(&mut self.connection)
                .await?,
        )
    }

    /// Counts what is stored.
    pub(crate) async fn held(&mut self) -> Result<Held> {
        let row = sqlx::query(
            "SELECT count(*), count(*) FILTER (WHERE verdict = 'verified') FROM events",
        )
        .fetch_one(&mut self.connection)
        .await?;
        Ok(Held {
            events: usize::try_from(row.get::<i64, _>(0))?,
            verified: usize::try_from(row.get::<i64, _>(1))?,
        })
    }

    /// Reads the stored events, in the order of their arrival, as messages of COPY.
    pub(crate) async fn take_copies(&mut self) -> Result<Copies> {
        let query = format!("SELECT {COLUMNS} FROM events ORDER BY batch, position");
        let rows = sqlx::query(&query).fetch_all(&mut self.connection).await?;
        ensure!(rows.len() >= ROWS_A_COPY, "too few rows for a baseline");
        let copies = rows.chunks_exact(ROWS_A_COPY).map(|rows| {
            let mut message = b"PGCOPY\n\xff\r\n\0".to_vec();
            // Flags and the length of the header's extension.
            message.extend_from_slice(&[0; 8]);
            for row in rows {
                encode(row, &mut message)?;
            }
            message.extend_from_slice(&(-1_i16).to_be_bytes());
            Ok(message)
        });
        Ok(Copies(copies.collect::<Result<_>>()?))
    }

    /// Copies for `at_most`, a transaction each.
    pub(crate) async fn baseline(
        &mut self,
        copies: &Copies,
        at_most: Duration,
    ) -> Result<Baseline> {
        let before = self.cpu()?;
        let statement = format!("COPY events ({COLUMNS}) FROM STDIN (FORMAT binary)");
        let started = Instant::now();
        let mut rows = 0;
        for message in &copies.0 {
            let mut copy = self.connection.copy_in_raw(&statement).await?;
            copy.send(message.as_slice()).await?;
            rows += copy.finish().await?;
            if started.elapsed() >= at_most {
                break;
            }
        }
        let elapsed = started.elapsed();
        let postgres = self.cpu()?.saturating_sub(before);
        let held = self.held().await?.events;
        ensure!(
            u64::try_from(held)? == rows,
            "the baseline copied {rows} rows, {held} are there"
        );
        let rows = f64::from(u32::try_from(rows)?);
        Ok(Baseline {
            rate: rows / elapsed.as_secs_f64(),
            cpu_us: postgres.as_secs_f64() * 1e6 / rows,
        })
    }
}

/// Writes the logins `first` to `last` of `events`: the same columns, as full as usher's own rows.
fn filling(first: usize, last: usize, events: usize, now: DateTime<Utc>) -> String {
    let newest = now.timestamp() - 2 * 60 * 60;
    format!(
        r#"
        INSERT INTO events ({COLUMNS})
        SELECT
            event_ts,
            (lpad(to_hex(extract(epoch FROM event_ts)::bigint * 1000), 12, '0') || '8'
                || substr(md5('id' || n), 2, 3) || '8' || substr(md5('id' || n), 6, 15))::uuid,
            event_ts, event_ts + interval '1 second', md5('batch' || n / 1000)::uuid, 0, n % 1000,
            'authentication', 'json', 'verified', false, true, 1, 'Dev-Portal',
            'AUTHENTICATION_OUTCOME_SUCCESS', 'AUTHENTICATION_TYPE_BASIC',
            '998db3e4-5cb7-4dd5-b51c-9878096a6999', '3e551b39-227d-4297-b911-e68fd5d77c17', person,
            (3360194145499000000 + n)::text, '172.71.232.22', '/api/v3/developer/authenticate', NULL,
            NULL, NULL, NULL, true,
            convert_to(format(
                '{{"cef_version":0,"event_class_id":"AUTHENTICATION_TYPE_BASIC","event_product":"Dev-Portal","event_ts":"%s","event_vendor":"KongInc","event_version":"1.0","name":"AUTHENTICATION_OUTCOME_SUCCESS","org_id":"998db3e4-5cb7-4dd5-b51c-9878096a6999","portal_id":"3e551b39-227d-4297-b911-e68fd5d77c17","principal_id":"%s","request":"/api/v3/developer/authenticate","severity":0,"src":"172.71.232.22","success":"true","trace_id":%s,"user_agent":"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0","sig":"%s"}}',
                event_ts, person, n, repeat(md5('sig' || n), 3)
            ), 'UTF8')
        FROM (
            SELECT
                n,
                to_timestamp({newest} - 28 * 86400 + n * 28.0 * 86400 / {events})::timestamptz(0)
                    AS event_ts,
                '00000000-0000-4000-8000-' || lpad((n * 7919 % 5000)::text, 12, '0') AS person
            FROM generate_series({first}::bigint, {last}::bigint - 1) AS n
        ) AS logins;

        INSERT INTO batches (id, source, lane, received_at, first_event_ts, last_event_ts, stored,
            duplicates, quarantined, verdicts, requests)
        SELECT batch, 'webhook', 'live', min(received_at), min(event_ts), max(event_ts), count(*), 0, 0,
            '{{"verified": 1000}}', '[]'
        FROM events
        WHERE batch IN (
            SELECT md5('batch' || b)::uuid
            FROM generate_series({first} / 1000, ({last} - 1) / 1000) AS b
        )
        GROUP BY batch
        ON CONFLICT (id) DO NOTHING
        "#
    )
}

/// A row as COPY's binary format has it: the fields as a prepared query returns them.
fn encode(row: &sqlx::postgres::PgRow, message: &mut Vec<u8>) -> Result<()> {
    message.extend_from_slice(&i16::try_from(row.len())?.to_be_bytes());
    for index in 0..row.len() {
        let field = row.try_get_raw(index)?;
        match field.as_bytes() {
            Ok(bytes) => {
                message.extend_from_slice(&i32::try_from(bytes.len())?.to_be_bytes());
                message.extend_from_slice(bytes);
            }
            Err(_null) => message.extend_from_slice(&(-1_i32).to_be_bytes()),
        }
    }
    Ok(())
}

/// Names the server's version.
pub(crate) async fn version(database: &mut Database) -> Result<String> {
    sqlx::query_scalar("SELECT current_setting('server_version')")
        .fetch_one(&mut database.connection)
        .await
        .context("could not ask for the version")
}

//! The bench's own database, and the baseline: COPY of the same rows into the same tables.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Row as _};

use crate::process;

const NAME: &str = "usher_bench";
/// Rows of one COPY, which is one transaction: about what usher would gather.
const ROWS_A_COPY: usize = 1_000;
/// Every column, so that the baseline writes what usher writes.
const COLUMNS: &str = "event_ts, id, occurred_at, received_at, batch, request, position, kind, \
    format, verdict, ambiguous, time_known, copies, product, name, event_class_id, org_id, \
    portal_id, principal_id, trace_id, src, path, act, status, action, granted, success, raw";

/// A database on a throw-away server.
#[derive(Debug)]
pub(crate) struct Database {
    connection: PgConnection,
    url: String,
    postmaster: u32,
}

/// What the journal holds.
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
    /// Makes it anew on `server`, which must sync to disk: else the figures would be false.
    pub(crate) async fn create(server: &str) -> Result<Self> {
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
            format!("DROP DATABASE IF EXISTS {NAME}"),
            format!("CREATE DATABASE {NAME}"),
        ] {
            sqlx::raw_sql(AssertSqlSafe(statement))
                .execute(&mut connection)
                .await?;
        }
        connection.close().await?;

        let options = options.database(NAME);
        let mut connection = options.connect().await?;
        let backend: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
            .fetch_one(&mut connection)
            .await?;
        Ok(Self {
            postmaster: process::parent(backend.try_into()?)?,
            url: options.to_url_lossy().to_string(),
            connection,
        })
    }

    /// Where usher finds it.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// CPU time of the whole server so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        process::cpu_of_server(self.postmaster)
    }

    /// Empties the record and writes everything out, so that every run starts alike.
    pub(crate) async fn empty(&mut self) -> Result<()> {
        sqlx::raw_sql("TRUNCATE events, batches, quarantine, outbox")
            .execute(&mut self.connection)
            .await?;
        self.settle().await
    }

    /// Writes everything out, so that no run pays for another.
    pub(crate) async fn settle(&mut self) -> Result<()> {
        sqlx::raw_sql("CHECKPOINT")
            .execute(&mut self.connection)
            .await?;
        Ok(())
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
        let rows = sqlx::query(AssertSqlSafe(query))
            .fetch_all(&mut self.connection)
            .await?;
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

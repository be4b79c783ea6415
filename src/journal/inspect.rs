//! What of the server, the role and the rows concerns whoever looks for what is wrong. Reads only,
//! and judges nothing.

use chrono::{DateTime, Utc};

use crate::journal::connection::ANSWER_WITHIN;
use crate::journal::{CONNECTIONS, Connection, Journal, JournalError, MIGRATOR, READING};

/// Rows that are counted exactly; of more an estimate is given.
const COUNTED_EXACTLY: i64 = 100_000;
/// Rows of a reader whose claims are looked at.
const CLAIMS: i64 = 1_000;
/// Connections that one instance opens beside its pools for a while.
const APART: u32 = 4;

/// What the server says of itself and of the role.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of the server"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// Version as one number, such as 160003.
    pub version_number: i32,
    /// Whether it only follows another server.
    pub is_replica: bool,
    /// Whether transactions may not write.
    pub is_read_only: bool,
    /// `server_encoding`.
    pub encoding: String,
    /// `fsync`.
    pub fsync: bool,
    /// `full_page_writes`.
    pub full_page_writes: bool,
    /// `synchronous_commit` as usher's sessions have it.
    pub synchronous_commit: String,
    /// Whether prepared transactions that nobody ends hold up what follows.
    pub prepared_transactions: i64,
    /// Seconds of the oldest transaction that is open and idle; none where there is none.
    pub idle_in_transaction_seconds: Option<i64>,
    /// Connections that the server lets in, less those kept for superusers.
    pub max_connections: i32,
    /// Connections that are open now, of anybody.
    pub connections: i64,
    /// Connections that are open now and name themselves usher.
    pub connections_of_usher: i64,
    /// Connections that the role or the database may have; none where there is no such limit.
    pub connection_limit: Option<i32>,
}

impl ServerFacts {
    /// Connections that one running instance may open.
    pub const WANTED: u32 = CONNECTIONS + READING + APART;
}

/// A right that the role lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingRight {
    /// The table, sequence or schema.
    pub object: String,
    /// The rights, as GRANT names them.
    pub rights: String,
}

/// Whether somebody works for a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderClaim {
    /// Its name.
    pub reader: String,
    /// Until when a batch that it still owes was last claimed, of the oldest thousand.
    pub claimed_until: Option<DateTime<Utc>>,
}

/// How much there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowCounts {
    /// Events; exact up to [`RowCounts::EXACT`].
    pub events: i64,
    /// Quarantined entries, the same way.
    pub quarantine: i64,
    /// Rows of the outbox, the same way.
    pub outbox: i64,
    /// Events by the server's own estimate.
    pub events_estimated: i64,
}

impl RowCounts {
    /// Rows are counted up to so many.
    pub const EXACT: i64 = COUNTED_EXACTLY;
}

impl Journal {
    /// Connects beside the pool, where an error says why it failed.
    pub async fn reach(&self) -> Result<(), JournalError> {
        let mut connection = self.own_connection(ANSWER_WITHIN).await?;
        answer(&mut connection).await
    }

    /// Whether a connection is a session, as it is without a pooler by transaction.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn keeps_sessions(&self) -> Result<bool, JournalError> {
        match self.check_session().await.map_err(JournalError::of_session) {
            Ok(()) => Ok(true),
            Err(JournalError::NoSession) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The server's version and settings, and its connections.
    pub async fn server_facts(&self) -> Result<ServerFacts, JournalError> {
        Ok(sqlx::query_as!(
            ServerFacts,
            r#"
            SELECT
                current_setting('server_version_num')::int AS "version_number!",
                pg_is_in_recovery() AS "is_replica!",
                current_setting('transaction_read_only') = 'on' AS "is_read_only!",
                current_setting('server_encoding') AS "encoding!",
                current_setting('fsync') = 'on' AS "fsync!",
                current_setting('full_page_writes') = 'on' AS "full_page_writes!",
                current_setting('synchronous_commit') AS "synchronous_commit!",
                (SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database())
                    AS "prepared_transactions!",
                (
                    SELECT max(extract(epoch FROM now() - state_change))::bigint
                    FROM pg_stat_activity
                    WHERE datname = current_database() AND state LIKE 'idle in transaction%'
                ) AS idle_in_transaction_seconds,
                current_setting('max_connections')::int
                    - current_setting('superuser_reserved_connections')::int
                    AS "max_connections!",
                (SELECT count(*) FROM pg_stat_activity WHERE datname IS NOT NULL)
                    AS "connections!",
                (
                    SELECT count(*)
                    FROM pg_stat_activity
                    WHERE datname = current_database() AND application_name = 'usher'
                ) AS "connections_of_usher!",
                (
                    SELECT min(at_most)
                    FROM (
                        SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user
                        UNION ALL
                        SELECT datconnlimit FROM pg_database WHERE datname = current_database()
                    ) AS limits (at_most)
                    WHERE at_most >= 0
                ) AS connection_limit
            "#
        )
        .fetch_one(&self.pool)
        .await?)
    }

    /// Rights that usher needs and its role lacks: to read and write every table of its schema, to
    /// make partitions, and to draw numbers.
    pub async fn missing_rights(&self) -> Result<Vec<MissingRight>, JournalError> {
        Ok(sqlx::query_as!(
            MissingRight,
            r#"
            WITH wanted AS (
                SELECT name, to_regclass(name) AS it, needed, place
                FROM UNNEST($1::text[]) AS name
                CROSS JOIN UNNEST(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE'])
                    WITH ORDINALITY AS needed (needed, place)
            )
            SELECT name AS "object!", string_agg(needed, ', ' ORDER BY place) AS "rights!"
            FROM wanted
            WHERE it IS NOT NULL AND NOT has_table_privilege(it, needed)
            GROUP BY name
            UNION ALL
            SELECT 'events', 'its ownership, to add partitions'
            FROM pg_class
            WHERE oid = to_regclass('events') AND NOT pg_has_role(relowner, 'USAGE')
            UNION ALL
            SELECT relname::text, 'USAGE'
            FROM pg_class
            WHERE oid = to_regclass('directory_looks') AND NOT has_sequence_privilege(oid, 'USAGE')
            UNION ALL
            SELECT 'schema ' || nspname, 'CREATE'
            FROM pg_namespace
            WHERE nspname = current_schema() AND NOT has_schema_privilege(oid, 'CREATE')
            ORDER BY 1, 2
            "#,
            &tables(),
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// For each reader whether its work is claimed.
    pub async fn reader_claims(&self) -> Result<Vec<ReaderClaim>, JournalError> {
        Ok(sqlx::query_as!(
            ReaderClaim,
            r#"
            SELECT
                r.name AS reader,
                (
                    SELECT max(claimed_until)
                    FROM (
                        SELECT claimed_until
                        FROM outbox o
                        WHERE o.reader = r.name
                        ORDER BY o.lane DESC, o.batch
                        LIMIT $1
                    ) AS first
                ) AS claimed_until
            FROM readers r
            ORDER BY r.name
            "#,
            CLAIMS,
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// Counts rows, without reading much of a large table.
    pub async fn row_counts(&self) -> Result<RowCounts, JournalError> {
        Ok(sqlx::query_as!(
            RowCounts,
            r#"
            SELECT
                (SELECT count(*) FROM (SELECT FROM events LIMIT $1) AS first) AS "events!",
                (SELECT count(*) FROM (SELECT FROM quarantine LIMIT $1) AS first) AS "quarantine!",
                (SELECT count(*) FROM (SELECT FROM outbox LIMIT $1) AS first) AS "outbox!",
                (
                    SELECT coalesce(sum(greatest(reltuples, 0)), 0)::bigint
                    FROM pg_inherits
                    JOIN pg_class ON pg_class.oid = inhrelid
                    WHERE inhparent = to_regclass('events')
                ) AS "events_estimated!"
            "#,
            COUNTED_EXACTLY,
        )
        .fetch_one(&self.pool)
        .await?)
    }
}

async fn answer(connection: &mut Connection) -> Result<(), JournalError> {
    sqlx::query_scalar!(r#"SELECT 1 AS "one!""#)
        .fetch_one(connection)
        .await?;
    Ok(())
}

/// The tables that the migrations make; one that a later migration dropped is not there any more,
/// and then no right to it is missing.
fn tables() -> Vec<String> {
    let migrations = MIGRATOR.iter();
    let statements = migrations.flat_map(|migration| migration.sql.lines());
    let names = statements.filter_map(|line| {
        let name = line.strip_prefix("CREATE TABLE ")?;
        Some(name.split_whitespace().next()?.to_owned())
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::tables;

    #[test]
    fn the_tables_are_those_of_the_migrations() {
        let tables = tables();
        for name in ["events", "batches", "outbox", "actions", "console_sessions"] {
            assert!(
                tables.iter().any(|table| table == name),
                "{name}: {tables:?}"
            );
        }
        let plain = |name: &String| name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        assert!(tables.iter().all(plain), "{tables:?}");
    }
}

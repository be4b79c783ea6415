//! The schema: what is pending, bringing it up to date, and refusing one that is newer than usher.
//!
//! Works on a connection of its own, so that a lock or a setting ends with it, whatever happens.

use std::time::Duration;

use serde::Serialize;
use sqlx::migrate::{Migrate, Migrator};
use tracing::info;

use crate::journal::connection::ANSWER_WITHIN;
use crate::journal::partitions::run;
use crate::journal::{Connection, Journal, JournalError, LONG_STATEMENT};

/// Every migration of usher, in order.
pub static MIGRATOR: Migrator = sqlx::migrate!();

/// Where sqlx notes what it applied.
const MIGRATIONS: &str = "_sqlx_migrations";
/// Any number, the same in every instance: only one migrates at a time.
const ADVISORY_LOCK: i64 = 0x7573_6865_7203;
/// Between tries to get that lock.
const LOCK_EVERY: Duration = Duration::from_millis(100);
/// How long a change of the schema may wait for a table, while every writer of the table waits
/// behind it. A migration without a transaction blocks nothing, and may wait.
const LOCK_TIMEOUT: &str = "5s";

/// A migration that was not applied yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PendingMigration {
    /// Date and number that the file's name begins with.
    pub version: i64,
    /// The rest of the name, in words.
    pub description: String,
}

impl Journal {
    /// Brings the schema up to date; waits while another instance does.
    ///
    /// # Errors
    /// [`JournalError::SchemaNewer`] without a change when a newer usher was here.
    pub async fn migrate(&self) -> Result<(), JournalError> {
        self.check_session()
            .await
            .map_err(JournalError::of_session)?;
        let mut connection = self.own_connection(ANSWER_WITHIN).await?;
        lock(&mut connection).await?;
        connection
            .answer(|driver| driver.ensure_migrations_table())
            .await?;
        let pending = pending(&mut connection).await?;
        for migration in MIGRATOR.iter() {
            if pending.iter().all(|it| it.version != migration.version) {
                continue;
            }
            let timeout = if migration.no_tx { "0" } else { LOCK_TIMEOUT };
            sqlx::query_scalar!("SELECT set_config('lock_timeout', $1, false)", timeout)
                .fetch_one(&mut connection)
                .await?;
            if migration.no_tx {
                drop_cut(&mut connection, &migration.sql).await?;
            }
            connection
                .answer_within(LONG_STATEMENT, |driver| driver.apply(migration))
                .await?;
            info!(
                migration.version,
                migration.description = %migration.description,
                "changed the schema"
            );
        }
        // Compares what was applied before with the migrations of this usher. It does not use
        // `Migrator::run`, whose bounds on a borrowed connection no spawned task can meet.
        connection
            .answer(|driver| Box::pin(MIGRATOR.run_direct(driver)))
            .await?;
        Ok(())
    }

    /// Whether two connections are two sessions, and stay so.
    pub(super) async fn check_session(&self) -> Result<(), JournalError> {
        let mut connections = [
            self.own_connection(ANSWER_WITHIN).await?,
            self.own_connection(ANSWER_WITHIN).await?,
        ];
        let mut seen = Vec::new();
        for _ in 0..3 {
            for connection in &mut connections {
                let pid = sqlx::query_scalar!(r#"SELECT pg_backend_pid() AS "pid!""#);
                seen.push(pid.fetch_one(connection).await?);
            }
        }
        let stay = seen.chunks(2).all(|pids| *pids == seen[..2]);
        if stay && seen[0] != seen[1] {
            Ok(())
        } else {
            Err(JournalError::NoSession)
        }
    }

    /// What [`Journal::migrate`] would apply, in order. Changes nothing.
    ///
    /// # Errors
    /// [`JournalError::SchemaNewer`] when a newer usher was here.
    pub async fn pending_migrations(&self) -> Result<Vec<PendingMigration>, JournalError> {
        let mut connection = self.own_connection(ANSWER_WITHIN).await?;
        let pending = pending(&mut connection).await?;
        Ok(pending)
    }

    /// The same by a connection of the pool, for whoever looks often: of a server that cannot be
    /// reached it says only that it waited.
    ///
    /// # Errors
    /// As [`Journal::pending_migrations`].
    pub(super) async fn pending_in_pool(&self) -> Result<Vec<PendingMigration>, JournalError> {
        let mut connection = self.pool.acquire().await?;
        pending(&mut connection).await
    }
}

/// Drops the indexes that `migration` makes and whose making was interrupted. They are there but
/// useless, and IF NOT EXISTS would leave them so.
async fn drop_cut(connection: &mut Connection, migration: &str) -> Result<(), JournalError> {
    let cut = sqlx::query_scalar!(
        r#"
        SELECT quote_ident(relname) AS "name!"
        FROM pg_index
        JOIN pg_class ON pg_class.oid = indexrelid
        WHERE NOT indisvalid
            AND pg_table_is_visible(indexrelid)
            AND relname = ANY(regexp_split_to_array($1, '\s+'))
        "#,
        migration,
    )
    .fetch_all(&mut *connection)
    .await?;
    for index in cut {
        run(connection, format!("DROP INDEX CONCURRENTLY {index}")).await?;
        info!(index, "dropped an index whose making was cut");
    }
    Ok(())
}

/// Takes the migration lock, once no other instance has it.
async fn lock(connection: &mut Connection) -> Result<(), JournalError> {
    let mut told = false;
    // Tried in a loop: a statement that waits for a lock is a transaction that an index made
    // CONCURRENTLY under that lock would wait for in turn.
    while !try_lock(connection).await? {
        if !told {
            info!("another instance changes the schema, waiting for it");
            told = true;
        }
        tokio::time::sleep(LOCK_EVERY).await;
    }
    Ok(())
}

async fn try_lock(connection: &mut Connection) -> Result<bool, JournalError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT pg_try_advisory_lock($1) AS "locked!""#,
        ADVISORY_LOCK,
    )
    .fetch_one(connection)
    .await?)
}

async fn pending(connection: &mut Connection) -> Result<Vec<PendingMigration>, JournalError> {
    let was_migrated = sqlx::query_scalar!(
        r#"SELECT to_regclass($1) IS NOT NULL AS "there!""#,
        MIGRATIONS
    )
    .fetch_one(&mut *connection)
    .await?;
    let applied = if was_migrated {
        connection
            .answer(|driver| driver.list_applied_migrations())
            .await?
    } else {
        Vec::new()
    };
    let known = MIGRATOR.iter().map(|migration| migration.version).max();
    let newer = applied
        .iter()
        .map(|migration| migration.version)
        .filter(|&version| !MIGRATOR.version_exists(version))
        .max();
    if let Some(found) = newer {
        return Err(JournalError::SchemaNewer {
            found,
            known: known.unwrap_or_default(),
        });
    }
    Ok(MIGRATOR
        .iter()
        .filter(|migration| applied.iter().all(|done| done.version != migration.version))
        .map(|migration| PendingMigration {
            version: migration.version,
            description: migration.description.clone().into_owned(),
        })
        .collect())
}

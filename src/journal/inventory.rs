//! What the database has besides the record, for people who look after it: leases, its own
//! version and that of the schema.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::journal::{Journal, JournalError, MIGRATOR, PendingMigration};

/// Leases that are listed at most.
const LISTED: i64 = 100;

/// A lease that some instance has or had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseHolder {
    /// The work.
    pub name: String,
    /// The instance.
    pub holder: Uuid,
    /// When another may take it.
    pub expires_at: DateTime<Utc>,
    /// Whether the instance has it now, by the database's clock.
    pub is_held: bool,
}

/// The database as people name it, without who signs in to it and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its host, or the folder of its socket.
    pub host: String,
    /// The name of the database.
    pub database: String,
    /// The version of Postgres.
    pub version: String,
}

/// The state of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaState {
    /// The last migration that was applied.
    pub version: Option<i64>,
    /// What this usher would apply.
    pub pending: Vec<PendingMigration>,
    /// Whether a newer usher was here.
    pub is_newer: bool,
}

impl Journal {
    /// Who has which lease, by name; one that expired stays until somebody takes it.
    pub async fn leases(&self) -> Result<Vec<LeaseHolder>, JournalError> {
        Ok(sqlx::query_as!(
            LeaseHolder,
            r#"
            SELECT name, holder, expires_at, expires_at >= now() AS "is_held!"
            FROM leases
            ORDER BY name
            LIMIT $1
            "#,
            LISTED,
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// The server and the database.
    pub async fn server(&self) -> Result<Server, JournalError> {
        let found = sqlx::query!(
            r#"
            SELECT
                current_setting('server_version') AS "version!",
                current_database()::text AS "database!"
            "#
        )
        .fetch_one(&self.pool)
        .await?;
        let options = self.pool.shared().connect_options();
        let socket = options.get_socket();
        Ok(Server {
            host: socket.map_or_else(
                || format!("{}:{}", options.get_host(), options.get_port()),
                |folder| folder.display().to_string(),
            ),
            database: found.database,
            version: found.version,
        })
    }

    /// Which migrations were applied, compared with those of this usher.
    pub async fn schema_state(&self) -> Result<SchemaState, JournalError> {
        let (pending, newer) = match self.pending_in_pool().await {
            Ok(pending) => (pending, None),
            Err(JournalError::SchemaNewer { found, .. }) => (Vec::new(), Some(found)),
            Err(error) => return Err(error),
        };
        let is_applied = |version: &i64| pending.iter().all(|one| one.version != *version);
        let ours = MIGRATOR.iter().map(|one| one.version);
        Ok(SchemaState {
            version: newer.or_else(|| ours.filter(is_applied).max()),
            is_newer: newer.is_some(),
            pending,
        })
    }
}

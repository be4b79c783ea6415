//! A fresh database on the server of `DATABASE_URL`, dropped at the end.

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use usher::clock::{Clock, Ids};

use crate::support::environment;

/// A database that nobody else uses.
#[derive(Debug)]
pub struct TestDatabase {
    server: String,
    name: String,
}

impl TestDatabase {
    /// Makes one, migrated where the server's `template1` is, as `make test` has it; else usher
    /// brings its schema.
    pub async fn create() -> Self {
        Self::create_from("template1").await
    }

    /// Makes an empty one.
    pub async fn create_empty() -> Self {
        Self::create_from("template0").await
    }

    async fn create_from(template: &str) -> Self {
        let this = Self {
            server: environment::database_url(),
            name: format!("it_{}", Ids::new(Clock::system()).next().simple()),
        };
        this.administer(&format!(
            "CREATE DATABASE {} TEMPLATE {template}",
            this.name
        ))
        .await;
        this
    }

    /// Makes an empty one that a role of its own owns, which is no superuser and has the database's
    /// name; where it answers that role.
    pub async fn create_with_owner() -> (Self, String) {
        let this = Self::create_empty().await;
        let name = &this.name;
        this.administer(&format!("CREATE ROLE {name} LOGIN PASSWORD '{name}'"))
            .await;
        this.administer(&format!("ALTER DATABASE {name} OWNER TO {name}"))
            .await;
        let mut url: url::Url = this.url().parse().expect("a URL");
        url.set_username(name).expect("it has a host");
        url.set_password(Some(name)).expect("it has a host");
        (this, url.to_string())
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        let mut url: url::Url = self.server.parse().expect("DATABASE_URL is a URL");
        url.set_path(&self.name);
        url.to_string()
    }

    /// The same over the socket of the machine.
    pub async fn socket_url(&self) -> String {
        let options: PgConnectOptions = self.server.parse().expect("DATABASE_URL is of Postgres");
        let mut connection = options.connect().await.expect("the test server answers");
        let folder: String =
            sqlx::query_scalar("SELECT current_setting('unix_socket_directories')")
                .fetch_one(&mut connection)
                .await
                .expect("a setting of the server");
        connection.close().await.expect("it closes");
        assert!(!folder.is_empty(), "the test server has no socket");
        format!(
            "postgres:///{}?host={folder}&port={}&user={}",
            self.name,
            options.get_port(),
            options.get_username(),
        )
    }

    /// Ends every connection and refuses new ones until [`TestDatabase::allow`].
    pub async fn refuse(&self) {
        self.administer(&format!(
            "ALTER DATABASE {} ALLOW_CONNECTIONS false",
            self.name
        ))
        .await;
        self.administer(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'",
            self.name
        ))
        .await;
    }

    /// Makes it take no writes, as a standby does, or take them again.
    pub async fn set_read_only(&self, read_only: bool) {
        let name = &self.name;
        self.administer(&format!(
            "ALTER DATABASE {name} SET default_transaction_read_only = {read_only}"
        ))
        .await;
        self.administer(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        ))
        .await;
    }

    /// Takes connections again.
    pub async fn allow(&self) {
        self.administer(&format!(
            "ALTER DATABASE {} ALLOW_CONNECTIONS true",
            self.name
        ))
        .await;
    }

    /// Runs one statement.
    pub async fn execute(&self, statement: &str) {
        let mut connection = PgConnection::connect(&self.url())
            .await
            .expect("a connection");
        let done = sqlx::query(statement).execute(&mut connection).await;
        done.expect(statement);
    }

    /// Drops it, whoever is still connected.
    pub async fn drop(self) {
        self.administer(&format!("DROP DATABASE {} WITH (FORCE)", self.name))
            .await;
        self.administer(&format!("DROP ROLE IF EXISTS {}", self.name))
            .await;
    }

    async fn administer(&self, statement: &str) {
        let options: PgConnectOptions = self.server.parse().expect("DATABASE_URL is of Postgres");
        let mut connection = options.connect().await.expect("the test server answers");
        sqlx::query(statement)
            .execute(&mut connection)
            .await
            .expect("the test server obeys");
        connection.close().await.expect("the connection closes");
    }
}

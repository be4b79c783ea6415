//! Faults of the database, of its role and of the rows in it.

use crate::doctor::{Lines, World, assert_only};
use crate::support::database::TestDatabase;
use crate::support::pgbouncer::Pgbouncer;

/// Drops the partitions of the coming months.
const DROP_AHEAD: &str = r"
DO $$
DECLARE
    it text;
BEGIN
    FOR it IN
        SELECT inhrelid::regclass::text
        FROM pg_inherits
        WHERE inhparent = 'events'::regclass
            AND inhrelid::regclass::text ~ '^events_\d{4}_\d{2}$'
            AND inhrelid::regclass::text > 'events_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')
    LOOP
        EXECUTE 'DROP TABLE ' || it;
    END LOOP;
END
$$";

const ABANDON: &str = "
WITH reader AS (
    INSERT INTO readers (name, since, wanted_at)
    VALUES ('forward-00000000000000aa', now(), now() - interval '1 hour')
    RETURNING name
)
INSERT INTO outbox (reader, batch, lane, first_event_ts, last_event_ts, created_at, owed_at)
SELECT name, gen_random_uuid(), 'live', now(), now(), now(), now() - interval '1 hour'
FROM reader";

const OWE: &str = "
WITH reader AS (INSERT INTO readers (name, since) VALUES ('report', now()) RETURNING name)
INSERT INTO outbox (reader, batch, lane, first_event_ts, last_event_ts, created_at, owed_at)
SELECT name, gen_random_uuid(), 'live', now(), now(), now(), now() - interval '1 hour'
FROM reader";

const NEWER: &str = r"
INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
VALUES (29990101000000, 'of a later usher', true, '\x00', 0)";

const UNAPPLIED: &str = "
DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)";

#[tokio::test]
async fn each_fault_of_the_rows_is_told_by_its_own_line() {
    let mut healthy: Option<Lines> = None;
    for (fault, statement, expected) in [
        (
            "migrations that are missing",
            UNAPPLIED,
            ("migrations", "warning", "1 migration missing"),
        ),
        (
            "a schema of a newer usher",
            NEWER,
            ("migrations", "failed", "29990101000000"),
        ),
        (
            "no partition ahead",
            DROP_AHEAD,
            ("partitions", "warning", "no partition for next month"),
        ),
        (
            "a reader that nobody has configured",
            ABANDON,
            (
                "readers",
                "warning",
                "forward-00000000000000aa owes 1 batch, never claimed",
            ),
        ),
        (
            "a reader that is behind",
            OWE,
            (
                "outbox",
                "warning",
                "report owes 1 batch, the oldest for 60 min",
            ),
        ),
    ] {
        let world = World::new().await;
        let healthy = match &healthy {
            Some(healthy) => healthy.clone(),
            None => healthy.insert(world.healthy().await).clone(),
        };
        world.database.execute(statement).await;
        let ran = world.run(&world.settings).await;
        assert_only(fault, &healthy, &ran, expected);
        world.end().await;
    }
}

#[tokio::test]
async fn each_fault_of_the_server_is_told_by_its_own_line() {
    let world = World::new().await;
    let healthy = world.healthy().await;
    let away = "postgres://usher:s3cret@127.0.0.1:9/usher";
    let ran = world.run(&world.with("database.url", away)).await;
    let expected = ("database", "failed", "the database does not answer");
    assert_only("a server that is away", &healthy, &ran, expected);

    let ran = world.run(&world.with("database.read_url", away)).await;
    let expected = ("database-replica", "warning", "does not answer");
    assert_only("a replica that is away", &healthy, &ran, expected);

    let pooler = Pgbouncer::before(&world.database, "transaction").await;
    let ran = world.run(&world.with("database.url", pooler.url())).await;
    let expected = ("database-session", "failed", "a pooler");
    assert_only("a pooler by transaction", &healthy, &ran, expected);

    world.database.set_read_only(true).await;
    let ran = world.run(&world.settings).await;
    let expected = ("database-settings", "failed", "read-only");
    assert_only("a server that takes no writes", &healthy, &ran, expected);
    world.end().await;
}

#[tokio::test]
async fn a_right_that_the_role_lacks_is_told_by_its_own_line() {
    let (database, url) = TestDatabase::create_with_owner().await;
    let world = World::on(database, &url).await;
    let healthy = world.healthy().await;
    let role: url::Url = url.parse().unwrap();
    let revoke = format!("REVOKE DELETE ON events FROM {}", role.username());
    world.database.execute(&revoke).await;
    let ran = world.run(&world.settings).await;
    let expected = ("database-rights", "failed", "events: DELETE");
    assert_only("a right that was revoked", &healthy, &ran, expected);
    world.end().await;
}

#[tokio::test]
async fn an_empty_database_stays_empty() {
    let database = TestDatabase::create_empty().await;
    let world = World::new().await;
    let healthy = world.healthy().await;
    let ran = world.run(&world.with("database.url", database.url())).await;
    let expected = ("migrations", "warning", "migrations missing, from 2026");
    assert_only("a database without a schema", &healthy, &ran, expected);
    // It would fail if there were one.
    database.execute("CREATE TABLE _sqlx_migrations ()").await;
    database.drop().await;
    world.end().await;
}

//! A schema that is made, that changes under several instances, and that is newer than usher.

use std::process::{Output, Stdio};

use serde_json::Value;
use tokio::process::Command;
use usher::journal::{EventFilter, Journal};

use super::{Archive, FAST};
use crate::support::database::TestDatabase;

/// Runs the binary against `database` and waits for its end.
async fn usher(arguments: &[&str], database: &TestDatabase) -> Output {
    let run = Command::new(env!("CARGO_BIN_EXE_usher"))
        .args(arguments)
        .env_clear()
        .env("USHER_DATABASE__URL", database.url())
        .env("USHER_HTTP__LISTEN", "127.0.0.1:0")
        .env("USHER_INGEST__AUTHORIZATION", r#"["Bearer x"]"#)
        .env("USHER_KONNECT__BASE_URL", "http://127.0.0.1:9")
        .env("USHER_TELEMETRY__LOG", "error")
        .current_dir("/")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(FAST, run).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_its_tables_are_made_the_record_is_away_and_refuses_nothing() {
    let database = TestDatabase::create_empty().await;
    let journal = Journal::open(&database.url()).unwrap();
    let searched = journal.search(&EventFilter::default(), None, 1).await;
    let error = searched.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    journal.migrate().await.unwrap();
    let searched = journal.search(&EventFilter::default(), None, 1).await;
    assert!(searched.unwrap().is_empty());
    journal.close().await;
    database.drop().await;
}

#[tokio::test]
async fn instances_that_start_at_once_migrate_once() {
    let database = TestDatabase::create_empty().await;
    let plan = usher(&["migrate", "--plan", "--json"], &database).await;
    assert_eq!(plan.status.code(), Some(3));
    let lines: Vec<Value> = String::from_utf8(plan.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["version"], 20_261_121_000_001_i64);
    assert_eq!(lines[0]["description"], "create batches");

    let journals = [0; 3].map(|_| Journal::open(&database.url()).unwrap());
    let (first, second, third, fourth, fifth) = tokio::join!(
        usher(&["migrate"], &database),
        usher(&["migrate"], &database),
        journals[0].migrate(),
        journals[1].migrate(),
        journals[2].migrate(),
    );
    for run in [first, second] {
        assert_eq!(run.status.code(), Some(0), "{run:?}");
        assert_eq!(run.stdout, b"the schema is up to date\n");
    }
    for migrated in [third, fourth, fifth] {
        migrated.unwrap();
    }
    let applied: i64 = sqlx::query_scalar("SELECT count(*) FROM _sqlx_migrations WHERE success")
        .fetch_one(journals[0].pool())
        .await
        .unwrap();
    assert_eq!(usize::try_from(applied).unwrap(), lines.len());
    let plan = usher(&["migrate", "--plan"], &database).await;
    assert_eq!(plan.status.code(), Some(0));
    assert_eq!(plan.stdout, b"the schema is up to date\n");
    for journal in &journals {
        journal.close().await;
    }
    database.drop().await;
}

#[tokio::test]
async fn a_schema_of_a_newer_usher_is_refused() {
    let archive = Archive::open().await;
    archive
        .run(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (29990101000000, 'of the future', true, '', 0)",
        )
        .await;
    for arguments in [&["serve"][..], &["migrate"], &["migrate", "--plan"]] {
        let run = usher(arguments, &archive.database).await;
        assert_eq!(run.status.code(), Some(1), "{arguments:?}: {run:?}");
        let said = String::from_utf8(run.stderr).unwrap();
        let last = said.lines().last().unwrap();
        assert!(
            last.contains("the schema is newer than this usher: it is at 29990101000000"),
            "{arguments:?}: {said}"
        );
    }
    // Nobody was left waiting for a lock that a refused usher took.
    archive
        .run("DELETE FROM _sqlx_migrations WHERE version = 29990101000000")
        .await;
    archive.journal.migrate().await.unwrap();
    archive.close().await;
}

#[tokio::test]
async fn an_index_whose_making_was_cut_is_made_anew() {
    let archive = Archive::open().await;
    // Both a statement that is cut and a killed server leave it so, before the migration counts as
    // done.
    archive
        .run(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'outbox_order'::regclass;
             DELETE FROM _sqlx_migrations WHERE version = 20261129000032",
        )
        .await;
    archive.journal.migrate().await.unwrap();
    let valid = "SELECT count(*) FROM pg_index
        WHERE indexrelid = 'outbox_order'::regclass AND indisvalid";
    assert_eq!(archive.number(valid).await, 1);
    archive.close().await;
}

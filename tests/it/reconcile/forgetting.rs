//! What is forgotten of a person stays forgotten.

use serde_json::json;
use tokio::process::Command;
use tokio::time::timeout;
use uuid::Uuid;

use crate::reconcile::{DEADLINE, JAMES, Pipeline, code, lines, text};
use crate::support::database::TestDatabase;
use crate::support::konnect::{PORTAL, RULES};

#[tokio::test]
async fn forgetting_removes_what_is_kept_of_a_person_and_no_look_brings_it_back() {
    let pipeline = Pipeline::new(RULES).await;
    let database = TestDatabase::create().await;
    assert_eq!(code(&pipeline.run_on(&database, &[]).await), 0);
    let usher = async |arguments: &[&str]| {
        let forget = Command::new(env!("CARGO_BIN_EXE_usher"))
            .arg("forget")
            .args(arguments)
            .current_dir(pipeline.folder.path())
            .env_clear()
            .env("USHER_DATABASE__URL", database.url())
            .output();
        timeout(DEADLINE, forget).await.unwrap().unwrap()
    };
    let unknown = Uuid::from_u128(0xdead).to_string();
    let ended = usher(&["--developer", &unknown]).await;
    assert_eq!(code(&ended), 1);
    assert!(text(&ended.stderr).contains(&format!("never saw developer {unknown}")));

    let james = JAMES.to_string();
    let ended = usher(&["--developer", &james, "--json", "--links"]).await;
    assert_eq!(code(&ended), 0, "{}", text(&ended.stderr));
    let shown = &lines(&ended)[0];
    let removed = json!({ "email": true, "full_name": true, "actions": 3, "custom_events": 0 });
    assert!(text(&ended.stderr).contains("entries and custom events stay as they were sent"));
    assert_eq!(
        (&shown["removed"], &shown["portal_id"]),
        (&removed, &json!(PORTAL))
    );
    let page = format!("http://127.0.0.1:8088/people/{james}");
    assert_eq!(
        shown["page"],
        json!(page),
        "where usher listens, by default"
    );
    let again = usher(&["--developer", &james, "--portal", &PORTAL.to_string()]).await;
    assert!(text(&again.stdout).contains("nothing was kept any more"));

    assert_eq!(code(&pipeline.run_on(&database, &[]).await), 0);
    let pool = sqlx::PgPool::connect(&database.url()).await.unwrap();
    // Whatever table and column it might be in.
    let tables = sqlx::query_scalar::<_, String>(
        "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'",
    );
    for table in tables.fetch_all(&pool).await.unwrap() {
        let rows = format!(
            "SELECT count(*) FROM \"{table}\" t WHERE t::text ILIKE '%manchestercity%' OR t::text ILIKE '%james@%'"
        );
        let count = sqlx::query_scalar::<_, i64>(&rows);
        assert_eq!(count.fetch_one(&pool).await.unwrap(), 0, "{table}");
    }
    pool.close().await;
}

//! A portal of thousands, and in `make soak` of 200,000, answered by a server that makes up each
//! page as it is asked for.

use std::collections::HashMap;
use std::fs;
use std::thread::{self, JoinHandle};

use axum::extract::{Path, Query};
use axum::routing::get;
use axum::{Json, Router};
use sqlx::postgres::PgPoolOptions;
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::*;
use crate::support::environment;
use crate::support::luck::tell;

/// With so many people and more the test has the machine for itself, and says what it took.
const VAST: usize = 100_000;
/// People; each has an application and a registration, and is in the one team.
fn people() -> usize {
    1_000 * environment::rounds(2)
}

/// One in so many waits for an answer, and so does their request.
const WAITING: usize = 10;
/// Longest wait of a deed.
const WITHIN: Duration = Duration::from_secs(1);
/// Bytes that the process may hold, and that a sweep without changes may write.
const MEMORY: u64 = 200_000_000;
const WRITTEN: i64 = 1_000_000;

fn uuid(kind: usize, number: usize) -> Uuid {
    Uuid::from_u128(((kind as u128) << 64) | number as u128)
}

fn entry(list: &str, number: usize) -> Value {
    let status = match number % WAITING {
        0 => "pending",
        _ => "approved",
    };
    let at = "2026-01-01T00:00:00.123456789Z";
    match list {
        "developers" => json!({
            "id": uuid(1, number), "email": format!("somebody.{number}@secret.example"),
            "full_name": format!("Somebody {number}"), "status": status, "application_count": 1,
            "created_at": at, "updated_at": at,
        }),
        "applications" => json!({
            "id": uuid(2, number), "name": format!("Application {number}"), "description": "Of somebody",
            "owner": { "type": "developer", "id": uuid(1, number) }, "labels": { "tier": "gold" },
            "created_at": at, "updated_at": at,
        }),
        "application-registrations" => json!({
            "id": uuid(3, number), "status": status, "application": { "id": uuid(2, number), "name": "Application" },
            "api": { "id": uuid(4, 0), "name": "Fixtures", "version": "v1", "entity_type": "api" },
            "created_at": at, "updated_at": at,
        }),
        "teams" => json!({ "id": uuid(5, 0), "name": "Partners" }),
        // The members of the one team.
        _ => json!({ "id": uuid(1, number), "email": "x@secret.example" }),
    }
}

fn page(list: &str, query: &HashMap<String, String>) -> Json<Value> {
    let ask = |name: &str| query[name].parse::<usize>().unwrap();
    let (number, size) = (ask("page[number]"), ask("page[size]"));
    let total = if list == "teams" { 1 } else { people() };
    let first = (number - 1) * size;
    let data: Vec<Value> = (first..total.min(first + size))
        .map(|number| entry(list, number))
        .collect();
    Json(
        json!({ "data": data, "meta": { "page": { "number": number, "size": size, "total": total } } }),
    )
}

/// Starts the server; returns its URL.
async fn vast_portal() -> String {
    type Asked = Query<HashMap<String, String>>;
    let routes = Router::new()
        .route(
            "/v3/portals/{portal}",
            get(async |Path(id): Path<Uuid>| Json(json!({ "id": id, "name": "Vast" }))),
        )
        .route(
            "/v3/portals/{portal}/{list}",
            get(
                async |Path((_, list)): Path<(Uuid, String)>, Query(query): Asked| {
                    page(&list, &query)
                },
            ),
        )
        .route(
            "/v3/portals/{portal}/teams/{team}/developers",
            get(async |Query(query): Asked| page("members", &query)),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    TaskTracker::new().spawn(async { axum::serve(listener, routes).await });
    url
}

/// Most memory that this process held, without what is mapped from files.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let bytes = |name: &str| -> u64 {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    };
    bytes("VmHWM:") - bytes("RssFile:")
}

/// Does what deeds do to the directory until `over`, on a thread of its own, so that it waits for
/// the database and not for the sweep's computing. Returns the longest that one took.
fn deeds(pool: &PgPool, portal: PortalId, over: CancellationToken) -> JoinHandle<Duration> {
    let options = pool.connect_options();
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.unwrap();
    let play = async move {
        let pool = PgPoolOptions::new().max_connections(2);
        let pool = pool.connect_with((*options).clone()).await.unwrap();
        let clock = Clock::system();
        let directory = Directory::new(Journal::from_pool(pool), clock.clone(), Ids::new(clock));
        let mut longest = Duration::ZERO;
        for number in (0..people()).cycle() {
            let began = Instant::now();
            let look = directory.begin(portal).await.unwrap();
            let mut seen = Snapshot::empty(portal, Scope::Direct);
            let developer = serde_json::from_value(entry("developers", number));
            seen.developers.push(developer.unwrap());
            directory.store(look, &seen).await.unwrap();
            longest = longest.max(began.elapsed());
            let pause = over.cancelled();
            if timeout(Duration::from_millis(20), pause).await.is_ok() {
                break;
            }
        }
        longest
    };
    thread::spawn(move || runtime.block_on(play))
}

/// How many bytes the server has written to its log.
async fn written(pool: &PgPool) -> i64 {
    let written = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::int8";
    sqlx::query_scalar(written).fetch_one(pool).await.unwrap()
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn a_vast_portal_holds_up_no_deed_and_needs_little_of_memory_and_database(pool: PgPool) {
    let client = Client::builder(vast_portal().await.parse().unwrap())
        .token(SecretString::from("token"))
        .build()
        .unwrap();
    let portal = PortalId(uuid(0, 1));
    let journal = Journal::from_pool(pool.clone());
    let clock = Clock::system();
    let directory = Directory::new(journal.clone(), clock.clone(), Ids::new(clock));
    let observer = observer(&journal, &directory, &client, vec![portal]);
    let (over, began) = (CancellationToken::new(), Instant::now());
    let deeds = deeds(&pool, portal, over.clone());
    let stored = Box::pin(observer.sweep_once(portal, Scope::All)).await;
    let first = began.elapsed();
    over.cancel();
    let longest = deeds.join().unwrap();
    let (found, news) = (stored.unwrap().differences, 2 * people() / WAITING);
    assert!(
        found <= news && found > 0,
        "deeds found the others: {found}"
    );
    // What the server does in its own time, so that it does none of it meanwhile.
    sqlx::query("VACUUM").execute(&pool).await.unwrap();
    let (before, began) = (written(&pool).await, Instant::now());
    let again = Box::pin(observer.sweep_once(portal, Scope::All)).await;
    assert_eq!(again.unwrap().differences, 0);
    let (bytes, second) = (written(&pool).await - before, began.elapsed());
    let peak = peak_memory();
    tell(&format!(
        "{} people, applications, registrations and memberships in {first:?} and {second:?}: \
         a deed took {longest:?} at most, memory {peak} bytes, {bytes} bytes written the second time",
        people()
    ));
    if people() < VAST {
        return;
    }
    assert!(longest < WITHIN, "{longest:?}");
    assert!(peak < MEMORY, "{peak}");
    assert!(bytes < WRITTEN, "{bytes}");
}

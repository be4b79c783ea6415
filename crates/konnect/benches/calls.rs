//! What a call of the client costs beyond a bare reqwest call that sends the same request and
//! reads the same answer, over a connection that stays open.
//!
//! The answer is fixed, so that the server costs both the same. Both are called in turn, whichever
//! is measured: what `client` takes longer than `reqwest` is the client's own cost.
//! Must not use the emulator: its work would hide what is measured.

use std::future::Future;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use criterion::{Criterion, criterion_group, criterion_main};
use konnect::{Budget, Class, Client, Developer, DeveloperId, ListDevelopers, PortalId};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use url::Url;
use uuid::Uuid;

const PORTAL: PortalId = PortalId(Uuid::from_u128(0xa0));
const DEVELOPER: DeveloperId = DeveloperId(Uuid::from_u128(1));
const TOKEN: &str = "kpat_bench";
/// So many of a list fit one page.
const LISTED: u128 = 100;

#[derive(Deserialize)]
struct List {
    data: Vec<Developer>,
}

fn developer(number: u128) -> Value {
    json!({
        "id": DeveloperId(Uuid::from_u128(number)),
        "email": format!("developer-{number}@partner.example"),
        "full_name": "A Developer",
        "status": "approved",
        "created_at": "2026-06-23T14:28:47Z",
        "updated_at": "2026-06-23T14:28:47Z",
    })
}

/// Answers one developer and a list of them, from memory, on threads of its own.
fn serve() -> (Runtime, Url) {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let developers = format!("/v3/portals/{PORTAL}/developers");
    let list = json!({
        "data": (1..=LISTED).map(developer).collect::<Vec<_>>(),
        "meta": { "page": { "number": 1, "size": LISTED, "total": LISTED } },
    });
    let [one, list] = [developer(1), list].map(|body| {
        let body = body.to_string();
        get(async move || ([(CONTENT_TYPE, "application/json")], body.clone()))
    });
    let router = Router::new()
        .route(&format!("{developers}/{DEVELOPER}"), one)
        .route(&developers, list);
    let listener = runtime
        .block_on(TcpListener::bind("127.0.0.1:0"))
        .expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    runtime.spawn(async move { axum::serve(listener, router).await });
    (runtime, url.parse().expect("a URL"))
}

/// Calls both in turn so many times, and how long each took.
async fn in_turn<A, B>(
    times: u64,
    mut bare: impl FnMut() -> A,
    mut client: impl FnMut() -> B,
) -> [Duration; 2]
where
    A: Future<Output = usize>,
    B: Future<Output = usize>,
{
    let mut took = [Duration::ZERO; 2];
    for _ in 0..times {
        let begin = Instant::now();
        let found = bare().await;
        took[0] += begin.elapsed();
        let begin = Instant::now();
        assert_eq!(client().await, found);
        took[1] += begin.elapsed();
    }
    took
}

fn calls(criterion: &mut Criterion) {
    let (server, base) = serve();
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let http = reqwest::Client::builder().build().expect("a client");
    let client = Client::builder(base.clone())
        .token(TOKEN.into())
        .rate_limit(Budget::new(NonZeroU32::MAX).class(Class::Deed))
        .build()
        .expect("a client");
    let portal = client.portal(PORTAL);
    let all = ListDevelopers::default();
    let url = base
        .join(&format!("/v3/portals/{PORTAL}/developers"))
        .expect("a URL");
    let send = async |url: String| {
        let answer = http
            .get(url)
            .bearer_auth(TOKEN)
            .send()
            .await
            .expect("an answer");
        answer.error_for_status().expect("an answer")
    };
    let one_bare = async || {
        let answer = send(format!("{url}/{DEVELOPER}")).await;
        answer
            .json::<Developer>()
            .await
            .expect("an answer")
            .email
            .len()
    };
    let one = async || {
        portal
            .developers()
            .get(DEVELOPER)
            .await
            .expect("an answer")
            .email
            .len()
    };
    let list_bare = async || {
        let answer = send(format!("{url}?page%5Bnumber%5D=1&page%5Bsize%5D={LISTED}")).await;
        answer.json::<List>().await.expect("an answer").data.len()
    };
    let list = async || {
        portal
            .developers()
            .list(&all)
            .await
            .expect("an answer")
            .len()
    };
    for (index, name) in ["reqwest", "client"].into_iter().enumerate() {
        criterion.bench_function(&format!("get a developer/{name}"), |bencher| {
            bencher.iter_custom(|times| runtime.block_on(in_turn(times, one_bare, one))[index]);
        });
    }
    for (index, name) in ["reqwest", "client"].into_iter().enumerate() {
        criterion.bench_function(&format!("list {LISTED} developers/{name}"), |bencher| {
            bencher.iter_custom(|times| runtime.block_on(in_turn(times, list_bare, list))[index]);
        });
    }
    server.shutdown_background();
}

criterion_group!(benches, calls);
criterion_main!(benches);

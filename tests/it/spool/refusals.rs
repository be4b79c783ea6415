//! What does not get into the spool: a full one, a disk that refuses, strangers, a second process.

use std::fs;
use std::path::Path;

use reqwest::StatusCode;
use usher::app::{App, Surroundings};
use usher::clock::Clock;
use usher::http::health::Health;
use usher::ingest::Spool;
use usher::lifecycle::Lifecycle;

use crate::spool::{Scene, files};

#[tokio::test]
async fn asks_the_sender_to_wait_when_it_is_full() {
    let scene = Scene::start_with(|config| config.spool.max_bytes = 3 * 4096).await;
    scene.take_the_database_away().await;
    for number in 0..3 {
        scene.spool(number).await;
    }
    let response = scene.app.delivery(scene.entry(3)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "30");
    assert_eq!(files(&scene.dir(), "request").len(), 3);
    scene.spool_is("down", "full, 3 requests").await;
    let (status, readiness) = scene.readiness().await;
    assert_eq!(
        (status, &readiness["status"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"down".into())
    );

    // What is there counts for the next run too.
    let scene = scene.restart_without_database().await;
    let response = scene.app.delivery(scene.entry(3)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);

    scene.app.database.allow().await;
    scene.spool_is("ok", "").await;
    assert_eq!(scene.app.rows("/api/v1/events").await.len(), 3);
    let (status, _) = scene.app.deliver(&[scene.entry(3)]).await;
    assert_eq!(status, StatusCode::OK);
    scene.app.finish().await;
}

#[tokio::test]
async fn asks_the_sender_to_wait_when_the_disk_refuses_and_mends_by_itself() {
    let scene = Scene::start().await;
    scene.take_the_database_away().await;
    scene.spool(1).await;
    let (dir, away) = (scene.dir(), scene.home.path().join("unmounted"));
    fs::rename(&dir, &away).unwrap();
    fs::write(&dir, "not a folder").unwrap();
    let response = scene.app.delivery(scene.entry(2)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    scene.spool_is("down", "cannot be written").await;
    assert_eq!(
        scene.readiness().await.0,
        StatusCode::SERVICE_UNAVAILABLE,
        "neither database nor spool"
    );

    fs::remove_file(&dir).unwrap();
    fs::rename(&away, &dir).unwrap();
    scene.spool_is("degraded", "1 requests").await;
    scene.spool(2).await;
    scene.app.database.allow().await;
    scene.spool_is("ok", "").await;
    assert_eq!(scene.app.rows("/api/v1/events").await.len(), 2);
    scene.app.finish().await;
}

#[tokio::test]
async fn strangers_and_broken_bounds_never_reach_it() {
    let scene = Scene::start_with(|config| config.ingest.max_body_bytes = 2_000).await;
    scene.take_the_database_away().await;
    let stranger = scene.app.http.post(format!("{}/audit-logs", scene.app.url));
    let response = stranger.body(scene.entry(1)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let response = scene.app.delivery("x".repeat(2_001)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(
        files(&scene.dir(), "").len(),
        1,
        "the lock and nothing else"
    );
    scene.app.database.allow().await;
    scene.app.finish().await;
}

#[tokio::test]
async fn a_folder_belongs_to_one_process() {
    let scene = Scene::start().await;
    let open = |dir: &Path| Spool::open(dir, 1 << 20, Health::default());
    let error = open(&scene.dir()).unwrap_err().to_string();
    assert!(error.starts_with("spool.dir: "), "{error}");
    assert!(error.ends_with(" is in use by another process"), "{error}");

    let mut config = scene.config.clone();
    config.spool.dir = Some(scene.home.path().join("file"));
    fs::write(scene.home.path().join("file"), "").unwrap();
    let surroundings = Surroundings {
        clock: Clock::system(),
        lifecycle: Lifecycle::new(),
        search_path: String::new().into(),
        metrics: None,
    };
    let error = App::build(config, surroundings).await.err().unwrap();
    assert!(error.is_configuration());
    assert!(
        error.to_string().starts_with("spool.dir: could not use "),
        "{error}"
    );
    scene.app.finish().await;
}

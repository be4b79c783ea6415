//! What a former run left in the folder: files that are stored, damaged, or cannot be read for now.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::StatusCode;

use crate::spool::{PATIENCE, Scene, files};
use crate::support::eventually;
use crate::support::signer::Entry;

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_file_that_outlived_its_commit_is_not_stored_again() {
    let scene = Scene::start().await;
    scene.take_the_database_away().await;
    let name = format!("{}.request", scene.spool(1).await);
    let file = fs::read(scene.dir().join(&name)).unwrap();
    scene.app.database.allow().await;
    scene.spool_is("ok", "").await;
    let before = scene.app.rows("/api/v1/deliveries").await;

    let scene = scene
        .restart(async |dir, _| fs::write(dir.join(&name), file).unwrap())
        .await;
    eventually("the file goes", PATIENCE, async || {
        files(&scene.dir(), "request").is_empty()
    })
    .await;
    assert_eq!(scene.app.rows("/api/v1/deliveries").await, before);
    let events = scene.app.rows("/api/v1/events").await;
    assert_eq!((events.len(), &events[0]["copies"]), (1, &1.into()));
    scene.app.finish().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_read_for_now_is_tried_again() {
    let scene = Scene::start().await;
    scene.take_the_database_away().await;
    let delivery = scene.spool(1).await;
    scene.spool(2).await;
    let (file, elsewhere) = (format!("{delivery}.request"), format!("{delivery}.whole"));
    let scene = scene
        .restart(async |dir, database| {
            // ELOOP, which no privilege gets around.
            fs::rename(dir.join(&file), dir.join(&elsewhere)).unwrap();
            std::os::unix::fs::symlink(&file, dir.join(&file)).unwrap();
            database.allow().await;
        })
        .await;
    // The oldest is looked at first.
    let stored = async || scene.app.rows("/api/v1/events").await.len();
    eventually("the younger one is stored", PATIENCE, async || {
        stored().await == 1
    })
    .await;
    let dir = scene.dir();
    assert_eq!(files(&dir, ".bad"), Vec::<String>::new());
    scene.spool_is("degraded", "1 requests").await;
    fs::rename(dir.join(&elsewhere), dir.join(&file)).unwrap();
    scene.spool_is("ok", "").await;
    assert_eq!(stored().await, 2);
    scene.app.finish().await;
}

#[tokio::test]
async fn takes_up_what_a_former_run_left_and_lets_nothing_damaged_block_it() {
    let scene = Scene::start().await;
    scene.take_the_database_away().await;
    let damaged = scene.spool(1).await;
    let encoded = gzip([scene.entry(2), scene.entry(3)].join("\n").as_bytes());
    for body in [
        encoded.clone(),
        encoded[..encoded.len() / 2].to_vec(),
        b"hello".to_vec(),
    ] {
        let request = scene
            .app
            .delivery(body)
            .header("Content-Encoding", "application/gzip");
        assert_eq!(request.send().await.unwrap().status(), StatusCode::ACCEPTED);
    }
    let kept = scene.spool(4).await;
    let scene = scene
        .restart(async |dir, database| {
            assert_eq!(files(dir, "request").len(), 5);
            // What a crash leaves half-way, and what a broken disk does.
            fs::write(dir.join(format!("{kept}.tmp")), "{\"id\":").unwrap();
            let file = dir.join(format!("{damaged}.request"));
            fs::write(&file, &fs::read(&file).unwrap()[..40]).unwrap();
            fs::write(dir.join("notes.txt"), "somebody's own").unwrap();
            database.allow().await;
        })
        .await;
    scene
        .spool_is("degraded", "0 requests, 4096 bytes, 1 damaged files")
        .await;
    let dir = scene.dir();
    assert_eq!(files(&dir, ".bad"), [format!("{damaged}.bad")]);
    assert_eq!(files(&dir, ".tmp").len() + files(&dir, ".request").len(), 0);
    assert_eq!(files(&dir, ".txt").len(), 1);
    let events = scene.app.rows("/api/v1/events").await;
    let principals: BTreeSet<&str> = events
        .iter()
        .map(|event| event["principal_id"].as_str().unwrap())
        .collect();
    let expected = [2, 3, 4].map(|number| Entry::numbered(number).principal_id);
    assert_eq!(principals, expected.iter().map(String::as_str).collect());
    let aside = scene.app.rows("/api/v1/quarantine").await;
    let reasons: BTreeSet<&str> = aside
        .iter()
        .map(|row| row["reason"].as_str().unwrap())
        .collect();
    assert_eq!(reasons, ["body_incomplete", "not_an_entry"].into());
    scene.app.finish().await;
}

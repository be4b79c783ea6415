//! What cannot be imported: said before anything is stored, or once what came before is.

use serde_json::json;

use crate::import::{Scene, counts, gzip, joined, unsigned};
use crate::support::database::TestDatabase;
use crate::support::process::{Installation, settings};

#[tokio::test]
async fn a_file_without_entries_stops_all_before_anything_is_stored() {
    let scene = Scene::create(&json!({ "ingest": { "verify": "off" } })).await;
    let good = scene.file("good.jsonl", &joined(&unsigned(0..3), "\n"));
    let folder = scene.folder.path().to_str().unwrap();
    let table = [
        (
            scene.file("a.csv", b"time,name\n1,2\n"),
            "begins with \"time,name\"; these are CEF, JSON and CPS",
        ),
        (
            scene.file("a.jsonl.zst", b"\x28\xb5\x2f\xfd\0\x1b[31m"),
            "zstd -dc",
        ),
        (
            scene.file("pretty.json", b"{\n  \"name\": \"n\"\n}\n"),
            "must stand in one",
        ),
        (
            scene.file("list.json", &gzip(b"[{\"name\":\"n\"}]")),
            "begins with \"[{",
        ),
        (
            scene.file("long.log", "x".repeat(3_000_000).as_bytes()),
            "xxxx…\"",
        ),
        (format!("{folder}/missing"), "cannot be read: No such file"),
        (folder.to_owned(), "is a folder: name the files in it"),
    ];
    for (file, expected) in &table {
        let ran = scene.import(&[&good, file]).await;
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains(file.as_str()), "{ran:?}");
        assert!(ran.err.contains(expected), "{ran:?}");
        assert!(
            !ran.err.contains('\u{1b}') && ran.err.len() < 500,
            "{ran:?}"
        );
        assert_eq!(ran.out, "");
    }
    let twice = scene.import(&["-", "-"]).await;
    assert_eq!(twice.code, Some(2), "{twice:?}");
    assert!(twice.err.contains("- is named twice"), "{twice:?}");
    let piped = scene.import_piped(b"what is this").await;
    assert_eq!(piped.code, Some(2), "{piped:?}");
    assert!(piped.err.contains("- is none of the formats"), "{piped:?}");
    assert_eq!(scene.import(&[]).await.code, Some(2));
    let mut record = scene.record().await;
    assert_eq!(record.rows_of("batches").await, 0);

    let empty = TestDatabase::create_empty().await;
    let unmigrated = Installation::new(&settings(&empty, "http://127.0.0.1:9"));
    let ran = unmigrated.run(&["import", &good]).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("usher migrate"), "{ran:?}");
    empty.drop().await;
    scene.end().await;
}

#[tokio::test]
async fn what_came_before_gzip_breaks_off_is_stored_and_the_other_files_too() {
    let scene = Scene::create(&json!({ "ingest": { "verify": "off" } })).await;
    let lines = unsigned(0..6_000);
    let whole = gzip(&joined(&lines, "\n"));
    let half = scene.file("half.gz", &whole[..whole.len() / 2]);
    let other = scene.file("other.jsonl", &joined(&unsigned(10_000..10_002), "\n"));
    let trailed = [
        gzip(&joined(&unsigned(20_000..20_001), "\n")),
        b"tail".to_vec(),
    ]
    .concat();
    let end = trailed.len() - 4;
    let trailed = scene.file("trailed.gz", &trailed);
    let ran = scene.import(&[&half, &other, &trailed]).await;
    let rows = ran.lines(1);
    let [read, stored, ..] = counts(&rows[0]);
    assert!(0 < read && read < 6_000 && stored == read, "{rows:?}");
    assert_eq!(counts(&rows[1]), [2, 2, 0, 0, 0]);
    assert_eq!(counts(&rows[2]), [1, 1, 0, 0, 0]);
    let breaks_off = format!(
        "gzip breaks off at byte {} of {}",
        whole.len() / 2,
        whole.len() / 2
    );
    assert!(ran.err.contains(&breaks_off), "{}", ran.err);
    assert!(rows[0]["error"].as_str().unwrap().contains(&breaks_off));
    assert!(
        ran.err
            .contains(&format!("trailed.gz: gzip breaks off at byte {end}")),
        "{}",
        ran.err
    );
    assert!(rows[1].get("error").is_none());

    // What was cut comes whole.
    let whole = scene.file("half.gz", &whole);
    let rows = scene.import(&[&whole]).await.lines(0);
    assert_eq!(counts(&rows[0]), [6_000, 6_000 - read, read, 0, 0]);
    let mut record = scene.record().await;
    assert_eq!(record.event_ids().await.len(), 6_003);
    scene.end().await;
}

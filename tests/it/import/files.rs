//! What is stored of files: every format, plain or gzip, whatever their names are.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde_json::{Value, json};
use usher::clock::Clock;

use crate::import::{Scene, counts, gzip, joined, unsigned};
use crate::support::signer::Entry;

#[tokio::test]
async fn every_format_is_stored_once_whatever_the_files_are_called() {
    let scene = Scene::create(&json!({ "ingest": { "verify": "require" } })).await;
    let (signer, stranger) = (&scene.signer, scene.signer.stranger(9));
    let of = |number: u64| Entry::numbered(number);
    let cef: Vec<String> = (0..3).map(|n| signer.cef(&of(n))).collect();
    let json: Vec<String> = (3..6).map(|n| signer.json(&of(n))).collect();
    let cps: Vec<String> = (6..9).map(|n| signer.cps(&of(n))).collect();
    // kongctl's `events.jsonl` has each entry as Konnect sent it, in whichever format that was.
    let kongctl = [
        signer.cef(&of(9)),
        signer.json(&of(10)),
        signer.cps(&of(11)),
    ];
    let own = of(12).json().replace("Dev-Portal", "usher");
    let odd = [
        own,
        stranger.json(&of(13)),
        of(14).json(),
        "no entry".to_owned(),
        of(14).cef(),
    ];
    let members = [
        gzip(&joined(&cps[..1], "\n")),
        gzip(&joined(&cps[1..], "\n")),
        vec![0; 300],
    ];
    let bom = [b"\xef\xbb\xbf", &joined(&json, "\r\n\r\n")[..]].concat();
    let files = [
        scene.file("a.json.gz", &joined(&cef, "\n")),
        scene.file("b.cef", &bom),
        scene.file("c.txt", &members.concat()),
        scene.file("events.jsonl", joined(&kongctl, "\n").trim_ascii_end()),
        scene.file("odd.log", &gzip(&joined(&odd, "\n"))),
        scene.file("nothing.log", b""),
        scene.file("blank.log", &gzip(b"\n \r\n\n")),
    ];
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let ran = scene.import(&files).await;
    let rows = ran.lines(0);
    let expected = [
        [3, 3, 0, 0, 0],
        [3, 3, 0, 0, 0],
        [3, 3, 0, 0, 0],
        [3, 3, 0, 0, 0],
        [5, 2, 1, 2, 0],
        [0; 5],
        [0; 5],
    ];
    for ((row, file), expected) in rows.iter().zip(&files).zip(expected) {
        assert_eq!((row["file"].as_str(), counts(row)), (Some(*file), expected));
    }
    let total = &rows[7];
    assert_eq!(
        (total["files"].as_u64(), counts(total)),
        (Some(7), [17, 14, 1, 2, 0])
    );
    assert!(
        ran.err.contains("`usher quarantine` shows why"),
        "{}",
        ran.err
    );
    is_on_record(&scene).await;
    again_under_other_names(scene, &joined(&json, "\n"), &members.concat(), &files).await;
}

/// What is stored, quarantined and noted of the files.
async fn is_on_record(scene: &Scene) {
    let mut record = scene.record().await;
    let verdicts = [("verified", 12), ("key_unknown", 1), ("unsigned", 1)];
    let verdicts = BTreeMap::from(verdicts.map(|(verdict, count)| (verdict.to_owned(), count)));
    assert_eq!(record.verdicts().await, verdicts);
    let reasons =
        "SELECT count(*) FROM quarantine WHERE reason IN ('claims_own_product', 'not_an_entry')";
    assert_eq!(record.number(reasons).await, 2);
    let wholes =
        "SELECT count(DISTINCT part_of) FROM batches WHERE source = 'import' AND lane = 'bulk'";
    assert_eq!(record.number(wholes).await, 5);
    assert_eq!(record.rows_of("imports").await, 0, "no import is open");
    let of_kongctl = "SELECT count(*) FROM batches WHERE requests #>> '{0,peer}' = 'events.jsonl'";
    assert_eq!(record.number(of_kongctl).await, 1);
}

/// The same again, under other names and by a pipe, while usher serves.
async fn again_under_other_names(mut scene: Scene, json: &[u8], members: &[u8], files: &[&str]) {
    let mut record = scene.record().await;
    let serving = scene.usher.start().await;
    let again = scene.file("other", &gzip(json));
    let rows = scene.import(&[&again, files[4]]).await.lines(0);
    assert_eq!(counts(&rows[0]), [3, 0, 3, 0, 0]);
    assert_eq!(counts(&rows[1]), [5, 0, 3, 2, 0]);
    let rows = scene.import_piped(members).await.lines(0);
    assert_eq!(
        (rows[0]["file"].as_str(), counts(&rows[0])),
        (Some("-"), [3, 0, 3, 0, 0])
    );
    assert_eq!(record.event_ids().await.len(), 14);
    assert_eq!(record.rows_of("quarantine").await, 2, "none twice");
    let text = scene.usher.run(&["import", files[0]]).await;
    assert!(
        text.out.contains(": 3 lines, 0 stored, 3 stored before; "),
        "{text:?}"
    );
    assert_eq!(text.out.lines().count(), 1);
    serving.kill().await;
    scene.end().await;
}

/// An entry with a number, of so many days ago.
fn aged(number: u64, days: i64) -> String {
    let at = Clock::system().now() - TimeDelta::days(days);
    let mut entry: Value = serde_json::from_str(&Entry::numbered(number).json()).unwrap();
    entry["event_ts"] = json!(at.format("%Y-%m-%dT%H:%M:%SZ").to_string());
    entry["rt"] = json!(at.timestamp_millis().to_string());
    entry.to_string()
}

#[tokio::test]
async fn what_is_older_than_retention_is_refused_with_a_count() {
    let scene = Scene::create(&json!({
        "retention": { "events": "400d" },
        "ingest": { "verify": "off" },
    }))
    .await;
    let untimed = unsigned(5..6)[0]
        .replace("2026-06-23T14:28:47Z", "some day")
        .replace("1782224927556", "later");
    let lines = [
        aged(1, 1),
        aged(2, 399),
        aged(3, 401),
        aged(4, 3_650),
        untimed,
    ];
    let file = scene.file("old.jsonl", &joined(&lines, "\n"));
    let rows = scene.import(&[&file]).await.lines(0);
    assert_eq!(counts(&rows[0]), [5, 3, 0, 0, 2]);
    let mut record = scene.record().await;
    assert_eq!(record.event_ids().await.len(), 3);
    // All of them too old: nothing is stored, no batch either.
    let file = scene.file("older.jsonl", &joined(&lines[2..4], "\n"));
    let text = scene.usher.run(&["import", &file]).await;
    assert_eq!(text.code, Some(0));
    let refused = "2 lines, 0 stored, 2 older than retention.events and refused";
    assert!(text.out.contains(refused), "{text:?}");
    assert_eq!(record.rows_of("batches").await, 1);
    scene.end().await;
}

//! Files of many slices: a kill in the middle, and memory.

use std::process::Stdio;

use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::import::{PATIENCE, Scene, counts, gzip, joined, unsigned};
use crate::support::eventually;
use crate::support::luck::tell;
use crate::support::process::peak_memory_of;

/// Enough for six slices.
const LINES: u64 = 28_000;
/// The bound that is promised.
const MEMORY_BYTES: usize = 200 * 1000 * 1000;
const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn a_kill_in_the_middle_repeats_and_loses_nothing() {
    let scene = Scene::create(&json!({ "ingest": { "verify": "off" } })).await;
    let mut lines = unsigned(0..LINES);
    lines.insert(20_000, "no entry".to_owned());
    let file = scene.file("many.gz", &gzip(&joined(&lines, "\n")));
    let mut record = scene.record().await;
    // Notes after the first wait: a slice is stored, and not noted, when the process dies.
    record
        .run(
            "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_advisory_xact_lock_shared(28000); RETURN NEW; END $$;
             CREATE TRIGGER hold BEFORE UPDATE ON imports
             FOR EACH ROW WHEN (OLD.bytes_done > 0) EXECUTE FUNCTION hold();
             SELECT pg_advisory_lock(28000)",
        )
        .await;
    let mut command = scene.usher.command(&["import", &file]);
    let mut child = command.spawn().unwrap();
    eventually("it cannot note how far it is", PATIENCE, async || {
        record
            .number(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory' AND objid = 28000
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            )
            .await
            > 0
    })
    .await;
    child.start_kill().unwrap();
    assert!(!child.wait().await.unwrap().success());
    let noted = record.number("SELECT lines FROM imports").await;
    let stored = record.number("SELECT count(*) FROM events").await;
    assert!(
        0 < noted && noted < stored && stored < 28_000,
        "{noted} {stored}"
    );
    record.run("SELECT pg_advisory_unlock(28000)").await;

    // Under another name: the content counts.
    let moved = format!("{file}.moved");
    std::fs::rename(&file, &moved).unwrap();
    let ran = scene.import(&[&moved]).await;
    let rows = ran.lines(0);
    assert_eq!(counts(&rows[0]), [LINES + 1, LINES, 0, 1, 0], "{}", ran.err);
    assert!(ran.err.contains("goes on after"), "{}", ran.err);
    assert_eq!(record.event_ids().await.len() as u64, LINES);
    assert_eq!(record.rows_of("imports").await, 0);
    assert_eq!(record.rows_of("quarantine").await, 1);
    let batches = "SELECT count(*) FROM batches WHERE part_of IS NOT NULL";
    assert_eq!(record.number(batches).await, 6);
    scene.end().await;
}

#[tokio::test]
async fn memory_is_bounded_whatever_the_lines_are() {
    let scene = Scene::create(&json!({ "ingest": { "verify": "off" } })).await;
    let lines = unsigned(0..20_000);
    let (first, rest) = lines.split_at(7_000);
    let long = vec![b'x'; 60 * MIB];
    let members = [
        gzip(&joined(first, "\n")),
        gzip(&long),
        gzip(&[&long[..], b"\n"].concat()),
        gzip(&joined(rest, "\n")),
    ];
    let mut command = scene.usher.command(&["import", "--json", "-"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&members.concat()).await.unwrap();
    let mut record = scene.record().await;
    // The last slice waits for more lines, or the end of the pipe.
    eventually("all slices but the last are stored", PATIENCE, async || {
        record.number("SELECT count(*) FROM events").await == 17_000
    })
    .await;
    let peak = peak_memory_of(child.id().unwrap());
    tell(&format!(
        "an import with a line of 120 MiB: at most {} MB",
        peak / 1_000_000
    ));
    assert!(peak < MEMORY_BYTES, "{peak} bytes");
    drop(stdin);
    let ended = child.wait_with_output().await.unwrap();
    let out = String::from_utf8(ended.stdout).unwrap();
    let row = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    assert_eq!(counts(&row), [20_001, 20_000, 0, 1, 0]);
    let long = "SELECT count(*) FROM quarantine WHERE reason = 'line_too_long' AND raw_bytes = 120 * 1024 * 1024";
    assert_eq!(record.number(long).await, 1);
    let kept = "SELECT octet_length(raw)::bigint FROM quarantine";
    assert_eq!(record.number(kept).await, 1024 * 1024);
    scene.end().await;
}

//! `usher import`: what is stored of files and pipes, what is refused, and how it goes on after a
//! kill. On real Postgres, by the real binary.

mod files;
mod large;
mod refused;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use usher::lifecycle::Lifecycle;

use crate::support::database::TestDatabase;
use crate::support::process::{Installation, Ran, settings};
use crate::support::record::Record;
use crate::support::signer::{Entry, Signer};

const PATIENCE: Duration = Duration::from_mins(1);

/// A migrated database, a Konnect that serves keys, and a folder for files.
struct Scene {
    database: TestDatabase,
    signer: Signer,
    usher: Installation,
    folder: TempDir,
    lifecycle: Lifecycle,
}

impl Scene {
    /// With these settings over those of every test. Entries of tests stay young for 50 years.
    async fn create(more: &Value) -> Self {
        let (database, signer) = (TestDatabase::create().await, Signer::new(3));
        let lifecycle = Lifecycle::new();
        let konnect = signer.serve(&lifecycle).await;
        let mut all = settings(&database, &konnect);
        all["retention"] = json!({ "events": "20000d" });
        for (section, keys) in more.as_object().unwrap() {
            for (key, value) in keys.as_object().unwrap() {
                all[section][key] = value.clone();
            }
        }
        let usher = Installation::new(&all);
        assert_eq!(usher.run(&["migrate"]).await.code, Some(0));
        Self {
            database,
            signer,
            usher,
            folder: TempDir::new().unwrap(),
            lifecycle,
        }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path: PathBuf = self.folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    async fn import(&self, files: &[&str]) -> Ran {
        self.usher
            .run(&[&["import", "--json"], files].concat())
            .await
    }

    /// Imports what comes by a pipe.
    async fn import_piped(&self, bytes: &[u8]) -> Ran {
        let mut command = self.usher.command(&["import", "--json", "-"]);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(bytes).await.unwrap();
        drop(stdin);
        let ended = child.wait_with_output().await.unwrap();
        Ran {
            code: ended.status.code(),
            out: String::from_utf8(ended.stdout).unwrap(),
            err: String::from_utf8(ended.stderr).unwrap(),
        }
    }

    async fn record(&self) -> Record {
        Record::of(&self.database).await
    }

    async fn end(self) {
        self.lifecycle.shut_down().await;
        self.database.drop().await;
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn joined(lines: &[String], end: &str) -> Vec<u8> {
    lines
        .iter()
        .flat_map(|line| [line, end].concat().into_bytes())
        .collect()
}

/// Unsigned entries with these numbers.
fn unsigned(numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers
        .map(|number| Entry::numbered(number).json())
        .collect()
}

/// Lines, stored, duplicates, quarantined and too old of what was printed last.
fn counts(row: &Value) -> [u64; 5] {
    ["lines", "stored", "duplicates", "quarantined", "too_old"]
        .map(|member| row[member].as_u64().unwrap_or_else(|| panic!("{row}")))
}

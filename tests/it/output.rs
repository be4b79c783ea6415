//! Standard output that takes nothing, as on a full disk, fails a command and is named; a reader
//! that goes away ends it quietly.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs::File;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use konnect_emulator::Emulator;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use usher::lifecycle::Lifecycle;
use uuid::Uuid;

use crate::support::database::TestDatabase;
use crate::support::process::{Installation, settings};
use crate::support::signer::{Entry, Signer};

const DEADLINE: Duration = Duration::from_mins(2);
/// The only line that is said.
const FULL: &str =
    "usher: could not write to standard output: No space left on device (os error 28)\n";
const RULES: &str = "version: 1\nrules:\n  - name: let-in\n    on: developer.signed_up\n    \
                     then: [approve_developer]\n";

fn full() -> Stdio {
    let disk = File::options().write(true).open("/dev/full");
    disk.unwrap().into()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs usher in a folder, with these variables and a full disk for its output.
async fn usher(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let child = Command::new(env!("CARGO_BIN_EXE_usher"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .env("TMPDIR", folder)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(full())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let ended = timeout(DEADLINE, child.wait_with_output()).await;
    ended.unwrap().unwrap()
}

#[tokio::test]
async fn a_full_disk_fails_commands_that_need_no_database() {
    let konnect = Emulator::start().await.unwrap();
    let seed = json!({ "portals": [{ "id": Uuid::from_u128(1), "name": "Main" }] });
    konnect.seed(&seed).unwrap();
    let url = konnect.url();
    let variables = [
        ("USHER_KONNECT__BASE_URL", url.as_str()),
        ("USHER_KONNECT__TOKEN", konnect.token()),
    ];
    let home = TempDir::new().unwrap();
    std::fs::write(home.path().join("good.yaml"), RULES).unwrap();
    std::fs::write(home.path().join("bad.yaml"), "version: 2\n").unwrap();
    for arguments in [
        &["rules", "check", "good.yaml"][..],
        &["rules", "check", "good.yaml", "--json"],
        &["rules", "check", "bad.yaml"],
        &["reconcile", "--dry-run", "--rules", "good.yaml"],
        &["reconcile", "--dry-run", "--rules", "good.yaml", "--json"],
        &["emulate", "--listen", "127.0.0.1:0"],
        &["init", "--dir", "new"],
        &["completions", "bash"],
        &["man"],
    ] {
        let ended = usher(home.path(), &variables, arguments).await;
        let said = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.ends_with(FULL), "{arguments:?}: {said}");
        assert_eq!(said.matches("usher: ").count(), 1, "{arguments:?}: {said}");
    }
    let written = home.path().join("new/usher.toml");
    assert!(written.exists(), "what was asked for is done all the same");
}

#[tokio::test]
async fn a_full_disk_fails_commands_on_the_record_after_their_work() {
    let database = TestDatabase::create().await;
    let usher = Installation::new(&settings(&database, "http://127.0.0.1:9"));
    usher.write("rules.yaml", RULES);
    let on_full_disk = async |arguments: &[&str]| -> (Option<i32>, String) {
        let child = usher.command(arguments).stdout(full()).spawn().unwrap();
        let ended = timeout(DEADLINE, child.wait_with_output()).await;
        let ended = ended.unwrap().unwrap();
        (ended.status.code(), text(&ended.stderr))
    };
    let rules = ["--rules", "rules.yaml", "--from", "2h", "--to", "0s"];
    let test = [&["rules", "test"][..], &rules].concat();
    for arguments in [
        // It leaves the schema up to date, which those that follow need.
        &["migrate"][..],
        &["events"],
        &["events", "--follow"],
        &["events", "reverify"],
        &["deliveries"],
        &["quarantine"],
        &["actions"],
        &test,
        &["actions", "pause", "--by", "ada"],
    ] {
        let (code, said) = on_full_disk(arguments).await;
        assert_eq!(code, Some(1), "{arguments:?}: {said}");
        assert!(said.ends_with(FULL), "{arguments:?}: {said}");
        assert_eq!(said.matches("usher: ").count(), 1, "{arguments:?}: {said}");
    }
    let listed = usher.run(&["actions"]).await;
    assert!(
        listed.err.contains("all actions are paused by ada"),
        "it was done all the same: {listed:?}"
    );
    database.drop().await;
}

#[tokio::test]
async fn a_full_disk_fails_a_demo_at_its_end() {
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    let home = tempfile::Builder::new().permissions(permissions).tempdir();
    let home = home.unwrap();
    let ended = usher(home.path(), &[], &["demo", "--for", "1s"]).await;
    let said = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.ends_with(FULL), "{said}");
    let left = std::fs::read_dir(home.path()).unwrap().count();
    assert_eq!(left, 0, "{said}");
}

/// Reads a line of a command's output, and goes away.
async fn read_one(child: &mut Child) -> Value {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = timeout(DEADLINE, lines.next_line()).await.unwrap();
    serde_json::from_str(&line.unwrap().unwrap()).unwrap()
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_a_command_quietly() {
    let signer = Signer::new(7);
    let lifecycle = Lifecycle::new();
    let database = TestDatabase::create().await;
    let mut usher = Installation::new(&settings(&database, &signer.serve(&lifecycle).await));
    let process = usher.start().await;
    // More than a pipe holds.
    let lines: Vec<String> = (0..1_000)
        .map(|number| signer.json(&Entry::numbered(number)))
        .collect();
    assert_eq!(process.deliver(&lines).await.unwrap(), 200);
    for arguments in [
        &["events", "--limit", "1000", "--json"][..],
        &["events", "--follow", "--limit", "1", "--json"],
    ] {
        let mut child = usher.command(arguments).spawn().unwrap();
        assert!(read_one(&mut child).await["id"].is_string());
        if arguments.contains(&"--follow") {
            let line = signer.json(&Entry::numbered(5_000));
            assert_eq!(process.deliver(&[line]).await.unwrap(), 200);
        }
        let ended = timeout(DEADLINE, child.wait_with_output()).await;
        let ended = ended.unwrap().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{arguments:?}");
        assert_eq!(text(&ended.stderr), "", "{arguments:?}");
    }
    process.kill().await;
    database.drop().await;
}

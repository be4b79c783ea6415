//! `usher emulate` as a program: it says when it is ready, over TLS if asked to, and ends at a
//! signal.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_mins(1);
const DEMO: &str = "v3/portals/de300001-0000-4000-8000-000000000001";

fn emulate(folder: &Path, arguments: &[&str]) -> Child {
    let listen = ["emulate", "--listen", "127.0.0.1:0", "--json"];
    Command::new(env!("CARGO_BIN_EXE_usher"))
        .args(listen)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn answers_over_tls_those_who_trust_the_certificate_it_wrote_and_ends_at_a_signal() {
    let folder = TempDir::new().unwrap();
    let arguments = [
        "--tls",
        "--tls-ca",
        "ca.pem",
        "--tls-name",
        "konnect",
        "--seed",
        "demo",
    ];
    let mut child = emulate(folder.path(), &arguments);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = timeout(DEADLINE, lines.next_line()).await.unwrap();
    let ready: Value = serde_json::from_str(&line.unwrap().unwrap()).unwrap();
    let url = ready["url"].as_str().unwrap();
    assert!(url.starts_with("https://127.0.0.1:"), "{ready}");
    assert_eq!(ready["controls"], format!("{url}/emulator"));
    assert_eq!(ready["tls_ca"], "ca.pem");

    let pem = std::fs::read(folder.path().join("ca.pem")).unwrap();
    let certificate = reqwest::Certificate::from_pem(&pem).unwrap();
    let client = reqwest::Client::builder()
        .timeout(DEADLINE)
        .tls_certs_only([certificate])
        .build()
        .unwrap();
    let answer = client
        .get(format!("{url}/{DEMO}/developers?page%5Bsize%5D=1"))
        .bearer_auth("kpat_emulator")
        .send()
        .await
        .unwrap();
    let listed: Value = answer.json().await.unwrap();
    assert_eq!(listed["meta"]["page"]["total"], 12);

    let pid = i32::try_from(child.id().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
    let ended = timeout(DEADLINE, child.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0));
}

#[tokio::test]
async fn takes_a_file_as_seed_and_says_what_is_wrong_with_one() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("text.json", "not JSON");
    write("wrong.json", r#"{"portals": [{"title": "x"}]}"#);
    for (seed, words) in [
        ("none", "none of demo, large"),
        ("text.json", "holds no JSON"),
        ("wrong.json", "portals[0]"),
    ] {
        let child = emulate(folder.path(), &["--seed", seed]);
        let ended = timeout(DEADLINE, child.wait_with_output()).await;
        let ended = ended.unwrap().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{seed}: {said}");
        assert!(said.contains(words), "{seed}: {said}");
    }
    write("good.json", r#"{"portals": [{"name": "x"}]}"#);
    let mut child = emulate(folder.path(), &["--seed", "good.json"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = timeout(DEADLINE, lines.next_line()).await.unwrap();
    assert!(line.unwrap().unwrap().contains("http://127.0.0.1:"));
}

//! The commands as somebody at a terminal meets them: exit codes, what is said, what is left
//! behind.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs::{self, File};
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use reqwest::Client;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::support::eventually;
use crate::support::process::deliver;
use crate::support::signer::Entry;

pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

/// A folder that every user can pass through, since Postgres runs as another one under root.
pub(crate) fn scratch() -> TempDir {
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    let made = tempfile::Builder::new().permissions(permissions).tempdir();
    made.unwrap()
}

/// `usher` in a folder, with no variables but those that programs are found by.
pub(crate) fn usher(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_usher"));
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .env("TMPDIR", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

pub(crate) async fn run(folder: &Path, arguments: &[&str]) -> Output {
    let run = usher(folder, arguments).output();
    timeout(DEADLINE, run).await.unwrap().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn left_in(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[tokio::test]
async fn a_demo_stopped_while_it_starts_leaves_nothing() {
    for signal in ["-INT", "-TERM"] {
        let home = scratch();
        let child = usher(home.path(), &["demo"]).spawn().unwrap();
        eventually("the demo has made its folder", DEADLINE, async || {
            left_in(home.path()) == 1
        })
        .await;
        let pid = child.id().unwrap().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().await;
        assert!(sent.unwrap().success());
        let ended = timeout(DEADLINE, child.wait_with_output()).await;
        let ended = ended.unwrap().unwrap();
        let said = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{signal}: {said}");
        assert!(said.contains("stopping…"), "{said}");
        assert_eq!(left_in(home.path()), 0, "{signal}: {said}");
    }
}

#[tokio::test]
async fn two_demos_tell_their_own_stories_to_the_end() {
    let home = scratch();
    let kept = home.path().join("kept");
    let kept = kept.to_str().unwrap();
    let elsewhere = ["demo", "--for", "4s", "--json"];
    let keeping = ["demo", "--for", "4s", "--json", "--data-dir", kept];
    let (one, two) = tokio::join!(run(home.path(), &elsewhere), run(home.path(), &keeping));
    let again = run(home.path(), &keeping).await;
    for ended in [one, two, again] {
        let said = text(&ended.stderr);
        assert!(ended.status.success(), "{said}");
        let lines: Vec<Value> = text(&ended.stdout)
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let [steps @ .., summary] = lines.as_slice() else {
            panic!("nothing was told: {said}");
        };
        let first = ["james", "signed_up"];
        assert!(steps[0]["who"].as_str().unwrap().starts_with(first[0]));
        assert_eq!(steps[0]["step"], first[1]);
        let approved: Vec<&Value> = steps
            .iter()
            .filter(|step| step["step"] == "approved")
            .collect();
        assert_eq!(summary["developers_approved"], approved.len());
        for step in approved {
            assert_eq!(step["rule"], "partner-clubs");
            assert!(step["took_ms"].is_u64(), "of this run: {step}");
        }
        assert!(summary["events_stored"].as_u64().unwrap() < 60, "{summary}");
        // At least once: a run on a kept folder also sends what the one before still owed.
        let count = |member: &str| summary[member].as_u64().unwrap();
        assert!(
            count("kafka_published") >= count("events_stored"),
            "{summary}"
        );
    }
    assert_eq!(left_in(home.path()), 1, "the folder that was asked for");
}

#[tokio::test]
async fn the_shortest_demo_still_sums_up() {
    let home = scratch();
    let ended = run(home.path(), &["demo", "--for", "1s"]).await;
    let said = text(&ended.stderr);
    assert!(ended.status.success(), "{said}");
    let shown = text(&ended.stdout);
    let summary: Value = serde_json::from_str(shown.lines().last().unwrap()).unwrap();
    assert!(summary["events_stored"].is_u64(), "{summary}");
    assert!(
        !said.contains("ERROR"),
        "no delivery comes too early: {said}"
    );
    assert_eq!(left_in(home.path()), 0, "{said}");
}

#[tokio::test]
async fn the_demo_keeps_off_folders_that_it_did_not_make() {
    let home = scratch();
    fs::write(home.path().join("rules.yaml"), "# mine\n").unwrap();
    let folder = home.path().to_str().unwrap();
    let ended = run(home.path(), &["demo", "--data-dir", folder]).await;
    assert_eq!(ended.status.code(), Some(2));
    assert!(text(&ended.stderr).contains("--data-dir"));
    assert_eq!(left_in(home.path()), 1);
}

#[tokio::test]
async fn wrong_settings_are_told_once() {
    let home = scratch();
    let cases: [(&[&str], &str); 2] = [
        (
            &["demo", "--log", "nonsense=bar"],
            "usher: --log: error parsing level filter",
        ),
        (&["serve"], "(no usher.toml here: `usher init` writes one)"),
    ];
    for (arguments, expected) in cases {
        let ended = run(home.path(), arguments).await;
        let said = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{said}");
        assert_eq!(said.matches(expected).count(), 1, "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    assert_eq!(left_in(home.path()), 0);
}

#[tokio::test]
async fn rules_are_counted_and_those_that_never_apply_are_named() {
    let home = scratch();
    let rule = |name: &str, on: &str| {
        format!("  - name: {name}\n    on: {on}\n    then: [approve_developer]\n")
    };
    let one = format!(
        "version: 1\nrules:\n{}",
        rule("let-in", "developer.signed_up")
    );
    let two = format!("{one}{}", rule("hired", "custom.com.example.hired"));
    fs::write(home.path().join("one.yaml"), &one).unwrap();
    fs::write(home.path().join("two.yaml"), &two).unwrap();
    let ended = run(home.path(), &["rules", "check", "one.yaml"]).await;
    assert_eq!(text(&ended.stdout), "one.yaml: 1 rule, no mistake\n");
    assert_eq!(text(&ended.stderr), "");
    let ended = run(home.path(), &["rules", "check", "two.yaml"]).await;
    assert_eq!(text(&ended.stdout), "two.yaml: 2 rules, no mistake\n");
    let warning = text(&ended.stderr);
    let never = "rule hired: no sender of hooks.senders may send custom.com.example.hired: the rule never applies";
    assert!(warning.contains(never), "{warning}");
    assert_eq!(warning.lines().count(), 1, "{warning}");

    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    for (types, is_heard) in [
        ("", true),
        (", types = [\"com.example.hired\"]", true),
        (", types = [\"com.other\", \"com.example.*\"]", true),
        (", types = [\"com.example.hired.too\"]", false),
        (", types = [\"com.other.*\"]", false),
    ] {
        let sender = format!("{{name = \"hr\", secret = \"{secret}\"{types}}}");
        let config = format!("[hooks]\nsenders = [{sender}]\n");
        fs::write(home.path().join("usher.toml"), config).unwrap();
        let ended = run(home.path(), &["rules", "check", "two.yaml"]).await;
        assert_eq!(ended.status.code(), Some(0));
        let said = text(&ended.stderr);
        assert_eq!(!said.contains(never), is_heard, "{types}: {said}");
        assert_eq!(said.is_empty(), is_heard, "{types}: {said}");
    }
    // Where the configuration cannot be read nobody knows; the rules are checked all the same.
    fs::write(home.path().join("usher.toml"), "nonsense = [\n").unwrap();
    let ended = run(home.path(), &["rules", "check", "two.yaml"]).await;
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(text(&ended.stderr), "");
}

#[tokio::test]
async fn notices_that_nothing_can_sign_are_warned_of() {
    let home = scratch();
    let url = "https://hooks.example.com/secret-path";
    let notices = |notices: &str| {
        format!(
            "version: 1\nrules:\n  - name: tell\n    on: developer.signed_up\n    then:\n{notices}"
        )
    };
    let standard = format!("      - notify: {{url: \"{url}\"}}\n");
    let fails = "warning: rules.yaml: rule tell: notify hooks.example.com has no secret to sign with \
                 and notify.secret is not set, it fails\n";
    let slack = format!("      - notify: {{url: \"{url}\", format: slack}}\n");
    let signed = format!("      - notify: {{url: \"{url}\", secret: \"file:key\"}}\n");
    let off = format!("{standard}    mode: \"off\"\n");
    let config = "[notify]\nsecret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n";
    for (deeds, config, said) in [
        (&standard, "", fails),
        (&slack, "", ""),
        (&signed, "", ""),
        (&off, "", ""),
        (&standard, config, ""),
    ] {
        fs::write(home.path().join("rules.yaml"), notices(deeds)).unwrap();
        fs::write(home.path().join("usher.toml"), config).unwrap();
        let ended = run(home.path(), &["rules", "check", "rules.yaml"]).await;
        assert_eq!(text(&ended.stderr), said, "{deeds} with {config:?}");
        assert_eq!(ended.status.code(), Some(0), "never an error");
        assert_eq!(text(&ended.stdout), "rules.yaml: 1 rule, no mistake\n");
    }
}

#[tokio::test]
async fn a_replay_says_how_long_it_tries() {
    let home = scratch();
    let portal = "00000000-0000-0000-0000-000000000001";
    let arguments = ["replay", "--portal", portal, "--from", "2h", "--to", "1h"];
    let mut child = usher(home.path(), &arguments)
        .env("USHER_KONNECT__BASE_URL", "http://127.0.0.1:9")
        .env("USHER_KONNECT__TOKEN", "kpat_x")
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    for expected in [
        "trying again in 1s",
        "konnect is tried 8 times, for at least 91 s",
    ] {
        let line = timeout(DEADLINE, lines.next_line()).await.unwrap();
        let line = line.unwrap().unwrap();
        assert!(line.ends_with(expected), "{line}");
    }
}

/// Everything on embedded parts, with a Konnect that nobody reaches.
const EMBEDDED: &str = r#"
    http = { listen = "127.0.0.1:0" }
    ingest = { authorization = ["Bearer door"] }
    database = { embedded = true, data_dir = "data" }
    konnect = { base_url = "http://127.0.0.1:9" }
    console = { tokens = [{ name = "test", role = "reader", token = "t" }] }
"#;

/// `usher serve`, and where it listens.
async fn serve(folder: &Path, log: &str) -> (Child, String) {
    let log = folder.join(log);
    let child = usher(folder, &["serve"])
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let mut url = String::new();
    eventually("usher takes deliveries", DEADLINE, async || {
        let said = fs::read_to_string(&log).unwrap();
        let told = said.split_once("listening address=");
        let address = told.and_then(|(_, rest)| rest.split_whitespace().next());
        url = format!("http://{}", address.unwrap_or("127.0.0.1:9"));
        is_ready(&url).await
    })
    .await;
    (child, url)
}

async fn is_ready(url: &str) -> bool {
    let answer = reqwest::get(format!("{url}/readyz")).await;
    answer.is_ok_and(|answer| answer.status() == 200)
}

#[tokio::test]
async fn other_commands_join_the_embedded_postgres_of_a_running_one_and_leave_it_running() {
    let home = scratch();
    fs::write(home.path().join("usher.toml"), EMBEDDED).unwrap();
    let pid = home.path().join("data/data/postmaster.pid");
    let server = || fs::read_to_string(&pid).unwrap_or_default();

    let alone = run(home.path(), &["migrate", "--plan"]).await;
    assert_eq!(alone.status.code(), Some(3), "{}", text(&alone.stderr));
    assert_eq!(server(), "", "who started it alone ends it");

    let (first, url) = serve(home.path(), "first.log").await;
    let running = server();
    let plan = ["migrate", "--plan"];
    let (one, two) = tokio::join!(run(home.path(), &plan), run(home.path(), &["migrate"]));
    for ended in [one, two] {
        assert_eq!(ended.status.code(), Some(0), "{}", text(&ended.stderr));
        assert_eq!(text(&ended.stdout), "the schema is up to date\n");
    }
    let (mut second, _) = serve(home.path(), "second.log").await;
    second.kill().await.unwrap();
    assert!(is_ready(&url).await);
    let entry = Entry::numbered(1).json();
    let http = Client::builder().timeout(DEADLINE).build().unwrap();
    let delivered = deliver(&http, &url, &[entry]).await;
    assert_eq!(delivered.unwrap(), 200);
    assert_eq!(server(), running, "it is the same server all the time");

    let id = first.id().unwrap().to_string();
    let sent = Command::new("kill").args(["-TERM", &id]).status().await;
    assert!(sent.unwrap().success());
    let ended = timeout(DEADLINE, first.wait_with_output()).await;
    assert_eq!(ended.unwrap().unwrap().status.code(), Some(0));
    assert_eq!(server(), "", "it ends with the command that started it");
}

//! Arguments that cannot be meant: each ends its command with 2 and says what was given, before
//! anything is opened or asked.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::process::{Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_mins(1);

/// Runs usher where there is no configuration, no database and no Konnect.
async fn usher(arguments: &[&str]) -> Output {
    let nowhere = TempDir::new().unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_usher"))
        .args(arguments)
        .current_dir(nowhere.path())
        .env_clear()
        .env("TMPDIR", nowhere.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    timeout(DEADLINE, run).await.unwrap().unwrap()
}

/// Asserts that `arguments` are wrong usage, and returns what was said.
async fn refused(arguments: &[&str]) -> String {
    let ended = usher(arguments).await;
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(2), "{arguments:?}: {said}");
    assert!(ended.stdout.is_empty(), "{arguments:?}");
    said
}

/// The commands that take a window.
const WINDOWS: [&[&str]; 6] = [
    &["events"],
    &["deliveries"],
    &["quarantine"],
    &["quarantine", "list"],
    &["events", "reverify"],
    &["rules", "test"],
];

#[tokio::test]
async fn a_window_that_ends_before_it_starts_is_named_by_both_ends() {
    let window = [
        "--from",
        "2026-06-23T14:00:00Z",
        "--to",
        "2026-06-23T14:00:00+02:00",
    ];
    for command in WINDOWS {
        let said = refused(&[command, &window].concat()).await;
        assert_eq!(
            said,
            "usher: --from, --to: the window ends at 2026-06-23T12:00:00.000Z, before it starts at \
             2026-06-23T14:00:00.000Z; give --from the earlier time, and --to the later one\n",
            "{command:?}"
        );
    }
    let said = refused(&["events", "--from", "1h", "--to", "2h"]).await;
    assert!(said.contains(", before it starts at 2"), "{said}");
}

#[tokio::test]
async fn times_that_nothing_can_have_are_named() {
    for command in WINDOWS {
        for (flag, other, value, said) in [
            (
                "--from",
                "--to",
                "99999999999d",
                "expected a time within the last 365000d",
            ),
            (
                "--to",
                "--from",
                "99999999999d",
                "expected a time within the last 365000d",
            ),
            (
                "--from",
                "--to",
                "0000-01-01T00:00:00Z",
                "expected a time of the years 1 to 9999",
            ),
            (
                "--from",
                "--to",
                "9999-12-31T23:59:59-12:00",
                "expected a time of the years 1 to 9999",
            ),
            (
                "--from",
                "--to",
                "99999999999999999999d",
                "expected a time such as",
            ),
        ] {
            let told = refused(&[command, &[flag, value, other, "0s"]].concat()).await;
            assert!(
                told.contains(&format!("invalid value '{value}' for '{flag} <T>'")),
                "{command:?}: {told}"
            );
            assert!(told.contains(said), "{command:?}: {told}");
        }
    }
    let portal = "00000000-0000-0000-0000-000000000001";
    let replay = ["replay", "--portal", portal, "--to", "0s", "--from"];
    let said = refused(&[&replay[..], &["99999999999d"]].concat()).await;
    assert!(said.contains("'99999999999d'"), "{said}");
}

#[tokio::test]
async fn a_host_without_a_scheme_is_no_url() {
    for command in ["init", "reconcile"] {
        for host in ["eu.api.konghq.com", "eu.api.konghq.com:443"] {
            let said = refused(&[command, "--base-url", host]).await;
            let expected = format!(
                "invalid value '{host}' for '--base-url <URL>': expected a URL with its scheme, such \
                 as https://eu.api.konghq.com"
            );
            assert!(said.contains(&expected), "{said}");
        }
    }
}

#[tokio::test]
async fn a_demo_lasts_from_a_second_to_a_year() {
    for value in ["0s", "0d", "999ms", "366d", "99999999999d"] {
        let said = refused(&["demo", "--for", value]).await;
        assert!(
            said.contains(&format!(
                "invalid value '{value}' for '--for <TIME>': expected a time from 1s to 365d"
            )),
            "{said}"
        );
    }
    let said = refused(&["demo", "--for", "soon"]).await;
    assert!(said.contains("expected a duration such as"), "{said}");
}

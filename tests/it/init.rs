//! `usher init` against a local Konnect: what it lists, writes and refuses.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use konnect_emulator::{Emulator, Fault};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use usher::config::{self, Environment};
use usher::rules::{self, Mode};

const DEADLINE: Duration = Duration::from_mins(1);

async fn konnect(portals: &[&str]) -> Emulator {
    let emulator = Emulator::start().await.unwrap();
    let portals: Vec<Value> = portals.iter().map(|name| json!({ "name": name })).collect();
    emulator.seed(&json!({ "portals": portals })).unwrap();
    emulator
}

/// Runs `usher init` in a folder, with only these variables.
async fn init(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let run = Command::new(env!("CARGO_BIN_EXE_usher"))
        .arg("init")
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(variables.iter().copied())
        .output();
    tokio::time::timeout(DEADLINE, run).await.unwrap().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn mode(file: &Path) -> u32 {
    fs::metadata(file).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn writes_files_that_load_and_lists_the_portals() {
    let konnect = konnect(&["Main", "Partners"]).await;
    let (url, token) = (konnect.url(), konnect.token());
    let home = TempDir::new().unwrap();
    let variables = [
        ("USHER_KONNECT__BASE_URL", url.as_str()),
        ("USHER_KONNECT__TOKEN", token),
    ];
    let ended = init(home.path(), &variables, &["--json"]).await;
    assert!(ended.status.success(), "{}", text(&ended.stderr));
    let shown: Value = serde_json::from_slice(&ended.stdout).unwrap();
    let names: Vec<&Value> = shown["portals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| &p["name"])
        .collect();
    assert_eq!(names, [&json!("Main"), &json!("Partners")]);

    let file = home.path().join("usher.toml");
    let written = fs::read_to_string(&file).unwrap();
    assert!(!written.contains(token) && written.contains("USHER_KONNECT__TOKEN"));
    let config = config::load(Some(&file), &Environment::default()).unwrap();
    assert!(config.konnect.token.is_none());
    assert_eq!(config.konnect.base_url.as_str().trim_end_matches('/'), url);
    assert_eq!(config.konnect.portals.len(), 2);
    let authorization = config.ingest.authorization[0].expose();
    assert!(authorization.starts_with("Bearer ") && authorization.len() == 39);
    assert_ne!(
        config.console.tokens[0].token.expose(),
        &authorization["Bearer ".len()..]
    );
    for secret in ["usher-authorization", "usher-console-token"] {
        assert_eq!(mode(&home.path().join(secret)), 0o600, "{secret}");
    }

    let path = config.rules.path.unwrap();
    let rules = rules::load(&fs::read_to_string(&path).unwrap(), "rules.yaml").unwrap();
    assert!(!rules.rules().is_empty());
    assert!(rules.rules().iter().all(|rule| rule.mode == Mode::Shadow));
}

#[tokio::test]
async fn replaces_nothing_unless_forced_and_a_secret_never() {
    let konnect = konnect(&["Main"]).await;
    let url = konnect.url();
    let home = TempDir::new().unwrap();
    let secret = home.path().join("token");
    fs::write(&secret, format!("{}\n", konnect.token())).unwrap();
    let arguments = ["--dir", "new", "--base-url", &url, "--token-file", "token"];
    let first = init(home.path(), &[], &arguments).await;
    assert!(first.status.success(), "{}", text(&first.stderr));
    let shown = text(&first.stdout);
    assert!(
        shown.contains("Main") && shown.contains("usher-authorization"),
        "{shown}"
    );

    let folder = home.path().join("new");
    let file = folder.join("usher.toml");
    let config = config::load(Some(&file), &Environment::default()).unwrap();
    assert_eq!(config.konnect.token.unwrap().expose(), konnect.token());
    let authorization = fs::read_to_string(folder.join("usher-authorization")).unwrap();

    konnect.clear_requests();
    fs::write(&file, "# mine\n").unwrap();
    let second = init(home.path(), &[], &arguments).await;
    assert_eq!(second.status.code(), Some(2));
    assert!(text(&second.stderr).contains("usher.toml exists"));
    assert_eq!(fs::read_to_string(&file).unwrap(), "# mine\n");
    assert_eq!(konnect.requests().len(), 0, "refused before any call");

    let forced = [&arguments[..], &["--force"]].concat();
    let third = init(home.path(), &[], &forced).await;
    assert!(third.status.success(), "{}", text(&third.stderr));
    let config = config::load(Some(&file), &Environment::default()).unwrap();
    assert_eq!(
        config.ingest.authorization[0].expose(),
        authorization.trim_end()
    );
}

#[tokio::test]
async fn says_in_one_line_why_it_cannot() {
    let konnect = konnect(&[]).await;
    let (url, token) = (konnect.url(), konnect.token().to_owned());
    let cases = [
        (url.as_str(), token.as_str(), None, 1, "sees no portal"),
        (&url, "kpat_wrong", None, 1, "does not accept the token"),
        (&url, &token, Some(403), 1, "may not list the portals"),
        (&url, &token, Some(503), 1, "could not list the portals"),
        (
            "http://127.0.0.1:9",
            &token,
            None,
            1,
            "could not list the portals",
        ),
        (
            "eu.api.konghq.com",
            &token,
            None,
            2,
            "USHER_KONNECT__BASE_URL: konnect.base_url: expected a URL with its scheme, such as https://",
        ),
        (&url, "", None, 2, "konnect.token is not set"),
    ];
    for (url, token, status, code, expected) in cases {
        konnect.set_faults(status.map(|status| Fault {
            path: "/v3/portals".to_owned(),
            status: Some(status),
            ..Fault::default()
        }));
        let home = TempDir::new().unwrap();
        let variables = [
            ("USHER_KONNECT__BASE_URL", url),
            ("USHER_KONNECT__TOKEN", token),
        ];
        let ended = init(home.path(), &variables, &[]).await;
        let complaint = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{complaint}");
        assert!(complaint.contains(expected), "{complaint}");
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
        assert!(!complaint.contains("kpat"), "{complaint}");
        let left = fs::read_dir(home.path()).unwrap().count();
        assert_eq!(left, 0, "nothing is written: {complaint}");
    }
}

#[tokio::test]
async fn a_token_file_that_is_not_there_is_named() {
    let home = TempDir::new().unwrap();
    let ended = init(home.path(), &[], &["--token-file", "nowhere"]).await;
    assert_eq!(ended.status.code(), Some(2));
    assert!(text(&ended.stderr).contains("nowhere: No such file"));
}

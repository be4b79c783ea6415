//! No secret is shown, wherever it is and whatever fails; and what a support bundle contains.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use flate2::read::GzDecoder;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::doctor::{NOBODY, World};
use crate::support::process::Installation;

/// Part of every secret of these tests.
const MARKER: &str = "M4RKER";

fn bundle(path: &std::path::Path) -> String {
    let mut text = String::new();
    let mut file = GzDecoder::new(File::open(path).unwrap());
    file.read_to_string(&mut text).unwrap();
    text
}

#[tokio::test]
async fn no_secret_is_shown_whatever_fails() {
    let world = World::new().await;
    let secret = |of: &str| format!("{of}-{MARKER}-0123456789");
    let signing = "whsec_TTRSS0VSTTRSS0VSTTRSS0VSTTRSS0VS";
    let mut settings = world.settings.clone();
    settings["ingest"]["authorization"] = json!([format!("Bearer {}", secret("door"))]);
    settings["database"] = json!({
        "url": format!("postgres://usher:{}@127.0.0.1:9/usher", secret("db")),
        "read_url": format!("postgres://usher:{}@127.0.0.1:9/usher", secret("replica")),
    });
    settings["kafka"] = json!({
        "brokers": "127.0.0.1:9",
        "options": { "sasl.password": secret("kafka"), "sasl.username": secret("user"), "no.such": secret("option") },
    });
    settings["konnect"] = json!({ "base_url": NOBODY, "token": secret("kpat") });
    settings["forward"] = json!([{
        "url": format!("http://localhost:9/{}?key={}", secret("path"), secret("query")),
        "authorization": format!("Splunk {}", secret("hec")),
    }]);
    settings["notify"] = json!({ "secret": signing });
    settings["hooks"] = json!({ "senders": [{ "name": "hr", "secret": signing }] });
    settings["console"]["tokens"] = json!([{ "name": "ada", "token": secret("console") }]);
    world.installation.configure(&settings);
    let log = format!(
        "WARN refused {} of {}\nINFO ready\n",
        secret("door"),
        secret("kpat")
    );
    let log = world.installation.write("usher.log", &log);
    let mut shown = String::new();
    for arguments in [
        &["doctor"][..],
        &["doctor", "--json"],
        &[
            "support-bundle",
            "--output",
            "b.gz",
            "--log",
            log.to_str().unwrap(),
        ],
    ] {
        let ran = world.installation.run(arguments).await;
        shown = format!("{shown}{}{}", ran.out, ran.err);
    }
    let bundle = bundle(&world.folder.join("b.gz"));
    for part in [
        "versions",
        "doctor",
        "configuration",
        "counts",
        "/readyz",
        "/metrics",
        "log",
    ] {
        assert!(bundle.contains(&format!("==== {part} ====")), "{bundle}");
    }
    assert!(
        bundle.contains("WARN refused … of …\nINFO ready"),
        "{bundle}"
    );
    assert!(
        bundle.contains("kafka.options.no.such is not a setting"),
        "{bundle}"
    );
    shown.push_str(&bundle);
    for hidden in [MARKER, "TTRSS0VS"] {
        let lines = shown.lines().filter(|line| line.contains(hidden));
        let lines: Vec<&str> = lines.collect();
        assert!(lines.is_empty(), "{lines:?}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_bundle_has_what_is_there_and_replaces_nothing() {
    let mut world = World::new().await;
    let mut settings = world.settings.clone();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    settings["http"] = json!({ "listen": free.local_addr().unwrap() });
    drop(free);
    world.installation.configure(&settings);
    let usher = world.installation.start().await;
    let arguments = ["support-bundle", "--json", "--output", "b.gz", "--log", "-"];
    let mut command = world.installation.command(&arguments);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"what was piped in\n").await.unwrap();
    drop(stdin);
    let ended = child.wait_with_output().await.unwrap();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let path = world.folder.join("b.gz");
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = bundle(&path);
    for word in [
        "\"name\":\"webhook-status\"",
        "\"events\":",
        "\"parts\":",
        "usher_",
        "what was piped in",
        "token = set by a file (hidden)",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let before = fs::read(&path).unwrap();
    let ran = world
        .installation
        .run(&["support-bundle", "--output", "b.gz"])
        .await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("b.gz is there already"), "{ran:?}");
    assert_eq!(fs::read(&path).unwrap(), before);

    let arguments = ["support-bundle", "--output", "c.gz", "--log", "nowhere.log"];
    let ran = world.installation.run(&arguments).await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(!world.folder.join("c.gz").exists(), "half a bundle is left");
    usher.kill().await;
    world.end().await;
}

#[tokio::test]
async fn no_log_goes_along_while_the_secrets_are_not_known() {
    let token = format!("kpat-{MARKER}-0123456789");
    let settings = json!({ "konnect": { "token": token, "base": "no key has this name" } });
    let installation = Installation::new(&settings);
    let log = installation.write("usher.log", &format!("WARN refused {token}\n"));
    let log = log.to_str().unwrap();
    let arguments = ["support-bundle", "--output", "b.gz", "--log", log];
    let ran = installation.run(&arguments).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("the log is left out"), "{ran:?}");
    let text = bundle(&installation.folder().join("b.gz"));
    assert!(
        text.contains("==== log ====\n(left out: the configuration does not load"),
        "{text}"
    );
    assert!(!format!("{text}{ran:?}").contains(MARKER), "{text}");
}

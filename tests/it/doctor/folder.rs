//! Faults of what is on the machine, and how checks are chosen.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cli;
use crate::doctor::{NOBODY, World, assert_only, lines, set_mode, write_certificate};

#[tokio::test]
async fn each_fault_of_a_file_is_told_by_its_own_line() {
    let world = World::new().await;
    let healthy = world.healthy().await;
    let folder = &world.folder;
    let not_a_folder = world.installation.write("file", "");
    let rules = world
        .installation
        .write("wrong.yaml", "version: 1\nrules: [{name: a}]\n");
    let closed = json!([{ "name": "ada", "token": "hunter2" }]);
    let nowhere = json!([{ "url": "http://nowhere.invalid/in" }]);
    let mut forward = world.settings.clone();
    forward["forward"] = nowhere;
    for (fault, settings, expected) in [
        (
            "a spool that is no folder",
            world.with("spool.dir", json!(not_a_folder)),
            ("spool", "failed", "it is no folder"),
        ),
        (
            "a spool that is missing",
            world.with("spool.dir", json!(folder.join("nowhere"))),
            ("spool", "warning", "usher serve makes it"),
        ),
        (
            "rules with a mistake",
            world.with("rules.path", json!(rules)),
            ("rules", "failed", "wrong.yaml:2:"),
        ),
        (
            "a secret that cannot be read",
            world.with("konnect.token", "file:/nowhere/token"),
            ("configuration", "failed", "could not read /nowhere/token"),
        ),
        (
            "an authorization that can be guessed",
            world.with("ingest.authorization", json!(["Bearer 1"])),
            ("authorization", "warning", "shorter than 16"),
        ),
        (
            "a console token that can be guessed",
            world.with("console.tokens", closed),
            ("console", "warning", "the token of ada"),
        ),
        (
            "an endpoint without an address",
            forward,
            ("forward", "failed", "nowhere.invalid has no address"),
        ),
        (
            "half a pair for TLS",
            world.with("http.tls", json!({ "cert": folder.join("cert.pem") })),
            ("tls", "failed", "http.tls.key is not set"),
        ),
    ] {
        let ran = world.run(&settings).await;
        assert_only(fault, &healthy, &ran, expected);
    }
    assert!(!folder.join("nowhere").exists(), "the doctor made a folder");

    world.end().await;
}

#[tokio::test]
async fn modes_dates_and_variables_that_are_wrong_are_told_by_their_own_lines() {
    let world = World::new().await;
    let healthy = world.healthy().await;
    let folder = &world.folder;
    set_mode(&folder.join("token"), 0o644);
    let ran = world.run(&world.settings).await;
    let expected = ("secrets", "warning", "token (konnect.token)");
    assert_only("a secret that everybody can read", &healthy, &ran, expected);
    set_mode(&folder.join("token"), 0o600);

    set_mode(&folder.join("spool"), 0o755);
    let ran = world.run(&world.settings).await;
    let expected = ("spool", "warning", "mode 755");
    assert_only("a spool that others look into", &healthy, &ran, expected);
    set_mode(&folder.join("spool"), 0o700);

    write_certificate(folder, 2_020, 2_021);
    let ran = world.run(&world.settings).await;
    let expected = ("tls", "failed", "expired on 2021-01-01");
    assert_only("a certificate that has expired", &healthy, &ran, expected);
    write_certificate(folder, 2_024, 2_124);

    let mut command = world.installation.command(&["doctor", "--json"]);
    let ran = command.env("USHER_TOKEN", "x").output().await.unwrap();
    let told = String::from_utf8(ran.stdout).unwrap();
    let line = told.lines().find(|line| line.contains("\"variables\""));
    assert!(line.unwrap().contains("USHER_TOKEN"), "{told}");
    world.end().await;
}

#[tokio::test]
async fn checks_are_chosen_and_keep_their_order() {
    let world = World::new().await;
    world.installation.configure(&world.settings);
    let names = async |arguments: &[&str]| -> Vec<String> {
        let ran = world.installation.run(arguments).await;
        let lines = ran.lines(0).into_iter();
        lines
            .map(|line| line["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = names(&["doctor", "--json"]).await;
    assert_eq!(names(&["doctor", "--json"]).await, all);
    let two = names(&["doctor", "--json", "--only", "webhook,rules"]).await;
    assert_eq!(two, ["rules", "webhook"]);
    let rest = names(&["doctor", "--json", "--skip", "webhook", "--skip", "rules"]).await;
    assert_eq!(rest.len() + 2, all.len());

    let ran = world.installation.run(&["doctor", "--only", "rulez"]).await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    for word in ["\"rulez\"", "webhook-status", "kafka-topic"] {
        assert!(ran.err.contains(word), "{ran:?}");
    }

    let ran = world
        .installation
        .run(&["doctor", "--only", "rules,kafka"])
        .await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.starts_with("ok       rules "), "{ran:?}");
    assert!(ran.out.contains("\nskipped  kafka "), "{ran:?}");
    assert!(
        ran.err
            .contains("2 checks: 0 failed, 0 warnings, 1 skipped"),
        "{ran:?}"
    );
    world.end().await;
}

/// Without a configuration, a database and a token there is nothing that could fail.
#[tokio::test]
async fn without_anything_all_is_skipped_or_well() {
    let folder = TempDir::new().unwrap();
    let mut command = cli::usher(folder.path(), &["doctor", "--json"]);
    // Konnect's own address is the default.
    let ran = command.env("USHER_KONNECT__BASE_URL", NOBODY).output();
    let ran = ran.await.unwrap();
    let told = cli::text(&ran.stdout);
    assert_eq!(ran.status.code(), Some(0), "{told}");
    let skipped = told.lines().filter(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["status"] == "skipped" && line["detail"].as_str().is_some_and(|it| !it.is_empty())
    });
    assert!(skipped.count() > 20, "{told}");
    let unset = told.lines().find(|line| line.contains("\"database\""));
    assert!(
        unset.is_some_and(|line| line.contains("usher serve does not start")),
        "{told}"
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// What runs is asked how it does, and its address is not taken for somebody else's.
#[tokio::test]
async fn a_running_usher_is_asked_how_it_does() {
    let mut world = World::new().await;
    let healthy = world.healthy().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = free.local_addr().unwrap().to_string();
    let mut settings = world.settings.clone();
    settings["http"] = json!({ "listen": listen });
    let another = world.run(&settings).await;
    drop(free);
    let expected = ("serve", "warning", "another process");
    assert_only("an address in use", &healthy, &another, expected);

    world.installation.configure(&settings);
    let usher = world.installation.start().await;
    let ran = world.installation.run(&["doctor", "--json"]).await;
    let (status, detail) = &lines(&ran)["serve"];
    assert!(status == "ok" || status == "warning", "{detail}");
    assert!(detail.contains("usher serve runs on"), "{detail}");
    usher.kill().await;
    world.end().await;
}

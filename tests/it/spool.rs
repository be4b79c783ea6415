//! The spool: deliveries while the database is away, and what becomes of them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;
use usher::app::{App, Surroundings};
use usher::clock::Clock;
use usher::config::Config;
use usher::event::parse;
use usher::http::health::Health;
use usher::ingest::Spool;
use usher::lifecycle::Lifecycle;
use uuid::Uuid;

use crate::support::app::{CONSOLE_TOKEN, TestApp, config};
use crate::support::database::TestDatabase;
use crate::support::eventually;
use crate::support::process::{Installation, deliver, settings};
use crate::support::record::Record;
use crate::support::signer::{Entry, Signer};

const PATIENCE: Duration = Duration::from_secs(20);

/// Usher with a spool, and everything that a test of it touches.
struct Scene {
    app: TestApp,
    signer: Signer,
    config: Config,
    home: TempDir,
}

impl Scene {
    async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let signer = Signer::new(7);
        let home = TempDir::new().unwrap();
        let mut config = config(&signer.serve(&Lifecycle::new()).await);
        config.spool.dir = Some(home.path().join("spool"));
        change(&mut config);
        let app = TestApp::start(config.clone()).await;
        let this = Self {
            app,
            signer,
            config,
            home,
        };
        // Empty deliveries, which leave no event.
        eventually("the record takes deliveries", PATIENCE, async || {
            this.app.deliver(&[]).await.0 == StatusCode::OK
        })
        .await;
        this.spool_is("ok", "").await;
        this
    }

    fn dir(&self) -> PathBuf {
        self.home.path().join("spool")
    }

    fn entry(&self, number: u64) -> String {
        self.signer.json(&Entry::numbered(number))
    }

    /// Takes the database away; returns once deliveries go to the spool.
    async fn take_the_database_away(&self) {
        self.app.database.refuse().await;
        eventually("usher misses the database", PATIENCE, async || {
            self.readiness().await.1["parts"]["database"]["status"] != "ok"
        })
        .await;
    }

    /// Delivers one entry and returns the id it was spooled under.
    async fn spool(&self, number: u64) -> String {
        let (status, answer) = self.app.deliver(&[self.entry(number)]).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
        for count in ["received", "stored", "duplicates", "quarantined"] {
            assert_eq!(answer.get(count), Some(&Value::Null), "{answer}");
        }
        answer["delivery_id"].as_str().unwrap().to_owned()
    }

    async fn readiness(&self) -> (StatusCode, Value) {
        let url = format!("{}/readyz", self.app.url);
        let request = self.app.http.get(url).bearer_auth(CONSOLE_TOKEN);
        let response = request.send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    async fn spool_is(&self, status: &str, detail: &str) {
        let what = format!("the spool is {status}: {detail}");
        eventually(&what, PATIENCE, async || {
            let part = &self.readiness().await.1["parts"]["spool"];
            part["status"] == status && part["detail"].as_str().unwrap().starts_with(detail)
        })
        .await;
    }

    /// Ends usher and starts it again while the database is away.
    async fn restart_without_database(self) -> Self {
        self.restart(async |_, _| {}).await
    }

    /// Ends usher, and starts it again on the same folder and database once `meanwhile` is done.
    async fn restart(self, meanwhile: impl AsyncFnOnce(&Path, &TestDatabase)) -> Self {
        let dir = self.dir();
        let database = self.app.stop().await;
        let lock = File::open(dir.join("lock")).unwrap();
        eventually("the folder is let go", PATIENCE, async || {
            lock.try_lock().is_ok()
        })
        .await;
        lock.unlock().unwrap();
        meanwhile(&dir, &database).await;
        Self {
            app: TestApp::start_on(self.config.clone(), database).await,
            ..self
        }
    }
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// The names in `dir` that end in `end`, in order.
fn files(dir: &Path, end: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(end))
        .collect();
    names.sort();
    names
}

fn deliveries(rows: &[Value]) -> BTreeSet<String> {
    let id = |row: &Value| row["delivery_id"].as_str().unwrap().to_owned();
    rows.iter().map(id).collect()
}

#[tokio::test]
async fn keeps_deliveries_while_the_database_is_away_and_stores_each_once() {
    let scene = Scene::start().await;
    assert_eq!(
        fs::metadata(scene.dir()).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let (status, answer) = scene.app.deliver(&[scene.entry(0)]).await;
    assert_eq!((status, &answer["stored"]), (StatusCode::OK, &1.into()));

    scene.app.database.refuse().await;
    // The first one meets the outage itself, whatever usher knows of it by then.
    let mut ids = BTreeSet::from([scene.spool(1).await]);
    scene.take_the_database_away().await;
    for number in 2..6 {
        let started = Instant::now();
        ids.insert(scene.spool(number).await);
        assert!(started.elapsed() < Duration::from_secs(2), "{number}");
    }
    assert_eq!(ids.len(), 5);
    let names: BTreeSet<String> = ids.iter().map(|id| format!("{id}.request")).collect();
    assert_eq!(
        BTreeSet::from_iter(files(&scene.dir(), "request")),
        names,
        "a file for each delivery before its answer"
    );
    assert_eq!(files(&scene.dir(), "tmp").len(), 0);
    scene.spool_is("degraded", "5 requests").await;
    let (status, readiness) = scene.readiness().await;
    assert_eq!(
        (status, &readiness["status"]),
        (StatusCode::OK, &"degraded".into())
    );

    scene.app.database.allow().await;
    scene.spool_is("ok", "").await;
    assert_eq!(files(&scene.dir(), "request").len(), 0);
    let events = scene.app.rows("/api/v1/events").await;
    assert_eq!(events.len(), 6);
    assert!(deliveries(&events).is_superset(&ids));
    for event in &events {
        assert_eq!(event["verification"], "verified");
        assert_eq!(event["copies"], 1);
    }
    scene.app.finish().await;
}

#[tokio::test]
async fn a_repeat_of_the_sender_is_one_event_and_two_deliveries() {
    let scene = Scene::start().await;
    scene.take_the_database_away().await;
    let ids = [scene.spool(1).await, scene.spool(1).await];
    scene.app.database.allow().await;
    scene.spool_is("ok", "").await;
    let events = scene.app.rows("/api/v1/events").await;
    assert_eq!((events.len(), &events[0]["copies"]), (1, &2.into()));
    let rows = scene.app.rows("/api/v1/deliveries?limit=2").await;
    for id in ids {
        assert!(
            rows.iter().any(|row| row["delivery_id"] == id.as_str()),
            "{rows:?}"
        );
    }
    scene.app.finish().await;
}

#[tokio::test]
async fn a_file_that_outlived_its_commit_is_not_stored_again() {
    let scene = Scene::start().await;
    scene.take_the_database_away().await;
    let name = format!("{}.request", scene.spool(1).await);
    let file = fs::read(scene.dir().join(&name)).unwrap();
    scene.app.database.allow().await;
    scene.spool_is("ok", "").await;
    let before = scene.app.rows("/api/v1/deliveries").await;

    let scene = scene
        .restart(async |dir, _| fs::write(dir.join(&name), file).unwrap())
        .await;
    eventually("the file goes", PATIENCE, async || {
        files(&scene.dir(), "request").is_empty()
    })
    .await;
    assert_eq!(scene.app.rows("/api/v1/deliveries").await, before);
    let events = scene.app.rows("/api/v1/events").await;
    assert_eq!((events.len(), &events[0]["copies"]), (1, &1.into()));
    scene.app.finish().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_read_for_now_is_tried_again() {
    let scene = Scene::start().await;
    scene.take_the_database_away().await;
    let delivery = scene.spool(1).await;
    scene.spool(2).await;
    let (file, elsewhere) = (format!("{delivery}.request"), format!("{delivery}.whole"));
    let scene = scene
        .restart(async |dir, database| {
            // ELOOP, which no privilege gets around.
            fs::rename(dir.join(&file), dir.join(&elsewhere)).unwrap();
            std::os::unix::fs::symlink(&file, dir.join(&file)).unwrap();
            database.allow().await;
        })
        .await;
    // The oldest is looked at first.
    let stored = async || scene.app.rows("/api/v1/events").await.len();
    eventually("the younger one is stored", PATIENCE, async || {
        stored().await == 1
    })
    .await;
    let dir = scene.dir();
    assert_eq!(files(&dir, ".bad"), Vec::<String>::new());
    scene.spool_is("degraded", "1 requests").await;
    fs::rename(dir.join(&elsewhere), dir.join(&file)).unwrap();
    scene.spool_is("ok", "").await;
    assert_eq!(stored().await, 2);
    scene.app.finish().await;
}

#[tokio::test]
async fn takes_up_what_a_former_run_left_and_lets_nothing_damaged_block_it() {
    let scene = Scene::start().await;
    scene.take_the_database_away().await;
    let damaged = scene.spool(1).await;
    let encoded = gzip([scene.entry(2), scene.entry(3)].join("\n").as_bytes());
    for body in [
        encoded.clone(),
        encoded[..encoded.len() / 2].to_vec(),
        b"hello".to_vec(),
    ] {
        let request = scene
            .app
            .delivery(body)
            .header("Content-Encoding", "application/gzip");
        assert_eq!(request.send().await.unwrap().status(), StatusCode::ACCEPTED);
    }
    let kept = scene.spool(4).await;
    let scene = scene
        .restart(async |dir, database| {
            assert_eq!(files(dir, "request").len(), 5);
            // What a crash leaves half-way, and what a broken disk does.
            fs::write(dir.join(format!("{kept}.tmp")), "{\"id\":").unwrap();
            let file = dir.join(format!("{damaged}.request"));
            fs::write(&file, &fs::read(&file).unwrap()[..40]).unwrap();
            fs::write(dir.join("notes.txt"), "somebody's own").unwrap();
            database.allow().await;
        })
        .await;
    scene
        .spool_is("degraded", "0 requests, 4096 bytes, 1 damaged files")
        .await;
    let dir = scene.dir();
    assert_eq!(files(&dir, ".bad"), [format!("{damaged}.bad")]);
    assert_eq!(files(&dir, ".tmp").len() + files(&dir, ".request").len(), 0);
    assert_eq!(files(&dir, ".txt").len(), 1);
    let events = scene.app.rows("/api/v1/events").await;
    let principals: BTreeSet<&str> = events
        .iter()
        .map(|event| event["principal_id"].as_str().unwrap())
        .collect();
    let expected = [2, 3, 4].map(|number| Entry::numbered(number).principal_id);
    assert_eq!(principals, expected.iter().map(String::as_str).collect());
    let aside = scene.app.rows("/api/v1/quarantine").await;
    let reasons: BTreeSet<&str> = aside
        .iter()
        .map(|row| row["reason"].as_str().unwrap())
        .collect();
    assert_eq!(reasons, ["body_incomplete", "not_an_entry"].into());
    scene.app.finish().await;
}

#[tokio::test]
async fn asks_the_sender_to_wait_when_it_is_full() {
    let scene = Scene::start_with(|config| config.spool.max_bytes = 3 * 4096).await;
    scene.take_the_database_away().await;
    for number in 0..3 {
        scene.spool(number).await;
    }
    let response = scene.app.delivery(scene.entry(3)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "30");
    assert_eq!(files(&scene.dir(), "request").len(), 3);
    scene.spool_is("down", "full, 3 requests").await;
    let (status, readiness) = scene.readiness().await;
    assert_eq!(
        (status, &readiness["status"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"down".into())
    );

    // What is there counts for the next run too.
    let scene = scene.restart_without_database().await;
    let response = scene.app.delivery(scene.entry(3)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);

    scene.app.database.allow().await;
    scene.spool_is("ok", "").await;
    assert_eq!(scene.app.rows("/api/v1/events").await.len(), 3);
    let (status, _) = scene.app.deliver(&[scene.entry(3)]).await;
    assert_eq!(status, StatusCode::OK);
    scene.app.finish().await;
}

#[tokio::test]
async fn asks_the_sender_to_wait_when_the_disk_refuses_and_mends_by_itself() {
    let scene = Scene::start().await;
    scene.take_the_database_away().await;
    scene.spool(1).await;
    let (dir, away) = (scene.dir(), scene.home.path().join("unmounted"));
    fs::rename(&dir, &away).unwrap();
    fs::write(&dir, "not a folder").unwrap();
    let response = scene.app.delivery(scene.entry(2)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    scene.spool_is("down", "cannot be written").await;
    assert_eq!(
        scene.readiness().await.0,
        StatusCode::SERVICE_UNAVAILABLE,
        "neither database nor spool"
    );

    fs::remove_file(&dir).unwrap();
    fs::rename(&away, &dir).unwrap();
    scene.spool_is("degraded", "1 requests").await;
    scene.spool(2).await;
    scene.app.database.allow().await;
    scene.spool_is("ok", "").await;
    assert_eq!(scene.app.rows("/api/v1/events").await.len(), 2);
    scene.app.finish().await;
}

#[tokio::test]
async fn answers_in_time_when_the_database_hangs() {
    let scene = Scene::start().await;
    let options: PgConnectOptions = scene.app.database.url().parse().unwrap();
    let mut blocker = options.connect().await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE batches IN ACCESS EXCLUSIVE MODE")
        .execute(&mut blocker)
        .await
        .unwrap();
    let started = Instant::now();
    let id = scene.spool(1).await;
    assert!(started.elapsed() < Duration::from_secs(10));
    blocker.close().await.unwrap();
    scene.spool_is("ok", "").await;
    let events = scene.app.rows("/api/v1/events").await;
    assert_eq!(events.len(), 1);
    assert_eq!(
        (&events[0]["delivery_id"], &events[0]["copies"]),
        (&id.into(), &1.into())
    );
    scene.app.finish().await;
}

#[tokio::test]
async fn strangers_and_broken_bounds_never_reach_it() {
    let scene = Scene::start_with(|config| config.ingest.max_body_bytes = 2_000).await;
    scene.take_the_database_away().await;
    let stranger = scene.app.http.post(format!("{}/audit-logs", scene.app.url));
    let response = stranger.body(scene.entry(1)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let response = scene.app.delivery("x".repeat(2_001)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(
        files(&scene.dir(), "").len(),
        1,
        "the lock and nothing else"
    );
    scene.app.database.allow().await;
    scene.app.finish().await;
}

#[tokio::test]
async fn a_folder_belongs_to_one_process() {
    let scene = Scene::start().await;
    let open = |dir: &Path| Spool::open(dir, 1 << 20, Health::default());
    let error = open(&scene.dir()).unwrap_err().to_string();
    assert!(error.starts_with("spool.dir: "), "{error}");
    assert!(error.ends_with(" is in use by another process"), "{error}");

    let mut config = scene.config.clone();
    config.spool.dir = Some(scene.home.path().join("file"));
    fs::write(scene.home.path().join("file"), "").unwrap();
    let surroundings = Surroundings {
        clock: Clock::system(),
        lifecycle: Lifecycle::new(),
        search_path: String::new().into(),
        metrics: None,
    };
    let error = App::build(config, surroundings).await.err().unwrap();
    assert!(error.is_configuration());
    assert!(
        error.to_string().starts_with("spool.dir: could not use "),
        "{error}"
    );
    scene.app.finish().await;
}

/// Sends entries of its own, each once, until nobody answers.
async fn send_until_it_dies(signer: &Signer, url: &str, first: u64, sent: &Mutex<Sent>) {
    let http = Client::builder().timeout(PATIENCE).build().unwrap();
    for number in first.. {
        let line = signer.json(&Entry::numbered(number));
        let id = parse(line.as_bytes()).unwrap().id.as_uuid();
        sent.lock().unwrap().begun.insert(id);
        match deliver(&http, url, &[line]).await {
            Some(StatusCode::ACCEPTED | StatusCode::OK) => {
                sent.lock().unwrap().acknowledged.insert(id);
            }
            Some(status) => panic!("answered {status}"),
            None => return,
        }
    }
}

#[derive(Default)]
struct Sent {
    begun: BTreeSet<Uuid>,
    acknowledged: BTreeSet<Uuid>,
}

#[tokio::test]
async fn kills_at_any_moment_lose_nothing_and_store_nothing_twice() {
    let signer = Signer::new(7);
    let konnect = signer.serve(&Lifecycle::new()).await;
    let database = TestDatabase::create().await;
    let mut settings = settings(&database, &konnect);
    let home = TempDir::new().unwrap();
    let dir = home.path().join("spool");
    settings["spool"] = json!({ "dir": dir });
    let mut usher = Installation::new(&settings);
    database.refuse().await;

    let sent = Mutex::default();
    let acknowledged = || {
        sent.lock()
            .map(|sent: MutexGuard<'_, Sent>| sent.acknowledged.len())
            .unwrap()
    };
    for round in 0..3 {
        let process = usher.start().await;
        let (url, before) = (process.url.clone(), acknowledged());
        let kill = async {
            eventually("deliveries are taken", PATIENCE, async || {
                acknowledged() > before + 20
            })
            .await;
            process.kill().await;
        };
        tokio::join!(
            kill,
            send_until_it_dies(&signer, &url, round * 100_000, &sent),
            send_until_it_dies(&signer, &url, round * 100_000 + 50_000, &sent),
        );
    }
    let process = usher.start().await;
    let metrics = reqwest::get(format!("{}/metrics", process.url))
        .await
        .unwrap();
    let metrics = metrics.text().await.unwrap();
    let waiting = files(&dir, "request").len();
    for line in [
        format!("usher_spool_files {waiting}"),
        format!("usher_spool_bytes {}", waiting * 4096),
        "usher_spool_files_aside 0".to_owned(),
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}: {metrics}"
        );
    }

    // And once more, somewhere on the way into the record.
    database.allow().await;
    eventually("the spool is being emptied", PATIENCE, async || {
        files(&dir, "request").len() < waiting
    })
    .await;
    process.kill().await;
    let process = usher.start().await;
    eventually("the spool is empty", PATIENCE, async || {
        files(&dir, "request").is_empty()
    })
    .await;
    assert_eq!(files(&dir, "tmp").len() + files(&dir, "bad").len(), 0);
    let stored = Record::of(&database).await.event_ids().await;
    let Sent {
        begun,
        acknowledged,
    } = sent.into_inner().unwrap();
    assert!(stored.is_superset(&acknowledged), "something is lost");
    assert!(stored.is_subset(&begun));
    for event in process.rows("/api/v1/events?limit=1000").await {
        assert_eq!(event["copies"], 1, "{event}");
    }
    process.kill().await;
    database.drop().await;
}

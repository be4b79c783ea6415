//! The spool: deliveries while the database is away, and what becomes of them.

mod kills;
mod outages;
mod refusals;
mod restarts;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;
use tempfile::TempDir;
use usher::config::Config;
use usher::lifecycle::Lifecycle;

use crate::support::app::{CONSOLE_TOKEN, TestApp, config};
use crate::support::database::TestDatabase;
use crate::support::eventually;
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

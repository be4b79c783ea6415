//! A running usher, built by the same composition root as the binary's.

use metrics_exporter_prometheus::PrometheusHandle;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use usher::app::{App, Surroundings};
use usher::clock::Clock;
use usher::config::{Config, Environment, Secret, load};
use usher::lifecycle::Lifecycle;

use crate::support::database::TestDatabase;
use crate::support::eventually;

/// What Konnect sends as `Authorization` in tests.
pub const AUTHORIZATION: &str = "Bearer door";
pub const CONSOLE_TOKEN: &str = "console-token";

/// One usher with a database of its own.
pub struct TestApp {
    pub url: String,
    pub database: TestDatabase,
    pub http: Client,
    /// Path and query that sign the first operator in, once; none where there is no operator.
    pub sign_in_link: Option<String>,
    end: CancellationToken,
    lifecycle: Lifecycle,
}

/// The defaults, with what every test sets.
pub fn config(base_url: &str) -> Config {
    let tokens = format!(r#"[{{"name": "test", "role": "operator", "token": "{CONSOLE_TOKEN}"}}]"#);
    let environment = Environment::of(&[
        ("USHER_HTTP__LISTEN", "127.0.0.1:0"),
        (
            "USHER_INGEST__AUTHORIZATION",
            &format!("[\"Bearer old\", \"{AUTHORIZATION}\"]"),
        ),
        ("USHER_KONNECT__BASE_URL", base_url),
        ("USHER_KONNECT__REQUESTS_PER_SECOND", "500"),
        ("USHER_CONSOLE__TOKENS", &tokens),
    ]);
    load(None, &environment).expect("a configuration")
}

/// An usher that serves, whether it is ready or not.
pub struct Serving {
    pub url: String,
    /// Ends it, as SIGTERM would.
    pub end: CancellationToken,
    pub lifecycle: Lifecycle,
    /// Path and query that sign the first operator in, once; none where there is no operator.
    pub sign_in_link: Option<String>,
}

/// Starts usher on what `config` says.
pub async fn serve(config: Config, clock: Clock, metrics: Option<PrometheusHandle>) -> Serving {
    let lifecycle = Lifecycle::new();
    let surroundings = Surroundings {
        clock,
        lifecycle: lifecycle.clone(),
        search_path: String::new().into(),
        metrics,
    };
    let app = App::build(config, surroundings)
        .await
        .expect("usher starts");
    let url = format!("http://{}", app.address().expect("an address"));
    let sign_in_link = app.sign_in_link();
    let end = CancellationToken::new();
    let ended = end.clone();
    // Not a task of the app's own lifecycle: it waits for those.
    Lifecycle::new().spawn("app", async move {
        let until = async move { ended.cancelled().await };
        app.run(until).await.expect("the schema is usher's own");
    });
    Serving {
        url,
        end,
        lifecycle,
        sign_in_link,
    }
}

impl TestApp {
    /// Starts usher on a fresh database and waits until it accepts deliveries.
    pub async fn start(config: Config) -> Self {
        Self::start_on(config, TestDatabase::create().await).await
    }

    /// Starts usher on `database` and waits until it accepts deliveries.
    pub async fn start_on(config: Config, database: TestDatabase) -> Self {
        Self::start_by(config, database, Clock::system()).await
    }

    /// The same on a machine whose clock is `clock`.
    pub async fn start_by(mut config: Config, database: TestDatabase, clock: Clock) -> Self {
        config.database.url = Some(Secret::new(database.url()));
        let Serving {
            url,
            end,
            lifecycle,
            sign_in_link,
        } = serve(config, clock, None).await;
        let http = Client::builder()
            .timeout(Duration::from_secs(20))
            .build()
            .expect("a client");
        let this = Self {
            url,
            database,
            http,
            sign_in_link,
            end,
            lifecycle,
        };
        eventually("usher is ready", Duration::from_secs(20), async || {
            let answer = this.http.get(format!("{}/readyz", this.url)).send().await;
            answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
        })
        .await;
        this
    }

    /// A delivery as Konnect sends it, but for the body's coding.
    pub fn delivery(&self, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.http
            .post(format!("{}/audit-logs", self.url))
            .header("Authorization", AUTHORIZATION)
            .header("Content-Type", "text/plain")
            .body(body)
    }

    /// Delivers `lines` and returns status and answer.
    pub async fn deliver(&self, lines: &[String]) -> (StatusCode, Value) {
        answer(
            self.delivery(lines.join("\n"))
                .send()
                .await
                .expect("an answer"),
        )
        .await
    }

    /// A page of the JSON API.
    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        let request = self
            .http
            .get(format!("{}{path}", self.url))
            .bearer_auth(CONSOLE_TOKEN);
        answer(request.send().await.expect("an answer")).await
    }

    /// The rows of a page of the JSON API.
    pub async fn rows(&self, path: &str) -> Vec<Value> {
        let (status, body) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body["data"].as_array().expect("a list").clone()
    }

    /// Ends usher as SIGTERM would, and hands the database over.
    pub async fn stop(self) -> TestDatabase {
        self.end.cancel();
        eventually("usher stops", Duration::from_secs(12), async || {
            self.lifecycle.stopping().is_cancelled()
        })
        .await;
        self.lifecycle.shut_down().await;
        self.database
    }

    /// Ends usher and drops its database.
    pub async fn finish(self) {
        self.stop().await.drop().await;
    }
}

async fn answer(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let text = response.text().await.expect("a body");
    (
        status,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}

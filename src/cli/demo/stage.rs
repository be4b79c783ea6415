//! Everything the demo runs on, set up and taken down.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use konnect_emulator::{DeliverySettings, Emulator, EmulatorConfig};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::app::{App, Surroundings};
use crate::cli::demo::people::{PARTNERS, Person};
use crate::cli::demo::story::{Story, Summary};
use crate::cli::{CliError, Output};
use crate::clock::{Clock, Ids};
use crate::config::{Config, Environment, load};
use crate::lifecycle::{Lifecycle, pause};
use crate::publish::InProcessBroker;
use crate::telemetry;

const TOPIC: &str = "konnect.audit-events";

/// The running parts.
pub(super) struct Stage {
    emulator: Emulator,
    broker: InProcessBroker,
    portal: Uuid,
    usher_url: String,
    console_token: String,
    story: Story,
    people: Lifecycle,
    usher: Lifecycle,
    end_usher: CancellationToken,
    folder: Folder,
}

/// Where the demo keeps its files.
struct Folder {
    path: PathBuf,
    temporary: bool,
}

impl Stage {
    /// Starts every part, the webhook bound and the rules in force.
    pub(super) async fn set(
        data_dir: Option<PathBuf>,
        environment: &Environment,
    ) -> Result<Self, CliError> {
        let ids = Ids::new(Clock::system());
        let folder = Folder::open(data_dir, environment)?;
        let token = format!("kpat_{}", Ids::secret());
        let config = EmulatorConfig {
            token: token.clone(),
            ..EmulatorConfig::default()
        };
        let emulator = Emulator::start(config)
            .await
            .context("could not start the emulator")?;
        let broker = InProcessBroker::start(TOPIC, 3)
            .await
            .context("could not start the broker")?;

        let authorization = format!("Bearer {}", Ids::secret());
        let console_token = Ids::secret();
        let portal = ids.next();
        seed(&emulator, portal)?;
        let rules = folder.path.join("rules.yaml");
        fs::write(&rules, rules_file()).context("could not write the demo's rules")?;
        let config = configure(&[
            ("USHER_KONNECT__BASE_URL", &emulator.url()),
            ("USHER_KONNECT__TOKEN", &token),
            (
                "USHER_KONNECT__PRINCIPAL_ID",
                &emulator.principal_id().to_string(),
            ),
            ("USHER_KONNECT__REQUESTS_PER_SECOND", "50"),
            // A sign-up leaves no entry in any log: only looking finds it.
            ("USHER_OBSERVE__PENDING_EVERY", "1s"),
            ("USHER_OBSERVE__ALL_EVERY", "30s"),
            (
                "USHER_INGEST__AUTHORIZATION",
                &json!([authorization]).to_string(),
            ),
            ("USHER_INGEST__VERIFY", "require"),
            ("USHER_DATABASE__EMBEDDED", "true"),
            (
                "USHER_DATABASE__DATA_DIR",
                &folder.path.join("postgres").display().to_string(),
            ),
            ("USHER_KAFKA__BROKERS", broker.brokers()),
            ("USHER_KAFKA__TOPIC", TOPIC),
            ("USHER_RULES__PATH", &rules.display().to_string()),
            (
                "USHER_CONSOLE__TOKENS",
                &json!([{"name": "demo", "role": "operator", "token": console_token}]).to_string(),
            ),
        ])?;

        let usher = Lifecycle::new();
        let app = build(config, &usher, environment).await?;
        let address = app.address().context("could not tell the address")?;
        let usher_url = format!("http://{address}");
        bind_webhook(&emulator, portal, &usher_url, &authorization)?;
        let story = Story::new(
            app.journal().clone(),
            app.directory().clone(),
            app.actions().clone(),
            app.published(),
            Clock::system(),
        );
        let end_usher = CancellationToken::new();
        let ended = end_usher.clone();
        let people = Lifecycle::new();
        people.spawn("usher", serve(app, ended));
        Ok(Self {
            emulator,
            broker,
            portal,
            usher_url,
            console_token,
            story,
            people,
            usher,
            end_usher,
            folder,
        })
    }

    /// What somebody can try while the demo runs.
    pub(super) fn where_to_look(&self) -> String {
        let Self {
            usher_url,
            console_token,
            ..
        } = self;
        let emulator = self.emulator.url();
        let brokers = self.broker.brokers();
        format!(
            "usher answers at {usher_url}, its local Konnect at {emulator}, Kafka at {brokers} (topic {TOPIC})\n\
             look: curl -H 'Authorization: Bearer {console_token}' '{usher_url}/api/v1/actions?limit=5'\n\
             also: /api/v1/events, /api/v1/deliveries, /api/v1/quarantine, /readyz, /metrics\n\
             trusted domains: {}; Ctrl-C ends the demo",
            PARTNERS.join(", ")
        )
    }

    /// Lets people come until `end`, shows what happens to them, and takes everything down.
    pub(super) async fn play(
        self,
        output: Output,
        end: impl Future<Output = ()>,
    ) -> Result<Summary, CliError> {
        let story = Arc::new(Mutex::new(self.story));
        let stopping = self.people.stopping();
        let crowd = Crowd {
            emulator_url: self.emulator.url(),
            portal: self.portal,
            story: Arc::clone(&story),
            output,
            people: self.people.clone(),
        };
        self.people.spawn("crowd", crowd.come(stopping.clone()));
        let teller = Arc::clone(&story);
        self.people.spawn("story", async move {
            while !pause(Story::LOOK_EVERY, &stopping).await {
                teller.lock().await.look(output).await;
            }
        });
        end.await;
        self.people.stop();
        let mut story = story.lock().await;
        story.look(output).await;
        let summary = story.summary().await?;
        self.end_usher.cancel();
        self.people.shut_down().await;
        self.usher.shut_down().await;
        self.emulator.stop().await;
        self.folder.close();
        Ok(summary)
    }
}

/// Who comes to the portal, one after the other.
struct Crowd {
    emulator_url: String,
    portal: Uuid,
    story: Arc<Mutex<Story>>,
    output: Output,
    people: Lifecycle,
}

impl Crowd {
    async fn come(self, stopping: CancellationToken) {
        let http = Client::builder()
            .timeout(std::time::Duration::from_secs(10))
            .build();
        let Ok(http) = http else { return };
        for number in 0.. {
            let person = Person::visitor(number, &self.emulator_url, self.portal, http.clone());
            let (story, stopping) = (Arc::clone(&self.story), stopping.clone());
            let output = self.output;
            self.people.spawn("person", async move {
                if let Err(error) = Story::follow(&story, person, output, &stopping).await {
                    Output::complain(&format!("somebody could not go on: {error:#}"));
                }
            });
            if pause(Story::NEXT_PERSON_AFTER, &self.people.stopping()).await {
                return;
            }
        }
    }
}

fn configure(variables: &[(&str, &str)]) -> Result<Config, CliError> {
    Ok(load(None, &Environment::of(variables))?)
}

/// Serves until `ended`.
async fn serve(app: App, ended: CancellationToken) {
    let until = async move { ended.cancelled().await };
    if let Err(error) = app.run(until).await {
        Output::complain(&error.to_string());
    }
}

/// Takes the usual port where it is free, else any.
async fn build(
    mut config: Config,
    usher: &Lifecycle,
    environment: &Environment,
) -> Result<App, CliError> {
    if tokio::net::TcpListener::bind(config.http.listen)
        .await
        .is_err()
    {
        config.http.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    }
    let metrics = telemetry::metrics::install().context("could not install the metrics")?;
    let surroundings = Surroundings {
        clock: Clock::system(),
        lifecycle: usher.clone(),
        search_path: environment.path().into(),
        metrics: Some(metrics),
    };
    Ok(App::build(config, surroundings).await?)
}

fn seed(emulator: &Emulator, portal: Uuid) -> Result<Value, CliError> {
    let made = emulator.seed(&json!({
        "portals": [{ "id": portal, "name": "Football APIs" }],
        "apis": [{ "name": "Fixtures", "portal_id": portal }],
        "teams": [{ "portal_id": portal, "name": "Partners" }],
    }));
    Ok(made.context("could not seed the emulator")?)
}

fn bind_webhook(
    emulator: &Emulator,
    portal: Uuid,
    usher_url: &str,
    authorization: &str,
) -> Result<(), CliError> {
    let destination = Uuid::from_u128(portal.as_u128() ^ 1);
    emulator
        .seed(&json!({
            "destinations": [{
                "id": destination,
                "name": format!("usher-{portal}"),
                "endpoint": format!("{usher_url}/audit-logs"),
                "authorization": authorization,
                "log_format": "json",
            }],
            "webhooks": [{
                "portal_id": portal, "audit_log_destination_id": destination, "enabled": true,
            }],
        }))
        .context("could not bind the webhook")?;
    let quick = DeliverySettings {
        flush_every_ms: 200,
        ..emulator.delivery_settings()
    };
    Ok(emulator
        .set_delivery_settings(&quick)
        .context("could not set the pace of deliveries")?)
}

fn rules_file() -> String {
    format!(
        r#"version: 1
lists:
  partners: [{}]
rules:
  - name: partner-clubs
    on: developer.signed_up
    when: developer.status == "pending" && domain(developer.email) in lists.partners
    then: [approve_developer, {{add_to_team: Partners}}]
    limit_per_hour: 0
  - name: fixtures-api
    on: registration.requested
    when: registration.api.name == "Fixtures" && developer.teams.exists(t, t.name == "Partners")
    then: [approve_registration]
    limit_per_hour: 0
"#,
        PARTNERS.join(", ")
    )
}

impl Folder {
    /// The folder that is wanted, or a temporary one.
    fn open(wanted: Option<PathBuf>, environment: &Environment) -> Result<Self, CliError> {
        let temporary = wanted.is_none();
        let path = wanted.unwrap_or_else(|| {
            environment
                .temp_dir()
                .join(format!("usher-{}", &Ids::secret()[..8]))
        });
        let made = fs::create_dir_all(&path).and_then(|()| {
            // Postgres runs as another user where usher runs as root, and must get through.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o711))
        });
        made.with_context(|| format!("could not make the folder {}", path.display()))?;
        let path = fs::canonicalize(&path)
            .with_context(|| format!("could not find the folder {}", path.display()))?;
        Ok(Self { path, temporary })
    }

    fn close(&self) {
        if self.temporary {
            remove(&self.path);
        }
    }
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_dir_all(path) {
        Output::complain(&format!("could not remove {}: {error}", path.display()));
    }
}

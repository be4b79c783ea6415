//! Everything the demo runs on, set up and taken down.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use konnect_emulator::{DeliverySettings, Emulator, EmulatorConfig};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::app::{App, AppError, Surroundings};
use crate::cli::demo::folder::Folder;
use crate::cli::demo::people::{PARTNERS, Person};
use crate::cli::demo::story::{Parts, Story, Summary};
use crate::cli::{CliError, Output};
use crate::clock::{Clock, Ids};
use crate::config::{Config, Environment, load};
use crate::journal::Journal;
use crate::journal::embedded::{EmbeddedConfig, EmbeddedPostgres};
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
    postgres: EmbeddedPostgres,
    /// Last, so that nothing runs in it any more when it is removed.
    folder: Folder,
}

impl Stage {
    /// Starts every part, the webhook bound and the rules in force.
    ///
    /// Where that fails, or `usher` is asked to stop, nothing is left behind.
    pub(super) async fn set(
        data_dir: Option<PathBuf>,
        environment: &Environment,
        usher: &Lifecycle,
    ) -> Result<Self, CliError> {
        let folder = Folder::open(data_dir, environment)?;
        let wanted = EmbeddedConfig {
            data_dir: folder.path().join("postgres"),
            bin_dir: None,
        };
        let search_path = environment.path().as_ref();
        // Started here and not by the app, which must be built again where its port was taken.
        let postgres = EmbeddedPostgres::start(wanted, search_path, &usher.stopping())
            .await
            .context("could not start the database")?;
        if postgres.is_joined() {
            return Err(CliError::Usage(format!(
                "another demo runs in {}",
                folder.path().display()
            )));
        }
        let furnished = Furniture::arrange(&folder, postgres.url(), environment, usher).await;
        let Furniture {
            emulator,
            broker,
            portal,
            usher_url,
            console_token,
            story,
            app,
        } = match furnished {
            Ok(furniture) => furniture,
            Err(error) => {
                stop(postgres).await;
                return Err(error);
            }
        };
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
            usher: usher.clone(),
            end_usher,
            postgres,
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
             also: /api/v1/events, /api/v1/reports/funnel, /api/v1/deliveries, /api/v1/quarantine, /docs, /readyz, /metrics\n\
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
        Output::progress("stopping…");
        self.people.stop();
        let summary = {
            let mut story = story.lock().await;
            story.look(output).await;
            story.summary().await
        };
        self.end_usher.cancel();
        self.people.shut_down().await;
        self.usher.shut_down().await;
        self.emulator.stop().await;
        stop(self.postgres).await;
        drop(self.folder);
        summary
    }

    /// Takes everything down before anybody came.
    pub(super) async fn strike(self) {
        self.end_usher.cancel();
        self.people.shut_down().await;
        self.usher.shut_down().await;
        self.emulator.stop().await;
        stop(self.postgres).await;
    }
}

/// Makes the tables that usher would make while its first deliveries come in: those would be refused,
/// and a demo may end before that.
async fn make_tables(database_url: &str) -> Result<(), CliError> {
    let could_not = "could not prepare the database";
    let journal = Journal::open(database_url).context(could_not)?;
    journal.migrate().await.context(could_not)?;
    journal.close().await;
    Ok(())
}

async fn stop(postgres: EmbeddedPostgres) {
    if let Err(error) = postgres.stop().await {
        Output::complain(&format!("could not stop the database: {error}"));
    }
}

/// What stands on the stage beside the database, before anything runs.
struct Furniture {
    emulator: Emulator,
    broker: InProcessBroker,
    portal: Uuid,
    usher_url: String,
    console_token: String,
    story: Story,
    app: App,
}

impl Furniture {
    async fn arrange(
        folder: &Folder,
        database_url: &str,
        environment: &Environment,
        usher: &Lifecycle,
    ) -> Result<Self, CliError> {
        make_tables(database_url).await?;
        let ids = Ids::new(Clock::system());
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
        let rules = folder.path().join("rules.yaml");
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
            ("USHER_DATABASE__URL", database_url),
            ("USHER_KAFKA__BROKERS", broker.brokers()),
            ("USHER_KAFKA__TOPIC", TOPIC),
            ("USHER_RULES__PATH", &rules.display().to_string()),
            (
                "USHER_CONSOLE__TOKENS",
                &json!([{"name": "demo", "role": "operator", "token": console_token}]).to_string(),
            ),
        ])?;

        let app = build(config, usher, environment).await?;
        let address = app.address().context("could not tell the address")?;
        let usher_url = format!("http://{address}");
        bind_webhook(&emulator, portal, &usher_url, &authorization)?;
        let journal = app.journal().clone();
        // What an earlier demo stored.
        let stored_before = if folder.is_reused() {
            let stored = journal.stored_events().await;
            stored.context("could not count the events")?
        } else {
            0
        };
        let story = Story::new(Parts {
            portal,
            journal,
            directory: app.directory().clone(),
            queue: app.actions().clone(),
            published: app.published(),
            clock: Clock::system(),
            stored_before,
        });
        Ok(Self {
            emulator,
            broker,
            portal,
            usher_url,
            console_token,
            story,
            app,
        })
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
    let metrics = telemetry::metrics::install().context("could not install the metrics")?;
    let surroundings = Surroundings {
        clock: Clock::system(),
        lifecycle: usher.clone(),
        search_path: environment.path().into(),
        metrics: Some(metrics),
    };
    match App::build(config.clone(), surroundings.clone()).await {
        Err(AppError::Listen { .. }) => {
            config.http.listen = SocketAddr::from(([127, 0, 0, 1], 0));
            Ok(App::build(config, surroundings).await?)
        }
        built => Ok(built?),
    }
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

//! Everything the demo runs on, set up and taken down.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use embedded_postgres::{EmbeddedConfig, EmbeddedPostgres};
use konnect_emulator::{DeliverySettings, Emulator};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::app::{App, AppError, Surroundings};
use crate::cli::demo::folder::Folder;
use crate::cli::demo::history::{History, Place, TEAM};
use crate::cli::demo::people::{PARTNERS, Person, next_after};
use crate::cli::demo::settings::{Settings, TOPIC, command};
use crate::cli::demo::story::{Parts, Story, Summary};
use crate::cli::{CliError, Output};
use crate::clock::{Clock, Ids};
use crate::config::{Config, Environment};
use crate::journal::Journal;
use crate::lifecycle::{Lifecycle, pause};
use crate::publish::InProcessBroker;
use crate::telemetry;

/// The running parts.
pub(super) struct Stage {
    emulator: Emulator,
    broker: InProcessBroker,
    portal: Uuid,
    usher_url: String,
    sign_in_link: String,
    console_token: String,
    story: Story,
    people: Lifecycle,
    usher: Lifecycle,
    end_usher: CancellationToken,
    postgres: EmbeddedPostgres,
    /// What the journal contains to begin with.
    record: String,
    /// Last, so that nothing runs in it any more when it is removed.
    folder: Folder,
}

impl Stage {
    /// Starts every part, the webhook bound and the rules in force.
    ///
    /// If that fails, or `usher` is asked to stop, nothing is left behind.
    pub(super) async fn set(
        data_dir: Option<PathBuf>,
        is_empty: bool,
        environment: &Environment,
        usher: &Lifecycle,
    ) -> Result<Self, CliError> {
        let folder = Folder::open(data_dir, environment)?;
        let wanted = EmbeddedConfig {
            data_dir: folder.path().join("postgres"),
            bin_dir: None,
        };
        let search_path = environment.path().as_ref();
        // Started here and not by the app, which must be built again if its port was taken.
        let postgres = EmbeddedPostgres::start(wanted, search_path, &usher.stopping())
            .await
            .context("could not start the database")?;
        if postgres.is_joined() {
            return Err(CliError::Usage(format!(
                "another demo runs in {}",
                folder.path().display()
            )));
        }
        // What an earlier demo left is history enough.
        let history = (!is_empty && !folder.is_reused()).then(|| History::new(Clock::system()));
        let history = history.as_ref();
        let furnished =
            DemoServices::arrange(&folder, postgres.url(), history, environment, usher).await;
        let DemoServices {
            emulator,
            broker,
            portal,
            usher_url,
            sign_in_link,
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
        let journal = app.journal().clone();
        people.spawn("usher", serve(app, ended));
        let mut this = Self {
            emulator,
            broker,
            portal,
            usher_url,
            sign_in_link,
            console_token,
            story,
            people,
            usher: usher.clone(),
            end_usher,
            postgres,
            folder,
            record: String::new(),
        };
        if let Some(history) = history {
            let stopping = usher.stopping();
            let signed_in = history.sign_in(&this.emulator, &journal, portal, &stopping);
            match signed_in.await {
                Ok(record) => this.record = record + "\n",
                Err(error) => {
                    this.strike().await;
                    return Err(error.into());
                }
            }
        }
        Ok(this)
    }

    /// What somebody can try while the demo runs.
    pub(super) fn where_to_look(&self) -> String {
        let Self {
            usher_url,
            sign_in_link,
            console_token,
            record,
            ..
        } = self;
        let emulator = self.emulator.url();
        let brokers = self.broker.brokers();
        let command = command();
        let config = Settings::path(self.folder.path());
        let config = config.display();
        format!(
            "usher answers at {usher_url}, its local Konnect at {emulator}, Kafka at {brokers} (topic {TOPIC})\n\
             {record}see: {usher_url}{sign_in_link} (signs you in, once and within five minutes)\n\
             ask: {command} report funnel --config {config}\n\
             look: curl -H 'Authorization: Bearer {console_token}' '{usher_url}/api/v1/actions?limit=5'\n\
             also: /api/v1/events, /api/v1/reports, /api/v1/deliveries, /api/v1/quarantine, /docs, /readyz, /metrics\n\
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
        let crowd = Arrivals {
            emulator_url: self.emulator.url(),
            portal: self.portal,
            story: Arc::clone(&story),
            output,
            people: self.people.clone(),
        };
        self.people.spawn("crowd", crowd.come(stopping.clone()));
        let teller = Arc::clone(&story);
        self.people.spawn("story", async move {
            while !pause(Story::CHECK_EVERY, &stopping).await {
                teller.lock().await.poll(output).await;
            }
        });
        end.await;
        Output::progress("stopping…");
        self.people.stop();
        let summary = {
            let mut story = story.lock().await;
            story.poll(output).await;
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

async fn stop(postgres: EmbeddedPostgres) {
    if let Err(error) = postgres.stop().await {
        Output::complain(&format!("could not stop the database: {error}"));
    }
}

/// What runs beside the database, before usher does.
struct DemoServices {
    emulator: Emulator,
    broker: InProcessBroker,
    portal: Uuid,
    usher_url: String,
    sign_in_link: String,
    console_token: String,
    story: Story,
    app: App,
}

impl DemoServices {
    async fn arrange(
        folder: &Folder,
        database_url: &str,
        history: Option<&History>,
        environment: &Environment,
        usher: &Lifecycle,
    ) -> Result<Self, CliError> {
        let could_not = "could not prepare the database";
        let journal = Journal::open(database_url).context(could_not)?;
        // usher would make them while its first deliveries come in: those would be refused, and a
        // demo may end before that.
        journal.migrate().await.context(could_not)?;
        let ids = Ids::new(Clock::system());
        let token = format!("kpat_{}", Ids::secret());
        let emulator = Emulator::builder()
            .token(token.clone())
            .start()
            .await
            .context("could not start the emulator")?;
        let broker = InProcessBroker::start(TOPIC, 3)
            .await
            .context("could not start the broker")?;

        let authorization = format!("Bearer {}", Ids::secret());
        let console_token = Ids::secret();
        let place = Place {
            portal: ids.next(),
            api: ids.next(),
            team: ids.next(),
        };
        let portal = place.portal;
        seed(&emulator, place)?;
        if let Some(history) = history {
            history.write(&emulator, &journal, place).await?;
        }
        journal.close().await;
        let settings = Settings {
            konnect: &emulator,
            konnect_token: &token,
            authorization: &authorization,
            database_url,
            brokers: broker.brokers(),
            console_token: &console_token,
        };
        let config = settings.write(folder.path())?;

        let app = build(config, usher, environment).await?;
        let address = app.address().context("could not read the address")?;
        let usher_url = format!("http://{address}");
        let sign_in_link = app.sign_in_link().unwrap_or_default();
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
            began: Clock::system().now(),
            stored_before,
        });
        Ok(Self {
            emulator,
            broker,
            portal,
            usher_url,
            sign_in_link,
            console_token,
            story,
            app,
        })
    }
}

/// So many outsiders wait at once. More would only add log-ins that fail.
const MOST_OUTSIDERS: usize = 6;

/// Who comes to the portal, one after the other.
struct Arrivals {
    emulator_url: String,
    portal: Uuid,
    story: Arc<Mutex<Story>>,
    output: Output,
    people: Lifecycle,
}

impl Arrivals {
    async fn come(self, stopping: CancellationToken) {
        let http = Client::builder()
            .timeout(std::time::Duration::from_secs(10))
            .build();
        let Ok(http) = http else { return };
        let seats = Arc::new(Semaphore::new(MOST_OUTSIDERS));
        for number in 0.. {
            let person = Person::visitor(number, &self.emulator_url, self.portal, http.clone());
            let seat = if person.is_partner() {
                None
            } else {
                // Without one it is the next visitor's turn.
                let Ok(seat) = Arc::clone(&seats).try_acquire_owned() else {
                    continue;
                };
                Some(seat)
            };
            let (story, stopping) = (Arc::clone(&self.story), stopping.clone());
            let output = self.output;
            self.people.spawn("person", async move {
                if let Err(error) = Story::follow(&story, person, output, &stopping).await {
                    Output::complain(&format!("somebody could not go on: {error:#}"));
                }
                // Free once they are let in or give up.
                drop(seat);
            });
            if pause(next_after(number), &self.people.stopping()).await {
                return;
            }
        }
    }
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

fn seed(emulator: &Emulator, place: Place) -> Result<Value, CliError> {
    let Place { portal, api, team } = place;
    let made = emulator.seed(&json!({
        "portals": [{ "id": portal, "name": "Football APIs" }],
        "apis": [{ "id": api, "name": "Fixtures", "portal_id": portal }],
        "teams": [{ "id": team, "portal_id": portal, "name": TEAM }],
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

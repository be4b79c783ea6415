//! What the demo's journal contains of the three weeks before: people who came, decisions of rules
//! and people, and log-ins. usher's own modules write objects and deeds with a clock of that time.
//! Log-ins are signed and delivered by the emulator, late, as a replay would be.

mod people;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use chrono::{DateTime, TimeDelta, Utc};
use konnect::{DeveloperId, PortalId};
use konnect_emulator::Emulator;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::act::{NewChain, NewStep, Queue, Target};
use crate::cli::demo::history::people::{Answer, Application, Newcomer, Registration};
use crate::clock::{Clock, Ids};
use crate::directory::{Directory, Scope, Snapshot};
use crate::event::Signal;
use crate::journal::{EventFilter, Journal, ReaderName};
use crate::rules::{Deed, Mode, OnLimit, TeamRef};

/// The team of the partners.
pub(super) const TEAM: &str = "Partners";
/// How often it is checked whether the log-ins were stored, and for how long.
const CHECK_EVERY: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(30);

/// The portal and what everybody asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) portal: Uuid,
    pub(super) api: Uuid,
    pub(super) team: Uuid,
}

/// The three weeks before the demo.
pub(super) struct History {
    people: Vec<Newcomer>,
    clock: Clock,
    now: DateTime<Utc>,
}

/// Writes the history, moment by moment.
struct HistoryWriter<'a> {
    emulator: &'a Emulator,
    place: Place,
    journal: &'a Journal,
    directory: Directory,
    queue: Queue,
    /// Milliseconds since 1970 that `directory` and `queue` take for now.
    moment: Arc<AtomicI64>,
    system: &'a Clock,
    /// What the API returns for each object that was made.
    objects: HashMap<Uuid, Value>,
}

/// Something that happened.
#[derive(Debug, Clone, Copy)]
enum Moment<'a> {
    Came(&'a Newcomer),
    Answered(&'a Newcomer, Answer),
    Made(&'a Newcomer, &'a Application),
    Asked(&'a Application, &'a Registration),
    Granted(&'a Application, &'a Registration, Answer),
}

impl History {
    /// The three weeks before now.
    pub(super) fn new(clock: Clock) -> Self {
        let now = clock.now();
        Self {
            people: people::people(now, &Ids::new(clock.clone())),
            clock,
            now,
        }
    }

    /// Makes everybody have come: at the emulator, and in usher's own tables. Nothing may run yet.
    pub(super) async fn write(
        &self,
        emulator: &Emulator,
        journal: &Journal,
        place: Place,
    ) -> anyhow::Result<()> {
        let moment = Arc::new(AtomicI64::new(0));
        let of_then = Arc::clone(&moment);
        let clock = Clock::from_fn(move || {
            DateTime::from_timestamp_millis(of_then.load(Ordering::Relaxed)).unwrap_or_default()
        });
        let ids = Ids::new(clock.clone());
        let mut writer = HistoryWriter {
            emulator,
            place,
            journal,
            directory: Directory::new(journal.clone(), clock.clone(), ids.clone()),
            queue: Queue::new(journal.clone(), clock, ids),
            moment,
            system: &self.clock,
            objects: HashMap::new(),
        };
        // They receive it when they run; `react` must not, for all of it was decided.
        let readers = [ReaderName::Kafka, ReaderName::Report];
        let active = journal.activate_readers(&readers).await;
        active.context("could not prepare the readers")?;
        let mut moments: Vec<(DateTime<Utc>, Moment<'_>)> =
            self.people.iter().flat_map(moments).collect();
        moments.sort_by_key(|(at, _)| *at);
        if let Some((first, _)) = moments.first() {
            writer.open(*first - TimeDelta::hours(1)).await?;
        }
        for (at, moment) in moments {
            writer.set(at);
            writer.write(moment).await?;
        }
        writer.emulator.set_clock_offset(0);
        Ok(())
    }

    /// Has the emulator deliver how they signed in, and waits until usher has stored it; returns
    /// what there is to see then.
    pub(super) async fn sign_in(
        &self,
        emulator: &Emulator,
        journal: &Journal,
        portal: Uuid,
        stopping: &CancellationToken,
    ) -> anyhow::Result<String> {
        let entries = people::log_ins(&self.people, self.now);
        let could_not = "could not count the events";
        let before = journal.stored_events().await.context(could_not)?;
        let wanted = before + i64::try_from(entries.len()).unwrap_or(i64::MAX);
        emulator
            .inject(Some(portal), &entries)
            .context("could not sign in")?;
        let stored = async {
            while journal.stored_events().await.context(could_not)? < wanted {
                tokio::time::sleep(CHECK_EVERY).await;
            }
            anyhow::Ok(())
        };
        let stored = tokio::select! {
            // usher stores nothing any more.
            () = stopping.cancelled() => bail!("stopped before the past had come in"),
            stored = tokio::time::timeout(PATIENCE, stored) => stored,
        };
        stored.context("the log-ins of the last three weeks did not come in")??;
        Ok(format!(
            "in the record: the last three weeks, in which {} people came and tried {} times to sign in",
            self.people.len(),
            entries.len()
        ))
    }
}

/// What happened to somebody, the earliest first.
fn moments(person: &Newcomer) -> Vec<(DateTime<Utc>, Moment<'_>)> {
    let mut moments = vec![(person.came, Moment::Came(person))];
    moments.extend(
        person
            .answer
            .map(|it| (it.at, Moment::Answered(person, it))),
    );
    let Some(application) = &person.application else {
        return moments;
    };
    moments.push((application.made, Moment::Made(person, application)));
    let Some(asked) = &application.registration else {
        return moments;
    };
    moments.push((asked.asked, Moment::Asked(application, asked)));
    let granted = |it: Answer| (it.at, Moment::Granted(application, asked, it));
    moments.extend(asked.answer.map(granted));
    moments
}

impl HistoryWriter<'_> {
    /// Sets the clocks to this time, the emulator's too.
    fn set(&self, at: DateTime<Utc>) {
        self.moment.store(at.timestamp_millis(), Ordering::Relaxed);
        let away = (at - self.system.now()).num_milliseconds();
        // Rounded down: nobody is let in before they came.
        self.emulator.set_clock_offset(away.div_euclid(1_000));
    }

    /// The first sweep, before anybody came: a person who comes later is new.
    async fn open(&self, at: DateTime<Utc>) -> anyhow::Result<()> {
        self.set(at);
        self.store(Snapshot::empty(PortalId(self.place.portal), Scope::All))
            .await
    }

    async fn write(&mut self, moment: Moment<'_>) -> anyhow::Result<()> {
        match moment {
            Moment::Came(person) => self.came(person).await,
            Moment::Answered(person, answer) => self.answered(person, answer).await,
            Moment::Made(person, application) => self.made(person, application).await,
            Moment::Asked(application, registration) => self.asked(application, registration).await,
            Moment::Granted(application, registration, answer) => {
                self.granted(application, registration, answer).await
            }
        }
    }

    async fn came(&mut self, person: &Newcomer) -> anyhow::Result<()> {
        let status = person.answer.map_or("pending", status);
        let teams: &[&str] = match person.answer {
            Some(answer) if answer.by_usher => &[TEAM],
            _ => &[],
        };
        self.seed(
            "developers",
            person.id,
            json!({
                "portal_id": self.place.portal, "email": person.email, "full_name": person.full_name,
                "status": status, "teams": teams,
            }),
        )?;
        let developer = self.shown::<konnect::Developer>(person.id, "pending")?;
        let mut shown = self.snapshot();
        shown.developers.push(developer);
        self.store(shown).await
    }

    async fn answered(&mut self, person: &Newcomer, answer: Answer) -> anyhow::Result<()> {
        let cause = self.cause(person.id, "developer.signed_up").await?;
        if answer.by_usher {
            let target = Target::Developer { id: person.id };
            let join = Deed::AddToTeam {
                team: TeamRef::Name(TEAM.to_owned()),
                create: false,
            };
            let deeds = vec![(Deed::ApproveDeveloper, target), (join, target)];
            self.remember(
                "partner-clubs",
                "developer.signed_up",
                person.id,
                cause,
                deeds,
            )
            .await?;
        }
        let developer = self.shown(person.id, status(answer))?;
        let mut shown = self.snapshot();
        shown.developers.push(developer);
        if answer.by_usher {
            let membership = (self.place.team.into(), DeveloperId(person.id));
            shown.memberships.push(membership);
        }
        self.store(shown).await
    }

    async fn made(&mut self, person: &Newcomer, application: &Application) -> anyhow::Result<()> {
        self.seed(
            "applications",
            application.id,
            json!({
                "portal_id": self.place.portal, "name": application.name,
                "owner": { "type": "developer", "id": person.id },
            }),
        )?;
        let mut shown = self.snapshot();
        shown.applications.push(self.shown(application.id, "")?);
        self.store(shown).await
    }

    async fn asked(
        &mut self,
        application: &Application,
        registration: &Registration,
    ) -> anyhow::Result<()> {
        let status = registration.answer.map_or("pending", status);
        self.seed(
            "registrations",
            registration.id,
            json!({ "application_id": application.id, "api_id": self.place.api, "status": status }),
        )?;
        let mut shown = self.snapshot();
        shown
            .registrations
            .push(self.shown(registration.id, "pending")?);
        self.store(shown).await
    }

    async fn granted(
        &mut self,
        application: &Application,
        registration: &Registration,
        answer: Answer,
    ) -> anyhow::Result<()> {
        if answer.by_usher {
            let target = Target::Registration {
                id: registration.id,
                application_id: application.id,
            };
            let deeds = vec![(Deed::ApproveRegistration, target)];
            let signal = "registration.requested";
            self.remember("fixtures-api", signal, registration.id, None, deeds)
                .await?;
        }
        let mut shown = self.snapshot();
        shown
            .registrations
            .push(self.shown(registration.id, status(answer))?);
        self.store(shown).await
    }

    /// Makes an object at the emulator, and keeps what the API returns for it.
    fn seed(&mut self, section: &str, id: Uuid, mut object: Value) -> anyhow::Result<()> {
        object["id"] = json!(id);
        let made = self.emulator.seed(&json!({ section: [object] }));
        let mut made = made.with_context(|| format!("could not seed the emulator's {section}"))?;
        self.objects.insert(id, made[section][0].take());
        Ok(())
    }

    /// What the API would return for an object with this status.
    fn shown<T: DeserializeOwned>(&self, id: Uuid, status: &str) -> anyhow::Result<T> {
        let mut object = self.objects.get(&id).cloned().unwrap_or_default();
        if !status.is_empty() {
            object["status"] = json!(status);
        }
        serde_json::from_value(object).context("could not read what the emulator says")
    }

    /// A sweep that shows single objects.
    fn snapshot(&self) -> Snapshot {
        Snapshot::empty(PortalId(self.place.portal), Scope::Direct)
    }

    async fn store(&self, shown: Snapshot) -> anyhow::Result<()> {
        let could_not = "could not write down what was seen";
        let look = self.directory.begin(shown.portal_id).await;
        let stored = self.directory.store(look.context(could_not)?, &shown).await;
        stored.context(could_not).map(drop)
    }

    /// The event that reports this of somebody.
    async fn cause(&self, developer: Uuid, name: &str) -> anyhow::Result<Option<Uuid>> {
        let filter = EventFilter {
            principal_id: Some(developer.to_string()),
            name: Some(name.to_owned()),
            ..EventFilter::default()
        };
        let found = self.journal.search(&filter, None, 1).await;
        let found = found.context("could not read what was seen")?;
        Ok(found.first().map(|event| event.id.as_uuid()))
    }

    async fn remember(
        &self,
        rule: &str,
        signal: &str,
        object: Uuid,
        cause: Option<Uuid>,
        deeds: Vec<(Deed, Target)>,
    ) -> anyhow::Result<()> {
        let steps = deeds.into_iter().map(|(deed, target)| NewStep {
            deed,
            target,
            owned_by: None,
        });
        let chain = NewChain {
            portal_id: self.place.portal,
            rule: rule.to_owned(),
            mode: Mode::Live,
            limit_per_hour: 0,
            on_limit: OnLimit::Delay,
            signal: signal.to_owned(),
            signal_key: Signal::key_of_object(object),
            causes: cause.into_iter().collect(),
            facts: json!({}),
            steps: steps.collect(),
        };
        let remembered = self.queue.remember(&chain).await;
        remembered.context("could not write down what was done")
    }
}

/// The status that an answer gives.
fn status(answer: Answer) -> &'static str {
    if answer.is_yes {
        "approved"
    } else {
        "rejected"
    }
}

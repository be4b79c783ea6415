//! What Konnect answers, asked once for several checks: portals, webhooks, keys, and what time it
//! is there. Only reads, and each of them once.

use std::num::NonZeroU32;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use konnect::{
    Budget, Class, Client, Destination, ListApplications, ListDevelopers, ListPortals,
    ListRegistrations, ListTeams, PortalId, RetryPolicy, Webhook, WebhookStatus,
};
use secrecy::SecretString;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::clock::Clock;
use crate::config::{Config, KonnectConfig, OrgLogs};

/// For one call.
const CALL_WITHIN: Duration = Duration::from_secs(3);
/// Calls about each portal: four lists, its webhook with the status, and the destination.
const CALLS_A_PORTAL: u32 = 7;
/// Seconds in which all calls are made, at the rate that is configured.
const CALLING_SECONDS: u32 = 4;
/// Calls that are about no portal.
const OTHER_CALLS: u32 = 2;
/// Calls about the organisation's log: its webhook with the status, and the destination.
const CALLS_OF_THE_ORGANISATION: u32 = 3;

/// A call that was not answered as it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    /// The status; none where there was no answer.
    pub(super) status: Option<u16>,
    /// What happened, without any value.
    pub(super) why: String,
}

impl From<konnect::Error> for Refused {
    fn from(error: konnect::Error) -> Self {
        Self {
            status: error.status(),
            why: crate::telemetry::chain(&error),
        }
    }
}

/// A portal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SeenPortal {
    pub(super) id: Uuid,
    pub(super) name: String,
}

/// A log that has a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SeenLog {
    /// That of a portal.
    Portal(SeenPortal),
    /// The organisation's.
    Organisation,
}

impl SeenLog {
    /// Whose it is, for people.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Portal(portal) => &portal.name,
            Self::Organisation => "the organisation",
        }
    }

    /// The command that has its webhook lead to usher.
    pub(super) fn setup(&self) -> String {
        match self {
            Self::Portal(SeenPortal { id, .. }) => {
                format!("`usher setup --portal {id} --public-url URL`")
            }
            Self::Organisation => "`usher setup --org --public-url URL`".to_owned(),
        }
    }

    /// The name that `usher setup` gives to its destination.
    pub(super) fn destination(&self) -> String {
        match self {
            Self::Portal(portal) => format!("usher-{}", portal.id),
            Self::Organisation => "usher-org".to_owned(),
        }
    }
}

/// The portals that usher is for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SeenPortals {
    /// Those that are looked at.
    pub(super) asked: Vec<SeenPortal>,
    /// How many more there are, which are left out for want of time.
    pub(super) left_out: usize,
    /// Those that `konnect.portals` names and the token does not see.
    pub(super) missing: Vec<Uuid>,
}

/// A list that was asked for one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AskedList {
    pub(super) what: &'static str,
    pub(super) portal: SeenPortal,
    pub(super) answer: Result<(), Refused>,
}

/// The webhook of a log.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) log: SeenLog,
    pub(super) webhook: Result<Option<Webhook>, Refused>,
    /// Where the webhook leads; none where it leads nowhere.
    pub(super) destination: Option<Result<Destination, Refused>>,
    pub(super) status: Option<Result<WebhookStatus, Refused>>,
}

/// Konnect, as far as it was asked.
#[derive(Debug)]
pub(super) struct KonnectFacts {
    client: Result<Client, String>,
    has_token: bool,
    named: Vec<Uuid>,
    /// Portals that can be looked at in time.
    at_most: usize,
    clock: Clock,
    keys: OnceCell<Result<usize, Refused>>,
    portals: OnceCell<Result<SeenPortals, Refused>>,
    slots: OnceCell<Vec<Slot>>,
}

impl KonnectFacts {
    pub(super) fn of(config: &Config, clock: &Clock) -> Self {
        let of_organisation = match config.backfill.org_logs {
            OrgLogs::Webhook => CALLS_OF_THE_ORGANISATION,
            OrgLogs::Off | OrgLogs::Pull => 0,
        };
        let config = &config.konnect;
        let rate = config.requests_per_second;
        // The bucket is full at first.
        let calls = rate.saturating_mul(CALLING_SECONDS + 1);
        let calls = calls.saturating_sub(OTHER_CALLS + of_organisation);
        Self {
            client: client(config),
            has_token: config.token.is_some(),
            named: config.portals.clone(),
            at_most: usize::try_from((calls / CALLS_A_PORTAL).max(1)).unwrap_or(1),
            clock: clock.clone(),
            keys: OnceCell::new(),
            portals: OnceCell::new(),
            slots: OnceCell::new(),
        }
    }

    /// Why no call can be made; none where calls can be.
    pub(super) fn unusable(&self) -> Option<&str> {
        self.client.as_ref().err().map(String::as_str)
    }

    pub(super) fn has_token(&self) -> bool {
        self.has_token
    }

    /// How far Konnect's clock is ahead of ours; none where no answer has said so yet.
    pub(super) fn ahead(&self) -> Option<TimeDelta> {
        let theirs = self.client.as_ref().ok()?.server_time()?;
        Some(DateTime::<Utc>::from(theirs) - self.clock.now())
    }

    /// How many signing keys are served. Needs no token.
    pub(super) async fn keys(&self) -> Result<usize, &Refused> {
        let keys = self.keys.get_or_init(|| self.ask_keys());
        keys.await.as_ref().copied()
    }

    async fn ask_keys(&self) -> Result<usize, Refused> {
        let keys = self.client()?.jwks().fetch().await?;
        Ok(keys.ed25519_keys().count())
    }

    /// The portals that usher is for.
    pub(super) async fn portals(&self) -> Result<&SeenPortals, &Refused> {
        let portals = self.portals.get_or_init(|| self.ask_portals());
        portals.await.as_ref()
    }

    async fn ask_portals(&self) -> Result<SeenPortals, Refused> {
        let client = self.client()?;
        let listed = client.portals().list(&ListPortals::default()).await?;
        let seen = listed.into_iter().map(|portal| SeenPortal {
            id: portal.id.0,
            name: portal.name,
        });
        Ok(chosen(seen.collect(), &self.named, self.at_most))
    }

    /// Asks every list that a sweep reads for one row.
    pub(super) async fn lists(&self, portals: &[SeenPortal]) -> Vec<AskedList> {
        let Ok(client) = self.client() else {
            return Vec::new();
        };
        let asked = portals.iter().map(|portal| lists_of(client, portal));
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// The webhooks of the portals.
    pub(super) async fn slots(&self, portals: &[SeenPortal]) -> &[Slot] {
        self.slots.get_or_init(|| self.ask_slots(portals)).await
    }

    async fn ask_slots(&self, portals: &[SeenPortal]) -> Vec<Slot> {
        let Ok(client) = self.client() else {
            return Vec::new();
        };
        let logs = portals.iter().cloned().map(SeenLog::Portal);
        join_all(logs.map(|log| slot(client, log))).await
    }

    /// The webhook of the organisation's log; none where no call can be made.
    pub(super) async fn organisation(&self) -> Option<Slot> {
        let client = self.client().ok()?;
        Some(slot(client, SeenLog::Organisation).await)
    }

    fn client(&self) -> Result<&Client, Refused> {
        self.client.as_ref().map_err(|why| Refused {
            status: None,
            why: why.clone(),
        })
    }
}

/// Of the portals that were listed those that are looked at.
fn chosen(listed: Vec<SeenPortal>, named: &[Uuid], at_most: usize) -> SeenPortals {
    let is_seen = |id: &Uuid| listed.iter().any(|portal| portal.id == *id);
    let missing = named.iter().copied().filter(|id| !is_seen(id)).collect();
    let is_named = |portal: &SeenPortal| named.is_empty() || named.contains(&portal.id);
    let mut asked: Vec<SeenPortal> = listed.into_iter().filter(is_named).collect();
    let left_out = asked.len().saturating_sub(at_most);
    asked.truncate(at_most);
    SeenPortals {
        asked,
        left_out,
        missing,
    }
}

/// A client that repeats nothing and waits for little.
fn client(config: &KonnectConfig) -> Result<Client, String> {
    let rate = NonZeroU32::new(config.requests_per_second)
        .ok_or("konnect.requests_per_second: expected at least 1")?;
    let mut builder = Client::builder(config.base_url.clone())
        .global_url(config.global_url())
        .user_agent(concat!("usher/", env!("CARGO_PKG_VERSION")))
        .timeout(CALL_WITHIN)
        .retries(RetryPolicy::none())
        .rate_limit(Budget::new(rate).class(Class::Deed));
    if let Some(token) = &config.token {
        builder = builder.token(SecretString::from(token.expose().to_owned()));
    }
    builder.build().map_err(|error| error.to_string())
}

async fn lists_of(client: &Client, portal: &SeenPortal) -> Vec<AskedList> {
    let id = PortalId::from(portal.id);
    let one = Some(1);
    let developers = async {
        let options = ListDevelopers {
            page_size: one,
            ..ListDevelopers::default()
        };
        client
            .portal(id)
            .developers()
            .list_page(&options, 1)
            .await
            .map(drop)
    };
    let teams = async {
        let options = ListTeams {
            page_size: one,
            ..ListTeams::default()
        };
        client
            .portal(id)
            .teams()
            .list_page(&options, 1)
            .await
            .map(drop)
    };
    let applications = async {
        let options = ListApplications {
            page_size: one,
            ..ListApplications::default()
        };
        let applications = client.portal(id).applications();
        applications.list_page(&options, 1).await.map(drop)
    };
    let registrations = async {
        let options = ListRegistrations {
            page_size: one,
            ..ListRegistrations::default()
        };
        let registrations = client.portal(id).registrations();
        registrations.list_page(&options, 1).await.map(drop)
    };
    let (developers, teams, applications, registrations) =
        tokio::join!(developers, teams, applications, registrations);
    [
        ("developers", developers),
        ("teams", teams),
        ("applications", applications),
        ("registrations", registrations),
    ]
    .into_iter()
    .map(|(what, answer)| AskedList {
        what,
        portal: portal.clone(),
        answer: answer.map_err(Refused::from),
    })
    .collect()
}

async fn slot(client: &Client, log: SeenLog) -> Slot {
    let resource = match &log {
        SeenLog::Portal(portal) => client.portal(portal.id.into()).webhook(),
        SeenLog::Organisation => client.org_webhook(),
    };
    let webhook = resource.get().await.map_err(Refused::from);
    let bound = match &webhook {
        Ok(Some(webhook)) => webhook.audit_log_destination_id,
        Ok(None) | Err(_) => None,
    };
    let (destination, status) = match bound {
        Some(id) => {
            let destinations = client.destinations();
            let (destination, status) = tokio::join!(destinations.get(id), resource.status());
            (
                Some(destination.map_err(Refused::from)),
                Some(status.map_err(Refused::from)),
            )
        }
        None => (None, None),
    };
    Slot {
        log,
        webhook,
        destination,
        status,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{SeenPortal, chosen};

    #[test]
    fn the_portals_that_are_named_are_looked_at_as_far_as_time_allows() {
        let portal = |number| SeenPortal {
            id: Uuid::from_u128(number),
            name: format!("portal {number}"),
        };
        let listed = vec![portal(1), portal(2), portal(3)];
        let all = chosen(listed.clone(), &[], 2);
        assert_eq!((all.asked.len(), all.left_out), (2, 1));
        let named = chosen(listed, &[Uuid::from_u128(3), Uuid::from_u128(9)], 2);
        assert_eq!(named.asked, [portal(3)]);
        assert_eq!(named.missing, [Uuid::from_u128(9)]);
        assert_eq!(named.left_out, 0);
    }
}

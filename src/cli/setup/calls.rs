//! The calls of Konnect that `usher setup` makes, each with what its failure means in plain words.

use std::time::{Duration, Instant};

use anyhow::anyhow;
use konnect::{
    Client, Destination, DestinationId, DestinationUpdate, Error, ListDestinations, LogFormat,
    NewDestination, WebhookResource, WebhookStatus, WebhookUpdate,
};
use secrecy::SecretString;
use tokio::time::sleep;
use url::Url;

use crate::cli::konnect_args::refused;
use crate::cli::setup::plan::{Found, Step, Whose};
use crate::cli::{CliError, Output};
use crate::lifecycle::backoff;

/// How long a destination that is still in use is tried to be deleted.
const IN_USE_FOR: Duration = Duration::from_mins(1);
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// One webhook and the destinations that it may have.
pub(super) struct Calls {
    pub(super) client: Client,
    pub(super) base_url: Url,
    pub(super) whose: Whose,
}

impl Calls {
    /// Reads what is there.
    pub(super) async fn look(&self) -> Result<Found, CliError> {
        let all = ListDestinations::default();
        let destinations = self.client.destinations().list(&all).await;
        let destinations = self.told(destinations, "read audit-log destinations")?;
        let webhook = self.told(self.webhook().get().await, "read the webhook")?;
        let status = match webhook {
            Some(_) => self.status().await?,
            None => None,
        };
        Ok(Found {
            destinations,
            webhook,
            status,
        })
    }

    /// How the webhook fares; none where there is none.
    pub(super) async fn status(&self) -> Result<Option<WebhookStatus>, CliError> {
        match self.webhook().status().await {
            Err(error) if error.is_not_found() => Ok(None),
            status => self.told(status, "read how the webhook fares").map(Some),
        }
    }

    /// Carries a step out; `own` is our destination as far as it is known, and becomes so.
    pub(super) async fn carry_out(
        &self,
        step: &Step,
        own: &mut Option<DestinationId>,
        endpoint: &str,
        authorization: &SecretString,
    ) -> Result<(), CliError> {
        match *step {
            Step::Create => *own = Some(self.create(endpoint, authorization).await?.id),
            Step::Update {
                id,
                endpoint: is_elsewhere,
                log_format,
                authorization: is_refused,
            } => {
                let update = DestinationUpdate {
                    endpoint: is_elsewhere.then(|| endpoint.to_owned()),
                    log_format: log_format.then_some(LogFormat::Json),
                    authorization: is_refused.then(|| authorization.clone()),
                    ..DestinationUpdate::default()
                };
                self.update(id, &update).await?;
            }
            Step::Bind {
                destination,
                enable,
            } => {
                let update = WebhookUpdate {
                    enabled: enable.then_some(true),
                    audit_log_destination_id: own.filter(|_| destination),
                };
                let updated = self.webhook().update(&update).await;
                self.told(updated, "change the webhook")?;
            }
            Step::Unbind => match self.webhook().delete().await {
                Err(error) if error.is_not_found() => {}
                deleted => self.told(deleted, "delete the webhook")?,
            },
            Step::Delete { id } => self.delete(id).await?,
        }
        Ok(())
    }

    async fn create(
        &self,
        endpoint: &str,
        authorization: &SecretString,
    ) -> Result<Destination, CliError> {
        let new = NewDestination {
            name: self.whose.destination(),
            endpoint: endpoint.to_owned(),
            authorization: authorization.clone(),
            log_format: LogFormat::Json,
            skip_ssl_verification: false,
        };
        let created = self.client.destinations().create(&new).await;
        self.told(created, "create an audit-log destination")
    }

    /// Changes a destination.
    pub(super) async fn update(
        &self,
        id: DestinationId,
        update: &DestinationUpdate,
    ) -> Result<(), CliError> {
        let updated = self.client.destinations().update(id, update).await;
        self.told(updated, "change an audit-log destination")?;
        Ok(())
    }

    /// Deletes a destination; Konnect may need a while to see that nothing uses it any more.
    async fn delete(&self, id: DestinationId) -> Result<(), CliError> {
        let began = Instant::now();
        let mut failures = 0;
        loop {
            let deleted = self.client.destinations().delete(id).await;
            match deleted {
                Err(error) if error.is_not_found() => return Ok(()),
                Err(error) if error.is_conflict() => {
                    if began.elapsed() >= IN_USE_FOR {
                        let summary = format!(
                            "destination {id} is still in use: another webhook has it, which must have another first"
                        );
                        return Err(CliError::Failed(anyhow!(error).context(summary)));
                    }
                    if failures == 0 {
                        Output::progress("the destination is still in use, trying again");
                    }
                    failures += 1;
                    sleep(backoff(FIRST_WAIT, failures, LONGEST_WAIT)).await;
                }
                deleted => return self.told(deleted, "delete an audit-log destination"),
            }
        }
    }

    fn webhook(&self) -> WebhookResource<'_> {
        match self.whose.portal() {
            Some(portal) => self.client.portal(portal).webhook(),
            None => self.client.org_webhook(),
        }
    }

    /// Says in plain words why a call failed.
    fn told<T>(&self, called: Result<T, Error>, doing: &str) -> Result<T, CliError> {
        called.map_err(|error| {
            let summary = match error.status() {
                Some(401) => refused(&self.base_url),
                Some(403) => format!(
                    "the token may not {doing}: by Konnect's documentation that takes the roles `Audit Log Admin` and `Portal Creator`"
                ),
                Some(404) => format!("could not {doing} of {}: it is gone", self.whose.described()),
                _ => format!("could not {doing} of {}", self.whose.described()),
            };
            CliError::Failed(anyhow!(error).context(summary))
        })
    }
}

//! Waits for the first delivery: Konnect's word on the webhook, and the journal's where the
//! configuration names a database.

use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use konnect::WebhookStatus;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::cli::record::Record;
use crate::cli::setup::calls::Calls;
use crate::cli::{CliError, Common, Output};
use crate::config::Environment;
use crate::event::plain;
use crate::journal::{FirstDelivery, Journal};

const ASK_EVERY: Duration = Duration::from_millis(500);
/// A spooled delivery is stored a moment later.
const STORED_WITHIN: Duration = Duration::from_secs(5);
/// How far the clocks of this machine and of usher's may be apart.
const CLOCKS_APART: TimeDelta = TimeDelta::seconds(30);

/// What to wait for.
pub(super) struct Waiting<'a> {
    pub(super) calls: &'a Calls,
    /// The latest attempt before anything was changed; none where that does not matter.
    pub(super) not_this: Option<DateTime<Utc>>,
    pub(super) patience: Duration,
}

impl Waiting<'_> {
    /// Waits until a delivery is taken.
    ///
    /// # Errors
    /// The last that was seen, once the time is over.
    pub(super) async fn for_delivery(
        &self,
    ) -> Result<Result<WebhookStatus, Option<WebhookStatus>>, CliError> {
        let began = Instant::now();
        loop {
            let status = self.calls.status().await?;
            let is_new = |status: &WebhookStatus| {
                status.last_attempt_at.is_some() && status.last_attempt_at != self.not_this
            };
            let status = status.filter(is_new);
            match status {
                Some(status) if is_taken(&status) => return Ok(Ok(status)),
                status if began.elapsed() >= self.patience => return Ok(Err(status)),
                _ => sleep(ASK_EVERY).await,
            }
        }
    }
}

fn is_taken(status: &WebhookStatus) -> bool {
    status
        .last_response_code
        .is_some_and(|code| (200..300).contains(&code))
}

/// What the latest attempt means, and what to do about it.
pub(super) fn meaning(status: Option<&WebhookStatus>) -> String {
    let Some(status) = status.filter(|status| status.last_attempt_at.is_some()) else {
        return "Konnect has tried no delivery: nothing happened that it logs. Sign in to the portal, also with a wrong password, and allow it a minute".to_owned();
    };
    let message = status.last_response_message.as_deref().unwrap_or_default();
    let what = match status.last_response_code {
        Some(code @ 200..=299) => return format!("the latest delivery was answered {code}"),
        Some(401 | 403) => {
            "the authorization is refused: run `usher setup` again, which writes it anew, and see that `serve` runs with this configuration".to_owned()
        }
        Some(404 | 405) => {
            "nothing takes deliveries at that path: compare the endpoint with ingest.path, and with what is before usher".to_owned()
        }
        Some(413) => "what is before usher bounds the body: let 8 MiB pass".to_owned(),
        Some(300..=399) => {
            "it is a redirect: name the address that it leads to with --public-url".to_owned()
        }
        Some(429 | 500) => {
            "usher cannot store it: ask its /readyz, most often the database is away".to_owned()
        }
        Some(502..=504) => "what is before usher cannot reach it: does `usher serve` run?".to_owned(),
        Some(_) => "that is no answer of usher's: see what is at the endpoint".to_owned(),
        None => {
            "Konnect got no answer: the host is not public, its name or its certificate is wrong, or something drops the connection".to_owned()
        }
    };
    let code = status.last_response_code;
    let code = code.map_or_else(|| "no answer".to_owned(), |code| code.to_string());
    format!("the latest delivery got {code} {}: {what}", plain(message))
}

/// The first delivery of a log in the journal since a time, once it is there.
pub(super) async fn in_journal(
    calls: &Calls,
    since: DateTime<Utc>,
    common: &Common,
    environment: &Environment,
) -> Result<Option<FirstDelivery>, CliError> {
    let record = Record::open(common, environment).await?;
    let journal = record.journal().clone();
    let portal = calls.whose.portal().map(|portal| portal.0);
    let found = record
        .finish(poll(&journal, portal, since - CLOCKS_APART))
        .await?;
    Ok(found.flatten())
}

async fn poll(
    journal: &Journal,
    portal: Option<uuid::Uuid>,
    since: DateTime<Utc>,
) -> Result<Option<FirstDelivery>, CliError> {
    let began = Instant::now();
    loop {
        let found = journal.first_delivery(portal, since).await;
        let found = found.map_err(|error| CliError::Failed(error.into()))?;
        if found.is_some() || began.elapsed() >= STORED_WITHIN {
            return Ok(found);
        }
        sleep(ASK_EVERY).await;
    }
}

/// For people.
pub(super) fn described(status: &WebhookStatus, stored: Option<&FirstDelivery>) -> String {
    let at = status.last_attempt_at.map(rfc3339).unwrap_or_default();
    let code = status.last_response_code.unwrap_or_default();
    let taken = format!("a delivery at {at} was answered {code}");
    let Some(stored) = stored else {
        return taken;
    };
    let request = &stored.request;
    let entries = if request.received == 1 {
        "entry"
    } else {
        "entries"
    };
    let verdicts = stored.verdicts.iter();
    let verdicts: Vec<String> = verdicts
        .map(|(verdict, count)| format!("{count} {verdict}"))
        .collect();
    format!(
        "{taken}\ndelivery {}: {} {entries}, {} stored, {} known, {} quarantined; verdicts: {}",
        request.id,
        request.received,
        request.stored,
        request.duplicates,
        request.quarantined,
        verdicts.join(", ")
    )
}

/// For programs.
pub(super) fn as_json(status: &WebhookStatus, stored: Option<&FirstDelivery>) -> Value {
    let stored = stored.map(|stored| {
        json!({
            "delivery_id": stored.request.id,
            "received": stored.request.received,
            "stored": stored.request.stored,
            "duplicates": stored.request.duplicates,
            "quarantined": stored.request.quarantined,
            "verdicts": stored.verdicts,
        })
    });
    json!({
        "at": status.last_attempt_at.map(rfc3339),
        "status": status.last_response_code,
        "record": stored,
    })
}

/// Says that the journal could not be asked, which the delivery does not depend on.
pub(super) fn or_told(found: Result<Option<FirstDelivery>, CliError>) -> Option<FirstDelivery> {
    found.unwrap_or_else(|error| {
        Output::progress(&format!("the journal was not asked: {error}"));
        None
    })
}

fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_each_answer_means() {
        for (code, expected) in [
            (json!(200), "was answered 200"),
            (json!(401), "the authorization is refused"),
            (json!(404), "ingest.path"),
            (json!(413), "8 MiB"),
            (json!(308), "redirect"),
            (json!(429), "/readyz"),
            (json!(502), "does `usher serve` run"),
            (json!(418), "no answer of usher's"),
            (json!(null), "not public"),
        ] {
            let status = json!({
                "last_attempt_at": "2026-11-21T00:00:00Z",
                "last_response_code": code, "last_response_message": "x\u{1b}[0m",
            });
            let status: WebhookStatus = serde_json::from_value(status).unwrap();
            let told = meaning(Some(&status));
            assert!(told.contains(expected), "{code}: {told}");
            assert!(!told.contains('\u{1b}'));
        }
        let untried: WebhookStatus = serde_json::from_value(json!({})).unwrap();
        for status in [None, Some(&untried)] {
            assert!(meaning(status).contains("nothing happened"));
        }
    }
}

//! `usher setup`: the destination and the webhook as they shall be, and nothing where they are.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use chrono::{DateTime, Utc};
use konnect::{DestinationId, LogFormat};
use serde_json::{Value, json};
use url::Url;

use crate::cli::setup::args::SetupArgs;
use crate::cli::setup::authorization::Authorization;
use crate::cli::setup::calls::Calls;
use crate::cli::setup::endpoint::{Endpoint, endpoint};
use crate::cli::setup::first_delivery::{
    Waiting, as_json, described, in_journal, meaning, or_told,
};
use crate::cli::setup::plan::{Found, Plan, Wanted, plan};
use crate::cli::setup::probe::Probe;
use crate::cli::setup::show::{differences, forward_to};
use crate::cli::{CliError, DIFFERENCES, Output, counted};
use crate::clock::Clock;
use crate::config::{Config, Environment};

/// Compares, asks where somebody loses something, and writes what differs.
pub(super) async fn run(
    args: &SetupArgs,
    public: &Url,
    config: &Config,
    environment: &Environment,
    calls: &Calls,
) -> Result<ExitCode, CliError> {
    let output = Output::new(args.common.json);
    let host = calls.base_url.host_str().unwrap_or_default();
    let Endpoint { url, warnings } =
        endpoint(public, &config.ingest.path, host.ends_with(".konghq.com"));
    for warning in &warnings {
        Output::progress(&format!("warning: {warning}"));
    }
    let authorization = Authorization::of(config, &args.common)?;
    if authorization.is_being_rotated() {
        Output::progress("a rotation of the secret is under way: `usher setup --rotate` ends it");
    }
    let found = calls.look().await?;
    let wanted = Wanted {
        whose: &calls.whose,
        endpoint: url.as_str(),
        is_new_authorization: authorization.is_missing(),
    };
    let plan = plan(&wanted, &found);
    let mut changes = authorization.changes();
    changes.extend(plan.changes.iter().cloned());
    tell_of_the_slot(&plan, calls);
    if args.dry_run {
        differences(output, &changes)?;
        return Ok(exit_of(changes.is_empty()));
    }
    if !may_take(&plan, args.yes, calls)? {
        return Err(CliError::Failed(anyhow!("nothing was changed")));
    }
    let began = Clock::system().now();
    let authorization = authorization.make(environment)?;
    let name = calls.whose.destination();
    let mut own = found.named(&name).first().map(|own| own.id);
    for step in &plan.steps {
        calls
            .carry_out(step, &mut own, url.as_str(), &authorization.value)
            .await?;
    }
    authorization.name()?;
    let done = Done {
        own,
        endpoint: &url,
        plan: &plan,
        changes: json!(changes),
        count: changes.len(),
    };
    let Some(patience) = args.wait else {
        return done.show(output, calls, None);
    };
    // Said before the wait, in case nobody waits for its end.
    Output::progress(&done.summary(calls));
    let delivery = wait(&plan, &found, (began, patience), &url, calls).await?;
    let stored = match &delivery.status {
        Ok(_) if config.database.url.is_some() => {
            let since = delivery.since;
            or_told(in_journal(calls, since, &args.common, environment).await)
        }
        _ => None,
    };
    match delivery.status {
        Ok(status) => {
            let told = described(&status, stored.as_ref());
            let shown = as_json(&status, stored.as_ref());
            done.show(output, calls, Some((told, shown)))
        }
        Err(status) => Err(CliError::Failed(anyhow!(
            "the webhook is bound, and no delivery was taken in {} s: {}",
            patience.as_secs(),
            meaning(status.as_ref())
        ))),
    }
}

fn exit_of(is_same: bool) -> ExitCode {
    if is_same {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(DIFFERENCES)
    }
}

/// Says what becomes of the destination that has the webhook now.
fn tell_of_the_slot(plan: &Plan, calls: &Calls) {
    if let Some(other) = &plan.taken_from {
        Output::progress(&format!(
            "the webhook of {} has another destination, {}: a webhook has only one",
            calls.whose.described(),
            other.described()
        ));
        Output::progress(&forward_to(other));
    }
    if let Some(other) = &plan.left_over {
        Output::progress(&format!(
            "the destination {} leads to the same endpoint; nothing needs it afterwards",
            other.described()
        ));
    }
}

/// Whether the webhook may be taken from whoever has it.
fn may_take(plan: &Plan, yes: bool, calls: &Calls) -> Result<bool, CliError> {
    let Some(other) = &plan.taken_from else {
        return Ok(true);
    };
    if yes {
        return Ok(true);
    }
    if Output::can_ask() {
        return Ok(Output::ask("take the webhook from it?"));
    }
    Err(CliError::Failed(anyhow!(
        "the webhook of {} has another destination, {}: --yes takes it",
        calls.whose.described(),
        other.described()
    )))
}

/// What was seen of the first delivery.
struct Delivered {
    status: Result<konnect::WebhookStatus, Option<konnect::WebhookStatus>>,
    /// The journal has it from then on.
    since: DateTime<Utc>,
}

async fn wait(
    plan: &Plan,
    found: &Found,
    (began, patience): (DateTime<Utc>, Duration),
    url: &Url,
    calls: &Calls,
) -> Result<Delivered, CliError> {
    if let Err(reason) = Probe::public(url.clone())?.is_there().await {
        Output::progress(&format!(
            "warning: {} cannot be reached from here: {reason}; Konnect may reach it all the same",
            url.origin().ascii_serialization()
        ));
    }
    Output::progress("waiting for a delivery: sign in to the portal, also with a wrong password");
    let is_changed = !plan.steps.is_empty();
    let status = if is_changed {
        // What was delivered as it was before the change shows nothing.
        calls.status().await?
    } else {
        found.status.clone()
    };
    let latest = status.and_then(|status| status.last_attempt_at);
    let waiting = Waiting {
        calls,
        not_this: latest.filter(|_| is_changed),
        patience,
    };
    let status = waiting.for_delivery().await?;
    let of_before = latest.filter(|_| !is_changed);
    Ok(Delivered {
        status,
        since: of_before.map_or(began, |before| before.min(began)),
    })
}

/// What is, once the steps are done.
struct Done<'a> {
    own: Option<DestinationId>,
    endpoint: &'a Url,
    plan: &'a Plan,
    changes: Value,
    count: usize,
}

impl Done<'_> {
    fn summary(&self, calls: &Calls) -> String {
        let whose = calls.whose.described();
        let what = format!(
            "the webhook of {whose} delivers to {} (destination {})",
            self.endpoint,
            calls.whose.destination()
        );
        match self.count {
            0 => format!("nothing to change: {what}"),
            count => format!("{what}; {} made", counted(count, "change")),
        }
    }

    fn show(
        &self,
        output: Output,
        calls: &Calls,
        delivery: Option<(String, Value)>,
    ) -> Result<ExitCode, CliError> {
        let (text, delivery) = match delivery {
            Some((told, shown)) => (told, shown),
            None => (self.summary(calls), Value::Null),
        };
        output.data(
            &text,
            &json!({
                "portal_id": calls.whose.portal(),
                "destination": {
                    "id": self.own,
                    "name": calls.whose.destination(),
                    "endpoint": self.endpoint,
                    "log_format": LogFormat::Json,
                },
                "enabled": true,
                "changes": self.changes,
                "taken_from": self.plan.taken_from,
                "delivery": delivery,
            }),
        )?;
        Ok(ExitCode::SUCCESS)
    }
}

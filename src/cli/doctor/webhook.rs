//! Checks of the portals' audit-log webhooks: where they lead, whether they are on, and how the
//! last delivery went.

use std::time::Duration;

use konnect::{DeliveryState, Destination, LogFormat, WebhookStatus};
use reqwest::{Client, redirect};
use url::Url;

use crate::cli::doctor::finding::{Finding, Findings};
use crate::cli::doctor::konnect::portals_of;
use crate::cli::doctor::konnect_facts::{SeenLog, Slot};
use crate::cli::doctor::subject::Subject;

/// A destination of usher's has this name, or that which `usher setup` gives.
const NAME: &str = "usher";
/// For the question whether somebody answers at the public address.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// The longest that is shown of what Konnect noted.
const SHOWN: usize = 120;

/// Where a webhook leads.
pub(super) enum Leads<'a> {
    /// To a destination that is usher's.
    Here(&'a Destination),
    /// To one that is not.
    Elsewhere(&'a Destination),
    /// Nowhere, or it is not known where.
    Unknown,
}

/// Whether a destination is usher's: by its name, or since it leads to the configured path.
pub(super) fn leads<'a>(slot: &'a Slot, path: &str) -> Leads<'a> {
    let Some(Ok(destination)) = &slot.destination else {
        return Leads::Unknown;
    };
    let is_named = destination.name == NAME || destination.name == slot.log.destination();
    if is_named || fits(&destination.endpoint, path) {
        Leads::Here(destination)
    } else {
        Leads::Elsewhere(destination)
    }
}

/// Whether a URL leads to a path, a prefix of a proxy before it aside.
fn fits(endpoint: &str, path: &str) -> bool {
    Url::parse(endpoint).is_ok_and(|url| url.path().ends_with(path))
}

/// The webhooks that are looked at; else why they are left out.
async fn slots(subject: &Subject) -> Result<&[Slot], Finding> {
    let portals = portals_of(subject).await?;
    if portals.asked.is_empty() {
        return Err(Finding::skipped("there is no portal, see konnect-portals"));
    }
    Ok(subject.konnect.slots(&portals.asked).await)
}

/// The slots whose webhooks lead to usher; else why there is none to look at.
async fn ours(subject: &Subject) -> Result<Vec<(&Slot, &Destination)>, Finding> {
    let slots = slots(subject).await?;
    let path = &subject.config.ingest.path;
    let ours = slots.iter().filter_map(|slot| match leads(slot, path) {
        Leads::Here(destination) => Some((slot, destination)),
        Leads::Elsewhere(_) | Leads::Unknown => None,
    });
    let ours: Vec<_> = ours.collect();
    if ours.is_empty() {
        return Err(Finding::skipped("no webhook leads to usher, see webhook"));
    }
    Ok(ours)
}

/// Whether each portal sends its log to usher.
pub(super) async fn slot(subject: &Subject) -> Finding {
    match slots(subject).await {
        Ok(slots) => judge_slots(slots, &subject.config.ingest.path),
        Err(left_out) => left_out,
    }
}

pub(super) fn judge_slots(slots: &[Slot], path: &str) -> Finding {
    let mut found = Findings::default();
    let mut unread = 0;
    for slot in slots {
        let (name, setup) = (slot.log.name(), slot.log.setup());
        let webhook = match &slot.webhook {
            Ok(Some(webhook)) => webhook,
            Ok(None) => {
                found.push(unbound(name, &setup));
                continue;
            }
            Err(refused) if refused.status == Some(403) => {
                unread += 1;
                continue;
            }
            Err(refused) => {
                found.push(Finding::warning(
                    format!("the webhook of {name} cannot be read: {}", refused.why),
                    "run `usher doctor` again; see docs/operations/failures.md",
                ));
                continue;
            }
        };
        if webhook.audit_log_destination_id.is_none() {
            found.push(unbound(name, &setup));
            continue;
        }
        if let Leads::Elsewhere(destination) = leads(slot, path) {
            let other = &destination.name;
            found.push(Finding::failed(
                format!("{name} sends its log to the destination {other}, which is not usher's"),
                format!("{setup}, which asks before it takes the place of {other}"),
            ));
            continue;
        }
        if !webhook.enabled {
            found.push(Finding::failed(
                format!("the webhook of {name} is off"),
                format!("{setup} turns it on"),
            ));
        }
    }
    if unread == slots.len() {
        return Finding::skipped("the token may not read webhooks, see konnect-permissions");
    }
    found.or_ok("each portal sends its log to usher")
}

fn unbound(name: &str, setup: &str) -> Finding {
    Finding::warning(
        format!("{name} sends its log to nobody: sweeps find newcomers, no entry is recorded"),
        setup,
    )
}

/// Whether the destinations are as usher needs them.
pub(super) async fn destination(subject: &Subject) -> Finding {
    match ours(subject).await {
        Ok(ours) => judge_destinations(&ours, &subject.config.ingest.path),
        Err(left_out) => left_out,
    }
}

pub(super) fn judge_destinations(ours: &[(&Slot, &Destination)], path: &str) -> Finding {
    let mut found = Findings::default();
    for (slot, destination) in ours {
        let setup = slot.log.setup();
        let name = &destination.name;
        if !fits(&destination.endpoint, path) {
            let theirs = Url::parse(&destination.endpoint);
            let theirs = theirs.map_or_else(|_| "no URL".to_owned(), |url| url.path().to_owned());
            found.push(Finding::failed(
                format!("{name} posts to {theirs}, and usher listens at {path} (ingest.path)"),
                setup.clone(),
            ));
        }
        match &destination.log_format {
            Some(LogFormat::Json) => {}
            Some(LogFormat::Cef) => found.push(Finding::warning(
                format!("{name} sends CEF, in which what a client sent can be read two ways"),
                format!("{setup} sets log_format to json"),
            )),
            Some(LogFormat::Cps) => found.push(Finding::warning(
                format!("{name} sends CPS, whose signatures cannot be checked"),
                format!("{setup} sets log_format to json"),
            )),
            Some(LogFormat::Other(_)) | None => found.push(Finding::warning(
                format!("{name} sends a format that this usher does not know"),
                format!("{setup} sets log_format to json"),
            )),
        }
        if destination.endpoint.starts_with("https://") && destination.skip_ssl_verification {
            found.push(Finding::warning(
                format!("{name} takes any TLS certificate"),
                "turn skip_ssl_verification off at the destination",
            ));
        }
    }
    found.or_ok(format!("they post JSON to {path}"))
}

/// How the last delivery went.
pub(super) async fn status(subject: &Subject) -> Finding {
    match ours(subject).await {
        Ok(ours) => {
            let slots: Vec<&Slot> = ours.into_iter().map(|(slot, _)| slot).collect();
            judge_status(&slots, &subject.config.ingest.path)
        }
        Err(left_out) => left_out,
    }
}

pub(super) fn judge_status(slots: &[&Slot], path: &str) -> Finding {
    let mut found = Findings::default();
    let mut well = Vec::new();
    for slot in slots {
        let name = slot.log.name();
        match &slot.status {
            Some(Ok(status)) if status.webhook_status == Some(DeliveryState::Inactive) => {
                found.push(judge_inactive(&slot.log, status, path));
            }
            Some(Ok(status)) => well.push(status.last_attempt_at.map_or_else(
                || format!("{name}: nothing was sent yet"),
                |at| format!("{name}: last sent {}", at.format("%Y-%m-%dT%H:%M:%SZ")),
            )),
            Some(Err(refused)) => found.push(Finding::warning(
                format!("the status of {name} cannot be read: {}", refused.why),
                "run `usher doctor` again; see docs/operations/failures.md",
            )),
            None => {}
        }
    }
    found.or_ok(well.join("; "))
}

/// What the last answer that Konnect got means.
fn judge_inactive(log: &SeenLog, status: &WebhookStatus, path: &str) -> Finding {
    let (name, setup) = (log.name(), log.setup());
    let (meaning, mend) = match status.last_response_code {
        None | Some(0) => (
            "Konnect did not reach it".to_owned(),
            "let Konnect reach the endpoint: DNS, firewall, a certificate that is trusted".to_owned(),
        ),
        Some(code @ (401 | 403)) => (
            format!("answered {code}: its Authorization is none of ingest.authorization"),
            format!(
                "{setup} sets it, or add it to ingest.authorization ({code} comes from usher or a proxy before it)"
            ),
        ),
        Some(404 | 405) => (
            "answered that there is no such path".to_owned(),
            format!("have the endpoint end in {path}, or let the proxy pass it"),
        ),
        Some(413) => (
            "answered 413: a delivery is larger than ingest.max_body_bytes, or than the proxy takes".to_owned(),
            "raise ingest.max_body_bytes and the proxy's bound".to_owned(),
        ),
        Some(code @ (429 | 503)) => (
            format!("answered {code}: neither database nor spool took the delivery"),
            "see the lines database and spool".to_owned(),
        ),
        Some(code @ 500..) => (
            format!("answered {code}: usher, or a proxy before it, failed"),
            "see usher's log and the proxy's".to_owned(),
        ),
        Some(code) => (
            format!("answered {code}"),
            "see usher's log and the proxy's".to_owned(),
        ),
    };
    let noted = status.last_response_message.as_deref();
    let noted = noted
        .filter(|it| !it.is_empty())
        .map_or_else(String::new, |it| {
            let shown: String = it.chars().take(SHOWN).collect();
            format!(" ({shown})")
        });
    let at = status.last_attempt_at.map_or_else(String::new, |at| {
        format!(", last tried {}", at.format("%Y-%m-%dT%H:%M:%SZ"))
    });
    Finding::failed(
        format!("the last delivery of {name} failed, {meaning}{noted}{at}"),
        mend,
    )
}

/// Whether somebody answers at the address that Konnect posts to, as far as this machine can tell.
pub(super) async fn reachable(subject: &Subject) -> Finding {
    let ours = match ours(subject).await {
        Ok(ours) => ours,
        Err(left_out) => return left_out,
    };
    let client = Client::builder()
        .redirect(redirect::Policy::none())
        .timeout(ANSWER_WITHIN)
        .build();
    let Ok(client) = client else {
        return Finding::skipped("no call can be made from this machine");
    };
    let mut asked: Vec<Url> = ours
        .iter()
        .filter_map(|(_, destination)| {
            health_url(&destination.endpoint, &subject.config.ingest.path)
        })
        .collect();
    asked.sort();
    asked.dedup();
    if asked.is_empty() {
        return Finding::skipped("the endpoint does not lead to usher, see webhook-destination");
    }
    let mut found = Findings::default();
    let mut hosts = Vec::new();
    let answers = asked.iter().map(|url| client.get(url.clone()).send());
    let answers = futures_util::future::join_all(answers).await;
    for (url, answer) in asked.iter().zip(answers) {
        let host = url.host_str().unwrap_or_default();
        let answer = answer.map(|answer| answer.status().as_u16());
        let answer = answer.map_err(|error| crate::telemetry::chain(&error.without_url()));
        found.push(judge_answer(host, &answer));
        hosts.push(host);
    }
    found.or_ok(format!(
        "{} answers, asked from this machine",
        hosts.join(", ")
    ))
}

/// Where the usher behind an endpoint says that it lives.
fn health_url(endpoint: &str, path: &str) -> Option<Url> {
    let mut url = Url::parse(endpoint).ok()?;
    let before = url.path().strip_suffix(path)?;
    let health = format!("{before}/healthz");
    url.set_path(&health);
    url.set_query(None);
    url.set_fragment(None);
    matches!(url.scheme(), "http" | "https").then_some(url)
}

fn judge_answer(host: &str, answer: &Result<u16, String>) -> Finding {
    match answer {
        Ok(code @ (502..=504)) => Finding::warning(
            format!("{host} answers {code} from this machine: a proxy does not reach usher"),
            "start `usher serve`, or correct the proxy's upstream",
        ),
        // A proxy may pass the one path only.
        Ok(_) => Finding::ok(format!("{host} answers")),
        Err(why) => Finding::warning(
            format!(
                "{host} does not answer from this machine: {why}; Konnect may reach it all the same"
            ),
            "try it from outside: `curl -i https://HOST/healthz`; see DNS, firewall and certificate",
        ),
    }
}

#[cfg(test)]
mod tests {
    use konnect::{DeliveryState, Destination, LogFormat, Webhook, WebhookStatus};
    use uuid::Uuid;

    use super::{health_url, judge_answer, judge_destinations, judge_slots, judge_status};
    use crate::cli::doctor::finding::{Finding, Status};
    use crate::cli::doctor::konnect_facts::{Refused, SeenLog, SeenPortal, Slot};

    const PATH: &str = "/audit-logs";

    fn destination(name: &str, endpoint: &str) -> Destination {
        Destination {
            id: Uuid::from_u128(1).into(),
            name: name.to_owned(),
            endpoint: endpoint.to_owned(),
            log_format: Some(LogFormat::Json),
            skip_ssl_verification: false,
            created_at: None,
            updated_at: None,
        }
    }

    fn slot(destination: Destination) -> Slot {
        Slot {
            log: SeenLog::Portal(SeenPortal {
                id: Uuid::nil(),
                name: "Football".to_owned(),
            }),
            webhook: Ok(Some(Webhook {
                enabled: true,
                audit_log_destination_id: Some(destination.id),
            })),
            destination: Some(Ok(destination)),
            status: Some(Ok(WebhookStatus {
                webhook_status: Some(DeliveryState::Active),
                webhook_enabled: true,
                last_attempt_at: None,
                last_response_code: None,
                last_response_message: None,
            })),
        }
    }

    fn ours() -> Slot {
        slot(destination(
            "hand-made",
            "https://in.example/usher/audit-logs",
        ))
    }

    fn tells(finding: &Finding, status: Status, word: &str) {
        assert_eq!(finding.status, status, "{finding:?}");
        assert!(finding.detail.contains(word), "{finding:?}");
    }

    #[test]
    fn a_slot_is_usher_s_by_name_or_by_path() {
        tells(&judge_slots(&[ours()], PATH), Status::Ok, "each portal");
        let named = slot(destination("usher", "https://in.example/other"));
        tells(&judge_slots(&[named], PATH), Status::Ok, "each portal");
        let other = slot(destination("splunk", "https://splunk.example/hec"));
        tells(
            &judge_slots(&[other], PATH),
            Status::Failed,
            "destination splunk",
        );
        let mut off = ours();
        off.webhook = off.webhook.map(|it| {
            it.map(|it| Webhook {
                enabled: false,
                ..it
            })
        });
        tells(&judge_slots(&[off], PATH), Status::Failed, "is off");
        let mut unbound = ours();
        unbound.webhook = Ok(None);
        tells(&judge_slots(&[unbound], PATH), Status::Warning, "to nobody");
        let mut unread = ours();
        unread.webhook = Err(Refused {
            status: Some(403),
            why: String::new(),
        });
        tells(
            &judge_slots(&[unread], PATH),
            Status::Skipped,
            "konnect-permissions",
        );
    }

    #[test]
    fn a_destination_has_the_path_and_the_format() {
        let judged = |destination: Destination| {
            let slot = ours();
            judge_destinations(&[(&slot, &destination)], PATH)
        };
        let right = destination("usher", "https://in.example/audit-logs");
        tells(&judged(right.clone()), Status::Ok, "JSON");
        let wrong = destination("usher", "https://in.example/audit");
        tells(&judged(wrong), Status::Failed, "posts to /audit,");
        for format in [Some(LogFormat::Cef), Some(LogFormat::Cps), None] {
            let other = Destination {
                log_format: format,
                ..right.clone()
            };
            tells(&judged(other), Status::Warning, "usher sends");
        }
        let lenient = Destination {
            skip_ssl_verification: true,
            ..right
        };
        tells(&judged(lenient), Status::Warning, "any TLS certificate");
    }

    #[test]
    fn what_the_last_answer_means_is_told() {
        for (code, word) in [
            (None, "did not reach"),
            (Some(401), "none of ingest.authorization"),
            (Some(404), "no such path"),
            (Some(413), "max_body_bytes"),
            (Some(429), "neither database nor spool"),
            (Some(502), "proxy"),
            (Some(302), "answered 302"),
        ] {
            let mut slot = ours();
            slot.status = Some(Ok(WebhookStatus {
                webhook_status: Some(DeliveryState::Inactive),
                webhook_enabled: true,
                last_attempt_at: None,
                last_response_code: code,
                last_response_message: Some("Nope".to_owned()),
            }));
            let told = judge_status(&[&slot], PATH);
            tells(&told, Status::Failed, word);
            tells(&told, Status::Failed, "(Nope)");
        }
        tells(
            &judge_status(&[&ours()], PATH),
            Status::Ok,
            "nothing was sent",
        );
    }

    #[test]
    fn any_answer_shows_that_somebody_is_there() {
        let url = health_url("https://in.example/usher/audit-logs?x=1", PATH);
        assert_eq!(
            url.map(String::from).as_deref(),
            Some("https://in.example/usher/healthz")
        );
        assert_eq!(health_url("https://in.example/other", PATH), None);
        assert_eq!(health_url("nonsense", PATH), None);
        for (answer, status) in [
            (Ok(200), Status::Ok),
            (Ok(404), Status::Ok),
            (Ok(502), Status::Warning),
            (Err("connection refused".to_owned()), Status::Warning),
        ] {
            assert_eq!(
                judge_answer("in.example", &answer).status,
                status,
                "{answer:?}"
            );
        }
    }
}

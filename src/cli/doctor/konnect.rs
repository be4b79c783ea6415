//! Checks of Konnect's API: that it answers, what the token may read, its clock and its keys.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use crate::cli::counted;
use crate::cli::doctor::finding::{Finding, Findings};
use crate::cli::doctor::konnect_facts::{AskedList, Refused, SeenPortals, Slot};
use crate::cli::doctor::subject::Subject;
use crate::config::VerifyPolicy;

/// Clocks that differ by more are told. `Date` has whole seconds, and an answer takes its time.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::seconds(30);
/// With clocks that differ by more, signed requests are refused.
const CLOCKS_WRONG: TimeDelta = TimeDelta::minutes(5);
/// A token that expires sooner is told.
const EXPIRES_SOON: TimeDelta = TimeDelta::days(14);
const NO_TOKEN: &str = "konnect.token is not set: usher records and publishes only";
pub(super) const GUIDE: &str =
    "give the token the role that may: see docs/guides/least-privilege.md";

/// Whether the API answers at all.
pub(super) async fn reachable(subject: &Subject) -> Finding {
    let facts = &subject.konnect;
    if let Some(why) = facts.unusable() {
        return Finding::failed(why, "correct [konnect] in usher.toml");
    }
    let base = subject
        .config
        .konnect
        .base_url
        .host_str()
        .unwrap_or_default();
    let answer = match facts.keys().await {
        Ok(_) => Ok(()),
        Err(refused) if refused.status.is_some() => Ok(()),
        Err(refused) => Err(refused),
    };
    let Err(refused) = answer else {
        return Finding::ok(format!("{base} answers"));
    };
    let told = format!("{base} does not answer: {}", refused.why);
    let mend = "correct konnect.base_url, or let this machine reach it: firewall, proxy, DNS";
    if facts.has_token() {
        Finding::failed(told, mend)
    } else {
        // Only signatures are not checked then.
        Finding::warning(told, mend)
    }
}

/// Why nothing can be asked with the token; none where something can.
pub(super) async fn left_out(subject: &Subject) -> Option<Finding> {
    let facts = &subject.konnect;
    if !facts.has_token() {
        return Some(Finding::skipped(NO_TOKEN));
    }
    if facts.unusable().is_some() {
        return Some(Finding::skipped("no call can be made, see konnect"));
    }
    match facts.keys().await {
        Err(refused) if refused.status.is_none() => {
            Some(Finding::skipped("Konnect does not answer, see konnect"))
        }
        Ok(_) | Err(_) => None,
    }
}

/// The portals, for a check that needs them; else why it is left out.
pub(super) async fn portals_of(subject: &Subject) -> Result<&SeenPortals, Finding> {
    if let Some(left_out) = left_out(subject).await {
        return Err(left_out);
    }
    match subject.konnect.portals().await {
        Ok(portals) => Ok(portals),
        Err(refused) => Err(Finding::skipped(match refused.status {
            Some(401) => "the token is refused, see konnect-token",
            Some(403) => "the token may not list portals, see konnect-permissions",
            _ => "the portals cannot be listed, see konnect-portals",
        })),
    }
}

/// Whether the token is accepted, and for how long.
pub(super) async fn token(subject: &Subject) -> Finding {
    if let Some(left_out) = left_out(subject).await {
        return left_out;
    }
    let token = subject.config.konnect.token.as_ref();
    let expires = token.and_then(|token| expiry(token.expose()));
    let answer = subject.konnect.portals().await.map(|_| ());
    judge_token(answer, expires, subject.clock.now())
}

fn judge_token(
    answer: Result<(), &Refused>,
    expires: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Finding {
    let mend = "make a token in Konnect, and put it where konnect.token names it";
    let status = answer.err().map(|refused| refused.status);
    match status {
        Some(Some(401)) => {
            let why = match expires {
                Some(at) if at <= now => format!("it expired on {}", at.date_naive()),
                Some(_) | None => "it is wrong, expired, revoked or of another region".to_owned(),
            };
            return Finding::failed(
                format!("Konnect does not accept the token (401): {why}"),
                mend,
            );
        }
        // Who is told that they may not is known.
        None | Some(Some(403)) => {}
        Some(_) => {
            return Finding::skipped("the portals cannot be listed, see konnect-portals");
        }
    }
    match expires {
        Some(at) if at - now < EXPIRES_SOON => Finding::warning(
            format!(
                "accepted; it expires on {}",
                at.format("%Y-%m-%d %H:%M UTC")
            ),
            mend,
        ),
        Some(at) => Finding::ok(format!("accepted; it expires on {}", at.date_naive())),
        None => Finding::ok("accepted; when it expires is not known"),
    }
}

/// When a token says that it expires, where it is a JWT. Konnect's own are opaque.
fn expiry(token: &str) -> Option<DateTime<Utc>> {
    let payload = token.split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    DateTime::from_timestamp(claims.get("exp")?.as_i64()?, 0)
}

/// Whether there are the portals that usher is for.
pub(super) async fn portals(subject: &Subject) -> Finding {
    if let Some(left_out) = left_out(subject).await {
        return left_out;
    }
    match subject.konnect.portals().await {
        Ok(portals) => judge_portals(portals),
        Err(refused) => match refused.status {
            Some(401) => Finding::skipped("the token is refused, see konnect-token"),
            Some(403) => {
                Finding::skipped("the token may not list portals, see konnect-permissions")
            }
            _ => Finding::failed(
                format!("the portals cannot be listed: {}", refused.why),
                "see docs/operations/failures.md, then run `usher doctor` again",
            ),
        },
    }
}

fn judge_portals(portals: &SeenPortals) -> Finding {
    if !portals.missing.is_empty() {
        let missing: Vec<String> = portals.missing.iter().map(ToString::to_string).collect();
        return Finding::failed(
            format!(
                "the token does not see {} of konnect.portals",
                missing.join(", ")
            ),
            "correct konnect.portals or konnect.base_url: `usher init` lists the token's portals",
        );
    }
    if portals.asked.is_empty() {
        return Finding::warning(
            "the token sees no portal",
            "correct konnect.base_url: is it the right region?",
        );
    }
    let names: Vec<String> = portals
        .asked
        .iter()
        .map(|portal| format!("{} ({})", portal.name, portal.id))
        .collect();
    let left_out = match portals.left_out {
        0 => String::new(),
        count => format!(
            "; {} not looked at, for want of time at konnect.requests_per_second",
            counted(count, "portal")
        ),
    };
    Finding::ok(format!("{}{left_out}", names.join(", ")))
}

/// Whether the token may read what usher reads.
pub(super) async fn permissions(subject: &Subject) -> Finding {
    if let Some(left_out) = left_out(subject).await {
        return left_out;
    }
    match subject.konnect.portals().await {
        Ok(portals) => {
            let (lists, slots) = tokio::join!(
                subject.konnect.lists(&portals.asked),
                subject.konnect.slots(&portals.asked)
            );
            judge_permissions(&lists, slots)
        }
        Err(Refused {
            status: Some(403), ..
        }) => Finding::failed("the token may not list portals (403)", GUIDE),
        Err(refused) if refused.status == Some(401) => {
            Finding::skipped("the token is refused, see konnect-token")
        }
        Err(_) => Finding::skipped("the portals cannot be listed, see konnect-portals"),
    }
}

fn judge_permissions(lists: &[AskedList], slots: &[Slot]) -> Finding {
    let mut found = Findings::default();
    for AskedList {
        what,
        portal,
        answer,
    } in lists
    {
        let Err(refused) = answer else { continue };
        let name = &portal.name;
        found.push(match refused.status {
            Some(403) => Finding::failed(format!("it may not list {what} of {name} (403)"), GUIDE),
            Some(401) => Finding::failed(
                format!("it is not accepted for {what} of {name} (401)"),
                "make a token in Konnect, and put it where konnect.token names it",
            ),
            _ => Finding::warning(
                format!("{what} of {name}: {}", refused.why),
                "run `usher doctor` again; see docs/operations/failures.md",
            ),
        });
    }
    for slot in slots {
        let destination = slot.destination.as_ref().and_then(|it| it.as_ref().err());
        let refused = [
            ("webhook", slot.webhook.as_ref().err()),
            ("audit-log destination", destination),
        ];
        for (what, refused) in refused {
            if refused.is_some_and(|it| it.status == Some(403)) {
                let name = slot.log.name();
                found.push(Finding::warning(
                    format!("it may not read the {what} of {name} (403), which only set-up needs"),
                    GUIDE,
                ));
            }
        }
    }
    found.or_ok(
        "it may read developers, teams, applications, registrations and webhooks; what it may write is not tried",
    )
}

/// Whether this machine's clock and Konnect's agree.
pub(super) async fn clock(subject: &Subject) -> Finding {
    if subject.konnect.unusable().is_some() {
        return Finding::skipped("no call can be made, see konnect");
    }
    // Any answer has a date, a refusal too.
    let answered = subject.konnect.keys().await;
    match subject.konnect.ahead() {
        Some(ahead) => judge_clock(ahead),
        None if answered.is_ok() => Finding::skipped("no answer of Konnect says what time it is"),
        None => Finding::skipped("Konnect does not answer, see konnect"),
    }
}

fn judge_clock(ahead: TimeDelta) -> Finding {
    let way = if ahead > TimeDelta::zero() {
        "behind"
    } else {
        "ahead of"
    };
    let seconds = ahead.num_seconds().abs();
    let told = format!("this machine's clock is {seconds} s {way} Konnect's");
    let mend = "set this machine's clock by NTP: `timedatectl set-ntp true`";
    match ahead.abs() {
        apart if apart > CLOCKS_WRONG => Finding::failed(told, mend),
        apart if apart > CLOCKS_DIFFER => Finding::warning(told, mend),
        _ => Finding::ok("this machine's clock and Konnect's agree"),
    }
}

/// Whether there are keys to check signatures with.
pub(super) async fn signing_keys(subject: &Subject) -> Finding {
    if subject.konnect.unusable().is_some() {
        return Finding::skipped("no call can be made, see konnect");
    }
    let answer = subject.konnect.keys().await;
    judge_keys(answer, subject.config.ingest.verify)
}

fn judge_keys(answer: Result<usize, &Refused>, verify: VerifyPolicy) -> Finding {
    let mend = "enable signing of audit logs in Konnect, or set ingest.verify = \"off\"";
    let told = match answer {
        Ok(0) => "Konnect serves no key: no entry can be verified".to_owned(),
        Ok(count) => return Finding::ok(format!("{} served", counted(count, "key"))),
        Err(Refused { status: None, .. }) => {
            return Finding::skipped("Konnect does not answer, see konnect");
        }
        Err(refused) => format!("the keys cannot be read: {}", refused.why),
    };
    match verify {
        VerifyPolicy::Require => Finding::failed(
            format!("{told}, and ingest.verify = \"require\" quarantines each"),
            mend,
        ),
        VerifyPolicy::Record => Finding::warning(told, mend),
        VerifyPolicy::Off => Finding::ok(format!("{told}; ingest.verify is off")),
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use chrono::{DateTime, TimeDelta, Utc};
    use uuid::Uuid;

    use super::{expiry, judge_clock, judge_keys, judge_permissions, judge_portals, judge_token};
    use crate::cli::doctor::finding::{Finding, Status};
    use crate::cli::doctor::konnect_facts::{
        AskedList, Refused, SeenLog, SeenPortal, SeenPortals, Slot,
    };
    use crate::config::VerifyPolicy;

    fn refused(status: Option<u16>) -> Refused {
        Refused {
            status,
            why: "no answer".to_owned(),
        }
    }

    fn portal() -> SeenPortal {
        SeenPortal {
            id: Uuid::nil(),
            name: "Football".to_owned(),
        }
    }

    fn tells(finding: &Finding, status: Status, word: &str) {
        assert_eq!(finding.status, status, "{finding:?}");
        assert!(finding.detail.contains(word), "{finding:?}");
    }

    #[test]
    fn a_token_says_when_it_expires_where_it_can() {
        let now: DateTime<Utc> = DateTime::UNIX_EPOCH + TimeDelta::days(10_000);
        let claims = format!("{{\"exp\":{}}}", now.timestamp());
        let token = format!("a.{}.b", URL_SAFE_NO_PAD.encode(claims));
        assert_eq!(expiry(&token), Some(now));
        assert_eq!(expiry("kpat_opaque"), None);
        assert_eq!(expiry("a.%.c"), None);
        let in_days = |days| Some(now + TimeDelta::days(days));
        tells(&judge_token(Ok(()), None, now), Status::Ok, "not known");
        tells(
            &judge_token(Ok(()), in_days(60), now),
            Status::Ok,
            "1997-07-",
        );
        tells(
            &judge_token(Ok(()), in_days(3), now),
            Status::Warning,
            "expires on",
        );
        let gone = refused(Some(401));
        tells(&judge_token(Err(&gone), None, now), Status::Failed, "401");
        tells(
            &judge_token(Err(&gone), in_days(-1), now),
            Status::Failed,
            "it expired on",
        );
        // Whatever else is refused is told by another line.
        let narrow = refused(Some(403));
        tells(
            &judge_token(Err(&narrow), None, now),
            Status::Ok,
            "accepted",
        );
    }

    #[test]
    fn a_list_that_is_forbidden_fails_and_one_that_is_not_answered_warns() {
        let list = |what, status: Option<Option<u16>>| AskedList {
            what,
            portal: portal(),
            answer: status.map_or(Ok(()), |status| Err(refused(status))),
        };
        let slot = |status| Slot {
            log: SeenLog::Portal(portal()),
            webhook: Err(refused(Some(status))),
            destination: None,
            status: None,
        };
        tells(
            &judge_permissions(&[list("teams", None)], &[]),
            Status::Ok,
            "not tried",
        );
        let told = judge_permissions(&[list("developers", Some(Some(403)))], &[]);
        tells(
            &told,
            Status::Failed,
            "may not list developers of Football (403)",
        );
        let told = judge_permissions(&[list("developers", Some(Some(401)))], &[]);
        tells(
            &told,
            Status::Failed,
            "not accepted for developers of Football (401)",
        );
        let told = judge_permissions(&[list("teams", Some(None))], &[]);
        tells(&told, Status::Warning, "teams of Football: no answer");
        tells(
            &judge_permissions(&[], &[slot(403)]),
            Status::Warning,
            "webhook of Football",
        );
        tells(
            &judge_permissions(&[], &[slot(500)]),
            Status::Ok,
            "may read",
        );
    }

    #[test]
    fn portals_clock_and_keys_are_judged() {
        let seen = SeenPortals {
            asked: vec![portal()],
            left_out: 2,
            missing: Vec::new(),
        };
        tells(&judge_portals(&seen), Status::Ok, "2 portals not looked at");
        tells(
            &judge_portals(&SeenPortals::default()),
            Status::Warning,
            "no portal",
        );
        let missing = SeenPortals {
            missing: vec![Uuid::max()],
            ..seen
        };
        tells(&judge_portals(&missing), Status::Failed, "ffffffff");
        for (seconds, status, word) in [
            (-2, Status::Ok, "agree"),
            (40, Status::Warning, "40 s behind"),
            (-600, Status::Failed, "600 s ahead of"),
        ] {
            tells(&judge_clock(TimeDelta::seconds(seconds)), status, word);
        }
        let broken = refused(Some(500));
        for (answer, verify, status) in [
            (Ok(2), VerifyPolicy::Require, Status::Ok),
            (Ok(0), VerifyPolicy::Require, Status::Failed),
            (Ok(0), VerifyPolicy::Record, Status::Warning),
            (Ok(0), VerifyPolicy::Off, Status::Ok),
            (Err(&broken), VerifyPolicy::Record, Status::Warning),
        ] {
            assert_eq!(judge_keys(answer, verify).status, status, "{answer:?}");
        }
    }
}

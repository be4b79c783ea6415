//! What a sweep would do, read and decided in memory: prints, and changes nothing anywhere.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::anyhow;
use konnect::{Client, PortalId};
use serde_json::{Value, json};
use url::Url;

use crate::act::Target;
use crate::app::build_client;
use crate::cli::konnect_args::{list_portals, refused};
use crate::cli::links::{Linked, Links, beside};
use crate::cli::reconcile::Beginning;
use crate::cli::table::plain_lines;
use crate::cli::{CliError, DIFFERENCES, Output, counted};
use crate::clock::Clock;
use crate::directory::{Scope, Snapshot};
use crate::lifecycle::Lifecycle;
use crate::observe;
use crate::react::{DryRunResult, ExpectedOutcome, RuleDecision, WantedDeed, dry_run};
use crate::rules::{Facts, Mode, RuleSet};

/// What only a database knows.
const BLIND: &str = "a dry run does not know what only the database keeps: how much of limit_per_hour is used, \
     whom a person took out of a team, what was done before; what follows from a deed is decided after it";

/// Reads, decides and shows every portal.
pub(super) async fn run(beginning: Beginning, verbose: bool) -> Result<ExitCode, CliError> {
    let read = read_all(&beginning);
    let snapshots = tokio::select! {
        read = read => read?,
        signalled = Lifecycle::signalled() => {
            signalled.map_err(anyhow::Error::from)?;
            return Err(CliError::Failed(anyhow!("stopped before everything was read")));
        }
    };
    let Beginning {
        rules,
        output,
        links,
        ..
    } = beginning;
    for kind in unheard(&rules) {
        Output::progress(&format!("no list shows {kind}: rules on it are not tried"));
    }
    Output::progress(BLIND);
    let now = Clock::system().now();
    let mut total = Count::default();
    for snapshot in &snapshots {
        let told = dry_run(&rules, snapshot, now);
        total.portals += 1;
        for result in &told {
            total.add(result);
        }
        if output.is_json() {
            for result in &told {
                let data = as_json(snapshot.portal_id, result);
                output.data("", &Linked::new(data, links.target(&result.target)))?;
            }
        } else {
            output.data(&as_text(snapshot, &told, verbose, &links), &Value::Null)?;
        }
    }
    output.data(&total.text(), &total.json())?;
    if snapshots.iter().any(|snapshot| !snapshot.unread.is_empty()) {
        return Err(CliError::Failed(anyhow!(
            "not everything could be read: what is shown goes by the rest"
        )));
    }
    Ok(if total.deeds > 0 {
        ExitCode::from(DIFFERENCES)
    } else {
        ExitCode::SUCCESS
    })
}

/// Reads everything before anything is shown: half of a picture would be taken for the whole.
async fn read_all(beginning: &Beginning) -> Result<Vec<Snapshot>, CliError> {
    let konnect = &beginning.config.konnect;
    let client = build_client(konnect)?;
    let portals = if beginning.portals.is_empty() {
        let listed = list_portals(&client, &konnect.base_url).await?;
        listed.into_iter().map(|portal| portal.id).collect()
    } else {
        beginning.portals.clone()
    };
    let mut snapshots = Vec::with_capacity(portals.len());
    for portal in portals {
        let snapshot = read(&client, portal, &konnect.base_url).await?;
        for unread in &snapshot.unread {
            Output::progress(&format!("portal {portal}: {unread}"));
        }
        snapshots.push(snapshot);
    }
    Ok(snapshots)
}

async fn read(client: &Client, portal: PortalId, base_url: &Url) -> Result<Snapshot, CliError> {
    observe::read(client, portal, Scope::All)
        .await
        .map_err(|error| {
            let summary = match error.status() {
                Some(401) => refused(base_url),
                Some(403) => format!("the token may not read portal {portal}"),
                Some(404) => format!("{base_url} has no portal {portal} that the token sees"),
                _ => format!("could not read portal {portal}"),
            };
            CliError::Failed(anyhow!(error).context(summary))
        })
}

/// Signals that rules are on and that are no state in which somebody waits.
fn unheard(rules: &RuleSet) -> Vec<&str> {
    let mut kinds: Vec<&str> = rules
        .rules()
        .iter()
        .filter(|rule| rule.mode != Mode::Off)
        .map(|rule| rule.on.as_str())
        .filter(|on| !["developer.signed_up", "registration.requested"].contains(on))
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

/// What was found in all portals.
#[derive(Debug, Default)]
struct Count {
    portals: usize,
    waiting: usize,
    /// Deeds that live rules would do.
    deeds: usize,
    in_shadow: usize,
    parked: usize,
    /// Whom only rules in shadow would leave to a human.
    parked_in_shadow: usize,
    /// Those who wait while no rule wants anything.
    left: usize,
}

impl Count {
    fn add(&mut self, result: &DryRunResult) {
        self.waiting += 1;
        self.deeds += result.deeds(Mode::Live).count();
        self.in_shadow += result.deeds(Mode::Shadow).count();
        let is_parked = |mode: Mode| {
            let mut decisions = result.decisions.iter();
            decisions.any(|decision| {
                let mut wanted = decision.wanted.iter().flatten();
                decision.mode == mode
                    && wanted.any(|wanted_deed| {
                        matches!(wanted_deed.expected_outcome, ExpectedOutcome::Parked(_))
                    })
            })
        };
        if is_parked(Mode::Live) {
            self.parked += 1;
        } else if is_parked(Mode::Shadow) {
            self.parked_in_shadow += 1;
        }
        self.left += usize::from(!result.is_wanted());
    }

    fn text(&self) -> String {
        let Self {
            waiting,
            deeds,
            in_shadow,
            parked,
            parked_in_shadow,
            left,
            ..
        } = self;
        let mut parts = vec![format!("{} would be done", counted(*deeds, "deed"))];
        if *in_shadow > 0 {
            parts.push(format!("{in_shadow} more if the rules in shadow were live"));
        }
        if *parked > 0 {
            parts.push(format!("{parked} left to a human"));
        }
        if *parked_in_shadow > 0 {
            parts.push(format!(
                "{parked_in_shadow} would be left to a human if the rules in shadow were live"
            ));
        }
        if *left > 0 {
            parts.push(format!("no rule for {left}"));
        }
        format!("{waiting} waiting: {}", parts.join(", "))
    }

    fn json(&self) -> Value {
        json!({
            "portals": self.portals,
            "waiting": self.waiting,
            "deeds": self.deeds,
            "deeds_in_shadow": self.in_shadow,
            "left_to_a_human": self.parked,
            "left_to_a_human_in_shadow": self.parked_in_shadow,
            "no_rule": self.left,
        })
    }
}

/// One portal for people: for whom something would be done, and why not for the others.
fn as_text(snapshot: &Snapshot, told: &[DryRunResult], verbose: bool, links: &Links) -> String {
    let name = snapshot.portal.as_ref().map_or("", |portal| &portal.name);
    let mut text = vec![format!("portal {}  {name}", snapshot.portal_id)];
    let mut reasons: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for result in told {
        if result.is_wanted() || verbose {
            let page = links.target(&result.target);
            text.push(format!("  {}", beside(&who(result), page.as_deref())));
        }
        for decision in &result.decisions {
            match &decision.wanted {
                Ok(wanted) => text.push(format!("    {}", deeds_line(decision, wanted))),
                Err(reason) if verbose => {
                    text.push(format!("    {}: no: {reason}", decision.rule));
                }
                Err(_) if result.is_wanted() => {}
                Err(reason) => {
                    let reason = (decision.rule.as_str(), reason.as_str());
                    *reasons.entry(reason).or_default() += 1;
                }
            }
        }
        if result.decisions.is_empty() {
            let kind = result.facts.signal.kind.as_str();
            *reasons
                .entry((kind, "no rule is on this signal"))
                .or_default() += 1;
        }
    }
    if told.is_empty() {
        text.push("  nobody waits".to_owned());
    }
    for ((rule, reason), count) in reasons {
        text.push(format!("  {count} × {rule}: no: {reason}"));
    }
    plain_lines(&text)
}

/// Who or what waits, in one line.
fn who(result: &DryRunResult) -> String {
    let facts = &result.facts;
    let email = email(facts).unwrap_or("somebody");
    let text = match (&facts.registration, &facts.application) {
        (Some(registration), Some(application)) => format!(
            "{email}'s application {} asks for {}",
            application.name, registration.api.name
        ),
        (Some(registration), None) => format!("{email} asks for {}", registration.api.name),
        (None, _) => format!("{email} signed up"),
    };
    let (kind, id) = (result.target.kind(), result.target.id());
    format!("{text}  ({kind} {id})")
}

/// What one rule wants, in one line.
fn deeds_line(decision: &RuleDecision, wanted: &[WantedDeed]) -> String {
    let deed = |wanted_deed: &WantedDeed| {
        let note = match (&wanted_deed.owned_by, &wanted_deed.expected_outcome) {
            (Some(rule), _) => format!(" (done by {rule})"),
            (None, ExpectedOutcome::Done) => String::new(),
            (None, ExpectedOutcome::Holds) => " (is so already)".to_owned(),
            (None, ExpectedOutcome::Parked(reason)) if wanted_deed.deed.name() == "park" => {
                format!(" (left to a human: {reason})")
            }
            (None, ExpectedOutcome::Parked(reason)) => {
                format!(" (would be left to a human: {reason})")
            }
            (None, ExpectedOutcome::Waits) => " (would wait for the one before)".to_owned(),
            (None, ExpectedOutcome::Refused(reason)) => format!(" (would not be done: {reason})"),
            (None, ExpectedOutcome::NotReached) => " (would not be reached)".to_owned(),
        };
        let name = match wanted_deed.deed.name() {
            "park" => "park".to_owned(),
            _ => wanted_deed.deed.to_string(),
        };
        name + &note
    };
    let deeds: Vec<String> = wanted.iter().map(deed).collect();
    let would = match decision.mode {
        Mode::Live => "would",
        Mode::Shadow | Mode::Off => "would, but the rule is in shadow:",
    };
    format!("{}: {would} {}", decision.rule, deeds.join(", "))
}

fn email(facts: &Facts) -> Option<&str> {
    let of_developer = facts.developer.as_ref().map(|known| known.email.as_str());
    let owner = facts
        .application
        .as_ref()
        .and_then(|known| known.owner.as_ref());
    of_developer.or_else(|| owner.map(|owner| owner.name.as_str()))
}

/// One who waits, for programs.
fn as_json(portal: PortalId, result: &DryRunResult) -> Value {
    let facts = &result.facts;
    let decisions: Vec<Value> = result
        .decisions
        .iter()
        .map(|decision| match &decision.wanted {
            Ok(wanted) => json!({
                "rule": decision.rule,
                "mode": decision.mode.name(),
                "matched": true,
                "deeds": wanted.iter().map(deed_json).collect::<Vec<_>>(),
            }),
            Err(reason) => json!({
                "rule": decision.rule,
                "mode": decision.mode.name(),
                "matched": false,
                "reason": reason,
            }),
        })
        .collect();
    let target: &Target = &result.target;
    json!({
        "portal_id": portal,
        "signal": facts.signal.kind,
        "target": target,
        "email": facts.developer.as_ref().map(|known| &known.email),
        "application": facts.application.as_ref().map(|known| &known.name),
        "api": facts.registration.as_ref().map(|known| &known.api.name),
        "would_act": result.deeds(Mode::Live).next().is_some(),
        "rules": decisions,
    })
}

fn deed_json(wanted_deed: &WantedDeed) -> Value {
    let (outcome, reason) = match &wanted_deed.expected_outcome {
        ExpectedOutcome::Done => ("would_be_done", None),
        ExpectedOutcome::Holds => ("holds_already", None),
        ExpectedOutcome::Parked(reason) => ("left_to_a_human", Some(reason)),
        ExpectedOutcome::Waits => ("would_wait", None),
        ExpectedOutcome::Refused(reason) => ("would_be_refused", Some(reason)),
        ExpectedOutcome::NotReached => ("would_not_be_reached", None),
    };
    json!({
        "deed": wanted_deed.deed,
        "outcome": outcome,
        "reason": reason,
        "done_by": wanted_deed.owned_by,
    })
}

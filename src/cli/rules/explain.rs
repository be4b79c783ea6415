//! `usher rules explain`: which rules match a developer now, which condition said no, and what was
//! done about them so far.
//!
//! Shows e-mail and name: a person who may read the database may see them.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Args;
use konnect::{DeveloperId, PortalId};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::act::{Action, Queue};
use crate::app::Database;
use crate::cli::ids::id;
use crate::cli::links::{Linked, Links, LinksArgs, beside};
use crate::cli::rules::{file_of, open, rules_of};
use crate::cli::table::plain_lines;
use crate::cli::{CliError, Common, Output, counted};
use crate::clock::{Clock, Ids};
use crate::config::Environment;
use crate::directory::Directory;
use crate::event::{SignalKind, plain};
use crate::react::{Explained, ExplainedRule, ExplainedSignal, explain};
use crate::rules::{NamedValue, RuleSet, Trace};

/// A value in a line for people is cut here.
const MAX_VALUE: usize = 160;
/// A list is cut here, between two entries: which ones it has is what was asked about.
const MAX_LIST: usize = 2_000;

/// Arguments of `usher rules explain`.
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The developer
    #[arg(long, value_name = "ID", value_parser = id)]
    developer: Uuid,
    /// The portal [default: every one where the developer is known]
    #[arg(long, value_name = "ID", value_parser = id)]
    portal: Option<Uuid>,
    /// The rules [default: rules.path of the configuration]
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    #[command(flatten)]
    links: LinksArgs,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(
    args: ExplainArgs,
    environment: &Environment,
) -> Result<ExitCode, CliError> {
    let config = args.common.load(environment)?;
    let rules = rules_of(&file_of(args.rules.clone(), &config)?)?;
    let database = open(&config, environment).await?;
    let explained = explain_all(&database, &rules, &args).await;
    let is_told = is_told(&database, args.developer).await;
    database.stop().await;
    let explained = explained.context("could not explain")?;
    if explained.is_empty() {
        let at = args
            .portal
            .map_or(String::new(), |id| format!(" at portal {id}"));
        let id = args.developer;
        let hint = if is_told.context("could not explain")? {
            "usher keeps under this id what a trusted sender reported about somebody; \
             once a developer has that address, ask by the developer's own id. \
             usher rules test shows what rules decide about the event itself"
        } else {
            "a sweep of usher serve must have found them first"
        };
        return Err(CliError::Failed(anyhow!(
            "the directory knows no developer {id}{at}: {hint}"
        )));
    }
    let links = args.links.of(&config);
    for explained in &explained {
        show(explained, args.common.output(), &links)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether this is an id of usher's own, such as `subject_id` of a custom event.
async fn is_told(database: &Database, id: Uuid) -> anyhow::Result<bool> {
    let (clock, journal) = (Clock::system(), database.journal());
    let directory = Directory::new(journal.clone(), clock.clone(), Ids::new(clock));
    Ok(directory.is_custom_subject(id).await?)
}

async fn explain_all(
    database: &Database,
    rules: &RuleSet,
    args: &ExplainArgs,
) -> anyhow::Result<Vec<Explained>> {
    let clock = Clock::system();
    let ids = Ids::new(clock.clone());
    let journal = database.journal();
    let directory = Directory::new(journal.clone(), clock.clone(), ids.clone());
    let queue = Queue::new(journal.clone(), clock.clone(), ids);
    let portals = match args.portal {
        Some(portal) => vec![PortalId(portal)],
        None => directory
            .portals()
            .await?
            .iter()
            .map(|portal| portal.id)
            .collect(),
    };
    let developer = DeveloperId(args.developer);
    let mut all = Vec::new();
    for portal in portals {
        let rooms = (journal, &directory, &queue);
        let asked = explain(rooms, rules, (portal, developer), clock.now());
        all.extend(Box::pin(asked).await?);
    }
    Ok(all)
}

fn show(explained: &Explained, output: Output, links: &Links) -> Result<(), CliError> {
    let Explained {
        portal, developer, ..
    } = explained;
    let known = &developer.developer;
    let email = developer.subject.email.as_deref();
    let gone = if known.row_version.is_gone() {
        ", gone"
    } else {
        ""
    };
    let teams: Vec<&str> = developer
        .teams
        .iter()
        .map(|team| team.name.as_str())
        .collect();
    let text = format!(
        "{} ({}, {}{gone}) at {:?} ({}), in {}",
        email.unwrap_or("(no e-mail known)"),
        known.id,
        known.status,
        portal.name,
        portal.id,
        if teams.is_empty() {
            "no team".to_owned()
        } else {
            teams.join(", ")
        },
    );
    let data = json!({
        "type": "developer",
        "developer_id": known.id,
        "portal_id": portal.id,
        "email": email,
        "status": known.status.as_str(),
        "gone": known.row_version.is_gone(),
        "teams": teams,
    });
    let linked = Linked::new(&data, links.person(known.id.0));
    output.data(&linked.line(&plain(&text)), &linked)?;
    for signal in &explained.signals {
        show_signal(signal, output, links)?;
    }
    show_rest(explained, output, links)
}

fn show_signal(heard: &ExplainedSignal, output: Output, links: &Links) -> Result<(), CliError> {
    let page = page_of(heard, links);
    if output.is_json() {
        for rule in &heard.rules {
            let data = json_of_rule(heard, rule);
            output.data("", &Linked::new(data, page.clone()))?;
        }
        return Ok(());
    }
    let mut text = vec![
        String::new(),
        beside(
            &format!("{}: {}", heard.signal.kind, heard.about),
            page.as_deref(),
        ),
    ];
    text.extend(heard.settled.iter().map(|settled| format!("  {settled}")));
    for fact in &heard.cut {
        text.push(format!(
            "  {fact} is long: conditions see its first entries only"
        ));
    }
    if heard.rules.is_empty() {
        text.push("  no rule is on this signal".to_owned());
    }
    for rule in &heard.rules {
        push_rule(rule, &mut text);
    }
    output.data(&plain_lines(&text), &())?;
    Ok(())
}

/// The page of what a signal is about, beside the developer: a custom event, or an application.
fn page_of(heard: &ExplainedSignal, links: &Links) -> Option<String> {
    match (&heard.signal.kind, heard.signal.application_id) {
        (SignalKind::Custom(_), _) => links.event(heard.signal.cause.as_uuid()),
        (_, Some(application)) => links.application(application),
        (_, None) => None,
    }
}

fn json_of_rule(heard: &ExplainedSignal, rule: &ExplainedRule) -> Value {
    let (decision, reason) = rule.decided();
    let deeds: Vec<Value> = rule
        .deeds
        .iter()
        .map(|deed| json!({ "deed": deed.deed, "but": deed.but }))
        .collect();
    json!({
        "type": "rule",
        "rule": rule.explanation.rule,
        "mode": rule.explanation.mode.name(),
        "signal": heard.signal.kind.as_str(),
        "event_id": matches!(heard.signal.kind, SignalKind::Custom(_)).then_some(heard.signal.cause),
        "application_id": heard.signal.application_id,
        "registration_id": heard.signal.registration_id,
        "settled": heard.settled,
        "cut": heard.cut,
        "decision": decision,
        "reason": reason,
        "obstacles": rule.explanation.obstacles,
        "deeds": deeds,
        "condition": rule.explanation.condition,
    })
}

fn push_rule(rule: &ExplainedRule, lines: &mut Vec<String>) {
    let explanation = &rule.explanation;
    let (decision, reason) = rule.decided();
    let decision = decision.replace('_', " ");
    let reason_too = reason.map_or(String::new(), |reason| format!(", {reason}"));
    let mode = explanation.mode.name();
    lines.push(format!(
        "  {} ({mode}): {decision}{reason_too}",
        explanation.rule
    ));
    let obstacles = explanation.obstacles.iter();
    let others = obstacles.filter(|obstacle| Some(obstacle.as_str()) != reason);
    lines.extend(others.map(|obstacle| format!("    also: {obstacle}")));
    for deed in &rule.deeds {
        lines.push(format!("    {}", deed.deed));
        lines.extend(deed.but.iter().map(|but| format!("      but {but}")));
    }
    match &explanation.condition {
        Some(condition) => push_part(condition, 2, lines),
        None => lines.push("    it has no condition".to_owned()),
    }
}

/// A part with its result and values, and its own parts below it.
fn push_part(part: &Trace, depth: usize, lines: &mut Vec<String>) {
    let result = match (part.result, &part.reason) {
        (Some(result), _) => result.to_string(),
        (None, reason) => reason.clone().unwrap_or_default(),
    };
    // A condition may be written on several lines.
    let written: Vec<&str> = part.text.split_whitespace().collect();
    let mut values: Vec<String> = part.values.iter().map(value_of).collect();
    values.extend(part.joined_by.map(|sign| {
        let words = match sign {
            "&&" => "all of",
            "||" => "one of",
            _ => "not",
        };
        words.to_owned()
    }));
    let values = match values.join(", ") {
        none if none.is_empty() => none,
        some => format!(" ({some})"),
    };
    let indent = "  ".repeat(depth);
    lines.push(format!("{indent}{} → {result}{values}", written.join(" ")));
    for inner in &part.parts {
        push_part(inner, depth + 1, lines);
    }
}

fn value_of(value: &NamedValue) -> String {
    if let Some(reason) = &value.reason {
        return format!("{}: {reason}", value.name);
    }
    let shown = match &value.value {
        Value::Array(entries) => list_of(entries),
        other => cut(&other.to_string()),
    };
    format!("{} = {shown}", value.name)
}

fn list_of(entries: &[Value]) -> String {
    let mut shown = "[".to_owned();
    for (index, entry) in entries.iter().enumerate() {
        if shown.len() > MAX_LIST {
            let left = entries.len() - index;
            return format!("{shown}, … {left} more]");
        }
        if index > 0 {
            shown.push_str(", ");
        }
        shown.push_str(&cut(&entry.to_string()));
    }
    shown + "]"
}

fn cut(full: &str) -> String {
    let mut shown: String = full.chars().take(MAX_VALUE).collect();
    if shown.len() < full.len() {
        shown.push('…');
    }
    shown
}

fn show_rest(explained: &Explained, output: Output, links: &Links) -> Result<(), CliError> {
    if output.is_json() {
        for (rule, on) in &explained.elsewhere {
            let data = json!({
                "type": "rule", "rule": rule, "signal": on, "decision": "not_asked",
                "reason": format!("it is on another signal{}", none_told(on)),
            });
            output.data("", &data)?;
        }
        for action in &explained.past {
            let data = json!({ "type": "action", "action": action });
            output.data("", &Linked::new(data, links.action(action.id)))?;
        }
        return Ok(());
    }
    let mut text = Vec::new();
    if !explained.elsewhere.is_empty() {
        text.extend([String::new(), "rules on other signals:".to_owned()]);
        let elsewhere = explained.elsewhere.iter();
        text.extend(elsewhere.map(|(rule, on)| format!("  {rule}: on {on}{}", none_told(on))));
    }
    let count = counted(explained.past.len(), "action");
    text.extend([String::new(), format!("{count} so far")]);
    let past = explained.past.iter().map(|action| {
        let page = links.action(action.id);
        format!("  {}", beside(&past(action), page.as_deref()))
    });
    text.extend(past);
    output.data(&plain_lines(&text), &())?;
    Ok(())
}

/// A rule on custom events is explained by the last one about somebody, if there is one.
fn none_told(on: &str) -> &'static str {
    if on.starts_with("custom.") {
        ", and no such event about them is on record"
    } else {
        ""
    }
}

fn past(action: &Action) -> String {
    let reason = action.reason.as_deref().map(|reason| format!(": {reason}"));
    format!(
        "{} {} by {}: {}{} (action {})",
        action.created_at.format("%FT%TZ"),
        action.deed,
        action.rule,
        action.state,
        reason.unwrap_or_default(),
        action.id,
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{push_part, value_of};
    use crate::cli::table::plain_lines;
    use crate::rules::{NamedValue, Trace};

    #[test]
    fn a_list_is_shown_with_its_entries_whole() {
        let shown = |value| {
            value_of(&NamedValue {
                name: "x".to_owned(),
                value,
                reason: None,
            })
        };
        let teams: Vec<String> = (0..60).map(|number| format!("Team {number}")).collect();
        let expected = format!("x = [\"{}\"]", teams.join("\", \""));
        assert_eq!(shown(json!(teams)), expected);
        assert_eq!(shown(json!([])), "x = []");
        let many = shown(json!(vec!["y".repeat(150); 200]));
        assert!(many.ends_with("\", … 187 more]"), "{many}");
        let long = shown(json!(["y".repeat(200)]));
        assert_eq!(long, format!("x = [\"{}…]", "y".repeat(159)));
        let long = shown(json!("y".repeat(200)));
        assert_eq!(long, format!("x = \"{}…", "y".repeat(159)));
    }

    #[test]
    fn a_value_does_not_steer_the_terminal() {
        let value = NamedValue {
            name: "developer.name".to_owned(),
            value: json!("a\u{1b}[2J\u{9b}2J\u{202e}\u{2028}b"),
            reason: None,
        };
        let part = Trace {
            text: "developer.name == 'x'".to_owned(),
            result: Some(false),
            reason: None,
            values: vec![value],
            joined_by: None,
            parts: Vec::new(),
        };
        let mut lines = Vec::new();
        push_part(&part, 0, &mut lines);
        let shown = plain_lines(&lines);
        assert_eq!(
            shown,
            r#"developer.name == 'x' → false (developer.name = "a\u001b[2J\u{9b}2J\u{202e}\u{2028}b")"#
        );
    }
}

//! `usher actions`: what was decided and done, and what people do about it.

mod ask;
mod by_hand;
mod vetoes;

use std::process::ExitCode;

use anyhow::{Context, anyhow};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use uuid::Uuid;

use crate::act::{
    Action, ActionDetail, ActionFilter, ActionPosition, ActionState, Paused, Queue, Verb,
};
use crate::cli::actions::by_hand::{Switch, switch};
use crate::cli::ids::id;
use crate::cli::links::{Linked, Links, LinksArgs};
use crate::cli::listing::{Listing, PAGE};
use crate::cli::record::{Record, or_stopped};
use crate::cli::table::field;
use crate::cli::{CliError, Common, Output};
use crate::config::Environment;
use crate::rules::Deed;

/// Arguments of `usher actions`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct ActionsArgs {
    #[command(subcommand)]
    command: Option<ActionsCommand>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum ActionsCommand {
    /// List actions, the newest first (the default)
    List(ListArgs),
    /// Show one action with its attempts and what people did about it
    Show(ShowArgs),
    /// Ask for a deed without a rule: to approve, reject or revoke somebody or something, or a team
    Ask(ask::AskArgs),
    /// Carry out what is parked; approve whom a rule parked
    Approve(by_hand::ByHandArgs),
    /// Do not carry out what is parked; reject whom a rule parked. It stays so until `retry`
    Reject(by_hand::ByHandArgs),
    /// Decide again what failed, was refused or cancelled, also what a person rejected or cancelled
    Retry(by_hand::ByHandArgs),
    /// Cancel what is planned or parked; the rule does not ask for it again until `retry`
    Cancel(by_hand::ByHandArgs),
    /// List or lift vetoes, each in force until it is lifted
    Vetoes(vetoes::VetoesArgs),
    /// Let no action be carried out, by any instance, until `resume`
    Pause(by_hand::SwitchArgs),
    /// Let actions be carried out again
    Resume(by_hand::SwitchArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// How many, the newest
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    links: LinksArgs,
    #[command(flatten)]
    common: Common,
}

/// Which actions are meant.
#[derive(Debug, Args)]
struct FilterArgs {
    /// Only those in this state
    #[arg(long, value_name = "STATE", value_parser = states())]
    state: Option<ActionState>,
    /// Only those of this rule
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,
    /// Only those of this deed, such as `approve_developer`
    #[arg(long, value_name = "DEED", value_parser = Deed::NAMES)]
    deed: Option<String>,
    /// Only those of this portal
    #[arg(long, value_name = "ID", value_parser = id)]
    portal: Option<Uuid>,
    /// Only those done to this developer, application or registration
    #[arg(long, value_name = "ID", value_parser = id)]
    target: Option<Uuid>,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// The action's id
    id: Uuid,
    #[command(flatten)]
    links: LinksArgs,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(
    args: ActionsArgs,
    environment: &Environment,
) -> Result<ExitCode, CliError> {
    match args.command {
        None => list(args.list, environment).await,
        Some(ActionsCommand::List(args)) => list(args, environment).await,
        Some(ActionsCommand::Show(args)) => show(args, environment).await,
        Some(ActionsCommand::Ask(args)) => ask::run(args, environment).await,
        Some(ActionsCommand::Approve(args)) => by_hand::run(Verb::Approve, args, environment).await,
        Some(ActionsCommand::Reject(args)) => by_hand::run(Verb::Reject, args, environment).await,
        Some(ActionsCommand::Retry(args)) => by_hand::run(Verb::Retry, args, environment).await,
        Some(ActionsCommand::Cancel(args)) => by_hand::run(Verb::Cancel, args, environment).await,
        Some(ActionsCommand::Vetoes(args)) => vetoes::run(args, environment).await,
        Some(ActionsCommand::Pause(args)) => switch(Switch::Pause, args, environment).await,
        Some(ActionsCommand::Resume(args)) => switch(Switch::Resume, args, environment).await,
    }
}

async fn list(args: ListArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let record = Record::open(&args.common, environment).await?;
    let actions = record.actions();
    let now = record.clock.now();
    let filter = args.filter.filter();
    let links = args.links.of(&record.config);
    let read = async {
        let paused = actions.paused().await.context("could not read actions")?;
        let found = matching(&actions, &filter, i64::from(args.limit)).await?;
        Ok((paused, found))
    };
    let (paused, found) = or_stopped(record.finish(read).await?)?;
    if let Some(paused) = paused {
        Output::progress(&format!("all actions are {}", describe(&paused)));
    }
    print(&found, now, Output::new(args.common.json), links)?;
    Ok(ExitCode::SUCCESS)
}

async fn show(args: ShowArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let record = Record::open(&args.common, environment).await?;
    let actions = record.actions();
    let links = args.links.of(&record.config);
    let read = async {
        Ok(actions
            .detail(args.id)
            .await
            .context("could not read actions")?)
    };
    let found = or_stopped(record.finish(read).await?)?;
    let detail = found.ok_or_else(|| anyhow!("there is no action with this id"))?;
    let linked = Linked::new(&detail, links.action(detail.action.id));
    Output::new(args.common.json).data(&linked.fields(whole(&detail)), &linked)?;
    Ok(ExitCode::SUCCESS)
}

impl FilterArgs {
    fn filter(&self) -> ActionFilter {
        ActionFilter {
            state: self.state,
            rule: self.rule.clone(),
            deed: self.deed.clone(),
            portal_id: self.portal,
            target_id: self.target,
        }
    }

    /// Whether it names anything.
    fn is_empty(&self) -> bool {
        self.state.is_none()
            && self.rule.is_none()
            && self.deed.is_none()
            && self.portal.is_none()
            && self.target.is_none()
    }
}

/// Up to `limit` actions, the newest first.
async fn matching(
    actions: &Queue,
    filter: &ActionFilter,
    limit: i64,
) -> Result<Vec<Action>, CliError> {
    let mut found: Vec<Action> = Vec::new();
    loop {
        let after = found.last().map(ActionPosition::from);
        let left = limit - i64::try_from(found.len()).unwrap_or(limit);
        let asked = left.min(PAGE);
        let rows = actions.list(filter, after, asked).await;
        let rows = rows.context("could not read actions")?;
        let read = i64::try_from(rows.len()).unwrap_or(asked);
        found.extend(rows);
        if read < asked || left == read {
            return Ok(found);
        }
    }
}

fn print(
    actions: &[Action],
    now: DateTime<Utc>,
    output: Output,
    links: Links,
) -> Result<(), CliError> {
    let heading = ["ID", "STATE", "AGE", "DEED", "TARGET", "RULE", "REASON"];
    let mut listing = Listing::linked(heading, output, links);
    for action in actions {
        let page = |links: &Links| links.action(action.id);
        listing.put_linked(|| action, || cells(action, now), page)?;
    }
    listing.end()?;
    Ok(())
}

fn cells(action: &Action, now: DateTime<Utc>) -> [String; 7] {
    [
        action.id.to_string(),
        action.state.to_string(),
        age(now - action.created_at),
        action.deed.clone(),
        action.target.to_string(),
        action.rule.clone(),
        action.reason.clone().unwrap_or_default(),
    ]
}

/// How long ago, in its largest unit.
fn age(span: TimeDelta) -> String {
    match span.num_seconds() {
        seconds @ ..60 => format!("{}s", seconds.max(0)),
        seconds @ 60..3_600 => format!("{}m", seconds / 60),
        seconds @ 3_600..172_800 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

fn describe(paused: &Paused) -> String {
    let since = paused.since.to_rfc3339_opts(SecondsFormat::Secs, true);
    let reason = paused.reason.as_ref();
    let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
    format!("paused by {} since {since}{reason}", paused.by)
}

fn whole(detail: &ActionDetail) -> String {
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let action = &detail.action;
    let mut lines = vec![
        field("id", &action.id.to_string()),
        field("state", action.state.as_str()),
        field("reason", action.reason.as_deref().unwrap_or("-")),
        field("deed", &detail.spec.to_string()),
        field("target", &action.target.to_string()),
        field("portal", &action.portal_id.to_string()),
        field("rule", &action.rule),
        field("signal", &detail.signal),
        field("facts", &detail.facts.to_string()),
        field("decided", &time(action.created_at)),
        field("changed", &time(action.updated_at)),
    ];
    for cause in &action.causes {
        lines.push(field("cause", &format!("event {cause}")));
    }
    if let Some(before) = detail.waits_for {
        lines.push(field("waits for", &format!("action {before}")));
    }
    if let Some(due) = detail.next_attempt_at {
        lines.push(field("due", &time(due)));
    }
    for attempt in &detail.history {
        let said = [
            Some(attempt.outcome.clone()),
            attempt.request.clone(),
            attempt.status.map(|status| status.to_string()),
            attempt.detail.clone(),
        ];
        let said: Vec<String> = said.into_iter().flatten().collect();
        let at = time(attempt.started_at);
        let name = format!("attempt {}", attempt.number);
        lines.push(field(&name, &format!("{at} {}", said.join(", "))));
    }
    for done in &detail.by_hand {
        let reason = done.reason.as_ref();
        let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
        let successor = done.successor;
        let successor = successor.map_or_else(String::new, |id| format!(", by action {id}"));
        let (at, verb, by) = (time(done.at), &done.verb, &done.by);
        lines.push(field(
            "by hand",
            &format!("{at} {verb} by {by}{reason}{successor}"),
        ));
    }
    lines.join("\n")
}

fn states() -> impl TypedValueParser<Value = ActionState> {
    let words = ActionState::ALL.map(ActionState::as_str);
    PossibleValuesParser::new(words).try_map(|word| word.parse::<ActionState>())
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::age;

    #[test]
    fn ages_are_short() {
        for (seconds, expected) in [
            (-3, "0s"),
            (59, "59s"),
            (60, "1m"),
            (7_199, "1h"),
            (172_799, "47h"),
            (172_800, "2d"),
        ] {
            assert_eq!(age(TimeDelta::seconds(seconds)), expected);
        }
    }
}

//! `usher actions approve|reject|retry|cancel|pause|resume`: what people do about actions.

use std::process::ExitCode;

use anyhow::{Context, anyhow};
use chrono::{DateTime, Utc};
use clap::Args;
use uuid::Uuid;

use crate::act::{Action, Intervened, Person, Queue, Verb};
use crate::api::render;
use crate::cli::actions::{FilterArgs, describe, matching, print};
use crate::cli::ids::id;
use crate::cli::links::{Linked, Links, LinksArgs};
use crate::cli::person::PersonArgs;
use crate::cli::record::{Record, or_stopped};
use crate::cli::{CliError, Common, DIFFERENCES, Output, Reader};
use crate::config::Environment;

/// Actions that a filter may match; beyond that it is meant to be narrowed.
const MOST: i64 = 10_000;

/// Arguments of the commands that change actions.
#[derive(Debug, Args)]
pub(super) struct ByHandArgs {
    /// The actions, by id
    #[arg(value_name = "ID", value_parser = id, conflicts_with_all = ["state", "rule", "deed", "portal", "target"])]
    ids: Vec<Uuid>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Do it even where the filter matches more than one; else they are only listed
    #[arg(long)]
    yes: bool,
    /// Only list what it would be done to; exits 3 when there is something
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    person: PersonArgs,
    #[command(flatten)]
    links: LinksArgs,
    #[command(flatten)]
    common: Common,
}

/// Arguments of `pause` and `resume`.
#[derive(Debug, Args)]
pub(super) struct SwitchArgs {
    #[command(flatten)]
    person: PersonArgs,
    #[command(flatten)]
    common: Common,
}

/// What is asked of all actions.
#[derive(Debug, Clone, Copy)]
pub(super) enum Switch {
    Pause,
    Resume,
}

pub(super) async fn run(
    verb: Verb,
    args: ByHandArgs,
    environment: &Environment,
) -> Result<ExitCode, CliError> {
    args.check(verb)?;
    let person = args.person.person()?;
    let record = Record::open(&args.common, environment).await?;
    let actions = record.actions();
    let now = record.clock.now();
    let output = Output::new(args.common.json);
    let links = args.links.of(&record.config);
    let work = async {
        let chosen = args.chosen(verb, &actions).await?;
        // A person who names ids means them; a filter may match more than was thought of.
        let asks = args.dry_run || (args.ids.is_empty() && chosen.len() > 1 && !args.yes);
        if asks {
            return list(verb, &chosen, now, output, links);
        }
        if chosen.is_empty() {
            Output::progress("no action matches");
        }
        do_all(verb, &chosen, &actions, &person, (output, &links)).await
    };
    or_stopped(record.finish(work).await?)
}

/// Pauses or resumes all actions.
pub(super) async fn switch(
    switch: Switch,
    args: SwitchArgs,
    environment: &Environment,
) -> Result<ExitCode, CliError> {
    let person = args.person.person()?;
    let record = Record::open(&args.common, environment).await?;
    let actions = record.actions();
    let work = async {
        Ok(match switch {
            Switch::Pause => {
                let done = actions.pause_all(&person).await;
                let (paused, is_new) = done.context("could not pause")?;
                let already = if is_new { "" } else { "already " };
                (format!("{already}{}", describe(&paused)), Some(paused))
            }
            Switch::Resume => {
                let done = actions.resume_all(&person).await;
                let text = match done.context("could not resume")? {
                    Some(paused) => format!("actions go on; they were {}", describe(&paused)),
                    None => "actions were not paused".to_owned(),
                };
                (text, None)
            }
        })
    };
    let (text, paused) = or_stopped(record.finish(work).await?)?;
    Output::new(args.common.json).data(&text, &render::pause(paused.as_ref()))?;
    Ok(ExitCode::SUCCESS)
}

impl ByHandArgs {
    fn check(&self, verb: Verb) -> Result<(), CliError> {
        if self.ids.is_empty() && self.filter.is_empty() {
            return Err(CliError::Usage(format!(
                "name actions by id, or by a filter such as --state {}",
                verb.starting_states()[0]
            )));
        }
        match self.filter.state {
            Some(state) if !verb.starting_states().contains(&state) => {
                Err(CliError::Usage(format!(
                    "--state {state}: {}",
                    Intervened::WrongState(state).refusal(verb)
                )))
            }
            _ => Ok(()),
        }
    }

    /// The actions that are meant.
    async fn chosen(&self, verb: Verb, actions: &Queue) -> Result<Vec<Action>, CliError> {
        if self.ids.is_empty() {
            let mut filter = self.filter.filter();
            filter.state = filter
                .state
                .or_else(|| verb.starting_states().first().copied());
            let found = matching(actions, &filter, MOST + 1).await?;
            if found.len() > usize::try_from(MOST).unwrap_or(usize::MAX) {
                return Err(CliError::Usage(format!(
                    "more than {MOST} actions match: narrow the filter"
                )));
            }
            return Ok(found);
        }
        let mut chosen = Vec::with_capacity(self.ids.len());
        for id in &self.ids {
            let found = actions.detail(*id).await;
            let found = found.context("could not read actions")?;
            let found = found.ok_or_else(|| anyhow!("there is no action {id}"))?;
            chosen.push(found.action);
        }
        Ok(chosen)
    }
}

/// Lists what it would be done to; 3 where there is something.
fn list(
    verb: Verb,
    chosen: &[Action],
    now: DateTime<Utc>,
    output: Output,
    links: Links,
) -> Result<ExitCode, CliError> {
    if chosen.is_empty() {
        Output::progress("no action matches");
        return Ok(ExitCode::SUCCESS);
    }
    print(chosen, now, output, links)?;
    let count = chosen.len();
    let noun = if count == 1 { "action" } else { "actions" };
    Output::progress(&format!(
        "{count} {noun}, left as they are: add --yes to {verb} them all"
    ));
    Ok(ExitCode::from(DIFFERENCES))
}

/// Does it to one action after the other; fails when one of them could not be done.
async fn do_all(
    verb: Verb,
    chosen: &[Action],
    actions: &Queue,
    person: &Person,
    (output, links): (Output, &Links),
) -> Result<ExitCode, CliError> {
    let mut refused = 0_usize;
    // The rest is done even if one cannot be shown: half of it done would help nobody.
    let mut shown = Ok(Reader::There);
    for action in chosen {
        let id = action.id;
        let done = actions.intervene(id, verb, person).await;
        match done.with_context(|| format!("could not {verb} {id}"))? {
            Intervened::Done(by) => {
                let now = actions.detail(by).await.context("could not read actions")?;
                let deed = &action.deed;
                let target = format!("{} {}", action.target.kind(), action.target.id());
                let successor = now.as_ref().filter(|_| by != id);
                let made = successor.map_or_else(String::new, |made| {
                    format!(", by {} {by}", made.action.deed)
                });
                let text = format!("{verb} {id}: {deed} of {target}{made}");
                let linked = Linked::new(&now, links.action(by));
                shown = shown.and_then(|_| output.data(&linked.line(&text), &linked));
            }
            other => {
                refused += 1;
                Output::complain(&format!("{id}: {}", other.refusal(verb)));
            }
        }
    }
    if refused > 0 {
        return Err(CliError::Failed(match chosen.len() {
            1 => anyhow!("the action was left as it is"),
            count => anyhow!("{refused} of {count} actions were left as they are"),
        }));
    }
    shown?;
    Ok(ExitCode::SUCCESS)
}

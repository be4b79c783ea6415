//! `usher actions vetoes`: what people forbade, and lifting it.

use std::process::ExitCode;

use anyhow::{Context, anyhow};
use chrono::SecondsFormat;
use clap::{Args, Subcommand};
use uuid::Uuid;

use crate::act::Veto;
use crate::cli::ids::id;
use crate::cli::links::{Linked, Links, LinksArgs};
use crate::cli::listing::{Listing, PAGE};
use crate::cli::person::PersonArgs;
use crate::cli::record::{Record, or_stopped};
use crate::cli::{CliError, Common, Output, Reader};
use crate::config::Environment;

const HEADING: [&str; 6] = ["ID", "SINCE", "DEED", "TARGET", "BY", "REASON"];

/// Arguments of `usher actions vetoes`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct VetoesArgs {
    #[command(subcommand)]
    command: Option<VetoesCommand>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum VetoesCommand {
    /// List the vetoes in force, the newest first (the default)
    List(ListArgs),
    /// Lift vetoes: rules may ask for the deed again
    Lift(LiftArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    links: LinksArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct LiftArgs {
    /// The vetoes, by id
    #[arg(value_name = "ID", value_parser = id, required = true)]
    ids: Vec<Uuid>,
    #[command(flatten)]
    person: PersonArgs,
    #[command(flatten)]
    links: LinksArgs,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(args: VetoesArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    match args.command {
        Some(VetoesCommand::Lift(args)) => lift(args, environment).await,
        Some(VetoesCommand::List(args)) => list(args, environment).await,
        None => list(args.list, environment).await,
    }
}

async fn list(args: ListArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let record = Record::open(&args.common, environment).await?;
    let actions = record.actions();
    let output = Output::new(args.common.json);
    let mut listing = Listing::linked(HEADING, output, args.links.of(&record.config));
    let work = async {
        let mut after = None;
        loop {
            let vetoes = actions.vetoes(after, PAGE).await;
            let vetoes = vetoes.context("could not read the vetoes")?;
            for veto in &vetoes {
                let page = |links: &Links| links.target(&veto.target);
                if listing.put_linked(|| veto, || cells(veto), page)? == Reader::Gone {
                    return Ok(());
                }
            }
            match vetoes.last() {
                Some(last) => after = Some(last.id),
                None => break,
            }
        }
        listing.end()?;
        Ok(())
    };
    or_stopped(record.finish(work).await?)?;
    Ok(ExitCode::SUCCESS)
}

async fn lift(args: LiftArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let person = args.person.person()?;
    let record = Record::open(&args.common, environment).await?;
    let actions = record.actions();
    let output = Output::new(args.common.json);
    let links = args.links.of(&record.config);
    let work = async {
        for id in &args.ids {
            let lifted = actions.lift_veto(*id, &person).await;
            let lifted = lifted.context("could not lift the veto")?;
            let veto = lifted.ok_or_else(|| anyhow!("no veto {id} is in force"))?;
            let target = format!("{} {}", veto.target.kind(), veto.target.id());
            let text = format!(
                "{id} is lifted: rules may ask for {} of {target}",
                veto.deed
            );
            let linked = Linked::new(&veto, links.target(&veto.target));
            output.data(&linked.line(&text), &linked)?;
        }
        Ok(())
    };
    or_stopped(record.finish(work).await?)?;
    Ok(ExitCode::SUCCESS)
}

fn cells(veto: &Veto) -> [String; 6] {
    let team = veto.team.as_ref();
    [
        veto.id.to_string(),
        veto.at.to_rfc3339_opts(SecondsFormat::Secs, true),
        team.map_or_else(|| veto.deed.clone(), |team| format!("{} {team}", veto.deed)),
        format!("{} {}", veto.target.kind(), veto.target.id()),
        veto.by.clone(),
        veto.reason.clone().unwrap_or_default(),
    ]
}

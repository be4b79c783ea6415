//! `usher actions ask`: a person asks for a deed without a rule.

use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Args;
use uuid::Uuid;

use crate::act::{Ask, Asked};
use crate::cli::ids::id;
use crate::cli::links::{Linked, LinksArgs};
use crate::cli::person::PersonArgs;
use crate::cli::record::{Record, or_stopped};
use crate::cli::{CliError, Common, Output};
use crate::config::Environment;
use crate::directory::{Directory, RowVersion};
use crate::journal::JournalError;

/// Arguments of `usher actions ask`.
#[derive(Debug, Args)]
pub(super) struct AskArgs {
    /// What is to be done
    #[arg(long, value_name = "DEED", value_parser = Ask::DEEDS)]
    deed: String,
    /// The developer, by id
    #[arg(long, value_name = "ID", value_parser = id, required_unless_present = "registration")]
    developer: Option<Uuid>,
    /// The registration, by id
    #[arg(long, value_name = "ID", value_parser = id, conflicts_with = "developer")]
    registration: Option<Uuid>,
    /// The team to join or to leave, by name or id
    #[arg(long, value_name = "TEAM")]
    team: Option<String>,
    /// Their portal; needed only where the id is in several
    #[arg(long, value_name = "ID", value_parser = id)]
    portal: Option<Uuid>,
    #[command(flatten)]
    person: PersonArgs,
    #[command(flatten)]
    links: LinksArgs,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(args: AskArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let target = args.target()?;
    // Whatever is wrong with the rest is wrong at any portal.
    args.ask(Uuid::nil(), target)?;
    let person = args.person.person()?;
    let record = Record::open(&args.common, environment).await?;
    let actions = record.actions();
    let links = args.links.of(&record.config);
    let directory = Directory::new(record.journal().clone(), record.clock.clone(), record.ids());
    let work = async {
        let ask = args.ask(args.portal(&directory, target).await?, target)?;
        let asked = actions.ask(&directory, &ask, &person).await;
        let (word, id) = match asked.context("could not ask for the deed")? {
            Asked::New(id) => ("planned", id),
            Asked::Open(id) => ("open already", id),
            Asked::Refused(why) => return Err(CliError::Failed(why.into())),
        };
        let found = actions.detail(id).await.context("could not read actions")?;
        let text = format!("{id}: {} is {word}", ask.deed());
        Ok((text, Linked::new(found, links.action(id))))
    };
    let (text, found) = or_stopped(record.finish(work).await?)?;
    Output::new(args.common.json).data(&found.line(&text), &found)?;
    Ok(ExitCode::SUCCESS)
}

impl AskArgs {
    /// The id that is meant, of what the deed is done to.
    fn target(&self) -> Result<Uuid, CliError> {
        let (needed, id) = if self.deed.ends_with("_registration") {
            ("--registration", self.registration)
        } else {
            ("--developer", self.developer)
        };
        id.ok_or_else(|| CliError::Usage(format!("--deed {}: it needs {needed}", self.deed)))
    }

    fn ask(&self, portal: Uuid, target: Uuid) -> Result<Ask, CliError> {
        let ask = Ask::new(portal, &self.deed, target, self.team.as_deref());
        ask.map_err(|error| CliError::Usage(format!("--{error}")))
    }

    /// The portal that is meant, else the only one that has the target.
    async fn portal(&self, directory: &Directory, target: Uuid) -> Result<Uuid, CliError> {
        if let Some(portal) = self.portal {
            return Ok(portal);
        }
        let found = self.portals(directory, target).await;
        match found.context("could not read the directory")?[..] {
            [portal] => Ok(portal),
            [] => Err(CliError::Failed(anyhow!(
                "the directory has nobody and nothing with the id {target}"
            ))),
            [..] => Err(CliError::Usage(
                "this id is in several portals: say which by --portal".to_owned(),
            )),
        }
    }

    async fn portals(
        &self,
        directory: &Directory,
        target: Uuid,
    ) -> Result<Vec<Uuid>, JournalError> {
        let mut found = Vec::new();
        for portal in directory.portals().await? {
            let row_version: Option<RowVersion> = if self.registration.is_some() {
                let known = directory.find_registration(portal.id, target.into());
                known.await?.map(|known| known.row_version)
            } else {
                let known = directory.find_developer(portal.id, target.into());
                known.await?.map(|known| known.row_version)
            };
            if row_version.is_some_and(|known| !known.is_gone()) {
                found.push(portal.id.into());
            }
        }
        Ok(found)
    }
}

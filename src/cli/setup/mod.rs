//! `usher setup`: points Konnect's webhook of a portal, or of the organisation, at this usher.
//!
//! What is there decides what is done, never what an earlier run did: it can be repeated, and goes
//! on where one was cut off.

mod args;
mod authorization;
mod bind;
mod calls;
mod endpoint;
mod first_delivery;
mod on_record;
mod plan;
mod probe;
mod remove;
mod rotate;
mod rotation;
mod show;
mod value_file;

use std::process::ExitCode;

use konnect::{Client, Portal, PortalId};

use crate::app::build_client;
use crate::cli::konnect_args::list_portals;
use crate::cli::setup::calls::Calls;
use crate::cli::setup::plan::Whose;
use crate::cli::{CliError, Output};
use crate::config::{Environment, KonnectConfig};
use crate::event::plain;

pub(super) use args::SetupArgs;

pub(super) async fn run(args: SetupArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let mut config = args.common.load(environment)?;
    config.konnect = args.reach.over(config.konnect)?;
    let client = build_client(&config.konnect)?;
    let whose = whose(&args, &config.konnect, &client).await?;
    let calls = Calls {
        client,
        base_url: config.konnect.base_url.clone(),
        whose,
    };
    match &args.public_url {
        _ if args.remove => remove::run(&args, environment, &calls).await,
        _ if args.rotate => rotate::run(&args, &config, environment, &calls).await,
        Some(public) => bind::run(&args, public, &config, environment, &calls).await,
        None => Err(CliError::Usage("name --public-url".to_owned())),
    }
}

/// The portal asked for, else the only one there is; or the organisation.
async fn whose(
    args: &SetupArgs,
    config: &KonnectConfig,
    client: &Client,
) -> Result<Whose, CliError> {
    if args.org {
        return Ok(Whose::Organisation);
    }
    let portals = list_portals(client, &config.base_url).await?;
    let asked = match (args.portal, config.portals.as_slice(), portals.as_slice()) {
        (Some(id), ..) | (None, &[id], _) => PortalId(id),
        (None, _, [only]) => only.id,
        _ => {
            let known = listed(&portals);
            return Err(CliError::Usage(format!(
                "name the portal with --portal, or the organisation with --org; the token sees {known}"
            )));
        }
    };
    let Some(portal) = portals.iter().find(|portal| portal.id == asked) else {
        return Err(CliError::Usage(format!(
            "--portal {asked}: no such portal at {}; the token sees {}",
            config.base_url,
            listed(&portals)
        )));
    };
    if !config.portals.is_empty() && !config.portals.contains(&asked.0) {
        Output::progress(&format!(
            "warning: konnect.portals does not list {asked}: its log is recorded, and nobody of it is let in"
        ));
    }
    Ok(Whose::Portal {
        id: asked,
        name: portal.name.clone(),
    })
}

/// A few portals, for people.
fn listed(portals: &[Portal]) -> String {
    const SHOWN: usize = 10;
    let first = portals.iter().take(SHOWN);
    let mut text: Vec<String> = first
        .map(|portal| format!("{} ({})", portal.id, plain(&portal.name)))
        .collect();
    if portals.len() > SHOWN {
        text.push(format!("and {} more", portals.len() - SHOWN));
    }
    text.join(", ")
}

//! `usher forget`: empties what usher has about a person. Asks nothing, and reports what it removed
//! without showing it.

use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Args;
use konnect::{DeveloperId, PortalId};
use serde_json::json;
use uuid::Uuid;

use crate::act::Queue;
use crate::app::open_database;
use crate::cli::ids::id;
use crate::cli::links::{Linked, Links, LinksArgs};
use crate::cli::{CliError, Common, Output, counted};
use crate::clock::{Clock, Ids};
use crate::config::Environment;
use crate::directory::{Directory, Forgotten};
use crate::journal::Journal;
use crate::lifecycle::Lifecycle;
use crate::report::rollup;

/// What the command cannot empty.
const REST: &str = "entries and custom events stay as they were sent, but for personal data \
                    that is stored apart: what a sender wrote elsewhere into data goes with \
                    retention.events, and an address or registration that is reported from now on \
                    is stored anew";

/// Arguments of `usher forget`.
#[derive(Debug, Args)]
pub(super) struct ForgetArgs {
    /// The developer, by their id in Konnect
    #[arg(long, value_name = "ID", value_parser = id)]
    developer: Uuid,
    /// Only in this portal [default: wherever they were seen]
    #[arg(long, value_name = "ID", value_parser = id)]
    portal: Option<Uuid>,
    #[command(flatten)]
    links: LinksArgs,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(args: ForgetArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let config = args.common.load(environment)?;
    let search_path = environment.path().as_ref();
    let database = open_database(&config.database, search_path, &Lifecycle::new()).await?;
    let forgotten = forget(database.journal(), &args).await;
    database.stop().await;
    let output = Output::new(args.common.json);
    let links = args.links.of(&config);
    for (portal, forgotten, actions) in forgotten? {
        show((output, &links), args.developer, portal, forgotten, actions)?;
    }
    Output::progress(REST);
    Ok(ExitCode::SUCCESS)
}

/// Forgets the person in every portal asked for; returns what was removed there, and the actions
/// about them.
async fn forget(
    journal: &Journal,
    args: &ForgetArgs,
) -> Result<Vec<(PortalId, Forgotten, u64)>, CliError> {
    let could_not = "could not forget";
    journal.migrate().await.context(could_not)?;
    let (clock, developer) = (Clock::system(), DeveloperId(args.developer));
    let ids = Ids::new(clock.clone());
    let directory = Directory::new(journal.clone(), clock.clone(), ids.clone());
    let queue = Queue::new(journal.clone(), clock, ids);
    let portals = match args.portal {
        Some(portal) => vec![PortalId(portal)],
        None => directory.portals_of(developer).await.context(could_not)?,
    };
    let mut all = Vec::new();
    for portal in portals {
        let forgotten = directory.forget(portal, developer).await;
        if let Some(forgotten) = forgotten.context(could_not)? {
            let actions = queue.forget(portal, developer).await.context(could_not)?;
            let counts = rollup::forget(journal, developer.0).await;
            counts.context(could_not)?;
            all.push((portal, forgotten, actions));
        }
    }
    if all.is_empty() {
        let place = args.portal.map_or_else(
            || "in any portal".to_owned(),
            |portal| format!("in portal {portal}"),
        );
        return Err(CliError::Failed(anyhow!(
            "usher never saw developer {developer} {place}: nothing is kept, nothing was removed"
        )));
    }
    Ok(all)
}

fn show(
    (output, links): (Output, &Links),
    developer: Uuid,
    portal: PortalId,
    forgotten: Forgotten,
    actions: u64,
) -> Result<(), CliError> {
    let Forgotten {
        email,
        full_name,
        told,
        before,
    } = forgotten;
    let removed: Vec<&str> = [(email, "e-mail"), (full_name, "name")]
        .into_iter()
        .filter_map(|(kept, word)| kept.then_some(word))
        .collect();
    let what = if removed.is_empty() {
        "nothing was kept any more".to_owned()
    } else {
        format!("removed {}", removed.join(" and "))
    };
    let domains = match actions {
        0 => String::new(),
        count => format!(
            ", and the domain of the address from {}",
            counted(count, "action")
        ),
    };
    let told_too = match told {
        0 => String::new(),
        count => format!(", and what {count} custom events reported about them"),
    };
    let text = format!("developer {developer} in portal {portal}: {what}{domains}{told_too}");
    let data = json!({
        "portal_id": portal,
        "developer_id": developer,
        "removed": {
            "email": email, "full_name": full_name, "actions": actions, "custom_events": told,
        },
        "forgotten_before": before,
    });
    let linked = Linked::new(data, links.person(developer));
    output.data(&linked.line(&text), &linked)?;
    Ok(())
}

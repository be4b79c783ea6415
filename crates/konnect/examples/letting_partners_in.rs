//! Lets the developers of a partner into a portal: a team that may use one API, whose members are
//! approved by the domain of their address, at a local Konnect:
//! `cargo run -p konnect --example letting_partners_in`.

use std::error::Error;

use konnect::catalog::{NewApi, NewAuthStrategy, PublicationSettings};
use konnect::{
    Client, DeveloperStatus, EntityRegion, ListDevelopers, Membership, NewDeveloper, NewPortal,
    NewRole, NewTeam, Patch, PortalScope, TextFilter,
};
use konnect_emulator::Emulator;

const DOMAIN: &str = "@partner.example";

#[tokio::main]
#[expect(clippy::print_stdout, reason = "that is what an example is for")]
async fn main() -> Result<(), Box<dyn Error>> {
    for email in let_in().await? {
        println!("{email} may use the API");
    }
    Ok(())
}

/// Lets partners in and returns their addresses.
pub(crate) async fn let_in() -> Result<Vec<String>, Box<dyn Error>> {
    let emulator = Emulator::start().await?;
    let client = Client::builder(emulator.url().parse()?)
        .token(emulator.token().into())
        .build()?;
    let new = NewPortal {
        name: "Portal".to_owned(),
        rbac_enabled: Some(true),
        ..NewPortal::default()
    };
    let portal = client.portals().create(&new).await?;
    let portal = client.portal(portal.id);

    // An API with a key for each application, published at the portal.
    let new = NewApi {
        name: "Payments".to_owned(),
        ..NewApi::default()
    };
    let api = client.apis().create(&new).await?;
    let strategy = NewAuthStrategy::key_auth("Keys", "apikey");
    let strategy = client.auth_strategies().create(&strategy).await?;
    let settings = PublicationSettings {
        auth_strategy_ids: Patch::Set(vec![strategy.id]),
        ..PublicationSettings::default()
    };
    let publications = client.api_publications();
    publications.publish(api.id, portal.id(), &settings).await?;

    // A team whose role is for that API alone.
    let new = NewTeam {
        name: "Partners".to_owned(),
        ..NewTeam::default()
    };
    let team = portal.teams().create(&new).await?;
    let role = NewRole {
        role_name: "API Consumer".to_owned(),
        entity_id: api.id.0,
        entity_type_name: "Services".to_owned(),
        entity_region: EntityRegion::Eu,
    };
    portal.roles().assign(team.id, &role).await?;

    for email in ["ann@partner.example", "bob@elsewhere.example"] {
        sign_up(portal, email).await?;
    }
    let waiting = ListDevelopers {
        status: Some(DeveloperStatus::Pending.into()),
        email: Some(TextFilter::Contains(DOMAIN.to_owned())),
        ..ListDevelopers::default()
    };
    let mut let_in = Vec::new();
    for developer in portal.developers().list(&waiting).await? {
        // The filter finds the text anywhere in an address.
        if !developer.email.ends_with(DOMAIN) {
            continue;
        }
        let developers = portal.developers();
        developers
            .set_status(developer.id, &DeveloperStatus::Approved)
            .await?;
        // To be a member already is no error: this may be run again.
        let membership = portal.teams().add_member(team.id, developer.id).await?;
        if membership == Membership::Added {
            let_in.push(developer.email);
        }
    }
    emulator.stop().await;
    Ok(let_in)
}

/// Somebody signs up and waits.
async fn sign_up(portal: PortalScope<'_>, email: &str) -> Result<(), konnect::Error> {
    let developer = NewDeveloper {
        email: email.to_owned(),
        full_name: "Somebody".to_owned(),
        status: Some(DeveloperStatus::Pending),
        send_invitation_email: false,
    };
    portal.developers().create(&developer).await?;
    Ok(())
}

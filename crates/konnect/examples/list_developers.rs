//! Lists the developers of a portal that wait for an answer and approves them, at a local Konnect:
//! `cargo run -p konnect --example list_developers`.

use std::error::Error;

use konnect::{Client, DeveloperStatus, ListDevelopers, PortalId};
use konnect_emulator::Emulator;
use serde_json::json;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "that is what an example is for")]
async fn main() -> Result<(), Box<dyn Error>> {
    for email in approve_all().await? {
        println!("{email} is approved");
    }
    Ok(())
}

/// Approves all who wait and returns their addresses.
pub(crate) async fn approve_all() -> Result<Vec<String>, Box<dyn Error>> {
    let emulator = Emulator::start().await?;
    let made = emulator.seed(&json!({ "portals": [{ "name": "Portal" }] }))?;
    let portal: PortalId = serde_json::from_value(made["portals"][0]["id"].clone())?;
    emulator.seed(&json!({ "crowds": [
        { "portal_id": portal, "count": 3, "email": "p{n}@example.com", "status": "pending" },
    ] }))?;

    // Against Konnect itself: `https://eu.api.konghq.com` or another region, and its token.
    let client = Client::builder(emulator.url().parse()?)
        .token(emulator.token().into())
        .build()?;
    let developers = client.portal(portal).developers();
    let pending = ListDevelopers {
        status: Some(DeveloperStatus::Pending.into()),
        ..ListDevelopers::default()
    };
    let mut approved = Vec::new();
    // All of them at once: whoever is approved leaves the list of those who wait.
    for developer in developers.list(&pending).await? {
        let status = &DeveloperStatus::Approved;
        let developer = developers.set_status(developer.id, status).await?;
        approved.push(developer.email);
    }
    emulator.stop().await;
    Ok(approved)
}

//! Compares what is certainly gone with what is known: pure. Only looks that proved an absence say
//! so; what a list merely lacks does not come here.

use konnect::{ApplicationId, DeveloperId};
use serde_json::json;

use crate::directory::difference::{Changes, Difference};
use crate::directory::known::Known;
use crate::directory::objects::Owner;
use crate::directory::snapshot::Snapshot;

/// Adds what is gone to `changes`, in the opposite order of what comes: memberships first, the
/// portal last.
pub(super) fn compare(snapshot: &Snapshot, known: &Known, look: i64, changes: &mut Changes<'_>) {
    memberships(snapshot, known, look, changes);
    registrations(snapshot, known, look, changes);
    applications(snapshot, known, look, changes);
    developers(snapshot, known, look, changes);
    teams(snapshot, known, look, changes);
    portal(snapshot, known, look, changes);
}

fn memberships(snapshot: &Snapshot, known: &Known, look: i64, changes: &mut Changes<'_>) {
    for key in &snapshot.absent.memberships {
        let seen = known.memberships.get(key).map(|known| &known.seen);
        let difference = Difference::of_membership(*key, "removed");
        let write = changes.removed(*key, seen, look, "membership.changed", difference);
        changes.gone.memberships.extend(write);
    }
}

fn registrations(snapshot: &Snapshot, known: &Known, look: i64, changes: &mut Changes<'_>) {
    for (_, id) in &snapshot.absent.registrations {
        let Some(registration) = known.registrations.get(id) else {
            continue;
        };
        let developer = owner(known, registration.application_id);
        let difference = Difference::about(
            "registration",
            id,
            [
                ("registration_id", json!(id)),
                ("application_id", json!(registration.application_id)),
                ("developer_id", json!(developer)),
                ("from_status", json!(registration.status)),
            ],
        )
        .of(developer);
        let seen = Some(&registration.seen);
        let write = changes.removed(*id, seen, look, "registration.removed", difference);
        changes.gone.registrations.extend(write);
    }
}

fn applications(snapshot: &Snapshot, known: &Known, look: i64, changes: &mut Changes<'_>) {
    for id in &snapshot.absent.applications {
        let seen = known.applications.get(id).map(|known| &known.seen);
        let developer = owner(known, *id);
        let difference = Difference::about(
            "application",
            id,
            [
                ("application_id", json!(id)),
                ("developer_id", json!(developer)),
            ],
        )
        .of(developer);
        let write = changes.removed(*id, seen, look, "application.removed", difference);
        changes.gone.applications.extend(write);
    }
}

fn developers(snapshot: &Snapshot, known: &Known, look: i64, changes: &mut Changes<'_>) {
    for id in &snapshot.absent.developers {
        let Some(developer) = known.developers.get(id) else {
            continue;
        };
        let difference = Difference::about(
            "developer",
            id,
            [
                ("developer_id", json!(id)),
                ("from_status", json!(developer.status)),
            ],
        )
        .of(Some(*id));
        let seen = Some(&developer.seen);
        let write = changes.removed(*id, seen, look, "developer.removed", difference);
        changes.gone.developers.extend(write);
    }
}

fn teams(snapshot: &Snapshot, known: &Known, look: i64, changes: &mut Changes<'_>) {
    for id in &snapshot.absent.teams {
        let seen = known.teams.get(id).map(|known| &known.seen);
        let difference = Difference::about("team", id, [("team_id", json!(id))]);
        let write = changes.removed(*id, seen, look, "team.removed", difference);
        changes.gone.teams.extend(write);
    }
}

fn portal(snapshot: &Snapshot, known: &Known, look: i64, changes: &mut Changes<'_>) {
    if !snapshot.is_portal_gone {
        return;
    }
    let id = snapshot.portal_id;
    let seen = known.portal.as_ref().map(|known| &known.seen);
    let difference = Difference::about("portal", id, []);
    changes.gone.portal = changes.removed(id, seen, look, "portal.removed", difference);
}

fn owner(known: &Known, application: ApplicationId) -> Option<DeveloperId> {
    let application = known.applications.get(&application)?;
    application.owner.and_then(Owner::developer)
}

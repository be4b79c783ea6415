//! Compares what is certainly gone with the stored state: pure. Only a sweep that proved an absence
//! names it; what a list merely lacks does not come here.

use konnect::{ApplicationId, DeveloperId};
use serde_json::json;

use crate::directory::difference::{Changes, Difference};
use crate::directory::objects::Owner;
use crate::directory::snapshot::Snapshot;
use crate::directory::stored_state::StoredState;

/// Adds what is gone to `changes`, in the opposite order of what comes: memberships first, the
/// portal last.
pub(super) fn compare(
    snapshot: &Snapshot,
    stored: &StoredState,
    sweep: i64,
    changes: &mut Changes<'_>,
) {
    memberships(snapshot, stored, sweep, changes);
    registrations(snapshot, stored, sweep, changes);
    applications(snapshot, stored, sweep, changes);
    developers(snapshot, stored, sweep, changes);
    teams(snapshot, stored, sweep, changes);
    portal(snapshot, stored, sweep, changes);
}

fn memberships(snapshot: &Snapshot, stored: &StoredState, sweep: i64, changes: &mut Changes<'_>) {
    for key in &snapshot.absent.memberships {
        let row_version = stored
            .memberships
            .get(key)
            .map(|stored| &stored.row_version);
        let difference = Difference::of_membership(*key, "removed");
        let write = changes.removed(*key, row_version, sweep, "membership.changed", difference);
        changes.gone.memberships.extend(write);
    }
}

fn registrations(snapshot: &Snapshot, stored: &StoredState, sweep: i64, changes: &mut Changes<'_>) {
    for (_, id) in &snapshot.absent.registrations {
        let Some(registration) = stored.registrations.get(id) else {
            continue;
        };
        let developer = owner(stored, registration.application_id);
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
        let row_version = Some(&registration.row_version);
        let write = changes.removed(*id, row_version, sweep, "registration.removed", difference);
        changes.gone.registrations.extend(write);
    }
}

fn applications(snapshot: &Snapshot, stored: &StoredState, sweep: i64, changes: &mut Changes<'_>) {
    for id in &snapshot.absent.applications {
        let row_version = stored
            .applications
            .get(id)
            .map(|stored| &stored.row_version);
        let developer = owner(stored, *id);
        let difference = Difference::about(
            "application",
            id,
            [
                ("application_id", json!(id)),
                ("developer_id", json!(developer)),
            ],
        )
        .of(developer);
        let write = changes.removed(*id, row_version, sweep, "application.removed", difference);
        changes.gone.applications.extend(write);
    }
}

fn developers(snapshot: &Snapshot, stored: &StoredState, sweep: i64, changes: &mut Changes<'_>) {
    for id in &snapshot.absent.developers {
        let Some(developer) = stored.developers.get(id) else {
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
        let row_version = Some(&developer.row_version);
        let write = changes.removed(*id, row_version, sweep, "developer.removed", difference);
        changes.gone.developers.extend(write);
    }
}

fn teams(snapshot: &Snapshot, stored: &StoredState, sweep: i64, changes: &mut Changes<'_>) {
    for id in &snapshot.absent.teams {
        let row_version = stored.teams.get(id).map(|stored| &stored.row_version);
        let difference = Difference::about("team", id, [("team_id", json!(id))]);
        let write = changes.removed(*id, row_version, sweep, "team.removed", difference);
        changes.gone.teams.extend(write);
    }
}

fn portal(snapshot: &Snapshot, stored: &StoredState, sweep: i64, changes: &mut Changes<'_>) {
    if !snapshot.is_portal_gone {
        return;
    }
    let id = snapshot.portal_id;
    let row_version = stored.portal.as_ref().map(|stored| &stored.row_version);
    let difference = Difference::about("portal", id, []);
    changes.gone.portal = changes.removed(id, row_version, sweep, "portal.removed", difference);
}

fn owner(stored: &StoredState, application: ApplicationId) -> Option<DeveloperId> {
    let application = stored.applications.get(&application)?;
    application.owner.and_then(Owner::developer)
}

//! Compares a snapshot with the stored state: pure, so that every rule of it has a test.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use konnect::{Application, ApplicationId, DeveloperId, DeveloperStatus, RegistrationStatus};
use serde_json::json;

use crate::directory::absence;
use crate::directory::difference::{ChangeClass, Changes, Difference, Names};
use crate::directory::objects::Owner;
use crate::directory::snapshot::{Scope, Snapshot};
use crate::directory::stored_state::StoredState;

/// Compares `snapshot`, taken by sweep number `sweep`, with the stored state.
///
/// Until everything was read once (`first_complete`), only pending people and requests are
/// differences; the rest is written without one. An unchanged object is not written, except by a
/// refresh. That advances the row version: a list that was read earlier and is stored later changes
/// nothing.
pub(super) fn compare<'a>(
    snapshot: &'a Snapshot,
    stored: &StoredState,
    sweep: i64,
    first_complete: bool,
) -> Changes<'a> {
    let comparison = Comparison {
        snapshot,
        stored,
        sweep,
        first_complete,
        owners: owners(snapshot),
    };
    let mut changes = Changes::default();
    comparison.portal(&mut changes);
    comparison.teams(&mut changes);
    comparison.developers(&mut changes);
    comparison.applications(&mut changes);
    comparison.registrations(&mut changes);
    comparison.memberships(&mut changes);
    absence::compare(snapshot, stored, sweep, &mut changes);
    changes
}

/// Creation and last change of an object.
type Times = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

struct Comparison<'a, 'k> {
    snapshot: &'a Snapshot,
    stored: &'k StoredState,
    sweep: i64,
    first_complete: bool,
    /// The owners of the snapshot's applications.
    owners: BTreeMap<ApplicationId, Option<Owner>>,
}

impl<'a> Comparison<'a, '_> {
    fn portal(&self, changes: &mut Changes<'a>) {
        let Some(portal) = &self.snapshot.portal else {
            return;
        };
        let stored = self.stored.portal.as_ref();
        let mut fields = Vec::new();
        if let Some(stored) = stored {
            note(
                &mut fields,
                "name",
                stored.name != stored_text(&portal.name),
            );
            note(
                &mut fields,
                "auto_approve_developers",
                stored.auto_approve_developers != portal.auto_approve_developers.unwrap_or(false),
            );
            note(
                &mut fields,
                "auto_approve_applications",
                stored.auto_approve_applications
                    != portal.auto_approve_applications.unwrap_or(false),
            );
        }
        let names = Names {
            new: self.first_complete.then_some("portal.created"),
            back: "portal.returned",
            changed: "portal.changed",
        };
        let difference =
            || Difference::about("portal", portal.id, [("portal_id", json!(portal.id))]);
        let class = ChangeClass::of(stored.map(|stored| &stored.row_version), self.sweep);
        let times = stored.map(|stored| (stored.created_at, stored.updated_at));
        let is_marked = self.is_marked(times, (portal.created_at, portal.updated_at));
        changes.portal = changes.judge(portal, class, names, &fields, is_marked, difference);
    }

    fn teams(&self, changes: &mut Changes<'a>) {
        for team in by_id(&self.snapshot.teams, |team| team.id) {
            let stored = self.stored.teams.get(&team.id);
            let mut fields = Vec::new();
            if let Some(stored) = stored {
                note(&mut fields, "name", stored.name != stored_text(&team.name));
                note(
                    &mut fields,
                    "can_own_applications",
                    stored.can_own_applications != team.can_own_applications.unwrap_or(false),
                );
            }
            let names = Names {
                new: self.first_complete.then_some("team.created"),
                back: "team.returned",
                changed: "team.changed",
            };
            let difference = || Difference::about("team", team.id, [("team_id", json!(team.id))]);
            let class = ChangeClass::of(stored.map(|stored| &stored.row_version), self.sweep);
            let times = stored.map(|stored| (stored.created_at, stored.updated_at));
            let is_marked = self.is_marked(times, (team.created_at, team.updated_at));
            let write = changes.judge(team, class, names, &fields, is_marked, difference);
            changes.teams.extend(write);
        }
    }

    fn developers(&self, changes: &mut Changes<'a>) {
        for developer in by_id(&self.snapshot.developers, |developer| developer.id) {
            let stored = self.stored.developers.get(&developer.id);
            let mut fields = Vec::new();
            if let Some(stored) = stored {
                note(
                    &mut fields,
                    "status",
                    stored.status.as_str() != stored_text(developer.status.as_str()),
                );
            }
            if let Some(subject) = self.stored.subjects.get(&developer.id) {
                let differs = |stored: &Option<String>, said: &str| {
                    stored.as_deref() != Some(stored_text(said).as_str())
                };
                note(
                    &mut fields,
                    "email",
                    differs(&subject.email, &developer.email),
                );
                note(
                    &mut fields,
                    "full_name",
                    differs(&subject.full_name, &developer.full_name),
                );
            }
            let news = self.first_complete || developer.status == DeveloperStatus::Pending;
            let names = Names {
                new: news.then_some("developer.signed_up"),
                back: "developer.returned",
                changed: match fields.first() {
                    Some(&"status") => "developer.status_changed",
                    _ => "developer.changed",
                },
            };
            let difference = || {
                Difference::about(
                    "developer",
                    developer.id,
                    [
                        ("developer_id", json!(developer.id)),
                        (
                            "from_status",
                            json!(stored.map(|stored| stored.status.as_str())),
                        ),
                        ("to_status", json!(developer.status)),
                        ("api_created_at", json!(developer.created_at)),
                    ],
                )
                .of(Some(developer.id))
            };
            let class = ChangeClass::of(stored.map(|stored| &stored.row_version), self.sweep);
            let times = stored.map(|stored| (stored.created_at, stored.updated_at));
            let is_marked = self.is_marked(times, (developer.created_at, developer.updated_at));
            let write = changes.judge(developer, class, names, &fields, is_marked, difference);
            changes.developers.extend(write);
        }
    }

    fn applications(&self, changes: &mut Changes<'a>) {
        for application in by_id(&self.snapshot.applications, |application| application.id) {
            let stored = self.stored.applications.get(&application.id);
            let owner = application.owner.as_ref().and_then(Owner::from_api);
            let mut fields = Vec::new();
            if let Some(stored) = stored {
                note(
                    &mut fields,
                    "name",
                    stored.name != stored_text(&application.name),
                );
                note(&mut fields, "owner", stored.owner != owner);
            }
            let names = Names {
                new: self.first_complete.then_some("application.created"),
                back: "application.returned",
                changed: "application.changed",
            };
            let difference = || {
                Difference::about(
                    "application",
                    application.id,
                    [
                        ("application_id", json!(application.id)),
                        ("owner_type", json!(owner.map(Owner::kind))),
                        ("owner_id", json!(owner.map(Owner::id))),
                        ("api_created_at", json!(application.created_at)),
                    ],
                )
                .of(owner.and_then(Owner::developer))
            };
            let class = ChangeClass::of(stored.map(|stored| &stored.row_version), self.sweep);
            let times = stored.map(|stored| (stored.created_at, stored.updated_at));
            let is_marked = self.is_marked(times, (application.created_at, application.updated_at));
            let write = changes.judge(application, class, names, &fields, is_marked, difference);
            changes.applications.extend(write);
        }
    }

    fn registrations(&self, changes: &mut Changes<'a>) {
        for registration in by_id(&self.snapshot.registrations, |registration| registration.id) {
            let stored = self.stored.registrations.get(&registration.id);
            let mut fields = Vec::new();
            if let Some(stored) = stored {
                let api = &registration.api;
                note(
                    &mut fields,
                    "status",
                    stored.status.as_str() != stored_text(registration.status.as_str()),
                );
                note(
                    &mut fields,
                    "application",
                    stored.application_id != registration.application.id,
                );
                note(&mut fields, "api", stored.api.id != api.id);
                note(
                    &mut fields,
                    "api.name",
                    stored.api.name != stored_text(&api.name),
                );
                note(
                    &mut fields,
                    "api.version",
                    stored.api.version != api.version.as_deref().map(stored_text),
                );
            }
            let news = self.first_complete || registration.status == RegistrationStatus::Pending;
            let names = Names {
                new: news.then_some("registration.requested"),
                back: "registration.returned",
                changed: match fields.first() {
                    Some(&"status") => "registration.status_changed",
                    _ => "registration.changed",
                },
            };
            let difference = || {
                let developer = self.owner_of(registration.application.id);
                let from_status = stored.map(|stored| stored.status.as_str());
                Difference::about(
                    "registration",
                    registration.id,
                    [
                        ("registration_id", json!(registration.id)),
                        ("application_id", json!(registration.application.id)),
                        ("api_id", json!(registration.api.id)),
                        ("developer_id", json!(developer)),
                        ("from_status", json!(from_status)),
                        ("to_status", json!(registration.status)),
                        ("api_created_at", json!(registration.created_at)),
                    ],
                )
                .of(developer)
            };
            let class = ChangeClass::of(stored.map(|stored| &stored.row_version), self.sweep);
            let times = stored.map(|stored| (stored.created_at, stored.updated_at));
            let entity_type = registration.api.entity_type.as_deref().map(stored_text);
            let is_marked = self
                .is_marked(times, (registration.created_at, registration.updated_at))
                || stored.is_some_and(|stored| stored.api.entity_type != entity_type);
            let write = changes.judge(registration, class, names, &fields, is_marked, difference);
            changes.registrations.extend(write);
        }
    }

    fn memberships(&self, changes: &mut Changes<'a>) {
        let read: BTreeSet<_> = self.snapshot.memberships.iter().copied().collect();
        for key in read {
            let stored = self.stored.memberships.get(&key);
            let names = Names {
                new: self.first_complete.then_some("membership.changed"),
                back: "membership.changed",
                changed: "membership.changed",
            };
            let class = ChangeClass::of(stored.map(|stored| &stored.row_version), self.sweep);
            let difference = || Difference::of_membership(key, "added");
            let is_marked = self.is_marked(None, (None, None));
            let write = changes.judge(key, class, names, &[], is_marked, difference);
            changes.memberships.extend(write);
        }
    }

    /// Whether an unchanged object is written: one that was read by id, or whose creation or last
    /// change differs from the stored time.
    fn is_marked(&self, stored: Option<Times>, read: Times) -> bool {
        // As they are stored.
        let micros = |time: Option<DateTime<Utc>>| time.map(|time| time.timestamp_micros());
        self.snapshot.scope == Scope::Direct
            || stored.is_some_and(|stored| {
                (micros(stored.0), micros(stored.1)) != (micros(read.0), micros(read.1))
            })
    }

    /// The developer who owns an application, if the snapshot or the directory has them.
    fn owner_of(&self, application: ApplicationId) -> Option<DeveloperId> {
        let owner = match self.owners.get(&application) {
            Some(owner) => *owner,
            None => self
                .stored
                .applications
                .get(&application)
                .and_then(|stored| stored.owner),
        };
        owner.and_then(Owner::developer)
    }
}

fn owners(snapshot: &Snapshot) -> BTreeMap<ApplicationId, Option<Owner>> {
    let owner = |read: &Application| read.owner.as_ref().and_then(Owner::from_api);
    let read = snapshot.applications.iter();
    read.map(|read| (read.id, owner(read))).collect()
}

/// Adds the name of a field that differs.
fn note(fields: &mut Vec<&'static str>, field: &'static str, differs: bool) {
    if differs {
        fields.push(field);
    }
}

/// The list without duplicates: of several copies the last one read wins, which is the newest.
fn by_id<T, K: Ord>(list: &[T], id: impl Fn(&T) -> K) -> impl Iterator<Item = &T> {
    let unique: BTreeMap<K, &T> = list.iter().map(|item| (id(item), item)).collect();
    unique.into_values()
}

/// A text of the API as it is stored: Postgres refuses NUL.
pub(super) fn stored_text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests;

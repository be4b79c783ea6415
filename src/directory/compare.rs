//! Compares what a snapshot shows with what is known: pure, so that every rule of it has a test.

use std::collections::{BTreeMap, BTreeSet};

use konnect::{ApplicationId, DeveloperId, DeveloperStatus, RegistrationStatus};
use serde_json::json;

use crate::directory::absence;
use crate::directory::difference::{Changes, Difference, Names, Standing, Write};
use crate::directory::known::Known;
use crate::directory::objects::Owner;
use crate::directory::snapshot::Snapshot;

/// Compares `snapshot`, taken by look number `look`, with what is known.
///
/// Until everything was seen once (`first_complete`) only who is pending is news; the rest is
/// written without a difference.
pub(super) fn compare<'a>(
    snapshot: &'a Snapshot,
    known: &Known,
    look: i64,
    first_complete: bool,
) -> Changes<'a> {
    let comparison = Comparison {
        snapshot,
        known,
        look,
        first_complete,
    };
    let mut changes = Changes::default();
    comparison.portal(&mut changes);
    comparison.teams(&mut changes);
    comparison.developers(&mut changes);
    comparison.applications(&mut changes);
    comparison.registrations(&mut changes);
    comparison.memberships(&mut changes);
    absence::compare(snapshot, known, look, &mut changes);
    changes
}

struct Comparison<'a, 'k> {
    snapshot: &'a Snapshot,
    known: &'k Known,
    look: i64,
    first_complete: bool,
}

impl<'a> Comparison<'a, '_> {
    fn portal(&self, changes: &mut Changes<'a>) {
        let Some(portal) = &self.snapshot.portal else {
            return;
        };
        let known = self.known.portal.as_ref();
        let mut fields = Vec::new();
        if let Some(known) = known {
            note(&mut fields, "name", known.name != stored(&portal.name));
            note(
                &mut fields,
                "auto_approve_developers",
                known.auto_approve_developers != portal.auto_approve_developers.unwrap_or(false),
            );
            note(
                &mut fields,
                "auto_approve_applications",
                known.auto_approve_applications
                    != portal.auto_approve_applications.unwrap_or(false),
            );
        }
        let names = Names {
            new: self.first_complete.then_some("portal.created"),
            back: "portal.returned",
            changed: "portal.changed",
        };
        let difference = Difference::about("portal", portal.id, [("portal_id", json!(portal.id))]);
        let standing = Standing::of(known.map(|known| &known.seen), self.look);
        if let Some(revision) = changes.judge(standing, names, &fields, difference) {
            changes.portal = Some(Write {
                item: portal,
                revision,
            });
        }
    }

    fn teams(&self, changes: &mut Changes<'a>) {
        for team in by_id(&self.snapshot.teams, |team| team.id) {
            let known = self.known.teams.get(&team.id);
            let mut fields = Vec::new();
            if let Some(known) = known {
                note(&mut fields, "name", known.name != stored(&team.name));
                note(
                    &mut fields,
                    "can_own_applications",
                    known.can_own_applications != team.can_own_applications.unwrap_or(false),
                );
            }
            let names = Names {
                new: self.first_complete.then_some("team.created"),
                back: "team.returned",
                changed: "team.changed",
            };
            let difference = Difference::about("team", team.id, [("team_id", json!(team.id))]);
            let standing = Standing::of(known.map(|known| &known.seen), self.look);
            if let Some(revision) = changes.judge(standing, names, &fields, difference) {
                changes.teams.push(Write {
                    item: team,
                    revision,
                });
            }
        }
    }

    fn developers(&self, changes: &mut Changes<'a>) {
        for developer in by_id(&self.snapshot.developers, |developer| developer.id) {
            let known = self.known.developers.get(&developer.id);
            let mut fields = Vec::new();
            if let Some(known) = known {
                note(
                    &mut fields,
                    "status",
                    known.status.as_str() != stored(developer.status.as_str()),
                );
            }
            if let Some(subject) = self.known.subjects.get(&developer.id) {
                let differs = |known: &Option<String>, said: &str| {
                    known.as_deref() != Some(stored(said).as_str())
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
            let difference = Difference::about(
                "developer",
                developer.id,
                [
                    ("developer_id", json!(developer.id)),
                    (
                        "from_status",
                        json!(known.map(|known| known.status.as_str())),
                    ),
                    ("to_status", json!(developer.status)),
                    ("api_created_at", json!(developer.created_at)),
                ],
            )
            .of(Some(developer.id));
            let standing = Standing::of(known.map(|known| &known.seen), self.look);
            if let Some(revision) = changes.judge(standing, names, &fields, difference) {
                changes.developers.push(Write {
                    item: developer,
                    revision,
                });
            }
        }
    }

    fn applications(&self, changes: &mut Changes<'a>) {
        for application in by_id(&self.snapshot.applications, |application| application.id) {
            let known = self.known.applications.get(&application.id);
            let owner = application.owner.as_ref().and_then(Owner::from_api);
            let mut fields = Vec::new();
            if let Some(known) = known {
                note(&mut fields, "name", known.name != stored(&application.name));
                note(&mut fields, "owner", known.owner != owner);
            }
            let names = Names {
                new: self.first_complete.then_some("application.created"),
                back: "application.returned",
                changed: "application.changed",
            };
            let difference = Difference::about(
                "application",
                application.id,
                [
                    ("application_id", json!(application.id)),
                    ("owner_type", json!(owner.map(Owner::kind))),
                    ("owner_id", json!(owner.map(Owner::id))),
                    ("api_created_at", json!(application.created_at)),
                ],
            )
            .of(owner.and_then(Owner::developer));
            let standing = Standing::of(known.map(|known| &known.seen), self.look);
            if let Some(revision) = changes.judge(standing, names, &fields, difference) {
                changes.applications.push(Write {
                    item: application,
                    revision,
                });
            }
        }
    }

    fn registrations(&self, changes: &mut Changes<'a>) {
        for registration in by_id(&self.snapshot.registrations, |registration| registration.id) {
            let known = self.known.registrations.get(&registration.id);
            let mut fields = Vec::new();
            if let Some(known) = known {
                let api = &registration.api;
                note(
                    &mut fields,
                    "status",
                    known.status.as_str() != stored(registration.status.as_str()),
                );
                note(
                    &mut fields,
                    "application",
                    known.application_id != registration.application.id,
                );
                note(&mut fields, "api", known.api.id != api.id);
                note(&mut fields, "api.name", known.api.name != stored(&api.name));
                note(
                    &mut fields,
                    "api.version",
                    known.api.version != api.version.as_deref().map(stored),
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
            let developer = self.owner_of(registration.application.id);
            let difference = Difference::about(
                "registration",
                registration.id,
                [
                    ("registration_id", json!(registration.id)),
                    ("application_id", json!(registration.application.id)),
                    ("api_id", json!(registration.api.id)),
                    ("developer_id", json!(developer)),
                    (
                        "from_status",
                        json!(known.map(|known| known.status.as_str())),
                    ),
                    ("to_status", json!(registration.status)),
                    ("api_created_at", json!(registration.created_at)),
                ],
            )
            .of(developer);
            let standing = Standing::of(known.map(|known| &known.seen), self.look);
            if let Some(revision) = changes.judge(standing, names, &fields, difference) {
                changes.registrations.push(Write {
                    item: registration,
                    revision,
                });
            }
        }
    }

    fn memberships(&self, changes: &mut Changes<'a>) {
        let read: BTreeSet<_> = self.snapshot.memberships.iter().copied().collect();
        for key in read {
            let known = self.known.memberships.get(&key);
            let names = Names {
                new: self.first_complete.then_some("membership.changed"),
                back: "membership.changed",
                changed: "membership.changed",
            };
            let standing = Standing::of(known.map(|known| &known.seen), self.look);
            let difference = Difference::of_membership(key, "added");
            if let Some(revision) = changes.judge(standing, names, &[], difference) {
                changes.memberships.push(Write {
                    item: key,
                    revision,
                });
            }
        }
    }

    /// The developer who owns an application, as far as the snapshot or the directory knows.
    fn owner_of(&self, application: ApplicationId) -> Option<DeveloperId> {
        let read = self
            .snapshot
            .applications
            .iter()
            .find(|read| read.id == application);
        let owner = match read {
            Some(read) => read.owner.as_ref().and_then(Owner::from_api),
            None => self
                .known
                .applications
                .get(&application)
                .and_then(|known| known.owner),
        };
        owner.and_then(Owner::developer)
    }
}

/// Adds the name of a field that differs.
fn note(fields: &mut Vec<&'static str>, field: &'static str, differs: bool) {
    if differs {
        fields.push(field);
    }
}

/// A list without copies; of several the last one read, which is the newest, wins.
fn by_id<T, K: Ord>(list: &[T], id: impl Fn(&T) -> K) -> impl Iterator<Item = &T> {
    let unique: BTreeMap<K, &T> = list.iter().map(|item| (id(item), item)).collect();
    unique.into_values()
}

/// A text of the API as it is stored: Postgres refuses NUL.
pub(super) fn stored(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use konnect::{
        ApiId, Application, ApplicationOwner, Developer, OwnerType, PortalId, RegisteredApi,
        RegisteredApplication, Registration, RegistrationId, TeamId,
    };
    use uuid::Uuid;

    use super::*;
    use crate::directory::objects::{self, Api, Membership, Seen};
    use crate::directory::snapshot::Scope;
    use crate::directory::subjects::Subject;

    const PORTAL: PortalId = PortalId(Uuid::from_u128(1));
    const ANN: DeveloperId = DeveloperId(Uuid::from_u128(2));
    const APP: ApplicationId = ApplicationId(Uuid::from_u128(3));
    const REQUEST: RegistrationId = RegistrationId(Uuid::from_u128(4));
    const API: ApiId = ApiId(Uuid::from_u128(5));
    const TEAM: TeamId = TeamId(Uuid::from_u128(6));
    /// The look that is compared.
    const LOOK: i64 = 10;

    fn seen(look: i64, gone: bool) -> Seen {
        let at = DateTime::UNIX_EPOCH;
        Seen {
            look,
            revision: 7,
            first_at: at,
            last_at: at,
            gone_at: gone.then_some(at),
        }
    }

    fn ann(status: DeveloperStatus, email: &str) -> Developer {
        Developer {
            id: ANN,
            email: email.to_owned(),
            full_name: "Ann".to_owned(),
            status,
            application_count: None,
            created_at: None,
            updated_at: None,
        }
    }

    fn known_ann(status: DeveloperStatus, seen: Seen) -> Known {
        let developer = objects::Developer {
            portal_id: PORTAL,
            id: ANN,
            status,
            created_at: None,
            updated_at: None,
            seen,
        };
        let subject = Subject {
            email: Some("ann@x.example".to_owned()),
            full_name: Some("Ann".to_owned()),
        };
        Known {
            developers: [(ANN, developer)].into(),
            subjects: [(ANN, subject)].into(),
            ..Known::default()
        }
    }

    fn request(status: RegistrationStatus) -> Registration {
        Registration {
            id: REQUEST,
            status,
            api: RegisteredApi {
                id: API,
                name: "Fixtures".to_owned(),
                version: None,
                entity_type: None,
            },
            application: RegisteredApplication {
                id: APP,
                name: String::new(),
            },
            consumer: None,
            created_at: None,
            updated_at: None,
        }
    }

    fn known_request(status: RegistrationStatus, seen: Seen) -> Known {
        let api = Api {
            id: API,
            name: "Fixtures".to_owned(),
            version: None,
            entity_type: None,
        };
        let registration = objects::Registration {
            portal_id: PORTAL,
            id: REQUEST,
            application_id: APP,
            status,
            api,
            created_at: None,
            updated_at: None,
            seen,
        };
        let application = objects::Application {
            portal_id: PORTAL,
            id: APP,
            name: "App".to_owned(),
            owner: Some(Owner::Developer(ANN)),
            created_at: None,
            updated_at: None,
            seen,
        };
        Known {
            registrations: [(REQUEST, registration)].into(),
            applications: [(APP, application)].into(),
            ..Known::default()
        }
    }

    fn names(changes: &Changes<'_>) -> Vec<(&'static str, i64)> {
        changes
            .differences
            .iter()
            .map(|found| (found.name, found.revision))
            .collect()
    }

    #[test]
    fn tells_what_became_of_a_developer() {
        use DeveloperStatus::{Approved, Pending};
        let same = "ann@x.example";
        let table: [(&str, Known, Developer, bool, &[(&str, i64)], Option<i64>); 10] = [
            (
                "first look, pending",
                Known::default(),
                ann(Pending, same),
                false,
                &[("developer.signed_up", 1)],
                Some(1),
            ),
            (
                "first look, approved",
                Known::default(),
                ann(Approved, same),
                false,
                &[],
                Some(1),
            ),
            (
                "later, approved by itself",
                Known::default(),
                ann(Approved, same),
                true,
                &[("developer.signed_up", 1)],
                Some(1),
            ),
            (
                "unchanged",
                known_ann(Pending, seen(9, false)),
                ann(Pending, same),
                true,
                &[],
                Some(7),
            ),
            (
                "approved by hand",
                known_ann(Pending, seen(9, false)),
                ann(Approved, same),
                true,
                &[("developer.status_changed", 8)],
                Some(8),
            ),
            (
                "the same look again",
                known_ann(Approved, seen(LOOK, false)),
                ann(Approved, same),
                true,
                &[],
                Some(7),
            ),
            (
                "another address",
                known_ann(Pending, seen(9, false)),
                ann(Pending, "b@x.example"),
                true,
                &[("developer.changed", 8)],
                Some(8),
            ),
            (
                "address and status",
                known_ann(Pending, seen(9, false)),
                ann(Approved, "b@x.example"),
                true,
                &[("developer.status_changed", 8)],
                Some(8),
            ),
            (
                "a later look said otherwise",
                known_ann(Approved, seen(11, false)),
                ann(Pending, same),
                true,
                &[],
                None,
            ),
            (
                "back again",
                known_ann(Approved, seen(9, true)),
                ann(Approved, same),
                true,
                &[("developer.returned", 8)],
                Some(8),
            ),
        ];
        for (case, known, developer, first_complete, expected, revision) in table {
            let mut snapshot = Snapshot::empty(PORTAL, Scope::All);
            snapshot.developers.push(developer);
            let changes = compare(&snapshot, &known, LOOK, first_complete);
            assert_eq!(names(&changes), expected, "{case}");
            let written = changes.developers.first().map(|write| write.revision);
            assert_eq!(written, revision, "{case}");
        }
    }

    #[test]
    fn a_forgotten_person_does_not_differ_by_name_or_address() {
        let mut known = known_ann(DeveloperStatus::Pending, seen(9, false));
        known.subjects.clear();
        let mut snapshot = Snapshot::empty(PORTAL, Scope::All);
        snapshot
            .developers
            .push(ann(DeveloperStatus::Pending, "new@x.example"));
        assert_eq!(names(&compare(&snapshot, &known, LOOK, true)), []);
    }

    #[test]
    fn names_changed_fields_and_statuses_but_no_person() {
        let known = known_ann(DeveloperStatus::Pending, seen(9, false));
        let mut snapshot = Snapshot::empty(PORTAL, Scope::All);
        snapshot
            .developers
            .push(ann(DeveloperStatus::Approved, "new@x.example"));
        let changes = compare(&snapshot, &known, LOOK, true);
        let found = &changes.differences[0];
        assert_eq!(found.object, format!("developer:{ANN}"));
        assert_eq!(found.developer, Some(ANN));
        assert_eq!(
            json!(found.data),
            json!({
                "developer_id": ANN,
                "from_status": "pending",
                "to_status": "approved",
                "api_created_at": null,
                "changed": ["status", "email"],
            })
        );
    }

    #[test]
    fn tells_what_became_of_a_registration() {
        use RegistrationStatus::{Approved, Pending};
        let table: [(&str, Known, Registration, bool, &[(&str, i64)]); 6] = [
            (
                "first look, pending",
                Known::default(),
                request(Pending),
                false,
                &[("registration.requested", 1)],
            ),
            (
                "first look, approved",
                Known::default(),
                request(Approved),
                false,
                &[],
            ),
            (
                "later",
                Known::default(),
                request(Approved),
                true,
                &[("registration.requested", 1)],
            ),
            (
                "unchanged",
                known_request(Pending, seen(9, false)),
                request(Pending),
                true,
                &[],
            ),
            (
                "approved by hand",
                known_request(Pending, seen(9, false)),
                request(Approved),
                true,
                &[("registration.status_changed", 8)],
            ),
            (
                "an older look",
                known_request(Approved, seen(11, false)),
                request(Pending),
                true,
                &[],
            ),
        ];
        for (case, known, registration, first_complete, expected) in table {
            let mut snapshot = Snapshot::empty(PORTAL, Scope::Pending);
            snapshot.registrations.push(registration);
            let changes = compare(&snapshot, &known, LOOK, first_complete);
            assert_eq!(names(&changes), expected, "{case}");
        }
    }

    #[test]
    fn a_request_names_the_developer_whom_its_application_belongs_to() {
        let mut snapshot = Snapshot::empty(PORTAL, Scope::Pending);
        snapshot
            .registrations
            .push(request(RegistrationStatus::Pending));
        snapshot.applications.push(Application {
            id: APP,
            name: "App".to_owned(),
            description: None,
            owner: Some(ApplicationOwner {
                kind: OwnerType::Developer,
                id: ANN.0,
            }),
            client_id: None,
            registration_count: None,
            auth_strategy: None,
            labels: BTreeMap::new(),
            portal: None,
            created_at: None,
            updated_at: None,
        });
        let changes = compare(&snapshot, &Known::default(), LOOK, true);
        assert_eq!(
            names(&changes),
            [("application.created", 1), ("registration.requested", 1)]
        );
        assert!(
            changes
                .differences
                .iter()
                .all(|found| found.developer == Some(ANN))
        );
    }

    #[test]
    fn memberships_come_and_go_and_come_back_under_growing_revisions() {
        let mut snapshot = Snapshot::empty(PORTAL, Scope::All);
        snapshot.memberships = vec![(TEAM, ANN), (TEAM, ANN)];
        let change = |changes: &Changes<'_>| -> Vec<(i64, String)> {
            let word = |found: &Difference| found.data["change"].as_str().unwrap().to_owned();
            changes
                .differences
                .iter()
                .map(|found| (found.revision, word(found)))
                .collect()
        };
        let known = |seen: Seen| Known {
            memberships: [(
                (TEAM, ANN),
                Membership {
                    portal_id: PORTAL,
                    team_id: TEAM,
                    developer_id: ANN,
                    seen,
                },
            )]
            .into(),
            ..Known::default()
        };
        let added = compare(&snapshot, &Known::default(), LOOK, true);
        assert_eq!(change(&added), [(1, "added".to_owned())]);
        let back = compare(&snapshot, &known(seen(9, true)), LOOK, true);
        assert_eq!(change(&back), [(8, "added".to_owned())]);
        snapshot.memberships.clear();
        snapshot.absent.memberships.push((TEAM, ANN));
        let gone = compare(&snapshot, &known(seen(9, false)), LOOK, true);
        assert_eq!(change(&gone), [(8, "removed".to_owned())]);
        for nothing in [seen(9, true), seen(11, false)] {
            assert_eq!(change(&compare(&snapshot, &known(nothing), LOOK, true)), []);
        }
    }

    #[test]
    fn of_copies_in_a_list_the_last_one_read_wins() {
        let mut snapshot = Snapshot::empty(PORTAL, Scope::Pending);
        snapshot
            .developers
            .push(ann(DeveloperStatus::Pending, "ann@x.example"));
        snapshot
            .developers
            .push(ann(DeveloperStatus::Approved, "ann@x.example"));
        let known = known_ann(DeveloperStatus::Pending, seen(9, false));
        let changes = compare(&snapshot, &known, LOOK, true);
        assert_eq!(names(&changes), [("developer.status_changed", 8)]);
        assert_eq!(changes.developers.len(), 1);
    }
}

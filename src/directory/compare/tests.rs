//! Every rule of the comparison, on objects made in code.

use chrono::DateTime;
use konnect::{
    ApiId, ApplicationOwner, Developer, OwnerType, PortalId, RegisteredApi, RegisteredApplication,
    Registration, RegistrationId, TeamId,
};
use uuid::Uuid;

use super::*;
use crate::directory::objects::{self, Api, Membership, RowVersion};
use crate::directory::snapshot::Scope;
use crate::directory::subjects::Subject;

const PORTAL: PortalId = PortalId(Uuid::from_u128(1));
const ANN: DeveloperId = DeveloperId(Uuid::from_u128(2));
const APP: ApplicationId = ApplicationId(Uuid::from_u128(3));
const REQUEST: RegistrationId = RegistrationId(Uuid::from_u128(4));
const API: ApiId = ApiId(Uuid::from_u128(5));
const TEAM: TeamId = TeamId(Uuid::from_u128(6));
/// The sweep that is compared.
const SWEEP: i64 = 10;

fn row_version(sweep: i64, gone: bool) -> RowVersion {
    let at = DateTime::UNIX_EPOCH;
    RowVersion {
        sweep,
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

fn known_ann(status: DeveloperStatus, row_version: RowVersion) -> StoredState {
    let developer = objects::Developer {
        portal_id: PORTAL,
        id: ANN,
        status,
        created_at: None,
        updated_at: None,
        row_version,
    };
    let subject = Subject {
        email: Some("ann@x.example".to_owned()),
        full_name: Some("Ann".to_owned()),
    };
    StoredState {
        developers: [(ANN, developer)].into(),
        subjects: [(ANN, subject)].into(),
        ..StoredState::default()
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

fn known_request(status: RegistrationStatus, row_version: RowVersion) -> StoredState {
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
        row_version,
    };
    let application = objects::Application {
        portal_id: PORTAL,
        id: APP,
        name: "App".to_owned(),
        owner: Some(Owner::Developer(ANN)),
        created_at: None,
        updated_at: None,
        row_version,
    };
    StoredState {
        registrations: [(REQUEST, registration)].into(),
        applications: [(APP, application)].into(),
        ..StoredState::default()
    }
}

fn names(changes: &Changes<'_>) -> Vec<(&'static str, i64)> {
    changes
        .differences
        .iter()
        .map(|found| (found.name, found.revision))
        .collect()
}

/// Events with their revisions, and the revision that is written.
type Expected = (&'static [(&'static str, i64)], Option<i64>);

#[test]
fn the_first_complete_look_finds_only_who_is_pending() {
    let table: [(DeveloperStatus, bool, Expected); 3] = [
        (
            DeveloperStatus::Pending,
            false,
            (&[("developer.signed_up", 1)], Some(1)),
        ),
        (DeveloperStatus::Approved, false, (&[], Some(1))),
        (
            DeveloperStatus::Approved,
            true,
            (&[("developer.signed_up", 1)], Some(1)),
        ),
    ];
    for (status, first_complete, expected) in table {
        let developer = ann(status.clone(), "ann@x.example");
        let found = compare_with(&StoredState::default(), developer, first_complete);
        assert_eq!(found, told(expected), "{status} {first_complete}");
    }
}

#[test]
fn tells_what_became_of_a_known_developer() {
    use DeveloperStatus::{Approved, Pending};
    let (same, other) = ("ann@x.example", "new@x.example");
    let (before, later) = (row_version(9, false), row_version(11, false));
    let table: [(DeveloperStatus, RowVersion, DeveloperStatus, &str, Expected); 7] = [
        (Pending, before, Pending, same, (&[], None)),
        (
            Pending,
            before,
            Approved,
            same,
            (&[("developer.status_changed", 8)], Some(8)),
        ),
        (
            Approved,
            row_version(SWEEP, false),
            Approved,
            same,
            (&[], None),
        ),
        (
            Pending,
            before,
            Pending,
            other,
            (&[("developer.changed", 8)], Some(8)),
        ),
        (
            Pending,
            before,
            Approved,
            other,
            (&[("developer.status_changed", 8)], Some(8)),
        ),
        (Approved, later, Pending, same, (&[], None)),
        (
            Approved,
            row_version(9, true),
            Approved,
            same,
            (&[("developer.returned", 8)], Some(8)),
        ),
    ];
    for (was, row_version, is, email, expected) in table {
        let case = format!("{was} in sweep {} is {is}", row_version.sweep);
        let found = compare_with(&known_ann(was, row_version), ann(is, email), true);
        assert_eq!(found, told(expected), "{case}");
    }
}

/// What a sweep that shows `developer` finds and writes.
fn compare_with(
    stored: &StoredState,
    developer: Developer,
    first_complete: bool,
) -> (Vec<(&'static str, i64)>, Option<i64>) {
    let mut snapshot = Snapshot::empty(PORTAL, Scope::All);
    snapshot.developers.push(developer);
    let changes = compare(&snapshot, stored, SWEEP, first_complete);
    (
        names(&changes),
        changes.developers.first().map(|write| write.revision),
    )
}

fn told((names, revision): Expected) -> (Vec<(&'static str, i64)>, Option<i64>) {
    (names.to_vec(), revision)
}

#[test]
fn who_is_as_before_is_written_only_by_a_direct_read_or_with_another_time() {
    let at = |micros| DateTime::from_timestamp_micros(micros);
    let stored = {
        let mut stored = known_ann(DeveloperStatus::Pending, row_version(9, false));
        let developers = stored.developers.values_mut();
        developers.for_each(|stored| stored.updated_at = at(1_000_000));
        stored
    };
    // Finer than what is stored.
    let same = DateTime::from_timestamp(1, 900);
    for (scope, updated_at, expected) in [
        (Scope::All, same, None),
        (Scope::Pending, same, None),
        (Scope::Direct, same, Some(7)),
        (Scope::All, at(1_000_001), Some(7)),
    ] {
        let mut snapshot = Snapshot::empty(PORTAL, scope);
        let developer = ann(DeveloperStatus::Pending, "ann@x.example");
        snapshot.developers.push(Developer {
            updated_at,
            ..developer
        });
        let changes = compare(&snapshot, &stored, SWEEP, true);
        let written = changes.developers.first().map(|write| write.revision);
        assert_eq!(written, expected, "{scope:?} {updated_at:?}");
        assert_eq!(names(&changes), []);
    }
}

#[test]
fn a_forgotten_person_does_not_differ_by_name_or_address() {
    let mut stored = known_ann(DeveloperStatus::Pending, row_version(9, false));
    stored.subjects.clear();
    let mut snapshot = Snapshot::empty(PORTAL, Scope::All);
    snapshot
        .developers
        .push(ann(DeveloperStatus::Pending, "new@x.example"));
    assert_eq!(names(&compare(&snapshot, &stored, SWEEP, true)), []);
}

#[test]
fn names_changed_fields_and_statuses_but_no_person() {
    let stored = known_ann(DeveloperStatus::Pending, row_version(9, false));
    let mut snapshot = Snapshot::empty(PORTAL, Scope::All);
    snapshot
        .developers
        .push(ann(DeveloperStatus::Approved, "new@x.example"));
    let changes = compare(&snapshot, &stored, SWEEP, true);
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

/// The stored state of a registration.
type Before = Option<(RegistrationStatus, RowVersion)>;

#[test]
fn tells_what_became_of_a_registration() {
    use RegistrationStatus::{Approved, Pending};
    let (before, later) = (row_version(9, false), row_version(11, false));
    let table: [(Before, RegistrationStatus, bool, &str); 6] = [
        (None, Pending, false, "registration.requested 1"),
        (None, Approved, false, ""),
        (None, Approved, true, "registration.requested 1"),
        (Some((Pending, before)), Pending, true, ""),
        (
            Some((Pending, before)),
            Approved,
            true,
            "registration.status_changed 8",
        ),
        (Some((Approved, later)), Pending, true, ""),
    ];
    for (was, is, first_complete, expected) in table {
        let case = format!("{was:?} is {is} {first_complete}");
        let stored = was.map_or_else(StoredState::default, |(status, row_version)| {
            known_request(status, row_version)
        });
        let mut snapshot = Snapshot::empty(PORTAL, Scope::Pending);
        snapshot.registrations.push(request(is));
        let changes = compare(&snapshot, &stored, SWEEP, first_complete);
        let found: Vec<String> = names(&changes)
            .iter()
            .map(|(name, revision)| format!("{name} {revision}"))
            .collect();
        assert_eq!(found.join(", "), expected, "{case}");
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
        dcr_provider: None,
        granted_scopes: None,
        portal: None,
        created_at: None,
        updated_at: None,
    });
    let changes = compare(&snapshot, &StoredState::default(), SWEEP, true);
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
    let stored = |row_version: RowVersion| StoredState {
        memberships: [(
            (TEAM, ANN),
            Membership {
                portal_id: PORTAL,
                team_id: TEAM,
                developer_id: ANN,
                row_version,
            },
        )]
        .into(),
        ..StoredState::default()
    };
    let added = compare(&snapshot, &StoredState::default(), SWEEP, true);
    assert_eq!(change(&added), [(1, "added".to_owned())]);
    let back = compare(&snapshot, &stored(row_version(9, true)), SWEEP, true);
    assert_eq!(change(&back), [(8, "added".to_owned())]);
    snapshot.memberships.clear();
    snapshot.absent.memberships.push((TEAM, ANN));
    let gone = compare(&snapshot, &stored(row_version(9, false)), SWEEP, true);
    assert_eq!(change(&gone), [(8, "removed".to_owned())]);
    for nothing in [row_version(9, true), row_version(11, false)] {
        assert_eq!(
            change(&compare(&snapshot, &stored(nothing), SWEEP, true)),
            []
        );
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
    let stored = known_ann(DeveloperStatus::Pending, row_version(9, false));
    let changes = compare(&snapshot, &stored, SWEEP, true);
    assert_eq!(names(&changes), [("developer.status_changed", 8)]);
    assert_eq!(changes.developers.len(), 1);
}

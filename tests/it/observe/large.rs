//! Portals with more people than one transaction takes.

use chrono::DateTime;
use konnect::{
    Application, Developer, RegisteredApi, RegisteredApplication, Registration, RegistrationId,
    Team,
};
use uuid::Uuid;

use super::*;

/// People; each has an application, a registration and a team.
const PEOPLE: u128 = 1_500;

fn uuid(kind: u128, number: u128) -> Uuid {
    Uuid::from_u128((kind << 64) | number)
}

fn developer(number: u128, status: DeveloperStatus) -> Developer {
    Developer {
        id: DeveloperId(uuid(1, number)),
        email: format!("{number}@secret.example"),
        full_name: format!("Secret {number}"),
        status,
        application_count: None,
        created_at: DateTime::from_timestamp(1_700_000_000, 123_456_789),
        updated_at: DateTime::from_timestamp(1_700_000_000, 987_654_321),
    }
}

fn application(number: u128) -> Application {
    Application {
        id: ApplicationId(uuid(2, number)),
        name: format!("App {number}"),
        description: None,
        owner: Some(ApplicationOwner {
            kind: OwnerType::Developer,
            id: uuid(1, number),
        }),
        client_id: None,
        registration_count: None,
        auth_strategy: None,
        labels: std::collections::BTreeMap::new(),
        portal: None,
        created_at: None,
        updated_at: None,
    }
}

fn registration(number: u128, status: RegistrationStatus) -> Registration {
    Registration {
        id: RegistrationId(uuid(3, number)),
        status,
        api: RegisteredApi {
            id: ApiId(uuid(4, 0)),
            name: "Fixtures".to_owned(),
            version: Some("1".to_owned()),
            entity_type: Some("api".to_owned()),
        },
        application: RegisteredApplication {
            id: ApplicationId(uuid(2, number)),
            name: String::new(),
        },
        consumer: None,
        created_at: None,
        updated_at: None,
    }
}

/// Everything of a portal: whoever has an even number waits for an answer.
fn everything(portal: PortalId) -> Snapshot {
    let mut snapshot = Snapshot::empty(portal, Scope::All);
    let team = TeamId(uuid(5, 0));
    snapshot.teams.push(Team {
        id: team,
        name: "Partners".to_owned(),
        description: None,
        can_own_applications: None,
        created_at: None,
        updated_at: None,
    });
    for number in 0..PEOPLE {
        let (status, asked) = if number % 2 == 0 {
            (DeveloperStatus::Pending, RegistrationStatus::Pending)
        } else {
            (DeveloperStatus::Approved, RegistrationStatus::Approved)
        };
        let developer = developer(number, status);
        snapshot.memberships.push((team, developer.id));
        snapshot.developers.push(developer);
        snapshot.applications.push(application(number));
        snapshot.registrations.push(registration(number, asked));
    }
    snapshot
}

impl World {
    /// Where each row of the directory is and which transactions wrote or locked it.
    async fn rows(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for table in [
            "directory_developers",
            "directory_teams",
            "directory_memberships",
            "directory_applications",
            "directory_registrations",
            "subjects",
        ] {
            let query =
                format!("SELECT concat_ws(' ', tableoid::regclass, ctid, xmin, xmax) FROM {table}");
            let found = sqlx::query_scalar::<_, String>(&query);
            rows.extend(found.fetch_all(self.journal.pool()).await.unwrap());
        }
        rows.sort_unstable();
        rows
    }
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn a_sweep_without_changes_writes_and_locks_no_row_of_what_it_saw(pool: PgPool) {
    let world = World::new(pool).await;
    let snapshot = everything(world.portal);
    let look = world.directory.begin(world.portal).await.unwrap();
    let stored = world.directory.store(look, &snapshot).await.unwrap();
    let news = usize::try_from(PEOPLE).unwrap();
    assert_eq!(stored.differences, news, "half the people and requests");
    let before = world.rows().await;

    let look = world.directory.begin(world.portal).await.unwrap();
    let stored = world.directory.store(look, &snapshot).await.unwrap();
    assert_eq!(stored.differences, 0);
    let after = world.rows().await;
    let changed = before.iter().zip(&after).filter(|(b, a)| a != b).count();
    assert_eq!(changed, 0, "of {} rows", before.len());
    assert_eq!(before.len(), after.len());
}

//! Portals with more people than one transaction takes.

use std::collections::BTreeMap;

use chrono::DateTime;
use konnect::{
    Application, Developer, RegisteredApi, RegisteredApplication, Registration, RegistrationId,
    Team,
};
use uuid::Uuid;

use super::*;

/// People; each has an application, a registration and a team.
const PEOPLE: u128 = 2_500;

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
        labels: BTreeMap::new(),
        dcr_provider: None,
        granted_scopes: None,
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

impl World {
    /// How many rows of objects each transaction wrote last, the most first.
    async fn written_together(&self) -> Vec<i64> {
        let query = "
            SELECT count(*)
            FROM (
                SELECT xmin::text FROM directory_developers
                UNION ALL SELECT xmin::text FROM directory_teams
                UNION ALL SELECT xmin::text FROM directory_memberships
                UNION ALL SELECT xmin::text FROM directory_applications
                UNION ALL SELECT xmin::text FROM directory_registrations
            ) AS rows (writer)
            GROUP BY writer
            ORDER BY 1 DESC";
        let counts = sqlx::query_scalar(query);
        counts.fetch_all(self.journal.pool()).await.unwrap()
    }

    async fn count(&self, query: &str) -> i64 {
        let count = sqlx::query_scalar(query);
        count.fetch_one(self.journal.pool()).await.unwrap()
    }

    /// Names of events and how many there are of each.
    async fn tally(&self) -> BTreeMap<String, usize> {
        let mut tally = BTreeMap::new();
        for name in self.names().await {
            *tally.entry(name).or_default() += 1;
        }
        tally
    }
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn a_sweep_is_stored_in_slices_that_hold_up_no_deed(pool: PgPool) {
    let world = World::new(pool).await;
    let snapshot = everything(world.portal);
    let look = world.directory.begin(world.portal).await.unwrap();
    let sweep = world.directory.store(look, &snapshot);
    let mut longest = Duration::ZERO;
    let mut deeds = 0;
    let deed = async {
        loop {
            // As a deed begins, and as what it saw is stored.
            let began = Instant::now();
            let look = world.directory.begin(world.portal).await.unwrap();
            let mut seen = Snapshot::empty(world.portal, Scope::Direct);
            let somebody = developer(PEOPLE + 1, DeveloperStatus::Approved);
            seen.developers.push(somebody);
            world.directory.store(look, &seen).await.unwrap();
            longest = longest.max(began.elapsed());
            deeds += 1;
        }
    };
    tokio::select! {
        stored = sweep => { stored.unwrap(); }
        () = deed => {}
    }
    assert!(deeds > 5, "{deeds} deeds, the longest took {longest:?}");
    let together = world.written_together().await;
    assert!(together[0] <= 250, "{together:?}");
    let batches = "SELECT max(events) FROM (SELECT count(*) FROM events GROUP BY batch) b (events)";
    assert!(world.count(batches).await <= 250);
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn what_is_news_of_one_person_is_stored_together(pool: PgPool) {
    let world = World::new(pool).await;
    let empty = Snapshot::empty(world.portal, Scope::All);
    let look = world.directory.begin(world.portal).await.unwrap();
    world.directory.store(look, &empty).await.unwrap();
    let look = world.directory.begin(world.portal).await.unwrap();
    let snapshot = everything(world.portal);
    world.directory.store(look, &snapshot).await.unwrap();
    let apart = "
        SELECT count(*)
        FROM directory_developers d
        JOIN directory_memberships m USING (portal_id, developer_id)
        JOIN directory_applications a ON a.owner_id = d.developer_id
        JOIN directory_registrations r USING (application_id)
        WHERE (d.xmin::text, d.xmin::text, d.xmin::text)
            = (m.xmin::text, a.xmin::text, r.xmin::text)";
    assert_eq!(world.count(apart).await, i64::try_from(PEOPLE).unwrap());
    assert!(world.written_together().await.len() > 5);
    let bulk = "SELECT count(DISTINCT part_of) FROM batches WHERE lane = 'bulk'";
    assert_eq!(world.count(bulk).await, 1, "a crowd is of the bulk lane");
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn a_first_sweep_that_breaks_off_loses_no_newcomer_and_makes_up_none(pool: PgPool) {
    let world = World::new(pool).await;
    let half = usize::try_from(PEOPLE).unwrap() / 2;
    let mut snapshot = everything(world.portal);
    for told in [-1, 0] {
        // Breaks off before or in what is no news, then in what is news.
        let look = world.directory.begin(world.portal).await.unwrap();
        let begun = async {
            let known = "SELECT count(*) FROM directory_applications";
            let events = "SELECT count(*) FROM events";
            while world.count(known).await == 0 || world.count(events).await <= told {}
        };
        tokio::select! {
            biased;
            () = begun => {}
            stored = world.directory.store(look, &snapshot) => panic!("{stored:?} in one go"),
        }
        let state = world.directory.sweep_state(world.portal).await.unwrap();
        assert!(!state.first_complete);
    }
    // Whoever was settled meanwhile is no news, as ever in a first sweep.
    let settled = developer(PEOPLE + 1, DeveloperStatus::Approved);
    snapshot.developers.push(settled);
    let look = world.directory.begin(world.portal).await.unwrap();
    world.directory.store(look, &snapshot).await.unwrap();
    let state = world.directory.sweep_state(world.portal).await.unwrap();
    assert!(state.first_complete);
    let expected = ["developer.signed_up", "registration.requested"];
    let expected = expected.map(|name| (name.to_owned(), half));
    assert_eq!(world.tally().await, expected.into());
    let ids = "SELECT count(DISTINCT id) FROM events";
    assert_eq!(world.count(ids).await, i64::try_from(2 * half).unwrap());
}

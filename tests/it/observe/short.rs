//! Looks at the pending ones stay short, however much has changed.

use usher::directory::RefreshRequests;

use super::*;
use crate::support::eventually;

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn many_changes_in_a_minute_lead_to_no_look_at_everything(pool: PgPool) {
    let world = World::new(pool).await;
    // Where no team is known they are listed.
    world.team("Partners").await;
    let mut people = Vec::new();
    for number in 0..25 {
        let name = format!("p{number}");
        people.push(world.sign_up(&name, DeveloperStatus::Pending).await);
    }
    world.sweep(Scope::All).await;
    let developers = world.client.portal(world.portal).developers();
    for id in &people {
        let approved = developers.set_status(*id, &DeveloperStatus::Approved);
        approved.await.unwrap();
    }
    world.emulator.clear_requests();
    let teams = format!("/v3/portals/{}/teams", world.portal);
    let (mut changed, mut looks) = (0, 0);
    while changed < 25 {
        looks += 1;
        assert!(looks <= 2, "{changed} after {} looks", looks - 1);
        world.sweep(Scope::Pending).await;
        let names = world.names().await;
        changed = names
            .iter()
            .filter(|name| *name == "developer.status_changed")
            .count();
    }
    assert!(looks > 1, "one short look reads a bounded number");
    let requests = world.emulator.requests();
    assert!(requests.iter().all(|request| request.path != teams));

    // As many requests of applications that nobody has seen.
    let registrations = world.client.portal(world.portal).registrations();
    for ann in &people {
        let application = world.application(*ann).await;
        let request = NewRegistration {
            api_id: world.api,
            status: Some(RegistrationStatus::Pending),
        };
        registrations.create(application, &request).await.unwrap();
    }
    world.emulator.clear_requests();
    let mut requested = Vec::new();
    for _ in 0..2 {
        world.sweep(Scope::Pending).await;
        let events = world.events().await;
        requested = events
            .into_iter()
            .filter(|event| event["name"] == "registration.requested")
            .collect();
    }
    assert_eq!(requested.len(), 25);
    assert!(
        requested
            .iter()
            .all(|event| event["principal_id"].is_string()),
        "with their owners"
    );
    let requests = world.emulator.requests();
    assert!(requests.iter().all(|request| request.path != teams));
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn what_a_short_look_left_is_read_by_the_next_ones_within_seconds(pool: PgPool) {
    let world = World::new(pool).await;
    let team = world.team("Partners").await;
    let mut people = Vec::new();
    for number in 0..45 {
        let name = format!("p{number}");
        people.push(world.sign_up(&name, DeveloperStatus::Pending).await);
    }
    world.sweep(Scope::All).await;
    let lifecycle = Lifecycle::new();
    let portals = vec![world.portal];
    let mut parts = parts(&world.journal, &world.directory, &world.client, portals);
    parts.config.pending_every = Duration::from_hours(1);
    // The first look of the loop is over.
    world.sweep(Scope::Pending).await;
    lifecycle.spawn("observer", Observer::new(parts).run(lifecycle.clone()));
    let developers = world.client.portal(world.portal).developers();
    let teams = world.client.portal(world.portal).teams();
    for id in &people {
        let approved = developers.set_status(*id, &DeveloperStatus::Approved);
        approved.await.unwrap();
        teams.add_member(team, *id).await.unwrap();
    }
    world.emulator.clear_requests();
    let touched = RefreshRequests {
        teams: vec![team],
        ..RefreshRequests::default()
    };
    let touched = world
        .directory
        .request_refresh_of_known(world.portal, &touched)
        .await;
    touched.unwrap();
    world.wait_for("developer.status_changed", 45).await;
    world.wait_for("membership.changed", 45).await;
    lifecycle.shut_down().await;
    let list = format!("/v3/portals/{}/teams", world.portal);
    let requests = world.emulator.requests();
    assert!(requests.iter().all(|request| request.path != list));
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn however_many_wait_newcomers_are_found_in_a_few_calls_and_who_was_answered_in_the_end(
    pool: PgPool,
) {
    let world = World::new(pool).await;
    let people: Vec<Value> = (0..350)
        .map(|number| {
            json!({
                "portal_id": world.portal, "email": format!("{number}@secret.example"),
                "full_name": "Somebody", "status": "pending",
            })
        })
        .collect();
    let seed = json!({ "developers": people });
    world.emulator.seed(&seed).unwrap();
    // Lists that take so long that they are not read whole each time.
    let list = format!("/v3/portals/{}/developers", world.portal);
    world.emulator.set_faults([Fault {
        path: list.clone(),
        latency_ms: 200,
        ..Fault::default()
    }]);
    let mut parts = world.parts(Duration::from_secs(1));
    parts.config.all_every = Duration::from_hours(1);
    let pages = || {
        let requests = world.emulator.requests().into_iter();
        let of_list = requests.filter(|request| request.path == list);
        let page = |query: &str| {
            let mut members = url::form_urlencoded::parse(query.as_bytes());
            let number = members.find(|(name, _)| name == "page[number]")?.1;
            number.parse::<u32>().ok()
        };
        of_list
            .filter_map(|request| page(&request.query))
            .collect::<Vec<_>>()
    };
    let play = async |_: &usher::observe::Health| {
        let whole = async || world.signed_up().await == 350;
        eventually("all are seen", Duration::from_secs(30), whole).await;
        // The sweep of the start has read the list as well.
        let quiet = async || {
            world.emulator.clear_requests();
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            pages() == [1, 4]
        };
        eventually("looks are short", Duration::from_secs(30), quiet).await;
        world.newcomer_is_seen("ann").await;
        let answered = world.directory.pending_developers(world.portal).await;
        let answered = answered.unwrap()[0].id;
        let developers = world.client.portal(world.portal).developers();
        let approved = developers.set_status(answered, &DeveloperStatus::Approved);
        approved.await.unwrap();
        let is_told = async || {
            let names = world.names().await;
            names.iter().any(|name| name == "developer.status_changed")
        };
        // A whole list is due after ten times what the last one took, which a busy machine makes
        // long.
        eventually("who was answered", Duration::from_mins(3), is_told).await;
    };
    world.during(parts, play).await;
}

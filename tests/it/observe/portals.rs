//! When each portal is looked at: by time and on hints, whatever becomes of another.

use super::*;

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn the_loop_looks_by_time_and_on_hints_and_outlives_an_api_that_is_away(pool: PgPool) {
    let world = World::new(pool).await;
    world.emulator.set_faults([Fault {
        status: Some(503),
        ..Fault::default()
    }]);
    let lifecycle = Lifecycle::new();
    let observer = world.another_observer();
    let health = observer.health();
    lifecycle.spawn("observer", observer.run(lifecycle.clone()));
    let started = Instant::now();
    while health.problem().is_none() {
        assert!(
            started.elapsed() < DEADLINE,
            "nothing is said of an api that is away"
        );
        world.journal.appended(Duration::from_millis(10)).await;
    }
    assert!(
        health.problem().unwrap().contains("503"),
        "{:?}",
        health.problem()
    );

    world.emulator.set_faults([]);
    world.sign_up("ann", DeveloperStatus::Pending).await;
    world.wait_for("developer.signed_up", 1).await;
    world.sign_up("ben", DeveloperStatus::Pending).await;
    world.wait_for("developer.signed_up", 2).await;
    let started = Instant::now();
    while health.problem().is_some() {
        assert!(started.elapsed() < DEADLINE, "{:?}", health.problem());
        world.journal.appended(Duration::from_millis(10)).await;
    }
    lifecycle.shut_down().await;
    let leases = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM leases");
    assert_eq!(leases.fetch_one(world.journal.pool()).await.unwrap(), 0);
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn one_portal_that_is_refused_does_not_touch_the_others(pool: PgPool) {
    let world = World::new(pool).await;
    let made = world
        .emulator
        .seed(&json!({ "portals": [{ "name": "Refused" }] }))
        .unwrap();
    let refused: PortalId = made["portals"][0]["id"].as_str().unwrap().parse().unwrap();
    world.emulator.set_faults([Fault {
        path: format!("/v3/portals/{refused}"),
        status: Some(403),
        ..Fault::default()
    }]);
    let lifecycle = Lifecycle::new();
    let portals = vec![refused, world.portal];
    let observer = observer(&world.journal, &world.directory, &world.client, portals);
    let health = observer.health();
    lifecycle.spawn("observer", observer.run(lifecycle.clone()));
    world.sign_up("ann", DeveloperStatus::Pending).await;
    world.wait_for("developer.signed_up", 1).await;
    let started = Instant::now();
    while health.portal(refused).error.is_none() {
        assert!(
            started.elapsed() < DEADLINE,
            "nothing is said of the refused portal"
        );
        world.journal.appended(Duration::from_millis(10)).await;
    }
    assert_eq!(health.portal(world.portal).error, None);
    assert!(health.portal(world.portal).succeeded_at.is_some());
    lifecycle.shut_down().await;
    let kept = world
        .directory
        .sweep_state(refused)
        .await
        .unwrap()
        .last_error;
    assert!(kept.is_some_and(|error| error.contains("403")));
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn a_hint_is_answered_long_before_the_next_look_is_due(pool: PgPool) {
    let world = World::new(pool).await;
    world.sweep(Scope::All).await;
    let lifecycle = Lifecycle::new();
    let mut parts = parts(
        &world.journal,
        &world.directory,
        &world.client,
        vec![world.portal],
    );
    parts.config.pending_every = Duration::from_hours(1);
    lifecycle.spawn("observer", Observer::new(parts).run(lifecycle.clone()));
    for number in 1..=2 {
        world
            .sign_up(&format!("p{number}"), DeveloperStatus::Pending)
            .await;
        world.directory.hint(world.portal).await.unwrap();
        world.wait_for("developer.signed_up", number).await;
    }
    lifecycle.shut_down().await;
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn hints_are_one_until_a_look_that_began_after_them(pool: PgPool) {
    let world = World::new(pool).await;
    let hinted = async || {
        world
            .directory
            .sweep_state(world.portal)
            .await
            .unwrap()
            .is_hinted()
    };
    assert!(!hinted().await);
    world.directory.hint(world.portal).await.unwrap();
    world.directory.hint(world.portal).await.unwrap();
    assert!(hinted().await);
    let look = world.directory.begin(world.portal).await.unwrap();
    world.directory.hint(world.portal).await.unwrap();
    let snapshot = Snapshot::empty(world.portal, Scope::Pending);
    world.directory.store(look, &snapshot).await.unwrap();
    assert!(
        hinted().await,
        "a hint during the look waits for the next one"
    );
    world.sweep(Scope::Pending).await;
    assert!(!hinted().await);
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn a_portal_that_was_deleted_is_told_once(pool: PgPool) {
    let world = World::new(pool).await;
    world.sweep(Scope::All).await;
    let path = format!(
        "{}/v3/portals/{}?force=true",
        world.emulator.url(),
        world.portal
    );
    let deleted = reqwest::Client::builder().build().unwrap().delete(path);
    let answer = deleted
        .bearer_auth(world.emulator.token())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 204);
    for _ in 0..2 {
        let outcome = world
            .observer
            .sweep_once(world.portal, Scope::Pending)
            .await;
        assert!(
            matches!(outcome, Err(ObserveError::PortalGone)),
            "{outcome:?}"
        );
    }
    assert_eq!(world.names().await, ["portal.removed"]);
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn without_configured_portals_all_that_the_token_sees_are_looked_at(pool: PgPool) {
    let world = World::new(pool).await;
    world
        .emulator
        .seed(&json!({ "portals": [{ "name": "Second" }] }))
        .unwrap();
    let observer = observer(&world.journal, &world.directory, &world.client, Vec::new());
    assert_eq!(observer.portals().await.unwrap().len(), 2);
}

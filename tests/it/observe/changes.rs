//! What has changed between looks is told once, whoever looks and in whatever order.

use super::*;

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn changes_by_hand_are_found_and_told_without_personal_data(pool: PgPool) {
    let world = World::new(pool).await;
    let ann = world.sign_up("ann", DeveloperStatus::Pending).await;
    let team = world.team("Partners").await;
    world.sweep(Scope::All).await;
    let developers = world.client.portal(world.portal).developers();
    developers
        .set_status(ann, &DeveloperStatus::Approved)
        .await
        .unwrap();
    world
        .client
        .portal(world.portal)
        .teams()
        .add_member(team, ann)
        .await
        .unwrap();
    world.sweep(Scope::All).await;
    world
        .client
        .portal(world.portal)
        .teams()
        .remove_member(team, ann)
        .await
        .unwrap();
    world.sweep(Scope::All).await;
    developers.delete(ann).await.unwrap();
    world.sweep(Scope::All).await;
    world.sweep(Scope::All).await;

    assert_eq!(
        world.names().await,
        [
            "developer.signed_up",
            "developer.status_changed",
            "membership.changed",
            "membership.changed",
            "developer.removed"
        ]
    );
    let events = world.events().await;
    assert_eq!(events[2]["data"]["change"], "added");
    assert_eq!(events[3]["data"]["change"], "removed");
    let text = Value::from(events).to_string();
    assert!(!text.contains('@') && !text.contains("Secret"), "{text}");
    let membership = world
        .directory
        .membership(world.portal, team, ann)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (
            membership.row_version.revision,
            membership.row_version.is_gone()
        ),
        (2, true)
    );
    let record = world
        .directory
        .developer(world.portal, ann)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (
            record.developer.row_version.revision,
            record.developer.row_version.is_gone()
        ),
        (3, true)
    );
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn many_differences_are_slices_of_one_whole(pool: PgPool) {
    let world = World::new(pool).await;
    let look = world.directory.begin(world.portal).await.unwrap();
    let mut snapshot = Snapshot::empty(world.portal, Scope::All);
    let template = world.sign_up("ann", DeveloperStatus::Pending).await;
    let template = world
        .client
        .portal(world.portal)
        .developers()
        .get(template)
        .await
        .unwrap();
    let ids = Ids::new(Clock::system());
    snapshot.developers = (0..5_001)
        .map(|_| konnect::Developer {
            id: DeveloperId(ids.next()),
            ..template.clone()
        })
        .collect();
    let stored = world.directory.store(look, &snapshot).await.unwrap();
    assert_eq!(stored.differences, 5_001);
    let slices = sqlx::query_as::<_, (i32, String, i64)>(
        "SELECT stored, lane, count(*) OVER (PARTITION BY part_of) FROM batches ORDER BY stored",
    )
    .fetch_all(world.journal.pool())
    .await
    .unwrap();
    let mut expected = vec![(250, "bulk".to_owned(), 21); 21];
    expected[0].0 = 1;
    assert_eq!(slices, expected);
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn neither_a_restart_nor_a_second_observer_repeats_an_event(pool: PgPool) {
    let world = World::new(pool).await;
    for number in 0..20 {
        world
            .sign_up(&format!("p{number}"), DeveloperStatus::Pending)
            .await;
    }
    let (first, second) = (world.another_observer(), world.another_observer());
    let both = tokio::join!(
        first.sweep_once(world.portal, Scope::All),
        second.sweep_once(world.portal, Scope::All),
    );
    assert_eq!(
        both.0.unwrap().differences + both.1.unwrap().differences,
        20
    );
    world
        .another_observer()
        .sweep_once(world.portal, Scope::All)
        .await
        .unwrap();
    assert_eq!(world.events().await.len(), 20);
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn an_older_look_does_not_undo_what_a_newer_one_saw(pool: PgPool) {
    let world = World::new(pool).await;
    let ann = world.sign_up("ann", DeveloperStatus::Pending).await;
    let old = world.directory.begin(world.portal).await.unwrap();
    let seen = usher::observe::read(&world.client, world.portal, Scope::All)
        .await
        .unwrap();
    let developers = world.client.portal(world.portal).developers();
    developers
        .set_status(ann, &DeveloperStatus::Approved)
        .await
        .unwrap();
    world.sweep(Scope::All).await;
    let stored = world.directory.store(old, &seen).await.unwrap();
    assert_eq!(stored.differences, 0);
    let record = world
        .directory
        .developer(world.portal, ann)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(record.developer.status, DeveloperStatus::Approved);
}

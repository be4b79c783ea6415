//! Single people: read by id, found by address, forgotten.

use super::*;

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn whom_a_deed_changed_is_read_again_by_id_until_a_look_has(pool: PgPool) {
    let world = World::new(pool).await;
    let team = world.team("Partners").await;
    let ann = world.sign_up("ann", DeveloperStatus::Approved).await;
    world.sweep(Scope::All).await;
    let teams = world.client.portal(world.portal).teams();
    teams.add_member(team, ann).await.unwrap();
    // Somebody whom only the deed knows: invited, approved, in no list of pending ones.
    let bob = world.sign_up("bob", DeveloperStatus::Approved).await;
    world.sweep(Scope::Pending).await;
    let known = || world.directory.teams_of(world.portal, ann);
    assert!(known().await.unwrap().is_empty(), "no list shows it");

    let began = world.directory.begin(world.portal).await.unwrap();
    for person in [ann, bob] {
        world
            .directory
            .request_refresh(world.portal, person)
            .await
            .unwrap();
    }
    let touched = async |look| {
        world
            .directory
            .touched(look, 10, 10)
            .await
            .unwrap()
            .developers
    };
    assert_eq!(touched(began).await, [], "it began before the change");
    let state = || world.directory.sweep_state(world.portal);
    assert!(state().await.unwrap().is_hinted());
    world.sweep(Scope::Pending).await;

    assert_eq!(known().await.unwrap().len(), 1);
    let bob = world.directory.find_developer(world.portal, bob).await;
    assert_eq!(bob.unwrap().unwrap().status, DeveloperStatus::Approved);
    assert!(!state().await.unwrap().is_hinted());
    let next = world.directory.begin(world.portal).await.unwrap();
    assert_eq!(touched(next).await, []);
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn whoever_is_no_longer_pending_is_read_directly(pool: PgPool) {
    let world = World::new(pool).await;
    let approved = world.sign_up("approved", DeveloperStatus::Pending).await;
    world.sweep(Scope::All).await;
    let developers = world.client.portal(world.portal).developers();
    developers
        .set_status(approved, &DeveloperStatus::Approved)
        .await
        .unwrap();
    world.emulator.clear_requests();
    world.sweep(Scope::Pending).await;
    let path = format!("/v3/portals/{}/developers/{approved}", world.portal);
    let requests = world.emulator.requests();
    assert_eq!(
        requests
            .iter()
            .filter(|request| request.path == path)
            .count(),
        1
    );
    assert_eq!(
        world.names().await.last().unwrap(),
        "developer.status_changed"
    );

    // Who is not there at all is for a look at everything to settle.
    let deleted = world.sign_up("deleted", DeveloperStatus::Pending).await;
    world.sweep(Scope::Pending).await;
    developers.delete(deleted).await.unwrap();
    world.emulator.clear_requests();
    world.sweep(Scope::Pending).await;
    let path = format!("/v3/portals/{}/developers/{deleted}", world.portal);
    let requests = world.emulator.requests();
    let reads = requests
        .iter()
        .filter(|r| r.path == path && r.method == "GET");
    assert_eq!(reads.count(), 1);
    assert_eq!(world.names().await.last().unwrap(), "developer.signed_up");
    world.sweep(Scope::All).await;
    assert_eq!(world.names().await.last().unwrap(), "developer.removed");
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn an_address_is_that_of_everybody_who_differs_in_ascii_case_alone(pool: PgPool) {
    let world = World::new(pool).await;
    let ian = world.sign_up("ian", DeveloperStatus::Pending).await;
    let other = world.sign_up("other", DeveloperStatus::Pending).await;
    world.sweep(Scope::All).await;
    let found = async |email: &str| {
        let found = world
            .directory
            .find_developers_by_email(world.portal, email);
        found.await.unwrap()
    };
    for (theirs, asked, expected) in [
        // In Unicode İ is i in lower case, and so is the Kelvin sign k.
        ("\u{130}an@secret.example", "ian@secret.example", vec![ian]),
        (
            "\u{130}an@secret.example",
            "\u{130}AN@secret.example",
            vec![other],
        ),
        ("IAN@Secret.example", "ian@secret.example", vec![ian, other]),
    ] {
        sqlx::query("UPDATE subjects SET email = $1 WHERE developer_id = $2")
            .bind(theirs)
            .bind(other.0)
            .execute(world.journal.pool())
            .await
            .unwrap();
        let mut expected = expected;
        expected.sort();
        assert_eq!(found(asked).await, expected, "{theirs} {asked}");
    }
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn forgetting_empties_subjects_for_good(pool: PgPool) {
    let world = World::new(pool).await;
    let ann = world.sign_up("ann", DeveloperStatus::Pending).await;
    world.sweep(Scope::All).await;
    let found = world
        .directory
        .find_developers_by_email(world.portal, "ANN@secret.example");
    assert_eq!(found.await.unwrap(), [ann]);
    let kept = world.directory.forget(world.portal, ann).await.unwrap();
    assert!(kept.is_some_and(|kept| kept.email && kept.full_name && kept.before.is_none()));
    let kept = world.directory.forget(world.portal, ann).await.unwrap();
    assert!(kept.is_some_and(|kept| !kept.email && kept.before.is_some()));
    world.sweep(Scope::All).await;
    let record = world
        .directory
        .developer(world.portal, ann)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (record.subject.email, record.subject.full_name),
        (None, None)
    );
    assert_eq!(world.events().await.len(), 1);
}

//! What cannot be read is set aside for its object alone, and told; the rest of its portal is
//! stored.

use super::loops::get;
use super::*;

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn what_cannot_be_read_is_set_aside_and_told_and_the_rest_is_stored(pool: PgPool) {
    let world = World::new(pool).await;
    let ann = world.sign_up("ann", DeveloperStatus::Approved).await;
    let (partners, guests) = (world.team("Partners").await, world.team("Guests").await);
    let teams = world.client.portal(world.portal).teams();
    teams.add_member(partners, ann).await.unwrap();
    let broken = world.application(ann).await;
    world.sweep(Scope::All).await;

    teams.add_member(guests, ann).await.unwrap();
    let whole = world.application(ann).await;
    let list = world.client.portal(world.portal).applications();
    let read = list.get(whole).await.unwrap();
    let list = format!("/v3/portals/{}/applications", world.portal);
    let wrong = json!({
        "data": [
            { "id": broken, "name": 5, "owner": { "email": "eve@secret.example" } },
            { "id": whole, "name": read.name, "owner": { "id": ann, "type": "developer" } },
        ],
        "meta": { "page": { "number": 1, "size": 100, "total": 2 } },
    });
    let members = format!("/v3/portals/{}/teams/{partners}/developers", world.portal);
    for status in [403, 500] {
        world.emulator.set_faults([
            get(
                members.clone(),
                Fault {
                    status: Some(status),
                    ..Fault::default()
                },
            ),
            get(
                format!("{list}/{broken}"),
                Fault {
                    status: Some(200),
                    body: Some(wrong["data"][0].clone()),
                    ..Fault::default()
                },
            ),
            get(
                list.clone(),
                Fault {
                    status: Some(200),
                    body: Some(wrong.clone()),
                    ..Fault::default()
                },
            ),
        ]);
        for _ in 0..2 {
            world.sweep(Scope::All).await;
        }
        let record = world.directory.developer(world.portal, ann).await;
        let record = record.unwrap().unwrap();
        assert_eq!(record.teams.len(), 2, "{status}: {:?}", record.teams);
        let known: Vec<ApplicationId> = record.applications.iter().map(|a| a.id).collect();
        assert!(
            known.contains(&broken) && known.contains(&whole),
            "{known:?}"
        );
        let problem = world.observer.health().problem().unwrap();
        for part in [
            world.portal.to_string(),
            partners.to_string(),
            broken.to_string(),
        ] {
            assert!(problem.contains(&part), "{problem}");
        }
        assert!(!problem.contains("secret"), "{problem}");
    }
    assert!(
        !world
            .names()
            .await
            .iter()
            .any(|name| name.ends_with("removed"))
    );

    world.emulator.set_faults([]);
    world.sweep(Scope::All).await;
    assert_eq!(world.observer.health().problem(), None);
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn whoever_cannot_be_read_keeps_no_other_change_waiting(pool: PgPool) {
    let world = World::new(pool).await;
    world.sweep(Scope::All).await;
    let ann = world.sign_up("ann", DeveloperStatus::Approved).await;
    let eve = world.sign_up("eve", DeveloperStatus::Approved).await;
    let path = format!("/v3/portals/{}/developers/{eve}", world.portal);
    world.emulator.set_faults([get(
        path.clone(),
        Fault {
            status: Some(500),
            ..Fault::default()
        },
    )]);
    for person in [eve, ann] {
        world
            .directory
            .request_refresh(world.portal, person)
            .await
            .unwrap();
    }
    for _ in 0..3 {
        world.sweep(Scope::Pending).await;
    }
    let found = world.directory.find_developer(world.portal, ann).await;
    assert!(found.unwrap().is_some());
    let requests = world.emulator.requests();
    let asked = requests
        .iter()
        .filter(|request| request.path == path)
        .count();
    assert_eq!(asked, 1, "it waits for a while");
    let state = world.directory.sweep_state(world.portal).await.unwrap();
    assert!(!state.is_hinted(), "{state:?}");

    // Changed again, so read again.
    world.emulator.set_faults([]);
    world
        .directory
        .request_refresh(world.portal, eve)
        .await
        .unwrap();
    world.sweep(Scope::Pending).await;
    let found = world.directory.find_developer(world.portal, eve).await;
    assert!(found.unwrap().is_some());
    assert_eq!(world.observer.health().problem(), None);
}

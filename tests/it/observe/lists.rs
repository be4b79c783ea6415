//! Lists of several pages, wrong ones, and ones that change or break off while they are read.

use super::*;

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn what_a_wrong_list_lacks_is_not_taken_for_gone(pool: PgPool) {
    let world = World::new(pool).await;
    let ann = world.sign_up("ann", DeveloperStatus::Approved).await;
    world.sweep(Scope::All).await;
    let empty = json!({ "data": [], "meta": { "page": { "number": 1, "size": 100, "total": 0 } } });
    world.emulator.set_faults([Fault {
        method: Some("GET".to_owned()),
        path: format!("*/portals/{}/developers", world.portal),
        status: Some(200),
        body: Some(empty),
        times: Some(1),
        ..Fault::default()
    }]);
    world.emulator.clear_requests();
    world.sweep(Scope::All).await;
    let path = format!("/v3/portals/{}/developers/{ann}", world.portal);
    let read = |path: &str| {
        world
            .emulator
            .requests()
            .iter()
            .any(|request| request.path == path)
    };
    assert!(
        read(&path),
        "the list lacked the developer, so they were read directly"
    );
    assert_eq!(world.names().await, Vec::<String>::new());
    let record = world
        .directory
        .developer(world.portal, ann)
        .await
        .unwrap()
        .unwrap();
    assert!(!record.developer.row_version.is_gone());
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn reads_every_page(pool: PgPool) {
    let world = World::new(pool).await;
    let developers: Vec<Value> = (0..230)
        .map(|number| {
            json!({
                "portal_id": world.portal,
                "email": format!("{number}@secret.example"),
                "full_name": "Somebody",
                "status": "pending",
            })
        })
        .collect();
    world
        .emulator
        .seed(&json!({ "developers": developers }))
        .unwrap();
    world.sweep(Scope::Pending).await;
    assert_eq!(
        world
            .directory
            .pending_developers(world.portal)
            .await
            .unwrap()
            .len(),
        230
    );
    assert_eq!(world.events().await.len(), 230);
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn who_signs_up_while_pages_are_read_is_found_at_the_next_look_and_nobody_is_lost(
    pool: PgPool,
) {
    let world = World::new(pool).await;
    let person = |portal: PortalId, number: usize| {
        json!({
            "portal_id": portal, "email": format!("{number}@secret.example"),
            "full_name": "Somebody", "status": "pending",
        })
    };
    let first: Vec<Value> = (0..230)
        .map(|number| person(world.portal, number))
        .collect();
    world
        .emulator
        .seed(&json!({ "developers": first }))
        .unwrap();
    // Slow pages, between which five more sign up each time.
    let list = format!("/v3/portals/{}/developers", world.portal);
    world.emulator.set_faults([Fault {
        path: list.clone(),
        latency_ms: 150,
        ..Fault::default()
    }]);
    world.emulator.clear_requests();
    let newcomers = async {
        for page in 1..=2 {
            let started = Instant::now();
            let read = || {
                let requests = world.emulator.requests();
                requests
                    .iter()
                    .filter(|request| request.path == list)
                    .count()
            };
            while read() < page {
                assert!(started.elapsed() < DEADLINE, "page {page} is not read");
                world.journal.appended(Duration::from_millis(5)).await;
            }
            let more: Vec<Value> = (0..5)
                .map(|number| person(world.portal, page * 1_000 + number))
                .collect();
            world.emulator.seed(&json!({ "developers": more })).unwrap();
        }
    };
    tokio::join!(world.sweep(Scope::All), newcomers);
    world.emulator.set_faults([]);
    let seen = world
        .directory
        .pending_developers(world.portal)
        .await
        .unwrap()
        .len();
    assert!(seen >= 230, "all who were there: {seen}");
    world.sweep(Scope::All).await;
    let names = world.names().await;
    assert_eq!(names.len(), 240, "each told once");
    assert!(names.iter().all(|name| name == "developer.signed_up"));
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn a_look_that_goes_wrong_half_way_is_believed_in_nothing(pool: PgPool) {
    let world = World::new(pool).await;
    world.sign_up("ann", DeveloperStatus::Pending).await;
    world.sweep(Scope::All).await;
    world.sign_up("ben", DeveloperStatus::Pending).await;
    let developers = format!("/v3/portals/{}/developers", world.portal);
    let fault = |fault: Fault| Fault {
        method: Some("GET".to_owned()),
        path: developers.clone(),
        ..fault
    };
    let wrong = json!({ "data": { "id": "no list", "email": "eve@secret.example" } });
    let faults = [
        fault(Fault {
            status: Some(429),
            ..Fault::default()
        }),
        fault(Fault {
            cut: true,
            ..Fault::default()
        }),
        fault(Fault {
            status: Some(200),
            body: Some(wrong),
            ..Fault::default()
        }),
        fault(Fault {
            status: Some(404),
            ..Fault::default()
        }),
    ];
    for fault in faults {
        let told = format!("{fault:?}");
        world.emulator.set_faults([fault]);
        for scope in [Scope::Pending, Scope::All] {
            let outcome = world.observer.sweep_once(world.portal, scope).await;
            let error = outcome.expect_err(&told);
            assert!(matches!(error, ObserveError::Api(_)), "{told}: {error:?}");
            assert!(
                !error.chain().contains("secret"),
                "no body is told: {}",
                error.chain()
            );
        }
    }
    assert_eq!(world.names().await, ["developer.signed_up"]);
    assert!(
        !world
            .directory
            .portal(world.portal)
            .await
            .unwrap()
            .unwrap()
            .row_version
            .is_gone()
    );
    world.emulator.set_faults([]);
    world.sweep(Scope::Pending).await;
    assert_eq!(world.names().await.len(), 2);
}

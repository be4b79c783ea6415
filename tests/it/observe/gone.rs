//! Gone means gone: what it takes until an object counts as gone, and what is held back.

use usher::act::Queue;
use usher::app::Upkeep;
use usher::config::RetentionConfig;
use usher::observe::Timings;

use super::loops::get;
use super::*;
use crate::support::eventually;

impl World {
    /// As in production: what is not found once is not gone.
    fn patient(&self, timings: Timings) -> Observer {
        let parts = parts(
            &self.journal,
            &self.directory,
            &self.client,
            vec![self.portal],
        );
        Observer::new(parts).with_timings(timings)
    }

    async fn removed(&self) -> Vec<String> {
        let events = self.events().await;
        let removed = events.iter().filter(|event| {
            let name = event["name"].as_str().unwrap();
            name.ends_with(".removed") || event["data"]["change"] == "removed"
        });
        removed
            .map(|event| event["name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// As if what was missed had been missed so much longer ago.
    async fn missed_earlier(&self, by: Duration) {
        sqlx::query("UPDATE missed_objects SET missed_at = missed_at - make_interval(secs => $1)")
            .bind(by.as_secs_f64())
            .execute(self.journal.pool())
            .await
            .unwrap();
    }

    async fn missed(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM missed_objects")
            .fetch_one(self.journal.pool())
            .await
            .unwrap()
    }

    /// A developer with an application and a registration, in a team.
    async fn somebody(&self) -> (DeveloperId, TeamId) {
        let ann = self.sign_up("ann", DeveloperStatus::Approved).await;
        let team = self.team("Partners").await;
        let teams = self.client.portal(self.portal).teams();
        teams.add_member(team, ann).await.unwrap();
        let application = self.application(ann).await;
        let request = NewRegistration {
            api_id: self.api,
            status: Some(RegistrationStatus::Pending),
        };
        let registrations = self.client.portal(self.portal).registrations();
        registrations.create(application, &request).await.unwrap();
        (ann, team)
    }
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn three_404s_at_once_retire_nothing_and_two_a_minute_apart_do(pool: PgPool) {
    let world = World::new(pool).await;
    let observer = world.patient(Timings::default());
    let (ann, team) = world.somebody().await;
    let sweep = async || {
        let sweep = observer.sweep_once(world.portal, Scope::All);
        Box::pin(sweep).await.unwrap();
    };
    sweep().await;
    world
        .client
        .portal(world.portal)
        .developers()
        .delete(ann)
        .await
        .unwrap();
    for _ in 0..3 {
        sweep().await;
    }
    assert_eq!(world.removed().await, [""; 0]);
    assert_eq!(world.missed().await, 4);
    world.missed_earlier(Duration::from_secs(50)).await;
    sweep().await;
    assert_eq!(world.removed().await, [""; 0]);
    world.missed_earlier(Duration::from_secs(11)).await;
    sweep().await;
    let removed = [
        "membership.changed",
        "registration.removed",
        "application.removed",
        "developer.removed",
    ];
    assert_eq!(world.removed().await, removed);
    assert_eq!(world.missed().await, 0);
    let members = world.directory.members_of(world.portal, team).await;
    assert_eq!(members.unwrap(), []);
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn who_is_seen_again_begins_to_be_missed_anew(pool: PgPool) {
    let world = World::new(pool).await;
    let observer = world.patient(Timings::default());
    world.somebody().await;
    let sweep = async || {
        let sweep = observer.sweep_once(world.portal, Scope::All);
        Box::pin(sweep).await.unwrap();
    };
    sweep().await;
    let nothing = || {
        let empty =
            json!({ "data": [], "meta": { "page": { "number": 1, "size": 100, "total": 0 } } });
        let answer = |path: &str, status, body| {
            let path = format!("/v3/portals/{}/{path}", world.portal);
            get(
                path,
                Fault {
                    status: Some(status),
                    body,
                    ..Fault::default()
                },
            )
        };
        [
            answer("developers/", 404, None),
            answer("developers", 200, Some(empty)),
        ]
    };
    for _ in 0..3 {
        world.emulator.set_faults(nothing());
        sweep().await;
        assert!(world.missed().await > 0);
        world.missed_earlier(Duration::from_hours(1)).await;
        world.emulator.set_faults([]);
        sweep().await;
        assert_eq!(world.missed().await, 0);
    }
    assert_eq!(world.removed().await, [""; 0]);
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn the_second_read_waits_for_no_second_sweep(pool: PgPool) {
    let world = World::new(pool).await;
    let observer = world.patient(Timings {
        gone_after: Duration::from_secs(2),
        ..Timings::default()
    });
    let (ann, _) = world.somebody().await;
    world.sweep(Scope::All).await;
    world
        .client
        .portal(world.portal)
        .developers()
        .delete(ann)
        .await
        .unwrap();
    let sweep = observer.sweep_once(world.portal, Scope::All);
    Box::pin(sweep).await.unwrap();
    assert_eq!(world.removed().await, [""; 0]);
    let lifecycle = Lifecycle::new();
    lifecycle.spawn("observer", observer.run(lifecycle.clone()));
    eventually("all of it is gone", DEADLINE, async || {
        world.removed().await.len() == 4
    })
    .await;
    lifecycle.shut_down().await;
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn a_portal_is_gone_after_ten_minutes_and_not_if_it_was_there_meanwhile(pool: PgPool) {
    let world = World::new(pool).await;
    let observer = world.patient(Timings::default());
    world.sweep(Scope::All).await;
    let gone = || {
        get(
            format!("/v3/portals/{}", world.portal),
            Fault {
                status: Some(404),
                ..Fault::default()
            },
        )
    };
    let look = async || {
        let look = observer.sweep_once(world.portal, Scope::Pending);
        Box::pin(look).await
    };
    for there_meanwhile in [true, false] {
        world.emulator.set_faults([gone()]);
        for _ in 0..3 {
            let outcome = look().await;
            assert!(
                matches!(outcome, Err(ObserveError::PortalMissing)),
                "{outcome:?}"
            );
        }
        world.missed_earlier(Duration::from_mins(9)).await;
        let outcome = look().await;
        assert!(
            matches!(outcome, Err(ObserveError::PortalMissing)),
            "{outcome:?}"
        );
        if there_meanwhile {
            world.emulator.set_faults([]);
            look().await.unwrap();
        }
        world.missed_earlier(Duration::from_mins(2)).await;
        world.emulator.set_faults([gone()]);
        let outcome = look().await;
        let is_gone = matches!(outcome, Err(ObserveError::PortalGone));
        assert_eq!(is_gone, !there_meanwhile, "{outcome:?}");
    }
    assert_eq!(world.removed().await, ["portal.removed"]);
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn many_that_are_missing_at_once_are_held_back_and_told(pool: PgPool) {
    let world = World::new(pool).await;
    let people: Vec<Value> = (0..150)
        .map(|number| {
            json!({
                "portal_id": world.portal, "email": format!("{number}@secret.example"),
                "full_name": "Somebody", "status": "approved",
            })
        })
        .collect();
    let seed = json!({ "developers": people });
    world.emulator.seed(&seed).unwrap();
    world.sweep(Scope::All).await;
    let list = format!("/v3/portals/{}/developers", world.portal);
    let empty = json!({ "data": [], "meta": { "page": { "number": 1, "size": 100, "total": 0 } } });
    let answer = |path: String, status, body| {
        get(
            path,
            Fault {
                status: Some(status),
                body,
                ..Fault::default()
            },
        )
    };
    world.emulator.set_faults([
        answer(format!("{list}/"), 404, None),
        answer(list, 200, Some(empty)),
    ]);
    world.sweep(Scope::All).await;
    assert_eq!(world.removed().await, [""; 0]);
    let problem = world.observer.health().problem().unwrap();
    assert!(problem.contains("150 of 150 developers"), "{problem}");
    assert!(problem.contains(&world.portal.to_string()), "{problem}");
    world.emulator.set_faults([]);
    world.sweep(Scope::All).await;
    assert_eq!(world.observer.health().problem(), None);
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn a_new_portal_is_looked_at_long_before_everything_is_again(pool: PgPool) {
    let every = Timings::default().portals_every;
    assert_eq!(every, Duration::from_mins(10));
    let world = World::new(pool).await;
    let parts = parts(&world.journal, &world.directory, &world.client, Vec::new());
    assert_eq!(parts.config.all_every, Duration::from_hours(1));
    let observer = Observer::new(parts).with_timings(Timings {
        portals_every: Duration::from_secs(1),
        ..Timings::default()
    });
    let lifecycle = Lifecycle::new();
    lifecycle.spawn("observer", observer.run(lifecycle.clone()));
    let is_known = async |portal: PortalId| {
        let state = world.directory.sweep_state(portal).await.unwrap();
        state.first_complete
    };
    eventually("the first one is looked at", DEADLINE, async || {
        is_known(world.portal).await
    })
    .await;
    let made = world
        .emulator
        .seed(&json!({ "portals": [{ "name": "Second" }] }))
        .unwrap();
    let second: PortalId = made["portals"][0]["id"].as_str().unwrap().parse().unwrap();
    eventually("the new one is looked at", DEADLINE, async || {
        is_known(second).await
    })
    .await;
    lifecycle.shut_down().await;
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn who_is_gone_for_long_is_emptied_by_itself_and_filled_in_on_return(pool: PgPool) {
    let world = World::new(pool).await;
    let (ann, _) = world.somebody().await;
    world.sign_up("bob", DeveloperStatus::Approved).await;
    world.sweep(Scope::All).await;
    let run = async |statement: &'static str| {
        let done = sqlx::raw_sql(statement).execute(world.journal.pool()).await;
        done.unwrap();
    };
    // What a sender told of her by her address, her id and her registration, and lately by her
    // address again.
    run("INSERT INTO subjects (portal_id, developer_id, email, told_at)
         SELECT portal_id, gen_random_uuid(), 'Ann@secret.example', now() - ago
         FROM directory_portals, UNNEST(ARRAY[interval '31 days', interval '1 day']) AS ago;
         INSERT INTO subjects (portal_id, developer_id, told_of, told, told_at)
         SELECT portal_id, gen_random_uuid(), id, '{\"name\":\"Secret Ann\"}', now() - interval '31 days'
         FROM (
             SELECT portal_id, registration_id AS id FROM directory_registrations
             UNION
             SELECT portal_id, developer_id FROM subjects
             WHERE lower(email) = 'ann@secret.example' AND COALESCE(told_at < now() - interval '30 days', true)
         ) AS named")
    .await;
    let kept = async |who: &str| {
        let rows = sqlx::query_scalar::<_, i64>(
            "SELECT count(*) FROM subjects WHERE concat_ws(' ', email, full_name, told) ~* $1",
        );
        let rows = rows.bind(who).fetch_one(world.journal.pool());
        rows.await.unwrap()
    };
    let tidy_up = async || {
        let clock = Clock::system();
        let ids = Ids::new(clock.clone());
        let upkeep = Upkeep {
            actions: Queue::new(world.journal.clone(), clock.clone(), ids.clone()),
            journal: world.journal.clone(),
            directory: world.directory.clone(),
            retention: RetentionConfig::default(),
            holder: ids.next(),
            clock,
        };
        assert!(upkeep.round().await.unwrap().is_some());
    };
    let developers = world.client.portal(world.portal).developers();
    developers.delete(ann).await.unwrap();
    world.sweep(Scope::All).await;
    run("UPDATE directory_developers SET gone_at = gone_at - interval '29 days'").await;
    tidy_up().await;
    assert_eq!(kept("ann").await, 6);

    run("UPDATE directory_developers SET gone_at = gone_at - interval '1 day'").await;
    tidy_up().await;
    assert_eq!((kept("ann").await, kept("bob").await), (1, 1));

    let back = json!({ "developers": [{
        "id": ann, "portal_id": world.portal, "email": "ann@secret.example", "full_name": "Secret Ann",
        "status": "approved",
    }] });
    world.emulator.seed(&back).unwrap();
    world.sweep(Scope::All).await;
    let subject = world.directory.subject(world.portal, ann).await.unwrap();
    assert_eq!(subject.email.as_deref(), Some("ann@secret.example"));

    // With a portal goes whoever was in it.
    run("UPDATE directory_portals SET gone_at = now() - interval '31 days'").await;
    tidy_up().await;
    assert_eq!((kept("ann").await, kept("bob").await), (1, 0));
}

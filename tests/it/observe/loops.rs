//! The loops of one portal go on beside each other: what one cannot do keeps no other from its
//! work.

use super::*;
use crate::support::eventually;

/// Long enough for a look that is due in a second, and too short for one that waits for another.
const SOON: Duration = Duration::from_secs(6);

impl World {
    /// Runs the loops while `play` lasts.
    pub(super) async fn during<T>(
        &self,
        parts: Parts,
        play: impl AsyncFnOnce(&usher::observe::Health) -> T,
    ) -> T {
        let lifecycle = Lifecycle::new();
        let observer = Observer::new(parts);
        let health = observer.health();
        lifecycle.spawn("observer", observer.run(lifecycle.clone()));
        let outcome = play(&health).await;
        lifecycle.shut_down().await;
        outcome
    }

    /// Looks at the pending ones every `pending_every`, at everything whenever it can.
    pub(super) fn parts(&self, pending_every: Duration) -> Parts {
        let portals = vec![self.portal];
        let mut parts = parts(&self.journal, &self.directory, &self.client, portals);
        parts.config.pending_every = pending_every;
        parts.config.all_every = Duration::from_secs(1);
        parts
    }

    pub(super) async fn signed_up(&self) -> usize {
        let names = self.names().await;
        names
            .iter()
            .filter(|name| *name == "developer.signed_up")
            .count()
    }

    /// Somebody signs up, and is seen soon.
    pub(super) async fn newcomer_is_seen(&self, name: &str) {
        let known = self.signed_up().await;
        self.sign_up(name, DeveloperStatus::Pending).await;
        eventually("the newcomer is seen", SOON, async || {
            self.signed_up().await > known
        })
        .await;
    }
}

pub(super) fn get(path: String, fault: Fault) -> Fault {
    Fault {
        method: Some("GET".to_owned()),
        path,
        ..fault
    }
}

/// What keeps a look at everything from its end, for each a name.
async fn hindrances(world: &World) -> Vec<(&'static str, Fault)> {
    let team = world.team("Partners").await;
    let members = format!("/v3/portals/{}/teams/{team}/developers", world.portal);
    let status = |status| Fault {
        status: Some(status),
        ..Fault::default()
    };
    let wrong = json!({
        "data": [{ "id": team, "name": 5 }],
        "meta": { "page": { "number": 1, "size": 100, "total": 1 } },
    });
    vec![
        (
            "members that may not be read",
            get(members.clone(), status(403)),
        ),
        (
            "members that cannot be read",
            get(members.clone(), status(500)),
        ),
        (
            "an application that cannot be decoded",
            get(
                format!("/v3/portals/{}/applications", world.portal),
                Fault {
                    body: Some(wrong),
                    ..status(200)
                },
            ),
        ),
        (
            "members that are slow",
            get(
                members,
                Fault {
                    latency_ms: 60_000,
                    ..Fault::default()
                },
            ),
        ),
    ]
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn newcomers_are_found_in_time_whatever_keeps_a_sweep_from_its_end(pool: PgPool) {
    let world = World::new(pool).await;
    for (what, fault) in hindrances(&world).await {
        world.emulator.set_faults([fault]);
        world
            .during(world.parts(Duration::from_secs(1)), async |_| {
                for number in 0..3 {
                    let name = format!("{what} {number}").replace(' ', "-");
                    world.newcomer_is_seen(&name).await;
                }
            })
            .await;
    }
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn hints_are_answered_whatever_keeps_a_sweep_from_its_end(pool: PgPool) {
    let world = World::new(pool).await;
    world.sweep(Scope::Pending).await;
    for (what, fault) in hindrances(&world).await {
        world.emulator.set_faults([fault]);
        world
            .during(world.parts(Duration::from_hours(1)), async |_| {
                for number in 0..3 {
                    // Approved already: no list of pending ones shows them.
                    let name = format!("{what} {number}").replace(' ', "-");
                    let ann = world.sign_up(&name, DeveloperStatus::Approved).await;
                    world
                        .directory
                        .request_refresh(world.portal, ann)
                        .await
                        .unwrap();
                    eventually("who was touched is seen", SOON, async || {
                        let found = world.directory.find_developer(world.portal, ann).await;
                        found.unwrap().is_some()
                    })
                    .await;
                }
            })
            .await;
    }
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn a_wait_that_the_api_asks_for_is_kept_by_the_loops_of_all_portals(pool: PgPool) {
    let world = World::new(pool).await;
    let made = world
        .emulator
        .seed(&json!({ "portals": [{ "name": "Second" }] }))
        .unwrap();
    let second: PortalId = made["portals"][0]["id"].as_str().unwrap().parse().unwrap();
    world.sweep(Scope::All).await;
    let mut parts = world.parts(Duration::from_secs(1));
    parts.portals.push(second);
    let asked = Fault {
        status: Some(429),
        headers: [("Retry-After".to_owned(), "5".to_owned())].into(),
        times: Some(1),
        ..Fault::default()
    };
    let list = format!("/v3/portals/{second}/developers");
    world.emulator.set_faults([get(list, asked)]);
    world
        .during(parts, async |_| {
            let refused = || {
                let requests = world.emulator.requests();
                requests.iter().any(|request| request.status == 429)
            };
            eventually("the api asks for a wait", SOON, async || refused()).await;
            let asked = Instant::now();
            world.journal.appended(Duration::from_millis(500)).await;
            world.emulator.clear_requests();
            eventually("looks go on", SOON, async || {
                !world.emulator.requests().is_empty()
            })
            .await;
            let waited = asked.elapsed();
            assert!(waited >= Duration::from_millis(4_500), "{waited:?}");
            world.newcomer_is_seen("ann").await;
        })
        .await;
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn a_portal_that_appears_later_is_looked_at_within_the_period(pool: PgPool) {
    let world = World::new(pool).await;
    let mut parts = world.parts(Duration::from_secs(1));
    parts.portals = Vec::new();
    let lifecycle = Lifecycle::new();
    let observer = Observer::new(parts).with_timings(AT_ONCE);
    lifecycle.spawn("observer", observer.run(lifecycle.clone()));
    let known = async || {
        let known = world.directory.portals().await.unwrap();
        known
            .into_iter()
            .map(|portal| portal.id)
            .collect::<Vec<_>>()
    };
    eventually("the first portal is seen", SOON, async || {
        known().await == [world.portal]
    })
    .await;
    let made = json!({ "portals": [{ "name": "Second" }] });
    let made = world.emulator.seed(&made).unwrap();
    let second: PortalId = made["portals"][0]["id"].as_str().unwrap().parse().unwrap();
    let seed = json!({ "developers": [{
        "portal_id": second, "email": "bob@secret.example", "full_name": "Bob", "status": "pending",
    }] });
    world.emulator.seed(&seed).unwrap();
    eventually("a newcomer to the second is seen", SOON, async || {
        world.signed_up().await == 1 && known().await.contains(&second)
    })
    .await;
    lifecycle.shut_down().await;
}

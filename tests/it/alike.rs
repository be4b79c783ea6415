//! Whoever asks what rules would do is told what they then do: a dry run, `explain`, `rules test`
//! and the worker, on random people and random rules.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::TimeDelta;
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::time::Instant;
use usher::directory::Scope;
use usher::journal::MIGRATOR;
use usher::observe;
use usher::react::{
    Backtest, BacktestOutcome, BacktestWindow, DryRunResult, ExpectedOutcome, ExplainedSignal,
    WantedDeed as Wanted, dry_run, explain,
};
use usher::rules::{Deed, Mode, RuleSet, load};
use uuid::Uuid;

use crate::support::luck::Luck;
use crate::support::scene::Scene;
use crate::support::stage::{FIXTURES, PORTAL, developer};

/// Worlds that are tried.
const WORLDS: usize = 4;
/// One rule for the people of each, so that what one rule does is no other's matter.
const DOMAINS: [&str; 6] = ["one", "two", "three", "four", "five", "six"];
const TEAMS: [&str; 2] = ["Guests", "Staff"];
const STATUSES: [&str; 4] = ["approved", "pending", "rejected", "revoked"];

/// A rule, the deed in words, and what it is done to.
type WantedDeed = (String, String, Uuid);

#[sqlx::test(migrator = "MIGRATOR")]
async fn all_that_tell_what_rules_would_do_say_what_is_then_done(pool: PgPool) {
    let mut luck = Luck::new();
    let scene = Scene::new(pool, "version: 1\nrules: []\n").await;
    let mut seen = BTreeSet::new();
    for world in 0..WORLDS {
        let rules = rules(&mut luck.rng, world);
        let (seed, memberships) = people(&mut luck.rng, world);
        scene.stage.emulator.seed(&seed).unwrap();
        let teams = scene.stage.client.portal(PORTAL.into()).teams();
        for (team, member) in memberships {
            teams.add_member(team.into(), member.into()).await.unwrap();
        }
        let began = scene.stage.clock.now() - TimeDelta::seconds(2);
        scene.look().await;
        let rehearsed = rehearsed(&scene, &rules, world).await;
        explained(&scene, &rules, &rehearsed).await;
        tried(&scene, &rules, began, &rehearsed).await;
        let expected = expected(&rehearsed);
        seen.extend(expected.values().map(|state| (*state).to_owned()));
        scene.rules.send_replace(rules.into());
        scene.during(done(&scene, &expected, world)).await;
    }
    // No way to end is left out.
    let all = [
        "cancelled",
        "done",
        "nothing",
        "parked",
        "planned",
        "refused",
    ];
    let rare: Vec<&&str> = all.iter().filter(|state| !seen.contains(**state)).collect();
    assert!(rare.len() < 3, "{rare:?} was never expected: {seen:?}");
}

/// Rules of which each asks for people of another domain.
fn rules(rng: &mut StdRng, world: usize) -> RuleSet {
    let read = |rules: &[Value]| {
        let file = json!({ "version": 1, "rules": rules });
        load(&file.to_string(), "rules.yaml")
    };
    let mut rules = Vec::new();
    for (index, domain) in DOMAINS.iter().enumerate() {
        let mut rule = || rule(rng, &format!("{domain}{world}"), index < 4);
        // Deeds of one rule must not undo each other.
        let sound =
            std::iter::repeat_with(&mut rule).find(|rule| read(std::slice::from_ref(rule)).is_ok());
        rules.extend(sound);
    }
    read(&rules).unwrap()
}

fn rule(rng: &mut StdRng, domain: &str, of_newcomers: bool) -> Value {
    let team = |rng: &mut StdRng| {
        let names = ["Guests", "Staff", "Nobody"];
        (*names.choose(rng).unwrap()).to_owned()
    };
    let (on, theirs) = if of_newcomers {
        (
            "developer.signed_up",
            ["approve_developer", "reject_developer", "revoke_developer"],
        )
    } else {
        (
            "registration.requested",
            [
                "approve_registration",
                "reject_registration",
                "revoke_registration",
            ],
        )
    };
    let conditions = [
        String::new(),
        " && developer.status == \"pending\"".to_owned(),
        format!(" && !in_team(developer, {:?})", team(rng)),
        format!(" && in_team(developer, {:?})", team(rng)),
    ];
    let mut then: Vec<Value> = Vec::new();
    for _ in 0..rng.random_range(1..=3) {
        then.push(match rng.random_range(0..8) {
            0..=2 => json!(theirs[0]),
            3 => json!(*theirs.choose(rng).unwrap()),
            4..=5 => json!({ "add_to_team": team(rng) }),
            6 => json!({ "remove_from_team": team(rng) }),
            _ => json!({ "park": "look" }),
        });
    }
    then.dedup();
    json!({
        "name": domain,
        "on": on,
        "when": format!("domain(developer.email) == \"{domain}.example\"{}", conditions.choose(rng).unwrap()),
        "then": then,
        "limit_per_hour": 0,
    })
}

/// People who wait, and people whose applications ask for something, some of them in teams.
fn people(rng: &mut StdRng, world: usize) -> (Value, Vec<(Uuid, Uuid)>) {
    let id = |kind: u128, number: usize| {
        Uuid::from_u128((kind << 64) + ((world as u128) << 32) + number as u128)
    };
    let teams: Vec<Value> = TEAMS
        .iter()
        .enumerate()
        .map(|(number, name)| json!({ "id": id(1, number).to_string(), "portal_id": PORTAL, "name": name }))
        .collect();
    let teams_once = if world == 0 { teams } else { Vec::new() };
    let team = |number: usize| Uuid::from_u128((1 << 64) + number as u128);
    let (mut developers, mut applications) = (Vec::new(), Vec::new());
    let (mut registrations, mut memberships) = (Vec::new(), Vec::new());
    for number in 0..14 {
        let domain = DOMAINS[number % DOMAINS.len()];
        let asks = number % DOMAINS.len() >= 4;
        let status = if asks {
            STATUSES.choose(rng).unwrap()
        } else {
            "pending"
        };
        let one = id(2, number);
        developers.push(developer(
            one,
            &format!("n{number}@{domain}{world}.example"),
            status,
        ));
        let mut joined: Vec<usize> = (0..TEAMS.len()).collect();
        joined.shuffle(rng);
        joined.truncate(rng.random_range(0..3));
        memberships.extend(joined.into_iter().map(|number| (team(number), one)));
        if asks {
            applications.push(json!({
                "id": id(3, number), "portal_id": PORTAL, "name": format!("app {number}"),
                "owner": { "type": "developer", "id": one },
            }));
            registrations.push(json!({
                "id": id(4, number), "application_id": id(3, number), "api_id": FIXTURES, "status": "pending",
            }));
        }
    }
    let seed = json!({
        "teams": teams_once, "developers": developers, "applications": applications,
        "registrations": registrations,
    });
    (seed, memberships)
}

/// What a dry run says about the people of the rules.
async fn rehearsed(scene: &Scene, rules: &RuleSet, world: usize) -> Vec<DryRunResult> {
    let snapshot = observe::read(&scene.stage.client, PORTAL.into(), Scope::All).await;
    let mut told = dry_run(rules, &snapshot.unwrap(), scene.stage.clock.now());
    told.retain(|one| {
        let developer = one.facts.developer.as_ref();
        developer.is_some_and(|known| known.email.ends_with(&format!("{world}.example")))
    });
    told
}

/// What `explain` says stands in the way is what the dry run says.
async fn explained(scene: &Scene, rules: &RuleSet, rehearsed: &[DryRunResult]) {
    let stage = &scene.stage;
    let rooms = (&stage.journal, &stage.directory, &stage.queue);
    for one in rehearsed {
        let developer = one.facts.developer.as_ref().unwrap().id;
        let whose = (PORTAL.into(), developer.into());
        let explained = explain(rooms, rules, whose, stage.clock.now()).await;
        let explained = explained.unwrap().unwrap();
        let of = |signal: &&ExplainedSignal| {
            let it = &signal.signal;
            it.registration_id.or(it.developer_id) == Some(one.target.id())
                && it.kind.as_str() == one.facts.signal.kind
        };
        let heard = explained.signals.iter().find(of).unwrap();
        for verdict in &one.decisions {
            let mut rules = heard.rules.iter();
            let rule = rules.find(|rule| rule.explanation.rule == verdict.rule);
            let deeds = &rule.unwrap().deeds;
            let expected_outcomes = verdict.wanted.iter().flatten();
            let expected: Vec<bool> = expected_outcomes.map(is_free).collect();
            let free: Vec<bool> = deeds.iter().map(|deed| deed.but.is_empty()).collect();
            assert_eq!(free, expected, "{deeds:#?} {verdict:#?}");
        }
    }
}

/// Whether nothing stands in the way of a deed.
fn is_free(wanted_deed: &Wanted) -> bool {
    match &wanted_deed.expected_outcome {
        ExpectedOutcome::Done => true,
        ExpectedOutcome::Parked(_) => wanted_deed.deed.name() == "park",
        ExpectedOutcome::Holds
        | ExpectedOutcome::Waits
        | ExpectedOutcome::Refused(_)
        | ExpectedOutcome::NotReached => false,
    }
}

/// `rules test` finds that the same rules answer.
async fn tried(
    scene: &Scene,
    rules: &RuleSet,
    began: chrono::DateTime<chrono::Utc>,
    rehearsed: &[DryRunResult],
) {
    let stage = &scene.stage;
    let now = stage.clock.now();
    let window = BacktestWindow::new(began, now + TimeDelta::seconds(2), now).unwrap();
    let trial = Backtest::new(
        &stage.journal,
        (&stage.directory, &stage.queue),
        None,
        window,
    );
    let mut answers: BTreeMap<(Uuid, String), Vec<String>> = BTreeMap::new();
    let sets = [rules];
    let run = trial.run(&sets, |tried| {
        let target = tried.signal.registration_id.or(tried.signal.developer_id);
        for rule in tried.by.into_iter().flatten() {
            let deeds = match rule.outcome {
                BacktestOutcome::Act(deeds) | BacktestOutcome::Unchanged(deeds) => deeds,
                BacktestOutcome::Skip(_) => Vec::new(),
            };
            answers.insert((target.unwrap(), rule.rule), deeds);
        }
    });
    run.await.unwrap();
    for one in rehearsed {
        for verdict in &one.decisions {
            let wanted = verdict.wanted.iter().flatten();
            let expected: Vec<String> = wanted
                .map(|wanted_deed| wanted_deed.deed.to_string())
                .collect();
            let answer = answers.get(&(one.target.id(), verdict.rule.clone()));
            assert_eq!(answer, Some(&expected), "{verdict:#?}");
        }
    }
}

/// The states in which actions are to end.
fn expected(rehearsed: &[DryRunResult]) -> BTreeMap<WantedDeed, &'static str> {
    let mut expected = BTreeMap::new();
    for one in rehearsed {
        let developer = one.facts.developer.as_ref().unwrap().id;
        for verdict in one.decisions.iter().filter(|it| it.mode == Mode::Live) {
            for wanted_deed in verdict.wanted.iter().flatten() {
                let target = match wanted_deed.deed.name() {
                    name if name.ends_with("_registration") || name == "park" => one.target.id(),
                    _ => developer,
                };
                let state = match &wanted_deed.expected_outcome {
                    ExpectedOutcome::Done | ExpectedOutcome::Holds => "done",
                    ExpectedOutcome::Parked(_) => "parked",
                    ExpectedOutcome::Waits => "planned",
                    ExpectedOutcome::Refused(_) => "refused",
                    ExpectedOutcome::NotReached => "cancelled",
                };
                let wanted_deed = (verdict.rule.clone(), wanted_deed.deed.to_string(), target);
                expected.insert(wanted_deed, state);
            }
            if verdict.wanted.is_err() {
                let nothing = (verdict.rule.clone(), String::new(), one.target.id());
                expected.insert(nothing, "nothing");
            }
        }
    }
    expected
}

/// The worker does what was expected, and nothing else.
async fn done(scene: &Scene, expected: &BTreeMap<WantedDeed, &'static str>, world: usize) {
    let wanted: BTreeMap<&WantedDeed, &str> = expected
        .iter()
        .map(|(wanted_deed, state)| (wanted_deed, *state))
        .filter(|(_, state)| *state != "nothing")
        .collect();
    assert!(!wanted.is_empty());
    let is_so = |states: &BTreeMap<WantedDeed, String>| {
        let is_one = |(wanted_deed, state): (&&WantedDeed, &&str)| {
            let is = states.get(*wanted_deed).map(String::as_str);
            // Whoever was turned away is wanted no longer, as the rules say or as the status does.
            is == Some(*state) || (*state == "refused" && is == Some("cancelled"))
        };
        states.len() == wanted.len() && wanted.iter().all(is_one)
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let states = states(scene, world).await;
        if is_so(&states) {
            return;
        }
        if Instant::now() > deadline {
            let found = |wanted_deed: &WantedDeed| {
                states.get(wanted_deed).map_or("nothing", String::as_str)
            };
            let wrong = wanted
                .iter()
                .map(|(wanted_deed, state)| (wanted_deed, state, found(wanted_deed)));
            let wrong: Vec<_> = wrong.filter(|(_, state, found)| *state != found).collect();
            let extra = states
                .iter()
                .filter(|(wanted_deed, _)| !wanted.contains_key(wanted_deed));
            let extra: Vec<_> = extra.collect();
            let rules: Vec<_> = scene
                .rules
                .borrow()
                .rules()
                .iter()
                .map(|rule| format!("{rule:?}"))
                .collect();
            let actions = scene.stage.actions().await;
            panic!("{wrong:#?}, {extra:#?} by {rules:#?}, of {actions:#?}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How the actions of the rules of a world stand.
async fn states(scene: &Scene, world: usize) -> BTreeMap<WantedDeed, String> {
    let query = "SELECT rule, spec, target_id, state FROM actions WHERE rule LIKE '%' || $1";
    let rows: Vec<(String, Value, Uuid, String)> = sqlx::query_as(query)
        .bind(world.to_string())
        .fetch_all(scene.stage.journal.pool())
        .await
        .unwrap();
    let wanted_deed = |(rule, spec, target, state): (String, Value, Uuid, String)| {
        let deed: Deed = serde_json::from_value(spec).unwrap();
        ((rule, deed.to_string(), target), state)
    };
    rows.into_iter().map(wanted_deed).collect()
}

//! The guide on tokens says which calls each deed makes: its table against what Konnect saw.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use konnect_emulator::{Emulator, Fault};
use serde_json::json;
use sqlx::PgPool;
use usher::act::{ActionState, NewChain, Target};
use usher::clock::Ids;
use usher::config::ObserveConfig;
use usher::directory::Scope;
use usher::journal::MIGRATOR;
use usher::observe::{Observer, Parts};
use usher::rules::{Deed, TeamRef};

use crate::notify::{Receiver, allowing, notice, told};
use crate::support::stage::{
    APP, KEVIN, PARTNERS, PORTAL, REGISTRATION, Stage, all_are, chain, fault, partners, quick,
};

/// A method and a path below `/v3/portals/{portalId}`.
type Calls = BTreeSet<String>;

/// The table under "What usher calls": the calls of the second column, by every text in backticks
/// of the first, or by all of it where there is none.
fn table() -> BTreeMap<String, Calls> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guides/least-privilege.md");
    let text = fs::read_to_string(page).unwrap();
    let (_, section) = text.split_once("## What usher calls").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut table = BTreeMap::new();
    for row in section.lines().filter(|line| line.starts_with("| ")) {
        let columns: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let [deeds, listed] = columns[..] else {
            panic!("two columns in {row}")
        };
        let calls: Calls = in_backticks(listed)
            .filter(|call| call.contains(" /"))
            .collect();
        let mut names: Vec<String> = in_backticks(deeds).collect();
        if names.is_empty() {
            names.push(deeds.trim().to_owned());
        }
        for name in names {
            assert!(table.insert(name, calls.clone()).is_none(), "twice: {row}");
        }
    }
    table
}

fn in_backticks(text: &str) -> impl Iterator<Item = String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// The calls that Konnect saw since it was last asked.
fn seen(emulator: &Emulator) -> Calls {
    let calls = emulator.requests();
    emulator.clear_requests();
    let calls = calls.iter();
    calls
        .map(|call| format!("{} {}", call.method, template(&call.path)))
        .collect()
}

/// A path as Konnect's documentation writes it, below that of its portal.
fn template(path: &str) -> String {
    let portal = format!("/v3/portals/{PORTAL}");
    if path == portal {
        return "/v3/portals/{portalId}".to_owned();
    }
    let below = path.strip_prefix(&portal).unwrap_or(path);
    let mut before = "";
    let parts = below.split('/').map(|part| {
        let name = match before {
            "developers" => "{developerId}",
            "teams" => "{teamId}",
            "applications" => "{applicationId}",
            "registrations" => "{registrationId}",
            _ => part,
        };
        before = part;
        name
    });
    parts.collect::<Vec<_>>().join("/")
}

/// Kevin is approved, in the team, and granted an API.
async fn let_in(stage: &Stage) {
    let developers = stage.client.portal(PORTAL.into()).developers();
    developers
        .set_status(KEVIN.into(), &"approved".into())
        .await
        .unwrap();
    let teams = stage.client.portal(PORTAL.into()).teams();
    teams
        .add_member(PARTNERS.into(), KEVIN.into())
        .await
        .unwrap();
    let registrations = stage.client.portal(PORTAL.into()).registrations();
    registrations
        .set_status(APP.into(), REGISTRATION.into(), &"approved".into())
        .await
        .unwrap();
    stage.emulator.clear_requests();
}

/// Carries out one deed, about whatever it is about.
async fn carry_out(stage: &Stage, deed: Deed) -> Calls {
    let target = match deed {
        Deed::ApproveRegistration | Deed::RejectRegistration | Deed::RevokeRegistration => {
            Target::Registration {
                id: REGISTRATION,
                application_id: APP,
            }
        }
        Deed::InviteDeveloper { .. } => {
            let invitee = stage
                .directory
                .invitee(PORTAL.into(), "new@arsenal.com", None);
            Target::Invitee {
                id: invitee.await.unwrap().0,
            }
        }
        _ => Target::Developer { id: KEVIN },
    };
    let mut wanted: NewChain = chain(vec![deed]);
    wanted.steps[0].target = target;
    stage.enqueue(&wanted).await;
    stage
        .work_until(quick(), |states| {
            let settled =
                |state: &ActionState| !matches!(state, ActionState::Planned | ActionState::Running);
            states.values().all(settled)
        })
        .await;
    seen(&stage.emulator)
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_guide_says_which_calls_each_deed_makes(pool: PgPool) {
    let join = |create| Deed::AddToTeam {
        team: TeamRef::Name(if create { "New" } else { "Partners" }.to_owned()),
        create,
    };
    let table = table();
    let mut made: BTreeMap<&str, Calls> = BTreeMap::new();
    for (deed, is_let_in) in [
        (Deed::ApproveDeveloper, false),
        (Deed::RejectDeveloper, false),
        (Deed::RevokeDeveloper, true),
        (Deed::InviteDeveloper { pending: false }, false),
        (join(false), false),
        (join(true), false),
        (Deed::RemoveFromTeam { team: partners() }, true),
        (Deed::ApproveRegistration, false),
        (Deed::RejectRegistration, false),
        (Deed::RevokeRegistration, true),
        (
            Deed::Park {
                reason: "look".to_owned(),
            },
            false,
        ),
    ] {
        sqlx::query("DELETE FROM actions")
            .execute(&pool)
            .await
            .unwrap();
        let stage = Stage::new(pool.clone()).await;
        if is_let_in {
            let_in(&stage).await;
        }
        let name = deed.name();
        let calls = carry_out(&stage, deed).await;
        let expected = if name == "park" {
            ActionState::Parked
        } else {
            ActionState::Done
        };
        assert!(
            all_are(expected)(&stage.states().await),
            "{name}: {:?}",
            stage.actions().await
        );
        made.entry(name).or_default().extend(calls);
    }
    sqlx::query("DELETE FROM actions")
        .execute(&pool)
        .await
        .unwrap();
    let stage = Stage::new(pool).await;
    let receiver = Receiver::default();
    let address = receiver.start().await;
    stage.enqueue(&notice(format!("http://{address}/"))).await;
    told(&stage, allowing("127.0.0.1"), ActionState::Done).await;
    assert_eq!(receiver.heard().len(), 1);
    made.insert("notify", seen(&stage.emulator));

    for (deed, calls) in &made {
        assert_eq!(table.get(*deed), Some(calls), "{deed}");
    }
    // Whatever a rule may ask for has its row, and was carried out here.
    for name in Deed::NAMES {
        assert!(made.contains_key(name), "{name}");
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_guide_says_which_calls_a_look_makes(pool: PgPool) {
    let table = table();
    let stage = Stage::new(pool).await;
    let_in(&stage).await;
    let observer = Observer::new(Parts {
        client: stage.client.clone(),
        journal: stage.journal.clone(),
        directory: stage.directory.clone(),
        clock: stage.clock.clone(),
        holder: Ids::new(stage.clock.clone()).next(),
        config: ObserveConfig::default(),
        portals: vec![PORTAL.into()],
    });
    let sweep = async || {
        let sweep = Box::pin(observer.sweep_once(PORTAL.into(), Scope::All));
        sweep.await.unwrap();
        seen(&stage.emulator)
    };
    let looking = &table["reconcile --dry-run"];
    let mut looked = sweep().await;
    // Told which portals there are, a look does not list them; a dry run does, below.
    assert!(looked.insert("GET /v3/portals".to_owned()));
    assert_eq!(&looked, looking);

    // Lists that lack everything they had, while each of it is still there.
    let nothing =
        json!({ "data": [], "meta": { "page": { "number": 1, "size": 100, "total": 0 } } });
    let lists = [
        "developers",
        "teams",
        "applications",
        "application-registrations",
    ];
    stage.emulator.set_faults(lists.map(|list| Fault {
        status: Some(200),
        body: Some(nothing.clone()),
        ..fault("GET", &format!("*{PORTAL}/{list}"))
    }));
    let confirmed: Calls = sweep().await.difference(looking).cloned().collect();
    assert_eq!(
        Some(&confirmed),
        table.get("confirming what a list lacks, and whom a deed changed")
    );
}

/// For the rows that nothing above carries out.
#[test]
fn the_guide_names_no_call_that_the_client_cannot_make() {
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/konnect/src");
    let files = fs::read_dir(client)
        .unwrap()
        .map(|file| file.unwrap().path());
    let mut routes = Calls::new();
    for file in files.filter(|path| path.is_file()) {
        let text = fs::read_to_string(file).unwrap();
        let quoted = text.split('"').skip(1).step_by(2);
        routes.extend(
            quoted
                .filter(|text| text.contains(" /v"))
                .map(str::to_owned),
        );
    }
    for (row, calls) in table() {
        for call in calls {
            let (method, path) = call.split_once(' ').unwrap();
            let whole = if path.starts_with("/v") {
                call.clone()
            } else {
                format!("{method} /v3/portals/{{portalId}}{path}")
            };
            assert!(routes.contains(&whole), "{row}: {whole} of {routes:#?}");
        }
    }
}

/// Asserts that a dry run made the calls of its row, and no other.
pub(crate) fn assert_dry_run(emulator: &Emulator) {
    assert_eq!(seen(emulator), table()["reconcile --dry-run"]);
}

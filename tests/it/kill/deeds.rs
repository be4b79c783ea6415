//! Kills in the middle of a deed: the next process does each deed once.

use serde_json::json;

use crate::kill::SOON;
use crate::support::database::TestDatabase;
use crate::support::eventually;
use crate::support::konnect::{Hold, Moment, PARTNERS, RULES, TestKonnect};
use crate::support::process::{Installation, settings};
use crate::support::record::Record;
use crate::support::visitor::Visitor;

use Moment::{BeforeItIsAnswered, BeforeItTakesEffect};

/// The writes that let somebody in.
const WRITES: [&str; 2] = ["PATCH developers/{id} 200", "POST {team}/developers 201"];

/// A deed, and the moment at which usher dies while Konnect has it.
struct Death {
    hold: Hold,
    /// How many of the writes Konnect has answered by then.
    written: usize,
}

#[tokio::test]
async fn a_deed_is_done_once_however_usher_dies_over_it() {
    let death = |method, path_end, moment, written| {
        survive(Death {
            hold: Hold {
                method,
                path_end,
                moment,
            },
            written,
        })
    };
    let approval = |path: &str| path.contains("/developers/");
    let membership = |path: &str| path.ends_with("/developers");
    tokio::join!(
        death("PATCH", approval, BeforeItTakesEffect, 0),
        death("PATCH", approval, BeforeItIsAnswered, 1),
        death("POST", membership, BeforeItTakesEffect, 1),
        death("POST", membership, BeforeItIsAnswered, 2),
    );
}

/// Kills usher in the middle of a deed and sees what the next one makes of it.
async fn survive(death: Death) {
    let konnect = TestKonnect::start().await;
    let database = TestDatabase::create().await;
    let mut settings = settings(&database, &konnect.url);
    settings["konnect"]["token"] = json!(konnect.emulator.token());
    settings["observe"] = json!({ "pending_every": "1s" });
    settings["rules"] = json!({ "path": "rules.yaml" });
    let mut usher = Installation::new(&settings);
    usher.write("rules.yaml", RULES);

    let process = usher.start().await;
    konnect.hold(death.hold);
    let visitor = Visitor::sign_up(&konnect, "petronella@arsenal.com", "Petronella Quist").await;
    let (id, _) = konnect.developer(&visitor.email).await;
    let named = |writes: &[&str]| -> Vec<String> {
        let name = |write: &&str| {
            write
                .replace("{id}", &id.to_string())
                .replace("{team}", &PARTNERS.to_string())
        };
        writes.iter().map(name).collect()
    };
    konnect.is_holding().await;
    assert_eq!(
        konnect.writes(),
        named(&WRITES[..death.written]),
        "it dies at the wrong moment"
    );
    process.kill().await;
    konnect.is_forsaken().await;
    konnect.let_pass();

    let mut record = Record::of(&database).await;
    record.let_leases_end().await;
    let process = usher.start().await;
    eventually("both deeds are recorded as done", SOON, async || {
        let actions = process.rows("/api/v1/actions").await;
        actions.len() == 2 && actions.iter().all(|action| action["state"] == "done")
    })
    .await;
    assert_eq!(
        konnect.writes(),
        named(&WRITES),
        "each deed is written once"
    );
    assert_eq!(konnect.developer(&visitor.email).await.1, "approved");
    assert_eq!(konnect.teams_of(id).await, [PARTNERS]);
    assert_eq!(
        record.events_named("action.done").await,
        2,
        "each deed is told once"
    );
    assert_eq!(record.events_named("developer.signed_up").await, 1);
    process.kill().await;
    let log = usher.log();
    for word in [
        "panicked",
        "petronella",
        "Petronella",
        konnect.emulator.token(),
    ] {
        assert!(!log.contains(word), "the log holds {word}");
    }
    database.drop().await;
}

//! The database refuses for a reason that no entry is to blame for: rights that were revoked, a
//! table that somebody changed. Nothing is set aside for it, and nothing is answered as stored.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use usher::clock::Clock;
use usher::intake::MAX_ENTRIES;
use usher::journal::Journal;
use usher::lifecycle::Lifecycle;

use crate::support::app::AUTHORIZATION;
use crate::support::database::TestDatabase;
use crate::support::eventually;
use crate::support::kafka::{Broker, TestKafka};
use crate::support::process::{Installation, Process, settings};
use crate::support::receiver::Receiver;
use crate::support::record::Record;
use crate::support::signer::{Entry, Signer};

const PATIENCE: Duration = Duration::from_mins(1);
const NOBODY: &str = "http://127.0.0.1:9";

fn lines(numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers
        .map(|number| Entry::numbered(number).json())
        .collect()
}

/// What is done to the database, how it is undone, and what `/readyz` says meanwhile.
struct Trouble {
    begin: &'static str,
    end: &'static str,
    told: &'static str,
}

/// The owner has the name of the database.
const REVOKED: Trouble = Trouble {
    begin: "DO $$ BEGIN EXECUTE format('REVOKE INSERT ON events FROM %I', current_database()); END $$",
    end: "DO $$ BEGIN EXECUTE format('GRANT INSERT ON events TO %I', current_database()); END $$",
    told: "usher lacks a right in the database (42501)",
};
const RENAMED: Trouble = Trouble {
    begin: "ALTER TABLE events RENAME COLUMN act TO acted",
    end: "ALTER TABLE events RENAME COLUMN acted TO act",
    told: "a table is not as usher knows it (42703)",
};
const DAMAGED: Trouble = Trouble {
    begin: "CREATE FUNCTION damaged() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE index_corrupted USING MESSAGE = 'unexpected zero page'; END $$;
        CREATE TRIGGER damaged BEFORE INSERT ON batches FOR EACH STATEMENT EXECUTE FUNCTION damaged()",
    end: "DROP TRIGGER damaged ON batches",
    told: "the database reports damage (XX002)",
};

/// Only what is known already comes to it.
const UNCOUNTED: Trouble = Trouble {
    begin: "DO $$ BEGIN EXECUTE format('REVOKE UPDATE ON repeats FROM %I', current_database()); END $$",
    end: "DO $$ BEGIN EXECUTE format('GRANT UPDATE ON repeats TO %I', current_database()); END $$",
    told: "usher lacks a right in the database (42501)",
};

#[tokio::test]
async fn what_the_database_refuses_for_a_reason_of_its_own_is_kept_for_later() {
    tokio::join!(
        in_trouble(&REVOKED, false),
        in_trouble(&REVOKED, true),
        in_trouble(&RENAMED, false),
        in_trouble(&DAMAGED, false),
        in_trouble(&UNCOUNTED, false),
    );
}

async fn in_trouble(trouble: &Trouble, with_spool: bool) {
    let (database, url) = TestDatabase::create_with_owner().await;
    let mut settings = settings(&database, NOBODY);
    settings["database"]["url"] = json!(url);
    let home = TempDir::new().unwrap();
    if with_spool {
        settings["spool"] = json!({ "dir": home.path().join("spool") });
    }
    let mut installation = Installation::new(&settings);
    let usher = installation.start().await;
    // With a spool it is ready before its database is.
    eventually("the record takes deliveries", PATIENCE, async || {
        usher.deliver(&lines(0..5)).await == Some(StatusCode::OK)
    })
    .await;
    let mut record = Record::of(&database).await;

    record.run(trouble.begin).await;
    let refused = if with_spool {
        StatusCode::ACCEPTED
    } else {
        StatusCode::TOO_MANY_REQUESTS
    };
    // Alone and together, each with an entry that is known.
    let deliver = async |number: u64| {
        let entries = [lines(number..number + 2), lines(0..1)].concat();
        let status = usher.deliver(&entries).await;
        assert_eq!(status, Some(refused), "{}", trouble.told);
    };
    for number in 5..8 {
        deliver(number).await;
    }
    tokio::join!(deliver(8), deliver(10), deliver(12), deliver(14));
    is_told(&usher, trouble, with_spool, &url).await;
    assert_eq!(record.rows_of("quarantine").await, 0);
    assert_eq!(record.event_ids().await.len(), 5);

    // Without a delivery.
    record.run(trouble.end).await;
    eventually("all is well again", PATIENCE, async || {
        usher.parts().await["database"] == json!({ "status": "ok", "detail": "" })
    })
    .await;
    if !with_spool {
        assert_eq!(usher.deliver(&lines(5..16)).await, Some(StatusCode::OK));
    }
    eventually("all is stored", PATIENCE, async || {
        record.event_ids().await.len() == 16
    })
    .await;
    assert_eq!(record.rows_of("quarantine").await, 0);
    usher.kill().await;
    database.drop().await;
}

fn database_name(url: &str) -> &str {
    url.rsplit('/').next().unwrap()
}

/// As long as it lasts, with the cause in plain words and nothing of the address.
async fn is_told(usher: &Process, trouble: &Trouble, with_spool: bool, url: &str) {
    eventually("usher says so", PATIENCE, async || {
        let database = usher.parts().await["database"].clone();
        let detail = database["detail"].as_str().unwrap();
        for secret in [database_name(url), "usher@", "127.0.0.1"] {
            assert!(!detail.contains(secret), "{detail}");
        }
        database["status"] != "ok" && detail.contains(trouble.told)
    })
    .await;
    let expected = if with_spool { 200 } else { 503 };
    for _ in 0..100 {
        assert_eq!(usher.readiness().await, Some(expected), "{}", trouble.told);
    }
}

#[tokio::test]
async fn what_was_set_aside_for_a_reason_that_has_gone_is_released() {
    let database = TestDatabase::create().await;
    let journal = Journal::open(&database.url()).unwrap();
    journal.migrate().await.unwrap();
    let mut record = Record::of(&database).await;
    record
        .run("ALTER TABLE events ADD CONSTRAINT short CHECK (length(principal_id) < 2)")
        .await;
    let mut installation = Installation::new(&settings(&database, NOBODY));
    let usher = installation.start().await;
    let mut sent = lines(0..3);
    sent.push("not an entry".to_owned());
    assert_eq!(usher.deliver(&sent).await, Some(StatusCode::OK));
    assert_eq!(record.rows_of("quarantine").await, 4);

    let release = async |arguments: &[&str], code: i32| {
        let command = [&["quarantine", "release", "--json"], arguments].concat();
        installation.run(&command).await.lines(code)
    };
    assert!(release(&[], 2).await.is_empty(), "it must be told what");
    let reason = ["--reason", "refused_by_database"];
    let counts = |released: u64, duplicates: u64, left: u64, left_for: Value| {
        vec![json!({
            "released": released, "duplicates": duplicates, "left": left, "left_for": left_for,
        })]
    };
    // Nothing has changed: everything stays.
    assert_eq!(
        release(&reason, 3).await,
        counts(0, 0, 3, json!({ "refused_by_database": 3 }))
    );
    assert_eq!(record.rows_of("quarantine").await, 4);

    record.run("ALTER TABLE events DROP CONSTRAINT short").await;
    let rows = usher.rows("/api/v1/quarantine").await;
    let first = rows.iter().find(|row| row["reason"] == reason[1]).unwrap();
    let first = first["id"].as_str().unwrap();
    assert_eq!(release(&[first], 0).await, counts(1, 0, 0, json!({})));
    // One of the others came again meanwhile.
    assert_eq!(usher.deliver(&lines(0..3)).await, Some(StatusCode::OK));
    assert_eq!(release(&reason, 0).await, counts(0, 2, 0, json!({})));
    assert_eq!(
        release(&["--all"], 3).await,
        counts(0, 0, 1, json!({ "not_an_entry": 1 }))
    );
    // Two releases did something, and there is an event of each.
    let told = usher.rows("/api/v1/events?name=quarantine.released").await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(record.event_ids().await.len(), 3 + 2);
    assert_eq!(record.rows_of("quarantine").await, 1);
    usher.kill().await;
    journal.close().await;
    database.drop().await;
}

#[tokio::test]
async fn a_body_that_was_kept_aside_never_becomes_an_event() {
    let database = TestDatabase::create().await;
    let mut installation = Installation::new(&settings(&database, NOBODY));
    let usher = installation.start().await;
    let mut record = Record::of(&database).await;
    let entry = |number: u64| Entry::numbered(number).cef();
    let mut many = vec![entry(1)];
    many.resize(MAX_ENTRIES + 1, "x".to_owned());
    let too_large = Some(StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(usher.deliver(&many).await, too_large);
    // Whatever reason stands beside it.
    let other_reason = "UPDATE quarantine SET reason = 'refused_by_database'";
    record.run(other_reason).await;
    assert_eq!(usher.deliver(&many).await, too_large);
    // Cut inside its only entry.
    let address = usher.url.strip_prefix("http://").unwrap();
    let mut sender = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST /audit-logs HTTP/1.1\r\nHost: usher\r\nAuthorization: {AUTHORIZATION}\r\nContent-Length: 9999\r\n\r\n{}",
        entry(2)
    );
    sender.write_all(request.as_bytes()).await.unwrap();
    sender.shutdown().await.unwrap();
    eventually("the start of the body is kept", PATIENCE, async || {
        record.rows_of("quarantine").await == 3
    })
    .await;
    record
        .run("ALTER TABLE events ADD CONSTRAINT short CHECK (length(principal_id) < 2)")
        .await;
    assert_eq!(usher.deliver(&[entry(3)]).await, Some(StatusCode::OK));
    record.run("ALTER TABLE events DROP CONSTRAINT short").await;

    let release = async |arguments: &[&str]| {
        let command = [&["quarantine", "release", "--all"], arguments].concat();
        installation.run(&command).await
    };
    let left = json!({ "body_incomplete": 1, "not_one_entry": 1, "too_many_entries": 1 });
    assert_eq!(
        release(&["--json"]).await.lines(3),
        [json!({ "released": 1, "duplicates": 0, "left": 3, "left_for": left })]
    );
    let told = release(&[]).await.out;
    let expected = "3 left as they are: 1 body_incomplete, 1 not_one_entry, 1 too_many_entries";
    assert!(told.contains(expected), "{told}");
    // The entry, and who released it.
    assert_eq!(record.event_ids().await.len(), 2);
    assert_eq!(record.rows_of("quarantine").await, 3);
    usher.kill().await;
    database.drop().await;
}

/// What readers of the outbox look up for each event.
const UNREADABLE: Trouble = Trouble {
    begin: "DO $$ BEGIN EXECUTE format('REVOKE SELECT ON repeats FROM %I', current_database()); END $$",
    end: "DO $$ BEGIN EXECUTE format('GRANT SELECT ON repeats TO %I', current_database()); END $$",
    told: "usher lacks a right in the database (42501)",
};

#[tokio::test]
async fn a_right_that_readers_lack_puts_no_batch_off_and_is_told() {
    let konnect = Signer::new(7).serve(&Lifecycle::new()).await;
    let (database, url) = TestDatabase::create_with_owner().await;
    let kafka = TestKafka::start(Broker::InProcess).await;
    let receiver = Receiver::start().await;
    let mut settings = settings(&database, &konnect);
    settings["database"]["url"] = json!(url);
    settings["konnect"]["token"] = json!("token");
    let brokers = kafka.config.brokers.as_deref().unwrap();
    settings["kafka"] = json!({ "brokers": brokers, "topic": kafka.config.topic });
    settings["forward"] = json!([{ "url": receiver.url() }]);
    let mut installation = Installation::new(&settings);
    let usher = installation.start().await;
    let mut record = Record::of(&database).await;
    let readers = "SELECT count(*) FROM readers";
    eventually("all readers read", PATIENCE, async || {
        record.number(readers).await == 4
    })
    .await;

    record.run(UNREADABLE.begin).await;
    // Fresh enough to be reacted to.
    let now = Clock::system().now().format("%FT%TZ").to_string();
    let fresh = |line: String| line.replace("2026-06-23T14:28:47Z", &now);
    let sent: Vec<String> = lines(0..30).into_iter().map(fresh).collect();
    for line in &sent {
        let status = usher.deliver(std::slice::from_ref(line)).await;
        assert_eq!(status, Some(StatusCode::OK));
    }
    let told = |parts: &Value| {
        let parts = parts.as_object().unwrap().iter();
        let told = parts
            .filter(|(_, part)| part["status"] == "degraded" && part["detail"] == UNREADABLE.told);
        told.count()
    };
    eventually("each reader that needs it says so", PATIENCE, async || {
        told(&usher.parts().await) == 3
    })
    .await;
    // Long enough for rounds that would put everything off.
    for _ in 0..100 {
        assert_eq!(told(&usher.parts().await), 3);
    }
    let put_off = "SELECT count(*) FROM outbox WHERE claimed_until > now() + interval '1 min'";
    assert_eq!(record.number(put_off).await, 0);
    assert_eq!(
        record
            .number("SELECT count(*) FROM outbox WHERE reader <> 'report'")
            .await,
        90
    );

    record.run(UNREADABLE.end).await;
    eventually("nothing is owed", PATIENCE, async || {
        record.number("SELECT count(*) FROM outbox").await == 0
    })
    .await;
    assert_eq!(receiver.entries(), sent);
    assert_eq!(kafka.messages().await.len(), sent.len());
    eventually("all is well again", PATIENCE, async || {
        told(&usher.parts().await) == 0
    })
    .await;
    usher.kill().await;
    database.drop().await;
}

#[tokio::test]
async fn a_right_that_who_counts_lacks_costs_no_delivery_and_no_count_and_is_told() {
    let konnect = Signer::new(7).serve(&Lifecycle::new()).await;
    let (database, url) = TestDatabase::create_with_owner().await;
    let mut settings = settings(&database, &konnect);
    settings["database"]["url"] = json!(url);
    let mut installation = Installation::new(&settings);
    let usher = installation.start().await;
    let mut record = Record::of(&database).await;
    record
        .run("DO $$ BEGIN EXECUTE format('REVOKE INSERT ON report_hours FROM %I', current_database()); END $$")
        .await;
    assert_eq!(usher.deliver(&lines(0..30)).await, Some(StatusCode::OK));
    eventually("it is told", PATIENCE, async || {
        usher.parts().await["report"]["detail"] == UNREADABLE.told
    })
    .await;
    record
        .run("DO $$ BEGIN EXECUTE format('GRANT INSERT ON report_hours TO %I', current_database()); END $$")
        .await;
    eventually("all is counted", PATIENCE, async || {
        let counted = "SELECT COALESCE(sum(events), 0)::bigint FROM report_hours";
        record.number(counted).await == 30
    })
    .await;
    eventually("all is well again", PATIENCE, async || {
        usher.parts().await["report"]["status"] == "ok"
    })
    .await;
    usher.kill().await;
    database.drop().await;
}

//! What a search can be asked for: persons, outcomes, addresses; and what is refused.

use std::collections::BTreeSet;
use std::net::IpAddr;

use reqwest::StatusCode;
use sqlx::PgPool;
use usher::journal::{EventFilter, Journal, MIGRATOR};
use uuid::Uuid;

use super::{app, escaped, installation};
use crate::support::record::Record;
use crate::support::signer::Entry;

const SRC: &str = "172.71.232.22";

fn portal() -> Uuid {
    Entry::numbered(0).portal_id.parse().unwrap()
}

fn principal(number: u64) -> Uuid {
    Entry::numbered(number).principal_id.parse().unwrap()
}

/// Numbers of the log-ins that a search finds.
async fn found(app: &crate::support::app::TestApp, query: &str) -> Vec<u64> {
    let rows = app
        .rows(&format!("/api/v1/events?limit=1000&{query}"))
        .await;
    let number = |row: &serde_json::Value| {
        let principal: Uuid = row["principal_id"].as_str().unwrap().parse().unwrap();
        u64::try_from(principal.as_u128() & 0xffff_ffff).unwrap()
    };
    let numbers: BTreeSet<u64> = rows.iter().map(number).collect();
    assert_eq!(numbers.len(), rows.len());
    // The digits of a principal are decimal, whatever a UUID takes them for.
    let decimal = |number: u64| format!("{number:x}").parse().unwrap();
    numbers.into_iter().map(decimal).collect()
}

#[tokio::test]
async fn persons_are_found_by_what_their_address_or_name_begins_with() {
    let app = app().await;
    let lines: Vec<String> = (1..6).map(|n| Entry::numbered(n).json()).collect();
    app.deliver(&lines).await;
    let mut record = Record::of(&app.database).await;
    for (number, email) in [
        (1, "ada@example.com"),
        (2, "adam@example.com"),
        (3, "BOB%@example.com"),
        (4, "\u{212a}im@example.com"),
    ] {
        let developer = principal(number);
        record.insert_subject(portal(), developer, email).await;
    }
    record
        .run("UPDATE subjects SET full_name = 'Adelheid Kim' WHERE email LIKE 'BOB%'")
        .await;
    for (person, expected) in [
        ("ada", vec![1, 2]),
        ("ADA@", vec![1]),
        ("adelheid k", vec![3]),
        ("ad", vec![1, 2, 3]),
        ("bob%", vec![3]),
        // Neither patterns, nor letters that only Unicode takes for the same.
        ("%", vec![]),
        ("a_a", vec![]),
        ("kim", vec![]),
        ("example", vec![]),
        ("x' OR true --", vec![]),
    ] {
        let query = format!("person={}", escaped(person));
        assert_eq!(found(&app, &query).await, expected, "{person}");
    }
    let both = format!("person=ad&principal_id={}", principal(2));
    assert_eq!(found(&app, &both).await, [2]);
    let elsewhere = format!("person=ad&portal_id={}", Uuid::nil());
    assert_eq!(found(&app, &elsewhere).await, [0; 0]);
    record
        .run(
            "INSERT INTO subjects (portal_id, developer_id, email)
             SELECT gen_random_uuid(), gen_random_uuid(), 'many' || g FROM generate_series(1, 1001) g",
        )
        .await;
    let (status, problem) = app.get("/api/v1/events?person=many").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let told = "parameter person: more than 1000 people begin so";
    assert!(
        problem["detail"].as_str().unwrap().starts_with(told),
        "{problem}"
    );
    for path in [
        "/api/v1/events/export?person=many",
        "/api/v1/events/tail?person=many",
    ] {
        assert_eq!(app.get(path).await.0, StatusCode::BAD_REQUEST, "{path}");
    }
    assert_eq!(found(&app, "person=many1001").await, [0; 0]);
    app.finish().await;
}

#[tokio::test]
async fn outcomes_are_told_apart_whichever_member_says_them() {
    let app = app().await;
    let line = |number, success: &str| {
        let line = Entry::numbered(number).json();
        line.replace("\"success\":\"true\"", success)
    };
    app.deliver(&[
        line(1, "\"success\":true"),
        line(2, "\"success\":\"false\""),
        line(3, "\"granted\":\"false\""),
        line(4, "\"granted\":true,\"status\":500"),
        line(5, "\"status\":\"403\""),
        line(6, "\"status\":399"),
        line(7, "\"status\":\"soon\""),
        line(8, "\"success\":false,\"granted\":true"),
    ])
    .await;
    assert_eq!(found(&app, "outcome=success").await, [1, 4, 6]);
    assert_eq!(found(&app, "outcome=failure").await, [2, 3, 5, 8]);
    assert_eq!(found(&app, "outcome=unknown").await, [7]);
    // The definition in the language of exports is the same.
    let (_, csv) = app.get("/api/v1/events/export?format=csv").await;
    let (_, csv) = csv.as_str().unwrap().split_once('\n').unwrap();
    for (outcome, count) in [("success", 3), ("failure", 4), ("unknown", 1)] {
        assert_eq!(csv.matches(&format!(",{outcome},")).count(), count, "{csv}");
    }
    app.finish().await;
}

#[tokio::test]
async fn addresses_are_compared_and_no_garbage_passes_for_one() {
    let app = app().await;
    let sources = [
        "192.0.2.7",
        "192.0.2.70",
        "192.0.3.7",
        "::ffff:192.0.2.9",
        "2001:db8::1",
        "2001:DB8:0:0:0:0:0:2",
        "192.0.2.7/32",
        "192.0.2.7' OR true --",
        "192.0.2.7, 10.0.0.1",
        "192.0.2.007",
        "192.0.2.999",
        "192.0.2.7:443",
        "192.0.2",
        "$2",
        "null",
    ];
    let lines: Vec<String> = (1..)
        .zip(sources)
        .map(|(n, src)| Entry::numbered(n).json().replace(SRC, src))
        .collect();
    let long = Entry::numbered(90).json().replace(SRC, &"1.".repeat(5_000));
    let none = Entry::numbered(91).json().replace(SRC, "");
    app.deliver(&[lines, vec![long, none]].concat()).await;
    for (src, expected) in [
        ("192.0.2.7", vec![1]),
        ("192.0.2.0/24", vec![1, 2, 4]),
        ("192.0.2.0/23", vec![1, 2, 3, 4]),
        ("0.0.0.0/0", vec![1, 2, 3, 4]),
        ("192.0.2.9", vec![4]),
        ("::ffff:192.0.2.9", vec![4]),
        ("2001:db8::/32", vec![5, 6]),
        ("2001:db8::2", vec![6]),
        ("::/0", vec![5, 6]),
        ("10.0.0.0/8", vec![]),
    ] {
        let query = format!("src={}", escaped(src));
        assert_eq!(found(&app, &query).await, expected, "{src}");
    }
    app.finish().await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn no_text_raises_an_error_or_is_read_as_an_address_that_it_is_not(pool: PgPool) {
    let alphabet: Vec<char> = "0123456789abcdefABCF:::...25/% \ng\u{661}"
        .chars()
        .collect();
    // The same texts each time.
    let mut state: u64 = 7;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let mut texts: Vec<String> = (0..20_000)
        .map(|_| {
            let length = random(24);
            (0..length)
                .map(|_| alphabet[random(alphabet.len())])
                .collect()
        })
        .collect();
    // And some that are nearly addresses.
    for _ in 0..20_000 {
        let octets = [300, 300, 300, 300].map(&mut random);
        texts.push(octets.map(|octet| octet.to_string()).join("."));
        let groups: Vec<String> = (0..random(10))
            .map(|_| {
                if random(4) == 0 {
                    String::new()
                } else {
                    format!("{:x}", random(70_000))
                }
            })
            .collect();
        texts.push(groups.join(":"));
    }
    let read: Vec<Option<String>> = sqlx::query_scalar(
        "SELECT host(usher_address(text)) FROM UNNEST($1::text[]) WITH ORDINALITY AS t (text, n) ORDER BY n",
    )
    .bind(&texts)
    .fetch_all(&pool)
    .await
    .unwrap();
    let mut addresses = 0;
    for (text, read) in texts.iter().zip(read) {
        let here = text.parse::<IpAddr>().ok();
        let there = read.map(|read| read.parse::<IpAddr>().unwrap());
        // Only ::ffff:192.0.2.7 mixes both forms.
        if !(text.contains(':') && text.contains('.')) {
            assert_eq!(here, there, "{text:?}");
        }
        addresses += u32::from(there.is_some());
    }
    assert!(addresses > 5_000, "{addresses}");
}

#[tokio::test]
async fn what_cannot_be_meant_is_named() {
    let app = app().await;
    for (query, told) in [
        (
            "outcome=ok",
            "parameter outcome: expected success, failure or unknown",
        ),
        (
            "src=10.0.0.0/33",
            "parameter src: expected an address such as",
        ),
        (
            "src=10.1.2.3/8",
            "parameter src: expected a network, and 10.1.2.3 is an address within 10.0.0.0/8",
        ),
        (
            "src=localhost",
            "parameter src: expected an address such as",
        ),
        (
            "kind=x",
            "parameter kind: expected authentication, authorization",
        ),
        (
            "verification=x",
            "parameter verification: expected verified, failed",
        ),
        ("person=a&person=b", "parameter person is given twice"),
        ("persons=a", "unknown parameter persons"),
        ("from=2h", "parameter from: expected a time such as"),
        (
            "to=10000-01-01T00:00:00Z",
            "parameter to: expected a time such as",
        ),
        (
            "from=0000-01-01T00:00:00Z",
            "parameter from: expected a time such as",
        ),
        (
            "from=2026-06-23T14:00:00+02:00",
            "parameter from: expected a time such as 2026-01-31T12:00:00Z; write + as %2B",
        ),
        (
            "from=2026-06-23T14:00:00Z&to=2026-06-22T14:00:00Z",
            "parameters from, to: the window ends at 2026-06-22",
        ),
    ] {
        for list in ["events", "events/export", "events/tail"] {
            let path = format!("/api/v1/{list}?{query}");
            let (status, problem) = app.get(&path).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.starts_with(told), "{path}: {detail}");
        }
    }
    for (path, told) in [
        (
            "/api/v1/events/export?format=xml",
            "parameter format: expected ndjson or csv",
        ),
        (
            "/api/v1/events/export?after=x",
            "parameter after: expected the id of an event",
        ),
        ("/api/v1/events/export?limit=1", "unknown parameter limit"),
        ("/api/v1/events/export?cursor=x", "unknown parameter cursor"),
        ("/api/v1/events/tail?limit=1", "unknown parameter limit"),
        (
            "/api/v1/events/tail?to=2099-01-01T00:00:00Z",
            "parameter to: what comes in has no end",
        ),
    ] {
        let (status, problem) = app.get(path).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        let detail = problem["detail"].as_str().unwrap();
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        assert!(detail.starts_with(told), "{path}: {detail}");
    }
    app.finish().await;
}

#[tokio::test]
async fn commands_name_the_flag_that_cannot_be() {
    let (usher, database) = installation().await;
    for (arguments, told) in [
        (
            &["events", "--src", "10.0.0.0/33"][..],
            "usher: --src: expected an address",
        ),
        (
            &["events", "export", "--src", "x"],
            "usher: --src: expected an address",
        ),
        (
            &["events", "tail", "--src", "x"],
            "usher: --src: expected an address",
        ),
        (
            &["events", "tail", "--to", "1h"],
            "usher: --to: what comes in has no end",
        ),
        (
            &["events", "export", "--format", "csv", "--json"],
            "usher: --json: csv is no JSON",
        ),
        (
            &["events", "export", "--from", "1h", "--to", "2h"],
            "usher: --from, --to: the window ends",
        ),
        (
            &["events", "export", "--format", "xml"],
            "possible values: ndjson, csv",
        ),
        (
            &["events", "export", "--after", "x"],
            "an event id is a UUID",
        ),
        (
            &["events", "--outcome", "ok"],
            "possible values: success, failure, unknown",
        ),
        (
            &["events", "--persons", "x"],
            "unexpected argument '--persons'",
        ),
    ] {
        let ran = usher.run(arguments).await;
        assert_eq!(ran.code, Some(2), "{arguments:?}: {ran:?}");
        assert!(ran.err.contains(told), "{arguments:?}: {ran:?}");
    }
    assert_eq!(usher.run(&["migrate"]).await.code, Some(0));
    let mut record = Record::of(&database).await;
    record
        .run(
            "INSERT INTO subjects (portal_id, developer_id, email)
             SELECT gen_random_uuid(), gen_random_uuid(), 'many' || g FROM generate_series(1, 1001) g",
        )
        .await;
    for command in [&["events"][..], &["events", "export"], &["events", "tail"]] {
        let ran = usher.run(&[command, &["--person", "MANY"]].concat()).await;
        assert_eq!(ran.code, Some(2), "{command:?}: {ran:?}");
        let told = "usher: --person: more than 1000 people begin so";
        assert!(ran.err.starts_with(told), "{command:?}: {ran:?}");
    }
    database.drop().await;
}

#[tokio::test]
async fn each_answer_tells_the_command_that_gives_it() {
    let (mut usher, database) = installation().await;
    let process = usher.start().await;
    let lines: Vec<String> = (1..9)
        .map(|n| {
            let entry = Entry {
                user_agent: format!("it's $HOME {}", n % 2),
                ..Entry::numbered(n)
            };
            entry.json()
        })
        .collect();
    process.deliver(&lines).await.unwrap();
    let mut record = Record::of(&database).await;
    record
        .insert_subject(portal(), principal(3), "-dash@example.com")
        .await;
    for (query, found) in [
        (
            format!("portal_id={}&src=172.71.0.0/16&outcome=success", portal()),
            8,
        ),
        (
            format!("q={}&kind=authentication", escaped("it's $HOME 1")),
            4,
        ),
        (
            format!("principal_id={}&verification=unsigned", principal(2)),
            1,
        ),
        ("person=-dash".to_owned(), 1),
        ("outcome=success&limit=3".to_owned(), 3),
        (
            "from=2026-06-23T14:28:47Z&to=2026-06-23T14:28:47.5Z&trace_id=3360194145499000004"
                .to_owned(),
            1,
        ),
        (
            "name=AUTHENTICATION_OUTCOME_SUCCESS&from=2026-06-24T00:00:00%2B02:00".to_owned(),
            0,
        ),
    ] {
        let url = format!("{}/api/v1/events?{query}", process.url);
        let answer = process
            .http
            .get(url)
            .bearer_auth("console-token")
            .send()
            .await;
        let answer: serde_json::Value = answer.unwrap().json().await.unwrap();
        let command = answer["meta"]["command"].as_str().unwrap();
        let flags = command.strip_prefix("usher events").unwrap();
        // As a shell reads it.
        let script = format!("printf '%s\\n' {flags}");
        let read = tokio::process::Command::new("sh")
            .args(["-c", &script])
            .output()
            .await;
        let read = String::from_utf8(read.unwrap().stdout).unwrap();
        let arguments: Vec<&str> = ["events", "--json"]
            .into_iter()
            .chain(read.lines())
            .collect();
        let ran = usher.run(&arguments).await;
        let lines = ran.lines(0);
        assert_eq!(lines.len(), found, "{command}");
        assert_eq!(answer["data"].as_array().unwrap(), &lines, "{command}");
    }
    process.kill().await;
    database.drop().await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_search_of_nobody_in_particular_asks_for_no_one(pool: PgPool) {
    let journal = Journal::from_pool(pool);
    let mut filter = EventFilter::default();
    filter.set("person", "nobody").unwrap();
    let found = journal.search(&filter, None, 10).await.unwrap();
    assert!(found.is_empty());
}

//! The pull API with its pages and filters, and the clock that it and every answer go by.

use std::collections::BTreeSet;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use konnect_emulator::{CursorForm, Fault, PullSettings};
use serde_json::{Value, json};

use crate::support::Konnect;

const SIGN_INS: &str = "/v3/audit-logs?filter%5Btype%5D=authentication&page%5Bsize%5D=4";

/// Makes sign-ins of the organisation, two in each second of the last minute.
async fn make(konnect: &Konnect, count: i64) {
    let now = konnect.emulator.now();
    let entries: Vec<Value> = (0..count)
        .map(|number| {
            let at = now - TimeDelta::seconds(1 + number / 2);
            json!({"rt": at.timestamp_millis().to_string(), "principal_id": format!("p{number}")})
        })
        .collect();
    let body = json!({ "entries": entries });
    konnect.expect(200, "POST", "/emulator/entries", body).await;
}

fn principals(page: &Value) -> Vec<String> {
    let entries = page["data"].as_array().unwrap().iter();
    entries
        .map(|entry| entry["principal_id"].as_str().unwrap().to_owned())
        .collect()
}

/// Gets what a `next` or `previous` leads to, in the form that the settings say.
async fn follow(konnect: &Konnect, form: CursorForm, link: &str, name: &str) -> Value {
    let path = match form {
        CursorForm::Path => {
            assert!(link.starts_with("/v3/audit-logs?page%5B"), "{link}");
            link.to_owned()
        }
        CursorForm::Opaque => {
            assert!(link.starts_with("/v3/audit-logs?cursor="), "{link}");
            link.to_owned()
        }
        CursorForm::Url => {
            assert!(link.contains(&format!("page[{name}]=")), "{link}");
            link.strip_prefix(&konnect.emulator.url())
                .unwrap()
                .to_owned()
        }
        CursorForm::Cursor => {
            assert!(!link.contains(['/', '=', '%']), "{link}");
            format!("{SIGN_INS}&page%5B{name}%5D={link}")
        }
    };
    konnect.expect(200, "GET", &path, Value::Null).await
}

#[tokio::test]
async fn every_form_of_cursor_leads_through_all_entries_once() {
    let forms = [
        (CursorForm::Path, "path"),
        (CursorForm::Url, "url"),
        (CursorForm::Cursor, "cursor"),
        (CursorForm::Opaque, "opaque"),
    ];
    for (form, word) in forms {
        let konnect = Konnect::start().await;
        make(&konnect, 11).await;
        let settings = json!({ "cursors": word });
        konnect.expect(200, "PUT", "/emulator/pull", settings).await;
        let first = konnect.expect(200, "GET", SIGN_INS, Value::Null).await;
        assert_eq!(first["meta"]["page"]["previous"], Value::Null);
        let (mut page, mut seen, mut before) = (first.clone(), principals(&first), first.clone());
        while let Some(next) = page["meta"]["page"]["next"].as_str() {
            // Newer entries move nothing.
            make(&konnect, 1).await;
            before = page.clone();
            page = follow(&konnect, form, next, "after").await;
            seen.extend(principals(&page));
        }
        assert_eq!((seen.len(), principals(&page).len()), (11, 3), "{word}");
        let all: BTreeSet<String> = (0..11).map(|number| format!("p{number}")).collect();
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), all, "{word}");
        let previous = page["meta"]["page"]["previous"].as_str().unwrap();
        let back = follow(&konnect, form, previous, "before").await;
        assert_eq!(back["data"], before["data"], "{word}");
    }
}

#[tokio::test]
async fn a_page_may_be_smaller_than_asked_for() {
    let konnect = Konnect::start().await;
    make(&konnect, 3).await;
    let small = PullSettings {
        max_page: 2,
        ..PullSettings::default()
    };
    konnect.emulator.set_pull_settings(&small).unwrap();
    let page = konnect.expect(200, "GET", SIGN_INS, Value::Null).await;
    assert_eq!(principals(&page).len(), 2);
    assert!(page["meta"]["page"]["next"].is_string());
    for settings in [
        json!({"max_page": 0}),
        json!({"max_page": 1_001}),
        json!({"cursors": "odd"}),
        json!({"cursor": "url"}),
    ] {
        konnect.expect(400, "PUT", "/emulator/pull", settings).await;
    }
}

#[tokio::test]
async fn filters_hold_and_nothing_older_than_seven_days_is_there() {
    let konnect = Konnect::start().await;
    make(&konnect, 8).await;
    let made = konnect.emulator.entries(None);
    let at = |principal: &str| {
        let entry = made.iter().find(|entry| entry.principal_id == principal);
        let rt = entry.unwrap().rt.parse().unwrap();
        let at = DateTime::from_timestamp_millis(rt).unwrap();
        at.to_rfc3339_opts(SecondsFormat::Millis, true)
    };
    let window = format!(
        "{SIGN_INS}&filter%5Bts%5D%5Bgte%5D={}&filter%5Bts%5D%5Blte%5D={}",
        at("p5"),
        at("p2"),
    );
    let page = konnect.expect(200, "GET", &window, Value::Null).await;
    assert_eq!(
        principals(&page),
        ["p3", "p2", "p5", "p4"],
        "both ends are in"
    );
    let wrong = [
        ("filter%5Bts%5D%5Bgt%5D=x", "filter[ts][gt]"),
        ("filter%5Bts%5D%5Bgte%5D=x", "filter[ts][gte]"),
        ("filter%5Btype%5D=x", "filter[type]"),
        ("page%5Bsize%5D=1001", "page[size]"),
        ("page%5Bafter%5D=7", "page[after]"),
    ];
    for (query, field) in wrong {
        let path = format!("/v3/audit-logs?{query}");
        let refused = konnect.expect(400, "GET", &path, Value::Null).await;
        assert_eq!(refused["invalid_parameters"][0]["field"], field);
    }
    let week = 7 * 24 * 3_600;
    for (offset, count) in [(0, 4), (week - 60, 4), (week + 60, 0)] {
        konnect.emulator.set_clock_offset(offset);
        let page = konnect.expect(200, "GET", SIGN_INS, Value::Null).await;
        assert_eq!(principals(&page).len(), count, "{offset}");
    }
}

#[tokio::test]
async fn every_answer_is_dated_by_the_emulators_clock() {
    let konnect = Konnect::start().await;
    for offset in [0, -600, 3 * 24 * 3_600] {
        konnect.emulator.set_clock_offset(offset);
        for path in [
            "/v3/portals",
            "/v3/nothing",
            "/emulator/identity",
            "/portal/x/y",
        ] {
            let before = konnect.emulator.now() - TimeDelta::seconds(1);
            let answer = konnect.request("GET", path).send().await.unwrap();
            let dates: Vec<_> = answer.headers().get_all("date").iter().collect();
            assert_eq!(dates.len(), 1);
            let text = dates[0].to_str().unwrap();
            assert!(text.ends_with(" GMT"), "{text}");
            let date: DateTime<Utc> = DateTime::parse_from_rfc2822(text).unwrap().to_utc();
            assert!(
                (before..=konnect.emulator.now()).contains(&date),
                "{path} {text}"
            );
        }
    }
    konnect.emulator.set_faults([Fault {
        status: Some(503),
        headers: [(
            "Date".to_owned(),
            "Sun, 06 Nov 1994 08:49:37 GMT".to_owned(),
        )]
        .into(),
        ..Fault::default()
    }]);
    let answer = konnect.request("GET", "/v3/portals").send().await.unwrap();
    assert_eq!(answer.headers()["date"], "Sun, 06 Nov 1994 08:49:37 GMT");
    let path = "/emulator/clock";
    let moved = json!({"advance_seconds": 60});
    let before = konnect.emulator.now();
    let shown = konnect.expect(200, "POST", path, moved).await;
    let shown = DateTime::parse_from_rfc3339(shown["now"].as_str().unwrap()).unwrap();
    assert!(shown.to_utc() - before >= TimeDelta::seconds(59));
}

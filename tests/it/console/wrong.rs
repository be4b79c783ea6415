//! What is asked for in a wrong way is a page that says so.

use url::form_urlencoded;
use usher::report::ReportName;
use uuid::Uuid;

use crate::console::crowd::{Crowd, application as theirs, person as somebody};
use crate::console::hostile::{LONG, SCRIPT};
use crate::console::reader::{self, Reader};
use crate::support::app::CONSOLE_TOKEN;

/// Values that no parameter of that name has.
const PARAMETERS: [&str; 29] = [
    "/?days=9",
    "/?portal_id=x",
    "/events?from=yesterday",
    "/events?kind=dance",
    "/events?verification=maybe",
    "/events?trace_id=-1&cursor=x",
    "/events?name=%00",
    "/events?batch=x",
    "/people?status=dance",
    "/people?cursor=%F0%9F%92%A9",
    "/applications?owner_id=x",
    "/approvals?tab=dance",
    "/approvals?state=done",
    "/actions?state=dance",
    "/actions?target_id=99999999999999999999",
    "/rules?line=-1",
    "/rules/explain?portal_id=x",
    "/deliveries?status=9xx",
    "/deliveries?to=99999-01-01T00:00:00Z",
    "/coverage?from=yesterday",
    "/coverage?portal_id=x",
    "/replay?portal_id=x",
    "/replay?cursor=x",
    "/quarantine?delivery_id=x",
    "/reports/activity?by=minute",
    "/reports/pending?days=99999999999999999999",
    "/reports/dormant-developers?days=-1",
    "/reports/timeline?developer_id=x",
    "/reports/trust?format=xlsx",
];

/// Fails unless the page is a refusal that has everything around it that a page has.
fn is_refused(page: &reader::Page, path: &str, status: Option<u16>) {
    let path: String = path.chars().take(100).collect();
    let given = page.status.as_u16();
    assert!((400..500).contains(&given), "{path}: {given}");
    if let Some(status) = status {
        assert_eq!(given, status, "{path}");
    }
    for part in ["class=\"pages\"", "<main id=\"main\"", "Sign out"] {
        assert!(page.body.contains(part), "{path}: no {part}: {}", page.body);
    }
    assert!(!page.body.contains("<script>window"), "{path}");
}

/// Every page that takes a query.
fn places(crowd: &Crowd) -> Vec<String> {
    let mut pages: Vec<String> = [
        "/",
        "/events",
        "/people",
        "/applications",
        "/approvals",
        "/approvals?tab=vetoes",
        "/actions",
        "/rules",
        "/rules/explain",
        "/rules/test",
        "/deliveries",
        "/coverage",
        "/replay",
        "/quarantine",
        "/quarantine/release",
        "/reports",
        "/settings",
    ]
    .map(str::to_owned)
    .into();
    pages.extend([
        format!("/events/{}", crowd.event),
        format!("/actions/{}", crowd.actions["parked"]),
        format!("/quarantine/{}", crowd.quarantined),
        format!("/replay/{}", crowd.missed.closed),
        format!("/people/{}", somebody(0)),
        format!("/applications/{}", theirs(0)),
    ]);
    let reports = ReportName::ALL.iter();
    pages.extend(reports.map(|name| format!("/reports/{name}")));
    pages
}

/// What forms are sent to, about what is not there or is nothing.
fn deeds(crowd: &Crowd, nobody: Uuid) -> Vec<String> {
    let parked = &crowd.actions["parked"];
    vec![
        format!("/actions/{nobody}/approve"),
        format!("/actions/{parked}/dance"),
        "/actions/x/approve".to_owned(),
        "/vetoes/x/lift".to_owned(),
        format!("/vetoes/{nobody}/lift"),
        format!("/people/{nobody}/ask"),
        "/people/x/ask".to_owned(),
        "/applications/x/ask".to_owned(),
        "/quarantine/x/release".to_owned(),
        format!("/quarantine/{nobody}/release"),
        "/quarantine/release".to_owned(),
        "/approvals/bulk".to_owned(),
        "/approvals/bulk/confirm".to_owned(),
        "/actions/bulk/confirm".to_owned(),
        "/coverage/acknowledge".to_owned(),
        "/replay".to_owned(),
    ]
}

#[tokio::test]
async fn what_is_asked_in_a_wrong_way_is_a_page_that_says_so() {
    let crowd = Box::pin(Crowd::new()).await;
    let mut reader = Reader::signed_in(&crowd.app.url, CONSOLE_TOKEN).await;
    let nobody = Uuid::from_u128(0xbad);
    let script: String = form_urlencoded::byte_serialize(SCRIPT.as_bytes()).collect();
    let mut wrong: Vec<(String, Option<u16>)> = Vec::new();
    for room in [
        "events",
        "people",
        "applications",
        "actions",
        "quarantine",
        "replay",
    ] {
        wrong.push((format!("/{room}/{nobody}"), Some(404)));
        let long = "W".repeat(LONG);
        let ids = ["x", "0", "%00", "%ff%fe", "..%2f..", &script, &long];
        wrong.extend(ids.map(|id| (format!("/{room}/{id}"), None)));
    }
    wrong.extend([
        (format!("/reports/{script}"), Some(404)),
        ("/reports/%ff".to_owned(), None),
        (format!("/people/{nobody}?portal_id={nobody}"), Some(404)),
    ]);
    for page in places(&crowd) {
        let mark = if page.contains('?') { '&' } else { '?' };
        let hostile = format!("{script}=1");
        for query in ["colour=red", "colour=red&colour=blue", &hostile] {
            wrong.push((format!("{page}{mark}{query}"), Some(400)));
        }
    }
    wrong.extend(PARAMETERS.map(|path| (path.to_owned(), Some(400))));
    for (path, status) in wrong {
        is_refused(&reader.get(&path).await, &path, status);
    }
    reader.get("/").await;
    for path in deeds(&crowd, nobody) {
        let fields = [
            ("reason", SCRIPT),
            ("deed", "dance"),
            ("id", "x"),
            ("verb", "dance"),
        ];
        is_refused(&reader.post(&path, &fields).await, &path, None);
    }
    crowd.app.finish().await;
}

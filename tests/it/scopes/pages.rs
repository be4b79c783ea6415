//! The pages of the console: every link that leads on from the first of them is followed, and what
//! no link leads to is asked for by name.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, Timelike, Utc};
use usher::clock::Clock;
use uuid::Uuid;

use crate::console::reader::{Page, Reader};
use crate::scopes::steady::{steady, without, without_word};
use crate::scopes::world::{BOB, BOBS_APP, BOBS_REGISTRATION, BRAVO, Made, World, leaks, unknown};
use crate::support::app::TestApp;

/// Pages of one route that differ in their query alone: so many are enough.
const OF_A_KIND: usize = 4;
/// Links to what is no page.
const NO_PAGES: [&str; 5] = ["/assets/", "/docs", "/readyz", "/openapi.json", "/api/"];
/// Routes of the door.
const DOOR: [&str; 2] = ["/sign-in", "/sign-out"];
/// How usher is stands between these, and may change.
const CONDITION: (&str, &str) = ("<h1>Overview</h1>", "</p>");
const TAIL: &str = "/events/tail";

/// Everything that somebody who signed in was shown.
pub(crate) struct Walk {
    reader: Reader,
    /// When it began.
    at: DateTime<Utc>,
    /// Answers by path and query.
    pages: BTreeMap<String, String>,
    /// What was asked for besides, without the query.
    asked: Mutex<BTreeSet<String>>,
}

impl Walk {
    /// Follows all links.
    pub(crate) async fn all(app: &TestApp, token: &str) -> Self {
        let mut this = Self {
            reader: Reader::signed_in(&app.url, token).await,
            at: Clock::system().now(),
            pages: BTreeMap::new(),
            asked: Mutex::default(),
        };
        let mut ahead: VecDeque<String> = [
            "/",
            "/?days=7",
            "/events?follow=1",
            "/people?gone=any",
            "/applications?gone=any",
            "/approvals?tab=vetoes",
            "/rules/test",
            "/reports/activity?by=hour",
        ]
        .map(str::to_owned)
        .into();
        let host = app.url.trim_start_matches("http://");
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        while let Some(path) = ahead.pop_front() {
            let count = kinds.entry(kind(&path)).or_default();
            if *count == OF_A_KIND || !seen.insert(steady(&path)) {
                continue;
            }
            *count += 1;
            let page = this.reader.get(&path).await;
            let status = page.status.as_u16();
            assert!(
                matches!(status, 200 | 404),
                "{path}: {status} {}",
                page.body
            );
            ahead.extend(links(&page.body));
            let shown = steady(&page.body).replace(host, "HOST");
            let shown = without(&shown, CONDITION.0, CONDITION.1);
            this.pages
                .insert(steady(&path), format!("{status} {shown}"));
        }
        assert!(this.pages.len() > 40, "{}", this.pages.len());
        this
    }

    pub(crate) fn hides(&self, made: &Made) {
        for (path, page) in &self.pages {
            assert_eq!(leaks(path, made), None, "{path}");
            assert_eq!(leaks(page, made), None, "{path}: {page}");
        }
    }

    /// The same pages lead to the same pages and show the same, but for bars that moved on with the
    /// hour.
    pub(crate) fn is_as_before(&self, before: &Self) {
        if before.at.hour() != Clock::system().now().hour() {
            return;
        }
        let paths = |walk: &Self| walk.pages.keys().cloned().collect::<Vec<_>>();
        assert_eq!(paths(self), paths(before));
        for (path, page) in &self.pages {
            assert_eq!(page, &before.pages[path], "{path}");
        }
    }

    /// By an id or a word of the other portal as by one that nothing has.
    pub(crate) async fn knows_no_id_of_another_portal(&self, world: &World) {
        let state = world.state().await;
        let made = &world.made;
        let (event, action) = (made.events[0], made.actions[0]);
        for (path, id) in [
            ("/?portal_id=ID", BRAVO),
            ("/events/ID", event),
            ("/events/ID/raw", event),
            ("/events?portal_id=ID", BRAVO),
            ("/events?principal_id=ID", BOB),
            ("/events?batch=ID", made.batches[0]),
            ("/people/ID", BOB),
            (
                "/people/ID?portal_id=00000000-0000-0000-0000-0000000000a0",
                BOB,
            ),
            ("/people?portal_id=ID", BRAVO),
            ("/applications/ID", BOBS_APP),
            ("/applications/ID", BOB),
            ("/applications?owner_id=ID", BOB),
            ("/approvals?portal_id=ID", BRAVO),
            ("/approvals?target_id=ID", BOB),
            ("/actions/ID", action),
            ("/actions?portal_id=ID", BRAVO),
            ("/actions?target_id=ID", BOBS_REGISTRATION),
            ("/rules/explain?developer_id=ID", BOB),
            ("/rules/explain?person=ID", BOB),
            ("/coverage?portal_id=ID", BRAVO),
            ("/replay?portal_id=ID", BRAVO),
            ("/replay/ID", made.jobs[0]),
            ("/reports/activity?portal_id=ID", BRAVO),
            ("/reports/pending?portal_id=ID", BRAVO),
            ("/reports/timeline?developer_id=ID", BOB),
            ("/reports/timeline?application_id=ID", BOBS_APP),
        ] {
            self.alike(path, &[], id).await;
        }
        let known = format!("/rules/explain?developer_id=ID&portal_id={BRAVO}");
        self.alike(&known, &[], BOB).await;
        self.finds_no_word_of_another_portal().await;
        self.does_nothing_to_another_portal(made).await;
        assert_eq!(world.state().await, state, "something was done");
    }

    async fn finds_no_word_of_another_portal(&self) {
        for word in ["email=bob%40bravo", "status=pending&email=bravo"] {
            let page = self.get(&format!("/people?{word}")).await;
            assert!(
                page.body.contains("Nobody matches"),
                "{word}: {}",
                page.body
            );
        }
        for word in ["q=bravo", "person=bravo", "src=198.51.100.9"] {
            let page = self.get(&format!("/events?{word}")).await;
            assert!(
                !page.body.contains("href=\"/events/0"),
                "{word}: {}",
                page.body
            );
        }
        let page = self.get("/rules/explain?person=bob%40bravo.example").await;
        assert!(
            page.body.contains("Nobody has this address"),
            "{}",
            page.body
        );
    }

    async fn does_nothing_to_another_portal(&self, made: &Made) {
        let (action, veto) = (made.actions[0], made.vetoes[0]);
        let portal = BRAVO.to_string();
        let of_portal = ("portal_id", portal.as_str());
        let grant = format!("approve_registration {BOBS_REGISTRATION}");
        let actions: Vec<String> = made.actions.iter().map(Uuid::to_string).collect();
        let ticked = |verb| {
            let ticked = actions.iter().map(|id| ("id", id.as_str()));
            ticked.chain([("verb", verb)]).collect::<Vec<_>>()
        };
        for (path, fields, id) in [
            (
                "/people/ID/ask",
                vec![of_portal, ("deed", "approve_developer")],
                BOB,
            ),
            (
                "/people/ID/ask",
                vec![of_portal, ("deed", "reject_developer")],
                BOB,
            ),
            (
                "/applications/ID/ask",
                vec![of_portal, ("deed", grant.as_str())],
                BOBS_APP,
            ),
            ("/actions/ID/cancel", vec![], action),
            ("/actions/ID/approve", vec![], made.actions[1]),
            ("/vetoes/ID/lift", vec![], veto),
            ("/replay", vec![of_portal, ("from", "3h")], BRAVO),
            (
                "/coverage/acknowledge",
                vec![
                    of_portal,
                    ("from", "2020-01-01T00:00:00Z"),
                    ("to", "2030-01-01T00:00:00Z"),
                    ("reason", "known"),
                ],
                BRAVO,
            ),
        ] {
            let page = self.alike(path, &fields, id).await;
            assert_eq!(page.status.as_u16(), 404, "{path}: {}", page.body);
        }
        for (path, fields) in [
            ("/actions/bulk", ticked("cancel")),
            ("/approvals/bulk", ticked("approve")),
            (
                "/actions/bulk",
                vec![("verb", "approve"), ("all", "1"), of_portal],
            ),
            ("/rules/test", vec![("from", "30d"), of_portal]),
            (
                "/rules/test",
                vec![("from", "30d"), ("skipped", "1"), ("portal_id", "")],
            ),
        ] {
            let page = self.post(path, &fields).await;
            assert_eq!(page.status.as_u16(), 200, "{path}: {}", page.body);
            let text = actions
                .iter()
                .fold(page.body, |text, id| text.replace(id, ""));
            let text = text.replace(&portal, "");
            assert_eq!(leaks(&text, made), None, "{path}: {text}");
        }
        for path in ["/actions/bulk/confirm", "/approvals/bulk/confirm"] {
            let mut fields = ticked("cancel");
            fields.push(("token", "guessed"));
            let page = self.post(path, &fields).await;
            assert_eq!(page.status.as_u16(), 409, "{path}: {}", page.body);
        }
    }

    /// What belongs to no portal is not in the menu, and refused to whoever knows where it is.
    pub(crate) async fn is_refused_what_is_of_no_portal(&self, made: &Made) {
        let menu = &self.pages["/"];
        let row = made.quarantined[0];
        for path in [
            "/deliveries",
            "/quarantine",
            "/quarantine/release",
            &format!("/quarantine/{row}"),
            &format!("/quarantine/{row}/raw"),
            "/settings",
            "/reports/admin-changes",
        ] {
            assert!(!menu.contains(&format!("href=\"{path}\"")), "{path}");
            let page = self.get(path).await;
            assert_eq!(page.status.as_u16(), 403, "{path}: {}", page.body);
            assert!(
                page.body.contains("about all portals"),
                "{path}: {}",
                page.body
            );
        }
        for path in [
            "/pause",
            "/resume",
            "/quarantine/release",
            &format!("/quarantine/{row}/release"),
        ] {
            let page = self.post(path, &[]).await;
            assert_eq!(page.status.as_u16(), 403, "{path}: {}", page.body);
        }
        assert!(!self.pages["/rules"].contains("rules.yaml"), "the file");
    }

    /// Every route of the console was asked for.
    pub(crate) fn went_everywhere(&self) {
        let asked = self.asked.lock().unwrap();
        let walked = self.pages.keys().map(|path| without_query(path));
        let been: BTreeSet<&str> = walked.chain(asked.iter().map(String::as_str)).collect();
        let routes = routes();
        assert!(routes.len() > 30, "{routes:?}");
        let fits = |route: &str, path: &str| {
            let (route, path) = (route.split('/'), path.split('/'));
            let is_same = |(part, given): (&str, &str)| part.starts_with('{') || part == given;
            route.clone().count() == path.clone().count() && route.zip(path).all(is_same)
        };
        for route in routes {
            let is_known = been.iter().any(|path| fits(&route, path)) || route == TAIL;
            assert!(
                is_known,
                "{route} was asked for by no test: do so in {}",
                file!()
            );
        }
    }

    /// What comes in at the portal is shown as it comes, and nothing else.
    pub(crate) async fn follows_its_own_alone(&self, deliver: impl AsyncFnOnce()) {
        let mut answer = self.reader.open(TAIL).await;
        assert_eq!(answer.status().as_u16(), 200);
        deliver().await;
        let mut seen = String::new();
        let watch = async {
            while !seen.contains("alpha.comes") {
                let piece = answer.chunk().await.unwrap().expect("it goes on");
                seen.push_str(&String::from_utf8_lossy(&piece));
            }
        };
        let watch = tokio::time::timeout(Duration::from_secs(20), watch);
        watch.await.expect("what is its own comes");
        assert!(!seen.contains("bravo"), "{seen}");
    }

    /// The answer about `id` is the one about an id that nothing has.
    async fn alike(&self, path: &str, fields: &[(&str, &str)], id: Uuid) -> Page {
        let named = id.to_string();
        let of = async |id: Uuid| {
            let id = id.to_string();
            let path = path.replace("ID", &id);
            let put = |(name, value): &(&str, &str)| {
                let value = if *value == named { id.as_str() } else { *value };
                ((*name).to_owned(), value.to_owned())
            };
            let fields: Vec<(String, String)> = fields.iter().map(put).collect();
            let fields: Vec<(&str, &str)> = fields
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            let page = if fields.is_empty() && !is_write(&path) {
                self.get(&path).await
            } else {
                self.post(&path, &fields).await
            };
            let text = without_word(&page.body, &id);
            (page, text)
        };
        let (page, text) = of(id).await;
        let (other, nobodys) = of(unknown(id)).await;
        assert_eq!((page.status, text), (other.status, nobodys), "{path} {id}");
        page
    }

    async fn get(&self, path: &str) -> Page {
        self.note(path);
        self.reader.clone().get(path).await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        self.note(path);
        self.reader.clone().post(path, fields).await
    }

    fn note(&self, path: &str) {
        let path = without_query(path).to_owned();
        self.asked.lock().unwrap().insert(path);
    }
}

fn is_write(path: &str) -> bool {
    ["/ask", "/cancel", "/approve", "/lift"]
        .iter()
        .any(|end| path.ends_with(end))
}

fn without_query(path: &str) -> &str {
    path.split('?').next().unwrap_or(path)
}

/// The route of a page with the names of its parameters.
fn kind(path: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let parts = path.split('/').map(|part| match part.parse::<Uuid>() {
        Ok(_) => "ID",
        Err(_) => part,
    });
    let names = query
        .split('&')
        .map(|pair| pair.split('=').next().unwrap_or(pair));
    let parts: Vec<&str> = parts.collect();
    format!(
        "{}?{}",
        parts.join("/"),
        names.collect::<Vec<_>>().join("&")
    )
}

/// The pages that a page leads to.
fn links(body: &str) -> Vec<String> {
    let links = body.split("href=\"").skip(1);
    let links = links.filter_map(|rest| rest.split(['"', '#']).next());
    let is_page = |link: &&str| {
        link.starts_with('/') && !NO_PAGES.iter().any(|start| link.starts_with(start))
    };
    let whole = |link: &str| link.replace("&amp;", "&").replace("&#38;", "&");
    // Files are as long as what they are of, and no page.
    let is_file = |link: &String| link.ends_with("format=csv");
    let links = links.filter(is_page).map(whole);
    links.filter(|link| !is_file(link)).collect()
}

/// The routes that the console serves, from its code.
fn routes() -> BTreeSet<String> {
    let mut routes = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/console")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let code = fs::read_to_string(&path).unwrap();
                let named = code.split(".route(").skip(1);
                let named = named.filter_map(|rest| rest.trim_start().strip_prefix('"'));
                let named = named.filter_map(|rest| rest.split('"').next());
                routes.extend(named.map(str::to_owned));
            }
        }
    }
    routes.retain(|route| !DOOR.contains(&route.as_str()) && !route.starts_with("/assets"));
    routes
}

//! Every page in a browser, narrow and wide, light and dark: nothing goes wrong on it, nothing is
//! asked of anybody else, nothing is wider than the window, and people who see or point badly can
//! use it. The pictures of the documentation come from here too.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use tempfile::TempDir;
use usher::report::ReportName;
use uuid::Uuid;

use crate::console::crowd::{Crowd, application, person};
use crate::support::app::CONSOLE_TOKEN;
use crate::support::browser::{Browser, Page, Scheme};
use crate::support::environment;

const WIDE: u32 = 1400;
const NARROW: u32 = 360;
/// How a page is looked at, and whether axe looks too: it takes longer than all the rest, and sees
/// both widths and both schemes like this.
const LOOKS: [(u32, Scheme, bool); 4] = [
    (WIDE, Scheme::Light, true),
    (NARROW, Scheme::Light, false),
    (NARROW, Scheme::Dark, true),
    (WIDE, Scheme::Dark, false),
];
/// Readers who open pages beside each other.
const READERS: usize = 3;
/// Bytes of a page as they come over the network.
const MOST_BYTES: u64 = 100_000;
/// What a page may load besides itself.
const ASSETS: [&str; 3] = [
    "/assets/console.css",
    "/assets/console.js",
    "/assets/icon.svg",
];
/// What a page that follows the events listens to.
const TAIL: &str = "/events/tail";
/// Of the pictures.
const SIZE: (u32, u32) = (1200, 800);
const MOST_BYTES_OF_PICTURE: u64 = 400_000;

/// By how much the page is wider than the window, and what sticks out; null where nothing does.
pub(crate) const TOO_WIDE: &str = "(() => {
    const by = document.documentElement.scrollWidth - innerWidth;
    if (by <= 0) return null;
    const out = [...document.body.querySelectorAll('*')].filter(it =>
        it.getBoundingClientRect().right > innerWidth + 0.5 && !it.parentElement.closest('.scroll, pre, nav.pages'));
    const tags = out.slice(0, 4).map(it => it.cloneNode(false).outerHTML.slice(0, 120));
    return `${by} px wider than the window: ${tags.join(' ')}`;
})()";

/// Every page with its status. What is here and not in the router is found by its status; what is
/// in the menu and not here, by the test itself.
fn pages(crowd: &Crowd) -> Vec<(String, u64)> {
    let nobody = Uuid::from_u128(0xbad);
    let (somebody, theirs) = (person(0), application(0));
    let (event, unproven) = (crowd.event, crowd.unproven);
    let quarantined = &crowd.quarantined;
    let mut pages: Vec<(String, u64)> = [
        ("/", 200),
        ("/?days=30", 200),
        ("/events", 200),
        ("/events?follow=1", 200),
        ("/events?verification=key_unknown&q=Firefox", 200),
        ("/events?name=nothing.is.called.so", 200),
        ("/people", 200),
        ("/people?email=nobody", 200),
        ("/applications", 200),
        ("/approvals", 200),
        ("/approvals?tab=vetoes", 200),
        ("/actions", 200),
        ("/rules", 200),
        ("/rules/explain", 200),
        ("/rules/test", 200),
        ("/deliveries", 200),
        ("/coverage", 200),
        ("/coverage?from=2026-01-01T00:00:00Z", 200),
        ("/replay", 200),
        ("/quarantine", 200),
        ("/quarantine/release", 200),
        ("/reports", 200),
        ("/settings", 200),
        ("/reports/nothing", 404),
        ("/events?colour=red", 400),
    ]
    .map(|(path, status)| (path.to_owned(), status))
    .into();
    pages.extend([
        (format!("/events/{event}"), 200),
        (format!("/events/{unproven}"), 200),
        (format!("/events/{nobody}"), 404),
        (format!("/people/{somebody}"), 200),
        (format!("/people/{somebody}?show=difference"), 200),
        (format!("/people/{nobody}"), 404),
        (format!("/applications/{theirs}"), 200),
        (format!("/rules/explain?developer_id={somebody}"), 200),
        (format!("/quarantine/{quarantined}"), 200),
        // Without `still` it comes again by itself, in the middle of the look.
        (format!("/replay/{}?still=1", crowd.missed.under_way), 200),
        (format!("/replay/{}", crowd.missed.closed), 200),
        (format!("/replay/{nobody}"), 404),
        (format!("/reports/timeline?developer_id={somebody}"), 200),
    ]);
    let actions = crowd.actions.values();
    pages.extend(actions.map(|id| (format!("/actions/{id}"), 200)));
    let reports = ReportName::ALL.iter();
    pages.extend(reports.map(|name| (format!("/reports/{name}"), 200)));
    pages
}

/// What several readers do together.
struct Visit<'a> {
    crowd: &'a Crowd,
    pages: Vec<(String, u64)>,
    /// The place of the page that nobody has opened yet.
    next: AtomicUsize,
}

impl Visit<'_> {
    fn url(&self) -> &str {
        &self.crowd.app.url
    }

    /// Opens pages as long as there are any left; what was wrong with them.
    async fn read(&self) -> Vec<String> {
        let page = signed_in(self.url()).await;
        page.requests().await;
        let mut faults = page.errors().await;
        while let Some((path, status)) = self.pages.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            page.open(&format!("{}{path}", self.url())).await;
            faults.extend(self.look(&page, path, *status).await);
        }
        faults
    }

    /// What is wrong with the page that is open.
    async fn look(&self, page: &Page, name: &str, status: u64) -> Vec<String> {
        let mut faults = self.loading_faults(page, name, status).await;
        for (width, scheme, by_axe) in LOOKS {
            page.resize(width, 900).await;
            page.scheme(scheme).await;
            let mut seen = Vec::new();
            if let Some(words) = page.evaluate(TOO_WIDE).await.as_str() {
                seen.push(words.to_owned());
            }
            if by_axe {
                seen.extend(page.axe().await.iter().map(ToString::to_string));
            }
            let how = |fault: String| format!("at {width} px, {scheme:?}: {fault}");
            faults.extend(seen.into_iter().map(how));
        }
        faults.extend(page.errors().await);
        // As pages are opened.
        page.resize(WIDE, 900).await;
        page.scheme(Scheme::Light).await;
        faults.iter().map(|it| format!("{name}: {it}")).collect()
    }

    /// What went wrong while the page came.
    async fn loading_faults(&self, page: &Page, name: &str, status: u64) -> Vec<String> {
        let requests = page.requests().await;
        let mut faults = page.errors().await;
        // What a page before this one still asked for as it was left is not of this one.
        let own = format!("{}{name}", self.url());
        let begin = requests.iter().position(|it| it.url == own);
        let requests = &requests[begin.unwrap_or(0)..];
        if status >= 400 {
            // The browser tells of the page itself, which is what was asked for.
            let is_of_page = |it: &String| it.starts_with("network: ") && !it.contains("/assets/");
            faults.retain(|it| !is_of_page(it));
        }
        let Some((document, others)) = requests.split_first() else {
            return vec!["it was not asked for".to_owned()];
        };
        if document.status != Some(status) {
            faults.push(format!("{:?} and not {status}", document.status));
        }
        if document.bytes >= MOST_BYTES {
            faults.push(format!("{} bytes", document.bytes));
        }
        for other in others {
            let path = other.url.strip_prefix(self.url()).map(without_query);
            let is_own = path.is_some_and(|path| ASSETS.contains(&path) || path == TAIL);
            // A busy browser may ask for the page itself once more.
            if !is_own && other.url != document.url {
                faults.push(format!("it asks for {}", other.url));
            }
        }
        faults
    }
}

fn without_query(path: &str) -> &str {
    path.split('?').next().unwrap_or(path)
}

/// A browser of somebody who has just signed in.
pub(crate) async fn signed_in(url: &str) -> Page {
    let page = Browser::page().await;
    page.open(url).await;
    page.fill("input[name=token]", CONSOLE_TOKEN).await;
    page.follow("form.sign-in button").await;
    page
}

#[tokio::test]
async fn every_page_is_well_in_both_widths_and_both_schemes() {
    let crowd = Box::pin(Crowd::new()).await;
    let visit = Visit {
        pages: pages(&crowd),
        crowd: &crowd,
        next: AtomicUsize::new(0),
    };
    let mut faults = at_the_door(&visit).await;
    let readers = (0..READERS).map(|_| visit.read());
    faults.extend(join_all(readers).await.concat());
    faults.extend(what_forms_answer(&visit).await);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    pictures(&crowd).await;
    crowd.app.finish().await;
}

/// The sign-in form, which is the first page that a browser sees: it loads every asset. The menu
/// behind it has no page that is not looked at.
async fn at_the_door(visit: &Visit<'_>) -> Vec<String> {
    let page = Browser::page().await;
    page.open(visit.url()).await;
    let requests = page.requests().await;
    let paths = requests
        .iter()
        .skip(1)
        .filter_map(|it| it.url.strip_prefix(visit.url()));
    let loaded: BTreeSet<&str> = paths.map(without_query).collect();
    for asset in &ASSETS[..2] {
        assert!(loaded.contains(asset), "{asset} is not in {loaded:?}");
    }
    page.reload().await;
    let faults = visit.look(&page, "the sign-in form", 200).await;
    page.fill("input[name=token]", CONSOLE_TOKEN).await;
    page.follow("form.sign-in button").await;
    let menu = "[...document.querySelectorAll('nav.pages a')].map(it => it.getAttribute('href'))";
    let menu = page.evaluate(menu).await;
    for path in menu.as_array().expect("a list") {
        let path = path.as_str().expect("a path");
        let is_known = visit.pages.iter().any(|(known, _)| known == path);
        assert!(is_known, "{path} is in the menu and in no test");
    }
    faults
}

/// Pages that only a form leads to: the preview of what is done to many, and a back-test.
async fn what_forms_answer(visit: &Visit<'_>) -> Vec<String> {
    let page = signed_in(visit.url()).await;
    let url = |path: &str| format!("{}{path}", visit.url());
    let mut faults = Vec::new();
    page.open(&url("/approvals")).await;
    page.click("input[name=all]").await;
    page.requests().await;
    page.follow("button[name=verb][value=approve]").await;
    faults.extend(visit.look(&page, "/approvals/bulk", 200).await);
    for (name, text, status) in [
        ("a back-test", "", 200),
        ("a text that does not check", "rules: [{", 422),
    ] {
        page.open(&url("/rules/test")).await;
        page.fill("input[name=from]", "30d").await;
        page.fill("textarea[name=text]", text).await;
        page.requests().await;
        page.follow("form.stack button.primary").await;
        faults.extend(visit.look(&page, name, status).await);
    }
    faults
}

/// Takes the pictures of `docs/`, which are kept where somebody asks for that.
async fn pictures(crowd: &Crowd) {
    let (width, height) = SIZE;
    let scratch = TempDir::new().unwrap();
    let folder = if environment::takes_screenshots() {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/images")
    } else {
        scratch.path().to_owned()
    };
    std::fs::create_dir_all(&folder).unwrap();
    let page = signed_in(&crowd.app.url).await;
    page.resize(width, height).await;
    for (name, path, scheme) in [
        ("overview", "/?days=7".to_owned(), Scheme::Light),
        ("overview-dark", "/?days=7".to_owned(), Scheme::Dark),
        ("events", "/events".to_owned(), Scheme::Light),
        ("event", format!("/events/{}", crowd.event), Scheme::Light),
        ("person", format!("/people/{}", person(0)), Scheme::Light),
        ("approvals", "/approvals".to_owned(), Scheme::Light),
        ("rules", "/rules".to_owned(), Scheme::Light),
    ] {
        page.scheme(scheme).await;
        page.open(&format!("{}{path}", crowd.app.url)).await;
        let file: PathBuf = folder.join(format!("console-{name}.png"));
        page.screenshot(&file).await;
        let picture = std::fs::read(&file).unwrap();
        assert_eq!(picture[16..20], width.to_be_bytes(), "{name}");
        assert_eq!(picture[20..24], height.to_be_bytes(), "{name}");
        let bytes = u64::try_from(picture.len()).unwrap();
        assert!(bytes < MOST_BYTES_OF_PICTURE, "{name} has {bytes} bytes");
    }
    page.has_no_errors().await;
}

//! The harness of the browser, on small pages of its own: what it does arrives, and what it is to
//! find it finds. Tests of pages prove nothing if their browser is blind.

use axum::Router;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, SET_COOKIE};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use usher::lifecycle::Lifecycle;

use crate::support::browser::{Browser, Scheme};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'";

const FORM: &str = r#"<!doctype html><html lang="en"><head><title>A form</title>
    <meta name="viewport" content="width=device-width"><link rel="icon" href="/icon.svg">
    <link rel="stylesheet" href="/form.css"><script src="/form.js" defer></script></head>
    <body><main><h1>Say it</h1><p id="scripts">scripts are off</p><p id="epoch"></p>
    <form method="post" action="/said"><label>Words <input name="words"></label>
    <label>Colour <select name="colour"><option>red</option><option>blue</option></select></label>
    <label><input type="checkbox" name="loud" value="yes"> Loud</label>
    <button type="button" id="count">0</button> <button name="deed" value="say">Say</button></form>
    <p>Or read <a href="/heard">what was heard</a>.</p></main></body></html>"#;

const FORM_SCRIPT: &str = "
    document.querySelector('#scripts').textContent = 'scripts are on';
    document.querySelector('#epoch').textContent = new Date(0).toLocaleTimeString('en-GB');
    const count = document.querySelector('#count');
    count.addEventListener('click', () => count.textContent = Number(count.textContent) + 1);
    document.addEventListener('keydown', event => document.body.dataset.key = event.key);";

const FORM_STYLE: &str = "
    body { background: rgb(255, 255, 255); color: rgb(0, 0, 0); }
    a { color: inherit; } a:focus { outline: none; }
    @media (prefers-color-scheme: dark) {
        body { background: rgb(0, 0, 0); color: rgb(255, 255, 255); }
    }";

/// Breaks the policy, asks for what is not there, throws, and shuts people out.
const BAD: &str = r#"<!doctype html><html lang="en"><head><title>Bad</title></head>
    <body><main><h1 style="color: red">Bad</h1><img id="mute" src="/missing.png">
    <script>document.title = 'inline';</script><script src="/bad.js"></script></main></body></html>"#;

const BAD_SCRIPT: &str = "console.warn('no error'); console.error('told', 42);
    fetch('/late').catch(() => {}); nowhere();";

#[derive(Debug, Deserialize)]
struct Said {
    words: String,
    colour: String,
    loud: Option<String>,
    deed: Option<String>,
}

type Asked = Result<Query<Said>, QueryRejection>;

/// Where the pages are.
async fn served() -> String {
    let file = |kind: &'static str, text: &'static str| {
        get(move || async move { ([(CONTENT_TYPE, kind)], text) })
    };
    // A form that is sent looks like a query.
    let said = post(async |body: String| {
        let head = [
            (LOCATION, format!("/heard?{body}")),
            (SET_COOKIE, "said=yes; HttpOnly; SameSite=Lax".to_owned()),
        ];
        (StatusCode::SEE_OTHER, head)
    });
    let router = Router::new()
        .route("/", get(async || page(FORM)))
        .route("/bad", get(async || page(BAD)))
        .route("/said", said)
        .route("/heard", get(async |said: Asked| page(heard(said))))
        .route("/form.js", file("text/javascript", FORM_SCRIPT))
        .route("/bad.js", file("text/javascript", BAD_SCRIPT))
        .route("/form.css", file("text/css", FORM_STYLE))
        .route(
            "/icon.svg",
            file("image/svg+xml", "<svg xmlns='http://www.w3.org/2000/svg'/>"),
        );
    let router = router.fallback(async || (StatusCode::NOT_FOUND, "no such page"));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    Lifecycle::new().spawn("pages", async move {
        axum::serve(listener, router).await.expect("it serves");
    });
    url
}

fn page(html: impl Into<String>) -> impl IntoResponse {
    let head = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY),
    ];
    (head, html.into())
}

fn heard(said: Asked) -> String {
    let said = said.map_or_else(
        |_| "nothing".to_owned(),
        |Query(said)| {
            let loud = said.loud.map_or("quietly", |_| "loudly");
            let deed = said.deed.unwrap_or_default();
            format!("{deed} {} in {} {loud}", said.words, said.colour)
        },
    );
    format!("<!doctype html><title>Heard</title><h1>Heard</h1><p>{said}</p>")
}

#[tokio::test]
async fn what_a_reader_points_at_and_types_arrives() {
    let url = served().await;
    let page = Browser::page().await;
    page.open(&url).await;
    assert_eq!(page.title().await, "A form");
    assert_eq!(page.text("#scripts").await, "scripts are on");
    assert_eq!(
        page.attribute("form", "method").await.as_deref(),
        Some("post")
    );
    assert_eq!(page.attribute("form", "novalidate").await, None);
    assert_eq!(page.texts("option").await, ["red", "blue"]);
    assert_eq!(page.count("input").await, 2);

    page.click("#count").await;
    page.click("#count").await;
    page.sees("#count", "2").await;
    page.fill("input[name=words]", "to go").await;
    page.fill("input[name=words]", "hello & good-bye").await;
    page.type_text("!").await;
    assert_eq!(page.value("input[name=words]").await, "hello & good-bye!");
    page.choose("select", "blue").await;
    page.click("input[name=loud]").await;
    page.follow("button[name=deed]").await;

    assert_eq!(page.text("p").await, "say hello & good-bye! in blue loudly");
    assert!(
        page.url()
            .await
            .starts_with(&format!("{url}/heard?words=hello"))
    );
    let cookie = page.cookie("said").await.expect("it was set");
    assert_eq!(cookie["httpOnly"], true);
    page.has_no_errors().await;

    let requests = page.requests().await;
    let seen = |path: &str| requests.iter().find(|it| it.url == format!("{url}{path}"));
    let form = seen("/").expect("it was asked for");
    assert_eq!(form.status, Some(200));
    assert!(
        form.bytes > u64::try_from(FORM.len()).expect("small"),
        "{form:?}"
    );
    assert_eq!(seen("/said").expect("it was asked for").status, Some(303));
    assert!(
        requests.iter().all(|it| it.url.starts_with(&url)),
        "{requests:?}"
    );
}

#[tokio::test]
async fn the_keyboard_alone_is_enough_and_focus_shows() {
    let page = Browser::page().await;
    page.open(&served().await).await;
    page.press("j").await;
    assert_eq!(
        page.attribute("body", "data-key").await.as_deref(),
        Some("j")
    );
    page.tab_to("input[name=words]").await;
    page.type_text("I am").await;
    page.tab_to("input[name=loud]").await;
    page.press("Space").await;
    page.tab_to("#count").await;
    page.press("Enter").await;
    page.press("Space").await;
    page.sees("#count", "2").await;
    page.press("Shift+Tab").await;
    assert!(page.focused().await.contains("name=\"loud\""));
    page.tab_to("button[name=deed]").await;
    page.press("Tab").await;
    assert!(page.focused().await.contains("/heard"), "it is the link");
    assert!(!page.shows_focus().await, "its outline is taken away");
    page.press("Shift+Tab").await;
    page.press_on("Enter").await;
    assert_eq!(page.text("p").await, "say I am in red loudly");
}

#[tokio::test]
async fn errors_of_every_kind_are_told_once() {
    let url = served().await;
    let page = Browser::page().await;
    page.open(&format!("{url}/bad")).await;
    let errors = page.errors().await;
    let told = |start: &str, part: &str| {
        let found = errors
            .iter()
            .filter(|it| it.starts_with(start) && it.contains(part));
        assert_eq!(found.count(), 1, "{start} {part}: {errors:#?}");
    };
    told("security: ", "style-src 'self'");
    told("security: ", "script-src 'self'");
    told("network: ", "/missing.png");
    told("network: ", "/late");
    told("console: ", "told 42");
    told("exception: ", "nowhere is not defined");
    assert_eq!(errors.len(), 6, "{errors:#?}");
    assert_eq!(
        page.title().await,
        "Bad",
        "the script in the page did not run"
    );
    assert!(page.errors().await.is_empty(), "they were told");

    page.open(&format!("{url}/nowhere")).await;
    assert_eq!(page.text("body").await, "no such page");
    let errors = page.errors().await;
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("404"), "{errors:?}");
}

#[tokio::test]
async fn axe_finds_what_is_planted_and_nothing_else_under_the_policy() {
    let url = served().await;
    let page = Browser::page().await;
    page.open(&url).await;
    for scheme in [Scheme::Light, Scheme::Dark] {
        page.scheme(scheme).await;
        page.is_accessible().await;
    }
    // Good to read on white, not on black, which is what there is now.
    page.evaluate("document.querySelector('h1').style.color = '#444'")
        .await;
    let found = page.axe().await;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].rule, "color-contrast");
    assert_eq!(found[0].impact, "serious");
    page.has_no_errors().await;

    page.open(&format!("{url}/bad")).await;
    page.errors().await;
    let found = page.axe().await;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].rule, "image-alt");
    assert_eq!(found[0].impact, "critical");
    assert_eq!(found[0].selectors, ["#mute"]);
    assert!(
        found[0].to_string().contains("alternative text"),
        "{}",
        found[0]
    );
    page.has_no_errors().await;
}

#[tokio::test]
async fn forms_work_with_scripts_off() {
    let page = Browser::page().await;
    page.scripts(false).await;
    page.open(&served().await).await;
    assert_eq!(page.text("#scripts").await, "scripts are off");
    page.fill("input[name=words]", "still").await;
    page.follow("button[name=deed]").await;
    assert_eq!(page.text("p").await, "say still in red quietly");
    page.has_no_errors().await;
}

#[tokio::test]
async fn windows_colours_zones_and_pictures_are_as_asked() {
    let page = Browser::page().await;
    page.time_zone("Asia/Tokyo").await;
    page.open(&served().await).await;
    assert_eq!(page.text("#epoch").await, "09:00:00");
    let folder = TempDir::new().expect("a folder");
    let mut pictures = Vec::new();
    for (scheme, colour) in [(Scheme::Light, 255), (Scheme::Dark, 0)] {
        page.scheme(scheme).await;
        let background = page
            .evaluate("getComputedStyle(document.body).backgroundColor")
            .await;
        assert_eq!(background, format!("rgb({colour}, {colour}, {colour})"));
        for (width, height) in [(360, 800), (1400, 900)] {
            page.resize(width, height).await;
            let inner = page.evaluate("[innerWidth, innerHeight]").await;
            assert_eq!(inner, json!([width, height]));
            let path = folder.path().join("page.png");
            page.screenshot(&path).await;
            let picture = std::fs::read(&path).expect("a file");
            assert_eq!(picture[..8], *b"\x89PNG\r\n\x1a\n");
            assert_eq!(picture[16..20], width.to_be_bytes());
            assert_eq!(picture[20..24], height.to_be_bytes());
            pictures.push(picture);
        }
    }
    assert_ne!(pictures[1], pictures[3], "dark looks like light");
}

#[tokio::test]
async fn each_page_has_cookies_of_its_own_and_they_can_be_taken_away() {
    let url = served().await;
    let (one, other) = (Browser::page().await, Browser::page().await);
    for page in [&one, &other] {
        page.open(&url).await;
    }
    one.follow("button[name=deed]").await;
    assert_eq!(one.cookies().await, ["said"]);
    other.reload().await;
    assert!(other.cookies().await.is_empty());
    one.set_cookie("said", "again").await;
    assert_eq!(
        one.cookie("said").await.expect("it is there")["value"],
        "again"
    );
    one.delete_cookie("said").await;
    assert_eq!(one.cookie("said").await, None);
}

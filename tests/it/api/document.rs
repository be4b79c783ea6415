//! The document and what is served are the same: every operation of it is there, takes what it
//! lists and nothing else, and answers as it says.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::{Method, Response, StatusCode};
use serde_json::Value;
use url::form_urlencoded::byte_serialize;
use usher::act::{ActionState, Verb};
use usher::event::{Kind, Verdict};
use usher::rules::Deed;

use crate::api::conform::Document;
use crate::api::{Filled, TONY};
use crate::support::app::{CONSOLE_TOKEN, TestApp, config};
use crate::support::stage::PORTAL;

/// An operation of the document.
struct Operation<'a> {
    method: Method,
    path: &'a str,
    of: &'a Value,
}

impl<'a> Operation<'a> {
    fn parameters(&self, place: &str) -> impl Iterator<Item = &'a Value> {
        let parameters = self.of["parameters"].as_array().into_iter().flatten();
        parameters.filter(move |parameter| parameter["in"] == place)
    }

    /// The path, its parameters filled in by what fits them.
    fn filled(&self, id: &str) -> String {
        self.parameters("path")
            .fold(self.path.to_owned(), |path, parameter| {
                let name = parameter["name"].as_str().unwrap();
                let value = parameter["schema"]["enum"][0].as_str().unwrap_or(id);
                path.replace(&format!("{{{name}}}"), value)
            })
    }
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, of) in item.as_object().unwrap() {
            let method = method.to_uppercase().parse().unwrap();
            all.push(Operation { method, path, of });
        }
    }
    assert!(all.len() > 20, "{}", all.len());
    all
}

async fn ask(app: &TestApp, method: &Method, path: &str) -> Response {
    let request = app
        .http
        .request(method.clone(), format!("{}{path}", app.url));
    let request = request.bearer_auth(CONSOLE_TOKEN);
    request.send().await.unwrap()
}

async fn document(app: &TestApp) -> Value {
    let answer = app
        .http
        .get(format!("{}/openapi.json", app.url))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "application/json");
    answer.json().await.unwrap()
}

async fn detail(answer: Response) -> String {
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let problem: Value = answer.json().await.unwrap();
    problem["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn no_browser_takes_an_answer_for_something_else() {
    let app = TestApp::start(config("http://127.0.0.1:9")).await;
    for path in [
        "/",
        "/api/v1/events",
        "/assets/console.css",
        "/audit-logs",
        "/docs",
        "/nothing",
        "/openapi.json",
        "/readyz",
    ] {
        let answer = app.http.get(format!("{}{path}", app.url));
        let answer = answer.send().await.unwrap();
        let told = answer.headers().get_all("x-content-type-options");
        let told: Vec<_> = told.iter().collect();
        assert_eq!(told, ["nosniff"], "{path}");
    }
    app.finish().await;
}

#[tokio::test]
async fn the_document_is_openapi_3_1_and_shown_without_scripts_or_strangers() {
    let filled = Filled::new().await;
    let app = &filled.app;
    let document = document(app).await;
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["title"], "usher");
    assert_eq!(
        document["components"]["securitySchemes"]["token"]["scheme"],
        "bearer"
    );

    let answer = app
        .http
        .get(format!("{}/docs", app.url))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let policy = answer.headers()["content-security-policy"]
        .to_str()
        .unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    assert!(
        !policy.contains("unsafe") && !policy.contains("http"),
        "{policy}"
    );
    assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
    let page = answer.text().await.unwrap();
    for trace in [
        "<script",
        "src=",
        "url(",
        "@import",
        "href=\"http",
        "style=\"",
        "<link",
    ] {
        assert!(!page.contains(trace), "{trace}");
    }
    for operation in operations(&document) {
        let id = operation.of["operationId"].as_str().unwrap();
        assert!(page.contains(&format!("<section id=\"{id}\">")), "{id}");
        for parameter in operation.parameters("query") {
            let name = parameter["name"].as_str().unwrap();
            assert!(
                page.contains(&format!("<dt><code>{name}</code>")),
                "{id} {name}"
            );
        }
    }
    // Every link within the page leads somewhere in it.
    for link in page.split("href=\"#").skip(1) {
        let target = link.split('"').next().unwrap();
        assert!(page.contains(&format!("id=\"{target}\"")), "{target}");
    }
    filled.app.finish().await;
}

#[tokio::test]
async fn every_operation_is_served_and_answers_as_the_document_says() {
    let filled = Filled::new().await;
    let app = &filled.app;
    let document = document(app).await;
    let mut methods: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for operation in operations(&document) {
        let Operation { method, path, of } = &operation;
        methods.entry(path).or_default().insert(method.to_string());
        assert!(
            ids.insert(of["operationId"].as_str().unwrap()),
            "{path}: an id twice"
        );
        for member in ["summary", "tags"] {
            assert!(of.get(member).is_some(), "{method} {path} has no {member}");
        }
        let here = operation.filled(&TONY.to_string());
        let url = format!("{}{here}", app.url);
        let without = app.http.request(method.clone(), url).send().await.unwrap();
        assert_eq!(
            without.status(),
            StatusCode::UNAUTHORIZED,
            "{method} {here}"
        );

        let answer = ask(app, method, &here).await;
        let status = answer.status();
        let said = &of["responses"][status.as_str()];
        assert!(
            !said.is_null(),
            "{method} {here}: {status} is not in the document"
        );
        assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {here}");
        if status == StatusCode::NOT_FOUND {
            let detail = detail(answer).await;
            assert_ne!(detail, "nothing is served at this path", "{method} {here}");
        } else if status == StatusCode::OK {
            conforms(&document, said, answer, &here).await;
        }
    }
    for (path, known) in methods {
        let path = path
            .replace("{verb}", "approve")
            .replace("{id}", &TONY.to_string());
        for method in [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::DELETE,
            Method::PATCH,
        ] {
            if !known.contains(method.as_str()) {
                let answer = ask(app, &method, &path).await;
                assert_eq!(
                    answer.status(),
                    StatusCode::METHOD_NOT_ALLOWED,
                    "{method} {path}"
                );
                detail(answer).await;
            }
        }
    }
    filled.app.finish().await;
}

/// Whether an answer has what the document says, and that alone.
async fn conforms(document: &Value, said: &Value, answer: Response, path: &str) {
    let media = answer.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    if !media.starts_with("application/json") {
        // An export or a tail, whose lines have tests of their own.
        let media = media.split(';').next().unwrap();
        assert!(
            said["content"].get(media).is_some(),
            "{path}: {media} is not in the document"
        );
        return;
    }
    let schema = &said["content"][&media]["schema"];
    assert!(!schema.is_null(), "{path}: {media} is not in the document");
    let body: Value = answer.json().await.unwrap();
    if let Some(rows) = body["data"].as_array() {
        let is_report = path.starts_with("/api/v1/reports/");
        assert!(is_report || !rows.is_empty(), "{path}: nothing to look at");
    }
    assert_eq!(
        Document(document).fault(&body, schema, path),
        None,
        "{body:#}"
    );
}

#[tokio::test]
async fn what_is_shown_alone_is_as_the_document_says() {
    let filled = Filled::new().await;
    let app = &filled.app;
    let document = document(app).await;
    for (list, id, path) in [
        ("/api/v1/events", "id", "/api/v1/events/{id}"),
        ("/api/v1/quarantine", "id", "/api/v1/quarantine/{id}"),
        ("/api/v1/actions", "id", "/api/v1/actions/{id}"),
        (
            "/api/v1/directory/developers?gone=any",
            "developer_id",
            "/api/v1/directory/developers/{id}",
        ),
    ] {
        let rows = app.rows(list).await;
        assert!(!rows.is_empty(), "{list}");
        for row in rows {
            let here = path.replace("{id}", row[id].as_str().unwrap());
            let answer = ask(app, &Method::GET, &here).await;
            assert_eq!(answer.status(), StatusCode::OK, "{here}");
            let said = &document["paths"][path]["get"]["responses"]["200"];
            conforms(&document, said, answer, &here).await;
        }
    }
    let veto = app.rows("/api/v1/vetoes").await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    for path in [
        "/api/v1/actions/pause",
        "/api/v1/actions/resume",
        "/api/v1/vetoes/{id}/lift",
    ] {
        let here = path.replace("{id}", &veto);
        let answer = ask(app, &Method::POST, &here).await;
        assert_eq!(answer.status(), StatusCode::OK, "{here}");
        let said = &document["paths"][path]["post"]["responses"]["200"];
        conforms(&document, said, answer, &here).await;
    }
    filled.app.finish().await;
}

#[tokio::test]
async fn every_operation_takes_the_parameters_that_it_lists_and_no_other() {
    let filled = Filled::new().await;
    let app = &filled.app;
    let document = document(app).await;
    for operation in operations(&document) {
        let here = operation.filled(&TONY.to_string());
        let answer = ask(app, &operation.method, &format!("{here}?no_such=1")).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{here}");
        let detail = detail(answer).await;
        let mut listed: Vec<&str> = operation
            .parameters("query")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        listed.sort_unstable();
        let known = match listed[..] {
            [] => "there are none here".to_owned(),
            _ => format!("known here: {}", listed.join(", ")),
        };
        assert_eq!(
            detail,
            format!("unknown parameter no_such; {known}"),
            "{here}"
        );
        for parameter in operation.parameters("query") {
            // What comes in has no end, and what is gone on from must be there.
            let needs_more = [("/tail", "to"), ("/export", "after")]
                .iter()
                .any(|(path, name)| operation.path.ends_with(path) && parameter["name"] == *name);
            if needs_more {
                continue;
            }
            values(app, &operation, parameter).await;
        }
    }
    filled.app.finish().await;
}

/// A parameter takes every word and bound of its schema, and nothing beyond.
async fn values(app: &TestApp, operation: &Operation<'_>, parameter: &Value) {
    let name = parameter["name"].as_str().unwrap();
    let here = operation.filled(&TONY.to_string());
    let schema = &parameter["schema"];
    assert_ne!(parameter["required"], true, "{name}");
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    let (good, bad): (Vec<String>, Vec<String>) = if let Some(words) = schema["enum"].as_array() {
        let words = words.iter().map(|word| word.as_str().unwrap().to_owned());
        (words.collect(), texts(&["no such word"]))
    } else {
        match (schema["type"].as_str().unwrap(), schema["format"].as_str()) {
            ("integer", _) => {
                let bound = |name: &str| schema[name].as_i64().unwrap();
                let (least, most) = (bound("minimum"), bound("maximum"));
                (
                    vec![least.to_string(), most.to_string()],
                    vec![
                        (least - 1).to_string(),
                        (most + 1).to_string(),
                        "x".to_owned(),
                    ],
                )
            }
            ("string", Some("uuid")) => (vec![PORTAL.to_string()], texts(&["x"])),
            ("string", Some("cidr")) => {
                (texts(&["10.0.0.0/8", "::1"]), texts(&["x", "10.0.0.0/33"]))
            }
            ("string", Some("date-time")) => (texts(&["2026-06-23T14:00:00Z"]), texts(&["x"])),
            ("string", None) => {
                assert_eq!(schema["pattern"], r"^[^\x00]*$", "{here} {name}");
                match name {
                    "cursor" => (Vec::new(), texts(&["x", "\0"])),
                    _ => (texts(&["x", "%", "ü"]), texts(&["x\0"])),
                }
            }
            other => panic!("{name}: {other:?}"),
        }
    };
    assert_eq!(parameter["allowEmptyValue"], true, "{name}");
    for (values, is_taken) in [(good, true), (texts(&[""]), true), (bad, false)] {
        for value in values {
            let value: String = byte_serialize(value.as_bytes()).collect();
            let path = format!("{here}?{name}={value}");
            // It is about somebody, in whatever time.
            let path = match name {
                _ if !here.ends_with("/timeline") => path,
                "developer_id" | "application_id" if !value.is_empty() => path,
                "developer_id" => format!("{path}&application_id={TONY}"),
                _ => format!("{path}&developer_id={TONY}"),
            };
            let status = ask(app, &operation.method, &path).await.status();
            assert_eq!(
                status != StatusCode::BAD_REQUEST,
                is_taken,
                "{path}: {status}"
            );
        }
    }
}

#[tokio::test]
async fn words_of_the_document_are_those_of_the_code() {
    let filled = Filled::new().await;
    let document = document(&filled.app).await;
    for (path, name, words) in [
        (
            "/api/v1/events",
            "kind",
            Kind::ALL.map(Kind::as_str).to_vec(),
        ),
        (
            "/api/v1/events",
            "verification",
            Verdict::ALL.map(Verdict::as_str).to_vec(),
        ),
        (
            "/api/v1/actions",
            "state",
            ActionState::ALL.map(ActionState::as_str).to_vec(),
        ),
        ("/api/v1/actions", "deed", Deed::NAMES.to_vec()),
    ] {
        let parameters = document["paths"][path]["get"]["parameters"]
            .as_array()
            .unwrap();
        let found = parameters
            .iter()
            .find(|parameter| parameter["name"] == name);
        assert_eq!(
            found.unwrap()["schema"]["enum"],
            serde_json::json!(words),
            "{name}"
        );
    }
    let verb = &document["paths"]["/api/v1/actions/{id}/{verb}"]["post"]["parameters"][1];
    assert_eq!(
        verb["schema"]["enum"],
        serde_json::json!(Verb::ALL.map(Verb::as_str))
    );
    filled.app.finish().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_a_problem_too() {
    let filled = Filled::new().await;
    let app = &filled.app;
    for (method, path, body, status) in [
        (Method::GET, "/api/v1/events/%FF", 0, 400),
        (Method::GET, "/api/v1/quarantine/x", 0, 400),
        (Method::GET, "/api/v1/directory/developers/%FF", 0, 400),
        (Method::GET, "/api/v1/events?limit=%FF", 0, 400),
        (Method::POST, "/api/v1/actions/pause", 3 << 20, 413),
        (Method::GET, "/api/v1/nothing", 0, 404),
    ] {
        let request = app.http.request(method, format!("{}{path}", app.url));
        let request = request.bearer_auth(CONSOLE_TOKEN).body("x".repeat(body));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
        detail(answer).await;
    }
    let document = document(app).await;
    let said = |body: &str, member: &str| {
        document["components"]["schemas"][body]["properties"][member].clone()
    };
    let one_line = &said("Why", "reason")["pattern"];
    assert!(one_line.is_string());
    for other in [said("Acknowledge", "reason"), said("Ask", "team")] {
        assert_eq!(&other["pattern"], one_line, "{other}");
    }
    let longest = said("Why", "reason")["maxLength"].as_u64().unwrap();
    let longest = usize::try_from(longest).unwrap();
    let reason = |letters: usize| format!(r#"{{"reason":"{}"}}"#, "ü".repeat(letters));
    for (body, status) in [
        (reason(1).as_str(), 200),
        (&reason(longest), 200),
        (&reason(0), 400),
        (&reason(longest + 1), 400),
        (r#"{"reason":"two\nlines"}"#, 400),
        ("", 200),
        ("null", 200),
        ("{}", 200),
        (r#"{"reason":null}"#, 200),
        (r#"{"reason":"why"}"#, 200),
        ("xxx", 400),
        ("[null]", 400),
        (r#"["why"]"#, 400),
        (r#"{"reason":7}"#, 400),
        (r#"{"because":"why"}"#, 400),
    ] {
        let request = app.http.post(format!("{}/api/v1/actions/pause", app.url));
        let answer = request
            .bearer_auth(CONSOLE_TOKEN)
            .body(body.to_owned())
            .send()
            .await;
        assert_eq!(answer.unwrap().status().as_u16(), status, "{body}");
    }
    filled.app.finish().await;
}

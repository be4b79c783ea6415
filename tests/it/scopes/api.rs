//! The JSON API, operation by operation as its document lists them.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use url::form_urlencoded::byte_serialize;
use uuid::Uuid;

use crate::scopes::comes;
use crate::scopes::steady::{steady, without_word};
use crate::scopes::world::{BOB, BOBS_APP, BOBS_REGISTRATION, BRAVO, Made, World, leaks, unknown};
use crate::support::app::TestApp;
use crate::support::stage::{APP, KEVIN, PORTAL};

/// Has no end.
const TAIL: &str = "/api/v1/events/tail";

/// An operation of the document.
struct Operation {
    method: Method,
    path: String,
    /// Its parameters in the query.
    takes: Vec<String>,
    /// Whether it is only for tokens of all portals, as the document says of what it refuses.
    is_of_no_portal: bool,
}

/// Somebody with a token.
pub(crate) struct Asker<'a> {
    app: &'a TestApp,
    token: &'static str,
    operations: Vec<Operation>,
}

impl<'a> Asker<'a> {
    pub(crate) async fn new(app: &'a TestApp, token: &'static str) -> Self {
        let (_, document) = app.get("/openapi.json").await;
        let mut operations = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, of) in item.as_object().unwrap() {
                let parameters = of["parameters"].as_array().into_iter().flatten();
                let takes = parameters.filter(|it| it["in"] == "query");
                let takes = takes.map(|it| it["name"].as_str().unwrap().to_owned());
                let says = |status: &str| !of["responses"][status].is_null();
                operations.push(Operation {
                    method: method.to_uppercase().parse().unwrap(),
                    path: path.clone(),
                    takes: takes.collect(),
                    // What changes something refuses readers too.
                    is_of_no_portal: (says("403") && !says("413"))
                        || path.ends_with("/pause") && method == "post"
                        || path.ends_with("/resume"),
                });
            }
        }
        assert!(operations.len() > 30, "{}", operations.len());
        Self {
            app,
            token,
            operations,
        }
    }

    async fn send(&self, method: &Method, path: &str, body: String) -> Response {
        let url = format!("{}{path}", self.app.url);
        let request = self.app.http.request(method.clone(), url).body(body);
        request.bearer_auth(self.token).send().await.unwrap()
    }

    async fn ask(&self, method: &Method, path: &str, body: String) -> (u16, String) {
        let answer = self.send(method, path, body).await;
        let status = answer.status().as_u16();
        (status, with_cursor(&answer.text().await.unwrap()))
    }

    async fn get(&self, path: &str) -> (u16, String) {
        self.ask(&Method::GET, path, String::new()).await
    }

    fn reads(&self) -> impl Iterator<Item = &Operation> {
        let reads = self.operations.iter();
        reads.filter(|it| it.method == Method::GET && it.path != TAIL)
    }

    /// What every list answers, whole and page by page, and everything in it by its id.
    pub(crate) async fn lists(&self) -> BTreeMap<String, String> {
        let mut answers = BTreeMap::new();
        for operation in self.reads() {
            let path = &operation.path;
            let mut asked = match path.split_once("/{id}") {
                None => vec![path.clone()],
                Some((list, rest)) => {
                    let (_, list) = self.get(list).await;
                    let ids = ids_of(&list);
                    let with = |id: &String| {
                        path.replace(&format!("{{id}}{rest}"), &format!("{id}{rest}"))
                    };
                    ids.iter().take(5).map(with).collect()
                }
            };
            for (parameter, value) in [("limit", "1"), ("gone", "any"), ("by", "hour")] {
                let takes = operation.takes.iter().any(|known| known == parameter);
                asked.extend(takes.then(|| format!("{path}?{parameter}={value}")));
            }
            if path.ends_with("/timeline") {
                asked = vec![
                    format!("{path}?developer_id={KEVIN}"),
                    format!("{path}?application_id={APP}"),
                ];
            }
            for path in asked {
                let (status, text) = self.get(&path).await;
                answers.insert(path, format!("{status} {}", steady(&text)));
            }
        }
        let about = |id: Uuid| {
            answers
                .values()
                .filter(move |it| it.contains(&id.to_string()))
        };
        assert!(about(KEVIN).count() > 15, "{}", about(KEVIN).count());
        assert!(about(PORTAL).count() > 15, "{}", about(PORTAL).count());
        answers
    }

    /// Nothing of the other portal is in these answers.
    pub(crate) fn hides(&self, answers: &BTreeMap<String, String>, made: &Made) {
        for (path, answer) in answers {
            let leak = leaks(answer, made);
            assert_eq!(leak, None, "{} {path}: {answer}", self.token);
        }
    }

    /// The other portal is there, and in the answers of whoever may see it: else this test is
    /// blind.
    pub(crate) async fn shows_everything(&self, made: &Made) {
        let answers = self.lists().await;
        let leaking = answers
            .iter()
            .filter(|(_, text)| leaks(text, made).is_some());
        let paths: Vec<&String> = leaking.map(|(path, _)| path).collect();
        assert!(paths.len() > 20, "{paths:#?}");
        for list in [
            "events",
            "actions",
            "vetoes",
            "rules",
            "quarantine",
            "coverage",
            "replay-jobs",
            "directory/portals",
            "directory/developers",
            "directory/teams",
            "directory/memberships",
            "directory/applications",
            "directory/registrations",
            "reports/activity",
            "reports/pending",
            "reports/decisions",
            "reports/failed-logins",
            "events/export",
        ] {
            let path = format!("/api/v1/{list}");
            assert!(paths.contains(&&path), "{path}: {}", answers[&path]);
        }
    }

    /// By an id of the other portal as by one that nothing has, whatever is done to it.
    pub(crate) async fn knows_no_id_of_another_portal(&self, world: &World) {
        let state = world.state().await;
        let konnects = [BOB, BOBS_APP, BOBS_REGISTRATION, BRAVO];
        let ids: Vec<Uuid> = world.made.some().chain(konnects).collect();
        let by_id = self.operations.iter().filter(|it| it.path.contains("{id}"));
        for operation in by_id {
            for verb in ["approve", "reject", "retry", "cancel"] {
                let path = operation.path.replace("{verb}", verb);
                for id in &ids {
                    let known = path.replace("{id}", &id.to_string());
                    let nobodys = path.replace("{id}", &unknown(*id).to_string());
                    self.alike(&operation.method, (&known, &nobodys), (*id, unknown(*id)))
                        .await;
                }
                if path == operation.path {
                    break;
                }
            }
        }
        for (deed, target) in [
            ("approve_developer", BOB),
            ("reject_developer", BOB),
            ("approve_registration", BOBS_REGISTRATION),
        ] {
            let ask = |portal: Uuid| {
                let ask = json!({ "portal_id": portal, "deed": deed, "target_id": target });
                ask.to_string()
            };
            let path = "/api/v1/actions";
            let known = self.ask(&Method::POST, path, ask(BRAVO)).await;
            let nobodys = self.ask(&Method::POST, path, ask(unknown(BRAVO))).await;
            assert_eq!(known, nobodys, "{deed}");
            assert_eq!(known.0, 404, "{deed}: {}", known.1);
        }
        assert_eq!(world.state().await, state, "something was done");
    }

    /// By a filter that names the other portal, or somebody there, as by one that names nothing.
    pub(crate) async fn takes_no_filter_of_another_portal(&self, made: &Made) {
        let id = |id: Uuid| (id.to_string(), unknown(id).to_string());
        let word = |word: &str| (word.to_owned(), word.replace("bravo", "nobdy"));
        let lists = self.reads().filter(|it| !it.path.contains("{id}"));
        for operation in lists.filter(|it| !it.is_of_no_portal) {
            for parameter in &operation.takes {
                let values = match parameter.as_str() {
                    "portal_id" | "team_id" => vec![id(BRAVO)],
                    "principal_id" | "developer_id" | "owner_id" => vec![id(BOB)],
                    "target_id" => vec![id(BOB), id(BOBS_REGISTRATION)],
                    "application_id" => vec![id(BOBS_APP)],
                    "after" => vec![id(made.events[0])],
                    "person" | "q" | "trace_id" => vec![word("bravo")],
                    "email" => vec![word("bob@bravo")],
                    "rule" => vec![word("bravo-alone")],
                    "src" => vec![("198.51.100.9".to_owned(), "198.51.101.9".to_owned())],
                    // None of them says whose something is.
                    "limit" | "cursor" | "from" | "to" | "gone" | "status" | "state" | "deed"
                    | "kind" | "name" | "outcome" | "verification" | "by" | "days" | "within"
                    | "format" => continue,
                    other => panic!("say what {other} of the other portal is, in {}", file!()),
                };
                for (known, nobodys) in values {
                    let path = |value: &str| {
                        let value: String = byte_serialize(value.as_bytes()).collect();
                        let path = format!("{}?{parameter}={value}", operation.path);
                        let needs_one = operation.path.ends_with("/timeline")
                            && !matches!(parameter.as_str(), "developer_id" | "application_id");
                        if needs_one {
                            format!("{path}&developer_id={KEVIN}")
                        } else {
                            path
                        }
                    };
                    let (status, text) = self.get(&path(&known)).await;
                    let (other_status, other) = self.get(&path(&nobodys)).await;
                    assert_eq!(
                        (status, without_word(&text, &known)),
                        (other_status, without_word(&other, &nobodys)),
                        "{}",
                        path(&known)
                    );
                }
            }
        }
    }

    async fn alike(&self, method: &Method, (known, nobodys): (&str, &str), ids: (Uuid, Uuid)) {
        let (status, text) = self.ask(method, known, String::new()).await;
        let (other_status, other) = self.ask(method, nobodys, String::new()).await;
        let text = without_word(&text, &ids.0.to_string());
        let other = without_word(&other, &ids.1.to_string());
        assert_eq!((status, text), (other_status, other), "{method} {known}");
        assert!(matches!(status, 403 | 404), "{method} {known}: {status}");
    }

    /// What belongs to no portal: 403, in words that tell nothing, and nothing is done.
    pub(crate) async fn is_refused_what_is_of_no_portal(&self) {
        let mut refused = Vec::new();
        for operation in self.operations.iter().filter(|it| it.is_of_no_portal) {
            let path = operation.path.replace("{id}", &BOB.to_string());
            let (status, text) = self.ask(&operation.method, &path, String::new()).await;
            assert_eq!(status, 403, "{path}: {text}");
            assert!(text.contains("about all portals"), "{path}: {text}");
            refused.push(path);
        }
        for path in [
            "/deliveries",
            "/quarantine",
            "/readers",
            "/reports/admin-changes",
        ] {
            let path = format!("/api/v1{path}");
            assert!(refused.contains(&path), "{path} is not in {refused:?}");
        }
        let (_, pause) = self.get("/api/v1/actions/pause").await;
        assert!(pause.contains("\"paused\":false"), "{pause}");
    }

    /// Of what comes in only what is of the portal is shown as it comes.
    pub(crate) async fn follows_its_own_alone(&self) {
        let answer = self.send(&Method::GET, TAIL, String::new()).await;
        assert_eq!(answer.status().as_u16(), 200);
        comes(self.app, self.token).await;
        let mut answer = answer;
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
}

/// The ids of the rows of a list.
fn ids_of(list: &str) -> Vec<String> {
    // What a cursor says may follow.
    let mut values = serde_json::Deserializer::from_str(list).into_iter::<Value>();
    let list = values.next().and_then(Result::ok).unwrap_or_default();
    let rows = list["data"].as_array().into_iter().flatten();
    let id = |row: &Value| row.get("id").or_else(|| row.get("developer_id")).cloned();
    rows.filter_map(|row| id(row)?.as_str().map(str::to_owned))
        .collect()
}

/// The answer with what its cursor says.
fn with_cursor(text: &str) -> String {
    let cursor = text.split("cursor=").nth(1);
    let cursor = cursor.and_then(|rest| rest.split(['"', '&']).next());
    let said = cursor.and_then(|cursor| URL_SAFE_NO_PAD.decode(cursor).ok());
    match said {
        Some(said) => format!("{text} {}", String::from_utf8_lossy(&said)),
        None => text.to_owned(),
    }
}

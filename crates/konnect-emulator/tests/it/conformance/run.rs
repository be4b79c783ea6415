//! Calls one operation in every way that its facts give rise to and judges each answer.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::conformance::{
    answer::{Answer, Gap, judge},
    echo::unlike,
    facts::{Body, Operation},
    make::{Invalid, Maker, Size, picks, spoil},
    query,
    scene::{Scene, next_number, parameters, setup_of},
    schema::{Way, check},
    target::Target,
};

/// An id that nothing has.
const NOBODY: &str = "99999999-2222-4333-8444-555555555555";

/// What calling an operation showed.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) calls: usize,
    pub(super) violations: Vec<String>,
    /// The status that each call was answered with.
    pub(super) observed: Vec<(String, u16)>,
    /// How often each gap of the documents was met, by its status.
    pub(super) gaps: BTreeMap<u16, usize>,
}

/// Returns whether the emulator serves an operation: its path leads somewhere.
pub(super) async fn is_served(target: &Target, operation: &Operation) -> bool {
    let values: Vec<(String, String)> = parameters(&operation.path)
        .into_iter()
        .map(|(name, _)| (name, NOBODY.to_owned()))
        .collect();
    let path = path_with(operation, &values);
    let answer = target.send(target.request(&operation.method, &path)).await;
    // `/v3/portals/email-domains` is found as a portal of that name, which there is not.
    let is_mistaken =
        answer.status == 404 && values.is_empty() && operation.path.starts_with("/v3/portals/");
    !answer.has_no_route() && !is_mistaken
}

fn path_with(operation: &Operation, values: &[(String, String)]) -> String {
    let mut path = operation.path.clone();
    for (name, value) in values {
        path = path.replace(&format!("{{{name}}}"), value);
    }
    path
}

/// Calls an operation in every way.
pub(super) async fn run(operation: &'static Operation, target: &Target) -> Report {
    let mut run = Run {
        operation,
        target,
        report: Report::default(),
    };
    match &operation.body {
        Some(body) => run.call_with_bodies(body).await,
        None => run.call_plainly().await,
    }
    run.call_wrong_paths().await;
    run.call_without_right().await;
    run.report
}

struct Run<'a> {
    operation: &'static Operation,
    target: &'a Target,
    report: Report,
}

type Path = Vec<(String, String)>;

impl Run<'_> {
    fn blame(&mut self, what: &str, wrong: impl std::fmt::Display) {
        self.report.violations.push(format!("{what}: {wrong}"));
    }

    fn request(&self, path: &Path, query: &str) -> reqwest::RequestBuilder {
        let path = path_with(self.operation, path);
        self.target
            .request(&self.operation.method, &format!("{path}{query}"))
    }

    /// Sends a request and judges the answer by the operation's facts.
    async fn send(&mut self, what: &str, request: reqwest::RequestBuilder) -> Answer {
        let answer = self.target.send(request).await;
        self.report.calls += 1;
        self.report.observed.push((what.to_owned(), answer.status));
        let (wrong, gap) = judge(self.operation, &answer);
        for wrong in wrong {
            self.blame(what, wrong);
        }
        if let Some(Gap { status, .. }) = gap {
            *self.report.gaps.entry(*status).or_default() += 1;
        }
        answer
    }

    /// Sends a request whose answer has one of these statuses.
    async fn expect(
        &mut self,
        statuses: &[u16],
        what: &str,
        request: reqwest::RequestBuilder,
    ) -> Answer {
        let answer = self.send(what, request).await;
        if !statuses.contains(&answer.status) {
            let (status, body) = (answer.status, &answer.body["detail"]);
            let invalid = &answer.body["invalid_parameters"];
            self.blame(
                what,
                format_args!("{status} instead of {statuses:?} {body} {invalid}"),
            );
        }
        answer
    }

    /// Calls an operation without a body, with its parameters too.
    async fn call_plainly(&mut self) {
        let deletes = self.operation.method == "DELETE";
        let (mut path, _) = self.any_call(&mut Scene::new(self.target)).await;
        for case in query::cases(self.operation) {
            self.call_query(&path, case).await;
            if deletes {
                (path, _) = self.any_call(&mut Scene::new(self.target)).await;
            }
        }
        let success = self.operation.success_status();
        let answer = self
            .expect(&[success], "valid", self.request(&path, ""))
            .await;
        let list = answer.body.get("data").unwrap_or(&answer.body);
        if list.as_array().is_some_and(Vec::is_empty) {
            self.blame(
                "valid",
                "the list is empty, so that no item of it was checked",
            );
        }
        if deletes {
            self.expect(&[404], "again", self.request(&path, "")).await;
        }
    }

    async fn call_query(&mut self, path: &Path, case: query::Case) {
        let what = format!("query {}", case.query);
        let request = self.request(path, &case.query);
        let Some(field) = case.wrong else {
            let success = self.operation.success_status();
            self.expect(&[success], &what, request).await;
            return;
        };
        let answer = self.expect(&[400], &what, request).await;
        if answer.status != 400 {
            return;
        }
        let named = invalid(&answer).find(|item| {
            item["field"]
                .as_str()
                .is_some_and(|named| field.starts_with(named))
        });
        match named {
            None => self.blame(&what, format_args!("{field} is not named: {}", answer.body)),
            Some(item) if item.get("source").is_some_and(|source| source != "query") => {
                self.blame(&what, format_args!("the source is {}", item["source"]));
            }
            Some(item) if field == "sort" => self.call_sorts(path, &item["choices"]).await,
            Some(_) => {}
        }
    }

    /// Sorts by everything that the refusal of a wrong sort names.
    async fn call_sorts(&mut self, path: &Path, choices: &Value) {
        let choices = choices.as_array().cloned().unwrap_or_default();
        if choices.is_empty() {
            self.blame("query sort", "the refusal names no choices");
        }
        let success = self.operation.success_status();
        for choice in choices.iter().filter_map(Value::as_str) {
            for direction in ["", "%20asc", "%20desc"] {
                let query = format!("?sort={choice}{direction}");
                let what = format!("query {query}");
                self.expect(&[success], &what, self.request(path, &query))
                    .await;
            }
        }
    }

    async fn call_with_bodies(&mut self, body: &Body) {
        let success = self.operation.success_status();
        let mut sizes = vec![(Size::Longest, 0), (Size::Null, 0), (Size::Minimal, 0)];
        sizes.extend((0..picks(&body.schema)).map(|pick| (Size::Full, pick)));
        for (size, pick) in sizes {
            let own;
            let is_fresh = setup_of(self.operation).fresh && self.target.portal.is_none();
            let target = if is_fresh {
                own = Target::emulated().await;
                &own
            } else {
                self.target
            };
            let mut scene = Scene::new(target);
            let (path, made) = self.compose(&mut scene, body, size, pick).await;
            let what = format!("{size:?} {pick}").to_lowercase();
            let request = target
                .request(&self.operation.method, &path_with(self.operation, &path))
                .json(&made);
            let answer = self.expect(&[success], &what, request).await;
            if let Some(shown) = self.operation.shown()
                && answer.status == success
            {
                for wrong in unlike(shown, &made, &answer.body) {
                    self.blame(&what, wrong);
                }
            }
        }
        self.call_with_invalid_bodies(body).await;
        self.call_with_no_bodies(body).await;
    }

    /// Makes a valid body, and the scene for it.
    async fn compose(
        &self,
        scene: &mut Scene<'_>,
        body: &Body,
        size: Size,
        pick: usize,
    ) -> (Path, Value) {
        scene.prepare(self.operation).await;
        let path = scene.path_of(self.operation).await;
        let places = scene.body_of(self.operation, pick).await;
        let maker = Maker {
            size,
            pick,
            number: next_number(),
            instead: &|at| places.get(at).cloned(),
        };
        let made = maker.make(&body.schema, "");
        let wrong = check(&body.schema, &made, Way::Request);
        assert_eq!(wrong, Vec::<String>::new(), "{}: {made}", self.operation.id);
        (path, made)
    }

    async fn call_with_invalid_bodies(&mut self, body: &Body) {
        let alternatives = body.schema.members.values().map(|inner| inner.one_of.len());
        let mut tried: Vec<String> = Vec::new();
        for pick in 0..alternatives.max().unwrap_or_default().clamp(1, 2) {
            let mut scene = Scene::new(self.target);
            let (path, valid) = self.compose(&mut scene, body, Size::Full, pick).await;
            for Invalid { at, mistake, body } in spoil(&body.schema, &valid) {
                let size = body.to_string().len();
                let what = format!(
                    "{mistake:?} at {}",
                    if at.is_empty() { "the body" } else { &at }
                );
                let again = format!("{what} {size}");
                if tried.contains(&again) {
                    continue;
                }
                tried.push(again);
                let request = self.request(&path, "").json(&body);
                let answer = self.expect(&[400], &what, request).await;
                if answer.status == 400 && !names(&answer, &at, mistake.rules()) {
                    let named = &answer.body["invalid_parameters"];
                    self.blame(&what, format_args!("it is not named: {named}"));
                }
            }
        }
    }

    /// Calls with no body, with one that is no JSON, and with one of another media type.
    async fn call_with_no_bodies(&mut self, body: &Body) {
        let mut scene = Scene::new(self.target);
        let (path, valid) = self.compose(&mut scene, body, Size::Minimal, 0).await;
        let json = "application/json";
        let broken = self
            .request(&path, "")
            .header("content-type", json)
            .body("{");
        self.expect(&[400], "broken json", broken).await;
        let other = self.request(&path, "").header("content-type", "text/plain");
        self.expect(&[415], "a body of text", other.body(valid.to_string()))
            .await;
        let success = self.operation.success_status();
        let needs_members = body.schema.members.values().any(|inner| inner.required);
        let statuses: &[u16] = match (body.required, needs_members) {
            (true, _) | (_, true) => &[400],
            _ => &[400, success],
        };
        self.expect(statuses, "no body", self.request(&path, ""))
            .await;
    }

    /// Calls with what nothing has in each parameter of the path, and with what is no id.
    async fn call_wrong_paths(&mut self) {
        let mut scene = Scene::new(self.target);
        let (path, body) = self.any_call(&mut scene).await;
        for index in 0..path.len() {
            let name = path[index].0.clone();
            let is_uuid = self.operation.path_parameters[&name].format.as_deref() == Some("uuid");
            let others: &[(&str, &[u16])] = if is_uuid {
                &[(NOBODY, &[404]), ("nonsense", &[404, 400])]
            } else {
                &[("nonsense", &[404, 400])]
            };
            for (value, statuses) in others {
                let mut path = path.clone();
                (*value).clone_into(&mut path[index].1);
                let what = format!("{name} {value}");
                let request = with(self.request(&path, ""), body.as_ref());
                self.expect(statuses, &what, request).await;
            }
        }
        let is_portal = path.first().is_some_and(|(name, _)| name == "portalId");
        let makes_portals = self.target.portal.is_none();
        if makes_portals && is_portal && path.iter().skip(1).any(|(name, _)| name != "templateName")
        {
            let mut path = path.clone();
            path[0].1 = Scene::new(self.target).id("portalId").await;
            let request = with(self.request(&path, ""), body.as_ref());
            self.expect(&[404], "below another portal", request).await;
        }
    }

    async fn call_without_right(&mut self) {
        let mut scene = Scene::new(self.target);
        let (path, body) = self.any_call(&mut scene).await;
        let path = path_with(self.operation, &path);
        let is_open = setup_of(self.operation).open;
        let success = self.operation.success_status();
        let status = if is_open { success } else { 401 };
        for token in [None, Some("kpat_wrong")] {
            let method = &self.operation.method;
            let mut request = self.target.request_without_token(method, &path);
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            let what = token.unwrap_or("no token");
            self.expect(&[status], what, with(request, body.as_ref()))
                .await;
        }
    }

    async fn any_call(&self, scene: &mut Scene<'_>) -> (Path, Option<Value>) {
        if let Some(body) = &self.operation.body {
            let (path, body) = self.compose(scene, body, Size::Full, 0).await;
            return (path, Some(body));
        }
        scene.prepare(self.operation).await;
        (scene.path_of(self.operation).await, None)
    }
}

fn with(request: reqwest::RequestBuilder, body: Option<&Value>) -> reqwest::RequestBuilder {
    if let Some(body) = body {
        request.json(body)
    } else {
        request
    }
}

fn invalid(answer: &Answer) -> impl Iterator<Item = &Value> {
    answer.body["invalid_parameters"]
        .as_array()
        .into_iter()
        .flatten()
}

/// Returns whether a refusal names a place of the body, or what is around it, with a fitting rule.
fn names(answer: &Answer, at: &str, rules: &[&str]) -> bool {
    invalid(answer).any(|item| {
        let field = item["field"].as_str().unwrap_or_default();
        let field = field.replace('[', ".").replace(']', "");
        let around = at
            .strip_prefix(&field)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        let within = at.is_empty() && (field == "body" || !field.is_empty());
        let exact = field == at && !rules.is_empty();
        let fits = item["rule"]
            .as_str()
            .is_none_or(|rule| !exact || rules.contains(&rule));
        (within || (around && !field.is_empty())) && fits
    })
}

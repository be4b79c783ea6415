//! What must be there before an operation can be called: `setups.json` says it, and a scene makes
//! it through the API, only what is asked for and each object once.

use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    pin::Pin,
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use chrono::{SecondsFormat, TimeDelta};
use serde::Deserialize;
use serde_json::Value;

use crate::conformance::{facts::Operation, target::Target};

/// An object that a path or a body can name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    /// Where it is made.
    at: Option<String>,
    #[serde(default)]
    body: Value,
    /// Where the answer has its id.
    take: Option<String>,
    /// Its id, if nothing needs to be made.
    value: Option<String>,
}

/// What is peculiar to calls of an operation.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Setup {
    /// The objects beyond those of the path.
    needs: Vec<String>,
    /// The steps before a call.
    before: Vec<String>,
    /// What a place of the body must hold, by the number of the choice, counted around.
    body: BTreeMap<String, Vec<Value>>,
    /// Whether it needs no token.
    pub(super) open: bool,
    /// Whether every valid call needs an organisation of its own.
    pub(super) fresh: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Setups {
    objects: BTreeMap<String, Object>,
    operations: BTreeMap<String, Setup>,
    steps: BTreeMap<String, Vec<(String, String, Value)>>,
}

static SETUPS: LazyLock<Setups> =
    LazyLock::new(|| serde_json::from_str(include_str!("setups.json")).unwrap());

static NUMBER: AtomicU32 = AtomicU32::new(1);

/// Returns a number that was not there before.
pub(super) fn next_number() -> u32 {
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// Returns what is peculiar to an operation.
pub(super) fn setup_of(operation: &Operation) -> &'static Setup {
    static NOTHING: LazyLock<Setup> = LazyLock::new(Setup::default);
    SETUPS.operations.get(&operation.id).unwrap_or(&NOTHING)
}

/// Returns the parameters of a path in order, each with the name of the object it means: an `id` is
/// told by what stands before it.
pub(super) fn parameters(path: &str) -> Vec<(String, String)> {
    let mut before = "";
    let mut found = Vec::new();
    for part in path.split('/') {
        if let Some(name) = part
            .strip_prefix('{')
            .and_then(|part| part.strip_suffix('}'))
        {
            let object = if name == "id" {
                format!("{before}/id")
            } else {
                name.to_owned()
            };
            found.push((name.to_owned(), object));
        }
        before = part;
    }
    found
}

/// The objects that one call needs.
pub(super) struct Scene<'a> {
    target: &'a Target,
    ids: HashMap<String, String>,
    /// The cookie of a developer who signed in at the portal.
    session: String,
}

type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl<'a> Scene<'a> {
    /// Begins with nothing.
    pub(super) fn new(target: &'a Target) -> Self {
        Self {
            target,
            ids: HashMap::new(),
            session: String::new(),
        }
    }

    /// Takes the steps before an operation.
    pub(super) async fn prepare(&mut self, operation: &Operation) {
        let setup = setup_of(operation);
        for name in &setup.needs {
            self.id(name).await;
        }
        for (method, path, body) in setup.before.iter().flat_map(|name| &SETUPS.steps[name]) {
            let path = self.fill(path).await;
            let body = self.fill_all(body).await;
            self.send(method, &path, &body).await;
        }
    }

    async fn send(&mut self, method: &str, path: &str, body: &Value) -> Value {
        let mut request = self.target.request(method, path).json(body);
        if path.starts_with("/portal/") {
            request = request.header("cookie", &self.session);
        }
        let answer = self.target.send(request).await;
        if let Some(cookie) = answer.cookie {
            self.session = cookie;
        }
        let (status, shown) = (answer.status, answer.body);
        assert!(
            (200..300).contains(&status),
            "a setup failed: {method} {path}: {status} {shown}"
        );
        shown
    }

    /// Returns the id of an object, which it makes unless it is there.
    pub(super) fn id<'b>(&'b mut self, name: &'b str) -> Later<'b, String> {
        Box::pin(async move {
            if let Some(id) = self.ids.get(name) {
                return id.clone();
            }
            let object = SETUPS
                .objects
                .get(name)
                .unwrap_or_else(|| panic!("setups.json has no object {name}"));
            let used_up = self.target.portal.as_ref().filter(|_| name == "portalId");
            let id = if let Some(value) = used_up.or(object.value.as_ref()) {
                value.clone()
            } else {
                let at = object.at.as_deref().unwrap();
                assert!(
                    self.target.portal.is_none() || at.contains("{portalId}"),
                    "{name} is not of the portal to use up"
                );
                let path = self.fill(object.at.as_deref().unwrap()).await;
                let body = self.fill_all(&object.body).await;
                let shown = self.send("POST", &path, &body).await;
                let take = object.take.as_deref().unwrap_or("/id");
                let id = shown.pointer(take).and_then(Value::as_str);
                id.unwrap_or_else(|| panic!("{path} shows no id: {shown}"))
                    .to_owned()
            };
            self.ids.insert(name.to_owned(), id.clone());
            id
        })
    }

    /// Puts ids, times and a number in the places of a text that name them.
    async fn fill(&mut self, text: &str) -> String {
        let now = self.target.now();
        let mut filled = String::new();
        let mut rest = text;
        while let Some((start, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').unwrap();
            filled.push_str(start);
            let ago = |hours: i64| {
                let at = now - TimeDelta::hours(hours);
                at.to_rfc3339_opts(SecondsFormat::Secs, true)
            };
            filled.push_str(&match name {
                "n" => next_number().to_string(),
                "now" => ago(0),
                "hour_ago" => ago(1),
                name => self.id(name).await,
            });
            rest = after;
        }
        filled + rest
    }

    fn fill_all<'b>(&'b mut self, value: &'b Value) -> Later<'b, Value> {
        Box::pin(async move {
            match value {
                Value::String(text) => Value::String(self.fill(text).await),
                Value::Array(items) => {
                    let mut filled = Vec::new();
                    for item in items {
                        filled.push(self.fill_all(item).await);
                    }
                    Value::Array(filled)
                }
                Value::Object(members) => {
                    let mut filled = serde_json::Map::new();
                    for (name, member) in members {
                        filled.insert(name.clone(), self.fill_all(member).await);
                    }
                    Value::Object(filled)
                }
                other => other.clone(),
            }
        })
    }

    /// Returns the values of an operation's path, made for this scene.
    pub(super) async fn path_of(&mut self, operation: &Operation) -> Vec<(String, String)> {
        let mut values = Vec::new();
        for (name, object) in parameters(&operation.path) {
            values.push((name, self.id(&object).await));
        }
        values
    }

    /// Returns what the places of a body must hold for a choice.
    pub(super) async fn body_of(
        &mut self,
        operation: &Operation,
        pick: usize,
    ) -> HashMap<String, Value> {
        let mut values = HashMap::new();
        for (place, choices) in &setup_of(operation).body {
            let choice = &choices[pick % choices.len()];
            let choice = match choice {
                // The number is that of the item, which only the maker knows.
                Value::String(text) if text.contains("{n}") => choice.clone(),
                _ => self.fill_all(choice).await,
            };
            values.insert(place.clone(), choice);
        }
        values
    }
}

#[test]
fn the_setups_are_of_operations_and_name_objects_that_there_are() {
    use crate::conformance::facts::{self, FACTS};
    for (id, setup) in &SETUPS.operations {
        assert!(
            facts::find(id).is_some(),
            "setups.json has {id}, which is no operation"
        );
        for object in &setup.needs {
            assert!(
                SETUPS.objects.contains_key(object),
                "{id}: there is no object {object}"
            );
        }
        for step in &setup.before {
            assert!(
                SETUPS.steps.contains_key(step),
                "{id}: there is no step {step}"
            );
        }
    }
    for operation in &*FACTS {
        for (_, object) in parameters(&operation.path) {
            assert!(
                SETUPS.objects.contains_key(&object),
                "there is no object {object}"
            );
        }
    }
}

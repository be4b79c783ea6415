//! The emulated Konnect, reached through a gate of the test's own: it adds the key of the tests'
//! signer to the key set, and can hold a call before or after it took effect. Everything else
//! passes as it is.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, header};
use axum::response::Response;
use konnect_emulator::{DeliverySettings, Emulator};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use usher::lifecycle::Lifecycle;
use uuid::Uuid;

use crate::support::app::AUTHORIZATION;
use crate::support::signer::Signer;

pub(crate) const PORTAL: Uuid = Uuid::from_u128(0xa0);
pub(crate) const PARTNERS: Uuid = Uuid::from_u128(0xc0);
pub(crate) const FIXTURES: Uuid = Uuid::from_u128(0xe0);
const KEYS: &str = "/v2/audit-log-webhook/jwks.json";
const PATIENCE: Duration = Duration::from_secs(20);
const MAX_BODY: usize = 1024 * 1024;

/// Lets people of two clubs in, and gives them the API that they ask for.
pub(crate) const RULES: &str = r#"version: 1
lists:
  partners: [arsenal.com, manchestercity.com]
rules:
  - name: partner-clubs
    on: developer.signed_up
    when: developer.status == "pending" && domain(developer.email) in lists.partners
    then: [approve_developer, {add_to_team: Partners}]
  - name: fixtures-api
    on: registration.requested
    when: registration.api.name == "Fixtures" && developer.teams.exists(t, t.name == "Partners")
    then: [approve_registration]
"#;

/// Where a held call waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Konnect has not heard of it.
    BeforeItTakesEffect,
    /// Konnect has done it, and the caller has not heard of that.
    BeforeItIsAnswered,
}

/// Which calls wait, and where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hold {
    pub(crate) method: &'static str,
    pub(crate) path_end: fn(&str) -> bool,
    pub(crate) moment: Moment,
}

/// A portal with one API and one team, and usher's way to it.
pub(crate) struct TestKonnect {
    /// What usher shall call.
    pub(crate) url: String,
    pub(crate) emulator: Emulator,
    pub(crate) signer: Signer,
    http: Client,
    gate: Gate,
}

/// What usher's calls pass through.
#[derive(Clone)]
struct Gate {
    emulator_url: String,
    signer: Signer,
    http: Client,
    hold: watch::Sender<Option<Hold>>,
    waiting: watch::Sender<usize>,
}

impl TestKonnect {
    pub(crate) async fn start() -> Self {
        let emulator = Emulator::start().await.expect("the emulator starts");
        let seed = json!({
            "portals": [{ "id": PORTAL, "name": "Football APIs" }],
            "apis": [{ "id": FIXTURES, "name": "Fixtures", "portal_id": PORTAL }],
            "teams": [{ "id": PARTNERS, "portal_id": PORTAL, "name": "Partners" }],
        });
        emulator
            .seed(&seed)
            .expect("a seed that Konnect would accept");
        let http = Client::builder()
            .timeout(PATIENCE)
            .build()
            .expect("a client");
        let signer = Signer::new(7);
        let gate = Gate {
            emulator_url: emulator.url(),
            signer: signer.clone(),
            http: http.clone(),
            hold: watch::Sender::new(None),
            waiting: watch::Sender::new(0),
        };
        let url = gate.clone().serve().await;
        Self {
            url,
            emulator,
            signer,
            http,
            gate,
        }
    }

    /// Sends the portal's log to the usher at `url`.
    pub(crate) fn deliver_to(&self, url: &str) {
        self.bind(url, &json!({ "portal_id": PORTAL }));
    }

    /// Sends the organisation's log to the usher at `url`.
    pub(crate) fn deliver_org_logs_to(&self, url: &str) {
        self.bind(url, &json!({}));
    }

    fn bind(&self, url: &str, whose: &Value) {
        let destination = Uuid::from_u128(0x1d);
        let mut webhook = whose.clone();
        webhook["audit_log_destination_id"] = json!(destination);
        webhook["enabled"] = json!(true);
        let seed = json!({
            "destinations": [{
                "id": destination, "name": "usher", "endpoint": format!("{url}/audit-logs"),
                "authorization": AUTHORIZATION, "log_format": "json",
            }],
            "webhooks": [webhook],
        });
        self.emulator
            .seed(&seed)
            .expect("a webhook that Konnect would accept");
        let quick = DeliverySettings {
            flush_every_ms: 100,
            ..self.emulator.delivery_settings()
        };
        self.emulator
            .set_delivery_settings(&quick)
            .expect("settings that can be");
    }

    /// Holds calls from now on, instead of those held so far.
    pub(crate) fn hold(&self, hold: Hold) {
        self.gate.hold.send_replace(Some(hold));
    }

    /// Completes when a call waits that is held.
    pub(crate) async fn is_holding(&self) {
        self.until_waiting(true, "usher makes the call that is to be held")
            .await;
    }

    /// Completes when every caller that waited is gone, and its call with it.
    pub(crate) async fn is_forsaken(&self) {
        self.until_waiting(false, "the held call ends with its caller")
            .await;
    }

    async fn until_waiting(&self, some: bool, what: &str) {
        let mut waiting = self.gate.waiting.subscribe();
        let changed = waiting.wait_for(|count| (*count > 0) == some);
        let changed = tokio::time::timeout(PATIENCE, changed).await;
        changed.expect(what).expect("the gate is open");
    }

    /// Holds no call any more.
    pub(crate) fn let_pass(&self) {
        self.gate.hold.send_replace(None);
    }

    /// A developer's id and status, as the portal knows them.
    pub(crate) async fn developer(&self, email: &str) -> (Uuid, String) {
        let all = self.read("developers").await;
        let all = all["data"].as_array().expect("a list");
        let one = all
            .iter()
            .find(|one| one["email"] == email)
            .expect("they signed up");
        (
            id_of(one),
            one["status"].as_str().expect("a status").to_owned(),
        )
    }

    /// The teams of a developer.
    pub(crate) async fn teams_of(&self, developer: Uuid) -> Vec<Uuid> {
        let teams = self.read(&format!("developers/{developer}/teams")).await;
        teams["data"]
            .as_array()
            .expect("a list")
            .iter()
            .map(id_of)
            .collect()
    }

    /// The statuses of all registrations.
    pub(crate) async fn registrations(&self) -> Vec<String> {
        let all = self.read("application-registrations").await;
        let all = all["data"].as_array().expect("a list");
        all.iter()
            .map(|one| one["status"].as_str().expect("a status").to_owned())
            .collect()
    }

    /// The writes that Konnect heard of, oldest first, as method and last parts of the path.
    pub(crate) fn writes(&self) -> Vec<String> {
        let requests = self.emulator.requests();
        let writes = requests
            .iter()
            .filter(|request| request.method != "GET" && request.path.starts_with("/v3/"));
        writes
            .map(|request| {
                let mut parts: Vec<_> = request.path.rsplit('/').take(2).collect();
                parts.reverse();
                format!("{} {} {}", request.method, parts.join("/"), request.status)
            })
            .collect()
    }

    async fn read(&self, path: &str) -> Value {
        let url = format!("{}/v3/portals/{PORTAL}/{path}", self.emulator.url());
        let request = self.http.get(url).bearer_auth(self.emulator.token());
        let answer = request.send().await.expect("an answer");
        answer
            .error_for_status()
            .expect("the call is right")
            .json()
            .await
            .expect("JSON")
    }
}

fn id_of(object: &Value) -> Uuid {
    object["id"]
        .as_str()
        .and_then(|id| id.parse().ok())
        .expect("an id")
}

impl Gate {
    /// Serves until the test ends; returns the base URL.
    async fn serve(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().fallback(pass).with_state(self);
        Lifecycle::new().spawn("gate", async move {
            axum::serve(listener, router)
                .await
                .expect("serves to the end");
        });
        format!("http://{address}")
    }

    async fn wait_if_held(&self, method: &Method, path: &str, moment: Moment) {
        let fits = |hold: &Option<Hold>| {
            hold.is_some_and(|hold| {
                hold.moment == moment && hold.method == method.as_str() && (hold.path_end)(path)
            })
        };
        if !fits(&self.hold.borrow()) {
            return;
        }
        // A caller that goes away meanwhile drops this future, and the call with it.
        let _waiting = Waiting::begin(&self.waiting);
        let mut hold = self.hold.subscribe();
        hold.wait_for(|hold| !fits(hold))
            .await
            .expect("the gate holds the sender");
    }
}

/// One call that waits.
struct Waiting<'a>(&'a watch::Sender<usize>);

impl<'a> Waiting<'a> {
    fn begin(waiting: &'a watch::Sender<usize>) -> Self {
        waiting.send_modify(|count| *count += 1);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

async fn pass(State(gate): State<Gate>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    gate.wait_if_held(&parts.method, path, Moment::BeforeItTakesEffect)
        .await;
    let body = to_bytes(body, MAX_BODY)
        .await
        .expect("a body within the bound");
    let mut headers = parts.headers.clone();
    headers.remove(header::HOST);
    let target = parts
        .uri
        .path_and_query()
        .map_or(path, |target| target.as_str());
    let call = gate
        .http
        .request(
            parts.method.clone(),
            format!("{}{target}", gate.emulator_url),
        )
        .headers(headers)
        .body(body);
    let answer = call.send().await.expect("the emulator answers");
    gate.wait_if_held(&parts.method, path, Moment::BeforeItIsAnswered)
        .await;
    let mut response = Response::builder().status(answer.status());
    let content_type = answer.headers().get(header::CONTENT_TYPE).cloned();
    if let Some(content_type) = content_type {
        response = response.header(header::CONTENT_TYPE, content_type);
    }
    let mut bytes = answer.bytes().await.expect("a body").to_vec();
    if path == KEYS {
        bytes = with_keys(&bytes, &gate.signer.keys());
    }
    response.body(Body::from(bytes)).expect("a response")
}

/// The key set with further keys.
fn with_keys(set: &[u8], further: &[Value]) -> Vec<u8> {
    let mut set: Value = serde_json::from_slice(set).expect("a key set");
    set["keys"]
        .as_array_mut()
        .expect("keys")
        .extend_from_slice(further);
    set.to_string().into_bytes()
}

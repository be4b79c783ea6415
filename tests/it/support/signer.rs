//! A key of the tests' own, and entries signed with it in all three formats.

use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use usher::lifecycle::Lifecycle;

/// Signs entries, and serves its public keys where usher looks for them.
#[derive(Clone)]
pub struct Signer {
    key: SigningKey,
    served: Arc<Mutex<Vec<Value>>>,
}

impl Signer {
    pub fn new(seed: u8) -> Self {
        let this = Self {
            key: SigningKey::from_bytes(&[seed; 32]),
            served: Arc::default(),
        };
        this.serve_key();
        this
    }

    /// A key of the same server that is not in its set until it is served.
    pub fn stranger(&self, seed: u8) -> Self {
        Self {
            key: SigningKey::from_bytes(&[seed; 32]),
            served: Arc::clone(&self.served),
        }
    }

    /// Puts this key into the set.
    pub fn serve_key(&self) {
        let x = URL_SAFE_NO_PAD.encode(self.key.verifying_key().to_bytes());
        let key = json!({"kty": "OKP", "alg": "EdDSA", "crv": "Ed25519", "kid": x[..8], "x": x});
        self.served.lock().expect("no panic while held").push(key);
    }

    /// The keys in the set.
    pub fn keys(&self) -> Vec<Value> {
        self.served.lock().expect("no panic while held").clone()
    }

    /// Answers the key set at its path; returns the base URL.
    pub async fn serve(&self, lifecycle: &Lifecycle) -> String {
        let signer = self.clone();
        let keys = move || {
            let keys = signer.keys();
            async move { Json(json!({ "keys": keys })) }
        };
        let router = Router::new().route("/v2/audit-log-webhook/jwks.json", get(keys));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("an address");
        let stop = lifecycle.stopping();
        lifecycle.spawn("jwks", async move {
            axum::serve(listener, router)
                .with_graceful_shutdown(async move { stop.cancelled().await })
                .await
                .expect("serves to the end");
        });
        format!("http://{address}")
    }

    fn sign(&self, text: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.key.sign(text.as_bytes()).to_bytes())
    }

    /// The entry as Konnect's JSON, signed.
    pub fn json(&self, entry: &Entry) -> String {
        self.signed(&entry.json())
    }

    /// An entry of the test's own, which is a JSON object, signed.
    pub fn signed(&self, unsigned: &str) -> String {
        let sig = self.sign(unsigned);
        format!(
            "{},\"sig\":\"{sig}\"}}",
            unsigned.strip_suffix('}').expect("an object")
        )
    }

    /// The entry as CPS, the signature over the inner object.
    pub fn cps(&self, entry: &Entry) -> String {
        format!("{{\"event\":{}}}", self.json(entry))
    }

    /// The entry as CEF, signed.
    pub fn cef(&self, entry: &Entry) -> String {
        let unsigned = entry.cef();
        let sig = self.sign(&unsigned);
        format!("{unsigned} sig={sig}")
    }
}

/// A login at a Dev Portal.
#[derive(Debug, Clone)]
pub struct Entry {
    pub principal_id: String,
    pub portal_id: String,
    pub trace_id: u64,
    pub user_agent: String,
}

impl Entry {
    pub fn numbered(number: u64) -> Self {
        Self {
            principal_id: format!("00000000-0000-4000-8000-{number:012}"),
            portal_id: "3e551b39-227d-4297-b911-e68fd5d77c17".to_owned(),
            // Above 2^53, where a float loses digits.
            trace_id: 3_360_194_145_499_000_000 + number,
            user_agent: "Mozilla/5.0 (X11; Linux)".to_owned(),
        }
    }

    pub fn json(&self) -> String {
        let Self {
            principal_id,
            portal_id,
            trace_id,
            user_agent,
        } = self;
        format!(
            concat!(
                r#"{{"cef_version":0,"event_class_id":"AUTHENTICATION_TYPE_BASIC","event_product":"Dev-Portal","#,
                r#""event_ts":"2026-06-23T14:28:47Z","event_vendor":"KongInc","event_version":"1.0","#,
                r#""name":"AUTHENTICATION_OUTCOME_SUCCESS","org_id":"998db3e4-5cb7-4dd5-b51c-9878096a6999","#,
                r#""portal_id":"{}","principal_id":"{}","request":"/api/v3/developer/authenticate","#,
                r#""rt":"1782224927556","severity":0,"src":"172.71.232.22","success":"true","trace_id":{},"#,
                r#""user_agent":"{}"}}"#
            ),
            portal_id, principal_id, trace_id, user_agent
        )
    }

    pub fn cef(&self) -> String {
        let Self {
            principal_id,
            portal_id,
            trace_id,
            user_agent,
        } = self;
        format!(
            concat!(
                "2026-06-23T14:28:47Z konghq.com CEF:0|KongInc|Dev-Portal|1.0|AUTHENTICATION_TYPE_BASIC|",
                "AUTHENTICATION_OUTCOME_SUCCESS|0|rt=1782224927556 src=172.71.232.22 ",
                "request=/api/v3/developer/authenticate success=true ",
                "org_id=998db3e4-5cb7-4dd5-b51c-9878096a6999 portal_id={} principal_id={} trace_id={} user_agent={}"
            ),
            portal_id, principal_id, trace_id, user_agent
        )
    }
}

//! What is sent: signed logins at a Dev Portal, each as a whole HTTP request made ahead of time.
//! The load generator shares the cores with usher, and so has nothing left to compute.

use std::io::Write as _;
use std::ops::Range;
use std::sync::Arc;
use std::thread;

use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use ed25519_dalek::{Signer as _, SigningKey};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use usher::lifecycle::Lifecycle;

/// The value that usher is configured to accept and that every request has.
pub(crate) const AUTHORIZATION: &str = "Bearer bench";
/// Entries of one large body.
pub(crate) const LINES_A_BODY: usize = 500;
/// People who log in, over and over.
const PEOPLE: usize = 5_000;

/// Requests of one shape, each with the same number of entries.
#[derive(Debug, Clone)]
pub(crate) struct Requests {
    pub(crate) prepared: Arc<Vec<Bytes>>,
    pub(crate) entries_each: usize,
}

/// Makes entries and signs them.
#[derive(Debug)]
pub(crate) struct Signer {
    key: SigningKey,
    is_scattered: bool,
}

impl Signer {
    /// People log in from an address of theirs, or each time from another where that
    /// `is_scattered`.
    pub(crate) fn new(is_scattered: bool) -> Self {
        Self {
            key: SigningKey::from_bytes(&[7; 32]),
            is_scattered,
        }
    }

    /// Serves the public key where usher fetches it; returns the base URL.
    pub(crate) async fn serve(&self, lifecycle: &Lifecycle) -> std::io::Result<String> {
        let x = URL_SAFE_NO_PAD.encode(self.key.verifying_key().to_bytes());
        let key = json!({"kty": "OKP", "alg": "EdDSA", "crv": "Ed25519", "kid": "bench", "x": x});
        let answer = Json(json!({ "keys": [key] }));
        let router = Router::new().route(
            "/v2/audit-log-webhook/jwks.json",
            get(move || async move { answer }),
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let stop = lifecycle.stopping();
        lifecycle.spawn("jwks", async move {
            axum::serve(listener, router)
                .with_graceful_shutdown(async move { stop.cancelled().await })
                .await
                .expect("serving ends only when it is told to");
        });
        Ok(format!("http://{address}"))
    }

    /// Signs the entries of these numbers, each of which is another, on every core.
    pub(crate) fn sign(&self, numbers: Range<usize>, first_at: DateTime<Utc>) -> Vec<String> {
        self.sign_with(numbers, first_at, "")
    }

    /// As [`Signer::sign`], each made longer by `rest`, which compresses well.
    pub(crate) fn sign_with(
        &self,
        numbers: Range<usize>,
        first_at: DateTime<Utc>,
        rest: &str,
    ) -> Vec<String> {
        in_parallel(numbers.len(), |places| {
            places
                .map(|place| self.signed(numbers.start + place, first_at, rest))
                .collect()
        })
    }

    fn signed(&self, number: usize, first_at: DateTime<Utc>, rest: &str) -> String {
        // A fixed odd stride: neighbours in a body are different people.
        let person = number * 7_919 % PEOPLE;
        let address = if self.is_scattered { number } else { person };
        let unsigned = entry(number, [person, address], first_at, rest);
        let sig = URL_SAFE_NO_PAD.encode(self.key.sign(unsigned.as_bytes()).to_bytes());
        let open = unsigned.strip_suffix('}').expect("an entry is an object");
        format!(r#"{open},"sig":"{sig}"}}"#)
    }
}

/// One login, about 600 bytes when signed, as Konnect's own samples are.
fn entry(
    number: usize,
    [person, address]: [usize; 2],
    first_at: DateTime<Utc>,
    rest: &str,
) -> String {
    let milliseconds = i64::try_from(number).expect("a bench is small") * 2;
    let at = first_at + TimeDelta::milliseconds(milliseconds);
    let outcome = if number.is_multiple_of(20) {
        ("FAILED", "false")
    } else {
        ("SUCCESS", "true")
    };
    format!(
        concat!(
            r#"{{"cef_version":0,"event_class_id":"AUTHENTICATION_TYPE_BASIC","event_product":"Dev-Portal","#,
            r#""event_ts":"{}","event_vendor":"KongInc","event_version":"1.0","#,
            r#""name":"AUTHENTICATION_OUTCOME_{}","org_id":"998db3e4-5cb7-4dd5-b51c-9878096a6999","#,
            r#""portal_id":"3e551b39-227d-4297-b911-e68fd5d77c17","#,
            r#""principal_id":"00000000-0000-4000-8000-{:012}","request":"/api/v3/developer/authenticate","#,
            r#""rt":"{}","severity":0,"src":"172.71.{}.{}","success":"{}","trace_id":{},"#,
            r#""user_agent":"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0{}"}}"#
        ),
        at.format("%Y-%m-%dT%H:%M:%SZ"),
        outcome.0,
        person,
        at.timestamp_millis(),
        address / 256 % 256,
        address % 256,
        outcome.1,
        // Above 2^53, where a float loses digits.
        3_360_194_145_499_000_000 + number,
        rest,
    )
}

/// Requests of `entries_each` lines, compressed as Konnect does it. What does not fill one is left
/// out.
pub(crate) fn requests(lines: &[String], entries_each: usize) -> Requests {
    let prepared = in_parallel(lines.len() / entries_each, |numbers| {
        numbers
            .map(|number| {
                let first = number * entries_each;
                request(&lines[first..first + entries_each].join("\n"))
            })
            .collect()
    });
    Requests {
        prepared: Arc::new(prepared),
        entries_each,
    }
}

fn request(body: &str) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder
        .write_all(body.as_bytes())
        .and_then(|()| encoder.finish())
        .map(|body| {
            let mut request = format!(
                concat!(
                    "POST /audit-logs HTTP/1.1\r\nHost: usher\r\nAuthorization: {}\r\n",
                    "Content-Type: text/plain\r\nContent-Encoding: application/gzip\r\n",
                    "Content-Length: {}\r\n\r\n"
                ),
                AUTHORIZATION,
                body.len()
            )
            .into_bytes();
            request.extend_from_slice(&body);
            request.into()
        })
        .expect("writing to memory cannot fail")
}

/// Makes `count` things on every core, in order.
fn in_parallel<T: Send>(count: usize, make: impl Fn(Range<usize>) -> Vec<T> + Sync) -> Vec<T> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let share = count.div_ceil(cores);
    thread::scope(|scope| {
        let parts: Vec<_> = (0..cores)
            .map(|core| {
                let range = (core * share).min(count)..((core + 1) * share).min(count);
                scope.spawn(|| make(range))
            })
            .collect();
        parts
            .into_iter()
            .flat_map(|part| part.join().expect("making entries does not panic"))
            .collect()
    })
}

//! Writes are taken from the console's own forms alone: each form has a token that only a page of
//! the same session could have, and a browser that says where a request comes from must name this
//! host.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use url::Url;

use crate::http::Problem;
use crate::http::parameters::bad_request;

/// The field of every form that writes.
pub(super) const FIELD: &str = "csrf";
/// Bytes of a form at most: a rules file that is tried is the largest.
const MAX_FORM_BYTES: usize = 512 * 1024;
/// A form that takes longer is given up.
const FORM_TIME: Duration = Duration::from_secs(10);
/// Forms of strangers that are read at once.
const STRANGERS_FORMS: usize = 32;

/// The token of the forms of whoever has this secret; it does not reveal the secret.
pub(super) fn token(secret: &str) -> String {
    let hash = Sha256::new()
        .chain_update("usher console form ")
        .chain_update(secret)
        .finalize();
    URL_SAFE_NO_PAD.encode(hash)
}

/// Whether `given` is the token of the forms of whoever has this secret.
pub(super) fn fits(secret: &str, given: &str) -> bool {
    token(secret).as_bytes().ct_eq(given.as_bytes()).into()
}

/// Whether the browser says that the request comes from a page of the console, or does not say it:
/// of `console`, where people reach it, or of the host that the request names. A proxy in between
/// may name another host than people see.
pub(super) fn is_own(request: &Request, console: Option<&Url>) -> bool {
    let headers = request.headers();
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let origin = origin.to_str().ok().and_then(|text| Url::parse(text).ok());
    let Some(origin) = origin else {
        return false;
    };
    if console.is_some_and(|console| console.origin() == origin.origin()) {
        return true;
    }
    let port = origin.port().map(|port| format!(":{port}"));
    let named = origin.host_str().unwrap_or_default().to_owned() + &port.unwrap_or_default();
    // HTTP/2 has the host in the address alone.
    let host = headers.get(header::HOST).map(|host| host.to_str().ok());
    let host = host.unwrap_or_else(|| request.uri().authority().map(Authority::as_str));
    host.is_some_and(|host| host.eq_ignore_ascii_case(&named))
}

/// The answer to a form that is of another page or session.
pub(super) fn refused() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "this form is not of this session: load the page again, then try once more",
    )
}

/// The body of a form, under its bounds. A form that does not arrive in time is answered 408, and
/// its connection is closed: nobody keeps one busy by sending nothing.
pub(super) async fn read_form(body: Body) -> Result<Bytes, Problem> {
    timeout(FORM_TIME, to_bytes(body, MAX_FORM_BYTES))
        .await
        .map_err(|_| Problem::too_slow())?
        .map_err(|_| bad_request("the form is too large, or it broke off"))
}

/// Forms of people who are not signed in that are read at once. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct StrangersForms(Arc<Semaphore>);

impl Default for StrangersForms {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(STRANGERS_FORMS)))
    }
}

impl StrangersForms {
    /// The body of a form, if there is a place for it. A stranger who sends slowly then occupies a
    /// place of these, and none of the connections that deliveries need.
    pub(super) async fn read(&self, body: Body) -> Result<Bytes, Problem> {
        let Ok(_place) = self.0.try_acquire() else {
            let full = "many sign in at this moment, try again";
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, full);
            return Err(problem
                .with(header::RETRY_AFTER, "5")
                .with(header::CONNECTION, "close"));
        };
        read_form(body).await
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::extract::Request;

    use super::{fits, is_own, token};

    #[test]
    fn a_token_fits_its_secret_alone() {
        assert!(fits("a", &token("a")));
        assert!(!fits("b", &token("a")));
        assert!(!fits("a", ""));
        assert!(!token("a secret").contains("secret"));
    }

    #[test]
    fn requests_of_other_pages_are_noticed() {
        for (headers, own) in [
            (&[][..], true),
            (&[("host", "h:1"), ("origin", "http://h:1")], true),
            (&[("host", "h"), ("origin", "https://h")], true),
            (&[("host", "h:1"), ("origin", "http://evil")], false),
            (&[("host", "h:1"), ("origin", "null")], false),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "same-site")], false),
        ] {
            let mut request = Request::builder();
            for &(name, value) in headers {
                request = request.header(name, value);
            }
            let request = request.body(Body::empty()).unwrap();
            assert_eq!(is_own(&request, None), own, "{headers:?}");
        }
    }

    #[test]
    fn a_console_behind_a_proxy_and_over_http_2_knows_its_own_pages() {
        let console = "https://usher.example/".parse().unwrap();
        let request = |uri: &str, origin: &str| {
            let request = Request::builder().uri(uri).header("origin", origin);
            request.body(Body::empty()).unwrap()
        };
        let mut proxied = request("/pause", "https://usher.example");
        let host = "10.0.0.7:8088".parse().unwrap();
        proxied.headers_mut().insert("host", host);
        assert!(is_own(&proxied, Some(&console)));
        assert!(!is_own(&proxied, None));
        let second = request("https://usher.example/pause", "https://usher.example");
        assert!(is_own(&second, None));
        let foreign = request("https://usher.example/pause", "https://evil.example");
        assert!(!is_own(&foreign, Some(&console)));
    }
}

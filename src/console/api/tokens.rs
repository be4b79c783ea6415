//! Who may read the API.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use subtle::{Choice, ConstantTimeEq};

use crate::config::ConsoleToken;
use crate::http::Problem;

/// The accepted tokens, hashed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tokens(Arc<Vec<[u8; 32]>>);

impl Tokens {
    /// Accepts each of `tokens`.
    pub fn new(tokens: &[ConsoleToken]) -> Self {
        let hash = |token: &ConsoleToken| Sha256::digest(token.token.expose().as_bytes()).into();
        Self(Arc::new(tokens.iter().map(hash).collect()))
    }

    fn accepts(&self, given: &str) -> bool {
        let given: [u8; 32] = Sha256::digest(given.as_bytes()).into();
        let found = self
            .0
            .iter()
            .fold(Choice::from(0), |found, token| found | token.ct_eq(&given));
        found.into()
    }
}

/// Lets a request through when it carries one of the tokens.
pub(super) async fn require(
    State(tokens): State<Tokens>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let header = request.headers().get(header::AUTHORIZATION);
    let bearer = header
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    if bearer.is_some_and(|token| tokens.accepts(token)) {
        return Ok(next.run(request).await);
    }
    Err(Problem::new(
        StatusCode::UNAUTHORIZED,
        "send Authorization: Bearer and a console token",
    )
    .with(header::WWW_AUTHENTICATE, "Bearer"))
}

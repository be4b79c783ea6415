//! Who may use the API, and for what.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use subtle::ConstantTimeEq;

use crate::config::{ConsoleToken, Role};
use crate::http::Problem;

/// The accepted tokens, hashed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tokens(Arc<Vec<([u8; 32], Caller)>>);

/// Whose token a request carries.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    name: String,
    role: Role,
}

impl Caller {
    /// The token's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it may change something.
    pub(super) fn is_operator(&self) -> bool {
        self.role == Role::Operator
    }
}

impl Tokens {
    /// Accepts each of `tokens`.
    pub fn new(tokens: &[ConsoleToken]) -> Self {
        let accepted = tokens.iter().map(|token| {
            let caller = Caller {
                name: token.name.clone(),
                role: token.role,
            };
            let hash = Sha256::digest(token.token.expose().as_bytes());
            (hash.into(), caller)
        });
        Self(Arc::new(accepted.collect()))
    }

    /// Whether `headers` carry one of them.
    pub fn admit(&self, headers: &HeaderMap) -> bool {
        self.caller(headers).is_some()
    }

    fn caller(&self, headers: &HeaderMap) -> Option<&Caller> {
        let header = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = header.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then(|| self.owner(token.trim()))?
    }

    /// Whose token this is. Compares all of them, so that its time reveals nothing.
    fn owner(&self, given: &str) -> Option<&Caller> {
        let given: [u8; 32] = Sha256::digest(given.as_bytes()).into();
        self.0.iter().fold(None, |found, (token, caller)| {
            if token.ct_eq(&given).into() {
                Some(caller)
            } else {
                found
            }
        })
    }
}

/// Lets a request through when it carries one of the tokens, with its [`Caller`].
pub(super) async fn require(
    State(tokens): State<Tokens>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if let Some(caller) = tokens.caller(request.headers()) {
        request.extensions_mut().insert(caller.clone());
        return Ok(next.run(request).await);
    }
    Err(Problem::new(
        StatusCode::UNAUTHORIZED,
        "send Authorization: Bearer and a console token",
    )
    .with(header::WWW_AUTHENTICATE, "Bearer"))
}

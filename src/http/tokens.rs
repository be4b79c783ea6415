//! Console tokens: who may read, and who may act. The API takes them as bearer tokens, the console
//! for a session.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::config::{ConsoleToken, Role};
use crate::http::Problem;

/// The hash of a token, which says whose it is and cannot be used instead of it.
pub type TokenHash = [u8; 32];

/// The accepted tokens, hashed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tokens(Arc<Vec<(TokenHash, Caller)>>);

/// Whose token a request carries.
#[derive(Clone, Debug)]
pub struct Caller {
    name: String,
    role: Role,
}

impl Caller {
    /// The token's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the token may do.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether it may change something.
    pub fn is_operator(&self) -> bool {
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
            (hash(token.token.expose()), caller)
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
            .then(|| self.owner(&hash(token.trim())))?
    }

    /// The hash of `token` if it is one of them.
    pub fn recognise(&self, token: &str) -> Option<TokenHash> {
        let hash = hash(token.trim());
        self.owner(&hash).map(|_| hash)
    }

    /// Whose token has this hash. Compares all of them, so that its time reveals nothing.
    pub fn owner(&self, given: &TokenHash) -> Option<&Caller> {
        self.0.iter().fold(None, |found, (token, caller)| {
            if token.ct_eq(given).into() {
                Some(caller)
            } else {
                found
            }
        })
    }

    /// Everybody who has one, in the order of the configuration.
    pub fn callers(&self) -> impl Iterator<Item = (&TokenHash, &Caller)> {
        self.0.iter().map(|(hash, caller)| (hash, caller))
    }
}

fn hash(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

/// Lets a request through when it carries one of the tokens, with its [`Caller`].
pub async fn require(
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

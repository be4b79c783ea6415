//! Console tokens: who may read, who may act, and for which portals. The API takes them as bearer
//! tokens, the console for a session.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::time::Instant;

use crate::config::{ConsoleToken, Role};
use crate::http::{PortalScope, Problem};

/// The hash of a token, which says whose it is and cannot be used instead of it.
pub type TokenHash = [u8; 32];

/// The accepted tokens, hashed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tokens(Arc<Accepted>);

#[derive(Debug)]
struct Accepted {
    tokens: Vec<(TokenHash, Caller, LastUse)>,
    /// When they were first accepted.
    since: Instant,
}

/// When a token was last used as a bearer token, in milliseconds since it was first accepted; 0 if
/// it was not. It is in memory alone: nothing is written for a read.
#[derive(Debug, Default)]
struct LastUse(AtomicU64);

/// Whose token a request carries.
#[derive(Clone, Debug)]
pub struct Caller {
    name: String,
    role: Role,
    portals: PortalScope,
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

    /// The portals that it is for.
    pub fn portals(&self) -> &PortalScope {
        &self.portals
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
                portals: PortalScope::of(token.portals.as_deref()),
            };
            (hash(token.token.expose()), caller, LastUse::default())
        });
        Self(Arc::new(Accepted {
            tokens: accepted.collect(),
            since: Instant::now(),
        }))
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
            .then(|| self.find(&hash(token.trim())))?
            .map(|(_, caller, last_use)| {
                let millis = self.0.since.elapsed().as_millis();
                let millis = u64::try_from(millis).unwrap_or(u64::MAX).max(1);
                last_use.0.store(millis, Ordering::Relaxed);
                caller
            })
    }

    /// How long ago a token was last used as a bearer token in this process; none if it was not.
    pub fn used_ago(&self, hash: &TokenHash) -> Option<Duration> {
        let (_, _, last_use) = self.find(hash)?;
        let millis = last_use.0.load(Ordering::Relaxed);
        let at = Duration::from_millis(millis);
        (millis > 0).then(|| self.0.since.elapsed().saturating_sub(at))
    }

    /// The hash of `token` if it is one of them.
    pub fn recognise(&self, token: &str) -> Option<TokenHash> {
        let hash = hash(token.trim());
        self.owner(&hash).map(|_| hash)
    }

    /// Whose token has this hash.
    pub fn owner(&self, given: &TokenHash) -> Option<&Caller> {
        self.find(given).map(|(_, caller, _)| caller)
    }

    /// Compares all of them, so that its time reveals nothing.
    fn find(&self, given: &TokenHash) -> Option<&(TokenHash, Caller, LastUse)> {
        self.0.tokens.iter().fold(None, |found, accepted| {
            if accepted.0.ct_eq(given).into() {
                Some(accepted)
            } else {
                found
            }
        })
    }

    /// Everybody who has one, in the order of the configuration.
    pub fn callers(&self) -> impl Iterator<Item = (&TokenHash, &Caller)> {
        let tokens = self.0.tokens.iter();
        tokens.map(|(hash, caller, _)| (hash, caller))
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

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};

    use super::{Tokens, hash};
    use crate::config::{ConsoleToken, Role, Secret};

    #[test]
    fn a_token_is_noted_as_used_when_it_is_sent() {
        let token = |name: &str| ConsoleToken {
            name: name.to_owned(),
            role: Role::Reader,
            portals: None,
            token: Secret::new(format!("secret of {name}")),
        };
        let tokens = Tokens::new(&[token("ada"), token("bob")]);
        let mut headers = HeaderMap::new();
        let bearer = HeaderValue::from_static("Bearer secret of ada");
        headers.insert(header::AUTHORIZATION, bearer);
        assert!(tokens.admit(&headers));
        assert!(tokens.used_ago(&hash("secret of ada")).is_some());
        assert!(tokens.used_ago(&hash("secret of bob")).is_none());
    }
}

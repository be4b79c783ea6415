//! Who is signed in: a random secret in a cookie, of which the database has the hash. Whose console
//! token a session stands for, and what that may do, is looked up at every request, so that a token
//! that is taken away ends its sessions.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::act::Person;
use crate::clock::Ids;
use crate::config::Role;
use crate::console::{Console, csrf};
use crate::http::parameters::bad_request;
use crate::http::tokens::{Caller, TokenHash};
use crate::http::{PortalScope, Problem};
use crate::journal::JournalError;

/// Whoever looks at a page.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    /// The name of their console token.
    pub(super) name: String,
    /// What it may do.
    pub(super) role: Role,
    /// The portals that it is for.
    pub(super) portals: PortalScope,
    /// The token of the forms on their pages.
    pub(super) csrf: String,
    /// Their console token.
    pub(super) token_hash: TokenHash,
}

impl Visitor {
    /// Whether they may act.
    pub(super) fn is_operator(&self) -> bool {
        self.role == Role::Operator
    }

    /// Whether they may see every portal, and what belongs to none.
    pub(super) fn sees_all(&self) -> bool {
        self.portals.is_all()
    }

    /// Them as a person who acts, with the reason that they typed, if any.
    pub(super) fn person(&self, reason: Option<&str>) -> Result<Person, Problem> {
        if !self.is_operator() {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "your token may only read: it takes one with role operator",
            ));
        }
        let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
        Person::new(&self.name, reason).map_err(|error| bad_request(format!("reason: {error}")))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Put there by the gate, without which no page is reached.
        parts
            .extensions
            .get()
            .cloned()
            .ok_or_else(|| Problem::new(StatusCode::UNAUTHORIZED, "sign in first"))
    }
}

/// The name of the cookie. A browser takes one with the prefix from this host by TLS alone.
fn cookie_name(is_secure: bool) -> &'static str {
    if is_secure { "__Host-usher" } else { "usher" }
}

/// The value of a cookie of a request.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).into_iter();
    cookies
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

/// A cookie that no script sees and no other site sends along with a form.
pub(super) fn set_cookie(name: &str, value: &str, is_secure: bool, seconds: u64) -> HeaderValue {
    let secure = if is_secure { "; Secure" } else { "" };
    let line = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    // Names are ours, values are base64.
    HeaderValue::from_str(&line).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Begins a session for the token instead of the one of the request; returns the cookie.
pub(super) async fn begin(
    console: &Console,
    headers: &HeaderMap,
    token_hash: &TokenHash,
) -> Result<HeaderValue, JournalError> {
    if let Some(former) = cookie(headers, cookie_name(console.is_secure)) {
        console.journal.end_session(&hash(former)).await?;
    }
    let secret = Ids::secret();
    console
        .journal
        .begin_session(&hash(&secret), token_hash)
        .await?;
    let seconds = crate::journal::SESSION_ABSOLUTE.as_secs();
    let name = cookie_name(console.is_secure);
    Ok(set_cookie(name, &secret, console.is_secure, seconds))
}

/// Ends the session of a request, or all of its token; returns what makes the browser forget it.
pub(super) async fn end(
    console: &Console,
    headers: &HeaderMap,
    everywhere: Option<&TokenHash>,
) -> Result<HeaderValue, JournalError> {
    let name = cookie_name(console.is_secure);
    if let Some(secret) = cookie(headers, name) {
        console.journal.end_session(&hash(secret)).await?;
    }
    if let Some(token_hash) = everywhere {
        console.journal.end_sessions_of(token_hash).await?;
    }
    Ok(set_cookie(name, "", console.is_secure, 0))
}

/// Who is signed in by the cookie of a request; nobody once the session or its token is gone.
pub(super) async fn visitor(
    console: &Console,
    headers: &HeaderMap,
) -> Result<Option<Visitor>, JournalError> {
    let Some(secret) = cookie(headers, cookie_name(console.is_secure)) else {
        return Ok(None);
    };
    let Some(stands_for) = console.journal.session(&hash(secret)).await? else {
        return Ok(None);
    };
    let Ok(token_hash) = TokenHash::try_from(stands_for) else {
        return Ok(None);
    };
    let owner: Option<&Caller> = console.tokens.owner(&token_hash);
    Ok(owner.map(|caller| Visitor {
        name: caller.name().to_owned(),
        role: caller.role(),
        portals: caller.portals().clone(),
        csrf: csrf::token(secret),
        token_hash,
    }))
}

/// Whether the session of a request goes on. Asking does not keep it alive.
pub(super) async fn lasts(console: &Console, headers: &HeaderMap) -> Result<bool, JournalError> {
    match cookie(headers, cookie_name(console.is_secure)) {
        Some(secret) => console.journal.session_lasts(&hash(secret)).await,
        None => Ok(false),
    }
}

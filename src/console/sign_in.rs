//! The sign-in form, and what comes of it: a console token becomes a session. The way out, here or
//! everywhere. A form that was sent after its session had ended is kept and offered again.

use std::net::SocketAddr;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use tracing::{info, warn};
use url::form_urlencoded;

use crate::clock::Ids;
use crate::console::csrf::StrangersForms;
use crate::console::layout::{self, Layout};
use crate::console::session::{self, Visitor};
use crate::console::{Console, Shared, csrf, problem_page};
use crate::http::Problem;
use crate::http::parameters::bad_request;
use crate::http::tokens::Caller;
use crate::journal::journal_problem;

/// The cookie whose secret the form's anti-forgery field belongs to.
const FORM_COOKIE: &str = "usher-sign-in";
/// How long a form may stay open.
const FORM_SECONDS: u64 = 60 * 60;
/// Where the form posts to.
const PATH: &str = "/sign-in";

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route(PATH, get(by_link).post(sign_in))
        .route("/sign-out", post(sign_out))
}

/// What somebody wanted before they were asked who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Path and query of the page.
    page: String,
    /// The form that was about to be sent to it, URL-encoded.
    kept: Option<String>,
}

impl Wanted {
    /// What `request` asks for.
    pub(super) async fn of(request: Request, forms: &StrangersForms) -> Result<Self, Problem> {
        let page = request
            .uri()
            .path_and_query()
            .map_or("/", |page| page.as_str())
            .to_owned();
        if request.method() != Method::POST {
            return Ok(Self { page, kept: None });
        }
        let body = forms.read(request.into_body()).await?;
        let mut kept = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(&body) {
            if name != csrf::FIELD {
                kept.append_pair(&name, &value);
            }
        }
        Ok(Self {
            page,
            kept: Some(kept.finish()),
        })
    }

    /// A page of this console, whatever was sent: nobody is led elsewhere.
    pub(super) fn own(page: &str) -> String {
        let is_own = page.starts_with('/')
            && !page.starts_with("//")
            && !page.contains('\\')
            && !page.chars().any(char::is_control)
            && !page.starts_with(PATH);
        if is_own {
            page.to_owned()
        } else {
            "/".to_owned()
        }
    }
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    layout: Layout,
    csrf: String,
    wanted: &'a Wanted,
    mistake: Option<&'a str>,
    accepts_nobody: bool,
}

#[derive(Template)]
#[template(path = "go_on.html")]
struct GoOnPage {
    layout: Layout,
    csrf: String,
    action: String,
    fields: Vec<(String, String)>,
}

/// What was typed into the form, and what it brought along.
#[derive(Default)]
struct SignInForm {
    token: String,
    csrf: String,
    page: String,
    kept: Option<String>,
}

/// The form, with what was wrong with the last try.
pub(super) fn form(
    console: &Console,
    wanted: &Wanted,
    mistake: Option<&str>,
    status: StatusCode,
) -> Response {
    let secret = Ids::secret();
    let page = SignInPage {
        layout: Layout::new("Sign in", None),
        csrf: csrf::token(&secret),
        wanted,
        mistake,
        accepts_nobody: console.tokens.callers().next().is_none(),
    };
    let cookie = session::set_cookie(FORM_COOKIE, &secret, console.is_secure, FORM_SECONDS);
    match layout::render(&page) {
        Ok(html) => (status, [(header::SET_COOKIE, cookie)], html).into_response(),
        Err(problem) => problem_page::of(problem, None),
    }
}

async fn sign_in(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let console: Arc<Console> = Arc::clone(&shared.whole);
    let given = match shared.forms.read(request.into_body()).await {
        Ok(body) => read_fields(&body),
        Err(problem) => return problem_page::of(problem, None),
    };
    let wanted = Wanted {
        page: Wanted::own(&given.page),
        kept: given.kept.clone(),
    };
    let secret = session::cookie(&headers, FORM_COOKIE);
    let is_own_form = secret.is_some_and(|secret| csrf::fits(secret, &given.csrf));
    if !is_own_form {
        let mistake = "This form was too old, or your browser keeps no cookies. Try once more.";
        return form(&console, &wanted, Some(mistake), StatusCode::FORBIDDEN);
    }
    let address = shared.limit.client(peer, &headers);
    if let Err(wait) = shared.limit.may_try(address, &given.token) {
        let mistake = format!(
            "Too many tries. Wait {} s, then try again.",
            wait.as_secs().max(1)
        );
        let mut response = form(
            &console,
            &wanted,
            Some(&mistake),
            StatusCode::TOO_MANY_REQUESTS,
        );
        response.headers_mut().insert(
            header::RETRY_AFTER,
            HeaderValue::from(wait.as_secs().max(1)),
        );
        return response;
    }
    let Some(token_hash) = console.tokens.recognise(&given.token) else {
        shared.limit.failed(address);
        warn!(%address, "somebody could not sign in to the console");
        let mistake = "This is no console token. Tokens are in usher.toml, section console.";
        return form(&console, &wanted, Some(mistake), StatusCode::UNAUTHORIZED);
    };
    let cookie = match session::begin(&console, &headers, &token_hash).await {
        Ok(cookie) => cookie,
        Err(error) => return problem_page::of(journal_problem(&error), None),
    };
    let name = console.tokens.owner(&token_hash).map(Caller::name);
    info!(name, %address, "somebody signed in to the console");
    arrive(&wanted, cookie)
}

/// The fields of the form; what is missing is empty.
fn read_fields(body: &[u8]) -> SignInForm {
    let mut form = SignInForm::default();
    for (name, value) in form_urlencoded::parse(body) {
        match &*name {
            "token" => form.token = value.into_owned(),
            csrf::FIELD => form.csrf = value.into_owned(),
            "page" => form.page = value.into_owned(),
            "kept" => form.kept = Some(value.into_owned()),
            _ => {}
        }
    }
    form
}

/// Leads to the page that was wanted; what was about to be sent to it is shown first.
fn arrive(wanted: &Wanted, cookie: HeaderValue) -> Response {
    let Some(kept) = &wanted.kept else {
        return see_other(&wanted.page, cookie);
    };
    let secret = cookie
        .to_str()
        .ok()
        .and_then(|line| line.split(';').next()?.split_once('='))
        .map(|(_, secret)| secret.to_owned())
        .unwrap_or_default();
    let page = GoOnPage {
        layout: Layout::new("Send it again?", None),
        csrf: csrf::token(&secret),
        action: wanted.page.clone(),
        fields: form_urlencoded::parse(kept.as_bytes())
            .into_owned()
            .collect(),
    };
    match layout::render(&page) {
        Ok(html) => ([(header::SET_COOKIE, cookie)], html).into_response(),
        Err(problem) => problem_page::of(problem, None),
    }
}

fn see_other(page: &str, cookie: HeaderValue) -> Response {
    let to = HeaderValue::from_str(page).unwrap_or_else(|_| HeaderValue::from_static("/"));
    let headers = [(header::SET_COOKIE, cookie), (header::LOCATION, to)];
    (StatusCode::SEE_OTHER, headers).into_response()
}

#[derive(Debug, Deserialize)]
struct Link {
    once: Option<String>,
}

/// A link that signs somebody in, once and from this machine only; without one, the form.
async fn by_link(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Query(link): Query<Link>,
) -> Response {
    let console: Arc<Console> = Arc::clone(&shared.whole);
    let wanted = Wanted {
        page: "/".to_owned(),
        kept: None,
    };
    let Some(once) = link.once else {
        return form(&console, &wanted, None, StatusCode::OK);
    };
    let token_hash = shared
        .limit
        .is_local(peer, &headers)
        .then(|| console.links.take(&once))
        .flatten();
    let Some(token_hash) = token_hash else {
        let mistake = "This link was used already, is too old, or is not for this machine.";
        return form(&console, &wanted, Some(mistake), StatusCode::GONE);
    };
    match session::begin(&console, &headers, &token_hash).await {
        Ok(cookie) => see_other("/", cookie),
        Err(error) => problem_page::of(journal_problem(&error), None),
    }
}

/// Ends the session, with `everywhere=1` all of its token.
async fn sign_out(State(shared): State<Shared>, request: Request) -> Response {
    let console: Arc<Console> = Arc::clone(&shared.whole);
    let headers = request.headers().clone();
    let visitor: Option<Visitor> = match session::visitor(&console, &headers).await {
        Ok(visitor) => visitor,
        Err(error) => return problem_page::of(journal_problem(&error), None),
    };
    let body = match &visitor {
        Some(_) => csrf::read_form(request.into_body()).await,
        None => shared.forms.read(request.into_body()).await,
    };
    let body = match body {
        Ok(body) => body,
        Err(problem) => return problem_page::of(problem, visitor.as_ref()),
    };
    let mut everywhere = None;
    if let Some(visitor) = &visitor {
        let has = |field: &str, wanted: &str| {
            form_urlencoded::parse(&body).any(|(name, value)| name == field && value == wanted)
        };
        if !has(csrf::FIELD, &visitor.csrf) {
            let problem = bad_request("this form is not of this session: load the page again");
            return problem_page::of(problem, Some(visitor));
        }
        everywhere = has("everywhere", "1").then_some(&visitor.token_hash);
    }
    match session::end(&console, &headers, everywhere).await {
        Ok(cookie) => see_other("/", cookie),
        Err(error) => problem_page::of(journal_problem(&error), visitor.as_ref()),
    }
}

#[cfg(test)]
mod tests {
    use super::Wanted;

    #[test]
    fn nobody_is_led_elsewhere() {
        for (page, led) in [
            ("/events?name=a", "/events?name=a"),
            ("//evil.example", "/"),
            ("https://evil.example", "/"),
            ("/\\evil.example", "/"),
            ("/a\r\nb", "/"),
            ("/sign-in", "/"),
            ("", "/"),
        ] {
            assert_eq!(Wanted::own(page), led, "{page:?}");
        }
    }
}

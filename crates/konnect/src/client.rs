//! The client and how it is built.
//!
//! Only this file decides on hosts, TLS and timeouts; what a call is made of is in `transport`. It
//! knows no resource: the way from a [`Client`] to a resource stands in the resource's own file.

use std::fmt;
use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime};

use reqwest::redirect;
use secrecy::SecretString;
use url::Url;

use crate::auth;
use crate::budget::RateLimit;
use crate::error::Error;
use crate::transport::{Attempt, Observer, RetryPolicy, Transport};

/// Longest a call may take unless the caller says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest a connection may take; a host that is away is known sooner than a slow one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Every host of Konnect's API ends in this; `global` comes before it for the organisation's own.
const KONNECT_DOMAIN: &str = ".api.konghq.com";
/// Host of what belongs to the whole organisation.
const KONNECT_GLOBAL: &str = "https://global.api.konghq.com";

/// Client of one region of Konnect; clones share connections and rate limit.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) transport: Arc<Transport>,
}

impl Client {
    /// Begins a client for the region at `base_url`, which has no version path.
    pub fn builder(base_url: Url) -> ClientBuilder {
        ClientBuilder {
            base_url,
            global_url: None,
            token: None,
            pace: None,
            timeout: DEFAULT_TIMEOUT,
            user_agent: concat!("konnect-rs/", env!("CARGO_PKG_VERSION")).to_owned(),
            retries: RetryPolicy::default(),
            observer: None,
        }
    }

    /// Takes another access token for every call that begins from now on; clones of this client
    /// take it too, and those of another rate limit.
    ///
    /// # Errors
    /// One that no header can carry; the token of before stays.
    pub fn set_token(&self, token: &SecretString) -> Result<(), Error> {
        self.transport.set_authorization(auth::bearer(token)?);
        Ok(())
    }

    /// What the API's clock shows: the `Date` of the latest answer and the time since then; none
    /// before the first answer. It is right to about a second. A `Date` that is over a minute off
    /// what the answers before led to expect counts once a second answer agrees with it.
    pub fn server_time(&self) -> Option<SystemTime> {
        self.transport.server_time()
    }

    /// The same client, whose calls wait for another rate limit.
    #[must_use]
    pub fn with_rate_limit(&self, pace: Arc<dyn RateLimit>) -> Self {
        let mut transport = Transport::clone(&self.transport);
        transport.pace = Some(pace);
        Self {
            transport: Arc::new(transport),
        }
    }
}

/// What a [`Client`] is built from.
pub struct ClientBuilder {
    base_url: Url,
    global_url: Option<Url>,
    token: Option<SecretString>,
    pace: Option<Arc<dyn RateLimit>>,
    timeout: Duration,
    user_agent: String,
    retries: RetryPolicy,
    observer: Option<Observer>,
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ClientBuilder")
            .field("base_url", &self.base_url.as_str())
            .field("has_token", &self.token.is_some())
            .finish_non_exhaustive()
    }
}

impl ClientBuilder {
    /// Sets the host of what belongs to the whole organisation.
    ///
    /// By default that is Konnect's global host if the base URL is one of Konnect's, else the base
    /// URL.
    #[must_use]
    pub fn global_url(mut self, url: Url) -> Self {
        self.global_url = Some(url);
        self
    }

    /// Sets the access token; without one, calls have no `Authorization`.
    #[must_use]
    pub fn token(mut self, token: SecretString) -> Self {
        self.token = Some(token);
        self
    }

    /// Makes every attempt wait for this rate limit, which other clients may share: one of
    /// `governor`, or a class of a [`Budget`](crate::Budget).
    #[must_use]
    pub fn rate_limit(mut self, pace: Arc<dyn RateLimit>) -> Self {
        self.pace = Some(pace);
        self
    }

    /// Sets how long one attempt may take, the answer's body included; 20 seconds by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the `User-Agent`.
    #[must_use]
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// Sets how reads are repeated.
    #[must_use]
    pub fn retries(mut self, retries: RetryPolicy) -> Self {
        self.retries = retries;
        self
    }

    /// Calls `observer` after every attempt, for metrics; it must not block.
    #[must_use]
    pub fn on_attempt(mut self, observer: impl Fn(&Attempt) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Builds the client; nothing is sent yet.
    pub fn build(self) -> Result<Client, Error> {
        let region = checked(self.base_url)?;
        let global = match self.global_url {
            Some(url) => checked(url)?,
            None => default_global(&region),
        };
        let authorization = self.token.as_ref().map(auth::bearer).transpose()?;
        let http = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(self.timeout)
            .connect_timeout(CONNECT_TIMEOUT.min(self.timeout))
            .user_agent(self.user_agent)
            .build()
            .map_err(|_| Error::Configuration {
                message: "the user agent or the TLS set-up cannot be used",
            })?;
        let (pace, retries, observer) = (self.pace, self.retries, self.observer);
        let transport = Transport {
            http,
            region,
            global,
            authorization: Arc::new(RwLock::new(authorization)),
            pace,
            retries,
            observer,
            clock: Arc::default(),
        };
        Ok(Client {
            transport: Arc::new(transport),
        })
    }
}

/// Refuses URLs that calls would go astray with.
fn checked(url: Url) -> Result<Url, Error> {
    let refuse = |message| Err(Error::Url { message });
    if !matches!(url.scheme(), "http" | "https") {
        return refuse("it is neither http nor https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("it holds credentials");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refuse("it has a query or a fragment");
    }
    let last = url.path().trim_end_matches('/').rsplit('/').next();
    if matches!(last, Some("v1" | "v2" | "v3")) {
        return refuse("it ends in a version, which calls add themselves");
    }
    Ok(url)
}

fn default_global(region: &Url) -> Url {
    if region
        .host_str()
        .is_some_and(|host| host.ends_with(KONNECT_DOMAIN))
    {
        return Url::parse(KONNECT_GLOBAL).expect("a constant URL");
    }
    region.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(base: &str) -> Result<Client, Error> {
        Client::builder(Url::parse(base).unwrap())
            .token("kpat_secret".into())
            .build()
    }

    #[test]
    fn finds_the_global_host_of_konnect_only() {
        let cases = [
            (
                "https://eu.api.konghq.com",
                "https://global.api.konghq.com/",
            ),
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000/"),
            (
                "https://api.konghq.com.example",
                "https://api.konghq.com.example/",
            ),
        ];
        for (base, expected) in cases {
            assert_eq!(
                built(base).unwrap().transport.global.as_str(),
                expected,
                "{base}"
            );
        }
    }

    #[test]
    fn refuses_urls_that_calls_would_go_astray_with() {
        for base in [
            "ftp://eu.api.konghq.com",
            "https://user:password@eu.api.konghq.com",
            "https://eu.api.konghq.com/v3",
            "https://eu.api.konghq.com/v2/",
            "https://eu.api.konghq.com?x=1",
        ] {
            let error = built(base).unwrap_err();
            assert!(matches!(error, Error::Url { .. }), "{base}");
            assert!(!error.to_string().contains("password"), "{base}");
        }
    }

    #[test]
    fn shows_the_token_nowhere() {
        let builder = Client::builder(Url::parse("http://localhost").unwrap());
        let builder = builder.token("kpat_secret".into());
        assert!(!format!("{builder:?}").contains("kpat"));
        assert!(!format!("{:?}", builder.build().unwrap()).contains("kpat"));
    }
}

//! Asks a running usher whether it is there, and whether it accepts a value of `Authorization`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, redirect};
use url::Url;

use crate::cli::CliError;
use crate::config::Config;
use crate::ingest::USED_AGO_HEADER;

const PATIENCE: Duration = Duration::from_secs(5);

/// What an usher says to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// It accepts the value, which was last used to deliver so long ago; none where that did not
    /// happen since it was started.
    Accepts(Option<Duration>),
    Refuses,
    /// It is not there, or it is no usher.
    Silent(String),
}

/// An ingest endpoint that can be asked.
#[derive(Debug)]
pub(super) struct Probe {
    client: Client,
    pub(super) url: Url,
}

impl Probe {
    /// The usher of this configuration, where it listens.
    pub(super) fn local(config: &Config) -> Result<Self, CliError> {
        let listen = reachable(config.http.listen);
        let has_tls = config.http.tls.cert.is_some();
        let scheme = if has_tls { "https" } else { "http" };
        let url = format!("{scheme}://{listen}{}", config.ingest.path);
        let url = url.parse().context("http.listen makes no url")?;
        // A certificate names the public host, never the machine's own address.
        let anything = has_tls && listen.ip().is_loopback();
        let client = builder()
            .no_proxy()
            .tls_danger_accept_invalid_certs(anything);
        Self::of(client, url)
    }

    /// The usher at a public URL.
    pub(super) fn public(url: Url) -> Result<Self, CliError> {
        Self::of(builder(), url)
    }

    fn of(client: reqwest::ClientBuilder, url: Url) -> Result<Self, CliError> {
        let client = client.build().context("could not make an http client")?;
        Ok(Self { client, url })
    }

    /// Posts an empty body, which delivers nothing, with the value.
    pub(super) async fn ask(&self, value: &str) -> Reply {
        let Ok(mut header) = HeaderValue::from_bytes(value.as_bytes()) else {
            return Reply::Silent("the value cannot be sent in a header".to_owned());
        };
        header.set_sensitive(true);
        let request = self.client.post(self.url.clone());
        let answer = request.header(AUTHORIZATION, header).body("").send().await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Reply::Silent(told(&error)),
        };
        let used_ago = answer.headers().get(USED_AGO_HEADER);
        let used_ago = used_ago
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_millis);
        match answer.status().as_u16() {
            // It was authorised, whether the record answers or not.
            200 | 202 | 429 | 500 => Reply::Accepts(used_ago),
            401 => Reply::Refuses,
            status => Reply::Silent(format!("it answers {status}")),
        }
    }

    /// Whether `GET /healthz` of the same host is answered as usher does.
    ///
    /// # Errors
    /// Says what came instead.
    pub(super) async fn is_there(&self) -> Result<(), String> {
        let mut url = self.url.clone();
        url.set_path("/healthz");
        let answer = self.client.get(url).send().await;
        match answer {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("it answers {}", answer.status().as_u16())),
            Err(error) => Err(told(&error)),
        }
    }
}

fn builder() -> reqwest::ClientBuilder {
    Client::builder()
        .timeout(PATIENCE)
        .redirect(redirect::Policy::none())
        .user_agent(concat!("usher/", env!("CARGO_PKG_VERSION")))
}

/// Where something that listens on all addresses is reached.
fn reachable(mut listen: SocketAddr) -> SocketAddr {
    if listen.ip().is_unspecified() {
        listen.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    listen
}

/// Why there was no answer, by the innermost cause: the outer ones repeat the URL.
fn told(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it does not answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

//! What is called: an emulator, or a real Konnect with a portal to use up.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};

use crate::{conformance::answer::Answer, support::Konnect};

/// The first region of the documents.
const REGION: &str = "https://us.api.konghq.com";

/// A Konnect to call.
pub(super) struct Target {
    pub(super) url: String,
    token: String,
    client: reqwest::Client,
    /// The portal to use up; an emulator makes as many as are needed.
    pub(super) portal: Option<String>,
    emulator: Option<Konnect>,
}

impl Target {
    /// Starts an emulator.
    pub(super) async fn emulated() -> Self {
        let konnect = Konnect::start().await;
        Self {
            url: konnect.emulator.url(),
            token: konnect.emulator.token().to_owned(),
            client: konnect.client.clone(),
            portal: None,
            emulator: Some(konnect),
        }
    }

    /// Takes a Konnect that is there, of which one portal may be used up.
    pub(super) fn given(url: String, token: String, portal: String) -> Self {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_mins(1))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self {
            url,
            token,
            client,
            portal: Some(portal),
            emulator: None,
        }
    }

    /// Takes the Konnect of `KONNECT_URL` (else that of the first region) with `KONNECT_TOKEN` and
    /// `KONNECT_PORTAL`, if they are set.
    pub(super) fn of_environment() -> Option<Self> {
        let read = |name: &str| std::env::var_os(name)?.into_string().ok();
        let url = read("KONNECT_URL").unwrap_or_else(|| REGION.to_owned());
        Some(Self::given(
            url,
            read("KONNECT_TOKEN")?,
            read("KONNECT_PORTAL")?,
        ))
    }

    /// Begins a request with the token.
    pub(super) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.request_without_token(method, path)
            .bearer_auth(&self.token)
    }

    /// Begins a request without a token.
    pub(super) fn request_without_token(
        &self,
        method: &str,
        path: &str,
    ) -> reqwest::RequestBuilder {
        let method = method.parse().unwrap();
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// Sends a request; a real Konnect may ask for patience.
    pub(super) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        for _ in 0..5 {
            let response = request.try_clone().unwrap().send().await.unwrap();
            if response.status() != 429 {
                return Answer::read(response).await;
            }
            let seconds = response.headers().get("retry-after");
            let seconds = seconds
                .and_then(|text| text.to_str().ok()?.parse().ok())
                .unwrap_or(5);
            tokio::time::sleep(Duration::from_secs(seconds)).await;
        }
        Answer::read(request.send().await.unwrap()).await
    }

    /// Returns its present.
    pub(super) fn now(&self) -> DateTime<Utc> {
        match &self.emulator {
            Some(konnect) => konnect.emulator.now(),
            None => SystemTime::now().into(),
        }
    }
}

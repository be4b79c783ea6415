//! The people of the demo: they sign up, confirm their address, try to log in, and ask for an API.
//! They use the portal's own self-service, as somebody with a browser would.

use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::lifecycle::pause;

/// How long somebody waits between two tries to log in.
const PATIENCE: Duration = Duration::from_millis(700);
const PASSWORD: &str = "a demo password";

/// Who comes, in this order, over and over. Some belong to partners, some do not, and one only
/// seems to.
const VISITORS: [(&str, &str); 8] = [
    ("james", "manchestercity.com"),
    ("john", "liverpoolfc.com"),
    ("peter", "arsenal.com"),
    ("mallory", "arsenal.com.evil.com"),
    ("kerstin", "manchestercity.com"),
    ("ada", "gmail.com"),
    ("sam", "liverpoolfc.com"),
    ("eve", "manchestercity.co"),
];

/// The domains that the demo's rules trust.
pub(super) const PARTNERS: [&str; 3] = ["manchestercity.com", "liverpoolfc.com", "arsenal.com"];

/// Somebody at the portal.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) email: String,
    http: Client,
    portal_url: String,
    mailbox_url: String,
    session: String,
}

impl Person {
    /// The `number`th visitor.
    pub(super) fn visitor(number: usize, emulator_url: &str, portal: Uuid, http: Client) -> Self {
        let (name, domain) = VISITORS[number % VISITORS.len()];
        let round = number / VISITORS.len();
        let name = if round == 0 {
            name.to_owned()
        } else {
            format!("{name}{}", round + 1)
        };
        Self {
            email: format!("{name}@{domain}"),
            http,
            portal_url: format!("{emulator_url}/portal/{portal}/api/v3"),
            mailbox_url: format!("{emulator_url}/emulator/mailbox"),
            session: String::new(),
        }
    }

    /// Signs up; from here on the portal shows them as pending.
    pub(super) async fn sign_up(&mut self) -> anyhow::Result<()> {
        let form = json!({ "email": self.email, "full_name": self.email });
        self.expect(201, Method::POST, "developer", form).await?;
        Ok(())
    }

    /// Follows the link in the mail and chooses a password.
    pub(super) async fn confirm_address(&mut self) -> anyhow::Result<()> {
        let mails: Value = self
            .http
            .get(&self.mailbox_url)
            .query(&[("email", &self.email)])
            .send()
            .await?
            .json()
            .await?;
        let token = json!({ "token": mails[0]["token"] });
        let verified = self
            .expect(202, Method::POST, "developer/verify-email", token)
            .await?;
        let form = json!({ "token": verified["token"], "password": PASSWORD });
        self.expect(204, Method::POST, "developer/reset-password", form)
            .await?;
        Ok(())
    }

    /// Tries to log in until it works; `false` when the demo ends first.
    pub(super) async fn log_in(&mut self, cancel: &CancellationToken) -> anyhow::Result<bool> {
        let form = json!({ "username": self.email, "password": PASSWORD });
        loop {
            let (status, _) = self
                .call(Method::POST, "developer/authenticate", form.clone())
                .await?;
            match status {
                204 => return Ok(true),
                401 => {}
                other => bail!("a login was answered {other}"),
            }
            if pause(PATIENCE, cancel).await {
                return Ok(false);
            }
        }
    }

    /// Makes an application and asks for the first API of the portal.
    pub(super) async fn ask_for_api(&mut self) -> anyhow::Result<()> {
        let apis = self.expect(200, Method::GET, "apis", Value::Null).await?;
        let name = format!("{}-app", self.email.split('@').next().unwrap_or_default());
        let application = self
            .expect(201, Method::POST, "applications", json!({ "name": name }))
            .await?;
        let id = application["id"]
            .as_str()
            .context("an application has an id")?;
        let path = format!("applications/{id}/registrations");
        let form = json!({ "api_id": apis["data"][0]["id"] });
        self.expect(201, Method::POST, &path, form).await?;
        Ok(())
    }

    async fn expect(
        &mut self,
        status: u16,
        method: Method,
        path: &str,
        body: Value,
    ) -> anyhow::Result<Value> {
        let (given, answer) = self.call(method, path, body).await?;
        if given != status {
            bail!("{path} was answered {given} instead of {status}: {answer}");
        }
        Ok(answer)
    }

    async fn call(
        &mut self,
        method: Method,
        path: &str,
        body: Value,
    ) -> anyhow::Result<(u16, Value)> {
        let mut request = self
            .http
            .request(method, format!("{}/{path}", self.portal_url))
            .header("cookie", &self.session);
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await?;
        let cookie = response
            .headers()
            .get("set-cookie")
            .and_then(|cookie| cookie.to_str().ok());
        if let Some((session, _)) = cookie.and_then(|cookie| cookie.split_once(';')) {
            session.clone_into(&mut self.session);
        }
        let status = response.status().as_u16();
        let text = response.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }
}

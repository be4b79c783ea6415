//! The people of the demo: they sign up, confirm their address, try to log in, and ask for an API.
//! They use the portal's own self-service, as somebody with a browser would.

use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::lifecycle::{backoff, pause};

/// How long somebody waits between two tries to log in: at first, and at most.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(700), Duration::from_mins(1));
/// After so many tries, which take nearly ten minutes, somebody gives up.
const MOST_TRIES: u32 = 16;
/// A natural speed, quick enough to watch; and the one of a demo that goes on.
const PACE: (Duration, Duration) = (Duration::from_millis(2_500), Duration::from_secs(5));
/// So many rounds of visitors come at the quick pace.
const QUICK_ROUNDS: usize = 3;
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

/// The domains of visitors that the demo's rules leave to a person.
const FREE_MAIL: [&str; 1] = ["gmail.com"];

/// The time from the `number`th visitor to the next.
pub(super) fn next_after(number: usize) -> Duration {
    if number < QUICK_ROUNDS * VISITORS.len() {
        PACE.0
    } else {
        PACE.1
    }
}

/// Whether no rule of the demo lets this address in or leaves it to a person.
pub(super) fn is_stranger(email: &str) -> bool {
    !has_domain(email, &PARTNERS) && !has_domain(email, &FREE_MAIL)
}

fn has_domain(email: &str, domains: &[&str]) -> bool {
    email
        .rsplit_once('@')
        .is_some_and(|(_, domain)| domains.contains(&domain))
}

/// How long somebody waits after so many tries that failed; none if they give up.
fn patience(failures: u32) -> Option<Duration> {
    let (first, longest) = PATIENCE;
    (failures < MOST_TRIES).then(|| backoff(first, failures, longest))
}

/// Where the `number`th visitor comes from: a network that is kept for tests.
fn address(number: usize) -> String {
    format!("198.18.{}.{}", number / 250 % 256, number % 250 + 1)
}

/// Somebody at the portal.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) email: String,
    address: String,
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
            address: address(number),
            http,
            portal_url: format!("{emulator_url}/portal/{portal}/api/v3"),
            mailbox_url: format!("{emulator_url}/emulator/mailbox"),
            session: String::new(),
        }
    }

    /// Whether the demo's rules trust their domain.
    pub(super) fn is_partner(&self) -> bool {
        has_domain(&self.email, &PARTNERS)
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

    /// Tries to log in, ever more seldom; `false` when they give up, or the demo ends first.
    pub(super) async fn log_in(&mut self, cancel: &CancellationToken) -> anyhow::Result<bool> {
        let form = json!({ "username": self.email, "password": PASSWORD });
        let mut failures = 0;
        loop {
            let (status, _) = self
                .call(Method::POST, "developer/authenticate", form.clone())
                .await?;
            match status {
                204 => return Ok(true),
                401 => failures += 1,
                other => bail!("a login was answered {other}"),
            }
            let Some(wait) = patience(failures) else {
                return Ok(false);
            };
            if pause(wait, cancel).await {
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
            .header("cookie", &self.session)
            .header("x-forwarded-for", &self.address);
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn whoever_waits_tries_ever_more_seldom_and_gives_up() {
        let waits: Vec<Duration> = (1..).map_while(patience).collect();
        assert_eq!(waits[0], Duration::from_millis(700));
        assert_eq!(waits[1], Duration::from_millis(1_400));
        assert!(waits.is_sorted());
        assert_eq!(waits.last(), Some(&Duration::from_mins(1)));
        let all: Duration = waits.iter().sum();
        let minutes = Duration::from_mins(9)..Duration::from_mins(11);
        assert!(minutes.contains(&all), "{all:?}");
    }

    #[test]
    fn the_demo_begins_quickly_and_goes_on_steadily() {
        assert_eq!(next_after(0), PACE.0);
        assert_eq!(next_after(23), PACE.0);
        assert_eq!(next_after(24), PACE.1);
        assert_eq!(next_after(10_000), PACE.1);
    }

    #[test]
    fn only_those_whom_no_rule_fits_are_strangers() {
        for email in [
            "mallory@arsenal.com.evil.com",
            "eve2@manchestercity.co",
            "arsenal.com",
        ] {
            assert!(is_stranger(email), "{email}");
        }
        for email in ["james@manchestercity.com", "ada20@gmail.com"] {
            assert!(!is_stranger(email), "{email}");
        }
    }

    #[test]
    fn after_an_outsider_comes_a_partner() {
        let is_partner = |(_, domain): &(&str, &str)| PARTNERS.contains(domain);
        let round: Vec<bool> = VISITORS.iter().map(is_partner).collect();
        let next = round.iter().cycle().skip(1);
        // A turn that passes takes no time: two in a row would be a longer step.
        assert!(round.iter().zip(next).all(|(now, next)| *now || *next));
    }

    #[test]
    fn each_of_an_hour_comes_from_an_address_of_their_own() {
        let addresses: HashSet<String> = (0..2_000).map(address).collect();
        assert_eq!(addresses.len(), 2_000);
        assert!(addresses.contains("198.18.0.1") && addresses.contains("198.18.1.1"));
    }
}

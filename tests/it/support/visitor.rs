//! Somebody at the emulated portal, who goes its self-service's way from a form to a session.

use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::support::konnect::{PORTAL, TestKonnect};

const PASSWORD: &str = "a password of theirs";

/// Somebody with an address, a name, and a session once they are in.
pub(crate) struct Visitor {
    pub(crate) email: String,
    full_name: String,
    emulator_url: String,
    http: Client,
    session: String,
}

impl Visitor {
    /// Signs up; from here on the portal shows them as pending.
    pub(crate) async fn sign_up(konnect: &TestKonnect, email: &str, full_name: &str) -> Self {
        let mut this = Self {
            email: email.to_owned(),
            full_name: full_name.to_owned(),
            emulator_url: konnect.emulator.url(),
            http: Client::builder()
                .timeout(Duration::from_secs(20))
                .build()
                .expect("a client"),
            session: String::new(),
        };
        let form = json!({ "email": this.email, "full_name": this.full_name });
        this.expect(201, Method::POST, "developer", form).await;
        this
    }

    /// Follows the link in the mail and chooses a password.
    pub(crate) async fn confirm_address(&mut self) {
        let mailbox = format!("{}/emulator/mailbox", self.emulator_url);
        let mails = self
            .http
            .get(mailbox)
            .query(&[("email", &self.email)])
            .send()
            .await;
        let mails: Value = mails.expect("an answer").json().await.expect("JSON");
        let token = json!({ "token": mails[0]["token"] });
        let confirmed = self
            .expect(202, Method::POST, "developer/verify-email", token)
            .await;
        let form = json!({ "token": confirmed["token"], "password": PASSWORD });
        self.expect(204, Method::POST, "developer/reset-password", form)
            .await;
    }

    /// Logs in, which works for those who were let in.
    pub(crate) async fn log_in(&mut self) {
        let form = json!({ "username": self.email, "password": PASSWORD });
        self.expect(204, Method::POST, "developer/authenticate", form)
            .await;
    }

    /// Makes an application and asks for the first API of the portal.
    pub(crate) async fn ask_for_api(&mut self) {
        let apis = self.expect(200, Method::GET, "apis", Value::Null).await;
        let form = json!({ "name": "scores" });
        let application = self.expect(201, Method::POST, "applications", form).await;
        let id = application["id"].as_str().expect("an id");
        let path = format!("applications/{id}/registrations");
        let form = json!({ "api_id": apis["data"][0]["id"] });
        self.expect(201, Method::POST, &path, form).await;
    }

    async fn expect(&mut self, status: u16, method: Method, path: &str, body: Value) -> Value {
        let url = format!("{}/portal/{PORTAL}/api/v3/{path}", self.emulator_url);
        let mut request = self
            .http
            .request(method, url)
            .header("cookie", &self.session);
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await.expect("an answer");
        if let Some(cookie) = response.headers().get("set-cookie") {
            let cookie = cookie.to_str().expect("text");
            cookie
                .split(';')
                .next()
                .unwrap_or_default()
                .clone_into(&mut self.session);
        }
        let given = response.status();
        let text = response.text().await.expect("a body");
        assert_eq!(
            given,
            StatusCode::from_u16(status).expect("a status"),
            "{path}: {text}"
        );
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}

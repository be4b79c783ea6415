//! Somebody who uses the console without a browser: what is sent is sent to the letter.

use std::time::Duration;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};

/// A person with a session, or without one.
#[derive(Clone)]
pub(crate) struct Reader {
    url: String,
    http: Client,
    cookies: Vec<(String, String)>,
    csrf: String,
}

/// An answer of the console.
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) location: Option<String>,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: String,
}

impl Page {
    /// Whether it asks who is there.
    pub(crate) fn is_sign_in_form(&self) -> bool {
        self.body.contains("action=\"/sign-in\"") && self.body.contains("name=\"token\"")
    }

    /// The value of the first field of this name.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let start = self.body.find(&format!("name=\"{name}\" value=\""))?;
        let value = self.body[start..].split('"').nth(3)?;
        Some(value.replace("&#38;", "&").replace("&amp;", "&"))
    }
}

impl Reader {
    /// Somebody who has just come to the console at `url`.
    pub(crate) fn at(url: &str) -> Self {
        let http = Client::builder()
            .timeout(Duration::from_secs(20))
            .redirect(Policy::none())
            .build()
            .expect("a client");
        Self {
            url: url.to_owned(),
            http,
            cookies: Vec::new(),
            csrf: String::new(),
        }
    }

    /// Somebody who signed in with `token`.
    pub(crate) async fn signed_in(url: &str, token: &str) -> Self {
        let mut this = Self::at(url);
        let page = this.sign_in(token).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
        this
    }

    /// The same person with the same cookies, where usher is now.
    pub(crate) fn moved_to(self, url: &str) -> Self {
        Self {
            url: url.to_owned(),
            ..self
        }
    }

    /// Fills in the sign-in form with `token` and sends it.
    pub(crate) async fn sign_in(&mut self, token: &str) -> Page {
        let form = self.get("/").await;
        let csrf = form.field("csrf").expect("a sign-in form");
        let page = form.field("page").unwrap_or_default();
        self.send(
            "/sign-in",
            &[("token", token), ("csrf", &csrf), ("page", &page)],
        )
        .await
    }

    /// Opens a page.
    pub(crate) async fn get(&mut self, path: &str) -> Page {
        let request = self.http.get(format!("{}{path}", self.url));
        let answer = request.header(COOKIE, self.cookie()).send().await;
        self.read(answer.expect("an answer")).await
    }

    /// Opens what goes on, and does not wait for its end.
    pub(crate) async fn open(&self, path: &str) -> Response {
        let request = self.http.get(format!("{}{path}", self.url));
        let answer = request.header(COOKIE, self.cookie()).send().await;
        answer.expect("an answer")
    }

    /// Sends a form of the page that was opened last, with its token.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let csrf = self.csrf.clone();
        let mut fields = fields.to_vec();
        fields.push(("csrf", &csrf));
        self.send(path, &fields).await
    }

    /// Sends exactly these fields.
    pub(crate) async fn send(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let request = self.http.post(format!("{}{path}", self.url)).form(fields);
        let answer = request.header(COOKIE, self.cookie()).send().await;
        self.read(answer.expect("an answer")).await
    }

    fn cookie(&self) -> String {
        let pairs = self.cookies.iter();
        let pairs = pairs.map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }

    async fn read(&mut self, answer: Response) -> Page {
        for line in answer.headers().get_all(SET_COOKIE) {
            let line = line.to_str().expect("text");
            let pair = line.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').expect("a cookie");
            self.cookies.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        let page = Page {
            status: answer.status(),
            location: answer
                .headers()
                .get(LOCATION)
                .map(|to| to.to_str().expect("text").to_owned()),
            headers: answer.headers().clone(),
            body: answer.text().await.expect("a body"),
        };
        if let Some(csrf) = page.field("csrf") {
            self.csrf = csrf;
        }
        page
    }
}

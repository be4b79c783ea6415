//! A page as a test sees it: open an address, read what is shown, and say what the reader's browser
//! is like. What a reader does is in `deeds` and `keys`.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::support::browser::events::{Events, Request, exception};
use crate::support::browser::wire::Wire;

/// How long a page may take to load or to show something.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// How long a request may go on that nobody waits for.
const REST: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(25);

/// What a page looks like to a reader, for messages of tests that fail.
const GLANCE: &str = "`${location.href} «${document.title}»: \
    ${(document.body?.innerText ?? '').replace(/\\s+/g, ' ').slice(0, 400)}`";

/// What colours the reader likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Dark,
    Light,
}

/// A page in a context of its own, which ends with it. Scripts run in it as they do for a reader.
#[derive(Debug)]
pub(crate) struct Page {
    pub(super) wire: Arc<Wire>,
    pub(super) events: Arc<Events>,
    context: String,
    session: String,
}

impl Page {
    /// An empty one, 1400 by 900, light.
    pub(super) async fn new(wire: Arc<Wire>, context: &str) -> Self {
        let target = json!({ "url": "about:blank", "browserContextId": context });
        let target = wire.call("Target.createTarget", &target).await;
        let frame = target["targetId"].as_str().expect("an id");
        let attach = json!({ "targetId": frame, "flatten": true });
        let session = wire.call("Target.attachToTarget", &attach).await;
        let session = session["sessionId"].as_str().expect("an id");
        let events = Arc::new(Events::new(frame));
        wire.listen(session, Arc::clone(&events));
        let this = Self {
            wire,
            events,
            context: context.to_owned(),
            session: session.to_owned(),
        };
        for domain in ["Page", "Runtime", "Log", "Network", "Inspector"] {
            this.call(&format!("{domain}.enable"), &json!({})).await;
        }
        let on = json!({ "enabled": true });
        this.call("Page.setLifecycleEventsEnabled", &on).await;
        // Pages of other tests are open beside it; each behaves as if it were in front.
        this.call("Emulation.setFocusEmulationEnabled", &on).await;
        this.resize(1400, 900).await;
        this.scheme(Scheme::Light).await;
        this
    }

    /// Has the browser do something for this page.
    pub(super) async fn call(&self, method: &str, parameters: &Value) -> Value {
        let answer = self.attempt(method, parameters).await;
        answer.unwrap_or_else(|refusal| panic!("chromium refuses `{method}`: {refusal}"))
    }

    async fn attempt(&self, method: &str, parameters: &Value) -> Result<Value, String> {
        self.wire
            .attempt(Some(&self.session), method, parameters)
            .await
    }

    /// Opens an address and waits until all of it has loaded. An answer of 400 or above with a body
    /// is a page like others, and an error.
    pub(crate) async fn open(&self, url: &str) {
        let mut loaded = self.events.loaded();
        let begun = self.call("Page.navigate", &json!({ "url": url })).await;
        if let Some(error) = begun["errorText"].as_str() {
            panic!("{url} cannot be opened: {error}");
        }
        // Another place on the same page loads nothing.
        let Some(document) = begun["loaderId"].as_str() else {
            return;
        };
        let until = loaded.wait_for(|loaded| loaded.iter().any(|it| it == document));
        let in_time = timeout(PATIENCE, until).await.is_ok();
        assert!(in_time, "{url} has not loaded within {PATIENCE:?}");
    }

    /// Opens once more what is open.
    pub(crate) async fn reload(&self) {
        let reload = async { self.call("Page.reload", &json!({})).await };
        self.leads_on("a reload", reload).await;
    }

    /// Does what is to lead to another page, and waits until that has loaded.
    pub(crate) async fn leads_on<T>(&self, what: &str, deed: impl Future<Output = T>) -> T {
        let mut loaded = self.events.loaded();
        let before = loaded.borrow().len();
        let done = deed.await;
        let until = loaded.wait_for(|loaded| loaded.len() > before);
        if timeout(PATIENCE, until).await.is_err() {
            let glance = self.glance().await;
            panic!("{what} has led to no page within {PATIENCE:?}; still {glance}");
        }
        done
    }

    /// What a script says, as JSON; a promise is waited for. It runs whatever the page's policy
    /// forbids and even where scripts are off.
    pub(crate) async fn evaluate(&self, script: &str) -> Value {
        let value = self.try_evaluate(script).await;
        value.unwrap_or_else(|error| panic!("`{script:.200}` fails: {error}"))
    }

    pub(super) async fn try_evaluate(&self, script: &str) -> Result<Value, String> {
        let script = json!({
            "expression": script,
            "awaitPromise": true,
            "returnByValue": true,
            "userGesture": true,
        });
        let mut answer = self.attempt("Runtime.evaluate", &script).await?;
        match answer.get("exceptionDetails") {
            Some(details) => Err(exception(details)),
            None => Ok(answer["result"]["value"].take()),
        }
    }

    /// Asks a script until it says something else than `null`: that is the answer. A script that
    /// fails, as it does between two pages, is asked again.
    pub(super) async fn until(&self, what: &str, script: &str) -> Value {
        let started = Instant::now();
        loop {
            let answer = self.try_evaluate(script).await;
            if let Ok(value) = &answer
                && !value.is_null()
            {
                return value.clone();
            }
            if started.elapsed() > PATIENCE {
                let glance = self.glance().await;
                let why = answer.err().unwrap_or_default();
                panic!("waited {PATIENCE:?} in vain: {what} {why}; the page is {glance}");
            }
            sleep(AGAIN).await;
        }
    }

    async fn glance(&self) -> String {
        let glance = self.try_evaluate(GLANCE).await;
        glance.map_or_else(|error| error, |glance| glance.to_string())
    }

    /// The text of the first element that `selector` finds, as a reader sees it; waits for one.
    pub(crate) async fn text(&self, selector: &str) -> String {
        let script = format!("{}?.innerText.trim() ?? null", first(selector));
        string(self.until(&format!("`{selector}` is shown"), &script).await)
    }

    /// The texts of all that `selector` finds now.
    pub(crate) async fn texts(&self, selector: &str) -> Vec<String> {
        let script = format!("{}.map(it => it.innerText.trim())", all(selector));
        let texts = self.evaluate(&script).await;
        let texts = texts.as_array().expect("a list").iter().cloned();
        texts.map(string).collect()
    }

    /// Waits until the first element that `selector` finds has `part` in its text.
    pub(crate) async fn sees(&self, selector: &str, part: &str) {
        let what = format!("`{selector}` shows {part:?}");
        let script = format!(
            "{}?.innerText.includes({}) || null",
            first(selector),
            json!(part)
        );
        self.until(&what, &script).await;
    }

    /// How many elements `selector` finds now.
    pub(crate) async fn count(&self, selector: &str) -> u64 {
        let count = self.evaluate(&format!("{}.length", all(selector))).await;
        count.as_u64().expect("a number")
    }

    /// An attribute of the first element that `selector` finds, if it has it; waits for one.
    pub(crate) async fn attribute(&self, selector: &str, name: &str) -> Option<String> {
        let script = format!(
            "(it => it && [it.getAttribute({})])({})",
            json!(name),
            first(selector)
        );
        let what = format!("`{selector}` is there");
        let found = self.until(&what, &script).await;
        found[0].as_str().map(str::to_owned)
    }

    /// What stands in a field; waits for it.
    pub(crate) async fn value(&self, selector: &str) -> String {
        let script = format!("{}?.value ?? null", first(selector));
        string(self.until(&format!("`{selector}` is there"), &script).await)
    }

    /// Where it is.
    pub(crate) async fn url(&self) -> String {
        string(self.evaluate("location.href").await)
    }

    /// The document's title.
    pub(crate) async fn title(&self) -> String {
        string(self.evaluate("document.title").await)
    }

    /// Gives the window another size, in CSS pixels, of which each is one of the screen's.
    pub(crate) async fn resize(&self, width: u32, height: u32) {
        let size = json!({
            "width": width,
            "height": height,
            "deviceScaleFactor": 1,
            "mobile": false,
        });
        self.call("Emulation.setDeviceMetricsOverride", &size).await;
    }

    /// Lets the reader like other colours. They never like motion, which makes pages differ.
    pub(crate) async fn scheme(&self, scheme: Scheme) {
        let scheme = match scheme {
            Scheme::Dark => "dark",
            Scheme::Light => "light",
        };
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        let media = json!({ "features": features });
        self.call("Emulation.setEmulatedMedia", &media).await;
    }

    /// Puts the reader into a time zone such as `Europe/Berlin`.
    pub(crate) async fn time_zone(&self, zone: &str) {
        let zone = json!({ "timezoneId": zone });
        self.call("Emulation.setTimezoneOverride", &zone).await;
    }

    /// Switches scripts of pages on or off, from the next page on.
    pub(crate) async fn scripts(&self, run: bool) {
        let off = json!({ "value": !run });
        self.call("Emulation.setScriptExecutionDisabled", &off)
            .await;
    }

    /// The names of the cookies that this page's address gets.
    pub(crate) async fn cookies(&self) -> Vec<String> {
        let cookies = self.call("Network.getCookies", &json!({})).await;
        let cookies = cookies["cookies"].as_array().expect("a list");
        let names = cookies.iter().map(|cookie| cookie["name"].clone());
        names.map(string).collect()
    }

    /// A cookie as the browser keeps it, with `value`, `httpOnly`, `sameSite`, `secure`, `expires`.
    pub(crate) async fn cookie(&self, name: &str) -> Option<Value> {
        let cookies = self.call("Network.getCookies", &json!({})).await;
        let cookies = cookies["cookies"].as_array().expect("a list");
        cookies
            .iter()
            .find(|cookie| cookie["name"] == name)
            .cloned()
    }

    /// Puts a cookie in for this page's address, in place of one of that name.
    pub(crate) async fn set_cookie(&self, name: &str, value: &str) {
        let cookie = json!({ "name": name, "value": value, "url": self.url().await });
        self.call("Network.setCookie", &cookie).await;
    }

    /// Takes a cookie away, as the browser does when its time is over.
    pub(crate) async fn delete_cookie(&self, name: &str) {
        let cookie = json!({ "name": name, "url": self.url().await });
        self.call("Network.deleteCookies", &cookie).await;
    }

    /// What went wrong since this was last asked: `security: …` (the policy forbids it),
    /// `network: …` (an answer of 400 or above, or none), `console: …`, `exception: …`,
    /// `dialog: …`. A missing `/favicon.ico` is none.
    pub(crate) async fn errors(&self) -> Vec<String> {
        self.settle().await;
        self.events.errors()
    }

    /// Fails with what went wrong.
    pub(crate) async fn has_no_errors(&self) {
        let errors = self.errors().await;
        if !errors.is_empty() {
            let glance = self.glance().await;
            panic!("errors of a page: {errors:#?}; it is {glance}");
        }
    }

    /// What was asked for since this was last asked, the page itself first.
    pub(crate) async fn requests(&self) -> Vec<Request> {
        self.settle().await;
        self.events.requests()
    }

    /// Lets what is under way come to its end, and what was told arrive.
    async fn settle(&self) {
        let started = Instant::now();
        while self.events.is_waiting() && started.elapsed() < REST {
            sleep(AGAIN).await;
        }
        // What the page told before its answer came before it.
        for _ in 0..2 {
            drop(self.try_evaluate("0").await);
        }
    }

    /// Writes what is in the window as a PNG.
    pub(crate) async fn screenshot(&self, path: &Path) {
        let shot = json!({ "format": "png" });
        let shot = self.call("Page.captureScreenshot", &shot).await;
        let shot = shot["data"].as_str().expect("data");
        let shot = STANDARD.decode(shot).expect("base64");
        fs::write(path, shot).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.wire.forget(&self.session);
        let context = json!({ "browserContextId": self.context });
        self.wire
            .tell(None, "Target.disposeBrowserContext", &context);
    }
}

/// The first element that `selector` finds, or null.
pub(super) fn first(selector: &str) -> String {
    format!("document.querySelector({})", json!(selector))
}

fn all(selector: &str) -> String {
    format!("[...document.querySelectorAll({})]", json!(selector))
}

pub(super) fn string(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => panic!("a text was expected: {other}"),
    }
}

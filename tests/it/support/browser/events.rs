//! What a page tells by itself: which documents have loaded, what it asked for, and every error of
//! the console, of a script, of the network and of the page's security policy.

use std::collections::HashMap;
use std::sync::Mutex;

use serde_json::Value;
use tokio::sync::watch;

/// Something that a page asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    pub(crate) url: String,
    /// None while there is no answer.
    pub(crate) status: Option<u64>,
    /// As they came over the network, head included.
    pub(crate) bytes: u64,
}

/// Of one page.
#[derive(Debug)]
pub(super) struct Events {
    frame: String,
    /// The documents that have loaded, oldest first.
    loaded: watch::Sender<Vec<String>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    errors: Vec<String>,
    requests: Vec<Request>,
    /// Those under way, with their place in `requests`.
    pending: HashMap<String, usize>,
}

impl Events {
    /// Those of the page whose outermost frame is `frame`.
    pub(super) fn new(frame: &str) -> Self {
        Self {
            frame: frame.to_owned(),
            loaded: watch::Sender::default(),
            state: Mutex::default(),
        }
    }

    /// The documents that have loaded, each by its loader.
    pub(super) fn loaded(&self) -> watch::Receiver<Vec<String>> {
        self.loaded.subscribe()
    }

    /// Whether an answer is still to come; streams of events end never.
    pub(super) fn is_waiting(&self) -> bool {
        let state = self.state.lock().expect("no panic while held");
        !state.pending.is_empty()
    }

    /// What went wrong since this was last asked.
    pub(super) fn errors(&self) -> Vec<String> {
        let mut state = self.state.lock().expect("no panic while held");
        std::mem::take(&mut state.errors)
    }

    /// What the page asked for since this was last asked.
    pub(super) fn requests(&self) -> Vec<Request> {
        let mut state = self.state.lock().expect("no panic while held");
        state.pending.clear();
        std::mem::take(&mut state.requests)
    }

    pub(super) fn take(&self, method: &str, event: &Value) {
        match method {
            "Page.lifecycleEvent" => self.take_lifecycle(event),
            "Log.entryAdded" => self.take_entry(&event["entry"]),
            "Runtime.consoleAPICalled" => {
                if matches!(event["type"].as_str(), Some("error" | "assert")) {
                    let words = event["args"].as_array();
                    let words: Vec<String> = words.into_iter().flatten().map(word).collect();
                    self.add(format!("console: {}", words.join(" ")));
                }
            }
            "Runtime.exceptionThrown" => {
                let details = &event["exceptionDetails"];
                self.add(format!("exception: {}", exception(details)));
            }
            "Page.javascriptDialogOpening" => {
                self.add(format!("dialog: {}", text(&event["message"])));
            }
            "Inspector.targetCrashed" => self.add("crash: the page is gone".to_owned()),
            _ if method.starts_with("Network.") => self.take_network(method, event),
            _ => {}
        }
    }

    fn add(&self, error: String) {
        let mut state = self.state.lock().expect("no panic while held");
        state.errors.push(error);
    }

    fn take_lifecycle(&self, event: &Value) {
        if event["name"] == "load" && event["frameId"] == self.frame.as_str() {
            let loader = text(&event["loaderId"]);
            self.loaded.send_modify(|loaded| {
                // The one that is there is told of once more when telling begins.
                if loaded.last() != Some(&loader) {
                    loaded.push(loader);
                }
            });
        }
    }

    /// Violations of the policy (`security: …`), answers of 400 and above and requests without an
    /// answer (`network: …`).
    fn take_entry(&self, entry: &Value) {
        let url = text(&entry["url"]);
        // The browser asks for it when it likes, often after the test's end.
        if entry["level"] != "error" || url.ends_with("/favicon.ico") {
            return;
        }
        let (source, words) = (text(&entry["source"]), text(&entry["text"]));
        self.add(format!("{source}: {words} ({url})"));
    }

    fn take_network(&self, method: &str, event: &Value) {
        let mut state = self.state.lock().expect("no panic while held");
        let id = text(&event["requestId"]);
        if method == "Network.requestWillBeSent" {
            let place = state.requests.len();
            // The same id again: the answer was a redirect, and this is where it leads.
            if let Some(former) = state.pending.get(&id).copied() {
                let status = event["redirectResponse"]["status"].as_u64();
                state.requests[former].status = status;
            }
            if event["type"] != "EventSource" {
                state.pending.insert(id, place);
            }
            state.requests.push(Request {
                url: text(&event["request"]["url"]),
                ..Request::default()
            });
            return;
        }
        let Some(place) = state.pending.get(&id).copied() else {
            return;
        };
        match method {
            "Network.responseReceived" => {
                state.requests[place].status = event["response"]["status"].as_u64();
            }
            "Network.loadingFinished" => {
                let bytes = event["encodedDataLength"].as_f64().unwrap_or_default();
                state.requests[place].bytes = format!("{bytes:.0}").parse().unwrap_or_default();
                state.pending.remove(&id);
            }
            "Network.loadingFailed" => {
                state.pending.remove(&id);
            }
            _ => {}
        }
    }
}

/// What a script threw, in one line.
pub(super) fn exception(details: &Value) -> String {
    let thrown = &details["exception"]["description"];
    let thrown = if thrown.is_null() {
        word(&details["exception"])
    } else {
        text(thrown)
    };
    format!("{} {thrown}", text(&details["text"]))
}

/// An argument of `console.error`.
fn word(argument: &Value) -> String {
    match (&argument["value"], &argument["description"]) {
        (Value::String(text), _) | (Value::Null, Value::String(text)) => text.clone(),
        (value, _) => value.to_string(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

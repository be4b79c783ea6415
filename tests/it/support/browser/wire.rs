//! The way to the browser and back: commands are numbered and wait for their answers, and what a
//! page tells by itself goes to that page's [`Events`].
//!
//! Tests have a runtime each, but one browser: a thread reads and another writes, so that the end
//! of no runtime cuts a message, and a browser that hangs holds up nobody beyond a deadline.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::process::{Child, ChildStdout};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::support::browser::events::Events;

/// How long a command may take; a machine with much to do is slow, above all at the start.
const PATIENCE: Duration = Duration::from_mins(1);

/// Both ends of the pipe.
#[derive(Debug)]
pub(super) struct Wire {
    commands: Sender<Vec<u8>>,
    state: Mutex<State>,
    /// What Chromium writes on its standard error.
    words: File,
}

#[derive(Debug, Default)]
struct State {
    commands: u64,
    waiting: HashMap<u64, oneshot::Sender<Result<Value, String>>>,
    pages: HashMap<String, Arc<Events>>,
    has_ended: bool,
}

impl Wire {
    /// To a browser that was started with its pipe for standard input and output.
    pub(super) fn new(mut browser: Child, words: File) -> Arc<Self> {
        let mut input = browser.stdin.take().expect("it is piped");
        let output = browser.stdout.take().expect("it is piped");
        let (commands, queue) = mpsc::channel::<Vec<u8>>();
        thread::spawn(move || {
            while let Ok(command) = queue.recv()
                && input.write_all(&command).is_ok()
            {}
        });
        let this = Arc::new(Self {
            commands,
            state: Mutex::default(),
            words,
        });
        let reader = Arc::clone(&this);
        thread::spawn(move || {
            reader.read(output);
            browser.wait()
        });
        this
    }

    /// Has the browser as such do something.
    pub(super) async fn call(&self, method: &str, parameters: &Value) -> Value {
        let answer = self.attempt(None, method, parameters).await;
        answer.unwrap_or_else(|refusal| panic!("chromium refuses `{method}`: {refusal}"))
    }

    /// Has a page, or the browser, do something; the browser may refuse it.
    pub(super) async fn attempt(
        &self,
        session: Option<&str>,
        method: &str,
        parameters: &Value,
    ) -> Result<Value, String> {
        let (answer, answered) = oneshot::channel();
        self.send(session, method, parameters, Some(answer));
        let Ok(answered) = timeout(PATIENCE, answered).await else {
            let words = self.words();
            panic!("chromium has not answered `{method}` within {PATIENCE:?}: {words}");
        };
        answered.unwrap_or_else(|_| panic!("chromium has ended: {}", self.words()))
    }

    /// Asks for something and waits for nothing.
    pub(super) fn tell(&self, session: Option<&str>, method: &str, parameters: &Value) {
        self.send(session, method, parameters, None);
    }

    /// From now on what the page of `session` tells goes there.
    pub(super) fn listen(&self, session: &str, events: Arc<Events>) {
        let mut state = self.state.lock().expect("no panic while held");
        state.pages.insert(session.to_owned(), events);
    }

    /// Nobody asks for that page any more.
    pub(super) fn forget(&self, session: &str) {
        let mut state = self.state.lock().expect("no panic while held");
        state.pages.remove(session);
    }

    fn send(
        &self,
        session: Option<&str>,
        method: &str,
        parameters: &Value,
        answer: Option<oneshot::Sender<Result<Value, String>>>,
    ) {
        let number = {
            let mut state = self.state.lock().expect("no panic while held");
            if state.has_ended {
                // The answer is dropped, which tells whoever waits.
                return;
            }
            state.commands += 1;
            let number = state.commands;
            if let Some(answer) = answer {
                state.waiting.insert(number, answer);
            }
            number
        };
        let mut command = json!({ "id": number, "method": method, "params": parameters });
        if let Some(session) = session {
            command["sessionId"] = session.into();
        }
        let mut command = command.to_string().into_bytes();
        command.push(0);
        if self.commands.send(command).is_err() {
            let mut state = self.state.lock().expect("no panic while held");
            state.waiting.remove(&number);
        }
    }

    fn read(&self, output: ChildStdout) {
        let mut output = BufReader::new(output);
        let mut message = Vec::new();
        while output
            .read_until(0, &mut message)
            .is_ok_and(|read| read > 0)
        {
            message.pop();
            if let Ok(read) = serde_json::from_slice(&message) {
                self.take(read);
            }
            message.clear();
        }
        let mut state = self.state.lock().expect("no panic while held");
        state.has_ended = true;
        state.waiting.clear();
    }

    fn take(&self, mut message: Value) {
        let Some(number) = message["id"].as_u64() else {
            self.take_event(&message);
            return;
        };
        let waiting = {
            let mut state = self.state.lock().expect("no panic while held");
            state.waiting.remove(&number)
        };
        let answer = match message["error"]["message"].as_str() {
            Some(refusal) => Err(refusal.to_owned()),
            None => Ok(message["result"].take()),
        };
        // Whoever asked may have given up.
        waiting.map(|waiting| waiting.send(answer));
    }

    fn take_event(&self, message: &Value) {
        let Some(session) = message["sessionId"].as_str() else {
            return;
        };
        let events = {
            let state = self.state.lock().expect("no panic while held");
            state.pages.get(session).cloned()
        };
        let method = message["method"].as_str().unwrap_or_default();
        if method == "Page.javascriptDialogOpening" {
            // Everything on the page stands still until somebody answers.
            let accept = json!({ "accept": true });
            self.tell(Some(session), "Page.handleJavaScriptDialog", &accept);
        }
        if let Some(events) = events {
            events.take(method, &message["params"]);
        }
    }

    /// The last of what it wrote, without what it says on machines without D-Bus.
    fn words(&self) -> String {
        // Chromium goes on to write where it is: the place must not be moved.
        let mut text = vec![0; 1 << 20];
        let length = self.words.read_at(&mut text, 0).unwrap_or_default();
        let text = String::from_utf8_lossy(&text[..length]);
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.contains(":dbus/") && !line.contains("unexpected operator"))
            .collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

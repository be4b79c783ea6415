//! A real browser for tests of pages: Debian's Chromium without a window, one for all tests of the
//! binary, with a context of its own (cookies, storage, cache) for each page that a test asks for.
//!
//! ```ignore
//! let page = Browser::page().await;
//! page.open(&url).await;
//! page.fill("input[name=token]", "secret").await;
//! page.follow("button[type=submit]").await;
//! assert_eq!(page.text("h1").await, "Overview");
//! page.has_no_errors().await;
//! ```
//!
//! It speaks the Chrome `DevTools` Protocol over a pipe (`--remote-debugging-pipe`: file
//! descriptors 3 and 4, JSON with a NUL behind each message), which needs no crate that usher does
//! not have, no port and no driver. What was weighed against it, with the crates that each adds to
//! `Cargo.lock`: tokio-tungstenite (3; a minute of one core to compile) needs a port to be found
//! and a process to be ended; chromiumoxide (9; five minutes) generates the whole protocol as Rust;
//! fantoccini (9) and thirtyfour (10) need Debian's chromium-driver, and `WebDriver` tells neither
//! violations of the policy nor switches scripts off. The pipe has one more merit: it closes when
//! the binary ends, in whatever way (a static is never dropped, and SIGKILL runs nothing), and
//! Chromium ends with it.
//!
//! A page asks nobody but 127.0.0.1 and localhost: any other name is not found, which the page then
//! tells as an error.

mod axe;
mod deeds;
mod events;
mod keys;
mod page;
mod wire;

use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use serde_json::json;

pub(crate) use crate::support::browser::page::{Page, Scheme};
use crate::support::browser::wire::Wire;

/// The shell gives Chromium its pipe and takes its profile away after it. It outlives the tests by
/// a moment, so that an interrupt must not end it first.
const LAUNCH: &str = r#"
trap '' INT TERM HUP
profile=$(mktemp -d) || exit 1
chromium "$@" --user-data-dir="$profile" 3<&0 4>&1 </dev/null >/dev/null
# Its children may write for a moment longer.
rm -rf "$profile" || { sleep 1; rm -rf "$profile"; }
"#;

const SWITCHES: [&str; 21] = [
    "--headless",
    "--remote-debugging-pipe",
    // Root has no sandbox, and containers seldom let anybody have one.
    "--no-sandbox",
    "--disable-gpu",
    // It is small in containers.
    "--disable-dev-shm-usage",
    // Nothing of its own goes out, and no page asks anybody but the tests' servers.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
    "--password-store=basic",
    // A page that is not in front works on.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    // Screenshots look the same on every machine with the same fonts.
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
];

/// The browser that all tests share. It starts with the first page and ends with the binary.
#[derive(Debug)]
pub(crate) struct Browser;

impl Browser {
    /// An empty page of a new context: nobody is signed in.
    pub(crate) async fn page() -> Page {
        static WIRE: OnceLock<Arc<Wire>> = OnceLock::new();
        let wire = WIRE.get_or_init(launch);
        let context = json!({ "disposeOnDetach": true });
        let context = wire.call("Target.createBrowserContext", &context).await;
        let context = context["browserContextId"].as_str().expect("an id");
        Page::new(Arc::clone(wire), context).await
    }
}

fn launch() -> Arc<Wire> {
    let words = tempfile::tempfile().expect("a file");
    let mut shell = Command::new("sh");
    shell.args(["-c", LAUNCH, "chromium"]).args(SWITCHES);
    let child = shell
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(words.try_clone().expect("a second handle"))
        .spawn()
        .expect("a shell can be run");
    Wire::new(child, words)
}

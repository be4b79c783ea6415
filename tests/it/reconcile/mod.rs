//! `usher reconcile` as a pipeline runs it: a real process, the emulated Konnect, a database only
//! where deeds are to be done.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod dry_run;
mod failures;
mod forgetting;
mod runs;

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;
use uuid::Uuid;

use crate::support::database::TestDatabase;
use crate::support::konnect::{PORTAL, TestKonnect};

const DEADLINE: Duration = Duration::from_mins(2);
const JAMES: Uuid = Uuid::from_u128(0x10);
const EVE: Uuid = Uuid::from_u128(0x11);
const BOB: Uuid = Uuid::from_u128(0x12);
const APP: Uuid = Uuid::from_u128(0x20);
const REQUEST: Uuid = Uuid::from_u128(0x30);
const FIXTURES: Uuid = Uuid::from_u128(0xe0);

/// A folder with a rules file, and what usher is told of Konnect.
struct Pipeline {
    folder: TempDir,
    konnect: TestKonnect,
}

fn person(id: Uuid, email: &str, status: &str) -> Value {
    json!({ "id": id, "portal_id": PORTAL, "email": email, "full_name": "Somebody", "status": status })
}

impl Pipeline {
    /// James of a partner and Eve of nobody wait; Bob is in and asks for an API.
    async fn new(rules: &str) -> Self {
        let konnect = TestKonnect::start().await;
        konnect
            .emulator
            .seed(&json!({
                "developers": [
                    person(JAMES, "james@manchestercity.com", "pending"),
                    person(EVE, "eve@arsenal.com.evil.com", "pending"),
                    person(BOB, "bob@arsenal.com", "approved"),
                ],
                "applications": [{
                    "id": APP, "portal_id": PORTAL, "name": "scores",
                    "owner": { "type": "developer", "id": JAMES },
                }],
                "registrations": [{
                    "id": REQUEST, "application_id": APP, "api_id": FIXTURES, "status": "pending",
                }],
            }))
            .unwrap();
        konnect.emulator.clear_requests();
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("rules.yaml"), rules).unwrap();
        Self { folder, konnect }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_usher"));
        command
            .arg("reconcile")
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("USHER_KONNECT__TOKEN", self.konnect.emulator.token())
            .env("USHER_KONNECT__BASE_URL", &self.konnect.url)
            .env("USHER_KONNECT__REQUESTS_PER_SECOND", "500")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if !arguments.contains(&"--rules") {
            command.args(["--rules", "rules.yaml"]);
        }
        command
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        let run = self.command(arguments).output();
        timeout(DEADLINE, run).await.unwrap().unwrap()
    }

    /// With the database of a service.
    async fn run_on(&self, database: &TestDatabase, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        command.env("USHER_DATABASE__URL", database.url());
        timeout(DEADLINE, command.output()).await.unwrap().unwrap()
    }

    fn rules_file(&self) -> PathBuf {
        self.folder.path().join("rules.yaml")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn code(output: &Output) -> i32 {
    let code = output.status.code();
    code.unwrap_or_else(|| panic!("{}", text(&output.stderr)))
}

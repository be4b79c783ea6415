//! The doctor: each fault is told by its own line and by no other, nothing is changed, no secret is
//! shown, and whatever hangs is over in time.

mod database;
mod folder;
mod konnect;
mod onward;
mod secrets;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use konnect_emulator::Emulator;
use serde_json::{Value, json};
use usher::clock::Clock;
use usher::journal::Journal;
use uuid::Uuid;

use crate::support::database::TestDatabase;
use crate::support::process::{Installation, Ran};

pub(crate) const PORTAL: Uuid = Uuid::from_u128(0xa0);
const DESTINATION: Uuid = Uuid::from_u128(0x1d);
pub(crate) const AUTHORIZATION: &str = "Bearer 0123456789abcdef0123";
const CONSOLE_TOKEN: &str = "console-0123456789abcdef";
/// What nobody listens on.
pub(crate) const NOBODY: &str = "http://127.0.0.1:9";
/// They depend on the machine and the server of the tests.
const OF_THE_MACHINE: [&str; 3] = ["database-settings", "database-connections", "disk"];

/// An usher with all that it needs, none of which has a fault.
pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) emulator: Emulator,
    pub(crate) installation: Installation,
    pub(crate) folder: PathBuf,
    pub(crate) settings: Value,
}

/// Each line by its name: status and evidence.
pub(crate) type Lines = BTreeMap<String, (String, String)>;

impl World {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create().await;
        let url = database.url();
        Self::on(database, &url).await
    }

    /// One whose database is reached by another URL.
    pub(crate) async fn on(database: TestDatabase, url: &str) -> Self {
        migrate(url).await;
        let emulator = Emulator::start().await.unwrap();
        let seed = json!({ "portals": [{ "id": PORTAL, "name": "Football" }] });
        emulator.seed(&seed).unwrap();
        // Somebody answers there, if only that there is no such path.
        let endpoint = format!("{}/audit-logs", emulator.url());
        bind(&emulator, DESTINATION, "usher", &endpoint);
        let installation = Installation::new(&json!({}));
        let file = installation.write("rules.yaml", RULES);
        let folder = file.parent().unwrap().to_owned();
        set_mode(&folder.join("usher.toml"), 0o600);
        fs::create_dir(folder.join("spool")).unwrap();
        set_mode(&folder.join("spool"), 0o700);
        let token = installation.write("token", emulator.token());
        set_mode(&token, 0o600);
        write_certificate(&folder, 2_024, 2_124);
        let settings = json!({
            "http": {
                "listen": "127.0.0.1:0",
                "tls": { "cert": folder.join("cert.pem"), "key": folder.join("key.pem") },
            },
            "ingest": { "authorization": [AUTHORIZATION] },
            "database": { "url": url },
            "konnect": {
                "base_url": emulator.url(),
                "token": format!("file:{}", token.display()),
                "requests_per_second": 500,
            },
            "console": { "tokens": [{ "name": "ada", "token": CONSOLE_TOKEN }] },
            "rules": { "path": file },
            "spool": { "dir": folder.join("spool"), "max_bytes": 1_048_576 },
            "forward": [{ "url": "http://localhost:9/in" }],
        });
        Self {
            database,
            emulator,
            installation,
            folder,
            settings,
        }
    }

    /// What the doctor says with these settings.
    pub(crate) async fn run(&self, settings: &Value) -> Ran {
        self.installation.configure(settings);
        self.installation.run(&["doctor", "--json"]).await
    }

    /// Its lines where there is no fault.
    pub(crate) async fn healthy(&self) -> Lines {
        let lines = lines(&self.run(&self.settings).await);
        for (name, (status, detail)) in &lines {
            let is_well = status == "ok" || status == "skipped";
            assert!(
                is_well || OF_THE_MACHINE.contains(&name.as_str()),
                "{name} is {status}: {detail}"
            );
        }
        lines
    }

    /// The settings with one of them changed.
    pub(crate) fn with(&self, key: &str, value: impl Into<Value>) -> Value {
        let mut settings = self.settings.clone();
        let (section, key) = key.split_once('.').unwrap();
        settings[section][key] = value.into();
        settings
    }

    pub(crate) async fn end(self) {
        self.emulator.stop().await;
        self.database.drop().await;
    }
}

const RULES: &str = "version: 1
rules:
  - {name: all, on: developer.signed_up, then: [approve_developer]}
";

/// Sends the portal's log to a destination.
pub(crate) fn bind(emulator: &Emulator, id: Uuid, name: &str, endpoint: &str) {
    let seed = json!({
        "destinations": [{
            "id": id, "name": name, "endpoint": endpoint,
            "authorization": AUTHORIZATION, "log_format": "json",
        }],
    });
    emulator.seed(&seed).unwrap();
    turn(emulator, id, true);
}

/// Turns the portal's webhook to a destination that is there.
pub(crate) fn turn(emulator: &Emulator, id: Uuid, enabled: bool) {
    let webhook = json!({
        "portal_id": PORTAL, "audit_log_destination_id": id, "enabled": enabled,
    });
    emulator.seed(&json!({ "webhooks": [webhook] })).unwrap();
}

/// Brings schema and partitions, as `usher serve` does.
async fn migrate(url: &str) {
    let journal = Journal::open(url).unwrap();
    journal.migrate().await.unwrap();
    let ahead = journal.make_partitions_ahead(Clock::system().now()).await;
    ahead.unwrap();
    journal.close().await;
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A pair of one's own, valid from the beginning of one year to that of another.
pub(crate) fn write_certificate(folder: &Path, from: i32, until: i32) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(from, 1, 1);
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
    fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    set_mode(&folder.join("key.pem"), 0o600);
}

/// The lines by name.
pub(crate) fn lines(ran: &Ran) -> Lines {
    let lines = ran.out.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = |member: &str| line[member].as_str().unwrap().to_owned();
        let is_wrong = ["warning", "failed"].contains(&text("status").as_str());
        assert_eq!(line["mend"].is_string(), is_wrong, "{line}");
        assert_eq!(text("page"), format!("docs/doctor.md#{}", text("name")));
        (text("name"), (text("status"), text("detail")))
    });
    let lines: Lines = lines.collect();
    assert!(!lines.is_empty(), "{ran:?}");
    let fails = lines.values().any(|(status, _)| status == "failed");
    assert_eq!(ran.code, Some(i32::from(fails)), "{ran:?}");
    lines
}

/// Fails unless one line is worse than where there is no fault, with this status and this evidence.
pub(crate) fn assert_only(fault: &str, healthy: &Lines, ran: &Ran, expected: (&str, &str, &str)) {
    let (name, status, word) = expected;
    let lines = lines(ran);
    let worse = lines.iter().filter(|(name, (status, _))| {
        let is_wrong = status == "warning" || status == "failed";
        is_wrong && healthy.get(*name).map(|line| &line.0) != Some(status)
    });
    let worse: Vec<_> = worse.map(|(name, line)| (name.as_str(), line)).collect();
    let [(told, (as_status, detail))] = worse[..] else {
        panic!("{fault}: {worse:?}");
    };
    assert_eq!(
        (told, as_status.as_str()),
        (name, status),
        "{fault}: {detail}"
    );
    assert!(detail.contains(word), "{fault}: {detail}");
}

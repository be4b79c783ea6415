//! The configuration of the demo's usher, kept in the demo's folder: every command works with it
//! while the demo runs.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use konnect_emulator::Emulator;
use serde_json::json;

use crate::cli::CliError;
use crate::cli::demo::history::TEAM;
use crate::cli::demo::people::PARTNERS;
use crate::config::{Config, Environment, load};

pub(super) const TOPIC: &str = "konnect.audit-events";

/// The configuration of the demo's usher.
pub(super) struct Settings<'a> {
    pub(super) konnect: &'a Emulator,
    pub(super) konnect_token: &'a str,
    pub(super) authorization: &'a str,
    pub(super) database_url: &'a str,
    pub(super) brokers: &'a str,
    pub(super) console_token: &'a str,
}

impl Settings<'_> {
    /// Where they are written to.
    pub(super) fn path(folder: &Path) -> PathBuf {
        folder.join("usher.toml")
    }

    /// Writes them, and the rules, into the folder; returns them. Only the owner can read the file.
    pub(super) fn write(&self, folder: &Path) -> Result<Config, CliError> {
        let rules = folder.join("rules.yaml");
        fs::write(&rules, rules_file()).context("could not write the demo's rules")?;
        let console = json!({ "name": "demo", "role": "operator", "token": self.console_token });
        let settings = json!({
            "ingest": { "authorization": [self.authorization], "verify": "require" },
            "database": { "url": self.database_url },
            "kafka": { "brokers": self.brokers, "topic": TOPIC },
            "konnect": {
                "base_url": self.konnect.url(),
                "token": self.konnect_token,
                "principal_id": self.konnect.principal_id(),
                "requests_per_second": 50,
            },
            // A sign-up leaves no entry in any log: only a sweep finds it.
            "observe": { "pending_every": "1s", "all_every": "30s" },
            // The week before is had again within a minute, for whoever looks at the coverage.
            "backfill": { "settle": "8s" },
            "rules": { "path": rules },
            "console": { "tokens": [console] },
        });
        let text = toml::to_string(&settings).context("could not write the configuration")?;
        let path = Self::path(folder);
        let mut options = fs::OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let written = options
            .open(&path)
            // The file may be there already, and readable for others.
            .and_then(|file| {
                file.set_permissions(fs::Permissions::from_mode(0o600))
                    .map(|()| file)
            })
            .and_then(|mut file| file.write_all(text.as_bytes()));
        let could_not = || format!("could not write {}", path.display());
        written.with_context(could_not)?;
        Ok(load(Some(&path), &Environment::default())?)
    }
}

/// This program, as a person types it from here.
pub(super) fn command() -> String {
    let path = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("usher"));
    let here = std::env::current_dir().unwrap_or_default();
    let path = path.strip_prefix(&here).unwrap_or(&path);
    path.display().to_string()
}

fn rules_file() -> String {
    format!(
        r#"version: 1
lists:
  partners: [{}]
rules:
  - name: partner-clubs
    on: developer.signed_up
    when: developer.status == "pending" && domain(developer.email) in lists.partners
    then: [approve_developer, {{add_to_team: {TEAM}}}]
    limit_per_hour: 0
  - name: fixtures-api
    on: registration.requested
    when: registration.api.name == "Fixtures" && developer.teams.exists(t, t.name == "{TEAM}")
    then: [approve_registration]
    limit_per_hour: 0
  - name: ask-a-person
    on: developer.signed_up
    when: developer.status == "pending" && is_freemail(developer.email)
    then: [{{park: freemail}}]
"#,
        PARTNERS.join(", ")
    )
}

//! Checks of what is on this machine: variables, secrets, rules, folders and their disks.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};

use crate::cli::counted;
use crate::cli::doctor::finding::{Finding, Findings};
use crate::cli::doctor::subject::{Subject, blocking};
use crate::config::{Config, Secret, SecretPlaces};
use crate::ingest::{SpoolInventory, spool_inventory};
use crate::rules::{Mistake, Mode, RuleSet, load as load_rules};

/// Others may read a file.
const BY_OTHERS: u32 = 0o004;
/// Anybody but the owner may look into a folder, or write to it.
const BY_ANYBODY_ELSE: u32 = 0o077;
/// A shorter secret can be guessed.
const SHORT: usize = 16;
const MIB: u64 = 1024 * 1024;
/// A disk with less left is told.
const LITTLE: u64 = 1024 * MIB;
/// A disk with less left is as good as full.
const FULL: u64 = 64 * MIB;
/// Mistakes of a rules file that are told.
const MISTAKES: usize = 3;

/// Whether every variable that looks like a setting is one.
pub(super) fn variables(ignored: &[String]) -> Finding {
    if ignored.is_empty() {
        return Finding::ok("no variable is mistaken for a setting");
    }
    Finding::warning(
        format!("{}: no setting, and ignored", ignored.join(", ")),
        "name it USHER_SECTION__KEY, with two underscores between section and key, or unset it",
    )
}

/// Whether only usher can read its secrets.
pub(super) async fn secrets(subject: &Subject) -> Finding {
    let (places, file) = (subject.secrets.clone(), subject.file.clone());
    let judged = blocking(move || judge_secrets(&places, file.as_deref(), &mode)).await;
    judged.unwrap_or_else(unlooked)
}

fn judge_secrets(
    places: &SecretPlaces,
    file: Option<&Path>,
    mode: &dyn Fn(&Path) -> Option<u32>,
) -> Finding {
    let mut found = Findings::default();
    let is_open = |path: &Path| mode(path).is_some_and(|mode| mode & BY_OTHERS != 0);
    for secret in &places.files {
        if is_open(&secret.path) {
            let (path, key) = (secret.path.display(), &secret.key);
            found.push(Finding::warning(
                format!("{path} ({key}) can be read by every user of this machine"),
                format!("chmod 600 {path}"),
            ));
        }
    }
    if let (Some(file), Some(key)) = (file, places.inline.first())
        && is_open(file)
    {
        let path = file.display();
        found.push(Finding::warning(
            format!("{path} contains {key}, and can be read by every user of this machine"),
            format!("chmod 600 {path}, or move the secret to a file and write file:PATH"),
        ));
    }
    found.or_ok(match (places.files.len(), places.inline.len()) {
        (0, 0) => "the configuration file names no secret".to_owned(),
        (files, inline) => format!("{files} in files, {inline} in the configuration file"),
    })
}

fn mode(path: &Path) -> Option<u32> {
    let file = fs::metadata(path).ok()?;
    Some(file.permissions().mode())
}

/// Whether deliveries can be accepted at all, and by nobody who guesses.
pub(super) fn judge_authorization(config: &Config) -> Finding {
    let values = &config.ingest.authorization;
    if values.is_empty() {
        return Finding::warning(
            "ingest.authorization is not set: usher serve does not start",
            "`usher init` makes one, or set ingest.authorization = [\"file:PATH\"]",
        );
    }
    // A file may have one a line, as during a rotation.
    let values: Vec<&str> = values.iter().flat_map(Secret::values).collect();
    let is_short = |value: &&&str| value.chars().count() < SHORT;
    let short = values.iter().filter(is_short).count();
    if short > 0 {
        return Finding::warning(
            format!(
                "{} shorter than {SHORT} characters",
                counted(short, "value")
            ),
            "make it random: `openssl rand -base64 24`",
        );
    }
    Finding::ok(format!("{} accepted", counted(values.len(), "value")))
}

/// Whether people can sign in, and only those who should.
pub(super) fn judge_console(config: &Config) -> Finding {
    let tokens = &config.console.tokens;
    let listen = config.console_listen();
    if tokens.is_empty() {
        if listen.ip().is_loopback() {
            return Finding::ok(format!(
                "no token is configured: usher serve makes one at each start, for {listen}"
            ));
        }
        return Finding::warning(
            format!("no token is configured and {listen} is not loopback: nobody can sign in"),
            "set console.tokens, or console.listen to a loopback address",
        );
    }
    let mut found = Findings::default();
    let short = tokens
        .iter()
        .filter(|it| it.token.expose().chars().count() < SHORT);
    let short: Vec<&str> = short.map(|token| token.name.as_str()).collect();
    if !short.is_empty() {
        found.push(Finding::warning(
            format!(
                "shorter than {SHORT} characters: the token of {}",
                short.join(", ")
            ),
            "make it random: `openssl rand -base64 24`",
        ));
    }
    if !listen.ip().is_loopback() && !config.is_console_secure() {
        found.push(Finding::warning(
            format!("{listen} is not loopback and people reach it without TLS"),
            "set http.tls.cert and http.tls.key, or console.url to the https:// address of a proxy",
        ));
    }
    found.or_ok(format!("{}, at {listen}", counted(tokens.len(), "token")))
}

/// Whether the rules check, and do anything.
pub(super) async fn rules(subject: &Subject) -> Finding {
    let Some(path) = subject.config.rules.path.clone() else {
        return Finding::skipped("rules.path is not set: nothing is decided");
    };
    let name = path.display().to_string();
    let judged = blocking(move || match fs::read_to_string(&path) {
        Ok(text) => judge_rules(&load_rules(&text, &name), &name),
        Err(error) => Finding::failed(
            format!("could not read {name}: {error}"),
            "correct rules.path, or the file's owner and mode",
        ),
    });
    judged.await.unwrap_or_else(unlooked)
}

fn judge_rules(loaded: &Result<RuleSet, Vec<Mistake>>, name: &str) -> Finding {
    let rules = match loaded {
        Ok(rules) => rules,
        Err(mistakes) => {
            let told = mistakes.iter().take(MISTAKES).map(ToString::to_string);
            let told: Vec<String> = told.collect();
            let count = counted(mistakes.len(), "mistake");
            return Finding::failed(
                format!("{count}: {}", told.join("; ")),
                format!("correct it, and `usher rules check {name}`"),
            );
        }
    };
    let live = rules
        .rules()
        .iter()
        .filter(|rule| rule.mode == Mode::Live)
        .count();
    let told = format!(
        "{name}: {}, {live} of them live",
        counted(rules.rules().len(), "rule")
    );
    if rules.rules().is_empty() {
        return Finding::warning(
            format!("{name} has no rule: nothing is decided"),
            "write a rule",
        );
    }
    match rules.warnings().first() {
        Some(warning) => Finding::warning(
            format!("{told}; {warning}"),
            format!("see `usher rules check {name}`"),
        ),
        None => Finding::ok(told),
    }
}

/// Whether the spool can be used, and what waits in it.
pub(super) async fn spool(subject: &Subject) -> Finding {
    let Some(dir) = subject.config.spool.dir.clone() else {
        return Finding::skipped(
            "spool.dir is not set: deliveries are answered 429 while the database is away",
        );
    };
    let max_bytes = subject.config.spool.max_bytes;
    let judged = blocking(move || judge_spool(&look_at_spool(&dir), &dir, max_bytes));
    judged.await.unwrap_or_else(unlooked)
}

/// A folder as it is.
#[derive(Debug)]
enum Folder {
    /// There is none, and it can or cannot be made.
    Missing { can_be_made: bool },
    /// Something else has its name, or it cannot be read.
    Unusable(String),
    /// It is there.
    There {
        mode: u32,
        is_writable: bool,
        contents: SpoolInventory,
    },
}

fn look_at_spool(dir: &Path) -> Folder {
    let found = match fs::metadata(dir) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let above = nearest(dir);
            let can_be_made = above.is_some_and(|above| is_writable(&above));
            return Folder::Missing { can_be_made };
        }
        Err(error) => return Folder::Unusable(error.to_string()),
    };
    if !found.is_dir() {
        return Folder::Unusable("it is no folder".to_owned());
    }
    match spool_inventory(dir) {
        Ok(contents) => Folder::There {
            mode: found.permissions().mode(),
            is_writable: is_writable(dir),
            contents,
        },
        Err(error) => Folder::Unusable(error.to_string()),
    }
}

fn is_writable(folder: &Path) -> bool {
    access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

/// The folder itself, or the nearest one above it that is there.
fn nearest(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let there = path.ancestors().find(|it| it.is_dir());
    there.map(Path::to_owned)
}

fn judge_spool(folder: &Folder, dir: &Path, max_bytes: u64) -> Finding {
    let path = dir.display();
    let own = format!("mkdir -p {path} && chmod 700 {path}, owned by the user that usher runs as");
    let (mode, contents) = match folder {
        Folder::Missing { can_be_made: true } => {
            return Finding::warning(
                format!("{path} is missing: usher serve makes it at its start"),
                own,
            );
        }
        Folder::Missing { can_be_made: false } => {
            return Finding::failed(format!("{path} is missing and cannot be made"), own);
        }
        Folder::Unusable(why) => {
            return Finding::failed(format!("{path} cannot be used: {why}"), own);
        }
        Folder::There {
            is_writable: false, ..
        } => {
            return Finding::failed(format!("{path} cannot be written by this user"), own);
        }
        Folder::There { mode, contents, .. } => (*mode, *contents),
    };
    let mut found = Findings::default();
    if mode & BY_ANYBODY_ELSE != 0 {
        found.push(Finding::warning(
            format!(
                "{path} has the mode {:o}: others can look into it",
                mode & 0o777
            ),
            format!("chmod 700 {path}"),
        ));
    }
    if contents.aside > 0 {
        found.push(Finding::warning(
            format!("{} in {path}", counted(contents.aside, "damaged file")),
            "see docs/operations/failures.md: damaged files are left to a person",
        ));
    }
    if contents.waiting > 0 {
        let (waiting, bytes) = (counted(contents.waiting, "delivery file"), contents.bytes);
        found.push(Finding::warning(
            format!(
                "{waiting} of {bytes} bytes wait for the database, of {max_bytes} bytes at most"
            ),
            "usher serve stores them once the database answers: see the line database",
        ));
    }
    found.or_ok(format!("{path} is empty and can be written"))
}

/// Whether the disks have room.
pub(super) async fn disk(subject: &Subject) -> Finding {
    let config = &subject.config;
    let data_dir = config.database.data_dir.clone();
    let folders: Vec<(&'static str, PathBuf)> = config
        .spool
        .dir
        .clone()
        .map(|dir| ("spool.dir", dir))
        .into_iter()
        .chain(
            data_dir
                .filter(|_| config.database.embedded)
                .map(|dir| ("database.data_dir", dir)),
        )
        .collect();
    if folders.is_empty() {
        return Finding::skipped("neither spool.dir nor an embedded database is on this machine");
    }
    let max_bytes = config.spool.max_bytes;
    let judged = blocking(move || {
        let rooms = folders.iter().map(|(key, folder)| {
            let wanted = if *key == "spool.dir" { max_bytes } else { 0 };
            (*key, room(folder), wanted)
        });
        judge_rooms(&rooms.collect::<Vec<_>>())
    });
    judged.await.unwrap_or_else(unlooked)
}

/// Bytes that are free for usher on the disk of a folder.
fn room(folder: &Path) -> Option<u64> {
    let disk = statvfs(&nearest(folder)?).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn judge_rooms(rooms: &[(&'static str, Option<u64>, u64)]) -> Finding {
    let mut found = Findings::default();
    let mut well = Vec::new();
    for (key, free, wanted) in rooms {
        let Some(free) = *free else { continue };
        let told = format!("{key}: {} MiB free", free / MIB);
        if free < FULL {
            found.push(Finding::failed(
                told,
                format!("make room on the disk of {key}"),
            ));
        } else if free < LITTLE || free < *wanted {
            let told = match wanted / MIB {
                0 => told,
                wanted => format!("{told}, spool.max_bytes is {wanted} MiB"),
            };
            found.push(Finding::warning(
                told,
                format!("make room on the disk of {key}"),
            ));
        } else {
            well.push(told);
        }
    }
    found.or_ok(well.join("; "))
}

fn unlooked() -> Finding {
    Finding::skipped("this machine did not let usher look")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::{
        FULL, Folder, LITTLE, judge_authorization, judge_console, judge_rooms, judge_rules,
        judge_secrets, judge_spool, variables,
    };
    use crate::cli::doctor::finding::{Finding, Status};
    use crate::config::{Config, ConsoleToken, Secret, SecretFile, SecretPlaces};
    use crate::ingest::SpoolInventory;
    use crate::rules::load;

    fn tells(finding: &Finding, status: Status, word: &str) {
        assert_eq!(finding.status, status, "{finding:?}");
        assert!(finding.detail.contains(word), "{finding:?}");
    }

    #[test]
    fn secrets_that_everybody_can_read_are_told() {
        let places = SecretPlaces {
            files: vec![SecretFile {
                key: "konnect.token".to_owned(),
                path: "/run/token".into(),
            }],
            inline: vec!["ingest.authorization[0]".to_owned()],
        };
        let file = Some(Path::new("usher.toml"));
        let judged = |mode| judge_secrets(&places, file, &move |_| Some(mode));
        tells(&judged(0o600), Status::Ok, "1 in files");
        // The group's right is what mounted secrets have.
        tells(&judged(0o640), Status::Ok, "1 in files");
        let told = judged(0o644);
        tells(&told, Status::Warning, "/run/token (konnect.token)");
        tells(
            &told,
            Status::Warning,
            "usher.toml contains ingest.authorization[0]",
        );
        assert_eq!(variables(&[]).status, Status::Ok);
        tells(
            &variables(&["USHER_TOKEN".to_owned()]),
            Status::Warning,
            "USHER_TOKEN",
        );
    }

    #[test]
    fn who_may_come_in_is_judged() {
        let mut config = Config::default();
        tells(
            &judge_authorization(&config),
            Status::Warning,
            "does not start",
        );
        config.ingest.authorization = vec![Secret::new("Bearer x".to_owned())];
        tells(&judge_authorization(&config), Status::Warning, "shorter");
        config.ingest.authorization = vec![Secret::new("Bearer 0123456789abcdef".to_owned())];
        tells(&judge_authorization(&config), Status::Ok, "1 value");
        let lines = "Bearer 0123456789abcdef\n\nBearer fedcba9876543210\n";
        config.ingest.authorization = vec![Secret::new(lines.to_owned())];
        tells(&judge_authorization(&config), Status::Ok, "2 values");
        tells(&judge_console(&config), Status::Ok, "at each start");
        config.http.listen = "0.0.0.0:8088".parse().unwrap();
        tells(
            &judge_console(&config),
            Status::Warning,
            "nobody can sign in",
        );
        let token = |text: &str| -> ConsoleToken {
            serde_json::from_value(json!({ "name": "ada", "token": text })).unwrap()
        };
        config.console.tokens = vec![token("hunter2")];
        tells(&judge_console(&config), Status::Warning, "the token of ada");
        config.console.tokens = vec![token("0123456789abcdef")];
        tells(&judge_console(&config), Status::Warning, "without TLS");
        config.console.url = Some("https://usher.example".parse().unwrap());
        tells(&judge_console(&config), Status::Ok, "1 token");
    }

    #[test]
    fn rules_that_do_not_check_or_do_nothing_are_told() {
        let judged = |text: &str| judge_rules(&load(text, "rules.yaml"), "rules.yaml");
        let rule = "version: 1\nrules:\n  - {name: a, on: developer.signed_up, then: [approve_developer]}\n";
        tells(&judged(rule), Status::Ok, "1 rule, 1 of them live");
        tells(
            &judged("version: 1\nrules: []\n"),
            Status::Warning,
            "no rule",
        );
        let told = judged("version: 1\nrules:\n  - {name: a, on: nothing, then: []}\n");
        tells(&told, Status::Failed, "rules.yaml:3:");
    }

    #[test]
    fn a_spool_is_judged_by_its_folder() {
        let there = |mode, is_writable, waiting, aside| Folder::There {
            mode,
            is_writable,
            contents: SpoolInventory {
                waiting,
                aside,
                bytes: 10,
            },
        };
        for (folder, status, word) in [
            (there(0o40700, true, 0, 0), Status::Ok, "can be written"),
            (there(0o40755, true, 0, 0), Status::Warning, "mode 755"),
            (
                there(0o40700, false, 0, 0),
                Status::Failed,
                "cannot be written",
            ),
            (
                there(0o40700, true, 2, 0),
                Status::Warning,
                "2 delivery files",
            ),
            (
                there(0o40700, true, 0, 1),
                Status::Warning,
                "1 damaged file",
            ),
            (
                Folder::Missing { can_be_made: true },
                Status::Warning,
                "missing",
            ),
            (
                Folder::Missing { can_be_made: false },
                Status::Failed,
                "missing",
            ),
            (
                Folder::Unusable("it is no folder".to_owned()),
                Status::Failed,
                "no folder",
            ),
        ] {
            tells(
                &judge_spool(&folder, Path::new("/spool"), 100),
                status,
                word,
            );
        }
    }

    #[test]
    fn a_disk_has_room_for_what_is_wanted() {
        let judged = |free, wanted| judge_rooms(&[("spool.dir", Some(free), wanted)]);
        tells(&judged(LITTLE * 4, LITTLE), Status::Ok, "4096 MiB free");
        tells(
            &judged(LITTLE * 4, LITTLE * 5),
            Status::Warning,
            "max_bytes is 5120 MiB",
        );
        tells(&judged(LITTLE - 1, 0), Status::Warning, "1023 MiB free");
        tells(&judged(FULL - 1, 0), Status::Failed, "63 MiB free");
    }
}

//! The rules file: read at start, where a file that does not check ends the start. Read again when
//! it changes or on request, where a file that does not check leaves the old rules in force.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, fs};

use metrics::{counter, gauge};
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::config::{ConfigError, RulesConfig};
use crate::http::health::{Condition, Health};
use crate::rules::{Mistake, Mode, RuleSet, load as load_rules};
use crate::telemetry::metrics as names;

/// How often the file is read. A change takes effect at the second read that shows it.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// The part of `/readyz`.
const PART: &str = "rules";
/// What `/readyz` and the log say if rules could not be replaced.
const KEPT: &str = "the rules of before stay in force";

/// Why the rules to begin with could not be had.
#[derive(Debug, Error)]
pub enum RulesFileError {
    /// The file cannot be read.
    #[error(transparent)]
    Unreadable(#[from] ConfigError),
    /// It does not check.
    #[error("{} mistakes in the rules file", _0.len())]
    Mistakes(Vec<Mistake>),
}

/// The rules file as usher last read it.
#[derive(Clone, Default)]
pub struct RulesFile {
    /// Its path; none where no file is configured.
    pub path: Option<String>,
    /// What was last read from it. It contains addresses of receivers, which are secret.
    pub text: String,
    /// Why it could not be read the last time, if it could not.
    pub unreadable: Option<String>,
    /// Its mistakes. While there are some, the rules of before are in force.
    pub mistakes: Vec<Mistake>,
}

impl fmt::Debug for RulesFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RulesFile")
            .field("path", &self.path)
            .field("mistakes", &self.mistakes.len())
            .finish_non_exhaustive()
    }
}

/// The rules to begin with, and the file that they are read from again.
#[derive(Debug)]
pub struct LoadedRules {
    rules: RuleSet,
    file: Option<WatchedFile>,
    /// The file as people are shown it.
    shown: RulesFile,
}

/// The file, and what was last read from it.
#[derive(Debug)]
struct WatchedFile {
    path: PathBuf,
    tried: FileState,
}

/// Asks a running usher to read its rules file again.
#[derive(Debug, Clone)]
pub struct Reload {
    asked: Option<Arc<Notify>>,
    shown: watch::Receiver<Arc<RulesFile>>,
}

impl Reload {
    /// Has the file read now, also if it seems unchanged.
    pub fn ask(&self) {
        if let Some(asked) = &self.asked {
            asked.notify_one();
        } else {
            info!("rules.path is not set, there are no rules to read again");
        }
    }

    /// The file as it was last read, for people who look at it.
    pub fn shown(&self) -> watch::Receiver<Arc<RulesFile>> {
        self.shown.clone()
    }
}

impl LoadedRules {
    /// Reads the file that `config` names, to watch it from then on; no rules where it names none.
    ///
    /// # Errors
    /// If the file cannot be read, or does not check.
    pub fn open(config: &RulesConfig) -> Result<Self, RulesFileError> {
        let Some(path) = &config.path else {
            return Ok(Self {
                rules: RuleSet::empty(),
                file: None,
                shown: RulesFile::default(),
            });
        };
        let text = fs::read_to_string(path).map_err(|error| ConfigError::Invalid {
            place: "configuration".to_owned(),
            key: "rules.path".to_owned(),
            reason: format!("could not read {}: {error}", path.display()),
        })?;
        let rules =
            load_rules(&text, &path.display().to_string()).map_err(RulesFileError::Mistakes)?;
        let file = WatchedFile {
            path: path.clone(),
            tried: FileState::of(&Ok(text.clone())),
        };
        Ok(Self {
            rules,
            shown: RulesFile {
                path: Some(path.display().to_string()),
                text,
                ..RulesFile::default()
            },
            file: Some(file),
        })
    }
}

/// Keeps the rules in force as the file says.
#[derive(Debug)]
pub struct RulesReloader {
    file: WatchedFile,
    rules: watch::Sender<Arc<RuleSet>>,
    health: Health,
    asked: Arc<Notify>,
    shown: watch::Sender<Arc<RulesFile>>,
}

impl RulesReloader {
    /// The rules in force, the task that replaces them, and what has it read at once.
    pub fn new(
        loaded: LoadedRules,
        health: Health,
    ) -> (watch::Sender<Arc<RuleSet>>, Option<Self>, Reload) {
        let rules = watch::Sender::new(Arc::new(loaded.rules));
        let shown = watch::Sender::new(Arc::new(loaded.shown));
        let mut reload = Reload {
            asked: None,
            shown: shown.subscribe(),
        };
        let Some(file) = loaded.file else {
            return (rules, None, reload);
        };
        health.set(PART, Condition::Ok, "");
        let asked = Arc::new(Notify::new());
        reload.asked = Some(Arc::clone(&asked));
        let reloader = Self {
            file,
            rules: rules.clone(),
            health,
            asked,
            shown,
        };
        (rules, Some(reloader), reload)
    }

    /// Reads the file until `cancel`. Only its content counts: the files of a mounted config map
    /// are links, and the times of a copy say nothing.
    pub async fn run(mut self, cancel: CancellationToken) {
        let mut before = self.file.tried;
        loop {
            let asked = tokio::select! {
                () = cancel.cancelled() => return,
                () = self.asked.notified() => true,
                () = tokio::time::sleep(CHECK_EVERY) => false,
            };
            let text = read(&self.file.path).await;
            let seen = FileState::of(&text);
            // A file that is being written may check with only half of its later content.
            let is_settled = std::mem::replace(&mut before, seen) == seen;
            if asked || (is_settled && seen != self.file.tried) {
                self.file.tried = seen;
                self.replace(text).await;
            }
        }
    }

    async fn replace(&self, text: Result<String, String>) {
        let text = match text {
            Ok(text) => text,
            Err(reason) => {
                error!(
                    error = reason,
                    "the rules file cannot be read, the rules of before stay in force"
                );
                self.refuse(format!("the file cannot be read; {KEPT}"));
                self.show(|shown| shown.unreadable = Some(reason));
                return;
            }
        };
        let name = self.file.path.display().to_string();
        let read = text.clone();
        // A thousand conditions take long enough to compile that others would wait.
        match spawn_blocking(move || load_rules(&text, &name)).await {
            Ok(Ok(rules)) => {
                self.accept(rules);
                self.show_read(read, Vec::new());
            }
            Ok(Err(mistakes)) => {
                for mistake in &mistakes {
                    warn!(mistake = %mistake, "the rules file has a mistake");
                }
                error!(
                    mistakes = mistakes.len(),
                    "the rules file does not check, the rules of before stay in force"
                );
                self.refuse(detail(&mistakes));
                self.show_read(read, mistakes);
            }
            Err(failure) => error!(
                error = &failure as &dyn Error,
                "could not check the rules file"
            ),
        }
    }

    /// Shows people what was read last, and what is wrong with it.
    fn show_read(&self, text: String, mistakes: Vec<Mistake>) {
        self.show(|shown| {
            shown.text = text;
            shown.mistakes = mistakes;
            shown.unreadable = None;
        });
    }

    /// Changes what people are shown of the file.
    fn show(&self, change: impl FnOnce(&mut RulesFile)) {
        self.shown.send_modify(|shown| change(Arc::make_mut(shown)));
    }

    fn accept(&self, rules: RuleSet) {
        let count = |mode| rules.rules().iter().filter(|r| r.mode == mode).count();
        info!(
            rules.live = count(Mode::Live),
            rules.shadow = count(Mode::Shadow),
            rules.off = count(Mode::Off),
            "the rules were read again"
        );
        self.rules.send_replace(Arc::new(rules));
        self.health.set(PART, Condition::Ok, "");
        counter!(names::RULES_RELOADS, "outcome" => "used").increment(1);
        gauge!(names::RULES_STALE).set(0.0);
    }

    fn refuse(&self, detail: String) {
        self.health.set(PART, Condition::Degraded, detail);
        counter!(names::RULES_RELOADS, "outcome" => "refused").increment(1);
        gauge!(names::RULES_STALE).set(1.0);
    }
}

/// Where the first mistake is. Its message is in the log: it may quote the file, and `/readyz`
/// needs no token.
fn detail(mistakes: &[Mistake]) -> String {
    let count = mistakes.len();
    let noun = if count == 1 { "mistake" } else { "mistakes" };
    let first = mistakes.first().map_or(String::new(), |first| {
        format!(
            ", the first in line {}, column {}",
            first.line, first.column
        )
    });
    format!("the file has {count} {noun}{first}; {KEPT}")
}

/// What a read of the file found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileState {
    Text([u8; 32]),
    Unreadable,
}

impl FileState {
    fn of(text: &Result<String, String>) -> Self {
        match text {
            Ok(text) => Self::Text(Sha256::digest(text.as_bytes()).into()),
            Err(_) => Self::Unreadable,
        }
    }
}

async fn read(path: &Path) -> Result<String, String> {
    tokio::fs::read_to_string(path)
        .await
        .map_err(|error| error.to_string())
}

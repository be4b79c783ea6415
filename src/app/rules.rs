//! The rules file: read at start, where a file that does not check ends the start. Read again when
//! it changes or on request, where a file that does not check leaves the old rules in force.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, gauge};
use sha2::{Digest, Sha256};
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::app::AppError;
use crate::config::{ConfigError, RulesConfig};
use crate::console::RulesFile as ShownFile;
use crate::http::health::{Condition, Health};
use crate::rules::{Mistake, Mode, RuleSet, load as load_rules};
use crate::telemetry::metrics as names;

/// How often the file is read. A change takes effect at the second read that shows it.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// The part of `/readyz`.
const PART: &str = "rules";
/// What `/readyz` and the log say if rules could not be replaced.
const KEPT: &str = "the rules of before stay in force";

/// The rules to begin with, and the file that they are read from again.
pub(super) struct Loaded {
    pub(super) rules: RuleSet,
    pub(super) file: Option<RulesFile>,
    /// The file as people are shown it.
    shown: ShownFile,
}

/// The file, and what was last read from it.
pub(super) struct RulesFile {
    path: PathBuf,
    tried: FileState,
}

/// Asks a running usher to read its rules file again.
#[derive(Debug, Clone)]
pub struct Reload {
    asked: Option<Arc<Notify>>,
    shown: watch::Receiver<Arc<ShownFile>>,
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
    pub(super) fn shown(&self) -> watch::Receiver<Arc<ShownFile>> {
        self.shown.clone()
    }
}

/// Reads the file that `config` names, to watch it from then on; no rules where it names none.
pub(super) fn open(config: &RulesConfig) -> Result<Loaded, AppError> {
    let Some(path) = &config.path else {
        return Ok(Loaded {
            rules: RuleSet::empty(),
            file: None,
            shown: ShownFile::default(),
        });
    };
    let text = fs::read_to_string(path).map_err(|error| ConfigError::Invalid {
        place: "configuration".to_owned(),
        key: "rules.path".to_owned(),
        reason: format!("could not read {}: {error}", path.display()),
    })?;
    let rules = load_rules(&text, &path.display().to_string()).map_err(AppError::Rules)?;
    let file = RulesFile {
        path: path.clone(),
        tried: FileState::of(&Ok(text.clone())),
    };
    Ok(Loaded {
        rules,
        shown: ShownFile {
            path: Some(path.display().to_string()),
            text,
            ..ShownFile::default()
        },
        file: Some(file),
    })
}

/// Keeps the rules in force as the file says.
pub(super) struct Reloader {
    file: RulesFile,
    rules: watch::Sender<Arc<RuleSet>>,
    health: Health,
    asked: Arc<Notify>,
    shown: watch::Sender<Arc<ShownFile>>,
}

impl Reloader {
    /// The rules in force, the task that replaces them, and what has it read at once.
    pub(super) fn new(
        loaded: Loaded,
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
    pub(super) async fn run(mut self, cancel: CancellationToken) {
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
    fn show(&self, change: impl FnOnce(&mut ShownFile)) {
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

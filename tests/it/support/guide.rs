//! Follows a page of `docs/guides/` command by command, as a reader would at a terminal.
//!
//! What a page may hold:
//!
//! - Above its first `## ` heading, a table whose first column names, in backticks, every text that
//!   a reader replaces by their own: addresses, ids, tokens. A test gives each of them, and no
//!   other ([`Reader::follow`] fails on either), so that page and test cannot drift apart.
//! - Blocks of `sh`: run by bash, each to its end, in one folder that starts out empty; a command
//!   that fails fails the test. Variables live on from block to block.
//! - A block of `sh` that is `usher serve` alone: started and left running, until `/readyz` says
//!   200. It reads the page's `usher.toml`. `exports` of earlier blocks reach it.
//! - Blocks of `text` right after one of `sh`: what the reader then sees, line by line. `…` stands
//!   for anything. As a reader would, the test repeats a block of `sh eventually` until it fits.
//! - Blocks of `yaml`, `toml` and `json` are prose, as is everything else. A block of another
//!   language is a mistake of the page, and so is whatever else would be passed over in silence.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

use crate::support::eventually;

/// For one block, and for what comes eventually.
const PATIENCE: Duration = Duration::from_mins(1);
/// What is started and left running.
const SERVE: &str = "usher serve";
/// Between two tries of what comes eventually.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// One block of commands with what is to be seen after it.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    line: usize,
    commands: String,
    repeats: bool,
    expected: Option<String>,
}

/// A page, read.
#[derive(Debug)]
struct Guide {
    name: String,
    replaced: Vec<String>,
    steps: Vec<Step>,
}

/// Whoever follows a page: a folder, what they typed so far, and an usher where the page starts
/// one.
pub(crate) struct Reader {
    folder: TempDir,
    serving: Option<Child>,
}

impl Guide {
    fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("docs/guides")
            .join(name);
        let text = fs::read_to_string(&path).expect("the page is there");
        Self::parse(name, &text).unwrap_or_else(|mistake| panic!("docs/guides/{mistake}"))
    }

    fn parse(name: &str, text: &str) -> Result<Self, String> {
        let top = text.split("\n## ").next().unwrap_or_default();
        let replaced = top
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
            .map(|(named, _)| named.to_owned())
            .collect();
        let mut guide = Self {
            name: name.to_owned(),
            replaced,
            steps: Vec::new(),
        };
        // Whether the block before may be followed by what is then seen.
        let mut is_typed = false;
        let mut block: Option<(usize, &str, String)> = None;
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim_start().starts_with("~~~") {
                return Err(format!("{name}:{number}: a block is fenced by ```"));
            }
            let fence = line.trim_start().strip_prefix("```");
            block = match (block, fence) {
                (None, Some(info)) => Some((number, info.trim(), String::new())),
                (Some((line, info, text)), Some(_)) => {
                    let taken = guide.take(info, line, text, is_typed);
                    taken.map_err(|mistake| format!("{name}:{line}: {mistake}"))?;
                    is_typed = info.starts_with("sh");
                    None
                }
                (Some((first, info, mut text)), None) => {
                    text.push_str(line);
                    text.push('\n');
                    Some((first, info, text))
                }
                (None, None) => {
                    is_typed &= !line.starts_with('#');
                    None
                }
            };
        }
        match block {
            Some((line, ..)) => Err(format!("{name}:{line}: the block has no end")),
            None => Ok(guide),
        }
    }

    /// Takes one block; `is_typed` says whether it stands right after commands.
    fn take(
        &mut self,
        info: &str,
        line: usize,
        text: String,
        is_typed: bool,
    ) -> Result<(), String> {
        match info {
            "sh" | "sh eventually" => {
                let serves = text.lines().any(|line| line.trim() == SERVE);
                if serves && (text.trim() != SERVE || info != "sh") {
                    return Err(format!("{SERVE} is a block of sh of its own"));
                }
                self.steps.push(Step {
                    line,
                    commands: text,
                    repeats: info != "sh",
                    expected: None,
                });
            }
            "text" => {
                let step = self.steps.last_mut().filter(|_| is_typed);
                let step = step.ok_or("nothing was typed right before")?;
                if step.commands.trim() == SERVE {
                    return Err(format!("{SERVE} shows nothing that would be compared"));
                }
                step.expected = Some(text);
            }
            "yaml" | "toml" | "json" => {}
            other => return Err(format!("a block of {other:?} would not be followed")),
        }
        Ok(())
    }
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self {
            folder: TempDir::new().expect("a folder"),
            serving: None,
        }
    }

    /// Follows the page to its end, with `own` in place of what its table names.
    pub(crate) async fn follow(&mut self, page: &str, own: &[(&str, &str)]) {
        let guide = Guide::read(page);
        let given: Vec<&str> = own.iter().map(|(named, _)| *named).collect();
        assert_eq!(
            given, guide.replaced,
            "{page}: what its table says is to be replaced"
        );
        for step in &guide.steps {
            let place = format!("docs/guides/{}:{}", guide.name, step.line);
            let commands = replace(&step.commands, own);
            if commands.trim() == SERVE {
                self.serve(&place).await;
                continue;
            }
            let expected = step.expected.as_ref().map(|text| replace(text, own));
            self.run(&place, &commands, expected.as_deref(), step.repeats)
                .await;
        }
        if let Some(serving) = &mut self.serving {
            let ended = serving.try_wait().expect("usher can be asked after");
            assert_eq!(ended, None, "{page}: usher ended by itself\n{}", self.log());
        }
    }

    async fn run(&self, place: &str, commands: &str, expected: Option<&str>, repeats: bool) {
        let began = Instant::now();
        loop {
            let (succeeded, shown, errors) = self.bash(commands).await;
            let is_seen = expected.is_none_or(|expected| fits(expected, &shown));
            if succeeded && is_seen {
                return;
            }
            let told = format!(
                "{place}: typed\n{commands}\nseen\n{shown}{errors}\nexpected\n{}\nusher said\n{}",
                expected.unwrap_or("success"),
                self.log()
            );
            assert!(repeats && began.elapsed() < PATIENCE, "{told}");
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    /// Types commands, with the variables of those before.
    async fn bash(&self, commands: &str) -> (bool, String, String) {
        let state = self.state();
        let state = state.display();
        // A list whose first part fails (`false && true`) does not end bash by itself.
        let script = format!(
            "set -euo pipefail\n[ ! -e {state} ] || . {state}\nset -a\n{commands}\n(exit $?)\nset +a\nexport -p > {state}\n"
        );
        let bash = self.command("bash").arg("-c").arg(script).output();
        let ended = timeout(PATIENCE, bash)
            .await
            .expect("a block comes to its end");
        let ended = ended.expect("bash can be run");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (
            ended.status.success(),
            text(ended.stdout),
            text(ended.stderr),
        )
    }

    /// Starts usher by the page's own configuration.
    async fn serve(&mut self, place: &str) {
        assert!(self.serving.is_none(), "{place}: usher is served already");
        let log = File::create(self.log_path()).expect("a log");
        let state = self.state();
        let state = state.display();
        let script = format!("[ ! -e {state} ] || . {state}\nexec usher serve");
        let child = self
            .command("bash")
            .arg("-c")
            .arg(script)
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .kill_on_drop(true)
            .spawn();
        self.serving = Some(child.expect("usher can be run"));
        eventually("the page's usher listens", PATIENCE, async || {
            let log = self.log();
            assert!(!log.contains("usher: "), "{place}: {log}");
            log.contains("listening address=")
        })
        .await;
        let address = self.log();
        let address = address
            .split_once("listening address=")
            .map(|(_, rest)| rest);
        let address = address.and_then(|rest| rest.split_whitespace().next());
        let ready = format!("curl -fsS http://{}/readyz", address.unwrap_or_default());
        self.run(place, &ready, None, true).await;
    }

    /// A command in the page's folder, which finds the usher under test and nothing of the settings
    /// of whoever runs the tests.
    fn command(&self, program: &str) -> Command {
        let built = Path::new(env!("CARGO_BIN_EXE_usher"));
        let built = built.parent().expect("a folder");
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env(
                "PATH",
                format!("{}:/usr/local/bin:/usr/bin:/bin", built.display()),
            )
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    fn log(&self) -> String {
        fs::read(self.log_path())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join(".usher.log")
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join(".variables")
    }
}

/// `text` with the reader's own in place of what the page names.
fn replace(text: &str, own: &[(&str, &str)]) -> String {
    let own: BTreeMap<&str, &str> = own.iter().copied().collect();
    // The longest first: one may be the start of another.
    let mut names: Vec<&&str> = own.keys().collect();
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    names.into_iter().fold(text.to_owned(), |text, name| {
        text.replace(*name, own[*name])
    })
}

/// Whether what is seen is what the page says, line by line; `…` is anything.
fn fits(expected: &str, seen: &str) -> bool {
    let lines = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.trim_end().to_owned())
            .collect()
    };
    let (expected, seen) = (lines(expected.trim()), lines(seen.trim()));
    expected.len() == seen.len()
        && expected
            .iter()
            .zip(&seen)
            .all(|(expected, seen)| line_fits(expected, seen))
}

fn line_fits(expected: &str, seen: &str) -> bool {
    let mut parts = expected.split('…');
    let Some(mut rest) = seen.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn reads_a_page_as_its_reader_would() {
    let mut page =
        "# A\n\n| replace | by |\n| --- | --- |\n| `HOST` | yours |\n\n## B\n\n".to_owned();
    for (info, text) in [
        ("sh", "echo HOST"),
        ("text", "my…"),
        ("toml", "a = 1"),
        ("sh eventually", "true"),
    ] {
        writeln!(page, "```{info}\n{text}\n```").unwrap();
    }
    let guide = Guide::parse("a.md", &page).expect("a sound page");
    assert_eq!(guide.replaced, ["HOST"]);
    let told: Vec<_> = guide
        .steps
        .iter()
        .map(|step| (step.commands.trim(), step.expected.as_deref(), step.repeats))
        .collect();
    assert_eq!(
        told,
        [("echo HOST", Some("my…\n"), false), ("true", None, true)]
    );
    assert_eq!(
        replace("echo HOST HOST-ID", &[("HOST", "a"), ("HOST-ID", "b")]),
        "echo a b"
    );
}

#[test]
fn passes_over_nothing_in_silence() {
    let block = |info: &str, text: &str| format!("```{info}\n{text}\n```\n");
    let typed = block("sh", "true");
    for (page, mistake) in [
        (block("bash", "true"), "a block of \"bash\""),
        (block("", "true"), "a block of \"\""),
        ("~~~sh\ntrue\n~~~\n".to_owned(), "fenced by ```"),
        ("```sh\ntrue\n".to_owned(), "no end"),
        (block("text", "a"), "nothing was typed"),
        (
            typed.clone() + &block("text", "a") + &block("text", "b"),
            "nothing was typed",
        ),
        (
            typed.clone() + &block("toml", "a = 1") + &block("text", "b"),
            "nothing was typed",
        ),
        (typed + "## B\n" + &block("text", "a"), "nothing was typed"),
        (block("sh", "true\nusher serve"), "of its own"),
        (block("sh eventually", "usher serve"), "of its own"),
        (
            block("sh", "usher serve") + &block("text", "a"),
            "shows nothing",
        ),
    ] {
        let told = Guide::parse("a.md", &page).expect_err(&page);
        assert!(told.contains(mistake), "{told}");
    }
}

#[test]
fn compares_what_is_seen_line_by_line() {
    for (expected, seen, fitting) in [
        ("{\"a\":1}", "{\"a\":1}\n", true),
        ("a…c", "abc", true),
        ("a…c", "abd", false),
        ("…b…", "abc", true),
        ("a", "ab", false),
        ("a\nb", "a", false),
        ("a…b…c", "axbyc", true),
    ] {
        assert_eq!(fits(expected, seen), fitting, "{expected} {seen}");
    }
}

#[tokio::test]
async fn variables_live_on_and_commands_must_succeed() {
    let reader = Reader::new();
    assert!(reader.bash("A=1; B=$(echo 2)\necho hello > file").await.0);
    let (_, shown, _) = reader.bash("echo $A$B $(cat file)").await;
    assert_eq!(shown, "12 hello\n");
    assert!(!reader.bash("false\ntrue").await.0);
    assert!(!reader.bash("false | true").await.0);
    assert!(!reader.bash("true\nfalse && true").await.0);
    assert!(reader.bash("false || true").await.0);
}

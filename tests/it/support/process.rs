//! A real `usher serve`: a child process with a configuration file, a log, and signals that it can
//! be sent.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::support::app::AUTHORIZATION;
use crate::support::database::TestDatabase;
use crate::support::eventually;

pub(crate) const CONSOLE_TOKEN: &str = "console-token";
const PATIENCE: Duration = Duration::from_secs(40);
const SIGKILL: i32 = 9;
/// The binary that is tested.
pub(crate) const USHER: &str = env!("CARGO_BIN_EXE_usher");

/// A folder with a configuration, from which usher is started as often as a test likes.
pub(crate) struct Installation {
    usher: PathBuf,
    folder: TempDir,
    pub(crate) http: Client,
    runs: u32,
}

/// A child that may still be starting.
pub(crate) struct Process {
    /// Where it listens; empty until it does.
    pub(crate) url: String,
    child: Child,
    log: PathBuf,
    pub(crate) http: Client,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// What it printed with `--json`, having ended with `code`.
    pub(crate) fn lines(&self, code: i32) -> Vec<Value> {
        assert_eq!(self.code, Some(code), "{self:?}");
        let lines = self.out.lines();
        lines
            .map(|line| serde_json::from_str(line).expect("one object a line"))
            .collect()
    }
}

/// What every test sets, as the configuration file has it.
pub(crate) fn settings(database: &TestDatabase, konnect_url: &str) -> Value {
    json!({
        "http": { "listen": "127.0.0.1:0" },
        "ingest": { "authorization": [AUTHORIZATION] },
        "database": { "url": database.url() },
        "konnect": { "base_url": konnect_url, "requests_per_second": 500 },
        "console": {
            "tokens": [{ "name": "test", "role": "operator", "token": CONSOLE_TOKEN }],
        },
        "telemetry": { "log": "debug" },
    })
}

impl Installation {
    pub(crate) fn new(settings: &Value) -> Self {
        Self::of(Path::new(USHER), settings)
    }

    /// One of another binary of usher's.
    pub(crate) fn of(usher: &Path, settings: &Value) -> Self {
        let this = Self {
            usher: usher.to_owned(),
            folder: TempDir::new().expect("a folder"),
            http: Client::builder()
                .timeout(PATIENCE)
                .build()
                .expect("a client"),
            runs: 0,
        };
        this.configure(settings);
        this
    }

    /// Writes the configuration anew; the next start reads it.
    pub(crate) fn configure(&self, settings: &Value) {
        let text = toml::to_string(settings).expect("settings without null");
        self.write("usher.toml", &text);
    }

    /// Puts a file beside the configuration.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("the file is written");
        path
    }

    /// Where the configuration is.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Another command of usher's with the same configuration, not yet begun.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.usher);
        command
            .args(arguments)
            .arg("--config")
            .arg(self.folder.path().join("usher.toml"))
            .current_dir(self.folder.path())
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        let run = self.command(arguments).output();
        let ended = timeout(PATIENCE * 3, run).await;
        let ended = ended
            .unwrap_or_else(|_| panic!("it does not end: {arguments:?}"))
            .expect("usher can be run");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Ran {
            code: ended.status.code(),
            out: text(ended.stdout),
            err: text(ended.stderr),
        }
    }

    /// Starts usher and waits for nothing.
    pub(crate) fn launch(&mut self) -> Process {
        let log = self.next_log();
        self.spawn(Command::new(&self.usher), log.clone(), &log)
    }

    /// Starts usher by another program, which becomes it.
    pub(crate) fn launch_by(&mut self, program: &str, argument: &str) -> Process {
        let log = self.next_log();
        let mut command = Command::new(program);
        command.arg(argument).arg(&self.usher);
        self.spawn(command, log.clone(), &log)
    }

    /// Starts usher with its output on a disk that is full.
    pub(crate) fn launch_without_log(&mut self) -> Process {
        let log = self.next_log();
        self.spawn(Command::new(&self.usher), log, Path::new("/dev/full"))
    }

    fn next_log(&mut self) -> PathBuf {
        self.runs += 1;
        let log = self.log_of(self.runs);
        File::create(&log).expect("a log file");
        log
    }

    fn spawn(&self, mut command: Command, log: PathBuf, output: &Path) -> Process {
        let file = File::options().append(true).open(output);
        let file = file.expect("a file for the output");
        let child = command
            .args(["serve", "--config"])
            .arg(self.folder.path().join("usher.toml"))
            .current_dir(self.folder.path())
            // Settings of whoever runs the tests must not reach usher.
            .env_clear()
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle"))
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .expect("usher can be run");
        Process {
            url: String::new(),
            child,
            log,
            http: self.http.clone(),
        }
    }

    /// Starts usher and waits until it accepts deliveries.
    pub(crate) async fn start(&mut self) -> Process {
        let mut process = self.launch();
        process.listens().await;
        process.is_ready().await;
        process
    }

    /// What all runs wrote.
    pub(crate) fn log(&self) -> String {
        (1..=self.runs).fold(String::new(), |mut all, run| {
            let log = read(&self.log_of(run));
            write!(all, "{log}").expect("writes to memory");
            all
        })
    }

    fn log_of(&self, run: u32) -> PathBuf {
        self.folder.path().join(format!("{run}.log"))
    }
}

impl Process {
    /// Waits until it listens.
    pub(crate) async fn listens(&mut self) {
        eventually("usher listens", PATIENCE, async || {
            self.log().contains("listening address=") || self.log().contains("usher: ")
        })
        .await;
        let log = self.log();
        let address = log.split_once("listening address=").map(|(_, rest)| rest);
        let address = address.and_then(|rest| rest.split_whitespace().next());
        self.url = format!(
            "http://{}",
            address.unwrap_or_else(|| panic!("it ended: {log}"))
        );
    }

    /// Waits until it accepts deliveries.
    pub(crate) async fn is_ready(&self) {
        eventually("usher is ready", PATIENCE, async || {
            self.readiness().await == Some(200)
        })
        .await;
    }

    /// The process's id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// What it wrote so far.
    pub(crate) fn log(&self) -> String {
        read(&self.log)
    }

    /// The status of `/readyz`, if there is an answer.
    pub(crate) async fn readiness(&self) -> Option<u16> {
        let answer = self
            .http
            .get(format!("{}/readyz", self.url))
            .send()
            .await
            .ok()?;
        Some(answer.status().as_u16())
    }

    /// What `/readyz` says of every part.
    pub(crate) async fn parts(&self) -> Value {
        self.readyz().await["parts"].clone()
    }

    /// Delivers to it; the status, if there is an answer.
    pub(crate) async fn deliver(&self, lines: &[String]) -> Option<StatusCode> {
        deliver(&self.http, &self.url, lines).await
    }

    /// `/metrics` as it is.
    pub(crate) async fn metrics(&self) -> String {
        let answer = self.http.get(format!("{}/metrics", self.url)).send().await;
        let answer = answer.expect("an answer");
        answer.text().await.expect("text")
    }

    /// `/readyz` as whoever has a console token sees it.
    pub(crate) async fn readyz(&self) -> Value {
        let request = self
            .http
            .get(format!("{}/readyz", self.url))
            .bearer_auth(CONSOLE_TOKEN);
        let answer = request.send().await.expect("an answer");
        answer.json().await.expect("JSON")
    }

    /// The rows of a page of the JSON API.
    pub(crate) async fn rows(&self, path: &str) -> Vec<Value> {
        let request = self
            .http
            .get(format!("{}{path}", self.url))
            .bearer_auth(CONSOLE_TOKEN);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let body: Value = answer.json().await.expect("JSON");
        body["data"].as_array().expect("a list").clone()
    }

    /// Ends it as a power cut does.
    pub(crate) async fn kill(mut self) {
        self.child.start_kill().expect("it runs");
        assert_eq!(
            self.exit(PATIENCE).await.signal(),
            Some(SIGKILL),
            "it ended by itself"
        );
    }

    /// Sends SIGTERM.
    pub(crate) async fn terminate(&self) {
        self.signal("-TERM").await;
    }

    /// Sends SIGHUP.
    pub(crate) async fn hang_up(&self) {
        self.signal("-HUP").await;
    }

    async fn signal(&self, signal: &str) {
        let pid = self.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().await;
        assert!(sent.expect("kill can be run").success());
    }

    /// Waits until it ends.
    pub(crate) async fn exit(mut self, within: Duration) -> ExitStatus {
        let ended = timeout(within, self.child.wait()).await;
        ended
            .unwrap_or_else(|_| panic!("it runs on after {within:?}: {}", self.log()))
            .expect("a child has a status")
    }
}

/// The most memory that a process had so far, in bytes, without the pages of files.
pub(crate) fn peak_memory_of(process: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let bytes = |member: &str| {
        let found = status.lines().find_map(|line| line.strip_prefix(member));
        let kilobytes = found.and_then(|text| text.trim().strip_suffix(" kB"));
        let kilobytes: usize = kilobytes.expect("a size").parse().expect("a number");
        kilobytes * 1024
    };
    bytes("VmHWM:") - bytes("RssFile:")
}

/// Delivers as Konnect does, but for the body's coding; the status, if there is an answer.
pub(crate) async fn deliver(http: &Client, url: &str, lines: &[String]) -> Option<StatusCode> {
    let request = http
        .post(format!("{url}/audit-logs"))
        .header("Authorization", AUTHORIZATION)
        .header("Content-Type", "text/plain")
        .body(lines.join("\n"));
    Some(request.send().await.ok()?.status())
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).expect("the log can be read")).into_owned()
}

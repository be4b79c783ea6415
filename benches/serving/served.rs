//! The release binary as a child process: started as an operator would, killed at the end of a run.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::StatusCode;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use usher::lifecycle::Lifecycle;

const START_TIMEOUT: Duration = Duration::from_secs(30);

/// The one that was built with the bench.
pub(crate) const BUILT: &str = env!("CARGO_BIN_EXE_usher");

/// A running `usher serve`.
#[derive(Debug)]
pub(crate) struct Served {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) pid: u32,
    /// An empty working directory: no `usher.toml` of anybody's is read.
    _directory: TempDir,
}

impl Served {
    /// Starts it with these environment variables, on a port of its own, and waits until it accepts
    /// deliveries.
    pub(crate) async fn start(
        binary: &Path,
        configured: &[(&str, &str)],
        lifecycle: &Lifecycle,
    ) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let mut child = Command::new(binary)
            .arg("serve")
            .current_dir(&directory)
            .env_clear()
            .env("USHER_HTTP__LISTEN", "127.0.0.1:0")
            .env("USHER_TELEMETRY__FORMAT", "json")
            .envs(configured.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("could not start usher")?;
        let pid = child.id().context("usher ended at once")?;
        let log = child.stderr.take().expect("it is piped");
        let address = tokio::time::timeout(START_TIMEOUT, address(log, lifecycle))
            .await
            .context("usher does not listen")??;
        let this = Self {
            child,
            address,
            pid,
            _directory: directory,
        };
        tokio::time::timeout(START_TIMEOUT, this.ready())
            .await
            .context("usher does not get ready")??;
        Ok(this)
    }

    async fn ready(&self) -> Result<()> {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(5))
            .build()?;
        let url = format!("http://{}/readyz", self.address);
        while client.get(&url).send().await?.status() != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Ends it at once: everything that it answered is committed.
    pub(crate) async fn end(mut self) -> Result<()> {
        self.child.kill().await.context("could not end usher")
    }
}

/// Reads the log up to the address, and drains the rest so that usher never waits for a reader.
async fn address(log: tokio::process::ChildStderr, lifecycle: &Lifecycle) -> Result<SocketAddr> {
    let mut lines = BufReader::new(log).lines();
    let mut seen = Vec::new();
    while let Some(line) = lines.next_line().await? {
        let told: Value = serde_json::from_str(&line).unwrap_or_default();
        if let Some(address) = told["address"].as_str() {
            let address = address.parse()?;
            lifecycle.spawn("log", async move {
                while let Ok(Some(_)) = lines.next_line().await {}
            });
            return Ok(address);
        }
        seen.push(line);
    }
    bail!("usher ended: {}", seen.join("\n"))
}

//! One child process. A thread of its own spawns and awaits it: the kernel sends the signal of
//! `--pdeathsig` when the spawning *thread* ends, and threads of a runtime come and go.

use std::fs::File;
use std::io;
use std::process::Command;
use std::thread;

use tokio::sync::{oneshot, watch};

use crate::error::EmbeddedError;

/// How [`Process::ended`] names a success.
pub(super) const SUCCESS: &str = "exit status: 0";

/// A process whose parent thread lives as long as it does.
#[derive(Debug)]
pub(super) struct Process {
    pid: u32,
    ended: watch::Receiver<Option<String>>,
}

impl Process {
    /// Spawns `command` with the lock as its standard input and the log as its output.
    pub(super) async fn spawn(
        what: &'static str,
        mut command: Command,
        [lock, log]: [&File; 2],
    ) -> Result<Self, EmbeddedError> {
        let failed = |source| EmbeddedError::Spawn { what, source };
        command
            .stdin(lock.try_clone().map_err(failed)?)
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log.try_clone().map_err(failed)?);
        let (started, start) = oneshot::channel();
        let (ending, ended) = watch::channel(None);
        thread::Builder::new()
            .name(format!("embedded-{what}"))
            .spawn(move || supervise(what, command, started, &ending))
            .map_err(failed)?;
        let pid = start
            .await
            .unwrap_or_else(|_| Err(io::Error::other("its thread ended")))
            .map_err(failed)?;
        Ok(Self { pid, ended })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits for the end and says how it ended; may be called again.
    pub(super) async fn ended(&mut self) -> String {
        match self.ended.wait_for(Option::is_some).await {
            Ok(status) => status.clone().unwrap_or_default(),
            Err(_) => "its thread ended".to_owned(),
        }
    }
}

/// The life of a process's thread: spawn, report, wait.
fn supervise(
    what: &'static str,
    mut command: Command,
    started: oneshot::Sender<io::Result<u32>>,
    ending: &watch::Sender<Option<String>>,
) {
    let spawned = command.spawn();
    // The command has copies of the lock, which would outlive the server.
    drop(command);
    let (mut child, reported) = match spawned {
        Ok(child) => {
            let reported = started.send(Ok(child.id()));
            (child, reported)
        }
        Err(error) => {
            if started.send(Err(error)).is_err() {
                tracing::debug!(
                    process = what,
                    "nobody waits for a process that did not start"
                );
            }
            return;
        }
    };
    if reported.is_err() {
        tracing::debug!(process = what, "nobody waits for the process any more");
    }
    let status = child
        .wait()
        .map_or_else(|error| error.to_string(), |status| status.to_string());
    if status == SUCCESS {
        tracing::debug!(process = what, "embedded process ended");
    } else {
        tracing::error!(process = what, %status, "embedded process failed");
    }
    ending.send_replace(Some(status));
}

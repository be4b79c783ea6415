//! The server: makes the database, starts it, waits until it answers, ends it. It must not leave a
//! process of its own behind when one of these fails.

use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use sqlx::Postgres;
use sqlx::migrate::MigrateDatabase;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::account::Account;
use crate::binaries::Binaries;
use crate::error::EmbeddedError;
use crate::folder::{Folder, NAME, PORT};
use crate::process::{Process, SUCCESS};

/// `initdb` takes 1.5 s on a quiet machine; a slow disk may need many times that for its syncs.
const INIT_TIMEOUT: Duration = Duration::from_mins(2);

/// How long the server may take to accept connections, recovery after a crash included.
const START_TIMEOUT: Duration = Duration::from_secs(30);
const START_POLL: Duration = Duration::from_millis(50);

/// How long one query to a starting server may take.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);

/// How long making the empty database may take.
const CREATE_TIMEOUT: Duration = Duration::from_secs(30);

/// A fast shutdown ends sessions and writes a checkpoint; an immediate one leaves recovery to the
/// next start.
const SHUTDOWNS: [(&str, Duration); 2] = [
    ("fast", Duration::from_secs(20)),
    ("immediate", Duration::from_secs(5)),
];

/// How long a shutdown may take before it is requested again: a request is lost before the server
/// has written its pid file.
const SHUTDOWN_RETRY: Duration = Duration::from_secs(1);

/// The server's fixed settings, on the command line so that no file in the data folder can change
/// them.
const SETTINGS: [&str; 16] = [
    "fsync=on",
    "full_page_writes=on",
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "max_connections=50",
    "shared_buffers=64MB",
    "logging_collector=off",
    "log_destination=stderr",
    // usher reports statements that fail. Here they would let the log grow without bound, and may
    // quote personal data.
    "log_min_messages=log",
    "log_min_error_statement=panic",
    "log_error_verbosity=terse",
    "log_statement=none",
    "log_connections=off",
    "log_checkpoints=off",
    "log_timezone=UTC",
    "external_pid_file=",
];

/// A server that this process owns.
#[derive(Debug)]
pub(super) struct Server {
    folder: Folder,
    account: Account,
    pg_ctl: PathBuf,
    process: Process,
}

impl Server {
    /// Makes the database if there is none, starts the server and waits until it answers. The
    /// processes started get `lock`, so that the folder stays locked as long as one of them lives.
    pub(super) async fn launch(
        folder: Folder,
        binaries: &Binaries,
        account: Account,
        lock: File,
        cancel: &CancellationToken,
    ) -> Result<Self, EmbeddedError> {
        let log = folder.start_log()?;
        if folder.existing()?.is_none() {
            init(&folder, binaries, &account, [&lock, &log], cancel).await?;
        }
        folder.prepare_run(&account)?;
        let mut command = account.command(&binaries.program("postgres"));
        command.arg("-D").arg(folder.data());
        command.args(["-p", &PORT.to_string(), "-c", &folder.socket_setting()]);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        let process = Process::spawn("postgres", command, [&lock, &log]).await?;
        let mut server = Self {
            folder,
            account,
            pg_ctl: binaries.program("pg_ctl"),
            process,
        };
        match server.become_ready(cancel).await {
            Ok(()) => Ok(server),
            Err(error) => {
                if let Err(stopping) = server.stop().await {
                    tracing::warn!(error = %stopping, "could not stop the embedded postgres that failed to start");
                }
                Err(error)
            }
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Waits until the server answers and has usher's database.
    async fn become_ready(&mut self, cancel: &CancellationToken) -> Result<(), EmbeddedError> {
        let url = self.folder.url();
        let deadline = Instant::now() + START_TIMEOUT;
        let exists = loop {
            tokio::select! {
                () = cancel.cancelled() => return Err(EmbeddedError::Cancelled),
                status = self.process.ended() => return Err(EmbeddedError::StartFailed {
                    status,
                    log_file: self.folder.log_file(),
                    log: self.folder.log_tail(),
                }),
                answer = timeout(ASK_TIMEOUT, Postgres::database_exists(&url)) => {
                    if let Ok(Ok(exists)) = answer {
                        break exists;
                    }
                }
            }
            if Instant::now() >= deadline {
                return Err(too_slow(
                    &self.folder,
                    "starting embedded postgres",
                    START_TIMEOUT,
                ));
            }
            sleep(START_POLL).await;
        };
        if exists {
            return Ok(());
        }
        tokio::select! {
            () = cancel.cancelled() => Err(EmbeddedError::Cancelled),
            made = timeout(CREATE_TIMEOUT, Postgres::create_database(&url)) => match made {
                Ok(made) => made.map_err(EmbeddedError::CreateDatabase),
                Err(_) => Err(too_slow(&self.folder, "creating the database", CREATE_TIMEOUT)),
            }
        }
    }

    /// Ends the server and waits for its end.
    pub(super) async fn stop(mut self) -> Result<(), EmbeddedError> {
        for (mode, patience) in SHUTDOWNS {
            let deadline = Instant::now() + patience;
            while Instant::now() < deadline {
                if timeout(Duration::ZERO, self.process.ended()).await.is_ok() {
                    return Ok(());
                }
                self.request_shutdown(mode).await;
                if timeout(SHUTDOWN_RETRY, self.process.ended()).await.is_ok() {
                    return Ok(());
                }
            }
            tracing::warn!(
                postgres.shutdown = mode,
                "embedded postgres did not stop in time"
            );
        }
        Err(EmbeddedError::StopFailed {
            pid: self.process.pid(),
            after: SHUTDOWNS.iter().map(|(_, patience)| *patience).sum(),
        })
    }

    /// Signals through `pg_ctl`, which finds the process by its pid file; a request that fails is
    /// made again.
    async fn request_shutdown(&self, mode: &str) {
        let mut command = self.account.command(&self.pg_ctl);
        command.args(["stop", "-W", "-m", mode, "-D"]);
        command.arg(self.folder.data());
        let mut command = tokio::process::Command::from(command);
        command
            .kill_on_drop(true)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        match timeout(ASK_TIMEOUT, command.status()).await {
            Ok(Ok(status)) if status.success() => {}
            Ok(Ok(status)) => tracing::debug!(%status, "pg_ctl found no server to stop"),
            Ok(Err(error)) => tracing::warn!(%error, "could not run pg_ctl"),
            Err(_) => tracing::warn!("pg_ctl took too long"),
        }
    }
}

/// Runs `initdb` in a folder beside, so that an interrupted one leaves nothing that looks like a
/// database.
async fn init(
    folder: &Folder,
    binaries: &Binaries,
    account: &Account,
    files: [&File; 2],
    cancel: &CancellationToken,
) -> Result<(), EmbeddedError> {
    let unfinished = folder.begin_init(account)?;
    let mut command = account.command(&binaries.program("initdb"));
    command
        .arg("-D")
        .arg(unfinished)
        .args(["-U", NAME, "--encoding=UTF8", "--locale=C.UTF-8"])
        // A user who may enter the socket's folder may read the data anyway, and no client comes by
        // TCP.
        .args(["--auth-local=trust", "--auth-host=reject"])
        .args(["--data-checksums", "--no-instructions"]);
    let mut process = Process::spawn("initdb", command, files).await?;
    let status = tokio::select! {
        () = cancel.cancelled() => return Err(EmbeddedError::Cancelled),
        status = timeout(INIT_TIMEOUT, process.ended()) => {
            status.map_err(|_| too_slow(folder, "initdb", INIT_TIMEOUT))?
        }
    };
    if status != SUCCESS {
        return Err(EmbeddedError::InitFailed {
            status,
            log_file: folder.log_file(),
            log: folder.log_tail(),
        });
    }
    folder.finish_init()
}

fn too_slow(folder: &Folder, step: &'static str, after: Duration) -> EmbeddedError {
    EmbeddedError::TooSlow {
        step,
        after,
        log_file: folder.log_file(),
        log: folder.log_tail(),
    }
}

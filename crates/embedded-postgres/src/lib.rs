//! Postgres as a part of usher, for `usher demo` and `database.embedded`: a small supervisor over
//! the machine's own binaries. It keeps full durability (`fsync` stays on), listens on a Unix
//! socket only, and leaves no server behind when usher dies. It must not touch data that it did not
//! make.
//!
#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod account;
mod binaries;
mod error;
mod folder;
mod process;
mod server;

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::account::Account;
use crate::binaries::Binaries;
pub use crate::error::EmbeddedError;
use crate::folder::Folder;
use crate::server::Server;

/// How long another process may take to release the folder or to let usher join its server.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(30);

/// How often a locked folder is tried again.
const CLAIM_POLL: Duration = Duration::from_millis(100);

/// How long one attempt to join a running server may take.
const JOIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the embedded Postgres lives.
#[derive(Debug, Clone)]
pub struct EmbeddedConfig {
    /// A folder of usher's own, made if missing; the database is in its `data`, the log in
    /// `postgres.log`.
    pub data_dir: PathBuf,
    /// The folder of `postgres`, `initdb` and `pg_ctl`; `None` searches for them.
    pub bin_dir: Option<PathBuf>,
}

/// A running Postgres that ends with this process.
///
/// A handle dropped without [`stop`](Self::stop) leaves the server running until the process ends,
/// however it ends; then the kernel asks it for a fast shutdown.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    url: String,
    /// `None` when the server belongs to another process and was only joined.
    server: Option<Server>,
}

impl EmbeddedPostgres {
    /// Starts the server of `config.data_dir`, making the database at the first start, and returns
    /// once it takes connections.
    ///
    /// A server that another usher runs on the same folder is joined instead: it ends with its
    /// owner. `search_path` is the value of `PATH`, the last place where binaries are searched.
    pub async fn start(
        config: EmbeddedConfig,
        search_path: &OsStr,
        cancel: &CancellationToken,
    ) -> Result<Self, EmbeddedError> {
        let folder = Folder::open(&config.data_dir)?;
        let url = folder.url();
        let Some(lock) = claim(&folder, &url, cancel).await? else {
            tracing::info!(data_dir = %folder.root().display(), "joined a running embedded postgres");
            return Ok(Self { url, server: None });
        };
        let search_path = search_path.to_owned();
        let preparing = tokio::task::spawn_blocking(move || {
            prepare(folder, config.bin_dir.as_deref(), &search_path)
        });
        let (folder, binaries, account) =
            preparing.await.map_err(|error| EmbeddedError::Spawn {
                what: "the preparations",
                source: io::Error::other(error),
            })??;
        let server = Server::launch(folder, &binaries, account, lock, cancel).await?;
        tracing::info!(
            postgres.pid = server.pid(),
            postgres.major = binaries.major(),
            "embedded postgres is ready"
        );
        Ok(Self {
            url,
            server: Some(server),
        })
    }

    /// A connection string for sqlx: the database `usher` through the Unix socket. It contains no
    /// secret.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether the server belongs to another process, which will end it.
    pub fn is_joined(&self) -> bool {
        self.server.is_none()
    }

    /// Ends the server by a fast shutdown, after a bound by an immediate one (which loses nothing
    /// that was committed). A joined server is left alone.
    pub async fn stop(self) -> Result<(), EmbeddedError> {
        match self.server {
            Some(server) => server.stop().await,
            None => Ok(()),
        }
    }
}

/// Where the server of `data_dir` answers, if one runs there. Starts, makes and changes nothing.
pub fn running(data_dir: &Path) -> Option<String> {
    // `open` would make a missing folder.
    let folder = Folder::open(data_dir.is_dir().then_some(data_dir)?).ok()?;
    let has_socket = folder.socket().exists();
    has_socket.then(|| folder.url())
}

/// Takes the folder's lock, or joins the server of the process that has it (`None`).
///
/// The server process itself has the lock. So a server that still shuts down after its usher was
/// killed is waited for, and a stale pid file means nothing.
async fn claim(
    folder: &Folder,
    url: &str,
    cancel: &CancellationToken,
) -> Result<Option<File>, EmbeddedError> {
    let deadline = Instant::now() + CLAIM_TIMEOUT;
    loop {
        if let Some(lock) = folder.try_lock()? {
            return Ok(Some(lock));
        }
        let joined = tokio::select! {
            () = cancel.cancelled() => return Err(EmbeddedError::Cancelled),
            answer = timeout(JOIN_TIMEOUT, PgConnection::connect(url)) => matches!(answer, Ok(Ok(_))),
        };
        if joined {
            return Ok(None);
        }
        if Instant::now() >= deadline {
            return Err(EmbeddedError::InUse {
                data_dir: folder.root().to_owned(),
                pid: folder.recorded_pid(),
            });
        }
        tokio::select! {
            () = cancel.cancelled() => return Err(EmbeddedError::Cancelled),
            () = sleep(CLAIM_POLL) => {}
        }
    }
}

/// Chooses binaries and user for the folder and checks that they fit before anything is written.
fn prepare(
    folder: Folder,
    bin_dir: Option<&Path>,
    search_path: &OsStr,
) -> Result<(Folder, Binaries, Account), EmbeddedError> {
    let existing = folder.existing()?;
    let wanted = existing.as_ref().map(|cluster| cluster.version.as_str());
    let binaries = Binaries::find(bin_dir, search_path, wanted)?;
    if let Some(data) = wanted.filter(|data| *data != binaries.major().to_string()) {
        return Err(EmbeddedError::OtherMajor {
            data_dir: folder.root().to_owned(),
            data: data.to_owned(),
            binaries: binaries.major(),
        });
    }
    let owner = existing.as_ref().map(|cluster| cluster.owner);
    let account = Account::choose(&folder.data(), owner, search_path)?;
    account.check_reach(folder.root(), binaries.dir())?;
    Ok((folder, binaries, account))
}

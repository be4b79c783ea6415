//! What can keep the embedded Postgres from starting or stopping, each with the way out.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why the embedded Postgres could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No folder with `postgres`, `initdb` and `pg_ctl` was found.
    #[error(
        "no postgres binaries in {looked_in}: install postgres {oldest} or newer (`apt install postgresql`, \
         `dnf install postgresql-server`), name the folder of its binaries, or set database.url to a server"
    )]
    NoBinaries {
        /// Where they were searched.
        looked_in: String,
        /// The oldest major version that works.
        oldest: u32,
    },

    /// The binaries are there but do not show their version.
    #[error("could not learn the version of {path}: {detail}")]
    UnknownVersion {
        /// The program `postgres`.
        path: PathBuf,
        /// What it said, or why it did not run.
        detail: String,
    },

    /// The binaries are older than what usher's queries need.
    #[error("{bin_dir} contains postgres {major}, and usher needs {oldest} or newer")]
    TooOld {
        /// The folder of the binaries.
        bin_dir: PathBuf,
        /// Their major version.
        major: u32,
        /// The oldest major version that works.
        oldest: u32,
    },

    /// The data were written by another major version than the binaries at hand.
    #[error(
        "{data_dir} was written by postgres {data} and the binaries at hand are postgres {binaries}: \
         install postgres {data}, move the data with pg_upgrade, or name another data_dir"
    )]
    OtherMajor {
        /// The configured folder.
        data_dir: PathBuf,
        /// The version that wrote the data.
        data: String,
        /// The major version of the binaries.
        binaries: u32,
    },

    /// The folder is the data folder of a server that usher did not make.
    #[error(
        "{data_dir} is itself the data folder of a postgres {data} that usher did not make: \
         name an empty folder, or set database.url to that server"
    )]
    NotOurs {
        /// The configured folder.
        data_dir: PathBuf,
        /// The version that wrote the data.
        data: String,
    },

    /// The data folder has files but is no database.
    #[error(
        "{data} contains files but no database: move them away, or name another data_dir (nothing was deleted)"
    )]
    NotADatabase {
        /// The data folder.
        data: PathBuf,
    },

    /// The data belong to a user that usher cannot become.
    #[error(
        "{data} belongs to uid {owner}, who cannot run postgres here (usher is uid {ours}): {way_out}"
    )]
    WrongOwner {
        /// The data folder.
        data: PathBuf,
        /// The user who owns it.
        owner: u32,
        /// The user of this process.
        ours: u32,
        /// What helps.
        way_out: &'static str,
    },

    /// A Unix socket in the folder would have a name longer than the kernel takes.
    #[error(
        "{data_dir} has {length} bytes and a unix socket leaves room for {most}: name a shorter data_dir"
    )]
    PathTooLong {
        /// The configured folder.
        data_dir: PathBuf,
        /// The bytes of its name.
        length: usize,
        /// The most bytes that it may have.
        most: usize,
    },

    /// The folder's name is not UTF-8 or has a line break, and connection strings and log lines
    /// need it plain.
    #[error("{data_dir:?} is not plain UTF-8 text: name another data_dir")]
    PathNotText {
        /// The configured folder.
        data_dir: PathBuf,
    },

    /// `setpriv`, which ends the server together with usher, is missing.
    #[error(
        "no setpriv in {looked_in}: install util-linux, or set database.url to a server that runs by itself"
    )]
    NoSetpriv {
        /// Where it was searched.
        looked_in: String,
    },

    /// The supervisor could not run anything as the server's user.
    #[error("could not run a command as the server's user through {setpriv}: {detail}")]
    CannotSwitch {
        /// The program `setpriv`.
        setpriv: PathBuf,
        /// What it wrote to standard error.
        detail: String,
    },

    /// Run as root, and there is no user to run the server as.
    #[error(
        "postgres refuses to run as root and there is no user postgres or nobody: create one, or run usher as another user"
    )]
    NoAccount,

    /// The server's user cannot enter a folder on the way to the data or the binaries.
    #[error(
        "uid {uid}, who runs postgres because it refuses root, cannot enter {dir}: \
         name a data_dir elsewhere (for example /var/lib/usher), or `chmod o+x {dir}`"
    )]
    Unreachable {
        /// The first folder that the user cannot enter.
        dir: PathBuf,
        /// The user.
        uid: u32,
    },

    /// Another process has the folder and its server takes no connection.
    #[error(
        "{data_dir} is in use by {} that takes no connections: wait until it has ended, or end it",
        .pid.map_or_else(|| "another usher".to_owned(), |pid| format!("postgres (process {pid})"))
    )]
    InUse {
        /// The configured folder.
        data_dir: PathBuf,
        /// The process that the folder names.
        pid: Option<u32>,
    },

    /// `initdb` failed; `log` is the end of its output.
    #[error("initdb failed ({status}), the end of {log_file} is:\n{log}")]
    InitFailed {
        /// How it ended.
        status: String,
        /// The file with its output.
        log_file: PathBuf,
        /// The end of that file.
        log: String,
    },

    /// The server ended instead of starting; `log` is the end of its output.
    #[error("embedded postgres did not start ({status}), the end of {log_file} is:\n{log}")]
    StartFailed {
        /// How it ended.
        status: String,
        /// The file with its output.
        log_file: PathBuf,
        /// The end of that file.
        log: String,
    },

    /// A step took longer than its bound.
    #[error(
        "{step} took longer than {} s, the end of {log_file} is:\n{log}",
        .after.as_secs()
    )]
    TooSlow {
        /// The step.
        step: &'static str,
        /// Its bound.
        after: Duration,
        /// The file with the output.
        log_file: PathBuf,
        /// The end of that file.
        log: String,
    },

    /// The server survived a fast and an immediate shutdown.
    #[error("embedded postgres (process {pid}) did not stop within {} s: end that process", .after.as_secs())]
    StopFailed {
        /// The process that is still there.
        pid: u32,
        /// How long it was waited for.
        after: Duration,
    },

    /// The database could not be made on a running server.
    #[error("could not create the database on the embedded postgres")]
    CreateDatabase(#[source] sqlx::Error),

    /// The caller cancelled while the server was starting.
    #[error("starting embedded postgres was cancelled")]
    Cancelled,

    /// A file operation failed.
    #[error("could not {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },

    /// A thread or process could not be started.
    #[error("could not start {what}")]
    Spawn {
        /// The thread or process.
        what: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl EmbeddedError {
    /// Names the operation and the path that failed, as a closure for `map_err`.
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}

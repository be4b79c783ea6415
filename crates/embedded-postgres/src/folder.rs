//! The folder of the embedded Postgres and its content: `data` (the database), `run` (the socket),
//! `lock`, `postgres.log`. The server's user gets only `data` and `run`. So a folder named by
//! mistake keeps its owner, and that user cannot plant links for root to follow.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use url::Url;

use crate::account::{Account, Ids};
use crate::error::EmbeddedError;

/// The role and the database that usher uses.
pub(super) const NAME: &str = "usher";

/// Only part of the socket's file name, since no TCP port is opened; fixed so that others can join.
pub(super) const PORT: u16 = 5432;

/// Bytes of a socket's path that every system takes (108 with the NUL on Linux, 104 elsewhere).
const SOCKET_PATH_LIMIT: usize = 99;

/// How much of the log's end an error shows.
const LOG_TAIL_BYTES: u64 = 4096;
const LOG_TAIL_LINES: usize = 20;

/// A database found in the folder.
#[derive(Debug)]
pub(super) struct Cluster {
    /// The content of `PG_VERSION`, such as `15` or `9.6`.
    pub(super) version: String,
    pub(super) owner: Ids,
}

/// The folder, by an absolute path of text.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    /// `root` as text, for connection strings.
    text: String,
}

impl Folder {
    /// Checks the name and makes the folder if missing, open for passage only.
    pub(super) fn open(data_dir: &Path) -> Result<Self, EmbeddedError> {
        let root = std::path::absolute(data_dir).map_err(EmbeddedError::io("resolve", data_dir))?;
        let Some(text) = root.to_str().filter(|text| !text.contains(['\n', '\r'])) else {
            return Err(EmbeddedError::PathNotText { data_dir: root });
        };
        let text = text.to_owned();
        let folder = Self { root, text };
        let socket = folder.socket();
        let length = folder.text.len();
        let added = socket.as_os_str().len() - length;
        if length + added > SOCKET_PATH_LIMIT {
            return Err(EmbeddedError::PathTooLong {
                data_dir: folder.root,
                length,
                most: SOCKET_PATH_LIMIT - added,
            });
        }
        if !folder.root.is_dir() {
            fs::create_dir_all(&folder.root).map_err(EmbeddedError::io("create", &folder.root))?;
            fs::set_permissions(&folder.root, Permissions::from_mode(0o711))
                .map_err(EmbeddedError::io("set the mode of", &folder.root))?;
        }
        Ok(folder)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    pub(super) fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// What clients connect to.
    pub(super) fn socket(&self) -> PathBuf {
        self.run().join(format!(".s.PGSQL.{PORT}"))
    }

    /// Where `initdb` works; it becomes `data` only when complete.
    pub(super) fn unfinished(&self) -> PathBuf {
        self.root.join("data.unfinished")
    }

    pub(super) fn log_file(&self) -> PathBuf {
        self.root.join("postgres.log")
    }

    /// Every part that a `PG…` variable could change is named.
    pub(super) fn url(&self) -> String {
        let mut url = Url::parse(&format!("postgres://{NAME}@localhost:{PORT}/{NAME}"))
            .expect("the fixed part is a url");
        url.query_pairs_mut()
            .append_pair("host", &format!("{}/run", self.text.trim_end_matches('/')))
            .append_pair("sslmode", "disable");
        url.into()
    }

    /// The value of `unix_socket_directories`, a list whose members may be quoted.
    pub(super) fn socket_setting(&self) -> String {
        let run = format!("{}/run", self.text.trim_end_matches('/'));
        format!("unix_socket_directories=\"{}\"", run.replace('"', "\"\""))
    }

    /// Takes the lock that the server will have as its standard input; `None` while another has it.
    pub(super) fn try_lock(&self) -> Result<Option<File>, EmbeddedError> {
        let path = self.root.join("lock");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(EmbeddedError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(EmbeddedError::io("lock", path)(source)),
        }
    }

    /// The process that `postmaster.pid` names, for messages only: it may be long gone.
    pub(super) fn recorded_pid(&self) -> Option<u32> {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        file.lines().next()?.trim().parse().ok()
    }

    /// Finds the database; `None` when there is none yet.
    pub(super) fn existing(&self) -> Result<Option<Cluster>, EmbeddedError> {
        if let Some(data) = read_version(&self.root)? {
            return Err(EmbeddedError::NotOurs {
                data_dir: self.root.clone(),
                data,
            });
        }
        let data = self.data();
        if let Some(version) = read_version(&data)? {
            let owner = fs::metadata(&data).map_err(EmbeddedError::io("read", &data))?;
            return Ok(Some(Cluster {
                version,
                owner: Ids {
                    uid: owner.uid(),
                    gid: owner.gid(),
                },
            }));
        }
        match fs::read_dir(&data) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(EmbeddedError::io("read", data)(error)),
            Ok(mut entries) => match entries.next() {
                None => Ok(None),
                Some(_) => Err(EmbeddedError::NotADatabase { data }),
            },
        }
    }

    /// Makes the empty folder for `initdb`, after removing what an interrupted one left.
    pub(super) fn begin_init(&self, account: &Account) -> Result<PathBuf, EmbeddedError> {
        let dir = self.unfinished();
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(EmbeddedError::io("remove", dir)(error));
            }
            Ok(()) | Err(_) => {}
        }
        create_private(&dir, account)?;
        Ok(dir)
    }

    /// Gives the complete database its name, durably.
    pub(super) fn finish_init(&self) -> Result<(), EmbeddedError> {
        let data = self.data();
        fs::rename(self.unfinished(), &data).map_err(EmbeddedError::io("rename to", data))?;
        File::open(&self.root)
            .and_then(|dir| dir.sync_all())
            .map_err(EmbeddedError::io("sync", &self.root))
    }

    /// Makes the socket's folder, which only the server's user and root may enter: every client
    /// that can reach the socket is trusted.
    pub(super) fn prepare_run(&self, account: &Account) -> Result<(), EmbeddedError> {
        let dir = self.run();
        match fs::symlink_metadata(&dir) {
            Ok(found) if found.is_dir() => fs::set_permissions(&dir, Permissions::from_mode(0o700))
                .and_then(|()| account.own(&dir))
                .map_err(EmbeddedError::io("take over", dir)),
            Ok(_) => Err(EmbeddedError::io("use", dir)(
                io::ErrorKind::NotADirectory.into(),
            )),
            Err(error) if error.kind() == io::ErrorKind::NotFound => create_private(&dir, account),
            Err(error) => Err(EmbeddedError::io("read", dir)(error)),
        }
    }

    /// Starts an empty log, keeping the last one beside it.
    pub(super) fn start_log(&self) -> Result<File, EmbeddedError> {
        let path = self.log_file();
        match fs::rename(&path, self.root.join("postgres.log.old")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(EmbeddedError::io("rename", path)(error));
            }
            Ok(()) | Err(_) => {}
        }
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map_err(EmbeddedError::io("create", path))
    }

    /// The last lines of the log, or why there are none.
    pub(super) fn log_tail(&self) -> String {
        match read_tail(&self.log_file()) {
            Ok(tail) if tail.is_empty() => "(empty)".to_owned(),
            Ok(tail) => tail,
            Err(error) => format!("(unreadable: {error})"),
        }
    }
}

fn create_private(dir: &Path, account: &Account) -> Result<(), EmbeddedError> {
    DirBuilder::new()
        .mode(0o700)
        .create(dir)
        .and_then(|()| account.own(dir))
        .map_err(EmbeddedError::io("create", dir))
}

fn read_version(dir: &Path) -> Result<Option<String>, EmbeddedError> {
    let path = dir.join("PG_VERSION");
    match fs::read_to_string(&path) {
        Ok(version) => Ok(Some(version.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(EmbeddedError::io("read", path)(error)),
    }
}

fn read_tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(LOG_TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    Ok(lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n"))
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use sqlx::postgres::PgConnectOptions;

    use super::*;

    #[test]
    fn the_url_leads_sqlx_to_the_socket_whatever_the_folder_is_called() {
        let root = tempfile::tempdir().unwrap();
        for name in ["plain", "with space & percent%", "bücher, \"quoted\"+?#"] {
            let folder = Folder::open(&root.path().join(name)).unwrap();
            let options = PgConnectOptions::from_str(&folder.url()).unwrap();
            assert_eq!(options.get_socket(), Some(&folder.run()), "{name}");
            assert_eq!(options.get_database(), Some(NAME));
            assert_eq!(options.get_username(), NAME);
            assert_eq!(options.get_port(), PORT);
        }
    }

    #[test]
    fn a_folder_too_long_for_a_socket_is_refused_before_it_is_made() {
        let root = tempfile::tempdir().unwrap();
        let long = root.path().join("x".repeat(80));
        let error = Folder::open(&long).unwrap_err();
        assert!(
            matches!(error, EmbeddedError::PathTooLong { .. }),
            "{error}"
        );
        assert!(!long.exists());
    }

    #[test]
    fn files_that_are_no_database_are_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        let keepsake = folder.data().join("keepsake");
        fs::create_dir(folder.data()).unwrap();
        assert!(
            folder.existing().unwrap().is_none(),
            "an empty folder may be filled"
        );
        fs::write(&keepsake, "").unwrap();
        let error = folder.existing().unwrap_err();
        assert!(
            matches!(error, EmbeddedError::NotADatabase { .. }),
            "{error}"
        );
        assert!(keepsake.exists());
    }

    #[test]
    fn the_end_of_the_log_is_bounded() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        assert!(folder.log_tail().starts_with("(unreadable"));
        let lines: Vec<String> = (0..1000).map(|line| format!("line {line}")).collect();
        fs::write(folder.log_file(), lines.join("\n")).unwrap();
        assert_eq!(folder.log_tail(), lines[980..].join("\n"));
    }
}

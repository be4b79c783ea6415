//! Who runs the server: usher's own user, or another where usher is root, since Postgres refuses
//! root. Every command made here ends together with this process. None changes anything outside
//! usher's folder.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::lchown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::binaries::find_program;
use crate::error::EmbeddedError;

/// Users who may run the server for root, best first: both exist without being made for usher.
const STAND_INS: [&str; 2] = ["postgres", "nobody"];

/// Runs a program once it is certain that the parent still lives.
///
/// The kernel forgets a parent that died before `setpriv` asked for the signal. So the shell
/// compares its parent with the one expected (`$0`) before it becomes the program.
const GUARD: &str = r#"test "$PPID" = "$0" || exit 1; exec "$@""#;

/// Prints the first of its arguments that the user cannot enter.
const REACH: &str = r#"for dir; do test -x "$dir" || { printf '%s' "$dir"; exit 0; }; done"#;

/// A user and group by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// The user of the server and the way to run commands as that user.
#[derive(Debug)]
pub(super) struct Account {
    setpriv: PathBuf,
    /// `None` where usher's own user serves.
    ids: Option<Ids>,
}

impl Account {
    /// Chooses the `owner` of existing `data`. For new data it is usher's user, or a stand-in for
    /// root.
    pub(super) fn choose(
        data: &Path,
        owner: Option<Ids>,
        search_path: &OsStr,
    ) -> Result<Self, EmbeddedError> {
        let setpriv =
            find_program("setpriv", search_path).ok_or_else(|| EmbeddedError::NoSetpriv {
                looked_in: format!("{}, /usr/bin and /bin", search_path.display()),
            })?;
        let ours = effective_uid()?;
        let wrong_owner = |owner, way_out| EmbeddedError::WrongOwner {
            data: data.to_owned(),
            owner,
            ours,
            way_out,
        };
        let ids = match owner {
            Some(owner) if ours == 0 && owner.uid == 0 => {
                return Err(wrong_owner(0, "give it to the user who made it (chown -R)"));
            }
            Some(owner) if ours == 0 => Some(owner),
            Some(owner) if ours != owner.uid => {
                return Err(wrong_owner(
                    owner.uid,
                    "run usher as that user or as root, or name another data_dir",
                ));
            }
            None if ours == 0 => Some(stand_in()?),
            Some(_) | None => None,
        };
        Ok(Self { setpriv, ids })
    }

    /// A command that runs `program` as the server's user and gets SIGINT when the thread that
    /// spawns it ends. It has a process group of its own, or Ctrl-C would end the server before
    /// usher has drained. It gets nothing of usher's environment, which may contain secrets, and
    /// whose `PG…` variables would change what the server does.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(&self.setpriv);
        command.args(["--pdeathsig", "INT"]);
        if let Some(Ids { uid, gid }) = self.ids {
            command.args(["--reuid", &uid.to_string(), "--regid", &gid.to_string()]);
            command.arg("--clear-groups");
        }
        command
            .args(["--", "/bin/sh", "-c", GUARD])
            .arg(std::process::id().to_string())
            .arg(program)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .current_dir("/")
            .stdin(Stdio::null())
            .process_group(0);
        command
    }

    /// Gives a folder that usher made to the server's user.
    pub(super) fn own(&self, dir: &Path) -> io::Result<()> {
        match self.ids {
            Some(Ids { uid, gid }) => lchown(dir, Some(uid), Some(gid)),
            None => Ok(()),
        }
    }

    /// Checks that the server's user can enter both folders, and so that `setpriv` works at all. It
    /// tries, since modes alone do not show access lists.
    pub(super) fn check_reach(&self, data_dir: &Path, bin_dir: &Path) -> Result<(), EmbeddedError> {
        let mut ways: Vec<&Path> = Vec::new();
        for dir in [bin_dir, data_dir] {
            let from = ways.len();
            ways.extend(dir.ancestors());
            ways[from..].reverse();
        }
        let output = self
            .command(Path::new("/bin/sh"))
            .args(["-c", REACH, "sh"])
            .args(ways)
            .output()
            .map_err(|source| EmbeddedError::Spawn {
                what: "setpriv",
                source,
            })?;
        if !output.status.success() {
            return Err(EmbeddedError::CannotSwitch {
                setpriv: self.setpriv.clone(),
                detail: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            });
        }
        let blocked = String::from_utf8_lossy(&output.stdout).into_owned();
        if blocked.is_empty() {
            return Ok(());
        }
        Err(EmbeddedError::Unreachable {
            dir: PathBuf::from(blocked),
            uid: match self.ids {
                Some(Ids { uid, .. }) => uid,
                None => effective_uid()?,
            },
        })
    }
}

/// The effective user of this process. The standard library has no call for it.
fn effective_uid() -> Result<u32, EmbeddedError> {
    let path = "/proc/self/status";
    let status = fs::read_to_string(path).map_err(EmbeddedError::io("read", path))?;
    parse_effective_uid(&status).ok_or_else(|| {
        EmbeddedError::io("find the user id in", path)(io::ErrorKind::InvalidData.into())
    })
}

/// `Uid:` is followed by the real, effective, saved and file system ids (`proc_pid_status(5)`).
fn parse_effective_uid(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn stand_in() -> Result<Ids, EmbeddedError> {
    let path = "/etc/passwd";
    let passwd = fs::read_to_string(path).map_err(EmbeddedError::io("read", path))?;
    STAND_INS
        .iter()
        .find_map(|name| find_user(&passwd, name))
        .ok_or(EmbeddedError::NoAccount)
}

/// A user of passwd(5), unless it is root under another name.
fn find_user(passwd: &str, name: &str) -> Option<Ids> {
    let line = passwd
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    let mut numbers = line.split(':').skip(2).map(str::parse);
    let ids = Ids {
        uid: numbers.next()?.ok()?,
        gid: numbers.next()?.ok()?,
    };
    (ids.uid != 0).then_some(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_stand_in_by_whole_name_and_never_root() {
        let passwd = "root:x:0:0::/root:/bin/sh\npostgresql:x:7:7::/:\npostgres:x:101:104:A,,,:/v:/b\n\
                      toor:x:0:0::/:/bin/sh\nbroken:x\n";
        let ids = |uid, gid| Some(Ids { uid, gid });
        for (name, expected) in [
            ("postgres", ids(101, 104)),
            ("postgresql", ids(7, 7)),
            ("toor", None),
            ("broken", None),
            ("nobody", None),
        ] {
            assert_eq!(find_user(passwd, name), expected, "{name}");
        }
    }

    #[test]
    fn takes_the_effective_of_the_four_user_ids() {
        let status = "Name:\tusher\nUid:\t1000\t1001\t1002\t1003\nGid:\t5\t5\t5\t5\n";
        assert_eq!(parse_effective_uid(status), Some(1001));
        assert_eq!(parse_effective_uid("Name:\tusher\n"), None);
    }
}

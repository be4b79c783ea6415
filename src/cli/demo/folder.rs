//! Where the demo keeps its files. Must not touch a folder that no demo made.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::cli::{CliError, Output};
use crate::clock::Ids;
use crate::config::Environment;

/// Its presence says that everything in the folder is the demo's.
const MARKER: &str = ".usher-demo";

/// A folder that may be written to; a temporary one is removed when it is dropped.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    temporary: bool,
    reused: bool,
}

impl Folder {
    /// The requested folder, or a temporary one.
    ///
    /// # Errors
    /// A requested folder that contains anything but an earlier demo is refused, untouched.
    pub(super) fn open(
        wanted: Option<PathBuf>,
        environment: &Environment,
    ) -> Result<Self, CliError> {
        let temporary = wanted.is_none();
        let path = wanted.unwrap_or_else(|| {
            environment
                .temp_dir()
                .join(format!("usher-{}", &Ids::secret()[..8]))
        });
        let reused = path.join(MARKER).exists();
        if !reused && !temporary && !is_free(&path) {
            return Err(CliError::Usage(format!(
                "--data-dir: {} is no folder of an earlier demo and not empty; name another one",
                path.display()
            )));
        }
        claim(&path).with_context(|| format!("could not make the folder {}", path.display()))?;
        let path = fs::canonicalize(&path)
            .with_context(|| format!("could not find the folder {}", path.display()))?;
        Ok(Self {
            path,
            temporary,
            reused,
        })
    }

    /// Its full path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether an earlier demo left something in it.
    pub(super) fn is_reused(&self) -> bool {
        self.reused
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            let path = self.path.display();
            Output::complain(&format!("could not remove {path}: {error}"));
        }
    }
}

/// Whether nothing is there that could be somebody's.
fn is_free(path: &Path) -> bool {
    match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Makes the folder the demo's.
fn claim(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    // Postgres runs as another user where usher runs as root, and must be able to pass.
    let mode = fs::metadata(path)?.permissions().mode() | 0o711;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    fs::write(
        path.join(MARKER),
        "Made by `usher demo`, which may overwrite this folder.\n",
    )
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn open(path: &Path) -> Result<Folder, CliError> {
        Folder::open(Some(path.to_owned()), &Environment::default())
    }

    #[test]
    fn keeps_off_what_is_not_the_demos() {
        let home = TempDir::new().unwrap();
        let theirs = home.path().join("theirs");
        fs::create_dir(&theirs).unwrap();
        fs::set_permissions(&theirs, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(theirs.join("rules.yaml"), "# mine\n").unwrap();
        let refused = open(&theirs).unwrap_err();
        assert!(matches!(refused, CliError::Usage(_)), "{refused}");
        let mode = fs::metadata(&theirs).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert_eq!(fs::read_dir(&theirs).unwrap().count(), 1);
        assert!(open(&theirs.join("rules.yaml")).is_err(), "a file");
    }

    #[test]
    fn takes_what_is_new_empty_or_its_own() {
        let home = TempDir::new().unwrap();
        let path = home.path().join("a/b");
        assert!(!open(&path).unwrap().is_reused());
        fs::write(path.join("rules.yaml"), "").unwrap();
        let again = open(&path).unwrap();
        assert!(again.is_reused());
        drop(again);
        assert!(path.join("rules.yaml").exists(), "a wanted folder stays");
        assert!(!open(home.path()).is_ok_and(|folder| folder.is_reused()));
    }

    #[test]
    fn a_temporary_one_goes_with_its_owner() {
        let home = TempDir::new().unwrap();
        let path = home.path().join("t");
        claim(&path).unwrap();
        drop(Folder {
            path: path.clone(),
            temporary: true,
            reused: false,
        });
        assert!(!path.exists());
    }
}

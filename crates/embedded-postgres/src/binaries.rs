//! Finds the machine's Postgres binaries. It only reads folders and asks for versions; it installs
//! nothing.

use std::cmp::Reverse;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::EmbeddedError;

/// The oldest major version that usher's schema works with.
const OLDEST_MAJOR: u32 = 14;

/// Where Debian's and Ubuntu's packages put one folder a major version, outside `PATH`.
const PACKAGED: &str = "/usr/lib/postgresql";

/// The programs that the supervisor runs.
const PROGRAMS: [&str; 3] = ["postgres", "initdb", "pg_ctl"];

/// A folder of Postgres programs of one major version.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Binaries {
    dir: PathBuf,
    major: u32,
}

impl Binaries {
    /// Takes `explicit` if given, else the newest packaged version, else the first in
    /// `search_path`.
    ///
    /// Where nothing is set explicitly and data of version `wanted` exist, binaries of that version
    /// are preferred: a machine that got a newer Postgres beside the old one keeps working.
    pub(super) fn find(
        explicit: Option<&Path>,
        search_path: &OsStr,
        wanted: Option<&str>,
    ) -> Result<Self, EmbeddedError> {
        if let Some(dir) = explicit {
            if !is_complete(dir) {
                return Err(none_in(dir.display().to_string()));
            }
            return Self::probe(dir)?.checked();
        }
        let candidates = candidates(Path::new(PACKAGED), search_path);
        let mut found = Vec::new();
        for dir in &candidates {
            found.push(Self::probe(dir)?);
        }
        let fitting = found.iter().position(|binaries| {
            wanted.is_some_and(|version| version == binaries.major.to_string())
        });
        match fitting.or_else(|| (!found.is_empty()).then_some(0)) {
            Some(index) => found.swap_remove(index).checked(),
            None => Err(none_in(format!("{PACKAGED}/*/bin and PATH"))),
        }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn major(&self) -> u32 {
        self.major
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Asks `postgres --version`, which root may do as well.
    fn probe(dir: &Path) -> Result<Self, EmbeddedError> {
        let path = dir.join("postgres");
        let unknown = |detail: String| EmbeddedError::UnknownVersion {
            path: path.clone(),
            detail,
        };
        let output = Command::new(&path)
            .arg("--version")
            .output()
            .map_err(|error| unknown(error.to_string()))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let major = major_of(&said).ok_or_else(|| {
            let complaint = String::from_utf8_lossy(&output.stderr);
            unknown(format!("it said {said:?} {complaint:?}"))
        })?;
        Ok(Self {
            dir: dir.to_owned(),
            major,
        })
    }

    fn checked(self) -> Result<Self, EmbeddedError> {
        if self.major < OLDEST_MAJOR {
            return Err(EmbeddedError::TooOld {
                bin_dir: self.dir,
                major: self.major,
                oldest: OLDEST_MAJOR,
            });
        }
        Ok(self)
    }
}

fn none_in(looked_in: String) -> EmbeddedError {
    EmbeddedError::NoBinaries {
        looked_in,
        oldest: OLDEST_MAJOR,
    }
}

/// Folders that hold every program, in the order of preference.
fn candidates(packaged: &Path, search_path: &OsStr) -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(packaged)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    // By number: as text, 9 would be newer than 15.
    versions.sort_by_key(|(version, _)| Reverse(*version));
    let searched = std::env::split_paths(search_path).filter(|dir| dir.is_absolute());
    versions
        .into_iter()
        .map(|(_, dir)| dir)
        .chain(searched)
        .filter(|dir| is_complete(dir))
        .collect()
}

fn is_complete(dir: &Path) -> bool {
    PROGRAMS.iter().all(|program| dir.join(program).is_file())
}

/// The major version in `postgres (PostgreSQL) 15.14 (Debian …)`, also of `17beta1` and `9.6.24`.
fn major_of(said: &str) -> Option<u32> {
    let version = said.split("(PostgreSQL)").nth(1)?.trim_start();
    let end = version
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(version.len());
    version[..end].parse().ok()
}

/// Finds one program in the value of `PATH`, then where every distribution keeps its basic tools.
pub(super) fn find_program(name: &str, search_path: &OsStr) -> Option<PathBuf> {
    let basic = OsString::from("/usr/bin:/bin:/usr/sbin:/sbin");
    std::env::split_paths(search_path)
        .filter(|dir| dir.is_absolute())
        .chain(std::env::split_paths(&basic))
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installed(root: &Path, dir: &str) -> PathBuf {
        let bin = root.join(dir);
        fs::create_dir_all(&bin).unwrap();
        for program in PROGRAMS {
            fs::write(bin.join(program), "").unwrap();
        }
        bin
    }

    #[test]
    fn reads_the_major_version_as_distributions_print_it() {
        for (said, major) in [
            (
                "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n",
                Some(15),
            ),
            ("postgres (PostgreSQL) 17beta1\n", Some(17)),
            ("postgres (PostgreSQL) 18devel", Some(18)),
            ("postgres (PostgreSQL) 9.6.24\n", Some(9)),
            ("postgres (PostgreSQL) ", None),
            ("mysqld 8.0", None),
            ("", None),
        ] {
            assert_eq!(major_of(said), major, "{said:?}");
        }
    }

    #[test]
    fn prefers_the_newest_package_by_number_and_path_last() {
        let root = tempfile::tempdir().unwrap();
        let packaged = root.path().join("postgresql");
        let nine = installed(&packaged, "9/bin");
        let fifteen = installed(&packaged, "15/bin");
        let in_path = installed(root.path(), "tools");
        fs::create_dir_all(packaged.join("17/bin")).unwrap();
        fs::create_dir_all(packaged.join("common/bin")).unwrap();

        let path = std::env::join_paths([root.path(), &in_path, Path::new("relative")]).unwrap();

        assert_eq!(candidates(&packaged, &path), [fifteen, nine, in_path]);
    }

    #[test]
    fn an_explicit_folder_without_programs_is_named_in_the_error() {
        let root = tempfile::tempdir().unwrap();
        let error = Binaries::find(Some(root.path()), OsStr::new("/usr/bin"), None).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&root.path().display().to_string()), "{text}");
        assert!(text.contains("apt install postgresql"), "{text}");
    }
}

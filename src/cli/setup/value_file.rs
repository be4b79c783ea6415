//! The file whose first line Konnect sends as `Authorization`; usher accepts all of its lines.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};

use crate::cli::CliError;
use crate::cli::secret_file::replace;
use crate::config::{Config, Secret};

/// The file of the first of `ingest.authorization`.
#[derive(Debug)]
pub(super) struct ValueFile {
    path: PathBuf,
}

impl ValueFile {
    /// Finds it.
    ///
    /// # Errors
    /// If there is no value, or it is given in place, where a running usher cannot read it again.
    pub(super) fn of(config: &Config) -> Result<Self, CliError> {
        let Some(first) = config.ingest.authorization.first() else {
            return Err(CliError::Usage(
                "ingest.authorization is not set, so there is nothing to rotate: `usher setup` without --rotate makes a secret".to_owned(),
            ));
        };
        match first.file() {
            Some(path) => Ok(Self {
                path: path.to_owned(),
            }),
            None => Err(CliError::Usage(
                "ingest.authorization[0] is given in place, and `usher serve` reads only files again while it runs: put the value into a file of mode 600, set ingest.authorization = [\"file:PATH\"], restart `usher serve` once, and run this again".to_owned(),
            )),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps other runs from changing it, until what is returned is dropped or the process ends.
    ///
    /// # Errors
    /// If another run has it: each would drop the secret that the other one gave to Konnect.
    pub(super) fn lock(&self) -> Result<Option<File>, CliError> {
        // The folder's, since the file is another one after each change.
        let path = fs::canonicalize(&self.path);
        let folder = path.ok().and_then(|path| File::open(path.parent()?).ok());
        let Some(folder) = folder else {
            // What is wrong with it is said by whoever reads it.
            return Ok(None);
        };
        match folder.try_lock() {
            Ok(()) => Ok(Some(folder)),
            Err(TryLockError::WouldBlock) => Err(CliError::Failed(anyhow!(
                "another run of `usher setup --rotate` changes {}: wait for its end, and run this again if it was cut off",
                self.path.display()
            ))),
            // Some file systems know no locks.
            Err(TryLockError::Error(_)) => Ok(None),
        }
    }

    /// Its values, the one for Konnect first.
    pub(super) fn read(&self) -> Result<Vec<String>, CliError> {
        let text = fs::read_to_string(&self.path);
        let text = text.with_context(|| format!("could not read {}", self.path.display()))?;
        let values = Secret::new(text);
        Ok(values.values().map(str::to_owned).collect())
    }

    /// Puts a value before the others.
    pub(super) fn put_first(&self, value: String) -> Result<Vec<String>, CliError> {
        let mut values = self.read()?;
        values.insert(0, value);
        self.write(&values)?;
        Ok(values)
    }

    /// Drops all but `first`.
    ///
    /// # Errors
    /// Also where another value is the first by now.
    pub(super) fn keep_only(&self, first: &str) -> Result<(), CliError> {
        let values = self.read()?;
        if values.first().map(String::as_str) != Some(first) {
            return Err(CliError::Failed(anyhow!(
                "{} was changed meanwhile: run this again",
                self.path.display()
            )));
        }
        self.write(&[first.to_owned()])
    }

    fn write(&self, values: &[String]) -> Result<(), CliError> {
        let text = values.join("\n") + "\n";
        replace(&self.path, &text).with_context(|| {
            format!(
                "could not write {}, which a rotation takes",
                self.path.display()
            )
        })?;
        Ok(())
    }

    /// For how long the file has been as it is; none where that cannot be known.
    pub(super) fn age(&self) -> Option<Duration> {
        fs::metadata(&self.path)
            .ok()?
            .modified()
            .ok()?
            .elapsed()
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_for_konnect() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("secret");
        fs::write(&path, "Bearer old \n").unwrap();
        let file = ValueFile { path: path.clone() };
        file.put_first("Bearer new".to_owned()).unwrap();
        assert_eq!(file.read().unwrap(), ["Bearer new", "Bearer old"]);
        let told = file.keep_only("Bearer old").unwrap_err().to_string();
        assert!(told.contains("changed meanwhile") && !told.contains("Bearer"));
        file.keep_only("Bearer new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "Bearer new\n");
    }

    #[test]
    fn one_run_at_a_time_changes_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("secret");
        fs::write(&path, "Bearer old\n").unwrap();
        let file = ValueFile { path };
        let lock = file.lock().unwrap();
        assert!(lock.is_some());
        let told = file.lock().unwrap_err().to_string();
        assert!(told.contains("another run"), "{told}");
        drop(lock);
        assert!(file.lock().is_ok());
    }
}

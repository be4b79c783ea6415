//! A secret setting: given in place, or as `file:PATH`. Never shown.

use std::fs;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A value that is never printed; `file:PATH` is read when the configuration is loaded, without
/// the white space at its end.
#[derive(Clone)]
pub struct Secret {
    value: SecretString,
    /// Where it was read from, if it was.
    file: Option<PathBuf>,
}

impl Secret {
    /// Wraps a secret that was made, not configured.
    pub fn new(value: String) -> Self {
        Self {
            value: SecretString::from(value),
            file: None,
        }
    }

    /// Takes `value` as written, or what is in the file that it names.
    ///
    /// # Errors
    /// If there is no such file; shows its path.
    pub(super) fn read(value: String) -> Result<Self, String> {
        let Some(path) = value.strip_prefix("file:") else {
            return Ok(Self::new(value));
        };
        Self::of_file(Path::new(path))
    }

    fn of_file(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path);
        let text = text.map_err(|error| format!("could not read {}: {error}", path.display()))?;
        Ok(Self {
            value: SecretString::from(text.trim_end().to_owned()),
            file: Some(path.to_owned()),
        })
    }

    /// Whether it came from a file, which may contain another one by now.
    pub fn is_of_file(&self) -> bool {
        self.file.is_some()
    }

    /// The file that it came from; none where it was given in place.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Its values where several may stand in one file: one a line, without white space at the end
    /// and without empty lines.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        let lines = self.expose().lines().map(str::trim_end);
        lines.filter(|line| !line.is_empty())
    }

    /// What its file contains now, if that is another one; a secret that was given in place stays.
    ///
    /// # Errors
    /// If the file cannot be read or is empty; shows its path.
    pub fn again(&self) -> Result<Option<Self>, String> {
        let Some(path) = &self.file else {
            return Ok(None);
        };
        let now = Self::of_file(path)?;
        if now.expose().trim().is_empty() {
            return Err(format!("{} is empty", path.display()));
        }
        Ok((now.expose() != self.expose()).then_some(now))
    }

    /// The secret itself, for the one place that sends or compares it.
    pub fn expose(&self) -> &str {
        self.value.expose_secret()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let secret = Self::read(String::deserialize(deserializer)?).map_err(D::Error::custom)?;
        // A variable that was not set must not become a secret that everybody knows.
        if secret.expose().trim().is_empty() {
            return Err(D::Error::custom("a secret is empty"));
        }
        Ok(secret)
    }
}

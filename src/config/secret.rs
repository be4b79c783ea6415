//! A secret setting: given in place, or as `file:PATH`. Never shown.

use std::fs;

use secrecy::{ExposeSecret, SecretString};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A value that is never printed; `file:PATH` is read when the configuration is loaded, without
/// the white space at its end.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps a secret that was made, not configured.
    pub fn new(value: String) -> Self {
        Self(SecretString::from(value))
    }

    /// Takes `value` as written, or what is in the file that it names.
    ///
    /// # Errors
    /// When there is no such file; shows its path.
    pub(super) fn read(value: String) -> Result<Self, String> {
        let Some(path) = value.strip_prefix("file:") else {
            return Ok(Self::new(value));
        };
        match fs::read_to_string(path) {
            Ok(text) => Ok(Self::new(text.trim_end().to_owned())),
            Err(error) => Err(format!("could not read {path}: {error}")),
        }
    }

    /// The secret itself, for the one place that sends or compares it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
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

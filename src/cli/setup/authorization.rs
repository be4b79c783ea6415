//! The value that Konnect is to send as `Authorization`: the first one of `ingest.authorization`.
//! One that is missing is made, and named where `usher serve` reads it once Konnect has it. It is
//! never shown.

use std::fs;
use std::path::{self, Path, PathBuf};

use anyhow::{Context, anyhow};
use secrecy::SecretString;
use toml::Value;

use crate::cli::secret_file::{keep_or_make, replace};
use crate::cli::setup::plan::Change;
use crate::cli::{CliError, Common, DEFAULT_CONFIG};
use crate::clock::Ids;
use crate::config::{Config, Environment, Secret};

/// Beside the configuration, as `usher init` names it.
const FILE: &str = "usher-authorization";
const HEADING: &str = "[ingest]";
/// What is set by it counts instead of what the file says.
const VARIABLE: &str = "USHER_INGEST__AUTHORIZATION";

/// Where the value is, or is to be.
#[derive(Debug)]
pub(super) enum Authorization {
    Configured(Secret),
    Missing { config: PathBuf, file: PathBuf },
}

impl Authorization {
    /// Finds it.
    ///
    /// # Errors
    /// If there is none, and no configuration file that could name one.
    pub(super) fn of(config: &Config, common: &Common) -> Result<Self, CliError> {
        if let Some(first) = config.ingest.authorization.first() {
            return Ok(Self::Configured(first.clone()));
        }
        let named = common.config.as_deref();
        let config = named.unwrap_or_else(|| Path::new(DEFAULT_CONFIG));
        if !config.exists() {
            return Err(CliError::Usage(format!(
                "ingest.authorization is not set, and there is no {} to write it to: `usher init` writes one, or set USHER_INGEST__AUTHORIZATION to a JSON list such as [\"file:/etc/usher/usher-authorization\"]",
                config.display()
            )));
        }
        let config = path::absolute(config).context("could not find the configuration")?;
        let file = config.with_file_name(FILE);
        if file.to_str().is_none() {
            return Err(CliError::Usage(format!(
                "{} is not unicode, which the configuration could not name",
                file.display()
            )));
        }
        Ok(Self::Missing { config, file })
    }

    /// Whether no destination can have it yet.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }

    /// Whether its file has former values too.
    pub(super) fn is_being_rotated(&self) -> bool {
        match self {
            Self::Configured(secret) => secret.values().count() > 1,
            Self::Missing { .. } => false,
        }
    }

    /// What [`make`](Self::make) would change.
    pub(super) fn changes(&self) -> Vec<Change> {
        let Self::Missing { config, file } = self else {
            return Vec::new();
        };
        let change = |object, name: &Path, member, will_be: String| Change {
            object,
            name: name.display().to_string(),
            member,
            is: None,
            will_be: Some(will_be),
        };
        vec![
            change("file", file, "content", "(a new secret)".to_owned()),
            change(
                "configuration",
                config,
                "ingest.authorization",
                list_of(file),
            ),
        ]
    }

    /// The value; makes it where it is missing.
    ///
    /// # Errors
    /// If it cannot be written, or the configuration cannot be changed by a line.
    pub(super) fn make(self, environment: &Environment) -> Result<Made, CliError> {
        let (config, file) = match self {
            Self::Configured(secret) => {
                let value = first_of(&secret)?;
                return Ok(Made {
                    value,
                    unnamed: None,
                });
            }
            Self::Missing { config, file } => (config, file),
        };
        if environment.has(VARIABLE) {
            return Err(CliError::Usage(format!(
                "{VARIABLE} is an empty list, which hides ingest.authorization: take it out"
            )));
        }
        keep_or_make(&file, || format!("Bearer {}", Ids::secret()))
            .with_context(|| format!("could not write {}", file.display()))?;
        let (_, secret) = named(&config, &file)?;
        Ok(Made {
            value: first_of(&secret)?,
            unnamed: Some((config, file)),
        })
    }
}

/// A value that Konnect can be given.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) value: SecretString,
    /// The configuration that does not name its file yet, and that file.
    unnamed: Option<(PathBuf, PathBuf)>,
}

impl Made {
    /// Has the configuration name the file. To be done once Konnect has the value: as long as it is
    /// not, the next run gives it to Konnect again.
    ///
    /// # Errors
    /// If the configuration cannot be written.
    pub(super) fn name(self) -> Result<(), CliError> {
        let Some((config, file)) = self.unnamed else {
            return Ok(());
        };
        let (text, _) = named(&config, &file)?;
        let written = replace(&config, &text);
        written.with_context(|| {
            format!(
                "Konnect has the secret of {}, and {} could not be written: run this again, or set authorization = {} under {HEADING}",
                file.display(),
                config.display(),
                list_of(&file)
            )
        })?;
        Ok(())
    }
}

/// The text of the configuration with the key that names the file, and the value that it gives.
fn named(config: &Path, file: &Path) -> Result<(String, Secret), CliError> {
    let text = fs::read_to_string(config)
        .with_context(|| format!("could not read {}", config.display()))?;
    let text = with_authorization(&text, file);
    let parsed: Option<Config> = toml::from_str(&text).ok();
    let values = parsed.map(|parsed| parsed.ingest.authorization);
    match values.as_deref() {
        Some([only]) => Ok((text, only.clone())),
        _ => Err(CliError::Usage(format!(
            "could not add the secret to {}: set authorization = {} under {HEADING} by hand",
            config.display(),
            list_of(file)
        ))),
    }
}

/// The one that is for Konnect.
fn first_of(secret: &Secret) -> Result<SecretString, CliError> {
    let first = secret.values().next();
    first
        .map(|value| SecretString::from(value.to_owned()))
        .ok_or_else(|| CliError::Failed(anyhow!("the first of ingest.authorization is empty")))
}

/// A value of `ingest.authorization` that names the file.
fn list_of(file: &Path) -> String {
    let reference = format!("file:{}", file.display());
    format!("[{}]", Value::String(reference))
}

/// The configuration with the key in its section, which is added where it is missing.
fn with_authorization(text: &str, file: &Path) -> String {
    let line = format!("authorization = {}\n", list_of(file));
    let is_heading = |text: &str| text.trim_start().starts_with(HEADING);
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    let Some(heading) = lines.iter().position(|text| is_heading(text)) else {
        let end = if text.is_empty() || text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        return format!("{text}{end}\n{HEADING}\n{line}");
    };
    let is_empty_list = |text: &str| {
        text.split_once('=').is_some_and(|(key, value)| {
            key.trim() == "authorization" && value.replace([' ', '\n', '\r'], "") == "[]"
        })
    };
    let mut rest = lines.split_off(heading + 1);
    let end = rest
        .iter()
        .position(|text| text.trim_start().starts_with('['));
    let section = &rest[..end.unwrap_or(rest.len())];
    if let Some(place) = section.iter().position(|text| is_empty_list(text)) {
        rest.remove(place);
    }
    let end = if lines.last().is_some_and(|last| last.ends_with('\n')) {
        ""
    } else {
        "\n"
    };
    format!("{}{end}{line}{}", lines.concat(), rest.concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn puts_the_key_where_serve_reads_it() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("usher-authorization");
        fs::write(&file, "Bearer made\n").unwrap();
        let config = home.path().join("usher.toml");
        for text in [
            "",
            "[http]\nlisten = \"127.0.0.1:1\"",
            "# mine\n[ingest] # here\npath = \"/x\"\n\n[rules]\n",
            "[ingest]",
            "[ingest]\npath = \"/x\"\nauthorization = [ ]\n[http]\n",
        ] {
            let changed = with_authorization(text, &file);
            fs::write(&config, &changed).unwrap();
            let loaded = config::load(Some(&config), &Environment::default()).unwrap();
            let values = &loaded.ingest.authorization;
            assert_eq!(values.len(), 1, "{changed}");
            assert_eq!(values[0].expose(), "Bearer made");
            assert_eq!(loaded.ingest.path == "/x", text.contains("/x"));
            assert!(!text.contains("# mine") || changed.contains("# mine"));
        }
    }

    #[test]
    fn a_form_that_a_line_cannot_be_added_to_stays_as_it_is() {
        let home = tempfile::tempdir().unwrap();
        let config = home.path().join("usher.toml");
        let text = "ingest = { path = \"/x\" }\n";
        fs::write(&config, text).unwrap();
        let common = Common {
            config: Some(config.clone()),
            json: false,
        };
        let environment = Environment::default();
        let loaded = common.load(&environment).unwrap();
        let found = Authorization::of(&loaded, &common).unwrap();
        assert!(found.is_missing());
        let told = found.make(&environment).unwrap_err().to_string();
        assert!(told.contains("by hand"), "{told}");
        assert_eq!(fs::read_to_string(&config).unwrap(), text);
    }
}

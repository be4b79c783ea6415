//! The files that `usher init` writes: what is in them, and how they are written.
//!
//! Nothing that exists is replaced unless that was asked for, and a secret never is: Konnect may
//! already be sending it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use konnect::Portal;
use toml::Value;
use url::Url;

use crate::cli::secret_file::keep_or_make;
use crate::event::plain;

const CONFIG: &str = "usher.toml";
const RULES: &str = "rules.yaml";
const AUTHORIZATION: &str = "usher-authorization";
const CONSOLE_TOKEN: &str = "usher-console-token";

const CONFIG_TEMPLATE: &str = include_str!("usher.toml");
const RULES_TEMPLATE: &str = include_str!("rules.yaml");

/// What the configuration is made from.
#[derive(Debug)]
pub(super) struct Settings<'a> {
    pub(super) base_url: &'a Url,
    /// Where the token was read from, in full; absent when it came from the environment.
    pub(super) token_file: Option<&'a Path>,
    pub(super) portals: &'a [Portal],
}

/// A file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("could not write {}: {source}", file.display())]
pub(super) struct WriteError {
    file: PathBuf,
    source: io::Error,
}

/// A folder and the files that go there.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    force: bool,
}

impl Folder {
    /// Takes the folder's path in full; with `force`, what is there is replaced.
    pub(super) fn new(path: PathBuf, force: bool) -> Self {
        Self { path, force }
    }

    /// The first file that exists already.
    pub(super) fn in_the_way(&self) -> Option<PathBuf> {
        [CONFIG, RULES]
            .iter()
            .map(|name| self.path.join(name))
            .find(|file| !self.force && fs::symlink_metadata(file).is_ok())
    }

    /// Writes all files and returns their paths.
    ///
    /// The configuration comes last, so that it never names a file that is not there.
    pub(super) fn write(
        &self,
        settings: &Settings<'_>,
        mut secret: impl FnMut() -> String,
    ) -> Result<Vec<PathBuf>, WriteError> {
        fs::create_dir_all(&self.path).map_err(failed(&self.path))?;
        let authorization = self.keep_or_make(AUTHORIZATION, || format!("Bearer {}", secret()))?;
        let console_token = self.keep_or_make(CONSOLE_TOKEN, &mut secret)?;
        let rules = self.create(RULES, RULES_TEMPLATE)?;
        let data_dir = self.path.join("data");
        let text = fill(
            CONFIG_TEMPLATE,
            &[
                ("{base_url}", quoted(settings.base_url)),
                ("{token}", token_line(settings.token_file)),
                ("{portals}", portal_lines(settings.portals)),
                ("{authorization}", reference(&authorization)),
                ("{console_token}", reference(&console_token)),
                ("{rules}", quoted(&rules.display())),
                ("{data_dir}", quoted(&data_dir.display())),
            ],
        );
        let config = self.create(CONFIG, &text)?;
        Ok(vec![config, rules, authorization, console_token])
    }

    fn create(&self, name: &str, text: &str) -> Result<PathBuf, WriteError> {
        let file = self.path.join(name);
        let mut options = OpenOptions::new();
        options.write(true);
        if self.force {
            options.create(true).truncate(true);
        } else {
            options.create_new(true);
        }
        options
            .open(&file)
            .and_then(|mut open| open.write_all(text.as_bytes()))
            .map_err(failed(&file))?;
        Ok(file)
    }

    /// Keeps a secret that is there, else makes one that only its owner can read.
    fn keep_or_make(
        &self,
        name: &str,
        make: impl FnOnce() -> String,
    ) -> Result<PathBuf, WriteError> {
        let file = self.path.join(name);
        keep_or_make(&file, make).map_err(failed(&file))?;
        Ok(file)
    }
}

fn failed(file: &Path) -> impl FnOnce(io::Error) -> WriteError {
    let file = file.to_owned();
    move |source| WriteError { file, source }
}

/// Puts each value in the place of its name; values are not searched for names.
fn fill(template: &str, values: &[(&str, String)]) -> String {
    let mut text = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some((at, name, value)) = values
        .iter()
        .filter_map(|(name, value)| Some((rest.find(name)?, name, value)))
        .min_by_key(|(at, ..)| *at)
    {
        text.push_str(&rest[..at]);
        text.push_str(value);
        rest = &rest[at + name.len()..];
    }
    text.push_str(rest);
    text
}

fn token_line(file: Option<&Path>) -> String {
    match file {
        Some(file) => format!("token = {}", reference(file)),
        None => "# The token comes from USHER_KONNECT__TOKEN; or keep it in a file:\n\
                 # token = \"file:/run/secrets/konnect-token\""
            .to_owned(),
    }
}

fn portal_lines(portals: &[Portal]) -> String {
    let lines = portals
        .iter()
        .map(|portal| format!("    \"{}\", # {}\n", portal.id, plain(&portal.name)));
    lines.collect()
}

fn reference(file: &Path) -> String {
    quoted(&format_args!("file:{}", file.display()))
}

fn quoted(text: &impl ToString) -> String {
    Value::String(text.to_string()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, load};
    use crate::rules::{self, Mode};

    fn portal(name: &str) -> Portal {
        let id = "3b6f1f0e-7a55-4f5e-9d53-0d5f0c9a4d11";
        serde_json::from_value(serde_json::json!({ "id": id, "name": name })).unwrap()
    }

    #[test]
    fn writes_a_configuration_that_loads_whatever_the_names() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a \"quoted\" {rules} folder");
        let token_file = home.path().join("token");
        fs::write(&token_file, "kpat_from_a_file\n").unwrap();
        let base_url = Url::parse("https://eu.api.konghq.com").unwrap();
        let portals = [portal("Main\n[evil]\u{1b}[0m {authorization}")];
        let settings = Settings {
            base_url: &base_url,
            token_file: Some(&token_file),
            portals: &portals,
        };
        let files = Folder::new(path.clone(), false)
            .write(&settings, || "5ecret".to_owned())
            .unwrap();
        let config = load(Some(&files[0]), &Environment::default()).unwrap();
        assert_eq!(config.konnect.base_url, base_url);
        assert_eq!(config.konnect.token.unwrap().expose(), "kpat_from_a_file");
        assert_eq!(config.konnect.portals, [portals[0].id.0]);
        assert_eq!(config.ingest.authorization[0].expose(), "Bearer 5ecret");
        assert_eq!(config.console.tokens[0].token.expose(), "5ecret");
        assert_eq!(config.rules.path, Some(path.join("rules.yaml")));
        assert!(config.database.url.is_none() && !config.database.embedded);
    }

    #[test]
    fn offers_database_settings_that_load_when_chosen() {
        for chosen in ["url = \"postgres", "embedded = true", "data_dir = "] {
            let line = CONFIG_TEMPLATE
                .lines()
                .find_map(|line| {
                    line.strip_prefix("# ")
                        .filter(|line| line.starts_with(chosen))
                })
                .unwrap();
            let text = format!("[database]\n{}\n", line.replace("{data_dir}", "\"/x\""));
            let parsed = toml::from_str::<crate::config::Config>(&text);
            assert!(parsed.is_ok(), "{chosen}: {parsed:?}");
        }
    }

    #[test]
    fn writes_rules_that_check_and_do_not_act() {
        let rules = rules::load(RULES_TEMPLATE, RULES).unwrap();
        assert_eq!(rules.rules().len(), 3);
        for rule in rules.rules() {
            assert_eq!(rule.mode, Mode::Shadow, "{}", rule.name);
        }
    }
}

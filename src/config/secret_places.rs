//! Where the secrets of a configuration are written: in files of their own, or in the file that
//! everybody may read. Takes keys and paths only, never a value.

use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};
use url::Url;

use crate::config::Environment;

/// Begins a value that names a file.
const OF_FILE: &str = "file:";
/// Keys whose values are secrets, wherever they stand.
const SECRET_KEYS: [&str; 3] = ["authorization", "secret", "token"];
/// Keys whose values may contain a password.
const URL_KEYS: [&str; 2] = ["database.url", "database.read_url"];
/// Options of Kafka whose names contain one of these are secrets.
const SECRET_OPTIONS: [&str; 3] = ["password", "secret", "jaas"];

/// A secret in a file of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretFile {
    /// The key as `section.key`, or the variable's name.
    pub key: String,
    /// The file.
    pub path: PathBuf,
}

/// Where secrets are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretPlaces {
    /// Those with files of their own.
    pub files: Vec<SecretFile>,
    /// Keys whose secrets are in the configuration file itself.
    pub inline: Vec<String>,
}

/// Finds them in `file` and in the variables, by key. What cannot be read has none.
pub fn secret_places(file: Option<&Path>, environment: &Environment) -> SecretPlaces {
    let mut places = SecretPlaces::default();
    let text = file.and_then(|file| fs::read_to_string(file).ok());
    let table: Option<Table> = text.and_then(|text| toml::from_str(&text).ok());
    if let Some(table) = table {
        walk("", &Value::Table(table), &mut places);
    }
    for (name, value) in environment.settings() {
        let list: Option<Value> = serde_json::from_str(value).ok();
        let value = list.unwrap_or_else(|| Value::String(value.to_owned()));
        let mut found = SecretPlaces::default();
        walk(name, &value, &mut found);
        // What a variable contains is in no file.
        places.files.extend(found.files);
    }
    places.files.sort();
    places.inline.sort();
    places
}

fn walk(key: &str, value: &Value, places: &mut SecretPlaces) {
    match value {
        Value::Table(table) => {
            for (name, value) in table {
                let inner = if key.is_empty() {
                    name.clone()
                } else {
                    format!("{key}.{name}")
                };
                walk(&inner, value, places);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                walk(&format!("{key}[{index}]"), value, places);
            }
        }
        Value::String(text) => {
            if let Some(path) = text.strip_prefix(OF_FILE) {
                places.files.push(SecretFile {
                    key: key.to_owned(),
                    path: path.into(),
                });
            } else if is_secret(key, text) {
                places.inline.push(key.to_owned());
            }
        }
        _ => {}
    }
}

fn is_secret(key: &str, text: &str) -> bool {
    if URL_KEYS.contains(&key) {
        return Url::parse(text).is_ok_and(|url| {
            url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password")
        });
    }
    if let Some(option) = key.strip_prefix("kafka.options.") {
        return is_secret_option(option);
    }
    let last = key.rsplit('.').next().unwrap_or(key);
    let name = last.split('[').next().unwrap_or(last);
    SECRET_KEYS.contains(&name)
}

/// Whether an option of Kafka is a secret, by its name.
pub(super) fn is_secret_option(name: &str) -> bool {
    SECRET_OPTIONS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::{SecretFile, secret_places};
    use crate::config::Environment;

    #[test]
    fn secrets_are_found_wherever_they_are_written() {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        let text = r#"
            forward = [{ url = "https://siem.example", authorization = "file:/run/siem" }]
            [ingest]
            authorization = ["Bearer s3cret", "file:/run/ingest"]
            [database]
            url = "postgres://usher:s3cret@db/usher"
            read_url = "postgres://replica/usher"
            [kafka]
            options = { "sasl.password" = "s3cret", "linger.ms" = "5" }
            [konnect]
            token = "file:/run/token"
            base_url = "https://eu.api.konghq.com"
        "#;
        file.write_all(text.as_bytes()).expect("a written file");
        let environment = Environment::of(&[
            ("USHER_NOTIFY__SECRET", "file:/run/notify"),
            ("USHER_KONNECT__TOKEN", "s3cret"),
            ("USHER_INGEST__AUTHORIZATION", r#"["file:/run/other"]"#),
        ]);
        let places = secret_places(Some(file.path()), &environment);
        let file = |key: &str, path: &str| SecretFile {
            key: key.to_owned(),
            path: path.into(),
        };
        assert_eq!(
            places.files,
            [
                file("USHER_INGEST__AUTHORIZATION[0]", "/run/other"),
                file("USHER_NOTIFY__SECRET", "/run/notify"),
                file("forward[0].authorization", "/run/siem"),
                file("ingest.authorization[1]", "/run/ingest"),
                file("konnect.token", "/run/token"),
            ]
        );
        assert_eq!(
            places.inline,
            [
                "database.url",
                "ingest.authorization[0]",
                "kafka.options.sasl.password"
            ]
        );
    }
}

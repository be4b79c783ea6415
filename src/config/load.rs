//! From a file and the environment to a [`Config`], or to an error that names key and place.

use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::config::Config;

/// Keys that are announced but have no effect in this version. They are refused, since an operator
/// who sets them would rely on them.
const NOT_YET: [&str; 1] = ["telemetry.otlp_endpoint"];

/// Variables of keys that are in no section.
const WITHOUT_SECTION: [&str; 1] = ["USHER_FORWARD"];

/// Variables of the process, read once; `USHER_SECTION__KEY` overrides `section.key`.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: Vec<(String, String)>,
    path: String,
    temp_dir: PathBuf,
    ignored: Vec<String>,
}

impl Environment {
    /// What the process was started with.
    #[expect(clippy::disallowed_methods, reason = "the one home of the environment")]
    pub fn of_process() -> Self {
        Self {
            variables: std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .filter(|(name, _)| is_setting(name))
                .collect(),
            path: std::env::var("PATH").unwrap_or_default(),
            temp_dir: std::env::temp_dir(),
            ignored: std::env::vars_os()
                .filter_map(|(name, _)| name.into_string().ok())
                .filter(|name| name.starts_with("USHER_") && !is_setting(name))
                .collect(),
        }
    }

    /// The given variables, for tests.
    pub fn of(variables: &[(&str, &str)]) -> Self {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            variables: variables.iter().map(own).collect(),
            path: String::new(),
            temp_dir: PathBuf::new(),
            ignored: Vec::new(),
        }
    }

    /// Variables that look like settings and are none: two underscores separate section and key.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// Variables that are settings, each with its text.
    pub(super) fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        let variables = self.variables.iter();
        variables.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether a setting is given by this variable. One that is empty counts as absent.
    pub fn has(&self, variable: &str) -> bool {
        let mut settings = self.settings();
        settings.any(|(name, value)| name == variable && !value.is_empty())
    }

    /// Where temporary files belong.
    pub fn temp_dir(&self) -> &Path {
        &self.temp_dir
    }

    /// `PATH`, where programs are searched for.
    pub fn path(&self) -> &str {
        &self.path
    }
}

fn is_setting(name: &str) -> bool {
    name.starts_with("USHER_") && (name.contains("__") || WITHOUT_SECTION.contains(&name))
}

/// Why there is no configuration. Shows no value, only names and places.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there or not readable.
    #[error("could not read {}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Something in the file or in a variable is not understood.
    #[error("{place}: {key}: {reason}")]
    Invalid {
        /// `FILE:LINE` or the variable's name.
        place: String,
        /// The key as `section.key`.
        key: String,
        /// What was expected.
        reason: String,
    },
    /// A key that the command cannot do without.
    #[error("{key} is not set: {reason}")]
    Missing {
        /// The key as `section.key`.
        key: &'static str,
        /// What to do about it.
        reason: &'static str,
    },
}

/// Reads `file` (absent: defaults only) and puts the variables of `environment` over it.
///
/// # Errors
/// The first key that is unknown, of the wrong type, or not available in this version.
pub fn load(file: Option<&Path>, environment: &Environment) -> Result<Config, ConfigError> {
    let (text, name) = match file {
        None => (String::new(), String::new()),
        Some(file) => {
            let text = fs::read_to_string(file).map_err(|source| ConfigError::Read {
                file: file.to_owned(),
                source,
            })?;
            (text, file.display().to_string())
        }
    };
    let mut table: Table = toml::from_str(&text).map_err(|error| in_file(&name, &text, &error))?;
    refuse_not_yet(&table, &|key| format!("{name}:{}", line_of(&text, key)))?;
    let mut config: Config =
        toml::from_str(&text).map_err(|error| in_file(&name, &text, &error))?;
    // An empty variable counts as absent: that is what `${UNSET}` leaves in compose files.
    for (variable, value) in environment
        .variables
        .iter()
        .filter(|(_, value)| !value.is_empty())
    {
        let path: Vec<String> = variable["USHER_".len()..]
            .split("__")
            .map(str::to_lowercase)
            .collect();
        let invalid = |reason: String| ConfigError::Invalid {
            place: variable.clone(),
            key: path.join("."),
            reason,
        };
        let value = read_variable(&path.join("."), value).map_err(invalid)?;
        set(&mut table, &path, value).map_err(invalid)?;
        refuse_not_yet(&table, &|_| variable.clone())?;
        // Deserialising after each variable shows which of them is wrong.
        config = table
            .clone()
            .try_into()
            .map_err(|error: toml::de::Error| invalid(without_value(error.message())))?;
    }
    Ok(config)
}

fn refuse_not_yet(table: &Table, place: &dyn Fn(&str) -> String) -> Result<(), ConfigError> {
    for key in NOT_YET {
        let mut parts = key.split('.');
        let mut found = parts.next().and_then(|part| table.get(part));
        for part in parts {
            found = found.and_then(|value| value.get(part));
        }
        if found.is_some_and(|value| !is_off(value)) {
            return Err(ConfigError::Invalid {
                place: place(key),
                key: key.to_owned(),
                reason: "this version of usher cannot do that yet".to_owned(),
            });
        }
    }
    Ok(())
}

/// Whether a value switches its key off, which every version can do.
fn is_off(value: &Value) -> bool {
    *value == Value::Boolean(false) || value.as_str() == Some("off")
}

/// Turns a variable's text into the type its key has; lists and tables are JSON.
fn read_variable(key: &str, text: &str) -> Result<Value, String> {
    match key {
        "ingest.max_body_bytes"
        | "ingest.max_inflated_bytes"
        | "ingest.max_line_bytes"
        | "konnect.requests_per_second"
        | "rules.limit_per_subject_per_day"
        | "spool.max_bytes" => text
            .parse()
            .map(Value::Integer)
            .map_err(|_| "expected a whole number".to_owned()),
        "database.embedded" | "backfill.auto" | "backfill.audit" => text
            .parse()
            .map(Value::Boolean)
            .map_err(|_| "expected true or false".to_owned()),
        "ingest.authorization"
        | "konnect.portals"
        | "console.tokens"
        | "http.trusted_proxies"
        | "notify.allow_private"
        | "kafka.options"
        | "forward"
        | "hooks.senders" => serde_json::from_str(text)
            .map_err(|error| format!("expected JSON (column {})", error.column())),
        _ => Ok(Value::String(text.to_owned())),
    }
}

fn set(table: &mut Table, path: &[String], value: Value) -> Result<(), String> {
    let (last, sections) = path.split_last().ok_or("expected USHER_SECTION__KEY")?;
    let mut table = table;
    for section in sections {
        let slot = table
            .entry(section.clone())
            .or_insert_with(|| Value::Table(Table::new()));
        table = slot
            .as_table_mut()
            .ok_or_else(|| format!("{section} is not a section"))?;
    }
    table.insert(last.clone(), value);
    Ok(())
}

fn in_file(name: &str, text: &str, error: &toml::de::Error) -> ConfigError {
    let start = error.span().map_or(0, |span| span.start);
    let before = &text[..start.min(text.len())];
    let line = before.matches('\n').count() + 1;
    ConfigError::Invalid {
        place: format!("{name}:{line}"),
        key: key_at(text, line),
        reason: without_value(error.message()),
    }
}

/// Serde quotes the value that it did not expect, a number without quotes as well, and that may be
/// a secret. Which key or word there is not is no value.
fn without_value(message: &str) -> String {
    let is_of_value = ["invalid type: ", "invalid value: "]
        .iter()
        .any(|start| message.starts_with(start));
    let quotes = if is_of_value { "\"`" } else { "\"" };
    let value = quotes.chars().find_map(|quote| {
        let start = message.find(&format!(" {quote}"))?;
        let end = message.rfind(&format!("{quote}, expected"))?;
        (start < end).then_some((start, end + 1))
    });
    match value {
        Some((start, end)) => format!("{}{}", &message[..start], &message[end..]),
        None => message.to_owned(),
    }
}

/// The key on `line`, with the section above it.
fn key_at(text: &str, line: usize) -> String {
    let lines: Vec<&str> = text.lines().take(line).collect();
    let own = lines.last().map_or("", |line| line.trim());
    let name = |line: &str| line.trim_matches(['[', ']', ' ']).to_owned();
    if own.starts_with('[') {
        return name(own);
    }
    let key = own.split_once('=').map_or("", |(key, _)| key.trim());
    match lines
        .iter()
        .rev()
        .find(|line| line.trim_start().starts_with('['))
    {
        Some(section) => format!("{}.{key}", name(section)),
        None => key.to_owned(),
    }
}

fn line_of(text: &str, key: &str) -> usize {
    let last = key.rsplit('.').next().unwrap_or(key);
    text.lines()
        .position(|line| line.trim_start().trim_start_matches('[').starts_with(last))
        .map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::config::{Secret, VerifyPolicy};

    fn load_text(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(text.as_bytes()).expect("a written file");
        load(Some(file.path()), &Environment::of(variables)).map_err(|error| {
            error
                .to_string()
                .replace(&file.path().display().to_string(), "usher.toml")
        })
    }

    #[test]
    fn lays_variables_over_the_file() {
        let config = load_text(
            "[ingest]\nverify = \"require\"\n[konnect]\nrequests_per_second = 3\n",
            &[
                ("USHER_KONNECT__REQUESTS_PER_SECOND", "9"),
                ("USHER_INGEST__AUTHORIZATION", r#"["Bearer a", "Bearer b"]"#),
                ("USHER_OBSERVE__PENDING_EVERY", "1s"),
                ("USHER_NOTIFY__ALLOW_PRIVATE", r#"["hooks.corp.example"]"#),
                ("USHER_RULES__LIMIT_PER_SUBJECT_PER_DAY", "7"),
            ],
        )
        .expect("a configuration");
        assert_eq!(config.rules.limit_per_subject_per_day, 7);
        assert_eq!(config.ingest.verify, VerifyPolicy::Require);
        assert_eq!(config.konnect.requests_per_second, 9);
        assert_eq!(config.ingest.authorization[1].expose(), "Bearer b");
        assert_eq!(config.notify.allow_private, ["hooks.corp.example"]);
        assert_eq!(
            config.observe.pending_every,
            std::time::Duration::from_secs(1)
        );
    }

    #[test]
    fn names_the_key_and_its_place() {
        for (text, variables, expected) in [
            (
                "[http]\nlisten = \"127.0.0.1:1\"\nport = 1\n",
                &[][..],
                "usher.toml:3: http.port: unknown field `port`, expected one of `listen`, `tls`, `trusted_proxies`",
            ),
            (
                "[ingest]\n\nmax_body_bytes = \"many\"\n",
                &[],
                "usher.toml:3: ingest.max_body_bytes: invalid type: string, expected usize",
            ),
            (
                "[observe]\nall_every = \"soon\"\n",
                &[],
                "usher.toml:2: observe.all_every: expected a duration such as \"30s\", \"2m\", \"1h\" or \"7d\"",
            ),
            (
                "[observe]\nall_every = \"0s\"\n",
                &[],
                "usher.toml:2: observe.all_every: expected a duration of at least 100ms: usher would do nothing else",
            ),
            (
                "[console]\ntokens = [{ name = \"a\", token = \"s3cret\" }, { name = \"b\", token = \"s3cret\" }]\n",
                &[],
                "usher.toml:2: console.tokens: tokens[1].token: is that of tokens[0] too: a token must identify who asks",
            ),
            (
                "[console]\ntokens = [{ name = \"a\", token = \"s3cret\", portals = [] }]\n",
                &[],
                "usher.toml:2: console.tokens: portals allows none; leave it out to allow all",
            ),
            (
                "[retention]\nevents = \"7d\"\n",
                &[],
                "usher.toml:2: retention.events: must be at least 8d: Konnect replays up to 7 days",
            ),
            (
                "[telemetry]\notlp_endpoint = \"http://127.0.0.1:4317\"\n",
                &[],
                "usher.toml:2: telemetry.otlp_endpoint: this version of usher cannot do that yet",
            ),
            (
                "",
                &[("USHER_KAFKA__BROKER", "x")],
                "USHER_KAFKA__BROKER: kafka.broker: unknown field `broker`, expected one of `brokers`, `topic`, `options`",
            ),
            (
                "",
                &[("USHER_INGEST__AUTHORIZATION", r#"[""]"#)],
                "USHER_INGEST__AUTHORIZATION: ingest.authorization: a secret is empty",
            ),
            (
                "[ingest]\npath = \"/docs\"\n",
                &[],
                "usher.toml:2: ingest.path: expected a path of its own such as \"/audit-logs\", outside /api and the pages of the console",
            ),
            (
                "[ingest]\npath = \"/api/v1/events\"\n",
                &[],
                "usher.toml:2: ingest.path: expected a path of its own such as \"/audit-logs\", outside /api and the pages of the console",
            ),
            (
                "",
                &[("USHER_DATABASE__EMBEDDED", "maybe")],
                "USHER_DATABASE__EMBEDDED: database.embedded: expected true or false",
            ),
        ] {
            assert_eq!(
                load_text(text, variables).err().as_deref(),
                Some(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn shows_no_value_that_may_be_a_secret_in_the_wrong_place() {
        for (text, expected) in [
            (
                "[konnect]\ntoken = 47114711\n",
                "usher.toml:2: konnect.token: invalid type: integer, expected a string",
            ),
            (
                "[kafka]\noptions = { \"sasl.password\" = 4711.25 }\n",
                "usher.toml:2: kafka.options: invalid type: floating point, expected a string",
            ),
            (
                "[ingest]\nmax_body_bytes = \"a\\\", expected b\"\n",
                "usher.toml:2: ingest.max_body_bytes: invalid type: string, expected usize",
            ),
        ] {
            assert_eq!(load_text(text, &[]).err().as_deref(), Some(expected));
        }
    }

    #[test]
    fn names_what_is_wrong_with_notify() {
        for (text, expected) in [
            (
                "[notify]\nsecret = \"hunter2\"\n",
                "usher.toml:2: notify.secret: expected whsec_ and the base64 of 24 to 64 bytes",
            ),
            (
                "[notify]\nallow_private = [\"http://hooks\"]\n",
                "usher.toml:2: notify.allow_private: expected names or addresses of hosts, such as \"hooks.corp.example\" or \"10.1.2.3\"",
            ),
        ] {
            assert_eq!(
                load_text(text, &[]).err().as_deref(),
                Some(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn reads_secrets_from_files_and_shows_none() {
        let mut secret = tempfile::NamedTempFile::new().expect("a temporary file");
        writeln!(secret, "kpat_from_a_file").expect("a written file");
        let text = format!("[konnect]\ntoken = \"file:{}\"\n", secret.path().display());
        let config = load_text(&text, &[]).expect("a configuration");
        assert_eq!(
            config.konnect.token.as_ref().map(Secret::expose),
            Some("kpat_from_a_file")
        );
        assert!(!format!("{config:?}").contains("kpat_from_a_file"));
        let missing =
            load_text("[konnect]\ntoken = \"file:/nowhere/token\"\n", &[]).expect_err("no file");
        assert!(
            missing.starts_with("usher.toml:2: konnect.token: could not read /nowhere/token"),
            "{missing}"
        );
    }

    #[test]
    fn names_the_endpoint_and_the_option_without_its_value() {
        for (text, variables, expected) in [
            (
                "[[forward]]\nurl = \"https://a.example\"\n[[forward]]\nurl = \"https://a.example/\"\n",
                &[][..],
                "usher.toml:1: forward: forward[1].url: is that of forward[0] too",
            ),
            (
                "",
                &[("USHER_FORWARD", r#"[{"url": "ftp://s3cret.example"}]"#)],
                "USHER_FORWARD: forward: forward[0].url: expected a URL that begins with http:// or https://",
            ),
            (
                "",
                &[(
                    "USHER_FORWARD",
                    r#"[{"url": "https://u:s3cret@a.example"}]"#,
                )],
                "USHER_FORWARD: forward: forward[0].url: contains a name or a password: set authorization instead",
            ),
            (
                "",
                &[(
                    "USHER_FORWARD",
                    r#"[{"url": "https://a.example", "authorization": "s3cret\r\nX: y"}]"#,
                )],
                "USHER_FORWARD: forward: forward[0].authorization: has a character that no header can have, such as a line break",
            ),
            (
                "",
                &[(
                    "USHER_KAFKA__OPTIONS",
                    r#"{"sasl.password": "file:/nowhere/password"}"#,
                )],
                "USHER_KAFKA__OPTIONS: kafka.options: sasl.password: could not read /nowhere/password: No such file or directory (os error 2)",
            ),
        ] {
            let told = load_text(text, variables).err();
            assert_eq!(told.as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn names_the_sender_whose_secret_is_none() {
        let told = load_text(
            "[hooks]\nsenders = [{name = \"hr\", secret = \"hunter2\"}]\n",
            &[],
        );
        let told = told.expect_err("a secret that is none");
        let expected = "usher.toml:2: hooks.senders: senders[0].secret: expected whsec_";
        assert!(told.starts_with(expected), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }

    #[test]
    fn reads_endpoints_and_options_with_secrets_from_files() {
        let mut secret = tempfile::NamedTempFile::new().expect("a temporary file");
        writeln!(secret, "Splunk s3cret").expect("a written file");
        let path = secret.path().display();
        let text = format!(
            "forward = [{{ url = \"https://siem.example/x\", authorization = \"file:{path}\" }}]\n\
             [kafka.options]\n\"sasl.password\" = \"file:{path}\"\n\"linger.ms\" = \"5\"\n"
        );
        let config = load_text(&text, &[]).expect("a configuration");
        let endpoint = &config.forward[0];
        assert_eq!(endpoint.url.as_str(), "https://siem.example/x");
        let authorization = endpoint.authorization.as_ref().map(Secret::expose);
        assert_eq!(authorization, Some("Splunk s3cret"));
        assert_eq!(
            config.kafka.options["sasl.password"].expose(),
            "Splunk s3cret"
        );
        assert_eq!(config.kafka.options["linger.ms"].expose(), "5");
        assert!(!format!("{config:?}").contains("s3cret"));
    }

    #[test]
    fn takes_the_global_host_only_for_regions_of_konnect() {
        let url = |base: &str| {
            load_text(&format!("[konnect]\nbase_url = \"{base}\"\n"), &[])
                .expect("a configuration")
                .konnect
                .global_url()
                .to_string()
        };
        assert_eq!(
            url("https://eu.api.konghq.com"),
            "https://global.api.konghq.com/"
        );
        assert_eq!(url("http://127.0.0.1:8089"), "http://127.0.0.1:8089/");
    }
}

//! Hides every secret of a configuration in a text that is shown or passed on. A second line of
//! defence: whoever writes such a text takes no secret in the first place.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::config::secret_places::is_secret_option;
use crate::config::{Config, ForwardConfig, HookSecret, Secret};

/// Stands for a secret.
const MASK: &str = "…";
/// A shorter text is part of other words, and hiding it would hide these.
const SHORTEST: usize = 4;
/// The same for a part of a secret.
const SHORTEST_PART: usize = 6;
/// The same for an option of Kafka whose name does not say that it is a secret.
const SHORTEST_OPTION: usize = 8;
/// The same for a part of a path, which may be as plain as `audit-logs`.
const SHORTEST_SEGMENT: usize = 16;

/// The secrets of one configuration. Never shown.
pub struct Masks(Vec<SecretString>);

impl std::fmt::Debug for Masks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Masks({})", self.0.len())
    }
}

impl Masks {
    /// Those of `config`: as they are written, and the parts that mean something alone.
    pub fn of(config: &Config) -> Self {
        let mut found = Vec::new();
        for secret in secrets(config) {
            // A file may have one a line.
            let lines = secret.expose().lines().map(str::trim_end);
            lines.for_each(|line| with_parts(line, &mut found));
        }
        for url in [&config.database.url, &config.database.read_url]
            .into_iter()
            .flatten()
        {
            found.extend(passwords(url.expose()));
        }
        for ForwardConfig { url, .. } in &config.forward {
            found.extend(parts_of(url));
        }
        for (name, value) in &config.kafka.options {
            let at_least = if is_secret_option(name) {
                SHORTEST
            } else {
                SHORTEST_OPTION
            };
            if value.expose().chars().count() >= at_least {
                found.push(value.expose().to_owned());
            }
        }
        let written_in_json: Vec<String> = found.iter().filter_map(|it| in_json(it)).collect();
        found.extend(written_in_json);
        let hooks = config.hooks.senders.iter().map(|sender| &sender.secret);
        found.extend(hooks.chain(&config.notify.secret).map(written));
        found.retain(|secret| secret.chars().count() >= SHORTEST);
        // The longest first, so that no rest of one stays.
        found.sort_by(|one, other| (other.len(), other).cmp(&(one.len(), one)));
        found.dedup();
        Self(found.into_iter().map(SecretString::from).collect())
    }

    /// The text without them.
    pub fn mask(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            if text.contains(secret.expose_secret()) {
                text = text.replace(secret.expose_secret(), MASK);
            }
        }
        text
    }
}

fn secrets(config: &Config) -> impl Iterator<Item = &Secret> {
    let forward = config.forward.iter();
    let tokens = config.console.tokens.iter();
    config
        .ingest
        .authorization
        .iter()
        .chain(&config.database.url)
        .chain(&config.database.read_url)
        .chain(forward.filter_map(|endpoint| endpoint.authorization.as_ref()))
        .chain(&config.konnect.token)
        .chain(tokens.map(|token| &token.token))
}

/// A secret, and what follows its scheme: `Bearer x` is often told as `x`.
fn with_parts(secret: &str, found: &mut Vec<String>) {
    found.push(secret.to_owned());
    let parts = secret.split_whitespace().skip(1);
    let parts = parts.filter(|part| part.chars().count() >= SHORTEST_PART);
    found.extend(parts.map(str::to_owned));
}

/// A secret as a log in JSON has it, where that is another text.
fn in_json(secret: &str) -> Option<String> {
    let written = serde_json::to_string(secret).ok()?;
    let inner = written.strip_prefix('"')?.strip_suffix('"')?;
    (inner != secret).then(|| inner.to_owned())
}

/// What of an endpoint's URL may be a secret: it as a whole, long parts of its path, and the values
/// in its query, as written and as meant.
fn parts_of(url: &Url) -> Vec<String> {
    let segments = url.path_segments().into_iter().flatten();
    let segments = segments.filter(|it| it.chars().count() >= SHORTEST_SEGMENT);
    let values = url.query_pairs().map(|(_, value)| value.into_owned());
    let raw = url.query().into_iter().flat_map(|query| query.split('&'));
    let raw = raw.filter_map(|pair| Some(pair.split_once('=')?.1.to_owned()));
    let values = values
        .chain(raw)
        .filter(|it| it.chars().count() >= SHORTEST_PART);
    segments
        .map(str::to_owned)
        .chain(values)
        .chain([url.as_str().to_owned()])
        .collect()
}

/// The password in a URL of Postgres, before its host or among its options, as written and as
/// meant.
fn passwords(url: &str) -> Vec<String> {
    let Ok(url) = Url::parse(url) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    if let Some(password) = url.password() {
        found.push(password.to_owned());
        let decoded =
            url::form_urlencoded::parse(format!("p={}", password.replace('+', "%2B")).as_bytes())
                .next()
                .map(|(_, value)| value.into_owned());
        found.extend(decoded);
    }
    let options = url.query_pairs().filter(|(name, _)| name == "password");
    found.extend(options.map(|(_, value)| value.into_owned()));
    found
}

fn written(secret: &HookSecret) -> String {
    STANDARD.encode(secret.key())
}

#[cfg(test)]
mod tests {
    use super::Masks;
    use crate::config::{Config, ForwardConfig, HookSecret, Secret};

    #[test]
    fn no_secret_is_left_in_a_text() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let mut config = Config::default();
        config.ingest.authorization = vec![
            secret("Bearer door-4711"),
            secret("abc"),
            secret(r#"Basic quo"te\4711"#),
        ];
        config.database.url = Some(secret(
            "postgres://usher:p%40ss-word@db/usher?password=other1",
        ));
        config.kafka.options = [("sasl.password".to_owned(), secret("kafka-4711"))].into();
        config.konnect.token = Some(secret("kpat_4711"));
        config.forward = vec![ForwardConfig {
            url: "https://siem.example/audit/0123456789abcdef?key=query-4711&b=per%2Bcent"
                .parse()
                .expect("a URL"),
            authorization: None,
        }];
        config.notify.secret = HookSecret::parse("whsec_SElEREVOSElEREVOSElEREVOSElEREVO");
        let masks = Masks::of(&config);
        for (text, masked) in [
            ("got Bearer door-4711!", "got …!"),
            ("got door-4711, abc", "got …, abc"),
            ("kpat_4711kpat_4711", "……"),
            ("user usher, p@ss-word or p%40ss-word", "user usher, … or …"),
            ("other1 kafka-4711", "… …"),
            ("whsec_SElEREVOSElEREVOSElEREVOSElEREVO", "whsec_…"),
            ("postgres://usher:p%40ss-word@db/usher?password=other1", "…"),
            ("/audit-logs and 0123456789abcdef", "/audit-logs and …"),
            ("query-4711, per%2Bcent or per+cent", "…, … or …"),
            (
                r#"{"message":"got Basic quo\"te\\4711"}"#,
                r#"{"message":"got …"}"#,
            ),
            (r#"quo"te\4711"#, "…"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(masks.mask(text), masked);
        }
        assert_eq!(format!("{masks:?}").matches("4711").count(), 0);
    }
}

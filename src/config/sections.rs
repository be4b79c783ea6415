//! The sections of the configuration, with their defaults (DESIGN: every key can be overridden).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use url::Url;
use uuid::Uuid;

use crate::config::hooks::HookSecret;
use crate::config::secret::Secret;
use crate::config::{base_url, checked, span};

const MIB: usize = 1024 * 1024;

/// `http`: where usher listens.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// With both files, usher speaks TLS there.
    pub tls: TlsConfig,
    /// Addresses and networks of proxies whose `X-Forwarded-For` is believed when sign-ins to the
    /// console are counted by address.
    #[serde(deserialize_with = "checked::networks")]
    pub trusted_proxies: Vec<IpNet>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8088)),
            tls: TlsConfig::default(),
            trusted_proxies: Vec::new(),
        }
    }
}

/// `http.tls`: two PEM files, read again when they change.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificate, and the chain above it.
    pub cert: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
}

/// What an entry without a verified signature becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerifyPolicy {
    /// Entries without a verified signature are quarantined.
    Require,
    /// Everything is stored, with its verdict.
    #[default]
    Record,
    /// Signatures are not checked.
    Off,
}

/// `ingest`: the ingest endpoint.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestConfig {
    /// Path of the webhook.
    #[serde(deserialize_with = "checked::webhook_path")]
    pub path: String,
    /// Every accepted value of the `Authorization` header; several during a rotation. A file may
    /// have several, one a line, and is read again within 10 s. `usher serve` needs one.
    pub authorization: Vec<Secret>,
    /// What an entry without a verified signature becomes.
    pub verify: VerifyPolicy,
    /// Bytes of one request body as sent.
    pub max_body_bytes: usize,
    /// Bytes of one body after inflating.
    pub max_inflated_bytes: usize,
    /// Bytes of one entry.
    pub max_line_bytes: usize,
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self {
            path: "/audit-logs".to_owned(),
            authorization: Vec::new(),
            verify: VerifyPolicy::default(),
            max_body_bytes: 8 * MIB,
            max_inflated_bytes: 64 * MIB,
            max_line_bytes: MIB,
        }
    }
}

/// `database`: a URL, or an embedded Postgres in a folder.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `postgres://…`; may contain a password, hence secret.
    pub url: Option<Secret>,
    /// A replica for people who read; as `url` when absent.
    pub read_url: Option<Secret>,
    /// Runs the machine's own Postgres binaries as a child.
    pub embedded: bool,
    /// Folder of the embedded Postgres.
    pub data_dir: Option<PathBuf>,
    /// Folder of `initdb` and `postgres`; found by itself when absent.
    pub bin_dir: Option<PathBuf>,
}

/// `kafka`: where events are published.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaConfig {
    /// `host:port`, separated by commas; absent means nothing is published.
    pub brokers: Option<String>,
    /// The topic.
    pub topic: String,
    /// Further settings of librdkafka, such as `linger.ms`; some of them are passwords.
    #[serde(deserialize_with = "checked::options")]
    pub options: BTreeMap<String, Secret>,
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            brokers: None,
            topic: "konnect.audit-events".to_owned(),
            options: BTreeMap::new(),
        }
    }
}

/// `konnect`: the management API.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KonnectConfig {
    /// Regional host without a version path.
    #[serde(deserialize_with = "base_url::deserialize")]
    pub base_url: Url,
    /// Host of organisation-wide objects.
    pub global_url: Option<Url>,
    /// Personal or system account token; without it usher records and publishes only.
    pub token: Option<Secret>,
    /// The portals to observe; empty means every portal that the token sees.
    pub portals: Vec<Uuid>,
    /// The principal that `token` belongs to, so that our own calls are recognised in org logs.
    pub principal_id: Option<Uuid>,
    /// All calls together.
    pub requests_per_second: u32,
}

impl Default for KonnectConfig {
    fn default() -> Self {
        Self {
            base_url: literal("https://us.api.konghq.com"),
            global_url: None,
            token: None,
            portals: Vec::new(),
            principal_id: None,
            requests_per_second: 5,
        }
    }
}

/// A URL that is written in this file.
fn literal(url: &str) -> Url {
    Url::parse(url).expect("the literal is a URL")
}

impl KonnectConfig {
    /// The host of organisation-wide objects: as set, else Konnect's own where `base_url` is one
    /// of Konnect's regions, else `base_url`.
    pub fn global_url(&self) -> Url {
        if let Some(url) = &self.global_url {
            return url.clone();
        }
        match self.base_url.host_str() {
            Some(host) if host.ends_with(".api.konghq.com") => {
                literal("https://global.api.konghq.com")
            }
            _ => self.base_url.clone(),
        }
    }
}

/// `observe`: how often usher sweeps portals.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObserveConfig {
    /// Between sweeps of pending developers and registrations.
    #[serde(deserialize_with = "sweep_interval")]
    pub pending_every: Duration,
    /// Between full sweeps.
    #[serde(deserialize_with = "sweep_interval")]
    pub all_every: Duration,
}

fn sweep_interval<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let span = span::deserialize(deserializer)?;
    if span < Duration::from_millis(100) {
        return Err(D::Error::custom(
            "expected a duration of at least 100ms: usher would do nothing else",
        ));
    }
    Ok(span)
}

impl Default for ObserveConfig {
    fn default() -> Self {
        Self {
            pending_every: Duration::from_mins(1),
            all_every: Duration::from_hours(1),
        }
    }
}

/// `spool`: requests on disk while the database is away.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpoolConfig {
    /// The folder, of this usher alone; without it there is no spool.
    pub dir: Option<PathBuf>,
    /// What it may take on disk.
    pub max_bytes: u64,
}

impl Default for SpoolConfig {
    fn default() -> Self {
        Self {
            dir: None,
            max_bytes: 1024 * 1024 * 1024,
        }
    }
}

/// `rules`: where the rules file is, and the bound of all rules together.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RulesConfig {
    /// A YAML file; without it nothing is decided.
    pub path: Option<PathBuf>,
    /// Writes to one developer or registration in 24 hours, whichever rules ask for them. One more
    /// that does not take access away is left to a person. 0 means any number.
    pub limit_per_subject_per_day: u32,
}

impl Default for RulesConfig {
    fn default() -> Self {
        Self {
            path: None,
            limit_per_subject_per_day: 20,
        }
    }
}

/// `notify`: notices of decisions.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NotifyConfig {
    /// Signs every notice whose rule names no secret of its own.
    #[serde(deserialize_with = "signing_key")]
    pub secret: Option<HookSecret>,
    /// Hosts, as URLs name them, that may have addresses which are not public.
    #[serde(deserialize_with = "hosts")]
    pub allow_private: Vec<String>,
}

/// The form that senders and receivers of Standard Webhooks exchange.
fn signing_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<HookSecret>, D::Error> {
    let secret = Secret::deserialize(deserializer)?;
    let key = HookSecret::parse(secret.expose());
    key.map(Some)
        .ok_or_else(|| D::Error::custom("expected whsec_ and the base64 of 24 to 64 bytes"))
}

/// Names and addresses without scheme and port: anything else would never match.
fn hosts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let hosts = Vec::<String>::deserialize(deserializer)?;
    if hosts.iter().all(|host| url::Host::parse(host).is_ok()) {
        return Ok(hosts);
    }
    Err(D::Error::custom(
        "expected names or addresses of hosts, such as \"hooks.corp.example\" or \"10.1.2.3\"",
    ))
}

/// Where the organisation's own log comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrgLogs {
    /// Not read.
    #[default]
    Off,
    /// Sent by a webhook; pulled a second time, to find what it did not bring.
    Webhook,
    /// Pulled from the API.
    Pull,
}

/// `backfill`: asking for missed time.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BackfillConfig {
    /// Asks for gaps by itself.
    pub auto: bool,
    /// Between signs of life.
    #[serde(deserialize_with = "span::deserialize")]
    pub heartbeat_every: Duration,
    /// Gaps that are nearer to each other are asked for together.
    #[serde(deserialize_with = "span::deserialize")]
    pub gap_after: Duration,
    /// Nothing logged in a portal for longer raises the alert `usher.silence`; without it none.
    #[serde(deserialize_with = "span::optional")]
    pub silence_after: Option<Duration>,
    /// How long entries may be under way.
    #[serde(deserialize_with = "span::deserialize")]
    pub settle: Duration,
    /// Has every day sent again once, as proof.
    pub audit: bool,
    /// Source of the organisation's log.
    pub org_logs: OrgLogs,
}

impl Default for BackfillConfig {
    fn default() -> Self {
        Self {
            auto: true,
            heartbeat_every: Duration::from_secs(5),
            gap_after: Duration::from_mins(2),
            silence_after: None,
            settle: Duration::from_mins(2),
            audit: false,
            org_logs: OrgLogs::Off,
        }
    }
}

/// `retention`: how long each sort of row stays.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Events, by whole months.
    #[serde(deserialize_with = "retention_time")]
    pub events: Duration,
    /// Entries and bodies that were quarantined.
    #[serde(deserialize_with = "retention_time")]
    pub quarantine: Duration,
    /// Deliveries.
    #[serde(deserialize_with = "retention_time")]
    pub batches: Duration,
    /// Actions that ended, with their attempts.
    #[serde(deserialize_with = "retention_time")]
    pub actions: Duration,
    /// E-mail and name of people who are gone from Konnect.
    #[serde(deserialize_with = "span::deserialize")]
    pub subjects: Duration,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        let quarter = Duration::from_hours(90 * 24);
        Self {
            events: Duration::from_hours(400 * 24),
            quarantine: quarter,
            batches: quarter,
            actions: quarter,
            subjects: Duration::from_hours(30 * 24),
        }
    }
}

/// Konnect can send the last 7 days again: what was deleted sooner would be new again, and would be
/// done again.
fn retention_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let span = span::deserialize(deserializer)?;
    if span < Duration::from_hours(8 * 24) {
        return Err(D::Error::custom(
            "must be at least 8d: Konnect replays up to 7 days",
        ));
    }
    Ok(span)
}

/// What a console token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads.
    #[default]
    Reader,
    /// Reads and acts.
    Operator,
}

/// One token of the console and of the JSON API.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsoleToken {
    /// Shown in logs instead of the token.
    pub name: String,
    /// What it may do.
    #[serde(default)]
    pub role: Role,
    /// The portals that it is for, by id; without them all, and what belongs to no portal.
    #[serde(default, deserialize_with = "checked::some_portals")]
    pub portals: Option<Vec<Uuid>>,
    /// The secret.
    pub token: Secret,
}

/// `console`: where the pages and the JSON API are, and who may use them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsoleConfig {
    /// Accepted tokens; with none, one is made at start and printed once.
    #[serde(deserialize_with = "distinct_names")]
    pub tokens: Vec<ConsoleToken>,
    /// Address and port of pages and API, apart from the ingest endpoint; `http.listen` has them
    /// when absent.
    pub listen: Option<SocketAddr>,
    /// Where people reach the console, such as `https://usher.example.com`: links and cookies are
    /// made for it.
    #[serde(deserialize_with = "base_url::optional")]
    pub url: Option<Url>,
}

/// A caller is known by the secret alone.
fn distinct_names<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<ConsoleToken>, D::Error> {
    let tokens = Vec::<ConsoleToken>::deserialize(deserializer)?;
    for (later, token) in tokens.iter().enumerate() {
        let is_same = |other: &ConsoleToken| other.token.expose() == token.token.expose();
        if let Some(first) = tokens[..later].iter().position(is_same) {
            return Err(D::Error::custom(format!(
                "tokens[{later}].token: is that of tokens[{first}] too: a token must identify who asks"
            )));
        }
    }
    Ok(tokens)
}

/// Shape of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One readable line.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// `telemetry`: logs.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// A level or a filter of `tracing-subscriber`.
    #[serde(deserialize_with = "checked::filter")]
    pub log: String,
    /// Shape of the lines.
    pub format: LogFormat,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            log: "info".to_owned(),
            format: LogFormat::default(),
        }
    }
}

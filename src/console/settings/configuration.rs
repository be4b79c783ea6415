//! What is configured, section by section, as people may see it: of a secret only whether it is
//! set, of an address only its host. Pure.
//!
//! Every section is taken apart member by member, so that a new key is a decision about what is
//! shown of it.

use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use url::Url;

use crate::config::{
    BackfillConfig, Config, ConsoleConfig, DatabaseConfig, ForwardConfig, HookSender, HooksConfig,
    HttpConfig, IngestConfig, KafkaConfig, KonnectConfig, LogFormat, NotifyConfig, ObserveConfig,
    OrgLogs, RetentionConfig, RulesConfig, Secret, SpoolConfig, TelemetryConfig, TlsConfig,
    TypePattern, VerifyPolicy,
};

/// What is shown of a value that is absent.
const ABSENT: &str = "not set";

/// One section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its name.
    pub name: &'static str,
    /// Its keys.
    pub settings: Vec<Setting>,
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name within the section.
    pub key: String,
    /// What may be shown of its value.
    pub value: String,
    /// Whether it is other than without a configuration.
    pub is_changed: bool,
}

/// Every section of `config`, without secrets.
pub fn sections(config: &Config) -> Vec<Section> {
    let mut shown = all(config);
    let defaults = all(&Config::default());
    for section in &mut shown {
        let default = defaults.iter().find(|default| default.name == section.name);
        for setting in &mut section.settings {
            let known = default.into_iter().flat_map(|default| &default.settings);
            let mut same = known.filter(|known| known.key == setting.key);
            setting.is_changed = same.all(|known| known.value != setting.value);
        }
    }
    shown
}

fn all(config: &Config) -> Vec<Section> {
    let Config {
        http,
        ingest,
        database,
        kafka,
        forward,
        konnect,
        observe,
        spool,
        rules,
        notify,
        hooks,
        backfill,
        retention,
        console,
        telemetry,
    } = config;
    vec![
        of_http(http),
        of_ingest(ingest),
        of_database(database),
        of_kafka(kafka),
        of_forward(forward),
        of_konnect(konnect),
        of_observe(observe),
        of_spool(spool),
        of_rules(rules),
        of_notify(notify),
        of_hooks(hooks),
        of_backfill(backfill),
        of_retention(retention),
        of_console(console),
        of_telemetry(telemetry),
    ]
}

fn section<const N: usize>(name: &'static str, settings: [(&str, String); N]) -> Section {
    let setting = |(key, value): (&str, String)| Setting {
        key: key.to_owned(),
        value,
        is_changed: false,
    };
    Section {
        name,
        settings: settings.into_iter().map(setting).collect(),
    }
}

fn of_http(http: &HttpConfig) -> Section {
    let HttpConfig {
        listen,
        tls,
        trusted_proxies,
    } = http;
    let TlsConfig { cert, key } = tls;
    section(
        "http",
        [
            ("listen", listen.to_string()),
            ("tls.cert", path(cert.as_deref())),
            ("tls.key", path(key.as_deref())),
            ("trusted_proxies", list(trusted_proxies, ABSENT)),
        ],
    )
}

fn of_ingest(ingest: &IngestConfig) -> Section {
    let IngestConfig {
        path,
        authorization,
        verify,
        max_body_bytes,
        max_inflated_bytes,
        max_line_bytes,
    } = ingest;
    let verify = match verify {
        VerifyPolicy::Require => "require",
        VerifyPolicy::Record => "record",
        VerifyPolicy::Off => "off",
    };
    section(
        "ingest",
        [
            ("path", path.clone()),
            ("authorization", hidden(authorization.len())),
            ("verify", verify.to_owned()),
            ("max_body_bytes", max_body_bytes.to_string()),
            ("max_inflated_bytes", max_inflated_bytes.to_string()),
            ("max_line_bytes", max_line_bytes.to_string()),
        ],
    )
}

fn of_database(database: &DatabaseConfig) -> Section {
    let DatabaseConfig {
        url,
        read_url,
        embedded,
        data_dir,
        bin_dir,
    } = database;
    section(
        "database",
        [
            ("url", secret(url.as_ref())),
            ("read_url", secret(read_url.as_ref())),
            ("embedded", embedded.to_string()),
            ("data_dir", path(data_dir.as_deref())),
            ("bin_dir", path(bin_dir.as_deref())),
        ],
    )
}

fn of_kafka(kafka: &KafkaConfig) -> Section {
    let KafkaConfig {
        brokers,
        topic,
        options,
    } = kafka;
    let names: Vec<&str> = options.keys().map(String::as_str).collect();
    let options = match names[..] {
        [] => ABSENT.to_owned(),
        _ => format!("{} (values hidden)", names.join(", ")),
    };
    section(
        "kafka",
        [
            ("brokers", text(brokers.as_ref())),
            ("topic", topic.clone()),
            ("options", options),
        ],
    )
}

fn of_forward(forward: &[ForwardConfig]) -> Section {
    let mut shown = section("forward", [("endpoints", forward.len().to_string())]);
    for (index, ForwardConfig { url, authorization }) in forward.iter().enumerate() {
        for (key, value) in [
            ("url", host(url)),
            ("authorization", secret(authorization.as_ref())),
        ] {
            shown.settings.push(Setting {
                key: format!("[{index}].{key}"),
                value,
                is_changed: false,
            });
        }
    }
    shown
}

fn of_konnect(konnect: &KonnectConfig) -> Section {
    let KonnectConfig {
        base_url,
        global_url: _,
        token,
        portals,
        principal_id,
        requests_per_second,
    } = konnect;
    section(
        "konnect",
        [
            ("base_url", host(base_url)),
            ("global_url", host(&konnect.global_url())),
            ("token", secret(token.as_ref())),
            ("portals", list(portals, "every one that the token sees")),
            ("principal_id", text(principal_id.as_ref())),
            ("requests_per_second", requests_per_second.to_string()),
        ],
    )
}

fn of_observe(observe: &ObserveConfig) -> Section {
    let ObserveConfig {
        pending_every,
        all_every,
    } = observe;
    section(
        "observe",
        [
            ("pending_every", span(*pending_every)),
            ("all_every", span(*all_every)),
        ],
    )
}

fn of_spool(spool: &SpoolConfig) -> Section {
    let SpoolConfig { dir, max_bytes } = spool;
    section(
        "spool",
        [
            ("dir", path(dir.as_deref())),
            ("max_bytes", max_bytes.to_string()),
        ],
    )
}

fn of_rules(rules: &RulesConfig) -> Section {
    let RulesConfig {
        path: file,
        limit_per_subject_per_day,
    } = rules;
    section(
        "rules",
        [
            ("path", path(file.as_deref())),
            (
                "limit_per_subject_per_day",
                limit_per_subject_per_day.to_string(),
            ),
        ],
    )
}

fn of_notify(notify: &NotifyConfig) -> Section {
    let NotifyConfig {
        secret,
        allow_private,
    } = notify;
    section(
        "notify",
        [
            ("secret", hidden(usize::from(secret.is_some()))),
            ("allow_private", list(allow_private, "no host")),
        ],
    )
}

fn of_hooks(hooks: &HooksConfig) -> Section {
    let HooksConfig { senders } = hooks;
    let mut shown = section("hooks", [("senders", senders.len().to_string())]);
    for (index, sender) in senders.iter().enumerate() {
        let HookSender {
            name,
            secret: _,
            types,
            portals,
        } = sender;
        let types = types.as_ref().map_or_else(
            || "all".to_owned(),
            |types| list(&types.iter().map(pattern).collect::<Vec<_>>(), "none"),
        );
        let portals = portals
            .as_ref()
            .map_or_else(|| "all".to_owned(), |portals| list(portals, "none"));
        for (key, value) in [
            ("name", name.clone()),
            ("secret", hidden(1)),
            ("types", types),
            ("portals", portals),
        ] {
            shown.settings.push(Setting {
                key: format!("senders[{index}].{key}"),
                value,
                is_changed: false,
            });
        }
    }
    shown
}

fn of_backfill(backfill: &BackfillConfig) -> Section {
    let BackfillConfig {
        auto,
        heartbeat_every,
        gap_after,
        silence_after,
        settle,
        audit,
        org_logs,
    } = backfill;
    let org_logs = match org_logs {
        OrgLogs::Off => "off",
        OrgLogs::Webhook => "webhook",
        OrgLogs::Pull => "pull",
    };
    let silence_after = silence_after.map(span);
    section(
        "backfill",
        [
            ("auto", auto.to_string()),
            ("heartbeat_every", span(*heartbeat_every)),
            ("gap_after", span(*gap_after)),
            ("silence_after", text(silence_after.as_ref())),
            ("settle", span(*settle)),
            ("audit", audit.to_string()),
            ("org_logs", org_logs.to_owned()),
        ],
    )
}

fn of_retention(retention: &RetentionConfig) -> Section {
    let RetentionConfig {
        events,
        quarantine,
        batches,
        actions,
        subjects,
    } = retention;
    section(
        "retention",
        [
            ("events", span(*events)),
            ("quarantine", span(*quarantine)),
            ("batches", span(*batches)),
            ("actions", span(*actions)),
            ("subjects", span(*subjects)),
        ],
    )
}

/// The tokens have a table of their own.
fn of_console(console: &ConsoleConfig) -> Section {
    let ConsoleConfig {
        tokens,
        listen,
        url,
    } = console;
    section(
        "console",
        [
            ("tokens", hidden(tokens.len())),
            ("listen", text(listen.as_ref())),
            ("url", text(url.as_ref().map(host).as_ref())),
        ],
    )
}

fn of_telemetry(telemetry: &TelemetryConfig) -> Section {
    let TelemetryConfig { log, format } = telemetry;
    let format = match format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    };
    section(
        "telemetry",
        [("log", log.clone()), ("format", format.to_owned())],
    )
}

fn text(value: Option<&impl Display>) -> String {
    value.map_or_else(|| ABSENT.to_owned(), ToString::to_string)
}

fn path(path: Option<&Path>) -> String {
    text(path.map(Path::display).as_ref())
}

fn list(values: &[impl Display], none: &str) -> String {
    if values.is_empty() {
        return none.to_owned();
    }
    let values: Vec<String> = values.iter().map(ToString::to_string).collect();
    values.join(", ")
}

/// Whether a secret is set, and whether it is read from a file.
fn secret(secret: Option<&Secret>) -> String {
    match secret {
        None => ABSENT.to_owned(),
        Some(secret) if secret.is_of_file() => "set by a file (hidden)".to_owned(),
        Some(_) => hidden(1),
    }
}

/// So many secrets.
fn hidden(count: usize) -> String {
    match count {
        0 => ABSENT.to_owned(),
        1 => "set (hidden)".to_owned(),
        count => format!("{count} values (hidden)"),
    }
}

/// An address without a name, a password, a path and a query: each of them may be a secret.
fn host(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}"));
    let (scheme, host) = (url.scheme(), url.host_str().unwrap_or_default());
    format!("{scheme}://{host}{}", port.unwrap_or_default())
}

fn pattern(pattern: &TypePattern) -> String {
    match pattern {
        TypePattern::Exact(exact) => exact.clone(),
        TypePattern::Prefix(start) => format!("{start}*"),
    }
}

/// A length of time as it is written in the configuration.
fn span(span: Duration) -> String {
    let millis = span.as_millis();
    let units = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1_000, "s"),
    ];
    let unit = units
        .iter()
        .find(|(unit, _)| millis > 0 && millis.is_multiple_of(*unit));
    unit.map_or_else(
        || format!("{millis}ms"),
        |(unit, name)| format!("{}{name}", millis / unit),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{sections, span};
    use crate::config::{
        Config, ConsoleToken, ForwardConfig, HookSecret, HookSender, Role, Secret,
    };

    fn secret() -> Secret {
        Secret::new("HIDDEN".to_owned())
    }

    fn full_of_secrets() -> Config {
        let mut config = Config::default();
        config.ingest.authorization = vec![secret(), secret()];
        config.database.url = Some(Secret::new("postgres://HIDDEN:HIDDEN@db/usher".to_owned()));
        config.database.read_url = Some(secret());
        config.kafka.options = [("sasl.password".to_owned(), secret())].into();
        config.konnect.token = Some(secret());
        config.konnect.base_url = "https://HIDDEN:HIDDEN@eu.example/HIDDEN?a=HIDDEN"
            .parse()
            .unwrap();
        config.forward = vec![ForwardConfig {
            url: "https://siem.example/HIDDEN?token=HIDDEN".parse().unwrap(),
            authorization: Some(secret()),
        }];
        let key = "whsec_SElEREVOSElEREVOSElEREVOSElEREVO";
        config.notify.secret = HookSecret::parse(key);
        config.hooks.senders = vec![HookSender {
            name: "crm".to_owned(),
            secret: HookSecret::parse(key).unwrap(),
            types: None,
            portals: None,
        }];
        config.console.tokens = vec![ConsoleToken {
            name: "ada".to_owned(),
            role: Role::Operator,
            portals: None,
            token: secret(),
        }];
        config
    }

    #[test]
    fn no_secret_is_shown() {
        let shown = format!("{:?}", sections(&full_of_secrets()));
        assert!(
            !shown.contains("HIDDEN") && !shown.contains("SElERE"),
            "{shown}"
        );
        for host in [
            "https://eu.example",
            "https://siem.example",
            "sasl.password",
            "crm",
        ] {
            assert!(shown.contains(host), "{host}: {shown}");
        }
    }

    #[test]
    fn what_is_as_without_a_configuration_is_not_marked() {
        let changed = |config: &Config| -> Vec<String> {
            let sections = sections(config);
            let settings = sections.iter().flat_map(|section| &section.settings);
            let changed = settings.filter(|setting| setting.is_changed);
            changed.map(|setting| setting.key.clone()).collect()
        };
        let mut config = Config::default();
        assert!(changed(&config).is_empty());
        config.kafka.topic = "other".to_owned();
        config.forward = full_of_secrets().forward;
        assert_eq!(
            changed(&config),
            ["topic", "endpoints", "[0].url", "[0].authorization"]
        );
    }

    #[test]
    fn times_are_written_as_they_are_read() {
        for (millis, written) in [
            (0, "0ms"),
            (250, "250ms"),
            (1_500, "1500ms"),
            (90_000, "90s"),
            (120_000, "2m"),
            (3_600_000, "1h"),
            (34_560_000_000, "400d"),
        ] {
            assert_eq!(span(Duration::from_millis(millis)), written);
        }
    }
}

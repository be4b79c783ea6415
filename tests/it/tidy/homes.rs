//! What has one home: SQL, the environment, the console, Kafka, the clock, the management API's
//! paths.

use crate::tidy::Violation;
use crate::tidy::source::{Source, crate_paths, words};

/// Something that is written in few places only.
struct Home {
    what: &'static str,
    traces: &'static [Trace],
    /// Files, folders (with a final `/`), or names of files in any room (with a leading `/`).
    places: &'static [&'static str],
    belongs: &'static str,
}

/// How a thing shows in code.
enum Trace {
    /// A path that begins with this crate.
    Crate(&'static str),
    /// These words.
    Words(&'static str),
}

use Trace::{Crate, Words};

const HOMES: [Home; 6] = [
    Home {
        what: "SQL",
        traces: &[Crate("sqlx")],
        places: &[
            "src/journal/",
            "src/directory/",
            "src/act/",
            "src/report/",
            "crates/embedded-postgres/src/",
            "/store.rs",
            "/store/",
        ],
        belongs: "what was recorded belongs in src/journal, what the API said in src/directory, a table that only its room writes in the room's store.rs",
    },
    Home {
        what: "SQL that no build checks",
        traces: &[
            Words("sqlx::query("),
            Words("sqlx::query_as("),
            Words("sqlx::query_as::<"),
            Words("sqlx::query_scalar("),
            Words("sqlx::query_scalar::<"),
            Words("sqlx::query_with("),
            Words("sqlx::raw_sql("),
            Words("raw_sql"),
            Words("QueryBuilder"),
            Words("copy_in_raw"),
        ],
        places: &[
            "src/journal/partitions.rs",
            "src/journal/read/search/select.rs",
        ],
        belongs: "use query!, query_as! or query_scalar!; only the DDL of partitions and the search of events cannot",
    },
    Home {
        what: "the environment",
        traces: &[
            Words("env::var"),
            Words("env::vars"),
            Words("env::var_os"),
            Words("env::vars_os"),
        ],
        places: &["src/config/"],
        belongs: "src/config reads it once; take the value from the configuration",
    },
    Home {
        what: "printing",
        traces: &[
            Words("println!"),
            Words("eprintln!"),
            Words("print!"),
            Words("eprint!"),
            Words("io::stdout"),
            Words("io::stderr"),
        ],
        places: &["src/cli/output.rs", "src/telemetry/"],
        belongs: "a command shows its data and progress through cli::Output; everything else is a log line",
    },
    Home {
        what: "Kafka",
        traces: &[Crate("rdkafka")],
        places: &["src/publish/"],
        belongs: "only src/publish knows of Kafka; usher itself reads the outbox",
    },
    Home {
        what: "the system's clock or randomness for ids",
        traces: &[
            Words("Utc::now"),
            Words("Local::now"),
            Words("SystemTime::now"),
            Words("Uuid::new_v4"),
            Words("Uuid::now_v7"),
        ],
        places: &[
            "src/clock.rs",
            "crates/konnect-emulator/src/clock.rs",
            // A `Retry-After` that is a date needs the time, and the crate knows nothing of usher.
            "crates/konnect/src/transport.rs",
        ],
        belongs: "take a clock::Clock or clock::Ids in the state, so that tests own both",
    },
];

/// Things outside their home.
pub(crate) fn strays(source: &Source) -> Vec<Violation> {
    HOMES
        .iter()
        .filter(|home| !home.places.iter().any(|place| lies_in(&source.path, place)))
        .flat_map(|home| {
            let mut lines: Vec<usize> = home
                .traces
                .iter()
                .flat_map(|trace| trace.offsets(&source.production))
                .map(|at| source.line(at))
                .collect();
            lines.sort_unstable();
            lines.dedup();
            lines.into_iter().map(|line| {
                let message = format!("{} outside its home: {}", home.what, home.belongs);
                Violation::new(&source.path, line, message)
            })
        })
        .collect()
}

/// Paths of the management API outside its client and its emulator.
pub(crate) fn api_paths(source: &Source) -> Vec<Violation> {
    if !["src/", "crates/usher-"]
        .iter()
        .any(|root| source.path.starts_with(root))
    {
        return Vec::new();
    }
    source
        .literals
        .iter()
        .filter(|literal| !source.in_tests(literal.at))
        .filter(|literal| ["/v2/", "/v3/"].iter().any(|path| literal.text.contains(path)))
        .map(|literal| {
            let message = format!(
                "a path of the management API (`{}`): paths belong in crates/konnect, as a method of the client",
                literal.text
            );
            Violation::new(&source.path, source.line(literal.at), message)
        })
        .collect()
}

impl Trace {
    fn offsets(&self, code: &str) -> Vec<usize> {
        match self {
            Crate(name) => crate_paths(code, name).collect(),
            Words(text) => words(code, text).collect(),
        }
    }
}

fn lies_in(path: &str, place: &str) -> bool {
    if place.starts_with('/') {
        if place.ends_with('/') {
            path.contains(place)
        } else {
            path.ends_with(place)
        }
    } else if place.ends_with('/') {
        path.starts_with(place)
    } else {
        path == place
    }
}

#[cfg(test)]
mod tests {
    use super::{api_paths, strays};
    use crate::tidy::source::Source;

    #[test]
    fn finds_what_left_its_home() {
        for (path, text) in [
            ("src/api/events.rs", "let a = sqlx::query!(\"SELECT 1\");"),
            ("src/react/mod.rs", "use sqlx::PgPool;"),
            ("crates/konnect/src/client.rs", "use sqlx::PgPool;"),
            (
                "src/journal/read/events.rs",
                "sqlx::query(text).execute(&mut *tx);",
            ),
            (
                "src/journal/read/events.rs",
                "sqlx::query_as::<_, Row>(text);",
            ),
            ("src/directory/find.rs", "use sqlx::{PgPool, QueryBuilder};"),
            ("src/app.rs", "let a = std::env::var(\"HOME\");"),
            ("src/app.rs", "let a = env::vars_os();"),
            ("src/app.rs", "println!(\"ready\");"),
            (
                "src/cli/serve.rs",
                "writeln!(std::io::stdout(), \"ready\");",
            ),
            ("crates/konnect/src/client.rs", "eprintln!(\"ready\");"),
            ("src/app.rs", "use rdkafka::ClientConfig;"),
            ("src/app.rs", "let a = Utc::now();"),
            ("src/act/queue.rs", "let a = chrono::Utc::now();"),
            ("src/act/queue.rs", "let a = Uuid::new_v4();"),
            (
                "crates/konnect-emulator/src/state.rs",
                "let a = SystemTime::now();",
            ),
        ] {
            let found = strays(&Source::new(path, text));
            assert_eq!(found.len(), 1, "{path}: {text}: {found:?}");
        }
    }

    #[test]
    fn leaves_alone_what_is_at_home_or_only_named() {
        for (path, text) in [
            (
                "src/journal/outbox/owed.rs",
                "sqlx::query!(\"SELECT 1\"); sqlx::query_as!(A, \"\");",
            ),
            ("src/act/queue.rs", "use sqlx::PgPool;"),
            (
                "crates/embedded-postgres/src/server.rs",
                "use sqlx::Postgres;",
            ),
            (
                "src/backfill/store.rs",
                "sqlx::query_scalar!(\"SELECT 1\");",
            ),
            (
                "src/journal/read/search/select.rs",
                "QueryBuilder::new(\"SELECT\");",
            ),
            ("src/journal/partitions.rs", "sqlx::query(&a);"),
            ("src/config/load.rs", "std::env::vars_os();"),
            ("src/cli/output.rs", "println!(\"done\"); io::stdout();"),
            ("src/telemetry/mod.rs", "with_writer(io::stderr)"),
            ("src/publish/kafka.rs", "use rdkafka::ClientConfig;"),
            ("src/clock.rs", "Utc::now();"),
            (
                "src/app.rs",
                "let a = env!(\"CARGO_PKG_VERSION\"); let b = env::variety();",
            ),
            (
                "src/app.rs",
                "// sqlx::query(\nlet a = \"println!\"; let b = clock.now();",
            ),
            (
                "src/app.rs",
                "#[cfg(test)]\nmod tests { fn a() { Utc::now(); } }",
            ),
            (
                "tests/it/support/mod.rs",
                "use rdkafka::ClientConfig; use sqlx::PgPool;",
            ),
        ] {
            let found = strays(&Source::new(path, text));
            assert!(found.is_empty(), "{path}: {text}: {found:?}");
        }
    }

    #[test]
    fn keeps_the_paths_of_the_api_with_its_client() {
        for (path, text, count) in [
            (
                "src/observe/mod.rs",
                "format!(\"{base}/v3/portals/{id}\")",
                1,
            ),
            ("src/cli/setup.rs", "get(\"/v2/audit-log-webhook\")", 1),
            (
                "src/observe/mod.rs",
                "// /v3/portals\nlet a = \"/v1/events\";",
                0,
            ),
            (
                "src/react/paths.rs",
                "#[cfg(test)]\nmod tests { const A: &str = \"/v3/x\"; }",
                0,
            ),
            ("crates/konnect/src/client.rs", "get(\"/v3/portals\")", 0),
            ("tests/it/door/refusals.rs", "get(\"/v3/portals\")", 0),
        ] {
            assert_eq!(
                api_paths(&Source::new(path, text)).len(),
                count,
                "{path}: {text}"
            );
        }
    }
}

//! `usher doctor`: looks at everything that usher needs, and says of each whether it is as it
//! should be, what shows that, and what mends it. Reads only: it writes, sends and starts nothing.
//!
//! A file a subject: each has an asking part, and a judging one that is pure. All checks run at
//! once, each with its own deadline.

pub(super) mod bundle;
mod certificate;
mod database;
mod database_facts;
mod files;
mod finding;
mod konnect;
mod konnect_facts;
mod onward;
mod organisation;
mod serve;
mod subject;
mod tls;
mod webhook;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use futures_util::future::{BoxFuture, join_all, ready};
use serde::Serialize;
use tokio::time::{Instant, timeout};

use crate::cli::doctor::finding::{Finding, Status};
use crate::cli::doctor::subject::{Subject, blocking};
use crate::cli::{CliError, Common, DEFAULT_CONFIG, Output, Reader, counted};
use crate::clock::Clock;
use crate::config::{self, Config, Environment, Masks, SecretPlaces};
use crate::event::plain;

/// To read the configuration and the files of its secrets.
const CONFIG_WITHIN: Duration = Duration::from_secs(2);
/// For each check.
const CHECK_WITHIN: Duration = Duration::from_secs(6);
/// For all of it. With what the process needs to end, it is less than 10 s.
const ALL_WITHIN: Duration = Duration::from_millis(7_500);
/// The page that explains every check, each under its name.
const PAGE: &str = "docs/doctor.md";
const CONFIGURATION: &str = "configuration";
const VARIABLES: &str = "variables";

/// Arguments of `usher doctor`.
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Only these checks
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// All checks but these
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    skip: Vec<String>,
    #[command(flatten)]
    common: Common,
}

/// Looks at a subject.
type Ask = for<'a> fn(&'a Subject) -> BoxFuture<'a, Finding>;

/// One line of the answer. Its name is a promise, and its place among the others too.
struct Check {
    name: &'static str,
    /// None for what is looked at before there is a configuration.
    ask: Option<Ask>,
}

const fn before(name: &'static str) -> Check {
    Check { name, ask: None }
}

const fn check(name: &'static str, ask: Ask) -> Check {
    Check {
        name,
        ask: Some(ask),
    }
}

/// Every check, in the order in which they are shown.
const CHECKS: [Check; 36] = [
    before(CONFIGURATION),
    before(VARIABLES),
    check("secrets", |it| Box::pin(files::secrets(it))),
    check("authorization", |it| {
        Box::pin(ready(files::judge_authorization(&it.config)))
    }),
    check("console", |it| {
        Box::pin(ready(files::judge_console(&it.config)))
    }),
    check("tls", |it| Box::pin(tls::certificate(it))),
    check("serve", |it| Box::pin(serve::serve(&it.config))),
    check("rules", |it| Box::pin(files::rules(it))),
    check("spool", |it| Box::pin(files::spool(it))),
    check("disk", |it| Box::pin(files::disk(it))),
    check("database", |it| Box::pin(database::database(it))),
    check("database-session", |it| Box::pin(database::session(it))),
    check("database-settings", |it| Box::pin(database::settings(it))),
    check("database-connections", |it| {
        Box::pin(database::connections(it))
    }),
    check("database-rights", |it| Box::pin(database::rights(it))),
    check("database-replica", |it| Box::pin(database::replica(it))),
    check("database-clock", |it| Box::pin(database::clock(it))),
    check("migrations", |it| Box::pin(database::migrations(it))),
    check("partitions", |it| Box::pin(database::partitions(it))),
    check("readers", |it| Box::pin(database::readers(it))),
    check("outbox", |it| Box::pin(database::outbox(it))),
    check("konnect", |it| Box::pin(konnect::reachable(it))),
    check("konnect-token", |it| Box::pin(konnect::token(it))),
    check("konnect-portals", |it| Box::pin(konnect::portals(it))),
    check("konnect-permissions", |it| {
        Box::pin(konnect::permissions(it))
    }),
    check("konnect-clock", |it| Box::pin(konnect::clock(it))),
    check("signing-keys", |it| Box::pin(konnect::signing_keys(it))),
    check("webhook", |it| Box::pin(webhook::slot(it))),
    check("webhook-destination", |it| {
        Box::pin(webhook::destination(it))
    }),
    check("webhook-status", |it| Box::pin(webhook::status(it))),
    check("webhook-reachable", |it| Box::pin(webhook::reachable(it))),
    check("webhook-organisation", |it| {
        Box::pin(organisation::webhook(it))
    }),
    check("kafka", |it| Box::pin(onward::kafka(it))),
    check("kafka-topic", |it| Box::pin(onward::topic(it))),
    check("kafka-size", |it| Box::pin(onward::size(it))),
    check("forward", |it| Box::pin(onward::forward(it))),
];

/// One line as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Line {
    name: &'static str,
    status: Status,
    detail: String,
    mend: Option<String>,
    page: String,
}

/// What was looked at, and what it showed.
struct Examined {
    lines: Vec<Line>,
    /// None where the configuration does not load.
    subject: Option<Subject>,
    masks: Masks,
}

pub(super) async fn run(args: DoctorArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    let checks = chosen(&args.only, &args.skip)?;
    let examined = Box::pin(examine(&args.common, environment, &checks)).await;
    if let Some(subject) = &examined.subject {
        subject.database.close().await;
    }
    let output = Output::new(args.common.json);
    for line in &examined.lines {
        if output.data(&line.text(), line)? == Reader::Gone {
            break;
        }
    }
    Output::progress(&summary(&examined.lines));
    Ok(match count(&examined.lines, Status::Failed) {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// The checks that were asked for.
///
/// # Errors
/// When there is no check of a name.
fn chosen(only: &[String], skip: &[String]) -> Result<Vec<&'static Check>, CliError> {
    let is_known = |name: &String| CHECKS.iter().any(|check| check.name == name);
    if let Some(unknown) = only.iter().chain(skip).find(|name| !is_known(name)) {
        let names: Vec<&str> = CHECKS.iter().map(|check| check.name).collect();
        return Err(CliError::Usage(format!(
            "there is no check named {unknown:?}; the names are {}",
            names.join(", ")
        )));
    }
    let is_in = |list: &[String], check: &&Check| list.iter().any(|name| name == check.name);
    let chosen = CHECKS
        .iter()
        .filter(|check| only.is_empty() || is_in(only, check))
        .filter(|check| !is_in(skip, check));
    Ok(chosen.collect())
}

/// Runs the checks, all at once.
async fn examine(
    common: &Common,
    environment: &Environment,
    checks: &[&'static Check],
) -> Examined {
    let began = Instant::now();
    let (subject, loaded) = match load(common, environment).await {
        Ok((subject, loaded)) => (Some(subject), loaded),
        Err(failed) => (None, failed),
    };
    let masks = subject
        .as_ref()
        .map_or_else(|| Masks::of(&Config::default()), |it| Masks::of(&it.config));
    let within = CHECK_WITHIN.min(ALL_WITHIN.saturating_sub(began.elapsed()));
    let found = checks.iter().map(|check| async {
        match (check.name, check.ask, &subject) {
            (CONFIGURATION, ..) => loaded.clone(),
            (VARIABLES, ..) => files::variables(environment.ignored()),
            (_, Some(ask), Some(subject)) => timeout(within, ask(subject))
                .await
                .unwrap_or_else(|_| hung(within)),
            _ => Finding::skipped("the configuration does not load, see configuration"),
        }
    });
    let found = join_all(found).await;
    let lines = checks.iter().zip(found);
    Examined {
        lines: lines
            .map(|(check, found)| Line::new(check.name, &found, &masks))
            .collect(),
        subject,
        masks,
    }
}

fn hung(after: Duration) -> Finding {
    Finding::failed(
        format!("no answer within {} s", after.as_secs()),
        "see what hangs: the network, a disk or the other side; then run `usher doctor` again",
    )
}

/// The subject with the line about its configuration, or that line alone.
async fn load(common: &Common, environment: &Environment) -> Result<(Subject, Finding), Finding> {
    let file = common.file();
    let told = file.as_ref().map_or_else(
        || format!("no {DEFAULT_CONFIG} here: defaults and variables alone"),
        |file| format!("{} loads", file.display()),
    );
    let (path, environment) = (file.clone(), environment.clone());
    let loading = blocking(move || {
        let loaded = config::load(path.as_deref(), &environment)?;
        let places = config::secret_places(path.as_deref(), &environment);
        Ok((loaded, places))
    });
    let loaded: Option<Result<(Config, SecretPlaces), config::ConfigError>> =
        timeout(CONFIG_WITHIN, loading).await.unwrap_or_default();
    match loaded {
        Some(Ok((config, places))) => {
            let subject = Subject::new(config, file, places, Clock::system());
            Ok((subject, Finding::ok(told)))
        }
        Some(Err(error)) => Err(Finding::failed(
            error.to_string(),
            "correct it as said; docs/reference/configuration.md lists every key",
        )),
        None => Err(Finding::failed(
            format!(
                "the files could not be read within {} s",
                CONFIG_WITHIN.as_secs()
            ),
            "look at the files that secrets name: a pipe without a writer, a disk that hangs",
        )),
    }
}

impl Line {
    fn new(name: &'static str, found: &Finding, masks: &Masks) -> Self {
        let shown = |text: &str| masks.mask(&plain(text));
        Self {
            name,
            status: found.status,
            detail: shown(&found.detail),
            mend: found.mend.as_deref().map(shown),
            page: format!("{PAGE}#{name}"),
        }
    }

    /// For people: what is well takes one line.
    fn text(&self) -> String {
        let Self {
            name,
            status,
            detail,
            mend,
            page,
        } = self;
        let first = format!("{:<8} {name:<20} {detail}", status.as_str());
        match (status, mend) {
            (Status::Warning | Status::Failed, Some(mend)) => {
                let margin = " ".repeat(30);
                format!("{first}\n{margin}mend: {mend}\n{margin}page: {page}")
            }
            _ => first,
        }
    }
}

fn count(lines: &[Line], status: Status) -> usize {
    lines.iter().filter(|line| line.status == status).count()
}

fn summary(lines: &[Line]) -> String {
    format!(
        "{}: {} failed, {}, {} skipped",
        counted(lines.len(), "check"),
        count(lines, Status::Failed),
        counted(count(lines, Status::Warning), "warning"),
        count(lines, Status::Skipped),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::{CHECKS, Line, PAGE, chosen};
    use crate::cli::doctor::finding::Finding;
    use crate::config::{Config, Masks, Secret};

    #[test]
    fn every_check_has_its_part_of_the_page() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
        let page = fs::read_to_string(page).unwrap();
        let parts: Vec<&str> = page
            .lines()
            .filter_map(|it| it.strip_prefix("### "))
            .collect();
        let names: Vec<&str> = CHECKS.iter().map(|check| check.name).collect();
        assert_eq!(parts, names);
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }

    #[test]
    fn checks_are_chosen_by_name_and_keep_their_order() {
        let names = |only: &[&str], skip: &[&str]| {
            let owned = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
            let chosen = chosen(&owned(only), &owned(skip));
            chosen.map(|it| it.iter().map(|check| check.name).collect::<Vec<_>>())
        };
        let two = names(&["webhook", "database"], &[]).unwrap();
        assert_eq!(two, ["database", "webhook"]);
        let one = names(&["webhook", "database"], &["webhook"]).unwrap();
        assert_eq!(one, ["database"]);
        assert_eq!(names(&[], &[]).unwrap().len(), CHECKS.len());
        let told = names(&["datbase"], &[]).unwrap_err().to_string();
        assert!(
            told.contains("\"datbase\"") && told.contains("database-rights"),
            "{told}"
        );
    }

    #[test]
    fn a_line_shows_no_secret_and_steers_no_terminal() {
        let mut config = Config::default();
        config.konnect.token = Some(Secret::new("kpat_4711".to_owned()));
        let found = Finding::failed("kpat_4711\u{1b}[2J", "use kpat_4711");
        let line = Line::new("rules", &found, &Masks::of(&config));
        assert_eq!(line.detail, "…\\u{1b}[2J");
        let text = line.text();
        assert!(
            text.starts_with("failed   rules                …"),
            "{text}"
        );
        assert!(
            text.ends_with("mend: use …\n                              page: docs/doctor.md#rules"),
            "{text}"
        );
    }
}

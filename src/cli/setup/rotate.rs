//! `usher setup --rotate`: another secret for Konnect, without a moment in which a delivery could
//! be refused. What is true decides each step ([`rotation`](crate::cli::setup::rotation)), so that
//! a run which was cut off is gone on with by the next.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use konnect::{Destination, DestinationUpdate, WebhookStatus};
use secrecy::SecretString;
use serde_json::json;
use tokio::time::sleep;

use crate::cli::setup::args::SetupArgs;
use crate::cli::setup::calls::Calls;
use crate::cli::setup::first_delivery::meaning;
use crate::cli::setup::on_record::OnRecord;
use crate::cli::setup::plan::Change;
use crate::cli::setup::probe::{Probe, Reply};
use crate::cli::setup::rotation::{Next, next};
use crate::cli::setup::show::differences;
use crate::cli::setup::value_file::ValueFile;
use crate::cli::{CliError, DIFFERENCES, Output, counted};
use crate::clock::Ids;
use crate::config::{Config, Environment};
use crate::lifecycle::backoff;

/// Every usher reads its files again within this time.
const READ_WITHIN: Duration = Duration::from_secs(10);
/// Konnect waits at most so long between two attempts, each with the secret of the first.
const TRIES_AGAIN_WITHIN: Duration = Duration::from_secs(30);
/// How long usher may take to accept what is in the file.
const ACCEPTED_WITHIN: Duration = Duration::from_secs(30);
/// How long the first delivery with the new value is waited for where nobody says so.
const USED_WITHIN: Duration = Duration::from_mins(1);
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How a run ends that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// Only the new value is accepted.
    Done,
    /// Nobody has used the new value yet: all are accepted.
    Unused,
    /// Somebody still uses a former value: all are accepted.
    StillUsed,
}

impl Ended {
    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Unused => "unused",
            Self::StillUsed => "still_used",
        }
    }
}

/// Begins a rotation, or goes on with one.
pub(super) async fn run(
    args: &SetupArgs,
    config: &Config,
    environment: &Environment,
    calls: &Calls,
) -> Result<ExitCode, CliError> {
    let output = Output::new(args.common.json);
    let file = ValueFile::of(config)?;
    let _lock = if args.dry_run { None } else { file.lock()? };
    let values = file.read()?;
    let found = calls.look().await?;
    let name = calls.whose.destination();
    let Some(own) = found.named(&name).first().copied() else {
        return Err(CliError::Failed(anyhow!(
            "there is no destination {name} whose secret could be rotated: run `usher setup` first"
        )));
    };
    // Whatever leads to this usher must have the new value before the former is dropped.
    let all = found.destinations.iter();
    let ours: Vec<&Destination> = all.filter(|one| one.endpoint == own.endpoint).collect();
    if args.dry_run {
        differences(output, &changes(&file, values.len(), &ours))?;
        return Ok(ExitCode::from(DIFFERENCES));
    }
    if args.drop_after < TRIES_AGAIN_WITHIN {
        Output::progress(&format!(
            "warning: --drop-after is shorter than the {} s that Konnect waits between two attempts, and than other instances may take to read the file: a delivery may be refused",
            TRIES_AGAIN_WITHIN.as_secs()
        ));
    }
    let public = match args.wait {
        Some(_) => {
            let endpoint = own.endpoint.parse().map_err(|_| {
                CliError::Failed(anyhow!(
                    "the endpoint of {name} is no url: run `usher setup`"
                ))
            })?;
            Some(Probe::public(endpoint)?)
        }
        None => None,
    };
    let rotation = Rotation {
        calls,
        file: &file,
        ours: &ours,
        local: Probe::local(config)?,
        public,
        used_within: args.wait.unwrap_or(USED_WITHIN),
        drop_after: args.drop_after,
        on_record: OnRecord::open(&args.common, environment, &calls.whose).await,
    };
    let ended = rotation.run(values).await;
    rotation.on_record.close().await;
    let ended = ended?;
    let further = config.ingest.authorization.len() - 1;
    if further > 0 {
        Output::progress(&format!(
            "ingest.authorization has {}, still accepted",
            counted(further, "further value")
        ));
    }
    let status = if ended == Ended::Unused {
        calls.status().await?
    } else {
        None
    };
    let text = told(ended, status.as_ref());
    let names: Vec<&str> = ours.iter().map(|one| one.name.as_str()).collect();
    let shown = json!({
        "portal_id": calls.whose.portal(),
        "rotation": ended.as_str(),
        "destinations": names,
        "values": file.read()?.len(),
    });
    output.data(&text, &shown)?;
    Ok(ExitCode::SUCCESS)
}

/// How it ended, for people; `status` is how the webhook fares.
fn told(ended: Ended, status: Option<&WebhookStatus>) -> String {
    match ended {
        Ended::Done => "the secret was rotated: only the new one is accepted".to_owned(),
        Ended::Unused => format!(
            "both secrets are accepted, and no delivery has come with the new one; {}. Run this again later: it goes on from here",
            meaning(status)
        ),
        Ended::StillUsed => "both secrets are accepted, since somebody still uses the former one: see which destination or proxy sends it, and run this again".to_owned(),
    }
}

/// What a rotation changes in the end.
fn changes(file: &ValueFile, values: usize, ours: &[&Destination]) -> Vec<Change> {
    let is = match values {
        1 => "(one secret)".to_owned(),
        values => format!("({values} secrets: a rotation is under way)"),
    };
    let mut changes = vec![Change {
        object: "file",
        name: file.path().display().to_string(),
        member: "content",
        is: Some(is),
        will_be: Some("(one new secret)".to_owned()),
    }];
    changes.extend(ours.iter().map(|one| Change {
        object: "destination",
        name: one.name.clone(),
        member: "authorization",
        is: Some("(never told)".to_owned()),
        will_be: Some("(the new secret)".to_owned()),
    }));
    changes
}

struct Rotation<'a> {
    calls: &'a Calls,
    file: &'a ValueFile,
    /// The destinations that lead to this usher.
    ours: &'a [&'a Destination],
    local: Probe,
    /// Asked where usher does not answer at its own address.
    public: Option<Probe>,
    used_within: Duration,
    drop_after: Duration,
    on_record: OnRecord,
}

/// When this run came to each of its steps.
#[derive(Default)]
struct Since {
    accept: Option<Instant>,
    given: Option<Instant>,
    rest: Option<Instant>,
}

impl Rotation<'_> {
    async fn run(&self, values: Vec<String>) -> Result<Ended, CliError> {
        let values = self.begin(values).await?;
        let [first, former @ ..] = values.as_slice() else {
            return Err(CliError::Failed(anyhow!("the file has no secret")));
        };
        let mut since = Since::default();
        let mut waits = 0;
        loop {
            let replies = self.ask(&values).await;
            let given_ago = since.given.map(|given: Instant| given.elapsed());
            let step = next(&replies, given_ago, self.drop_after);
            if step != Next::Accept {
                since.accept = None;
            }
            waits += 1;
            let mut wait = backoff(FIRST_WAIT, waits, LONGEST_WAIT);
            match step {
                Next::Accept => {
                    let began = since.accept.get_or_insert_with(Instant::now);
                    if began.elapsed() >= ACCEPTED_WITHIN {
                        return Err(self.not_accepted(replies.first()));
                    }
                }
                Next::Give => {
                    self.give(first).await?;
                    since.given = Some(Instant::now());
                    waits = 0;
                    continue;
                }
                Next::Use => {
                    if given_ago.is_some_and(|ago| ago >= self.used_within) {
                        return Ok(Ended::Unused);
                    }
                }
                Next::Rest(left) => {
                    if since.rest.is_none() {
                        Output::progress("the new secret is used; the former one is waited out");
                        self.note("secret_used").await;
                    }
                    let began = since.rest.get_or_insert_with(Instant::now);
                    if began.elapsed() >= self.drop_after + self.used_within {
                        return Ok(Ended::StillUsed);
                    }
                    wait = left.min(LONGEST_WAIT);
                }
                Next::Drop => {
                    if since.rest.is_none() {
                        self.note("secret_used").await;
                    }
                    return self.drop_former(first, former).await;
                }
            }
            sleep(wait).await;
        }
    }

    /// Writes a new value before the one in use, unless a run before this one did.
    async fn begin(&self, values: Vec<String>) -> Result<Vec<String>, CliError> {
        if values.len() > 1 {
            Output::progress("a rotation is under way: it goes on");
            return Ok(values);
        }
        // Nothing is touched as long as no usher is there to accept another value.
        if let Some(silent @ Reply::Silent(_)) = self.ask(&values).await.first() {
            return Err(self.not_accepted(Some(silent)));
        }
        let values = self.file.put_first(format!("Bearer {}", Ids::secret()))?;
        Output::progress("the file has a new secret before the former one");
        self.note("secret_added").await;
        Ok(values)
    }

    /// Notes a step that is about every destination.
    async fn note(&self, what: &'static str) {
        let names: Vec<&str> = self.ours.iter().map(|one| one.name.as_str()).collect();
        self.on_record.note(what, &names).await;
    }

    /// What usher says of each value.
    async fn ask(&self, values: &[String]) -> Vec<Reply> {
        let mut replies = Vec::with_capacity(values.len());
        for value in values {
            let mut reply = self.local.ask(value).await;
            if let (Reply::Silent(_), Some(public)) = (&reply, &self.public) {
                reply = public.ask(value).await;
            }
            replies.push(reply);
        }
        replies
    }

    fn not_accepted(&self, reply: Option<&Reply>) -> CliError {
        let file = self.file.path().display();
        let url = &self.local.url;
        CliError::Failed(match reply {
            Some(Reply::Silent(reason)) => anyhow!(
                "no usher answers at {url}: {reason}; start `usher serve` with this configuration, or reach it by --wait at its public url, and run this again"
            ),
            _ => anyhow!(
                "usher at {url} does not accept what is in {file} after {} s: see that it runs with this configuration and may read the file, and run this again; Konnect still has the former secret",
                ACCEPTED_WITHIN.as_secs()
            ),
        })
    }

    /// Has Konnect send the first value, once every usher has had the time to read it.
    async fn give(&self, first: &str) -> Result<(), CliError> {
        let read_within = READ_WITHIN.min(self.drop_after);
        let age = self.file.age().unwrap_or_default();
        sleep(read_within.saturating_sub(age)).await;
        Output::progress("usher accepts the new secret");
        let update = DestinationUpdate {
            authorization: Some(SecretString::from(first.to_owned())),
            ..DestinationUpdate::default()
        };
        for one in self.ours {
            self.calls.update(one.id, &update).await?;
            Output::progress(&format!("Konnect has the new secret for {}", one.name));
            self.on_record.note("secret_given", &[&one.name]).await;
        }
        Output::progress("waiting for a delivery with it: sign in to the portal");
        Ok(())
    }

    /// Accepts only the first value from now on, and sees that usher does.
    async fn drop_former(&self, first: &str, former: &[String]) -> Result<Ended, CliError> {
        self.file.keep_only(first)?;
        Output::progress("the former secret was dropped");
        self.note("secret_dropped").await;
        let began = Instant::now();
        loop {
            let replies = self.ask(former).await;
            let is_accepted = |reply: &Reply| matches!(reply, Reply::Accepts(_));
            if !replies.iter().any(is_accepted) {
                return Ok(Ended::Done);
            }
            if began.elapsed() >= READ_WITHIN {
                Output::progress(
                    "usher still accepts the former secret: another entry of ingest.authorization has it",
                );
                return Ok(Ended::Done);
            }
            sleep(FIRST_WAIT).await;
        }
    }
}

//! One action: from its claim to the record of its result, and the remedy for every trouble. The
//! worker decides which action comes next.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use konnect::{DeveloperId, PortalId};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::act::calls::{self, Call};
use crate::act::claim::{Claimed, Note};
use crate::act::decide::{Decider, RecheckCase};
use crate::act::deeds::{self, Completion, DeedContext, Outcome};
use crate::act::end::ActionEnd;
use crate::act::group_commit::GroupCommit;
use crate::act::judge::judge;
use crate::act::notify::Notifier;
use crate::act::outcome::{AttemptRecord, Settlement};
use crate::act::pause::Pause;
use crate::act::read_back::ReadBack;
use crate::act::timings::Timings;
use crate::act::trouble::{Remedy, Trouble};
use crate::act::{ActionState, Queue, Target};
use crate::directory::{Directory, Sweep};
use crate::journal::JournalError;
use crate::rules::{Deed, RuleSet};

/// Attempts after which an object that cannot be read counts as gone: Konnect may answer 404 for a
/// while after a create.
const GONE_AFTER: i32 = 8;

/// The maximum age of a notice whose rule is not known here.
const NEWS: Duration = Duration::from_hours(1);

/// What concurrent attempts share: their notes go to the database together.
#[derive(Debug)]
pub(super) struct WorkerChannels {
    pub(super) notes: GroupCommit<Note>,
    pub(super) endings: GroupCommit<Settlement>,
    pub(super) read_backs: mpsc::Sender<(Sweep, ReadBack)>,
}

/// Carries out claimed actions with what its worker has. It lives as long as a group of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Executor<'a> {
    pub(super) queue: &'a Queue,
    pub(super) directory: &'a Directory,
    pub(super) client: &'a konnect::Client,
    pub(super) notifier: &'a Notifier,
    pub(super) timings: &'a Timings,
    pub(super) pause: &'a Pause,
    /// The rules by which every deed is decided once more right before it is done.
    pub(super) rules: Option<&'a watch::Receiver<Arc<RuleSet>>>,
    /// Writes to one target in a day; 0 means any number.
    pub(super) limit_per_subject: u32,
}

impl Executor<'_> {
    #[tracing::instrument(
        skip_all,
        fields(action.id = %claimed.row.id, deed = claimed.deed.name())
    )]
    pub(super) async fn work(
        &self,
        channels: &WorkerChannels,
        (claimed, case): (&Claimed, Option<&RecheckCase>),
        sweep: Option<Sweep>,
    ) -> Result<(), Arc<JournalError>> {
        // A notice that is due reports a decision that was made.
        let case = case.filter(|_| !matches!(claimed.deed, Deed::Notify { .. }));
        let ended = claimed.vetoed().or_else(|| {
            let case = case?;
            case.unwanted(claimed, Decider::AnyRule, self.queue.clock.now())
                .or_else(|| case.over_subject_limit(claimed, self.limit_per_subject))
        });
        if let Some(ending) = ended {
            let settlement = Settlement::new(claimed, ending, None);
            return channels.endings.ask(settlement).await.map(drop);
        }
        if !claimed.row.is_admitted {
            return Ok(self.queue.wait_for_turn(claimed).await?);
        }
        let started_at = self.queue.clock.now();
        let read_back = Mutex::default();
        let (result, call) =
            calls::noting(self.attempt(channels, (claimed, case), &read_back)).await;
        let mut read_back = read_back
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        if matches!(result, Ok(Outcome::Unwanted(..))) {
            // An explanation of the decision must find what was read.
            read_back.keep_teams();
            self.read_again(claimed, &read_back).await;
        }
        let sweep = sweep.filter(|_| !read_back.is_empty());
        let is_known = sweep.is_some() && shows(claimed, &read_back);
        let answered = match result {
            Ok(outcome) => {
                let wrote = call.is_some_and(Call::is_accepted_write);
                self.pause.ended(claimed.kind(), claimed.row.id, wrote);
                let attempt = AttemptRecord {
                    started_at,
                    call,
                    outcome: "ok",
                    detail: None,
                };
                self.conclude(channels, claimed, outcome, attempt, is_known)
                    .await
            }
            Err(trouble) => {
                let began = (started_at, call);
                self.answer(channels, claimed, &trouble, began).await
            }
        };
        if let Some(sweep) = sweep {
            // The receiver lives as long as the worker; else the next sweep reads it.
            let _is_kept = channels.read_backs.send((sweep, read_back)).await;
        }
        answered
    }

    /// Requests a refresh of the developer whose teams an action was not carried out for: the
    /// refresh finds the memberships that ended.
    async fn read_again(&self, claimed: &Claimed, read_back: &ReadBack) {
        let Some((developer, _)) = &read_back.teams_of else {
            return;
        };
        let portal = PortalId(claimed.row.portal_id);
        if let Err(error) = self.directory.request_refresh(portal, *developer).await {
            debug!(error = error.chain(), "could not request a refresh");
        }
    }

    async fn attempt(
        &self,
        channels: &WorkerChannels,
        (claimed, case): (&Claimed, Option<&RecheckCase>),
        read_back: &Mutex<ReadBack>,
    ) -> Result<Outcome, Trouble> {
        let context = DeedContext {
            queue: self.queue,
            client: self.client,
            directory: self.directory,
            notifier: self.notifier,
            claimed,
            notes: &channels.notes,
            read_back,
            lease: self.timings.lease,
        };
        let work = async {
            if let Some(case) = case
                && let Some(unwanted) = judge(&context, case).await?
            {
                return Ok(unwanted);
            }
            deeds::carry_out(&context).await
        };
        let work = tokio::time::timeout(self.timings.attempt, work);
        tokio::select! {
            outcome = work => outcome.unwrap_or(Err(Trouble::TooSlow)),
            () = self.block(claimed) => Err(Trouble::LeaseLost),
        }
    }

    /// Renews the claim of the action. Completes when the claim is lost, or may be by this
    /// process's own clock: a worker that takes it over must be the only one.
    async fn block(&self, claimed: &Claimed) {
        let (lease, every) = (self.timings.lease, self.timings.lease / 3);
        let mut held_since = claimed.since;
        loop {
            tokio::time::sleep(every).await;
            let asked_at = Instant::now();
            match tokio::time::timeout(every, self.queue.renew(claimed, lease, None)).await {
                Ok(Ok(true)) => held_since = asked_at,
                Ok(Ok(false)) => return,
                Ok(Err(error)) => debug!(error = error.chain(), "could not renew a lease"),
                Err(_) => debug!("the lease was not renewed in time"),
            }
            if held_since.elapsed() + every >= lease {
                return;
            }
        }
    }

    /// Stores how an action ended. Where its read-back does not show the result (`is_known`), a
    /// refresh or a hint is requested.
    async fn conclude(
        &self,
        channels: &WorkerChannels,
        claimed: &Claimed,
        outcome: Outcome,
        attempt: AttemptRecord,
        is_known: bool,
    ) -> Result<(), Arc<JournalError>> {
        let mut account = None;
        let (state, reason, changed) = match outcome {
            Outcome::Done(Completion::Written) => (ActionState::Done, None, true),
            Outcome::Done(Completion::Elsewhere) => (ActionState::Done, None, false),
            Outcome::Done(Completion::AlreadyTrue(why)) => {
                (ActionState::Done, Some(why), claimed.row.write_sent)
            }
            Outcome::Done(Completion::Reported { reason, report }) => {
                account = Some(report);
                (ActionState::Done, reason, true)
            }
            Outcome::Refused(why) => (ActionState::Refused, Some(why), false),
            Outcome::Unwanted(why, facts) => {
                let ending = ActionEnd::unwanted(why, facts);
                let settlement = Settlement::new(claimed, ending, Some(attempt));
                return channels.endings.ask(settlement).await.map(drop);
            }
            Outcome::Parked(why) => (ActionState::Parked, Some(why), false),
            Outcome::Unfinished => return Ok(self.queue.put_back(claimed, Duration::ZERO).await?),
        };
        let ending = ActionEnd {
            state,
            reason,
            report: account,
        };
        let whom = whom_no_list_shows(claimed, ending.report.as_ref());
        let settlement = Settlement::new(claimed, ending, Some(attempt));
        let is_ours = channels.endings.ask(settlement).await?;
        // A person's other decision is not in the directory yet either.
        if is_ours && !is_known && (changed || state == ActionState::Refused) {
            let portal = PortalId(claimed.row.portal_id);
            match whom {
                Some(developer) => self.directory.request_refresh(portal, developer).await?,
                None => self.directory.hint(portal).await?,
            }
        }
        Ok(())
    }

    async fn answer(
        &self,
        channels: &WorkerChannels,
        claimed: &Claimed,
        trouble: &Trouble,
        (started_at, call): (chrono::DateTime<chrono::Utc>, Option<Call>),
    ) -> Result<(), Arc<JournalError>> {
        let (remedy, class) = trouble.judge();
        let attempt = AttemptRecord {
            started_at,
            call,
            outcome: class,
            detail: Some(trouble.to_string()),
        };
        let made = claimed.row.attempts + 1;
        let waits = |at_least: Option<Duration>| {
            let wait = self.timings.backoff.wait(made, claimed.row.lease);
            wait.max(at_least.unwrap_or_default())
        };
        let allowed = match trouble {
            Trouble::Gone(_) => GONE_AFTER.min(self.timings.backoff.attempts),
            _ => self.timings.backoff.attempts,
        };
        match remedy {
            Remedy::Retry(at_least) if made - claimed.row.outlasted < allowed => {
                let times = (waits(at_least), Duration::ZERO);
                Ok(self.queue.postpone(claimed, times, &attempt).await?)
            }
            Remedy::Outlast(at_least) if self.outlasts(claimed, waits(at_least)) => {
                let wait = waits(at_least);
                debug!(
                    class,
                    attempt = made,
                    wait_ms = wait.as_millis(),
                    "trying again later"
                );
                report_daily(claimed, wait, class);
                Ok(self.queue.postpone(claimed, (wait, wait), &attempt).await?)
            }
            Remedy::Retry(_) | Remedy::Outlast(_) | Remedy::GiveUp => {
                let ending = ActionEnd::new(ActionState::Failed, trouble.to_string());
                let settlement = Settlement::new(claimed, ending, Some(attempt));
                channels.endings.ask(settlement).await.map(drop)
            }
            Remedy::Pause | Remedy::Hold => {
                let refused = trouble.api().and_then(Call::answered);
                let attempt = AttemptRecord {
                    call: refused.or(attempt.call),
                    ..attempt
                };
                // Blocked before it is put back, or it would be claimed again at once.
                if remedy == Remedy::Pause {
                    self.pause.unauthorized();
                } else {
                    let call = attempt.call.map(Call::request).unwrap_or_default();
                    self.pause.forbidden(claimed.kind(), &call);
                }
                let reason = refusal(&attempt);
                Ok(self.queue.refused(claimed, &reason, &attempt).await?)
            }
            Remedy::LetGo => {
                debug!(class, error = %trouble, "letting go of an action");
                Ok(())
            }
        }
    }
}

impl Executor<'_> {
    /// Whether an action may wait that much longer for trouble to end. A deed that takes access
    /// away waits without limit.
    fn outlasts(&self, claimed: &Claimed, wait: Duration) -> bool {
        if claimed.deed.takes_away() {
            return true;
        }
        let news = match claimed.deed {
            Deed::Notify { .. } => self.max_age(&claimed.row.rule),
            _ => Duration::MAX,
        };
        claimed.trouble + wait < self.timings.backoff.patience.min(news)
    }

    /// The maximum age of a rule's notices.
    fn max_age(&self, rule: &str) -> Duration {
        let rules = self.rules.map(|rules| Arc::clone(&rules.borrow()));
        let known = rules.iter().flat_map(|rules| rules.rules());
        let found = known.into_iter().find(|known| known.name == rule);
        found.map_or(NEWS, |rule| rule.max_age)
    }
}

/// Logs once a day an action that still waits for trouble to end.
fn report_daily(claimed: &Claimed, wait: Duration, class: &str) {
    let days = |time: Duration| time.as_secs() / (24 * 60 * 60);
    let so_far = days(claimed.trouble + wait);
    if so_far > days(claimed.trouble) {
        warn!(
            action.id = %claimed.row.id,
            rule = claimed.row.rule,
            deed = claimed.deed.name(),
            days = so_far,
            class,
            "a deed cannot be done for days"
        );
    }
}

/// Why an action waits whose call was refused.
fn refusal(attempt: &AttemptRecord) -> String {
    let call = attempt.call.map(Call::request).unwrap_or_default();
    match attempt.outcome {
        "unauthorized" => {
            format!("{call} was answered with 401: waits until the token is accepted")
        }
        _ => format!("{call} was answered with 403: waits until the token may do this"),
    }
}

/// Whether what was read shows everything that the deed may have changed.
fn shows(claimed: &Claimed, read_back: &ReadBack) -> bool {
    match claimed.deed {
        Deed::ApproveDeveloper | Deed::RejectDeveloper => !read_back.developers.is_empty(),
        Deed::ApproveRegistration | Deed::RejectRegistration | Deed::RevokeRegistration => {
            !read_back.registrations.is_empty()
        }
        Deed::AddToTeam { .. } => !read_back.memberships.is_empty(),
        Deed::RevokeDeveloper
        | Deed::RemoveFromTeam { .. }
        | Deed::InviteDeveloper { .. }
        | Deed::Notify { .. }
        | Deed::Park { .. } => false,
    }
}

/// The developer whom a deed changed in a way that the pending lists do not show.
fn whom_no_list_shows(claimed: &Claimed, report: Option<&Value>) -> Option<DeveloperId> {
    let id = match (&claimed.deed, claimed.target) {
        (
            Deed::AddToTeam { .. } | Deed::RemoveFromTeam { .. } | Deed::RevokeDeveloper,
            Target::Developer { id },
        ) => id,
        (Deed::InviteDeveloper { .. }, _) => report?.get("developer_id")?.as_str()?.parse().ok()?,
        _ => return None,
    };
    Some(DeveloperId(id))
}

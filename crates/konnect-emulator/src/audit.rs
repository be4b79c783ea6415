//! The audit-log service's state: per source (the organisation or a portal) its webhook, its queue
//! and its replay job; the entries made; the attempts made; what goes wrong on purpose. It sends
//! nothing, `delivery` does.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use rand::seq::SliceRandom as _;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::{
    clock::timestamp,
    delivery_faults::DeliveryFault,
    entry::Entry,
    history::{History, Kept, Source},
    replay_faults::{Course, ReplayFault},
    rule::Rules,
    settings::{DeliverySettings, PullSettings},
    signing::Keys,
};

/// Bounds of what is kept in memory, whatever its age.
const MAX_QUEUE: usize = 200_000;
const MAX_ATTEMPTS: usize = 20_000;

/// One attempt at a delivery.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeliveryAttempt {
    /// The destination's id.
    pub destination: Uuid,
    /// The portal whose entries they are; absent for the organisation's.
    pub portal_id: Option<Uuid>,
    /// The status of the answer; absent if there was none.
    pub status: Option<u16>,
    /// How many entries the request held.
    pub entries: usize,
    /// 1 for the first attempt, at most 5.
    pub attempt: u32,
    /// Whether a replay job sent it.
    pub replay: bool,
    /// When the attempt ended (RFC 3339, the emulator's clock).
    pub at: String,
}

/// A replay job.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) start_at: DateTime<Utc>,
    pub(crate) end_at: DateTime<Utc>,
    pub(crate) status: &'static str,
    pub(crate) updated_at: DateTime<Utc>,
    /// Tells a job from the one that replaced it.
    pub(crate) number: u64,
    course: Course,
}

/// How the latest attempt ended.
#[derive(Debug, Clone)]
struct LastAttempt {
    at: DateTime<Utc>,
    code: Option<u16>,
    message: String,
}

/// The webhook of a source and what it owes.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    pub(crate) destination: Option<Uuid>,
    pub(crate) enabled: bool,
    pub(crate) job: Option<Job>,
    /// Whether nothing is shipped since a delivery was given up.
    pub(crate) is_paused: bool,
    last: Option<LastAttempt>,
    queue: VecDeque<Arc<Kept>>,
    has_worker: bool,
    /// Wakes the worker when a full batch is waiting.
    pub(crate) full: Arc<Notify>,
    /// How many batches were sent on time, for those that wait to be overtaken.
    sent: watch::Sender<u64>,
}

impl Stream {
    /// Returns whether the latest attempt failed.
    fn has_failed(&self) -> bool {
        self.last
            .as_ref()
            .is_some_and(|last| !last.code.is_some_and(|code| (200..300).contains(&code)))
    }

    /// Shows the webhook's status. Without a destination there is no word for it: Konnect's page
    /// says `unconfigured`, which the schema's enum does not have, and the member may be absent.
    pub(crate) fn status(&self) -> Value {
        let mut status = json!({"webhook_enabled": self.enabled});
        if self.destination.is_some() {
            let is_active = !self.has_failed();
            status["webhook_status"] = json!(if is_active { "active" } else { "inactive" });
        }
        if let Some(last) = &self.last {
            status["last_attempt_at"] = json!(timestamp(last.at));
            status["last_response_message"] = json!(last.message);
            if let Some(code) = last.code {
                status["last_response_code"] = json!(code);
            }
        }
        status
    }
}

impl Stream {
    /// Copies it without what belongs to its tasks.
    fn copy(&self, waiting: &HashMap<u64, Arc<Kept>>) -> Self {
        let queue = self.queue.iter();
        Self {
            destination: self.destination,
            enabled: self.enabled,
            job: self.job.clone(),
            is_paused: self.is_paused,
            last: self.last.clone(),
            queue: queue
                .filter_map(|kept| waiting.get(&kept.number()).cloned())
                .collect(),
            has_worker: false,
            full: Arc::default(),
            sent: watch::Sender::default(),
        }
    }
}

/// All sources together.
#[derive(Debug)]
pub(crate) struct Audit {
    pub(crate) keys: Keys,
    pub(crate) settings: DeliverySettings,
    pub(crate) pull: PullSettings,
    streams: HashMap<Source, Stream>,
    pub(crate) history: History,
    pub(crate) delivery_faults: Rules<DeliveryFault>,
    pub(crate) replay_faults: Rules<ReplayFault>,
    attempts: VecDeque<DeliveryAttempt>,
    jobs_made: u64,
    /// Sources that wait for a worker, and jobs that wait for their task.
    idle: Vec<Source>,
    new_jobs: Vec<NewJob>,
}

/// A replay job that waits for its task.
#[derive(Debug)]
pub(crate) struct NewJob {
    pub(crate) source: Source,
    pub(crate) number: u64,
    pub(crate) course: Course,
}

impl Audit {
    /// Starts with a fresh key and no webhook.
    pub(crate) fn new() -> Self {
        Self {
            keys: Keys::new(),
            settings: DeliverySettings::default(),
            pull: PullSettings::default(),
            streams: HashMap::new(),
            history: History::default(),
            delivery_faults: Rules::default(),
            replay_faults: Rules::default(),
            attempts: VecDeque::new(),
            jobs_made: 0,
            idle: Vec::new(),
            new_jobs: Vec::new(),
        }
    }

    /// Takes over from what was in force: its tasks go on with this state, and what no task does
    /// any more is begun anew.
    pub(crate) fn take_over(&mut self, before: &mut Self) {
        self.jobs_made = self.jobs_made.max(before.jobs_made);
        for (source, stream) in &mut self.streams {
            if let Some(old) = before.streams.get_mut(source) {
                stream.has_worker = old.has_worker;
                stream.full = Arc::clone(&old.full);
                stream.sent = std::mem::take(&mut old.sent);
            }
            if !stream.queue.is_empty() && !stream.has_worker {
                stream.has_worker = true;
                self.idle.push(*source);
            }
            let unfinished =
                |job: &&mut Job| matches!(job.status, "accepted" | "pending" | "running");
            if let Some(job) = stream.job.as_mut().filter(unfinished) {
                self.jobs_made += 1;
                job.number = self.jobs_made;
                job.course.runs_at_once |= job.status == "running";
                self.new_jobs.push(NewJob {
                    source: *source,
                    number: job.number,
                    course: job.course,
                });
            }
        }
    }

    /// Returns a source's stream, making it if it is new.
    pub(crate) fn stream(&mut self, source: Source) -> &mut Stream {
        self.streams.entry(source).or_default()
    }

    /// Forgets a portal's webhook and entries.
    pub(crate) fn forget(&mut self, portal: Uuid) {
        if self.streams.remove(&Some(portal)).is_some() {
            self.history.forget(portal);
        }
    }

    /// Returns whether a webhook uses a destination.
    pub(crate) fn uses(&self, destination: Uuid) -> bool {
        self.streams
            .values()
            .any(|stream| stream.destination == Some(destination))
    }

    /// Keeps an entry, and queues it where the source's webhook is enabled.
    pub(crate) fn record(&mut self, source: Source, entry: Entry, now: DateTime<Utc>) {
        let kept = self.history.keep(source, entry, now);
        let batch_size = self.settings.batch_size;
        let stream = self.stream(source);
        if !stream.enabled || stream.is_paused || stream.destination.is_none() {
            return;
        }
        if stream.queue.len() == MAX_QUEUE {
            stream.queue.pop_front();
        }
        stream.queue.push_back(kept);
        if stream.queue.len() >= batch_size {
            stream.full.notify_one();
        }
        if !stream.has_worker {
            stream.has_worker = true;
            self.idle.push(source);
        }
    }

    /// Takes the next batch of a source. `None` ends its worker: the queue is empty or the webhook
    /// is off.
    pub(crate) fn take_batch(&mut self, source: Source) -> Option<(Uuid, Vec<Arc<Kept>>)> {
        let batch_size = self.settings.batch_size;
        let stream = self.streams.get_mut(&source)?;
        if !stream.enabled || stream.is_paused {
            stream.queue.clear();
        }
        let size = stream.queue.len().min(batch_size);
        let entries: Vec<Arc<Kept>> = stream.queue.drain(..size).collect();
        match stream.destination {
            Some(destination) if !entries.is_empty() => Some((destination, entries)),
            _ => {
                stream.has_worker = false;
                None
            }
        }
    }

    /// Returns whether a full batch is waiting.
    pub(crate) fn has_full_batch(&self, source: Source) -> bool {
        self.streams
            .get(&source)
            .is_some_and(|stream| stream.queue.len() >= self.settings.batch_size)
    }

    /// Notes an attempt and what the webhook's status says from now on. The last attempt of a
    /// delivery that is given up pauses the webhook if the settings say so.
    pub(crate) fn note(
        &mut self,
        attempt: DeliveryAttempt,
        message: String,
        given_up: bool,
        now: DateTime<Utc>,
    ) {
        let pauses = given_up && self.settings.pauses_when_inactive;
        if let Some(stream) = self.streams.get_mut(&attempt.portal_id) {
            stream.last = Some(LastAttempt {
                at: now,
                code: attempt.status,
                message,
            });
            stream.is_paused = pauses || (stream.is_paused && stream.has_failed());
        }
        if self.attempts.len() == MAX_ATTEMPTS {
            self.attempts.pop_front();
        }
        self.attempts.push_back(attempt);
    }

    /// Returns all attempts, oldest first.
    pub(crate) fn attempts(&self) -> Vec<DeliveryAttempt> {
        self.attempts.iter().cloned().collect()
    }

    /// Forgets all attempts.
    pub(crate) fn clear_attempts(&mut self) {
        self.attempts.clear();
    }

    /// Puts a replay job in place of the one before. It meets the faults of replay jobs.
    pub(crate) fn start_job(
        &mut self,
        source: Source,
        start_at: DateTime<Utc>,
        end_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) {
        let fault = self.replay_faults.take(source, |_| true);
        let course = fault.map(|(fault, _)| Course::from(&fault));
        self.start_course(source, (start_at, end_at), course.unwrap_or_default(), now);
    }

    /// Puts a replay job in place of the one before; how it goes is given.
    pub(crate) fn start_course(
        &mut self,
        source: Source,
        (start_at, end_at): (DateTime<Utc>, DateTime<Utc>),
        course: Course,
        now: DateTime<Utc>,
    ) {
        self.jobs_made += 1;
        let number = self.jobs_made;
        let job = Job {
            start_at,
            end_at,
            status: if course.runs_at_once {
                "running"
            } else {
                "accepted"
            },
            updated_at: now,
            number,
            course,
        };
        self.stream(source).job = Some(job);
        self.new_jobs.push(NewJob {
            source,
            number,
            course,
        });
    }

    /// Moves a job on; `None` if another has replaced it.
    pub(crate) fn advance_job(
        &mut self,
        source: Source,
        number: u64,
        status: &'static str,
        now: DateTime<Utc>,
    ) -> Option<Job> {
        let job = self
            .streams
            .get_mut(&source)?
            .job
            .as_mut()
            .filter(|job| job.number == number)?;
        job.status = status;
        job.updated_at = now;
        Some(job.clone())
    }

    /// Takes the fault that a batch meets. What the fault leaves to chance is done to the batch:
    /// its entries are shuffled.
    pub(crate) fn take_delivery_fault(
        &mut self,
        source: Source,
        replay: bool,
        batch: &mut [Arc<Kept>],
    ) -> Option<DeliveryFault> {
        let (fault, chance) = self
            .delivery_faults
            .take(source, |fault| fault.replays || !replay)?;
        if fault.shuffle {
            batch.shuffle(chance);
        }
        Some(fault)
    }

    /// Tells those who wait for it that a batch of the source was sent on time.
    pub(crate) fn tell_sent(&self, source: Source) {
        if let Some(stream) = self.streams.get(&source) {
            stream.sent.send_modify(|sent| *sent += 1);
        }
    }

    /// Hears of the batches of a source that are sent on time from now on.
    pub(crate) fn hear_sent(&mut self, source: Source) -> watch::Receiver<u64> {
        self.stream(source).sent.subscribe()
    }

    /// Takes what needs a task of its own: sources with entries to send, and new replay jobs.
    pub(crate) fn take_work(&mut self) -> (Vec<Source>, Vec<NewJob>) {
        (
            std::mem::take(&mut self.idle),
            std::mem::take(&mut self.new_jobs),
        )
    }
}

/// A copy shares nothing with the original: neither counts of entries nor tasks.
impl Clone for Audit {
    fn clone(&self) -> Self {
        let queued: Vec<Arc<Kept>> = self
            .streams
            .values()
            .flat_map(|stream| stream.queue.iter().cloned())
            .collect();
        let (history, waiting) = self.history.copy(&queued);
        let streams = self.streams.iter();
        Self {
            keys: self.keys.clone(),
            settings: self.settings.clone(),
            pull: self.pull.clone(),
            streams: streams
                .map(|(source, stream)| (*source, stream.copy(&waiting)))
                .collect(),
            history,
            delivery_faults: self.delivery_faults.clone(),
            replay_faults: self.replay_faults.clone(),
            attempts: self.attempts.clone(),
            jobs_made: self.jobs_made,
            idle: Vec::new(),
            new_jobs: Vec::new(),
        }
    }
}

//! The audit-log service's state: per source (the organisation or a portal) its webhook, its queue
//! and its replay job; the entries of the last seven days; the attempts made. It sends nothing,
//! `delivery` does.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    clock::timestamp,
    entry::{Entry, Format},
    signing::{Keys, Signer},
    state::Row,
};

/// Konnect keeps entries for seven days.
pub(crate) const RETENTION: TimeDelta = TimeDelta::days(7);

/// Bounds of what is kept in memory, whatever its age.
const MAX_HISTORY: usize = 200_000;
const MAX_QUEUE: usize = 200_000;
const MAX_ATTEMPTS: usize = 20_000;

/// Whose entries: a portal's, or the organisation's.
pub(crate) type Source = Option<Uuid>;

/// How deliveries are made. Konnect documents neither batch size nor interval, and its content
/// coding only in passing, so that all of it can be varied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeliverySettings {
    /// The `Content-Encoding` to send with gzip: `application/gzip` (as documented) or `gzip`;
    /// `none` sends plain text.
    pub content_encoding: String,
    /// Whether entries carry `sig`.
    pub signing: bool,
    /// How many entries a request holds at most.
    pub batch_size: usize,
    /// How long entries are gathered before a request is made, in milliseconds.
    pub flush_every_ms: u64,
    /// Whether the last entry of a request ends with a line feed too.
    pub trailing_newline: bool,
    /// What every wait between attempts is multiplied with, `Retry-After` included; 1 is Konnect's
    /// own pace.
    pub retry_scale: f64,
    /// How long one attempt may take, in milliseconds.
    pub timeout_ms: u64,
}

impl Default for DeliverySettings {
    fn default() -> Self {
        Self {
            content_encoding: "application/gzip".to_owned(),
            signing: true,
            batch_size: 100,
            flush_every_ms: 200,
            trailing_newline: false,
            retry_scale: 1.0,
            timeout_ms: 30_000,
        }
    }
}

impl DeliverySettings {
    /// Returns the settings with the given members replaced, or what is wrong with them.
    pub(crate) fn merged(&self, change: &Map<String, Value>) -> Result<Self, String> {
        let mut merged = json!(self);
        for (name, value) in change {
            merged[name] = value.clone();
        }
        let settings: Self = serde_json::from_value(merged).map_err(|error| error.to_string())?;
        if !matches!(
            settings.content_encoding.as_str(),
            "application/gzip" | "gzip" | "none"
        ) {
            return Err("content_encoding is one of application/gzip, gzip, none".to_owned());
        }
        if settings.batch_size == 0 || !(0.0..=1_000.0).contains(&settings.retry_scale) {
            return Err("batch_size is at least 1 and retry_scale between 0 and 1000".to_owned());
        }
        Ok(settings)
    }
}

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
    last: Option<LastAttempt>,
    queue: VecDeque<Arc<Entry>>,
    has_worker: bool,
    /// Wakes the worker when a full batch is waiting.
    pub(crate) full: Arc<Notify>,
}

impl Stream {
    /// Shows the webhook's status. `unconfigured` is in Konnect's documentation though not in its
    /// schema.
    pub(crate) fn status(&self) -> Value {
        let failed = self
            .last
            .as_ref()
            .is_some_and(|last| !last.code.is_some_and(|code| (200..300).contains(&code)));
        let word = match (self.destination, failed) {
            (None, _) => "unconfigured",
            (Some(_), true) => "inactive",
            (Some(_), false) => "active",
        };
        let mut status = json!({"webhook_enabled": self.enabled, "webhook_status": word});
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

/// Where and how a batch goes, fixed when it is taken.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) destination: Uuid,
    pub(crate) endpoint: String,
    pub(crate) authorization: String,
    pub(crate) format: Format,
    pub(crate) skip_ssl_verification: bool,
    pub(crate) signer: Option<Arc<Signer>>,
    pub(crate) settings: DeliverySettings,
}

/// All sources together.
#[derive(Debug)]
pub(crate) struct Audit {
    pub(crate) keys: Keys,
    pub(crate) settings: DeliverySettings,
    streams: HashMap<Source, Stream>,
    history: VecDeque<(Source, Arc<Entry>)>,
    attempts: VecDeque<DeliveryAttempt>,
    jobs_made: u64,
    /// Sources that wait for a worker, and jobs that wait for their task.
    idle: Vec<Source>,
    new_jobs: Vec<(Source, u64)>,
}

impl Audit {
    /// Starts with a fresh key and no webhook.
    pub(crate) fn new() -> Self {
        Self {
            keys: Keys::new(),
            settings: DeliverySettings::default(),
            streams: HashMap::new(),
            history: VecDeque::new(),
            attempts: VecDeque::new(),
            jobs_made: 0,
            idle: Vec::new(),
            new_jobs: Vec::new(),
        }
    }

    /// Returns a source's stream, making it if it is new.
    pub(crate) fn stream(&mut self, source: Source) -> &mut Stream {
        self.streams.entry(source).or_default()
    }

    /// Forgets a portal's webhook and entries.
    pub(crate) fn forget(&mut self, portal: Uuid) {
        if self.streams.remove(&Some(portal)).is_some() {
            self.history.retain(|(source, _)| *source != Some(portal));
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
        let entry = Arc::new(entry);
        while self.history.len() >= MAX_HISTORY
            || self
                .history
                .front()
                .is_some_and(|(_, oldest)| oldest.at < now - RETENTION)
        {
            self.history.pop_front();
        }
        self.history.push_back((source, Arc::clone(&entry)));
        let batch_size = self.settings.batch_size;
        let stream = self.stream(source);
        if !stream.enabled || stream.destination.is_none() {
            return;
        }
        if stream.queue.len() == MAX_QUEUE {
            stream.queue.pop_front();
        }
        stream.queue.push_back(entry);
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
    pub(crate) fn take_batch(&mut self, source: Source) -> Option<(Uuid, Vec<Arc<Entry>>)> {
        let batch_size = self.settings.batch_size;
        let stream = self.streams.get_mut(&source)?;
        if !stream.enabled {
            stream.queue.clear();
        }
        let size = stream.queue.len().min(batch_size);
        let entries: Vec<Arc<Entry>> = stream.queue.drain(..size).collect();
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

    /// Describes how a destination is reached now.
    pub(crate) fn target(&self, destination: &Row) -> Target {
        Target {
            destination: destination.id,
            endpoint: destination.text("endpoint").to_owned(),
            authorization: destination.text("authorization").to_owned(),
            format: Format::from_name(destination.text("log_format")),
            skip_ssl_verification: destination.is("skip_ssl_verification"),
            signer: self.settings.signing.then(|| self.keys.current()),
            settings: self.settings.clone(),
        }
    }

    /// Notes an attempt and what the webhook's status says from now on.
    pub(crate) fn note(&mut self, attempt: DeliveryAttempt, message: String, now: DateTime<Utc>) {
        if let Some(stream) = self.streams.get_mut(&attempt.portal_id) {
            stream.last = Some(LastAttempt {
                at: now,
                code: attempt.status,
                message,
            });
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

    /// Puts a replay job in place of the one before.
    pub(crate) fn start_job(
        &mut self,
        source: Source,
        start_at: DateTime<Utc>,
        end_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) {
        self.jobs_made += 1;
        let number = self.jobs_made;
        let job = Job {
            start_at,
            end_at,
            status: "accepted",
            updated_at: now,
            number,
        };
        self.stream(source).job = Some(job);
        self.new_jobs.push((source, number));
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

    /// Lists a source's kept entries of a window, both ends included.
    pub(crate) fn window(
        &self,
        source: Source,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Vec<Arc<Entry>> {
        self.history
            .iter()
            .filter(|(of, entry)| *of == source && (from..=to).contains(&entry.at))
            .map(|(_, entry)| Arc::clone(entry))
            .collect()
    }

    /// Takes what needs a task of its own: sources with entries to send, and new replay jobs.
    pub(crate) fn take_work(&mut self) -> (Vec<Source>, Vec<(Source, u64)>) {
        (
            std::mem::take(&mut self.idle),
            std::mem::take(&mut self.new_jobs),
        )
    }
}

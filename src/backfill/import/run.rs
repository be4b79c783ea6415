//! Imports one input: slices in order, a few at a time on their way to the database, and how far
//! that is noted after each.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tracing::warn;
use uuid::Uuid;

use crate::backfill::import::input::{Input, Reading};
use crate::clock::{Clock, Ids};
use crate::event::delivery::{Slice, StreamError};
use crate::intake::{BulkSlice, CheckError, Intake, IntakeError, TakenSlice};
use crate::journal::{ImportCounts, ImportRun, Journal, JournalError, Source, before};
use crate::lifecycle::backoff;

/// Slices on their way to the database at once: while one commits, others are checked and written.
const IN_FLIGHT: usize = 3;
/// How often a slice is tried while the database does not answer: for about a minute.
const TRIES: u32 = 9;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// A slice begins at least so many bytes behind the one before, unless that is the last.
const APART: u64 = 4_096;

/// Why an import ended before its input did. What was stored by then is noted.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The database does not answer, or refuses.
    #[error("could not store what was read")]
    Store(#[from] IntakeError),
    /// How far it is could not be read or noted.
    #[error("could not note how far it is")]
    Note(#[from] JournalError),
}

/// What happens during an import.
#[derive(Debug)]
pub enum ImportProgress<'a> {
    /// It goes on where another run of it ended.
    Resumed {
        /// What earlier runs did.
        counts: ImportCounts,
        /// Bytes of it, as it is stored.
        bytes: u64,
    },
    /// So much is in the record.
    Done {
        /// Of the whole input.
        counts: ImportCounts,
        /// Bytes of it, as it is stored.
        bytes: u64,
    },
    /// A slice is tried again after a wait.
    Retrying {
        /// Why, with its causes.
        reason: &'a str,
        /// The wait.
        wait: Duration,
    },
}

/// How an input ended.
#[derive(Debug)]
pub enum Ended {
    /// With its last entry.
    Whole,
    /// It is gzip that breaks off after so many bytes of it. What came before is stored.
    BreaksOff(u64),
    /// It could not be read on. What came before is stored.
    Unreadable(io::Error),
}

/// What became of an input.
#[derive(Debug)]
pub struct Imported {
    /// Its entries, those of earlier runs that were not finished included.
    pub counts: ImportCounts,
    /// How it ended.
    pub ended: Ended,
}

/// Imports inputs, one after the other.
#[derive(Debug)]
pub struct Importer {
    intake: Intake,
    journal: Journal,
    retention: Duration,
    clock: Clock,
    ids: Ids,
}

impl Importer {
    /// An importer through `intake` into its `journal`. Entries that are older than `retention` by
    /// the database's clock are counted and not stored.
    pub fn new(
        intake: Intake,
        journal: Journal,
        retention: Duration,
        clock: Clock,
        ids: Ids,
    ) -> Self {
        Self {
            intake,
            journal,
            retention,
            clock,
            ids,
        }
    }

    /// Imports `input` to its end, or goes on with it. Dropping the future leaves whole slices
    /// behind, and the next run goes on there.
    ///
    /// # Errors
    /// When the database refuses, or does not answer for about a minute.
    pub async fn import(
        &self,
        mut input: Input,
        report: &(dyn Fn(&ImportProgress<'_>) + Send + Sync),
    ) -> Result<Imported, ImportError> {
        let sender = input.file_name();
        let kept_from = before(self.journal.now().await?, self.retention);
        let (input_again, digest) = blocking(move || {
            let digest = input.digest();
            (input, digest)
        })
        .await?;
        input = input_again;
        let digest = match digest {
            Ok(digest) => digest,
            Err(error) => return Ok(unreadable(ImportCounts::default(), error)),
        };
        let mut run = self.begin(digest.as_ref()).await?;
        let reading = loop {
            let offset = run.bytes_done;
            let (input_again, reading) = blocking(move || {
                let reading = input.read_from(offset);
                (input, reading)
            })
            .await?;
            input = input_again;
            match (reading, &digest) {
                (Ok(Some(reading)), _) => break reading,
                (Ok(None), Some(digest)) => {
                    // Another file with the same ends.
                    self.journal.end_import(digest, run.id).await?;
                    run = self.begin(Some(digest)).await?;
                }
                (Ok(None), None) => return Ok(whole(run.counts)),
                (Err(error), _) => return Ok(cut_short(run.counts, error)),
            }
        };
        if run.bytes_done > 0 {
            report(&ImportProgress::Resumed {
                counts: run.counts,
                bytes: reading.packed(),
            });
        }
        let whole = Whole {
            importer: self,
            sender,
            kept_from,
            report,
        };
        let ended = whole.store(reading, &mut run, digest.as_ref()).await?;
        // One that could not be read on may be readable later.
        if let Some(digest) = &digest
            && !matches!(ended, Ended::Unreadable(_))
        {
            self.journal.end_import(digest, run.id).await?;
        }
        Ok(Imported {
            counts: run.counts,
            ended,
        })
    }

    async fn begin(&self, digest: Option<&[u8; 32]>) -> Result<ImportRun, JournalError> {
        let id = self.ids.next();
        match digest {
            Some(digest) => self.journal.begin_import(digest, id).await,
            None => Ok(ImportRun::new(id)),
        }
    }
}

/// What the slices of one input have in common.
struct Whole<'a> {
    importer: &'a Importer,
    sender: String,
    kept_from: DateTime<Utc>,
    report: &'a (dyn Fn(&ImportProgress<'_>) + Send + Sync),
}

impl Whole<'_> {
    /// Stores all slices of `reading`, and notes in `run` how far that is.
    async fn store(
        &self,
        reading: Reading,
        run: &mut ImportRun,
        digest: Option<&[u8; 32]>,
    ) -> Result<Ended, ImportError> {
        let mut slices = read_ahead(reading);
        let mut ended = None;
        // In order, so that nothing lies open before what is noted.
        let mut under_way = FuturesOrdered::new();
        loop {
            tokio::select! {
                next = slices.recv(), if ended.is_none() && under_way.len() < IN_FLIGHT => match next {
                    Some(Ok(slice)) => under_way.push_back(self.take(slice, run.id)),
                    Some(Err(error)) => ended = Some(how(error)),
                    None => ended = Some(Ended::Whole),
                },
                Some(taken) = under_way.next() => {
                    let (end, packed, taken) = taken?;
                    run.bytes_done = end;
                    add(&mut run.counts, taken);
                    if let Some(digest) = digest {
                        self.note(digest, run).await?;
                    }
                    (self.report)(&ImportProgress::Done { counts: run.counts, bytes: packed });
                }
                else => break,
            }
        }
        Ok(ended.unwrap_or(Ended::Whole))
    }

    /// Notes how far it is. The next note says it too, and a slice that is stored and not noted is
    /// recognised.
    async fn note(&self, digest: &[u8; 32], run: &ImportRun) -> Result<(), JournalError> {
        match self.importer.journal.note_import(digest, run).await {
            Err(error) if error.is_transient() => {
                warn!(error = error.chain(), "how far an import is was not noted");
                Ok(())
            }
            noted => noted,
        }
    }

    /// Stores one slice, again where the database does not answer. Returns where it ends, in the
    /// inflated stream and in the stored one.
    async fn take(&self, slice: Slice, whole: Uuid) -> Result<(u64, u64, TakenSlice), IntakeError> {
        let (end, packed) = (slice.end, slice.packed);
        if slice.lines.is_empty() {
            return Ok((end, packed, TakenSlice::default()));
        }
        let slice = Arc::new(BulkSlice {
            id: slice_id(whole, slice.start, slice.end),
            source: Source::Import,
            part_of: whole,
            received_at: self.importer.clock.now(),
            sender: self.sender.clone(),
            bytes: usize::try_from(slice.end - slice.start).unwrap_or(usize::MAX),
            lines: slice.lines,
            kept_from: self.kept_from,
        });
        let mut failures = 0;
        loop {
            let error = match self.importer.intake.take_slice(&slice).await {
                Ok(taken) => return Ok((end, packed, taken)),
                Err(error) => error,
            };
            failures += 1;
            let reason = match &error {
                IntakeError::Journal(cause) if cause.is_transient() => cause.chain(),
                IntakeError::Journal(_) | IntakeError::Check(_) => return Err(error),
            };
            if failures >= TRIES {
                return Err(error);
            }
            let wait = backoff(FIRST_WAIT, failures, LONGEST_WAIT);
            warn!(error = reason, "a slice was not stored, trying again");
            (self.report)(&ImportProgress::Retrying {
                reason: &reason,
                wait,
            });
            tokio::time::sleep(wait).await;
        }
    }
}

/// Reads slices on a thread, one ahead of what is taken.
fn read_ahead(mut reading: Reading) -> mpsc::Receiver<Result<Slice, StreamError>> {
    let (sender, slices) = mpsc::channel(1);
    drop(spawn_blocking(move || {
        while let Some(next) = reading.next_slice().transpose() {
            let is_last = next.is_err();
            if sender.blocking_send(next).is_err() || is_last {
                return;
            }
        }
    }));
    slices
}

/// Runs what waits for a disk or a pipe on a thread of its own.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, IntakeError> {
    spawn_blocking(work)
        .await
        .map_err(|_| IntakeError::Check(CheckError))
}

/// The id of a slice: the same whenever these bytes of this import are stored, later slices later
/// in order, and another one for other bytes.
fn slice_id(whole: Uuid, start: u64, end: u64) -> Uuid {
    let (seconds, nanos) = whole.get_timestamp().map_or((0, 0), |time| time.to_unix());
    let millis = seconds * 1_000 + u64::from(nanos) / 1_000_000;
    let hash = Sha256::new()
        .chain_update(whole.as_bytes())
        .chain_update(start.to_be_bytes())
        .chain_update(end.to_be_bytes())
        .finalize();
    let mut bits = [0; 10];
    bits[5..].copy_from_slice(&hash[..5]);
    // The version takes the upper half of the first byte, the variant a quarter of the third.
    let place = (start / APART).min((1 << 34) - 1);
    let spread = ((place >> 22) << 24) | (((place >> 16) & 0x3f) << 16) | (place & 0xffff);
    bits[..5].copy_from_slice(&spread.to_be_bytes()[3..]);
    uuid::Builder::from_unix_timestamp_millis(millis, &bits).into_uuid()
}

fn add(counts: &mut ImportCounts, taken: TakenSlice) {
    counts.lines += taken.received as u64;
    counts.stored += taken.stored as u64;
    counts.duplicates += taken.duplicates as u64;
    counts.quarantined += taken.quarantined as u64;
    counts.too_old += taken.too_old as u64;
}

fn how(error: StreamError) -> Ended {
    match error {
        StreamError::BreaksOff { at } => Ended::BreaksOff(at),
        StreamError::Read(error) => Ended::Unreadable(error),
    }
}

fn whole(counts: ImportCounts) -> Imported {
    Imported {
        counts,
        ended: Ended::Whole,
    }
}

fn cut_short(counts: ImportCounts, error: StreamError) -> Imported {
    Imported {
        counts,
        ended: how(error),
    }
}

fn unreadable(counts: ImportCounts, error: io::Error) -> Imported {
    cut_short(counts, StreamError::Read(error))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::slice_id;

    #[test]
    fn ids_of_slices_are_their_own_and_in_order() {
        let whole: Uuid = "0197a3c5-6b78-7abc-8def-0123456789ab".parse().unwrap();
        let starts = [0, 10_000, 5 << 20, 300 << 20, 70 << 30, 3 << 40];
        let ids = starts.map(|start| slice_id(whole, start, start + 10_000));
        assert!(ids.is_sorted(), "{ids:?}");
        assert_eq!(ids[1], slice_id(whole, 10_000, 20_000));
        assert_ne!(ids[1], slice_id(whole, 10_000, 20_001));
        assert_eq!(ids[5].get_version_num(), 7);
        assert_eq!(ids[5].get_timestamp(), whole.get_timestamp());
    }
}

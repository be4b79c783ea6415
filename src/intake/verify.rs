//! Signatures of entries, checked in batches across requests on threads of their own.
//!
//! While all threads are at work, a request leaves its entries in a queue, and the next free thread
//! takes all that wait. A batch that fails is halved until the forgeries in it are found.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use ed25519_dalek::{Signature, VerifyingKey};
use metrics::counter;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use crate::event::signature::{Candidate, Signed, locate};
use crate::intake::same_key::{self, SignedMessage};
use crate::telemetry::metrics as names;

/// The result of a check against a set of keys for one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// A key fits.
    Fits,
    /// It is signed, and no key of this set fits.
    NoKeyFits,
    /// The signature member contains no signature.
    NoSignature,
    /// It is not signed.
    Unsigned,
}

/// The thread that checked signatures panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the check of entries ended early")]
pub struct CheckError;

/// Entries checked at once: a batch of this size costs a fifth of single checks, and a larger one
/// hardly less.
const BATCH: usize = 512;
/// Entries that one thread takes in one go. Of one request it may be more.
const TAKE: usize = 512;
/// Bytes of entries checked at once: each signature covers a copy of the entry.
const TAKE_BYTES: usize = 4 * 1024 * 1024;
/// So few are checked one by one. Two already share the doublings, and cost a third less.
const FEW: usize = 1;

/// One request's entries.
#[derive(Debug)]
struct Job {
    lines: Vec<Bytes>,
    keys: Arc<Vec<VerifyingKey>>,
    checks: oneshot::Sender<Vec<Check>>,
}

/// Checks the entries of all requests. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Verifier(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<CheckQueue>,
    /// Position of the key that fitted last: where several are served, one signs.
    fitted_last: AtomicUsize,
}

#[derive(Debug, Default)]
struct CheckQueue {
    jobs: Vec<Job>,
    threads: usize,
}

impl Verifier {
    /// Checks every line against every key, together with entries of other requests.
    ///
    /// # Errors
    /// Only when the checking thread panics.
    pub(super) async fn check(
        &self,
        lines: Vec<Bytes>,
        keys: Arc<Vec<VerifyingKey>>,
    ) -> Result<Vec<Check>, CheckError> {
        if lines.is_empty() {
            return Ok(Vec::new());
        }
        let (checks, checked) = oneshot::channel();
        let starts = {
            let mut waiting = self.0.waiting();
            waiting.jobs.push(Job {
                lines,
                keys,
                checks,
            });
            let starts = waiting.threads < threads_at_most();
            waiting.threads += usize::from(starts);
            starts
        };
        if starts {
            let at_work = ThreadGuard {
                shared: Arc::clone(&self.0),
                counted: true,
            };
            drop(spawn_blocking(move || at_work.check_what_waits()));
        }
        checked.await.map_err(|_| CheckError)
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, CheckQueue> {
        // No code panics while it has this lock, and the content is whole at any time.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As many as can run at once: they use the whole machine and never wait.
fn threads_at_most() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A thread at work, counted until it ends, however it does.
struct ThreadGuard {
    shared: Arc<Shared>,
    counted: bool,
}

impl ThreadGuard {
    fn check_what_waits(mut self) {
        while let Some(jobs) = self.take() {
            self.check_together(jobs);
        }
    }

    /// The oldest jobs, as many as make up one go. With none the thread ends, and is not counted
    /// any more before another job can be left for it.
    fn take(&mut self) -> Option<Vec<Job>> {
        let mut waiting = self.shared.waiting();
        let mut lines = 0;
        let count = waiting
            .jobs
            .iter()
            .take_while(|job| {
                let takes = lines < TAKE;
                lines += job.lines.len();
                takes
            })
            .count();
        if count == 0 {
            waiting.threads -= 1;
            self.counted = false;
            return None;
        }
        Some(waiting.jobs.drain(..count).collect())
    }

    fn check_together(&self, jobs: Vec<Job>) {
        let Some(last) = jobs.last() else { return };
        // Keys are only added while requests wait, and later requests have the newer set. A line
        // that an added key fits is verified, whichever request brought it.
        let keys = Arc::clone(&last.keys);
        let lines: Vec<&Bytes> = jobs.iter().flat_map(|job| &job.lines).collect();
        let mut checks = Vec::with_capacity(lines.len());
        let mut rest = &lines[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(one_go(rest));
            checks.extend(check(now, &keys, &self.shared.fitted_last));
            rest = later;
        }
        let mut checks = checks.into_iter();
        for job in jobs {
            let own = checks.by_ref().take(job.lines.len()).collect();
            // The receiver may have gone.
            drop(job.checks.send(own));
        }
    }
}

impl Drop for ThreadGuard {
    fn drop(&mut self) {
        if !self.counted {
            return;
        }
        // It panicked. Requests that wait get an error instead of waiting for ever.
        let mut waiting = self.shared.waiting();
        waiting.threads -= 1;
        waiting.jobs.clear();
    }
}

/// How many of `lines` are checked at once; at least one, while there is one.
fn one_go(lines: &[&Bytes]) -> usize {
    let mut bytes = 0;
    let fitting = lines.iter().take(TAKE).take_while(|line| {
        let takes = bytes < TAKE_BYTES;
        bytes += line.len();
        takes
    });
    fitting.count()
}

/// Checks every line against every key, the one at `fitted_last` first. All keys are from the
/// audit-log service, so that the batch equation and the strict one agree on them.
fn check(lines: &[&Bytes], keys: &[VerifyingKey], fitted_last: &AtomicUsize) -> Vec<Check> {
    let located: Vec<Signed> = lines.iter().map(|line| locate(line)).collect();
    let mut checks: Vec<Check> = located
        .iter()
        .map(|signed| match signed {
            Signed::Unsigned => Check::Unsigned,
            Signed::Malformed => Check::NoSignature,
            Signed::Present { .. } => Check::NoKeyFits,
        })
        .collect();
    let signed = checks.iter().filter(|check| **check == Check::NoKeyFits);
    counter!(names::SIGNATURES_CHECKED).increment(signed.count() as u64);
    let first = fitted_last.load(Ordering::Relaxed);
    let others = (0..keys.len()).filter(|place| *place != first);
    for place in (first..keys.len()).take(1).chain(others) {
        let open: Vec<usize> = (0..checks.len())
            .filter(|index| checks[*index] == Check::NoKeyFits)
            .collect();
        let mut fitting = 0;
        for chunk in open.chunks(BATCH) {
            fitting += mark(&located, &keys[place], chunk, &mut checks);
        }
        if fitting > open.len() / 2 {
            fitted_last.store(place, Ordering::Relaxed);
        }
    }
    checks
}

/// Marks which of `indexes` the key fits, and returns how many: all at once, or, where the batch
/// fails, half by half.
fn mark(located: &[Signed], key: &VerifyingKey, indexes: &[usize], checks: &mut [Check]) -> usize {
    if indexes.len() <= FEW {
        return mark_singly(located, key, indexes, checks);
    }
    if all_fit(located, key, indexes) {
        for index in indexes {
            checks[*index] = Check::Fits;
        }
        return indexes.len();
    }
    let (left, right) = indexes.split_at(indexes.len() / 2);
    let fitting = mark(located, key, left, checks);
    // Halving pays where few are forged. In a flood of forgeries no entry should cost several
    // checks.
    let flood = left.len() - fitting > left.len() / 4;
    fitting
        + if flood {
            mark_singly(located, key, right, checks)
        } else {
            mark(located, key, right, checks)
        }
}

fn mark_singly(
    located: &[Signed],
    key: &VerifyingKey,
    indexes: &[usize],
    checks: &mut [Check],
) -> usize {
    let mut fitting = 0;
    for index in indexes {
        if let Signed::Present { sig, candidates } = &located[*index]
            && candidates.iter().any(|candidate| fits(key, sig, candidate))
        {
            checks[*index] = Check::Fits;
            fitting += 1;
        }
    }
    fitting
}

fn all_fit(located: &[Signed], key: &VerifyingKey, indexes: &[usize]) -> bool {
    let entries: Option<Vec<SignedMessage<'_>>> = indexes
        .iter()
        .map(|index| match &located[*index] {
            Signed::Present { sig, candidates } => candidates.first().map(|first| SignedMessage {
                message: &first.message,
                signature: sig,
            }),
            Signed::Unsigned | Signed::Malformed => None,
        })
        .collect();
    entries.is_some_and(|entries| same_key::all_fit(key, &entries))
}

fn fits(key: &VerifyingKey, sig: &[u8; 64], candidate: &Candidate) -> bool {
    key.verify_strict(&candidate.message, &Signature::from_bytes(sig))
        .is_ok()
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ed25519_dalek::{Signer, SigningKey};
    use tokio::task::JoinSet;

    use super::*;

    fn signed(key: &SigningKey, number: usize) -> Bytes {
        let unsigned = format!(r#"{{"name":"Ingress","trace_id":{number}}}"#);
        let sig = URL_SAFE_NO_PAD.encode(key.sign(unsigned.as_bytes()).to_bytes());
        unsigned
            .replace('}', &format!(r#","sig":"{sig}"}}"#))
            .into_bytes()
            .into()
    }

    #[test]
    fn finds_the_forged_among_many_and_tries_every_key() {
        let (old, new, stranger) = (
            SigningKey::from_bytes(&[1; 32]),
            SigningKey::from_bytes(&[2; 32]),
            SigningKey::from_bytes(&[3; 32]),
        );
        let mut lines: Vec<Bytes> = (0..600)
            .map(|n| signed(if n % 3 == 0 { &old } else { &new }, n))
            .collect();
        lines[301] = signed(&stranger, 301);
        lines[302] = Bytes::from_static(br#"{"name":"Ingress"}"#);
        lines[303] = Bytes::from_static(br#"{"name":"Ingress","sig":"short"}"#);
        let shared: Vec<&Bytes> = lines.iter().collect();
        let keys = [new.verifying_key(), old.verifying_key()];
        let checks = check(&shared, &keys, &AtomicUsize::new(1));
        for (index, found) in checks.iter().enumerate() {
            let expected = match index {
                301 => Check::NoKeyFits,
                302 => Check::Unsigned,
                303 => Check::NoSignature,
                _ => Check::Fits,
            };
            assert_eq!(*found, expected, "line {index}");
        }
    }

    #[test]
    fn remembers_the_key_that_fits_and_finds_each_forgery_wherever_it_stands() {
        let (old, new, stranger) = (
            SigningKey::from_bytes(&[1; 32]),
            SigningKey::from_bytes(&[2; 32]),
            SigningKey::from_bytes(&[3; 32]),
        );
        let keys = [old.verifying_key(), new.verifying_key()];
        let forgeries: [&[usize]; 5] = [&[], &[0], &[63], &[0, 1, 31, 32, 62], &[7, 8, 9, 10, 11]];
        for forged in forgeries {
            let lines: Vec<Bytes> = (0..64)
                .map(|n| signed(if forged.contains(&n) { &stranger } else { &new }, n))
                .collect();
            let shared: Vec<&Bytes> = lines.iter().collect();
            let fitted_last = AtomicUsize::new(0);
            let found: Vec<usize> = check(&shared, &keys, &fitted_last)
                .iter()
                .enumerate()
                .filter(|(_, check)| **check != Check::Fits)
                .map(|(index, _)| index)
                .collect();
            assert_eq!(found, forged);
            assert_eq!(fitted_last.load(Ordering::Relaxed), 1);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_requests_at_once_each_hear_of_their_own_entries() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let stranger = SigningKey::from_bytes(&[3; 32]);
        let keys = Arc::new(vec![key.verifying_key()]);
        let verifier = Verifier::default();
        let mut asked = JoinSet::new();
        for n in 0..200 {
            let lines = vec![
                signed(if n % 7 == 0 { &stranger } else { &key }, n),
                Bytes::from_static(b"{}"),
            ];
            let (verifier, keys) = (verifier.clone(), Arc::clone(&keys));
            asked.spawn(async move { (n, verifier.check(lines, keys).await) });
        }
        for (n, checks) in asked.join_all().await {
            let expected = if n % 7 == 0 {
                Check::NoKeyFits
            } else {
                Check::Fits
            };
            assert_eq!(checks, Ok(vec![expected, Check::Unsigned]), "request {n}");
        }
        // No job is left.
        assert!(verifier.0.waiting().jobs.is_empty());
    }
}

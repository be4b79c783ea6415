//! Somebody who delivers as Konnect does: batch after batch, each again until it is taken.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::{Client, StatusCode};
use tokio::sync::watch;
use usher::event::parse;
use uuid::Uuid;

use crate::support::eventually;
use crate::support::process::deliver;
use crate::support::signer::{Entry, Signer};

/// Longer than any outage of a test.
const PATIENCE: Duration = Duration::from_mins(1);

/// The id by which the record knows an entry.
pub(crate) fn id_of(line: &str) -> Uuid {
    let event = parse(line.as_bytes()).expect("an entry");
    event.id.as_uuid()
}

/// What senders were told was taken.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged(Mutex<BTreeSet<Uuid>>);

impl Acknowledged {
    pub(crate) fn add(&self, batch: &[String]) {
        let mut ids = self.0.lock().expect("no panic while held");
        ids.extend(batch.iter().map(|line| id_of(line)));
    }

    pub(crate) fn count(&self) -> usize {
        self.0.lock().expect("no panic while held").len()
    }

    pub(crate) fn into_ids(self) -> BTreeSet<Uuid> {
        self.0.into_inner().expect("no panic while held")
    }

    /// Waits until so many more entries are taken.
    pub(crate) async fn go_on(&self, more: usize) {
        let before = self.count();
        eventually("deliveries go on", PATIENCE, async || {
            self.count() >= before + more
        })
        .await;
    }
}

/// Sends batches of its own.
pub(crate) struct Sender<'a> {
    signer: &'a Signer,
    http: Client,
    /// Entries from here on are nobody else's.
    first: u64,
    /// Entries in a batch.
    size: u64,
    acknowledged: &'a Acknowledged,
}

impl<'a> Sender<'a> {
    pub(crate) fn new(
        signer: &'a Signer,
        first: u64,
        size: u64,
        acknowledged: &'a Acknowledged,
    ) -> Self {
        let http = Client::builder().timeout(Duration::from_secs(20)).build();
        Self {
            signer,
            http: http.expect("a client"),
            first,
            size,
            acknowledged,
        }
    }

    fn batch(&self, number: u64) -> Vec<String> {
        let format = match number % 3 {
            0 => Signer::json,
            1 => Signer::cef,
            _ => Signer::cps,
        };
        let first = self.first + number * self.size;
        (first..first + self.size)
            .map(|entry| format(self.signer, &Entry::numbered(entry)))
            .collect()
    }

    /// Sends until `enough`; every batch that was begun is taken in the end. Whoever is not taken
    /// is told to wait or not answered, never anything else.
    pub(crate) async fn send_all(&self, url: watch::Receiver<String>, enough: &AtomicBool) {
        for number in 0.. {
            let batch = self.batch(number);
            eventually("a batch is taken", PATIENCE, async || {
                let url = url.borrow().clone();
                match deliver(&self.http, &url, &batch).await {
                    Some(StatusCode::OK | StatusCode::ACCEPTED) => true,
                    Some(StatusCode::TOO_MANY_REQUESTS) | None => false,
                    Some(status) => panic!("answered {status}"),
                }
            })
            .await;
            self.acknowledged.add(&batch);
            if enough.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    /// Sends until a batch is not answered 200.
    pub(crate) async fn send_while_answered(&self, url: &str) {
        for number in 0.. {
            let batch = self.batch(number);
            match deliver(&self.http, url, &batch).await {
                Some(StatusCode::OK) => self.acknowledged.add(&batch),
                Some(_) | None => return,
            }
        }
    }
}

//! The load generator: a fixed number of connections, each sending one request after the other.
//!
//! It speaks just enough HTTP/1.1 to send what was prepared and to read the answer. Every cycle
//! that it takes is taken from usher and Postgres on the same cores.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::BytesMut;
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::entries::Requests;

/// An answer that takes longer is a failure of the bench.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);

/// How to send.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) requests: Requests,
    pub(crate) connections: usize,
    /// No request is begun after this; those under way are answered.
    pub(crate) at_most: Duration,
    /// Between the beginnings of two requests, of all connections together; none to send the next
    /// one as soon as the one before it is answered.
    pub(crate) every: Option<Duration>,
    /// Index of the first request to send.
    pub(crate) first: usize,
    /// Index behind the last one.
    pub(crate) limit: usize,
}

/// What came back.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// From the first byte sent to the last one received.
    pub(crate) elapsed: Duration,
    /// Of each request, sorted.
    pub(crate) latencies: Vec<Duration>,
    pub(crate) counts: Counts,
}

/// The counts of usher's answers.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Counts {
    pub(crate) received: usize,
    pub(crate) stored: usize,
    pub(crate) duplicates: usize,
    pub(crate) quarantined: usize,
}

impl Answers {
    /// The latency that `share` of the requests did not exceed.
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index among at most millions of requests"
        )]
        let index = (self.latencies.len().saturating_sub(1) as f64 * share).round() as usize;
        self.latencies.get(index).copied().unwrap_or_default()
    }
}

impl Load {
    /// Sends until the requests or the time are used up.
    ///
    /// # Errors
    /// If an answer is not 200, or none comes.
    pub(crate) async fn run(&self) -> Result<Answers> {
        let next = Arc::new(AtomicUsize::new(self.first));
        let start = Arc::new(Barrier::new(self.connections + 1));
        let mut connections = JoinSet::new();
        for _ in 0..self.connections {
            let stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            let (load, next, start) = (self.clone(), Arc::clone(&next), Arc::clone(&start));
            connections.spawn(async move {
                start.wait().await;
                load.send(stream, &next).await
            });
        }
        start.wait().await;
        let started = Instant::now();
        let mut all = Answers::default();
        while let Some(connection) = connections.join_next().await {
            let (latencies, counts) = connection??;
            all.latencies.extend(latencies);
            all.counts.add(counts);
        }
        all.elapsed = started.elapsed();
        all.latencies.sort_unstable();
        ensure!(
            all.counts.received == all.latencies.len() * self.requests.entries_each,
            "usher counted {} entries in {} requests",
            all.counts.received,
            all.latencies.len()
        );
        Ok(all)
    }

    /// One connection's share.
    async fn send(
        &self,
        mut stream: TcpStream,
        next: &AtomicUsize,
    ) -> Result<(Vec<Duration>, Counts)> {
        let started = Instant::now();
        let mut latencies = Vec::new();
        let mut counts = Counts::default();
        let mut buffer = BytesMut::with_capacity(1024);
        while started.elapsed() < self.at_most {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(request) = self
                .requests
                .prepared
                .get(index)
                .filter(|_| index < self.limit)
            else {
                break;
            };
            if let Some(every) = self.every {
                let before = u32::try_from(index - self.first)?;
                tokio::time::sleep_until((started + every * before).into()).await;
            }
            let sent = Instant::now();
            let answer = async {
                stream.write_all(request).await?;
                read_answer(&mut stream, &mut buffer).await
            };
            let answer = tokio::time::timeout(ANSWER_TIMEOUT, answer);
            counts.add(answer.await.context("no answer came")??);
            latencies.push(sent.elapsed());
        }
        Ok((latencies, counts))
    }
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.received += other.received;
        self.stored += other.stored;
        self.duplicates += other.duplicates;
        self.quarantined += other.quarantined;
    }
}

/// Reads one answer; anything but 200 with counts ends the bench.
async fn read_answer(stream: &mut TcpStream, buffer: &mut BytesMut) -> Result<Counts> {
    buffer.clear();
    let (head, length) = loop {
        ensure!(
            stream.read_buf(buffer).await? > 0,
            "the connection was closed before an answer"
        );
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break (end + 4, content_length(&buffer[..end])?);
        }
    };
    while buffer.len() < head + length {
        ensure!(
            stream.read_buf(buffer).await? > 0,
            "the connection was closed within an answer"
        );
    }
    if !buffer.starts_with(b"HTTP/1.1 200 ") {
        bail!("usher answered {}", String::from_utf8_lossy(buffer));
    }
    Ok(serde_json::from_slice(&buffer[head..])?)
}

fn content_length(head: &[u8]) -> Result<usize> {
    let head = std::str::from_utf8(head)?;
    let length = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse())
    });
    Ok(length.context("an answer without a length")??)
}

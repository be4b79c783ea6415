//! The tasks behind the audit-log service: one for each source with entries to send, one for each
//! replay job, and one for each batch that is late on purpose.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use crate::{
    audit::NewJob,
    delivery::{Sent, send},
    delivery_faults::DeliveryFault,
    engine::Engine,
    history::{Kept, RETENTION, Source},
    replay_faults::FailAt,
};

/// One batch on its way.
#[derive(Debug)]
struct Batch {
    source: Source,
    destination: Uuid,
    entries: Vec<Arc<Kept>>,
    /// Whether a replay job sends it.
    replay: bool,
}

/// Starts the tasks that new entries and new jobs need. To be called after every change of the
/// world.
pub(crate) fn start_work(engine: &Arc<Engine>) {
    let (idle, jobs) = engine.world().audit.take_work();
    for source in idle {
        engine.tracker.spawn(send_queue(Arc::clone(engine), source));
    }
    for job in jobs {
        engine.tracker.spawn(run_job(Arc::clone(engine), job));
    }
}

/// Sends a source's queue until it is empty.
async fn send_queue(engine: Arc<Engine>, source: Source) {
    loop {
        let (pause, full) = {
            let mut world = engine.world();
            let pause = Duration::from_millis(world.audit.settings.flush_every_ms);
            let pause = if world.audit.has_full_batch(source) {
                Duration::ZERO
            } else {
                pause
            };
            (pause, Arc::clone(&world.audit.stream(source).full))
        };
        tokio::select! {
            () = engine.end.cancelled() => return,
            () = full.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
        let Some((destination, entries)) = engine.world().audit.take_batch(source) else {
            return;
        };
        let batch = Batch {
            source,
            destination,
            entries,
            replay: false,
        };
        ship(&engine, batch).await;
    }
}

/// Sends a batch, or does to it what its fault asks for. A batch that is lost or late counts as
/// accepted.
async fn ship(engine: &Arc<Engine>, mut batch: Batch) -> Sent {
    let (fault, mut others) = {
        let audit = &mut engine.world().audit;
        let fault = audit.take_delivery_fault(batch.source, batch.replay, &mut batch.entries);
        (fault, audit.hear_sent(batch.source))
    };
    let fault = fault.unwrap_or_default();
    if fault.lose {
        batch.entries.iter().for_each(|kept| kept.count_lost());
        return Sent::Accepted;
    }
    let wait = Duration::from_millis(fault.wait_ms());
    if wait.is_zero() {
        let sent = deliver(engine, &batch, &fault).await;
        engine.world().audit.tell_sent(batch.source);
        return sent;
    }
    let late = Arc::clone(engine);
    engine.tracker.spawn(async move {
        let overtaken = async {
            if !fault.overtaken || others.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = late.end.cancelled() => return,
            () = late.clock.wait(wait) => {}
            () = overtaken => {}
        }
        deliver(&late, &batch, &fault).await;
    });
    Sent::Accepted
}

/// Delivers a batch, twice if it is to be repeated and was accepted.
async fn deliver(engine: &Arc<Engine>, batch: &Batch, fault: &DeliveryFault) -> Sent {
    for _ in 0..=u8::from(fault.repeat) {
        let is_paused = engine.world().audit.stream(batch.source).is_paused;
        if is_paused && !batch.replay {
            return Sent::GivenUp;
        }
        let sent = send(
            engine,
            batch.source,
            batch.destination,
            &batch.entries,
            batch.replay,
            fault.garble,
        );
        if sent.await == Sent::GivenUp {
            tracing::debug!(entries = batch.entries.len(), "gave up a delivery");
            return Sent::GivenUp;
        }
    }
    Sent::Accepted
}

/// Carries a replay job from accepted to completed or failed.
async fn run_job(engine: Arc<Engine>, job: NewJob) {
    let NewJob {
        source,
        number,
        course,
    } = job;
    let advance = |status: &'static str| {
        let now = engine.clock.now();
        engine
            .world()
            .audit
            .advance_job(source, number, status, now)
    };
    let steps = [("pending", course.pending_ms), ("running", course.slow_ms)];
    for &(status, stay_ms) in &steps[usize::from(course.runs_at_once)..] {
        if !course.runs_at_once {
            let pause = Duration::from_millis(engine.world().audit.settings.flush_every_ms);
            tokio::select! {
                () = engine.end.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
        if advance(status).is_none() {
            return;
        }
        if stay_ms > 0 {
            tokio::select! {
                () = engine.end.cancelled() => return,
                () = engine.clock.wait(Duration::from_millis(stay_ms)) => {}
            }
        }
    }
    let Some(job) = advance("running") else {
        return;
    };
    let (mut entries, batch_size) = {
        let world = engine.world();
        let from = job.start_at.max(engine.clock.now() - RETENTION);
        let mut entries = world.audit.history.window(source, from, job.end_at);
        entries.retain(|kept| world.audit.settings.replay_lost || kept.was_attempted());
        (entries, world.audit.settings.batch_size)
    };
    match course.fail {
        Some(FailAt::Before) => entries.clear(),
        Some(FailAt::Half) => entries.truncate(entries.len() / 2),
        None => {}
    }
    let sent = send_again(&engine, source, &entries, batch_size).await;
    let failed = course.fail.is_some() || sent == Sent::GivenUp;
    advance(if failed { "failed" } else { "completed" });
}

/// Sends a replay job's entries until a batch is given up.
async fn send_again(
    engine: &Arc<Engine>,
    source: Source,
    entries: &[Arc<Kept>],
    batch_size: usize,
) -> Sent {
    for entries in entries.chunks(batch_size) {
        let destination = engine.world().audit.stream(source).destination;
        let Some(destination) = destination else {
            return Sent::GivenUp;
        };
        let batch = Batch {
            source,
            destination,
            entries: entries.to_vec(),
            replay: true,
        };
        if ship(engine, batch).await == Sent::GivenUp {
            return Sent::GivenUp;
        }
    }
    Sent::Accepted
}

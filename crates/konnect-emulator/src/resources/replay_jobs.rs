//! Replay jobs: one per organisation and per portal, over at most the last seven days.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::{
    audit::Job,
    call::Call,
    clock::{parse_time, timestamp},
    fields::{Field, Rule},
    history::RETENTION,
    operation::{Act, Operation, op},
    problem::Problem,
};

/// The operations.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    op("GET",    "/v3/portals/{portalId}/audit-log-replay-job", 200, Act::Special(None, get)),
    op("PUT",    "/v3/portals/{portalId}/audit-log-replay-job", 202, Act::Special(Some(JOB), put)).also(&[409]),
    op("GET",    "/v3/audit-log-replay-job", 200, Act::Special(None, get)),
    op("PUT",    "/v3/audit-log-replay-job", 202, Act::Special(Some(JOB), put)).also(&[409]),
    op("GET",    "/v2/audit-log-replay-job", 200, Act::Special(None, get)),
    op("PUT",    "/v2/audit-log-replay-job", 202, Act::Special(Some(JOB), put)).also(&[409]),
];

const JOB: &[Field] = &[
    Field::required("start_at", Rule::DateTime),
    Field::required("end_at", Rule::DateTime),
];

/// What Go prints for a time that was never set.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// A caller's clock may run ahead of the emulator's by this much.
const TOLERANCE: TimeDelta = TimeDelta::seconds(60);

/// Shows a job, `unconfigured` if there was none.
pub(crate) fn view(job: Option<&Job>) -> Value {
    match job {
        Some(job) => json!({
            "start_at": timestamp(job.start_at),
            "end_at": timestamp(job.end_at),
            "status": job.status,
            "updated_at": timestamp(job.updated_at),
        }),
        None => json!({
            "start_at": ZERO_TIME,
            "end_at": ZERO_TIME,
            "status": "unconfigured",
            "updated_at": ZERO_TIME,
        }),
    }
}

/// Shows the job, `unconfigured` if there was none.
pub(crate) fn get(call: &mut Call<'_>) -> Result<Value, Problem> {
    Ok(view(
        call.world
            .audit
            .stream(call.ids.first().copied())
            .job
            .as_ref(),
    ))
}

/// Asks for a job. One that runs is a conflict; one that waits is replaced.
pub(crate) fn put(call: &mut Call<'_>) -> Result<Value, Problem> {
    let source = call.ids.first().copied();
    let time = |name: &str| call.text(name).and_then(parse_time).unwrap_or_default();
    let (start_at, end_at) = (time("start_at"), time("end_at"));
    let refuse = |field: &str, reason: &str| Err(Problem::invalid_body(field, "invalid", reason));
    if start_at < call.now - RETENTION {
        return refuse("start_at", "must be within the last 7 days");
    }
    if end_at > call.now + TOLERANCE {
        return refuse("end_at", "must not be in the future");
    }
    if end_at < start_at {
        return refuse("end_at", "must be after start_at");
    }
    let stream = call.world.audit.stream(source);
    if stream
        .job
        .as_ref()
        .is_some_and(|job| job.status == "running")
    {
        return Err(Problem::resource_conflict(
            "A replay job is currently running",
        ));
    }
    if stream.destination.is_none() {
        return refuse("audit_log_destination_id", "webhook is not configured");
    }
    call.world
        .audit
        .start_job(source, start_at, end_at, call.now);
    get(call)
}

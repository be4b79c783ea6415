//! Every metric name of usher, with its unit and labels. Label sets are closed lists, never values
//! that a sender chooses.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

/// Deliveries to the ingest endpoint; label `status`.
pub const DELIVERIES: &str = "usher_deliveries_total";
/// Requests of trusted senders; label `status`.
pub const HOOKS: &str = "usher_hook_requests_total";
/// Entries received from authorised senders.
pub const ENTRIES_RECEIVED: &str = "usher_entries_received_total";
/// Events stored for the first time.
pub const EVENTS_STORED: &str = "usher_events_stored_total";
/// Entries that were in the journal already.
pub const EVENTS_DUPLICATE: &str = "usher_events_duplicate_total";
/// Quarantined entries; label `reason`.
pub const ENTRIES_QUARANTINED: &str = "usher_entries_quarantined_total";
/// Verdicts on signatures; label `verdict`.
pub const VERDICTS: &str = "usher_verdicts_total";
/// Signatures checked against a set of keys.
pub const SIGNATURES_CHECKED: &str = "usher_signatures_checked_total";
/// Entries stored already, byte for byte and verified, whose signature was not checked again.
pub const ENTRIES_RECOGNISED: &str = "usher_entries_recognised_total";
/// Committed batches; label `way`: new where no event was known, whole, or halves after a row was
/// refused.
pub const BATCHES: &str = "usher_batches_total";
/// Time from the first byte of a commit to its end.
pub const COMMIT_SECONDS: &str = "usher_commit_duration_seconds";
/// Entries in a committed batch.
pub const BATCH_ENTRIES: &str = "usher_batch_entries";
/// Time since the signing keys were fetched.
pub const JWKS_AGE: &str = "usher_jwks_age_seconds";
/// Requests that wait on disk for the database.
pub const SPOOL_FILES: &str = "usher_spool_files";
/// Requests on disk that cannot be read and were moved aside.
pub const SPOOL_ASIDE: &str = "usher_spool_files_aside";
/// What the spool takes on disk, in whole blocks; files that were moved aside included.
pub const SPOOL_BYTES: &str = "usher_spool_bytes";
/// What the spool may take on disk.
pub const SPOOL_MAX_BYTES: &str = "usher_spool_max_bytes";
/// Batches that a reader still owes; label `reader`.
pub const OUTBOX_DEPTH: &str = "usher_outbox_batches";
/// Age of the oldest batch that a reader still owes; label `reader`.
pub const OUTBOX_AGE: &str = "usher_outbox_oldest_seconds";
/// Age of the oldest live batch that a reader still owes, 0 where it owes none; label `reader`.
pub const OUTBOX_LIVE_AGE: &str = "usher_outbox_live_seconds";
/// Time since an instance last reported that it is configured with a reader; label `reader`.
pub const READERS_UNWANTED: &str = "usher_readers_unwanted_seconds";
/// Readers that were retired since no instance is configured with them; label `reader`.
pub const READERS_RETIRED: &str = "usher_readers_retired_total";
/// Batches in the outbox of readers when they were retired; label `reader`.
pub const READERS_DROPPED: &str = "usher_readers_dropped_batches_total";
/// Messages that Kafka confirmed.
pub const KAFKA_PUBLISHED: &str = "usher_kafka_published_total";
/// Messages that Kafka did not take; the batch stays in the outbox.
pub const KAFKA_FAILED: &str = "usher_kafka_failed_total";
/// Time from sending a message until Kafka confirms it.
pub const KAFKA_SECONDS: &str = "usher_kafka_publish_duration_seconds";
/// Entries that an endpoint took; label `reader`.
pub const FORWARDED: &str = "usher_forward_entries_total";
/// Requests that an endpoint did not take, whose entries stay in the outbox; labels `reader` and
/// `cause`.
pub const FORWARD_FAILED: &str = "usher_forward_failed_requests_total";
/// Time of a request to an endpoint, whatever the answer; label `reader`.
pub const FORWARD_SECONDS: &str = "usher_forward_request_duration_seconds";
/// Sweeps of a portal; labels `scope` and `outcome`.
pub const SWEEPS: &str = "usher_sweeps_total";
/// Events of trusted senders that name a person who could not be found, and that led to nothing.
pub const CUSTOM_LOST: &str = "usher_custom_events_lost_total";
/// Times that the rules file was read again; label `outcome`: used, refused.
pub const RULES_RELOADS: &str = "usher_rules_reloads_total";
/// 1 while the rules file cannot be used and the rules of before are in force.
pub const RULES_STALE: &str = "usher_rules_stale";
/// Actions that reached a state; labels `deed` and `state`.
pub const ACTIONS: &str = "usher_actions_total";
/// 1 while the worker waits for its token to be accepted again.
pub const ACTIONS_PAUSED: &str = "usher_actions_paused";
/// 1 while deeds of a kind wait because Konnect forbids them; labels `deed` and `portal`.
pub const ACTIONS_FORBIDDEN: &str = "usher_actions_forbidden";
/// 1 while a person has paused all actions.
pub const ACTIONS_PAUSED_BY_HAND: &str = "usher_actions_paused_by_hand";
/// Time that may have been missed; label `state`: missing, replaying, lost.
pub const COVERAGE_SECONDS: &str = "usher_coverage_seconds";
/// Replay jobs that ended; label `state`.
pub const REPLAY_JOBS: &str = "usher_replay_jobs_total";
/// Entries that replay jobs brought and that were not known; label `origin`.
pub const REPLAYED_ENTRIES: &str = "usher_replayed_entries_total";
/// Calls to the management API; labels `method` and `status`.
pub const KONNECT_CALLS: &str = "usher_konnect_calls_total";
/// Alerts that hold now, whichever instance found them; label `alert`.
pub const ALERTS: &str = "usher_alerts";
/// Entries of the pull API; label `outcome`: stored, duplicate, matched, quarantined.
pub const PULL_ENTRIES: &str = "usher_pull_entries_total";
/// Entries that a second look at the organisation's log found, and that had not come before.
pub const PULL_MISSING: &str = "usher_pull_missing_total";
/// Time from which on the organisation's log is not pulled yet, up to now.
pub const PULL_LAG: &str = "usher_pull_lag_seconds";
/// Months after the present one that have a partition.
pub const PARTITIONS_AHEAD: &str = "usher_partitions_ahead_months";
/// Old months that were dropped.
pub const UPKEEP_MONTHS: &str = "usher_upkeep_dropped_months_total";
/// Old rows that were deleted, or emptied; label `table`.
pub const UPKEEP_ROWS: &str = "usher_upkeep_rows_total";
/// Old months that cannot be dropped yet; label `reason`.
pub const UPKEEP_KEPT: &str = "usher_upkeep_kept_months";

/// Makes the recorder the process-wide one and names every metric.
///
/// # Errors
/// When another recorder was installed before.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let recorder = recorder()?;
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder)?;
    describe();
    Ok(handle)
}

/// A recorder of usher's metrics. The owner of its handle also runs the handle's upkeep.
///
/// # Errors
/// Never with these buckets.
pub fn recorder() -> Result<PrometheusRecorder, BuildError> {
    Ok(PrometheusBuilder::new()
        .set_buckets(&[
            0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
        ])?
        .set_buckets_for_metric(
            Matcher::Full(BATCH_ENTRIES.to_owned()),
            &[
                1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0, 10_000.0,
            ],
        )?
        .build_recorder())
}

/// Says of every metric what it is, to the recorder that is in force.
pub fn describe() {
    for (name, text) in [
        (DELIVERIES, "deliveries to the ingest endpoint by status"),
        (HOOKS, "requests of trusted senders by status"),
        (ENTRIES_RECEIVED, "entries received from authorised senders"),
        (EVENTS_STORED, "events stored for the first time"),
        (EVENTS_DUPLICATE, "entries that were in the journal already"),
        (ENTRIES_QUARANTINED, "entries quarantined by reason"),
        (VERDICTS, "verdicts on signatures"),
        (
            SIGNATURES_CHECKED,
            "signatures checked against a set of keys",
        ),
        (
            ENTRIES_RECOGNISED,
            "entries known byte for byte, not checked again",
        ),
        (BATCHES, "committed batches by the way of writing"),
        (
            READERS_RETIRED,
            "readers that no instance is configured with any more",
        ),
        (
            READERS_DROPPED,
            "batches in the outbox of readers when they were retired",
        ),
        (KAFKA_PUBLISHED, "messages that Kafka confirmed"),
        (KAFKA_FAILED, "messages that Kafka did not take"),
        (FORWARDED, "entries that an endpoint took, by reader"),
        (
            FORWARD_FAILED,
            "requests that an endpoint did not take, by reader and cause",
        ),
        (RULES_RELOADS, "times that the rules file was read again"),
        (
            CUSTOM_LOST,
            "events of trusted senders about somebody who could not be found",
        ),
        (SWEEPS, "sweeps of a portal by scope and outcome"),
        (UPKEEP_MONTHS, "old months that were dropped"),
        (UPKEEP_ROWS, "old rows that were deleted, by table"),
        (ACTIONS, "actions by deed and the state they reached"),
        (
            KONNECT_CALLS,
            "calls to the management API by method and status",
        ),
        (REPLAY_JOBS, "replay jobs by the state they ended in"),
        (
            REPLAYED_ENTRIES,
            "entries that replay jobs brought and that were not known, by origin",
        ),
        (PULL_ENTRIES, "entries of the pull api by outcome"),
        (
            PULL_MISSING,
            "entries that a second look found and that had not come before",
        ),
    ] {
        describe_counter!(name, Unit::Count, text);
    }
    describe_histogram!(COMMIT_SECONDS, Unit::Seconds, "time to commit one batch");
    describe_histogram!(BATCH_ENTRIES, Unit::Count, "entries in a committed batch");
    describe_histogram!(
        KAFKA_SECONDS,
        Unit::Seconds,
        "time until Kafka confirms a message"
    );
    describe_histogram!(
        FORWARD_SECONDS,
        Unit::Seconds,
        "time of a request to an endpoint, by reader"
    );
    describe_gauges();
}

fn describe_gauges() {
    describe_gauge!(
        JWKS_AGE,
        Unit::Seconds,
        "time since the signing keys were fetched"
    );
    describe_gauge!(
        SPOOL_FILES,
        Unit::Count,
        "requests that wait on disk for the database"
    );
    describe_gauge!(
        SPOOL_ASIDE,
        Unit::Count,
        "requests on disk that cannot be read"
    );
    describe_gauge!(SPOOL_BYTES, Unit::Bytes, "what the spool takes on disk");
    describe_gauge!(
        SPOOL_MAX_BYTES,
        Unit::Bytes,
        "what the spool may take on disk"
    );
    describe_gauge!(
        OUTBOX_DEPTH,
        Unit::Count,
        "batches that a reader still owes"
    );
    describe_gauge!(
        OUTBOX_AGE,
        Unit::Seconds,
        "age of the oldest batch a reader owes"
    );
    describe_gauge!(
        OUTBOX_LIVE_AGE,
        Unit::Seconds,
        "age of the oldest live batch a reader owes"
    );
    describe_gauge!(
        READERS_UNWANTED,
        Unit::Seconds,
        "time since an instance was configured with a reader"
    );
    describe_gauge!(ALERTS, Unit::Count, "alerts that hold now");
    describe_gauge!(
        PULL_LAG,
        Unit::Seconds,
        "time since the last entry that was pulled"
    );
    describe_gauge!(
        PARTITIONS_AHEAD,
        Unit::Count,
        "months ahead that have a partition"
    );
    describe_gauge!(
        UPKEEP_KEPT,
        Unit::Count,
        "old months that cannot be dropped yet, by reason"
    );
    describe_gauge!(RULES_STALE, Unit::Count, "1 while the rules are stale");
    describe_gauge!(
        ACTIONS_PAUSED_BY_HAND,
        Unit::Count,
        "1 while a person lets no action be carried out"
    );
    describe_gauge!(
        ACTIONS_FORBIDDEN,
        Unit::Count,
        "1 while konnect forbids deeds of a kind"
    );
    describe_gauge!(
        COVERAGE_SECONDS,
        Unit::Seconds,
        "time that may have been missed, by state"
    );
    describe_gauge!(ACTIONS_PAUSED, Unit::Count, "1 while the token is refused");
}

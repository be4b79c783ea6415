//! Checks of the server, the role and the rows in it. The SQL is the journal's.

use chrono::{DateTime, TimeDelta, Utc};

use crate::cli::counted;
use crate::cli::doctor::database_facts::{Reached, UNSET, Unreached, open};
use crate::cli::doctor::finding::{Finding, Findings};
use crate::cli::doctor::subject::Subject;
use crate::journal::{
    COUNTED, JournalError, MissingRight, ReaderClaim, ReaderName, ReaderStatus, SchemaState,
    ServerFacts,
};
use crate::publish::forward_reader;

/// The oldest Postgres that usher works with.
const OLDEST: i32 = 140_000;
/// Clocks that differ by more are told.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(1);
/// With clocks that differ by more usher calls nothing old any more.
const CLOCKS_WRONG: TimeDelta = TimeDelta::hours(1);
/// A reader that no instance has wanted for longer is abandoned: instances say so every minute.
const UNWANTED_SECONDS: f64 = 125.0;
/// A reader that has owed something live for longer is behind.
const BEHIND_SECONDS: i64 = 300;
/// A replica that is further behind is told.
const REPLICA_BEHIND: TimeDelta = TimeDelta::minutes(1);
/// A transaction that is idle for longer holds up upkeep and partitions.
const IDLE_SECONDS: i64 = 600;

/// Whether it answers, and is recent enough.
pub(super) async fn database(subject: &Subject) -> Finding {
    let reached = match subject.database.reached().await {
        Ok(reached) => reached,
        Err(unreached) => return judge_unreached(unreached),
    };
    if !reached.keeps_sessions {
        return Finding::ok("it answers");
    }
    let facts = reached.journal.server_facts().await;
    let server = reached.journal.server().await;
    match (facts, server) {
        (Ok(facts), Ok(server)) => {
            let place = format!("{} at {}", server.database, server.host);
            judge_version(facts.version_number, &server.version, &place)
        }
        (Err(error), _) | (_, Err(error)) => unread(&error),
    }
}

fn judge_unreached(unreached: &Unreached) -> Finding {
    match unreached {
        Unreached::None(why) => Finding::skipped(why.clone()),
        Unreached::Unset => Finding::warning(
            format!("{UNSET}: usher serve does not start"),
            "set database.url, or database.embedded = true with database.data_dir",
        ),
        Unreached::Wrong(why) => Finding::failed(why.clone(), "correct [database] in usher.toml"),
        Unreached::Away(why) => Finding::failed(
            why.clone(),
            "start Postgres, or correct database.url: host, port, user, password, name",
        ),
    }
}

fn judge_version(number: i32, version: &str, place: &str) -> Finding {
    let told = format!("Postgres {version}, database {place}");
    if number < OLDEST {
        let oldest = OLDEST / 10_000;
        return Finding::failed(
            format!("{told}: usher needs Postgres {oldest} or later"),
            format!("upgrade Postgres to {oldest} or later"),
        );
    }
    Finding::ok(told)
}

/// Whether a pooler lends connections for one transaction only.
pub(super) async fn session(subject: &Subject) -> Finding {
    match subject.database.reached().await {
        Ok(reached) if reached.keeps_sessions => Finding::ok("each connection is a session"),
        Ok(_) => Finding::failed(
            "a pooler lends connections for one transaction only, which breaks statements, settings and locks",
            "set pool_mode = session in the pooler, or point database.url at Postgres itself",
        ),
        Err(Unreached::None(why)) => Finding::skipped(why.clone()),
        Err(Unreached::Unset) => Finding::skipped(UNSET),
        Err(_) => Finding::skipped("the database does not answer, see database"),
    }
}

/// Settings of the server that matter to what usher promises.
pub(super) async fn settings(subject: &Subject) -> Finding {
    match subject.database.usable().await {
        Ok(reached) => match reached.journal.server_facts().await {
            Ok(facts) => judge_settings(&facts),
            Err(error) => unread(&error),
        },
        Err(left_out) => left_out,
    }
}

fn judge_settings(facts: &ServerFacts) -> Finding {
    let mut found = Findings::default();
    if facts.is_replica {
        found.push(Finding::failed(
            "the server is a replica and takes no writes",
            "point database.url at the primary; a replica belongs in database.read_url",
        ));
    } else if facts.is_read_only {
        found.push(Finding::failed(
            "transactions are read-only",
            "ALTER DATABASE … RESET default_transaction_read_only",
        ));
    }
    if facts.encoding != "UTF8" {
        found.push(Finding::failed(
            format!("the encoding is {}", facts.encoding),
            "make the database anew with ENCODING 'UTF8'",
        ));
    }
    let lost = "an entry that was answered 200 can be lost when the server crashes";
    for (is_off, setting) in [
        (!facts.fsync, "fsync"),
        (!facts.full_page_writes, "full_page_writes"),
        (facts.synchronous_commit == "off", "synchronous_commit"),
    ] {
        if is_off {
            found.push(Finding::warning(
                format!("{setting} is off: {lost}"),
                format!("set {setting} = on"),
            ));
        }
    }
    if facts.prepared_transactions > 0 {
        found.push(Finding::warning(
            format!(
                "{} that nobody has ended",
                counted(facts.prepared_transactions, "prepared transaction")
            ),
            "see pg_prepared_xacts, and COMMIT PREPARED or ROLLBACK PREPARED them",
        ));
    }
    if let Some(seconds) = facts
        .idle_in_transaction_seconds
        .filter(|it| *it > IDLE_SECONDS)
    {
        found.push(Finding::warning(
            format!(
                "a transaction has been idle for {seconds} s: dropping old months waits for it"
            ),
            "see pg_stat_activity, and set idle_in_transaction_session_timeout for its role",
        ));
    }
    found.or_ok("it takes writes and keeps them; UTF8")
}

/// Whether an instance gets the connections that it may open.
pub(super) async fn connections(subject: &Subject) -> Finding {
    match subject.database.usable().await {
        Ok(reached) => match reached.journal.server_facts().await {
            Ok(facts) => judge_connections(&facts),
            Err(error) => unread(&error),
        },
        Err(left_out) => left_out,
    }
}

fn judge_connections(facts: &ServerFacts) -> Finding {
    let wanted = i64::from(ServerFacts::WANTED);
    let at_most = i64::from(facts.max_connections);
    let left = (at_most - facts.connections).max(0);
    let told = format!(
        "{} of {at_most} connections in use, {} of them by usher; an instance may open {wanted}",
        facts.connections, facts.connections_of_usher
    );
    let mut found = Findings::default();
    // What usher has open already is not wanted once more.
    if left + facts.connections_of_usher < wanted {
        found.push(Finding::warning(
            told.clone(),
            "raise max_connections, or end what holds connections: see pg_stat_activity",
        ));
    }
    if let Some(limit) = facts.connection_limit.filter(|it| i64::from(*it) < wanted) {
        found.push(Finding::warning(
            format!("the role or the database may have {limit} connections, an instance may open {wanted}"),
            format!("ALTER ROLE … CONNECTION LIMIT {wanted}"),
        ));
    }
    found.or_ok(told)
}

/// Whether the role may do what usher does.
pub(super) async fn rights(subject: &Subject) -> Finding {
    match subject.database.usable().await {
        Ok(reached) => match reached.journal.missing_rights().await {
            Ok(missing) => judge_rights(&missing),
            Err(error) => unread(&error),
        },
        Err(left_out) => left_out,
    }
}

fn judge_rights(missing: &[MissingRight]) -> Finding {
    if missing.is_empty() {
        return Finding::ok("the role may read and write every table, and add partitions");
    }
    let told = missing.iter().take(5);
    let told: Vec<String> = told
        .map(|it| format!("{}: {}", it.object, it.rights))
        .collect();
    let more = match missing.len() - told.len() {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    Finding::failed(
        format!("the role lacks {}{more}", told.join("; ")),
        "let the role own usher's tables, or GRANT it what it lacks",
    )
}

/// Whether the replica of `database.read_url` follows.
pub(super) async fn replica(subject: &Subject) -> Finding {
    let Some(url) = &subject.config.database.read_url else {
        return Finding::skipped("database.read_url is not set");
    };
    let mend = "start the replica, or correct database.read_url";
    let Some(journal) = open(url.expose()) else {
        return Finding::failed("database.read_url is not a postgres:// URL", mend);
    };
    if let Err(error) = journal.reach().await {
        let why = error.plain();
        return Finding::warning(format!("{why}; database.url answers meanwhile"), mend);
    }
    match journal.replayed_to().await {
        Ok(at) => judge_replica(at, subject.clock.now()),
        Err(error) => unread(&error),
    }
}

fn judge_replica(at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Finding {
    let mend = "see the replica's log; database.url answers meanwhile";
    match at {
        None => Finding::warning("it has replayed nothing since it started", mend),
        Some(at) if now - at > REPLICA_BEHIND => {
            let seconds = (now - at).num_seconds();
            Finding::warning(
                format!("it is {seconds} s behind, or nothing was written"),
                mend,
            )
        }
        Some(_) => Finding::ok("it follows"),
    }
}

/// Whether this machine's clock and the database's agree.
pub(super) async fn clock(subject: &Subject) -> Finding {
    let reached = match subject.database.usable().await {
        Ok(reached) => reached,
        Err(left_out) => return left_out,
    };
    let asked = subject.clock.now();
    let theirs = reached.journal.now().await;
    let answered = subject.clock.now();
    match theirs {
        // The database read its clock at some moment between the two.
        Ok(theirs) => judge_clock(
            (asked - theirs).max(TimeDelta::zero()) + (answered - theirs).min(TimeDelta::zero()),
        ),
        Err(error) => unread(&error),
    }
}

fn judge_clock(ahead: TimeDelta) -> Finding {
    let way = if ahead > TimeDelta::zero() {
        "ahead of"
    } else {
        "behind"
    };
    let told = format!(
        "this machine's clock is {} s {way} the database's",
        ahead.num_seconds().abs()
    );
    let mend = "set both clocks by NTP: `timedatectl set-ntp true`";
    match ahead.abs() {
        apart if apart > CLOCKS_WRONG => Finding::failed(told, mend),
        apart if apart > CLOCKS_DIFFER => Finding::warning(told, mend),
        _ => Finding::ok("this machine's clock and the database's agree"),
    }
}

/// Whether the schema is that of this usher.
pub(super) async fn migrations(subject: &Subject) -> Finding {
    match subject.database.usable().await {
        Ok(reached) => reached.schema().map_or_else(
            || Finding::skipped("a pooler is in the way, see database-session"),
            judge_schema,
        ),
        Err(left_out) => left_out,
    }
}

fn judge_schema(schema: &SchemaState) -> Finding {
    let version = schema
        .version
        .map_or_else(|| "none".to_owned(), |version| version.to_string());
    if schema.is_newer {
        return Finding::failed(
            format!(
                "the schema is at {version}, which this usher does not know: a newer one was here"
            ),
            "upgrade this usher to the version of the others",
        );
    }
    let Some(first) = schema.pending.first() else {
        return Finding::ok(format!("the schema is at {version}, the latest"));
    };
    Finding::warning(
        format!(
            "{} missing, from {} ({}) on",
            counted(schema.pending.len(), "migration"),
            first.version,
            first.description
        ),
        "`usher migrate`, or start `usher serve`, which does it too",
    )
}

/// Whether the coming months have partitions.
pub(super) async fn partitions(subject: &Subject) -> Finding {
    let reached = match subject.database.migrated().await {
        Ok(reached) => reached,
        Err(left_out) => return left_out,
    };
    let now = match reached.journal.now().await {
        Ok(now) => now,
        Err(error) => return unread(&error),
    };
    match reached.journal.months_ahead(now).await {
        Ok(0) => Finding::warning(
            "there is no partition for next month",
            "start `usher serve`, which makes them each hour; if it runs, see database-rights",
        ),
        Ok(months) => Finding::ok(format!("{} ahead", counted(months, "month"))),
        Err(error) => unread(&error),
    }
}

/// Whether somebody works for each reader.
pub(super) async fn readers(subject: &Subject) -> Finding {
    let reached = match subject.database.migrated().await {
        Ok(reached) => reached,
        Err(left_out) => return left_out,
    };
    match with_claims(reached).await {
        Ok((readers, claims)) => judge_readers(&readers, &claims, &wanted(subject)),
        Err(error) => unread(&error),
    }
}

async fn with_claims(
    reached: &Reached,
) -> Result<(Vec<ReaderStatus>, Vec<ReaderClaim>), JournalError> {
    let readers = reached.journal.readers().await?;
    Ok((readers, reached.journal.reader_claims().await?))
}

/// The readers that an instance with this configuration has.
fn wanted(subject: &Subject) -> Vec<String> {
    let config = &subject.config;
    let mut wanted: Vec<ReaderName> = config.forward.iter().map(forward_reader).collect();
    wanted.push(ReaderName::Report);
    wanted.extend(config.kafka.brokers.is_some().then_some(ReaderName::Kafka));
    wanted.extend(config.konnect.token.is_some().then_some(ReaderName::React));
    wanted.iter().map(ToString::to_string).collect()
}

fn judge_readers(readers: &[ReaderStatus], claims: &[ReaderClaim], wanted: &[String]) -> Finding {
    let is_wanted = |reader: &ReaderStatus| wanted.contains(&reader.reader);
    let mut found = Findings::default();
    for reader in readers {
        // While no instance runs, none of those that are configured is abandoned.
        if is_wanted(reader) || reader.unwanted_seconds <= UNWANTED_SECONDS {
            continue;
        }
        let claim = claims.iter().find(|claim| claim.reader == reader.reader);
        let claimed = claim.and_then(|claim| claim.claimed_until).map_or_else(
            || "never claimed".to_owned(),
            |until| format!("last claimed until {}", moment(until)),
        );
        let name = &reader.reader;
        let owed = owed(reader);
        let since = moment(reader.wanted_at);
        found.push(Finding::warning(
            format!(
                "{name} owes {owed}, {claimed}; no instance has had it configured since {since}"
            ),
            format!("`usher readers retire {name}`, or configure it again"),
        ));
    }
    found.or_ok(match readers.len() {
        0 => "there is none yet: usher serve makes them".to_owned(),
        count => format!("{}, none abandoned", counted(count, "reader")),
    })
}

/// How long readers that are configured have owed what is live.
pub(super) async fn outbox(subject: &Subject) -> Finding {
    let reached = match subject.database.migrated().await {
        Ok(reached) => reached,
        Err(left_out) => return left_out,
    };
    match reached.journal.readers().await {
        Ok(readers) => judge_outbox(&readers, &wanted(subject)),
        Err(error) => unread(&error),
    }
}

fn judge_outbox(readers: &[ReaderStatus], wanted: &[String]) -> Finding {
    let mut found = Findings::default();
    let readers = readers.iter().filter(|it| wanted.contains(&it.reader));
    let mut rows = 0;
    for reader in readers {
        rows += reader.batches;
        let Some(seconds) = reader.live_seconds.filter(|it| *it > BEHIND_SECONDS) else {
            continue;
        };
        let (name, owed, minutes) = (&reader.reader, owed(reader), seconds / 60);
        found.push(Finding::warning(
            format!("{name} owes {owed}, the oldest for {minutes} min"),
            "start `usher serve`; if it runs, see the lines serve, kafka and forward",
        ));
    }
    found.or_ok(match rows {
        0 => "nothing is owed".to_owned(),
        rows => format!("{} owed, none for long", counted(rows, "row")),
    })
}

fn owed(reader: &ReaderStatus) -> String {
    let more = if reader.batches == COUNTED {
        " or more"
    } else {
        ""
    };
    match reader.batches {
        1 => "1 batch".to_owned(),
        batches => format!("{batches} batches{more}"),
    }
}

fn moment(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A question that the database did not answer. What the role may not read is told by another line.
fn unread(error: &JournalError) -> Finding {
    match error {
        JournalError::Unfit { code, .. } if code == "42501" => {
            Finding::skipped("the role may not read it, see database-rights")
        }
        _ => Finding::failed(
            error.plain(),
            "see the log of Postgres, then run `usher doctor` again",
        ),
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::{
        BEHIND_SECONDS, judge_clock, judge_connections, judge_outbox, judge_readers, judge_rights,
        judge_schema, judge_settings, judge_version,
    };
    use crate::cli::doctor::finding::{Finding, Status};
    use crate::journal::{
        MissingRight, PendingMigration, ReaderClaim, ReaderStatus, SchemaState, ServerFacts,
    };

    fn facts() -> ServerFacts {
        ServerFacts {
            version_number: 160_003,
            is_replica: false,
            is_read_only: false,
            encoding: "UTF8".to_owned(),
            fsync: true,
            full_page_writes: true,
            synchronous_commit: "on".to_owned(),
            prepared_transactions: 0,
            idle_in_transaction_seconds: None,
            max_connections: 97,
            connections: 10,
            connections_of_usher: 2,
            connection_limit: None,
        }
    }

    fn tells(finding: &Finding, status: Status, word: &str) {
        assert_eq!(finding.status, status, "{finding:?}");
        assert!(finding.detail.contains(word), "{finding:?}");
    }

    #[test]
    fn what_the_server_says_is_judged() {
        tells(&judge_settings(&facts()), Status::Ok, "UTF8");
        let with = |change: fn(&mut ServerFacts)| {
            let mut facts = facts();
            change(&mut facts);
            judge_settings(&facts)
        };
        for (change, status, word) in [
            (
                (|it| it.is_replica = true) as fn(&mut ServerFacts),
                Status::Failed,
                "replica",
            ),
            (|it| it.is_read_only = true, Status::Failed, "read-only"),
            (
                |it| it.encoding = "LATIN1".to_owned(),
                Status::Failed,
                "LATIN1",
            ),
            (|it| it.fsync = false, Status::Warning, "fsync is off"),
            (
                |it| it.prepared_transactions = 2,
                Status::Warning,
                "2 prepared",
            ),
            (
                |it| it.synchronous_commit = "off".to_owned(),
                Status::Warning,
                "synchronous_commit",
            ),
            (
                |it| it.idle_in_transaction_seconds = Some(3_000),
                Status::Warning,
                "3000 s",
            ),
        ] {
            tells(&with(change), status, word);
        }
        tells(
            &judge_version(130_009, "13.9", "usher"),
            Status::Failed,
            "14 or later",
        );
        tells(
            &judge_version(160_003, "16.3", "usher at db"),
            Status::Ok,
            "16.3",
        );
    }

    #[test]
    fn connections_are_enough_for_one_instance_or_told() {
        tells(&judge_connections(&facts()), Status::Ok, "10 of 97");
        let tight = ServerFacts {
            connections: 90,
            ..facts()
        };
        tells(&judge_connections(&tight), Status::Warning, "90 of 97");
        let running = ServerFacts {
            connections_of_usher: 20,
            ..tight
        };
        tells(&judge_connections(&running), Status::Ok, "20 of them");
        let limited = ServerFacts {
            connection_limit: Some(5),
            ..facts()
        };
        tells(&judge_connections(&limited), Status::Warning, "may have 5");
    }

    #[test]
    fn rights_schema_and_clock_are_judged() {
        tells(&judge_rights(&[]), Status::Ok, "every table");
        let missing = |number| MissingRight {
            object: format!("table{number}"),
            rights: "DELETE".to_owned(),
        };
        let many: Vec<MissingRight> = (1..=7).map(missing).collect();
        tells(
            &judge_rights(&many),
            Status::Failed,
            "table5: DELETE; and 2 more",
        );
        let schema = |is_newer, pending| SchemaState {
            version: Some(7),
            pending,
            is_newer,
        };
        let pending = vec![PendingMigration {
            version: 8,
            description: "add a table".to_owned(),
        }];
        tells(
            &judge_schema(&schema(false, Vec::new())),
            Status::Ok,
            "at 7",
        );
        tells(
            &judge_schema(&schema(false, pending)),
            Status::Warning,
            "1 migration missing",
        );
        tells(
            &judge_schema(&schema(true, Vec::new())),
            Status::Failed,
            "newer",
        );
        for (seconds, status, word) in [
            (59, Status::Ok, "agree"),
            (-61, Status::Warning, "61 s behind"),
            (7_200, Status::Failed, "7200 s ahead of"),
        ] {
            tells(&judge_clock(TimeDelta::seconds(seconds)), status, word);
        }
    }

    #[test]
    fn a_reader_is_abandoned_where_nobody_wants_it_and_behind_where_somebody_does() {
        let reader = |name: &str, unwanted_seconds, live_seconds| ReaderStatus {
            reader: name.to_owned(),
            since: DateTime::UNIX_EPOCH,
            wanted_at: DateTime::UNIX_EPOCH,
            unwanted_seconds,
            batches: 3,
            oldest: None,
            live_seconds,
        };
        let late = Some(BEHIND_SECONDS + 60);
        let readers = [
            reader("kafka", 10.0, None),
            reader("react", 9_000.0, late),
            reader("forward-7", 9_000.0, late),
        ];
        let claims = [ReaderClaim {
            reader: "forward-7".to_owned(),
            claimed_until: None,
        }];
        let wanted = ["react".to_owned()];
        let told = judge_readers(&readers, &claims, &wanted);
        tells(
            &told,
            Status::Warning,
            "forward-7 owes 3 batches, never claimed",
        );
        assert!(
            !told.detail.contains("kafka") && !told.detail.contains("react"),
            "{told:?}"
        );
        let told = judge_outbox(&readers, &wanted);
        tells(
            &told,
            Status::Warning,
            "react owes 3 batches, the oldest for 6 min",
        );
        assert!(!told.detail.contains("forward"), "{told:?}");
    }
}

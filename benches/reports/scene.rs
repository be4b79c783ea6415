//! A journal of three months: people who came over half a year, their applications and
//! registrations, their log-ins, and what an organisation's own log contains.

use std::time::Duration;

use anyhow::{Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, PgPool};
use tokio_util::sync::CancellationToken;
use usher::clock::Clock;
use usher::http::health::Health;
use usher::journal::{Journal, ReaderName};
use usher::report::rollup::Keeper;
use uuid::Uuid;

use super::measure::progress;

/// What is noted of a database that was filled to its end.
const FILLED: &str = "filled by the bench of reports";

/// Whether all is counted, and every week that is over summed up.
const SETTLED: &str = "
    SELECT EXISTS (
            SELECT FROM readers r JOIN report_progress p ON p.reader_created_at = r.created_at
            WHERE r.name = 'report' AND p.counted_to IS NULL
        )
        AND NOT EXISTS (SELECT FROM outbox WHERE reader = 'report')
        AND NOT EXISTS (SELECT FROM recounts)
        AND NOT EXISTS (
            SELECT
            FROM generate_series(
                (SELECT date_bin('7 days', min(since), '1970-01-05T00:00:00Z') FROM report_principals),
                now() - interval '9 days', '7 days'
            ) AS t (week)
            WHERE t.week NOT IN (SELECT week FROM report_weeks)
                OR t.week NOT IN (SELECT week FROM report_login_weeks)
        )";

/// Rows of one statement, so that progress shows.
const ROWS_A_STEP: i64 = 500_000;

const DIRECTORY: &str = "
    INSERT INTO directory_portals (portal_id, name, auto_approve_developers, auto_approve_applications,
        look, revision, first_seen_at, last_seen_at)
    VALUES ('00000000-0000-0000-0000-0000000000a0', 'bench', false, false, 1, 1, now(), now());
    INSERT INTO directory_developers (portal_id, developer_id, status, api_created_at, approved_at, look,
        revision, first_seen_at, last_seen_at)
    SELECT '00000000-0000-0000-0000-0000000000a0', pg_temp.id(1, n),
        CASE WHEN n % 50 = 0 THEN 'pending' WHEN n % 20 = 3 THEN 'revoked' ELSE 'approved' END,
        now() - interval '180 days' * n / people,
        CASE WHEN n % 50 > 0 THEN now() - interval '180 days' * n / people
            + make_interval(secs => CASE WHEN n % 4 = 0 THEN 40000 ELSE 2 END) END,
        1, 1, now(), now()
    FROM people, generate_series(1, people) AS n;
    INSERT INTO subjects (portal_id, developer_id, email, full_name)
    SELECT '00000000-0000-0000-0000-0000000000a0', pg_temp.id(1, n),
        format('person%s@club-%s.example', n, n % 300), format('Person Number %s', n)
    FROM people, generate_series(1, people) AS n;
    INSERT INTO directory_applications (portal_id, application_id, name, owner_type, owner_id,
        api_created_at, look, revision, first_seen_at, last_seen_at)
    SELECT '00000000-0000-0000-0000-0000000000a0', pg_temp.id(2, n), format('app %s', n), 'developer',
        pg_temp.id(1, n), now() - interval '180 days' * n / people + interval '1 hour', 1, 1, now(), now()
    FROM people, generate_series(1, people) AS n WHERE n % 5 > 1;
    INSERT INTO directory_registrations (portal_id, registration_id, application_id, status, api_id,
        api_name, api_created_at, approved_at, look, revision, first_seen_at, last_seen_at)
    SELECT '00000000-0000-0000-0000-0000000000a0', pg_temp.id(3, n), pg_temp.id(2, n),
        CASE WHEN n % 40 = 2 THEN 'pending' ELSE 'approved' END, pg_temp.id(4, 1), 'Fixtures',
        now() - interval '180 days' * n / people + interval '2 hours',
        CASE WHEN n % 40 <> 2 THEN now() - interval '180 days' * n / people + interval '3 hours' END,
        1, 1, now(), now()
    FROM people, generate_series(1, people) AS n WHERE n % 5 > 2;
    INSERT INTO actions (id, rule, deed, deed_key, spec, target_kind, target_id, portal_id, signal,
        signal_key, state, causes, facts, chain_id, step, limit_per_hour, on_limit, next_attempt_at,
        created_at, updated_at)
    SELECT pg_temp.id(5, n), 'partners', 'approve_developer', 'approve_developer', '{}', 'developer',
        pg_temp.id(1, n), '00000000-0000-0000-0000-0000000000a0', 'developer.signed_up', n::text, 'done',
        '{}', '{}', pg_temp.id(6, n), 0, 0, 'delay', now(),
        now() - interval '180 days' * n / people, now() - interval '180 days' * n / people
    FROM people, generate_series(1, people) AS n WHERE n % 4 > 0;
    ANALYZE";

/// Of 100 events 55 are log-ins that succeed, 10 some that do not, 25 calls and 10 questions of
/// rights.
const EVENTS: &str = "
    INSERT INTO events (event_ts, id, occurred_at, received_at, batch, request, position, kind, format,
        verdict, ambiguous, time_known, copies, product, name, event_class_id, org_id, portal_id,
        principal_id, trace_id, src, path, act, status, action, granted, success, raw)
    SELECT
        date_trunc('second', at),
        -- It begins with the time, as ids of usher do.
        (lpad(to_hex(extract(epoch FROM date_trunc('second', at))::bigint * 1000), 12, '0')
            || '8' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid,
        at, at, pg_temp.id(7, n / 500), 0,
        (n % 500)::integer, kind, 'json',
        CASE WHEN n % 997 = 0 THEN 'unsigned' ELSE 'verified' END, n % 9973 = 0, true, 1,
        CASE WHEN n % 100 < 65 THEN 'Dev-Portal' ELSE 'Konnect' END,
        name, 'CLASS', '998db3e4-5cb7-4dd5-b51c-9878096a6999',
        CASE WHEN n % 100 < 65 THEN '00000000-0000-0000-0000-0000000000a0' END,
        principal, (3360194145499000000 + n)::text, src,
        '/api/v3/developer/authenticate',
        CASE WHEN kind = 'access' THEN CASE WHEN n % 7 = 0 THEN 'PATCH' ELSE 'GET' END END,
        CASE WHEN kind = 'access' THEN CASE WHEN n % 50 = 0 THEN 403 ELSE 200 END END,
        CASE WHEN kind = 'authorization' THEN 'retrieve' END,
        CASE WHEN kind = 'authorization' THEN true END,
        CASE WHEN kind = 'authentication' THEN n % 100 < 55 END,
        convert_to(format('{\"cef_version\":0,\"event_class_id\":\"CLASS\",\"event_product\":\"Dev-Portal\",'
            '\"event_ts\":\"%s\",\"event_vendor\":\"KongInc\",\"event_version\":\"1.0\",\"name\":\"%s\",'
            '\"org_id\":\"998db3e4-5cb7-4dd5-b51c-9878096a6999\",\"principal_id\":\"%s\",'
            '\"request\":\"/api/v3/developer/authenticate\",\"severity\":0,\"src\":\"%s\",'
            '\"trace_id\":%s,\"user_agent\":\"Mozilla/5.0 (X11; Linux x86_64; rv:140.0)\",\"sig\":\"%s\"}',
            at, name, principal, src, 3360194145499000000 + n, repeat(md5(n::text), 3)), 'UTF8')
    FROM (
        SELECT
            n,
            $3::timestamptz + interval '90 days' * n / $4 AS at,
            CASE WHEN n % 100 < 65 THEN 'authentication' WHEN n % 100 < 90 THEN 'access'
                ELSE 'authorization' END AS kind,
            CASE WHEN n % 100 < 55 THEN 'AUTHENTICATION_OUTCOME_SUCCESS'
                WHEN n % 100 < 60 THEN 'AUTHENTICATION_OUTCOME_INVALID_PASSWORD'
                WHEN n % 100 < 65 THEN 'AUTHENTICATION_OUTCOME_NOT_FOUND'
                WHEN n % 100 < 90 THEN 'Ingress' ELSE 'Authz.portals' END AS name,
            CASE WHEN n % 100 < 60 THEN pg_temp.id(1, (n * 7919) % $5 + 1)::text
                WHEN n % 100 < 65 THEN '' ELSE pg_temp.id(8, n % 40)::text END AS principal,
            format('10.%s.%s.%s', (n * 7919) % $5 / 65536, (n * 7919) % $5 / 256 % 256, (n * 7919) % $5 % 256)
                AS src
        FROM generate_series($1::bigint, $2::bigint - 1) AS n
    ) AS made";

pub(crate) struct Scene {
    pub(crate) journal: Journal,
    pub(crate) now: DateTime<Utc>,
    pool: PgPool,
    server: String,
    url: String,
    name: String,
    kept: bool,
}

/// One of the people.
pub(crate) fn somebody(number: u128) -> Uuid {
    Uuid::from_u128((1 << 64) + number)
}

/// One of those whose log-ins all fail: every hundredth.
pub(super) fn somebody_who_fails() -> Uuid {
    somebody(46)
}

impl Scene {
    /// Makes a database on the server and fills it, or takes the one to `keep` if it is filled
    /// already.
    pub(crate) async fn set(
        server: &str,
        keep: Option<String>,
        events: i64,
        people: i64,
    ) -> Result<Self> {
        let options: PgConnectOptions = server.parse()?;
        let kept = keep.is_some();
        let name = keep.unwrap_or_else(|| format!("bench_reports_{}", std::process::id()));
        let mut connection = options.clone().connect().await?;
        let filled = sqlx::query_scalar::<_, bool>(
            "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)",
        )
        .bind(&name)
        .fetch_one(&mut connection)
        .await?;
        if !filled {
            sqlx::query(&format!("CREATE DATABASE {name}"))
                .execute(&mut connection)
                .await?;
        }
        let pool = PgPoolOptions::new()
            .max_connections(4)
            .connect_with(options.database(&name))
            .await?;
        let mut url: url::Url = server.parse()?;
        url.set_path(&name);
        let journal = Journal::open(url.as_str())?;
        journal.migrate().await?;
        journal.activate_readers(&[ReaderName::Report]).await?;
        let mut this = Self {
            journal,
            now: Clock::system().now(),
            pool,
            server: server.to_owned(),
            url: url.into(),
            name,
            kept,
        };
        if filled {
            this.check_filled().await?;
        } else {
            this.fill(events, people).await?;
        }
        this.now = sqlx::query_scalar("SELECT max(received_at) FROM events")
            .fetch_one(&this.pool)
            .await?;
        Ok(this)
    }

    async fn fill(&self, events: i64, people: i64) -> Result<()> {
        let start = self.now - TimeDelta::days(90);
        let days = (0..92).map(|day| start + TimeDelta::days(day));
        self.journal.ensure_partitions(days).await?;
        let mut connection = self.pool.acquire().await?;
        let helper = format!(
            "CREATE FUNCTION pg_temp.id(kind bigint, number bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
                RETURN (lpad(to_hex(kind), 16, '0') || lpad(to_hex(number), 16, '0'))::uuid;
            CREATE TEMPORARY VIEW people AS SELECT {people}::bigint AS people"
        );
        sqlx::raw_sql(&helper).execute(&mut *connection).await?;
        sqlx::raw_sql(DIRECTORY).execute(&mut *connection).await?;
        let mut done = 0;
        while done < events {
            let to = (done + ROWS_A_STEP).min(events);
            sqlx::query(EVENTS)
                .bind(done)
                .bind(to)
                .bind(start)
                .bind(events)
                .bind(people)
                .execute(&mut *connection)
                .await?;
            done = to;
            progress(&format!("{done} events stored"));
        }
        self.analyze().await?;
        let mark = format!("COMMENT ON DATABASE {} IS '{FILLED}'", self.name);
        sqlx::raw_sql(&mark).execute(&self.pool).await?;
        Ok(())
    }

    /// A database whose fill was cut short has other figures.
    async fn check_filled(&self) -> Result<()> {
        let mark: Option<String> = sqlx::query_scalar(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database
            WHERE datname = current_database()",
        )
        .fetch_one(&self.pool)
        .await?;
        ensure!(
            mark.as_deref() == Some(FILLED),
            "the database {} is there and was not filled to its end: drop it, or keep another",
            self.name
        );
        Ok(())
    }

    /// Where the database is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// How many events it has, by what is counted.
    pub(crate) async fn events(&self) -> Result<i64> {
        let events = "SELECT COALESCE(sum(events), 0)::bigint FROM report_hours";
        Ok(sqlx::query_scalar(events).fetch_one(&self.pool).await?)
    }

    /// Counts what is not counted yet, and sums up the weeks that are over, as an usher does that
    /// runs for a while.
    pub(crate) async fn settle(&self) -> Result<()> {
        progress("counting what is not counted");
        let stop = CancellationToken::new();
        let keeper = Keeper::new(self.journal.clone(), Health::default());
        let settled = async {
            while !sqlx::query_scalar(SETTLED).fetch_one(&self.pool).await? {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Ok(())
        };
        tokio::select! {
            () = keeper.run(stop) => Ok(()),
            settled = settled => settled,
        }
    }

    /// What autovacuum would have done by then.
    pub(crate) async fn analyze(&self) -> Result<()> {
        progress("vacuuming");
        sqlx::raw_sql("VACUUM ANALYZE").execute(&self.pool).await?;
        Ok(())
    }

    pub(crate) async fn strike(self) -> Result<()> {
        self.journal.close().await;
        self.pool.close().await;
        if self.kept {
            return Ok(());
        }
        let options: PgConnectOptions = self.server.parse()?;
        let mut connection = options.connect().await?;
        sqlx::query(&format!("DROP DATABASE {} WITH (FORCE)", self.name))
            .execute(&mut connection)
            .await?;
        Ok(())
    }
}

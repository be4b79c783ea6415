//! The writer: requests that share a transaction, rows that the database refuses, known events,
//! two instances at once, and the end of the process, all on a real Postgres.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::task::JoinSet;
use usher::app::build_client;
use usher::clock::{Clock, Ids};
use usher::config::VerifyPolicy;
use usher::event::{Verdict, parse};
use usher::intake::{Intake, IntakeError, KeyRing, Received, Taken};
use usher::journal::{Journal, Lane, NewBatch, NewEvent, RequestRecord, Source, append_in};
use usher::lifecycle::Lifecycle;

use crate::support::app::config;
use crate::support::database::TestDatabase;
use crate::support::eventually;
use crate::support::signer::Entry;

const FAST: Duration = Duration::from_secs(10);

/// The record and the way into it, without the door.
struct Scene {
    database: TestDatabase,
    journal: Journal,
    intake: Intake,
    lifecycle: Lifecycle,
    ids: Ids,
    clock: Clock,
}

impl Scene {
    async fn create() -> Self {
        let database = TestDatabase::create().await;
        let journal = open(&database);
        Self::over(database, journal).await
    }

    async fn over(database: TestDatabase, journal: Journal) -> Self {
        journal.migrate().await.unwrap();
        let clock = Clock::system();
        let ids = Ids::new(clock.clone());
        let lifecycle = Lifecycle::new();
        // Nothing asks Konnect for keys: signatures are not looked at.
        let client = build_client(&config("http://127.0.0.1:9").konnect).unwrap();
        let keys = KeyRing::new(client, journal.clone(), clock.clone());
        let intake = Intake::new(
            journal.clone(),
            Arc::new(keys),
            VerifyPolicy::Off,
            100_000,
            ids.clone(),
            &lifecycle,
        );
        Self {
            database,
            journal,
            intake,
            lifecycle,
            ids,
            clock,
        }
    }

    fn received(&self, lines: &[String]) -> Received {
        let body = lines.join("\n").into_bytes();
        Received {
            id: self.ids.next(),
            received_at: self.clock.now(),
            peer: "127.0.0.1".to_owned(),
            encoding: String::new(),
            body_bytes: body.len(),
            body: body.into(),
            complete: true,
        }
    }

    /// Takes `requests` while nothing can commit, so that all but the first share a transaction;
    /// what each is answered, in order.
    async fn take_together(&self, requests: &[Vec<String>]) -> Vec<Taken> {
        let taking = self.hold_up(requests).await;
        taking.let_go().await
    }

    /// Hands requests to a writer that waits for a lock of the test's.
    async fn hold_up(&self, requests: &[Vec<String>]) -> HeldUp {
        let mut obstacle = connect(&self.database).await;
        run(&mut obstacle, "BEGIN").await;
        run(&mut obstacle, "LOCK TABLE batches IN EXCLUSIVE MODE").await;
        let mut taking = JoinSet::new();
        for (place, lines) in requests.iter().enumerate() {
            let (intake, received) = (self.intake.clone(), self.received(lines));
            taking.spawn(async move { (place, intake.take(received, None).await) });
            if place == 0 {
                eventually("the first transaction waits", FAST, async || {
                    let mut look = connect(&self.database).await;
                    let waits = count(
                        &mut look,
                        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'batches'::regclass
                            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
                    )
                    .await;
                    waits == 1
                })
                .await;
            }
        }
        // On one thread, every request is at the writer once all were given their turns.
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        HeldUp { obstacle, taking }
    }

    async fn finish(self) {
        let Self {
            database,
            journal,
            intake,
            lifecycle,
            ..
        } = self;
        drop(intake);
        lifecycle.shut_down().await;
        journal.close().await;
        database.drop().await;
    }
}

struct HeldUp {
    obstacle: PgConnection,
    taking: JoinSet<(usize, Result<Taken, IntakeError>)>,
}

impl HeldUp {
    async fn let_go(mut self) -> Vec<Taken> {
        run(&mut self.obstacle, "COMMIT").await;
        let mut taken = self.taking.join_all().await;
        taken.sort_by_key(|(place, _)| *place);
        taken.into_iter().map(|(_, taken)| taken.unwrap()).collect()
    }
}

fn open(database: &TestDatabase) -> Journal {
    Journal::open(&database.url()).unwrap()
}

async fn connect(database: &TestDatabase) -> PgConnection {
    let options: PgConnectOptions = database.url().parse().unwrap();
    options.connect().await.unwrap()
}

async fn run(connection: &mut PgConnection, statement: &str) {
    sqlx::raw_sql(statement).execute(connection).await.unwrap();
}

async fn count(connection: &mut PgConnection, query: &str) -> i64 {
    sqlx::query_scalar(query)
        .fetch_one(connection)
        .await
        .unwrap()
}

async fn texts(connection: &mut PgConnection, query: &str) -> Vec<String> {
    sqlx::query_scalar(query)
        .fetch_all(connection)
        .await
        .unwrap()
}

fn line(number: u64) -> String {
    Entry::numbered(number).json()
}

fn counts(taken: &Taken) -> [usize; 4] {
    [
        taken.received,
        taken.stored,
        taken.duplicates,
        taken.quarantined,
    ]
}

/// A batch of one request with these entries.
fn batch(ids: &Ids, clock: &Clock, numbers: impl IntoIterator<Item = u64>) -> NewBatch {
    let now = clock.now();
    let events: Vec<NewEvent> = numbers
        .into_iter()
        .map(|number| {
            let raw = match number % 3 {
                0 => Entry::numbered(number).cef(),
                1 => line(number),
                _ => format!("{{\"event\":{}}}", line(number)),
            };
            NewEvent {
                event: parse(raw.as_bytes()).unwrap(),
                raw: raw.into(),
                verdict: if number.is_multiple_of(2) {
                    Verdict::Verified
                } else {
                    Verdict::Unsigned
                },
                request: Some(0),
            }
        })
        .collect();
    NewBatch {
        id: ids.next(),
        source: Source::Webhook,
        lane: Lane::Live,
        part_of: None,
        received_at: now,
        requests: vec![RequestRecord {
            id: ids.next(),
            received_at: now,
            peer: "127.0.0.1".to_owned(),
            encoding: String::new(),
            body_bytes: 0,
            inflated_bytes: 0,
            status: 200,
            received: events.len(),
            stored: 0,
            duplicates: 0,
            quarantined: 0,
        }],
        events,
        quarantined: Vec::new(),
    }
}

#[tokio::test]
async fn requests_that_arrive_together_share_a_transaction_and_hear_their_own_counts() {
    let scene = Scene::create().await;
    let requests: Vec<Vec<String>> = (0..300).map(|number| vec![line(number)]).collect();
    for (number, taken) in scene.take_together(&requests).await.iter().enumerate() {
        assert_eq!(counts(taken), [1, 1, 0, 0], "request {number}");
    }
    let mut look = connect(&scene.database).await;
    assert_eq!(count(&mut look, "SELECT count(*) FROM events").await, 300);
    assert_eq!(count(&mut look, "SELECT count(*) FROM batches").await, 2);
    let recorded = "SELECT count(DISTINCT request ->> 'id')
        FROM batches CROSS JOIN jsonb_array_elements(requests) AS t (request)
        WHERE request ->> 'stored' = '1'";
    assert_eq!(count(&mut look, recorded).await, 300);
    let of_their_own = "SELECT count(DISTINCT b.requests -> e.request::integer ->> 'id')
        FROM events e JOIN batches b ON b.id = e.batch";
    assert_eq!(count(&mut look, of_their_own).await, 300);
    scene.finish().await;
}

#[tokio::test]
async fn a_known_or_unreadable_entry_is_counted_where_it_came_and_disturbs_nobody() {
    let scene = Scene::create().await;
    let many: Vec<String> = (100..150).map(line).collect();
    let requests = [
        vec![line(1)],
        vec![line(1), line(2), line(2)],
        vec![line(2), line(3)],
        vec!["noise".to_owned(), line(4)],
        vec![],
        many.clone(),
    ];
    let taken = scene.take_together(&requests).await;
    let found: Vec<[usize; 4]> = taken.iter().map(counts).collect();
    assert_eq!(
        found,
        [
            [1, 1, 0, 0],
            [3, 1, 2, 0],
            [2, 1, 1, 0],
            [2, 1, 0, 1],
            [0, 0, 0, 0],
            [50, 50, 0, 0]
        ]
    );
    let taken = scene
        .intake
        .take(scene.received(&many), None)
        .await
        .unwrap();
    assert_eq!(counts(&taken), [50, 0, 50, 0]);
    let mut look = connect(&scene.database).await;
    assert_eq!(
        texts(
            &mut look,
            "SELECT e.copies + COALESCE(r.copies, 0) || ' ' || count(*)
            FROM events e LEFT JOIN repeats r USING (event_ts, id)
            GROUP BY e.copies + COALESCE(r.copies, 0) ORDER BY 1"
        )
        .await,
        ["1 2", "2 51", "3 1"]
    );
    let kept = "SELECT count(*) FROM quarantine q
        JOIN batches b ON b.id = q.batch AND b.requests @> jsonb_build_array(jsonb_build_object('id', q.delivery_id))";
    assert_eq!(count(&mut look, kept).await, 1);
    scene.finish().await;
}

#[tokio::test]
async fn a_row_that_the_database_refuses_is_kept_aside_and_hurts_nobody_else() {
    let scene = Scene::create().await;
    let mut look = connect(&scene.database).await;
    for statement in [
        "ALTER TABLE events ADD CONSTRAINT nobody CHECK (principal_id <> 'nobody')",
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN RAISE 'no' USING ERRCODE = '22P05'; END$$",
        "CREATE TRIGGER refuse BEFORE INSERT ON events
            FOR EACH ROW WHEN (NEW.principal_id = 'somebody') EXECUTE FUNCTION refuse()",
    ] {
        run(&mut look, statement).await;
    }
    for (round, (principal, code)) in (1..).zip([("nobody", "23514"), ("somebody", "22P05")]) {
        let poison = Entry {
            principal_id: principal.to_owned(),
            ..Entry::numbered(round)
        };
        let start = round * 1_000;
        let harmless: Vec<String> = (start..start + 40).map(line).collect();
        let requests = [
            vec![line(start + 50)],
            harmless,
            vec![line(start + 51), poison.json(), poison.json()],
        ];
        let taken = scene.take_together(&requests).await;
        let found: Vec<[usize; 4]> = taken.iter().map(counts).collect();
        assert_eq!(
            found,
            [[1, 1, 0, 0], [40, 40, 0, 0], [3, 1, 0, 2]],
            "{code}"
        );
        let kept = format!(
            "SELECT count(*) FROM quarantine
            WHERE reason = 'refused_by_database' AND detail LIKE '%{code}' AND delivery_id IS NOT NULL
                AND octet_length(raw) = {}",
            poison.json().len()
        );
        assert_eq!(count(&mut look, &kept).await, 2, "{code}");
    }
    assert_eq!(count(&mut look, "SELECT count(*) FROM events").await, 84);
    assert_eq!(
        count(&mut look, "SELECT sum(quarantined) FROM batches").await,
        4
    );
    scene.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_with_the_same_entries_in_opposite_order_lose_and_repeat_nothing() {
    let scene = Scene::create().await;
    let (rounds, size) = (12, 150);
    let mut writing = JoinSet::new();
    for backwards in [false, true] {
        for half in 0..2 {
            let (journal, ids, clock) = (
                open(&scene.database),
                scene.ids.clone(),
                scene.clock.clone(),
            );
            writing.spawn(async move {
                let mut stored = 0;
                for round in 0..rounds {
                    let start = (round + half) % rounds * size;
                    let mut numbers: Vec<u64> = (start..start + size).collect();
                    if backwards {
                        numbers.reverse();
                    }
                    let appended = journal.append(&batch(&ids, &clock, numbers)).await;
                    let appended = appended.expect("no sender sees a deadlock");
                    assert_eq!(appended.stored + appended.duplicates, 150);
                    stored += appended.stored;
                }
                journal.close().await;
                stored
            });
        }
    }
    let stored: usize = writing.join_all().await.into_iter().sum();
    let all = i64::try_from(rounds * size).unwrap();
    assert_eq!(i64::try_from(stored).unwrap(), all);
    let mut look = connect(&scene.database).await;
    assert_eq!(count(&mut look, "SELECT count(*) FROM events").await, all);
    let copies = "SELECT ((SELECT sum(copies) FROM events)
        + COALESCE((SELECT sum(copies) FROM repeats), 0))::bigint";
    assert_eq!(count(&mut look, copies).await, all * 4);
    assert_eq!(
        count(&mut look, "SELECT sum(stored) FROM batches").await,
        all
    );
    scene.finish().await;
}

#[tokio::test]
async fn the_end_of_the_process_waits_for_what_was_handed_over() {
    let scene = Scene::create().await;
    let requests: Vec<Vec<String>> = (0..50).map(|number| vec![line(number)]).collect();
    let held_up = scene.hold_up(&requests).await;
    let Scene {
        database,
        journal,
        intake,
        lifecycle,
        ..
    } = scene;
    drop(intake);
    let ((), taken) = tokio::join!(lifecycle.shut_down(), async {
        lifecycle.stopping().cancelled().await;
        held_up.let_go().await
    });
    assert!(taken.iter().all(|taken| counts(taken) == [1, 1, 0, 0]));
    assert!(!lifecycle.ended().is_cancelled(), "it ended in time");
    let mut look = connect(&database).await;
    assert_eq!(count(&mut look, "SELECT count(*) FROM events").await, 50);
    look.close().await.unwrap();
    journal.close().await;
    database.drop().await;
}

#[tokio::test]
async fn a_request_whose_sender_has_gone_is_stored_all_the_same() {
    let scene = Scene::create().await;
    let requests: Vec<Vec<String>> = (0..5).map(|number| vec![line(number)]).collect();
    let HeldUp {
        mut obstacle,
        mut taking,
    } = scene.hold_up(&requests).await;
    taking.abort_all();
    while taking.join_next().await.is_some() {}
    run(&mut obstacle, "COMMIT").await;
    let mut look = connect(&scene.database).await;
    eventually("all are stored", FAST, async || {
        count(
            &mut connect(&scene.database).await,
            "SELECT count(*) FROM events",
        )
        .await
            == 5
    })
    .await;
    assert_eq!(count(&mut look, "SELECT count(*) FROM batches").await, 2);
    scene.finish().await;
}

#[tokio::test]
async fn odd_values_and_batches_of_several_statements_are_stored_alike_in_any_transaction() {
    let (alone, together) = (Scene::create().await, Scene::create().await);
    let mut new = batch(&alone.ids, &alone.clock, (0..4_500).chain(50..60));
    let extremes = [
        r#"{"name":"Ingress","status":403,"act":"GET","request":"/a\u0000b","event_ts":"1969-01-01T00:00:00Z"}"#,
        r#"{"name":"Authz.teams","action":"list","granted":"false","event_ts":"2045-01-01T00:00:00Z","user_agent":"\ud800"}"#,
        r#"{"name":"","principal_id":"","src":"not an address","status":99999999999}"#,
    ];
    for raw in extremes {
        new.events.push(NewEvent {
            event: parse(raw.as_bytes()).unwrap(),
            raw: raw.as_bytes().to_vec().into(),
            verdict: Verdict::Failed,
            request: None,
        });
    }
    let mut looks = Vec::new();
    for scene in [&alone, &together] {
        looks.push(connect(&scene.database).await);
    }
    let by_itself = alone.journal.append(&new).await.unwrap();
    let times: Vec<_> = new.events.iter().map(|new| new.event.event_ts).collect();
    together.journal.ensure_partitions(times).await.unwrap();
    let mut tx = together.journal.pool().begin().await.unwrap();
    let within = append_in(&mut tx, &new).await.unwrap().unwrap();
    tx.commit().await.unwrap();

    assert_eq!(by_itself, within);
    assert_eq!((by_itself.stored, by_itself.duplicates), (4_503, 10));
    let all = "SELECT event::text FROM events AS event ORDER BY event_ts, id";
    let rows = texts(&mut looks[0], all).await;
    assert_eq!(rows.len(), 4_503);
    assert_eq!(rows, texts(&mut looks[1], all).await);

    // Appended again under its id, it is answered with the first outcome and counts nothing.
    assert_eq!(alone.journal.append(&new).await.unwrap(), by_itself);
    assert_eq!(rows, texts(&mut looks[0], all).await);
    alone.finish().await;
    together.finish().await;
}

#[tokio::test]
async fn an_append_that_is_cut_short_leaves_no_connection_behind_that_answers_others() {
    let scene = Scene::create().await;
    let mut whole = 0;
    for round in 0..60_u64 {
        let start = round * 1_000;
        let new = batch(&scene.ids, &scene.clock, start..start + 1_000);
        let within = Duration::from_micros(round * 700);
        whole += usize::from(
            tokio::time::timeout(within, scene.journal.append(&new))
                .await
                .is_ok(),
        );
        scene.journal.ping().await.unwrap();
    }
    let mut look = connect(&scene.database).await;
    let events = count(&mut look, "SELECT count(*) FROM events").await;
    let batches = count(&mut look, "SELECT count(*) FROM batches").await;
    assert_eq!(events, batches * 1_000, "a batch is whole or not there");
    assert!(batches >= i64::try_from(whole).unwrap());
    scene.finish().await;
}

/// Without `TCP_NODELAY` whatever is sent in several parts waits for an acknowledgement that the other side delays by
/// 40 ms.
#[tokio::test]
async fn what_is_sent_in_parts_over_tcp_waits_for_no_acknowledgement() {
    let scene = Scene::create().await;
    let mut connection = scene.journal.pool().acquire().await.unwrap();
    let parts = sqlx::raw_sql("CREATE TEMP TABLE parts (part text)");
    parts.execute(&mut *connection).await.unwrap();
    let mut times = Vec::new();
    for _ in 0..60 {
        let began = std::time::Instant::now();
        let mut copy = connection
            .copy_in_raw("COPY parts FROM STDIN")
            .await
            .unwrap();
        for _ in 0..2 {
            copy.send(&b"a\n"[..]).await.unwrap();
        }
        copy.finish().await.unwrap();
        times.push(began.elapsed());
    }
    times.sort_unstable();
    assert!(times[30] < Duration::from_millis(20), "{:?}", times[30]);
    drop(connection);
    scene.finish().await;
}

/// What is stored goes in one part.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_lines_over_tcp_take_less_than_twice_as_long_as_over_the_socket() {
    let tcp = Scene::create().await;
    let database = TestDatabase::create().await;
    let journal = Journal::open(&database.socket_url().await).unwrap();
    let socket = Scene::over(database, journal).await;
    let (mut over_tcp, mut over_socket) = (Vec::new(), Vec::new());
    for round in 0..60_u64 {
        let lines: Vec<String> = (round * 50..(round + 1) * 50).map(line).collect();
        // In turn, so that a busy machine slows both.
        for (scene, times) in [(&tcp, &mut over_tcp), (&socket, &mut over_socket)] {
            let received = scene.received(&lines);
            let began = std::time::Instant::now();
            let taken = scene.intake.take(received, None).await.unwrap();
            times.push(began.elapsed());
            assert_eq!(counts(&taken), [50, 50, 0, 0]);
        }
    }
    over_tcp.sort_unstable();
    over_socket.sort_unstable();
    let (tcp_p50, socket_p50) = (over_tcp[30], over_socket[30]);
    assert!(
        tcp_p50 < socket_p50 * 2,
        "{tcp_p50:?} over TCP, {socket_p50:?} over the socket"
    );
    tcp.finish().await;
    socket.finish().await;
}

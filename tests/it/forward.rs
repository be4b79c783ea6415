//! From the outbox to other endpoints: what a receiver that once held Konnect's webhook gets, and what it does not
//! take.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use usher::app::Readers;
use usher::clock::{Clock, Ids};
use usher::config::{ForwardConfig, Secret};
use usher::event::{OwnEvent, Verdict, parse};
use usher::http::health::Health;
use usher::journal::{
    Journal, Lane, NewBatch, NewEvent, QuarantineFilter, Quarantined, ReaderName, Source,
};
use usher::lifecycle::Lifecycle;
use usher::publish::Forwards;

use crate::support::database::TestDatabase;
use crate::support::process::{Installation, settings};
use crate::support::readiness;
use crate::support::receiver::{Receiver, Reply};
use crate::support::signer::Signer;
use crate::support::{eventually, owed_batches};

/// Longer than a few waits that double, on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
const AUTHORIZATION: &str = "Splunk s3cret-of-the-siem";

/// A journal of its own, and what was appended that must go on.
struct Scene {
    database: TestDatabase,
    journal: Journal,
    clock: Clock,
    entries: Vec<String>,
}

/// One usher, as far as forwarding goes.
struct Running {
    health: Health,
    lifecycle: Lifecycle,
}

impl Running {
    async fn stop(self) {
        self.lifecycle.shut_down().await;
    }

    /// What `/readyz` says of the endpoint, whatever its part is called.
    async fn says_of(&self, receiver: &Receiver) -> Option<Value> {
        let (status, parts) = readiness(&self.health).await;
        assert_eq!(
            status,
            StatusCode::OK,
            "deliveries are accepted all the same"
        );
        let parts = parts.as_object().expect("parts").clone();
        let mut parts = parts.into_iter().filter(|(name, part)| {
            let detail = part["detail"].as_str().expect("a text");
            name.starts_with("forward-") && detail.contains(&receiver.host())
        });
        parts.next().map(|(_, part)| part)
    }

    async fn degraded(&self, receiver: &Receiver, detail: &str) {
        eventually(detail, PATIENCE, async || {
            let part = self.says_of(receiver).await.unwrap_or_default();
            let told = part["detail"].as_str().unwrap_or_default();
            part["status"] == "degraded" && told.contains(detail) && !told.contains("token")
        })
        .await;
    }
}

fn endpoint(receiver: &Receiver) -> ForwardConfig {
    ForwardConfig {
        url: receiver.url().parse().expect("a URL"),
        authorization: Some(Secret::new(AUTHORIZATION.to_owned())),
    }
}

impl Scene {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let journal = Journal::open(&database.url()).expect("a journal");
        journal.migrate().await.expect("a schema");
        Self {
            database,
            journal,
            clock: Clock::system(),
            entries: Vec::new(),
        }
    }

    fn forwards(&self, receivers: &[&Receiver], health: &Health) -> Forwards {
        let config: Vec<ForwardConfig> = receivers.iter().map(|it| endpoint(it)).collect();
        let ids = Ids::new(self.clock.clone());
        Forwards::new(&self.journal, &config, &self.clock, &ids, health).expect("endpoints")
    }

    fn reader(&self, receiver: &Receiver) -> ReaderName {
        self.forwards(&[receiver], &Health::default()).readers()[0]
    }

    /// Starts another instance, as the composition root does it.
    async fn start(&self, receivers: &[&Receiver]) -> Running {
        self.start_patient(receivers, Duration::from_mins(10)).await
    }

    /// Starts one that suspects entries after so long.
    async fn start_patient(&self, receivers: &[&Receiver], patience: Duration) -> Running {
        let health = Health::default();
        let forwards = self.forwards(receivers, &health).with_patience(patience);
        for reader in forwards.readers() {
            let activated = self.journal.activate_reader(reader, self.clock.now()).await;
            activated.expect("a reader");
        }
        let lifecycle = Lifecycle::new();
        let readers = Readers {
            journal: self.journal.clone(),
            wanted: forwards.readers(),
            health: health.clone(),
            every: Duration::from_millis(100),
        };
        lifecycle.spawn("readers", readers.run(lifecycle.stopping()));
        forwards.start(&lifecycle);
        Running { health, lifecycle }
    }

    /// Appends one batch of so many logins.
    async fn append(&mut self, entries: usize) {
        let from = self.entries.len();
        let lines: Vec<String> = (from..from + entries).map(login).collect();
        self.append_lines(&lines).await;
    }

    async fn append_lines(&mut self, lines: &[String]) {
        self.entries.extend_from_slice(lines);
        let raw = lines.iter().map(|line| line.clone().into_bytes());
        self.append_raw(Source::Webhook, raw.collect()).await;
    }

    async fn append_raw(&self, source: Source, entries: Vec<Vec<u8>>) {
        let event = |raw: Vec<u8>| NewEvent {
            event: parse(&raw).expect("an entry"),
            raw: raw.into(),
            verdict: Verdict::Unsigned,
            request: None,
        };
        let batch = NewBatch {
            id: Ids::new(self.clock.clone()).next(),
            source,
            lane: Lane::Live,
            part_of: None,
            received_at: self.clock.now(),
            requests: Vec::new(),
            events: entries.into_iter().map(event).collect(),
            quarantined: Vec::new(),
        };
        self.journal.append(&batch).await.expect("appended");
    }

    async fn owed(&self, receiver: &Receiver) -> i64 {
        owed_batches(&self.journal, self.reader(receiver)).await
    }

    async fn drained(&self, receiver: &Receiver) {
        eventually("the outbox drains", PATIENCE, async || {
            self.owed(receiver).await == 0
        })
        .await;
    }

    async fn quarantined(&self) -> Vec<Quarantined> {
        let all = QuarantineFilter {
            from: chrono::DateTime::UNIX_EPOCH,
            to: self.clock.now() + chrono::TimeDelta::days(1),
            after: None,
        };
        self.journal.quarantined(&all, 100).await.expect("rows")
    }

    async fn end(self) {
        self.journal.close().await;
        self.database.drop().await;
    }
}

fn login(number: usize) -> String {
    json!({
        "event_product": "Dev-Portal",
        "event_ts": "2026-06-23T14:28:47Z",
        "name": "AUTHENTICATION_OUTCOME_SUCCESS",
        "portal_id": "7d0f2f4e-1111-4222-8333-444455556666",
        "principal_id": "ada",
        "trace_id": 3_360_194_145_499_877_000_u64 + number as u64,
        "sig": "kept as it is",
    })
    .to_string()
}

#[tokio::test]
async fn sends_entries_as_received_and_in_order_to_every_endpoint() {
    let (first, second) = (Receiver::start().await, Receiver::start().await);
    let mut scene = Scene::new().await;
    let (own, _) = OwnEvent {
        name: "action.done".to_owned(),
        portal_id: "portal".to_owned(),
        principal_id: None,
        object: "action/1".to_owned(),
        revision: 1,
        occurred_at: scene.clock.now(),
        data: Map::new(),
    }
    .build();
    let running = scene.start(&[&first, &second]).await;
    for batch in 0..20 {
        scene.append(1 + batch % 3).await;
        if batch == 10 {
            scene.append_raw(Source::Act, vec![own.clone()]).await;
        }
    }
    for receiver in [&first, &second] {
        scene.drained(receiver).await;
        assert_eq!(receiver.entries(), scene.entries);
        for request in receiver.requests() {
            assert_eq!(request.headers["authorization"], AUTHORIZATION);
            assert_eq!(request.headers["content-type"], "text/plain");
            assert!(!request.headers.contains_key("content-encoding"));
        }
        let part = running.says_of(receiver).await.expect("a part");
        assert_eq!(part["status"], "ok");
    }
    running.stop().await;
    scene.end().await;
}

#[tokio::test]
async fn waits_for_an_endpoint_that_is_away_and_keeps_the_order() {
    let (away, there) = (Receiver::away().await, Receiver::start().await);
    let mut scene = Scene::new().await;
    let running = scene.start(&[&away, &there]).await;
    for _ in 0..10 {
        scene.append(3).await;
    }
    scene.drained(&there).await;
    running.degraded(&away, "could not reach").await;
    assert_eq!(scene.owed(&away).await, 10);

    away.open().await;
    scene.append(1).await;
    scene.drained(&away).await;
    assert_eq!(away.entries(), scene.entries);
    assert_eq!(there.entries(), scene.entries);
    let part = running.says_of(&away).await.expect("a part");
    assert_eq!(part["status"], "ok");
    running.stop().await;
    scene.end().await;
}

#[tokio::test]
async fn tries_again_when_it_was_asked_to() {
    let receiver = Receiver::start().await;
    let mut scene = Scene::new().await;
    let running = scene.start(&[&receiver]).await;
    receiver.answers(|_| Reply::of(500));
    scene.append(2).await;
    running.degraded(&receiver, "500").await;
    receiver.answers(|_| Reply::of(429).with("retry-after", "3"));
    running.degraded(&receiver, "429").await;
    receiver.answers(|_| Reply::of(202));
    scene.drained(&receiver).await;

    assert_eq!(receiver.entries(), scene.entries);
    let requests = receiver.requests();
    let [.., asked, taken] = requests.as_slice() else {
        panic!("several requests");
    };
    assert_eq!(asked.status, 429);
    assert!(taken.at - asked.at >= Duration::from_secs(3));
    running.stop().await;
    scene.end().await;
}

#[tokio::test]
async fn holds_everything_while_an_endpoint_lets_nobody_in() {
    let receiver = Receiver::start().await;
    let mut scene = Scene::new().await;
    let running = scene.start(&[&receiver]).await;
    for (reply, told) in [
        (Reply::of(401), "401"),
        (Reply::of(307).with("location", "/elsewhere"), "307"),
        // Nothing is taken, so no entry is at fault.
        (Reply::of(400), "takes no entry"),
    ] {
        receiver.answers(move |_| reply.clone());
        scene.append(3).await;
        running.degraded(&receiver, told).await;
    }
    assert_eq!(scene.owed(&receiver).await, 3);
    assert_eq!(scene.quarantined().await.len(), 0);

    receiver.answers(|_| Reply::of(204));
    scene.drained(&receiver).await;
    assert_eq!(receiver.entries(), scene.entries);
    running.stop().await;
    scene.end().await;
}

#[tokio::test]
async fn sends_less_at_once_where_less_is_taken_and_keeps_aside_what_never_is() {
    const AT_MOST: usize = 2_000;
    let receiver = Receiver::start().await;
    receiver.answers(|body| match body {
        body if body.len() > AT_MOST => Reply::of(413),
        body if body.contains("poison") => Reply::of(422),
        _ => Reply::of(200),
    });
    let mut scene = Scene::new().await;
    let running = scene.start(&[&receiver]).await;
    let huge = login(1_000).replace("kept as it is", &"x".repeat(AT_MOST));
    let poison = login(1_001).replace("kept as it is", "poison");
    scene.append(40).await;
    scene
        .append_lines(&[login(900), huge.clone(), poison.clone(), login(901)])
        .await;
    scene.drained(&receiver).await;
    scene.append(5).await;
    scene.drained(&receiver).await;

    let taken: Vec<String> = scene.entries.clone();
    let mut taken = taken.into_iter();
    let expected: Vec<String> = taken
        .by_ref()
        .filter(|it| *it != huge && *it != poison)
        .collect();
    assert_eq!(receiver.entries(), expected);
    let mut kept = scene.quarantined().await;
    kept.sort_by_key(|row| row.raw_bytes);
    let raw: Vec<&[u8]> = kept.iter().map(|row| row.raw.as_slice()).collect();
    assert_eq!(raw.len(), 2);
    assert_eq!(raw[0], poison.as_bytes());
    assert!(
        huge.as_bytes().starts_with(raw[1]),
        "a list shows the start"
    );
    for (row, status) in kept.iter().zip(["422", "413"]) {
        assert_eq!(row.reason, "forward_refused");
        assert!(row.detail.contains(status) && row.detail.contains(&receiver.host()));
        assert_eq!(
            row.event_id,
            Some(parse(&scene.journal_raw(row).await).unwrap().id.as_uuid())
        );
    }
    running.stop().await;
    scene.end().await;
}

/// As a web application firewall does it, with text that anybody may put into an entry.
fn firewall(status: u16) -> impl Fn(&str) -> Reply + Send + Sync {
    move |body| {
        Reply::of(if body.contains("<script>") {
            status
        } else {
            200
        })
    }
}

fn attack(number: usize) -> String {
    login(number).replace("kept as it is", "<script>")
}

/// Each entry where it came last: those that were asked with come again in their turn.
fn in_their_turn(mut entries: Vec<String>) -> Vec<String> {
    let mut known = HashSet::new();
    entries.reverse();
    entries.retain(|entry| known.insert(entry.clone()));
    entries.reverse();
    entries
}

#[tokio::test]
async fn strangers_who_upset_a_firewall_do_not_stop_the_feed() {
    for status in [403, 400] {
        let receiver = Receiver::start().await;
        receiver.answers(firewall(status));
        let mut scene = Scene::new().await;
        let running = scene.start(&[&receiver]).await;
        let attacks: Vec<String> = (0..70).map(attack).collect();
        let good: Vec<String> = (100..103).map(login).collect();
        scene
            .append_lines(&[&attacks[..], &good[..]].concat())
            .await;
        scene.drained(&receiver).await;

        assert_eq!(in_their_turn(receiver.entries()), good);
        let kept = scene.quarantined().await;
        assert_eq!(kept.len(), 70);
        for row in &kept {
            assert_eq!(row.reason, "forward_refused");
            assert!(row.detail.contains(&status.to_string()), "{}", row.detail);
        }
        let requests = receiver.requests().len();
        assert!(requests < 170, "{requests} requests");
        running.stop().await;
        scene.end().await;
    }
}

#[tokio::test]
async fn a_good_entry_behind_many_batches_of_bad_ones_sets_them_apart() {
    let receiver = Receiver::start().await;
    receiver.answers(firewall(403));
    let mut scene = Scene::new().await;
    let running = scene.start(&[&receiver]).await;
    // More batches than are looked up at once.
    for number in 0..70 {
        scene.append_lines(&[attack(number)]).await;
    }
    running.degraded(&receiver, "takes no entry").await;
    assert_eq!(scene.quarantined().await.len(), 0);
    scene.append_lines(&[login(100)]).await;
    scene.drained(&receiver).await;
    assert_eq!(in_their_turn(receiver.entries()), [login(100)]);
    assert_eq!(scene.quarantined().await.len(), 70);
    let part = running.says_of(&receiver).await.expect("a part");
    assert_eq!(part["status"], "ok");
    running.stop().await;
    scene.end().await;
}

#[tokio::test]
async fn a_revoked_token_sets_nothing_aside_and_costs_few_requests() {
    const ENTRIES: usize = 200;
    let receiver = Receiver::start().await;
    receiver.answers(|_| Reply::of(403));
    let mut scene = Scene::new().await;
    let running = scene.start(&[&receiver]).await;
    scene.append(ENTRIES).await;
    running.degraded(&receiver, "takes no entry").await;
    let tries = || {
        let requests = receiver.requests().into_iter();
        let whole = |body: &str| body.lines().count() == ENTRIES;
        requests.filter(|request| whole(&request.body)).count()
    };
    eventually("it is tried again", PATIENCE, async || tries() >= 4).await;
    let (requests, tries) = (receiver.requests().len(), tries());
    assert!(requests <= 20 + 6 * tries, "{requests} in {tries} tries");
    assert_eq!(scene.quarantined().await.len(), 0);
    assert_eq!(scene.owed(&receiver).await, 1);

    receiver.answers(|_| Reply::of(200));
    scene.drained(&receiver).await;
    assert_eq!(receiver.entries(), scene.entries);
    assert_eq!(scene.quarantined().await.len(), 0);
    running.stop().await;
    scene.end().await;
}

#[tokio::test]
async fn whatever_a_firewall_answers_it_does_not_stop_the_feed_for_good() {
    let cut = Reply::of(200).and_cuts();
    for (reply, told) in [
        (Reply::of(500), "500"),
        (Reply::of(401), "401"),
        (Reply::of(404), "404"),
        (cut, "cut the connection"),
    ] {
        let receiver = Receiver::start().await;
        let bad = reply.clone();
        receiver.answers(move |body| {
            if body.contains("<script>") {
                bad.clone()
            } else {
                Reply::of(200)
            }
        });
        let mut scene = Scene::new().await;
        let running = scene
            .start_patient(&[&receiver], Duration::from_secs(1))
            .await;
        let good: Vec<String> = (100..120).map(login).collect();
        let lines = [
            &good[..7],
            &[attack(1)],
            &good[7..11],
            &[attack(2)],
            &good[11..],
        ];
        scene.append_lines(&lines.concat()).await;
        running.degraded(&receiver, told).await;
        scene.drained(&receiver).await;
        assert_eq!(in_their_turn(receiver.entries()), good);
        let kept = scene.quarantined().await;
        assert_eq!(kept.len(), 2, "{told}");
        for row in &kept {
            assert_eq!(row.reason, "forward_refused");
            assert!(row.detail.contains(told), "{}", row.detail);
        }
        running.stop().await;
        scene.end().await;
    }
}

#[tokio::test]
async fn an_outage_sets_nothing_aside_however_it_ends() {
    let receiver = Receiver::start().await;
    receiver.answers(|_| Reply::of(502));
    let mut scene = Scene::new().await;
    let running = scene
        .start_patient(&[&receiver], Duration::from_millis(500))
        .await;
    scene.append(40).await;
    running.degraded(&receiver, "502").await;
    let before = receiver.requests().len();
    eventually("it is tried for long", PATIENCE, async || {
        receiver.requests().len() > before + 20
    })
    .await;
    assert_eq!(scene.owed(&receiver).await, 1);

    // It comes back by and by: two of three requests fail, whatever they hold.
    let count = AtomicUsize::new(0);
    receiver.answers(move |_| {
        let taken = count.fetch_add(1, Ordering::Relaxed).is_multiple_of(3);
        Reply::of(if taken { 200 } else { 502 })
    });
    let before = receiver.requests().len();
    eventually("it is drained or tried on", PATIENCE, async || {
        scene.owed(&receiver).await == 0 || receiver.requests().len() > before + 40
    })
    .await;
    receiver.answers(|_| Reply::of(200));
    scene.drained(&receiver).await;
    assert_eq!(in_their_turn(receiver.entries()), scene.entries);
    assert_eq!(scene.quarantined().await.len(), 0);
    running.stop().await;
    scene.end().await;
}

impl Scene {
    /// All bytes of a row that a list shows in part.
    async fn journal_raw(&self, row: &Quarantined) -> Vec<u8> {
        let whole = self.journal.quarantined_row(row.id).await;
        whole.expect("an answer").expect("the row").raw
    }
}

#[tokio::test]
async fn two_instances_send_each_entry_once_and_hand_over_at_a_clean_stop() {
    let receiver = Receiver::start().await;
    let mut scene = Scene::new().await;
    let first = scene.start(&[&receiver]).await;
    let second = scene.start(&[&receiver]).await;
    for _ in 0..30 {
        scene.append(2).await;
    }
    scene.drained(&receiver).await;
    assert_eq!(receiver.entries(), scene.entries);

    first.stop().await;
    scene.append(2).await;
    scene.drained(&receiver).await;
    assert_eq!(receiver.entries(), scene.entries);
    second.stop().await;
    scene.end().await;
}

#[tokio::test]
async fn stops_in_time_while_an_endpoint_does_not_answer() {
    let receiver = Receiver::start().await;
    receiver.answers(|_| Reply::of(200).after(Duration::from_mins(5)));
    let mut scene = Scene::new().await;
    let running = scene.start(&[&receiver]).await;
    scene.append(1).await;
    eventually("somebody holds the lease", PATIENCE, async || {
        let held = sqlx::query("SELECT FROM leases").fetch_all(scene.journal.pool());
        held.await.expect("an answer").len() == 1
    })
    .await;
    let asked = tokio::time::Instant::now();
    running.stop().await;
    assert!(asked.elapsed() < usher::lifecycle::GRACE);
    assert_eq!(scene.owed(&receiver).await, 1);
    scene.end().await;
}

#[tokio::test]
async fn an_endpoint_begins_with_what_comes_and_ends_with_what_it_was_owed() {
    let (old, new, kept) = (
        Receiver::away().await,
        Receiver::start().await,
        Receiver::start().await,
    );
    let mut scene = Scene::new().await;
    let running = scene.start(&[&old, &kept]).await;
    scene.append(3).await;
    scene.drained(&kept).await;
    running.stop().await;

    // The list in another order, without the first, with another one.
    let running = scene.start(&[&new, &kept]).await;
    scene.append(2).await;
    for receiver in [&new, &kept] {
        scene.drained(receiver).await;
    }
    assert_eq!(kept.entries(), scene.entries, "nothing comes twice");
    assert_eq!(new.entries(), scene.entries[3..], "no history");
    assert_eq!(
        scene.owed(&old).await,
        2,
        "the list may be wrong for a moment"
    );
    running.stop().await;

    let longer = "UPDATE readers SET wanted_at = wanted_at - interval '1 hour'";
    let moved = sqlx::query(longer).execute(scene.journal.pool()).await;
    moved.expect("the database obeys");
    let running = scene.start(&[&kept, &new]).await;
    scene.drained(&old).await;
    let mut expected = vec![
        scene.reader(&kept).to_string(),
        scene.reader(&new).to_string(),
    ];
    expected.sort();
    eventually("the reader is retired", PATIENCE, async || {
        let names: Vec<String> = sqlx::query_scalar("SELECT name FROM readers ORDER BY name")
            .fetch_all(scene.journal.pool())
            .await
            .expect("readers");
        names == expected
    })
    .await;
    running.stop().await;
    scene.end().await;
}

#[tokio::test]
async fn a_kill_in_the_middle_loses_nothing_and_no_log_shows_the_secret() {
    let receiver = Receiver::start().await;
    receiver.answers(|_| Reply::of(200).after(Duration::from_millis(50)));
    let signer = Signer::new(7);
    let database = TestDatabase::create().await;
    let konnect = signer.serve(&Lifecycle::new()).await;
    let mut settings = settings(&database, &konnect);
    settings["forward"] = json!([{ "url": receiver.url(), "authorization": "file:authorization" }]);
    // Everything that anybody might say.
    settings["telemetry"]["log"] = json!("trace");
    let mut installation = Installation::new(&settings);
    installation.write("authorization", &format!("{AUTHORIZATION}\n"));
    let usher = installation.start().await;

    let entries: Vec<String> = (0..300).map(login).collect();
    for lines in entries.chunks(3) {
        assert_eq!(usher.deliver(lines).await, Some(StatusCode::OK));
    }
    eventually("some of it is sent", PATIENCE, async || {
        !receiver.entries().is_empty()
    })
    .await;
    usher.kill().await;
    let sent = receiver.entries().len();

    let usher = installation.start().await;
    eventually("all of it is sent", PATIENCE, async || {
        let sent = receiver.entries();
        entries.iter().all(|entry| sent.contains(entry))
    })
    .await;
    assert!(sent < receiver.entries().len(), "the kill came too late");
    let reader = reader_in(&installation.log());
    eventually("metrics tell of it", PATIENCE, async || {
        let metrics = reqwest::get(format!("{}/metrics", usher.url)).await;
        let metrics = metrics.expect("an answer").text().await.expect("a text");
        [
            format!("usher_outbox_batches{{reader=\"{reader}\"}} 0"),
            format!("usher_outbox_oldest_seconds{{reader=\"{reader}\"}} 0"),
            format!("usher_forward_entries_total{{reader=\"{reader}\"}} "),
            format!("usher_forward_request_duration_seconds_count{{reader=\"{reader}\"}} "),
        ]
        .iter()
        .all(|line| metrics.contains(line))
    })
    .await;
    usher.terminate().await;
    usher.exit(PATIENCE).await;
    let log = installation.log();
    assert!(log.contains("entries go on to this endpoint"));
    for secret in ["s3cret-of-the-siem", "in-the-query"] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None);
    }
    database.drop().await;
}

/// The name that the log gives the endpoint.
fn reader_in(log: &str) -> String {
    let at = log.find("forward-").expect("the endpoint is told of");
    log[at..at + "forward-0123456789abcdef".len()].to_owned()
}

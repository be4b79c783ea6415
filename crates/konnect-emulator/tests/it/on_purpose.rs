//! What goes wrong on purpose with deliveries and replay jobs, and the list of what was made.

use konnect_emulator::{DeliveryFault, FailAt, ForeignJob, MadeEntry, ReplayFault, Scope};
use serde_json::{Value, json};

use crate::support::{Konnect, Receiver, wait_until};

/// Longer than any test: only a clock that is moved ends it.
const HOUR_MS: u64 = 3_600_000;

/// A portal whose webhook sends to a receiver.
struct Stage {
    konnect: Konnect,
    receiver: Receiver,
    portal: String,
}

impl Stage {
    async fn start() -> Self {
        let (konnect, portal) = Konnect::with_portal(json!({})).await;
        let receiver = Receiver::start().await;
        let webhook = format!("/v3/portals/{portal}/audit-log-webhook");
        konnect.subscribe(&webhook, &receiver, "json").await;
        Self {
            konnect,
            receiver,
            portal,
        }
    }

    /// Each entry is a batch of its own.
    async fn one_by_one() -> Self {
        let stage = Self::start().await;
        stage.set(json!({"batch_size": 1})).await;
        stage
    }

    async fn set(&self, settings: Value) {
        self.konnect
            .expect(200, "PUT", "/emulator/delivery", settings)
            .await;
    }

    fn scope(&self) -> Scope {
        self.portal.parse().unwrap()
    }

    fn deliver_with(&self, fault: DeliveryFault) {
        self.konnect.emulator.set_delivery_faults([fault]).unwrap();
    }

    fn replay_with(&self, fault: ReplayFault) {
        self.konnect.emulator.set_replay_faults([fault]).unwrap();
    }

    /// Makes entries whose principals are named after their numbers.
    async fn make(&self, numbers: std::ops::Range<usize>) {
        let entries: Vec<Value> = numbers
            .map(|number| json!({"principal_id": format!("p{number}")}))
            .collect();
        let body = json!({"portal_id": self.portal, "entries": entries});
        self.konnect
            .expect(200, "POST", "/emulator/entries", body)
            .await;
    }

    fn made(&self) -> Vec<MadeEntry> {
        self.konnect.emulator.entries(Some(self.scope()))
    }

    /// Waits until this many entries came, and names them by their principals.
    async fn principals(&self, count: usize) -> Vec<String> {
        let lines = self.receiver.wait_for_lines(count).await;
        let principal = |line: &String| {
            let entry: Value = serde_json::from_str(line).unwrap();
            entry["principal_id"].as_str().unwrap().to_owned()
        };
        lines.iter().map(principal).collect()
    }

    fn job(&self) -> String {
        format!("/v3/portals/{}/audit-log-replay-job", self.portal)
    }

    /// Asks for a job over the last hour.
    async fn ask(&self, status: u16) {
        let now = self.konnect.emulator.now();
        let start = now - chrono::TimeDelta::minutes(59);
        let window = json!({"start_at": start.to_rfc3339(), "end_at": now.to_rfc3339()});
        self.konnect
            .expect(status, "PUT", &self.job(), window)
            .await;
    }

    async fn status(&self) -> String {
        let job = self
            .konnect
            .expect(200, "GET", &self.job(), Value::Null)
            .await;
        job["status"].as_str().unwrap().to_owned()
    }

    async fn wait_for(&self, status: &str) {
        wait_until(status, async || self.status().await == status).await;
    }
}

#[tokio::test]
async fn a_lost_batch_leaves_no_trace_but_in_the_list_of_what_was_made() {
    let stage = Stage::one_by_one().await;
    stage.deliver_with(DeliveryFault {
        portal: Some(stage.scope()),
        lose: true,
        times: Some(2),
        ..DeliveryFault::default()
    });
    stage.make(0..2).await;
    wait_until("both are lost", async || {
        stage.made().iter().all(|entry| entry.lost == 1)
    })
    .await;
    assert_eq!(stage.konnect.emulator.deliveries(), []);
    let path = format!("/v3/portals/{}/audit-log-webhook/status", stage.portal);
    let status = stage.konnect.expect(200, "GET", &path, Value::Null).await;
    assert_eq!(
        status,
        json!({"webhook_enabled": true, "webhook_status": "active"})
    );
    assert_eq!(stage.konnect.emulator.delivery_faults()[0].times, Some(0));
    stage.make(2..3).await;
    assert_eq!(stage.principals(1).await, ["p2"]);

    // A job may leave out what was never tried, or not.
    stage.set(json!({"replay_lost": false})).await;
    stage.ask(202).await;
    stage.wait_for("completed").await;
    assert_eq!(stage.principals(2).await, ["p2", "p2"]);
    stage.set(json!({"replay_lost": true})).await;
    stage.ask(202).await;
    stage.wait_for("completed").await;
    assert_eq!(stage.principals(5).await[2..], ["p0", "p1", "p2"]);

    let line: Value = serde_json::from_str(&stage.receiver.lines()[0]).unwrap();
    let path = format!("/emulator/entries?portal={}&after=1", stage.portal);
    let listed = stage.konnect.expect(200, "GET", &path, Value::Null).await;
    let listed_last = listed["entries"].as_array().unwrap().last().unwrap();
    let expected = json!({
        "number": listed_last["number"], "portal_id": stage.portal, "type": "authentication",
        "name": "AUTHENTICATION_OUTCOME_SUCCESS", "rt": line["rt"],
        "trace_id": line["trace_id"].to_string(), "principal_id": "p2",
        "attempts": 3, "accepted": 3, "lost": 0,
    });
    assert_eq!((listed_last, &listed["forgotten"]), (&expected, &json!(0)));
    let made = stage.made();
    let tried: Vec<_> = made
        .iter()
        .map(|entry| (entry.attempts, entry.lost))
        .collect();
    assert_eq!(tried, [(1, 1), (1, 1), (3, 0)]);
    let others = stage.konnect.emulator.entries(Some(Scope::Org));
    let all = stage.konnect.emulator.entries(None);
    assert_eq!(all.len(), made.len() + others.len());
    assert!(others.iter().all(|entry| entry.portal_id.is_none()) && !others.is_empty());
}

#[tokio::test]
async fn a_repeated_batch_comes_twice() {
    let stage = Stage::one_by_one().await;
    stage.deliver_with(DeliveryFault {
        repeat: true,
        times: Some(1),
        ..DeliveryFault::default()
    });
    stage.make(0..2).await;
    assert_eq!(stage.principals(3).await, ["p0", "p0", "p1"]);
}

#[tokio::test]
async fn a_late_batch_waits_for_the_clock_and_holds_nothing_up() {
    let stage = Stage::one_by_one().await;
    stage.deliver_with(DeliveryFault {
        delay_ms: HOUR_MS,
        times: Some(1),
        ..DeliveryFault::default()
    });
    stage.make(0..2).await;
    assert_eq!(stage.principals(1).await, ["p1"]);
    stage.konnect.emulator.advance_clock(1_800);
    stage.make(2..3).await;
    assert_eq!(stage.principals(2).await, ["p1", "p2"]);
    stage.konnect.emulator.advance_clock(1_800);
    assert_eq!(stage.principals(3).await, ["p1", "p2", "p0"]);
}

#[tokio::test]
async fn an_overtaken_batch_comes_after_the_next_or_after_a_while() {
    let stage = Stage::one_by_one().await;
    let overtaken = |delay_ms| DeliveryFault {
        overtaken: true,
        delay_ms,
        times: Some(1),
        ..DeliveryFault::default()
    };
    stage.deliver_with(overtaken(HOUR_MS));
    stage.make(0..2).await;
    assert_eq!(stage.principals(2).await, ["p1", "p0"]);
    stage.deliver_with(overtaken(10));
    stage.make(2..3).await;
    assert_eq!(stage.principals(3).await[2], "p2");
}

#[tokio::test]
async fn a_garbled_batch_cannot_be_read() {
    let stage = Stage::one_by_one().await;
    stage.deliver_with(DeliveryFault {
        garble: true,
        times: Some(1),
        ..DeliveryFault::default()
    });
    stage.make(0..2).await;
    assert_eq!(stage.principals(1).await, ["p1"]);
}

#[tokio::test]
async fn a_shuffled_batch_has_its_entries_in_an_order_that_the_seed_decides() {
    let mut orders = Vec::new();
    for seed in [7, 7, 8] {
        let stage = Stage::start().await;
        stage.deliver_with(DeliveryFault {
            shuffle: true,
            seed: Some(seed),
            ..DeliveryFault::default()
        });
        stage.make(0..40).await;
        orders.push(stage.principals(40).await);
    }
    let mut sorted = orders.clone();
    for order in &mut sorted {
        order.sort_unstable();
    }
    assert!(sorted.iter().all(|order| *order == sorted[0]));
    assert_eq!(orders[0], orders[1]);
    assert_ne!(orders[0], orders[2]);
}

#[tokio::test]
async fn faults_of_deliveries_spare_other_sources_and_jobs_unless_told() {
    let stage = Stage::one_by_one().await;
    let lose = |portal, replays| DeliveryFault {
        portal,
        lose: true,
        replays,
        ..DeliveryFault::default()
    };
    stage.deliver_with(lose(Some(Scope::Org), true));
    stage.make(0..1).await;
    assert_eq!(stage.principals(1).await, ["p0"]);
    stage.deliver_with(lose(None, false));
    stage.ask(202).await;
    stage.wait_for("completed").await;
    assert_eq!(stage.principals(2).await, ["p0", "p0"]);
    stage.deliver_with(lose(Some(stage.scope()), true));
    stage.ask(202).await;
    stage.wait_for("completed").await;
    assert_eq!((stage.receiver.lines().len(), stage.made()[0].lost), (2, 1));
}

#[tokio::test]
async fn jobs_fail_before_or_halfway_and_then_no_more() {
    let stage = Stage::start().await;
    stage.make(0..4).await;
    stage.principals(4).await;
    let fail = |at| ReplayFault {
        fail: Some(at),
        times: Some(1),
        ..ReplayFault::default()
    };
    let faults = [fail(FailAt::Before), fail(FailAt::Half)];
    stage.konnect.emulator.set_replay_faults(faults).unwrap();
    for (status, sent) in [("failed", 4), ("failed", 6), ("completed", 10)] {
        stage.ask(202).await;
        stage.wait_for(status).await;
        assert_eq!(stage.receiver.lines().len(), sent);
    }
    assert_eq!(stage.principals(6).await[4..6], ["p0", "p1"]);
}

#[tokio::test]
async fn slow_jobs_wait_for_the_clock() {
    let stage = Stage::start().await;
    stage.make(0..1).await;
    stage.principals(1).await;
    stage.replay_with(ReplayFault {
        pending_ms: HOUR_MS,
        times: Some(1),
        ..ReplayFault::default()
    });
    stage.ask(202).await;
    stage.wait_for("pending").await;
    // One that waits is replaced: the second job is as quick as ever.
    stage.ask(202).await;
    stage.wait_for("completed").await;
    stage.replay_with(ReplayFault {
        slow_ms: HOUR_MS,
        portal: Some(stage.scope()),
        ..ReplayFault::default()
    });
    stage.ask(202).await;
    stage.wait_for("running").await;
    stage.ask(409).await;
    assert_eq!(stage.receiver.lines().len(), 2);
    // An hour later the entry is out of no window: the job's own was fixed when it was asked for.
    stage.konnect.emulator.advance_clock(3_600);
    stage.wait_for("completed").await;
    assert_eq!(stage.receiver.lines().len(), 3);
}

#[tokio::test]
async fn a_foreign_job_is_in_the_way_while_it_runs() {
    let stage = Stage::start().await;
    stage.make(0..1).await;
    stage.principals(1).await;
    let job = json!({"portal": stage.portal, "slow_ms": HOUR_MS});
    let path = "/emulator/replay/foreign";
    let started = stage.konnect.expect(200, "POST", path, job.clone()).await;
    assert_eq!(started["status"], "running");
    stage.ask(409).await;
    stage.konnect.expect(400, "POST", path, job).await;
    let foreign = ForeignJob::new(Scope::Org, 0);
    let refused = stage.konnect.emulator.start_foreign_job(&foreign);
    assert!(refused.unwrap_err().to_string().contains("not configured"));
    stage.konnect.emulator.advance_clock(3_600);
    stage.wait_for("completed").await;
    assert_eq!(stage.principals(2).await, ["p0", "p0"]);
    stage.ask(202).await;
    stage.wait_for("completed").await;
}

#[tokio::test]
async fn a_webhook_may_pause_when_a_delivery_was_given_up_until_it_is_patched() {
    let stage = Stage::one_by_one().await;
    stage.set(json!({"pauses_when_inactive": true})).await;
    let webhook = format!("/v3/portals/{}/audit-log-webhook", stage.portal);
    let status_path = format!("{webhook}/status");
    let status = async || {
        let shown = stage
            .konnect
            .expect(200, "GET", &status_path, Value::Null)
            .await;
        json!([shown["webhook_enabled"], shown["webhook_status"]])
    };
    let emulator = &stage.konnect.emulator;
    // One refusal that ends well pauses nothing.
    stage.receiver.answer_next([(500, "")]);
    stage.make(0..1).await;
    wait_until("it is accepted", async || stage.made()[0].accepted == 1).await;
    stage.receiver.answer_next([(401, "")]);
    stage.make(1..2).await;
    wait_until("it is refused", async || emulator.deliveries().len() == 3).await;
    wait_until("it is inactive", async || {
        status().await == json!([true, "inactive"])
    })
    .await;
    stage.make(2..4).await;
    let patch = json!({"enabled": true});
    stage.konnect.expect(200, "PATCH", &webhook, patch).await;
    assert_eq!(status().await, json!([true, "inactive"]));
    stage.make(4..5).await;
    assert_eq!(stage.principals(4).await, ["p0", "p0", "p1", "p4"]);
    wait_until("it is active", async || {
        status().await == json!([true, "active"])
    })
    .await;
    let tried: Vec<u32> = stage.made().iter().map(|entry| entry.attempts).collect();
    assert_eq!(tried, [2, 1, 0, 0, 1]);
    // A job's delivery that is accepted makes it active as well.
    stage.receiver.answer_next([(401, "")]);
    stage.make(5..6).await;
    wait_until("it is inactive", async || {
        status().await == json!([true, "inactive"])
    })
    .await;
    stage.ask(202).await;
    stage.wait_for("completed").await;
    assert_eq!(status().await, json!([true, "active"]));
    let so_far = stage.receiver.lines().len();
    stage.make(6..7).await;
    assert_eq!(stage.principals(so_far + 1).await[so_far], "p6");
}

#[tokio::test]
async fn controls_say_what_is_wrong_with_them() {
    let stage = Stage::start().await;
    let stranger = "11111111-2222-4333-8444-555555555555";
    let ahead = (stage.konnect.emulator.now() + chrono::TimeDelta::hours(1)).to_rfc3339();
    let long_ago = (stage.konnect.emulator.now() - chrono::TimeDelta::days(8)).to_rfc3339();
    let deliveries = "/emulator/delivery/faults";
    let replays = "/emulator/replay/faults";
    let foreign = "/emulator/replay/foreign";
    let cases = [
        (deliveries, json!({"loose": true}), "unknown field `loose`"),
        (deliveries, json!([{"lose": true}, {}]), "say what happens"),
        (
            deliveries,
            json!({"lose": true, "repeat": true}),
            "goes with none",
        ),
        (deliveries, json!({"lose": true, "times": 0}), "times"),
        (deliveries, json!({"lose": true, "share": 2}), "share"),
        (deliveries, json!({"lose": true, "seed": 2}), "seed"),
        (deliveries, json!({"lose": true, "portal": "x"}), "`x`"),
        (
            deliveries,
            json!({"lose": true, "portal": stranger}),
            "does not exist",
        ),
        (replays, json!({"times": 1}), "say what happens"),
        (replays, json!({"fail": "late"}), "unknown variant `late`"),
        (replays, json!({"slow": 1}), "unknown field `slow`"),
        (foreign, json!({}), "missing field `portal`"),
        (foreign, json!({"portal": stranger}), "does not exist"),
        (foreign, json!({"portal": "org"}), "not configured"),
        (
            foreign,
            json!({"portal": stage.portal, "end_at": ahead}),
            "future",
        ),
        (
            foreign,
            json!({"portal": stage.portal, "start_at": long_ago}),
            "7 days",
        ),
        ("/emulator/clock", json!({}), "advance_seconds"),
    ];
    for (path, body, word) in cases {
        let refused = stage.konnect.expect(400, "POST", path, body.clone()).await;
        let message = refused["message"].as_str().unwrap();
        assert!(message.contains(word), "{body}: {message}");
    }
    for (query, word) in [("portal=x", "`x`"), ("after=x", "after"), ("p=1", "`p`")] {
        let path = format!("/emulator/entries?{query}");
        let refused = stage.konnect.expect(400, "GET", &path, Value::Null).await;
        assert!(refused["message"].as_str().unwrap().contains(word));
    }
    for path in [deliveries, replays] {
        let all = stage.konnect.expect(200, "GET", path, Value::Null).await;
        assert_eq!(all, json!([]), "a list with a mistake adds nothing");
        stage.konnect.expect(204, "DELETE", path, Value::Null).await;
        stage.konnect.expect(404, "PUT", path, json!({})).await;
    }
}

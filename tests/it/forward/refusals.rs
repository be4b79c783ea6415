//! What an endpoint does not take: single entries are kept aside, and an outage sets nothing aside.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use usher::event::parse;
use usher::journal::Quarantined;

use super::{PATIENCE, Scene, login};
use crate::support::eventually;
use crate::support::receiver::{Receiver, Reply};

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

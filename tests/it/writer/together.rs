//! Requests that share a transaction: each has its own counts, and no entry harms another.

use crate::support::signer::Entry;
use crate::writer::{Scene, connect, count, counts, line, run, texts};

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

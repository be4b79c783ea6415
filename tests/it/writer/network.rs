//! What a network to Postgres costs.

use std::time::Duration;

use usher::journal::Journal;

use crate::support::database::TestDatabase;
use crate::writer::{Scene, counts, line};

/// Without `TCP_NODELAY` whatever is sent in several parts waits for an acknowledgement that the
/// other side delays by 40 ms.
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

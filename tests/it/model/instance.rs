//! One usher: looking, deciding, doing, in a runtime of its own, so that it can be killed in the
//! middle of anything.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use usher::act::{Backoff, Queue, Timings, Worker, note_call};
use usher::clock::{Clock, Ids};
use usher::config::ObserveConfig;
use usher::directory::Directory;
use usher::journal::Journal;
use usher::lifecycle::Lifecycle;
use usher::observe::{self, Observer, Parts};
use usher::react::{Reactor, Settings};
use usher::rules::RuleSet;
use uuid::Uuid;

use crate::support::konnect::PORTAL;
use crate::support::scene::{AT_ONCE, load};

/// Longest attempt: what a deed has read may be so old when it writes.
pub(super) const ATTEMPT: Duration = Duration::from_secs(5);
/// What begins the user agent of calls that deeds make; the number of the instance follows.
pub(super) const WORKER: &str = "worker-";
const CONNECTIONS: u32 = 5;

/// Where an instance works.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) database: String,
    pub(super) konnect: String,
    pub(super) token: String,
}

/// A running usher.
pub(super) struct Instance {
    pub(super) number: u32,
    /// As whom it holds the lease of looking.
    pub(super) holder: Uuid,
    rules: watch::Sender<Arc<RuleSet>>,
    lifecycle: Lifecycle,
    done: JoinHandle<()>,
    runtime: Option<Runtime>,
}

impl Instance {
    pub(super) fn start(number: u32, place: &Place, rules: &str) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (rules, heard) = watch::channel(load(rules));
        let lifecycle = Lifecycle::new();
        let holder = Ids::new(Clock::system()).next();
        let work = work(number, place.clone(), (holder, heard), lifecycle.clone());
        let done = runtime.spawn(work);
        Self {
            number,
            holder,
            rules,
            lifecycle,
            done,
            runtime: Some(runtime),
        }
    }

    /// Its rules file is another one from now on.
    pub(super) fn reload(&self, rules: &str) {
        self.rules.send_replace(load(rules));
    }

    /// Ends it as SIGTERM would.
    pub(super) async fn stop(mut self) {
        self.lifecycle.shut_down().await;
        (&mut self.done).await.unwrap();
    }

    /// Ends it as SIGKILL would: whatever it does breaks off where it is.
    pub(super) fn kill(self) {
        drop(self);
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn client(place: &Place, name: &str) -> konnect::Client {
    konnect::Client::builder(place.konnect.parse().unwrap())
        .token(place.token.clone().into())
        .retries(konnect::RetryPolicy::none())
        .user_agent(name)
        .on_attempt(note_call)
        .build()
        .unwrap()
}

async fn work(
    number: u32,
    place: Place,
    (holder, rules): (Uuid, watch::Receiver<Arc<RuleSet>>),
    lifecycle: Lifecycle,
) {
    let options: PgConnectOptions = place.database.parse().unwrap();
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .connect_lazy_with(options);
    let clock = Clock::system();
    let ids = Ids::new(clock.clone());
    let journal = Journal::from_pool(pool);
    let directory = Directory::new(journal.clone(), clock.clone(), ids.clone());
    let queue = Queue::new(journal.clone(), clock.clone(), ids);
    let observer = Observer::new(Parts {
        client: client(&place, &format!("observer-{number}")),
        journal: journal.clone(),
        directory: directory.clone(),
        clock: clock.clone(),
        holder,
        config: ObserveConfig {
            pending_every: Duration::from_millis(300),
            all_every: Duration::from_secs(1),
        },
        portals: vec![PORTAL.into()],
    })
    .with_timings(observe::Timings { ..AT_ONCE });
    let settings = Settings {
        // Longer than what other processes promise is left to wait: else that is never taken up.
        redecide_every: Duration::from_secs(3),
        ..Settings::default()
    };
    let reactor = Reactor::new(
        journal,
        directory.clone(),
        rules.clone(),
        queue.clone(),
        clock,
        settings,
    );
    let konnect = client(&place, &format!("{WORKER}{number}"));
    let worker = Worker::new(queue, directory, konnect, timings()).with_rules(rules);
    let stop = lifecycle.stopping();
    // As `app` starts them.
    reactor.call_off(&stop).await;
    tokio::join!(
        Box::pin(observer.run(lifecycle)),
        Box::pin(reactor.run(stop.clone())),
        Box::pin(worker.run(stop)),
    );
}

fn timings() -> Timings {
    Timings {
        probe_every: Duration::from_millis(100),
        attempt: ATTEMPT,
        lease: Duration::from_secs(3),
        poll: Duration::from_millis(100),
        backoff: Backoff {
            first: Duration::from_millis(40),
            longest: Duration::from_millis(400),
            attempts: 9,
            patience: Duration::from_hours(1),
        },
    }
}

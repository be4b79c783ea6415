//! What waits because Konnect refuses something: one logged error for each, metrics, and states
//! that others can watch. [`Refusals`] decides what follows.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::gauge;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tracing::{error, info};
use uuid::Uuid;

use crate::act::refusals::{Kind, Probe, RefusalChange, Refusals};
use crate::telemetry::metrics as names;

/// The roles that Konnect's documentation names for a deed; it names none for other deeds.
const ROLES: &[(&str, &str)] = &[
    ("approve_registration", REGISTRATIONS),
    ("reject_registration", REGISTRATIONS),
    ("revoke_registration", REGISTRATIONS),
];
const REGISTRATIONS: &str = "API Registration Approver and Portal Viewer";

/// A kind of deed that waits because a role is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forbidden {
    /// The deed and its portal.
    pub kind: Kind,
    /// Method and path template of the call that Konnect answers 403.
    pub call: String,
}

/// What waits. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Pause {
    refusals: Arc<Mutex<Refusals>>,
    paused: watch::Sender<bool>,
    forbidden: watch::Sender<Vec<Forbidden>>,
    doubt: Arc<Notify>,
    every: Duration,
}

impl Pause {
    /// Nothing waits yet; one deed of a forbidden kind is tried every `every`.
    pub(super) fn new(every: Duration) -> Self {
        gauge!(names::ACTIONS_PAUSED).set(0.0);
        Self {
            refusals: Arc::default(),
            paused: watch::Sender::new(false),
            forbidden: watch::Sender::new(Vec::new()),
            doubt: Arc::default(),
            every,
        }
    }

    /// Whether everything waits, to be watched.
    pub(super) fn watch(&self) -> watch::Receiver<bool> {
        self.paused.subscribe()
    }

    /// The kinds of deeds that wait, to be watched.
    pub(super) fn watch_forbidden(&self) -> watch::Receiver<Vec<Forbidden>> {
        self.forbidden.subscribe()
    }

    /// A call was answered 401.
    pub(super) fn unauthorized(&self) {
        self.change(|refusals| refusals.unauthorized().into_iter().collect());
    }

    /// A call of a deed was answered 403.
    pub(super) fn forbidden(&self, kind: Kind, call: &str) {
        let next_try = Instant::now() + self.every;
        self.change(|refusals| {
            if refusals.forbidden(kind, call, next_try) {
                self.doubt.notify_one();
            }
            Vec::new()
        });
    }

    /// A deed ended; `wrote` where Konnect accepted a write for it.
    pub(super) fn ended(&self, kind: Kind, action: Uuid, wrote: bool) {
        let now = Instant::now();
        self.change(|refusals| {
            let news = refusals.ended(kind, action, wrote, now);
            news.into_iter().collect()
        });
    }

    /// The result of a probe.
    pub(super) fn probed(&self, probe: Probe) {
        self.change(|refusals| refusals.probed(probe, Instant::now()));
    }

    /// Completes when a probe is needed at once.
    pub(super) async fn doubted(&self) {
        self.doubt.notified().await;
    }

    /// The kinds of deeds that wait.
    pub(super) fn blocked_kinds(&self) -> Vec<Kind> {
        self.lock().blocked_kinds()
    }

    /// The kinds of which one is to be tried now.
    pub(super) fn due(&self) -> Vec<Kind> {
        self.lock().due(Instant::now())
    }

    /// `action` is tried.
    pub(super) fn tries(&self, kind: Kind, action: Uuid) {
        self.lock().tries(kind, action, Instant::now(), self.every);
    }

    /// Nothing of a kind waits any more.
    pub(super) fn forget(&self, kind: Kind) {
        self.change(|refusals| {
            refusals.forget(kind);
            Vec::new()
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Refusals> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and reports the change to log, metrics and watchers.
    fn change(&self, change: impl FnOnce(&mut Refusals) -> Vec<RefusalChange>) {
        let mut refusals = self.lock();
        for news in change(&mut refusals) {
            report(&news, self.every);
        }
        let forbidden: Vec<Forbidden> = refusals
            .told()
            .into_iter()
            .map(|(kind, call)| Forbidden { kind, call })
            .collect();
        let is_paused = refusals.is_token_refused();
        gauge!(names::ACTIONS_PAUSED).set(f64::from(u8::from(is_paused)));
        self.forbidden.send_if_modified(|known| {
            let is_new = *known != forbidden;
            for ended in known.iter().filter(|one| !forbidden.contains(one)) {
                show(ended.kind, 0.0);
            }
            for one in &forbidden {
                show(one.kind, 1.0);
            }
            *known = forbidden;
            is_new
        });
        self.paused
            .send_if_modified(|paused| std::mem::replace(paused, is_paused) != is_paused);
    }
}

fn show(kind: Kind, value: f64) {
    let portal = kind.portal_id.to_string();
    gauge!(names::ACTIONS_FORBIDDEN, "deed" => kind.deed, "portal" => portal).set(value);
}

fn report(news: &RefusalChange, every: Duration) {
    match news {
        RefusalChange::TokenRefused => {
            error!("konnect refuses the token: all actions wait until it is accepted again");
        }
        RefusalChange::TokenAccepted => info!("konnect accepts the token: actions go on"),
        RefusalChange::Forbidden(Kind { deed, portal_id }, call) => {
            let role = ROLES.iter().find(|(of, _)| of == deed);
            error!(
                deed,
                portal.id = %portal_id,
                call,
                role = role.map(|(_, role)| role),
                "konnect forbids {deed} at this portal, the token may lack a role (see \
                 docs/guides/least-privilege.md): these actions wait and one is tried every {} s, \
                 the others go on",
                every.as_secs()
            );
        }
        RefusalChange::Allowed(Kind { deed, portal_id }) => {
            info!(deed, portal.id = %portal_id, "konnect allows {deed} again: these actions go on");
        }
    }
}

//! The controls of `/emulator` as methods, for tests that run the emulator in their own process.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    audit::DeliveryAttempt,
    delivery_faults::DeliveryFault,
    emulator::Emulator,
    error::EmulatorError,
    faults::Fault,
    history::MadeEntry,
    replay_faults::{ForeignJob, ReplayFault},
    request_log::{LoggedRequest, RequestFilter},
    rule::Scope,
    settings::{DeliverySettings, PullSettings},
    snapshot::SnapshotInfo,
    sso::{SsoSignIn, SsoSignedIn},
    workers,
};

impl Emulator {
    /// Makes objects as `POST /emulator/seed` does and returns them with their ids, section by
    /// section. What was made before a mistake stays. [`Seed::as_json`](crate::Seed::as_json) has
    /// those that come along.
    pub fn seed(&self, seed: &Value) -> Result<Value, EmulatorError> {
        self.engine.seed(seed).map_err(EmulatorError::Control)
    }

    /// Puts these faults in place of those in force.
    pub fn set_faults(&self, faults: impl IntoIterator<Item = Fault>) {
        let mut all = self.engine.faults();
        all.clear();
        all.add(faults);
    }

    /// Returns the journal of API requests, oldest first.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.engine.log().find(&RequestFilter::default())
    }

    /// Returns the requests of the journal that a filter wants, oldest first.
    pub fn requests_where(&self, filter: &RequestFilter) -> Vec<LoggedRequest> {
        self.engine.log().find(filter)
    }

    /// Forgets the journal.
    pub fn clear_requests(&self) {
        self.engine.log().clear();
    }

    /// Returns how deliveries are made.
    pub fn delivery_settings(&self) -> DeliverySettings {
        self.engine.world().audit.settings.clone()
    }

    /// Changes how deliveries are made.
    pub fn set_delivery_settings(&self, settings: &DeliverySettings) -> Result<(), EmulatorError> {
        let settings = settings
            .merged(&Map::new())
            .map_err(EmulatorError::Control)?;
        self.engine.world().audit.settings = settings;
        Ok(())
    }

    /// Changes how the pull API pages.
    pub fn set_pull_settings(&self, settings: &PullSettings) -> Result<(), EmulatorError> {
        let settings = settings
            .merged(&Map::new())
            .map_err(EmulatorError::Control)?;
        self.engine.world().audit.pull = settings;
        Ok(())
    }

    /// Returns all delivery attempts, oldest first.
    pub fn deliveries(&self) -> Vec<DeliveryAttempt> {
        self.engine.world().audit.attempts()
    }

    /// Puts these faults of deliveries in place of those in force.
    pub fn set_delivery_faults(
        &self,
        faults: impl IntoIterator<Item = DeliveryFault>,
    ) -> Result<(), EmulatorError> {
        self.engine
            .add_rules(|world| &mut world.audit.delivery_faults, true, faults)
            .map(drop)
            .map_err(EmulatorError::Control)
    }

    /// Returns the faults of deliveries in force, with what is left of their `times`.
    pub fn delivery_faults(&self) -> Vec<DeliveryFault> {
        self.engine.world().audit.delivery_faults.all()
    }

    /// Puts these faults of replay jobs in place of those in force.
    pub fn set_replay_faults(
        &self,
        faults: impl IntoIterator<Item = ReplayFault>,
    ) -> Result<(), EmulatorError> {
        self.engine
            .add_rules(|world| &mut world.audit.replay_faults, true, faults)
            .map(drop)
            .map_err(EmulatorError::Control)
    }

    /// Returns the faults of replay jobs in force, with what is left of their `times`.
    pub fn replay_faults(&self) -> Vec<ReplayFault> {
        self.engine.world().audit.replay_faults.all()
    }

    /// Starts a replay job as if somebody else had asked for it. Needs a webhook with a destination
    /// and no running job.
    pub fn start_foreign_job(&self, job: &ForeignJob) -> Result<(), EmulatorError> {
        self.engine
            .start_foreign_job(job)
            .map_err(EmulatorError::Control)?;
        workers::start_work(&self.engine);
        Ok(())
    }

    /// Lists the entries that were ever made, oldest first: all, or those of one source. The
    /// latest million is kept.
    pub fn entries(&self, portal: Option<Scope>) -> Vec<MadeEntry> {
        let source = portal.map(Scope::portal_id);
        self.engine.world().audit.history.made(source, 0)
    }

    /// Adds entries of a portal (or of the organisation), as if something had happened there.
    /// Members that a header needs are filled in; `rt` decides the time.
    pub fn inject(
        &self,
        portal: Option<Uuid>,
        entries: &[Map<String, Value>],
    ) -> Result<(), EmulatorError> {
        self.engine
            .inject(portal, entries)
            .map_err(EmulatorError::Control)?;
        workers::start_work(&self.engine);
        Ok(())
    }

    /// Signs a developer in as an identity provider does, with the groups that it names. Needs a
    /// portal with such a provider, enabled. Who is not there yet becomes a developer; the groups
    /// decide about teams where `idp_mapping_enabled` is on.
    pub fn sso_sign_in(&self, asked: &SsoSignIn) -> Result<SsoSignedIn, EmulatorError> {
        let signed_in = self
            .engine
            .sso_sign_in(asked)
            .map_err(EmulatorError::Control)?;
        workers::start_work(&self.engine);
        Ok(signed_in)
    }

    /// Signs with a new key from now on; the older keys stay published. Returns the new key's id.
    pub fn add_signing_key(&self) -> String {
        self.engine.rotate_keys(false)
    }

    /// Signs with a new key from now on and publishes no other. Returns the new key's id.
    pub fn replace_signing_keys(&self) -> String {
        self.engine.rotate_keys(true)
    }

    /// Moves the emulator's clock to `offset_seconds` away from the system's.
    pub fn set_clock_offset(&self, offset_seconds: i64) {
        self.engine.clock.set_offset(offset_seconds);
    }

    /// Moves the emulator's clock by `seconds` from where it is.
    pub fn advance_clock(&self, seconds: i64) {
        self.engine.clock.advance(seconds);
    }

    /// Sets the emulator's clock. A clock that stands still goes on standing.
    pub fn set_clock(&self, at: DateTime<Utc>) {
        self.engine.clock.set(at);
    }

    /// Stops the emulator's clock where it is.
    pub fn freeze_clock(&self) {
        self.engine.clock.freeze();
    }

    /// Lets the emulator's clock run on from where it is.
    pub fn run_clock(&self) {
        self.engine.clock.run();
    }

    /// Returns the emulator's present.
    pub fn now(&self) -> DateTime<Utc> {
        self.engine.clock.now()
    }

    /// Takes a snapshot of everything but the journal of requests: objects, accounts, webhooks,
    /// audit entries, settings, faults and the clock. One of the same name is replaced.
    ///
    /// A name is of letters, digits, `-`, `_` and `.`. At most 32 snapshots are kept.
    pub fn take_snapshot(&self, name: &str) -> Result<SnapshotInfo, EmulatorError> {
        self.engine
            .take_snapshot(name)
            .map_err(EmulatorError::Control)
    }

    /// Puts everything back as it was when the snapshot was taken; the snapshot stays. Entries that
    /// waited for their delivery then are delivered, replay jobs that had not ended begin anew.
    pub fn restore(&self, name: &str) -> Result<(), EmulatorError> {
        self.engine.restore(name).map_err(EmulatorError::Control)?;
        workers::start_work(&self.engine);
        Ok(())
    }

    /// Lists the snapshots by name.
    pub fn snapshots(&self) -> Vec<SnapshotInfo> {
        self.engine.snapshots().list()
    }

    /// Drops a snapshot; `false` if there is none of the name.
    pub fn drop_snapshot(&self, name: &str) -> bool {
        self.engine.snapshots().drop_one(name)
    }
}

//! What the test knows for itself: who there is, which rules were in force where and when, what
//! people said.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::model::rules::{Gift, Name, Rules, givers};

/// A rule that is taken out of an instance is still its own in hand for so long: what was claimed
/// is carried out by the rules of its claim.
const IN_HAND: TimeDelta = TimeDelta::seconds(3);
/// An instance that is gone is believed to run for 20 s, and looked for every 5 s (ADR 25): others
/// carry out what it planned meanwhile.
const INHERITED: TimeDelta = TimeDelta::seconds(26);

/// Somebody who signed up.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) id: Uuid,
    pub(super) domain: &'static str,
    pub(super) is_friend: bool,
    pub(super) signed_up_at: DateTime<Utc>,
}

/// A registration that was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) id: Uuid,
    pub(super) application: Uuid,
    /// Whether it is for the API that a rule gives away.
    pub(super) is_for_fixtures: bool,
}

/// Rules in force in one instance.
#[derive(Debug, Clone)]
pub(super) struct Regime {
    pub(super) instance: u32,
    pub(super) rules: Rules,
    pub(super) from: DateTime<Utc>,
    pub(super) until: Option<DateTime<Utc>>,
    /// Whether the instance ended with it.
    pub(super) is_last: bool,
}

/// A person's no.
#[derive(Debug, Clone)]
struct Veto {
    gift: Gift,
    from: usize,
    until: Option<usize>,
}

/// Somebody who left the company, as an IAM system told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaving {
    pub(super) person: Uuid,
    pub(super) at: DateTime<Utc>,
    /// How many requests Konnect had answered then.
    pub(super) place: usize,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) people: BTreeMap<Uuid, Person>,
    /// Applications, and who owned them first, with the place from which on they are there.
    pub(super) applications: BTreeMap<Uuid, (Uuid, usize)>,
    /// Registrations, with the place from which on they are there.
    pub(super) requests: BTreeMap<Uuid, (Request, usize)>,
    pub(super) regimes: Vec<Regime>,
    vetoes: Vec<Veto>,
    let_through: Vec<(Uuid, usize)>,
    pub(super) leavings: Vec<Leaving>,
    /// When a person let nothing be done.
    pauses: Vec<(DateTime<Utc>, Option<DateTime<Utc>>)>,
    /// Whose loss of access a person called off.
    pub(super) spared: Vec<Uuid>,
    /// What happened, for whoever reads of a failure.
    pub(super) story: Vec<String>,
}

impl World {
    /// Rules are in force in an instance from now on, instead of those of before.
    pub(super) fn governs(&mut self, instance: u32, rules: &Rules, now: DateTime<Utc>) {
        self.ends(instance, now, false);
        self.regimes.push(Regime {
            instance,
            rules: rules.clone(),
            from: now,
            until: None,
            is_last: false,
        });
    }

    /// An instance ends, or its rules do.
    pub(super) fn ends(&mut self, instance: u32, now: DateTime<Utc>, is_last: bool) {
        let mut regimes = self.regimes.iter_mut();
        let current = regimes.find(|one| one.instance == instance && one.until.is_none());
        if let Some(regime) = current {
            regime.until = Some(now);
            regime.is_last = is_last;
        }
    }

    /// A person lets nothing be done from now on.
    pub(super) fn pauses(&mut self, now: DateTime<Utc>) {
        self.pauses.push((now, None));
    }

    /// And goes on.
    pub(super) fn resumes(&mut self, now: DateTime<Utc>) {
        if let Some((_, until)) = self.pauses.last_mut() {
            until.get_or_insert(now);
        }
    }

    /// Whether nothing was to be done, and what was in hand before is over.
    pub(super) fn is_paused(&self, at: DateTime<Utc>) -> bool {
        let mut pauses = self.pauses.iter();
        pauses.any(|(from, until)| *from + IN_HAND < at && until.is_none_or(|until| at < until))
    }

    /// How many deeds the clubs may start within the walk that goes on to `at`, and since when that
    /// is so; none where they may start any number.
    pub(super) fn limit(&self, at: DateTime<Utc>) -> Option<(u32, DateTime<Utc>)> {
        let ends = |one: &Regime| one.until.map_or(at, |until| until + INHERITED);
        let free = self
            .regimes
            .iter()
            .filter(|one| one.rules.limit() == 0 && one.from <= at);
        // What was decided without a limit may be in hand for a while.
        let since = free.map(ends).max().unwrap_or(DateTime::UNIX_EPOCH) + IN_HAND;
        let ruling = self.regimes.iter();
        let ruling = ruling.filter(|one| one.from <= at && ends(one) >= since);
        let limit = ruling.map(|one| one.rules.limit()).max()?;
        (limit > 0 && since < at).then_some((limit, since))
    }

    /// A person says no from `place` on.
    pub(super) fn vetoed(&mut self, gift: Gift, place: usize) {
        if !self.is_vetoed(gift, place) {
            self.vetoes.push(Veto {
                gift,
                from: place,
                until: None,
            });
        }
    }

    /// A person takes it back.
    pub(super) fn lifted(&mut self, gift: Gift, place: usize) {
        let mut vetoes = self.vetoes.iter_mut();
        if let Some(veto) = vetoes.find(|one| one.gift == gift && one.until.is_none()) {
            veto.until = Some(place);
        }
    }

    /// Whether a no held when so many requests were answered.
    pub(super) fn is_vetoed(&self, gift: Gift, place: usize) -> bool {
        self.vetoes.iter().any(|one| {
            one.gift == gift && one.from <= place && one.until.is_none_or(|until| place < until)
        })
    }

    /// Whether anybody ever said no to it.
    pub(super) fn was_ever_vetoed(&self, gift: Gift) -> bool {
        self.vetoes.iter().any(|one| one.gift == gift)
    }

    /// A person lets something be done for this target, whatever the rules say.
    pub(super) fn lets_through(&mut self, target: Uuid, place: usize) {
        self.let_through.push((target, place));
    }

    /// Whether a person let it through before.
    pub(super) fn is_let_through(&self, target: Uuid, place: usize) -> bool {
        let mut all = self.let_through.iter();
        all.any(|(known, since)| *known == target && *since <= place)
    }

    /// Whether a rule, as it was somewhere in force, gave this to `person` at `at`, when `instance`
    /// wrote. With it, whether that instance must have asked its rules once more.
    pub(super) fn entitlement(
        &self,
        gift: Gift,
        person: &Person,
        (instance, at): (u32, DateTime<Utc>),
    ) -> Entitlement {
        let begin = at - IN_HAND;
        let mut found = Entitlement::None;
        for name in givers(gift) {
            let mut own = self.regimes.iter().filter(|one| {
                one.instance == instance && one.from <= at && one.until.is_none_or(|it| it >= begin)
            });
            if own.clone().any(|one| one.rules.likes(*name, gift, person)) {
                found = found.max(Entitlement::Judged);
            }
            // What this instance does not have live it carries out as another decided (ADR 32).
            let is_foreign = own.any(|one| !one.rules.is_live(*name));
            if is_foreign
                && self
                    .others(instance, begin, at)
                    .any(|one| one.rules.likes(*name, gift, person))
            {
                return Entitlement::Foreign;
            }
        }
        found
    }

    fn others(
        &self,
        instance: u32,
        begin: DateTime<Utc>,
        at: DateTime<Utc>,
    ) -> impl Iterator<Item = &Regime> {
        self.regimes.iter().filter(move |one| {
            let grace = if one.is_last {
                INHERITED
            } else {
                TimeDelta::zero()
            };
            one.instance != instance
                && one.from <= at
                && one.until.is_none_or(|until| until + grace >= begin)
        })
    }

    /// Whether the rules of every instance satisfied `test` all the time since `since`.
    pub(super) fn always(&self, since: DateTime<Utc>, test: impl Fn(&Rules) -> bool) -> bool {
        let mut ruling = self.regimes.iter();
        ruling.all(|one| one.until.is_some_and(|until| until < since) || test(&one.rules))
    }

    /// Whether a rule was live somewhere lately.
    pub(super) fn was_live(&self, name: Name, at: DateTime<Utc>) -> bool {
        let mut ruling = self.regimes.iter();
        ruling.any(|one| {
            one.rules.is_live(name)
                && one.from <= at
                && one.until.is_none_or(|until| until + INHERITED >= at)
        })
    }
}

/// What the rules say of a gift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Entitlement {
    /// No rule gave it.
    None,
    /// A rule of the instance that wrote gave it, and was to be asked again.
    Judged,
    /// A rule of another instance gave it.
    Foreign,
}

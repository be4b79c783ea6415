//! The rules of a walk, written for usher and, beside that, by hand in plain code: the model asks
//! usher nothing.

use std::collections::BTreeSet;

use rand::RngExt;
use rand::rngs::StdRng;
use uuid::Uuid;

use crate::model::world::Person;

/// Whom a list may name; the last one never is.
pub(super) const DOMAINS: [&str; 4] = [
    "arsenal.com",
    "manchestercity.com",
    "liverpoolfc.com",
    "gmail.com",
];
/// What the address of a friend begins with.
pub(super) const FRIEND: &str = "friend";
/// What an IAM system tells of whoever leaves.
pub(super) const LEFT: &str = "hr.left";

/// Something that gives access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Gift {
    /// A developer is approved.
    Approve(Uuid),
    /// A developer becomes a partner.
    Join(Uuid),
    /// A registration is approved.
    Grant(Uuid),
}

impl Gift {
    /// To whom or what.
    pub(super) fn target(self) -> Uuid {
        match self {
            Self::Approve(id) | Self::Join(id) | Self::Grant(id) => id,
        }
    }

    /// The word for the deed.
    pub(super) fn deed(self) -> &'static str {
        match self {
            Self::Approve(_) => "approve_developer",
            Self::Join(_) => "add_to_team",
            Self::Grant(_) => "approve_registration",
        }
    }
}

/// The rules of the file, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    /// Listed domains are approved, and join the partners.
    Clubs,
    /// Friends are approved.
    Friends,
    /// Partners get the Fixtures API.
    Fixtures,
    /// Whoever leaves the company is revoked.
    Leavers,
    /// Whoever was revoked by hand is cut off.
    ShownOut,
}

impl Name {
    const ALL: [Self; 5] = [
        Self::Clubs,
        Self::Friends,
        Self::Fixtures,
        Self::Leavers,
        Self::ShownOut,
    ];
}

/// A rules file: each rule is live, or in shadow, or off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rules {
    modes: [&'static str; 5],
    pub(super) domains: BTreeSet<&'static str>,
    /// Deeds of the clubs an hour, and what becomes of the rest.
    limit: u32,
    on_limit: &'static str,
}

impl Rules {
    /// Everything live, without a limit.
    pub(super) fn first() -> Self {
        Self {
            modes: ["live"; 5],
            domains: DOMAINS[..2].iter().copied().collect(),
            limit: 0,
            on_limit: "delay",
        }
    }

    /// The same without a limit, and with what takes access away live: so a walk ends.
    pub(super) fn last(&self) -> Self {
        let mut last = self.clone();
        last.limit = 0;
        for taking in [Name::Leavers, Name::ShownOut] {
            last.modes[taking as usize] = "live";
        }
        last
    }

    /// One thing is different.
    pub(super) fn edit(&mut self, rng: &mut StdRng) -> String {
        match rng.random_range(0..10) {
            0..5 => {
                let domain = DOMAINS[rng.random_range(0..3)];
                if self.domains.remove(domain) {
                    format!("{domain} is taken off the list")
                } else {
                    self.domains.insert(domain);
                    format!("{domain} is listed")
                }
            }
            5..8 => {
                let name = Name::ALL[rng.random_range(0..5)];
                let mode = ["live", "live", "shadow", "off"][rng.random_range(0..4)];
                self.modes[name as usize] = mode;
                format!("{name:?} is {mode}")
            }
            _ => {
                self.limit = [0, 1, 3][rng.random_range(0..3)];
                self.on_limit = ["delay", "park"][rng.random_range(0..2)];
                format!("the limit is {} ({})", self.limit, self.on_limit)
            }
        }
    }

    /// As usher reads them.
    pub(super) fn yaml(&self) -> String {
        let [clubs, friends, fixtures, leavers, shown_out] = self.modes;
        let (limit, on_limit) = (self.limit, self.on_limit);
        let domains: Vec<&str> = self.domains.iter().copied().collect();
        let domains = domains.join(", ");
        format!(
            r#"version: 1
lists:
  partners: [{domains}]
rules:
  - name: clubs
    on: developer.signed_up
    when: developer.status == "pending" && domain(developer.email) in lists.partners
    then: [approve_developer, {{add_to_team: Partners}}]
    mode: {clubs}
    limit_per_hour: {limit}
    on_limit: {on_limit}
  - name: friends
    on: developer.signed_up
    when: developer.status == "pending" && developer.email.startsWith("{FRIEND}")
    then: [approve_developer]
    mode: {friends}
    limit_per_hour: 0
  - name: fixtures
    on: registration.requested
    when: >-
      registration.api.name == "Fixtures" && developer.status == "approved"
      && developer.teams.exists(t, t.name == "Partners")
    then: [approve_registration]
    mode: {fixtures}
    limit_per_hour: 0
  - name: leavers
    on: custom.{LEFT}
    then: [revoke_developer]
    mode: {leavers}
    limit_per_hour: 0
  - name: shown-out
    on: developer.status_changed
    when: developer.status == "revoked"
    then: [revoke_developer]
    mode: {shown_out}
    limit_per_hour: 0
"#
        )
    }

    /// How many deeds of the clubs may start in an hour; 0 means any number.
    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    /// Whether a rule acts.
    pub(super) fn is_live(&self, name: Name) -> bool {
        self.modes[name as usize] == "live"
    }

    /// Whether a rule, if it is live, gives this to this person as far as they themselves are
    /// concerned.
    pub(super) fn likes(&self, name: Name, gift: Gift, person: &Person) -> bool {
        self.is_live(name)
            && match (name, gift) {
                (Name::Clubs, Gift::Approve(_) | Gift::Join(_)) => {
                    self.domains.contains(person.domain)
                }
                (Name::Friends, Gift::Approve(_)) => person.is_friend,
                (Name::Fixtures, Gift::Grant(_)) => true,
                _ => false,
            }
    }
}

/// The rules that may give this.
pub(super) fn givers(gift: Gift) -> &'static [Name] {
    match gift {
        Gift::Approve(_) => &[Name::Clubs, Name::Friends],
        Gift::Join(_) => &[Name::Clubs],
        Gift::Grant(_) => &[Name::Fixtures],
    }
}

//! Rules: load a rules file, check it, decide by it. Must not use I/O, the clock or randomness:
//! everything a decision needs is passed in as [`Facts`].
//!
#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod caps;
mod check;
mod condition;
mod cost;
mod decide;
mod deed;
mod deed_form;
mod domain;
mod explain;
mod facts;
mod freemail;
mod functions;
mod lenient;
mod literals;
mod load;
mod mistake;
mod named_facts;
mod node;
mod offsets;
mod operations;
mod reader;
mod receivers;
mod schema;
mod trace;
mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use cel::Context;
use uuid::Uuid;

pub use condition::Condition;
pub use decide::{Decision, Outcome, Planned, decide};
pub use deed::{Deed, NoticeFormat, TargetKind, TeamRef};
pub use explain::{Explanation, explain};
pub use facts::{
    ApiFacts, ApplicationFacts, DeveloperFacts, Facts, MAX_FACT_MEMBERS, OwnedApplicationFacts,
    OwnerFacts, PortalFacts, RegistrationFacts, SignalFacts, TeamFacts,
};
pub use load::load;
pub use mistake::Mistake;
pub use receivers::receivers;
pub use trace::{NamedValue, Trace};

/// What stands for a rule's name where a person asked for a deed. No rule can have this name.
pub const BY_HAND: &str = "(by hand)";

/// The rules of one file, checked and ready to decide.
pub struct RuleSet {
    rules: Vec<Rule>,
    lists: BTreeMap<String, Vec<String>>,
    warnings: Vec<Mistake>,
    /// Identifies the file; none where there is no file.
    fingerprint: Option<String>,
    /// Functions and lists, shared by all evaluations: building one costs far more than a rule.
    context: Context<'static, 'static>,
}

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// Unique in its file.
    pub name: String,
    /// The kind of signal that it is on.
    pub on: String,
    /// The condition; a rule without one always matches.
    pub when: Option<Condition>,
    /// What to do, in order.
    pub then: Vec<Deed>,
    /// Whether it acts.
    pub mode: Mode,
    /// How many of its deeds may run in an hour; 0 means any number.
    pub limit_per_hour: u32,
    /// What happens to deeds over the limit.
    pub on_limit: OnLimit,
    /// How old a hint or an event may be for the rule to apply.
    pub max_age: Duration,
    /// Higher decides first.
    pub priority: i64,
    /// The portals that it is for; `None` means all.
    pub portals: Option<Vec<Uuid>>,
    /// Whether it also applies to what usher itself or Konnect did.
    pub include_own: bool,
}

/// Whether a rule acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// It acts.
    #[default]
    Live,
    /// It is decided and reported, but neither acts nor takes part in conflicts.
    Shadow,
    /// It is not even decided.
    Off,
}

/// What happens to deeds over a rule's `limit_per_hour`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnLimit {
    /// They wait.
    #[default]
    Delay,
    /// They are left to a human.
    Park,
}

impl Rule {
    /// Whether its condition spells a word anywhere.
    pub fn spells(&self, word: &str) -> bool {
        let when = self.when.as_ref();
        when.is_some_and(|when| when.text().contains(word))
    }

    /// Whether its condition may ask for somebody's name or address.
    pub(crate) fn asks_who(&self) -> bool {
        let of_the_owner = self.spells("owner") && self.spells("name");
        self.spells("email") || self.spells("full_name") || of_the_owner
    }
}

impl RuleSet {
    /// Whether the condition of a rule of this name asks for a status.
    pub fn asks_about_status(&self, rule: &str) -> bool {
        let mut rules = self.rules().iter();
        rules.any(|known| known.name == rule && known.spells("status"))
    }

    /// All rules, in decision order: by priority, then as in the file.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The lists of the file, domains in the form that `domain()` gives.
    pub fn lists(&self) -> &BTreeMap<String, Vec<String>> {
        &self.lists
    }

    /// What can be meant and is risky, in the order of the file.
    pub fn warnings(&self) -> &[Mistake] {
        &self.warnings
    }

    /// Identifies these rules among those of other files; none where they are of no file.
    pub fn fingerprint(&self) -> Option<&str> {
        self.fingerprint.as_deref()
    }

    /// The kinds of signals that its rules are on.
    pub fn signals(&self) -> impl Iterator<Item = &str> {
        let heard = self.rules.iter().filter(|rule| rule.mode != Mode::Off);
        heard.map(|rule| rule.on.as_str())
    }

    /// Whether the rule of this name is on a signal about usher itself.
    pub fn is_about_usher(&self, name: &str) -> bool {
        let mut named = self.rules.iter().filter(|rule| rule.name == name);
        named.any(|rule| schema::is_operation(&rule.on))
    }

    /// The rules on a kind of signal that are not off, in decision order.
    pub fn listening_to<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Rule> {
        self.rules
            .iter()
            .filter(move |rule| rule.on == kind && rule.mode != Mode::Off)
    }
}

impl RuleSet {
    /// The oldest event that may still be the evidence of a decision.
    pub fn longest_max_age(&self) -> Option<Duration> {
        self.rules
            .iter()
            .filter(|rule| rule.mode != Mode::Off && schema::is_event_alone(&rule.on))
            .map(|rule| rule.max_age)
            .max()
    }
}

impl Mode {
    /// The word for this mode in rules files, tables and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Shadow => "shadow",
            Self::Off => "off",
        }
    }
}

impl OnLimit {
    /// The word for this choice in rules files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Delay => "delay",
            Self::Park => "park",
        }
    }
}

impl fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleSet")
            .field("rules", &self.rules)
            .field("lists", &self.lists)
            .finish_non_exhaustive()
    }
}

//! Rules that hold for the next so many things of their kind, by chance if wanted: what the faults
//! of deliveries and those of replay jobs share. It decides; others carry out.

use std::{fmt, str::FromStr};

use rand::{RngExt as _, SeedableRng as _, rngs::Xoshiro256PlusPlus as Chance};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Whose entries, webhook or job: the organisation's or a portal's. In JSON and in queries `org`,
/// or the portal's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Scope {
    /// The organisation's.
    Org,
    /// A portal's, by its id.
    Portal(Uuid),
}

impl Scope {
    /// Returns the portal's id, none for the organisation.
    pub fn portal_id(self) -> Option<Uuid> {
        match self {
            Self::Org => None,
            Self::Portal(id) => Some(id),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Org => formatter.write_str("org"),
            Self::Portal(id) => id.fmt(formatter),
        }
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "org" {
            return Ok(Self::Org);
        }
        Uuid::try_parse(text)
            .map(Self::Portal)
            .map_err(|_| format!("portal is `org` or the id of a portal, not `{text}`"))
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

impl TryFrom<String> for Scope {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// What a rule holds for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct When {
    /// Any source if absent.
    pub(crate) portal: Option<Scope>,
    /// How many are left; all if absent.
    pub(crate) times: Option<u64>,
    /// Which part of those that fit; all if absent.
    pub(crate) share: Option<f64>,
    /// Where the chances start.
    pub(crate) seed: Option<u64>,
}

/// A rule: when it holds, and what is wrong with it.
pub(crate) trait Rule: Clone {
    /// Returns what it holds for.
    fn when(&self) -> When;

    /// Notes how many are left.
    fn set_times(&mut self, times: u64);

    /// Returns whether its effect is left to chance.
    fn is_random(&self) -> bool {
        false
    }

    /// Returns what is wrong with its effect.
    fn check_effect(&self) -> Result<(), String>;

    /// Returns what is wrong with it.
    fn check(&self) -> Result<(), String> {
        let when = self.when();
        if when.times == Some(0) {
            return Err("times is at least 1; leave it out for a rule without end".to_owned());
        }
        if when
            .share
            .is_some_and(|share| !(0.0..=1.0).contains(&share))
        {
            return Err("share is between 0 and 1".to_owned());
        }
        if when.seed.is_some() && when.share.is_none() && !self.is_random() {
            return Err("seed goes with share: without it nothing is left to chance".to_owned());
        }
        self.check_effect()
    }
}

#[derive(Debug, Clone)]
struct InForce<R> {
    rule: R,
    chance: Chance,
}

/// The rules in force, oldest first.
#[derive(Debug, Clone)]
pub(crate) struct Rules<R>(Vec<InForce<R>>);

impl<R> Default for Rules<R> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<R: Rule> Rules<R> {
    /// Adds rules after those in force. They have been checked.
    pub(crate) fn add(&mut self, rules: impl IntoIterator<Item = R>) {
        self.0.extend(rules.into_iter().map(|rule| {
            let seed = rule.when().seed.unwrap_or_else(rand::random);
            InForce {
                rule,
                chance: Chance::seed_from_u64(seed),
            }
        }));
    }

    /// Takes all rules back.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Returns the rules with what is left of their `times`.
    pub(crate) fn all(&self) -> Vec<R> {
        self.0.iter().map(|held| held.rule.clone()).collect()
    }

    /// Takes the first rule that holds, counting it; also its chances, for what is random in its
    /// effect. A rule that chance spares meets nothing, and does not count.
    pub(crate) fn take(
        &mut self,
        source: Option<Uuid>,
        fits: impl Fn(&R) -> bool,
    ) -> Option<(R, &mut Chance)> {
        let held = self.0.iter_mut().find_map(|held| {
            let when = held.rule.when();
            let holds = when.times != Some(0)
                && when.portal.is_none_or(|scope| scope.portal_id() == source)
                && fits(&held.rule)
                && when
                    .share
                    .is_none_or(|share| held.chance.random::<f64>() < share);
            holds.then_some(held)
        })?;
        if let Some(times) = held.rule.when().times {
            held.rule.set_times(times - 1);
        }
        Some((held.rule.clone(), &mut held.chance))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Default)]
    struct Named(&'static str, When);

    impl Rule for Named {
        fn when(&self) -> When {
            self.1
        }

        fn set_times(&mut self, times: u64) {
            self.1.times = Some(times);
        }

        fn check_effect(&self) -> Result<(), String> {
            Ok(())
        }
    }

    fn taken(rules: &mut Rules<Named>, source: Option<Uuid>) -> &'static str {
        rules.take(source, |_| true).map_or("-", |(rule, _)| rule.0)
    }

    #[test]
    fn the_first_rule_of_the_source_holds_until_it_is_used_up() {
        let portal = Uuid::max();
        let twice = When {
            times: Some(2),
            portal: Some(Scope::Portal(portal)),
            ..When::default()
        };
        let org = When {
            portal: Some(Scope::Org),
            ..When::default()
        };
        let mut rules = Rules::default();
        rules.add([Named("twice", twice), Named("org", org)]);
        let met = [Some(portal), None, Some(portal), Some(portal), None];
        let met = met.map(|source| taken(&mut rules, source));
        assert_eq!(met, ["twice", "org", "twice", "-", "org"]);
        assert_eq!(rules.all()[0].1.times, Some(0));
    }

    #[test]
    fn a_seed_repeats_the_same_chances_and_another_does_not() {
        let draw = |seed: u64| {
            let mut rules = Rules::default();
            let when = When {
                share: Some(0.5),
                seed: Some(seed),
                ..When::default()
            };
            rules.add([Named("x", when)]);
            (0..64)
                .map(|_| taken(&mut rules, None))
                .collect::<Vec<_>>()
                .concat()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert!((10..54).contains(&draw(7).matches('x').count()));
    }

    #[test]
    fn says_what_is_wrong_with_a_rule() {
        let cases = [
            (Some(0), None, None, "times"),
            (None, Some(1.5), None, "share"),
            (None, Some(f64::NAN), None, "share"),
            (None, None, Some(1), "seed"),
        ];
        for (times, share, seed, word) in cases {
            let when = When {
                times,
                share,
                seed,
                portal: None,
            };
            let reason = Named("x", when).check().unwrap_err();
            assert!(reason.contains(word), "{reason}");
        }
        assert!("porta".parse::<Scope>().unwrap_err().contains("`porta`"));
    }
}

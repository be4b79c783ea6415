//! What an emulator can be filled with: a seed of the caller's own, or one of those that come along
//! under a name.

use serde_json::Value;

const DEMO: &str = include_str!("../seeds/demo.json");
const LARGE: &str = include_str!("../seeds/large.json");

/// The seeds that come along, by name.
const NAMED: [(&str, &str); 2] = [("demo", DEMO), ("large", LARGE)];

/// Objects to make at once, as `POST /emulator/seed` takes them: sections with lists of objects.
#[derive(Debug, Clone, PartialEq)]
pub struct Seed(Value);

impl Seed {
    /// A portal with 3 APIs, 3 teams, 12 developers in all statuses, 6 applications and 9
    /// registrations. Its ids are the same each time; its approved developers sign in with
    /// `demo-password`.
    pub fn demo() -> Self {
        Self::read(DEMO)
    }

    /// A portal with 10 teams and 200,000 developers.
    pub fn large() -> Self {
        Self::read(LARGE)
    }

    /// Returns a seed by its name: `demo` or `large`.
    pub fn named(name: &str) -> Option<Self> {
        let (_, text) = NAMED.iter().find(|(known, _)| *known == name)?;
        Some(Self::read(text))
    }

    fn read(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap_or_default())
    }

    /// Lists the names of the seeds that come along.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMED.iter().map(|(name, _)| *name)
    }

    /// Returns the seed as JSON.
    pub fn as_json(&self) -> &Value {
        &self.0
    }
}

impl From<Value> for Seed {
    fn from(seed: Value) -> Self {
        Self(seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_that_comes_along_is_json() {
        for name in Seed::names() {
            let seed = Seed::named(name).unwrap();
            assert!(seed.as_json()["portals"].is_array(), "{name}");
        }
        assert_eq!(Seed::named("none"), None);
    }
}

//! What axe-core finds on a page: whether people who see or point badly can use it.

use std::fmt;
use std::fs;

use serde::Deserialize;

use crate::support::browser::page::Page;
use crate::support::environment;

/// Runs in the page behind axe's own text. `preload` would ask the network for style sheets.
const RUN: &str = "axe.run(document, { resultTypes: ['violations'], preload: false })
    .then(found => found.violations.map(it => ({
        rule: it.id,
        impact: it.impact ?? 'unknown',
        help: it.help,
        selectors: it.nodes.map(node => node.target.flat(2).join(' ')),
        reasons: it.nodes.map(node => node.failureSummary.replace(/\\s+/g, ' ')),
    })))";

/// A rule of axe's that a page breaks.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Violation {
    pub(crate) rule: String,
    /// Minor, moderate, serious or critical.
    pub(crate) impact: String,
    pub(crate) help: String,
    /// The elements that break it.
    pub(crate) selectors: Vec<String>,
    /// For each of them, what would mend it.
    pub(crate) reasons: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.rule, self.impact, self.help)?;
        for (selector, reason) in self.selectors.iter().zip(&self.reasons) {
            write!(f, "\n  {selector}: {reason}")?;
        }
        Ok(())
    }
}

impl Page {
    /// What axe finds on the page as it is now and calls serious or critical. The page's policy
    /// does not keep it out, and it leaves no error behind; the page's own scripts must be on.
    pub(crate) async fn axe(&self) -> Vec<Violation> {
        let path = environment::axe();
        let axe =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        // Its text ends with the value of nothing that JSON could hold.
        self.evaluate(&format!("{axe}\n;0")).await;
        let found = self.evaluate(RUN).await;
        let found: Vec<Violation> = serde_json::from_value(found).expect("as asked for");
        found
            .into_iter()
            .filter(|it| matches!(it.impact.as_str(), "serious" | "critical"))
            .collect()
    }

    /// Fails with what axe finds serious or critical.
    pub(crate) async fn is_accessible(&self) {
        let found: Vec<String> = self.axe().await.iter().map(Violation::to_string).collect();
        let url = self.url().await;
        assert!(found.is_empty(), "axe on {url}:\n{}", found.join("\n"));
    }
}

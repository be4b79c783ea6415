//! The rules file as usher last read it, for people who look at it. The reloader keeps it up to
//! date; this knows no file system.

use std::fmt;

use crate::rules::Mistake;

/// The rules file as usher last read it.
#[derive(Clone, Default)]
pub struct RulesFile {
    /// Its path; none where no file is configured.
    pub path: Option<String>,
    /// What was last read from it. It contains addresses of receivers, which are secret.
    pub text: String,
    /// Why it could not be read the last time, if it could not.
    pub unreadable: Option<String>,
    /// Its mistakes. While there are some, the rules of before are in force.
    pub mistakes: Vec<Mistake>,
}

impl fmt::Debug for RulesFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RulesFile")
            .field("path", &self.path)
            .field("mistakes", &self.mistakes.len())
            .finish_non_exhaustive()
    }
}

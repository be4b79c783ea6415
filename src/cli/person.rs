//! Who acts, for the journal: as they name themselves, else the user of the system.

use std::fs;

use clap::Args;

use crate::act::Person;
use crate::cli::CliError;

/// Who does it, and why.
#[derive(Debug, Args)]
pub(super) struct PersonArgs {
    /// Who does this, for the record [default: the user of the system]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl PersonArgs {
    pub(super) fn person(&self) -> Result<Person, CliError> {
        let name = self.by.clone().unwrap_or_else(system_user);
        let of = |option: &str, error| CliError::Usage(format!("{option}: {error}"));
        Person::new(&name, None).map_err(|error| of("--by", error))?;
        Person::new(&name, self.reason.as_deref()).map_err(|error| of("--reason", error))
    }
}

/// The name of this process's user, else their number. Not from the environment, where anybody may
/// write any name.
pub(super) fn system_user() -> String {
    let uid = rustix::process::getuid().as_raw().to_string();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_of(&uid, &users).unwrap_or_else(|| format!("uid {uid}"))
}

fn name_of(uid: &str, users: &str) -> Option<String> {
    users.lines().find_map(|line| {
        let mut parts = line.split(':');
        let name = parts.next()?;
        (parts.nth(1)? == uid && !name.is_empty()).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::name_of;

    #[test]
    fn finds_the_name_of_a_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nada:x:1000:1000::/home/ada:\n";
        assert_eq!(name_of("1000", users).as_deref(), Some("ada"));
        assert_eq!(name_of("0", users).as_deref(), Some("root"));
        assert_eq!(name_of("7", users), None);
    }
}

//! What to do about a part that does not work: one sentence for each part that reports its
//! condition. `docs/operations/health.md` says more.

/// Each part, or the beginning of the names of several, with what to do about it.
const ADVICE: [(&str, &str); 13] = [
    (
        "database",
        "Start or mend the Postgres that database.url names; deliveries are spooled or refused until it answers.",
    ),
    (
        "spool",
        "Make room on the disk of spool.dir; what waits there is stored once the database answers, and files that end in .bad are left to you.",
    ),
    (
        "kafka",
        "Mend Kafka, or what kafka.brokers and kafka.options say of it; events wait in the outbox and none is lost.",
    ),
    (
        "forward-",
        "Mend the endpoint, or its section forward in usher.toml; its entries wait and none is lost.",
    ),
    (
        "konnect",
        "Give usher a token with the roles that the reason names, or wait where Konnect is away; usher tries again by itself.",
    ),
    (
        "backfill",
        "See the page of coverage: which webhook does not deliver, what is missing, and until when Konnect still has it.",
    ),
    (
        "react",
        "Grant usher's database user the right that is missing; where it is behind, give the database more room to work. Events wait and none is lost.",
    ),
    (
        "rules",
        "Run usher rules check on the rules file and mend what it names; the rules of before are in force until then.",
    ),
    (
        "actions",
        "Ask whoever paused them, then resume with usher actions resume or on the page of actions.",
    ),
    (
        "readers",
        "Configure the reader again on an instance if it is still wanted; else usher retires it by itself.",
    ),
    (
        "clock",
        "Set the clock of this machine by NTP, or that of the database's machine.",
    ),
    (
        "replica",
        "Mend the replica that database.read_url names; the primary answers meanwhile.",
    ),
    (
        "report",
        "See the reason and the log; counts go on by themselves, and usher report rebuild counts everything anew.",
    ),
];

/// What to do about a part that is not in the table.
const UNKNOWN: &str = "See the reason, and the log of usher.";

/// What follows the name of a reader that still takes what was stored before it was configured.
const BACK_FILL: &str = "/back-fill";

/// What to do about a part.
pub(super) fn of(part: &str) -> &'static str {
    if part.ends_with(BACK_FILL) {
        return "Nothing: it goes on by itself.";
    }
    let is_of = |known: &str| part == known || (known.ends_with('-') && part.starts_with(known));
    let found = ADVICE.iter().find(|(known, _)| is_of(known));
    found.map_or(UNKNOWN, |(_, advice)| advice)
}

#[cfg(test)]
mod tests {
    use super::{ADVICE, UNKNOWN, of};

    #[test]
    fn every_part_has_a_sentence() {
        for (part, advice) in ADVICE {
            assert_eq!(of(part), advice);
            assert!(advice.ends_with('.') && advice.len() < 160, "{part}");
        }
        assert!(of("forward-siem").starts_with("Mend the endpoint"));
        assert!(of("kafka/back-fill").starts_with("Nothing"));
        assert_eq!(of("kafkaesque"), UNKNOWN);
    }
}

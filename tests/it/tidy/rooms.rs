//! Who may import whom. The table here is the rule; `docs/ARCHITECTURE.md` tells it in words.

use std::collections::{BTreeMap, BTreeSet};

use crate::tidy::Violation;
use crate::tidy::source::{Source, crate_paths, is_word, words};

/// The workspace's crates: what each is called in usher, and which of the others it may import.
const CRATES: [(&str, &str, &[&str]); 5] = [
    ("embedded_postgres", "embedded_postgres", &[]),
    ("konnect", "konnect", &[]),
    ("konnect_emulator", "konnect_emulator", &[]),
    ("usher_event", "event", &[]),
    ("usher_rules", "rules", &[]),
];

/// Rooms that every room above them may import.
const GROUND_FLOOR: [&str; 6] = ["event", "config", "clock", "telemetry", "lifecycle", "http"];

/// Rooms that wire the others together and so may import all of them, the emulator too.
const WIRING: [&str; 2] = ["cli", "app"];

/// Each room with what it may import, which is what it does import. Rooms above the ground floor
/// may import the ground floor besides. Crates have their rows in [`CRATES`].
const ROOMS: [Row; 19] = [
    ("config", &[]),
    ("clock", &[]),
    ("telemetry", &["config"]),
    ("lifecycle", &[]),
    ("http", &["config", "lifecycle"]),
    ("journal", &[]),
    ("intake", &["journal", "konnect"]),
    ("ingest", &["intake", "journal"]),
    ("directory", &["journal", "konnect"]),
    ("observe", &["directory", "journal", "konnect"]),
    ("act", &["rules", "directory", "journal", "konnect"]),
    (
        "react",
        &["rules", "act", "directory", "journal", "konnect"],
    ),
    ("publish", &["journal"]),
    ("backfill", &["intake", "journal", "konnect"]),
    ("report", &["journal"]),
    (
        "api",
        &["report", "rules", "act", "backfill", "directory", "journal"],
    ),
    (
        "console",
        &[
            "report",
            "rules",
            "react",
            "act",
            "backfill",
            "directory",
            "intake",
            "journal",
        ],
    ),
    ("cli", &[]),
    ("app", &[]),
];

/// A room, and what it may import.
type Row = (&'static str, &'static [&'static str]);

/// The file that has the table.
const TABLE: &str = "tests/it/tidy/rooms.rs";

/// Imports that a room must not make: `crate::` paths, `use` or inline, and the workspace's crates.
pub(crate) fn imports(source: &Source) -> Vec<Violation> {
    let Some(room) = room(&source.path) else {
        return Vec::new();
    };
    imported(source)
        .into_iter()
        .filter(|(_, target)| is_room(target) && !may_import(room, target))
        .map(|(at, target)| {
            let message = format!(
                "`{room}` imports `{target}`, and may import {}; what needs both belongs in a room that may, or is passed in by `app`",
                allowed(room)
            );
            Violation::new(&source.path, source.line(at), message)
        })
        .collect()
}

/// What the table permits and no file imports, so that a new import is a decision.
pub(crate) fn unused(sources: &[Source]) -> Vec<Violation> {
    unused_of(&ROOMS, sources)
}

fn unused_of(rooms: &[Row], sources: &[Source]) -> Vec<Violation> {
    let mut made: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for source in sources {
        if let Some(room) = room(&source.path) {
            let targets = imported(source).into_iter().map(|(_, target)| target);
            made.entry(room).or_default().extend(targets);
        }
    }
    let table = sources.iter().find(|source| source.path == TABLE);
    let mut found = Vec::new();
    for (room, row) in rooms {
        let line = table.map_or(1, |table| line_of_row(table, room));
        let Some(made) = made.get(room) else {
            let message = format!("`{room}` has a row and no file: take the row out");
            found.push(Violation::new(TABLE, line, message));
            continue;
        };
        let unused = row.iter().filter(|target| !made.contains(*target));
        found.extend(unused.map(|target| {
            let message = format!(
                "`{room}` may import `{target}`, and no file of it does: take `{target}` out of the row, and out of docs/ARCHITECTURE.md"
            );
            Violation::new(TABLE, line, message)
        }));
    }
    found
}

/// The line of the first literal in the table that is the room: its row comes before its uses.
fn line_of_row(table: &Source, room: &str) -> usize {
    let start = table.code.find("const ROOMS").unwrap_or_default();
    let mut literals = table.literals.iter();
    let row = literals.find(|literal| literal.at > start && literal.text == room);
    row.map_or(1, |literal| table.line(literal.at))
}

/// Imports that a crate of the workspace must not make: of usher, and of crates that are not in its
/// row.
pub(crate) fn imports_of_crates(source: &Source) -> Vec<Violation> {
    let Some(home) = home_crate(&source.path) else {
        return Vec::new();
    };
    let row = CRATES.iter().find(|(name, ..)| *name == home);
    let allowed: &[&str] = row.map_or(&[], |(_, _, allowed)| allowed);
    CRATES
        .iter()
        .map(|(name, ..)| *name)
        .chain(["usher"])
        .filter(|name| *name != home && !allowed.contains(name))
        .flat_map(|name| {
            let reason = match (home.as_str(), name) {
                ("konnect_emulator", "konnect") => {
                    "it has types of its own, so that a wrong model cannot agree with itself"
                }
                (_, "usher") => "a crate stands alone: take what it needs as a parameter",
                _ => "its row in tests/it/tidy/rooms.rs says what it may",
            };
            let message = format!("the crate `{home}` imports `{name}`; {reason}");
            crate_paths(&source.production, name)
                .map(move |at| Violation::new(&source.path, source.line(at), message.clone()))
        })
        .collect()
}

/// The crate of a file below `crates`, as code names it.
fn home_crate(path: &str) -> Option<String> {
    let (folder, inside) = path.strip_prefix("crates/")?.split_once('/')?;
    inside.starts_with("src/").then(|| folder.replace('-', "_"))
}

/// Modules of the library that the table does not know, which the rule above could not hold.
pub(crate) fn unknown_rooms(source: &Source) -> Vec<Violation> {
    if source.path != "src/lib.rs" {
        return Vec::new();
    }
    words(&source.production, "mod")
        .filter_map(|at| {
            let name = word(&source.production[at + "mod".len()..]);
            (!is_room(name)).then(|| {
                let message = format!(
                    "`{name}` is no room; give it a row in tests/it/tidy/rooms.rs that says what it may import, or move it into the room that owns it"
                );
                Violation::new(&source.path, source.line(at), message)
            })
        })
        .collect()
}

/// The room of a file of the library; none for its root, which only names the rooms.
fn room(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    let first = inside.split('/').next()?;
    let room = first.strip_suffix(".rs").unwrap_or(first);
    is_room(room).then_some(room)
}

/// The rooms and crates that a file imports, each with its offset.
fn imported(source: &Source) -> Vec<(usize, &str)> {
    let mut found = crate_imports(&source.production);
    for (name, called, _) in CRATES {
        found.extend(crate_paths(&source.production, name).map(|at| (at, called)));
    }
    found
}

fn is_room(name: &str) -> bool {
    CRATES.iter().any(|(_, called, _)| *called == name)
        || ROOMS.iter().any(|(room, _)| *room == name)
}

fn may_import(room: &str, target: &str) -> bool {
    if room == target || WIRING.contains(&room) {
        return true;
    }
    let above_the_ground = !GROUND_FLOOR.contains(&room);
    (above_the_ground && GROUND_FLOOR.contains(&target)) || row(room).contains(&target)
}

fn row(room: &str) -> &'static [&'static str] {
    ROOMS
        .iter()
        .find(|(name, _)| *name == room)
        .map_or(&[], |(_, row)| row)
}

fn allowed(room: &str) -> String {
    let mut names: Vec<&str> = row(room).to_vec();
    if !GROUND_FLOOR.contains(&room) {
        names.insert(0, "the ground floor");
    }
    if names.is_empty() {
        "nothing".to_owned()
    } else {
        format!("only {}", names.join(", "))
    }
}

/// Every first name after a `crate::`, with its offset; groups in braces are opened.
fn crate_imports(code: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for at in words(code, "crate::") {
        let start = at + "crate::".len();
        if code[start..].starts_with('{') {
            found.extend(
                group(code, start)
                    .into_iter()
                    .map(|at| (at, word(&code[at..]))),
            );
        } else {
            found.push((at, word(&code[start..])));
        }
    }
    found
}

/// Offsets of the members of the group that opens at `open`, not of those of groups inside it.
fn group(code: &str, open: usize) -> Vec<usize> {
    let (mut depth, mut expects_a_name) = (0_usize, false);
    let mut members = Vec::new();
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => {
                depth += 1;
                expects_a_name = depth == 1;
            }
            b'}' if depth == 1 => break,
            b'}' => depth -= 1,
            b',' => expects_a_name = depth == 1,
            byte if expects_a_name && is_word(byte) => {
                members.push(at);
                expects_a_name = false;
            }
            _ => {}
        }
    }
    members
}

/// The identifier that a text begins with, after blanks.
fn word(text: &str) -> &str {
    let text = text.trim_start();
    let end = text.bytes().position(|byte| !is_word(byte));
    &text[..end.unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::{
        CRATES, GROUND_FLOOR, ROOMS, Row, TABLE, imports, imports_of_crates, unknown_rooms,
        unused_of,
    };
    use crate::tidy::source::Source;

    #[test]
    fn refuses_imports_that_a_room_must_not_make() {
        for (path, text) in [
            ("src/clock.rs", "use crate::journal::Journal;"),
            ("src/config/mod.rs", "use crate::clock::Clock;"),
            ("src/http/mod.rs", "use crate::journal::Journal;"),
            ("src/clock.rs", "fn a() { crate::act::run() }"),
            ("src/clock.rs", "fn a() -> usher_event::EventId {}"),
            (
                "src/journal/append/transaction.rs",
                "use crate::intake::Intake;",
            ),
            ("src/intake/mod.rs", "use crate::ingest::Door;"),
            ("src/journal/read/events.rs", "use konnect::Developer;"),
            (
                "src/directory/mod.rs",
                "use crate::{event::Signal, act::Deed};",
            ),
            ("src/directory/mod.rs", "pub(in crate::act) fn a() {}"),
            ("src/directory/mod.rs", "use usher_rules::Deed;"),
            (
                "src/journal/mod.rs",
                "use embedded_postgres::EmbeddedError;",
            ),
            (
                "src/publish/kafka.rs",
                "use crate::{\n    event::{Kind, Signal},\n    react,\n};",
            ),
            ("src/ingest/mod.rs", "use konnect::Client;"),
            ("src/api/mod.rs", "use crate::observe::Watch;"),
            ("src/act/worker.rs", "use crate::react::Reactor;"),
            ("src/observe/mod.rs", "use konnect_emulator::Emulator;"),
            (
                "src/backfill/replay.rs",
                "fn a() -> crate::directory::Portal {}",
            ),
        ] {
            let found = imports(&Source::new(path, text));
            assert_eq!(found.len(), 1, "{path}: {text}: {found:?}");
        }
    }

    #[test]
    fn lets_no_crate_import_usher_nor_a_crate_outside_its_row() {
        for (path, text, faults) in [
            (
                "crates/konnect-emulator/src/lib.rs",
                "use konnect::Team;",
                1,
            ),
            (
                "crates/usher-event/src/parse/mod.rs",
                "use usher::clock::Clock; fn a() -> konnect::Team {}",
                2,
            ),
            (
                "crates/usher-event/src/parse/mod.rs",
                "use crate::members::Members; const A: &str = \"usher::x\"; // usher::y",
                0,
            ),
            (
                "crates/usher-event/src/kind.rs",
                "#[cfg(test)]\nmod tests { use usher::event::Kind; }",
                0,
            ),
            ("crates/konnect/src/client.rs", "use crate::act::A;", 0),
            ("crates/konnect/tests/it/main.rs", "use usher::act::A;", 0),
            ("src/act/worker.rs", "use usher::act::A;", 0),
        ] {
            let found = imports_of_crates(&Source::new(path, text));
            assert_eq!(found.len(), faults, "{path}: {text}: {found:?}");
        }
    }

    #[test]
    fn allows_the_imports_of_the_table() {
        for (path, text) in [
            (
                "src/lib.rs",
                "pub use usher_event as event; pub use crate::journal::Journal;",
            ),
            (
                "src/journal/append/insert.rs",
                "use crate::journal::append::row::Row; use crate::event::EventId;",
            ),
            ("src/report/mod.rs", "fn a() -> usher_event::EventId {}"),
            (
                "src/telemetry/mod.rs",
                "use crate::config::TelemetryConfig;",
            ),
            (
                "src/journal/mod.rs",
                "use crate::{clock::Clock, event::Verdict};",
            ),
            ("src/act/decide/facts.rs", "use crate::rules::Facts;"),
            (
                "src/react/mod.rs",
                "use crate::{act::{Queue, publish}, rules, directory};",
            ),
            ("src/act/worker.rs", "use konnect::Client;"),
            (
                "src/app.rs",
                "use crate::publish::Kafka; use embedded_postgres::EmbeddedPostgres;",
            ),
            (
                "src/cli/demo.rs",
                "use crate::act::Worker; use konnect_emulator::Emulator;",
            ),
            (
                "src/clock.rs",
                "// use crate::journal::Journal;\nconst A: &str = \"crate::act::B\";",
            ),
            (
                "src/config/mod.rs",
                "#[cfg(test)]\nmod tests { use crate::clock::Clock; }",
            ),
            (
                "tests/it/main.rs",
                "use usher::journal::Journal; use konnect_emulator::Emulator;",
            ),
        ] {
            let found = imports(&Source::new(path, text));
            assert!(found.is_empty(), "{path}: {text}: {found:?}");
        }
    }

    #[test]
    fn says_where_and_what_and_what_is_allowed_instead() {
        let source = Source::new("src/publish/chunk.rs", "//! x\nuse crate::act::Action;");
        let told = imports(&source)[0].to_string();
        assert!(
            told.starts_with("src/publish/chunk.rs:2: `publish` imports `act`"),
            "{told}"
        );
        assert!(
            told.contains("may import only the ground floor, journal; "),
            "{told}"
        );
    }

    #[test]
    fn refuses_permissions_that_nothing_uses() {
        let sources = [
            Source::new("src/act/mod.rs", "use crate::{rules::Deed, clock::Clock};"),
            Source::new("src/act/worker.rs", "fn a() -> konnect::Client {}"),
            Source::new(
                "src/act/queue.rs",
                "#[cfg(test)]\nmod tests { use crate::directory::Directory; }",
            ),
            Source::new("src/publish/mod.rs", "pub struct Kafka;"),
            Source::new(
                TABLE,
                "const A: &str = \"act\";\nconst ROOMS: [Row; 1] = [\n(\"act\", &[])];",
            ),
        ];
        let unused = |row: Row| unused_of(&[row], &sources);
        assert!(unused(("act", &["rules", "konnect"])).is_empty());
        let found = unused(("act", &["rules", "directory"]));
        assert_eq!(found.len(), 1, "{found:?}");
        let told = found[0].to_string();
        assert!(
            told.starts_with(&format!(
                "{TABLE}:3: `act` may import `directory`, and no file"
            )),
            "{told}"
        );
        assert_eq!(unused(("publish", &["journal"])).len(), 1);
        let found = unused(("console", &[]));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].message.contains("no file"), "{found:?}");
    }

    #[test]
    fn knows_every_room_of_the_library() {
        let source = Source::new("src/lib.rs", "pub mod journal;\npub mod helpers;\nmod act;");
        let found = unknown_rooms(&source);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].line, 2);
        assert!(unknown_rooms(&Source::new("src/act/mod.rs", "mod helpers;")).is_empty());
    }

    #[test]
    fn the_table_has_no_circle() {
        // A room may import only rooms that stand above it in the list of what may be imported.
        let mut placed: Vec<&str> = GROUND_FLOOR.to_vec();
        placed.extend(CRATES.map(|(_, called, _)| called));
        let mut left: Vec<_> = ROOMS
            .iter()
            .filter(|(room, _)| !placed.contains(room))
            .collect();
        while !left.is_empty() {
            let before = left.len();
            left.retain(|(room, row)| {
                let ready = row.iter().all(|name| placed.contains(name));
                if ready {
                    placed.push(room);
                }
                !ready
            });
            assert!(left.len() < before, "rooms import each other: {left:?}");
        }
    }
}

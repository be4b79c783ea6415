//! `spec/gaps.md`, the gaps of the documents that answers fall into: the page has those that the
//! calls of the suite met, no more and no fewer, and each with its reason.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

use crate::conformance::{Exception, answer::GAPS};

/// What comes before the part that is made.
const MARK: &str = "<!-- made of the conformance tests -->\n";

/// The operations that answered with a status which the documents do not declare.
pub(super) type Met = BTreeMap<u16, BTreeSet<&'static str>>;

/// Returns what the page lacks; `USHER_TEST_UPDATE=1` rewrites it.
#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the test says by the environment that the page is to be rewritten"
)]
pub(super) fn compare(met: &Met, exceptions: &[Exception]) -> Option<String> {
    let made = page(met, exceptions);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/gaps.md");
    let text = fs::read_to_string(&path).unwrap();
    let (head, committed) = text.split_once(MARK).unwrap();
    if std::env::var("USHER_TEST_UPDATE").is_ok_and(|value| value == "1") {
        fs::write(&path, format!("{head}{MARK}{made}")).unwrap();
        return None;
    }
    (committed != made).then(|| {
        let lines = made.lines().filter(|line| !committed.contains(line));
        let lines: Vec<_> = lines.collect();
        format!("spec/gaps.md is not what calls met: {lines:#?}")
    })
}

fn page(met: &Met, exceptions: &[Exception]) -> String {
    let mut page = "\n## Statuses that are not declared\n\n| status | why | operations |\n\
        | --- | --- | --- |\n"
        .to_owned();
    for gap in GAPS {
        let (status, reason) = (gap.status, gap.reason);
        let operations = met.get(&status).cloned().unwrap_or_default();
        let count = operations.len();
        let names = Vec::from_iter(operations).join(", ");
        writeln!(page, "| {status} | {reason} | {count}: {names} |").unwrap();
    }
    page += "\n## Input that the schema forbids and that is taken\n\n\
        | operation | input, and the answer | why |\n| --- | --- | --- |\n";
    for exception in exceptions {
        let (operation, reason) = (&exception.operation, &exception.reason);
        writeln!(page, "| {operation} | {} | {reason} |", exception.violation).unwrap();
    }
    page
}

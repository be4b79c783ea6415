//! `fidelity.jsonl`, what the emulator shows beyond the documents' schemas: every line is of an
//! operation and says how it is known.

use serde::Deserialize;

use crate::conformance::facts;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// An operationId of the facts, or `*` for all of them.
    operation: String,
    behaviour: String,
    basis: Basis,
    /// The page, the recording, or what it is inferred from.
    source: String,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Basis {
    Documented,
    Recorded,
    Inferred,
}

#[test]
fn every_line_is_of_an_operation_and_says_how_it_is_known() {
    let lines: Vec<Line> = include_str!("../../../fidelity.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert!(lines.len() > 40);
    for line in &lines {
        assert!(
            line.operation == "*" || facts::find(&line.operation).is_some(),
            "{line:?} is of no operation"
        );
        assert!(
            line.behaviour.len() > 10 && line.source.len() > 10,
            "{line:?}"
        );
        if line.basis == Basis::Documented {
            assert!(
                line.source.starts_with("https://"),
                "{line:?} names no page"
            );
        }
    }
    for (index, line) in lines.iter().enumerate() {
        let again =
            |other: &Line| other.operation == line.operation && other.behaviour == line.behaviour;
        assert!(!lines[..index].iter().any(again), "{line:?} is there twice");
    }
}

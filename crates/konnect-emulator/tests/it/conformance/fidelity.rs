//! `fidelity.jsonl`, what the emulator shows beyond the documents' schemas: every line is of an
//! operation and says how it is known.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::conformance::facts;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    /// An operationId of the facts, or `*` for all of them.
    operation: String,
    behaviour: String,
    pub(super) basis: Basis,
    /// The page, the recording, or what it is inferred from.
    pub(super) source: String,
    /// The call of the suite that shows it, by the suite's name for it.
    call: Option<String>,
    /// What that call is answered with.
    status: Option<u16>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Basis {
    Documented,
    Recorded,
    Inferred,
}

fn lines() -> Vec<Line> {
    include_str!("../../../fidelity.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// How the lines that name a call compare with what calls were answered.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// The lines that every call they name bears out.
    pub(super) seen: Vec<Line>,
    /// What is otherwise than a line says.
    pub(super) refuted: Vec<String>,
}

/// Compares the lines with the answers of operations, by their ids.
pub(super) fn compare(observed: &BTreeMap<&str, Vec<(String, u16)>>) -> Comparison {
    let mut comparison = Comparison::default();
    for line in lines() {
        let (Some(call), Some(status)) = (&line.call, line.status) else {
            continue;
        };
        let answers: Vec<(&str, u16)> = observed
            .iter()
            .filter(|(id, _)| line.operation == "*" || line.operation == **id)
            .flat_map(|(id, calls)| calls.iter().map(move |(name, status)| (*id, name, *status)))
            .filter(|(_, name, _)| *name == call)
            .map(|(id, _, status)| (id, status))
            .collect();
        let others: Vec<_> = answers
            .iter()
            .filter(|(_, answered)| *answered != status)
            .collect();
        if !others.is_empty() {
            comparison
                .refuted
                .push(format!("fidelity: {line:?}: {others:?}"));
        } else if !answers.is_empty() {
            comparison.seen.push(line);
        }
    }
    comparison
}

#[test]
fn every_line_is_of_an_operation_and_says_how_it_is_known() {
    let lines = lines();
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
        assert_eq!(line.call.is_some(), line.status.is_some(), "{line:?}");
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

//! What is measured, and what the design wants to reach.

/// The shape of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// 500 lines, as Konnect sends them under load and in a replay.
    Bodies,
    /// One line, from many connections at once.
    Lines,
    /// One body as large as one may be.
    Giant,
}

impl Shape {
    /// Connections that send at the same time.
    pub(crate) fn connections(self) -> usize {
        match self {
            Self::Bodies => 8,
            Self::Lines => 256,
            Self::Giant => 1,
        }
    }
}

/// How full the journal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Record {
    Empty,
    /// As many events as the arguments say; without them it is left out.
    Full,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) key: &'static str,
    pub(crate) title: &'static str,
    /// `ingest.verify`.
    pub(crate) verify: &'static str,
    pub(crate) shape: Shape,
    /// Whether it sends again, byte for byte, what the scenario before it stored.
    pub(crate) replay: bool,
    /// What the journal contains before it begins.
    pub(crate) record: Record,
    /// Least ratio to the baseline that the project promises to reach, where it promises one.
    pub(crate) reach: Option<f64>,
}

/// The scenario with a full journal is compared with this one.
pub(crate) const WHEN_EMPTY: &str = "bodies_unverified";

/// In the order of a round; a replay follows what it repeats.
pub(crate) const ALL: [Scenario; 7] = [
    Scenario {
        key: "bodies_unverified",
        title: "500-line bodies, `verify = off`",
        verify: "off",
        shape: Shape::Bodies,
        replay: false,
        record: Record::Empty,
        reach: Some(0.60),
    },
    Scenario {
        key: "bodies_verified",
        title: "500-line bodies, verified",
        verify: "record",
        shape: Shape::Bodies,
        replay: false,
        record: Record::Empty,
        reach: Some(0.33),
    },
    Scenario {
        key: "replay",
        title: "the same bodies again, verified",
        verify: "record",
        shape: Shape::Bodies,
        replay: true,
        record: Record::Empty,
        reach: Some(0.70),
    },
    Scenario {
        key: "lines_unverified",
        title: "one-line bodies, 256 connections, `verify = off`",
        verify: "off",
        shape: Shape::Lines,
        replay: false,
        record: Record::Empty,
        reach: Some(0.20),
    },
    Scenario {
        key: "lines_verified",
        title: "one-line bodies, 256 connections, verified",
        verify: "record",
        shape: Shape::Lines,
        replay: false,
        record: Record::Empty,
        reach: None,
    },
    Scenario {
        key: "giant",
        title: "one body of 64 MiB, verified",
        verify: "record",
        shape: Shape::Giant,
        replay: false,
        record: Record::Empty,
        reach: None,
    },
    Scenario {
        key: "full_record",
        title: "500-line bodies, `verify = off`, into a full record",
        verify: "off",
        shape: Shape::Bodies,
        replay: false,
        record: Record::Full,
        reach: None,
    },
];

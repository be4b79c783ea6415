//! The statements of a search, made for the filters that are set: a static `$1 IS NULL OR …` plan
//! is a thousand times slower.
//!
//! One of the two places with dynamic SQL. What is pushed as text are literals of this file. Every
//! value is bound.

use chrono::{DateTime, Utc};
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use crate::event::EventId;
use crate::http::PortalScope;
use crate::journal::read::search::{EventFilter, Order, Position};

type Query = QueryBuilder<'static, Postgres>;

/// What to find, with the people that the filter means.
#[derive(Debug, Clone, Copy)]
pub(super) struct SearchTarget<'a> {
    pub(super) filter: &'a EventFilter,
    /// Ids of those whom `filter.person` means.
    pub(super) people: Option<&'a [String]>,
    /// Whose events may be seen.
    pub(super) portals: &'a PortalScope,
    pub(super) order: Order,
}

/// Where to search: after one key and up to another.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stretch {
    /// Exclusive.
    pub(super) after: Option<Position>,
    /// Inclusive.
    pub(super) until: Option<Position>,
}

/// How rows are found before they are examined.
#[derive(Debug, Clone, Copy)]
enum ScanPlan<'a> {
    /// In the order of the key.
    ByKey,
    /// By the index on principals, in the order of the key for each.
    OfPrincipals(&'a [String]),
    /// By the index on their batch.
    OfBatches(&'a [Uuid]),
}

impl<'a> SearchTarget<'a> {
    /// Whether rows must be examined for more than their time, and no index finds the ones that
    /// match.
    pub(super) fn is_looked_for(self) -> bool {
        let is_bounded = !self.portals.is_all() && self.filter.batches.is_none();
        is_bounded || self.filter.is_looked_for()
    }

    /// The end of a stretch, the last row that was examined, as whoever searches may know it: they
    /// may not see that row, so that half of its id is left out. A few more rows are examined.
    pub(super) fn edge(self, at: Position) -> Position {
        if self.portals.is_all() {
            return at;
        }
        let rest = u128::from(u64::MAX);
        let id = at.id.as_uuid().as_u128();
        let id = match self.order {
            Order::Newest => id & !rest,
            Order::Oldest => id | rest,
        };
        Position {
            id: EventId::from_uuid(Uuid::from_u128(id)),
            ..at
        }
    }

    fn way(self) -> ScanPlan<'a> {
        if let Some(batches) = &self.filter.batches {
            ScanPlan::OfBatches(batches)
        } else if let Some(people) = self.people {
            ScanPlan::OfPrincipals(people)
        } else if let Some(principal) = &self.filter.principal_id {
            ScanPlan::OfPrincipals(std::slice::from_ref(principal))
        } else {
            ScanPlan::ByKey
        }
    }

    fn direction(self) -> &'static str {
        match self.order {
            Order::Newest => "DESC",
            Order::Oldest => "ASC",
        }
    }

    /// Up to `limit` events of `stretch` that match, until `bytes` of entries are reached;
    /// `matching` says how many matched.
    pub(super) fn page(self, stretch: Stretch, limit: i64, bytes: i64) -> Query {
        let direction = self.direction();
        let mut query = QueryBuilder::new(
            r"
            SELECT
                f.id, f.event_ts, f.received_at, f.batch, f.verdict, f.raw, f.matching,
                f.copies + COALESCE((
                    SELECT r.copies
                    FROM repeats r
                    WHERE r.event_ts = f.event_ts AND r.id = f.id
                ), 0) AS copies,
                (b.requests -> f.request::integer ->> 'id')::uuid AS delivery_id
            FROM (
                SELECT
                    *,
                    count(*) OVER () AS matching,
                    sum(octet_length(raw)) OVER (ORDER BY event_ts ",
        );
        query
            .push(direction)
            .push(", id ")
            .push(direction)
            .push(") - octet_length(raw) AS bytes_before FROM (");
        let columns =
            "e.id, e.event_ts, e.received_at, e.batch, e.request, e.verdict, e.copies, e.raw";
        self.push_rows(&mut query, columns, stretch, limit, true);
        query
            .push(") AS e) AS f LEFT JOIN batches b ON b.id = f.batch WHERE f.bytes_before < ")
            .push_bind(bytes);
        query
            .push(" ORDER BY f.event_ts ")
            .push(direction)
            .push(", f.id ")
            .push(direction);
        query
    }

    /// The key of the row with this number in `stretch`, whether it matches or not; no row where
    /// there are fewer.
    pub(super) fn key_of(self, stretch: Stretch, number: i64) -> Query {
        let mut query = QueryBuilder::new("SELECT e.event_ts, e.id FROM (");
        self.push_rows(&mut query, "e.event_ts, e.id", stretch, number, false);
        query.push(") AS e");
        self.push_order(&mut query);
        query.push(" LIMIT 1 OFFSET ").push_bind(number - 1);
        query
    }

    /// The first `limit` rows of `stretch`: of those that match if `matching`, else of those that
    /// would be examined.
    fn push_rows(
        self,
        query: &mut Query,
        columns: &'static str,
        stretch: Stretch,
        limit: i64,
        matching: bool,
    ) {
        let way = self.way();
        query.push("SELECT ").push(columns);
        // One statement for each of a few: otherwise the planner would read everything in the order
        // of the key.
        match way {
            ScanPlan::ByKey => query.push(" FROM events e WHERE true"),
            ScanPlan::OfPrincipals(ids) => query
                .push(" FROM UNNEST(")
                .push_bind(ids.to_vec())
                .push("::text[]) AS s (id) CROSS JOIN LATERAL (SELECT ")
                .push(columns)
                .push(" FROM events e WHERE e.principal_id = s.id"),
            ScanPlan::OfBatches(_) => query
                .push(" FROM batches s CROSS JOIN LATERAL (SELECT ")
                .push(columns)
                .push(" FROM events e WHERE e.batch = s.id")
                // Bounds allow other partitions to be left out.
                .push(" AND e.event_ts BETWEEN s.first_event_ts AND s.last_event_ts"),
        };
        self.push_bounds(query, stretch);
        if matching {
            self.push_conditions(query);
        }
        match way {
            ScanPlan::ByKey => {}
            ScanPlan::OfPrincipals(_) => {
                self.push_order(query);
                query.push(" LIMIT ").push_bind(limit).push(") AS e");
            }
            ScanPlan::OfBatches(ids) => {
                self.push_order(query);
                query
                    .push(" LIMIT ")
                    .push_bind(limit)
                    .push(") AS e WHERE s.id = ANY(")
                    .push_bind(ids.to_vec())
                    .push(")");
            }
        }
        self.push_order(query);
        query.push(" LIMIT ").push_bind(limit);
    }

    fn push_order(self, query: &mut Query) {
        let direction = self.direction();
        query
            .push(" ORDER BY e.event_ts ")
            .push(direction)
            .push(", e.id ")
            .push(direction);
    }

    fn push_bounds(self, query: &mut Query, stretch: Stretch) {
        let EventFilter { from, to, .. } = self.filter;
        if let Some(from) = from {
            query.push(" AND e.event_ts >= ").push_bind(*from);
        }
        if let Some(to) = to {
            query.push(" AND e.event_ts < ").push_bind(*to);
        }
        let (after, until) = match self.order {
            Order::Newest => (("<", "<="), (">=", ">=")),
            Order::Oldest => ((">", ">="), ("<=", "<=")),
        };
        for (edge, (of_key, of_time)) in [(stretch.after, after), (stretch.until, until)] {
            let Some(Position { event_ts, id }) = edge else {
                continue;
            };
            push_time(query, of_time, event_ts);
            query
                .push(" AND (e.event_ts, e.id) ")
                .push(of_key)
                .push(" (")
                .push_bind(event_ts)
                .push(", ")
                .push_bind(id.as_uuid())
                .push(")");
        }
    }

    fn push_conditions(self, query: &mut Query) {
        let filter = self.filter;
        for (column, value) in [
            ("e.portal_id", &filter.portal_id),
            ("e.principal_id", &filter.principal_id),
            ("e.name", &filter.name),
            ("e.kind", &filter.kind),
            ("e.trace_id", &filter.trace_id),
        ] {
            if let Some(value) = value {
                query.push(" AND ").push(column).push(" = ");
                query.push_bind(value.clone());
            }
        }
        if let Some(portals) = self.portals.texts() {
            query.push(" AND e.portal_id = ANY(");
            query.push_bind(portals).push(")");
        }
        if filter.kind.is_none() {
            query.push(" AND e.kind <> 'read'");
        }
        if let (Some(people), Some(_)) = (self.people, &filter.batches) {
            query.push(" AND e.principal_id = ANY(");
            query.push_bind(people.to_vec()).push(")");
        }
        if let Some(verdict) = filter.verification {
            query.push(" AND e.verdict = ").push_bind(verdict.as_str());
        }
        if let Some(outcome) = filter.outcome {
            query
                .push(" AND usher_outcome(e.success, e.granted, e.status) = ")
                .push_bind(outcome.as_str());
        }
        if let Some(src) = filter.src {
            if let Some(common) = src.common_text() {
                // Reading an address takes longer than all the rest. One with a colon may be
                // ::ffff:192.0.2.7.
                query
                    .push(" AND (starts_with(e.src, ")
                    .push_bind(common)
                    .push(") OR strpos(e.src, ':') > 0)");
            }
            query
                .push(" AND usher_address(e.src) <<= ")
                .push_bind(src.to_string())
                .push("::inet");
        }
        if let Some(q) = &filter.q {
            query
                .push(" AND position(")
                .push_bind(q.clone().into_bytes())
                .push(" in e.raw) > 0");
        }
    }
}

/// A bound of the key's first column, which lets the planner leave partitions out.
fn push_time(query: &mut Query, comparison: &'static str, time: DateTime<Utc>) {
    query
        .push(" AND e.event_ts ")
        .push(comparison)
        .push(" ")
        .push_bind(time);
}

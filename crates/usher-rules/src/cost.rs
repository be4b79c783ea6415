//! How much work a condition can be. Nothing can interrupt a condition once it runs, so that one
//! that could take long is refused at load.

use std::collections::BTreeMap;

use cel::common::ast::{EntryExpr, Expr, IdedExpr, SelectExpr, operators};

use crate::facts::MAX_FACT_MEMBERS;

/// The most passes that all comprehensions of a condition may make: two nested ones over full facts
/// make 40,000, which takes some tens of milliseconds.
pub(crate) const MAX_ROUNDS: u64 = 50_000;

/// A search of a list takes about this many entries in the time of one pass.
const ENTRIES_PER_ROUND: u64 = 20;

/// The passes that a condition may need at worst.
pub(crate) fn rounds(expr: &IdedExpr, lists: &BTreeMap<String, Vec<String>>) -> u64 {
    Cost { lists }.rounds(expr)
}

struct Cost<'a> {
    lists: &'a BTreeMap<String, Vec<String>>,
}

impl Cost<'_> {
    fn rounds(&self, expr: &IdedExpr) -> u64 {
        match &expr.expr {
            Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => 0,
            Expr::Select(select) => self.rounds(&select.operand),
            Expr::List(list) => self.sum(list.elements.iter()),
            Expr::Map(map) => self.entries(map.entries.iter().map(|entry| &entry.expr)),
            Expr::Struct(object) => self.entries(object.entries.iter().map(|entry| &entry.expr)),
            Expr::Call(call) => {
                let parts = self.sum(call.target.as_deref().into_iter().chain(&call.args));
                match call.args.as_slice() {
                    [_, list] if call.func_name == operators::IN => {
                        parts.saturating_add(self.size(list) / ENTRIES_PER_ROUND)
                    }
                    _ => parts,
                }
            }
            Expr::Comprehension(it) => {
                let round = self
                    .sum([&it.loop_cond, &it.loop_step].into_iter())
                    .saturating_add(1);
                self.sum([&it.iter_range, &it.result].into_iter())
                    .saturating_add(self.size(&it.iter_range).saturating_mul(round))
            }
        }
    }

    fn sum<'e>(&self, parts: impl Iterator<Item = &'e IdedExpr>) -> u64 {
        parts.fold(0, |sum, part| sum.saturating_add(self.rounds(part)))
    }

    fn entries<'e>(&self, entries: impl Iterator<Item = &'e EntryExpr>) -> u64 {
        entries.fold(0, |sum, entry| {
            sum.saturating_add(match entry {
                EntryExpr::StructField(field) => self.rounds(&field.value),
                EntryExpr::MapEntry(entry) => self.sum([&entry.key, &entry.value].into_iter()),
            })
        })
    }

    /// The most entries that a list can have.
    fn size(&self, expr: &IdedExpr) -> u64 {
        match &expr.expr {
            Expr::List(list) => list.elements.len() as u64,
            Expr::Map(map) => map.entries.len() as u64,
            Expr::Select(SelectExpr { operand, field, .. })
                if operand.expr == Expr::Ident("lists".to_owned()) =>
            {
                self.lists.get(field).map_or(0, |list| list.len() as u64)
            }
            // A variable may contain an entry of a list of lists.
            Expr::Ident(_) => self.largest(),
            Expr::Select(_) => MAX_FACT_MEMBERS as u64,
            Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
                (operators::ADD, [a, b]) => self.size(a).saturating_add(self.size(b)),
                (operators::CONDITIONAL, [_, a, b]) => self.size(a).max(self.size(b)),
                _ => self.largest(),
            },
            Expr::Comprehension(it) => self.size(&it.iter_range),
            Expr::Unspecified | Expr::Literal(_) | Expr::Struct(_) => 0,
        }
    }

    fn largest(&self) -> u64 {
        let largest = self.lists.values().map(Vec::len).max().unwrap_or_default();
        largest.max(MAX_FACT_MEMBERS) as u64
    }
}

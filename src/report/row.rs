//! What a report answers with: rows with named columns, each with its documentation. Knows no
//! report.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

/// One column of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name, the same in JSON and in a file.
    pub name: &'static str,
    /// What it contains.
    pub about: &'static str,
    /// Its type.
    pub shape: Shape,
    /// Whether it may be empty.
    pub is_optional: bool,
}

/// The types of the cells of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Text.
    Text,
    /// A UUID.
    Id,
    /// A time, RFC 3339.
    Time,
    /// A whole number.
    Count,
    /// A number.
    Number,
    /// True or false.
    Flag,
    /// UUIDs.
    Ids,
}

/// A row as JSON, its members in the order of the columns.
pub type Row = Map<String, Value>;

/// A type that a column may have.
pub(super) trait Cell {
    const SHAPE: Shape;
    const IS_OPTIONAL: bool = false;

    fn value(self) -> Value;
}

macro_rules! cells {
    ($($type:ty => $shape:ident, $value:expr;)*) => {$(
        impl Cell for $type {
            const SHAPE: Shape = Shape::$shape;

            fn value(self) -> Value {
                ($value)(self)
            }
        }
    )*};
}

cells! {
    String => Text, Value::String;
    Uuid => Id, |id: Uuid| Value::String(id.to_string());
    DateTime<Utc> => Time, |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true).into();
    i64 => Count, Value::from;
    f64 => Number, |number: f64| Value::from((number * 1_000.0).round() / 1_000.0);
    bool => Flag, Value::Bool;
    Vec<Uuid> => Ids, |ids: Vec<Uuid>| ids.iter().map(Uuid::to_string).collect();
}

impl<T: Cell> Cell for Option<T> {
    const SHAPE: Shape = T::SHAPE;
    const IS_OPTIONAL: bool = true;

    fn value(self) -> Value {
        self.map_or(Value::Null, T::value)
    }
}

/// The rows of one report.
pub(super) trait Columns {
    /// Its columns, in order.
    const COLUMNS: &'static [Column];

    /// This row as JSON.
    fn row(self) -> Row;
}

/// A struct whose fields are the columns of a report, and whose documentation is theirs.
macro_rules! columns {
    (
        $(#[doc = $about:literal])+
        pub struct $name:ident {
            $($(#[doc = $column_about:literal])+ $column:ident: $type:ty,)+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq)]
        pub(super) struct $name {
            $($(#[doc = $column_about])+ pub(super) $column: $type,)+
        }

        impl $crate::report::row::Columns for $name {
            const COLUMNS: &'static [$crate::report::row::Column] = &[
                $($crate::report::row::Column {
                    name: stringify!($column),
                    about: concat!($($column_about),+).trim_ascii(),
                    shape: <$type as $crate::report::row::Cell>::SHAPE,
                    is_optional: <$type as $crate::report::row::Cell>::IS_OPTIONAL,
                },)+
            ];

            fn row(self) -> $crate::report::row::Row {
                use $crate::report::row::Cell;
                let mut row = $crate::report::row::Row::new();
                $(row.insert(stringify!($column).to_owned(), self.$column.value());)+
                row
            }
        }
    };
}

pub(super) use columns;

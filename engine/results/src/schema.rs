//! How a table is described, and how its values lie in a column.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};

use crate::sheet::{Column, Data};

/// An instant, UTC, kept to the millisecond.
pub type Timestamp = DateTime<Utc>;

/// A local day.
pub type Date = NaiveDate;

/// Text that rows share.
pub type Text = Arc<str>;

/// What lies in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// A whole number, 64 bits.
    Whole,
    /// A floating-point number, 64 bits, finite.
    Number,
    /// Milliseconds since 1970, UTC.
    Instant,
    /// A day.
    Date,
    /// True or false.
    Flag,
}

impl Kind {
    /// Its name in the documentation.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Whole => "whole number",
            Kind::Number => "number",
            Kind::Instant => "timestamp (ms, UTC)",
            Kind::Date => "date",
            Kind::Flag => "true/false",
        }
    }
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name, with the unit.
    pub name: &'static str,
    /// Its unit in words for people; empty where it has none.
    pub unit: &'static str,
    /// What it holds.
    pub doc: &'static str,
    /// Type.
    pub kind: Kind,
    /// Whether a value may be missing.
    pub nullable: bool,
}

/// A table of a run.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its name; the file is `NAME.parquet`.
    pub name: &'static str,
    /// What a row stands for.
    pub row: &'static str,
    /// Its columns, in order.
    pub fields: &'static [Field],
}

impl Table {
    /// The name of its file.
    #[must_use]
    pub fn file(&self) -> String {
        format!("{}.parquet", self.name)
    }
}

/// A row of a table.
pub trait Row: Sized {
    /// The table.
    const TABLE: Table;
    /// The same columns as vectors of equal length.
    type Columns: Default;

    /// Appends it to columns as in [`Row::TABLE`].
    fn put(self, columns: &mut [Column]);

    /// Adds columns as in [`Row::TABLE`]; false when one is of another type, or lacks what may not be missing.
    fn take(columns: Vec<Column>, into: &mut Self::Columns) -> bool;
}

/// What a field of a row may be.
pub trait Value: Sized {
    /// Its type in the file.
    const KIND: Kind;
    /// Whether it may be missing.
    const NULLABLE: bool = false;

    /// Appends it.
    fn put(self, column: &mut Column);

    /// Appends a whole column; false when that is of another type.
    fn take(column: Column, into: &mut Vec<Self>) -> bool;
}

macro_rules! value {
    ($type:ty, $kind:ident, $put:expr, $take:expr) => {
        impl Value for $type {
            const KIND: Kind = Kind::$kind;

            fn put(self, column: &mut Column) {
                if let Data::$kind(values) = &mut column.data {
                    values.push($put(self));
                }
                if let Some(levels) = &mut column.levels {
                    levels.push(1);
                }
            }

            fn take(column: Column, into: &mut Vec<Self>) -> bool {
                let Data::$kind(values) = column.data else {
                    return false;
                };
                into.reserve(values.len());
                for value in values {
                    let Some(value) = $take(value) else {
                        return false;
                    };
                    into.push(value);
                }
                true
            }
        }
    };
}

value!(Text, Text, |value: Text| value, Some);
value!(f64, Number, |value| value, Some);
value!(bool, Flag, |value| value, Some);
value!(
    u64,
    Whole,
    |value: u64| i64::try_from(value).unwrap_or(i64::MAX),
    |value: i64| u64::try_from(value).ok()
);
value!(
    Timestamp,
    Instant,
    |value: Timestamp| value.timestamp_millis(),
    DateTime::from_timestamp_millis
);
value!(
    Date,
    Date,
    |value: Date| value.to_epoch_days(),
    NaiveDate::from_epoch_days
);

impl<V: Value> Value for Option<V> {
    const KIND: Kind = V::KIND;
    const NULLABLE: bool = true;

    fn put(self, column: &mut Column) {
        match self {
            Some(value) => value.put(column),
            None => {
                if let Some(levels) = &mut column.levels {
                    levels.push(0);
                }
            }
        }
    }

    fn take(mut column: Column, into: &mut Vec<Self>) -> bool {
        let Some(levels) = column.levels.take() else {
            return false;
        };
        let mut present = Vec::new();
        if !V::take(column, &mut present) {
            return false;
        }
        let mut present = present.into_iter();
        into.reserve(levels.len());
        for level in levels {
            into.push(if level == 0 { None } else { present.next() });
        }
        present.next().is_none()
    }
}

/// Defines a table: its row, its columns as vectors, and its description.
macro_rules! table {
    (
        $(#[doc = $doc:literal])+
        $row:ident, $columns:ident = $name:literal, $of:literal {
            $( #[doc = $about:literal] $field:ident: $type:ty, $unit:literal; )+
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $row {
            $( #[doc = $about] pub $field: $type, )+
        }

        #[doc = concat!("The columns of the table `", $name, "`: vectors of the same length.")]
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $columns {
            $( #[doc = $about] pub $field: Vec<$type>, )+
        }

        impl $crate::schema::Row for $row {
            const TABLE: $crate::schema::Table = $crate::schema::Table {
                name: $name,
                row: $of,
                fields: &[$( $crate::schema::Field {
                    name: stringify!($field),
                    unit: $unit,
                    doc: $about.trim_ascii(),
                    kind: <$type as $crate::schema::Value>::KIND,
                    nullable: <$type as $crate::schema::Value>::NULLABLE,
                } ),+],
            };
            type Columns = $columns;

            fn put(self, columns: &mut [$crate::sheet::Column]) {
                let mut columns = columns.iter_mut();
                $(
                    if let Some(column) = columns.next() {
                        $crate::schema::Value::put(self.$field, column);
                    }
                )+
            }

            fn take(columns: Vec<$crate::sheet::Column>, into: &mut $columns) -> bool {
                let mut columns = columns.into_iter();
                $(
                    let Some(column) = columns.next() else { return false };
                    if !$crate::schema::Value::take(column, &mut into.$field) { return false }
                )+
                columns.next().is_none()
            }
        }
    };
}
pub(crate) use table;

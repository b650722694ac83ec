//! One scenario out of several files: tables are merged key by key, rows that have an `id` row by row. Every value keeps the
//! place where it was written.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// Lays `top` over `base`; where both say something, `top` holds.
pub(crate) fn over<'a>(base: &mut DeTable<'a>, top: DeTable<'a>) {
    for (key, value) in top {
        // The key goes with its value: both stand in the same file.
        let merged = match base.remove(&key) {
            Some(below) => merged(below, value),
            None => value,
        };
        base.insert(key, merged);
    }
}

fn merged<'a>(below: Spanned<DeValue<'a>>, above: Spanned<DeValue<'a>>) -> Spanned<DeValue<'a>> {
    let span = above.span();
    let value = match (below.into_inner(), above.into_inner()) {
        (DeValue::Table(mut base), DeValue::Table(top)) => {
            over(&mut base, top);
            DeValue::Table(base)
        }
        (DeValue::Array(base), DeValue::Array(top)) if has_ids(&base) && has_ids(&top) => {
            DeValue::Array(rows(base, top))
        }
        (_, top) => top,
    };
    Spanned::new(span, value)
}

/// Rows of the same `id` are merged in their old place, new ones come at the end; so does one that comes twice, to be refused.
fn rows<'a>(base: DeArray<'a>, top: DeArray<'a>) -> DeArray<'a> {
    let mut rows: Vec<Spanned<DeValue<'a>>> = base.into_iter().collect();
    let numbered = rows.iter().enumerate();
    let mut places: BTreeMap<String, usize> = numbered
        .filter_map(|(at, row)| Some((id(row)?.to_owned(), at)))
        .collect();
    for row in top {
        match id(&row).and_then(|name| places.remove(name)) {
            Some(at) => {
                let below = std::mem::replace(&mut rows[at], nothing());
                rows[at] = merged(below, row);
            }
            None => rows.push(row),
        }
    }
    rows.into_iter().collect()
}

fn nothing<'a>() -> Spanned<DeValue<'a>> {
    Spanned::new(0..0, DeValue::Boolean(false))
}

/// Whether there are rows, each with an `id`. An empty list replaces: it has none.
fn has_ids(rows: &DeArray<'_>) -> bool {
    !rows.is_empty() && rows.iter().all(|row| id(row).is_some())
}

fn id<'t>(row: &'t Spanned<DeValue<'_>>) -> Option<&'t str> {
    match row.get_ref() {
        DeValue::Table(table) => table.get("id")?.get_ref().as_str(),
        _ => None,
    }
}

/// Moves all places in a table by `base`.
pub(crate) fn shift(table: &mut DeTable<'_>, base: usize) {
    if base == 0 {
        return;
    }
    for (key, mut value) in std::mem::take(table) {
        shift_value(&mut value, base);
        let span = key.span();
        let key = Spanned::new(span.start + base..span.end + base, key.into_inner());
        table.insert(key, value);
    }
}

fn shift_value(value: &mut Spanned<DeValue<'_>>, base: usize) {
    match value.get_mut() {
        DeValue::Table(table) => shift(table, base),
        DeValue::Array(array) => array.iter_mut().for_each(|value| shift_value(value, base)),
        _ => {}
    }
    let span = value.span();
    let inner = std::mem::replace(value.get_mut(), DeValue::Boolean(false));
    *value = Spanned::new(span.start + base..span.end + base, inner);
}

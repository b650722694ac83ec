//! A linear program as text in free MPS format.

use std::collections::HashMap;
use std::fmt::Write as _;

use good_lp::{IntoAffineExpression as _, Variable};

use super::lp::Lp;

pub(super) fn text(lp: &Lp) -> String {
    let mut text = String::from("NAME VPP FREE\nROWS\n N COST\n");
    let numbered = lp.handles.iter().enumerate();
    // Only looked up in: its order reaches nothing. good_lp's variables have none of their own.
    let numbers: HashMap<Variable, usize> = numbered.map(|(number, &v)| (v, number)).collect();
    let mut by_column: Vec<Vec<(usize, f64)>> = vec![Vec::new(); lp.handles.len()];
    // good_lp keeps no order among the columns of a row; MPS is written column by column, so none is needed.
    for (number, row) in lp.rows.iter().enumerate() {
        let kind = if row.is_equality() { 'E' } else { 'L' };
        push(&mut text, format_args!(" {kind} R{number}\n"));
        for (variable, factor) in row.expression().linear_coefficients() {
            by_column[numbers[&variable]].push((number, factor));
        }
    }
    text.push_str("COLUMNS\n");
    for (column, entries) in by_column.iter().enumerate() {
        // A column must be named here, also where it costs nothing.
        push(
            &mut text,
            format_args!(" C{column} COST {}\n", lp.costs[column]),
        );
        for (row, factor) in entries {
            push(&mut text, format_args!(" C{column} R{row} {factor}\n"));
        }
    }
    text.push_str("RHS\n");
    push(&mut text, format_args!(" RHS COST {}\n", -lp.constant_cost));
    for (number, row) in lp.rows.iter().enumerate() {
        let right = -row.expression().constant();
        push(&mut text, format_args!(" RHS R{number} {right}\n"));
    }
    text.push_str("BOUNDS\n");
    for (column, (_, definition)) in lp.columns.iter_variables_with_def().enumerate() {
        let (min, max) = (definition.get_min(), definition.get_max());
        if min == f64::NEG_INFINITY {
            push(&mut text, format_args!(" MI BND C{column}\n"));
        } else if min != 0.0 {
            push(&mut text, format_args!(" LO BND C{column} {min}\n"));
        }
        if max < f64::INFINITY {
            push(&mut text, format_args!(" UP BND C{column} {max}\n"));
        }
    }
    text.push_str("ENDATA\n");
    text
}

/// Writing to a string cannot fail.
fn push(text: &mut String, words: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(words);
}

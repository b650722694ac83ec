//! A linear program in the making: columns, rows, costs.

use good_lp::{Constraint, Expression, ProblemVariables, Variable, variable};

/// Ranges narrower than this are a constant: a solver that needs an interior would find none.
const NARROW: f64 = 1e-9;

/// Columns (variables), rows (constraints) and the objective.
#[derive(Default)]
pub(crate) struct Lp {
    pub(super) columns: ProblemVariables,
    pub(super) handles: Vec<Variable>,
    pub(super) costs: Vec<f64>,
    pub(super) constant_cost: f64,
    /// Rows that Clarabel makes of the columns' bounds. They come before all others.
    pub(super) bound_rows: usize,
    pub(super) rows: Vec<Constraint>,
}

/// A quantity that is a constant plus, unless its range is empty, a column.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Term {
    pub(super) offset: f64,
    pub(super) column: Option<usize>,
}

impl Lp {
    /// A new quantity within bounds, with its cost for each unit.
    pub(crate) fn term(&mut self, min: f64, max: f64, cost: f64) -> Term {
        let offset = if min.is_finite() { min } else { 0.0 };
        self.constant_cost += cost * offset;
        if max - min <= NARROW {
            return Term {
                offset,
                column: None,
            };
        }
        let mut definition = variable();
        if min.is_finite() {
            definition = definition.min(0.0);
            self.bound_rows += 1;
        }
        if max.is_finite() {
            definition = definition.max(max - offset);
            self.bound_rows += 1;
        }
        self.handles.push(self.columns.add(definition));
        self.costs.push(cost);
        Term {
            offset,
            column: Some(self.handles.len() - 1),
        }
    }

    /// A new quantity without a lower bound.
    pub(crate) fn free_below(&mut self, max: f64) -> Term {
        self.term(f64::NEG_INFINITY, max, 0.0)
    }

    /// `sum += factor · term`
    fn add(&self, sum: &mut Expression, factor: f64, term: Term) {
        *sum += factor * term.offset;
        if let Some(column) = term.column {
            sum.add_mul(factor, self.handles[column]);
        }
    }

    /// `Σ factor · term ≤ limit`; returns the row's number.
    pub(crate) fn at_most(&mut self, terms: &[(f64, Term)], limit: f64) -> usize {
        let mut sum = Expression::with_capacity(terms.len());
        for &(factor, term) in terms {
            self.add(&mut sum, factor, term);
        }
        self.rows.push(sum.leq(limit));
        self.rows.len() - 1
    }

    /// `Σ factor · term = value`; returns the row's number.
    pub(crate) fn equal(&mut self, terms: &[(f64, Term)], value: f64) -> usize {
        let mut sum = Expression::with_capacity(terms.len());
        for &(factor, term) in terms {
            self.add(&mut sum, factor, term);
        }
        self.rows.push(sum.eq(value));
        self.rows.len() - 1
    }

    /// What the columns cost, as an expression of good_lp.
    pub(super) fn cost(&self) -> Expression {
        let mut cost = Expression::with_capacity(self.handles.len());
        for (&column, &factor) in self.handles.iter().zip(&self.costs) {
            cost.add_mul(factor, column);
        }
        cost
    }
}

//! What to offer on a market that trades energy and regulation interval by interval: a linear program over what the
//! signal may ask for.
//!
//! An offer of one interval is a base draw `P` and a capacity `R` held up and down alike: under a signal `δ` from −1 to 1
//! all resources together draw `P − R·δ`. The signal is known by how often each of its levels `s` comes; a resource may
//! charge and discharge differently at each:
//!
//! ```text
//! maximise  Σ_t dt·( regulation_price·R − energy_price·(P − R·mean δ) − Σ_s share_s·Σ_i (wear_c·c + wear_d·d) )
//!           − unmet_energy·Σ_i s_i − tracking·Σ off
//! Σ_i (c − d) = P − R·δ_s + off                                   for each interval and level
//! E[t] = E[t−1] + dt·Σ_s share_s·(η_c·c − d/η_d)                  in the mean
//! E_min − s ≤ E[t] ≤ E_max
//! E[t−1] − k·d/η_d ≥ E_min − s  at the highest level,  E[t−1] + k·η_c·c ≤ E_max  at the lowest: kept up for k hours
//! ```
//!
//! The model is the one that Chen, Lyu, Guo and Su use for virtual power plants (Applied Energy 361 (2024) 122876); lacks
//! are elastic here, so that there is always an offer.

use crate::reference::lp::{Lp, Term};
use crate::reference::solvers::Model;
use crate::reference::{Backend, SolveError};

/// What is known when offers are made. Power is positive when drawn; money in any one currency.
#[derive(Debug, Clone, PartialEq)]
pub struct BidProblem {
    /// Length of each interval, h.
    pub intervals_h: Vec<f64>,
    /// What can be steered.
    pub resources: Vec<BidResource>,
    /// Price of energy in each interval, for each kWh drawn or exported.
    pub energy_price: Vec<f64>,
    /// What each kW of capacity earns for each hour that it is held, with all that comes with it (mileage, score).
    pub regulation_price: Vec<f64>,
    /// The levels of the signal, −1 to 1; positive asks for less draw.
    pub levels: Vec<f64>,
    /// For which share of each interval the signal is at each level: 0 to 1, adding up to 1.
    pub shares: Vec<Vec<f64>>,
    /// For how long the extremes of the signal must be sustained, h.
    pub sustain_h: f64,
    /// The offer of the first interval when it has been made already.
    pub agreed: Option<Offer>,
    /// Cost of each kWh of departure energy that is missing; above any price of energy.
    pub unmet_energy: f64,
    /// Cost of each kWh between what a level asks for and what is drawn; above any price of energy.
    pub tracking: f64,
}

/// A battery or a group of equal ones, or a source or load without a store.
#[derive(Debug, Clone, PartialEq)]
pub struct BidResource {
    /// Greatest charging power in each interval, kW.
    pub charge_max_kw: Vec<f64>,
    /// Greatest discharging power in each interval, kW.
    pub discharge_max_kw: Vec<f64>,
    /// Least battery-side energy gained since now, at the end of each interval, kWh. `−INFINITY` where nothing is needed.
    pub energy_min_kwh: Vec<f64>,
    /// Greatest battery-side energy gained since now, at the end of each interval, kWh; `INFINITY` without a store.
    pub energy_max_kwh: Vec<f64>,
    /// Battery-side energy for each kWh drawn, in (0, 1].
    pub charge_efficiency: f64,
    /// Exported energy for each kWh taken from the battery, in (0, 1].
    pub discharge_efficiency: f64,
    /// Cost of each kWh drawn besides the energy's price.
    pub charge_wear: f64,
    /// Cost of each kWh exported.
    pub discharge_wear: f64,
}

/// What is offered for one interval.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Offer {
    /// Draw without a signal, kW.
    pub base_kw: f64,
    /// Capacity up and down, kW.
    pub capacity_kw: f64,
}

/// Offers, and what they are based on.
#[derive(Debug, Clone, PartialEq)]
pub struct Bid {
    /// One for each interval.
    pub offers: Vec<Offer>,
    /// What is expected to remain after energy and wear.
    pub profit: f64,
    /// For each resource and interval, what one more kWh in its battery at the end of it is worth; 0 without a store.
    pub energy_value: Vec<Vec<f64>>,
}

/// Why there is no bid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BidError {
    /// A field has the wrong number of entries.
    #[error("{field}: {found} entries for {expected}")]
    Length {
        /// Which field.
        field: String,
        /// Its length.
        found: usize,
        /// What it should be.
        expected: usize,
    },
    /// A number is NaN or out of its range.
    #[error("{field}: {value} is not {expected}")]
    Value {
        /// Which field.
        field: String,
        /// The number.
        value: f64,
        /// What it should be.
        expected: &'static str,
    },
    /// The solver came to no end.
    #[error(transparent)]
    Solve(#[from] SolveError),
}

/// The best offers.
///
/// # Errors
/// A problem without a meaning, with the field; a solver that came to no end.
pub fn bid(problem: &BidProblem) -> Result<Bid, BidError> {
    problem.check()?;
    let mut lp = Lp::default();
    let offers = offers(problem, &mut lp);
    let columns: Vec<Columns> = (problem.resources.iter())
        .map(|resource| Columns::new(problem, resource, &mut lp))
        .collect();
    balance(problem, &mut lp, &offers, &columns);
    let answer = Model::new(lp, Backend::Clarabel)?.run(None)?;
    if !answer.optimal {
        let ending = answer.ending;
        return Err(SolveError::Unsolved { ending }.into());
    }
    let prices = answer.row_prices.as_deref().unwrap_or_default();
    let value = |columns: &Columns| {
        let rows = columns.balance_rows.iter();
        // The row says `gained − E = 0`: a kWh more on its left side is worth the row's price.
        rows.map(|row| row.map_or(0.0, |row| -prices[row]))
            .collect()
    };
    Ok(Bid {
        offers: (offers.iter())
            .map(|(base, capacity)| Offer {
                base_kw: answer.value(*base),
                capacity_kw: answer.value(*capacity).max(0.0),
            })
            .collect(),
        profit: -answer.objective,
        energy_value: columns.iter().map(value).collect(),
    })
}

/// Base and capacity of each interval.
fn offers(problem: &BidProblem, lp: &mut Lp) -> Vec<(Term, Term)> {
    let intervals = problem.intervals_h.iter().enumerate();
    intervals
        .map(|(t, dt)| {
            let price = problem.energy_price[t];
            let levels = problem.levels.iter().zip(&problem.shares[t]);
            let mean: f64 = levels.map(|(level, share)| level * share).sum();
            let base_cost = price * dt;
            let capacity_cost = -(problem.regulation_price[t] + price * mean) * dt;
            match problem.agreed {
                Some(Offer {
                    base_kw,
                    capacity_kw,
                }) if t == 0 => (
                    lp.term(base_kw, base_kw, base_cost),
                    lp.term(capacity_kw, capacity_kw, capacity_cost),
                ),
                _ => {
                    let most = |of: fn(&BidResource) -> &Vec<f64>| -> f64 {
                        problem.resources.iter().map(|r| of(r)[t]).sum()
                    };
                    let (charge, discharge) =
                        (most(|r| &r.charge_max_kw), most(|r| &r.discharge_max_kw));
                    (
                        lp.term(-discharge, charge, base_cost),
                        lp.term(0.0, 0.5 * (charge + discharge), capacity_cost),
                    )
                }
            }
        })
        .collect()
}

/// A resource's columns: charge and discharge for each interval and level, and the rows of its energy balance.
struct Columns {
    charge: Vec<Vec<Term>>,
    discharge: Vec<Vec<Term>>,
    balance_rows: Vec<Option<usize>>,
}

impl Columns {
    fn new(problem: &BidProblem, resource: &BidResource, lp: &mut Lp) -> Columns {
        let (mut charge, mut discharge) = (Vec::new(), Vec::new());
        for (t, dt) in problem.intervals_h.iter().enumerate() {
            let mut level = |most: f64, wear: f64| -> Vec<Term> {
                let shares = problem.shares[t].iter();
                shares
                    .map(|share| lp.term(0.0, most, wear * share * dt))
                    .collect()
            };
            charge.push(level(resource.charge_max_kw[t], resource.charge_wear));
            discharge.push(level(resource.discharge_max_kw[t], resource.discharge_wear));
        }
        let mut columns = Columns {
            charge,
            discharge,
            balance_rows: Vec::new(),
        };
        columns.energy(problem, resource, lp);
        columns
    }

    fn energy(&mut self, problem: &BidProblem, resource: &BidResource, lp: &mut Lp) {
        let levels = || problem.levels.iter().enumerate();
        let lowest = levels().min_by(|a, b| a.1.total_cmp(b.1));
        let highest = levels().max_by(|a, b| a.1.total_cmp(b.1));
        let (lowest, highest) = (
            lowest.map_or(0, |(at, _)| at),
            highest.map_or(0, |(at, _)| at),
        );
        let stores = |t: usize| {
            resource.energy_min_kwh[t].is_finite() || resource.energy_max_kwh[t].is_finite()
        };
        let horizon = problem.intervals_h.len();
        self.balance_rows = vec![None; horizon];
        if !(0..horizon).any(stores) {
            return;
        }
        let unmet = lp.term(0.0, f64::INFINITY, problem.unmet_energy);
        let mut before = Term::default();
        for (t, dt) in problem.intervals_h.iter().enumerate() {
            let (least, most) = (resource.energy_min_kwh[t], resource.energy_max_kwh[t]);
            // What must be left after the extreme is what had to be there before; at the start, what is there at most.
            let kept_least = match t.checked_sub(1) {
                Some(earlier) => least.min(resource.energy_min_kwh[earlier]),
                None => least.min(0.0),
            };
            let k = problem.sustain_h;
            if kept_least.is_finite() {
                let factor = k / resource.discharge_efficiency;
                let kept = [
                    (factor, self.discharge[t][highest]),
                    (-1.0, before),
                    (-1.0, unmet),
                ];
                lp.at_most(&kept, -kept_least);
            }
            if most.is_finite() {
                let factor = k * resource.charge_efficiency;
                lp.at_most(&[(factor, self.charge[t][lowest]), (1.0, before)], most);
            }
            let energy = lp.free_below(most);
            let mut row = vec![(1.0, before), (-1.0, energy)];
            for (s, share) in problem.shares[t].iter().enumerate() {
                let hours = share * dt;
                row.push((resource.charge_efficiency * hours, self.charge[t][s]));
                row.push((-hours / resource.discharge_efficiency, self.discharge[t][s]));
            }
            self.balance_rows[t] = Some(lp.equal(&row, 0.0));
            if least.is_finite() {
                lp.at_most(&[(-1.0, energy), (-1.0, unmet)], -least);
            }
            before = energy;
        }
    }
}

/// All together draw what the offer and the level say, or the difference is paid for.
fn balance(problem: &BidProblem, lp: &mut Lp, offers: &[(Term, Term)], columns: &[Columns]) {
    for (t, (base, capacity)) in offers.iter().enumerate() {
        for (s, level) in problem.levels.iter().enumerate() {
            let cost = problem.tracking * problem.shares[t][s] * problem.intervals_h[t];
            let more = lp.term(0.0, f64::INFINITY, cost);
            let less = lp.term(0.0, f64::INFINITY, cost);
            let mut row = vec![
                (-1.0, *base),
                (*level, *capacity),
                (-1.0, more),
                (1.0, less),
            ];
            for columns in columns {
                row.push((1.0, columns.charge[t][s]));
                row.push((-1.0, columns.discharge[t][s]));
            }
            lp.equal(&row, 0.0);
        }
    }
}

impl BidProblem {
    fn check(&self) -> Result<(), BidError> {
        let horizon = self.intervals_h.len();
        let finite = |value: f64| value.is_finite();
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let power = |value: f64| value.is_finite() && value >= 0.0;
        let efficiency = |value: f64| value > 0.0 && value <= 1.0;
        let unit = |value: f64| (-1.0..=1.0).contains(&value);
        let share = |value: f64| (0.0..=1.0).contains(&value);
        series(
            "intervals_h",
            &self.intervals_h,
            horizon,
            "a positive length",
            positive,
        )?;
        series(
            "energy_price",
            &self.energy_price,
            horizon,
            "a price",
            finite,
        )?;
        series(
            "regulation_price",
            &self.regulation_price,
            horizon,
            "a price",
            finite,
        )?;
        if horizon == 0 || self.levels.is_empty() {
            let field = if horizon == 0 {
                "intervals_h"
            } else {
                "levels"
            };
            return Err(BidError::Length {
                field: field.into(),
                found: 0,
                expected: 1,
            });
        }
        let count = self.levels.len();
        series("levels", &self.levels, count, "from -1 to 1", unit)?;
        if self.shares.len() != horizon {
            return Err(BidError::Length {
                field: "shares".into(),
                found: self.shares.len(),
                expected: horizon,
            });
        }
        for (t, shares) in self.shares.iter().enumerate() {
            series(&format!("shares[{t}]"), shares, count, "from 0 to 1", share)?;
            let field = format!("shares[{t}]: the sum");
            number(&field, shares.iter().sum(), "1", |sum| {
                (sum - 1.0).abs() < 1e-6
            })?;
        }
        number("sustain_h", self.sustain_h, "a length", power)?;
        number("unmet_energy", self.unmet_energy, "a cost", power)?;
        number("tracking", self.tracking, "a cost", power)?;
        if let Some(offer) = self.agreed {
            number("agreed.base_kw", offer.base_kw, "a power", finite)?;
            number(
                "agreed.capacity_kw",
                offer.capacity_kw,
                "a power of at least 0",
                power,
            )?;
        }
        for (i, r) in self.resources.iter().enumerate() {
            let name = |field: &str| format!("resources[{i}].{field}");
            let expected = "a power of at least 0";
            series(
                &name("charge_max_kw"),
                &r.charge_max_kw,
                horizon,
                expected,
                power,
            )?;
            series(
                &name("discharge_max_kw"),
                &r.discharge_max_kw,
                horizon,
                expected,
                power,
            )?;
            let low = |value: f64| value < f64::INFINITY;
            let high = |value: f64| value > f64::NEG_INFINITY;
            series(
                &name("energy_min_kwh"),
                &r.energy_min_kwh,
                horizon,
                "an energy",
                low,
            )?;
            series(
                &name("energy_max_kwh"),
                &r.energy_max_kwh,
                horizon,
                "an energy",
                high,
            )?;
            for (field, value) in [
                ("charge_efficiency", r.charge_efficiency),
                ("discharge_efficiency", r.discharge_efficiency),
            ] {
                number(&name(field), value, "in (0, 1]", efficiency)?;
            }
            number(&name("charge_wear"), r.charge_wear, "a cost", finite)?;
            number(&name("discharge_wear"), r.discharge_wear, "a cost", finite)?;
        }
        Ok(())
    }
}

fn number(
    field: &str,
    value: f64,
    expected: &'static str,
    holds: impl Fn(f64) -> bool,
) -> Result<(), BidError> {
    if holds(value) {
        return Ok(());
    }
    let field = field.into();
    Err(BidError::Value {
        field,
        value,
        expected,
    })
}

fn series(
    field: &str,
    values: &[f64],
    expected: usize,
    what: &'static str,
    holds: impl Fn(f64) -> bool,
) -> Result<(), BidError> {
    if values.len() != expected {
        return Err(BidError::Length {
            field: field.into(),
            found: values.len(),
            expected,
        });
    }
    for (t, value) in values.iter().enumerate() {
        number(&format!("{field}[{t}]"), *value, what, &holds)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! Targets against what a run measured. Nothing is extrapolated in a verdict: what adds up over a year is judged over a year.

use std::collections::BTreeSet;

use chrono::Datelike as _;

use super::measured::{Measured, Place};
use super::{Measure, Plan, Target};

/// How a target came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is met.
    Met,
    /// It is not.
    NotMet,
    /// The run cannot tell.
    NotMeasurable(Reason),
}

/// Why a run cannot tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It covers a part of the year.
    PartOfYear,
    /// The scenario is needed: the tables do not say what a station is built of.
    NeedsScenario,
    /// It has no station of that name.
    NoStation,
    /// It had no demand response.
    NoResponse,
    /// It had no regulation.
    NoRegulation,
}

/// A target and what came of it. Figures in the target's unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding<'a> {
    /// The target.
    pub target: &'a Target,
    /// What is wanted.
    pub wanted: f64,
    /// Since which year.
    pub since: i32,
    /// What was measured; of energy discharged, at the gate.
    pub measured: Option<f64>,
    /// Energy discharged at the piles, where it was measured too.
    pub at_piles: Option<f64>,
    /// What a whole year would have at the same rate; beside a part of a year alone, and never judged.
    pub scaled: Option<f64>,
    /// Met or not.
    pub verdict: Verdict,
}

/// Holds all targets of the run's year against it. A target that begins later is left out.
#[must_use]
pub fn judge<'a>(plan: &'a Plan, run: &Measured) -> Vec<Finding<'a>> {
    let targets = plan.targets.iter();
    let of = |target| finding(target, run);
    targets.filter_map(of).collect()
}

fn finding<'a>(target: &'a Target, run: &Measured) -> Option<Finding<'a>> {
    let (since, wanted) = target.wanted_in(run.first_day.year())?;
    let mut found = Finding {
        target,
        wanted,
        since,
        measured: None,
        at_piles: None,
        scaled: None,
        verdict: Verdict::NotMet,
    };
    match measure(target, run) {
        Err(reason) => found.verdict = Verdict::NotMeasurable(reason),
        Ok(measured) => {
            found.measured = Some(measured);
            if target.measure == Measure::V2gEnergyMwh {
                found.at_piles = at_piles(run.named(&target.stations));
            }
            let year = days_in(run.first_day.year());
            let whole = run.days >= year;
            if target.measure.accrues() && !whole && run.days > 0.0 {
                found.scaled = Some(measured * year / run.days);
            }
            found.verdict = verdict(target, wanted, measured, whole);
        }
    }
    Some(found)
}

/// A sum of a part of a year that has reached a least, or is beyond a most, stays so.
fn verdict(target: &Target, wanted: f64, measured: f64, whole: bool) -> Verdict {
    let unit = 10_f64.powi(i32::try_from(target.decimals).unwrap_or(0));
    // Of whole things none is rounded into being: only figures with decimals are.
    let measured = match target.decimals {
        0 => measured,
        _ => (measured * unit).round() / unit,
    };
    let kept = match target.at_most {
        true => measured <= wanted,
        false => measured >= wanted,
    };
    if target.measure.accrues() && !whole && kept == target.at_most {
        return Verdict::NotMeasurable(Reason::PartOfYear);
    }
    if kept { Verdict::Met } else { Verdict::NotMet }
}

#[allow(clippy::cast_precision_loss)] // counts far below 2^53
fn measure(target: &Target, run: &Measured) -> Result<f64, Reason> {
    let named = || run.named(&target.stations);
    if named().next().is_none() && !target.stations.is_empty() {
        return Err(Reason::NoStation);
    }
    let strongest = || run.strongest().ok_or(Reason::NoResponse);
    let responding = || {
        let strongest = strongest()?;
        let takes_part = move |place: &&Place| strongest.aggregators.contains(&place.aggregator);
        Ok(run.places.iter().filter(takes_part))
    };
    Ok(match target.measure {
        Measure::ChargingStations => run.charging_stations as f64,
        Measure::SwapStations => run.swap_stations as f64,
        Measure::Piles => run.piles as f64,
        Measure::ConnectionMva => run.connection_mva,
        Measure::ConnectedMw => built(run.places.iter(), |built| built.connected_kw)? / 1e3,
        Measure::V2gEnergyMwh => named().map(Place::exported_kwh).sum::<f64>() / 1e3,
        Measure::V2gPiles if target.stations.is_empty() => run.v2g_piles as f64,
        Measure::V2gPiles => built(named(), |built| built.v2g_piles as f64)?,
        Measure::V2gVehicles if run.days <= 0.0 => 0.0,
        Measure::V2gVehicles => {
            named().map(|place| place.v2g_vehicles as f64).sum::<f64>() / run.days
        }
        Measure::Scenes => {
            let scenes: BTreeSet<&str> = named().map(|place| place.profile.as_str()).collect();
            scenes.len() as f64
        }
        Measure::ResponseAggregators => strongest()?.aggregators.len() as f64,
        Measure::ResponseStations => responding()?.count() as f64,
        Measure::ResponsePiles => built(responding()?, |built| built.piles as f64)?,
        Measure::ResponseMw => strongest()?.mean_mw(),
        Measure::RegulationStations => {
            let enrolled = built(run.places.iter(), |built| {
                f64::from(u8::from(built.regulates))
            })?;
            match &run.regulated {
                Some(_) => enrolled,
                None => return Err(Reason::NoRegulation),
            }
        }
        Measure::SubsidyMillionCny => run.subsidy_cny / 1e6,
    })
}

fn built<'a>(
    places: impl Iterator<Item = &'a Place>,
    of: impl Fn(&super::measured::Built) -> f64,
) -> Result<f64, Reason> {
    let mut sum = 0.0;
    for place in places {
        sum += of(place.built.as_ref().ok_or(Reason::NeedsScenario)?);
    }
    Ok(sum)
}

/// At the piles, MWh; none as soon as one station does not tell.
fn at_piles<'a>(mut places: impl Iterator<Item = &'a Place>) -> Option<f64> {
    let sum = places.try_fold(0.0, |sum, place| Some(sum + place.pile_kwh?))?;
    Some(sum / 1e3)
}

fn days_in(year: i32) -> f64 {
    let leap = chrono::NaiveDate::from_ymd_opt(year, 2, 29).is_some();
    if leap { 366.0 } else { 365.0 }
}

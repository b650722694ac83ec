//! A demand-response event from readings to money, for one aggregator: each station's baseline and delivery, what the
//! aggregator is paid by the template of its market, and each station's part of it, exact to the fen. What led to a figure is
//! kept beside it: the days of the baseline, the methods' names and the packs that they come from.

use std::collections::BTreeMap;

use vpp_core::{AggregatorId, EventId, Invalid, Price, StationId};
use vpp_market_adapters::response::baseline::{
    Baseline, BaselineError, Calendar, Curve, EventWindow, History,
};
use vpp_market_adapters::response::payment::{Direction, Payment, Response, Template};
use vpp_market_adapters::response::split;

/// Hours of a quarter, to turn watts into watt-hours: a quarter of them.
const QUARTERS_PER_HOUR: i64 = 4;

/// What was cleared for an aggregator.
#[derive(Clone, Debug, PartialEq)]
pub struct Cleared {
    /// The event.
    pub event: EventId,
    /// Who promised it.
    pub aggregator: AggregatorId,
    /// Which way.
    pub direction: Direction,
    /// When.
    pub window: EventWindow,
    /// Wh in each quarter of an hour of the window.
    pub cleared_wh: Vec<i64>,
    /// For each kWh.
    pub price: Price,
}

/// What is known of a station.
#[derive(Clone, Debug, PartialEq)]
pub struct StationRecord {
    /// Which.
    pub station: StationId,
    /// Draws before the event, frozen then.
    pub history: History,
    /// What its gate drew in each quarter of the window, Wh; an export is negative. None where no reading came: it then
    /// counts as having drawn what its baseline says, which is paid nothing.
    pub actual_wh: Vec<Option<i64>>,
}

/// How events are settled.
pub struct Terms<'a> {
    /// What would have been drawn.
    pub baseline: &'a dyn Baseline,
    /// The pack that it comes from.
    pub baseline_pack: &'a str,
    /// What is paid.
    pub template: &'a Template,
    /// The pack that it comes from.
    pub payment_pack: &'a str,
    /// What kind of days there were.
    pub calendar: &'a Calendar,
}

/// A station's part.
#[derive(Clone, Debug, PartialEq)]
pub struct StationLine {
    /// Which.
    pub station: StationId,
    /// Its baseline, and what that was made of; none where the method refused.
    pub baseline: Result<Curve, BaselineError>,
    /// What it delivered, Wh.
    pub delivered_wh: i64,
    /// Quarters without a reading.
    pub missing: usize,
    /// What it gets, fen.
    pub share_fen: i64,
}

/// What an event comes to for an aggregator.
#[derive(Clone, Debug, PartialEq)]
pub struct Settlement {
    /// The event.
    pub event: EventId,
    /// Whose.
    pub aggregator: AggregatorId,
    /// Gross, penalty, net and distributable.
    pub payment: Payment,
    /// Each station, by its name.
    pub stations: Vec<StationLine>,
    /// `baselines/similar5`, `response-payments/tiered`.
    pub rules: [String; 2],
}

/// Settles an event. Stations may come in any order.
///
/// A station without a baseline delivers nothing and is told with the reason; the others are settled.
///
/// # Errors
/// Series that do not fit the window, a station that is there twice, figures beyond belief.
pub fn settle(
    cleared: &Cleared,
    records: &[StationRecord],
    terms: &Terms<'_>,
) -> Result<Settlement, Invalid> {
    let slots = cleared.window.slots;
    if cleared.cleared_wh.len() != slots {
        let problem = format!("has {} entries for {slots}", cleared.cleared_wh.len());
        return Err(Invalid::new("cleared_wh", problem));
    }
    let mut ordered = BTreeMap::new();
    for record in records {
        if record.actual_wh.len() != slots {
            let problem = format!("has {} entries for {slots}", record.actual_wh.len());
            let field = format!("stations[{}].actual_wh", record.station);
            return Err(Invalid::new(field, problem));
        }
        if ordered.insert(&record.station, record).is_some() {
            let problem = format!("{} is there twice", record.station);
            return Err(Invalid::new("stations", problem));
        }
    }
    let (mut baseline_wh, mut actual_wh) = (vec![0; slots], vec![0; slots]);
    let mut stations = Vec::with_capacity(ordered.len());
    for record in ordered.into_values() {
        let curve = (terms.baseline).curve(&record.history, terms.calendar, &cleared.window);
        let mut line = StationLine {
            station: record.station.clone(),
            delivered_wh: 0,
            missing: record.actual_wh.iter().filter(|wh| wh.is_none()).count(),
            share_fen: 0,
            baseline: curve,
        };
        if let Ok(curve) = &line.baseline {
            for slot in 0..slots {
                let expected = curve.watts[slot] / QUARTERS_PER_HOUR;
                let actual = record.actual_wh[slot].unwrap_or(expected);
                baseline_wh[slot] += expected;
                actual_wh[slot] += actual;
                let less = match cleared.direction {
                    Direction::Shaving => expected - actual,
                    Direction::Filling => actual - expected,
                };
                line.delivered_wh += less.max(0);
            }
        }
        stations.push(line);
    }
    let response = Response {
        direction: cleared.direction,
        first_slot: cleared.window.first,
        baseline_wh,
        actual_wh,
        cleared_wh: cleared.cleared_wh.clone(),
    };
    let payment = terms.template.pay(&response, cleared.price)?;
    let weights: Vec<u64> = stations
        .iter()
        .map(|line| line.delivered_wh.unsigned_abs())
        .collect();
    let shares = split(payment.distributable_fen(), &weights);
    for (line, share) in stations.iter_mut().zip(shares) {
        line.share_fen = share;
    }
    Ok(Settlement {
        event: cleared.event.clone(),
        aggregator: cleared.aggregator.clone(),
        payment,
        stations,
        rules: [
            format!("{}/{}", terms.baseline_pack, terms.baseline.name()),
            format!("{}/{}", terms.payment_pack, terms.template.name),
        ],
    })
}

impl Settlement {
    /// The header of [`Settlement::to_csv`].
    pub const CSV_HEADER: &'static str = "event,aggregator,station,baseline_wh,delivered_wh,missing_quarters,share_fen,baseline_rule,payment_rule,note";

    /// A line for each station, without the header; ends with a line for the aggregator, whose station is empty.
    #[must_use]
    pub fn to_csv(&self) -> String {
        use std::fmt::Write as _;
        let mut text = String::new();
        let [baseline_rule, payment_rule] = &self.rules;
        for line in &self.stations {
            let (expected, note) = match &line.baseline {
                Ok(curve) => {
                    let wh: i64 = curve.watts.iter().map(|w| w / QUARTERS_PER_HOUR).sum();
                    (wh.to_string(), String::new())
                }
                Err(error) => (String::new(), format!("\"no baseline: {error}\"")),
            };
            let _ = writeln!(
                text,
                "{},{},{},{expected},{},{},{},{baseline_rule},{payment_rule},{note}",
                self.event,
                self.aggregator,
                line.station,
                line.delivered_wh,
                line.missing,
                line.share_fen,
            );
        }
        let payment = &self.payment;
        let _ = writeln!(
            text,
            "{},{},,,{},,{},{baseline_rule},{payment_rule},\"cleared {} Wh; gross {} penalty {} net {} fen\"",
            self.event,
            self.aggregator,
            payment.delivered_wh,
            payment.distributable_fen(),
            payment.cleared_wh,
            payment.gross_fen,
            payment.penalty_fen,
            payment.net_fen(),
        );
        text
    }
}

#[cfg(test)]
mod tests;

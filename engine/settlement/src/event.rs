//! A demand-response event from readings to money, for one aggregator: each station's baseline and delivery, what the
//! aggregator is paid by the template of its market, and each station's part of it, exact to the fen. What led to a figure is
//! kept beside it: the days of the baseline, the methods' names and the packs that they come from.

use chrono::NaiveDate;
use vpp_core::{AggregatorId, EventId, Invalid, Price, StationId};
use vpp_market_adapters::PackId;
use vpp_market_adapters::response::baseline::{
    BaselineError, Calendar, Curve, EventWindow, History, MethodEntry, Past,
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
    pub baseline: &'a MethodEntry,
    /// The pack that it comes from.
    pub baseline_pack: &'a PackId,
    /// What is paid.
    pub template: &'a Template,
    /// The pack that it comes from.
    pub payment_pack: &'a PackId,
    /// What kind of days there were.
    pub calendar: &'a Calendar,
}

impl Terms<'_> {
    /// Checks that the rules hold on the day of an event.
    ///
    /// # Errors
    /// The rule that does not, with the bound that the day lies beyond.
    pub fn require_in_force(&self, day: NaiveDate) -> Result<(), Invalid> {
        let within = |pack: &PackId| {
            let pack = pack.to_string();
            move |invalid: Invalid| invalid.within(&pack)
        };
        (self.baseline.require_in_force(day)).map_err(within(self.baseline_pack))?;
        (self.template.require_in_force(day)).map_err(within(self.payment_pack))
    }
}

/// A station's part, with the readings that it was worked out of.
#[derive(Clone, Debug, PartialEq)]
pub struct StationLine {
    /// Which.
    pub station: StationId,
    /// Its baseline, and what that was made of; none where the method refused.
    pub baseline: Result<Curve, BaselineError>,
    /// What its gate drew in each quarter of the window, Wh; none where no reading came.
    pub actual_wh: Vec<Option<i64>>,
    /// What it delivered, Wh.
    pub delivered_wh: i64,
    /// What it gets, fen.
    pub share_fen: i64,
}

impl StationLine {
    /// Quarters without a reading.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.actual_wh.iter().filter(|wh| wh.is_none()).count()
    }

    /// What it would have drawn in a quarter of the window, Wh.
    fn expected_wh(curve: &Curve, slot: usize) -> i64 {
        curve.watts[slot] / QUARTERS_PER_HOUR
    }
}

/// What an event comes to for an aggregator.
#[derive(Clone, Debug, PartialEq)]
pub struct Settlement {
    /// The event.
    pub event: EventId,
    /// Whose.
    pub aggregator: AggregatorId,
    /// When it was.
    pub window: EventWindow,
    /// For each kWh.
    pub price: Price,
    /// Gross, penalty, net and distributable.
    pub payment: Payment,
    /// Each station, by its name.
    pub stations: Vec<StationLine>,
    /// `baselines@1/similar5`, `response-payments@1/tiered`.
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
    let line = |record: &StationRecord| {
        let actual_wh = record.actual_wh.clone();
        cleared.measure(&record.station, &record.history.past(), actual_wh, terms)
    };
    let lines = records.iter().map(line).collect::<Result<_, _>>()?;
    cleared.pay(lines, terms)
}

impl Cleared {
    /// What one station delivered, without its share yet: the others' do not matter for that.
    ///
    /// # Errors
    /// Readings that do not fit the window.
    pub fn measure(
        &self,
        station: &StationId,
        past: &Past<'_>,
        actual_wh: Vec<Option<i64>>,
        terms: &Terms<'_>,
    ) -> Result<StationLine, Invalid> {
        let slots = self.window.slots;
        if actual_wh.len() != slots {
            let problem = format!("has {} entries for {slots}", actual_wh.len());
            return Err(Invalid::new(
                format!("stations[{station}].actual_wh"),
                problem,
            ));
        }
        let baseline = terms
            .baseline
            .method()
            .curve(past, terms.calendar, &self.window);
        let mut delivered_wh = 0;
        if let Ok(curve) = &baseline {
            for (slot, actual) in actual_wh.iter().enumerate() {
                let expected = StationLine::expected_wh(curve, slot);
                let less = expected - actual.unwrap_or(expected);
                delivered_wh += match self.direction {
                    Direction::Shaving => less.max(0),
                    Direction::Filling => (-less).max(0),
                };
            }
        }
        Ok(StationLine {
            station: station.clone(),
            baseline,
            actual_wh,
            delivered_wh,
            share_fen: 0,
        })
    }

    /// What all stations together are paid, and each station's part of it. Lines of [`Cleared::measure`], in any order.
    ///
    /// # Errors
    /// A station that is there twice, cleared energies that do not fit the window, figures beyond belief.
    pub fn pay(
        &self,
        mut lines: Vec<StationLine>,
        terms: &Terms<'_>,
    ) -> Result<Settlement, Invalid> {
        terms.require_in_force(self.window.date)?;
        let slots = self.window.slots;
        if self.cleared_wh.len() != slots {
            let problem = format!("has {} entries for {slots}", self.cleared_wh.len());
            return Err(Invalid::new("cleared_wh", problem));
        }
        lines.sort_by(|a, b| a.station.cmp(&b.station));
        if let Some(pair) = lines
            .windows(2)
            .find(|pair| pair[0].station == pair[1].station)
        {
            let problem = format!("{} is there twice", pair[0].station);
            return Err(Invalid::new("stations", problem));
        }
        let (mut baseline_wh, mut actual_wh) = (vec![0; slots], vec![0; slots]);
        for line in &lines {
            let Ok(curve) = &line.baseline else { continue };
            for slot in 0..slots {
                let expected = StationLine::expected_wh(curve, slot);
                baseline_wh[slot] += expected;
                actual_wh[slot] += line.actual_wh[slot].unwrap_or(expected);
            }
        }
        let response = Response {
            direction: self.direction,
            first_slot: self.window.first,
            baseline_wh,
            actual_wh,
            cleared_wh: self.cleared_wh.clone(),
        };
        let payment = terms.template.pay(&response, self.price)?;
        let weights: Vec<u64> = lines
            .iter()
            .map(|line| line.delivered_wh.unsigned_abs())
            .collect();
        let shares = split(payment.distributable_fen(), &weights);
        for (line, share) in lines.iter_mut().zip(shares) {
            line.share_fen = share;
        }
        Ok(Settlement {
            event: self.event.clone(),
            aggregator: self.aggregator.clone(),
            window: self.window,
            price: self.price,
            payment,
            stations: lines,
            rules: [
                format!("{}/{}", terms.baseline_pack, terms.baseline.method().name()),
                format!("{}/{}", terms.payment_pack, terms.template.name),
            ],
        })
    }
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
                line.missing(),
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

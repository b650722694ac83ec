//! What each quarter of an hour of a month costs and earns, and what a month of quarters comes to.

use rust_decimal::{Decimal, RoundingStrategy};
use vpp_core::{Interval, Invalid, Price, Timestamp};
use vpp_market_adapters::tariff::Period;

use super::{EnergyLine, MonthRules};
use crate::metering::{QUARTER, Quarter, Registers};

/// Which price holds in each quarter of an hour of the month.
pub(super) struct Timetable {
    of_quarter: Vec<usize>,
    kinds: Vec<Kind>,
}

#[derive(PartialEq)]
struct Kind {
    period: Period,
    price: Price,
    feed_in: Price,
}

impl Timetable {
    pub(super) fn new(rules: &MonthRules<'_>, interval: Interval) -> Timetable {
        let tariff = rules.tariff.tariff();
        let zone = tariff.zone();
        let mut timetable = Timetable {
            of_quarter: Vec::new(),
            kinds: Vec::new(),
        };
        let mut at = interval.start();
        while at < interval.end() {
            let hot = rules
                .hot_days
                .contains(&at.with_timezone(&zone).date_naive());
            let kind = Kind {
                period: tariff.period_at(at, hot),
                price: tariff.price_at(at, hot),
                feed_in: tariff.feed_in_price_at(at, hot),
            };
            let known = timetable.kinds.iter().position(|one| *one == kind);
            timetable
                .of_quarter
                .push(known.unwrap_or(timetable.kinds.len()));
            if known.is_none() {
                timetable.kinds.push(kind);
            }
            at += QUARTER;
        }
        timetable
    }

    /// What a month's quarters come to, each price of each direction rounded once.
    pub(super) fn bill(
        &self,
        quarters: &[(Timestamp, Quarter)],
    ) -> Result<(Vec<EnergyLine>, Registers), Invalid> {
        let mut sums = vec![(0_i64, 0_i64); self.kinds.len()];
        let mut registers = Registers::default();
        for (&kind, (_, quarter)) in self.of_quarter.iter().zip(quarters) {
            let (drawn, fed_in) = &mut sums[kind];
            *drawn += quarter.reading.gate_in_wh;
            *fed_in += quarter.settled_wh;
            registers.estimated += usize::from(quarter.estimated);
            registers.unmetered += usize::from(quarter.unmetered);
        }
        // The price of one direction may change while that of the other does not.
        let mut lines: Vec<EnergyLine> = Vec::new();
        for (kind, (drawn, fed_in)) in self.kinds.iter().zip(sums) {
            let of = Period::ALL.iter().position(|one| *one == kind.period);
            let of = of.unwrap_or(Period::ALL.len() - 1);
            registers.forward_wh[of] += drawn;
            registers.reverse_wh[of] += fed_in;
            let sides = [(drawn, kind.price, false), (fed_in, kind.feed_in, true)];
            for (wh, price, fed_in) in sides.into_iter().filter(|(wh, ..)| *wh > 0) {
                let same = |line: &&mut EnergyLine| {
                    (line.period, line.price, line.fed_in) == (kind.period, price, fed_in)
                };
                match lines.iter_mut().find(same) {
                    Some(line) => line.wh += wh,
                    None => lines.push(EnergyLine {
                        period: kind.period,
                        fed_in,
                        wh,
                        price,
                        fen: 0,
                    }),
                }
            }
        }
        for line in &mut lines {
            let fen = fen(line.wh, line.price)?;
            line.fen = if line.fed_in { fen } else { -fen };
        }
        lines.sort_by_key(|line| {
            let of = Period::ALL.iter().position(|one| *one == line.period);
            (line.fed_in, of, line.price.as_cny_per_kwh())
        });
        Ok((lines, registers))
    }
}

/// An energy at a price, rounded to the nearest fen, halves away from zero.
fn fen(wh: i64, price: Price) -> Result<i64, Invalid> {
    let cny = Decimal::from(wh) / Decimal::ONE_THOUSAND * price.as_cny_per_kwh();
    let fen = (cny * Decimal::ONE_HUNDRED)
        .round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero);
    i64::try_from(fen).map_err(|_| Invalid::new("price", "gives more than can be counted"))
}

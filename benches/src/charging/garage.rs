//! What is charged where: piles, the limits above them, prices, sessions.

use anyhow::Context as _;
use chrono::{NaiveDate, TimeDelta, TimeZone as _};
use vpp_core::Timestamp;
use vpp_market_adapters::Tariff;

use super::sessions::Session;
use super::surroundings::Surroundings;

/// More than this above a limit breaks it, kW.
pub(super) const TOLERANCE_KW: f64 = 1e-3;

/// A set of sessions with all that is the same for every way of sharing.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) garage: Garage,
    pub(super) sessions: Vec<Session>,
    /// What its transformer may draw, kW: one run each.
    pub(super) limits_kw: Vec<f64>,
    /// Sun behind the transformer and other users of the feeder, where there are any.
    pub(super) surroundings: Option<Surroundings>,
    /// Whether it is known who comes when.
    pub(super) timetable: bool,
    pub(super) prices: Prices,
}

/// Piles, all alike.
pub(super) struct Garage {
    pub(super) period_min: usize,
    pub(super) piles: usize,
    pub(super) volts: f64,
    pub(super) most_a: f64,
    /// The least with which a pile charges; less is nothing.
    pub(super) least_a: f64,
    /// Share of the energy drawn that reaches a battery, and of the energy taken out of one that is fed in.
    pub(super) efficiency: f64,
}

impl Garage {
    pub(super) fn period_h(&self) -> f64 {
        self.period_min as f64 / 60.0
    }

    pub(super) fn pile_kw(&self) -> f64 {
        self.most_a * self.volts / 1e3
    }

    pub(super) fn least_kw(&self) -> f64 {
        self.least_a * self.volts / 1e3
    }

    /// The most that a vehicle draws in a period: by its pile, or by what its battery still wants.
    pub(super) fn most_kw(&self, wants_kwh: f64) -> f64 {
        (self.pile_kw()).min(wants_kwh.max(0.0) / self.efficiency / self.period_h())
    }

    /// The most that a vehicle feeds in in a period: by itself, or by what may be taken out of its battery.
    pub(super) fn most_fed_in_kw(&self, power_kw: f64, available_kwh: f64) -> f64 {
        power_kw.min(available_kwh.max(0.0) * self.efficiency / self.period_h())
    }
}

/// CNY for each kWh drawn and fed in, for each period.
pub(super) struct Prices {
    pub(super) start: Timestamp,
    pub(super) drawn: Vec<f64>,
    pub(super) fed_in: Vec<f64>,
}

impl Prices {
    /// From local midnight of `day` over so many periods.
    pub(super) fn new(
        tariff: &Tariff,
        day: NaiveDate,
        periods: usize,
        period_min: usize,
    ) -> anyhow::Result<Prices> {
        let midnight = day.and_hms_opt(0, 0, 0);
        let start = midnight.and_then(|at| tariff.zone().from_local_datetime(&at).earliest());
        let start = start.context("a day without a midnight")?.to_utc();
        let period = TimeDelta::try_minutes(period_min as i64).context("a period too long")?;
        let mut prices = Prices {
            start,
            drawn: Vec::with_capacity(periods),
            fed_in: Vec::with_capacity(periods),
        };
        let mut at = start;
        for _ in 0..periods {
            tariff.require_in_force(at)?;
            prices.drawn.push(tariff.price_at(at, false).as_f64());
            (prices.fed_in).push(tariff.feed_in_price_at(at, false).as_f64());
            at += period;
        }
        Ok(prices)
    }
}

/// The limits of one run.
#[derive(Clone, Copy)]
pub(super) struct Limits<'a> {
    /// What the transformer may draw, kW.
    pub(super) transformer_kw: f64,
    pub(super) surroundings: Option<&'a Surroundings>,
}

/// What vehicles may draw and feed in together, kW.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) draw_kw: f64,
    pub(super) feed_in_kw: f64,
}

impl Limits<'_> {
    /// By the transformer and by the feeder.
    pub(super) fn room(&self, period: usize) -> Room {
        let Some(around) = self.surroundings else {
            return Room {
                draw_kw: self.transformer_kw,
                feed_in_kw: 0.0,
            };
        };
        let (sun, houses) = around.at(period, self.transformer_kw);
        let feeder = around.feeder(self.transformer_kw);
        let export_kw = around.export_kw(self.transformer_kw);
        Room {
            draw_kw: (self.transformer_kw + sun).min(feeder.draw_kw + sun - houses),
            feed_in_kw: (export_kw - sun).min(feeder.feed_in_kw - sun + houses),
        }
    }

    /// By how much vehicles that draw so much together break the limit of the transformer, and that of the feeder, kW.
    pub(super) fn excess(&self, period: usize, vehicles_kw: f64) -> [f64; 2] {
        let above = |flow: f64, room: Room| (flow - room.draw_kw).max(-flow - room.feed_in_kw);
        let Some(around) = self.surroundings else {
            let room = self.room(period);
            return [above(vehicles_kw, room), f64::NEG_INFINITY];
        };
        let (sun, houses) = around.at(period, self.transformer_kw);
        let transformer = Room {
            draw_kw: self.transformer_kw,
            feed_in_kw: around.export_kw(self.transformer_kw),
        };
        let flow = vehicles_kw - sun;
        [
            above(flow, transformer),
            above(flow + houses, around.feeder(self.transformer_kw)),
        ]
    }
}

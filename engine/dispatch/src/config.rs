//! Every knob of the state machine, with its unit, default and bounds.

use chrono::TimeDelta;
use vpp_core::{Invalid, Power};

use crate::usual::Calendar;

/// How the engine decides. All times are lengths.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// From one control cycle to the next. 0.25 s to 1 h, default 4 s: the rhythm of automatic generation control. Long ones
    /// are for replays.
    pub cycle: TimeDelta,
    /// From the beginning of a cycle to the release of its commands. Later is a miss. Default 4 s.
    pub deadline: TimeDelta,
    /// From the beginning of a cycle to when an allocation goes out without the optimizer. Default 2.5 s. How that is split:
    /// [`Config::solve_until`].
    pub solve_budget: TimeDelta,
    /// How often stations report. Default 2 s.
    pub telemetry_period: TimeDelta,
    /// After so many periods without a report a station is no longer callable. Default 3.
    pub silent_periods: i32,
    /// How far in the future a sample may lie. Default 5 min.
    pub future_tolerance: TimeDelta,
    /// How long a command holds. Default 60 s; renewed when half of it is over.
    pub command_lifetime: TimeDelta,
    /// How long an acknowledgement may take before the station counts as silent. Default 3 s: less than a cycle, so
    /// that the next cycle moves the share.
    pub acknowledgement_timeout: TimeDelta,
    /// For how long a station that refused or stayed silent is left out before it is tried again. Default 30 s; doubles
    /// with each failure, up to 16 times that.
    pub exclusion: TimeDelta,
    /// A setpoint that changes by less is not sent. Default 500 W.
    pub deadband: Power,
    /// Intervals of the plan beyond those cut by events. Default 4 × 15 min.
    pub horizon: Vec<TimeDelta>,
    /// How much of the load before an event makes its baseline. Default 15 min: the rule for real-time events as quoted
    /// for Jiangsu by the China Smart Grid press (2015).
    pub baseline_window: TimeDelta,
    /// An event that is called less than so long before it begins is a real-time one: its baseline is the load before it. That of
    /// any other changes from there on as the load of the same kind of day usually does. Default 15 min (assumption: the
    /// sources do not say where real time ends).
    pub real_time_notice: TimeDelta,
    /// Which days are worked: loads of working days and days of rest are told apart.
    pub calendar: Calendar,
    /// Whether every station's charging is planned all the time; else in programmes and below nodes with an agreement only.
    /// Default no.
    pub orderly: bool,
    /// So long before its departure a vehicle shall have what it needs, where its stay allows: batteries take less near their
    /// end, and a plan is corrected at the next cycle only. At most a cycle, default 0; for long cycles.
    pub departure_margin: TimeDelta,
    /// Share of the callable power that is promised, because vehicles come and go. Default 0.9.
    pub callable_share: f64,
    /// Share of the committed energy from which an event counts as delivered. Default 0.95.
    pub delivered_share: f64,
    /// Cycles for which the last allocation is kept when the optimizer gives nothing; then rules take over. Default 3.
    pub hold_cycles: u32,
    /// What a kWh discharged costs in wear, CNY. Default 0.4 (the figure that NIO stated in September 2025).
    pub wear_cny_per_kwh: f64,
    /// By how much charging now is worth more than the highest price of the horizon, CNY/kWh: owners want to charge.
    /// Default 0.2.
    pub charging_value_cny_per_kwh: f64,
    /// Price where no tariff is known, CNY/kWh. Default 0.6.
    pub default_price_cny_per_kwh: f64,
    /// The grid's regulation signal counts as broken after so long without a value. Default 20 s.
    pub signal_timeout: TimeDelta,
    /// For how long a station must be able to keep up what regulation asks of it beyond what the plan holds. Default
    /// 5 min.
    pub regulation_reserve: TimeDelta,
    /// How late the market lets the response to the signal be, up to 60 s. Up to one value late it is followed as soon as
    /// can be; from there on so late, and all the better: what is to be reached is then known when setpoints leave. PJM's
    /// score forgives 10 s. Default 0.
    pub regulation_delay: TimeDelta,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            cycle: TimeDelta::seconds(4),
            deadline: TimeDelta::seconds(4),
            solve_budget: TimeDelta::milliseconds(2_500),
            telemetry_period: TimeDelta::seconds(2),
            silent_periods: 3,
            future_tolerance: TimeDelta::minutes(5),
            command_lifetime: TimeDelta::seconds(60),
            acknowledgement_timeout: TimeDelta::seconds(3),
            exclusion: TimeDelta::seconds(30),
            deadband: Power::from_watts(500),
            horizon: vec![TimeDelta::minutes(15); 4],
            baseline_window: TimeDelta::minutes(15),
            real_time_notice: TimeDelta::minutes(15),
            calendar: Calendar::default(),
            orderly: false,
            departure_margin: TimeDelta::zero(),
            callable_share: 0.9,
            delivered_share: 0.95,
            hold_cycles: 3,
            wear_cny_per_kwh: 0.4,
            charging_value_cny_per_kwh: 0.2,
            default_price_cny_per_kwh: 0.6,
            signal_timeout: TimeDelta::seconds(20),
            regulation_reserve: TimeDelta::minutes(5),
            regulation_delay: TimeDelta::zero(),
        }
    }
}

impl Config {
    /// Checks that the values can be together.
    ///
    /// # Errors
    /// The first knob that is out of bounds.
    pub fn check(&self) -> Result<(), Invalid> {
        let second = TimeDelta::seconds(1);
        let quarter = TimeDelta::milliseconds(250);
        within("cycle", self.cycle, quarter, TimeDelta::hours(1))?;
        within(
            "deadline",
            self.deadline,
            TimeDelta::milliseconds(10),
            self.cycle,
        )?;
        within(
            "solve_budget",
            self.solve_budget,
            TimeDelta::milliseconds(1),
            self.deadline,
        )?;
        let tenth = TimeDelta::milliseconds(100);
        within(
            "telemetry_period",
            self.telemetry_period,
            tenth,
            TimeDelta::minutes(15),
        )?;
        within(
            "future_tolerance",
            self.future_tolerance,
            second,
            TimeDelta::hours(1),
        )?;
        within(
            "command_lifetime",
            self.command_lifetime,
            self.cycle * 2,
            TimeDelta::hours(2),
        )?;
        let timeout = self.acknowledgement_timeout;
        within(
            "acknowledgement_timeout",
            timeout,
            tenth,
            self.command_lifetime,
        )?;
        within("exclusion", self.exclusion, second, TimeDelta::hours(1))?;
        within(
            "baseline_window",
            self.baseline_window,
            second,
            TimeDelta::hours(2),
        )?;
        within(
            "real_time_notice",
            self.real_time_notice,
            TimeDelta::zero(),
            TimeDelta::days(8),
        )?;
        let half_a_day = TimeDelta::hours(14);
        within(
            "local_offset",
            self.calendar.local_offset,
            -half_a_day,
            half_a_day,
        )?;
        within(
            "signal_timeout",
            self.signal_timeout,
            second,
            TimeDelta::minutes(10),
        )?;
        within(
            "regulation_reserve",
            self.regulation_reserve,
            second,
            TimeDelta::hours(2),
        )?;
        within(
            "regulation_delay",
            self.regulation_delay,
            TimeDelta::zero(),
            TimeDelta::seconds(60),
        )?;
        within(
            "departure_margin",
            self.departure_margin,
            TimeDelta::zero(),
            self.cycle,
        )?;
        if self.horizon.is_empty() || self.horizon.len() > 96 {
            let problem = format!("has {} intervals; 1 to 96 are possible", self.horizon.len());
            return Err(Invalid::new("horizon", problem));
        }
        for length in &self.horizon {
            within("horizon", *length, second, TimeDelta::hours(24))?;
        }
        if !(1..=1_000).contains(&self.silent_periods) {
            return Err(Invalid::new("silent_periods", "is outside 1..=1000"));
        }
        if self.deadband < Power::ZERO {
            return Err(Invalid::new(
                "deadband",
                format!("{} is negative", self.deadband),
            ));
        }
        for (field, share) in [
            ("callable_share", self.callable_share),
            ("delivered_share", self.delivered_share),
        ] {
            if !(share > 0.0 && share <= 1.0) {
                return Err(Invalid::new(field, format!("{share} is outside (0, 1]")));
            }
        }
        for (field, price) in [
            ("wear_cny_per_kwh", self.wear_cny_per_kwh),
            (
                "charging_value_cny_per_kwh",
                self.charging_value_cny_per_kwh,
            ),
            ("default_price_cny_per_kwh", self.default_price_cny_per_kwh),
        ] {
            if !(0.0..=100.0).contains(&price) {
                return Err(Invalid::new(
                    field,
                    format!("{price} is outside 0 to 100 CNY/kWh"),
                ));
            }
        }
        Ok(())
    }

    /// From the beginning of a cycle to when the optimizer stops with the best that it has: four fifths of its budget, in which the
    /// state is read and the problem made as well. The rest is for handing over what it found, which otherwise came too late
    /// whenever it was stopped; what is left of the deadline, for the release.
    #[must_use]
    pub fn solve_until(&self) -> TimeDelta {
        self.solve_budget * 4 / 5
    }

    /// How old the last sample of a callable station may be.
    #[must_use]
    pub fn silence(&self) -> TimeDelta {
        self.telemetry_period * self.silent_periods
    }
}

fn within(field: &str, value: TimeDelta, low: TimeDelta, high: TimeDelta) -> Result<(), Invalid> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    let seconds = |length: TimeDelta| vpp_core::time::as_hours(length) * 3600.0;
    Err(Invalid::new(
        field,
        format!(
            "{} s is outside {} s to {} s",
            seconds(value),
            seconds(low),
            seconds(high)
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_can_be() {
        Config::default().check().unwrap();
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        type Spoil = fn(&mut Config);
        let table: [(&str, Spoil); 6] = [
            ("cycle", |c| c.cycle = TimeDelta::zero()),
            ("deadline", |c| c.deadline = TimeDelta::seconds(5)),
            ("solve_budget", |c| c.solve_budget = TimeDelta::seconds(5)),
            ("command_lifetime", |c| {
                c.command_lifetime = TimeDelta::seconds(4);
            }),
            ("callable_share", |c| c.callable_share = f64::NAN),
            ("horizon", |c| c.horizon.clear()),
        ];
        for (field, spoil) in table {
            let mut config = Config::default();
            spoil(&mut config);
            assert_eq!(config.check().unwrap_err().field, field);
        }
    }
}

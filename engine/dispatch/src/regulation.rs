//! Following the grid's regulation signal, inside what the plan leaves free.
//!
//! A positive signal means *draw less*. The plan's schedule is the middle; [`steer`] decides who moves off it.

pub(crate) mod response;
pub(crate) mod steer;
pub(crate) mod trend;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use vpp_core::units::MAX_KILOWATTS;
use vpp_core::{Invalid, Power, Reason, RegulationAward, RegulationSignal, Timestamp};

use crate::capability::scaled;
use crate::engine::Engine;
use crate::input::{Answer, Output};
use steer::Steering;
use trend::Trend;

/// Regulation that the grid has started.
#[derive(Clone, Debug, PartialEq)]
pub struct Regulation {
    /// The capacity promised.
    pub award: RegulationAward,
    /// For how long the full power must be kept.
    pub sustain: TimeDelta,
    /// The last value followed.
    pub signal: Option<RegulationSignal>,
    /// When it came.
    pub signal_at: Timestamp,
    /// From one value to the next.
    pub period: TimeDelta,
    /// Where it is going.
    pub(crate) trend: Trend,
}

impl Regulation {
    /// What the last value asks for; positive: draw less.
    #[must_use]
    pub fn requested(&self) -> Power {
        self.power_of(self.signal.map_or(0.0, |signal| signal.value))
    }

    /// What shall be followed by what leaves at `now` and shows so many periods after the next value: the signal in force
    /// at the next value, later ones by its trend; where the market lets the response be later than that, what it was so
    /// long before.
    pub(crate) fn followed(&self, now: Timestamp, late: f64, delay: TimeDelta) -> Power {
        let period = self.period.as_seconds_f64();
        // Of the instant when it shows, less the delay: seconds from now.
        let offset = late * period + (period - delay.as_seconds_f64()).min(0.0);
        let value = self.signal.map_or(0.0, |signal| signal.value);
        let value = if offset < 0.0 {
            let ago = TimeDelta::milliseconds(response::milliseconds(-offset));
            self.trend.value_at(now - ago).unwrap_or(value)
        } else {
            value + self.trend.ahead(offset / period)
        };
        self.power_of(value.clamp(-1.0, 1.0))
    }

    fn power_of(&self, value: f64) -> Power {
        let capacity = if value >= 0.0 {
            self.award.up
        } else {
            self.award.down
        };
        Power::round_kilowatts(capacity.as_kilowatts() * value)
    }
}

/// What happened to a value that was not followed as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum RegulationNote {
    /// Followed as it came.
    Followed,
    /// Its number had come before: the one in force is kept.
    Repeated,
    /// It is older than one that came before: the one in force is kept.
    Late,
    /// It was beyond ±1 and was cut to that.
    Clipped,
    /// The stations can do less than it asks for: it is followed as far as that goes.
    Short,
}

/// What a value of the signal led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Achieved {
    /// Which value.
    pub sequence: u64,
    /// What the signal in force asks for; positive: draw less.
    pub requested: Power,
    /// What is ordered from the stations for it: further than requested where they lag.
    pub ordered: Power,
    /// What the last samples show: what the stations would draw without the signal, minus measured.
    pub achieved: Power,
    /// How much less than the value asks for, as it came, is ordered: what it asks for beyond what is committed, and what the
    /// stations cannot do of the rest. A magnitude; zero where it is not followed.
    pub shortfall: Power,
    /// Commands released for it.
    pub command_count: usize,
    /// What happened to it.
    pub note: RegulationNote,
}

impl Engine {
    /// Starts regulation with as much of the capacity asked for as can be kept.
    pub(crate) fn start_regulation(
        &mut self,
        now: Timestamp,
        asked: RegulationAward,
        sustain: TimeDelta,
        validate_only: bool,
    ) -> Result<Answer, Invalid> {
        for (field, power) in [
            ("capacity_up_kw", asked.up),
            ("capacity_down_kw", asked.down),
        ] {
            if power < Power::ZERO {
                return Err(Invalid::new(field, format!("{power} is negative")));
            }
        }
        if asked == RegulationAward::default() {
            return Err(Invalid::new(
                "capacity_up_kw",
                "and capacity_down_kw are both zero",
            ));
        }
        if self.regulation.is_some() {
            return Err(Invalid::state(
                "regulation",
                "is followed on another stream already",
            ));
        }
        let (mut up, mut range, mut station_count) = (Power::ZERO, Power::ZERO, 0);
        for station in self.regulating_stations(now) {
            let (lowest, highest) = self.sustainable(now, station, sustain);
            let share = self.promised_share(station);
            // A station that draws less to make room for drawing more can give its whole range, once; what it draws now and
            // cannot go on drawing is no part of that.
            let station_up =
                (self.states[station].active_power.min(highest) - lowest).max(Power::ZERO);
            up += scaled(station_up, share);
            range += scaled(highest - lowest, share);
            station_count += 1;
        }
        let up = asked.up.min(up);
        let down = asked.down.min(range - up);
        let award = RegulationAward { up, down };
        if award == RegulationAward::default() {
            return Err(Invalid::state(
                "regulation",
                format!("no enrolled station can move now ({station_count} callable)"),
            ));
        }
        if !validate_only {
            self.regulation = Some(Regulation {
                award,
                sustain,
                signal: None,
                signal_at: now,
                period: self.config.cycle,
                trend: Trend::default(),
            });
            self.steering.forget();
            // What is planned already is moved at once; the next plan holds the capacity.
            self.make_room(now);
        }
        Ok(Answer::Regulation {
            award,
            station_count,
        })
    }

    /// Stations enrolled in regulation that can be given a setpoint.
    pub(crate) fn regulating_stations(&self, now: Timestamp) -> Vec<usize> {
        let enrolled = |station: &usize| {
            self.fleet.stations()[*station].regulates
                && self.states[*station].is_callable(now, &self.config)
        };
        (0..self.states.len()).filter(enrolled).collect()
    }

    /// Follows a value of the signal: commands at once, inside what the plan holds.
    pub(crate) fn follow(
        &mut self,
        now: Timestamp,
        signal: RegulationSignal,
        outputs: &mut Vec<Output>,
    ) {
        if let Err(invalid) = check_signal(&signal, now, self.config.future_tolerance) {
            outputs.push(Output::Rejected(invalid));
            return;
        }
        let Some(regulation) = &mut self.regulation else {
            let invalid = Invalid::state("signal", "came while no regulation is started");
            outputs.push(Output::Rejected(invalid));
            return;
        };
        let last = regulation.signal;
        let mut note = match last {
            Some(last) if last.sequence == signal.sequence => RegulationNote::Repeated,
            Some(last)
                if last.sequence > signal.sequence || last.signal_time > signal.signal_time =>
            {
                RegulationNote::Late
            }
            _ if signal.value.abs() > 1.0 => RegulationNote::Clipped,
            _ => RegulationNote::Followed,
        };
        let mut command_count = 0;
        if matches!(note, RegulationNote::Followed | RegulationNote::Clipped) {
            let value = signal.value.clamp(-1.0, 1.0);
            if regulation.signal.is_some() {
                let shortest = TimeDelta::seconds(1);
                let between = now - regulation.signal_at;
                regulation.period = between.clamp(shortest, self.config.signal_timeout);
            }
            regulation.signal = Some(RegulationSignal { value, ..signal });
            regulation.signal_at = now;
            let kept = self.config.regulation_delay;
            regulation.trend.take(now, value, kept);
            self.steer(now, true);
            command_count = self.release_regulation(now, outputs);
        }
        let requested = self
            .regulation
            .as_ref()
            .map_or(Power::ZERO, Regulation::requested);
        let (ordered, achieved) = self.ordered_and_achieved();
        // Where stations lag, more is ordered than is asked for.
        let asked = self.steering.followed() - self.steering.made_good();
        let missing = if asked >= Power::ZERO {
            asked - ordered
        } else {
            ordered - asked
        };
        let short = missing > self.config.deadband;
        if note == RegulationNote::Followed && short {
            note = RegulationNote::Short;
        }
        let shortfall = match note {
            RegulationNote::Repeated | RegulationNote::Late => Power::ZERO,
            _ => {
                let beyond = self.beyond_commitment(signal.value);
                beyond + if short { missing } else { Power::ZERO }
            }
        };
        outputs.push(Output::Regulated(Achieved {
            sequence: signal.sequence,
            requested,
            ordered,
            achieved,
            shortfall,
            command_count,
            note,
        }));
    }

    /// What a value of the signal asks for beyond what is committed; a magnitude.
    fn beyond_commitment(&self, value: f64) -> Power {
        let award = self
            .regulation
            .as_ref()
            .map_or_else(RegulationAward::default, |regulation| regulation.award);
        let committed = if value > 0.0 { award.up } else { award.down };
        let beyond = committed.as_kilowatts() * (value.abs() - 1.0).max(0.0);
        Power::round_kilowatts(beyond.min(MAX_KILOWATTS))
    }

    /// Sends the enrolled stations where the signal in force wants them.
    fn release_regulation(&mut self, now: Timestamp, outputs: &mut Vec<Output>) -> usize {
        let mut releasing = std::mem::take(&mut self.releasing);
        releasing.want(self.steering.setpoints().iter().copied());
        let decision = self
            .plan
            .as_ref()
            .map_or(vpp_core::Decision::Fallback, |plan| plan.decision);
        let issued = self.release_wanted(now, releasing, decision, Reason::Regulation, outputs);
        issued.commands
    }

    /// How far the signal in force moves a station off its schedule; positive: draws more.
    pub(crate) fn regulation_offset(&self, station: usize) -> Power {
        let steered = self.states[station].steered;
        steered.map_or(Power::ZERO, |steered| steered.offset)
    }

    /// Where a station shall be: its schedule, or where the signal in force sends it.
    pub(crate) fn wanted(&self, station: usize) -> Option<Power> {
        let state = &self.states[station];
        if self.awaits_signal(station) {
            return None;
        }
        let steered = state.steered.map(|steered| steered.setpoint);
        steered.or(state.schedule)
    }

    /// Whether it follows a command of an engine before this one, and the signal that this was for has not come again yet:
    /// it is left where it is, rather than brought to its schedule and back.
    fn awaits_signal(&self, station: usize) -> bool {
        let waits = |regulation: &Regulation| regulation.signal.is_none();
        self.regulation.as_ref().is_some_and(waits)
            && self.fleet.stations()[station].regulates
            && self.states[station].unknown_until.is_some()
    }

    /// By how much a station's setpoint is off its schedule because of the signal; positive: draws more.
    pub(crate) fn ordered_offset(&self, station: usize) -> Power {
        let state = &self.states[station];
        match (state.steered, state.schedule) {
            (Some(steered), Some(schedule)) => {
                state.response.settled(steered.setpoint) - state.response.settled(schedule)
            }
            _ => Power::ZERO,
        }
    }

    /// What a station draws, without what regulation moved it by.
    pub(crate) fn without_regulation(&self, station: usize) -> Power {
        self.states[station].active_power - self.regulation_offset(station)
    }

    /// What is ordered for the signal, and what the last samples show of it; positive: draws less.
    fn ordered_and_achieved(&self) -> (Power, Power) {
        let mut sums = (Power::ZERO, Power::ZERO);
        for (station, state) in self.states.iter().enumerate() {
            if state.steered.is_none() {
                continue;
            }
            sums.0 -= self.ordered_offset(station);
            if let Some((_, course)) = state.course {
                sums.1 += Power::round_kilowatts(course) - state.active_power;
            }
        }
        sums
    }

    /// Ends regulation when the signal has been silent for too long.
    pub(crate) fn expire_regulation(&mut self, now: Timestamp, outputs: &mut Vec<Output>) {
        let last = self
            .regulation
            .as_ref()
            .map(|regulation| regulation.signal_at);
        if let Some(last) = last.filter(|last| now - *last > self.config.signal_timeout) {
            self.stop_regulation();
            outputs.push(Output::SignalLost { last });
        }
    }

    /// Ends regulation. The next cycle brings the stations back to their schedule.
    pub(crate) fn stop_regulation(&mut self) {
        self.regulation = None;
        self.held = RegulationAward::default();
        // Another award begins anew.
        self.steering = Steering::default();
        for state in &mut self.states {
            state.held = RegulationAward::default();
            state.steered = None;
            state.course = None;
        }
    }
}

fn check_signal(
    signal: &RegulationSignal,
    now: Timestamp,
    tolerance: TimeDelta,
) -> Result<(), Invalid> {
    if !signal.value.is_finite() {
        let problem = format!("{} is not a finite number", signal.value);
        return Err(Invalid::new("signal.value", problem));
    }
    if signal.signal_time > now + tolerance {
        let problem = format!(
            "{} is more than {} s ahead",
            signal.signal_time,
            tolerance.num_seconds()
        );
        return Err(Invalid::new("signal.signal_time", problem));
    }
    Ok(())
}

//! The simulated world behind the aggregators: vehicles that come, charge and leave, piles that lag, and some that do not
//! obey; stations that refuse or cannot be reached.
//!
//! Time moves on a grid of whole seconds from the start, however often [`World::advance`](Sites::advance) is called, and
//! each station has its own random numbers: the same scenario gives the same vehicles in every run, in every process, with
//! or without control. Nothing here decides what a station should do, apart from the controller on the spot that keeps its
//! default ceiling.

mod arrivals;
mod battery;
mod coarse;
mod config;
mod draws;
mod given;
mod missed;
mod recorded;
mod station;
mod swap;
mod tally;
mod vehicle;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex};

use chrono::TimeDelta;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use vpp_aggregator::{Book, Desk, Guard, Lease, Operator, PileReading, PileSetpoint, Sites};
use vpp_core::{AggregatorId, Energy, Invalid, Power, Station, Timestamp};

use crate::Scenario;
use station::StationState;
use vehicle::instant;

pub use config::{Behaviour, StationModel, WARM_UP, WorldConfig};
pub use tally::Tally;

/// The grid on which time moves.
const STEP_MS: i64 = 1_000;
/// Stations that one thread takes at a time.
const TASK: usize = 16;
/// The coarser grid of the warm-up.
const WARM_UP_STEP_MS: i64 = 60_000;
/// The same for stations that live in long steps afterwards: their controllers have nothing to learn of their piles.
const WARM_UP_LONG_MS: i64 = 900_000;

/// Simulated stations.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct World {
    #[serde(skip)]
    stations: Vec<Station>,
    states: Vec<StationState>,
    /// Milliseconds of the epoch.
    now: i64,
    start: i64,
    /// Length of the long steps of stations that live in those.
    coarse_ms: i64,
    /// Which stations the last advance brought further.
    moved: Vec<bool>,
}

impl World {
    /// A world at its start, warmed up.
    #[must_use]
    pub fn new(config: WorldConfig) -> World {
        let start = config.start.timestamp_millis();
        let begin = start - config.warm_up.num_minutes().max(0) * WARM_UP_STEP_MS;
        let stations = config
            .stations
            .iter()
            .map(|model| model.station.clone())
            .collect();
        let warmed = |model: StationModel| {
            // What is recorded begins at the start.
            let begin = if model.recorded.is_some() {
                start
            } else {
                begin
            };
            let mut state = StationState::new(config.seed, model, begin);
            if config.in_long_steps {
                state.set_coarse(Some(WARM_UP_LONG_MS));
                state.live(start, WARM_UP_LONG_MS);
            }
            while state.now < start {
                state.tick(state.now, WARM_UP_STEP_MS);
            }
            if state.recorded.is_some() {
                state.come_and_go(start);
            }
            state.tally = Tally::default();
            state.read(start);
            state
        };
        let models = config.stations.into_par_iter();
        let states: Vec<StationState> = models.map(warmed).collect();
        World {
            stations,
            moved: vec![true; states.len()],
            states,
            now: start,
            start,
            coarse_ms: STEP_MS,
        }
    }

    /// From now on every station lives in steps of `step`, whole seconds counted from the start; those that `fine` names in
    /// steps of a second, as all do without this. A step of a second is fine for all.
    ///
    /// The same vehicles come and go at the same seconds, and energy is exact (`coarse.rs` says how); delays and ramps of some
    /// seconds are left out.
    pub fn set_pace(&mut self, step: TimeDelta, fine: impl Fn(&Station) -> bool) {
        self.coarse_ms = step.num_milliseconds().max(STEP_MS) / STEP_MS * STEP_MS;
        let states = self.states.iter_mut().zip(&self.stations);
        for (state, station) in states {
            let is_coarse = self.coarse_ms > STEP_MS && !fine(station);
            state.set_coarse(is_coarse.then_some(self.coarse_ms));
        }
    }

    /// The world of a scenario: the stations of one aggregator, or all.
    ///
    /// # Errors
    /// What the fleet refuses; a scenario from [`Scenario::parse`] has nothing such.
    pub fn from_scenario(
        scenario: &Scenario,
        aggregator: Option<&AggregatorId>,
    ) -> Result<World, Invalid> {
        WorldConfig::of(scenario, aggregator).map(World::new)
    }

    /// The same for a world that lives in long steps from its start on ([`World::set_pace`]), operated as by
    /// [`World::operated`]: it warms up in long steps, much faster.
    ///
    /// # Errors
    /// As [`World::from_scenario`].
    pub fn operated_in_long_steps(
        scenario: &Scenario,
        aggregator: &AggregatorId,
    ) -> Result<Operator<World>, Invalid> {
        let mut config = WorldConfig::of(scenario, Some(aggregator))?;
        config.in_long_steps = true;
        Ok(World::new(config).operator(scenario, aggregator))
    }

    /// The world of one aggregator of a scenario with its operator, who keeps the vehicles' warranty.
    ///
    /// # Errors
    /// As [`World::from_scenario`].
    pub fn operated(
        scenario: &Scenario,
        aggregator: &AggregatorId,
    ) -> Result<Operator<World>, Invalid> {
        let world = World::from_scenario(scenario, Some(aggregator))?;
        Ok(world.operator(scenario, aggregator))
    }

    fn operator(self, scenario: &Scenario, aggregator: &AggregatorId) -> Operator<World> {
        let book = Book::new(self.stations());
        let guard = Guard::new(scenario.warranties(), None);
        let desk = Desk::new(Arc::new(Mutex::new(book)), Arc::new(Mutex::new(guard)));
        Operator::new(aggregator.clone(), self).with_desk(desk)
    }

    /// Goes on where another one of the same stations was saved.
    pub fn resume(&mut self, saved: World) {
        let fresh = std::mem::replace(self, saved);
        self.stations = fresh.stations;
        for (state, fresh) in self.states.iter_mut().zip(fresh.states) {
            state.put_back(fresh);
        }
    }

    /// Up to when it has lived.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        instant(self.now)
    }

    /// What has happened at a station since the start.
    #[must_use]
    pub fn tally(&self, station: usize) -> Tally {
        self.states[station].tally
    }

    /// What has happened at all stations since the start.
    #[must_use]
    pub fn total(&self) -> Tally {
        let mut total = Tally::default();
        for state in &self.states {
            total.add(&state.tally);
        }
        total
    }

    /// What the batteries at a station hold now.
    #[must_use]
    pub fn stored(&self, station: usize) -> Energy {
        self.states[station].stored()
    }

    /// Lets a station refuse every command from now on, or none.
    pub fn set_refusal(&mut self, station: usize, refusal: Option<String>) {
        self.states[station].refusal = refusal;
    }

    /// Cuts a station off, or reaches it again.
    pub fn set_reachable(&mut self, station: usize, reachable: bool) {
        self.states[station].unreachable_from = (!reachable).then_some(self.now);
    }
}

impl Sites for World {
    fn stations(&self) -> &[Station] {
        &self.stations
    }

    fn advance(&mut self, now: Timestamp) {
        let since = now.timestamp_millis() - self.start;
        if self.start + since < self.now + STEP_MS {
            return;
        }
        self.now = self.start + since / STEP_MS * STEP_MS;
        let (fine, coarse) = (
            self.now,
            self.start + since / self.coarse_ms * self.coarse_ms,
        );
        let live = |state: &mut StationState| {
            let until = if state.coarse { coarse } else { fine };
            let moves = state.now < until;
            if moves && state.coarse {
                state.live(until, self.coarse_ms);
            } else {
                while state.now < until {
                    state.tick(state.now, STEP_MS);
                }
            }
            if moves {
                state.read(until);
            }
            moves
        };
        let states = self.states.par_iter_mut().with_min_len(TASK);
        states.map(live).collect_into_vec(&mut self.moved);
    }

    fn moved(&self, station: usize) -> bool {
        self.moved[station]
    }

    fn readings(&self, station: usize) -> &[PileReading] {
        &self.states[station].readings
    }

    fn active_power(&self, station: usize) -> Power {
        self.states[station].active_power()
    }

    fn apply(&mut self, station: usize, setpoints: &[PileSetpoint], lease: Lease) {
        if self.reachable(station) {
            self.states[station].apply(self.now, setpoints, lease);
        }
    }

    fn refusal(&self, station: usize) -> Option<&str> {
        self.states[station].refusal.as_deref()
    }

    fn reachable(&self, station: usize) -> bool {
        self.states[station]
            .unreachable_from
            .is_none_or(|from| self.now < from)
    }
}

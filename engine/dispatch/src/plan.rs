//! From the state to a problem for the optimizer, and from its solution to a schedule for each station.

use chrono::TimeDelta;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use vpp_core::time::as_hours;
use vpp_core::{
    Decision, Event, Flexibility, Interval, Power, Programme, RegulationAward, Session, StationId,
    Timestamp,
};
use vpp_optimizer::{Direction, Node, Penalties, Problem, Requirement, Resource, Solution};

use crate::capability::participants;
use crate::engine::Engine;
use crate::events::{LEAD, promised};

/// What is planned for a station in one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct PlannedPower {
    /// Schedule, without regulation.
    pub power: Power,
    /// Regulation held.
    pub held: RegulationAward,
}

/// The plan in force.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Plan {
    /// The cycle that made it.
    pub cycle: u64,
    /// How it was decided.
    pub decision: Decision,
    /// Its intervals.
    pub intervals: Vec<Interval>,
    /// Its stations, with one entry for each interval.
    pub stations: Vec<(StationId, Vec<PlannedPower>)>,
    /// Cost, penalties included, CNY.
    pub objective: f64,
    /// What each binding limit and promise costs at the margin, CNY/kWh, for each interval.
    pub prices: Vec<(String, Vec<f64>)>,
    /// The programmes that it serves.
    pub(crate) programmes: Vec<String>,
}

/// A problem that is out to be solved, with what its indices mean.
#[derive(Clone, Debug)]
pub(crate) struct PendingSolve {
    pub(crate) problem: Problem,
    pub(crate) intervals: Vec<Interval>,
    /// Station of each resource.
    pub(crate) stations: Vec<usize>,
    /// Name of each requirement.
    pub(crate) names: Vec<String>,
    pub(crate) programmes: Vec<String>,
}

impl Engine {
    /// Which stations a programme uses now.
    pub(crate) fn used_stations(&self, now: Timestamp) -> Vec<bool> {
        let mut used = vec![false; self.states.len()];
        for event in self.working_events(now) {
            for station in participants(&self.fleet, event) {
                used[station] = true;
            }
        }
        if self.regulation.is_some() {
            for (used, station) in used.iter_mut().zip(self.fleet.stations()) {
                *used |= station.regulates;
            }
        }
        used
    }

    /// Whether a station's charging is orderly all the time: all are, or something was agreed for a node above, and not yet
    /// over.
    pub(crate) fn is_orderly(&self, now: Timestamp, station: usize) -> bool {
        if self.config.orderly {
            return true;
        }
        let tree = self.fleet.tree();
        let mut above = tree.path_to_root(self.fleet.node_of(station));
        above.any(|node| {
            let agreement = &tree.nodes()[node].agreement;
            agreement.is_some_and(|agreement| now < agreement.interval.end())
        })
    }

    /// The problem of this cycle.
    pub(crate) fn build_problem(&self, now: Timestamp) -> PendingSolve {
        let intervals = self.intervals(now);
        let stations: Vec<usize> = (0..self.states.len())
            .filter(|station| {
                let state = &self.states[*station];
                state.is_managed() && state.is_callable(now, &self.config)
            })
            .collect();
        let prices = self.plan_prices(now, &intervals);
        let mut problem = Problem {
            intervals_h: intervals
                .iter()
                .map(|interval| as_hours(interval.length()))
                .collect(),
            resources: stations
                .par_iter()
                .map(|s| self.resource(now, *s, &intervals, &prices))
                .collect(),
            nodes: self.nodes(now, &intervals, &stations),
            requirements: Vec::new(),
            penalties: Penalties::default(),
        };
        let mut names = Vec::new();
        let mut programmes = Vec::new();
        for event in self.working_events(now) {
            programmes.push(event.id.to_string());
            for (name, requirement) in self.event_rows(now, event, &intervals, &stations) {
                names.push(name);
                problem.requirements.push(requirement);
            }
        }
        if let Some(regulation) = &self.regulation {
            programmes.push("regulation".into());
            names.push("regulation".into());
            let enrolled = |r: &usize| self.fleet.stations()[stations[*r]].regulates;
            problem.requirements.push(Requirement::Regulation {
                name: "regulation".into(),
                members: (0..stations.len()).filter(enrolled).collect(),
                up_kw: vec![regulation.award.up.as_kilowatts(); intervals.len()],
                down_kw: vec![regulation.award.down.as_kilowatts(); intervals.len()],
                sustain_h: as_hours(regulation.sustain),
            });
        }
        PendingSolve {
            problem,
            intervals,
            stations,
            names,
            programmes,
        }
    }

    /// From now over the horizon, cut where an event begins or ends.
    fn intervals(&self, now: Timestamp) -> Vec<Interval> {
        let mut cuts = vec![now];
        for length in &self.config.horizon {
            cuts.push(cuts[cuts.len() - 1] + *length);
        }
        let end = cuts[cuts.len() - 1];
        // A cut so near that the next cycle comes first would only make a sliver.
        let soon = now + self.config.cycle;
        for event in self.open_events() {
            for at in [event.request.interval.start(), event.request.interval.end()] {
                if soon < at && at < end {
                    cuts.push(at);
                }
            }
        }
        cuts.sort();
        cuts.dedup_by(|later, earlier| *later - *earlier < TimeDelta::seconds(1));
        cuts.windows(2)
            .filter_map(|cut| Interval::new(cut[0], cut[1]).ok())
            .collect()
    }

    fn resource(
        &self,
        now: Timestamp,
        station: usize,
        intervals: &[Interval],
        prices: &[(f64, f64)],
    ) -> Resource {
        let registered = &self.fleet.stations()[station];
        let state = &self.states[station];
        let early: Vec<Session>;
        let sessions = if self.config.departure_margin == TimeDelta::zero() {
            &state.sessions
        } else {
            early = self.with_margin(now, registered, &state.sessions);
            &early
        };
        let flexibility = Flexibility::of(registered, sessions, now, intervals);
        let kilowatts = |powers: &[Power]| {
            powers
                .iter()
                .map(|p| p.as_kilowatts())
                .collect::<Vec<f64>>()
        };
        let kwh = |energies: &[vpp_core::Energy]| {
            energies
                .iter()
                .map(|e| e.as_kilowatt_hours())
                .collect::<Vec<f64>>()
        };
        let highest = prices.iter().map(|(energy, _)| *energy).fold(0.0, f64::max);
        let charge_max_kw = kilowatts(&flexibility.max_charge);
        let discharge_max_kw = kilowatts(&flexibility.max_discharge);
        Resource {
            node: Some(self.fleet.node_of(station)),
            power_min_kw: discharge_max_kw.iter().map(|power| -power).collect(),
            power_max_kw: charge_max_kw.clone(),
            charge_max_kw,
            discharge_max_kw,
            energy_min_kwh: kwh(&flexibility.envelope.lower),
            energy_max_kwh: kwh(&flexibility.envelope.upper),
            charge_efficiency: registered.charge_efficiency,
            discharge_efficiency: registered.discharge_efficiency,
            initial_power_kw: state.active_power.as_kilowatts(),
            ramp_kw_per_h: registered.ramp_per_second.as_kilowatts() * 3_600.0,
            throughput_max_kwh: f64::INFINITY,
            energy_price: prices.iter().map(|(energy, _)| *energy).collect(),
            feed_in_price: prices.iter().map(|(_, feed_in)| *feed_in).collect(),
            wear: self.config.wear_cny_per_kwh,
            terminal_value: highest / registered.charge_efficiency
                + self.config.charging_value_cny_per_kwh,
            regulates: registered.regulates,
        }
    }

    /// The electric tree; what the optimizer cannot move counts as base load.
    fn nodes(&self, now: Timestamp, intervals: &[Interval], resources: &[usize]) -> Vec<Node> {
        let tree = self.fleet.tree();
        let mut fixed = vec![Power::ZERO; tree.nodes().len()];
        let mut free = resources.iter().peekable();
        for station in 0..self.states.len() {
            let power = if free.next_if_eq(&&station).is_some() {
                self.states[station].excess
            } else {
                self.expected_draw(now, station)
            };
            fixed[self.fleet.node_of(station)] += power;
        }
        // Stations must be where they fit before a limit falls or a base load rises.
        let ahead = |interval: &Interval| interval.end() + self.config.command_lifetime;
        let node = |(index, node): (usize, &vpp_core::Node)| Node {
            parent: tree.parent(index),
            import_limit_kw: intervals
                .iter()
                .map(|i| node.import_limit_over(i.start(), ahead(i)).as_kilowatts())
                .collect(),
            export_limit_kw: vec![node.export_limit.as_kilowatts(); intervals.len()],
            base_kw: intervals
                .iter()
                .map(|i| (node.base_load.over(i.start(), ahead(i)).1 + fixed[index]).as_kilowatts())
                .collect(),
        };
        tree.nodes().iter().enumerate().map(node).collect()
    }

    /// What a station draws that the optimizer cannot move: as measured; at worst when it cannot be reached, for then it
    /// will fall back to its default when its command expires, and the others must have made room by then.
    fn expected_draw(&self, now: Timestamp, station: usize) -> Power {
        let state = &self.states[station];
        if state.is_callable(now, &self.config) || state.ordered().is_none() {
            return state.active_power;
        }
        let limits = &self.fleet.station_limits()[station];
        state
            .exposure(limits)
            .high
            .max(limits.default_setpoint)
            .max(state.active_power)
    }

    /// The rows of an event: one for all, and one for each aggregator that promised a part.
    fn event_rows(
        &self,
        now: Timestamp,
        event: &Event,
        intervals: &[Interval],
        stations: &[usize],
    ) -> Vec<(String, Requirement)> {
        let name = event.id.to_string();
        // An event that begins before the next cycle begins now: ramps take time.
        let begins = event
            .request
            .interval
            .start()
            .min(now.max(event.request.interval.start() - self.config.cycle.max(LEAD)));
        let on = |interval: &Interval| {
            begins <= interval.start() && interval.start() < event.request.interval.end()
        };
        match &event.request.programme {
            Programme::PeakShaving { node, ceiling } => {
                let Some(node) = self.fleet.tree().index_of(node) else {
                    return Vec::new();
                };
                let ceiling = ceiling.as_kilowatts();
                let ceiling_at = |i| if on(i) { ceiling } else { f64::INFINITY };
                let ceiling_kw = intervals.iter().map(ceiling_at).collect();
                vec![(
                    name.clone(),
                    Requirement::PeakShaving {
                        name,
                        node,
                        ceiling_kw,
                        peak_price: 0.0,
                    },
                )]
            }
            Programme::DemandResponse { .. } | Programme::ValleyFilling { .. } => {
                let direction = if event.request.programme.fills() {
                    Direction::Filling
                } else {
                    Direction::Shaving
                };
                let members = participants(&self.fleet, event);
                let active: Vec<Option<Interval>> = (intervals
                    .iter()
                    .map(|interval| on(interval).then_some(*interval)))
                .collect();
                let total = match direction {
                    Direction::Shaving => event.accepted + self.shaved_within(&members, now),
                    Direction::Filling => event.accepted,
                };
                let row =
                    self.response_row(now, &name, direction, &members, total, &active, stations);
                let mut rows = vec![(name.clone(), row)];
                for (index, aggregator) in self.fleet.aggregators().iter().enumerate() {
                    let theirs: Vec<usize> = members
                        .iter()
                        .copied()
                        .filter(|station| self.fleet.aggregator_of(*station) == index)
                        .collect();
                    let promise = promised(event, &aggregator.id);
                    if promise > Power::ZERO {
                        let name = format!("{name}/{}", aggregator.id);
                        let row = self.response_row(
                            now, &name, direction, &theirs, promise, &active, stations,
                        );
                        rows.push((name, row));
                    }
                }
                rows
            }
        }
    }

    /// `± Σ (baseline − x) ≥ commitment` over the members that can be moved; the others' part is taken off or added.
    #[allow(clippy::too_many_arguments)]
    fn response_row(
        &self,
        now: Timestamp,
        name: &str,
        direction: Direction,
        members: &[usize],
        commitment: Power,
        active: &[Option<Interval>],
        stations: &[usize],
    ) -> Requirement {
        let resources = members
            .iter()
            .filter_map(|s| stations.binary_search(s).ok());
        let mut commitment_kw = vec![0.0; active.len()];
        let mut baseline_kw = vec![0.0; active.len()];
        let along = |reduction: Power| match direction {
            Direction::Shaving => reduction,
            Direction::Filling => -reduction,
        };
        // What comes between this plan and the next is not in it, and must not eat up what is promised.
        let fills = direction == Direction::Filling;
        let commitment = commitment + self.expected_unplanned(now, members, fills);
        for (t, interval) in active.iter().enumerate() {
            let Some(interval) = interval else { continue };
            let (mut baseline, mut left) = (Power::ZERO, commitment);
            for &station in members {
                let state = &self.states[station];
                if stations.binary_search(&station).is_ok() {
                    baseline += self.baseline_over(station, *interval);
                    left += along(state.excess);
                } else if state.is_fresh(now, &self.config) {
                    left -= along(self.baseline_over(station, *interval) - state.active_power);
                }
            }
            baseline_kw[t] = baseline.as_kilowatts();
            commitment_kw[t] = left.max(Power::ZERO).as_kilowatts();
        }
        Requirement::DemandResponse {
            name: name.into(),
            direction,
            members: resources.collect(),
            baseline_kw,
            commitment_kw,
        }
    }

    /// Takes a solution as the schedule of each station.
    pub(crate) fn apply(
        &mut self,
        now: Timestamp,
        pending: &PendingSolve,
        solution: &Solution,
        decision: Decision,
    ) {
        for state in &mut self.states {
            if state.course.is_some() {
                state.keep_course(now);
            }
            state.schedule = None;
            state.held = RegulationAward::default();
        }
        let mut stations = Vec::with_capacity(pending.stations.len());
        for (&station, schedule) in pending.stations.iter().zip(&solution.schedule) {
            let planned: Vec<PlannedPower> = (0..pending.intervals.len())
                .map(|t| PlannedPower {
                    power: Power::floor_kilowatts(schedule.net_kw(t)),
                    held: RegulationAward {
                        up: Power::floor_kilowatts(schedule.up_kw[t].max(0.0)),
                        down: Power::floor_kilowatts(schedule.down_kw[t].max(0.0)),
                    },
                })
                .collect();
            if self.regulation.is_some() && self.fleet.stations()[station].regulates {
                self.states[station].held = planned[0].held;
            }
            self.states[station].schedule = Some(planned[0].power);
            stations.push((self.fleet.stations()[station].id.clone(), planned));
        }
        self.foresee_served(now, pending, solution);
        self.make_room(now);
        self.held = RegulationAward {
            up: self.states.iter().map(|state| state.held.up).sum(),
            down: self.states.iter().map(|state| state.held.down).sum(),
        };
        self.plan = Some(Plan {
            cycle: self.cycle,
            decision,
            intervals: pending.intervals.clone(),
            stations,
            objective: solution.objective,
            prices: self.binding_prices(pending, solution),
            programmes: pending.programmes.clone(),
        });
    }
}

impl Engine {
    /// Between which draws regulation may move the enrolled stations: what the plan holds, and beyond that what they can
    /// do and no event needs, for a while.
    pub(crate) fn make_room(&mut self, now: Timestamp) {
        if self.regulation.is_none() {
            return;
        }
        // Promised to draw less, or more.
        let mut in_event = vec![(false, false); self.states.len()];
        for event in self.working_events(now) {
            let fills = event.request.programme.fills();
            for station in participants(&self.fleet, event) {
                let (less, more) = &mut in_event[station];
                *more |= fills;
                *less |= !fills;
            }
        }
        for (station, (less, more)) in in_event.into_iter().enumerate() {
            let state = &self.states[station];
            let Some(schedule) = state.schedule else {
                continue;
            };
            if !self.fleet.stations()[station].regulates {
                continue;
            }
            // Drawing less puts vehicles in a hurry, and must be kept for a while; drawing more does no harm, and who leaves soon
            // can do it as well.
            let (up, _) = self.callable(now, station, self.config.regulation_reserve);
            let (_, down) = self.callable(now, station, self.config.cycle);
            let mut low = schedule - state.held.up;
            if !more {
                low = low.min(state.active_power - up);
            }
            let mut high = schedule + state.held.down;
            if !less {
                high = high.max(state.active_power + down);
            }
            self.states[station].room_kw = (low.as_kilowatts(), high.as_kilowatts());
        }
    }

    /// Prices of the limits and promises that bind.
    fn binding_prices(
        &self,
        pending: &PendingSolve,
        solution: &Solution,
    ) -> Vec<(String, Vec<f64>)> {
        let Some(prices) = &solution.prices else {
            return Vec::new();
        };
        let mut named: Vec<(String, Vec<f64>)> = Vec::new();
        for (node, prices) in self.fleet.tree().nodes().iter().zip(&prices.nodes) {
            named.push((format!("{}/import", node.id), prices.import.clone()));
            named.push((format!("{}/export", node.id), prices.export.clone()));
        }
        for (name, prices) in pending.names.iter().zip(&prices.requirements) {
            named.push((name.clone(), prices.price.clone()));
            named.push((format!("{name}/down"), prices.down.clone()));
        }
        named.retain(|(_, prices)| prices.iter().any(|price| price.abs() > 1e-6));
        named
    }
}

//! What happens in a run, as rows of its tables: added up at every control cycle, handed on at once.
//!
//! Energies are what the stations' meters counted; powers are those over the length of the interval. What was promised and
//! ordered is what held when the interval began.

mod events;
mod meters;
mod promises;
mod visits;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use vpp_core::time::as_hours;
use vpp_core::{Decision, Interval, Power, Timestamp};
use vpp_dispatch::{CycleReport, Engine};
use vpp_results::{Error, PausedTables, Tables, Text, rows};
use vpp_scenarios::Scenario;

use crate::Counts;
use crate::run::{Run, Step};
use events::Events;
use meters::Meters;
use promises::Promises;

/// Longer runs have no rows for each station and interval.
const STATIONS_UP_TO: TimeDelta = TimeDelta::days(31);
/// A price below this binds nothing, CNY/kWh.
const LEAST_PRICE: f64 = 1e-6;

/// What the tables say of the interval that is on.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Open {
    start: Timestamp,
    report: CycleReport,
    decision: Text,
    objective: Option<f64>,
    /// Loads before the programmes that use the stations; none where none does.
    baselines: Vec<Option<Power>>,
    subsidy_cny_per_kwh: f64,
    subsidy_left_cny: f64,
    /// What each aggregator could be called to draw less and more, for an hour.
    callable: Vec<(Power, Power)>,
    /// What each limit and promise that binds costs.
    prices: Vec<(Text, f64)>,
    /// As of its begin.
    counts: Counts,
}

/// A recorder as it is saved: what it has noted and not handed on, and its tables.
#[derive(Deserialize, Serialize)]
pub(crate) struct Saved<M, E, P, S, O> {
    meters: M,
    events: E,
    promises: P,
    setpoints: S,
    open: O,
    signal: Option<(Timestamp, vpp_dispatch::Achieved)>,
    violations: u64,
    lost_signals: u64,
    tables: PausedTables,
}

/// The same, read again.
pub(crate) type Known = Saved<Meters, Events, Promises, Vec<Option<Power>>, Option<Open>>;

/// Fills the tables of a run.
pub struct Recorder {
    tables: Tables,
    aggregators: Vec<Text>,
    nodes: Vec<Text>,
    meters: Meters,
    events: Events,
    promises: Promises,
    /// Setpoints in force at the last look.
    setpoints: Vec<Option<Power>>,
    open: Option<Open>,
    /// A value of the signal whose effect is not known yet.
    signal: Option<(Timestamp, vpp_dispatch::Achieved)>,
    each_station: bool,
    violations: u64,
    lost_signals: u64,
}

impl<M, E, P, S, O> Saved<M, E, P, S, O> {
    /// Its tables.
    pub(crate) fn tables(&mut self) -> PausedTables {
        std::mem::take(&mut self.tables)
    }
}

impl Recorder {
    /// A recorder of a run that has not begun.
    #[must_use]
    pub fn new(scenario: &Scenario, run: &Run, tables: Tables) -> Recorder {
        let fleet = run.plant().engine().fleet();
        let aggregators: Vec<Text> = (fleet.aggregators().iter())
            .map(|aggregator| aggregator.id.as_str().into())
            .collect();
        let nodes = fleet.tree().nodes().iter();
        Recorder {
            tables,
            nodes: nodes.map(|node| node.id.as_str().into()).collect(),
            meters: Meters::new(scenario, run),
            events: Events::default(),
            promises: Promises::new(&aggregators),
            aggregators,
            setpoints: vec![None; fleet.stations().len()],
            open: None,
            signal: None,
            each_station: run.end() - run.now() <= STATIONS_UP_TO,
            violations: 0,
            lost_signals: 0,
        }
    }

    /// All that it goes on from another time. What is in its tables so far is safe on the disk then.
    ///
    /// # Errors
    /// When a table cannot be written.
    pub(crate) fn saved(&mut self) -> Result<impl Serialize + '_, Error> {
        let tables = self.tables.pause()?;
        Ok(Saved {
            meters: &self.meters,
            events: &self.events,
            promises: &self.promises,
            setpoints: &self.setpoints,
            open: &self.open,
            signal: self.signal,
            violations: self.violations,
            lost_signals: self.lost_signals,
            tables,
        })
    }

    /// A recorder of the same run, which has not begun, goes on from there, with tables that were paused then.
    pub(crate) fn resume(&mut self, known: Known) {
        let Saved {
            meters,
            events,
            promises,
            setpoints,
            open,
            signal,
            violations,
            lost_signals,
            tables: _,
        } = known;
        (self.meters, self.events, self.promises) = (meters, events, promises);
        (self.setpoints, self.open, self.signal) = (setpoints, open, signal);
        (self.violations, self.lost_signals) = (violations, lost_signals);
    }

    /// Limits that were broken so far.
    #[must_use]
    pub fn violations(&self) -> u64 {
        self.violations
    }

    /// Takes what a step brought.
    ///
    /// # Errors
    /// When a table cannot be written.
    pub fn take(&mut self, run: &Run, step: &Step) -> Result<(), Error> {
        let now = run.now();
        if let Some(report) = &step.cycle {
            self.close(run, now, Some(report))?;
            self.open(run, report.clone());
            for row in visits::rows(run.plant().engine().past_visits()) {
                self.tables.visits.push(row)?;
            }
        }
        if run.is_over() {
            self.close(run, now, None)?;
        }
        self.look(run);
        for (id, event) in &step.called {
            self.events.called(id, event, run.plant().engine().fleet());
            if event.refused > Power::ZERO {
                let text = format!(
                    "{} asked, {} promised",
                    event.accepted + event.refused,
                    event.accepted
                );
                self.alarm(now, "warning", id.as_str(), &text)?;
            }
        }
        for (id, request, refused) in &step.refused {
            let fleet = run.plant().engine().fleet();
            for row in events::refused(id, request, fleet) {
                self.tables.events.push(row)?;
            }
            self.alarm(now, "warning", id.as_str(), &refused.to_string())?;
        }
        if let Some(achieved) = step.signal {
            self.settle_signal(achieved.achieved)?;
            self.signal = Some((now, achieved));
        }
        let lost_signals = run.plant().counts().lost_signals;
        if lost_signals > self.lost_signals {
            self.lost_signals = lost_signals;
            self.alarm(now, "warning", "regulation", "the signal broke off")?;
        }
        if let Some(refused) = &step.refused_regulation {
            self.alarm(now, "warning", "regulation", &refused.to_string())?;
        }
        Ok(())
    }

    /// Ends the tables.
    ///
    /// # Errors
    /// When a table cannot be written.
    pub fn finish(mut self, run: &Run) -> Result<(), Error> {
        if let Some((_, achieved)) = self.signal {
            self.settle_signal(achieved.achieved)?;
        }
        for row in self.meters.day_over() {
            self.tables.station_days.push(row)?;
        }
        for row in self.events.all(run.plant().engine()) {
            self.tables.events.push(row)?;
        }
        self.tables.finish()
    }

    fn alarm(
        &mut self,
        time: Timestamp,
        severity: &str,
        subject: &str,
        text: &str,
    ) -> Result<(), Error> {
        self.tables.alarms.push(rows::Alarm {
            time,
            severity: severity.into(),
            subject: subject.into(),
            text: text.into(),
        })
    }

    /// The effect of a value shows when the next one comes.
    fn settle_signal(&mut self, achieved: Power) -> Result<(), Error> {
        let Some((time, value)) = self.signal.take() else {
            return Ok(());
        };
        self.tables.regulation.push(rows::Regulation {
            time,
            requested_kw: value.requested.as_kilowatts(),
            ordered_kw: value.ordered.as_kilowatts(),
            achieved_kw: achieved.as_kilowatts(),
        })
    }

    /// Notes what is in force.
    fn look(&mut self, run: &Run) {
        let now = run.now();
        for (station, setpoint) in self.setpoints.iter_mut().enumerate() {
            let (operator, at) = self.meters.place(station);
            let in_force = run.plant().operators()[operator].in_force(at, now);
            *setpoint = in_force.command.map(|_| in_force.setpoint);
        }
    }

    fn open(&mut self, run: &Run, report: CycleReport) {
        let engine = run.plant().engine();
        let subsidy = engine.subsidy().filter(|subsidy| run.now() < subsidy.until);
        let plan = engine.plan();
        let binding = plan.iter().flat_map(|plan| &plan.prices);
        let binding = binding.map(|(limit, prices)| (Text::from(limit.as_str()), prices[0]));
        self.open = Some(Open {
            start: run.now(),
            callable: promises::callable(run),
            prices: binding
                .filter(|(_, price)| price.abs() > LEAST_PRICE)
                .collect(),
            counts: run.plant().counts_before_cycle(),
            decision: name(report.decision).into(),
            objective: plan.map(|plan| plan.objective),
            baselines: baselines(engine, run.now()),
            subsidy_cny_per_kwh: subsidy.map_or(0.0, |subsidy| subsidy.price.as_f64()),
            subsidy_left_cny: subsidy.map_or(0.0, |subsidy| subsidy.left_cny),
            report,
        });
    }

    /// Ends the interval that is on.
    fn close(
        &mut self,
        run: &Run,
        end: Timestamp,
        next: Option<&CycleReport>,
    ) -> Result<(), Error> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        if end <= open.start {
            return Ok(());
        }
        let prices = run.prices();
        let date = prices.local_time(open.start).date();
        if self.meters.begins(date) {
            for row in self.meters.day_over() {
                self.tables.station_days.push(row)?;
            }
            self.meters.begin(date);
        }
        self.meters.read(run, prices.period(open.start));
        self.push_stations(&open, end)?;
        self.push_aggregators(run, &open, end)?;
        let violations = self.push_nodes(run, &open, end)?;
        self.push_system(run, &open, (end, next), violations)?;
        for (limit, price_cny_per_kwh) in &open.prices {
            self.tables.prices.push(rows::Price {
                start: open.start,
                limit: limit.clone(),
                price_cny_per_kwh: *price_cny_per_kwh,
            })?;
        }
        self.events.account(
            (open.start, end),
            run.plant().engine(),
            &open.baselines,
            &self.meters,
        );
        let local = run.prices().local_time(open.start);
        for row in self.promises.turn((open.start, local), &open.callable) {
            self.tables.promises.push(row)?;
        }
        Ok(())
    }

    fn push_stations(&mut self, open: &Open, end: Timestamp) -> Result<(), Error> {
        if !self.each_station {
            return Ok(());
        }
        let hours = as_hours(end - open.start);
        for (station, setpoint) in self.setpoints.iter().enumerate() {
            self.tables.stations.push(rows::Station {
                start: open.start,
                station: self.meters.name(station),
                power_kw: self.meters.net_kwh(station) / hours,
                setpoint_kw: setpoint.map(Power::as_kilowatts),
                vehicles: self.meters.vehicles(station),
            })?;
        }
        Ok(())
    }

    fn push_aggregators(&mut self, run: &Run, open: &Open, end: Timestamp) -> Result<(), Error> {
        let fleet = run.plant().engine().fleet();
        let hours = as_hours(end - open.start);
        let (energy, feed_in) = run.prices().at(open.start);
        let mut sums = vec![(0.0, 0.0, 0.0); self.aggregators.len()];
        for station in 0..fleet.stations().len() {
            let (import, export, delivered) = &mut sums[fleet.aggregator_of(station)];
            let (drawn, given) = self.meters.kwh(station);
            *import += drawn;
            *export += given;
            if let Some(baseline) = open.baselines[station] {
                *delivered += baseline.as_kilowatts() - (drawn - given) / hours;
            }
        }
        // Of the budget that is left everybody gets the same share.
        let subsidised: f64 = sums
            .iter()
            .map(|(_, export, _)| export * open.subsidy_cny_per_kwh)
            .sum();
        let paid = if subsidised > open.subsidy_left_cny {
            open.subsidy_left_cny / subsidised
        } else {
            1.0
        };
        for (at, (import_kwh, export_kwh, delivered_kw)) in sums.into_iter().enumerate() {
            self.tables.aggregators.push(rows::Aggregator {
                start: open.start,
                aggregator: self.aggregators[at].clone(),
                power_kw: (import_kwh - export_kwh) / hours,
                import_kwh,
                export_kwh,
                committed_kw: open.report.aggregators[at].committed.as_kilowatts(),
                delivered_kw,
                energy_cost_cny: import_kwh * energy.as_f64(),
                feed_in_cny: export_kwh * feed_in.as_f64(),
                subsidy_cny: export_kwh * open.subsidy_cny_per_kwh * paid,
            })?;
        }
        Ok(())
    }

    /// How many limits the means over the interval broke.
    fn push_nodes(&mut self, run: &Run, open: &Open, end: Timestamp) -> Result<u64, Error> {
        let fleet = run.plant().engine().fleet();
        let tree = fleet.tree();
        let length = end - open.start;
        let mut flows = vec![Power::ZERO; tree.nodes().len()];
        let mut violations = 0;
        for (station, registered) in fleet.stations().iter().enumerate() {
            let power = Power::round_kilowatts(self.meters.net_kwh(station) / as_hours(length));
            flows[fleet.node_of(station)] += power;
            if power > registered.import_limit || -power > registered.export_limit {
                violations += 1;
                let text = format!("{power} in the mean is beyond the connection");
                self.alarm(open.start, "error", registered.id.as_str(), &text)?;
            }
        }
        tree.sum_upwards(&mut flows);
        let mut bases: Vec<Power> = (tree.nodes().iter())
            .map(|node| node.base_load.at(open.start))
            .collect();
        tree.sum_upwards(&mut bases);
        for (at, node) in tree.nodes().iter().enumerate() {
            let power = flows[at] + bases[at];
            let import_limit = node.import_limit_over(open.start, end);
            self.tables.nodes.push(rows::Node {
                start: open.start,
                node: self.nodes[at].clone(),
                power_kw: power.as_kilowatts(),
                stations_kw: flows[at].as_kilowatts(),
                import_limit_kw: import_limit.as_kilowatts(),
                export_limit_kw: node.export_limit.as_kilowatts(),
            })?;
            if power > import_limit || -power > node.export_limit {
                violations += 1;
                let text = format!("{power} in the mean is beyond the limit");
                self.alarm(open.start, "error", node.id.as_str(), &text)?;
            }
        }
        self.violations += violations;
        Ok(violations)
    }

    fn push_system(
        &mut self,
        run: &Run,
        open: &Open,
        (end, next): (Timestamp, Option<&CycleReport>),
        limit_violations: u64,
    ) -> Result<(), Error> {
        let hours = as_hours(end - open.start);
        let (import_kwh, export_kwh) = self.meters.total_kwh();
        let stations = 0..self.setpoints.len();
        let mean_kw = |station: usize| self.meters.net_kwh(station) / hours;
        let delivered = stations.clone().filter_map(|station| {
            let baseline = open.baselines[station]?;
            Some(baseline.as_kilowatts() - mean_kw(station))
        });
        let (energy, feed_in) = run.prices().at(open.start);
        // What the next cycle did already belongs to the next interval.
        let counts = match next {
            Some(_) => run.plant().counts_before_cycle(),
            None => run.plant().counts(),
        };
        let report = &open.report;
        let after = next.unwrap_or(report);
        let up: Power = open.callable.iter().map(|(up, _)| *up).sum();
        let down: Power = open.callable.iter().map(|(_, down)| *down).sum();
        self.tables.system.push(rows::System {
            start: open.start,
            power_kw: (import_kwh - export_kwh) / hours,
            import_kwh,
            export_kwh,
            vehicles: stations.map(|station| self.meters.vehicles(station)).sum(),
            energy_price_cny_per_kwh: Some(energy.as_f64()),
            feed_in_price_cny_per_kwh: Some(feed_in.as_f64()),
            committed_kw: report.committed.as_kilowatts(),
            ordered_kw: report.ordered.as_kilowatts(),
            delivered_kw: delivered.sum(),
            callable_up_kw: Some(up.as_kilowatts()),
            callable_down_kw: Some(down.as_kilowatts()),
            commands: counts.commands - open.counts.commands,
            acknowledgements: counts.acknowledgements - open.counts.acknowledgements,
            refusals: after.refusal_count as u64,
            guarded: report.guarded_count as u64,
            fresh_stations: after.fresh_station_count as u64,
            limit_violations,
            decision: open.decision.clone(),
            objective_cny: open.objective,
        })
    }
}

/// What each station that a programme uses would draw without it until the next cycle, in the mean.
fn baselines(engine: &Engine, now: Timestamp) -> Vec<Option<Power>> {
    let until = Interval::new(now, now + engine.config().cycle).ok();
    let states = engine.states().iter();
    states
        .map(|state| Some(state.baseline.as_ref()?.over(until?)))
        .collect()
}

fn name(decision: Option<Decision>) -> &'static str {
    match decision {
        None => "idle",
        Some(Decision::Optimal) => "optimal",
        Some(Decision::Incumbent) => "incumbent",
        Some(Decision::Fallback) => "fallback",
        Some(Decision::Hold) => "hold",
    }
}

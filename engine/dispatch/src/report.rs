//! What a control cycle did: the figures that people watch.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use vpp_core::{AggregatorId, Decision, EventState, Power, Programme, Timestamp};

use crate::engine::Engine;

/// Totals of one aggregator.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct AggregatorTotals {
    /// Who.
    pub aggregator: AggregatorId,
    /// Setpoints in force or in the air.
    pub ordered: Power,
    /// Setpoints acknowledged.
    pub acknowledged: Power,
    /// Draw by the last samples.
    pub measured: Power,
    /// Promises to the events that are on.
    pub committed: Power,
    /// Baseline minus measured, of the stations that a programme uses.
    pub delivered: Power,
}

/// One control cycle.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct CycleReport {
    /// Its number, from 1.
    pub cycle: u64,
    /// When it began.
    pub started_at: Timestamp,
    /// How it was decided; none when no programme is on.
    pub decision: Option<Decision>,
    /// From its beginning to the release of its commands.
    pub cycle_time: TimeDelta,
    /// The part of it spent in the optimizer.
    pub solve_time: TimeDelta,
    /// Whether its commands were released after the deadline.
    pub deadline_missed: bool,
    /// Commands released.
    pub command_count: usize,
    /// Setpoints that the guard changed.
    pub guarded_count: usize,
    /// Acknowledgements since the cycle before.
    pub acknowledgement_count: usize,
    /// Those of them that refused.
    pub refusal_count: usize,
    /// Stations that reported lately.
    pub fresh_station_count: usize,
    /// Limits of nodes and stations that measured power breaks.
    pub limit_violation_count: usize,
    /// Nodes that everything in force or in the air could overload, at worst.
    pub exposed_node_count: usize,
    /// Reduction promised to the events that are on; what fills a valley counts against it, here and below.
    pub committed: Power,
    /// Baseline minus setpoints ordered.
    pub ordered: Power,
    /// Baseline minus setpoints acknowledged.
    pub acknowledged: Power,
    /// Baseline minus measured.
    pub delivered: Power,
    /// Totals of each aggregator.
    pub aggregators: Vec<AggregatorTotals>,
}

/// What the release of a cycle's commands adds to its report.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Released {
    pub(crate) decision: Option<Decision>,
    pub(crate) solve_time: TimeDelta,
    pub(crate) command_count: usize,
    pub(crate) guarded_count: usize,
    pub(crate) exposed_node_count: usize,
}

impl Engine {
    /// Adds up the cycle that began at `started_at` and released its commands at `now`.
    pub(crate) fn report(
        &mut self,
        now: Timestamp,
        started_at: Timestamp,
        released: Released,
    ) -> CycleReport {
        let cycle_time = now - started_at;
        let mut report = CycleReport {
            cycle: self.cycle,
            started_at,
            decision: released.decision,
            cycle_time,
            solve_time: released.solve_time,
            deadline_missed: cycle_time > self.config.deadline,
            command_count: released.command_count,
            guarded_count: released.guarded_count,
            acknowledgement_count: std::mem::take(&mut self.acknowledgements),
            refusal_count: std::mem::take(&mut self.refusals),
            fresh_station_count: 0,
            limit_violation_count: self.limit_violations(now),
            exposed_node_count: released.exposed_node_count,
            committed: Power::ZERO,
            ordered: Power::ZERO,
            acknowledged: Power::ZERO,
            delivered: Power::ZERO,
            aggregators: self.empty_totals(),
        };
        for station in 0..self.states.len() {
            self.add_station(now, station, &mut report);
        }
        for event in self
            .events
            .values()
            .filter(|event| event.state == EventState::Active)
        {
            let fills = event.request.programme.fills();
            let reduction = |power: Power| if fills { -power } else { power };
            if !matches!(event.request.programme, Programme::PeakShaving { .. }) {
                report.committed += reduction(event.accepted);
            }
            for commitment in &event.commitments {
                if let Some(index) = self.fleet.aggregator_index(&commitment.aggregator) {
                    report.aggregators[index].committed += reduction(commitment.power);
                }
            }
        }
        report
    }

    fn empty_totals(&self) -> Vec<AggregatorTotals> {
        let empty = |aggregator: &vpp_core::Aggregator| AggregatorTotals {
            aggregator: aggregator.id.clone(),
            ordered: Power::ZERO,
            acknowledged: Power::ZERO,
            measured: Power::ZERO,
            committed: Power::ZERO,
            delivered: Power::ZERO,
        };
        self.fleet.aggregators().iter().map(empty).collect()
    }

    fn add_station(&self, now: Timestamp, station: usize, report: &mut CycleReport) {
        let state = &self.states[station];
        let totals = &mut report.aggregators[self.fleet.aggregator_of(station)];
        totals.measured += state.active_power;
        if state.is_fresh(now, &self.config) {
            report.fresh_station_count += 1;
        }
        let Some(baseline) = state.baseline.as_ref().map(|b| b.at(now)) else {
            return;
        };
        let ordered = state.ordered().map_or(baseline, |command| command.setpoint);
        let acknowledged = state.acknowledged().unwrap_or(baseline);
        totals.ordered += ordered;
        totals.acknowledged += acknowledged;
        // What regulation moves is sold as regulation, not as the event's reduction.
        let measured = self.without_regulation(station);
        let delivered = if state.is_fresh(now, &self.config) {
            baseline - measured
        } else {
            Power::ZERO
        };
        totals.delivered += delivered;
        report.ordered += baseline - ordered + self.ordered_offset(station);
        report.acknowledged += baseline - acknowledged + self.ordered_offset(station);
        report.delivered += delivered;
    }

    /// Limits that measured power breaks: station connections, and nodes with their base load.
    fn limit_violations(&self, now: Timestamp) -> usize {
        let mut flows: Vec<Power> = self
            .fleet
            .tree()
            .nodes()
            .iter()
            .map(|node| node.base_load.at(now))
            .collect();
        let mut violations = 0;
        for (index, (station, state)) in self.fleet.stations().iter().zip(&self.states).enumerate()
        {
            flows[self.fleet.node_of(index)] += state.active_power;
            let power = state.active_power;
            violations +=
                usize::from(power > station.import_limit || -power > station.export_limit);
        }
        self.fleet.tree().sum_upwards(&mut flows);
        for (node, flow) in self.fleet.tree().nodes().iter().zip(flows) {
            violations +=
                usize::from(flow > node.import_limit_over(now, now) || -flow > node.export_limit);
        }
        violations
    }
}
